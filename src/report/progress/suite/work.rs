//! What is being done for one test or service at the moment.
//!
//! Owns the phases and their words. Whether and where they are shown is the displays' own.

use std::collections::HashSet;

use crate::report::progress::build_log::BuildLog;
use crate::report::progress::words::{is_pull_end, step_name};
use crate::report::text::name;
use crate::report::wording::{bytes, duration};
use crate::results::{Cause, Outcome};
use crate::runner::event::{RunEvent, StepStatus};

/// A test that has a slot, or something that is prepared before tests have slots.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) phase: Phase,
    /// The slot, once it has one.
    pub(super) slot: Option<usize>,
    /// How long it took the last times, in seconds.
    pub(super) expected: Option<f64>,
    /// When it began, and when the phase that people count from did.
    pub(super) began: f64,
    pub(super) since: f64,
    pub(super) attempt: u32,
    /// How many attempts there will be at most, where that is known.
    pub(super) of: Option<u32>,
    pub(super) slow: bool,
    /// The last attempt that did not pass.
    pub(super) failed: Option<Failed>,
    log: BuildLog,
    failed_step: Option<String>,
    pull: Option<Pull>,
}

/// An attempt that did not pass.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) outcome: Outcome,
    pub(super) cause: Option<Cause>,
    pub(super) seconds: f64,
}

/// A build that came to no image.
#[derive(Debug, PartialEq)]
pub(super) struct FailedBuild {
    /// The step at which it failed.
    pub(super) step: String,
    /// What the builder printed last.
    pub(super) lines: Vec<String>,
}

/// What is being done.
#[derive(Debug, PartialEq)]
pub(super) enum Phase {
    Preparing,
    Pulling,
    Sending(u64),
    Building(String),
    Running,
    Stopping(String),
    Collecting,
    Waiting(f64),
}

#[derive(Debug)]
struct Pull {
    began: f64,
    layers: HashSet<String>,
    there: HashSet<String>,
    fetched: u64,
}

impl Work {
    pub(super) fn new(now: f64) -> Self {
        Self {
            phase: Phase::Preparing,
            slot: None,
            expected: None,
            began: now,
            since: now,
            attempt: 1,
            of: None,
            slow: false,
            failed: None,
            log: BuildLog::default(),
            failed_step: None,
            pull: None,
        }
    }

    /// Takes note of an event that is about this one.
    pub(super) fn follow(&mut self, event: &RunEvent, now: f64) {
        match event {
            RunEvent::PullProgress { layer, status, .. } => self.pull(layer, status, now),
            RunEvent::ContextProgress { sent, done: false } => self.phase = Phase::Sending(*sent),
            RunEvent::BuildStep { id, name, status: StepStatus::Failed } => {
                self.failed_step = Some(step_name(id, name));
            }
            RunEvent::BuildStep { id, name, .. } => self.phase = Phase::Building(step_name(id, name)),
            RunEvent::BuildOutput { text } => drop(self.log.push(text)),
            RunEvent::Built { .. } => {
                self.phase = Phase::Preparing;
                self.log.clear();
                self.failed_step = None;
            }
            RunEvent::TestStarted { attempt, .. } => {
                (self.phase, self.attempt) = (Phase::Running, *attempt);
                (self.since, self.slow) = (now, false);
            }
            RunEvent::TestSlow { .. } => self.slow = true,
            RunEvent::Stopping { reason, .. } => self.phase = Phase::Stopping(name(reason)),
            RunEvent::TestFinished { outcome, cause, seconds, .. } => {
                self.phase = Phase::Collecting;
                if *outcome != Outcome::Passed {
                    let cause = cause.clone();
                    self.failed = Some(Failed { outcome: *outcome, cause, seconds: *seconds });
                }
            }
            RunEvent::TestRetry { attempt, of, delay_seconds, .. } => {
                (self.attempt, self.of) = (*attempt, Some(*of));
                (self.phase, self.since) = (Phase::Waiting(*delay_seconds), now);
                self.slow = false;
            }
            _ => {}
        }
    }

    fn pull(&mut self, layer: &str, status: &str, now: f64) {
        let pull = self.pull.get_or_insert_with(|| Pull {
            began: now,
            layers: HashSet::new(),
            there: HashSet::new(),
            fetched: 0,
        });
        self.phase = Phase::Pulling;
        // Lines about the image as a whole have no layer, or its tag in the place of one.
        if layer.is_empty() || status.starts_with("Pulling from") {
            return;
        }
        pull.layers.insert(layer.to_owned());
        if is_pull_end(status) && pull.there.insert(layer.to_owned()) && status == "Pull complete" {
            pull.fetched += 1;
        }
    }

    /// Ends a pull; layers that came, and the seconds that they took. Nothing where all were there.
    pub(super) fn end_pull(&mut self, now: f64) -> Option<(u64, f64)> {
        let pull = self.pull.take()?;
        if self.phase == Phase::Pulling {
            self.phase = Phase::Preparing;
        }
        (pull.fetched > 0).then_some((pull.fetched, now - pull.began))
    }

    /// The build, where it came to no image.
    pub(super) fn failed_build(&mut self) -> Option<FailedBuild> {
        let step = self.failed_step.take()?;
        self.log.flush();
        Some(FailedBuild { step, lines: self.log.last().map(str::to_owned).collect() })
    }

    /// The phase in words: `pulling 3/7`, `running, attempt 2, slow`.
    pub(super) fn words(&self, now: f64) -> String {
        let again = if self.attempt > 1 { format!(", attempt {}", self.attempt) } else { String::new() };
        match &self.phase {
            Phase::Preparing => format!("preparing{again}"),
            Phase::Pulling => match &self.pull {
                Some(pull) if !pull.layers.is_empty() => {
                    format!("pulling {}/{}", pull.there.len(), pull.layers.len())
                }
                _ => "pulling".to_owned(),
            },
            Phase::Sending(sent) => format!("sending files, {}", bytes(*sent)),
            Phase::Building(step) if step.is_empty() => "building".to_owned(),
            Phase::Building(step) => format!("building {step}"),
            Phase::Running if self.slow => format!("running{again}, slow"),
            Phase::Running => format!("running{again}"),
            Phase::Stopping(reason) => format!("stopping: {reason}"),
            Phase::Collecting => format!("finishing{again}"),
            Phase::Waiting(delay) => {
                let left = (delay - (now - self.since)).max(0.0).ceil();
                let of = self.of.map(|of| format!("/{of}")).unwrap_or_default();
                format!("attempt {}{of} in {}", self.attempt, duration(left))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::progress::fixtures::{pull, step};

    #[test]
    fn phases_read_as_what_is_done() {
        let mut work = Work::new(0.0);
        let mut words = Vec::new();
        let events = [
            pull("latest", "Pulling from shop", None, None),
            pull("aaa", "Downloading", Some(1), Some(2)),
            pull("bbb", "Already exists", None, None),
            pull("aaa", "Pull complete", None, None),
            RunEvent::ContextProgress { sent: 2048, done: false },
            step("2/4", "RUN make\nRUN more\u{1b}[2J", StepStatus::Started),
            RunEvent::TestStarted { test: "a".to_owned(), attempt: 1, container: "c".to_owned() },
            RunEvent::TestSlow { test: "a".to_owned(), attempt: 1, seconds: 60.0 },
            RunEvent::Stopping {
                reason: "timeout".to_owned(),
                signal: "SIGTERM".to_owned(),
                grace_seconds: 10.0,
            },
            RunEvent::TestRetry { test: "a".to_owned(), attempt: 2, of: 3, delay_seconds: 5.0 },
            RunEvent::TestStarted { test: "a".to_owned(), attempt: 2, container: "c".to_owned() },
        ];
        for event in &events {
            work.follow(event, 1.0);
            words.push(work.words(1.0));
        }
        assert_eq!(
            words,
            [
                "pulling",
                "pulling 0/1",
                "pulling 1/2",
                "pulling 2/2",
                "sending files, 2 KiB",
                "building [2/4] RUN make",
                "running",
                "running, slow",
                "stopping: timeout",
                "attempt 2/3 in 5s",
                "running, attempt 2",
            ]
        );
        assert_eq!(work.end_pull(4.0), Some((1, 3.0)));
        assert_eq!(work.end_pull(4.0), None);
    }

    #[test]
    fn an_image_that_was_there_was_not_pulled() {
        let mut work = Work::new(0.0);
        work.follow(&pull("aaa", "Already exists", None, None), 1.0);
        assert_eq!(work.end_pull(2.0), None);
        assert_eq!(work.phase, Phase::Preparing);
    }

    #[test]
    fn a_failed_build_keeps_its_last_words_and_one_that_came_to_an_image_none() {
        let mut work = Work::new(0.0);
        let output = RunEvent::BuildOutput { text: "E: no such package\nand so on".to_owned() };
        work.follow(&output, 0.0);
        work.follow(&step("1/1", "RUN false", StepStatus::Failed), 0.0);
        let lines = vec!["E: no such package".to_owned(), "and so on".to_owned()];
        let failed = FailedBuild { step: "[1/1] RUN false".to_owned(), lines };
        assert_eq!(work.failed_build(), Some(failed));
        assert_eq!(work.failed_build(), None);
    }
}
