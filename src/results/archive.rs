//! Takes files out of the archive that an engine makes of a results directory.
//!
//! The archive is hostile: its content is whatever the test chose to leave. Owns what may be written (regular files,
//! directories, links that stay inside), where, under which name and how much of it. Writes nothing outside the
//! destination, never through a link, and holds no more than one buffer of content in memory.

mod disk;
mod name;
mod stream;
mod tree;

#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Category, Diagnose};
use crate::results::ResultFile;

/// Skipped entries that are named; the others are only counted.
const SKIPPED_NAMED: usize = 100;

/// How much may be taken out of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of content, that of skipped and replaced entries and of hard links included.
    pub max_bytes: u64,
    /// Entries of any kind, headers that only describe another one included.
    pub max_entries: u64,
    /// Directories from the root down to an entry, the entry included.
    pub max_depth: usize,
    /// Bytes of all names together, which are held in memory.
    pub max_name_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 1024 * 1024 * 1024,
            max_entries: 100_000,
            max_depth: 64,
            max_name_bytes: 16 * 1024 * 1024,
        }
    }
}

/// What was taken out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Extracted {
    /// Regular files, sorted by path.
    pub files: Vec<ResultFile>,
    /// Their sizes together.
    pub bytes: u64,
    /// The first entries that were left out.
    pub skipped: Vec<Skipped>,
    /// How many entries were left out in all.
    pub skipped_count: u64,
    /// How many of those lay too deep: honest files, other than what else is left out.
    pub too_deep: u64,
    /// Symbolic links to files that were taken out, with the paths of both.
    pub links: Vec<(String, String)>,
    /// The limit in bytes, where it was reached: the last file is cut there, and nothing after it was read.
    pub truncated: Option<u64>,
}

/// An entry that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its path in the archive, control characters escaped.
    pub path: String,
    /// Why, in a few words.
    pub reason: String,
}

impl Extracted {
    fn skip(&mut self, path: String, reason: impl Into<String>) {
        self.skipped_count += 1;
        if self.skipped.len() < SKIPPED_NAMED {
            self.skipped.push(Skipped { path, reason: reason.into() });
        }
    }
}

/// Taking files out ended early. What came before is on disk and listed.
#[derive(Debug, thiserror::Error)]
#[error("cannot take the results out of the container's archive")]
pub struct ArchiveError {
    /// What was taken out until then.
    pub extracted: Box<Extracted>,
    /// What went wrong.
    #[source]
    pub problem: ArchiveProblem,
}

/// Why an archive could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveProblem {
    /// The engine stopped sending.
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    /// The archive ends before its end mark.
    #[error("the archive ends early, after {offset} bytes")]
    CutShort {
        /// Bytes read.
        offset: u64,
    },
    /// A header makes no sense.
    #[error("the archive is broken at byte {offset}: {reason}")]
    Corrupt {
        /// Where the header begins.
        offset: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A name or an extended header is larger than any honest one.
    #[error("the archive holds a header of {size} bytes; at most {limit} are read")]
    HeaderTooLarge {
        /// Its size.
        size: u64,
        /// The most that is read.
        limit: u64,
    },
    /// There are too many entries.
    #[error("the results hold more than {limit} files and directories")]
    TooManyEntries {
        /// The most that is read.
        limit: u64,
    },
    /// The names of the entries are too long, all together.
    #[error("the names of the results take more than {limit} bytes")]
    NamesTooLarge {
        /// The most that is held.
        limit: usize,
    },
    /// The disk is full, or the quota is used up.
    #[error("no space left on the disk for {}", path.display())]
    DiskFull {
        /// The file that was being written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Diagnose for ArchiveError {
    fn category(&self) -> Category {
        match self.problem {
            ArchiveProblem::TooManyEntries { .. } | ArchiveProblem::NamesTooLarge { .. } => Category::User,
            _ => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match &self.problem {
            ArchiveProblem::DiskFull { .. } => {
                Some("free some space, or choose a directory on another disk with --results-dir".into())
            }
            ArchiveProblem::TooManyEntries { .. } | ArchiveProblem::NamesTooLarge { .. } => {
                Some("let the test leave one archive file rather than many small files".into())
            }
            ArchiveProblem::Write { .. } => {
                Some("check the permissions of the directory, or choose another with --results-dir".into())
            }
            _ => None,
        }
    }
}

/// Takes the files out of a tar stream into `destination`, an empty directory that nobody else writes to.
///
/// `root` is the last component of the path that was asked for: Docker puts every entry under it. Podman may use `/` or
/// `./` instead, which the first entry shows. Entries beside the root are skipped.
pub fn extract(
    reader: impl Read,
    root: &str,
    destination: &Path,
    limits: &Limits,
) -> Result<Extracted, ArchiveError> {
    let mut tree = tree::Tree::new(destination, *limits);
    let outcome = read_all(reader, root, &mut tree, limits);
    let (extracted, settled) = tree.finish();
    match outcome.and(settled) {
        Ok(()) => Ok(extracted),
        Err(problem) => Err(ArchiveError { extracted: Box::new(extracted), problem }),
    }
}

fn read_all(
    reader: impl Read,
    root: &str,
    tree: &mut tree::Tree<'_>,
    limits: &Limits,
) -> Result<(), ArchiveProblem> {
    let mut stream = stream::Stream::new(reader, limits.max_entries);
    let mut names: Option<name::Root> = None;
    while let Some(entry) = stream.next_entry()? {
        let names = names.get_or_insert_with(|| name::Root::from_first(&entry.path, root));
        tree.add(&mut stream, &entry, names)?;
        if tree.is_full() {
            break;
        }
        stream.skip_content()?;
    }
    Ok(())
}
