//! Probes that are no more: what is open of them is closed, and what is known of them is forgotten.
//!
//! Owns that all of it is one write to the disk, however many probes they are. Where the store fails people are told all the
//! same, and the next start forgets what could not be forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::way::Way;
use super::{Reporting, ReportingError, milliseconds};
use crate::harness::now;
use crate::notify::Notice;
use crate::notify::outbox::{self, UnwritableNotice};
use crate::notify::policy::{self, Policy, ProbeState};
use crate::probe::Identity;

/// A probe that is no more.
#[derive(Debug, Clone)]
pub struct Gone {
    /// Which one.
    pub identity: Identity,
    /// What was told of it.
    pub policy: Arc<Policy>,
}

impl Reporting {
    /// Closes all that is open of probes that are no more, and forgets their states and their memos of this kind. Their
    /// runs are [`Store::forget_runs`](crate::history::outbox::Store::forget_runs)'.
    pub async fn retire(&self, gone: &[Gone], memo: &'static str) -> Result<(), ReportingError> {
        let way = self.way().await;
        match self.retire_by(&way, gone, memo).await {
            Err(ReportingError::Store(error)) => {
                let spare = self.instead_of(&way, error)?;
                self.retire_by(&spare, gone, memo).await
            }
            Ok(()) => {
                if self.is_main(&way) && way.lasts {
                    self.set_trouble(None);
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn retire_by(&self, way: &Way, gone: &[Gone], memo: &'static str) -> Result<(), ReportingError> {
        let keys: Vec<String> = gone.iter().map(|gone| gone.identity.key()).collect();
        let by_key: BTreeMap<String, Gone> = keys.iter().cloned().zip(gone.iter().cloned()).collect();
        let newer = self.states_in_the_other_store(way).await;
        let (sinks, doubt, lasts) = (self.sinks.clone(), self.doubt.clone(), way.lasts);
        let farewell = move |probe: &str, state: Option<&str>| {
            let Some(Gone { identity, policy }) = by_key.get(probe) else { return Ok(Vec::new()) };
            let known = newer.get(probe).map(String::as_str).or(state).unwrap_or_default();
            let mut state: ProbeState = serde_json::from_str(known).unwrap_or_default();
            let alerts = policy::retire(policy, &mut state, identity, now());
            if !lasts && !alerts.is_empty() {
                doubt.raise(probe);
            }
            let notices: Vec<Notice> = alerts.into_iter().map(Notice::Alert).collect();
            outbox::entries(&sinks, &notices)
        };
        let failed = way.store.retire(keys.clone(), memo, farewell, milliseconds()).await?;
        let nothing = |_: &str, _: Option<&str>| Ok::<_, UnwritableNotice>(Vec::new());
        if !self.is_main(way) {
            self.main.store.retire(keys.clone(), memo, nothing, milliseconds()).await?;
        }
        for key in &keys {
            self.spare.memory.forget(key);
            self.standings().forget(key);
        }
        failed.into_iter().next().map_or(Ok(()), |error| Err(error.into()))
    }

    /// The states of probes that are newer in the store that is not this way's: what a store on disk that fails knew
    /// before, which may still be read, and what was kept in memory while it failed.
    async fn states_in_the_other_store(&self, way: &Way) -> BTreeMap<String, String> {
        let is_main = self.is_main(way);
        let other = if is_main { self.spare.get() } else { Some(Arc::clone(&self.main)) };
        let Some(other) = other else { return BTreeMap::new() };
        let states = other.store.probe_states().await.unwrap_or_default();
        let newer =
            states.into_iter().filter(|state| self.spare.memory.of(&state.probe).is_some() == is_main);
        newer.map(|state| (state.probe, state.state)).collect()
    }
}
