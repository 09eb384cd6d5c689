//! The directories above a report: found out before the run whether they can be made, and made when it is written.
//!
//! Not made before, because they would stand in the way of a results directory that they are in, and because a run that
//! is refused leaves nothing behind. What is tried out has a name of its own, so that no other run sees it come and go.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::PREFIX;

/// The directory that a path means, absolute and without links as far as it exists.
pub(super) fn locate(path: &Path) -> io::Result<PathBuf> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
            let Some(parent) = path.parent() else { return Err(error) };
            let parent = locate(parent)?;
            match path.file_name() {
                Some(name) => Ok(parent.join(name)),
                // `missing/..`: nothing that is missing is a link.
                None => parent.parent().map(Path::to_owned).ok_or(error),
            }
        }
        outcome => outcome,
    }
}

/// Makes a file of that name below `directory` and what is missing of it, aside, and removes them again.
pub(super) fn try_out(directory: &Path, name: &OsStr) -> io::Result<()> {
    let existing = directory.ancestors().find(|path| path.exists()).unwrap_or(directory);
    let aside = tempfile::Builder::new().prefix(PREFIX).tempdir_in(existing)?;
    let missing = directory.strip_prefix(existing).unwrap_or(directory);
    let parent = aside.path().join(missing);
    fs::create_dir_all(&parent)?;
    File::create_new(parent.join(name))?;
    aside.close()
}

/// Makes the directories above a report. They may have been there before the run: results replace a directory whole.
pub(super) fn make(path: &Path) -> io::Result<()> {
    path.parent().filter(|parent| !parent.exists()).map_or(Ok(()), fs::create_dir_all)
}
