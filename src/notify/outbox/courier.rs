//! Brings what waits in the outbox to its sinks, each at its own pace.
//!
//! Owns the loop of each sink: claim, send, say what became of it. A sink that hangs holds up no other, and a store that
//! fails is told of and asked again.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{FutureExt as _, join_all};
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::Instant;

use super::attempt;
use super::pace::Backoff;
use super::route::{self, Route};
use super::{Effect, Sink};
use crate::history::HistoryError;
use crate::history::outbox::Store;
use crate::notify::send::Sender;

/// Gives the time in Unix milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Is told what happens. It must not wait.
pub type Listener = Arc<dyn Fn(Event) + Send + Sync>;

/// How it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Entries of one sink that may be on their way at once.
    pub concurrency: usize,
    /// How long one attempt may take.
    pub attempt: Duration,
    /// How long after that nobody else takes its entry. After a crash this is how long it waits.
    pub margin: Duration,
    /// How often is looked for what other processes have stored.
    pub poll: Duration,
    /// The wait between attempts.
    pub backoff: Backoff,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: 8,
            attempt: Duration::from_secs(30),
            margin: Duration::from_secs(15),
            poll: Duration::from_secs(5),
            backoff: Backoff::default(),
        }
    }
}

/// Something that people may want to hear of. Reasons hold no key of the sink.
#[derive(Debug)]
pub enum Event {
    /// A sink has an entry.
    Arrived {
        /// The sink.
        sink: String,
        /// The entry's key.
        key: String,
        /// What it does; `None` for a metric.
        effect: Option<Effect>,
    },
    /// An attempt failed; there will be another.
    Later {
        /// The sink.
        sink: String,
        /// The entry's key.
        key: String,
        /// Attempts so far.
        attempts: u32,
        /// Why.
        reason: String,
    },
    /// A sink will never take an entry: it is a dead letter now.
    Refused {
        /// The sink.
        sink: String,
        /// The entry's key.
        key: String,
        /// Why.
        reason: String,
    },
    /// Entries of any sink were too old to be of use.
    Expired {
        /// How many metrics.
        metrics: u64,
        /// How many alerts.
        alerts: u64,
    },
    /// The store does not do what it should.
    StoreFailed(HistoryError),
}

/// What a flush came to for one sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flushed {
    /// The sink.
    pub sink: String,
    /// What arrived.
    pub arrived: u64,
    /// What was refused for good.
    pub refused: u64,
    /// What stays for the next time.
    pub waiting: u64,
    /// Why something was not taken, the last time that it was not.
    pub reason: Option<String>,
}

/// Brings what waits to its sinks.
pub struct Courier {
    pub(super) store: Store,
    sinks: Vec<Sink>,
    sender: Sender,
    pub(super) clock: Clock,
    listener: Listener,
    pub(super) settings: Settings,
    /// Begins the name of each claim.
    pub(super) name: String,
    pub(super) claims: AtomicU64,
    begun: Instant,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// For ever.
    Work,
    /// Until nothing waits that can be sent before then.
    Flush(Instant),
    /// Until what is on its way has arrived, and no longer than this.
    End(Instant),
}

impl Phase {
    const fn deadline(self) -> Option<Instant> {
        match self {
            Self::Work => None,
            Self::Flush(deadline) | Self::End(deadline) => Some(deadline),
        }
    }
}

impl Courier {
    /// Sends nothing yet. Several couriers, in one process or many, may share a store.
    #[must_use]
    pub fn new(
        store: Store,
        sinks: Vec<Sink>,
        sender: Sender,
        clock: Clock,
        listener: Listener,
        settings: Settings,
    ) -> Self {
        let name = uuid::Uuid::new_v4().simple().to_string();
        let begun = Instant::now();
        Self { store, sinks, sender, clock, listener, settings, name, claims: AtomicU64::new(0), begun }
    }

    /// Sends until `stop`, and then for up to `grace` what is on its way. What waits stays stored.
    pub async fn run(&self, stop: impl Future<Output = ()>, grace: Duration) {
        let (phase, _) = watch::channel(Phase::Work);
        let working = join_all(self.sinks.iter().map(|sink| self.work(sink, phase.subscribe())));
        let stopping = async {
            stop.await;
            phase.send_replace(Phase::End(Instant::now() + grace));
        };
        tokio::join!(working, stopping);
    }

    /// Sends what is there, for up to `limit`, and ends early where nothing more can be sent in that time.
    pub async fn flush(&self, limit: Duration) -> Vec<Flushed> {
        let (phase, _) = watch::channel(Phase::Flush(Instant::now() + limit));
        join_all(self.sinks.iter().map(|sink| self.work(sink, phase.subscribe()))).await
    }

    async fn work(&self, sink: &Sink, mut phase: watch::Receiver<Phase>) -> Flushed {
        let mut route = Route::new(self, sink);
        let mut flights = FuturesUnordered::new();
        let mut changes = self.store.changes();
        let mut next = Instant::now();
        loop {
            let now_phase = *phase.borrow_and_update();
            if now_phase.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
                break;
            }
            let takes_more = !matches!(now_phase, Phase::End(_)) && flights.len() < route.pace.most();
            if takes_more && next <= Instant::now() {
                changes.mark_unchanged();
                let (entries, wake) = route.claim(flights.len()).await;
                next = wake;
                for (entry, transmissions) in entries {
                    let plan = attempt::Plan {
                        limit: self.settings.attempt,
                        backoff: self.settings.backoff,
                        chance: route::chance(),
                        clock: Arc::clone(&self.clock),
                    };
                    let redactor = route.redactor.clone();
                    flights.push(async move {
                        attempt::send(&self.sender, sink, &redactor, entry, transmissions, plan).await
                    });
                }
            }
            let is_done = match now_phase {
                Phase::Work => false,
                Phase::Flush(deadline) => {
                    route.report.waiting == 0 || route.due.is_none_or(|due| deadline <= due)
                }
                Phase::End(_) => true,
            };
            if flights.is_empty() && is_done {
                break;
            }
            let takes_more = !matches!(now_phase, Phase::End(_)) && flights.len() < route.pace.most();
            let is_idle = takes_more && !route.rests();
            tokio::select! {
                Some(first) = flights.next(), if !flights.is_empty() => {
                    let mut done = vec![first];
                    while let Some(Some(more)) = flights.next().now_or_never() {
                        done.push(more);
                    }
                    route.settle(done).await;
                    next = Instant::now();
                }
                _ = changes.changed(), if is_idle => next = Instant::now(),
                _ = phase.changed() => {}
                () = tokio::time::sleep_until(next), if takes_more => {}
                () = sleep_until(now_phase.deadline()) => {}
            }
        }
        drop(flights);
        route.give_back().await;
        route.report
    }

    pub(super) fn elapsed(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn tell(&self, event: Event) {
        (self.listener)(event);
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
