//! Which tests of several: flags that `run` and `list` share.
//!
//! Owns their names and syntax. What they select is [`crate::suite::select`]'s to say.

use std::path::PathBuf;

use clap::Args;

use super::error::Invalid;
use crate::suite::listing::Wanted;
use crate::suite::order;
use crate::suite::partition::Partition;
use crate::suite::pattern::NamePattern;
use crate::suite::select::{self, Filter, Selection};

/// Which tests of several are meant.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Selection")]
pub struct SelectionFlags {
    /// The suite (default: docker-test.yaml in the current directory)
    #[arg(long, value_name = "FILE")]
    pub suite: Option<PathBuf>,
    /// Only tests of these types, such as integration,security; repeatable
    #[arg(long = "type", id = "type", value_name = "TYPES", value_parser = Types::parse)]
    types: Vec<Types>,
    /// Only tests, images or containers with this label: label=KEY or label=KEY=VALUE; repeatable
    #[arg(long = "filter", id = "filter", value_name = "FILTER", value_parser = Filter::parse)]
    filters: Vec<Filter>,
    /// Only one part of several: slice:M/N, hash:M/N or, by recorded durations, time:M/N
    #[arg(long, value_name = "KIND:M/N", value_parser = Partition::parse)]
    pub partition: Option<Partition>,
    /// Shuffle the tests: the same seed gives the same order
    #[arg(long, value_name = "SEED", value_parser = order::seed)]
    pub shuffle: Option<String>,
    /// How often each test is run, as NAME [1], NAME [2] and so on
    #[arg(long, value_name = "N", value_parser = order::repetitions, default_value = "1")]
    pub repeat: u32,
}

/// A value of `--type`.
#[derive(Debug, Clone)]
struct Types(Vec<String>);

impl Types {
    fn parse(text: &str) -> Result<Self, Invalid> {
        select::types(text).map(Self)
    }
}

impl SelectionFlags {
    /// What they select, together with patterns of names.
    #[must_use]
    pub fn wanted(&self, names: Vec<NamePattern>) -> Wanted {
        Wanted {
            selection: Selection {
                names,
                types: self.types.iter().flat_map(|types| types.0.clone()).collect(),
                filters: self.filters.clone(),
            },
            partition: self.partition,
            seed: self.shuffle.clone(),
            repetitions: self.repeat,
            ..Wanted::default()
        }
    }

    /// Whether types or labels are asked for, as of things that are on an engine.
    #[must_use]
    pub fn selects_by_label(&self) -> bool {
        !self.types.is_empty() || !self.filters.is_empty()
    }

    /// Whether a single test needs more than to be run once.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.suite.is_some()
            || self.selects_by_label()
            || self.partition.is_some()
            || self.shuffle.is_some()
            || self.repeat > 1
    }
}
