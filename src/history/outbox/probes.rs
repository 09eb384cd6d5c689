//! The state of each probe, and its last runs.
//!
//! Owns the version of a state: it is replaced only by whoever has seen the one before, so that two processes cannot
//! both act on the same state. What a state or a run says is not known here.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::history::error::Refused;

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
    database
        .prepare_cached(
            "DELETE FROM probe_runs WHERE probe = ?1 AND seq <= (
                SELECT seq FROM probe_runs WHERE probe = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2
             )",
        )?
        .execute(params![run.probe, i64::try_from(run.keep).unwrap_or(i64::MAX)])?;
    Ok(())
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

pub(super) fn runs(database: &Connection, probe: &str, limit: usize) -> Result<Vec<String>, Refused> {
    let mut select =
        database.prepare_cached("SELECT run FROM probe_runs WHERE probe = ?1 ORDER BY seq DESC LIMIT ?2")?;
    let rows =
        select.query_map(params![probe, i64::try_from(limit).unwrap_or(i64::MAX)], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn forget(database: &Connection, probe: &str) -> Result<(), Refused> {
    database.prepare_cached("DELETE FROM probe_states WHERE probe = ?1")?.execute([probe])?;
    database.prepare_cached("DELETE FROM probe_runs WHERE probe = ?1")?.execute([probe])?;
    Ok(())
}
