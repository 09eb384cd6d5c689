//! Which alerts a run of a probe comes to, given what was seen and told before it. Pure.
//!
//! Owns thresholds, flap damping, reminders, silences and escalation. Of every subject two things are kept apart: what
//! is the case, and what has been told. A step settles the first and then makes the second agree with it, so that
//! neither a silence nor a restart can lose the truth. Texts are taken as they are: secrets are hidden before. It sends
//! nothing; whoever calls stores the new state and the alerts together, or loses or repeats some.

mod alert;
mod condition;
mod evidence;
mod key;
mod severity;
mod silence;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

pub use condition::Condition;
pub use key::{LONGEST_KEY, dedup_key};
pub use severity::Severities;
pub use silence::{Silence, is_silenced};

use super::{Alert, Severity, Subject};
use crate::probe::{Identity, ProbeRun, Verdict};
use alert::Told;
use condition::Terms;
use evidence::{Evidence, Seen};

/// When people are told of what, and how loudly. [`Policy::default`] is the plainest: a page on the first run in which
/// all attempts failed, and a resolve on the next that passes.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// So many runs in a row have to fail before the target counts as failing. Zero is one.
    pub failure_threshold: u32,
    /// So many runs in a row have to pass before a failing target counts as well. Zero is one.
    pub success_threshold: u32,
    /// What is taken for flapping; nothing where absent.
    pub flapping: Option<Flapping>,
    /// How long after the last word on an open incident it is told again; never where absent.
    pub reminder_interval: Option<Duration>,
    /// What is told at all. The others are measured only.
    pub told: BTreeSet<Subject>,
    /// How bad what is.
    pub severities: Severities,
    /// When nobody is paged.
    pub silences: Vec<Silence>,
    /// Who is told after how many bad runs. All sinks at once where empty.
    pub escalation: Vec<Stage>,
    /// Kinds of sinks that there are, where that is known. A stage of others tells nobody, and does not count as told.
    pub reached: Option<BTreeSet<String>>,
    /// Whether a state outlives a run. Where it does not, nothing can be counted: thresholds, flapping, reminders and
    /// stages do not apply, every run that fails is told to all, and every run that passes sends the resolves.
    pub has_lasting_state: bool,
}

/// What is taken for flapping: the incident is then held open, and told of once, until it has been quiet for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flapping {
    /// So many changes between well and failing, both ways counted. Zero is one.
    pub changes: u32,
    /// Within this time.
    pub window: Duration,
    /// It ends when there was no change for so long.
    pub quiet: Duration,
}

/// Who is told after how many bad runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Kinds of sinks; all of them where empty.
    pub sinks: Vec<String>,
    /// From this bad run of an incident on; the first is 1. Runs below the failure threshold count.
    pub after: u32,
    /// Only where it is at least so bad.
    pub least: Severity,
}

impl Default for Stage {
    fn default() -> Self {
        Self { sinks: Vec::new(), after: 1, least: Severity::Info }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            failure_threshold: 1,
            success_threshold: 1,
            flapping: None,
            reminder_interval: None,
            // What passed in the end pages nobody unless that is asked for.
            told: [Subject::Target, Subject::Harness, Subject::NoNews, Subject::Engine, Subject::Sink].into(),
            severities: Severities::default(),
            silences: Vec::new(),
            escalation: Vec::new(),
            reached: None,
            has_lasting_state: true,
        }
    }
}

impl Policy {
    /// Whether nobody is paged at this time, in Unix seconds.
    #[must_use]
    pub fn is_silenced(&self, now: i64) -> bool {
        is_silenced(&self.silences, now)
    }

    /// Takes the kinds out of a stage that there are not. Whether it still tells anybody.
    fn reaches_any(&self, stage: &mut Stage) -> bool {
        let (Some(reached), false) = (&self.reached, stage.sinks.is_empty()) else { return true };
        stage.sinks.retain(|kind| reached.contains(kind));
        !stage.sinks.is_empty()
    }

    fn terms(&self, subject: Subject, severity: Severity, now: i64) -> Terms {
        let (failures, successes) = match subject {
            Subject::Target => (self.failure_threshold, self.success_threshold),
            _ => (1, 1),
        };
        let mut stages =
            if self.escalation.is_empty() { vec![Stage::default()] } else { self.escalation.clone() };
        let is_told = self.told.contains(&subject);
        stages.retain_mut(|stage| is_told && severity >= stage.least && self.reaches_any(stage));
        Terms {
            failures,
            successes,
            flapping: self.flapping,
            reminder_interval: self.reminder_interval,
            stages,
            is_silenced: self.is_silenced(now),
        }
    }
}

/// What is remembered of a probe from one run to the next. Its JSON is read by older and newer versions: what is unknown
/// is passed by, what is missing is as at the beginning.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProbeState {
    /// What the last run came to.
    #[serde(deserialize_with = "if_known")]
    pub last_verdict: Option<Verdict>,
    /// Id of the last run.
    last_run: String,
    /// When the last run began, in Unix seconds.
    last_started_at: Option<i64>,
    /// When the last run was due that did not come.
    last_missed: Option<i64>,
    target: Condition,
    degraded: Condition,
    cleanup: Condition,
    harness: Condition,
    no_news: Condition,
}

impl ProbeState {
    /// What the run before came to, where that is known and was not this.
    #[must_use]
    pub fn changed_from(&self, verdict: Verdict) -> Option<Verdict> {
        self.last_verdict.filter(|last| *last != verdict)
    }

    /// What is known of a subject. Engine and sinks are no probe's, and keep theirs apart.
    #[must_use]
    pub const fn condition(&self, subject: Subject) -> Option<&Condition> {
        match subject {
            Subject::Target => Some(&self.target),
            Subject::Degraded => Some(&self.degraded),
            Subject::Cleanup => Some(&self.cleanup),
            Subject::Harness => Some(&self.harness),
            Subject::NoNews => Some(&self.no_news),
            Subject::Engine | Subject::Sink => None,
        }
    }

    /// Takes for untold what was told: whoever was told may have been told since that it is over.
    pub fn doubt_what_was_told(&mut self) {
        for (_, condition) in self.conditions() {
            condition.doubt_what_was_told();
        }
    }

    fn conditions(&mut self) -> [(Subject, &mut Condition); 5] {
        [
            (Subject::Target, &mut self.target),
            (Subject::Degraded, &mut self.degraded),
            (Subject::Cleanup, &mut self.cleanup),
            (Subject::Harness, &mut self.harness),
            (Subject::NoNews, &mut self.no_news),
        ]
    }

    /// A clock that was ahead must not hold anything up.
    fn forget_the_future(&mut self, now: i64) {
        for time in [&mut self.last_started_at, &mut self.last_missed] {
            *time = time.map(|time| time.min(now));
        }
    }

    fn step(
        &mut self,
        policy: &Policy,
        probe: &Identity,
        now: i64,
        mut evidence: impl FnMut(Subject) -> Evidence,
    ) -> Vec<Alert> {
        self.forget_the_future(now);
        let run = self.last_run.clone();
        let mut alerts = Vec::new();
        for (subject, condition) in self.conditions() {
            let told =
                Told { subject, probe, severity: policy.severities.of(subject, &probe.kind), run: &run, now };
            let terms = policy.terms(subject, told.severity, now);
            let words = condition.step(evidence(subject), &terms, now);
            alerts.extend(words.into_iter().map(|word| told.alert(word)));
        }
        alerts
    }
}

/// What a run of a probe comes to. `now` in Unix seconds; it may be less than at the last call.
pub fn decide(policy: &Policy, state: &mut ProbeState, run: &ProbeRun, now: i64) -> Vec<Alert> {
    state.last_run.clone_from(&run.id);
    let alerts = if policy.has_lasting_state {
        state.step(policy, &run.probe, now, |subject| evidence::of(run, subject))
    } else {
        without_memory(policy, run, now)
    };
    state.last_verdict = Some(run.verdict());
    state.last_started_at = Some(run.started_at.min(now));
    alerts
}

fn without_memory(policy: &Policy, run: &ProbeRun, now: i64) -> Vec<Alert> {
    let has_passed = run.verdict().is_pass();
    let mut alerts = Vec::new();
    // A run says nothing new about news: where no state lasts, nobody watches for them.
    for subject in [Subject::Target, Subject::Degraded, Subject::Cleanup, Subject::Harness] {
        let severity = policy.severities.of(subject, &run.probe.kind);
        let told = Told { subject, probe: &run.probe, severity, run: &run.id, now };
        let terms = policy.terms(subject, severity, now);
        let word = condition::without_memory(evidence::of(run, subject), &terms, has_passed, now);
        alerts.extend(word.map(|word| told.alert(word)));
    }
    alerts
}

/// What is due without a run: a reminder, an end of flapping, a page that a silence held back. To be called now and
/// then, at the latest when a silence ends.
pub fn tick(policy: &Policy, state: &mut ProbeState, probe: &Identity, now: i64) -> Vec<Alert> {
    if policy.has_lasting_state { state.step(policy, probe, now, |_| Evidence::None) } else { Vec::new() }
}

/// A run was due at `expected_at` and has not begun by `now`, both in Unix seconds. The same time may be told again and
/// again: it counts once. The next run ends it.
pub fn overdue(
    policy: &Policy,
    state: &mut ProbeState,
    probe: &Identity,
    expected_at: i64,
    now: i64,
) -> Vec<Alert> {
    state.forget_the_future(now);
    let is_after = |time: Option<i64>| time.is_none_or(|time| expected_at > time);
    let is_news = expected_at < now && is_after(state.last_started_at) && is_after(state.last_missed);
    if is_news {
        state.last_missed = Some(expected_at);
    }
    state.step(policy, probe, now, |subject| match subject {
        Subject::NoNews if is_news => Evidence::Bad(Seen::missed(probe, expected_at)),
        _ => Evidence::None,
    })
}

/// Closes all that is open: the probe is no more.
pub fn retire(policy: &Policy, state: &mut ProbeState, probe: &Identity, now: i64) -> Vec<Alert> {
    let nothing_is_told = Policy { told: BTreeSet::new(), ..policy.clone() };
    let alerts = state.step(&nothing_is_told, probe, now, |_| Evidence::None);
    *state = ProbeState::default();
    alerts
}

/// The engine that probes of `host` run on answers, or does not for the reason in `trouble`.
pub fn engine(
    policy: &Policy,
    condition: &mut Condition,
    engine: &str,
    host: &str,
    trouble: Option<&str>,
    now: i64,
) -> Vec<Alert> {
    let engine = surrounding(condition, "engine", engine, host);
    let evidence = trouble
        .map_or(Evidence::Good, |reason| Evidence::Bad(Seen::trouble(Subject::Engine, &engine, reason)));
    surroundings(policy, condition, Subject::Engine, engine, evidence, now)
}

/// Closes what is open of an engine that `host` follows no more.
pub fn leave_engine(
    policy: &Policy,
    condition: &mut Condition,
    engine: &str,
    host: &str,
    now: i64,
) -> Vec<Alert> {
    let nothing_is_told = Policy { told: BTreeSet::new(), ..policy.clone() };
    let engine = surrounding(condition, "engine", engine, host);
    let alerts = surroundings(&nothing_is_told, condition, Subject::Engine, engine, Evidence::None, now);
    *condition = Condition::default();
    alerts
}

/// A sink that `host` tells things to takes them, or does not for the reason in `trouble`.
pub fn sink(
    policy: &Policy,
    condition: &mut Condition,
    sink: &str,
    host: &str,
    trouble: Option<&str>,
    now: i64,
) -> Vec<Alert> {
    let sink = surrounding(condition, "sink", sink, host);
    let evidence =
        trouble.map_or(Evidence::Good, |reason| Evidence::Bad(Seen::trouble(Subject::Sink, &sink, reason)));
    surroundings(policy, condition, Subject::Sink, sink, evidence, now)
}

/// What an incident of an engine or a sink is about. The host may be called otherwise by now: an incident that is open ends
/// under the key that it began under.
fn surrounding(condition: &Condition, kind: &str, name: &str, host: &str) -> Identity {
    let host = condition.host.as_deref().unwrap_or(host).to_owned();
    Identity { name: name.to_owned(), kind: kind.to_owned(), host, tags: Vec::new() }
}

fn surroundings(
    policy: &Policy,
    condition: &mut Condition,
    subject: Subject,
    identity: Identity,
    evidence: Evidence,
    now: i64,
) -> Vec<Alert> {
    let severity = policy.severities.of(subject, &identity.kind);
    let told = Told { subject, probe: &identity, severity, run: "", now };
    let words = condition.step(evidence, &policy.terms(subject, severity, now), now);
    let alerts = words.into_iter().map(|word| told.alert(word)).collect();
    condition.host = condition.is_open().then_some(identity.host);
    alerts
}

/// A value that a newer version wrote and this one does not know is none.
fn if_known<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(serde_json::Value::deserialize(deserializer)?).ok())
}

#[cfg(test)]
mod tests;
