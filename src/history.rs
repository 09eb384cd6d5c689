//! The embedded history: what ran when, what became of it, how long it took, and what need not run again.
//!
//! Owns one SQLite file in the state directory. Stores no output and no value of a variable: names, outcomes, times,
//! digests, and causes without the output that they quote; a caller redacts what it hands in. Never decides an outcome,
//! and never deletes a file that it cannot read.

mod durations;
mod error;
mod file;
pub mod outbox;
mod outcome;
mod passes;
mod record;
mod recorder;
mod retention;
mod runs;
mod schema;
mod set_aside;
mod statistics;
mod subject;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

use error::Refused;

pub use error::{DatabaseError, HistoryError};
pub use passes::Pass;
pub use record::{AttemptRecord, RunEnd, RunStart, TestRecord};
pub use recorder::Recorder;
pub use retention::{MAX_RUNS, MAX_RUNS_OF_SUBJECT, MAX_TESTS};
pub use runs::{OutcomeCounts, RunRow};
pub use set_aside::{set_aside, was_set_aside};
pub use statistics::{StatisticsOrder, TestStatistics, sort};
pub use subject::{of_images, of_suite};

/// Name of the file in the state directory.
pub const FILE: &str = "history.sqlite";

/// An open history. Several processes may have one open at a time.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    database: Connection,
    /// After the database, which is to be closed first.
    _held: Option<std::fs::File>,
}

impl History {
    /// Opens the history in the state directory, and makes both where they are not there. Waits for other processes
    /// that write, for a few seconds at most.
    pub fn open(state: &Path) -> Result<Self, HistoryError> {
        let path = state.join(FILE);
        std::fs::create_dir_all(state).map_err(|source| HistoryError::Inaccessible {
            operation: "create",
            path: path.clone(),
            source,
        })?;
        let held = set_aside::hold(state);
        file::ensure(state, &path)?;
        Ok(Self { _held: held, ..Self::at(path)? })
    }

    /// Opens the history where there is one, for listings: creates nothing.
    pub fn open_existing(state: &Path) -> Result<Option<Self>, HistoryError> {
        let path = state.join(FILE);
        match path.try_exists() {
            Ok(false) => Ok(None),
            Ok(true) => {
                let held = set_aside::hold(state);
                Ok(Some(Self { _held: held, ..Self::at(path)? }))
            }
            Err(source) => Err(HistoryError::Inaccessible { operation: "look for", path, source }),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn at(path: PathBuf) -> Result<Self, HistoryError> {
        let mut database = file::connect(&path)?;
        schema::migrate(&mut database, &path, schema::MIGRATIONS)?;
        Ok(Self { path, database, _held: None })
    }

    /// Does `work` in one transaction that nobody else writes beside.
    fn write<T>(
        &mut self,
        operation: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Refused>,
    ) -> Result<T, HistoryError> {
        let done = (|| {
            // Taken at the start: a transaction that reads first and writes later can be refused in between.
            let transaction = self.database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })();
        done.map_err(|refused: Refused| refused.of(operation, &self.path))
    }

    /// Does `work`, which only reads.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Refused>) -> Result<T, HistoryError> {
        work(&self.database).map_err(|refused| refused.of("read", &self.path))
    }
}

#[cfg(test)]
mod tests;
