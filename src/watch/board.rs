//! What the daemon shows of itself, and what it may be asked for.
//!
//! Owns the two ends: the [`Board`] for those who look and ask (the page, metrics), and the [`Desk`] for the daemon, which
//! alone says what is on it. Those who look never hold up the daemon.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::definition::Origin;
use crate::history::HistoryError;
use crate::history::outbox::{Backlog, Store};
use crate::notify::policy::Silence;
use crate::probe::{Identity, Measurement, ProbeRun, Verdict};

/// Runs of a probe that are on the board.
pub const RECENT: usize = 48;

/// Requests that may wait for the daemon. More are refused.
const REQUESTS: usize = 64;

/// A daemon that does not answer for so long does not answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A run in a row of runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Mark {
    /// When it began, in Unix seconds.
    pub at: i64,
    /// What it came to.
    pub verdict: Verdict,
    /// How long it took.
    pub seconds: f32,
}

/// The last run of a probe.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LastRun {
    /// Its id.
    pub id: String,
    /// When it began, in Unix seconds.
    pub at: i64,
    /// What it came to.
    pub verdict: Verdict,
    /// How long it took.
    pub seconds: f64,
    /// How often it was tried.
    pub attempts: usize,
    /// How many of the attempts passed.
    pub passed: usize,
    /// One line for people. Free text of a stranger; secrets are hidden.
    pub summary: String,
    /// What the last attempt measured.
    #[serde(default, skip_serializing_if = "<[Measurement]>::is_empty")]
    pub measurements: Box<[Measurement]>,
}

/// A probe as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ProbeView {
    /// Name, type, host and tags.
    #[serde(flatten)]
    pub identity: Identity,
    /// Where it was found.
    pub origin: Origin,
    /// When it is due, as it was written; empty where it only runs on events.
    pub schedule: String,
    /// What it runs upon: `deploy shop-*`.
    pub events: Vec<String>,
    /// When it runs next, in Unix seconds.
    pub next: Option<i64>,
    /// When the run that is under way began, in Unix seconds.
    pub running_since: Option<i64>,
    /// How the last one ended.
    pub last: Option<LastRun>,
    /// An incident is open since then, in Unix seconds.
    pub open_since: Option<i64>,
    /// It changes too often to be told of each time.
    pub is_flapping: bool,
    /// Nobody is paged until then, in Unix seconds.
    pub silenced_until: Option<i64>,
    /// Runs that were not run, because one was under way or they were missed, since the daemon started.
    pub skipped: u64,
    /// The last runs, oldest first.
    pub recent: VecDeque<Mark>,
}

/// A silence as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SilenceView {
    /// Names it, for lifting it. Those of a file have none: they are lifted there.
    pub id: Option<String>,
    /// Which probes: a glob.
    pub probes: String,
    /// How many of the probes that are watched now it is about.
    pub matches: usize,
    /// From when to when, and why.
    #[serde(flatten)]
    pub silence: Silence,
}

/// A silence that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silenced {
    /// Names it, for lifting it.
    pub id: String,
    /// How many of the probes that are watched now it is about.
    pub matches: usize,
}

/// How the daemon itself does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Health {
    /// When it started, in Unix seconds.
    pub started_at: i64,
    /// Its configuration has been read, and its probes are scheduled.
    pub is_ready: bool,
    /// What is wrong, in one line each: a configuration that cannot be used and was not taken, an engine or a store that
    /// does not answer.
    pub problems: Vec<String>,
}

/// Everything that is shown at one moment.
#[derive(Debug, Clone, Default)]
struct Shown {
    probes: BTreeMap<String, Arc<ProbeView>>,
    silences: Vec<SilenceView>,
    health: Health,
}

/// Why a request is not met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// There is no such probe or silence.
    #[error("there is no {0}")]
    Unknown(String),
    /// It does not go together with what is the case.
    #[error("{0}")]
    Conflict(String),
    /// The daemon has too much to do, or ends.
    #[error("the daemon takes no requests now")]
    Busy,
    /// It cannot be stored.
    #[error("{0}")]
    Failed(String),
}

/// Something that the daemon is asked for. The answer goes back the way that comes with it.
#[derive(Debug)]
pub enum Request {
    /// Run a probe now.
    Run {
        /// Its name.
        probe: String,
        /// The way back.
        answer: oneshot::Sender<Result<(), RequestError>>,
    },
    /// Page nobody for a while.
    Silence {
        /// Which probes: a glob.
        probes: String,
        /// From when to when, and why.
        silence: Silence,
        /// The way back, for the silence's id.
        answer: oneshot::Sender<Result<Silenced, RequestError>>,
    },
    /// End a silence before its time.
    Lift {
        /// Its id.
        id: String,
        /// The way back.
        answer: oneshot::Sender<Result<(), RequestError>>,
    },
    /// Answer, and do nothing.
    Answer {
        /// The way back.
        answer: oneshot::Sender<Result<(), RequestError>>,
    },
}

/// The end of those who look and ask. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Board {
    shown: Arc<RwLock<Shown>>,
    requests: mpsc::Sender<Request>,
    store: Store,
    patience: Duration,
}

impl Request {
    /// Nobody waits for the answer any more: who asked was told that the daemon has too much to do.
    pub(super) fn is_given_up(&self) -> bool {
        match self {
            Self::Run { answer, .. } | Self::Lift { answer, .. } | Self::Answer { answer } => {
                answer.is_closed()
            }
            Self::Silence { answer, .. } => answer.is_closed(),
        }
    }
}

/// The daemon's end.
#[derive(Debug)]
pub struct Desk {
    shown: Arc<RwLock<Shown>>,
    /// What is asked for.
    pub requests: mpsc::Receiver<Request>,
}

/// Both ends of an empty board, over the store that runs and notices are in.
#[must_use]
pub fn board(store: Store) -> (Board, Desk) {
    let shown = Arc::new(RwLock::new(Shown::default()));
    let (sender, requests) = mpsc::channel(REQUESTS);
    (Board { shown: Arc::clone(&shown), requests: sender, store, patience: ANSWER }, Desk { shown, requests })
}

impl Board {
    fn read(&self) -> RwLockReadGuard<'_, Shown> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// All probes, by name.
    #[must_use]
    pub fn probes(&self) -> Vec<Arc<ProbeView>> {
        self.read().probes.values().cloned().collect()
    }

    /// One probe.
    #[must_use]
    pub fn probe(&self, name: &str) -> Option<Arc<ProbeView>> {
        self.read().probes.get(name).cloned()
    }

    /// What is silenced, now or later.
    #[must_use]
    pub fn silences(&self) -> Vec<SilenceView> {
        self.read().silences.clone()
    }

    /// How the daemon itself does.
    #[must_use]
    pub fn health(&self) -> Health {
        self.read().health.clone()
    }

    /// The newest runs of a probe with all that was seen, newest first. Those that cannot be read are left out.
    pub async fn runs(&self, probe: &ProbeView, limit: usize) -> Result<Vec<ProbeRun>, HistoryError> {
        let runs = self.store.probe_runs(probe.identity.key(), limit).await?;
        Ok(runs.iter().filter_map(|run| serde_json::from_str(run).ok()).collect())
    }

    /// One run of a probe, so many before the newest; `None` where it is not there or cannot be read.
    pub async fn run(&self, probe: &ProbeView, before: usize) -> Result<Option<ProbeRun>, HistoryError> {
        let run = self.store.probe_run(probe.identity.key(), before).await?;
        Ok(run.and_then(|run| serde_json::from_str(&run).ok()))
    }

    /// What waits for the sinks, and what was lost.
    pub async fn backlog(&self) -> Result<Vec<Backlog>, HistoryError> {
        self.store.backlog().await
    }

    /// Runs a probe now, beside its schedule.
    pub async fn run_now(&self, probe: &str) -> Result<(), RequestError> {
        let probe = probe.to_owned();
        self.ask(|answer| Request::Run { probe, answer }).await
    }

    /// Pages nobody about these probes for a while. It is kept across restarts.
    pub async fn silence(&self, probes: &str, silence: Silence) -> Result<Silenced, RequestError> {
        let probes = probes.to_owned();
        self.ask(|answer| Request::Silence { probes, silence, answer }).await
    }

    /// Ends a silence before its time.
    pub async fn lift(&self, id: &str) -> Result<(), RequestError> {
        let id = id.to_owned();
        self.ask(|answer| Request::Lift { id, answer }).await
    }

    /// Whether the daemon is at work: its loop goes round.
    pub async fn is_alive(&self) -> bool {
        self.ask(|answer| Request::Answer { answer }).await.is_ok()
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, RequestError>>) -> Request,
    ) -> Result<T, RequestError> {
        let (answer, answered) = oneshot::channel();
        self.requests.try_send(request(answer)).map_err(|_| RequestError::Busy)?;
        match tokio::time::timeout(self.patience, answered).await {
            Ok(Ok(answer)) => answer,
            _ => Err(RequestError::Busy),
        }
    }
}

impl Desk {
    fn write(&self) -> RwLockWriteGuard<'_, Shown> {
        self.shown.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a probe on the board, or in the place of what was there of it.
    pub fn show(&self, probe: Arc<ProbeView>) {
        self.write().probes.insert(probe.identity.name.clone(), probe);
    }

    /// Takes a probe off the board.
    pub fn remove(&self, name: &str) {
        self.write().probes.remove(name);
    }

    /// Shows these silences and no others.
    pub fn show_silences(&self, silences: Vec<SilenceView>) {
        self.write().silences = silences;
    }

    /// Shows how the daemon does.
    pub fn show_health(&self, health: Health) {
        self.write().health = health;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::outbox::Limits;
    use crate::notify::outbox;

    #[tokio::test]
    async fn what_is_asked_for_reaches_the_daemon_and_its_answer_comes_back_or_nothing_does() {
        let (mut board, mut desk) = board(outbox::in_memory(Limits::default()).unwrap());
        let daemon = async {
            let Some(Request::Run { probe, answer }) = desk.requests.recv().await else {
                panic!("a run was asked for");
            };
            answer.send(Err(RequestError::Unknown(format!("probe {probe}")))).unwrap();
        };
        let (answer, ()) = tokio::join!(board.run_now("shop"), daemon);
        assert_eq!(answer, Err(RequestError::Unknown("probe shop".to_owned())));
        // One that hangs is not alive, and does not do later what nobody waits for.
        board.patience = Duration::from_millis(50);
        assert!(!board.is_alive().await);
        assert!(desk.requests.recv().await.unwrap().is_given_up());
        drop(desk);
        assert_eq!(board.run_now("shop").await, Err(RequestError::Busy));
    }
}
