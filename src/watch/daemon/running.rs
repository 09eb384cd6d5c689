//! Runs of the daemon: each begins in a task of its own, and what it came to is taken in.
//!
//! Owns what is counted, said and remembered of a run. When it begins is the loop's, and what it does
//! [`crate::watch::run`]'s.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use jiff::Timestamp;

use super::{Daemon, Happening};
use crate::harness::reporting::Gone;
use crate::watch::run::Done;

impl Daemon {
    /// Begins a run of a probe in a task of its own.
    pub(super) fn begin(&mut self, name: &str, due: Option<Timestamp>, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        self.runs += 1;
        let number = self.runs;
        let stop = entry.begin(number, now);
        self.under_way += 1;
        (self.observer)(&Happening::Began { probe: name, due, at: now });
        let (definition, kept) = (Arc::clone(&entry.definition), entry.kept());
        let (tools, sender) = (Arc::clone(&self.tools), self.done.0.clone());
        tokio::spawn(async move {
            let running = crate::watch::run::run(&tools, (Arc::clone(&definition), number), kept, &stop);
            // A run that is never over would hold up its probe, and the end of the daemon.
            let done = AssertUnwindSafe(running).catch_unwind().await.unwrap_or_else(|_| Done {
                problem: Some(format!(
                    "a run of {} ended in a fault of docker-test itself",
                    definition.name()
                )),
                definition,
                number,
                run: None,
                stepped: None,
            });
            // Nobody waits for it any more where the daemon has ended.
            let _unheard = sender.send(done);
        });
        self.place(name);
    }

    /// A run is over, and the next one of its probe may begin.
    pub(super) fn over(&mut self, done: &Done) {
        self.finish(done, true);
    }

    /// A run is over. The next one of its probe begins only where the daemon goes on.
    pub(super) fn finish(&mut self, done: &Done, goes_on: bool) {
        let now = (self.clock)();
        self.under_way = self.under_way.saturating_sub(1);
        match &done.run {
            Some(run) => {
                let verdict = run.verdict();
                let is_worse = self.worst.is_none_or(|worst| verdict.state() > worst.state());
                self.worst = if is_worse { Some(verdict) } else { self.worst };
                let alerts = done.stepped.as_ref().map(|stepped| stepped.alerts.as_slice());
                (self.observer)(&Happening::Ended { run, alerts: alerts.unwrap_or_default() });
            }
            None => (self.observer)(&Happening::Stopped { probe: done.definition.name() }),
        }
        match &done.problem {
            Some(problem) => self.problem("store", Some(problem.clone())),
            None if done.run.is_some() => self.problem("store", self.tools.means().reporting.trouble()),
            None => {}
        }
        // It may have been taken out and put in again meanwhile.
        let entry =
            self.entries.get_mut(done.definition.name()).filter(|entry| entry.is_running(done.number));
        let Some(entry) = entry else {
            self.conclude_late(done);
            return;
        };
        let state = done.stepped.as_ref().map(|stepped| &stepped.state);
        let again = entry.end(done.run.as_ref(), state, now) && goes_on;
        let kept = entry.kept();
        if again {
            self.begin(done.definition.name(), None, now);
        } else {
            let tools = Arc::clone(&self.tools);
            self.beside.spawn(async move { tools.remember(kept).await });
        }
        self.place(done.definition.name());
    }

    /// A run that came to its verdict after its probe was retired may have opened an incident that nobody would close.
    fn conclude_late(&mut self, done: &Done) {
        let Done { definition, stepped: Some(_), .. } = done else { return };
        let key = definition.probe.identity.key();
        if self.entries.values().all(|entry| entry.definition.probe.identity.key() != key) {
            let identity = definition.probe.identity.clone();
            self.late.push(Gone { identity, policy: Arc::clone(&definition.policy) });
        }
    }
}
