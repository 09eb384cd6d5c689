//! The directory on the user's side that results are put into.
//!
//! Owns its safety: it is replaced whole and only where it is empty or bears our marker, by one run at a time, and a crash
//! leaves the old results or the new ones, never a mixture. Knows nothing of what is put into it.

mod lock;
mod marker;
mod parents;
mod place;
mod replace;

#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use self::place::{Place, prefix};
use crate::error::{Category, Diagnose};
use parents::CreatedParents;

/// Name of the file that marks a results directory as ours, and beginning of every other name that we use.
pub const MARKER: &str = ".docker-test-results";

/// Whether a path inside a results directory is kept for docker-test itself.
#[must_use]
pub fn is_reserved(path: &str) -> bool {
    path.starts_with(MARKER)
}

/// Marks a results directory that is new or empty as ours, where something but results is put into it. One that holds
/// anything stays as it is.
pub fn claim(directory: &Path, run_id: &str) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    match marker::judge(directory, &prefix(directory))? {
        marker::Content::Nothing => marker::write(directory, run_id),
        marker::Content::Ours | marker::Content::Foreign => Ok(()),
    }
}

/// Why a results directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It holds something that docker-test did not put there.
    #[error("{} is not empty and was not made by docker-test", path.display())]
    NotOurs {
        /// The directory.
        path: PathBuf,
    },
    /// Something else is in its place.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// What was named.
        path: PathBuf,
    },
    /// It is a link to nothing.
    #[error("{} is a symbolic link to a directory that does not exist", path.display())]
    DanglingLink {
        /// The link.
        path: PathBuf,
    },
    /// Another run holds it.
    #[error("another run is writing its results to {}", path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// The system refused something.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried, such as `create the directory`.
        operation: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DirectoryError {
    fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, path: path.to_owned(), source }
    }
}

impl Diagnose for DirectoryError {
    fn category(&self) -> Category {
        match self {
            Self::Io { .. } => Category::Environment,
            Self::NotOurs { .. }
            | Self::NotADirectory { .. }
            | Self::DanglingLink { .. }
            | Self::Busy { .. } => Category::User,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotOurs { .. } => {
                "its content would be replaced: empty it, or choose another directory with --results-dir"
                    .into()
            }
            Self::Busy { .. } => "wait for that run, or give each run its own --results-dir".into(),
            Self::NotADirectory { .. } | Self::DanglingLink { .. } => {
                "choose another directory with --results-dir".into()
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some space, or choose a directory on another disk with --results-dir".into()
            }
            Self::Io { .. } => {
                "check the permissions of the directory, or choose another with --results-dir".into()
            }
        })
    }
}

/// A results directory that this run holds. Dropping it without [`commit`](Self::commit) leaves the old results alone.
#[derive(Debug)]
pub struct ResultsDirectory {
    target: PathBuf,
    place: Place,
    staging: PathBuf,
    run_id: String,
    final_mode: u32,
    committed: bool,
    // In this order, so that each is let go after everything in it was cleaned.
    _lock: Option<lock::Lock>,
    parents: CreatedParents,
}

/// Where a commit has put the results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The directory, absolute, links resolved.
    pub directory: PathBuf,
    /// The older results, where they were moved aside but cannot be removed (files of another owner, mostly).
    pub leftover: Option<PathBuf>,
}

impl ResultsDirectory {
    /// Checks that `path` may be replaced, holds it for this run and makes a staging directory for its new content.
    ///
    /// A `path` that is a symbolic link is followed, and the rule holds for what it leads to. Parents are created.
    /// Whatever runs that have died left of this directory is cleaned up.
    pub fn prepare(path: &Path, run_id: &str) -> Result<Self, DirectoryError> {
        let target = locate(path)?;
        // Before anything is created: a refusal must leave no trace.
        judge(&target)?;
        let parents = CreatedParents::of(&target).map_err(|source| DirectoryError::Io {
            operation: "create the directory for",
            path: target.clone(),
            source,
        })?;
        let mut directory = Self::prepare_in_parent(&target, run_id)?;
        directory.parents = parents;
        Ok(directory)
    }

    fn prepare_in_parent(target: &Path, run_id: &str) -> Result<Self, DirectoryError> {
        let beside = Place::beside(target).filter(|place| !must_stay(target, &place.directory));
        let Some(beside) = beside else {
            return Self::prepare_at(target.to_owned(), Place::inside(target), run_id);
        };
        match Self::prepare_at(target.to_owned(), beside, run_id) {
            Err(DirectoryError::Io { source, .. }) if is_forbidden(&source) && target.is_dir() => {
                Self::prepare_at(target.to_owned(), Place::inside(target), run_id)
            }
            outcome => outcome,
        }
    }

    fn prepare_at(target: PathBuf, place: Place, run_id: &str) -> Result<Self, DirectoryError> {
        let lock_path = place.directory.join(format!("{}.lock", place.prefix));
        let lock = match lock::acquire(&lock_path) {
            Ok(lock) => lock,
            Err(lock::LockError::Held) => return Err(DirectoryError::Busy { path: target }),
            Err(lock::LockError::Io(source)) => {
                return Err(DirectoryError::Io {
                    operation: "create the lock file",
                    path: lock_path,
                    source,
                });
            }
        };
        // Only the lock tells the leftovers of the dead from the work of the living.
        if lock.is_some() {
            clean(&target, &place)?;
        }
        judge(&target)?;
        let run_id: String = run_id
            .chars()
            .take(64)
            .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
            .collect();
        let staging = place.path(&run_id, "partial");
        let create = DirectoryError::io("create the directory", &staging);
        let final_mode = make_private(&staging).map_err(create)?;
        let directory = Self {
            target,
            place,
            staging,
            run_id,
            final_mode,
            committed: false,
            _lock: lock,
            parents: CreatedParents::default(),
        };
        // Now: when the results have filled the disk there is no room for it.
        let (staging, run_id) = (&directory.staging, &directory.run_id);
        marker::write(staging, run_id).map_err(DirectoryError::io("write the marker into", staging))?;
        Ok(directory)
    }

    /// A directory of mode 0700, empty but for docker-test's marker, to put the new results into.
    #[must_use]
    pub fn staging(&self) -> &Path {
        &self.staging
    }

    /// The results directory itself, absolute, links resolved.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Puts what is in the staging directory in the place of the older results, whole.
    pub fn commit(mut self) -> Result<Committed, DirectoryError> {
        // The user may have put files there while the test ran.
        judge(&self.target)?;
        let leftover = if self.place.inside {
            replace::contents(&self.target, &self.place, &self.staging, &self.run_id)
        } else {
            fs::set_permissions(&self.staging, Permissions::from_mode(self.final_mode))
                .map_err(DirectoryError::io("set the mode of", &self.staging))?;
            replace::by_rename(&self.target, &self.place, &self.staging, &self.run_id)
        }?;
        self.committed = true;
        self.parents.keep();
        Ok(Committed { directory: self.target.clone(), leftover })
    }
}

impl Drop for ResultsDirectory {
    fn drop(&mut self) {
        if !self.committed {
            // Nobody is left to tell; the next run of this directory tries again.
            let _ = fs::remove_dir_all(&self.staging);
        }
    }
}

/// The directory that a path means, absolute and without links.
fn locate(path: &Path) -> Result<PathBuf, DirectoryError> {
    match fs::canonicalize(path) {
        Ok(target) => return Ok(target),
        Err(source) if source.kind() == io::ErrorKind::NotFound => {}
        Err(source) if source.kind() == io::ErrorKind::NotADirectory => {
            return Err(DirectoryError::NotADirectory { path: path.to_owned() });
        }
        Err(source) => {
            return Err(DirectoryError::Io {
                operation: "find the directory",
                path: path.to_owned(),
                source,
            });
        }
    }
    if path.is_symlink() {
        return Err(DirectoryError::DanglingLink { path: path.to_owned() });
    }
    let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else {
        // `missing/..`: nothing that could be created.
        return Err(DirectoryError::NotADirectory { path: path.to_owned() });
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    Ok(locate(parent)?.join(name))
}

fn judge(target: &Path) -> Result<(), DirectoryError> {
    let path = || target.to_owned();
    match marker::judge(target, &prefix(target)) {
        Ok(marker::Content::Nothing | marker::Content::Ours) => Ok(()),
        Ok(marker::Content::Foreign) => Err(DirectoryError::NotOurs { path: path() }),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) if source.kind() == io::ErrorKind::NotADirectory => {
            Err(DirectoryError::NotADirectory { path: path() })
        }
        Err(source) => Err(DirectoryError::Io { operation: "read the directory", path: path(), source }),
    }
}

/// Whether the directory itself must not be exchanged: it is another file system, or somebody stands in it.
fn must_stay(target: &Path, parent: &Path) -> bool {
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev()).ok();
    let is_mount = matches!((device(target), device(parent)), (Some(own), Some(outer)) if own != outer);
    let holds_us = fs::canonicalize(".").is_ok_and(|current| current.starts_with(target));
    is_mount || holds_us
}

fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Removes what runs that have died left in and beside a results directory, if no living run holds it.
pub fn tidy(path: &Path) {
    let Ok(target) = locate(path) else { return };
    for place in Place::beside(&target).into_iter().chain([Place::inside(&target)]) {
        let lock_path = place.directory.join(format!("{}.lock", place.prefix));
        let has_leftovers = place.leftovers().is_ok_and(|leftovers| !leftovers.is_empty());
        if (has_leftovers || lock_path.exists())
            && let Ok(Some(_lock)) = lock::acquire(&lock_path)
        {
            // What cannot be tidied up now is left to the next run of this directory.
            let _ = clean(&target, &place);
        }
    }
}

/// Brings the directory and its surroundings to a state in which no run has died.
fn clean(target: &Path, place: &Place) -> Result<(), DirectoryError> {
    let list = DirectoryError::io("read the directory", &place.directory);
    for (leftover, suffix) in place.leftovers().map_err(list)? {
        // A run died between its two renames: the older results are still the results.
        if suffix == "old" && !place.inside && !target.exists() {
            fs::rename(&leftover, target)
                .map_err(DirectoryError::io("restore the results from", &leftover))?;
        } else {
            // What cannot be removed now (files of another owner) is in nobody's way.
            let _ = fs::remove_dir_all(&leftover);
        }
    }
    Ok(())
}

/// Makes a directory of mode 0700, and says which mode 0755 comes to under the umask.
fn make_private(path: &Path) -> io::Result<u32> {
    DirBuilder::new().mode(0o755).create(path)?;
    let final_mode = path.symlink_metadata()?.permissions().mode() & 0o777;
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    Ok(final_mode)
}
