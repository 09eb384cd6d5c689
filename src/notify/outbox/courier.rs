//! Brings what waits in the outbox to its sinks, each at its own pace.
//!
//! Owns the loop of each sink: claim, send, say what became of it, all of them at the same time. A sink that hangs holds up no other, and a store that
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

use super::attempt::{self, Attempted};
use super::pace::Backoff;
use super::route::{self, Route};
use super::{Effect, Sink};
use crate::history::HistoryError;
use crate::history::outbox::Store;
use crate::notify::send::Sender;

/// Which part of a flush is for what is on its way at its end, and begins nothing.
const LANDING: u32 = 4;

/// No more of it than this.
const LONGEST_LANDING: Duration = Duration::from_secs(3);

/// Gives the time in Unix milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Is told what happens. It must not wait.
pub type Listener = Arc<dyn Fn(Event) + Send + Sync>;

/// How it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Entries of one sink that may be on their way at once, where it has taken as many before.
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
            concurrency: 64,
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

/// How the work ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Nothing more begins, and what is on its way is waited for, no longer than this. What waits stays stored.
    Land(Duration),
    /// What waits is sent, as by [`Courier::flush`].
    Flush(Duration),
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// For ever.
    Work,
    /// Until nothing waits that can be sent before `last`, when nothing more begins.
    Flush { last: Instant, deadline: Instant },
    /// Until what is on its way has arrived, and no longer than this.
    Land(Instant),
}

impl Phase {
    fn begin(ending: Ending) -> Self {
        let now = Instant::now();
        match ending {
            Ending::Land(limit) => Self::Land(now + limit),
            Ending::Flush(limit) => {
                let deadline = now + limit;
                Self::Flush { last: deadline - (limit / LANDING).min(LONGEST_LANDING), deadline }
            }
        }
    }

    fn at(self, now: Instant) -> Self {
        match self {
            Self::Flush { last, deadline } if last <= now => Self::Land(deadline),
            other => other,
        }
    }

    /// When it is over or another.
    const fn end(self) -> Option<Instant> {
        match self {
            Self::Work => None,
            Self::Flush { last: end, .. } | Self::Land(end) => Some(end),
        }
    }

    const fn begins_more(self) -> bool {
        !matches!(self, Self::Land(_))
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

    /// Sends until it is told how that ends. Says what that came to.
    pub async fn run(&self, ending: impl Future<Output = Ending>) -> Vec<Flushed> {
        let (phase, _) = watch::channel(Phase::Work);
        let working = join_all(self.sinks.iter().map(|sink| self.work(sink, phase.subscribe())));
        let ending = async {
            let ending = ending.await;
            phase.send_replace(Phase::begin(ending));
        };
        tokio::join!(working, ending).0
    }

    /// Sends what is there, for up to `limit`, and ends early where nothing more can be sent in that time. The last of it
    /// is for what is on its way: cut off, it would be sent again.
    pub async fn flush(&self, limit: Duration) -> Vec<Flushed> {
        let (phase, _) = watch::channel(Phase::begin(Ending::Flush(limit)));
        join_all(self.sinks.iter().map(|sink| self.work(sink, phase.subscribe()))).await
    }

    async fn work(&self, sink: &Sink, mut phase: watch::Receiver<Phase>) -> Flushed {
        let mut route = Route::new(self, sink);
        let mut flights = FuturesUnordered::new();
        // One at a time: what comes to an end meanwhile is told to the store together, with the next.
        let mut exchange = FuturesUnordered::new();
        let mut changes = self.store.changes();
        loop {
            let now = Instant::now();
            let current = phase.borrow_and_update().at(now);
            match current {
                Phase::Land(deadline) if deadline <= now => break,
                Phase::Flush { .. } => route.begin_flush(),
                Phase::Work | Phase::Land(_) => {}
            }
            let takes_more = current.begins_more() && flights.len() < route.pace.most();
            if exchange.is_empty()
                && let Some(asked) = route.ask(flights.len(), takes_more)
            {
                if asked.claim.is_some() {
                    changes.mark_unchanged();
                }
                exchange.push(asked.put(&self.store, (self.clock)()));
            }
            let is_done = match current {
                Phase::Work => false,
                Phase::Flush { last, .. } => {
                    route.report.waiting == 0 || route.due.is_none_or(|due| last <= due)
                }
                Phase::Land(_) => true,
            };
            if flights.is_empty() && exchange.is_empty() && is_done {
                break;
            }
            let is_free = exchange.is_empty();
            let is_idle = is_free && takes_more && !route.rests();
            let asks_again = is_free && (takes_more || route.is_behind());
            tokio::select! {
                Some(first) = flights.next(), if !flights.is_empty() => {
                    route.note(all_done(Some(first), &mut flights));
                    route.ask_soon();
                }
                Some(answered) = exchange.next(), if !exchange.is_empty() => {
                    let begins = phase.borrow().at(Instant::now()).begins_more();
                    for (entry, transmissions) in route.take(answered, begins) {
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
                _ = changes.changed(), if is_idle => route.ask_soon(),
                _ = phase.changed() => {}
                () = tokio::time::sleep_until(route.next), if asks_again => {}
                () = sleep_until(current.end()) => {}
            }
        }
        while let Some(answered) = exchange.next().await {
            route.take(answered, false);
        }
        // An answer that is there counts, however late it is looked at.
        route.note(all_done(None, &mut flights));
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

/// What has come to an end by now.
fn all_done<F: Future<Output = Attempted>>(
    first: Option<Attempted>,
    flights: &mut FuturesUnordered<F>,
) -> Vec<Attempted> {
    let mut done = Vec::from_iter(first);
    while let Some(Some(more)) = flights.next().now_or_never() {
        done.push(more);
    }
    done
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
