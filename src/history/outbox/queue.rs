//! What is put into the outbox: changes, their entries, and what has to go where there are too many.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::dead;
use super::incidents::{self, Collapse, Effect};
use super::probes::{self, ProbeState, RunRecord, StateChange};
use super::untold;
use crate::history::error::Refused;

/// How much may wait for each sink. Where it is more, the oldest metrics go first and alerts last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries that wait.
    pub entries: u64,
    /// Bytes of their text.
    pub bytes: u64,
    /// Dead letters, and four times as many KiB of them.
    pub dead: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 20_000, bytes: 64 << 20, dead: 1_000 }
    }
}

/// What a store was opened with.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) limits: Limits,
    pub(super) collapse: Collapse,
}

/// A notice for one sink, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which sink.
    pub sink: String,
    /// Entries of one key are sent in the order in which they were stored.
    pub key: String,
    /// What it does to the incident of its key; `None` for a metric.
    pub effect: Option<Effect>,
    /// It repeats what was told before.
    pub reminder: bool,
    /// The text.
    pub notice: String,
    /// When it is of no use any more, in Unix milliseconds.
    pub expires_at: i64,
}

/// What is stored together, or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The new state of a probe.
    pub state: Option<StateChange>,
    /// Its run.
    pub run: Option<RunRecord>,
    /// What is to be sent.
    pub entries: Vec<Entry>,
}

/// Entries that had to go because there were too many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Which sink.
    pub sink: String,
    /// How many metrics.
    pub metrics: u64,
    /// How many alerts.
    pub alerts: u64,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// All of it is stored.
    Stored {
        /// The version of the probe's new state, where it has one.
        version: Option<i64>,
        /// What had to go for it.
        dropped: Vec<Dropped>,
    },
    /// Somebody else has changed the state. Nothing was stored.
    Conflict {
        /// The state as it is now.
        current: Option<ProbeState>,
    },
}

pub(super) fn apply(
    database: &Connection,
    rules: &Rules,
    change: &Change,
    now: i64,
) -> Result<Applied, Refused> {
    let mut version = None;
    if let Some(state) = &change.state {
        match probes::swap(database, state)? {
            Ok(new) => version = Some(new),
            Err(current) => return Ok(Applied::Conflict { current }),
        }
    }
    if let Some(run) = &change.run {
        probes::add_run(database, run)?;
    }
    for entry in &change.entries {
        add(database, rules, entry, now)?;
    }
    let sinks: BTreeSet<&str> = change.entries.iter().map(|entry| entry.sink.as_str()).collect();
    let mut dropped = Vec::new();
    for sink in sinks {
        dropped.extend(make_room(database, &rules.limits, sink, now)?);
    }
    Ok(Applied::Stored { version, dropped })
}

pub(super) fn add(database: &Connection, rules: &Rules, entry: &Entry, now: i64) -> Result<(), Refused> {
    let size = entry.sink.len() + entry.key.len() + entry.notice.len();
    let mut insert = database.prepare_cached(
        "INSERT INTO outbox (sink, key, effect, notice, size, stored_at, expires_at, due_at, reminder)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?6, ?8)",
    )?;
    insert.execute(params![
        entry.sink,
        entry.key,
        Effect::number(entry.effect),
        entry.notice,
        i64::try_from(size).unwrap_or(i64::MAX),
        now,
        entry.expires_at,
        entry.reminder,
    ])?;
    if entry.effect.is_some() {
        dead::contradicted(database, &entry.sink, &entry.key, entry.effect)?;
        untold::stored(database, &entry.key, entry.effect)?;
        incidents::collapse(database, rules.collapse, &entry.sink, &entry.key, now)?;
    }
    Ok(())
}

/// Drops what is too much for a sink. What is on its way stays.
pub(super) fn make_room(
    database: &Connection,
    limits: &Limits,
    sink: &str,
    now: i64,
) -> Result<Option<Dropped>, Refused> {
    let mut dropped = Dropped { sink: sink.to_owned(), metrics: 0, alerts: 0 };
    let mut alerts = false;
    while is_over(database, sink, false, limits.entries, limits.bytes)? {
        let mut delete = database.prepare_cached(
            "DELETE FROM outbox WHERE seq = (
                SELECT seq FROM outbox WHERE sink = ?1 AND dead = 0 AND alert = ?2 AND claim IS NULL
                ORDER BY seq LIMIT 1
             ) RETURNING key, effect, exposed",
        )?;
        let gone = delete
            .query_row(params![sink, alerts], |row| {
                Ok((row.get::<_, String>(0)?, Effect::of_number(row.get(1)?), row.get::<_, bool>(2)?))
            })
            .optional()?;
        match gone {
            Some((key, effect, exposed)) => {
                incidents::left(database, sink, &key, effect, exposed, now)?;
                if alerts { dropped.alerts += 1 } else { dropped.metrics += 1 }
            }
            None if alerts => break,
            None => alerts = true,
        }
    }
    if dropped.alerts > 0 {
        incidents::forget_oldest(database, sink)?;
    }
    count_loss(database, sink, "full", false, dropped.metrics)?;
    count_loss(database, sink, "full", true, dropped.alerts)?;
    Ok((dropped.metrics + dropped.alerts > 0).then_some(dropped))
}

/// Drops the oldest dead letters where there are too many.
pub(super) fn bury(database: &Connection, limits: &Limits, sink: &str) -> Result<(), Refused> {
    while is_over(database, sink, true, limits.dead, limits.dead.saturating_mul(4 << 10))? {
        let mut delete = database.prepare_cached(
            "DELETE FROM outbox WHERE seq = (
                SELECT seq FROM outbox WHERE sink = ?1 AND dead = 1 ORDER BY alert, seq LIMIT 1
             ) RETURNING alert",
        )?;
        let Some(alert) = delete.query_row([sink], |row| row.get(0)).optional()? else { break };
        count_loss(database, sink, "refused", alert, 1)?;
    }
    Ok(())
}

fn is_over(database: &Connection, sink: &str, dead: bool, most: u64, bytes: u64) -> Result<bool, Refused> {
    let mut select =
        database.prepare_cached("SELECT entries, bytes FROM outbox_sizes WHERE sink = ?1 AND dead = ?2")?;
    let size = select
        .query_row(params![sink, dead], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    Ok(size.is_some_and(|(entries, size)| entries.unsigned_abs() > most || size.unsigned_abs() > bytes))
}

/// Adds to the count of what was lost.
pub(super) fn count_loss(
    database: &Connection,
    sink: &str,
    cause: &str,
    alert: bool,
    entries: u64,
) -> Result<(), Refused> {
    if entries > 0 {
        database
            .prepare_cached(
                "INSERT INTO outbox_losses VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET entries = entries + excluded.entries",
            )?
            .execute(params![sink, cause, alert, i64::try_from(entries).unwrap_or(i64::MAX)])?;
    }
    Ok(())
}
