//! Directories that are made for results that never come.
//!
//! A run that ends before its test has begun must not leave an empty `tests/` in the user's project.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Directories that were made for the results, innermost first: those that stay empty go again.
#[derive(Debug, Default)]
pub(super) struct CreatedParents(Vec<PathBuf>);

impl CreatedParents {
    /// Makes the directories above `target`, where they are missing.
    pub(super) fn of(target: &Path) -> io::Result<Self> {
        let Some(parent) = target.parent() else { return Ok(Self::default()) };
        let missing = parent.ancestors().take_while(|path| !path.exists()).map(Path::to_owned).collect();
        let created = Self(missing);
        fs::create_dir_all(parent)?;
        Ok(created)
    }

    /// They hold something now.
    pub(super) fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for CreatedParents {
    fn drop(&mut self) {
        for path in &self.0 {
            // One that holds something after all, such as the results of another run, stays.
            let _ = fs::remove_dir(path);
        }
    }
}
