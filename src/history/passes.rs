//! Which tests have passed already, under the keys of the result cache.
//!
//! Owns the secret that keys are made with, since what they are made of can be guessed. What a key is made of is the
//! caller's to say.

use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use super::error::Refused;
use super::record::Run;
use super::{History, HistoryError};

/// A pass that stands for the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// The run in which the test passed.
    pub run_id: String,
    /// Name of the test then.
    pub test: String,
    /// When that run began, RFC 3339, UTC.
    pub at: String,
}

impl History {
    /// What digests of values begin with, so that nobody who reads the file can try values out. Random, made once for
    /// this history.
    pub fn cache_secret(&mut self) -> Result<[u8; 32], HistoryError> {
        self.write("keep a secret in", |database| {
            let made: [u8; 32] =
                (0..3).fold(Sha256::new(), |sum, _| sum.chain_update(uuid::Uuid::new_v4())).finalize().into();
            database.execute("INSERT OR IGNORE INTO secrets (name, value) VALUES ('cache', ?1)", [made])?;
            Ok(database.query_row("SELECT value FROM secrets WHERE name = 'cache'", (), |row| row.get(0))?)
        })
    }

    /// The pass under this key, where the last verdict under it was one.
    pub fn pass(&self, key: &str) -> Result<Option<Pass>, HistoryError> {
        self.read(|database| {
            let mut select = database
                .prepare("SELECT runs.id, test, at FROM passes JOIN runs ON runs.seq = run WHERE key = ?1")?;
            let found = select
                .query_row([key], |row| Ok(Pass { run_id: row.get(0)?, test: row.get(1)?, at: row.get(2)? }));
            Ok(found.optional()?)
        })
    }

    /// Notes that a test passed in a run. Goes with that run when it is forgotten.
    pub fn record_pass(&mut self, key: &str, test: &str, run_id: &str) -> Result<(), HistoryError> {
        self.write("add a pass to", |database| add(database, key, test, run_id))
    }

    /// Takes a pass back: a test with this key has failed.
    pub fn forget_pass(&mut self, key: &str) -> Result<(), HistoryError> {
        self.write("take a pass from", |database| forget(database, key))
    }
}

pub(super) fn add(database: &Connection, key: &str, test: &str, run_id: &str) -> Result<(), Refused> {
    let run = Run::find(database, run_id)?.seq;
    database.execute(
        "INSERT OR REPLACE INTO passes (key, test, run, at)
         SELECT ?1, ?2, seq, started_at FROM runs WHERE seq = ?3",
        (key, test, run),
    )?;
    Ok(())
}

pub(super) fn forget(database: &Connection, key: &str) -> Result<(), Refused> {
    database.execute("DELETE FROM passes WHERE key = ?1", [key])?;
    Ok(())
}
