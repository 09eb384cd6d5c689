//! Shows a run of many tests: one line for a test that ended, and live lines where a person watches.
//!
//! Owns what the three displays share: the [`board`] that follows the run, the [`entry`] that stays, and the
//! [`estimate`] of the time that is left. What tests print is not passed on; its end is shown when a test fails.

mod board;
mod entry;
mod estimate;
mod frame;
mod plain;
mod quiet;
mod tty;
mod work;

pub use plain::Plain;
pub use quiet::Quiet;
pub use tty::Tty;

/// With up to this many tests, those that simply pass have a line each on a terminal, too.
const FEW: usize = 20;

#[cfg(test)]
pub(super) mod fixtures;
