//! What people are shown of the outbox, and what they may do with dead letters.

use rusqlite::{Connection, params};

use super::incidents::{self, Effect};
use super::queue::Rules;
use crate::history::error::Refused;

/// How long a dead letter that is brought back may be sent for at least, in milliseconds.
const SECOND_LIFE: i64 = 60 * 60 * 1000;

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
}

/// Entries that were lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// `expired`, `full` (there were too many) or `refused` (there were too many dead letters).
    pub cause: String,
    /// Alerts, not metrics.
    pub alerts: bool,
    /// How many, since the store was made.
    pub entries: u64,
}

/// What waits for one sink.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// Which dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All, or all of one sink.
    All {
        /// The sink.
        sink: Option<String>,
    },
    /// The one of this number.
    One(i64),
}

pub(super) fn list(
    database: &Connection,
    sink: Option<&str>,
    dead: bool,
    limit: usize,
) -> Result<Vec<Listed>, Refused> {
    let mut select = database.prepare_cached(
        "SELECT seq, sink, key, effect, notice, stored_at, expires_at, due_at, attempts, claim IS NOT NULL, reason
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
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn backlog(database: &Connection) -> Result<Vec<Backlog>, Refused> {
    let mut select = database.prepare_cached(
        "SELECT sink, sum(iif(dead, 0, entries)), sum(iif(dead, 0, bytes)), sum(iif(dead, entries, 0)),
         (SELECT min(stored_at) FROM outbox WHERE outbox.sink = all_sinks.sink AND dead = 0)
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

pub(super) fn revive(
    database: &Connection,
    rules: &Rules,
    which: &Which,
    now: i64,
) -> Result<usize, Refused> {
    let (sink, seq) = parts(which);
    let mut update = database.prepare_cached(
        "UPDATE outbox SET dead = 0, due_at = ?3, attempts = 0, sent = 0, expires_at = max(expires_at, ?4)
         WHERE dead = 1 AND (?1 IS NULL OR sink = ?1) AND (?2 IS NULL OR seq = ?2) RETURNING sink, key, effect <> 0",
    )?;
    let rows = update.query_map(params![sink, seq, now, now.saturating_add(SECOND_LIFE)], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    let revived: Vec<(String, String, bool)> = rows.collect::<Result<_, _>>()?;
    for (sink, key, alert) in &revived {
        if *alert {
            incidents::collapse(database, rules.collapse, sink, key, now)?;
        }
    }
    Ok(revived.len())
}

pub(super) fn delete(database: &Connection, which: &Which) -> Result<usize, Refused> {
    let (sink, seq) = parts(which);
    let mut delete = database.prepare_cached(
        "DELETE FROM outbox WHERE dead = 1 AND (?1 IS NULL OR sink = ?1) AND (?2 IS NULL OR seq = ?2)",
    )?;
    Ok(delete.execute(params![sink, seq])?)
}

fn parts(which: &Which) -> (Option<&str>, Option<i64>) {
    match which {
        Which::All { sink } => (sink.as_deref(), None),
        Which::One(seq) => (None, Some(*seq)),
    }
}
