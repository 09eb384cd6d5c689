//! One run of a probe, from its first attempt to what is stored of it.
//!
//! Owns what all runs share: surroundings, the reporting, what is hidden and what is silenced. A run that panics is one
//! that the harness could not do.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::definition::Definition;
use super::progress::Kept;
use super::silenced::Silences;
use crate::check::Surroundings;
use crate::error::Failure;
use crate::harness::reporting::{Reporting, Stepped};
use crate::harness::{self, Hearer, now};
use crate::history::outbox::Store;
use crate::notify::Notice;
use crate::notify::policy::Policy;
use crate::probe::ProbeRun;
use crate::redact::Redactor;

/// What a configuration gives to all runs.
pub struct Means {
    /// Where runs and alerts are stored and sent.
    pub reporting: Reporting,
    /// What checks need.
    pub surroundings: Surroundings,
    /// Hides secrets.
    pub redactor: Arc<Redactor>,
}

impl std::fmt::Debug for Means {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Means").finish_non_exhaustive()
    }
}

/// What all runs share.
pub(super) struct Tools {
    /// A run goes on with what it began with.
    means: RwLock<Arc<Means>>,
    /// The same for all means.
    pub(super) store: Store,
    /// When nobody is paged.
    pub(super) silences: RwLock<Silences>,
}

/// A run that is over.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) definition: Arc<Definition>,
    pub(super) number: u64,
    /// Nothing where it was stopped.
    pub(super) run: Option<ProbeRun>,
    pub(super) stepped: Option<Stepped>,
    /// It cannot be stored.
    pub(super) problem: Option<String>,
}

impl Tools {
    pub(super) fn new(means: Means) -> Self {
        let store = means.reporting.store().clone();
        Self { means: RwLock::new(Arc::new(means)), store, silences: RwLock::default() }
    }

    pub(super) fn means(&self) -> Arc<Means> {
        Arc::clone(&self.means.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_means(&self, mut means: Means) {
        let mut current = self.means.write().unwrap_or_else(PoisonError::into_inner);
        // Runs that began with the old ones still store; what is stored is sent with the new keys.
        means.reporting.take_over(&current.reporting);
        *current = Arc::new(means);
    }

    /// A probe's policy with what is silenced now.
    pub(super) fn policy(&self, probe: &str, policy: &Policy) -> Policy {
        let silences = self.silences.read().unwrap_or_else(PoisonError::into_inner).of(probe, now());
        let silences = policy.silences.iter().cloned().chain(silences).collect();
        Policy { silences, ..policy.clone() }
    }

    /// Until when nobody is paged about a probe, where that is so at `now`, in Unix seconds.
    pub(super) fn silenced_until(&self, probe: &str, now: i64) -> Option<i64> {
        let silences = self.silences.read().unwrap_or_else(PoisonError::into_inner).of(probe, now);
        silences.iter().filter(|silence| silence.covers(now)).map(|silence| silence.until).max()
    }

    /// Stores the progress of a probe. A store that fails costs a run more or less at the next start.
    pub(super) async fn remember(&self, kept: Kept) {
        if let Some(memo) = kept.memo() {
            let _failed = self.store.remember(memo).await;
        }
    }
}

/// Runs a probe, and stores what it came to. Its progress is stored before it begins: whatever ends the daemon, a slot is
/// not run twice.
pub(super) async fn run(
    tools: &Tools,
    (definition, number): (Arc<Definition>, u64),
    kept: Kept,
    stop: &CancellationToken,
) -> Done {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let started_at = now();
    tools.remember(kept).await;
    let means = tools.means();
    let running = attempts(&means, &definition, &id, stop);
    let run = match AssertUnwindSafe(running).catch_unwind().await {
        Ok(run) => run,
        // It has said why on stderr.
        Err(_panic) => Some(ProbeRun {
            id,
            probe: definition.probe.identity.clone(),
            started_at,
            seconds: 0.0,
            attempts: Vec::new(),
            error: Some("the check ended in a fault of docker-test itself".to_owned()),
        }),
    };
    let Some(run) = run else { return Done { definition, number, run: None, stepped: None, problem: None } };
    let policy = tools.policy(definition.name(), &definition.policy);
    match means.reporting.conclude_under(&policy, &run).await {
        Ok(stepped) => Done { definition, number, run: Some(run), stepped: Some(stepped), problem: None },
        Err(error) => {
            let problem = format!("a run cannot be stored: {}", Failure::from(error).chain().join(": "));
            Done { definition, number, run: Some(run), stepped: None, problem: Some(problem) }
        }
    }
}

async fn attempts(
    means: &Means,
    definition: &Definition,
    id: &str,
    stop: &CancellationToken,
) -> Option<ProbeRun> {
    let mut passed_on = PassedOn(means);
    let ended =
        harness::run(&definition.probe, id, &means.surroundings, stop, &means.redactor, &mut passed_on).await;
    (!ended.stopped).then_some(ended.run)
}

/// Passes notices on to the sinks.
struct PassedOn<'a>(&'a Means);

impl Hearer for PassedOn<'_> {
    async fn hear(&mut self, notice: Notice) {
        // What cannot be stored now is told of when the run is over and cannot be stored either.
        let _failed = self.0.reporting.tell(&notice).await;
    }
}
