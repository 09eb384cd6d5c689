//! What this state directory remembers of an engine longer than a run: which images are its own, and which names it lent.
//!
//! Labels do not say so: whatever a user builds FROM a test image inherits them. One file a note, so that no two writers
//! meet; one that cannot be written leaves the thing to the user.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

/// The notes about one engine.
#[derive(Debug, Clone)]
pub(super) struct Notes {
    directory: PathBuf,
}

impl Notes {
    pub(super) fn about(state: &Path, engine: &str) -> Self {
        let digest = Sha256::digest(engine.as_bytes());
        let name = format!("{digest:x}");
        Self { directory: state.join("notes").join(name) }
    }

    /// Remembers an image's id or name.
    pub(super) fn add(&self, subject: &str) {
        let _ = fs::create_dir_all(&self.directory);
        let _ = fs::write(self.directory.join(file_name(subject)), subject);
    }

    pub(super) fn forget(&self, subject: &str) {
        let _ = fs::remove_file(self.directory.join(file_name(subject)));
        // With the last one it goes, too.
        let _ = fs::remove_dir(&self.directory);
    }

    /// Forgets what begins with `prefix` and was not added again for `age`.
    pub(super) fn expire(&self, prefix: &str, age: Duration) {
        for subject in self.all().iter().filter(|subject| subject.starts_with(prefix)) {
            let path = self.directory.join(file_name(subject));
            let added = fs::metadata(path).and_then(|about| about.modified()).ok();
            if added.and_then(|added| added.elapsed().ok()).is_some_and(|since| since > age) {
                self.forget(subject);
            }
        }
    }

    /// Everything that is remembered.
    pub(super) fn all(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        entries.filter_map(|entry| fs::read_to_string(entry.path()).ok()).collect()
    }
}

/// Names have slashes.
fn file_name(subject: &str) -> String {
    subject.chars().map(|c| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_of_one_engine_and_go_without_a_trace() {
        let state = tempfile::tempdir().unwrap();
        let (one, other) = (Notes::about(state.path(), "one.sock"), Notes::about(state.path(), "other.sock"));
        one.add("sha256:1");
        one.add("sha256:1");
        one.add("localhost/docker-test-untagged:1");
        assert_eq!(one.all().len(), 2);
        assert!(other.all().is_empty());
        one.forget("localhost/docker-test-untagged:1");
        assert_eq!(one.all(), BTreeSet::from(["sha256:1".to_owned()]));
        one.add("key:1");
        one.expire("key:", Duration::from_hours(1));
        assert_eq!(one.all().len(), 2);
        one.expire("key:", Duration::ZERO);
        assert_eq!(one.all().len(), 1);
        one.forget("sha256:1");
        one.forget("sha256:2");
        assert_eq!(fs::read_dir(state.path().join("notes")).unwrap().count(), 0);
    }

    #[test]
    fn a_state_directory_that_cannot_be_written_remembers_nothing() {
        let state = tempfile::tempdir().unwrap();
        fs::write(state.path().join("notes"), "a file in the way").unwrap();
        let notes = Notes::about(state.path(), "one.sock");
        notes.add("sha256:1");
        assert!(notes.all().is_empty());
    }
}
