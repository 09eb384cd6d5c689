//! One subject of one probe: what is the case, and what has been told of it.
//!
//! Owns the step from evidence to words. First the evidence settles whether the subject is bad and whether it flaps;
//! then sinks are told whatever they do not know. It knows nothing of probes, and makes no text.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::evidence::{Evidence, Seen};
use super::{Flapping, Stage};
use crate::notify::Action;

/// As many changes are remembered at most, whatever the policy counts.
const MOST_CHANGES: usize = 1_000;

/// What a step goes by.
pub(super) struct Terms {
    pub(super) failures: u32,
    pub(super) successes: u32,
    pub(super) flapping: Option<Flapping>,
    pub(super) reminder_interval: Option<Duration>,
    /// Who is told; nobody where empty.
    pub(super) stages: Vec<Stage>,
    pub(super) is_silenced: bool,
}

/// What sinks are to be told.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Word {
    pub(super) action: Action,
    /// Kinds of sinks; all where empty.
    pub(super) route: Vec<String>,
    pub(super) reminder: bool,
    /// When the incident began.
    pub(super) since: i64,
    /// The last that was bad.
    pub(super) seen: Seen,
    /// It changes all the time.
    pub(super) is_flapping: bool,
    /// What is told of is the case at this time. A resolve may be about what nobody is told of any more.
    pub(super) is_bad: bool,
}

/// What is known of one subject, and what has been told of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// Bad runs in a row.
    failing: u32,
    /// Good runs in a row.
    passing: u32,
    /// Bad runs since it began.
    runs: u32,
    is_bad: bool,
    since: Option<i64>,
    /// When it changed, within the window of flapping.
    changes: Vec<i64>,
    changed_at: Option<i64>,
    flapping_since: Option<i64>,
    told: Audience,
    told_at: Option<i64>,
    is_told_of_flapping: bool,
    last: Option<Seen>,
    /// The host that stands in the key of what is open, where that is no probe's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) host: Option<String>,
}

/// Who has been told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Audience {
    all: bool,
    sinks: BTreeSet<String>,
}

impl Audience {
    fn of<'a>(stages: impl IntoIterator<Item = &'a Stage>) -> Self {
        let mut audience = Self::default();
        for stage in stages {
            audience.all |= stage.sinks.is_empty();
            audience.sinks.extend(stage.sinks.iter().cloned());
        }
        audience
    }

    fn is_empty(&self) -> bool {
        !self.all && self.sinks.is_empty()
    }

    /// Those of `self` that are not in `other`. Of all but a few there is no telling: it is all then.
    fn without(&self, other: &Self) -> Self {
        if other.all {
            return Self::default();
        }
        Self { all: self.all, sinks: self.sinks.difference(&other.sinks).cloned().collect() }
    }

    fn add(&mut self, other: &Self) {
        self.all |= other.all;
        self.sinks.extend(other.sinks.iter().cloned());
    }

    fn route(&self) -> Vec<String> {
        if self.all { Vec::new() } else { self.sinks.iter().cloned().collect() }
    }
}

impl Condition {
    /// Whether it is bad, told or not.
    #[must_use]
    pub const fn is_bad(&self) -> bool {
        self.is_bad
    }

    /// Whether it changes all the time.
    #[must_use]
    pub const fn is_flapping(&self) -> bool {
        self.flapping_since.is_some()
    }

    /// Whether a sink has been told and waits for the resolve.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.told.is_empty()
    }

    /// Takes for untold what was told.
    pub fn doubt_what_was_told(&mut self) {
        self.told = Audience::default();
        self.told_at = None;
        self.is_told_of_flapping = false;
    }

    /// When the first of the runs was that are bad, in Unix seconds.
    #[must_use]
    pub const fn since(&self) -> Option<i64> {
        self.since
    }

    /// Takes in what was seen, and says what is to be told.
    pub(super) fn step(&mut self, evidence: Evidence, terms: &Terms, now: i64) -> Vec<Word> {
        self.forget_the_future(now);
        self.settle(evidence, terms, now);
        self.damp(terms.flapping, now);
        let words = self.tell(terms, now);
        if !self.is_wanted() {
            self.runs = self.failing;
            if self.failing == 0 {
                self.since = None;
                self.last = None;
            }
        }
        words
    }

    /// A clock that was ahead must not hold anything up.
    fn forget_the_future(&mut self, now: i64) {
        for time in [&mut self.since, &mut self.changed_at, &mut self.flapping_since, &mut self.told_at] {
            *time = time.map(|time| time.min(now));
        }
        for time in &mut self.changes {
            *time = (*time).min(now);
        }
    }

    fn settle(&mut self, evidence: Evidence, terms: &Terms, now: i64) {
        let was_bad = self.is_bad;
        match evidence {
            Evidence::None => return,
            Evidence::Good => {
                self.passing = self.passing.saturating_add(1);
                self.failing = 0;
                self.is_bad = self.is_bad && self.passing < terms.successes;
            }
            Evidence::Bad(seen) => {
                self.failing = self.failing.saturating_add(1);
                self.runs = self.runs.saturating_add(1);
                self.passing = 0;
                self.since.get_or_insert(now);
                self.last = Some(seen);
                self.is_bad = self.is_bad || self.failing >= terms.failures;
            }
        }
        if self.is_bad != was_bad {
            self.changes.push(now);
            self.changed_at = Some(now);
        }
    }

    fn damp(&mut self, flapping: Option<Flapping>, now: i64) {
        let Some(flapping) = flapping else {
            self.flapping_since = None;
            self.is_told_of_flapping = false;
            self.changes.clear();
            return;
        };
        let threshold = usize::try_from(flapping.changes).unwrap_or(MOST_CHANGES).clamp(1, MOST_CHANGES);
        self.changes.retain(|change| has_passed_at_most(flapping.window, *change, now));
        let excess = self.changes.len().saturating_sub(threshold);
        self.changes.drain(..excess);
        if self.flapping_since.is_none() {
            self.flapping_since = (self.changes.len() >= threshold).then_some(now);
        } else if self.changed_at.is_none_or(|change| has_passed(flapping.quiet, change, now)) {
            self.flapping_since = None;
            self.is_told_of_flapping = false;
            self.changes.clear();
        }
    }

    /// Whether there is to be an incident.
    const fn is_wanted(&self) -> bool {
        self.is_bad || self.is_flapping()
    }

    fn tell(&mut self, terms: &Terms, now: i64) -> Vec<Word> {
        if !self.is_wanted() || terms.stages.is_empty() {
            if !self.is_open() {
                return Vec::new();
            }
            let resolve = self.word(Action::Resolve, self.told.route(), false, now);
            self.doubt_what_was_told();
            return vec![resolve];
        }
        if terms.is_silenced {
            return Vec::new();
        }
        let due = Audience::of(terms.stages.iter().filter(|stage| stage.after <= self.runs.max(1)));
        let new = due.without(&self.told);
        let was_open = self.is_open();
        let is_due_again = terms
            .reminder_interval
            .is_some_and(|interval| self.told_at.is_none_or(|told_at| has_passed(interval, told_at, now)));
        let mut words = Vec::new();
        // Where all are told because of one who is new, the others hear it again anyway.
        if was_open && !new.all && (is_due_again || self.is_flapping() && !self.is_told_of_flapping) {
            words.push(self.word(Action::Trigger, self.told.route(), true, now));
        }
        if !new.is_empty() {
            words.push(self.word(Action::Trigger, new.route(), new.all && was_open, now));
        }
        if !words.is_empty() {
            self.told.add(&new);
            self.told_at = Some(now);
            self.is_told_of_flapping = self.is_flapping();
        }
        words
    }

    fn word(&self, action: Action, route: Vec<String>, reminder: bool, now: i64) -> Word {
        Word {
            action,
            route,
            reminder,
            since: self.since.unwrap_or(now),
            seen: self.last.clone().unwrap_or_default(),
            is_flapping: self.is_flapping(),
            is_bad: self.is_wanted(),
        }
    }
}

/// The word on evidence where nothing is remembered: what is bad is told, and what is good is resolved by a run that
/// passed, whether or not anything is open.
pub(super) fn without_memory(evidence: Evidence, terms: &Terms, has_passed: bool, now: i64) -> Option<Word> {
    if terms.stages.is_empty() {
        return None;
    }
    let (action, seen) = match evidence {
        Evidence::Bad(seen) if !terms.is_silenced => (Action::Trigger, seen),
        Evidence::Good if has_passed => (Action::Resolve, Seen::default()),
        Evidence::None | Evidence::Good | Evidence::Bad(_) => return None,
    };
    Some(Word {
        action,
        route: Audience::of(&terms.stages).route(),
        reminder: action == Action::Resolve,
        since: now,
        seen,
        is_flapping: false,
        is_bad: action == Action::Trigger,
    })
}

/// Whether so much time is over since then.
fn has_passed(time: Duration, since: i64, now: i64) -> bool {
    now.saturating_sub(since) >= seconds(time)
}

fn has_passed_at_most(time: Duration, since: i64, now: i64) -> bool {
    now.saturating_sub(since) <= seconds(time)
}

/// Rounded up: clocks here have whole seconds, and half a second must not be none.
fn seconds(time: Duration) -> i64 {
    let whole = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    whole.saturating_add(i64::from(time.subsec_nanos() > 0))
}
