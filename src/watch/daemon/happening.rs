//! What the daemon tells those who look on.
//!
//! Owns the events, and no word of how they are shown.

use std::sync::Arc;

use jiff::Timestamp;

use crate::notify::Alert;
use crate::probe::ProbeRun;

/// Something that people may want to see.
#[derive(Debug)]
pub enum Happening<'a> {
    /// These many probes are watched now.
    Watching(usize),
    /// A run begins.
    Began {
        /// The probe.
        probe: &'a str,
        /// When it was due, where it is one of the schedule.
        due: Option<Timestamp>,
        /// When it begins.
        at: Timestamp,
    },
    /// A run is over, and this is what people were told because of it.
    Ended {
        /// What it came to.
        run: &'a ProbeRun,
        /// The alerts.
        alerts: &'a [Alert],
    },
    /// A run was stopped: its verdict says nothing.
    Stopped {
        /// The probe.
        probe: &'a str,
    },
    /// Runs were passed over, because one was under way or their time was over.
    Skipped {
        /// The probe.
        probe: &'a str,
        /// How many.
        runs: u64,
    },
    /// Somebody asked for something that is done.
    Asked(&'a str),
    /// Something is wrong with the daemon or its surroundings.
    Problem(&'a str),
}

/// Is told what happens. It must not wait.
pub type Observer = Arc<dyn Fn(&Happening<'_>) + Send + Sync>;
