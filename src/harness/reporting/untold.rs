//! What is open, and that a sink was to be told of and has not taken: it refused it, or it was down for too long.
//!
//! Owns that it is told again, under its own key, and to that sink alone. Which incidents these are, and how often they are
//! told again, is the store's; whether they are to be told at all is the policy's.

use std::collections::BTreeMap;

use super::{Reporting, ReportingError, milliseconds};
use crate::harness::now;
use crate::history::outbox::{Change, Entry, Store};
use crate::notify::policy::{self, Policy, ProbeState};
use crate::notify::{Action, Alert, Notice, outbox};
use crate::probe::Identity;

impl Reporting {
    /// Of these triggers, those that a sink was told before and has not taken, for that sink. To be called with what would
    /// be told if nobody had been told yet.
    pub async fn tell_again(&self, alerts: Vec<Alert>) -> Result<(), ReportingError> {
        let way = self.way().await;
        let entries = self.entries_again(&way.store, alerts).await?;
        if !entries.is_empty() {
            way.store.apply(Change { entries, ..Change::default() }, milliseconds()).await?;
        }
        Ok(())
    }

    /// What is to be stored to tell again of a probe whose state this is.
    pub(super) async fn again(
        &self,
        store: &Store,
        policy: &Policy,
        state: &ProbeState,
        probe: &Identity,
    ) -> Result<Vec<Entry>, ReportingError> {
        let mut doubted = state.clone();
        doubted.doubt_what_was_told();
        self.entries_again(store, policy::tick(policy, &mut doubted, probe, now())).await
    }

    async fn entries_again(&self, store: &Store, alerts: Vec<Alert>) -> Result<Vec<Entry>, ReportingError> {
        let open = alerts.into_iter().filter(|alert| alert.action == Action::Trigger);
        let open: BTreeMap<String, Notice> =
            open.map(|alert| (alert.dedup_key.clone(), Notice::Alert(alert))).collect();
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let untold = store.untold(open.keys().cloned().collect(), milliseconds()).await?;
        let mut entries = Vec::new();
        for untold in untold {
            let sink = self.sinks.iter().find(|sink| sink.id == untold.sink);
            if let (Some(sink), Some(notice)) = (sink, open.get(&untold.key)) {
                entries.extend(outbox::entry(sink, notice)?);
            }
        }
        Ok(entries)
    }
}
