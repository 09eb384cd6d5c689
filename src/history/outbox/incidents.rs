//! The alerts of one key: which of them still wait, and whether the sink may have an incident open.
//!
//! Owns `open_incidents`: a sink may have an incident open from when a trigger that may have arrived leaves the outbox
//! until a resolve has arrived. What is worth sending is said by the [`Collapse`] that the store was opened with.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::untold;
use crate::history::error::Refused;

/// Incidents that are kept open for a sink at most. One that is forgotten costs a resolve only where its trigger and
/// its resolve wait together.
const MOST_OPEN: i64 = 20_000;

/// The step to a form where open incidents are counted as they come and go. A sink has up to [`MOST_OPEN`] of them, too
/// many to be counted each time that something was sent.
pub(in crate::history) const MIGRATION: &str = "
    CREATE TABLE open_counts (
        sink TEXT PRIMARY KEY,
        incidents INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO open_counts SELECT sink, count(*) FROM open_incidents GROUP BY sink;
    CREATE TRIGGER open_grows AFTER INSERT ON open_incidents BEGIN
        INSERT INTO open_counts VALUES (new.sink, 1) ON CONFLICT DO UPDATE SET incidents = incidents + 1;
    END;
    CREATE TRIGGER open_shrinks AFTER DELETE ON open_incidents BEGIN
        UPDATE open_counts SET incidents = incidents - 1 WHERE sink = old.sink;
    END;";

/// What an entry does to the incident of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Opens it.
    Trigger,
    /// Closes it.
    Resolve,
}

impl Effect {
    pub(super) const fn number(effect: Option<Self>) -> i64 {
        match effect {
            None => 0,
            Some(Self::Trigger) => 1,
            Some(Self::Resolve) => 2,
        }
    }

    pub(super) const fn of_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::Trigger),
            2 => Some(Self::Resolve),
            _ => None,
        }
    }
}

/// An alert that waits, as far as the others of its key are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// What it does.
    pub effect: Effect,
    /// It is on its way just now.
    pub claimed: bool,
    /// An attempt of it may have arrived.
    pub exposed: bool,
    /// It repeats what was told before.
    pub reminder: bool,
}

/// An alert that is still worth sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survivor {
    /// Its place among those that wait.
    pub index: usize,
    /// It, with what it takes over from those whose place it takes.
    pub waiting: Waiting,
    /// The places of those whose place it takes.
    pub absorbed: Vec<usize>,
}

/// Says which alerts of a key, oldest first, are still worth sending; `open` where the sink may have an incident open
/// from before. Keeps their order, and keeps all that are claimed.
pub type Collapse = fn(waiting: &[Waiting], open: bool) -> Vec<Survivor>;

/// Removes the alerts of a key that are not worth sending any more.
pub(super) fn collapse(
    database: &Connection,
    rule: Collapse,
    sink: &str,
    key: &str,
    now: i64,
) -> Result<(), Refused> {
    let mut select = database.prepare_cached(
        "SELECT seq, effect, claim IS NOT NULL, exposed, reminder, due_at, attempts FROM outbox
         WHERE sink = ?1 AND key = ?2 AND dead = 0 AND effect <> 0 ORDER BY seq",
    )?;
    let rows = select.query_map([sink, key], |row| {
        let effect = Effect::of_number(row.get(1)?).unwrap_or(Effect::Trigger);
        let waiting = Waiting { effect, claimed: row.get(2)?, exposed: row.get(3)?, reminder: row.get(4)? };
        Ok((row.get::<_, i64>(0)?, waiting, row.get::<_, i64>(5)?, row.get::<_, i64>(6)?))
    })?;
    let rows: Vec<(i64, Waiting, i64, i64)> = rows.collect::<Result<_, _>>()?;
    if rows.len() < 2 {
        return Ok(());
    }
    let waiting: Vec<Waiting> = rows.iter().map(|row| row.1).collect();
    let survivors = rule(&waiting, is_open(database, sink, key)?);
    for (index, (seq, gone, _, _)) in rows.iter().enumerate() {
        if survivors.iter().all(|survivor| survivor.index != index) {
            database.prepare_cached("DELETE FROM outbox WHERE seq = ?1")?.execute([seq])?;
            left(database, sink, key, Some(gone.effect), gone.exposed, now)?;
        }
    }
    for survivor in survivors.iter().filter(|survivor| !survivor.absorbed.is_empty()) {
        let Some((seq, ..)) = rows.get(survivor.index) else { continue };
        // The sink is as slow for the one as it was for the other.
        let absorbed = || survivor.absorbed.iter().filter_map(|index| rows.get(*index));
        let due_at = absorbed().map(|row| row.2).max();
        let attempts = absorbed().map(|row| row.3).max();
        database
            .prepare_cached(
                "UPDATE outbox SET exposed = ?2, reminder = ?3, due_at = max(due_at, ?4), attempts = max(attempts, ?5)
                 WHERE seq = ?1",
            )?
            .execute(params![seq, survivor.waiting.exposed, survivor.waiting.reminder, due_at, attempts])?;
    }
    Ok(())
}

/// Notes that an entry has left the outbox without its sink's word that it has it.
pub(super) fn left(
    database: &Connection,
    sink: &str,
    key: &str,
    effect: Option<Effect>,
    exposed: bool,
    now: i64,
) -> Result<(), Refused> {
    if effect != Some(Effect::Trigger) {
        return Ok(());
    }
    untold::missed(database, sink, key, now)?;
    if exposed { opened(database, sink, key, now) } else { Ok(()) }
}

/// Notes that a sink may have an incident open.
pub(super) fn opened(database: &Connection, sink: &str, key: &str, now: i64) -> Result<(), Refused> {
    database
        .prepare_cached(
            "INSERT INTO open_incidents VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET at = excluded.at",
        )?
        .execute(params![sink, key, now])?;
    Ok(())
}

/// Forgets the oldest incidents of a sink where there are too many.
pub(super) fn forget_oldest(database: &Connection, sink: &str) -> Result<(), Refused> {
    let open: Option<i64> = database
        .prepare_cached("SELECT incidents FROM open_counts WHERE sink = ?1")?
        .query_row([sink], |row| row.get(0))
        .optional()?;
    let too_many = open.unwrap_or_default().saturating_sub(MOST_OPEN);
    if too_many > 0 {
        database
            .prepare_cached(
                "DELETE FROM open_incidents WHERE sink = ?1 AND key IN (
                    SELECT key FROM open_incidents WHERE sink = ?1 ORDER BY at LIMIT ?2
                 )",
            )?
            .execute(params![sink, too_many])?;
    }
    Ok(())
}

/// Notes that a sink has no incident open.
pub(super) fn closed(database: &Connection, sink: &str, key: &str) -> Result<(), Refused> {
    database
        .prepare_cached("DELETE FROM open_incidents WHERE sink = ?1 AND key = ?2")?
        .execute([sink, key])?;
    Ok(())
}

fn is_open(database: &Connection, sink: &str, key: &str) -> Result<bool, Refused> {
    let mut select = database
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM open_incidents WHERE sink = ?1 AND key = ?2)")?;
    Ok(select.query_row([sink, key], |row| row.get(0))?)
}
