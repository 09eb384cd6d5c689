//! Probes that are no more: their states go, and what is to be said of them is stored in their place.
//!
//! Owns that all of it is one change, however many probes they are. Their runs are many rows, which nobody waits for: they
//! go a few at a time.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::queue::{self, Entry, Rules};
use super::{memos, probes};
use crate::history::error::Refused;

/// Runs that are removed in one step: others wait for no more than that.
pub(super) const SOME_RUNS: usize = 200;

/// Removes the states of probes and their memos of a kind, and stores what `farewell` makes of each state. Where it fails
/// the probe stays as it is, and the error is handed back.
pub(super) fn retire<E>(
    database: &Connection,
    rules: &Rules,
    (gone, memo): (&[String], &str),
    mut farewell: impl FnMut(&str, Option<&str>) -> Result<Vec<Entry>, E>,
    now: i64,
) -> Result<Vec<E>, Refused> {
    let mut sinks = BTreeSet::new();
    let mut failed = Vec::new();
    for probe in gone {
        let state = probes::state(database, probe)?;
        match farewell(probe, state.as_ref().map(|state| state.state.as_str())) {
            Ok(entries) => {
                for entry in entries {
                    queue::add(database, rules, &entry, now)?;
                    sinks.insert(entry.sink);
                }
                probes::forget(database, probe)?;
                memos::forget(database, memo, probe)?;
            }
            Err(error) => failed.push(error),
        }
    }
    for sink in sinks {
        queue::make_room(database, &rules.limits, &sink, now)?;
    }
    Ok(failed)
}

/// Removes some runs of probes that have no state any more. Gives their number.
pub(super) fn forget_some_runs(database: &Connection) -> Result<usize, Refused> {
    let mut delete = database.prepare_cached(
        "DELETE FROM probe_runs WHERE seq IN (
            SELECT seq FROM probe_runs
            WHERE probe IN (SELECT probe FROM probe_sizes EXCEPT SELECT probe FROM probe_states) LIMIT ?1
         )",
    )?;
    Ok(delete.execute([i64::try_from(SOME_RUNS).unwrap_or(i64::MAX)])?)
}
