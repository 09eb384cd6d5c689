//! Entries on their way: who has them, until when, and what became of them.
//!
//! Owns the claim. It bears a name that is used once, so that a sender whose claim has run out changes nothing any more.
//! An alert that is claimed counts as one that may have arrived until its sender says that it surely has not.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::dead;
use super::incidents::{self, Effect};
use super::queue::{self, Rules};
use super::untold;
use crate::history::error::Refused;

/// No claim is longer, in milliseconds: one that ends later was made by a clock that was wrong.
pub const MAX_LEASE: i64 = 10 * 60 * 1000;

/// Nothing is put off for longer, in milliseconds: what is due later was put off by a clock that was wrong.
pub const MAX_DELAY: i64 = 60 * 60 * 1000;

/// A request for entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Of which sink.
    pub sink: String,
    /// A name that was never used before.
    pub name: String,
    /// How many at most.
    pub limit: usize,
    /// The time, in Unix milliseconds.
    pub now: i64,
    /// When others may take them, in Unix milliseconds; at most [`MAX_LEASE`] from now.
    pub until: i64,
}

/// What there was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claimed {
    /// The entries that are the caller's now.
    pub entries: Vec<Settled>,
    /// Entries of the sink that wait, those of this claim and of others among them.
    pub waiting: u64,
    /// When there may be something to claim that is not due now, in Unix milliseconds.
    pub next_due: Option<i64>,
    /// Entries of any sink that have expired and were removed: metrics, alerts.
    pub expired: (u64, u64),
}

/// A claimed entry, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Its number.
    pub seq: i64,
    /// Name of the claim.
    pub claim: String,
    /// Its sink.
    pub sink: String,
    /// Its key.
    pub key: String,
    /// What it does.
    pub effect: Option<Effect>,
    /// The text.
    pub notice: String,
    /// It repeats what may have been told before.
    pub reminder: bool,
    /// Attempts, with the one that this claim is for.
    pub attempts: u32,
    /// How many of its transmissions have arrived in earlier attempts.
    pub sent: u32,
    /// An earlier attempt may have arrived.
    pub exposed: bool,
    /// What became of it. Until its sender says so, its claim runs out and nothing is known.
    pub outcome: Outcome,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its sink has it.
    Arrived,
    /// It is to be tried again.
    Later {
        /// Not before this, in Unix milliseconds.
        due_at: i64,
        /// Why.
        reason: String,
        /// How many of its transmissions have arrived.
        sent: u32,
        /// It surely has not arrived, nor any part of it.
        unseen: bool,
    },
    /// It was not tried.
    Unsent {
        /// Not before this, in Unix milliseconds.
        due_at: i64,
    },
    /// It will never be taken: it becomes a dead letter.
    Refused {
        /// Why.
        reason: String,
    },
}

pub(super) fn claim(database: &Connection, rules: &Rules, claim: &Claim) -> Result<Claimed, Refused> {
    let expired = expire(database, rules, claim.now)?;
    let waiting = waiting(database, &claim.sink)?;
    let mut claimed = Claimed { entries: Vec::new(), waiting, next_due: None, expired };
    if waiting == 0 || claim.limit == 0 {
        return Ok(claimed);
    }
    for alerts in [true, false] {
        let due = due(database, claim, alerts, claim.limit - claimed.entries.len())?;
        claimed.entries.extend(due);
    }
    let mut update = database.prepare_cached(
        "UPDATE outbox SET claim = ?2, claimed_until = ?3, attempts = ?4, exposed = 1 WHERE seq = ?1",
    )?;
    for entry in &claimed.entries {
        update.execute(params![entry.seq, claim.name, claim.until, entry.attempts])?;
    }
    if claimed.entries.len() < claim.limit {
        let mut select = database.prepare_cached(
            "SELECT min(max(due_at, coalesce(claimed_until, 0))) FROM outbox
             WHERE sink = ?1 AND dead = 0 AND max(due_at, coalesce(claimed_until, 0)) > ?2",
        )?;
        claimed.next_due = select.query_row(params![claim.sink, claim.now], |row| row.get(0))?;
    }
    Ok(claimed)
}

/// How many entries of a sink wait.
pub(super) fn waiting(database: &Connection, sink: &str) -> Result<u64, Refused> {
    let waiting: Option<i64> = database
        .prepare_cached("SELECT entries FROM outbox_sizes WHERE sink = ?1 AND dead = 0")?
        .query_row([sink], |row| row.get(0))
        .optional()?;
    Ok(waiting.unwrap_or_default().unsigned_abs())
}

/// The oldest entries of each key that nobody has, alerts or metrics.
fn due(database: &Connection, claim: &Claim, alerts: bool, limit: usize) -> Result<Vec<Settled>, Refused> {
    let mut select = database.prepare_cached(
        "SELECT seq, key, effect, notice, reminder, attempts, sent, exposed FROM outbox AS entry
         WHERE sink = ?1 AND dead = 0 AND alert = ?6 AND (due_at <= ?2 OR due_at > ?2 + ?3)
         AND (claim IS NULL OR claimed_until <= ?2 OR claimed_until > ?2 + ?4)
         AND NOT EXISTS (
            SELECT 1 FROM outbox AS earlier
            WHERE earlier.sink = ?1 AND earlier.key = entry.key AND earlier.dead = 0 AND earlier.seq < entry.seq
         ) ORDER BY seq LIMIT ?5",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let parameters = params![claim.sink, claim.now, MAX_DELAY, MAX_LEASE, limit, alerts];
    let rows = select.query_map(parameters, |row| {
        Ok(Settled {
            seq: row.get(0)?,
            claim: claim.name.clone(),
            sink: claim.sink.clone(),
            key: row.get(1)?,
            effect: Effect::of_number(row.get(2)?),
            notice: row.get(3)?,
            reminder: row.get(4)?,
            attempts: row.get::<_, u32>(5)?.saturating_add(1),
            sent: row.get(6)?,
            exposed: row.get(7)?,
            outcome: Outcome::Unsent { due_at: claim.now },
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Removes what is of no use any more, whatever its sink. What is on its way is left to its sender.
fn expire(database: &Connection, rules: &Rules, now: i64) -> Result<(u64, u64), Refused> {
    let mut delete = database.prepare_cached(
        "DELETE FROM outbox WHERE dead = 0 AND expires_at <= ?1 AND (claim IS NULL OR claimed_until <= ?1)
         RETURNING sink, key, effect, exposed",
    )?;
    let rows = delete.query_map([now], |row| {
        Ok((row.get(0)?, row.get(1)?, Effect::of_number(row.get(2)?), row.get(3)?))
    })?;
    let gone: Vec<(String, String, Option<Effect>, bool)> = rows.collect::<Result<_, _>>()?;
    let mut expired = (0, 0);
    for (sink, key, effect, exposed) in &gone {
        queue::count_loss(database, sink, "expired", effect.is_some(), 1)?;
        incidents::left(database, sink, key, *effect, *exposed, now)?;
        if effect.is_some() { expired.1 += 1 } else { expired.0 += 1 }
    }
    let sinks: BTreeSet<&String> = gone.iter().map(|gone| &gone.0).collect();
    for sink in sinks {
        incidents::forget_oldest(database, sink)?;
    }
    let keys: BTreeSet<(&String, &String)> =
        gone.iter().filter(|gone| gone.2.is_some()).map(|gone| (&gone.0, &gone.1)).collect();
    for (sink, key) in keys {
        incidents::collapse(database, rules.collapse, sink, key, now)?;
    }
    Ok(expired)
}

pub(super) fn settle(
    database: &Connection,
    rules: &Rules,
    settled: &[Settled],
    now: i64,
) -> Result<(), Refused> {
    let mut opening = BTreeSet::new();
    for entry in settled {
        if settle_one(database, entry, now)? {
            if entry.effect == Some(Effect::Trigger) {
                opening.insert(entry.sink.as_str());
            }
            match entry.outcome {
                Outcome::Refused { .. } => queue::bury(database, &rules.limits, &entry.sink)?,
                Outcome::Later { .. } | Outcome::Unsent { .. } if entry.effect.is_some() => {
                    incidents::collapse(database, rules.collapse, &entry.sink, &entry.key, now)?;
                }
                Outcome::Arrived | Outcome::Later { .. } | Outcome::Unsent { .. } => {}
            }
        }
    }
    opening.into_iter().try_for_each(|sink| incidents::forget_oldest(database, sink))
}

/// Whether the claim still held.
fn settle_one(database: &Connection, entry: &Settled, now: i64) -> Result<bool, Refused> {
    let changed = match &entry.outcome {
        Outcome::Arrived => database
            .prepare_cached("DELETE FROM outbox WHERE seq = ?1 AND claim = ?2")?
            .execute(params![entry.seq, entry.claim])?,
        Outcome::Later { due_at, reason, sent, unseen } => database
            .prepare_cached(
                "UPDATE outbox SET claim = NULL, claimed_until = NULL, due_at = ?3, reason = ?4, sent = ?5, exposed = ?6
                 WHERE seq = ?1 AND claim = ?2",
            )?
            .execute(params![entry.seq, entry.claim, due_at, reason, sent, entry.exposed || !unseen])?,
        Outcome::Unsent { due_at } => database
            .prepare_cached(
                "UPDATE outbox SET claim = NULL, claimed_until = NULL, due_at = ?3, attempts = ?4, exposed = ?5
                 WHERE seq = ?1 AND claim = ?2",
            )?
            .execute(params![
                entry.seq,
                entry.claim,
                due_at,
                entry.attempts.saturating_sub(1),
                entry.exposed
            ])?,
        Outcome::Refused { reason } => database
            .prepare_cached(
                "UPDATE outbox SET claim = NULL, claimed_until = NULL, dead = 1, reason = ?3
                 WHERE seq = ?1 AND claim = ?2",
            )?
            .execute(params![entry.seq, entry.claim, reason])?,
    };
    if changed == 0 {
        return Ok(false);
    }
    match (&entry.outcome, entry.effect) {
        (Outcome::Arrived, Some(effect)) => {
            match effect {
                Effect::Trigger => {
                    incidents::opened(database, &entry.sink, &entry.key, now)?;
                    untold::told(database, &entry.sink, &entry.key)?;
                }
                Effect::Resolve => incidents::closed(database, &entry.sink, &entry.key)?,
            }
            dead::arrived(database, entry.seq, &entry.sink, &entry.key, effect)?;
        }
        // Only an earlier attempt of what was refused can have arrived.
        (Outcome::Refused { .. }, effect) => {
            incidents::left(database, &entry.sink, &entry.key, effect, entry.exposed, now)?;
            if effect.is_some() {
                dead::died(database, entry.seq, &entry.sink, &entry.key, effect)?;
            }
        }
        _ => {}
    }
    Ok(true)
}
