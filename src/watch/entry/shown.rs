//! What is shown of a probe and of its runs.
//!
//! Owns which part of a run stays in memory: enough for a line and a bar, because there may be thousands of probes.

use std::collections::VecDeque;

use crate::probe::ProbeRun;
use crate::watch::board::{LastRun, Mark, ProbeView, RECENT};
use crate::watch::definition::{Definition, TriggerRule};

/// Puts a run into the row, where the oldest goes for it.
pub(super) fn push(recent: &mut VecDeque<Mark>, mark: Mark) {
    while recent.len() >= RECENT {
        recent.pop_front();
    }
    recent.push_back(mark);
}

/// A run in the row.
#[expect(clippy::cast_possible_truncation, reason = "for a bar of a few pixels")]
pub(super) fn mark(run: &ProbeRun) -> Mark {
    Mark { at: run.started_at, verdict: run.verdict(), seconds: run.seconds as f32 }
}

/// The last run.
pub(super) fn last(run: &ProbeRun) -> LastRun {
    LastRun {
        id: run.id.clone(),
        at: run.started_at,
        verdict: run.verdict(),
        seconds: run.seconds,
        attempts: run.attempts.len(),
        passed: run.passed(),
        summary: run.summary().to_owned(),
        measurements: run
            .attempts
            .last()
            .map(|last| last.seen.measurements.as_slice().into())
            .unwrap_or_default(),
    }
}

/// A probe of which nothing has been run yet.
pub(super) fn view(definition: &Definition) -> ProbeView {
    let rule = |rule: &TriggerRule| match &rule.target {
        Some(target) => format!("{} {}", rule.on, target.as_written()),
        None => rule.on.to_string(),
    };
    ProbeView {
        identity: definition.probe.identity.clone(),
        origin: definition.origin.clone(),
        schedule: definition.times.as_ref().map(|times| times.schedule.clone()).unwrap_or_default(),
        events: definition.triggers.iter().map(rule).collect(),
        next: None,
        running_since: None,
        last: None,
        open_since: None,
        is_flapping: false,
        silenced_until: None,
        skipped: 0,
        recent: VecDeque::new(),
    }
}
