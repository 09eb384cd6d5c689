//! What is remembered of a probe's runs from one start of the daemon to the next.
//!
//! Owns its form in the store, and what a change of the schedule means: slots are counted anew, what the last run came to
//! stays. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::definition::{Definition, Origin, Times};
use crate::history::outbox::Memo;
use crate::probe::Identity;
use crate::schedule::timetable::Progress;

/// The kind of its memos.
pub(super) const KIND: &str = "progress";

/// What is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) identity: Identity,
    pub(super) origin: Origin,
    /// The file or engine that it was found in: others know nothing of it.
    #[serde(default)]
    pub(super) place: String,
    /// When it was missed first, in Unix seconds, where it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gone_since: Option<i64>,
    /// Schedule and zone that the slots are those of.
    schedule: String,
    /// In Unix milliseconds, like all times here.
    first_seen: i64,
    last_slot: Option<i64>,
    runs: u64,
    last_started: Option<i64>,
    failing: bool,
}

impl Kept {
    pub(super) fn of(definition: &Definition, place: &str, progress: &Progress) -> Self {
        Self {
            identity: definition.probe.identity.clone(),
            origin: definition.origin.clone(),
            place: place.to_owned(),
            gone_since: None,
            schedule: written(definition.times.as_ref()),
            first_seen: progress.first_seen.as_millisecond(),
            last_slot: progress.last_slot.map(Timestamp::as_millisecond),
            runs: progress.runs,
            last_started: progress.last_started.map(Timestamp::as_millisecond),
            failing: progress.failing,
        }
    }

    /// One that cannot be read was not written by us: the probe begins anew.
    pub(super) fn read(memo: &Memo) -> Option<Self> {
        serde_json::from_str(&memo.text).ok()
    }

    pub(super) fn memo(&self) -> Option<Memo> {
        let text = serde_json::to_string(self).ok()?;
        Some(Memo { kind: KIND, name: self.identity.key(), text })
    }

    /// What it says about a probe as it is defined now.
    pub(super) fn progress(&self, definition: &Definition, now: Timestamp) -> Progress {
        let time = |milliseconds: i64| Timestamp::from_millisecond(milliseconds).ok();
        let mut progress = Progress::new(now);
        progress.last_started = self.last_started.and_then(time);
        progress.failing = self.failing;
        if self.schedule == written(definition.times.as_ref()) {
            // A clock that was ahead when it was first seen must not hold it up.
            progress.first_seen = time(self.first_seen).unwrap_or(now).min(now);
            progress.last_slot = self.last_slot.and_then(time);
            progress.runs = self.runs;
        }
        progress
    }
}

fn written(times: Option<&Times>) -> String {
    times.map_or_else(String::new, |times| {
        format!("{} {}", times.schedule, times.zone.as_deref().unwrap_or_default())
    })
}
