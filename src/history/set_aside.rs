//! A store that is damaged is moved out of the way, so that probes go on with a new one.
//!
//! Owns the name that it gets, and that nobody has it open meanwhile: SQLite removes a write-ahead log by its name, also
//! that of another file which has the name by then. Deletes nothing, and touches no file that is whole.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::error::HistoryError;
use super::{FILE, History, file};

/// Whoever has a history open holds its directory, shared. `None` on a file system without such locks.
pub(super) fn hold(state: &Path) -> Option<File> {
    let directory = File::open(state).ok()?;
    directory.lock_shared().is_ok().then_some(directory)
}

/// Moves the file in the state directory aside where it is damaged and nobody has it open; `None` where it stays.
pub fn set_aside(state: &Path, now: OffsetDateTime) -> Result<Option<PathBuf>, HistoryError> {
    let path = state.join(FILE);
    let inaccessible =
        |source| HistoryError::Inaccessible { operation: "set aside", path: path.clone(), source };
    let directory = File::open(state).map_err(inaccessible)?;
    match directory.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(inaccessible(error)),
    }
    // Another process may have done it while this one found out.
    if !path.try_exists().map_err(inaccessible)? || is_whole(&path)? {
        return Ok(None);
    }
    let aside = free_name(&path, now);
    // The file itself last: with its name free, a new one would take the old one's log for its own.
    for end in ["-wal", "-shm", "-journal", ""] {
        match fs::rename(with(&path, end), with(&aside, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(inaccessible(error)),
            _ => {}
        }
    }
    Ok(Some(aside))
}

/// Whether a file was ever set aside in this directory and is still there.
#[must_use]
pub fn was_set_aside(state: &Path) -> bool {
    let begin = format!("{FILE}.corrupt-");
    let Ok(entries) = fs::read_dir(state) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(&begin))
}

fn is_whole(path: &Path) -> Result<bool, HistoryError> {
    if file::is_emptied(path) {
        return Ok(false);
    }
    let looked = file::connect(path).and_then(|database| {
        let found: Result<String, _> = database.query_row("PRAGMA quick_check(1)", (), |row| row.get(0));
        let found = found.map_err(|error| super::error::of_sqlite("look at", path, error))?;
        // Also what the tables are, which no check of pages knows.
        drop(database);
        History::at(path.to_owned())?;
        Ok(found == "ok")
    });
    match looked {
        Ok(is_whole) => Ok(is_whole),
        Err(HistoryError::Damaged { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn free_name(path: &Path, now: OffsetDateTime) -> PathBuf {
    let now = now.to_offset(time::UtcOffset::UTC);
    let (date, time) = (now.date(), now.time());
    let stamp = format!(
        "{}{:02}{:02}T{:02}{:02}{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    );
    let named = |number: u32| {
        let again = if number == 0 { String::new() } else { format!("-{number}") };
        with(path, &format!(".corrupt-{stamp}{again}"))
    };
    (0..=u32::MAX).map(named).find(|name| !name.exists()).unwrap_or_else(|| named(0))
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_795_829_700).unwrap()
    }

    #[test]
    fn a_damaged_file_gets_another_name_with_all_that_lies_beside_it() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join(FILE);
        let scribble = "scribble ".repeat(600);
        fs::write(&path, &scribble).unwrap();
        fs::write(with(&path, "-journal"), "beside").unwrap();
        let aside = set_aside(state.path(), moment()).unwrap().unwrap();
        let name = aside.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name.starts_with("history.sqlite.corrupt-2026") && name.ends_with('Z'), "{name}");
        assert_eq!(fs::read_to_string(&aside).unwrap(), scribble);
        assert!(was_set_aside(state.path()) && !path.exists());
        assert!(!with(&path, "-journal").exists());
        History::open(state.path()).unwrap();
        fs::write(&path, &scribble).unwrap();
        let second = set_aside(state.path(), moment()).unwrap().unwrap();
        assert_ne!(second, aside, "the first is kept");
    }

    #[test]
    fn a_file_with_damage_beyond_its_first_page_is_set_aside_too() {
        let state = tempfile::tempdir().unwrap();
        drop(History::open(state.path()).unwrap());
        let path = state.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        bytes[4096..].fill(0x5a);
        fs::write(&path, bytes).unwrap();
        assert!(set_aside(state.path(), moment()).unwrap().is_some());
    }

    #[test]
    fn a_whole_file_and_one_that_somebody_has_open_stay_where_they_are() {
        let state = tempfile::tempdir().unwrap();
        let history = History::open(state.path()).unwrap();
        let path = state.path().join(FILE);
        fs::write(&path, "scribble ".repeat(600)).unwrap();
        assert_eq!(set_aside(state.path(), moment()).unwrap(), None, "it is open");
        drop(history);
        fs::remove_file(&path).unwrap();
        for end in ["-wal", "-shm"] {
            let _ = fs::remove_file(with(&path, end));
        }
        drop(History::open(state.path()).unwrap());
        assert_eq!(set_aside(state.path(), moment()).unwrap(), None, "it is whole");
        assert!(path.exists() && !was_set_aside(state.path()));
    }
}
