//! What docker-test itself leaves in a directory that is also a build context: results, and the files of a run that is
//! under way.
//!
//! Owns the rule that none of it is sent. Results lie in `tests/results` and most recipes begin with `COPY tests`: sent
//! along, they would make the test image another one after every run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::needs::{Need, Needs};
use super::select::{EntryKind, Selection};

impl Selection {
    /// Leaves out every directory that holds a file named `marker`, whatever has a name that begins with it, and
    /// directories that held nothing else: a first run has made them.
    ///
    /// The context's root stays, whatever it holds, and so does what `needs` names: the user means it.
    pub fn leave_out_own(&mut self, marker: &str, needs: &Needs) {
        let named: &[Need] = match needs {
            Needs::Nothing => &[],
            Needs::Paths(named) | Needs::Whole { named, .. } => named,
        };
        let is_named = |path: &Path| named.iter().any(|need| Path::new(&need.pattern).starts_with(path));
        let is_ours = |path: &Path| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(marker))
        };
        let result_directories: BTreeSet<PathBuf> = self
            .entries
            .iter()
            .filter(|entry| entry.kind == EntryKind::File && entry.path.ends_with(marker))
            .filter_map(|entry| entry.path.parent())
            .filter(|parent| !parent.as_os_str().is_empty() && !is_named(parent))
            .map(Path::to_owned)
            .collect();
        let is_own =
            |path: &Path| path.ancestors().any(|path| is_ours(path) || result_directories.contains(path));
        let (mut emptied, mut filled) = (BTreeSet::new(), BTreeSet::new());
        for entry in &self.entries {
            let above = entry.path.ancestors().skip(1).map(Path::to_owned);
            if is_own(&entry.path) {
                emptied.extend(above);
            } else if entry.kind != EntryKind::Directory {
                filled.extend(above);
            }
        }
        self.entries.retain(|entry| {
            let is_left_empty = emptied.contains(&entry.path) && !filled.contains(&entry.path);
            !is_own(&entry.path) && (!is_left_empty || is_named(&entry.path))
        });
        self.bytes = self.entries.iter().map(|entry| entry.size).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::super::select::Entry;
    use super::*;

    const MARKER: &str = ".marker";

    fn selection(paths: &[&str]) -> Selection {
        let entry = |path: &&str| Entry {
            path: PathBuf::from(path.trim_end_matches('/')),
            kind: if path.ends_with('/') { EntryKind::Directory } else { EntryKind::File },
            size: 1,
            mode: 0o644,
            mtime: 0,
            link: None,
        };
        let entries: Vec<Entry> = paths.iter().map(entry).collect();
        Selection { bytes: entries.len() as u64, entries }
    }

    fn left(paths: &[&str]) -> Vec<String> {
        left_for(paths, &[])
    }

    fn left_for(paths: &[&str], named: &[&str]) -> Vec<String> {
        let need = |pattern: &&str| Need {
            pattern: (*pattern).to_owned(),
            exclude: Vec::new(),
            parents: false,
            literal: false,
            line: 1,
        };
        let needs = Needs::Paths(named.iter().map(need).collect());
        let mut selection = selection(paths);
        selection.leave_out_own(MARKER, &needs);
        assert_eq!(selection.bytes, selection.entries.len() as u64);
        selection.entries.iter().map(|entry| entry.path.display().to_string()).collect()
    }

    #[test]
    fn results_of_earlier_runs_are_not_sent() {
        let sent =
            left(&["t/", "t/a.sh", "t/results/", "t/results/.marker", "t/results/x/", "t/results/x/y"]);
        assert_eq!(sent, ["t", "t/a.sh"]);
    }

    #[test]
    fn files_of_a_run_under_way_are_not_sent() {
        let files = ["t/", "t/a", "t/.marker-1.lock", "t/.marker-1.partial/", "t/.marker-1.partial/a"];
        assert_eq!(left(&files), ["t", "t/a"]);
    }

    #[test]
    fn a_directory_that_a_first_run_has_made_is_not_sent_unless_it_is_named() {
        let files = ["t/", "t/.marker-1.lock", "t/results/", "t/results/.marker", "u/"];
        assert_eq!(left(&files), ["u"]);
        assert_eq!(left_for(&files, &["t"]), ["t", "u"]);
    }

    #[test]
    fn results_that_are_named_are_sent() {
        let files = ["t/", "t/results/", "t/results/.marker", "t/results/a"];
        assert_eq!(left_for(&files, &["t/results/a"]), ["t", "t/results", "t/results/a"]);
    }

    #[test]
    fn a_directory_without_a_marker_is_sent_whatever_its_name() {
        assert_eq!(left(&["t/", "t/results/", "t/results/a"]), ["t", "t/results", "t/results/a"]);
    }

    #[test]
    fn the_root_is_sent_though_it_bears_a_marker() {
        assert_eq!(left(&[".marker", "a"]), ["a"]);
    }
}
