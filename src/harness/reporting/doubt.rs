//! Of which probes the stored state may say less than was told.
//!
//! Owns empty files in the state directory: one for a probe whose run could not be stored, which may have left an
//! incident open that the state knows nothing of, and one for a store that was seen to be damaged. A file without
//! content can be made on most disks that are full.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::history;

const DAMAGED: &str = "history.sqlite.damaged";

/// What is noted in a state directory. Without one nothing lasts, and nothing is in doubt.
#[derive(Debug, Clone)]
pub(super) struct Doubt {
    state: Option<PathBuf>,
    /// Nothing is known of what was told before, by whoever had another store.
    begins_anew: bool,
}

impl Doubt {
    pub(super) fn of(state: Option<&Path>) -> Self {
        Self { state: state.map(Path::to_owned), begins_anew: false }
    }

    /// The store was made by this process: what is open of earlier ones is not in it.
    pub(super) const fn begin_anew(&mut self) {
        self.begins_anew = true;
    }

    fn file(&self, probe: &str) -> Option<PathBuf> {
        let digest = Sha256::digest(probe.as_bytes());
        let name = digest.iter().take(8).fold(0_u64, |name, byte| name << 8 | u64::from(*byte));
        Some(self.state.as_ref()?.join(format!("untold-{name:016x}")))
    }

    /// Whether more may have been told of a probe than its state says; `is_known` where it has one.
    pub(super) fn is_about(&self, probe: &str, is_known: bool) -> bool {
        let is_noted = self.file(probe).is_some_and(|file| file.exists());
        let was_lost = || self.begins_anew || self.state.as_deref().is_some_and(history::was_set_aside);
        is_noted || (!is_known && was_lost())
    }

    /// Where this cannot be noted either, nothing can be done about it.
    pub(super) fn raise(&self, probe: &str) {
        if let Some(file) = self.file(probe) {
            let _noted = fs::File::create(file);
        }
    }

    pub(super) fn settle(&self, probe: &str) {
        if let Some(file) = self.file(probe) {
            let _gone = fs::remove_file(file);
        }
    }

    /// The next run is to look at the whole store before it uses it.
    pub(super) fn raise_damage(&self) {
        if let Some(state) = &self.state {
            let _noted = fs::File::create(state.join(DAMAGED));
        }
    }

    pub(super) fn is_about_damage(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.join(DAMAGED).exists())
    }

    pub(super) fn settle_damage(&self) {
        if let Some(state) = &self.state {
            let _gone = fs::remove_file(state.join(DAMAGED));
        }
    }
}
