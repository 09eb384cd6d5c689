//! The way that a notice takes where the store of the state directory fails: through memory, for as long as this process.
//!
//! Owns that it begins when it is first needed, and that whoever comes after a reload goes on with what waits in it, under
//! its own keys. When it is taken is for [`super::Reporting`] to say.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::memory::Memory;
use super::way::Way;
use crate::history::HistoryError;
use crate::history::outbox::Limits;
use crate::notify::outbox::{self, Listener, Sink};
use crate::notify::send::Sender;

/// What a way is begun with.
pub(super) struct Means {
    pub(super) sinks: Vec<Sink>,
    pub(super) sender: Sender,
    pub(super) listener: Listener,
}

/// One for all that tell, one after the other, in this process.
pub(super) struct Spare {
    state: Mutex<State>,
    /// What it knows better than the store on disk.
    pub(super) memory: Memory,
}

struct State {
    means: Means,
    way: Option<Arc<Way>>,
}

impl Spare {
    pub(super) fn new(means: Means) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { means, way: None }), memory: Memory::default() })
    }

    /// The way, where it was needed before.
    pub(super) fn get(&self) -> Option<Arc<Way>> {
        self.state().way.clone()
    }

    /// The way, which begins now where it has not.
    pub(super) fn get_or_begin(&self) -> Result<Arc<Way>, HistoryError> {
        let mut state = self.state();
        if let Some(way) = &state.way {
            return Ok(Arc::clone(way));
        }
        let store = outbox::in_memory(Limits::default())?;
        let Means { sinks, sender, listener } = &state.means;
        let way = Arc::new(Way::begin(store, false, sinks, sender, listener));
        state.way = Some(Arc::clone(&way));
        Ok(way)
    }

    /// Sends with these means from now on, also what waits. What is on its way lands as it was begun.
    pub(super) fn hand_over(&self, means: Means) {
        let mut state = self.state();
        if let Some(old) = state.way.take() {
            let landings = old.stop();
            let new = Way::begin(old.store.clone(), false, &means.sinks, &means.sender, &means.listener);
            new.wait_for(landings);
            state.way = Some(Arc::new(new));
        }
        state.means = means;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
