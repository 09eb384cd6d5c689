//! The way of one sink's entries: claimed, made into bytes, and said what became of them.
//!
//! Owns what is on its way to that sink and how much more may be.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::Sink;
use super::attempt::{self, Attempted};
use super::courier::{Courier, Event, Flushed};
use super::pace::Pace;
use crate::history::outbox::{Claim, MAX_LEASE, Outcome, Settled};
use crate::notify::Transmission;
use crate::redact::Redactor;

/// A number that nobody can foresee.
pub(super) fn chance() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1
}

/// The way to one sink.
pub(super) struct Route<'a> {
    courier: &'a Courier,
    sink: &'a Sink,
    pub(super) redactor: Redactor,
    pub(super) pace: Pace,
    /// What is on its way, by number.
    flying: BTreeMap<i64, Settled>,
    /// When there may be more to send, as far as is known.
    pub(super) due: Option<Instant>,
    pub(super) report: Flushed,
}

impl<'a> Route<'a> {
    pub(super) fn new(courier: &'a Courier, sink: &'a Sink) -> Self {
        let settings = &courier.settings;
        Self {
            courier,
            sink,
            redactor: Redactor::new(sink.notifier.secrets()),
            pace: Pace::new(settings.backoff, settings.concurrency, sink.notifier.per_minute()),
            flying: BTreeMap::new(),
            due: None,
            report: Flushed { sink: sink.id.clone(), waiting: u64::MAX, ..Flushed::default() },
        }
    }

    pub(super) fn rests(&mut self) -> bool {
        self.pace.rest(self.courier.elapsed()).is_some()
    }

    /// Takes what may be sent now, and says when to ask again.
    pub(super) async fn claim(&mut self, in_flight: usize) -> (Vec<(Settled, Vec<Transmission>)>, Instant) {
        let settings = &self.courier.settings;
        let elapsed = self.courier.elapsed();
        if let Some(rest) = self.pace.rest(elapsed) {
            let awake = Instant::now() + rest;
            self.due = Some(awake);
            return (Vec::new(), awake);
        }
        let limit = self.pace.most().saturating_sub(in_flight).min(self.pace.allowance(elapsed));
        let now = (self.courier.clock)();
        let lease = (settings.attempt + settings.margin).as_millis();
        let claim = Claim {
            sink: self.sink.id.clone(),
            name: format!("{}-{}", self.courier.name, self.courier.claims.fetch_add(1, Ordering::Relaxed)),
            limit,
            now,
            until: now.saturating_add(i64::try_from(lease).unwrap_or(MAX_LEASE).min(MAX_LEASE)),
        };
        let claimed = match self.courier.store.claim(claim).await {
            Ok(claimed) => claimed,
            Err(error) => {
                self.courier.tell(Event::StoreFailed(error));
                let again = Instant::now() + settings.poll;
                self.due = Some(again);
                return (Vec::new(), again);
            }
        };
        let (metrics, alerts) = claimed.expired;
        if metrics + alerts > 0 {
            self.courier.tell(Event::Expired { metrics, alerts });
        }
        self.report.waiting = claimed.waiting;
        let is_all = claimed.entries.len() < limit;
        let ready = self.prepare(claimed.entries).await;
        let asked_at = Instant::now();
        self.due = if is_all {
            let until = claimed.next_due.map(|due| due.saturating_sub(now).max(1).unsigned_abs());
            until.map(|until| asked_at + Duration::from_millis(until))
        } else {
            Some(asked_at)
        };
        let poll = asked_at + settings.poll;
        (ready, self.due.map_or(poll, |due| due.min(poll)))
    }

    /// Makes the bytes; what cannot be sent now is given back at once.
    async fn prepare(&mut self, entries: Vec<Settled>) -> Vec<(Settled, Vec<Transmission>)> {
        let mut ready = Vec::new();
        let mut settled = Vec::new();
        for mut entry in entries {
            match attempt::transmissions(self.sink, &entry) {
                Ok(transmissions) => match self.pace.take(transmissions.len(), self.courier.elapsed()) {
                    Ok(()) => {
                        self.flying.insert(entry.seq, entry.clone());
                        ready.push((entry, transmissions));
                    }
                    Err(wait) => {
                        let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
                        let due_at = (self.courier.clock)().saturating_add(wait);
                        entry.outcome = Outcome::Unsent { due_at };
                        settled.push(Attempted { entry, asked: None });
                    }
                },
                Err(reason) => {
                    entry.outcome = Outcome::Refused { reason };
                    settled.push(Attempted { entry, asked: None });
                }
            }
        }
        if !settled.is_empty() {
            self.settle(settled).await;
        }
        ready
    }

    /// Stores what became of entries, and tells of it.
    pub(super) async fn settle(&mut self, done: Vec<Attempted>) {
        let elapsed = self.courier.elapsed();
        for Attempted { entry, asked } in &done {
            self.flying.remove(&entry.seq);
            let (sink, key) = (entry.sink.clone(), entry.key.clone());
            match &entry.outcome {
                Outcome::Arrived => {
                    self.pace.arrived();
                    self.report.arrived += 1;
                    self.courier.tell(Event::Arrived { sink, key, effect: entry.effect });
                }
                Outcome::Later { reason, .. } => {
                    self.pace.failed(*asked, elapsed, chance());
                    self.report.reason = Some(reason.clone());
                    let reason = reason.clone();
                    self.courier.tell(Event::Later { sink, key, attempts: entry.attempts, reason });
                }
                Outcome::Refused { reason } => {
                    // It was there to say so.
                    self.pace.arrived();
                    self.report.refused += 1;
                    self.report.reason = Some(reason.clone());
                    self.courier.tell(Event::Refused { sink, key, reason: reason.clone() });
                }
                Outcome::Unsent { .. } => {}
            }
        }
        self.store(done.into_iter().map(|attempted| attempted.entry).collect()).await;
    }

    /// Lets go of what is still on its way at the end, and counts what stays.
    pub(super) async fn give_back(&mut self) {
        let now = (self.courier.clock)();
        let entries = std::mem::take(&mut self.flying).into_values().map(|mut entry| {
            let reason = "the program ended before there was an answer".to_owned();
            entry.outcome = Outcome::Later { due_at: now, reason, sent: entry.sent, unseen: false };
            entry
        });
        let entries: Vec<Settled> = entries.collect();
        if !entries.is_empty() {
            self.report.reason.get_or_insert_with(|| "it did not answer in time".to_owned());
            self.store(entries).await;
        }
        match self.courier.store.backlog().await {
            Ok(sinks) => {
                let own = sinks.into_iter().find(|backlog| backlog.sink == self.sink.id);
                self.report.waiting = own.map_or(0, |backlog| backlog.waiting);
            }
            Err(error) => self.courier.tell(Event::StoreFailed(error)),
        }
    }

    /// Where this fails the claims run out, and what has arrived is sent again.
    async fn store(&self, entries: Vec<Settled>) {
        if let Err(error) = self.courier.store.settle(entries, (self.courier.clock)()).await {
            self.courier.tell(Event::StoreFailed(error));
        }
    }
}
