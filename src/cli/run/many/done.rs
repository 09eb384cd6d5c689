//! What a run of many has come to, before it is told.
//!
//! Owns the exit code of the run, and that files are in their place where it says so.

use std::collections::BTreeMap;

use super::super::super::terminal::StdoutError;
use super::super::conclude;
use super::super::recording::{self, Earlier};
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::results::directory::{Committed, ResultsDirectory};
use crate::results::{Cause, Outcome, ServiceResult, TestResult, worst_outcome};
use crate::runner::Sink;
use crate::runner::suite::Ended;
use crate::signal;

/// What a run has come to.
pub(super) struct Done {
    pub(super) tests: Vec<TestResult>,
    pub(super) services: Vec<ServiceResult>,
    pub(super) exit: ExitCode,
    pub(super) kept: Vec<String>,
    pub(super) failures: Vec<Failure>,
    /// By names in history: the outcome, and whether it leaves nothing to be done.
    verdicts: BTreeMap<String, Vec<(Outcome, bool)>>,
}

impl Done {
    /// Nothing was run: each of these tests, by their names in history, says why. `on_end` is told of each.
    pub(super) fn failed(
        failure: Failure,
        interrupted: signal::Interrupts,
        waiting: Vec<(String, TestResult)>,
        on_end: impl Fn(&str, &TestResult),
    ) -> Self {
        let signal = interrupted.signal;
        let (exit, outcome, cause) = match interrupted.count {
            0 => {
                let message = failure.chain().join(": ");
                (ExitCode::Error, Outcome::NotStarted, Cause::NotStarted { message })
            }
            _ => (ExitCode::Signal(signal), Outcome::Aborted, Cause::Interrupted { signal }),
        };
        let (services, kept, failures) = (Vec::new(), Vec::new(), vec![failure]);
        let (tests, verdicts) = (Vec::new(), BTreeMap::new());
        let mut done = Self { tests, services, exit, kept, failures, verdicts };
        for (known_as, blank) in waiting {
            let result = TestResult { outcome, cause: Some(cause.clone()), ..blank };
            on_end(&known_as, &result);
            done.verdicts.entry(known_as).or_default().push((outcome, false));
            done.tests.push(result);
        }
        done
    }

    /// Everything was run that could be. `known_as` are the tests' names in history.
    pub(super) fn ended(ended: Ended, known_as: &[String], interrupted: signal::Interrupts) -> Self {
        let exits = ended.tests.iter().map(|finished| finished.exit);
        let mut exit = exits.fold(ExitCode::Success, ExitCode::worst);
        if ended.out_of_time {
            exit = exit.worst(ExitCode::TimedOut);
        }
        if interrupted.count > 0 {
            exit = exit.worst(ExitCode::Signal(interrupted.signal));
        }
        let mut done = Self {
            tests: Vec::new(),
            services: ended.services,
            exit,
            kept: Vec::new(),
            failures: Vec::new(),
            verdicts: BTreeMap::new(),
        };
        for (finished, known_as) in ended.tests.into_iter().zip(known_as) {
            let has_passed = recording::has_passed(&finished.result, finished.exit == ExitCode::Success);
            done.verdicts.entry(known_as.clone()).or_default().push((finished.result.outcome, has_passed));
            done.tests.push(finished.result);
            done.kept.extend(finished.kept);
            done.failures.extend(finished.failure);
        }
        done
    }

    /// The outcome of the run.
    pub(super) fn outcome(&self) -> Outcome {
        worst_outcome(&self.tests).unwrap_or(Outcome::Aborted)
    }

    /// What still has to pass, also of an earlier run of which this one repeats a part: what that has left makes the exit
    /// code worse.
    pub(super) fn settle(&mut self, earlier: Option<&Earlier>) -> Vec<String> {
        let before = earlier.map(|earlier| earlier.outstanding.clone()).unwrap_or_default();
        let outstanding = recording::outstanding(before, &self.verdicts);
        if earlier.is_some() && self.exit == ExitCode::Success && !outstanding.is_empty() {
            self.exit = ExitCode::RerunIncomplete;
        }
        outstanding
    }

    /// For telling it.
    pub(super) fn told(
        self,
        engine: String,
        run_id: String,
        told: Result<(), StdoutError>,
    ) -> conclude::Ended {
        let Self { tests, services, exit, kept, failures, .. } = self;
        conclude::Ended { engine, run_id, told, tests, services, exit, kept, failures }
    }

    /// Puts the files in their place. A run without its files has not passed.
    pub(super) fn commit(mut self, directory: ResultsDirectory, sink: &Sink) -> Self {
        if self.tests.iter().all(|test| test.attempts.is_empty()) && self.services.is_empty() {
            return self;
        }
        match directory.commit() {
            Ok(Committed { leftover, .. }) => {
                if let Some(leftover) = leftover {
                    let leftover = leftover.display();
                    sink.warn(format!("the older results cannot be removed, and are in {leftover}"));
                }
            }
            Err(error) => {
                for test in &mut self.tests {
                    test.results_dir = None;
                }
                self.exit = self.exit.worst(ExitCode::Error);
                self.failures.push(error.into());
            }
        }
        self
    }
}
