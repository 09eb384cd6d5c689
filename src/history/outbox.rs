//! Where notices wait until their sink has them, beside the state of probes that they came from.
//!
//! Owns the tables and their only writer: a change of a probe's state, its run and the notices that both gave rise to are
//! stored in one transaction, and whoever handed them in is told when it is on disk. Knows no notice and no sink: text,
//! keys, times. Which of the entries of a key are still worth sending is said by the function that it is opened with.

mod claims;
mod incidents;
mod listing;
mod memos;
mod probes;
mod queue;
mod writer;

use std::path::Path;

use rusqlite::Connection;

use super::error::of_sqlite;
use super::{History, HistoryError, schema};
use writer::Writer;

pub use claims::{Claim, Claimed, MAX_DELAY, MAX_LEASE, Outcome, Settled};
pub use incidents::{Collapse, Effect, Survivor, Waiting};
pub use listing::{Backlog, Listed, Loss, Which};
pub(super) use memos::MIGRATION as MEMOS_MIGRATION;
pub use memos::Memo;
pub use probes::{ProbeState, RunRecord, StateChange};
pub use queue::{Applied, Change, Dropped, Entry, Limits};

/// The step from the history's first form to the one with an outbox. Times are Unix milliseconds.
///
/// `exposed`: an attempt of it may have arrived. `sent`: how many of the transmissions of its notice have arrived.
/// `effect`: 0 none (a metric), 1 opens an incident, 2 closes one. `outbox_sizes` is kept by the triggers below it, so
/// that a full queue is noticed without counting. Numbers are never used twice: an old claim fits no new entry.
pub const MIGRATION: &str = "
    CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        sink TEXT NOT NULL,
        key TEXT NOT NULL,
        effect INTEGER NOT NULL,
        alert INTEGER NOT NULL GENERATED ALWAYS AS (effect <> 0) STORED,
        notice TEXT NOT NULL,
        size INTEGER NOT NULL,
        stored_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        due_at INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        sent INTEGER NOT NULL DEFAULT 0,
        exposed INTEGER NOT NULL DEFAULT 0,
        reminder INTEGER NOT NULL,
        claim TEXT,
        claimed_until INTEGER,
        dead INTEGER NOT NULL DEFAULT 0,
        reason TEXT
    ) STRICT;
    CREATE INDEX outbox_by_key ON outbox (sink, key, seq) WHERE dead = 0;
    CREATE INDEX outbox_by_rank ON outbox (sink, dead, alert, seq);
    CREATE INDEX outbox_by_expiry ON outbox (expires_at) WHERE dead = 0;
    CREATE TABLE outbox_sizes (
        sink TEXT NOT NULL,
        dead INTEGER NOT NULL,
        entries INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        PRIMARY KEY (sink, dead)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER outbox_grows AFTER INSERT ON outbox BEGIN
        INSERT INTO outbox_sizes VALUES (new.sink, new.dead, 1, new.size)
        ON CONFLICT DO UPDATE SET entries = entries + 1, bytes = bytes + new.size;
    END;
    CREATE TRIGGER outbox_shrinks AFTER DELETE ON outbox BEGIN
        UPDATE outbox_sizes SET entries = entries - 1, bytes = bytes - old.size
        WHERE sink = old.sink AND dead = old.dead;
    END;
    CREATE TRIGGER outbox_moves AFTER UPDATE OF dead ON outbox WHEN old.dead <> new.dead BEGIN
        UPDATE outbox_sizes SET entries = entries - 1, bytes = bytes - old.size
        WHERE sink = old.sink AND dead = old.dead;
        INSERT INTO outbox_sizes VALUES (new.sink, new.dead, 1, new.size)
        ON CONFLICT DO UPDATE SET entries = entries + 1, bytes = bytes + new.size;
    END;
    CREATE TABLE outbox_losses (
        sink TEXT NOT NULL,
        cause TEXT NOT NULL,
        alert INTEGER NOT NULL,
        entries INTEGER NOT NULL,
        PRIMARY KEY (sink, cause, alert)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE open_incidents (
        sink TEXT NOT NULL,
        key TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (sink, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE probe_states (
        probe TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        state TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE probe_runs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        probe TEXT NOT NULL,
        run TEXT NOT NULL
    ) STRICT;
    CREATE INDEX probe_runs_by_probe ON probe_runs (probe, seq);";

/// More than the store has.
const STATEMENTS: usize = 64;

/// A handle on the store. Clones are cheap and share one thread, which alone reads and writes; several processes may
/// have the same file open.
#[derive(Debug, Clone)]
pub struct Store {
    writer: Writer,
}

impl Store {
    /// Opens the store in the state directory, and makes both where they are not there.
    pub fn open(state: &Path, limits: Limits, collapse: Collapse) -> Result<Self, HistoryError> {
        Self::of(History::open(state)?, limits, collapse)
    }

    /// Opens the store where there is one, for listings: creates nothing.
    pub fn open_existing(
        state: &Path,
        limits: Limits,
        collapse: Collapse,
    ) -> Result<Option<Self>, HistoryError> {
        let history = History::open_existing(state)?;
        history.map(|history| Self::of(history, limits, collapse)).transpose()
    }

    /// A store that ends with its last handle, for where nothing can be kept.
    pub fn in_memory(limits: Limits, collapse: Collapse) -> Result<Self, HistoryError> {
        let path = Path::new(":memory:").to_owned();
        let mut database = Connection::open_in_memory().map_err(|error| of_sqlite("open", &path, error))?;
        schema::migrate(&mut database, &path, schema::MIGRATIONS)?;
        Self::of(History { path, database, _held: None }, limits, collapse)
    }

    fn of(history: History, limits: Limits, collapse: Collapse) -> Result<Self, HistoryError> {
        // Each of the statements below is made once.
        history.database.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Self { writer: Writer::start(history, queue::Rules { limits, collapse })? })
    }

    /// Stores a change whole, or nothing of it where the state is no longer the expected one. When this returns it is on
    /// disk. Changes that are handed in at the same time share one write to the disk.
    pub async fn apply(&self, change: Change, now: i64) -> Result<Applied, HistoryError> {
        self.writer.add(move |database, rules| queue::apply(database, rules, &change, now)).await
    }

    /// Takes up to `limit` entries of a sink that are due, at most one of each key: the oldest. Alerts come first.
    /// Nobody else gets them before the claim has run out. Removes what has expired.
    pub async fn claim(&self, claim: Claim) -> Result<Claimed, HistoryError> {
        self.writer.write(move |database, rules| claims::claim(database, rules, &claim)).await
    }

    /// Says what became of claimed entries. Passes by those whose claim has run out and was taken by another.
    pub async fn settle(&self, settled: Vec<Settled>, now: i64) -> Result<(), HistoryError> {
        self.writer.note(move |database, rules| claims::settle(database, rules, &settled, now)).await
    }

    /// Changes when entries were stored or brought back by a handle of this store. Other processes are not heard of.
    #[must_use]
    pub fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.writer.changes()
    }

    /// The entries that wait, or the dead letters, in the order in which they were stored.
    pub async fn list(
        &self,
        sink: Option<String>,
        dead: bool,
        limit: usize,
    ) -> Result<Vec<Listed>, HistoryError> {
        self.writer.note(move |database, _| listing::list(database, sink.as_deref(), dead, limit)).await
    }

    /// What waits and what was lost, by sink.
    pub async fn backlog(&self) -> Result<Vec<Backlog>, HistoryError> {
        self.writer.note(|database, _| listing::backlog(database)).await
    }

    /// Lets dead letters be sent again, at their old place in the order, and for an hour at least. Gives their number.
    pub async fn revive(&self, which: Which, now: i64) -> Result<usize, HistoryError> {
        self.writer.add(move |database, rules| listing::revive(database, rules, &which, now)).await
    }

    /// Deletes dead letters. Gives their number.
    pub async fn delete(&self, which: Which) -> Result<usize, HistoryError> {
        self.writer.write(move |database, _| listing::delete(database, &which)).await
    }

    /// The state of a probe.
    pub async fn probe_state(&self, probe: String) -> Result<Option<ProbeState>, HistoryError> {
        self.writer.note(move |database, _| probes::state(database, &probe)).await
    }

    /// The states of all probes, by name.
    pub async fn probe_states(&self) -> Result<Vec<ProbeState>, HistoryError> {
        self.writer.note(|database, _| probes::states(database)).await
    }

    /// The newest runs of a probe, newest first.
    pub async fn probe_runs(&self, probe: String, limit: usize) -> Result<Vec<String>, HistoryError> {
        self.writer.note(move |database, _| probes::runs(database, &probe, limit)).await
    }

    /// Remembers a text in the place of the one of its kind and name. A power cut may undo it.
    pub async fn remember(&self, memo: Memo) -> Result<(), HistoryError> {
        self.writer.note(move |database, _| memos::remember(database, &memo)).await
    }

    /// Forgets a text, for good. Says whether there was one.
    pub async fn forget_memo(&self, kind: &'static str, name: String) -> Result<bool, HistoryError> {
        self.writer.write(move |database, _| memos::forget(database, kind, &name)).await
    }

    /// All texts of a kind, by name.
    pub async fn memos(&self, kind: &'static str) -> Result<Vec<Memo>, HistoryError> {
        self.writer.note(move |database, _| memos::list(database, kind)).await
    }

    /// Removes the state and the runs of a probe that is no more.
    pub async fn forget_probe(&self, probe: String) -> Result<(), HistoryError> {
        self.writer.write(move |database, _| probes::forget(database, &probe)).await
    }
}

#[cfg(test)]
mod tests;
