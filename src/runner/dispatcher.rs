//! Runs many tests beside one another: one loop that hears of everything and starts what may start.
//!
//! Owns slots, services' comings and goings, and what stops a run. It asks [`Scheduler`] what may start, hands tests to
//! [`super::executor`] and services to [`super::services`], and shares no state with either.

mod ends;
mod services;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use super::event::RunEvent;
use super::executor::{self, Executed, Execution};
use super::halt;
use super::layout::{Layout, SERVICES};
use super::services::{Ground, Happening, Services};
use super::suite::{Ended, Finished, Planned, Suite, Test};
use crate::error::{Category, Diagnose, Failure};
use crate::results::{Cause, Outcome};
use crate::signal;
use crate::suite::schedule::{Item, ScheduleError, Scheduler};

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
        out_of_time: false,
        on_end,
    };
    dispatcher.run(&ground, interrupts).await;
    let out_of_time = dispatcher.out_of_time;
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
    /// The time for the whole run is over.
    out_of_time: bool,
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
                match until.filter(|_| !self.out_of_time) {
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
}

/// A test is slow that takes much longer than usual, where that is known.
fn slow_after(suite: &Suite<'_>, test: &Test) -> std::time::Duration {
    let usual =
        test.expected.map(|seconds| std::time::Duration::from_secs_f64((seconds * 3.0).clamp(0.0, 1e6)));
    usual.unwrap_or_default().max(suite.slow_after)
}
