//! What a daemon remembers beside the state of probes: texts by kind and name.
//!
//! Owns the table. What a text says is not known here.

use rusqlite::{Connection, params};

use crate::history::error::Refused;

/// The step to a form with memos.
pub(in crate::history) const MIGRATION: &str = "
    CREATE TABLE memos (
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (kind, name)
    ) STRICT, WITHOUT ROWID;";

/// A text that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memo {
    /// What it is about: `progress`, `silence`.
    pub kind: &'static str,
    /// Which one. One kind has one memo of a name.
    pub name: String,
    /// The text.
    pub text: String,
}

pub(super) fn remember(database: &Connection, memo: &Memo) -> Result<(), Refused> {
    database
        .prepare_cached(
            "INSERT INTO memos VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET text = excluded.text",
        )?
        .execute(params![memo.kind, memo.name, memo.text])?;
    Ok(())
}

pub(super) fn forget(database: &Connection, kind: &str, name: &str) -> Result<bool, Refused> {
    let mut delete = database.prepare_cached("DELETE FROM memos WHERE kind = ?1 AND name = ?2")?;
    Ok(delete.execute([kind, name])? > 0)
}

pub(super) fn list(database: &Connection, kind: &'static str) -> Result<Vec<Memo>, Refused> {
    let mut select = database.prepare_cached("SELECT name, text FROM memos WHERE kind = ?1 ORDER BY name")?;
    let rows = select.query_map([kind], |row| Ok(Memo { kind, name: row.get(0)?, text: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
