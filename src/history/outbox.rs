//! Where notices wait until their sink has them, beside the state of probes that they came from.
//!
//! Owns the tables and their only writer: a change of a probe's state, its run and the notices that both gave rise to are
//! stored in one transaction, and whoever handed them in is told when it is on disk. Knows no notice and no sink: text,
//! keys, times. Which of the entries of a key are still worth sending is said by the function that it is opened with.

mod claims;
mod dead;
mod incidents;
mod listing;
mod memos;
mod probes;
mod queue;
mod reader;
mod retired;
mod untold;
mod writer;

use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::error::{Refused, of_sqlite};
use super::{History, HistoryError, schema};
use reader::Reader;
use writer::Writer;

pub use claims::{Claim, Claimed, MAX_DELAY, MAX_LEASE, Outcome, Settled};
pub(super) use dead::MIGRATION as OUTDATED_MIGRATION;
pub use dead::{Revived, Which};
pub(super) use incidents::MIGRATION as COUNTS_MIGRATION;
pub use incidents::{Collapse, Effect, Survivor, Waiting};
pub use listing::{Backlog, Listed, Loss};
pub(super) use memos::MIGRATION as MEMOS_MIGRATION;
pub use memos::Memo;
pub(super) use probes::MIGRATION as SIZES_MIGRATION;
pub use probes::{ProbeState, RunRecord, StateChange};
pub use queue::{Applied, Change, Dropped, Entry, Limits};
pub(super) use untold::MIGRATION as UNTOLD_MIGRATION;
pub use untold::Untold;

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

/// Where a database is.
#[derive(Debug, Clone, Copy)]
enum Where {
    File,
    /// No other connection can see it.
    Memory,
}

/// More than the store has.
const STATEMENTS: usize = 64;

/// A handle on the store. Clones are cheap and share one thread, which alone writes, and one connection for those who look;
/// several processes may have the same file open.
#[derive(Debug, Clone)]
pub struct Store {
    /// Closed before the writer lets others set the file aside.
    reader: Reader,
    writer: Writer,
}

impl Store {
    /// Opens the store in the state directory, and makes both where they are not there.
    pub fn open(state: &Path, limits: Limits, collapse: Collapse) -> Result<Self, HistoryError> {
        Self::of(History::open(state)?, Where::File, limits, collapse)
    }

    /// Opens the store where there is one, for listings: creates nothing.
    pub fn open_existing(
        state: &Path,
        limits: Limits,
        collapse: Collapse,
    ) -> Result<Option<Self>, HistoryError> {
        let history = History::open_existing(state)?;
        history.map(|history| Self::of(history, Where::File, limits, collapse)).transpose()
    }

    /// A store that ends with its last handle, for where nothing can be kept.
    pub fn in_memory(limits: Limits, collapse: Collapse) -> Result<Self, HistoryError> {
        let path = Path::new(":memory:").to_owned();
        let mut database = Connection::open_in_memory().map_err(|error| of_sqlite("open", &path, error))?;
        schema::make_outbox(&mut database, &path)?;
        Self::of(History { path, database, _held: None }, Where::Memory, limits, collapse)
    }

    /// Fails from here on whatever is to be stored, as on a disk that is full; the transaction of this already does.
    #[cfg(test)]
    pub(crate) async fn refuse_writes(&self) {
        let refuse = self.writer.note(|database, _| Ok(database.pragma_update(None, "query_only", true)?));
        let _fails = refuse.await;
    }

    fn of(history: History, place: Where, limits: Limits, collapse: Collapse) -> Result<Self, HistoryError> {
        tune(&history.database).map_err(|error| of_sqlite("open", history.path(), error))?;
        let reader = Reader::of(matches!(place, Where::File).then(|| history.path()));
        Ok(Self { reader, writer: Writer::start(history, queue::Rules { limits, collapse })? })
    }

    /// Does `work`, which only reads, beside what is written.
    async fn look<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, HistoryError> {
        match self.reader.look(work).await {
            Ok(seen) => seen,
            Err(work) => self.writer.read(move |database, _| work(database)).await,
        }
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

    /// Says what became of entries, and then takes others, at once: both are one write to the disk, or neither is stored.
    pub async fn settle_and_claim(
        &self,
        settled: Vec<Settled>,
        claim: Claim,
        now: i64,
    ) -> Result<Claimed, HistoryError> {
        let work = move |database: &Connection, rules: &queue::Rules| {
            claims::settle(database, rules, &settled, now)?;
            claims::claim(database, rules, &claim)
        };
        self.writer.write(work).await
    }

    /// How many entries of a sink wait, what was said of them before counted in.
    pub async fn waiting(&self, sink: String) -> Result<u64, HistoryError> {
        self.writer.read(move |database, _| claims::waiting(database, &sink)).await
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
        self.look(move |database| listing::list(database, sink.as_deref(), dead, limit)).await
    }

    /// What waits and what was lost, by sink.
    pub async fn backlog(&self) -> Result<Vec<Backlog>, HistoryError> {
        self.look(listing::backlog).await
    }

    /// Whether alerts wait for any of these sinks.
    pub async fn has_alerts(&self, sinks: Vec<String>) -> Result<bool, HistoryError> {
        self.look(move |database| listing::has_alerts(database, &sinks)).await
    }

    /// Lets dead letters be sent again, at their old place in the order, and for an hour at least; but none of which a
    /// later alert of its key says otherwise.
    pub async fn revive(&self, which: Which, now: i64) -> Result<Revived, HistoryError> {
        self.writer.add(move |database, rules| dead::revive(database, rules, &which, now)).await
    }

    /// Deletes dead letters. Gives their number.
    pub async fn delete(&self, which: Which) -> Result<usize, HistoryError> {
        self.writer.write(move |database, _| dead::delete(database, &which)).await
    }

    /// The state of a probe.
    pub async fn probe_state(&self, probe: String) -> Result<Option<ProbeState>, HistoryError> {
        self.writer.read(move |database, _| probes::state(database, &probe)).await
    }

    /// Which of these incidents are to be told again now, because a sink was told and has not taken it.
    pub async fn untold(&self, keys: Vec<String>, now: i64) -> Result<Vec<Untold>, HistoryError> {
        self.writer.read(move |database, _| untold::due(database, &keys, now)).await
    }

    /// The states of all probes, by name.
    pub async fn probe_states(&self) -> Result<Vec<ProbeState>, HistoryError> {
        self.writer.read(|database, _| probes::states(database)).await
    }

    /// The newest runs of a probe, newest first.
    pub async fn probe_runs(&self, probe: String, limit: usize) -> Result<Vec<String>, HistoryError> {
        self.look(move |database| probes::runs(database, &probe, 0, limit)).await
    }

    /// One run of a probe, so many before the newest.
    pub async fn probe_run(&self, probe: String, before: usize) -> Result<Option<String>, HistoryError> {
        let mut runs = self.look(move |database| probes::runs(database, &probe, before, 1)).await?;
        Ok(runs.pop())
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
        self.writer.read(move |database, _| memos::list(database, kind)).await
    }

    /// Removes the states of probes that are no more, with their memos of a kind, and stores what `farewell` makes of each
    /// state: all of it in one write to the disk. Gives the errors of `farewell`, whose probes stay.
    pub async fn retire<E: Send + 'static>(
        &self,
        gone: Vec<String>,
        memo: &'static str,
        mut farewell: impl FnMut(&str, Option<&str>) -> Result<Vec<Entry>, E> + Send + 'static,
        now: i64,
    ) -> Result<Vec<E>, HistoryError> {
        let work = move |database: &Connection, rules: &queue::Rules| {
            retired::retire(database, rules, (&gone, memo), &mut farewell, now)
        };
        self.writer.add(work).await
    }

    /// Removes the runs of probes that have no state. Others that use the store are let in between.
    pub async fn forget_runs(&self) -> Result<(), HistoryError> {
        let forget = |database: &Connection, _: &queue::Rules| retired::forget_some_runs(database);
        while self.writer.note(forget).await? == retired::SOME_RUNS {}
        Ok(())
    }
}

/// Lets each of the statements here be made once.
fn tune(database: &Connection) -> rusqlite::Result<()> {
    database.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise SQLite looks for a better plan each time that a limit or a flag has another value.
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

#[cfg(test)]
mod tests;
