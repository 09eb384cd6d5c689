//! Runs as they are read again: newest first, by id or the beginning of one, with their tests.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row};

use super::error::Refused;
use super::outcome::{Verdict, verdict};
use super::record::{AttemptRecord, Run, TestRecord};
use super::{History, HistoryError};
use crate::results::Outcome;

/// How many runs an ambiguous id names.
const CANDIDATES: i64 = 5;

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Its id.
    pub id: String,
    /// What it was about.
    pub subject: String,
    /// The engine, in words.
    pub engine: String,
    /// Version of docker-test.
    pub version: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// The run that it repeated a part of.
    pub parent: Option<String>,
    /// How many tests it was to run.
    pub selected: u64,
    /// Its outcome. None where it has not ended: it still runs, or was killed.
    pub outcome: Option<Outcome>,
    /// What the process ended with.
    pub exit_code: Option<u8>,
    /// Its duration in seconds.
    pub seconds: Option<f64>,
    /// What became of its tests.
    pub counts: OutcomeCounts,
}

/// How many tests came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutcomeCounts {
    /// Passed at once.
    pub passed: u64,
    /// Did not pass, for whatever reason.
    pub failed: u64,
    /// Passed on a later attempt.
    pub flaky: u64,
    /// Were not run, on purpose.
    pub skipped: u64,
}

impl OutcomeCounts {
    fn add(&mut self, outcome: Outcome, number: u64) {
        let place = match verdict(outcome) {
            Verdict::Passed => &mut self.passed,
            Verdict::Flaky => &mut self.flaky,
            Verdict::None if outcome == Outcome::Skipped => &mut self.skipped,
            Verdict::Failed | Verdict::None => &mut self.failed,
        };
        *place += number;
    }
}

const COLUMNS: &str = "runs.id, subjects.name, engine, version, started_at, parent, selected, outcome, exit_code, \
                       seconds, seq FROM runs JOIN subjects ON subjects.id = runs.subject";

impl History {
    /// The newest runs, of one subject or of all, newest first.
    pub fn runs(&self, subject: Option<&str>, limit: usize) -> Result<Vec<RunRow>, HistoryError> {
        self.read(|database| newest(database, subject, limit))
    }

    /// The newest run of a subject, also where it has not ended.
    pub fn latest_run(&self, subject: &str) -> Result<Option<RunRow>, HistoryError> {
        self.read(|database| Ok(newest(database, Some(subject), 1)?.pop()))
    }

    /// The run with this id, or the only one whose id begins so.
    pub fn run(&self, id: &str) -> Result<RunRow, HistoryError> {
        self.read(|database| {
            let sql = format!("SELECT {COLUMNS} WHERE runs.id = ?1");
            if let Some(found) = database.query_row(&sql, [id], row_of_run).optional()? {
                return counted(database, found);
            }
            let sql = format!(
                "SELECT {COLUMNS} WHERE substr(runs.id, 1, length(?1)) = ?1 ORDER BY seq DESC LIMIT ?2"
            );
            let mut select = database.prepare(&sql)?;
            let rows = select.query_map((id, CANDIDATES), row_of_run)?;
            let mut found: Vec<_> = rows.collect::<Result<_, _>>()?;
            match (id, found.len()) {
                ("", _) | (_, 0) => Err(Refused::NoRun(id.to_owned())),
                (_, 1) => found
                    .pop()
                    .map_or_else(|| Err(Refused::NoRun(id.to_owned())), |found| counted(database, found)),
                _ => Err(Refused::Ambiguous {
                    prefix: id.to_owned(),
                    runs: found.into_iter().map(|(run, _)| run.id).collect(),
                }),
            }
        })
    }

    /// The tests of a run, in the order in which they were recorded.
    pub fn tests_of(&self, run_id: &str) -> Result<Vec<TestRecord>, HistoryError> {
        self.read(|database| {
            let run = Run::find(database, run_id)?.seq;
            let mut attempts = attempts(database, run)?;
            let mut select = database.prepare(
                "SELECT id, name, image, image_id, type, outcome, cause, seconds, slot FROM tests
                 WHERE run = ?1 ORDER BY id",
            )?;
            let rows = select.query_map([run], |row| {
                let id: i64 = row.get(0)?;
                let cause: Option<String> = row.get(6)?;
                Ok(TestRecord {
                    name: row.get(1)?,
                    image: row.get(2)?,
                    image_id: row.get(3)?,
                    test_type: row.get(4)?,
                    outcome: row.get(5)?,
                    cause: cause.and_then(|text| serde_json::from_str(&text).ok()),
                    seconds: row.get(7)?,
                    slot: row.get(8)?,
                    attempts: attempts.remove(&id).unwrap_or_default(),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Names of the tests that still had to pass when the run ended, or that had not passed yet where it did not end.
    pub fn outstanding(&self, run_id: &str) -> Result<Vec<String>, HistoryError> {
        self.names(run_id, "SELECT name FROM outstanding WHERE run = ?1 ORDER BY position")
    }

    /// Names of the tests that were flaky in the run.
    pub fn flaky(&self, run_id: &str) -> Result<Vec<String>, HistoryError> {
        self.names(
            run_id,
            "SELECT name FROM tests WHERE run = ?1 AND outcome = 'flaky' GROUP BY name ORDER BY min(id)",
        )
    }

    fn names(&self, run_id: &str, sql: &str) -> Result<Vec<String>, HistoryError> {
        self.read(|database| {
            let run = Run::find(database, run_id)?.seq;
            let mut select = database.prepare(sql)?;
            let names = select.query_map([run], |row| row.get(0))?;
            Ok(names.collect::<Result<_, _>>()?)
        })
    }
}

fn newest(database: &Connection, subject: Option<&str>, limit: usize) -> Result<Vec<RunRow>, Refused> {
    let sql = format!("SELECT {COLUMNS} WHERE ?1 IS NULL OR subjects.name = ?1 ORDER BY seq DESC LIMIT ?2");
    let mut select = database.prepare(&sql)?;
    let rows = select.query_map((subject, i64::try_from(limit).unwrap_or(i64::MAX)), row_of_run)?;
    rows.map(|found| counted(database, found?)).collect()
}

/// A run without its counts, and its number.
fn row_of_run(row: &Row<'_>) -> rusqlite::Result<(RunRow, i64)> {
    let selected: i64 = row.get(6)?;
    let run = RunRow {
        id: row.get(0)?,
        subject: row.get(1)?,
        engine: row.get(2)?,
        version: row.get(3)?,
        started_at: row.get(4)?,
        parent: row.get(5)?,
        selected: selected.unsigned_abs(),
        outcome: row.get(7)?,
        exit_code: row.get(8)?,
        seconds: row.get(9)?,
        counts: OutcomeCounts::default(),
    };
    Ok((run, row.get(10)?))
}

fn counted(database: &Connection, (mut run, seq): (RunRow, i64)) -> Result<RunRow, Refused> {
    let mut select =
        database.prepare("SELECT outcome, count(*) FROM tests WHERE run = ?1 GROUP BY outcome")?;
    let mut rows = select.query([seq])?;
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(1)?;
        run.counts.add(row.get(0)?, number.unsigned_abs());
    }
    Ok(run)
}

/// The attempts of a run's tests, by test.
fn attempts(database: &Connection, run: i64) -> Result<HashMap<i64, Vec<AttemptRecord>>, Refused> {
    let mut select = database.prepare(
        "SELECT test, number, attempts.outcome, attempts.seconds, started_at
         FROM tests JOIN attempts ON test = id WHERE run = ?1 ORDER BY test, number",
    )?;
    let mut rows = select.query([run])?;
    let mut attempts: HashMap<i64, Vec<AttemptRecord>> = HashMap::new();
    while let Some(row) = rows.next()? {
        attempts.entry(row.get(0)?).or_default().push(AttemptRecord {
            number: row.get(1)?,
            outcome: row.get(2)?,
            seconds: row.get(3)?,
            started_at: row.get(4)?,
        });
    }
    Ok(attempts)
}
