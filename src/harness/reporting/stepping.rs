//! A step of a probe's state: what is known of it, what people are told of it, and that both are stored together.
//!
//! Owns which store knows a probe best where one of them fails or has failed, and what is told once more because nobody
//! knows whether it was told.

use super::way::Way;
use super::{Reporting, ReportingError, Stepped, milliseconds, unwritable};
use crate::harness::now;
use crate::history::outbox::{Applied, Change, RunRecord, StateChange};
use crate::notify::policy::{self, Policy, ProbeState};
use crate::notify::{Action, Alert, Notice, outbox};
use crate::probe::{Identity, ProbeRun, Verdict};

/// Runs of a probe that are kept.
const RUNS: usize = 500;

/// Bytes of them. Of an attempt 16 KiB are kept at most: 80 runs of three attempts that print as much are there still.
const RUN_BYTES: u64 = 4 << 20;

impl Reporting {
    pub(super) async fn step_by(
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
            Ok::<_, ReportingError>(RunRecord {
                probe: probe.clone(),
                run: text,
                keep: RUNS,
                bytes: RUN_BYTES,
            })
        });
        let record = record.transpose()?;
        let has_lasting_state = (way.lasts || self.outlives_runs) && policy.has_lasting_state;
        let policy = Policy { has_lasting_state, ..policy.clone() };
        let mut current = way.store.probe_state(probe.clone()).await?;
        // What is open, and what was counted, goes on: a store that cannot be written may still be read, and one that can
        // be written again is behind.
        let in_memory = self.spare.memory.of(&probe);
        let mut newer = match (self.is_main(way), in_memory, self.spare.get()) {
            (true, Some(_), Some(spare)) => spare.store.probe_state(probe.clone()).await.unwrap_or_default(),
            (false, None, _) => self.main.store.probe_state(probe.clone()).await.unwrap_or_default(),
            _ => None,
        };
        let is_certain = way.lasts && newer.is_some() && in_memory.is_some_and(|step| !step.is_doubtful);
        // What waits in a store that cannot be written is not sent, and is sent once it can.
        let others_wait = !self.is_main(way) && self.main.has_alerts().await;
        // What memory has kept of a trouble that is over.
        let mut is_stale = !self.is_main(way) && self.outlives_runs && in_memory.is_none();
        loop {
            // One that cannot be read was not written by us: the probe begins anew.
            let known = newer.as_ref().or_else(|| current.as_ref().filter(|_| !is_stale));
            let text = known.map(|known| known.state.as_str()).unwrap_or_default();
            let mut state: ProbeState = serde_json::from_str(text).unwrap_or_default();
            let before = state.clone();
            let is_known = known.is_some();
            let in_doubt = way.lasts && !is_certain && run.is_some() && self.doubt.is_about(&probe, is_known);
            let is_untold = in_doubt || (others_wait && in_memory.is_none());
            let retells = is_untold && run.is_some_and(|run| !run.verdict().is_pass());
            if retells {
                state.doubt_what_was_told();
            }
            let mut alerts = step(&policy, &mut state);
            let is_doubtful = in_doubt || (!way.lasts && !is_known);
            let doubtful = run.filter(|_| policy.has_lasting_state && is_doubtful);
            if let Some(run) = doubtful {
                alerts.extend(resolves_to_be_sure(&policy, run, &alerts));
            }
            let again = self.again(&way.store, &policy, &state, identity).await?;
            if run.is_none() && alerts.is_empty() && again.is_empty() && state == before {
                return Ok(Stepped { alerts, state });
            }
            let finished = run.map(|run| Notice::Finished {
                run: run.clone(),
                changed_from: before.changed_from(run.verdict()),
            });
            let overall = run.and_then(|run| self.standings().take(run, policy.is_silenced(now())));
            let told = finished.into_iter().chain(overall.map(Notice::Overall));
            let notices: Vec<Notice> = told.chain(alerts.iter().cloned().map(Notice::Alert)).collect();
            let mut entries = outbox::entries(&self.sinks, &notices)?;
            // Beside a reminder of the same, one goes: this one says that it is no reminder.
            entries.extend(again);
            let change = Change {
                state: Some(StateChange {
                    probe: probe.clone(),
                    seen: current.as_ref().map(|current| current.version),
                    state: serde_json::to_string(&state).map_err(unwritable("state", identity))?,
                }),
                run: record.clone(),
                entries,
            };
            match way.store.apply(change, milliseconds()).await? {
                Applied::Stored { .. } => {
                    let is_over = doubtful.is_some_and(|run| run.verdict() == Verdict::Passed);
                    if self.is_main(way) {
                        self.spare.memory.forget(&probe);
                    } else if self.outlives_runs {
                        self.spare.memory.keep(&probe, self.doubt.is_about(&probe, is_known), others_wait);
                    }
                    let is_told = retells && alerts.iter().any(|alert| alert.action == Action::Trigger);
                    match (way.lasts, is_over || is_certain || is_told) {
                        (true, true) => self.doubt.settle(&probe),
                        (true, false) if doubtful.is_some() => self.doubt.raise(&probe),
                        (true, false) => {}
                        (false, _) => self.doubt.raise(&probe),
                    }
                    return Ok(Stepped { alerts, state });
                }
                // Whoever stored a step meanwhile began with the newest state, too.
                Applied::Conflict { current: stored } => (current, newer, is_stale) = (stored, None, false),
            }
        }
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
