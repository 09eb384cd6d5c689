//! The lock on a journal: how a living run shows itself to whoever else reads its journal.
//!
//! Owns the three answers. "Free" is said only where it is a proof: a file system without locks, or one whose locks
//! another host does not see, tells nothing about a run.

use std::fs::{File, TryLockError};

use nix::sys::statfs::fstatfs;

/// File systems that several hosts, or a host and its guests, may have mounted at once. Whether a lock of one of them
/// is seen by the others is a matter of mount options: NFS, SMB (1, CIFS, 2), FUSE and virtiofs, 9p, Ceph, AFS, Coda,
/// Lustre, GPFS, OCFS2, GFS2.
const SHARED: [u64; 13] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x6573_5546,
    0x0102_1997,
    0x00c3_6400,
    0x5346_414f,
    0x7375_7245,
    0x0bd0_0bd0,
    0x4750_4653,
    0x7461_636f,
    0x0116_1970,
];

/// What the lock on a journal tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockState {
    /// A living process holds it.
    Held,
    /// Nobody holds it, and whoever lived would.
    Free,
    /// Locks cannot be had here, or cannot be seen from here.
    Unknown,
}

/// Takes the lock until the file is closed; false where it cannot be had. A run does without, since its owner and its
/// deadline speak for it, too.
pub(super) fn take(file: &File) -> bool {
    file.lock().is_ok()
}

/// Looks at the lock of another run, which said that it was `taken`, or not.
pub(super) fn look(file: &File, taken: bool) -> LockState {
    let magic = fstatfs(file).ok().and_then(|about| u64::try_from(about.filesystem_type().0).ok());
    // Of a file system that does not say what it is nothing is known.
    let proves = taken && magic.is_some_and(|magic| !SHARED.contains(&magic));
    meaning(&file.try_lock_shared(), proves)
}

fn meaning(tried: &Result<(), TryLockError>, proves: bool) -> LockState {
    match tried {
        Err(TryLockError::WouldBlock) => LockState::Held,
        Ok(()) if proves => LockState::Free,
        Ok(()) | Err(TryLockError::Error(_)) => LockState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_cannot_be_had_tells_nothing() {
        let without = || Err(TryLockError::Error(std::io::ErrorKind::Unsupported.into()));
        assert_eq!(meaning(&without(), true), LockState::Unknown);
        assert_eq!(meaning(&Ok(()), false), LockState::Unknown);
        assert_eq!(meaning(&Ok(()), true), LockState::Free);
        assert_eq!(meaning(&Err(TryLockError::WouldBlock), false), LockState::Held);
    }

    #[test]
    fn a_run_does_without_a_lock_that_cannot_be_had() {
        use std::os::unix::fs::OpenOptionsExt;
        let directory = tempfile::tempdir().unwrap();
        // The kernel refuses to lock what was opened as a path alone.
        let unlockable = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(nix::fcntl::OFlag::O_PATH.bits())
            .open(directory.path())
            .unwrap();
        assert!(!take(&unlockable));
        assert_eq!(look(&unlockable, true), LockState::Unknown);
    }

    #[test]
    fn a_lock_on_this_machine_is_seen_and_its_end_too() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let (holder, other) = (path.reopen().unwrap(), path.reopen().unwrap());
        assert!(take(&holder));
        assert_eq!(look(&other, true), LockState::Held);
        drop(holder);
        assert_eq!(look(&other, true), LockState::Free);
        assert_eq!(look(&other, false), LockState::Unknown);
    }
}
