//! Probes in the order that people look for them, and the ones of them that somebody asked for.
//!
//! Owns what a probe's condition is in one word. Pure.

use std::cmp::Reverse;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::probe::Verdict;
use crate::watch::board::ProbeView;

/// How a probe stands after its last run. The worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Condition {
    /// All attempts failed.
    Down,
    /// It could not be run.
    Unknown,
    /// It passed, and somebody should look at it.
    Warning,
    /// It has not run yet.
    Pending,
    /// It passed.
    Up,
}

impl Condition {
    pub(super) const ALL: [Self; 5] = [Self::Down, Self::Unknown, Self::Warning, Self::Pending, Self::Up];

    pub(super) const fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Passed => Self::Up,
            Verdict::Warning | Verdict::PassedOnRetry | Verdict::CleanupFailed => Self::Warning,
            Verdict::Failed => Self::Down,
            Verdict::Errored => Self::Unknown,
        }
    }

    pub(super) fn of_probe(view: &ProbeView) -> Self {
        view.last.as_ref().map_or(Self::Pending, |last| Self::of(last.verdict))
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Pending => "pending",
            Self::Up => "up",
        }
    }
}

/// Which probes somebody asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted<'a> {
    /// A part of their name, type, host or one of their tags, in any case.
    pub(super) text: &'a str,
    /// How they stand.
    pub(super) condition: Option<Condition>,
}

/// Those that are wanted: open incidents first, then the worst, then by name.
pub(super) fn listed(mut views: Vec<Arc<ProbeView>>, wanted: &Wanted<'_>) -> Vec<Arc<ProbeView>> {
    let text = wanted.text.trim().to_lowercase();
    views.retain(|view| {
        let identity = &view.identity;
        let texts = [&identity.name, &identity.kind, &identity.host].into_iter().chain(&identity.tags);
        let is_named = text.is_empty() || texts.into_iter().any(|part| part.to_lowercase().contains(&text));
        is_named && wanted.condition.is_none_or(|condition| condition == Condition::of_probe(view))
    });
    views.sort_by_cached_key(|view| {
        (Reverse(view.open_since.is_some()), Condition::of_probe(view), view.identity.name.clone())
    });
    views
}

/// How many there are of each condition.
pub(super) fn counts(views: &[Arc<ProbeView>]) -> [(Condition, usize); 5] {
    Condition::ALL.map(|condition| {
        (condition, views.iter().filter(|view| Condition::of_probe(view) == condition).count())
    })
}
