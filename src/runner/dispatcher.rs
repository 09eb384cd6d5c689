//! Runs many tests beside one another: one loop that hears of everything and starts what may start.
//!
//! Owns slots, services' comings and goings, and what stops a run. It asks [`Scheduler`] what may start, hands tests to
//! [`super::executor`] and services to [`super::services`], and shares no state with either.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use super::event::RunEvent;
use super::executor::{self, Executed, Execution};
use super::halt::{self, Halt};
use super::layout::{Layout, SERVICES};
use super::services::{Ground, Happened, Happening, Services, cause_of};
use super::suite::{Ended, Finished, Planned, Suite, Test};
use crate::error::{Category, Diagnose, Failure};
use crate::metadata::duration;
use crate::results::{Cause, Outcome};
use crate::signal;
use crate::suite::needs::Need;
use crate::suite::schedule::{End, Item, NotRun, Reason, ScheduleError, Scheduler};

/// Chaos tests do harm to services on purpose.
const CHAOS: &str = "chaos";

/// The run cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The tests cannot be brought into an order.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// There is no place for logs.
    #[error("cannot create the directory {}", path.display())]
    Directory {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Diagnose for DispatchError {
    fn category(&self) -> Category {
        match self {
            Self::Schedule(_) => Category::User,
            Self::Directory { .. } => Category::Environment,
        }
    }
}

type Running<'a> = Pin<Box<dyn Future<Output = (usize, Result<Executed, Failure>)> + 'a>>;

/// A test that has a slot.
struct Slot {
    number: usize,
    halts: halt::Sender,
}

/// Runs all tests of the suite to their end. `on_end` is told of each as it comes to it.
pub async fn run(
    suite: &Suite<'_>,
    interrupts: &mut signal::Receiver,
    on_end: impl FnMut(usize, &Finished),
) -> Result<Ended, DispatchError> {
    let logs = suite.staging.join(SERVICES);
    if !suite.services.is_empty() {
        std::fs::create_dir_all(&logs)
            .map_err(|source| DispatchError::Directory { path: logs.clone(), source })?;
    }
    let ground = Ground {
        engine: suite.engine,
        ledger: suite.ledger,
        redactor: Arc::clone(&suite.redactor),
        logs,
        sink: suite.sink.clone(),
    };
    let items = suite.tests.iter().map(item).collect();
    let scheduler = Scheduler::new(items, suite.limits)?;
    let mut dispatcher = Dispatcher {
        suite,
        began: Instant::now(),
        scheduler,
        services: Services::new(suite.services),
        slots: BTreeMap::new(),
        finished: suite.tests.iter().map(|_| None).collect(),
        cause_of_stop: None,
        on_end,
    };
    dispatcher.run(&ground, interrupts).await;
    let out_of_time = matches!(dispatcher.cause_of_stop, Some((Outcome::TimedOut, _)));
    let tests = suite.tests.iter().zip(dispatcher.finished).map(|(test, finished)| {
        let never = || test.not_run(Outcome::Aborted, Cause::NotRun { reason: "the run ended".to_owned() });
        finished.unwrap_or_else(never)
    });
    let tests = tests.collect();
    let (services, lost) = dispatcher.services.results();
    Ok(Ended { tests, services, lost, out_of_time })
}

fn item(test: &Test) -> Item {
    Item { name: test.name.clone(), policy: test.policy, needs: test.needs.clone(), engine: 0 }
}

struct Dispatcher<'a, F> {
    suite: &'a Suite<'a>,
    began: Instant,
    scheduler: Scheduler,
    services: Services<'a>,
    /// Tests that run, by index.
    slots: BTreeMap<usize, Slot>,
    finished: Vec<Option<Finished>>,
    /// What it means to a test that the run was stopped before its turn.
    cause_of_stop: Option<(Outcome, Cause)>,
    on_end: F,
}

impl<'a, F: FnMut(usize, &Finished)> Dispatcher<'a, F> {
    async fn run(&mut self, ground: &'a Ground<'a>, interrupts: &mut signal::Receiver) {
        let mut running: FuturesUnordered<Running<'a>> = FuturesUnordered::new();
        let mut happenings: FuturesUnordered<Happening<'a>> = FuturesUnordered::new();
        let until = self.suite.time.map(|time| self.began + time);
        let mut heard = interrupts.clone();
        let mut interrupted = false;
        self.end_skipped();
        happenings.extend(self.begin_with_project());
        loop {
            self.start_services(ground, interrupts, &happenings);
            self.start_tests(interrupts, &running);
            let scheduler = &self.scheduler;
            let removals = self.services.release(|name| scheduler.needs_service(name), ground);
            happenings.extend(removals);
            if self.scheduler.is_done() && running.is_empty() && !self.services.is_any_starting() {
                break;
            }
            let time_is_over = async {
                match until.filter(|_| self.cause_of_stop.is_none()) {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some((at, executed)) = running.next(), if !running.is_empty() => self.end(at, executed, interrupts),
                Some(happened) = happenings.next(), if !happenings.is_empty() => {
                    happenings.extend(self.hear(happened));
                }
                state = signal::wait_for(&mut heard, 1), if !interrupted => {
                    interrupted = true;
                    // Tests that run hear it themselves.
                    let cause = Cause::Interrupted { signal: state.signal };
                    self.stop("interrupted", Outcome::Aborted, cause);
                }
                () = time_is_over => self.time_is_over(),
            }
        }
        self.take_down(ground, happenings).await;
    }

    /// Waits for removals that are under way. The ends of services that are still watched are nobody's business now.
    async fn take_down(&mut self, ground: &'a Ground<'a>, mut happenings: FuturesUnordered<Happening<'a>>) {
        happenings.extend(self.services.release(|_| false, ground));
        while self.services.being_removed() > 0 {
            match happenings.next().await {
                Some(Happened::Removed(problem)) => {
                    self.services.removed();
                    self.warn(problem);
                }
                Some(_) => {}
                None => break,
            }
        }
    }

    fn warn(&self, problem: Option<Failure>) {
        if let Some(problem) = problem {
            self.suite.sink.warn(format!("{problem}; the next run, or `docker-test prune`, removes it"));
        }
    }

    /// Tests that are not to be run at all.
    fn end_skipped(&mut self) {
        for (at, test) in self.suite.tests.iter().enumerate() {
            if let Some(cause) = &test.skipped {
                self.scheduler.started(at);
                self.settle(at, test.not_run(Outcome::Skipped, cause.clone()), None);
            }
        }
    }

    /// Services of a compose project are there already, or are not to be had.
    fn begin_with_project(&mut self) -> Option<Happening<'a>> {
        let project = self.suite.project?;
        match &project.started {
            Ok(started) => {
                for name in &project.names {
                    self.scheduler.service_ready(name);
                }
                Some(Box::pin(async move { Happened::Lost(started.ended().await) }))
            }
            Err(failure) => {
                let cause = cause_of(failure);
                for name in &project.names {
                    self.lose_named(name, &cause);
                }
                None
            }
        }
    }

    fn start_services(
        &mut self,
        ground: &'a Ground<'a>,
        interrupts: &signal::Receiver,
        happenings: &FuturesUnordered<Happening<'a>>,
    ) {
        if self.scheduler.is_stopped() {
            return;
        }
        let scheduler = &self.scheduler;
        for at in self.services.startable(|name| scheduler.needs_service(name)) {
            if let Some(starting) = self.services.start(at, ground, interrupts) {
                happenings.push(starting);
            }
        }
    }

    fn start_tests(&mut self, interrupts: &signal::Receiver, running: &FuturesUnordered<Running<'a>>) {
        loop {
            let ready = self.scheduler.ready();
            if ready.is_empty() {
                return;
            }
            for at in ready {
                let Some(test) = self.suite.tests.get(at) else { continue };
                // One before it may have failed at once, and that may have been enough for the run.
                if self.finished.get(at).is_some_and(Option::is_some) {
                    continue;
                }
                self.scheduler.started(at);
                match &test.planned {
                    Ok(planned) => running.push(self.start(at, test, planned, interrupts.clone())),
                    Err(failure) => {
                        let finished = test.failed(failure.clone(), *interrupts.borrow());
                        self.settle(at, finished, None);
                    }
                }
            }
        }
    }

    fn start(
        &mut self,
        at: usize,
        test: &'a Test,
        planned: &'a Planned,
        mut interrupts: signal::Receiver,
    ) -> Running<'a> {
        let suite = self.suite;
        let number = self.free_slot();
        let sink = suite.sink.of_test(&test.name);
        sink.event(RunEvent::TestPreparing {
            test: test.name.clone(),
            slot: number,
            expected_seconds: test.expected,
        });
        let (said, halts) = halt::channel();
        self.slots.insert(at, Slot { number, halts: said });
        let execution = Execution {
            engine: suite.engine,
            ledger: suite.ledger,
            housekeeping: suite.housekeeping,
            plan: &planned.plan,
            target: &planned.target,
            existing: planned.existing.as_deref(),
            secret_files: &planned.secret_files,
            builds: suite.builds,
            logins: suite.logins,
            environment: suite.environment,
            redactor: Arc::clone(&suite.redactor),
            sink,
            stream: suite.stream,
            stdin: false,
            terminal: None,
            number: at + 1,
            slot: Some((number, self.began)),
            layout: Layout::among_others(&suite.staging, &suite.target, &test.directory),
            slow_after: Some(slow_after(suite, test)),
            halts,
        };
        Box::pin(async move { (at, executor::execute(&execution, &mut interrupts).await) })
    }

    fn free_slot(&self) -> usize {
        let taken = |number: &usize| self.slots.values().any(|slot| slot.number == *number);
        (1..=self.slots.len() + 1).find(|number| !taken(number)).unwrap_or(1)
    }

    /// A test has come to its end.
    fn end(&mut self, at: usize, executed: Result<Executed, Failure>, interrupts: &signal::Receiver) {
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
    fn lost_service(&mut self, test: &Test) -> Option<Cause> {
        let names: Vec<&str> = services_of(&test.needs).collect();
        if let Some((at, ended)) = self.services.lost_among(&names) {
            self.hear(Happened::Ended(at, ended));
        }
        self.services.failure_among(&names)
    }

    /// Notes how a test ended, and gives up those that will never run because of it.
    fn settle(&mut self, at: usize, finished: Finished, slot: Option<usize>) {
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

    fn told(&mut self, at: usize, finished: Finished, slot: Option<usize>) {
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
            seconds: result.attempts.iter().map(|attempt| attempt.seconds).sum(),
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

    fn give_up(&mut self, not_run: Vec<NotRun>) {
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

    /// Something has happened to a service.
    fn hear(&mut self, happened: Happened) -> Option<Happening<'a>> {
        let sink = &self.suite.sink;
        match happened {
            Happened::Ready(at, service) => {
                let end = self.services.ready(at, service, sink);
                self.scheduler.service_ready(self.services.name(at));
                return end;
            }
            Happened::Failed(at, failure) => {
                if let Some(cause) = self.services.failed(at, &failure, sink) {
                    self.lose_service(at, &cause);
                }
            }
            Happened::Ended(at, ended) => {
                // Those that nobody needs any more are ended by the run itself.
                let is_needed = self.scheduler.needs_service(self.services.name(at));
                if let Some(cause) = self.services.ended(at, &ended, sink).filter(|_| is_needed) {
                    self.lose_service(at, &cause);
                }
            }
            Happened::Lost(failure) => {
                let cause = cause_of(&failure);
                self.suite.sink.event(RunEvent::ServiceFailed {
                    service: failure.service.clone(),
                    message: failure.problem.clone(),
                    log_tail: failure.log_tail.clone(),
                });
                self.lose_named(&failure.service, &cause);
            }
            Happened::Removed(problem) => {
                self.services.removed();
                self.warn(problem);
            }
        }
        None
    }

    /// A service is of no use any more: neither are those that need it, nor the tests that run with it.
    fn lose_service(&mut self, at: usize, cause: &Cause) {
        let name = self.services.name(at).to_owned();
        for other in self.services.without(&name) {
            let problem = format!("needs {name}, which failed");
            let cause = self.services.never_started(other, &problem, &self.suite.sink);
            self.lose_service(other, &cause);
        }
        self.lose_tests(&name, cause);
    }

    /// A service of a compose project is of no use any more.
    fn lose_named(&mut self, name: &str, cause: &Cause) {
        self.services.lose(name, cause.clone());
        self.lose_tests(name, cause);
    }

    fn lose_tests(&mut self, name: &str, cause: &Cause) {
        for test in self.scheduler.running_with(name).collect::<Vec<_>>() {
            let is_chaos = self.suite.tests.get(test).is_some_and(|test| test.blank().test_type == CHAOS);
            if let Some(slot) = self.slots.get(&test).filter(|_| !is_chaos) {
                let reason = format!("the service {name} is gone");
                let (outcome, cause) = (Outcome::DependencyFailed, cause.clone());
                halt::say(&slot.halts, Halt { reason, outcome, cause });
            }
        }
        let not_run = self.scheduler.service_failed(name);
        self.give_up(not_run);
    }

    /// Starts no more tests.
    fn stop(&mut self, reason: &str, outcome: Outcome, cause: Cause) {
        if self.cause_of_stop.is_none() || outcome == Outcome::Aborted {
            self.cause_of_stop = Some((outcome, cause));
        }
        let not_run = self.scheduler.stop();
        self.say_stopped(reason, not_run.len());
        self.give_up(not_run);
    }

    fn say_stopped(&self, reason: &str, tests: usize) {
        self.suite.sink.event(RunEvent::Stopped { reason: reason.to_owned(), tests });
    }

    fn time_is_over(&mut self) {
        let limit = duration::human(self.suite.time.unwrap_or_default());
        let reason = format!("the time for the whole run, {limit}, is over");
        let cause = Cause::NotRun { reason: reason.clone() };
        for slot in self.slots.values() {
            let (outcome, cause) = (Outcome::TimedOut, cause.clone());
            halt::say(&slot.halts, Halt { reason: reason.clone(), outcome, cause });
        }
        self.stop(&reason, Outcome::TimedOut, cause);
    }
}

fn services_of(needs: &[Need]) -> impl Iterator<Item = &str> {
    needs.iter().filter_map(|need| match need {
        Need::Service(name) => Some(name.as_str()),
        Need::Test(_) => None,
    })
}

/// A test is slow that takes much longer than usual, where that is known.
fn slow_after(suite: &Suite<'_>, test: &Test) -> std::time::Duration {
    let usual =
        test.expected.map(|seconds| std::time::Duration::from_secs_f64((seconds * 3.0).clamp(0.0, 1e6)));
    usual.unwrap_or_default().max(suite.slow_after)
}
