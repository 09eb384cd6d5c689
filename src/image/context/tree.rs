//! The context directory on disk: the one place that touches it.
//!
//! Owns the system calls. Takes paths that are relative to the root and free of `..`; never follows a link at their
//! end, so that what is read lies inside the context.

use std::ffi::OsString;
use std::fs::{self, File, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::unistd::{AccessFlags, access};

use crate::input;

/// A context directory.
#[derive(Debug, Clone, Copy)]
pub struct Tree<'a> {
    root: &'a Path,
    stop: Option<&'a AtomicBool>,
}

impl<'a, P: AsRef<Path> + ?Sized> From<&'a P> for Tree<'a> {
    fn from(root: &'a P) -> Self {
        Self::new(root.as_ref())
    }
}

impl<'a> Tree<'a> {
    pub(super) const fn new(root: &'a Path) -> Self {
        Self { root, stop: None }
    }

    /// The same, failing once `stop` is set.
    pub(super) const fn until(self, stop: &'a AtomicBool) -> Self {
        Self { stop: Some(stop), ..self }
    }

    /// Fails where nobody waits for the answer any more. Asked between two directories, files and pieces of a file.
    pub(super) fn go_on(self) -> io::Result<()> {
        match self.stop {
            Some(stop) if stop.load(Ordering::Relaxed) => Err(io::Error::other("told to stop")),
            _ => Ok(()),
        }
    }

    /// The directory as the user named it.
    #[must_use]
    pub const fn root(self) -> &'a Path {
        self.root
    }

    /// Metadata of the root, also where the user named it by a link.
    pub(super) fn stat_root(self) -> io::Result<Metadata> {
        let metadata = fs::metadata(self.root)?;
        if metadata.is_dir() { Ok(metadata) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// Metadata of the path itself, also where it is a link.
    pub(super) fn stat(self, path: &Path) -> io::Result<Metadata> {
        self.go_on()?;
        fs::symlink_metadata(self.locate(path))
    }

    /// What a directory holds, sorted by name.
    pub(super) fn list(self, path: &Path) -> io::Result<Vec<(OsString, FileType)>> {
        self.go_on()?;
        let mut names = fs::read_dir(self.locate(path))?
            .map(|entry| entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?))))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        Ok(names)
    }

    /// What a link says.
    pub(super) fn read_link(self, path: &Path) -> io::Result<PathBuf> {
        fs::read_link(self.locate(path))
    }

    /// Fails where the caller may not read the file.
    pub(super) fn check_readable(self, path: &Path) -> io::Result<()> {
        access(&self.locate(path), AccessFlags::R_OK).map_err(io::Error::from)
    }

    /// Opens a regular file. Does not wait for a writer if the file has become a pipe meanwhile.
    pub(super) fn open(self, path: &Path) -> io::Result<File> {
        input::open_listed(&self.locate(path))
    }

    fn locate(self, path: &Path) -> PathBuf {
        #[cfg(test)]
        witness::record(path);
        self.root.join(path)
    }
}

/// Which paths were touched, for the tests that promise that others are not.
#[cfg(test)]
pub(super) mod witness {
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    thread_local! {
        static TOUCHED: RefCell<BTreeSet<PathBuf>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(super) fn record(path: &Path) {
        TOUCHED.with_borrow_mut(|touched| touched.insert(path.to_owned()));
    }

    pub(in super::super) fn take() -> Vec<PathBuf> {
        TOUCHED.take().into_iter().collect()
    }
}
