//! Services come and go: when they are started and taken down, and what the end of one means to tests.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::ends::services_of;
use super::{CHAOS, Dispatcher, Finished};
use crate::error::Failure;
use crate::results::{Cause, Outcome};
use crate::runner::event::RunEvent;
use crate::runner::halt::{self, Halt};
use crate::runner::services::{Ground, Happened, Happening, cause_of};
use crate::signal;

impl<'a, F: FnMut(usize, &Finished)> Dispatcher<'a, F> {
    /// Waits for removals that are under way. The ends of services that are still watched are nobody's business now.
    pub(super) async fn take_down(
        &mut self,
        ground: &'a Ground<'a>,
        mut happenings: FuturesUnordered<Happening<'a>>,
    ) {
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

    pub(super) fn warn(&self, problem: Option<Failure>) {
        if let Some(problem) = problem {
            self.suite.sink.warn(format!("{problem}; the next run, or `docker-test prune`, removes it"));
        }
    }

    /// Services of a compose project are there already, or are not to be had.
    pub(super) fn begin_with_project(&mut self) -> Option<Happening<'a>> {
        self.lose_unknown();
        let project = self.suite.project?;
        match &project.started {
            Ok(_) => {
                for name in &project.names {
                    self.scheduler.service_ready(name);
                }
                self.watch_project()
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

    /// Hears of the next service of the project that ends.
    fn watch_project(&self) -> Option<Happening<'a>> {
        let started = self.suite.project?.started.as_ref().ok()?;
        let known = self.services.lost_names();
        Some(Box::pin(async move { Happened::Lost(started.ended(&known).await) }))
    }

    /// Nobody would ever start a service that is nowhere, and those that need it would wait for ever.
    fn lose_unknown(&mut self) {
        let names: BTreeSet<&str> =
            self.suite.tests.iter().flat_map(|test| services_of(&test.needs)).collect();
        let project = self.suite.project.map(|project| project.names.as_slice()).unwrap_or_default();
        for name in names {
            if !self.services.has(name) && !project.iter().any(|known| known == name) {
                let (service, message) = (name.to_owned(), "there is no such service".to_owned());
                let cause = Cause::DependencyFailed { service, message, log_tail: String::new() };
                self.lose_named(name, &cause);
            }
        }
    }

    pub(super) fn start_services(
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

    /// Something has happened to a service.
    pub(super) fn hear(&mut self, happened: Happened) -> Option<Happening<'a>> {
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
                return self.watch_project();
            }
            Happened::Removed(problem) => {
                self.services.removed();
                self.warn(problem);
            }
        }
        None
    }

    /// A service is of no use any more: neither are those that need it, nor the tests that run with it.
    pub(super) fn lose_service(&mut self, at: usize, cause: &Cause) {
        let name = self.services.name(at).to_owned();
        for other in self.services.without(&name) {
            let problem = format!("needs {name}, which failed");
            let cause = self.services.never_started(other, &problem, &self.suite.sink);
            self.lose_service(other, &cause);
        }
        self.lose_tests(&name, cause);
    }

    /// A service of a compose project is of no use any more.
    pub(super) fn lose_named(&mut self, name: &str, cause: &Cause) {
        self.services.lose(name, cause.clone());
        self.lose_tests(name, cause);
    }

    pub(super) fn lose_tests(&mut self, name: &str, cause: &Cause) {
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
}
