//! The store that reporting begins with.
//!
//! Owns what is done about a state directory that cannot be used as it is: a store that is damaged is set aside for a new
//! one, and where there can be none, memory takes its place. Deletes nothing.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::doubt::Doubt;
use crate::history::outbox::{Limits, Store};
use crate::history::{self, HistoryError};
use crate::notify::outbox;

/// The store of a state directory, and whether it outlives this process.
pub struct Opened {
    /// The store.
    pub store: Store,
    /// What is in it is there for the next run.
    pub lasts: bool,
    /// Why it is not the one that was asked for.
    pub problem: Option<HistoryError>,
    /// Where the one that was damaged is now.
    pub set_aside: Option<PathBuf>,
    /// There was no store in the directory.
    pub is_new: bool,
    pub(super) doubt: Doubt,
}

/// Opens the store in `state`. One that is damaged is set aside for a new one; where that cannot be, or there is none,
/// it is one that ends with this process. With one that is new, it is not known what is open: the first pass of each probe
/// is resolved to be sure.
pub fn open(state: Option<&Path>) -> Result<Opened, HistoryError> {
    let mut doubt = Doubt::of(state);
    let mut set_aside = None;
    let is_new =
        state.is_some_and(|state| state.join(history::FILE).try_exists().is_ok_and(|is_there| !is_there));
    let problem = match state.map(|state| open_whole(state, &doubt, &mut set_aside)) {
        Some(Ok(store)) => {
            if is_new {
                doubt.begin_anew();
            }
            return Ok(Opened { store, lasts: true, problem: None, set_aside, is_new, doubt });
        }
        Some(Err(error)) => Some(error),
        None => None,
    };
    let store = outbox::in_memory(Limits::default())?;
    Ok(Opened { store, lasts: false, problem, set_aside, is_new: false, doubt })
}

fn open_whole(state: &Path, doubt: &Doubt, aside: &mut Option<PathBuf>) -> Result<Store, HistoryError> {
    if doubt.is_about_damage() {
        *aside = history::set_aside(state, OffsetDateTime::now_utc())?;
        doubt.settle_damage();
    }
    match outbox::open(state, Limits::default()) {
        Err(error @ HistoryError::Damaged { .. }) => {
            let moved = history::set_aside(state, OffsetDateTime::now_utc()).unwrap_or_default();
            let Some(moved) = moved else { return Err(error) };
            *aside = Some(moved);
            outbox::open(state, Limits::default())
        }
        opened => opened,
    }
}

impl Opened {
    /// A store that is open already, of this state directory, which others have used before.
    #[must_use]
    pub fn of(store: Store, lasts: bool, state: Option<&Path>) -> Self {
        Self { store, lasts, problem: None, set_aside: None, is_new: false, doubt: Doubt::of(state) }
    }

    /// The same for one that is new: what others have told before is not in it.
    #[must_use]
    pub fn anew(mut self) -> Self {
        self.is_new = true;
        self.doubt.begin_anew();
        self
    }
}
