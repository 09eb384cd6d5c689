//! The state of each probe, and its last runs.
//!
//! Owns the version of a state: it is replaced only by whoever has seen the one before, so that two processes cannot
//! both act on the same state; and that the runs of a probe stay within their number and their bytes. What a state or a
//! run says is not known here.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::history::error::Refused;

/// The step to a form where runs and their bytes are counted, so that too many are noticed without reading them.
pub(in crate::history) const MIGRATION: &str = "
    CREATE TABLE probe_sizes (
        probe TEXT PRIMARY KEY,
        runs INTEGER NOT NULL,
        bytes INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO probe_sizes SELECT probe, count(*), sum(octet_length(run)) FROM probe_runs GROUP BY probe;
    CREATE TRIGGER runs_grow AFTER INSERT ON probe_runs BEGIN
        INSERT INTO probe_sizes VALUES (new.probe, 1, octet_length(new.run))
        ON CONFLICT DO UPDATE SET runs = runs + 1, bytes = bytes + octet_length(new.run);
    END;
    CREATE TRIGGER runs_shrink AFTER DELETE ON probe_runs BEGIN
        UPDATE probe_sizes SET runs = runs - 1, bytes = bytes - octet_length(old.run) WHERE probe = old.probe;
        DELETE FROM probe_sizes WHERE probe = old.probe AND runs = 0;
    END;";

/// The state of a probe, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeState {
    /// Which probe.
    pub probe: String,
    /// Counted from 1.
    pub version: i64,
    /// The text.
    pub state: String,
}

/// A new state for a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// Which probe.
    pub probe: String,
    /// Version of the state that it follows from; `None` where there was none.
    pub seen: Option<i64>,
    /// The text.
    pub state: String,
}

/// A run of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// Which probe.
    pub probe: String,
    /// The text.
    pub run: String,
    /// How many of its runs are kept, with this one.
    pub keep: usize,
    /// And how many bytes of them. This one is kept however long it is.
    pub bytes: u64,
}

/// The new version, or the state that is there and was not expected.
pub(super) fn swap(
    database: &Connection,
    change: &StateChange,
) -> Result<Result<i64, Option<ProbeState>>, Refused> {
    let current = state(database, &change.probe)?;
    let version = current.as_ref().map(|current| current.version);
    if version != change.seen {
        return Ok(Err(current));
    }
    let version = version.unwrap_or_default().saturating_add(1);
    database
        .prepare_cached(
            "INSERT INTO probe_states VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET version = excluded.version, state = excluded.state",
        )?
        .execute(params![change.probe, version, change.state])?;
    Ok(Ok(version))
}

pub(super) fn add_run(database: &Connection, run: &RunRecord) -> Result<(), Refused> {
    database
        .prepare_cached("INSERT INTO probe_runs (probe, run) VALUES (?1, ?2)")?
        .execute([&run.probe, &run.run])?;
    while is_over(database, run)? {
        database
            .prepare_cached(
                "DELETE FROM probe_runs WHERE seq = (SELECT min(seq) FROM probe_runs WHERE probe = ?1)",
            )?
            .execute([&run.probe])?;
    }
    Ok(())
}

fn is_over(database: &Connection, run: &RunRecord) -> Result<bool, Refused> {
    let size = database
        .prepare_cached("SELECT runs, bytes FROM probe_sizes WHERE probe = ?1")?
        .query_row([&run.probe], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    let Some((runs, bytes)) = size else { return Ok(false) };
    let is_too_many = usize::try_from(runs).unwrap_or_default() > run.keep;
    Ok(runs > 1 && (is_too_many || bytes.unsigned_abs() > run.bytes))
}

pub(super) fn state(database: &Connection, probe: &str) -> Result<Option<ProbeState>, Refused> {
    let mut select =
        database.prepare_cached("SELECT probe, version, state FROM probe_states WHERE probe = ?1")?;
    Ok(select.query_row([probe], read).optional()?)
}

pub(super) fn states(database: &Connection) -> Result<Vec<ProbeState>, Refused> {
    let mut select =
        database.prepare_cached("SELECT probe, version, state FROM probe_states ORDER BY probe")?;
    let rows = select.query_map((), read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<ProbeState> {
    Ok(ProbeState { probe: row.get(0)?, version: row.get(1)?, state: row.get(2)? })
}

pub(super) fn runs(
    database: &Connection,
    probe: &str,
    skip: usize,
    limit: usize,
) -> Result<Vec<String>, Refused> {
    let mut select = database
        .prepare_cached("SELECT run FROM probe_runs WHERE probe = ?1 ORDER BY seq DESC LIMIT ?2 OFFSET ?3")?;
    let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
    let rows = select.query_map(params![probe, number(limit), number(skip)], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Removes its state. Its runs stay.
pub(super) fn forget(database: &Connection, probe: &str) -> Result<(), Refused> {
    database.prepare_cached("DELETE FROM probe_states WHERE probe = ?1")?.execute([probe])?;
    Ok(())
}
