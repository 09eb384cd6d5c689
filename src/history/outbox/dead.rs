//! Dead letters: what a sink refused for good, until somebody brings it back or deletes it.
//!
//! Owns which of them may come back. An incident that has ended is not opened again, and one that was opened again is not
//! closed: what a later alert of the same key contradicts stays where it is. What is told again and again to a sink that
//! refuses it is one dead letter.

use rusqlite::{Connection, params};

use super::incidents::{self, Effect};
use super::queue::Rules;
use crate::history::error::Refused;

/// How long a dead letter that is brought back may be sent for at least, in milliseconds.
const SECOND_LIFE: i64 = 60 * 60 * 1000;

/// The step to a form where dead letters know that they are outdated. Of those that are there it is found out by what
/// still lies there beside them.
pub(in crate::history) const MIGRATION: &str = "
    ALTER TABLE outbox ADD COLUMN outdated INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX outbox_dead_by_key ON outbox (sink, key, seq) WHERE dead = 1;
    UPDATE outbox SET outdated = 1 WHERE dead = 1 AND effect <> 0 AND EXISTS (
        SELECT 1 FROM outbox AS later
        WHERE later.sink = outbox.sink AND later.key = outbox.key AND later.seq > outbox.seq
        AND later.effect NOT IN (0, outbox.effect)
    );";

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

/// What became of dead letters that were to be brought back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Revived {
    /// How many are sent again.
    pub entries: usize,
    /// How many stay, because a later alert of their key says otherwise.
    pub outdated: usize,
}

/// Notes that dead letters of a key are outdated by an alert that is stored now.
pub(super) fn contradicted(
    database: &Connection,
    sink: &str,
    key: &str,
    effect: Option<Effect>,
) -> Result<(), Refused> {
    database
        .prepare_cached(
            "UPDATE outbox SET outdated = 1 WHERE sink = ?1 AND key = ?2 AND dead = 1 AND effect NOT IN (0, ?3)",
        )?
        .execute(params![sink, key, Effect::number(effect)])?;
    Ok(())
}

/// Notes that an alert is a dead letter now. It takes the place of those that said the same of its incident, and is outdated
/// where one that was stored after it waits already.
pub(super) fn died(
    database: &Connection,
    seq: i64,
    sink: &str,
    key: &str,
    effect: Option<Effect>,
) -> Result<(), Refused> {
    database
        .prepare_cached(
            "DELETE FROM outbox WHERE sink = ?1 AND key = ?2 AND dead = 1 AND effect = ?3 AND seq < ?4",
        )?
        .execute(params![sink, key, Effect::number(effect), seq])?;
    database
        .prepare_cached(
            "UPDATE outbox SET outdated = 1 WHERE seq = ?1 AND EXISTS (
                SELECT 1 FROM outbox AS later
                WHERE later.sink = ?2 AND later.key = ?3 AND later.dead = 0 AND later.seq > ?1
                AND later.effect NOT IN (0, ?4)
             )",
        )?
        .execute(params![seq, sink, key, Effect::number(effect)])?;
    Ok(())
}

/// Removes what a sink refused before of an incident that it has heard of now. What is outdated stays: it was of another
/// one, which it has never heard of.
pub(super) fn arrived(
    database: &Connection,
    seq: i64,
    sink: &str,
    key: &str,
    effect: Effect,
) -> Result<(), Refused> {
    database
        .prepare_cached(
            "DELETE FROM outbox
             WHERE sink = ?1 AND key = ?2 AND dead = 1 AND effect = ?3 AND seq < ?4 AND outdated = 0",
        )?
        .execute(params![sink, key, Effect::number(Some(effect)), seq])?;
    Ok(())
}

pub(super) fn revive(
    database: &Connection,
    rules: &Rules,
    which: &Which,
    now: i64,
) -> Result<Revived, Refused> {
    let (sink, seq) = parts(which);
    let outdated: i64 = database
        .prepare_cached(
            "SELECT count(*) FROM outbox
             WHERE dead = 1 AND outdated = 1 AND (?1 IS NULL OR sink = ?1) AND (?2 IS NULL OR seq = ?2)",
        )?
        .query_row(params![sink, seq], |row| row.get(0))?;
    let mut update = database.prepare_cached(
        "UPDATE outbox SET dead = 0, due_at = ?3, attempts = 0, sent = 0, expires_at = max(expires_at, ?4)
         WHERE dead = 1 AND outdated = 0 AND (?1 IS NULL OR sink = ?1) AND (?2 IS NULL OR seq = ?2)
         RETURNING sink, key, effect <> 0",
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
    Ok(Revived { entries: revived.len(), outdated: usize::try_from(outdated).unwrap_or_default() })
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
