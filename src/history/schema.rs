//! The form of the file, and the way from each earlier form to the next.
//!
//! A migration is never changed once it was released: a new one is added, and it says what to do with what is there.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::{HistoryError, of_sqlite};

/// The n-th leads from version n (`PRAGMA user_version`) to n + 1. Those after the first are the outbox's, and stand on no
/// table of the first: see [`make_outbox`].
pub(super) const MIGRATIONS: &[&str] = &[
    // `seq` counts runs in the order in which they began: ids of one second do not. `outcome`, `exit_code` and `seconds`
    // of a run are null until it ends. `recent` holds durations as eight bytes each, oldest first, and `last` the run
    // that added the newest.
    "CREATE TABLE secrets (
        name TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE subjects (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE runs (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        subject INTEGER NOT NULL REFERENCES subjects (id),
        engine TEXT NOT NULL,
        version TEXT NOT NULL,
        started_at TEXT NOT NULL,
        parent TEXT,
        selected INTEGER NOT NULL,
        outcome TEXT,
        exit_code INTEGER,
        seconds REAL
    ) STRICT;
    CREATE INDEX runs_by_subject ON runs (subject);
    CREATE TABLE tests (
        id INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
        name TEXT NOT NULL,
        image TEXT NOT NULL,
        image_id TEXT NOT NULL,
        type TEXT NOT NULL,
        outcome TEXT NOT NULL,
        cause TEXT,
        seconds REAL NOT NULL,
        slot INTEGER
    ) STRICT;
    CREATE INDEX tests_by_run ON tests (run, outcome);
    CREATE TABLE attempts (
        test INTEGER NOT NULL REFERENCES tests (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        seconds REAL NOT NULL,
        started_at TEXT,
        PRIMARY KEY (test, number)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE outstanding (
        run INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
        name TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (run, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE durations (
        subject INTEGER NOT NULL REFERENCES subjects (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        recent BLOB NOT NULL,
        last INTEGER NOT NULL,
        PRIMARY KEY (subject, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE passes (
        key TEXT PRIMARY KEY,
        test TEXT NOT NULL,
        run INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
        at TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX passes_by_run ON passes (run);",
    super::outbox::MIGRATION,
    super::outbox::MEMOS_MIGRATION,
    super::outbox::COUNTS_MIGRATION,
    super::outbox::OUTDATED_MIGRATION,
    super::outbox::SIZES_MIGRATION,
    super::outbox::UNTOLD_MIGRATION,
];

/// The tables of the outbox alone, for a database that nobody else sees. Those of the history take as long to make.
pub(super) fn make_outbox(database: &mut Connection, path: &Path) -> Result<(), HistoryError> {
    migrate(database, path, MIGRATIONS.get(1..).unwrap_or_default())
}

/// Brings the file to the latest version, all of it or nothing.
pub(super) fn migrate(
    database: &mut Connection,
    path: &Path,
    migrations: &[&str],
) -> Result<(), HistoryError> {
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let newer = |found| HistoryError::Newer { path: path.to_owned(), found, known };
    let found = version(database).map_err(|error| of_sqlite("open", path, error))?;
    if found == known {
        return Ok(());
    }
    if found > known {
        return Err(newer(found));
    }
    let migrated = (|| {
        let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have done it while the lock was waited for.
        let found = version(&transaction)?;
        let done = usize::try_from(found).unwrap_or_default();
        for migration in migrations.iter().skip(done) {
            transaction.execute_batch(migration)?;
        }
        transaction.pragma_update(None, "user_version", found.max(known))?;
        transaction.commit()?;
        Ok(found)
    })();
    match migrated.map_err(|error| of_sqlite("bring up to date", path, error))? {
        found if found > known => Err(newer(found)),
        _ => Ok(()),
    }
}

fn version(database: &Connection) -> rusqlite::Result<i64> {
    database.query_row("PRAGMA user_version", (), |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Diagnose;
    use crate::history::{FILE, History, file};

    #[test]
    fn an_older_file_is_brought_up_to_date_once_however_many_open_it() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("file");
        std::fs::write(&path, "").unwrap();
        let first = "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1);";
        // Done twice, it would fail: the column is there then.
        let both = [first, "ALTER TABLE a ADD COLUMN y INTEGER; INSERT INTO a VALUES (2, 2);"];
        migrate(&mut file::connect(&path).unwrap(), &path, &both[..1]).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| migrate(&mut file::connect(&path).unwrap(), &path, &both).unwrap());
            }
        });
        let database = file::connect(&path).unwrap();
        let rows: i64 = database.query_row("SELECT count(*) FROM a", (), |row| row.get(0)).unwrap();
        assert_eq!((rows, version(&database).unwrap()), (2, 2));
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("file");
        std::fs::write(&path, "").unwrap();
        let mut database = file::connect(&path).unwrap();
        let error = migrate(&mut database, &path, &["CREATE TABLE a (x)", "CREATE TABLE a (y)"]).unwrap_err();
        assert!(error.to_string().contains("bring up to date"), "{error}");
        let tables: i64 =
            database.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0)).unwrap();
        assert_eq!((tables, version(&database).unwrap()), (0, 0));
    }

    #[test]
    fn a_file_of_a_newer_version_is_refused_and_kept() {
        let state = tempfile::tempdir().unwrap();
        let history = History::open(state.path()).unwrap();
        history.database.pragma_update(None, "user_version", 99).unwrap();
        drop(history);
        let before = std::fs::read(state.path().join(FILE)).unwrap();
        for error in [
            History::open(state.path()).unwrap_err(),
            History::open_existing(state.path()).map(|_| ()).unwrap_err(),
        ] {
            assert!(matches!(error, HistoryError::Newer { found: 99, .. }), "{error}");
            assert!(
                error.to_string().contains("history.sqlite was written by a newer docker-test"),
                "{error}"
            );
            assert!(error.hint().unwrap().contains("DOCKER_TEST_STATE_DIR"));
        }
        assert_eq!(std::fs::read(state.path().join(FILE)).unwrap(), before);
    }
}
