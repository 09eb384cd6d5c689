//! How Docker's flags, and the keys of docker-test.yaml that stand for them, write sizes, mounts and lists.
//!
//! Owns spelling and limits. Knows no flag and no key: whoever asks adds where the value stood.

pub mod csv;
mod invalid;
pub mod mount;
pub mod units;
pub mod volume;

use std::path::{Component, Path, PathBuf};

pub use invalid::Invalid;

/// `path` of `directory` made absolute, `.` and `..` removed without looking at the disk, as the Docker CLI does.
#[must_use]
pub fn absolute(directory: &Path, path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in directory.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}
