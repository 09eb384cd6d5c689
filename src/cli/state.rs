//! Where run journals are kept.
//!
//! Owns the order of the places, and the refusal of a directory under `/tmp` that somebody else may have made: who can
//! write journals can have docker-test remove what they name.

use std::fs::{DirBuilder, Metadata, symlink_metadata};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::error::{Category, Diagnose};

/// There is no place for journals.
#[derive(Debug, thiserror::Error)]
pub(super) enum StateError {
    /// It could not be made, or not be looked at.
    #[error("cannot {operation} the state directory {}", path.display())]
    Inaccessible { operation: &'static str, path: PathBuf, source: Error },
    /// It is there, and others may write to it.
    #[error("the state directory {} {why}: somebody else may have made it", path.display())]
    NotOurs { path: PathBuf, why: &'static str },
}

impl Diagnose for StateError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        Some("there is no home directory to keep state in: point DOCKER_TEST_STATE_DIR at a directory of your own".to_owned())
    }
}

/// The directory; where the user has none, a private one under `temporary`.
pub(super) fn directory(environment: &Environment, temporary: &Path) -> Result<PathBuf, StateError> {
    if let Some(directory) = environment.non_empty("DOCKER_TEST_STATE_DIR") {
        return Ok(environment.current_dir().join(directory));
    }
    if let Some(directory) = environment.non_empty("XDG_STATE_HOME") {
        return Ok(PathBuf::from(directory).join("docker-test"));
    }
    match environment.home() {
        Some(home) => Ok(home.join(".local/state/docker-test")),
        None => private(temporary.join(format!("docker-test-{}", environment.uid())), environment.uid()),
    }
}

/// Makes the directory, or makes sure that nobody else did.
fn private(path: PathBuf, uid: u32) -> Result<PathBuf, StateError> {
    match DirBuilder::new().mode(0o700).create(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(source) => return Err(StateError::Inaccessible { operation: "create", path, source }),
    }
    match symlink_metadata(&path) {
        Ok(found) => match objection(&found, uid) {
            Some(why) => Err(StateError::NotOurs { path, why }),
            None => Ok(path),
        },
        Err(source) => Err(StateError::Inaccessible { operation: "look at", path, source }),
    }
}

/// What speaks against a directory under `/tmp`; its owner alone can rename it there.
fn objection(found: &Metadata, uid: u32) -> Option<&'static str> {
    if found.is_symlink() {
        Some("is a symbolic link")
    } else if !found.is_dir() {
        Some("is no directory")
    } else if found.uid() != uid {
        Some("belongs to another user")
    } else if found.mode() & 0o077 != 0 {
        Some("is open to others (its mode must be 0700)")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// Of this process's user, without a home.
    fn homeless(directory: &Path) -> Environment {
        let uid = std::fs::metadata(directory).unwrap().uid();
        Environment::from_pairs([("PATH", "/bin")]).of_user(uid)
    }

    #[test]
    fn without_a_home_the_directory_is_made_for_its_user_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let environment = homeless(temporary.path());
        let made = directory(&environment, temporary.path()).unwrap();
        assert_eq!(std::fs::metadata(&made).unwrap().mode() & 0o777, 0o700);
        assert_eq!(directory(&environment, temporary.path()).unwrap(), made);
    }

    #[test]
    fn a_directory_that_others_can_write_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let environment = homeless(temporary.path());
        let path = directory(&environment, temporary.path()).unwrap();
        for mode in [0o770, 0o707, 0o755] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = directory(&environment, temporary.path()).unwrap_err();
            assert!(error.to_string().contains("0700"), "{error}");
            assert!(error.hint().unwrap().contains("DOCKER_TEST_STATE_DIR"));
        }
    }

    #[test]
    fn a_directory_of_another_user_and_a_link_are_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let environment = homeless(temporary.path());
        let path = temporary.path().join(format!("docker-test-{}", environment.uid()));
        let own = temporary.path().join("own");
        create_dir(&own).unwrap();
        set_permissions(&own, Permissions::from_mode(0o700)).unwrap();
        symlink(&own, &path).unwrap();
        let error = directory(&environment, temporary.path()).unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        let error = directory(&environment, temporary.path()).unwrap_err();
        assert!(error.to_string().contains("is no directory"), "{error}");
        let other = environment.uid() + 1;
        assert!(matches!(private(own, other), Err(StateError::NotOurs { .. })));
    }

    #[test]
    fn a_home_or_a_variable_comes_first() {
        let environment = Environment::from_pairs([("HOME", "/home/me")]);
        let nowhere = Path::new("/nonexistent");
        assert_eq!(directory(&environment, nowhere).unwrap(), Path::new("/home/me/.local/state/docker-test"));
        let environment = environment.with("XDG_STATE_HOME", "/state");
        assert_eq!(directory(&environment, nowhere).unwrap(), Path::new("/state/docker-test"));
        let environment = environment.with("DOCKER_TEST_STATE_DIR", "here");
        assert_eq!(directory(&environment, nowhere).unwrap(), Path::new("/here"));
    }
}
