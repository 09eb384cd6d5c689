//! What is told of runs: stored first, then brought to the sinks.
//!
//! Owns that the state of a probe, its run and the alerts that both come to are stored together, and that a state
//! directory that fails costs memory of the past, never a page. What is told is the policy's, how it is sent the outbox's.

mod doubt;
mod memory;
mod opened;
mod retiring;
mod spare;
mod stepping;
mod untold;
mod way;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::now;
use crate::error::{Category, Diagnose};
use crate::history::HistoryError;
use crate::history::outbox::{Change, Store};
use crate::notify::outbox::{self, Event, Flushed, Listener, Sink, UnwritableNotice};
use crate::notify::overall::Standings;
use crate::notify::policy::{self, Policy, ProbeState};
use crate::notify::send::Sender;
use crate::notify::{Alert, Notice};
use crate::probe::{Identity, ProbeRun};
use doubt::Doubt;
use spare::{Means, Spare};
use way::Way;

pub use opened::{Opened, open};
pub use retiring::Gone;

/// The trouble of a process whose state does not outlive it.
const IN_MEMORY: &str = "the state directory cannot be used: what is open is known in memory alone";

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

/// Tells sinks of runs of probes. Dropped, it begins to send nothing more; what waits stays stored.
pub struct Reporting {
    main: Arc<Way>,
    /// The way that is gone where the main one fails.
    spare: Arc<Spare>,
    doubt: Doubt,
    sinks: Vec<Sink>,
    sender: Sender,
    policy: Policy,
    listener: Listener,
    /// What sinks with one word for all probes are told.
    standings: Mutex<Standings>,
    /// Many runs are told of by one process: what its memory knows is known for the next one.
    outlives_runs: bool,
    trouble: Mutex<Option<String>>,
}

/// What a step of a probe's state came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Stepped {
    /// What people are told.
    pub alerts: Vec<Alert>,
    /// The new state.
    pub state: ProbeState,
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
        let main = Arc::new(Way::begin(opened.store, opened.lasts, &sinks, &sender, &listener));
        let means = Means { sinks: sinks.clone(), sender: sender.clone(), listener: Arc::clone(&listener) };
        Self {
            main,
            spare: Spare::new(means),
            doubt: opened.doubt,
            sinks,
            sender,
            policy,
            listener,
            standings: Mutex::default(),
            outlives_runs: false,
            trouble: Mutex::default(),
        }
    }

    /// For a process that tells of many runs: where nothing lasts on disk, its memory is the state of its probes, and each
    /// probe's first pass alone is resolved to be sure.
    #[must_use]
    pub fn for_many_runs(mut self) -> Self {
        self.outlives_runs = true;
        if !self.main.lasts {
            self.trouble = Mutex::new(Some(IN_MEMORY.to_owned()));
        }
        self
    }

    /// For a job of so many probes: sinks with one word for all of them are told once, by its last run.
    #[must_use]
    pub fn for_job(mut self, probes: usize) -> Self {
        self.standings = Mutex::new(Standings::of_job(probes));
        self
    }

    fn standings(&self) -> MutexGuard<'_, Standings> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong with the store: what is told lasts no longer than this process.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Where it is stored, unless that fails.
    #[must_use]
    pub fn store(&self) -> &Store {
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
            self.instead_of(&way, error)?.store.apply(change, milliseconds()).await?;
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
        match self.step_by(&way, policy, probe, run, &step).await {
            Err(ReportingError::Store(error)) => {
                let spare = self.instead_of(&way, error)?;
                self.step_by(&spare, policy, probe, run, &step).await
            }
            Ok(stepped) => {
                if self.is_main(&way) && way.lasts {
                    self.set_trouble(None);
                }
                Ok(stepped)
            }
            Err(error) => Err(error),
        }
    }

    fn is_main(&self, way: &Way) -> bool {
        std::ptr::eq(way, Arc::as_ptr(&self.main))
    }

    /// The spare way while something waits there, so that a resolve does not overtake its trigger.
    async fn way(&self) -> Arc<Way> {
        match self.spare.get() {
            Some(spare) if spare.has_alerts().await => spare,
            _ => Arc::clone(&self.main),
        }
    }

    /// The spare way, where `failed` is not that.
    fn instead_of(&self, failed: &Way, error: HistoryError) -> Result<Arc<Way>, HistoryError> {
        if !self.is_main(failed) {
            return Err(error);
        }
        if matches!(error, HistoryError::Damaged { .. }) {
            self.doubt.raise_damage();
        }
        self.set_trouble(Some(format!("the store fails, and what is told is kept in memory: {error}")));
        (self.listener)(Event::StoreFailed(error));
        self.spare.get_or_begin()
    }

    /// Sends what is in the stores in the place of `old`, also what waits in memory alone. `old` begins nothing more: the
    /// end waits for the answers that it waits for. What `old` is told is stored all the same.
    pub fn take_over(&mut self, old: &Self) {
        self.main.wait_for(old.main.stop());
        self.spare = Arc::clone(&old.spare);
        self.standings = Mutex::new(old.standings().clone());
        self.spare.hand_over(Means {
            sinks: self.sinks.clone(),
            sender: self.sender.clone(),
            listener: Arc::clone(&self.listener),
        });
        // It lasts until something is stored again.
        let trouble = self.trouble().or_else(|| old.trouble());
        self.set_trouble(trouble);
    }

    /// The sinks that are told.
    pub fn sinks(&self) -> impl Iterator<Item = &str> {
        self.sinks.iter().map(|sink| sink.id.as_str())
    }

    /// Whether what is not sent is there for the next run.
    #[must_use]
    pub fn lasts(&self) -> bool {
        self.main.lasts && self.spare.get().is_none()
    }

    /// Sends what waits, for up to `limit`, the last of which is for answers. What is left then is there for the next run,
    /// where the store lasts.
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

#[cfg(test)]
mod tests;
