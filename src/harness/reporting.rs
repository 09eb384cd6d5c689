//! What is told of runs: stored first, then brought to the sinks.
//!
//! Owns that the state of a probe, its run and the alerts that both come to are stored together, and that a state
//! directory that fails costs memory of the past, never a page. What is told is the policy's, how it is sent the outbox's.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::now;
use crate::error::{Category, Diagnose};
use crate::history::HistoryError;
use crate::history::outbox::{Applied, Change, Limits, RunRecord, StateChange, Store};
use crate::notify::outbox::{self, Clock, Courier, Flushed, Listener, Settings, Sink, UnwritableNotice};
use crate::notify::policy::{self, Policy, ProbeState};
use crate::notify::send::Sender;
use crate::notify::{Alert, Notice};
use crate::probe::{Identity, ProbeRun};

/// Runs of a probe that are kept.
const RUNS: usize = 500;

/// How long what is on its way may take when the run is over, before the rest is sent.
const LANDING: Duration = Duration::from_millis(100);

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
    store: Store,
    sinks: Vec<Sink>,
    courier: Arc<Courier>,
    policy: Policy,
    under_way: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
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
}

/// Opens the store in `state`; where there is none, or it fails, one that ends with this process.
pub fn open(state: Option<&Path>) -> Result<Opened, HistoryError> {
    let problem = match state.map(|state| outbox::open(state, Limits::default())) {
        Some(Ok(store)) => return Ok(Opened { store, lasts: true, problem: None }),
        Some(Err(error)) => Some(error),
        None => None,
    };
    Ok(Opened { store: outbox::in_memory(Limits::default())?, lasts: false, problem })
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
        let policy = Policy { has_lasting_state: opened.lasts && policy.has_lasting_state, ..policy };
        let clock: Clock = Arc::new(milliseconds);
        let (store, settings) = (opened.store, Settings::default());
        let courier = Courier::new(store.clone(), sinks.clone(), sender, clock, listener, settings);
        let courier = Arc::new(courier);
        let (stop, stopped) = oneshot::channel();
        let working = Arc::clone(&courier);
        let task = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            working.run(stopped, LANDING).await;
        });
        Self { store, sinks, courier, policy, under_way: Mutex::new(Some((stop, task))) }
    }

    /// Where it is stored.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Stores a notice for all sinks that it is for.
    pub async fn tell(&self, notice: &Notice) -> Result<(), ReportingError> {
        let entries = outbox::entries(&self.sinks, [notice])?;
        if !entries.is_empty() {
            self.store.apply(Change { entries, ..Change::default() }, milliseconds()).await?;
        }
        Ok(())
    }

    /// Stores what a run came to: its probe's new state, the run, and what both give rise to. All of it or nothing.
    pub async fn conclude(&self, run: &ProbeRun) -> Result<Vec<Alert>, ReportingError> {
        Ok(self.conclude_under(&self.policy, run).await?.alerts)
    }

    /// The same under another policy than the one that all probes have.
    pub async fn conclude_under(&self, policy: &Policy, run: &ProbeRun) -> Result<Stepped, ReportingError> {
        let record = RunRecord {
            probe: run.probe.key(),
            run: serde_json::to_string(run).map_err(unwritable("run", &run.probe))?,
            keep: RUNS,
        };
        let policy = self.lasting(policy);
        self.step(&run.probe, Some(record), |state| {
            let finished =
                Notice::Finished { run: run.clone(), changed_from: state.changed_from(run.verdict()) };
            (vec![finished], policy::decide(&policy, state, run, now()))
        })
        .await
    }

    /// Brings the state of a probe a step on without a run: time has passed, or a run did not come.
    pub async fn step_without_run(
        &self,
        policy: &Policy,
        probe: &Identity,
        step: impl Fn(&Policy, &mut ProbeState) -> Vec<Alert>,
    ) -> Result<Stepped, ReportingError> {
        let policy = self.lasting(policy);
        self.step(probe, None, |state| (Vec::new(), step(&policy, state))).await
    }

    /// Stores alerts that are no probe's.
    pub async fn tell_alerts(&self, alerts: Vec<Alert>) -> Result<(), ReportingError> {
        let notices: Vec<Notice> = alerts.into_iter().map(Notice::Alert).collect();
        let entries = outbox::entries(&self.sinks, &notices)?;
        if !entries.is_empty() {
            self.store.apply(Change { entries, ..Change::default() }, milliseconds()).await?;
        }
        Ok(())
    }

    fn lasting(&self, policy: &Policy) -> Policy {
        let has_lasting_state = policy.has_lasting_state && self.policy.has_lasting_state;
        Policy { has_lasting_state, ..policy.clone() }
    }

    async fn step(
        &self,
        identity: &Identity,
        record: Option<RunRecord>,
        step: impl Fn(&mut ProbeState) -> (Vec<Notice>, Vec<Alert>),
    ) -> Result<Stepped, ReportingError> {
        let probe = identity.key();
        let mut current = self.store.probe_state(probe.clone()).await?;
        loop {
            // One that cannot be read was not written by us: the probe begins anew.
            let text = current.as_ref().map(|current| current.state.as_str()).unwrap_or_default();
            let mut state: ProbeState = serde_json::from_str(text).unwrap_or_default();
            let before = state.clone();
            let (mut notices, alerts) = step(&mut state);
            if record.is_none() && alerts.is_empty() && state == before {
                return Ok(Stepped { alerts, state });
            }
            notices.extend(alerts.iter().cloned().map(Notice::Alert));
            let change = Change {
                state: Some(StateChange {
                    probe: probe.clone(),
                    seen: current.as_ref().map(|current| current.version),
                    state: serde_json::to_string(&state).map_err(unwritable("state", identity))?,
                }),
                run: record.clone(),
                entries: outbox::entries(&self.sinks, &notices)?,
            };
            match self.store.apply(change, milliseconds()).await? {
                Applied::Stored { .. } => return Ok(Stepped { alerts, state }),
                Applied::Conflict { current: newer } => current = newer,
            }
        }
    }

    /// Sends what waits, for up to `limit`. What is left then is there for the next run, where the store lasts.
    pub async fn finish(&self, limit: Duration) -> Vec<Flushed> {
        let under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, task)) = under_way {
            let _ended = stop.send(());
            let _ended = task.await;
        }
        self.courier.flush(limit).await
    }
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
