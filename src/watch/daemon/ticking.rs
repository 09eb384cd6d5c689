//! What time alone brings: reminders, ends of silences, a sink or an engine that is in trouble for a while.
//!
//! Owns the alerts that no run gives rise to.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::{Daemon, Happening, SILENCE};
use crate::harness::reporting::ReportingError;
use crate::history::outbox::Memo;
use crate::notify::Alert;
use crate::notify::policy::{self, Condition, Policy, ProbeState};
use crate::watch::definition::Definition;
use crate::watch::run::Tools;
use tokio::sync::mpsc;

/// Between two looks at it.
pub(super) const INTERVAL: Duration = Duration::from_secs(15);
/// The kind of memos of what engine and sinks are told of.
pub(super) const CONDITION: &str = "condition";
/// Begin their names.
const SINKS: &str = "sink/";
const ENGINES: &str = "engine/";

impl Daemon {
    /// Time has passed.
    pub(super) async fn tick(&mut self) {
        self.heed_clock();
        let now = (self.clock)().as_second();
        let over = self.silences(|silences| silences.take_over(now));
        for id in over {
            let _kept = self.tools.store.forget_memo(SILENCE, id).await;
        }
        self.silences_changed();
        self.remind(now);
        self.tell_sinks(now).await;
        self.retire_gone().await;
        self.close_late().await;
    }

    /// Where the clock was ahead, slots of that time must not keep those of now from being run: that is said, and undone.
    pub(super) fn heed_clock(&mut self) {
        let now = (self.clock)();
        let mut out_of_reach = Vec::new();
        let mut moved = Vec::new();
        for (name, entry) in &mut self.entries {
            if let Some(slot) = entry.heed_clock(now) {
                out_of_reach.push((slot, name.clone()));
                let (tools, kept) = (Arc::clone(&self.tools), entry.kept());
                self.beside.spawn(async move { tools.remember(kept).await });
            }
            if entry.placed != entry.at {
                moved.push(name.clone());
            }
        }
        for name in moved {
            self.place(&name);
        }
        let Some((slot, name)) = out_of_reach.iter().max() else { return };
        let of = match out_of_reach.len() {
            1 => name.clone(),
            many => format!("{name} and {} other{}", many - 1, if many == 2 { "" } else { "s" }),
        };
        let problem = format!(
            "the clock was ahead, or is behind now: the last run of {of} was due at {slot}; slots are reckoned from now on"
        );
        (self.observer)(&Happening::Problem(&problem));
    }

    /// Beside the loop: with many open probes it takes a while.
    fn remind(&self, now: i64) {
        let open = self.entries.iter().filter(|(_, entry)| entry.is_open);
        let open: Vec<Arc<Definition>> = open.map(|(_, entry)| Arc::clone(&entry.definition)).collect();
        if open.is_empty() || self.reminding.swap(true, Ordering::AcqRel) {
            return;
        }
        let (tools, observer) = (Arc::clone(&self.tools), Arc::clone(&self.observer));
        let (reminding, stepped) = (Arc::clone(&self.reminding), self.stepped.0.clone());
        self.beside.spawn(async move {
            for definition in open {
                let identity = &definition.probe.identity;
                let step =
                    |policy: &Policy, state: &mut ProbeState| policy::tick(policy, state, identity, now);
                if let Err(error) = beside(&tools, &definition, &stepped, step).await {
                    let problem = format!("cannot remind of {}: {error}", identity.name);
                    observer(&Happening::Problem(&problem));
                    break;
                }
            }
            reminding.store(false, Ordering::Release);
        });
    }

    /// A run did not come.
    pub(super) fn tell_overdue(&self, name: &str, expected_at: i64) {
        let Some(entry) = self.entries.get(name) else { return };
        let (definition, tools) = (Arc::clone(&entry.definition), Arc::clone(&self.tools));
        let now = (self.clock)().as_second();
        let (observer, stepped) = (Arc::clone(&self.observer), self.stepped.0.clone());
        self.beside.spawn(async move {
            let identity = &definition.probe.identity;
            let step = |policy: &Policy, state: &mut ProbeState| {
                policy::overdue(policy, state, identity, expected_at, now)
            };
            if let Err(error) = beside(&tools, &definition, &stepped, step).await {
                let problem = format!("cannot tell that {} did not run: {error}", identity.name);
                observer(&Happening::Problem(&problem));
            }
        });
    }

    async fn tell_sinks(&mut self, now: i64) {
        let means = self.tools.means();
        let is_there = |sink: &str| means.reporting.sinks().any(|known| known == sink);
        let mut troubles = {
            let mut sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
            sinks.retain(is_there);
            sinks.troubles(now)
        };
        // One that is no more is in no trouble.
        let open = self.conditions.iter().filter(|(_, condition)| condition.is_bad() || condition.is_open());
        let open = open.filter_map(|(name, _)| name.strip_prefix(SINKS));
        troubles.extend(open.filter(|sink| !is_there(sink)).map(|sink| (sink.to_owned(), None)));
        for (sink, trouble) in troubles {
            let shown = trouble.as_ref().map(|reason| format!("sink {sink} takes nothing: {reason}"));
            self.problem(&format!("sink {sink}"), shown);
            let (policy, host) = (Arc::clone(&self.policy), self.host.clone());
            self.tell_condition(&format!("{SINKS}{sink}"), |condition| {
                policy::sink(&policy, condition, &sink, &host, trouble.as_deref(), now)
            })
            .await;
        }
    }

    /// The engine does not answer, or does again.
    pub(super) async fn tell_engine(&mut self, name: &str, trouble: Option<String>) {
        let now = (self.clock)().as_second();
        let shown = trouble.as_ref().map(|reason| format!("engine {name} does not answer: {reason}"));
        self.problem(&format!("engine {name}"), shown);
        let (policy, host) = (Arc::clone(&self.policy), self.host.clone());
        self.tell_condition(&format!("{ENGINES}{name}"), |condition| {
            policy::engine(&policy, condition, name, &host, trouble.as_deref(), now)
        })
        .await;
        self.leave_engines(Some(name)).await;
    }

    /// Engines that nobody follows any more are in no trouble: all but this one.
    pub(super) async fn leave_engines(&mut self, but: Option<&str>) {
        let now = (self.clock)().as_second();
        let open = self.conditions.iter().filter(|(_, condition)| condition.is_bad() || condition.is_open());
        let left = open.filter_map(|(known, _)| known.strip_prefix(ENGINES));
        let left: Vec<String> = left.filter(|known| Some(*known) != but).map(str::to_owned).collect();
        for name in left {
            self.problem(&format!("engine {name}"), None);
            let (policy, host) = (Arc::clone(&self.policy), self.host.clone());
            self.tell_condition(&format!("{ENGINES}{name}"), |condition| {
                policy::leave_engine(&policy, condition, &name, &host, now)
            })
            .await;
        }
    }

    async fn tell_condition(&mut self, name: &str, step: impl Fn(&mut Condition) -> Vec<Alert>) {
        let mut condition = self.conditions.get(name).cloned().unwrap_or_default();
        let before = condition.clone();
        let alerts = step(&mut condition);
        let mut doubted = condition.clone();
        doubted.doubt_what_was_told();
        let again = step(&mut doubted);
        if condition == before && alerts.is_empty() {
            return;
        }
        // A store that fails must not have the same told again and again.
        self.conditions.insert(name.to_owned(), condition.clone());
        let means = self.tools.means();
        let (reporting, store) = (&means.reporting, &self.tools.store);
        // An alert twice is better than none: it is stored before it is known to be.
        let told = async {
            reporting.tell_alerts(alerts).await?;
            reporting.tell_again(again).await
        };
        let told = told.await.map_err(|error| error.to_string());
        let memo = serde_json::to_string(&condition)
            .map(|text| Memo { kind: CONDITION, name: name.to_owned(), text })
            .map_err(|error| error.to_string());
        let kept = match memo {
            Ok(memo) => store.remember(memo).await.map_err(|error| error.to_string()),
            Err(error) => Err(error),
        };
        if let Err(error) = told.and(kept) {
            self.problem("store", Some(format!("cannot tell of {name}: {error}")));
        }
    }
}

/// Brings the state of a probe a step on beside the loop, and hands it back.
async fn beside(
    tools: &Tools,
    definition: &Definition,
    stepped: &mpsc::UnboundedSender<(String, ProbeState)>,
    step: impl Fn(&Policy, &mut ProbeState) -> Vec<Alert>,
) -> Result<(), ReportingError> {
    let identity = &definition.probe.identity;
    let policy = tools.policy(&identity.name, &definition.policy);
    let told = tools.means().reporting.step_without_run(&policy, identity, step).await?;
    // Nobody waits for it any more where the daemon has ended.
    let _unheard = stepped.send((identity.name.clone(), told.state));
    Ok(())
}
