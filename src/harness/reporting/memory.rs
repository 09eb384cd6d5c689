//! Of which probes the newest state is in memory, because the store failed when it was to be written.
//!
//! Owns that alone, for a process that tells of many runs. What the store says of such a probe is older, until a step of
//! the probe could be stored again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is known of a probe whose newest state is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// More may have been told of it than even this state says: that was so before.
    pub(super) is_doubtful: bool,
}

/// The probes whose newest state is in memory.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<BTreeMap<String, Step>>);

impl Memory {
    /// `None` where the store has the newest state.
    pub(super) fn of(&self, probe: &str) -> Option<Step> {
        self.probes().get(probe).copied()
    }

    /// A step was taken in memory, the first one of which may have been in doubt before. What waits in the store on disk
    /// is sent after what memory tells, whenever that is.
    pub(super) fn keep(&self, probe: &str, was_doubtful: bool, others_wait: bool) {
        let mut probes = self.probes();
        let step = probes.entry(probe.to_owned()).or_insert(Step { is_doubtful: was_doubtful });
        step.is_doubtful |= others_wait;
    }

    /// A step was stored.
    pub(super) fn forget(&self, probe: &str) {
        self.probes().remove(probe);
    }

    fn probes(&self) -> MutexGuard<'_, BTreeMap<String, Step>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
