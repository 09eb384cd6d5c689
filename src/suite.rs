//! A suite: docker-test.yaml read and checked, its matrices expanded, tests selected, ordered and scheduled.
//!
//! Everything that can be decided about many tests before and between effects. Knows no engine, no flags and no clock:
//! the bytes of the file and the environment are handed in, and the runner acts on what comes out. In the order of use:
//! [`read::Suite::read`], [`select`], [`partition`], [`order`], [`policy`], [`needs`], [`listing`], [`schedule`].

pub mod document;
mod error;
pub mod expand;
mod interpolate;
pub mod listing;
pub mod needs;
pub mod order;
pub mod partition;
pub mod pattern;
pub mod policy;
pub mod read;
pub mod schedule;
pub mod schema;
pub mod select;
pub mod starter;
mod yaml;

pub use error::SuiteError;
pub use read::{Known, Suite};
pub use yaml::{MAX_BYTES, Place};
