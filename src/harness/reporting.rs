//! What is told of runs: stored first, then brought to the sinks.
//!
//! Owns that the state of a probe, its run and the alerts that both come to are stored together, and that a state
//! directory that fails costs memory of the past, never a page. What is told is the policy's, how it is sent the outbox's.

mod doubt;
mod way;

use std::path::{Path, PathBuf};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::OnceCell;

use super::now;
use crate::error::{Category, Diagnose};
use crate::history::outbox::{Applied, Change, Limits, RunRecord, StateChange, Store};
use crate::history::{self, HistoryError};
use crate::notify::outbox::{self, Event, Flushed, Listener, Sink, UnwritableNotice};
use crate::notify::policy::{self, Policy, ProbeState};
use crate::notify::send::Sender;
use crate::notify::{Action, Alert, Notice};
use crate::probe::{Identity, ProbeRun, Verdict};
use doubt::Doubt;
use way::Way;

/// Runs of a probe that are kept.
const RUNS: usize = 500;

/// What happened cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum ReportingError {
    /// The store fails.
    #[error(transparent)]
    Store(#[from] HistoryError),
    /// A notice cannot be written as text.
    #[error(transparent)]
    Unwritable(#[from] UnwritableNotice),
    /// A state or a run cannot be written as text.
    #[error("cannot write the {what} of {probe} down")]
    State {
        /// state or run
        what: &'static str,
        /// Which probe.
        probe: String,
        /// Why not.
        source: serde_json::Error,
    },
}

impl Diagnose for ReportingError {
    fn category(&self) -> Category {
        match self {
            Self::Store(error) => error.category(),
            Self::Unwritable(_) | Self::State { .. } => Category::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Unwritable(_) | Self::State { .. } => None,
        }
    }
}

/// Tells sinks of runs of probes. Dropped, it sends nothing more; what waits stays stored.
pub struct Reporting {
    main: Way,
    /// The way that is gone where the main one fails: it ends with this process.
    spare: OnceCell<Way>,
    doubt: Doubt,
    sinks: Vec<Sink>,
    sender: Sender,
    policy: Policy,
    listener: Listener,
}

/// What a step of a probe's state came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Stepped {
    /// What people are told.
    pub alerts: Vec<Alert>,
    /// The new state.
    pub state: ProbeState,
}

/// The store of a state directory, and whether it outlives this process.
pub struct Opened {
    /// The store.
    pub store: Store,
    /// What is in it is there for the next run.
    pub lasts: bool,
    /// Why it is not the one that was asked for.
    pub problem: Option<HistoryError>,
    /// Where the one that was damaged is now.
    pub set_aside: Option<PathBuf>,
    doubt: Doubt,
}

/// Opens the store in `state`. One that is damaged is set aside for a new one; where that cannot be, or there is none,
/// it is one that ends with this process.
pub fn open(state: Option<&Path>) -> Result<Opened, HistoryError> {
    let doubt = Doubt::of(state);
    let mut set_aside = None;
    let problem = match state.map(|state| open_whole(state, &doubt, &mut set_aside)) {
        Some(Ok(store)) => return Ok(Opened { store, lasts: true, problem: None, set_aside, doubt }),
        Some(Err(error)) => Some(error),
        None => None,
    };
    let store = outbox::in_memory(Limits::default())?;
    Ok(Opened { store, lasts: false, problem, set_aside, doubt })
}

fn open_whole(state: &Path, doubt: &Doubt, aside: &mut Option<PathBuf>) -> Result<Store, HistoryError> {
    if doubt.is_about_damage() {
        *aside = history::set_aside(state, OffsetDateTime::now_utc())?;
        doubt.settle_damage();
    }
    match outbox::open(state, Limits::default()) {
        Err(error @ HistoryError::Damaged { .. }) => {
            let moved = history::set_aside(state, OffsetDateTime::now_utc()).unwrap_or_default();
            let Some(moved) = moved else { return Err(error) };
            *aside = Some(moved);
            outbox::open(state, Limits::default())
        }
        opened => opened,
    }
}

impl Opened {
    /// A store that is open already, of this state directory.
    #[must_use]
    pub fn of(store: Store, lasts: bool, state: Option<&Path>) -> Self {
        Self { store, lasts, problem: None, set_aside: None, doubt: Doubt::of(state) }
    }
}

impl Reporting {
    /// Begins to send, also what earlier runs have left.
    #[must_use]
    pub fn begin(
        opened: Opened,
        sinks: Vec<Sink>,
        sender: Sender,
        policy: Policy,
        listener: Listener,
    ) -> Self {
        let main = Way::begin(opened.store, opened.lasts, &sinks, &sender, &listener);
        Self { main, spare: OnceCell::new(), doubt: opened.doubt, sinks, sender, policy, listener }
    }

    /// Where it is stored, unless that fails.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.main.store
    }

    /// Stores a notice for all sinks that it is for.
    pub async fn tell(&self, notice: &Notice) -> Result<(), ReportingError> {
        self.tell_all(std::slice::from_ref(notice)).await
    }

    /// Stores alerts that are no probe's.
    pub async fn tell_alerts(&self, alerts: Vec<Alert>) -> Result<(), ReportingError> {
        self.tell_all(&alerts.into_iter().map(Notice::Alert).collect::<Vec<_>>()).await
    }

    async fn tell_all(&self, notices: &[Notice]) -> Result<(), ReportingError> {
        let entries = outbox::entries(&self.sinks, notices)?;
        if entries.is_empty() {
            return Ok(());
        }
        let change = Change { entries, ..Change::default() };
        let way = self.way().await;
        if let Err(error) = way.store.apply(change.clone(), milliseconds()).await {
            self.instead_of(way, error).await?.store.apply(change, milliseconds()).await?;
        }
        Ok(())
    }

    /// Stores what a run came to: its probe's new state, the run, and what both give rise to. All of it or nothing.
    pub async fn conclude(&self, run: &ProbeRun) -> Result<Vec<Alert>, ReportingError> {
        Ok(self.conclude_under(&self.policy, run).await?.alerts)
    }

    /// The same under another policy than the one that all probes have.
    pub async fn conclude_under(&self, policy: &Policy, run: &ProbeRun) -> Result<Stepped, ReportingError> {
        self.step(policy, &run.probe, Some(run), |policy, state| policy::decide(policy, state, run, now()))
            .await
    }

    /// Brings the state of a probe a step on without a run: time has passed, or a run did not come.
    pub async fn step_without_run(
        &self,
        policy: &Policy,
        probe: &Identity,
        step: impl Fn(&Policy, &mut ProbeState) -> Vec<Alert>,
    ) -> Result<Stepped, ReportingError> {
        self.step(policy, probe, None, step).await
    }

    async fn step(
        &self,
        policy: &Policy,
        probe: &Identity,
        run: Option<&ProbeRun>,
        step: impl Fn(&Policy, &mut ProbeState) -> Vec<Alert>,
    ) -> Result<Stepped, ReportingError> {
        let way = self.way().await;
        match self.step_by(way, policy, probe, run, &step).await {
            Err(ReportingError::Store(error)) => {
                self.step_by(self.instead_of(way, error).await?, policy, probe, run, &step).await
            }
            stepped => stepped,
        }
    }

    /// The spare way while something waits there, so that a resolve does not overtake its trigger.
    async fn way(&self) -> &Way {
        match self.spare.get() {
            Some(spare) if spare.is_in_use().await => spare,
            _ => &self.main,
        }
    }

    /// The spare way, where `failed` is not that.
    async fn instead_of(&self, failed: &Way, error: HistoryError) -> Result<&Way, HistoryError> {
        if !std::ptr::eq(failed, &raw const self.main) {
            return Err(error);
        }
        if matches!(error, HistoryError::Damaged { .. }) {
            self.doubt.raise_damage();
        }
        (self.listener)(Event::StoreFailed(error));
        let spare = self.spare.get_or_try_init(async || {
            let store = outbox::in_memory(Limits::default())?;
            Ok::<_, HistoryError>(Way::begin(store, false, &self.sinks, &self.sender, &self.listener))
        });
        spare.await
    }

    async fn step_by(
        &self,
        way: &Way,
        policy: &Policy,
        identity: &Identity,
        run: Option<&ProbeRun>,
        step: &impl Fn(&Policy, &mut ProbeState) -> Vec<Alert>,
    ) -> Result<Stepped, ReportingError> {
        let probe = identity.key();
        let record = run.map(|run| {
            let text = serde_json::to_string(run).map_err(unwritable("run", identity))?;
            Ok::<_, ReportingError>(RunRecord { probe: probe.clone(), run: text, keep: RUNS })
        });
        let record = record.transpose()?;
        let has_lasting_state = way.lasts && policy.has_lasting_state;
        let policy = Policy { has_lasting_state, ..policy.clone() };
        let mut current = way.store.probe_state(probe.clone()).await?;
        loop {
            // One that cannot be read was not written by us: the probe begins anew.
            let text = current.as_ref().map(|current| current.state.as_str()).unwrap_or_default();
            let mut state: ProbeState = serde_json::from_str(text).unwrap_or_default();
            let before = state.clone();
            let mut alerts = step(&policy, &mut state);
            let doubtful =
                run.filter(|_| policy.has_lasting_state && self.doubt.is_about(&probe, current.is_some()));
            if let Some(run) = doubtful {
                alerts.extend(resolves_to_be_sure(&policy, run, &alerts));
            }
            if run.is_none() && alerts.is_empty() && state == before {
                return Ok(Stepped { alerts, state });
            }
            let finished = run.map(|run| Notice::Finished {
                run: run.clone(),
                changed_from: before.changed_from(run.verdict()),
            });
            let notices: Vec<Notice> =
                finished.into_iter().chain(alerts.iter().cloned().map(Notice::Alert)).collect();
            let change = Change {
                state: Some(StateChange {
                    probe: probe.clone(),
                    seen: current.as_ref().map(|current| current.version),
                    state: serde_json::to_string(&state).map_err(unwritable("state", identity))?,
                }),
                run: record.clone(),
                entries: outbox::entries(&self.sinks, &notices)?,
            };
            match way.store.apply(change, milliseconds()).await? {
                Applied::Stored { .. } => {
                    let is_over = doubtful.is_some_and(|run| run.verdict() == Verdict::Passed);
                    match (way.lasts, is_over) {
                        (true, true) => self.doubt.settle(&probe),
                        (true, false) if doubtful.is_some() => self.doubt.raise(&probe),
                        (true, false) => {}
                        (false, _) => self.doubt.raise(&probe),
                    }
                    return Ok(Stepped { alerts, state });
                }
                Applied::Conflict { current: newer } => current = newer,
            }
        }
    }

    /// Sends nothing more of what is in the store; another does. What is told is stored all the same.
    pub fn send_no_more(&self) {
        self.main.stop();
    }

    /// The sinks that are told.
    pub fn sinks(&self) -> impl Iterator<Item = &str> {
        self.sinks.iter().map(|sink| sink.id.as_str())
    }

    /// Whether what is not sent is there for the next run.
    #[must_use]
    pub fn lasts(&self) -> bool {
        self.main.lasts && !self.spare.initialized()
    }

    /// Sends what waits, for up to `limit`. What is left then is there for the next run, where the store lasts.
    pub async fn finish(&self, limit: Duration) -> Vec<Flushed> {
        let spare = async {
            match self.spare.get() {
                Some(spare) => spare.finish(limit).await,
                None => Vec::new(),
            }
        };
        let (mut all, others) = tokio::join!(self.main.finish(limit), spare);
        for (sink, other) in all.iter_mut().zip(others) {
            sink.arrived += other.arrived;
            sink.refused += other.refused;
            sink.waiting = sink.waiting.saturating_add(other.waiting);
            sink.reason = sink.reason.take().or(other.reason);
        }
        all
    }
}

/// The resolves of a run that passes, of which nobody knows whether anything is open: sinks drop those of nothing.
fn resolves_to_be_sure(policy: &Policy, run: &ProbeRun, told: &[Alert]) -> Vec<Alert> {
    let policy = Policy { has_lasting_state: false, ..policy.clone() };
    let mut all = policy::decide(&policy, &mut ProbeState::default(), run, now());
    all.retain(|alert| {
        let is_told = told.iter().any(|told| told.subject == alert.subject);
        alert.action == Action::Resolve && !is_told
    });
    all
}

fn unwritable(
    what: &'static str,
    probe: &Identity,
) -> impl FnOnce(serde_json::Error) -> ReportingError + use<> {
    let probe = probe.name.clone();
    move |source| ReportingError::State { what, probe, source }
}

fn milliseconds() -> i64 {
    now().saturating_mul(1000)
}
