//! Incidents that a sink was to be told of and has not taken: the trigger was refused, has expired or had to make room.
//!
//! Owns when they may be told again, so that a sink that refuses everything is not asked without end: at once, then after
//! pauses that double from a minute to an hour. Who tells them, and what, is not known here.

use rusqlite::{Connection, params};

use super::incidents::Effect;
use crate::history::error::Refused;

/// The longest pause, in milliseconds.
const LONGEST: i64 = 60 * 60 * 1000;

/// The step to a form that knows them. Of those before it dead letters are left.
pub(in crate::history) const MIGRATION: &str = "
    CREATE TABLE untold (
        key TEXT NOT NULL,
        sink TEXT NOT NULL,
        times INTEGER NOT NULL,
        due_at INTEGER NOT NULL,
        PRIMARY KEY (key, sink)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO untold SELECT DISTINCT key, sink, 1, 0 FROM outbox WHERE dead = 1 AND effect = 1 AND outdated = 0;";

/// An incident, and a sink that is to be told of it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untold {
    /// The incident's key.
    pub key: String,
    /// The sink.
    pub sink: String,
}

/// Notes that a trigger has left the outbox and its sink has not taken it. Where a later alert of its key waits, what
/// becomes of that one counts.
pub(super) fn missed(database: &Connection, sink: &str, key: &str, now: i64) -> Result<(), Refused> {
    database
        .prepare_cached(
            "INSERT INTO untold SELECT ?1, ?2, 1, ?3 WHERE NOT EXISTS (
                SELECT 1 FROM outbox WHERE sink = ?2 AND key = ?1 AND dead = 0 AND effect <> 0
             )
             ON CONFLICT DO UPDATE SET times = times + 1, due_at = ?3 + min(?4, 60000 << min(times - 1, 6))",
        )?
        .execute(params![key, sink, now, LONGEST])?;
    Ok(())
}

/// Notes that a sink has taken a trigger.
pub(super) fn told(database: &Connection, sink: &str, key: &str) -> Result<(), Refused> {
    database.prepare_cached("DELETE FROM untold WHERE key = ?1 AND sink = ?2")?.execute([key, sink])?;
    Ok(())
}

/// Notes that an incident is over where an alert that is stored now ends it.
pub(super) fn stored(database: &Connection, key: &str, effect: Option<Effect>) -> Result<(), Refused> {
    if effect == Some(Effect::Resolve) {
        database.prepare_cached("DELETE FROM untold WHERE key = ?1")?.execute([key])?;
    }
    Ok(())
}

/// Which of these incidents are to be told again now, and to whom. Those of which something waits are not.
pub(super) fn due(database: &Connection, keys: &[String], now: i64) -> Result<Vec<Untold>, Refused> {
    // A clock that was ahead holds nothing up.
    let mut select = database.prepare_cached(
        "SELECT sink FROM untold WHERE key = ?1 AND (due_at <= ?2 OR due_at > ?2 + ?3) AND NOT EXISTS (
            SELECT 1 FROM outbox WHERE outbox.sink = untold.sink AND outbox.key = ?1 AND dead = 0 AND effect <> 0
         )",
    )?;
    let mut due = Vec::new();
    for key in keys {
        let rows = select.query_map(params![key, now, LONGEST], |row| row.get(0))?;
        for sink in rows {
            due.push(Untold { key: key.clone(), sink: sink? });
        }
    }
    Ok(due)
}
