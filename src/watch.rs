//! The daemon: probes that run when they are due, or when something happens on the engine.
//!
//! Owns when a run begins and what happens where one is under way already. What a probe looks at is [`crate::check`]'s,
//! how it is tried [`crate::harness`]'s, when it is due [`crate::schedule`]'s, and who hears of it [`crate::notify`]'s.

pub mod board;
pub mod configuration;
pub mod definition;
pub mod labels;
pub mod silences;

pub use board::{Board, Desk};
pub use configuration::{Configured, definitions};
pub use definition::{Definition, Origin, Overlap, Times, Trigger, TriggerRule};
pub use silences::{SilenceRule, When};
