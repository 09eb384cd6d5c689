//! What a daemon would watch, and when each probe would run next, without running anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::board::ProbeView;
use super::definition::Definition;
use super::entry::Entry;
use super::progress::{self, Kept};
use crate::history::HistoryError;
use crate::history::outbox::Store;
use crate::schedule::ScheduleError;

/// The probes as the board would show them at `now`, given what `store` remembers of them.
pub async fn preview(
    definitions: Vec<Definition>,
    store: Option<&Store>,
    now: Timestamp,
) -> Result<Vec<Result<Arc<ProbeView>, ScheduleError>>, HistoryError> {
    let memos = match store {
        Some(store) => store.memos(progress::KIND).await?,
        None => Vec::new(),
    };
    let kept: BTreeMap<String, Kept> =
        memos.into_iter().filter_map(|memo| Some((memo.name.clone(), Kept::read(&memo)?))).collect();
    let views = definitions.into_iter().map(|definition| {
        let kept = kept.get(&definition.probe.identity.key());
        Entry::new(Arc::new(definition), Arc::from(""), kept, now).map(|mut entry| {
            entry.heed_clock(now);
            entry.view
        })
    });
    Ok(views.collect())
}
