//! What is written down about a run and its tests, and the writing of it.
//!
//! Owns which tests are outstanding while the run lives, so that one that was killed can be gone on with.

use rusqlite::{Connection, OptionalExtension, Statement};

use super::durations::Durations;
use super::error::Refused;
use super::outcome::{Verdict, verdict};
use super::{History, HistoryError, retention};
use crate::results::{Attempt, Cause, Outcome, TestResult};

/// Characters of a text in a cause: what an engine said, with the command in it.
const CAUSE_TEXT: usize = 1000;

/// A run that begins.
#[derive(Debug, Clone, Copy)]
pub struct RunStart<'a> {
    /// Its id, which no other run has.
    pub id: &'a str,
    /// What it is about: [`super::of_suite`] or [`super::of_images`].
    pub subject: &'a str,
    /// The engine, in words.
    pub engine: &'a str,
    /// Version of docker-test.
    pub version: &'a str,
    /// RFC 3339, UTC.
    pub started_at: &'a str,
    /// The run that it repeats a part of.
    pub parent: Option<&'a str>,
    /// Names of the tests that it is to run. They are outstanding until they pass.
    pub selected: &'a [String],
}

/// A run that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEnd {
    /// Its outcome.
    pub outcome: Outcome,
    /// What the process exits with.
    pub exit_code: u8,
    /// Duration in seconds.
    pub seconds: f64,
    /// Names of the tests that still have to pass, in their order. Takes the place of what was noted meanwhile.
    pub outstanding: Vec<String>,
}

/// What is kept of a test in a run.
#[derive(Debug, Clone, PartialEq)]
pub struct TestRecord {
    /// Name of the test.
    pub name: String,
    /// The image under test, as written.
    pub image: String,
    /// Its id.
    pub image_id: String,
    /// `test.type`.
    pub test_type: String,
    /// The verdict.
    pub outcome: Outcome,
    /// Why it did not simply pass, without the output that the cause quotes.
    pub cause: Option<Cause>,
    /// Seconds of all attempts together.
    pub seconds: f64,
    /// The slot of the last attempt.
    pub slot: Option<u32>,
    /// Every attempt, in order.
    pub attempts: Vec<AttemptRecord>,
}

/// What is kept of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRecord {
    /// Counted from 1.
    pub number: u32,
    /// Its own outcome.
    pub outcome: Outcome,
    /// How long the container ran, in seconds.
    pub seconds: f64,
    /// When the container was started, RFC 3339, UTC.
    pub started_at: Option<String>,
}

impl From<&TestResult> for TestRecord {
    fn from(test: &TestResult) -> Self {
        Self {
            name: test.name.clone(),
            image: test.image.clone(),
            image_id: test.image_id.clone(),
            test_type: test.test_type.clone(),
            outcome: test.outcome,
            cause: test.cause.as_ref().map(in_short),
            seconds: test.attempts.iter().map(|attempt| attempt.seconds).fold(0.0, |sum, more| sum + more),
            slot: test.last_attempt().and_then(|attempt| attempt.slot),
            attempts: test.attempts.iter().map(AttemptRecord::from).collect(),
        }
    }
}

impl From<&Attempt> for AttemptRecord {
    fn from(attempt: &Attempt) -> Self {
        Self {
            number: attempt.number,
            outcome: attempt.outcome,
            seconds: attempt.seconds,
            started_at: attempt.started_at.clone(),
        }
    }
}

/// The cause without output, and with messages of some length.
fn in_short(cause: &Cause) -> Cause {
    let mut cause = cause.clone();
    match &mut cause {
        Cause::DependencyFailed { message, log_tail, .. } => {
            log_tail.clear();
            shorten(message);
        }
        Cause::CommandNotFound { message }
        | Cause::CommandNotExecutable { message }
        | Cause::NotStarted { message }
        | Cause::EngineLost { message }
        | Cause::ResultsIncomplete { message }
        | Cause::NotRun { reason: message } => shorten(message),
        Cause::ExitCode { .. }
        | Cause::KilledBySignal { .. }
        | Cause::FailedCases { .. }
        | Cause::NoTests
        | Cause::UnreadableReport { .. }
        | Cause::OutOfMemory { .. }
        | Cause::Timeout { .. }
        | Cause::RunTimeout { .. }
        | Cause::ContainerRemoved
        | Cause::Interrupted { .. }
        | Cause::Cached { .. }
        | Cause::ResultsLimit { .. } => {}
    }
    cause
}

fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(CAUSE_TEXT) {
        text.truncate(end);
        text.push('…');
    }
}

impl History {
    /// Notes a run that begins.
    pub fn begin_run(&mut self, run: &RunStart<'_>) -> Result<(), HistoryError> {
        self.write("add a run to", |database| {
            database.execute("INSERT OR IGNORE INTO subjects (name) VALUES (?1)", [run.subject])?;
            let selected = i64::try_from(run.selected.len()).unwrap_or(i64::MAX);
            database.execute(
                "INSERT INTO runs (id, subject, engine, version, started_at, parent, selected)
                 SELECT ?1, id, ?3, ?4, ?5, ?6, ?7 FROM subjects WHERE name = ?2",
                (run.id, run.subject, run.engine, run.version, run.started_at, run.parent, selected),
            )?;
            owe(database, database.last_insert_rowid(), run.selected)
        })
    }

    /// Notes what became of a test. It is outstanding until it passes.
    pub fn record_test(&mut self, run_id: &str, test: &TestRecord) -> Result<(), HistoryError> {
        self.write("add a test to", |database| Tests::of(database, run_id)?.add(test))
    }

    /// Notes the end of a run, and forgets runs beyond the limits of [`super::retention`].
    pub fn finish_run(&mut self, run_id: &str, end: &RunEnd) -> Result<(), HistoryError> {
        self.write("end a run in", |database| finish(database, run_id, end))
    }
}

/// Notes the end of a run.
pub(super) fn finish(database: &Connection, run_id: &str, end: &RunEnd) -> Result<(), Refused> {
    let run = Run::find(database, run_id)?.seq;
    database.execute(
        "UPDATE runs SET outcome = ?2, exit_code = ?3, seconds = ?4 WHERE seq = ?1",
        (run, end.outcome, end.exit_code, end.seconds),
    )?;
    database.execute("DELETE FROM outstanding WHERE run = ?1", [run])?;
    owe(database, run, &end.outstanding)?;
    retention::apply(database, retention::LIMITS)
}

/// Adds tests that still have to pass.
fn owe(database: &Connection, run: i64, names: &[String]) -> Result<(), Refused> {
    let mut insert =
        database.prepare("INSERT OR IGNORE INTO outstanding (run, name, position) VALUES (?1, ?2, ?3)")?;
    for (position, name) in (0_i64..).zip(names) {
        insert.execute((run, name, position))?;
    }
    Ok(())
}

/// A run in the database.
pub(super) struct Run {
    pub(super) seq: i64,
    pub(super) subject: i64,
}

impl Run {
    pub(super) fn find(database: &Connection, id: &str) -> Result<Self, Refused> {
        let found = database
            .query_row("SELECT seq, subject FROM runs WHERE id = ?1", [id], |row| {
                Ok(Self { seq: row.get(0)?, subject: row.get(1)? })
            })
            .optional()?;
        found.ok_or_else(|| Refused::NoRun(id.to_owned()))
    }
}

/// Statements that add tests to a run, prepared once for many.
pub(super) struct Tests<'a> {
    database: &'a Connection,
    run: Run,
    test: Statement<'a>,
    attempt: Statement<'a>,
    pass: Statement<'a>,
    fail: Statement<'a>,
    durations: Durations<'a>,
}

impl<'a> Tests<'a> {
    pub(super) fn of(database: &'a Connection, run_id: &str) -> Result<Self, Refused> {
        Ok(Self {
            database,
            run: Run::find(database, run_id)?,
            test: database.prepare(
                "INSERT INTO tests (run, name, image, image_id, type, outcome, cause, seconds, slot)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?,
            attempt: database.prepare(
                "INSERT OR REPLACE INTO attempts (test, number, outcome, seconds, started_at)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            pass: database.prepare("DELETE FROM outstanding WHERE run = ?1 AND name = ?2")?,
            // One that passed in an earlier round goes to the end.
            fail: database.prepare(
                "INSERT OR IGNORE INTO outstanding (run, name, position)
                 VALUES (?1, ?2, (SELECT coalesce(max(position), -1) + 1 FROM outstanding WHERE run = ?1))",
            )?,
            durations: Durations::prepare(database)?,
        })
    }

    pub(super) fn add(&mut self, test: &TestRecord) -> Result<(), Refused> {
        let run = self.run.seq;
        // What cannot be written is left out rather than the test.
        let cause = test.cause.as_ref().and_then(|cause| serde_json::to_string(cause).ok());
        let (name, outcome, seconds) = (&test.name, test.outcome, finite(test.seconds));
        self.test.execute((
            run,
            name,
            &test.image,
            &test.image_id,
            &test.test_type,
            outcome,
            cause,
            seconds,
            test.slot,
        ))?;
        let id = self.database.last_insert_rowid();
        for attempt in &test.attempts {
            let seconds = finite(attempt.seconds);
            self.attempt.execute((id, attempt.number, attempt.outcome, seconds, &attempt.started_at))?;
        }
        match verdict(outcome) {
            Verdict::Passed | Verdict::Flaky => self.pass.execute((run, name))?,
            Verdict::Failed => self.fail.execute((run, name))?,
            Verdict::None => 0,
        };
        self.durations.add(&self.run, test)
    }
}

/// SQLite takes NaN for null.
fn finite(seconds: f64) -> f64 {
    if seconds.is_finite() { seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_output_is_kept_of_a_cause_and_no_endless_message() {
        let cause = Cause::DependencyFailed {
            service: "db".to_owned(),
            message: "é".repeat(5000),
            log_tail: "password=hunter2hunter2".to_owned(),
        };
        let Cause::DependencyFailed { service, message, log_tail } = in_short(&cause) else {
            panic!("another cause");
        };
        assert_eq!((service.as_str(), log_tail.as_str()), ("db", ""));
        assert_eq!(message.chars().count(), CAUSE_TEXT + 1);
        assert!(message.ends_with('…'));
    }
}
