//! The way of a notice to its sinks: stored first, then sent until it has arrived or is of no use any more.
//!
//! Owns what is stored of a notice (its values, never rendered bytes and never a key), the order, and the times at which
//! it is tried. Tables are the history's, bytes are the sink's, and sockets are [`super::send`]'s.

mod attempt;
mod courier;
mod pace;
mod route;
mod rules;

use std::path::Path;
use std::sync::Arc;

use super::{Action, Alert, Notice, Notifier};
use crate::history::HistoryError;
use crate::history::outbox::{Effect, Entry, Limits, Store};

pub use courier::{Clock, Courier, Ending, Event, Flushed, Listener, Settings};
pub use pace::Backoff;

/// A sink under the name that its entries are stored under.
#[derive(Clone)]
pub struct Sink {
    /// No other sink has it, and it stays the same: `pagerduty`, `slack.operations`.
    pub id: String,
    /// What it is.
    pub notifier: Arc<dyn Notifier>,
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Opens the outbox in the state directory.
pub fn open(state: &Path, limits: Limits) -> Result<Store, HistoryError> {
    Store::open(state, limits, rules::collapse)
}

/// Opens the outbox where there is one, for listings.
pub fn open_existing(state: &Path, limits: Limits) -> Result<Option<Store>, HistoryError> {
    Store::open_existing(state, limits, rules::collapse)
}

/// An outbox that ends with the process, for where no directory lasts or none can be written.
pub fn in_memory(limits: Limits) -> Result<Store, HistoryError> {
    Store::in_memory(limits, rules::collapse)
}

/// A notice that cannot be stored.
#[derive(Debug, thiserror::Error)]
#[error("cannot write a notice of {probe} down for {sink}")]
pub struct UnwritableNotice {
    /// The probe.
    pub probe: String,
    /// The sink.
    pub sink: String,
    /// Why not.
    pub source: serde_json::Error,
}

/// What is stored of a notice for one sink; `None` where the sink is not for it.
pub fn entry(sink: &Sink, notice: &Notice) -> Result<Option<Entry>, UnwritableNotice> {
    let is_for_it = !matches!(notice, Notice::Alert(alert) if !alert.is_for(sink.notifier.name()));
    let Some(lifetime) = sink.notifier.lifetime(notice).filter(|_| is_for_it) else { return Ok(None) };
    let text = serde_json::to_string(notice).map_err(|source| UnwritableNotice {
        probe: notice.probe().name.clone(),
        sink: sink.id.clone(),
        source,
    })?;
    let lifetime = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
    let (key, effect, reminder) = match notice {
        Notice::Alert(alert) => (alert.dedup_key.clone(), Some(effect(alert)), alert.reminder),
        // One word for all probes, and what it begins with: the last one is to arrive last, whichever probe gave it.
        Notice::Started { .. } | Notice::Overall(_) => ("probes".to_owned(), None, false),
        // One run and the next must not overtake each other either.
        _ => (format!("probe:{}", notice.probe().name), None, false),
    };
    Ok(Some(Entry {
        sink: sink.id.clone(),
        key,
        effect,
        reminder,
        notice: text,
        expires_at: notice.at().saturating_mul(1000).saturating_add(lifetime),
    }))
}

/// What is stored of notices for all sinks that they are for, in their order.
pub fn entries<'a>(
    sinks: &[Sink],
    notices: impl IntoIterator<Item = &'a Notice>,
) -> Result<Vec<Entry>, UnwritableNotice> {
    let mut entries = Vec::new();
    for notice in notices {
        for sink in sinks {
            entries.extend(entry(sink, notice)?);
        }
    }
    Ok(entries)
}

const fn effect(alert: &Alert) -> Effect {
    match alert.action {
        Action::Trigger => Effect::Trigger,
        Action::Resolve => Effect::Resolve,
    }
}

#[cfg(test)]
mod tests;
