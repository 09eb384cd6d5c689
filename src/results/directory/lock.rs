//! One run at a time for one results directory.
//!
//! Owns a lock file that is there only while it is held: whoever locks a file that was meanwhile removed tries again.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;

/// How often a file that vanished under the lock is tried again.
const ATTEMPTS: usize = 100;

/// Held until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    _file: File,
}

#[derive(Debug)]
pub(super) enum LockError {
    Held,
    Io(io::Error),
}

/// Locks, without waiting. `None` where the file system has no locks (some network file systems).
pub(super) fn acquire(path: &Path) -> Result<Option<Lock>, LockError> {
    for _ in 0..ATTEMPTS {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(path)
            .map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held),
            Err(TryLockError::Error(error)) if means_no_locks(&error) => {
                let _ = fs::remove_file(path);
                return Ok(None);
            }
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        let locked = file.metadata().map_err(LockError::Io)?;
        let is_current = path
            .symlink_metadata()
            .is_ok_and(|current| (current.dev(), current.ino()) == (locked.dev(), locked.ino()));
        if is_current {
            return Ok(Some(Lock { path: path.to_owned(), _file: file }));
        }
    }
    Err(LockError::Held)
}

/// What file systems without locks answer, and NFS where the server's lock service is not there.
fn means_no_locks(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported || error.raw_os_error() == Some(Errno::ENOLCK as i32)
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Before the lock is let go, so that nobody holds a file that is about to vanish.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_locks_is_told_from_one_that_fails() {
        for code in [Errno::EOPNOTSUPP, Errno::ENOSYS, Errno::ENOLCK] {
            assert!(means_no_locks(&io::Error::from(code)), "{code}");
        }
        for code in [Errno::EACCES, Errno::EIO] {
            assert!(!means_no_locks(&io::Error::from(code)), "{code}");
        }
    }
}
