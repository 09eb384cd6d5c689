//! What can go wrong with the history, and what the user can do about it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::FILE;
use crate::error::{Category, Diagnose};

/// The history cannot be used, or has not what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file or its directory cannot be made or looked at.
    #[error("cannot {operation} the history {}", path.display())]
    Inaccessible {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// SQLite cannot do it.
    #[error("cannot {operation} the history {}", path.display())]
    Database {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: DatabaseError,
    },
    /// The file is no history, or not a whole one.
    #[error("the history {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was seen.
        source: DatabaseError,
    },
    /// A later docker-test has changed the file's form.
    #[error(
        "the history {} was written by a newer docker-test (its form is {found}; this one knows {known})",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Version of its form.
        found: i64,
        /// Latest version that is known here.
        known: i64,
    },
    /// No run has this id, nor one that begins with it.
    #[error("there is no run {0} in the history")]
    UnknownRun(String),
    /// Several ids begin with it.
    #[error("several runs begin with {prefix}: {}", runs.join(", "))]
    AmbiguousRun {
        /// What was given.
        prefix: String,
        /// The newest of them.
        runs: Vec<String>,
    },
    /// No thread could be started for the [`super::Recorder`].
    #[error("cannot start the thread that writes the history {}", path.display())]
    Thread {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// What SQLite says, once: its code below says the same in other words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DatabaseError(rusqlite::Error);

impl Diagnose for HistoryError {
    fn category(&self) -> Category {
        match self {
            Self::Newer { .. } | Self::UnknownRun(_) | Self::AmbiguousRun { .. } => Category::User,
            Self::Inaccessible { .. }
            | Self::Database { .. }
            | Self::Damaged { .. }
            | Self::Thread { .. } => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        const ELSEWHERE: &str = "DOCKER_TEST_STATE_DIR";
        Some(match self {
            Self::Inaccessible { .. } => {
                format!("check its permissions, or point {ELSEWHERE} at a directory that can be written")
            }
            Self::Database { source, .. } => match source.0.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    "another docker-test holds it for longer than usual: try again".to_owned()
                }
                Some(ErrorCode::DiskFull) => "free some space on its disk".to_owned(),
                Some(ErrorCode::SystemIoFailure | ErrorCode::FileLockingProtocolFailed) => {
                    format!("its file system may lack locks or fail: point {ELSEWHERE} at a local disk")
                }
                _ => format!("check its permissions, or point {ELSEWHERE} at a directory of your own"),
            },
            Self::Damaged { .. } => format!(
                "move {FILE}, {FILE}-wal and {FILE}-shm to another directory: a new history is begun, and nothing but \
                 records of earlier runs is lost"
            ),
            Self::Newer { .. } => {
                format!("use that version, or point {ELSEWHERE} at another directory for this one")
            }
            Self::UnknownRun(_) => "`docker-test history` lists the runs".to_owned(),
            Self::AmbiguousRun { .. } => "give more of the id".to_owned(),
            Self::Thread { .. } => return None,
        })
    }
}

/// Why work on the database ended early, without the words around it.
#[derive(Debug)]
pub(super) enum Refused {
    Sqlite(rusqlite::Error),
    NoRun(String),
    Ambiguous { prefix: String, runs: Vec<String> },
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Refused {
    /// The error of `operation` on the file at `path`.
    pub(super) fn of(self, operation: &'static str, path: &Path) -> HistoryError {
        match self {
            Self::Sqlite(source) => of_sqlite(operation, path, source),
            Self::NoRun(run) => HistoryError::UnknownRun(run),
            Self::Ambiguous { prefix, runs } => HistoryError::AmbiguousRun { prefix, runs },
        }
    }
}

pub(super) fn of_sqlite(operation: &'static str, path: &Path, source: rusqlite::Error) -> HistoryError {
    use rusqlite::Error;
    let path = path.to_owned();
    let is_damage = match &source {
        // A word that no version ever wrote.
        Error::FromSqlConversionFailure(..)
        | Error::InvalidColumnType(..)
        | Error::IntegralValueOutOfRange(..) => true,
        other => {
            matches!(other.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        }
    };
    let source = DatabaseError(source);
    if is_damage {
        HistoryError::Damaged { path, source }
    } else {
        HistoryError::Database { operation, path, source }
    }
}
