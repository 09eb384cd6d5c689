//! Where the files of a run live until they are the results, and what they are called.
//!
//! Owns the names. They begin with our own prefix and a digest of the target's name, because several results directories
//! may have one parent.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::MARKER;

/// Where the files of a run live until they are in place: beside the target, so that a rename is enough, or inside it,
/// where the target cannot be renamed or its parent cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) directory: PathBuf,
    pub(super) inside: bool,
    /// Begins the names of everything that belongs to this target.
    pub(super) prefix: String,
}

impl Place {
    pub(super) fn beside(target: &Path) -> Option<Self> {
        let directory = target.parent()?.to_owned();
        Some(Self { directory, inside: false, prefix: prefix(target) })
    }

    pub(super) fn inside(target: &Path) -> Self {
        Self { directory: target.to_owned(), inside: true, prefix: prefix(target) }
    }

    pub(super) fn path(&self, run_id: &str, suffix: &str) -> PathBuf {
        self.directory.join(format!("{}-{run_id}.{suffix}", self.prefix))
    }

    /// What runs of this target left behind, with the suffix of each.
    pub(super) fn leftovers(&self) -> io::Result<Vec<(PathBuf, &'static str)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str().filter(|name| name.starts_with(&format!("{}-", self.prefix)))
            else {
                continue;
            };
            if let Some(suffix) =
                ["partial", "old"].into_iter().find(|suffix| name.ends_with(&format!(".{suffix}")))
            {
                found.push((self.directory.join(name), suffix));
            }
        }
        Ok(found)
    }
}

/// Several results directories may have one parent: the name of each is in its prefix.
pub(super) fn prefix(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default();
    let digest = Sha256::digest(name.as_bytes());
    format!("{MARKER}-{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3])
}
