//! What time alone brings: reminders, ends of silences, a sink or an engine that is in trouble for a while.
//!
//! Owns the alerts that no run gives rise to.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::{Daemon, Happening, SILENCE};
use crate::history::outbox::Memo;
use crate::notify::policy::{self, Condition};

/// Between two looks at it.
pub(super) const INTERVAL: Duration = Duration::from_secs(15);
/// The kind of memos of what engine and sinks are told of.
const CONDITION: &str = "condition";

impl Daemon {
    /// Time has passed.
    pub(super) async fn tick(&mut self) {
        let now = (self.clock)().as_second();
        let over = self.silences(|silences| silences.take_over(now));
        for id in over {
            let _kept = self.tools.store.forget_memo(SILENCE, id).await;
        }
        self.silences_changed();
        self.remind(now).await;
        self.tell_sinks(now).await;
        self.retire_gone().await;
    }

    async fn remind(&mut self, now: i64) {
        let open: Vec<String> =
            self.entries.iter().filter(|(_, entry)| entry.is_open).map(|(name, _)| name.clone()).collect();
        for name in open {
            let Some(entry) = self.entries.get(&name) else { continue };
            let definition = Arc::clone(&entry.definition);
            let identity = &definition.probe.identity;
            let policy = self.tools.policy(&name, &definition.policy);
            let means = self.tools.means();
            let stepped = means
                .reporting
                .step_without_run(&policy, identity, |policy, state| {
                    policy::tick(policy, state, identity, now)
                })
                .await;
            match stepped {
                Ok(stepped) => {
                    if let Some(entry) = self.entries.get_mut(&name) {
                        entry.take_state(&stepped.state);
                    }
                }
                Err(error) => self.problem("store", Some(format!("cannot remind of {name}: {error}"))),
            }
        }
    }

    /// A run did not come.
    pub(super) fn tell_overdue(&self, name: &str, expected_at: i64) {
        let Some(entry) = self.entries.get(name) else { return };
        let (definition, tools) = (Arc::clone(&entry.definition), Arc::clone(&self.tools));
        let now = (self.clock)().as_second();
        let observer = Arc::clone(&self.observer);
        tokio::spawn(async move {
            let identity = &definition.probe.identity;
            let policy = tools.policy(&identity.name, &definition.policy);
            let means = tools.means();
            let told = means
                .reporting
                .step_without_run(&policy, identity, |policy, state| {
                    policy::overdue(policy, state, identity, expected_at, now)
                })
                .await;
            if let Err(error) = told {
                observer(&Happening::Problem(&format!(
                    "cannot tell that {} did not run: {error}",
                    identity.name
                )));
            }
        });
    }

    async fn tell_sinks(&mut self, now: i64) {
        let troubles = self.sinks.lock().unwrap_or_else(PoisonError::into_inner).troubles(now);
        for (sink, trouble) in troubles {
            let shown = trouble.as_ref().map(|reason| format!("sink {sink} takes nothing: {reason}"));
            self.problem(&format!("sink {sink}"), shown);
            let (policy, host) = (Arc::clone(&self.policy), self.host.clone());
            self.tell_condition(&format!("sink/{sink}"), |condition| {
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
        self.tell_condition(&format!("engine/{name}"), |condition| {
            policy::engine(&policy, condition, name, &host, trouble.as_deref(), now)
        })
        .await;
    }

    async fn tell_condition(
        &mut self,
        name: &str,
        step: impl FnOnce(&mut Condition) -> Vec<crate::notify::Alert>,
    ) {
        let means = self.tools.means();
        let (reporting, store) = (&means.reporting, &self.tools.store);
        let known = store.memos(CONDITION).await.unwrap_or_default();
        let known: BTreeMap<String, String> = known.into_iter().map(|memo| (memo.name, memo.text)).collect();
        let before: Condition =
            known.get(name).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let mut condition = before.clone();
        let alerts = step(&mut condition);
        if condition == before && alerts.is_empty() {
            return;
        }
        // An alert twice is better than none: it is stored before it is known to be.
        let told = reporting.tell_alerts(alerts).await.map_err(|error| error.to_string());
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
