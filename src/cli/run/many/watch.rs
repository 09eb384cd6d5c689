//! `--watch`: waits until something changes that tests are made of, and says which tests those are.
//!
//! Owns what is looked at: images by their ids, directories by names, sizes and times of their files, the suite by its
//! text. It looks again and again, so that remote engines and file systems without notices are watched alike. What this
//! program makes itself (test images, results) is never looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::super::super::application::{Interrupted, Running};
use super::super::super::flags::EngineFlags;
use super::super::super::{connect, terminal};
use super::entry::{self, Entry};
use super::select::Selected;
use crate::error::Failure;
use crate::report::text::name;
use crate::report::wording::count;
use crate::signal;
use crate::suite::document::Build;
use crate::suite::needs::Need;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(500);

/// Files that are looked at in one directory; what comes beyond is not.
const MOST_FILES: usize = 200_000;

/// What is watched.
#[derive(Debug, Default)]
pub(super) struct Watched {
    suite: Option<PathBuf>,
    /// Where results are put: never looked at.
    results: PathBuf,
    /// By names in history.
    tests: BTreeMap<String, Ingredients>,
    /// What it looked like when the run began: what changes meanwhile is a change too.
    before: Option<Look>,
}

/// What one test is made of.
#[derive(Debug, Default, Clone)]
struct Ingredients {
    images: BTreeSet<String>,
    paths: BTreeSet<PathBuf>,
}

/// What is to run again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// Everything: the suite says something else.
    Suite,
    /// These tests.
    Tests(BTreeSet<String>),
}

impl Watched {
    /// What the tests of a run are made of.
    pub(super) fn of(selected: &Selected, entries: &[Entry], results: &Path, app: &Running) -> Self {
        let directory = entry::absolute(selected.suite.directory(), &app.environment);
        let mut tests: BTreeMap<String, Ingredients> = BTreeMap::new();
        for entry in entries {
            let made = tests.entry(entry.known_as.clone()).or_default();
            let build = entry.build.as_ref();
            made.add(build.is_none().then_some(&entry.image), build, &directory);
            made.paths.extend(entry.prepared.path.iter().chain(&entry.prepared.file).cloned());
            for need in &entry.needs {
                let Need::Service(name) = need else { continue };
                let here = selected.suite.document.services.here();
                if let Some(service) = here.and_then(|services| services.get(name)) {
                    made.add(service.image.as_ref(), service.build.as_ref(), &directory);
                }
            }
        }
        let suite = selected.is_written.then(|| entry::absolute(selected.suite.path(), &app.environment));
        Self { suite, results: results.to_owned(), tests, before: None }
    }

    /// Watches what a run that begins is made of. A run of some tests adds to what is watched already.
    pub(super) async fn renew(&mut self, these: Self, is_part: bool, flags: &EngineFlags, app: &Running) {
        let known = std::mem::take(&mut self.tests);
        *self = these;
        if is_part {
            for (name, made) in known {
                self.tests.entry(name).or_insert(made);
            }
        }
        self.before = Some(self.look(flags, app).await);
    }

    /// Whether there is nothing to be watched, because nothing was run.
    pub(super) fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// Waits for a change, and until nothing changes any more: a build or a checkout takes its time.
    pub(super) async fn change(&mut self, flags: &EngineFlags, app: &Running) -> Result<Changed, Failure> {
        let tests = count(self.tests.len() as u64, "test");
        terminal::note(&format!("docker-test: watching {tests} and what goes into them; Ctrl-C ends it\n"));
        let mut interrupts = app.interrupts.clone();
        let before = self.before.take();
        let watching = async {
            let before = match before {
                Some(before) => before,
                None => self.look(flags, app).await,
            };
            loop {
                tokio::time::sleep(INTERVAL).await;
                let mut now = self.look(flags, app).await;
                let Some(changed) = before.changed(&now) else { continue };
                loop {
                    tokio::time::sleep(INTERVAL).await;
                    let next = self.look(flags, app).await;
                    if now == next {
                        break;
                    }
                    now = next;
                }
                return before.changed(&now).unwrap_or(changed);
            }
        };
        tokio::select! {
            changed = watching => {
                terminal::note(&format!("docker-test: {}\n", changed.describe()));
                Ok(changed)
            }
            state = signal::wait_for(&mut interrupts, 1) => Err(Interrupted { signal: state.signal }.into()),
        }
    }

    async fn look(&self, flags: &EngineFlags, app: &Running) -> Look {
        let images: BTreeSet<&String> = self.tests.values().flat_map(|made| &made.images).collect();
        let mut ids = BTreeMap::new();
        // An engine that is away for a moment has changed nothing.
        let connection = connect::connect(flags, app).await.ok();
        if let Some(connection) = &connection {
            for image in images {
                let found = connection.engine.image(image).await;
                ids.insert(image.clone(), found.ok().flatten().map(|image| image.id));
            }
        }
        let is_known = connection.is_some();
        if let Some(connection) = connection {
            connection.close().await;
        }
        let paths: BTreeSet<PathBuf> = self.tests.values().flat_map(|made| made.paths.clone()).collect();
        let (results, suite) = (self.results.clone(), self.suite.clone());
        let looking = tokio::task::spawn_blocking(move || {
            let prints: BTreeMap<PathBuf, u64> =
                paths.into_iter().map(|path| (path.clone(), fingerprint(&path, &results))).collect();
            (prints, suite.map(|suite| fingerprint(&suite, &results)))
        });
        let (prints, suite) = looking.await.unwrap_or_default();
        let of = |made: &Ingredients| {
            let images = made.images.iter().map(|image| ids.get(image).cloned().flatten()).collect();
            let paths = made.paths.iter().filter_map(|path| prints.get(path).copied()).collect();
            (images, paths)
        };
        let tests = self.tests.iter().map(|(name, made)| (name.clone(), of(made))).collect();
        Look { suite, tests, is_known }
    }
}

impl Ingredients {
    fn add(&mut self, image: Option<&String>, build: Option<&Build>, directory: &Path) {
        if let Some(build) = build {
            self.paths.insert(directory.join(&build.context));
        } else {
            self.images.extend(image.cloned());
        }
    }
}

/// What was seen of a test: ids of its images, and what its paths look like.
type Seen = (Vec<Option<String>>, Vec<u64>);

#[derive(Debug, PartialEq, Eq)]
struct Look {
    suite: Option<u64>,
    tests: BTreeMap<String, Seen>,
    /// The engine has answered.
    is_known: bool,
}

impl Look {
    fn changed(&self, now: &Self) -> Option<Changed> {
        if self.suite != now.suite {
            return Some(Changed::Suite);
        }
        let compare_images = self.is_known && now.is_known;
        let differs = |name: &String, (images, paths): &Seen| {
            now.tests.get(name).is_none_or(|(other_images, other_paths)| {
                paths != other_paths || compare_images && images != other_images
            })
        };
        let tests: BTreeSet<String> = self
            .tests
            .iter()
            .filter(|(name, seen)| differs(name, seen))
            .map(|(name, _)| name.clone())
            .collect();
        (!tests.is_empty()).then_some(Changed::Tests(tests))
    }
}

impl Changed {
    fn describe(&self) -> String {
        match self {
            Self::Suite => "the suite has changed".to_owned(),
            Self::Tests(tests) => {
                let shown: Vec<String> = tests.iter().take(5).map(|test| name(test)).collect();
                let more = tests.len().saturating_sub(shown.len());
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("changed: {}{more}", shown.join(", "))
            }
        }
    }
}

/// Names, sizes and times of everything below a path.
fn fingerprint(path: &Path, results: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut waiting = vec![path.to_owned()];
    let mut seen = 0;
    while let Some(path) = waiting.pop() {
        if path == results || path.file_name().is_some_and(|name| name == ".git") || seen > MOST_FILES {
            continue;
        }
        seen += 1;
        let Ok(about) = path.symlink_metadata() else { continue };
        path.hash(&mut hasher);
        if about.is_dir() {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            let mut below: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            below.sort();
            waiting.extend(below);
        } else {
            about.len().hash(&mut hasher);
            about.modified().unwrap_or(SystemTime::UNIX_EPOCH).hash(&mut hasher);
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_changed_when_a_file_in_it_has_and_results_do_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let (root, results) = (directory.path(), directory.path().join("results"));
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::create_dir_all(&results).unwrap();
        let before = fingerprint(root, &results);
        std::fs::write(results.join("report.xml"), "x").unwrap();
        assert_eq!(fingerprint(root, &results), before);
        std::fs::write(root.join("a/b/file"), "x").unwrap();
        let added = fingerprint(root, &results);
        assert_ne!(added, before);
        std::fs::write(root.join("a/b/file"), "xy").unwrap();
        assert_ne!(fingerprint(root, &results), added);
    }

    fn look(suite: u64, image: &str, path: u64, is_known: bool) -> Look {
        let tests = BTreeMap::from([("t".to_owned(), (vec![Some(image.to_owned())], vec![path]))]);
        Look { suite: Some(suite), tests, is_known }
    }

    #[test]
    fn an_image_a_path_or_the_suite_is_a_change_and_an_engine_that_is_away_is_none() {
        let before = look(1, "a", 1, true);
        let tests = || Some(Changed::Tests(BTreeSet::from(["t".to_owned()])));
        assert_eq!(before.changed(&look(1, "a", 1, true)), None);
        assert_eq!(before.changed(&look(1, "b", 1, true)), tests());
        assert_eq!(before.changed(&look(1, "a", 2, true)), tests());
        assert_eq!(before.changed(&look(2, "b", 2, true)), Some(Changed::Suite));
        assert_eq!(before.changed(&look(1, "b", 1, false)), None);
    }
}
