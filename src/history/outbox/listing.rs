//! What people are shown of the outbox. Changes nothing.

use rusqlite::{Connection, params};
use schemars::JsonSchema;
use serde::Serialize;

use super::incidents::Effect;
use crate::history::error::Refused;

/// An entry as people are shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub seq: i64,
    /// Its sink.
    pub sink: String,
    /// Its key.
    pub key: String,
    /// What it does to the incident of its key; `None` for a metric.
    pub effect: Option<Effect>,
    /// The text.
    pub notice: String,
    /// When it was stored, in Unix milliseconds.
    pub stored_at: i64,
    /// When it is of no use any more, in Unix milliseconds.
    pub expires_at: i64,
    /// It is not tried before this, in Unix milliseconds.
    pub due_at: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// It is on its way just now.
    pub claimed: bool,
    /// Why it was not taken the last time.
    pub reason: Option<String>,
    /// It is a dead letter, and a later alert of its key says otherwise: it is not brought back.
    pub outdated: bool,
}

/// Entries that were lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Loss {
    /// `expired`, `full` (there were too many) or `refused` (there were too many dead letters).
    pub cause: String,
    /// Alerts, not metrics.
    pub alerts: bool,
    /// How many, since the store was made.
    pub entries: u64,
}

/// What waits for one sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Backlog {
    /// The sink.
    pub sink: String,
    /// Entries that wait.
    pub waiting: u64,
    /// Bytes of their text.
    pub bytes: u64,
    /// Dead letters.
    pub dead: u64,
    /// When the oldest that waits was stored, in Unix milliseconds.
    pub oldest: Option<i64>,
    /// What was lost.
    pub losses: Vec<Loss>,
}

pub(super) fn list(
    database: &Connection,
    sink: Option<&str>,
    dead: bool,
    limit: usize,
) -> Result<Vec<Listed>, Refused> {
    let mut select = database.prepare_cached(
        "SELECT seq, sink, key, effect, notice, stored_at, expires_at, due_at, attempts, claim IS NOT NULL, reason,
         outdated
         FROM outbox WHERE dead = ?1 AND (?2 IS NULL OR sink = ?2) ORDER BY seq LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = select.query_map(params![dead, sink, limit], |row| {
        Ok(Listed {
            seq: row.get(0)?,
            sink: row.get(1)?,
            key: row.get(2)?,
            effect: Effect::of_number(row.get(3)?),
            notice: row.get(4)?,
            stored_at: row.get(5)?,
            expires_at: row.get(6)?,
            due_at: row.get(7)?,
            attempts: row.get(8)?,
            claimed: row.get(9)?,
            reason: row.get(10)?,
            outdated: row.get(11)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn has_alerts(database: &Connection, sinks: &[String]) -> Result<bool, Refused> {
    let mut select = database
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM outbox WHERE sink = ?1 AND dead = 0 AND alert = 1)")?;
    for sink in sinks {
        if select.query_row([sink], |row| row.get(0))? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn backlog(database: &Connection) -> Result<Vec<Backlog>, Refused> {
    let mut select = database.prepare_cached(
        "SELECT sink, sum(iif(dead, 0, entries)), sum(iif(dead, 0, bytes)), sum(iif(dead, entries, 0)),
         (SELECT min(stored_at) FROM outbox WHERE seq IN (
            (SELECT min(seq) FROM outbox WHERE sink = all_sinks.sink AND dead = 0 AND alert = 0),
            (SELECT min(seq) FROM outbox WHERE sink = all_sinks.sink AND dead = 0 AND alert = 1)
         ))
         FROM (
            SELECT sink, dead, entries, bytes FROM outbox_sizes
            UNION ALL SELECT DISTINCT sink, 0, 0, 0 FROM outbox_losses
         ) AS all_sinks GROUP BY sink ORDER BY sink",
    )?;
    let rows = select.query_map((), |row| {
        let number = |index| row.get::<_, i64>(index).map(i64::unsigned_abs);
        Ok(Backlog {
            sink: row.get(0)?,
            waiting: number(1)?,
            bytes: number(2)?,
            dead: number(3)?,
            oldest: row.get(4)?,
            losses: Vec::new(),
        })
    })?;
    let mut sinks: Vec<Backlog> = rows.collect::<Result<_, _>>()?;
    let mut losses = database.prepare_cached(
        "SELECT cause, alert, entries FROM outbox_losses WHERE sink = ?1 ORDER BY cause, alert",
    )?;
    for sink in &mut sinks {
        let rows = losses.query_map([&sink.sink], |row| {
            let entries: i64 = row.get(2)?;
            Ok(Loss { cause: row.get(0)?, alerts: row.get(1)?, entries: entries.unsigned_abs() })
        })?;
        sink.losses = rows.collect::<Result<_, _>>()?;
    }
    Ok(sinks)
}
