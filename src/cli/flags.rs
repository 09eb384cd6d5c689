//! The flags that subcommands share: each defined once, flattened where it is wanted, and resolved into the plan's
//! own types.
//!
//! Owns Docker's spelling, units and error cases of `docker run` and `docker build` flags, and our own run flags.
//! Refuses to read the process environment: variables and the current directory come as an [`Environment`], the
//! settings file as [`crate::settings::Settings`]. Whether an engine can do what a flag asks is decided elsewhere.

pub mod build;
pub mod container;
pub mod device;
pub mod engine;
pub mod error;
pub mod keyvalue;
pub mod layers;
pub mod limits;
pub mod many;
pub mod network;
pub mod output;
pub mod process;
pub mod refused;
pub mod run;
pub mod security;
pub mod selection;
pub mod source;
pub mod storage;

use std::path::{Path, PathBuf};

pub use build::{BuildCommandFlags, BuildFlags};
pub use container::ContainerFlags;
pub use engine::EngineFlags;
pub use error::{FlagError, Invalid};
pub use many::ManyFlags;
pub use output::OutputFlags;
pub use run::{PullFlags, RunFlags};
pub use selection::SelectionFlags;

use crate::environment::Environment;
pub use crate::plan::syntax::{csv, units};

/// `path` made absolute, `.` and `..` removed without looking at the disk, as the Docker CLI does.
fn absolute(environment: &Environment, path: &Path) -> PathBuf {
    crate::plan::syntax::absolute(environment.current_dir(), path)
}

/// The keys that `defaults:` of docker-test.yaml may have: every flag of `docker-test run` and `docker-test build`.
#[must_use]
pub fn setting_keys(command: &clap::Command) -> Vec<String> {
    let subcommands = ["run", "build"].into_iter().filter_map(|name| command.find_subcommand(name));
    let mut keys: Vec<String> = std::iter::once(command)
        .chain(subcommands)
        .flat_map(clap::Command::get_arguments)
        .filter(|arg| layers::settable(arg))
        .map(layers::key)
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

#[cfg(test)]
pub(crate) mod tests;
