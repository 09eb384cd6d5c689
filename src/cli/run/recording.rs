//! What history is told of a run, and what a run asks of it.
//!
//! Owns that history changes no verdict: whatever is wrong with it is a warning. Its file is never waited for while
//! tests run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::{Category, Diagnose, Failure};
use crate::history::{History, HistoryError, Recorder, RunEnd, RunStart, TestRecord};
use crate::redact::Redactor;
use crate::report::redaction::redact_cause;
use crate::results::{Cause, Outcome, TestResult};
use crate::runner::Sink;

/// A run that is being recorded.
pub(super) struct Recording {
    recorder: Option<Recorder>,
    redactor: Redactor,
}

/// How a run is known in history.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) run_id: String,
    /// What it is about.
    pub(super) subject: String,
    /// The engine, in words.
    pub(super) engine: String,
    /// The run of which it repeats a part.
    pub(super) parent: Option<String>,
    /// Names of its tests.
    pub(super) selected: Vec<String>,
}

impl Recording {
    /// Begins on a thread of its own, where the run has better things to do meanwhile.
    pub(super) fn begin_beside(state: PathBuf, known: Known, redactor: Redactor) -> Beginning {
        Beginning(tokio::task::spawn_blocking(move || {
            let history = History::open(&state)?;
            begin(history, &known, redactor)
        }))
    }

    /// Begins with a history that is open already.
    pub(super) async fn begin(history: History, known: Known, redactor: Redactor, sink: &Sink) -> Self {
        let empty = redactor.clone();
        let begun = tokio::task::spawn_blocking(move || begin(history, &known, redactor)).await;
        settle(begun, empty, |problem| sink.warn(problem))
    }

    /// Nothing is recorded.
    pub(super) fn none() -> Self {
        Self { recorder: None, redactor: Redactor::default() }
    }

    /// A test has come to its end. Its name in history is `known_as`.
    pub(super) fn test(&self, known_as: &str, result: &TestResult) {
        let Some(recorder) = &self.recorder else { return };
        let mut record = TestRecord::from(result);
        known_as.clone_into(&mut record.name);
        redact_cause(&mut record.cause, &self.redactor);
        recorder.test(record);
    }

    /// A test with this key has passed, or has not.
    pub(super) fn verdict(&self, key: String, known_as: &str, has_passed: bool) {
        match &self.recorder {
            Some(recorder) if has_passed => recorder.pass(key, known_as.to_owned()),
            Some(recorder) => recorder.forget_pass(key),
            None => {}
        }
    }

    /// The run is over. Says what is wrong with its record, if anything is.
    pub(super) async fn finish(self, end: RunEnd) -> Option<String> {
        let recorder = self.recorder?;
        let finished = tokio::task::spawn_blocking(move || recorder.finish(end)).await;
        finished.ok()?.err().map(unrecorded)
    }
}

/// A recording that is about to begin.
pub(super) struct Beginning(tokio::task::JoinHandle<Result<Recording, HistoryError>>);

impl Beginning {
    /// Waits until it has begun.
    pub(super) async fn begun(self, warn: impl FnOnce(String)) -> Recording {
        settle(self.0.await, Redactor::default(), warn)
    }
}

fn begin(mut history: History, known: &Known, redactor: Redactor) -> Result<Recording, HistoryError> {
    let started_at = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    history.begin_run(&RunStart {
        id: &known.run_id,
        subject: &known.subject,
        engine: &known.engine,
        version: env!("CARGO_PKG_VERSION"),
        started_at: &started_at,
        parent: known.parent.as_deref(),
        selected: &known.selected,
    })?;
    Ok(Recording { recorder: Some(Recorder::start(history, &known.run_id)?), redactor })
}

fn settle(
    begun: Result<Result<Recording, HistoryError>, tokio::task::JoinError>,
    redactor: Redactor,
    warn: impl FnOnce(String),
) -> Recording {
    match begun {
        Ok(Ok(recording)) => recording,
        Ok(Err(error)) => {
            warn(unrecorded(error));
            Recording { recorder: None, redactor }
        }
        Err(_) => Recording { recorder: None, redactor },
    }
}

/// What is said where a run is not recorded.
pub(super) fn unrecorded(error: HistoryError) -> String {
    let failure = Failure::from(error);
    let hint = failure.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("this run is not in the history: {}{hint}", failure.chain().join(": "))
}

/// `--rerun`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rerun {
    /// What still has to pass after the last run.
    Failed,
    /// What was flaky in it.
    Flaky,
    /// What still has to pass after the run of this id.
    Run(String),
}

impl Rerun {
    /// Reads the flag's value. A run's id is looked up later.
    pub(super) fn parse(text: &str) -> Self {
        match text {
            "failed" => Self::Failed,
            "flaky" => Self::Flaky,
            id => Self::Run(id.to_owned()),
        }
    }
}

/// There is nothing to run again.
#[derive(Debug, thiserror::Error)]
pub(super) enum RerunError {
    #[error("there is no run of {0} in the history")]
    NoRun(String),
    #[error("run {run} is of {subject}, and not of {wanted}")]
    OtherSubject { run: String, subject: String, wanted: String },
}

impl Diagnose for RerunError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some("`docker-test history` lists the runs that are known".to_owned())
    }
}

/// A run of which a part is repeated.
#[derive(Debug, Clone, Default)]
pub(super) struct Earlier {
    /// Its id.
    pub(super) run_id: String,
    /// The tests that are to run again.
    pub(super) tests: BTreeSet<String>,
    /// What still has to pass after it.
    pub(super) outstanding: BTreeSet<String>,
}

/// Finds what is to run again.
pub(super) fn earlier(history: &History, rerun: &Rerun, subject: &str) -> Result<Earlier, Failure> {
    let no_run = || RerunError::NoRun(subject.to_owned());
    let run = match rerun {
        Rerun::Failed | Rerun::Flaky => history.latest_run(subject)?.ok_or_else(no_run)?,
        Rerun::Run(id) => history.run(id)?,
    };
    if run.subject != subject {
        let (run, wanted) = (run.id, subject.to_owned());
        return Err(RerunError::OtherSubject { run, subject: run_subject(history, rerun)?, wanted }.into());
    }
    let outstanding: BTreeSet<String> = history.outstanding(&run.id)?.into_iter().collect();
    let tests = match rerun {
        Rerun::Flaky => history.flaky(&run.id)?.into_iter().collect(),
        Rerun::Failed | Rerun::Run(_) => outstanding.clone(),
    };
    Ok(Earlier { run_id: run.id, tests, outstanding })
}

fn run_subject(history: &History, rerun: &Rerun) -> Result<String, Failure> {
    Ok(match rerun {
        Rerun::Run(id) => history.run(id)?.subject,
        Rerun::Failed | Rerun::Flaky => String::new(),
    })
}

/// What still has to pass after a run: what was left before it, and what did not pass in it, by names in history.
pub(super) fn outstanding(
    before: BTreeSet<String>,
    results: &BTreeMap<String, Vec<(Outcome, bool)>>,
) -> Vec<String> {
    let mut left = before;
    for (name, outcomes) in results {
        let passed = outcomes.iter().all(|(_, has_passed)| *has_passed);
        if passed {
            left.remove(name);
        } else {
            left.insert(name.clone());
        }
    }
    left.into_iter().collect()
}

/// Whether a result leaves nothing to be done.
pub(super) fn has_passed(result: &TestResult, exit_is_good: bool) -> bool {
    match result.outcome {
        Outcome::Passed | Outcome::Flaky => exit_is_good,
        Outcome::Skipped => matches!(result.cause, Some(Cause::Cached { .. })),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_was_left_and_did_not_pass_since() {
        let before = BTreeSet::from(["a".to_owned(), "b".to_owned(), "c".to_owned()]);
        let results = BTreeMap::from([
            ("a".to_owned(), vec![(Outcome::Passed, true)]),
            ("b".to_owned(), vec![(Outcome::Passed, true), (Outcome::Failed, false)]),
            ("d".to_owned(), vec![(Outcome::TimedOut, false)]),
        ]);
        assert_eq!(outstanding(before, &results), ["b", "c", "d"]);
    }

    #[test]
    fn a_rerun_names_what_is_run_again() {
        assert_eq!(Rerun::parse("failed"), Rerun::Failed);
        assert_eq!(Rerun::parse("flaky"), Rerun::Flaky);
        assert_eq!(Rerun::parse("6b0147d2"), Rerun::Run("6b0147d2".to_owned()));
    }
}
