//! The daemon: probes that run when they are due, or when something happens on the engine.
//!
//! Owns when a run begins and what happens where one is under way already. What a probe looks at is [`crate::check`]'s,
//! how it is tried [`crate::harness`]'s, when it is due [`crate::schedule`]'s, and who hears of it [`crate::notify`]'s.

pub mod board;
pub mod configuration;
pub mod daemon;
pub mod definition;
mod entry;
pub mod following;
pub mod labels;
pub mod occurrences;
pub mod preview;
mod progress;
mod run;
mod silenced;
pub mod silences;
pub mod sinks;

pub use board::{Board, Desk};
pub use configuration::{Configured, definitions};
pub use daemon::{Daemon, Happening, Input, Source};
pub use definition::{Definition, Origin, Overlap, Times, Trigger, TriggerRule};
pub use preview::preview;
pub use run::Means;
pub use silences::{SilenceRule, When};
