//! Where the files of each attempt go, for one test and for one of many.
//!
//! Owns the names below a results directory. A single test has its files in the directory itself, as if it were alone
//! in the world; a test of many has a directory of its own, with one for each attempt and a log beside each.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::attempt::Place;
use crate::error::{Category, Diagnose};

/// The directories of one test: where files are put now, and where they will be when the run is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    staging: PathBuf,
    target: PathBuf,
    /// Files of the last attempt lie in the directory itself.
    flat: bool,
    /// More than one attempt may be made.
    retried: bool,
}

/// A directory for files cannot be made, or not be put in its place.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}", path.display())]
pub struct LayoutError {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Diagnose for LayoutError {
    fn category(&self) -> Category {
        Category::Environment
    }
}

impl Layout {
    /// The only test of a run.
    #[must_use]
    pub fn alone(staging: &Path, target: &Path, retried: bool) -> Self {
        Self { staging: staging.to_owned(), target: target.to_owned(), flat: true, retried }
    }

    /// One of many, in the directory of that name.
    #[must_use]
    pub fn among_others(staging: &Path, target: &Path, directory: &str) -> Self {
        Self { staging: staging.join(directory), target: target.join(directory), flat: false, retried: true }
    }

    /// Makes room for an attempt, counted from 1.
    pub fn place(&self, attempt: u32) -> Result<Place, LayoutError> {
        if !self.retried {
            return Ok(Place { staging: self.staging.clone(), target: self.target.clone(), log: None });
        }
        let name = attempt_name(attempt);
        let staging =
            if self.flat { self.staging.join(format!(".{name}")) } else { self.staging.join(&name) };
        fs::create_dir_all(&staging).map_err(|source| LayoutError {
            operation: "create the directory",
            path: staging.clone(),
            source,
        })?;
        let target = if self.flat { self.target.clone() } else { self.target.join(&name) };
        let log = (!self.flat).then(|| self.staging.join(format!("{name}.log")));
        Ok(Place { staging, target, log })
    }

    /// Where the files of the last attempt will be.
    #[must_use]
    pub fn results(&self, attempt: u32) -> PathBuf {
        if self.flat { self.target.clone() } else { self.target.join(attempt_name(attempt)) }
    }

    /// The log of an attempt as reports name it: relative to the directory of the run.
    #[must_use]
    pub fn log(&self, attempt: u32) -> Option<String> {
        let directory = self.target.file_name()?.to_str()?;
        (!self.flat).then(|| format!("{directory}/{}.log", attempt_name(attempt)))
    }

    /// Puts the files of `attempts` attempts where they belong. Those of the last one lie in the directory itself; those
    /// of the others beside them, unless the test has left something of that name.
    pub fn settle(&self, attempts: u32) -> Result<(), LayoutError> {
        if !self.flat || !self.retried {
            return Ok(());
        }
        let move_to = |from: &Path, to: &Path| {
            fs::rename(from, to).map_err(|source| LayoutError {
                operation: "move results to",
                path: to.to_owned(),
                source,
            })
        };
        for attempt in (1..=attempts).rev() {
            let name = attempt_name(attempt);
            let from = self.staging.join(format!(".{name}"));
            if attempt < attempts {
                move_to(&from, &free_name(&self.staging, &name))?;
                continue;
            }
            let listing = |source| LayoutError { operation: "read", path: from.clone(), source };
            for entry in fs::read_dir(&from).map_err(listing)? {
                let entry = entry.map_err(listing)?;
                let to = self.staging.join(entry.file_name());
                // The directory's own marker is there before any file of a test.
                if !to.exists() {
                    move_to(&entry.path(), &to)?;
                }
            }
            fs::remove_dir_all(&from).map_err(|source| LayoutError {
                operation: "remove",
                path: from.clone(),
                source,
            })?;
        }
        Ok(())
    }
}

fn attempt_name(attempt: u32) -> String {
    format!("attempt-{attempt}")
}

fn free_name(directory: &Path, name: &str) -> PathBuf {
    let mut path = directory.join(name);
    while path.exists() {
        let longer = format!("{}_", path.file_name().unwrap_or_default().to_string_lossy());
        path.set_file_name(longer);
    }
    path
}

/// Directory names for tests: safe in every file system, and no two alike whatever the tests are called.
///
/// Letters, digits, `.`, `_`, `-`, `=`, `+` and `@` stay; everything else becomes `_`. Names that would meet, on a file
/// system that ignores case too, and those that are reserved get a number.
#[must_use]
pub fn directory_names<'a>(tests: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    // What a run itself puts beside the tests.
    let mut taken: std::collections::BTreeSet<String> =
        [SERVICES, "con", "nul", "aux", "prn"].map(str::to_owned).into();
    let mut names = Vec::new();
    for test in tests {
        let safe: String = test.chars().map(safe_letter).take(LONGEST_NAME).collect();
        let safe = match safe.trim_matches(['_', '.', '-']) {
            "" => "test".to_owned(),
            safe => safe.to_owned(),
        };
        let mut name = safe.clone();
        let mut number = 2;
        while !taken.insert(name.to_lowercase()) {
            name = format!("{safe}-{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}

/// The directory of the services' logs.
pub const SERVICES: &str = "services";

/// Bytes of a name at most; file systems take 255, and a number may follow.
const LONGEST_NAME: usize = 120;

const fn safe_letter(letter: char) -> char {
    match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' | '=' | '+' | '@' => letter,
        _ => '_',
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_attempt_of_a_single_test_lies_in_the_directory_and_earlier_ones_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::alone(directory.path(), Path::new("/results"), true);
        for (attempt, text) in [(1, "first"), (2, "second")] {
            let place = layout.place(attempt).unwrap();
            assert_eq!(place.target, Path::new("/results"));
            fs::write(place.staging.join("file"), text).unwrap();
        }
        // The test itself has left something of that name.
        fs::write(directory.path().join(".attempt-2/attempt-1"), "mine").unwrap();
        layout.settle(2).unwrap();
        let read = |path: &str| fs::read_to_string(directory.path().join(path)).unwrap();
        assert_eq!(
            (read("file"), read("attempt-1"), read("attempt-1_/file")),
            ("second".into(), "mine".into(), "first".into())
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
    }

    #[test]
    fn one_of_many_has_a_directory_an_attempt_and_a_log_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::among_others(directory.path(), Path::new("/results"), "shop");
        let place = layout.place(2).unwrap();
        assert_eq!(place.staging, directory.path().join("shop/attempt-2"));
        assert_eq!(place.target, Path::new("/results/shop/attempt-2"));
        assert_eq!(place.log, Some(directory.path().join("shop/attempt-2.log")));
        assert_eq!(layout.log(2).as_deref(), Some("shop/attempt-2.log"));
        layout.settle(2).unwrap();
        assert!(place.staging.is_dir());
    }

    #[test]
    fn names_are_safe_and_keep_what_can_be_read() {
        let names = directory_names(["checkout[db=16,os=a]", "a/b:1", "../..", "A", "a", "services", "…"]);
        assert_eq!(names, ["checkout_db=16_os=a", "a_b_1", "test", "A", "a-2", "services-2", "test-2"]);
    }

    proptest! {
        #[test]
        fn no_two_tests_share_a_directory(tests in proptest::collection::vec("\\PC{0,140}", 0..20)) {
            let names = directory_names(tests.iter().map(String::as_str));
            let different: std::collections::BTreeSet<_> = names.iter().map(|name| name.to_lowercase()).collect();
            prop_assert_eq!(different.len(), tests.len());
            for name in &names {
                prop_assert!(!name.starts_with('.') && !name.contains('/') && name.len() < 200, "{}", name);
            }
        }
    }
}
