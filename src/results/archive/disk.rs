//! Creating things on disk, and what it means when the system refuses.
//!
//! Owns modes and flags: everything that is created is new, no link is followed, and the owner can always read, write and
//! remove it. A name that the file system does not take costs that entry; a disk that cannot be written ends the reading.

use std::fs::{self, DirBuilder, File, FileTimes, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::Path;
use std::time::SystemTime;

use nix::fcntl::OFlag;

use super::ArchiveProblem;

/// What became of an attempt to create something: it, or why there is none.
pub(super) type Made<T = ()> = Result<T, &'static str>;

pub(super) fn make_directory(path: &Path, mode: u32) -> Result<Made, ArchiveProblem> {
    sorted(path, DirBuilder::new().mode(mode & 0o777 | 0o700).create(path))
}

pub(super) fn create_file(path: &Path, mode: u32) -> Result<Made<File>, ArchiveProblem> {
    sorted(path, new_file(path, mode))
}

fn new_file(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode & 0o777 | 0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
}

/// A second name for a file that was written here, or a copy of it where the file system has no such thing.
pub(super) fn link(from: &Path, to: &Path) -> Result<Made, ArchiveProblem> {
    let outcome = fs::hard_link(from, to).or_else(|error| match error.kind() {
        io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied | io::ErrorKind::TooManyLinks => {
            io::copy(&mut File::open(from)?, &mut new_file(to, 0o600)?).map(|_| ())
        }
        _ => Err(error),
    });
    sorted(to, outcome)
}

pub(super) fn make_link(text: &str, path: &Path) -> Result<Made, ArchiveProblem> {
    match symlink(text, path) {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) =>
        {
            Ok(Err("the file system has no symbolic links"))
        }
        outcome => sorted(path, outcome),
    }
}

/// A time that the file system does not take is no reason to lose a result.
pub(super) fn set_modified(file: &File, modified: Option<SystemTime>) {
    if let Some(modified) = modified {
        let _ = file.set_times(FileTimes::new().set_modified(modified));
    }
}

/// Tells a name that cannot be created from a disk that cannot be written.
fn sorted<T>(path: &Path, outcome: io::Result<T>) -> Result<Made<T>, ArchiveProblem> {
    let source = match outcome {
        Ok(made) => return Ok(Ok(made)),
        Err(source) => source,
    };
    match source.kind() {
        // Nothing of that very name was made here, so the file system takes two names for one.
        io::ErrorKind::AlreadyExists => Ok(Err("its name differs from another one in case alone")),
        io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput => {
            Ok(Err("the file system does not take its name"))
        }
        _ => Err(write_problem(path, source)),
    }
}

pub(super) fn write_problem(path: &Path, source: io::Error) -> ArchiveProblem {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ArchiveProblem::DiskFull { path, source }
        }
        _ => ArchiveProblem::Write { path, source },
    }
}
