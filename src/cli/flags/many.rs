//! Where the tests of a run of several come from, and how they are run beside one another.
//!
//! Owns these flags. Which of the tests are meant is [`super::selection`]'s.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::error::Invalid;
use super::selection::SelectionFlags;
use crate::metadata::duration;
use crate::suite::pattern::NamePattern;

/// Where tests come from, where they are not named.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Several tests")]
pub struct OriginFlags {
    /// Test the containers of the engine that have a test.type, each re-created from its own configuration
    #[arg(long, conflicts_with_all = ["suite", "images"])]
    pub containers: bool,
    /// Test the images of the engine that have a test.type
    #[arg(long, conflicts_with = "suite")]
    pub images: bool,
    /// Use the services of this compose file; without any other test, its service `sut` is the test; repeatable
    #[arg(long, value_name = "FILE")]
    pub compose: Vec<PathBuf>,
}

/// How several tests are found and run.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Several tests")]
pub struct ManyFlags {
    /// Where they come from.
    #[command(flatten)]
    pub origin: OriginFlags,
    /// How many tests run at a time (default: by CPUs and memory of the engine)
    #[arg(short, long, value_name = "N", value_parser = positive)]
    pub jobs: Option<usize>,
    /// Start no more tests once one has failed; the same as --max-fail 1
    #[arg(long, conflicts_with = "max_fail")]
    pub fail_fast: bool,
    /// Start no more tests once N have failed
    #[arg(long, value_name = "N", value_parser = positive)]
    pub max_fail: Option<usize>,
    /// How long all tests together may take (default: no limit)
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_limit)]
    pub global_timeout: Option<Duration>,
    /// How long a test may run until it is said to be slow
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "60s")]
    pub slow_after: Duration,
    /// Only what an earlier run has left: tests that failed or were flaky in the last one, or those of the run of this id
    #[arg(long, value_name = "failed|flaky|RUN_ID")]
    pub rerun: Option<String>,
    /// Skip tests that have passed and of which nothing has changed since
    #[arg(long)]
    pub cached: bool,
    /// Stay, and run tests again when their image or their context changes
    #[arg(long)]
    pub watch: bool,
    /// Only tests of this name, glob (checkout*) or /regular expression/; with ! before it, all but those; repeatable
    #[arg(long, help_heading = "Selection", value_name = "PATTERN", value_parser = NamePattern::parse)]
    pub select: Vec<NamePattern>,
    /// Which of the tests.
    #[command(flatten)]
    pub selection: SelectionFlags,
}

impl ManyFlags {
    /// Whether even a single image needs what only a run of several has.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.origin.containers
            || self.origin.images
            || !self.origin.compose.is_empty()
            || !self.select.is_empty()
            || self.selection.is_used()
            || self.rerun.is_some()
            || self.cached
            || self.watch
            || self.global_timeout.is_some()
    }

    /// When no more tests are started.
    #[must_use]
    pub fn max_failures(&self) -> Option<usize> {
        if self.fail_fast { Some(1) } else { self.max_fail }
    }
}

fn positive(text: &str) -> Result<usize, Invalid> {
    let number = text.trim().parse().ok().filter(|number| (1..=10_000).contains(number));
    number.ok_or_else(|| Invalid::new("expected a number from 1 to 10000"))
}
