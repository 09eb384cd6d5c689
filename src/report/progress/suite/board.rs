//! Follows a run of many tests: who is at work, what came of whom, and what of it deserves a line.
//!
//! Owns the counts and the words of entries. Draws nothing and looks at no clock: the time comes with each event.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use super::entry::{Entry, Kind, clock, word};
use super::estimate::{Busy, Estimate};
use super::work::{Failed, FailedBuild, Work};
use crate::report::progress::words::name_of;
use crate::report::style::Paint;
use crate::report::text::{message, name, printable};
use crate::report::wording::{case_counts, count, duration, is_bad, outcome_word, reason};
use crate::results::{CaseCounts, Outcome};
use crate::runner::event::RunEvent;

/// Warnings that are told apart; many tests mostly get the same ones.
const MAX_WARNINGS: usize = 200;

/// The state of the run.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// All tests of the run; none until they are known.
    pub(super) tests: usize,
    jobs: usize,
    /// How many tests came to which outcome.
    pub(super) counts: BTreeMap<usize, u64>,
    /// Tests that have a slot, and what is prepared before.
    work: BTreeMap<String, Work>,
    /// Builds that failed before the tests were known, by whose they are: it is told when that one's turn comes.
    failed_builds: BTreeMap<String, FailedBuild>,
    services: BTreeMap<String, Service>,
    estimate: Estimate,
    stopped: bool,
    warned: HashSet<String>,
}

/// A service that is not ready yet.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) image: String,
    pub(super) since: f64,
}

/// What an event says of the end of a test.
struct Ended<'a> {
    test: &'a str,
    outcome: Outcome,
    label: &'static str,
    reason: Option<String>,
    attempts: u32,
    seconds: f64,
    cases: CaseCounts,
}

impl Board {
    /// Takes note of an event, which may be of one test; returns what deserves a line.
    pub(super) fn follow(&mut self, of: Option<&str>, event: &RunEvent, now: f64) -> Vec<Entry> {
        let of = of.or_else(|| name_of(event));
        let mut entries = Vec::new();
        if !matches!(event, RunEvent::PullProgress { .. } | RunEvent::Output { .. }) {
            entries.extend(self.end_pull(of, event, now));
        }
        self.work_on(of, event, now);
        entries.extend(self.entry(of, event, now));
        entries
    }

    /// Tests that have ended.
    pub(super) fn done(&self) -> usize {
        self.counts
            .values()
            .fold(0, |sum, number| sum.saturating_add(usize::try_from(*number).unwrap_or(usize::MAX)))
    }

    /// Each outcome that occurred and how often, in the order of [`Outcome::ALL`].
    pub(super) fn outcomes(&self) -> impl Iterator<Item = (Outcome, u64)> {
        Outcome::ALL.into_iter().filter_map(|outcome| Some((outcome, *self.counts.get(&outcome.severity())?)))
    }

    /// What is at work, by name.
    pub(super) fn work(&self) -> impl Iterator<Item = (&str, &Work)> {
        self.work.iter().map(|(name, work)| (name.as_str(), work))
    }

    /// Services that are being started, by name.
    pub(super) fn services(&self) -> impl Iterator<Item = (&str, &Service)> {
        self.services.iter().map(|(name, service)| (name.as_str(), service))
    }

    /// Seconds that are left, where that can be told.
    pub(super) fn left(&mut self, now: f64) -> Option<f64> {
        let busy: Vec<Busy> = self
            .work
            .values()
            .filter(|work| work.slot.is_some())
            .map(|work| Busy { expected: work.expected, elapsed: now - work.began })
            .collect();
        let waiting = self.tests.saturating_sub(self.done() + busy.len());
        let waiting = if self.stopped { 0 } else { waiting };
        self.estimate.left(&busy, waiting, self.jobs.min(self.tests), now)
    }

    fn end_pull(&mut self, of: Option<&str>, event: &RunEvent, now: f64) -> Vec<Entry> {
        // What was prepared before the tests were known has no end of its own.
        let ending: Vec<String> = match (event, of) {
            (RunEvent::Queued { .. }, _) => self.work.keys().cloned().collect(),
            (_, Some(of)) => vec![of.to_owned()],
            (_, None) => Vec::new(),
        };
        let mut entries = Vec::new();
        for of in ending {
            if let Some((layers, seconds)) = self.work.get_mut(&of).and_then(|work| work.end_pull(now)) {
                let text = format!("{} in {}", count(layers, "layer"), duration(seconds));
                entries.push(Entry::new(Kind::Progress, Paint::Faint, "PULL", name(&of), text));
            }
        }
        entries
    }

    fn work_on(&mut self, of: Option<&str>, event: &RunEvent, now: f64) {
        match event {
            RunEvent::Queued { tests, jobs, expected_seconds } => {
                (self.tests, self.jobs) = (*tests, *jobs);
                let prepared = std::mem::take(&mut self.work).into_iter();
                let failed = prepared.filter_map(|(of, mut work)| Some((of, work.failed_build()?)));
                self.failed_builds.extend(failed);
                self.estimate.queued(*expected_seconds);
            }
            RunEvent::ServiceStarting { service, image } => {
                let starting = Service { image: name(image), since: now };
                self.services.insert(service.clone(), starting);
            }
            RunEvent::ServiceReady { service, .. } | RunEvent::ServiceFailed { service, .. } => {
                self.services.remove(service);
            }
            RunEvent::Stopped { .. } => {
                self.stopped = true;
                self.estimate.forget();
            }
            RunEvent::TestPreparing { test, slot, expected_seconds } => {
                let work = self.work.entry(test.clone()).or_insert_with(|| Work::new(now));
                if work.slot.replace(*slot).is_none() {
                    work.expected = *expected_seconds;
                    self.estimate.started(*expected_seconds);
                }
            }
            RunEvent::PullProgress { .. } | RunEvent::ContextProgress { .. } | RunEvent::BuildStep { .. } => {
                if let Some(of) = of {
                    self.work.entry(of.to_owned()).or_insert_with(|| Work::new(now)).follow(event, now);
                }
            }
            // Whatever ends it needs the work as it was.
            RunEvent::TestEnded { .. } | RunEvent::TestRetry { .. } => {}
            _ => {
                if let Some(work) = of.and_then(|of| self.work.get_mut(of)) {
                    work.follow(event, now);
                }
                let is_over = matches!(event, RunEvent::Built { .. });
                if is_over && let Some(of) = of {
                    // What was built before tests have slots is done with that.
                    let has_slot = self.work.get(of).is_some_and(|work| work.slot.is_some());
                    if !has_slot {
                        self.work.remove(of);
                    }
                }
            }
        }
    }

    fn entry(&mut self, of: Option<&str>, event: &RunEvent, now: f64) -> Option<Entry> {
        let progress = |word: &str, name: String, text: String| {
            Entry::new(Kind::Progress, Paint::Faint, word, name, text)
        };
        let run = |word: &str, text: String| Entry::new(Kind::Run, Paint::Faint, word, String::new(), text);
        Some(match event {
            RunEvent::RunStarted { run_id, image, engine, .. } => {
                run("RUN", format!("{} of {} on {}", printable(run_id), name(image), printable(engine)))
            }
            RunEvent::Queued { tests, jobs, .. } => run("QUEUED", self.queued(*tests, *jobs, now)),
            RunEvent::ServiceStarting { service, image } => {
                progress("SERVICE", name(service), format!("starting {}", name(image)))
            }
            RunEvent::ServiceReady { service, seconds } => {
                progress("SERVICE", name(service), format!("ready after {}", duration(*seconds)))
            }
            RunEvent::ServiceFailed { service, message: problem, log_tail } => {
                let text = format!("failed: {}", message(problem));
                let entry = Entry::new(Kind::Bad, Paint::Bad, "SERVICE", name(service), text);
                let build = self.failed_builds.remove(service);
                Entry { output: log_tail.clone(), ..entry }.with_build(build)
            }
            RunEvent::Built { image, reused: false, seconds, .. } => {
                let text = format!("{} in {}", name(image), duration(*seconds));
                progress("BUILD", name(of.unwrap_or_default()), text)
            }
            RunEvent::Warning { message: warning } => self.warning(of, warning)?,
            RunEvent::TestSlow { test, attempt, seconds } => {
                let again = if *attempt > 1 { format!("attempt {attempt}") } else { String::new() };
                Entry {
                    clock: Some(format!(">{:>7.3}s", seconds.max(0.0))),
                    ..Entry::new(Kind::Notable, Paint::Careful, "SLOW", name(test), again)
                }
            }
            RunEvent::TestRetry { test, .. } => self.retry(test, event, now),
            RunEvent::TestEnded { test, outcome, cause, attempts, seconds, cases, log_tail, log, .. } => {
                let reason = cause.as_ref().map(|cause| reason(*outcome, cause));
                let (attempts, seconds) = (*attempts, *seconds);
                let (label, outcome) = (word(*outcome, cause.as_ref()), *outcome);
                let ended = Ended { test, outcome, label, reason, attempts, seconds, cases: *cases };
                let entry = self.ended(&ended, now);
                let earlier = self.failed_builds.remove(test);
                let build = self.work.remove(test).and_then(|mut work| work.failed_build()).or(earlier);
                let mut entry = entry?;
                entry.output.clone_from(log_tail);
                entry.log = log.clone().filter(|_| is_bad(outcome));
                entry.with_build(build.filter(|_| is_bad(outcome)))
            }
            RunEvent::Stopped { reason, tests } => {
                let rest = match tests {
                    0 => "no test was waiting".to_owned(),
                    1 => "1 test is not run".to_owned(),
                    _ => format!("{tests} tests are not run"),
                };
                let text = format!("{}: {rest}", message(reason));
                Entry::new(Kind::Notable, Paint::Careful, "STOPPED", String::new(), text)
            }
            _ => return None,
        })
    }

    fn queued(&mut self, tests: usize, jobs: usize, now: f64) -> String {
        let jobs = jobs.min(tests);
        let beside = if jobs > 1 { format!(", {jobs} at a time") } else { String::new() };
        let left = self.left(now).map(|left| format!(", {}", super::estimate::words(left)));
        let left = left.map(|left| left.replace(" left", "")).filter(|left| left.starts_with(", about"));
        format!("{}{beside}{}", count(tests as u64, "test"), left.unwrap_or_default())
    }

    /// A warning that many tests get is said once.
    fn warning(&mut self, of: Option<&str>, warning: &str) -> Option<Entry> {
        let is_new = self.warned.len() >= MAX_WARNINGS || self.warned.insert(warning.to_owned());
        let (of, text) = (name(of.unwrap_or_default()), message(warning));
        is_new.then(|| Entry::new(Kind::Notable, Paint::Careful, "WARNING", of, text))
    }

    fn retry(&mut self, test: &str, event: &RunEvent, now: f64) -> Entry {
        let RunEvent::TestRetry { attempt, of, delay_seconds, .. } = event else {
            return Entry::new(Kind::Notable, Paint::Careful, "RETRY", name(test), String::new());
        };
        let failed = self.work.get_mut(test).and_then(|work| {
            work.follow(event, now);
            work.failed.take()
        });
        let (why, seconds) = match failed {
            Some(Failed { outcome, cause, seconds }) => {
                let cause = cause.map(|cause| format!(": {}", reason(outcome, &cause)));
                (format!("{}{}; ", outcome_word(outcome), cause.unwrap_or_default()), Some(seconds))
            }
            None => (String::new(), None),
        };
        let then = if *delay_seconds > 0.0 {
            format!("again in {}", duration(*delay_seconds))
        } else {
            "again at once".to_owned()
        };
        let (retry, said) = (format!("RETRY {attempt}/{of}"), format!("{why}{then}"));
        Entry {
            clock: Some(clock(seconds)),
            ..Entry::new(Kind::Notable, Paint::Careful, &retry, name(test), said)
        }
    }

    /// Counts the test. Those that a stopped run does not come to have no line of their own.
    fn ended(&mut self, ended: &Ended<'_>, now: f64) -> Option<Entry> {
        let Ended { test, outcome, label, reason, attempts, seconds, cases } = ended;
        *self.counts.entry(outcome.severity()).or_default() += 1;
        let of = self.work.get(*test).and_then(|work| work.of);
        if let Some(work) = self.work.get(*test).filter(|work| work.slot.is_some()) {
            self.estimate.ended(work.expected, now - work.began);
        }
        let never_ran = *attempts == 0;
        if never_ran
            && self.stopped
            && matches!(outcome, Outcome::Aborted | Outcome::Skipped | Outcome::TimedOut)
        {
            return None;
        }
        let word = match (outcome, of) {
            (Outcome::Flaky, Some(of)) => format!("{label} {attempts}/{of}"),
            _ => (*label).to_owned(),
        };
        let kind = match outcome {
            Outcome::Passed | Outcome::Skipped => Kind::Fine,
            Outcome::Flaky => Kind::Notable,
            Outcome::DependencyFailed => Kind::Dependent,
            _ => Kind::Bad,
        };
        let mut text = reason.clone().unwrap_or_default();
        if *outcome == Outcome::Flaky && !text.is_empty() {
            text = format!("passed, but first: {text}");
        }
        if is_bad(*outcome) && *attempts > 1 {
            // Writing to a String cannot fail.
            let _ = write!(text, ", in the last of {attempts} attempts");
        }
        if cases.bad() > 0 {
            let _ = write!(text, " ({})", case_counts(*cases));
        }
        Some(Entry {
            clock: Some(clock((!never_ran).then_some(*seconds))),
            place: Some((self.done(), self.tests.max(self.done()))),
            ..Entry::new(kind, Paint::of(*outcome), &word, name(test), text.trim_start().to_owned())
        })
    }
}

#[cfg(test)]
mod tests;
