//! The database file: made whole before it has its name, and opened.
//!
//! Owns its mode (0600) and how it is journalled, which is settled when it is made: as a write-ahead log where the file
//! system can share memory between processes, else as SQLite's rollback journal.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::{HistoryError, of_sqlite};
use super::schema;

/// How long others that write are waited for.
const BUSY: Duration = Duration::from_secs(10);

/// Makes the file where there is none.
pub(super) fn ensure(state: &Path, path: &Path) -> Result<(), HistoryError> {
    let inaccessible =
        |source| HistoryError::Inaccessible { operation: "create", path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(_) if is_emptied(path) => return Err(emptied(path)),
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(inaccessible(error)),
    }
    let new = || {
        // For its owner alone from the start; what SQLite puts beside it has the same mode.
        let file = tempfile::Builder::new().prefix(".history-").tempfile_in(state)?;
        // Closed before SQLite opens it: closing it later would take SQLite's locks away.
        Ok::<_, io::Error>(file.into_temp_path())
    };
    let mut file = new().map_err(inaccessible)?;
    if make(&file, Journal::WriteAhead).is_err() {
        // A file that says it has a write-ahead log, where there can be none, is of no use to anybody.
        for end in ["-wal", "-shm", "-journal"] {
            let mut beside = file.to_path_buf().into_os_string();
            beside.push(end);
            let _ = fs::remove_file(beside);
        }
        file = new().map_err(inaccessible)?;
        make(&file, Journal::Rollback)?;
    }
    match file.persist_noclobber(path) {
        Ok(()) => Ok(()),
        // Another process was faster.
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(inaccessible(error.error)),
    }
}

/// Whether the file has no content. Files get their name when they are whole: to SQLite it is a new one, and nobody would
/// miss what was in it, nor see that a log beside it holds no more than its newest part.
pub(super) fn is_emptied(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.len() == 0)
}

fn emptied(path: &Path) -> HistoryError {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB);
    of_sqlite("open", path, rusqlite::Error::SqliteFailure(code, Some("the file is empty".to_owned())))
}

#[derive(Debug, Clone, Copy)]
enum Journal {
    WriteAhead,
    Rollback,
}

/// Turns an empty file into a history without runs.
fn make(path: &Path, journal: Journal) -> Result<(), HistoryError> {
    let mut database = connect(path)?;
    if let Journal::WriteAhead = journal {
        // Where it cannot be, SQLite says so by keeping the mode, or fails at the first use of it.
        database
            .query_row("PRAGMA journal_mode = wal", (), |_| Ok(()))
            .map_err(|error| of_sqlite("create", path, error))?;
    }
    schema::migrate(&mut database, path, schema::MIGRATIONS)?;
    database.close().map_err(|(_, error)| of_sqlite("create", path, error))
}

/// Opens a file that is there.
pub(super) fn connect(path: &Path) -> Result<Connection, HistoryError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(|database| {
        database.busy_timeout(BUSY)?;
        // A power cut may take the last runs, never the file.
        database.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;")?;
        Ok(database)
    });
    opened.map_err(|error| of_sqlite("open", path, error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::history::{FILE, History};

    fn journal_mode(history: &History) -> String {
        history.database.query_row("PRAGMA journal_mode", (), |row| row.get(0)).unwrap()
    }

    #[test]
    fn the_file_is_its_owners_alone_and_nothing_lies_beside_it() {
        let state = tempfile::tempdir().unwrap();
        let directory = state.path().join("made/too");
        let history = History::open(&directory).unwrap();
        let mode = fs::metadata(directory.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(journal_mode(&history), "wal");
        drop(history);
        let names: Vec<_> =
            fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [FILE]);
    }

    #[test]
    fn what_sqlite_puts_beside_the_file_is_its_owners_alone() {
        let state = tempfile::tempdir().unwrap();
        let mut history = History::open(state.path()).unwrap();
        history.cache_secret().unwrap();
        for entry in fs::read_dir(state.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
        }
    }

    #[test]
    fn a_history_without_a_write_ahead_log_works_as_well() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join(FILE);
        fs::write(&path, "").unwrap();
        make(&path, Journal::Rollback).unwrap();
        let mut history = History::open(state.path()).unwrap();
        assert_eq!(journal_mode(&history), "delete");
        let secret = history.cache_secret().unwrap();
        drop(history);
        assert_eq!(History::open(state.path()).unwrap().cache_secret().unwrap(), secret);
    }

    #[test]
    fn a_file_system_without_shared_memory_keeps_the_rollback_journal() {
        // SQLite's VFS of this name has no shared memory, like a file system that cannot map it.
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("file");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut database = Connection::open_with_flags_and_vfs(&path, flags, "unix-dotfile").unwrap();
        let mode: String = database.query_row("PRAGMA journal_mode = wal", (), |row| row.get(0)).unwrap();
        assert_eq!(mode, "delete");
        schema::migrate(&mut database, &path, schema::MIGRATIONS).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error_that_names_the_file() {
        let state = tempfile::tempdir().unwrap();
        let file = state.path().join("file");
        fs::write(&file, "").unwrap();
        let error = History::open(&file.join("state")).unwrap_err();
        assert!(error.to_string().contains("state/history.sqlite"), "{error}");
    }
}
