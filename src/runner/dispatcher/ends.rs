//! The ends of tests: what each comes to, which others never run because of it, and what stops the run.

use super::{Dispatcher, Finished};
use crate::error::Failure;
use crate::metadata::duration;
use crate::results::{Cause, Outcome};
use crate::runner::event::RunEvent;
use crate::runner::executor::Executed;
use crate::runner::halt::{self, Halt};
use crate::runner::layout::Layout;
use crate::runner::services::Happened;
use crate::runner::suite::Test;
use crate::signal;
use crate::suite::needs::Need;
use crate::suite::schedule::{End, NotRun, Reason};

impl<F: FnMut(usize, &Finished)> Dispatcher<'_, F> {
    /// Tests that are not to be run at all.
    pub(super) fn end_skipped(&mut self) {
        for (at, test) in self.suite.tests.iter().enumerate() {
            if let Some(cause) = &test.skipped {
                self.scheduler.started(at);
                self.settle(at, test.not_run(Outcome::Skipped, cause.clone()), None);
            }
        }
    }

    /// A test has come to its end.
    pub(super) fn end(
        &mut self,
        at: usize,
        executed: Result<Executed, Failure>,
        interrupts: &signal::Receiver,
    ) {
        let Some(test) = self.suite.tests.get(at) else { return };
        let slot = self.slots.remove(&at).map(|slot| slot.number);
        let finished = match executed {
            Ok(executed) => {
                let lost = self.lost_service(test);
                let attempts = u32::try_from(executed.attempts.len()).unwrap_or(u32::MAX);
                let layout = Layout::among_others(&self.suite.staging, &self.suite.target, &test.directory);
                test.executed(executed, layout.results(attempts.max(1)).display().to_string(), lost)
            }
            Err(failure) => test.failed(failure, *interrupts.borrow()),
        };
        self.settle(at, finished, slot);
    }

    /// Why a service that the test needs cannot be used any more, where that is so. Its end may not have been heard of
    /// yet, though the test has died of it.
    pub(super) fn lost_service(&mut self, test: &Test) -> Option<Cause> {
        let names: Vec<&str> = services_of(&test.needs).collect();
        if let Some((at, ended)) = self.services.lost_among(&names) {
            self.hear(Happened::Ended(at, ended));
        }
        self.services.failure_among(&names)
    }

    /// Notes how a test ended, and gives up those that will never run because of it.
    pub(super) fn settle(&mut self, at: usize, finished: Finished, slot: Option<usize>) {
        let is_cached = matches!(finished.result.cause, Some(Cause::Cached { .. }));
        let end = match finished.result.outcome {
            Outcome::Passed | Outcome::Flaky if finished.exit.code() == 0 => End::Passed,
            Outcome::Skipped if is_cached => End::Passed,
            _ => End::Failed,
        };
        self.told(at, finished, slot);
        let stopped_before = self.scheduler.is_stopped();
        let not_run = self.scheduler.finished(at, end);
        if self.scheduler.is_stopped() && !stopped_before {
            let failures = self.scheduler.failures();
            let reason = match failures {
                1 => "a test did not pass".to_owned(),
                _ => format!("{failures} tests did not pass"),
            };
            self.say_stopped(&reason, not_run.len());
            let reason = format!("the run was stopped: {reason}");
            self.cause_of_stop = Some((Outcome::Skipped, Cause::NotRun { reason }));
        }
        self.give_up(not_run);
    }

    pub(super) fn told(&mut self, at: usize, finished: Finished, slot: Option<usize>) {
        (self.on_end)(at, &finished);
        let result = &finished.result;
        let last = result.last_attempt();
        let has_passed = matches!(result.outcome, Outcome::Passed | Outcome::Flaky | Outcome::Skipped);
        let bad = result.attempts.iter().rev().find(|attempt| attempt.outcome != Outcome::Passed);
        self.suite.sink.of_test(&result.name).event(RunEvent::TestEnded {
            test: result.name.clone(),
            outcome: result.outcome,
            cause: result.cause.clone(),
            attempts: u32::try_from(result.attempts.len()).unwrap_or(u32::MAX),
            seconds: result.seconds(),
            cases: last.map(|attempt| attempt.cases).unwrap_or_default(),
            slot,
            log_tail: bad.filter(|_| !has_passed).map(|attempt| attempt.log_tail.clone()).unwrap_or_default(),
            log: last
                .and_then(|attempt| attempt.log.as_ref())
                .map(|log| self.suite.target.join(log).display().to_string()),
        });
        if let Some(place) = self.finished.get_mut(at) {
            *place = Some(finished);
        }
    }

    pub(super) fn give_up(&mut self, not_run: Vec<NotRun>) {
        for NotRun { test: at, reason } in not_run {
            let Some(test) = self.suite.tests.get(at) else { continue };
            let (outcome, cause) = match reason {
                Reason::Dependency(Need::Test(name)) => {
                    self.told(at, test.without(&name), None);
                    continue;
                }
                Reason::Stopped => self.cause_of_stop.clone().unwrap_or_else(|| {
                    (Outcome::Skipped, Cause::NotRun { reason: "the run was stopped".to_owned() })
                }),
                Reason::Dependency(Need::Service(name)) => {
                    let known = self.services.failure_among(&[&name]);
                    let cause = known.unwrap_or_else(|| Cause::NotRun { reason: format!("{name} failed") });
                    (Outcome::DependencyFailed, cause)
                }
            };
            self.told(at, test.not_run(outcome, cause), None);
        }
    }

    /// Starts no more tests.
    pub(super) fn stop(&mut self, reason: &str, outcome: Outcome, cause: Cause) {
        if self.cause_of_stop.is_none() || outcome == Outcome::Aborted {
            self.cause_of_stop = Some((outcome, cause));
        }
        let not_run = self.scheduler.stop();
        self.say_stopped(reason, not_run.len());
        self.give_up(not_run);
    }

    pub(super) fn say_stopped(&self, reason: &str, tests: usize) {
        self.suite.sink.event(RunEvent::Stopped { reason: reason.to_owned(), tests });
    }

    pub(super) fn time_is_over(&mut self) {
        self.out_of_time = true;
        let limit = self.suite.time.unwrap_or_default();
        let reason = format!("the time for the whole run, {}, is over", duration::human(limit));
        let cause = Cause::NotRun { reason: reason.clone() };
        for slot in self.slots.values() {
            let (outcome, cause) = (Outcome::TimedOut, Cause::RunTimeout { seconds: limit.as_secs_f64() });
            halt::say(&slot.halts, Halt { reason: reason.clone(), outcome, cause });
        }
        self.stop(&reason, Outcome::TimedOut, cause);
    }
}

pub(super) fn services_of(needs: &[Need]) -> impl Iterator<Item = &str> {
    needs.iter().filter_map(|need| match need {
        Need::Service(name) => Some(name.as_str()),
        Need::Test(_) => None,
    })
}
