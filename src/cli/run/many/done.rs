//! What a run of many has come to, before it is told.
//!
//! Owns the exit code of the run, and that files are in their place where it says so.

use std::collections::{BTreeMap, BTreeSet};

use super::super::recording;
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::results::directory::{Committed, ResultsDirectory};
use crate::results::{Outcome, ServiceResult, TestResult, worst_outcome};
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
    /// Nothing was run.
    pub(super) fn failed(failure: Failure, interrupted: signal::Interrupts) -> Self {
        let exit = match interrupted.count {
            0 => ExitCode::Error,
            _ => ExitCode::Signal(interrupted.signal),
        };
        Self {
            tests: Vec::new(),
            services: Vec::new(),
            exit,
            kept: Vec::new(),
            failures: vec![failure],
            verdicts: BTreeMap::new(),
        }
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

    /// What still has to pass, after what was left by an earlier run.
    pub(super) fn outstanding(&self, before: Option<BTreeSet<String>>) -> Vec<String> {
        recording::outstanding(before.unwrap_or_default(), &self.verdicts)
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
