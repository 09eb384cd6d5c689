//! The way of one sink's entries: claimed, made into bytes, and said what became of them.
//!
//! Owns what is on its way to that sink, how much more may be, and what the store is not told yet.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::Sink;
use super::attempt::{self, Attempted};
use super::courier::{Courier, Event, Flushed};
use super::pace::Pace;
use crate::history::HistoryError;
use crate::history::outbox::{Claim, Claimed, MAX_LEASE, Outcome, Settled, Store};
use crate::notify::Transmission;
use crate::redact::Redactor;

/// A number that nobody can foresee.
pub(super) fn chance() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1
}

/// What the store is told of entries, and what it is asked for.
pub(super) struct Asked {
    settled: Vec<Settled>,
    pub(super) claim: Option<Claim>,
    /// The flush had begun: what waits then is all that it has to send.
    flushes: bool,
}

impl Asked {
    pub(super) async fn put(self, store: &Store, now: i64) -> Answered {
        let settled = self.settled.clone();
        let claimed = match self.claim.clone() {
            Some(claim) => store.settle_and_claim(settled, claim, now).await.map(Some),
            None => store.settle(settled, now).await.map(|()| None),
        };
        Answered { asked: self, claimed }
    }
}

/// What the store said.
pub(super) struct Answered {
    asked: Asked,
    claimed: Result<Option<Claimed>, HistoryError>,
}

/// The way to one sink.
pub(super) struct Route<'a> {
    courier: &'a Courier,
    sink: &'a Sink,
    pub(super) redactor: Redactor,
    pub(super) pace: Pace,
    /// What is on its way, by number.
    flying: BTreeMap<i64, Settled>,
    /// What became of entries, as far as the store has not been told.
    unsettled: Vec<Settled>,
    /// The store has failed to take that in.
    is_behind: bool,
    flushes: bool,
    /// When the store is asked again.
    pub(super) next: Instant,
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
            unsettled: Vec::new(),
            is_behind: false,
            flushes: false,
            next: Instant::now(),
            due: None,
            report: Flushed { sink: sink.id.clone(), waiting: u64::MAX, ..Flushed::default() },
        }
    }

    /// Counts from here on, and tries what would have waited for a better time.
    pub(super) fn begin_flush(&mut self) {
        if !self.flushes {
            self.flushes = true;
            self.pace.try_at_last();
            let reason = self.report.reason.take();
            let sink = self.sink.id.clone();
            self.report = Flushed { sink, waiting: u64::MAX, reason, ..Flushed::default() };
            self.due = Some(Instant::now());
            self.ask_soon();
        }
    }

    pub(super) fn rests(&mut self) -> bool {
        self.pace.rest(self.courier.elapsed()).is_some()
    }

    /// Whether the store is to be asked at `next`, also where nothing more may be sent.
    pub(super) const fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Asks the store as soon as may be: a store that fails has to be given time.
    pub(super) fn ask_soon(&mut self) {
        if !self.is_behind {
            self.next = Instant::now();
        }
    }

    /// What there is to tell the store and to ask it for now.
    pub(super) fn ask(&mut self, in_flight: usize, takes_more: bool) -> Option<Asked> {
        let is_time = self.next <= Instant::now();
        if self.is_behind && !is_time {
            return None;
        }
        // After a failure what has arrived goes alone: it may be the claim that cannot be stored.
        let takes_more = takes_more && is_time && !self.is_behind;
        let claim = if takes_more { self.request(in_flight) } else { None };
        if claim.is_none() && self.unsettled.is_empty() {
            return None;
        }
        Some(Asked { settled: std::mem::take(&mut self.unsettled), claim, flushes: self.flushes })
    }

    fn request(&mut self, in_flight: usize) -> Option<Claim> {
        let settings = &self.courier.settings;
        let elapsed = self.courier.elapsed();
        if let Some(rest) = self.pace.rest(elapsed) {
            self.next = Instant::now() + rest;
            self.due = Some(self.next);
            return None;
        }
        let now = (self.courier.clock)();
        let lease = (settings.attempt + settings.margin).as_millis();
        Some(Claim {
            sink: self.sink.id.clone(),
            name: format!("{}-{}", self.courier.name, self.courier.claims.fetch_add(1, Ordering::Relaxed)),
            limit: self.pace.most().saturating_sub(in_flight).min(self.pace.allowance(elapsed)),
            now,
            until: now.saturating_add(i64::try_from(lease).unwrap_or(MAX_LEASE).min(MAX_LEASE)),
        })
    }

    /// Takes in what the store said. Gives what is to be sent now, unless nothing more `begins`, and knows when to ask
    /// again.
    pub(super) fn take(
        &mut self,
        Answered { asked, claimed }: Answered,
        begins: bool,
    ) -> Vec<(Settled, Vec<Transmission>)> {
        let asked_at = Instant::now();
        let poll = asked_at + self.courier.settings.poll;
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => {
                self.courier.tell(Event::StoreFailed(error));
                self.unsettled.splice(0..0, asked.settled);
                self.is_behind = !self.unsettled.is_empty();
                self.due = Some(poll);
                self.next = poll;
                return Vec::new();
            }
        };
        if std::mem::take(&mut self.is_behind) {
            self.next = asked_at;
        }
        let (Some(claim), Some(claimed)) = (asked.claim, claimed) else { return Vec::new() };
        let (metrics, alerts) = claimed.expired;
        if metrics + alerts > 0 {
            self.courier.tell(Event::Expired { metrics, alerts });
        }
        let has_room = claimed.entries.len() < claim.limit;
        let ready = self.prepare(claimed.entries, begins);
        if asked.flushes != self.flushes {
            // It was asked before all was known.
            self.next = asked_at;
            return ready;
        }
        self.report.waiting = claimed.waiting;
        // What is given back may have held something up.
        self.due = if has_room && self.unsettled.is_empty() {
            let until = claimed.next_due.map(|due| due.saturating_sub(claim.now).max(1).unsigned_abs());
            until.map(|until| asked_at + Duration::from_millis(until))
        } else {
            Some(asked_at)
        };
        self.next = self.due.map_or(poll, |due| due.min(poll));
        ready
    }

    /// Makes the bytes; what is not sent now is given back.
    fn prepare(&mut self, entries: Vec<Settled>, begins: bool) -> Vec<(Settled, Vec<Transmission>)> {
        let mut ready = Vec::new();
        let mut settled = Vec::new();
        for mut entry in entries {
            if !begins {
                entry.outcome = Outcome::Unsent { due_at: (self.courier.clock)() };
                settled.push(Attempted { entry, asked: None });
                continue;
            }
            match attempt::transmissions(self.sink, &entry) {
                Ok(transmissions) => match self.pace.take(transmissions.len(), self.courier.elapsed()) {
                    Ok(()) => {
                        // It is bytes now.
                        entry.notice.clear();
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
        self.note(settled);
        ready
    }

    /// Notes what became of entries, for the store to be told, and tells of it.
    pub(super) fn note(&mut self, done: Vec<Attempted>) {
        let elapsed = self.courier.elapsed();
        for Attempted { entry, asked } in done {
            self.flying.remove(&entry.seq);
            let (sink, key) = (entry.sink.clone(), entry.key.clone());
            match &entry.outcome {
                Outcome::Arrived => {
                    self.pace.arrived();
                    self.report.arrived += 1;
                    self.courier.tell(Event::Arrived { sink, key, effect: entry.effect });
                }
                Outcome::Later { reason, .. } => {
                    self.pace.failed(asked, elapsed, chance());
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
            self.unsettled.push(entry);
        }
    }

    /// Lets go of what is still on its way at the end, and counts what stays. Where this cannot be stored the claims run
    /// out, and what has arrived is sent again.
    pub(super) async fn give_back(&mut self) {
        let now = (self.courier.clock)();
        let mut entries = std::mem::take(&mut self.unsettled);
        for (_, mut entry) in std::mem::take(&mut self.flying) {
            self.report.reason.get_or_insert_with(|| "it did not answer in time".to_owned());
            let reason = "the program ended before there was an answer".to_owned();
            entry.outcome = Outcome::Later { due_at: now, reason, sent: entry.sent, unseen: false };
            entries.push(entry);
        }
        let store = &self.courier.store;
        if !entries.is_empty()
            && let Err(error) = store.settle(entries, now).await
        {
            self.courier.tell(Event::StoreFailed(error));
        }
        match store.waiting(self.sink.id.clone()).await {
            Ok(waiting) => self.report.waiting = waiting,
            Err(error) => self.courier.tell(Event::StoreFailed(error)),
        }
    }
}
