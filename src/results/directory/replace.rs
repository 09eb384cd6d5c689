//! Puts new results in the place of old ones.
//!
//! Owns the two ways: two renames where the directory may be exchanged, entry by entry where it must stay (a mount, a
//! current directory). In either the old is out of sight before the first of the new comes into it.

use std::fs::{self, DirBuilder, File, FileTimes};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use super::place::Place;
use super::{DirectoryError, MARKER, marker};

/// Moves `target` aside and `staging` into its place. Returns the old results where they cannot be removed.
pub(super) fn by_rename(
    target: &Path,
    place: &Place,
    staging: &Path,
    run_id: &str,
) -> Result<Option<PathBuf>, DirectoryError> {
    let old = place.path(run_id, "old");
    let had_old = match fs::rename(target, &old) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) if matches!(error.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices) => {
            return into_mount(target, staging, run_id);
        }
        Err(error) => return Err(DirectoryError::io("move the older results away from", target)(error)),
    };
    if let Err(error) = fs::rename(staging, target) {
        if had_old {
            let _ = fs::rename(&old, target);
        }
        return Err(DirectoryError::io("move the results into", target)(error));
    }
    Ok(Some(old).filter(|old| had_old && fs::remove_dir_all(old).is_err()))
}

/// A mount that looked like a directory: the results are copied into it first.
pub(super) fn into_mount(
    target: &Path,
    staging: &Path,
    run_id: &str,
) -> Result<Option<PathBuf>, DirectoryError> {
    let place = Place::inside(target);
    let copy = place.path(run_id, "partial");
    let copied = copy_directory(staging, &copy);
    if let Err(error) = copied {
        let _ = fs::remove_dir_all(&copy);
        return Err(DirectoryError::io("copy the results into", target)(error));
    }
    let leftover = contents(target, &place, &copy, run_id)?;
    let _ = fs::remove_dir_all(staging);
    Ok(leftover)
}

/// Exchanges what is in `target` for what is in `staging`, which is inside it.
pub(super) fn contents(
    target: &Path,
    place: &Place,
    staging: &Path,
    run_id: &str,
) -> Result<Option<PathBuf>, DirectoryError> {
    let failed = |operation| DirectoryError::io(operation, target);
    // From the first step to the last the directory bears a marker, so that a run after a crash may go on.
    let is_marked =
        marker::judge(target, &place.prefix).map_err(failed("read the directory"))? == marker::Content::Ours;
    if !is_marked {
        marker::write(target, run_id).map_err(failed("write the marker into"))?;
    }
    let old = place.path(run_id, "old");
    DirBuilder::new().mode(0o700).create(&old).map_err(failed("move the older results away from"))?;
    if let Err(error) = move_entries(target, &old, &place.prefix) {
        let _ = move_entries(&old, target, &place.prefix);
        let _ = fs::remove_dir(&old);
        return Err(failed("move the older results away from")(error));
    }
    move_entries(staging, target, &place.prefix).map_err(failed("move the results into"))?;
    fs::rename(staging.join(MARKER), target.join(MARKER)).map_err(failed("write the marker into"))?;
    let _ = fs::remove_dir_all(staging);
    Ok(Some(old).filter(|old| fs::remove_dir_all(old).is_err()))
}

/// Moves everything but the marker and what is ours for the time of a run.
fn move_entries(from: &Path, to: &Path, prefix: &str) -> io::Result<()> {
    // Listed first: what a listing shows of a directory that changes under it is not defined.
    let names = fs::read_dir(from)?.map(|entry| entry.map(|entry| entry.file_name()));
    for name in names.collect::<io::Result<Vec<_>>>()? {
        let is_ours = name.to_str().is_some_and(|name| name == MARKER || name.starts_with(prefix));
        if !is_ours {
            fs::rename(from.join(&name), to.join(&name))?;
        }
    }
    Ok(())
}

/// Copies files, directories and links, with modes and times. How deep it goes is bounded by what was extracted.
fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &copy)?;
        } else if kind.is_dir() {
            copy_directory(&source, &copy)?;
            fs::set_permissions(&copy, entry.metadata()?.permissions())?;
            keep_time(&entry, &copy);
        } else {
            fs::copy(&source, &copy)?;
            keep_time(&entry, &copy);
        }
    }
    Ok(())
}

fn keep_time(entry: &fs::DirEntry, copy: &Path) {
    if let Ok(modified) = entry.metadata().and_then(|metadata| metadata.modified())
        && let Ok(file) = File::open(copy)
    {
        let _ = file.set_times(FileTimes::new().set_modified(modified));
    }
}
