//! The services of a run: which are to start, which can be used, which have ended, and what became of each.
//!
//! Owns their states and results. When something happens to one is heard from the futures that it hands out; what that
//! means to tests is the dispatcher's to say.

mod project;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use project::Project;
pub(super) use project::cause_of;
use project::last_lines;

use super::Sink;
use super::event::RunEvent;
use super::secret_files::SecretFiles;
use super::service::{self, Ended, Service, ServiceContext, ServiceFailure};
use crate::engine::Engine;
use crate::error::Failure;
use crate::ledger::RunLedger;
use crate::plan::service::ServicePlan;
use crate::redact::Redactor;
use crate::results::{Cause, Outcome, ServiceResult};
use crate::signal;
use crate::suite::document::Condition;

/// A service as the run is handed it.
#[derive(Debug)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// Its image, as the user wrote it.
    pub image: String,
    /// The plan, or why there is none.
    pub plan: Result<ServicePlan, Failure>,
    /// Services that are ready before it starts.
    pub needs: Vec<String>,
    /// Files under `/run/secrets`.
    pub secret_files: SecretFiles,
}

/// What has happened to a service.
pub(super) enum Happened {
    /// It can be used.
    Ready(usize, Box<Service>),
    /// It never will be.
    Failed(usize, ServiceFailure),
    /// It has ended, though tests may need it.
    Ended(usize, Ended),
    /// One of a compose project has ended.
    Lost(ServiceFailure),
    /// It is gone, as it should be.
    Removed(Option<Failure>),
}

/// Resolves when something happens.
pub(super) type Happening<'a> = Pin<Box<dyn Future<Output = Happened> + 'a>>;

/// What starting services needs.
pub(super) struct Ground<'a> {
    pub(super) engine: &'a Engine,
    pub(super) ledger: &'a RunLedger,
    pub(super) redactor: Arc<Redactor>,
    /// The directory of their logs. It is there.
    pub(super) logs: PathBuf,
    pub(super) sink: Sink,
}

enum State {
    Waiting,
    Starting {
        began: Instant,
        unwanted: CancellationToken,
    },
    Up {
        service: Box<Service>,
        began: Instant,
    },
    /// It was a job, and is done; or it is not needed any more.
    Done,
    /// It was given up before it was ready.
    GivenUp,
    Failed {
        cause: Cause,
    },
}

/// All services of a run.
pub(super) struct Services<'a> {
    planned: &'a [Planned],
    states: Vec<State>,
    index: BTreeMap<&'a str, usize>,
    results: Vec<Option<ServiceResult>>,
    being_removed: usize,
    /// Services of a compose project that cannot be used any more.
    lost: BTreeMap<String, Cause>,
}

impl<'a> Services<'a> {
    pub(super) fn new(planned: &'a [Planned]) -> Self {
        Self {
            planned,
            states: planned.iter().map(|_| State::Waiting).collect(),
            index: planned.iter().enumerate().map(|(at, planned)| (planned.name.as_str(), at)).collect(),
            results: planned.iter().map(|_| None).collect(),
            being_removed: 0,
            lost: BTreeMap::new(),
        }
    }

    pub(super) fn name(&self, at: usize) -> &'a str {
        self.planned.get(at).map_or("", |planned| planned.name.as_str())
    }

    /// Those that wait, are needed, and have what they need themselves.
    pub(super) fn startable(&self, needed: impl Fn(&str) -> bool) -> Vec<usize> {
        let is_there = |name: &String| {
            let state = self.index.get(name.as_str()).and_then(|at| self.states.get(*at));
            matches!(state, Some(State::Up { .. } | State::Done))
        };
        let waiting = self.planned.iter().zip(&self.states).enumerate();
        waiting
            .filter(|(_, (planned, state))| matches!(state, State::Waiting) && needed(&planned.name))
            .filter(|(_, (planned, _))| planned.needs.iter().all(is_there))
            .map(|(at, _)| at)
            .collect()
    }

    /// Those that wait and need one that has failed: they fail with it.
    pub(super) fn without(&self, failed: &str) -> Vec<usize> {
        let waiting = self.planned.iter().zip(&self.states).enumerate();
        waiting
            .filter(|(_, (planned, state))| {
                matches!(state, State::Waiting) && planned.needs.iter().any(|need| need == failed)
            })
            .map(|(at, _)| at)
            .collect()
    }

    /// Begins to start one.
    pub(super) fn start(
        &mut self,
        at: usize,
        ground: &'a Ground<'a>,
        interrupts: &signal::Receiver,
    ) -> Option<Happening<'a>> {
        let planned = self.planned.get(at)?;
        let unwanted = CancellationToken::new();
        self.set(at, State::Starting { began: Instant::now(), unwanted: unwanted.clone() });
        ground
            .sink
            .event(RunEvent::ServiceStarting { service: planned.name.clone(), image: planned.image.clone() });
        let mut interrupts = interrupts.clone();
        Some(Box::pin(async move {
            let failed = |problem: String| ServiceFailure {
                service: planned.name.clone(),
                problem,
                log_tail: String::new(),
                interrupted: false,
            };
            let plan = match &planned.plan {
                Ok(plan) => plan,
                Err(failure) => return Happened::Failed(at, failed(format!("cannot be had: {failure}"))),
            };
            let context = ServiceContext {
                engine: ground.engine,
                ledger: ground.ledger,
                redactor: Arc::clone(&ground.redactor),
                log: ground.logs.join(format!("{}.log", planned.name)),
                secret_files: &planned.secret_files,
                unwanted,
            };
            match service::start(plan, &context, &mut interrupts).await {
                Ok(Ok(service)) => Happened::Ready(at, Box::new(service)),
                Ok(Err(failure)) => Happened::Failed(at, failure),
                Err(failure) => Happened::Failed(at, failed(format!("could not be started: {failure}"))),
            }
        }))
    }

    /// One can be used. Gives out what tells its end; nothing where its end is what was waited for.
    pub(super) fn ready(&mut self, at: usize, service: Box<Service>, sink: &Sink) -> Option<Happening<'a>> {
        let began = match self.states.get(at) {
            Some(State::Starting { began, .. }) => *began,
            _ => Instant::now(),
        };
        let name = self.name(at).to_owned();
        sink.event(RunEvent::ServiceReady { service: name, seconds: began.elapsed().as_secs_f64() });
        let end = (!self.is_job(at)).then(|| service.end());
        self.set(at, State::Up { service, began });
        end_of(at, end)
    }

    fn is_job(&self, at: usize) -> bool {
        let plan = self.planned.get(at).and_then(|planned| planned.plan.as_ref().ok());
        let condition = plan.and_then(|plan| plan.ready.as_ref()).map(|ready| &ready.condition);
        condition == Some(&Condition::Completed)
    }

    /// One never was ready. Says what it is to those who need it; nothing where nobody does any more.
    pub(super) fn failed(&mut self, at: usize, failure: &ServiceFailure, sink: &Sink) -> Option<Cause> {
        if failure.interrupted {
            self.set(at, State::GivenUp);
            return None;
        }
        let seconds = match self.states.get(at) {
            Some(State::Starting { began, .. }) => began.elapsed().as_secs_f64(),
            _ => 0.0,
        };
        let own = Cause::NotStarted { message: failure.problem.clone() };
        Some(self.lost(at, own, &failure.problem, &failure.log_tail, seconds, sink))
    }

    /// One has ended while it may have been needed. Says what it is to those who need it; nothing where it was not up.
    pub(super) fn ended(&mut self, at: usize, ended: &Ended, sink: &Sink) -> Option<Cause> {
        let Some(State::Up { service, began }) = self.states.get(at) else { return None };
        let (tail, seconds) = (service.log_tail(), began.elapsed().as_secs_f64());
        let own = match (ended.out_of_memory, ended.exit_code) {
            (true, _) => Cause::OutOfMemory { limit: None },
            (false, Some(code @ 129..=192)) => {
                Cause::KilledBySignal { signal: u8::try_from(code - 128).unwrap_or_default() }
            }
            (false, Some(code)) => Cause::ExitCode { code },
            (false, None) => Cause::ContainerRemoved,
        };
        Some(self.lost(at, own, &ended.to_string(), &tail, seconds, sink))
    }

    fn lost(&mut self, at: usize, own: Cause, problem: &str, tail: &str, seconds: f64, sink: &Sink) -> Cause {
        let (service, message) = (self.name(at).to_owned(), problem.to_owned());
        sink.event(RunEvent::ServiceFailed {
            service: service.clone(),
            message: message.clone(),
            log_tail: tail.to_owned(),
        });
        let cause = Cause::DependencyFailed { service, message, log_tail: last_lines(tail) };
        self.record(at, Outcome::Failed, Some(own), seconds, tail);
        if let Some(state) = self.states.get_mut(at) {
            // Its container, if it still has one, is the ledger's to remove; its log was followed to the end.
            *state = State::Failed { cause: cause.clone() };
        }
        cause
    }

    /// Why one of these cannot be used any more, where that is so, though nobody has said so yet.
    pub(super) fn lost_among(&self, names: &[&str]) -> Option<(usize, Ended)> {
        names.iter().find_map(|name| {
            let at = *self.index.get(name)?;
            let Some(State::Up { service, .. }) = self.states.get(at) else { return None };
            Some((at, service.has_ended()?)).filter(|_| !self.is_job(at))
        })
    }

    /// What the failure of one of these means to a test, where one has failed.
    pub(super) fn failure_among(&self, names: &[&str]) -> Option<Cause> {
        names.iter().find_map(|name| match self.index.get(name).map(|at| self.states.get(*at)) {
            Some(Some(State::Failed { cause })) => Some(cause.clone()),
            Some(_) => None,
            None => self.lost.get(*name).cloned(),
        })
    }

    /// Whether there is a service of that name among these.
    pub(super) fn has(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// Services of a compose project that cannot be used any more.
    pub(super) fn lost_names(&self) -> BTreeSet<String> {
        self.lost.keys().cloned().collect()
    }

    /// A service of a compose project cannot be used any more.
    pub(super) fn lose(&mut self, name: &str, cause: Cause) {
        self.lost.entry(name.to_owned()).or_insert(cause);
    }

    /// Takes down those that nobody needs any more.
    pub(super) fn release(
        &mut self,
        needed: impl Fn(&str) -> bool,
        ground: &'a Ground<'a>,
    ) -> Vec<Happening<'a>> {
        let mut removals: Vec<Happening<'a>> = Vec::new();
        for at in 0..self.planned.len() {
            if needed(self.name(at)) {
                continue;
            }
            match self.states.get(at) {
                Some(State::Starting { unwanted, .. }) => {
                    unwanted.cancel();
                    continue;
                }
                Some(State::Up { .. }) => {}
                _ => continue,
            }
            let Some(state) = self.states.get_mut(at) else { continue };
            if let State::Up { service, began } = std::mem::replace(state, State::Done) {
                let (tail, seconds) = (service.log_tail(), began.elapsed().as_secs_f64());
                self.record(at, Outcome::Passed, None, seconds, &tail);
                self.being_removed += 1;
                removals.push(Box::pin(async move {
                    Happened::Removed(service.remove(ground.engine, ground.ledger).await.err())
                }));
            }
        }
        removals
    }

    /// How many are on their way down.
    pub(super) const fn being_removed(&self) -> usize {
        self.being_removed
    }

    /// One of those is down.
    pub(super) const fn removed(&mut self) {
        self.being_removed = self.being_removed.saturating_sub(1);
    }

    /// One cannot be started, because of another.
    pub(super) fn never_started(&mut self, at: usize, problem: &str, sink: &Sink) -> Cause {
        let own = Cause::NotStarted { message: problem.to_owned() };
        self.lost(at, own, problem, "", 0.0, sink)
    }

    /// Whether one is on its way up.
    pub(super) fn is_any_starting(&self) -> bool {
        self.states.iter().any(|state| matches!(state, State::Starting { .. }))
    }

    fn record(&mut self, at: usize, outcome: Outcome, cause: Option<Cause>, seconds: f64, tail: &str) {
        let Some((planned, slot)) = self.planned.get(at).zip(self.results.get_mut(at)) else { return };
        *slot = Some(ServiceResult {
            name: planned.name.clone(),
            image: planned.image.clone(),
            outcome,
            cause,
            seconds,
            log_tail: tail.to_owned(),
            run_id: None,
        });
    }

    fn set(&mut self, at: usize, new: State) {
        if let Some(state) = self.states.get_mut(at) {
            *state = new;
        }
    }

    /// What became of those that were started, in their order, and which of a compose project have ended.
    pub(super) fn results(self) -> (Vec<ServiceResult>, BTreeMap<String, Cause>) {
        (self.results.into_iter().flatten().collect(), self.lost)
    }
}

fn end_of<'a>(at: usize, end: Option<impl Future<Output = Ended> + 'a>) -> Option<Happening<'a>> {
    let end = end?;
    Some(Box::pin(async move { Happened::Ended(at, end.await) }))
}
