//! Flags of `docker-test run` that Docker does not have: time, results, trust, reports.
//!
//! Owns their types and built-in defaults. What they mean for a run is the plan's; the caller turns these types into
//! the plan's own.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::error::Invalid;
use super::units;
use crate::metadata::duration;
use crate::metadata::labels::MOST_RETRIES;

/// How a run is made and judged.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Run")]
pub struct RunFlags {
    /// How long an attempt may run (default: the image's label test.timeout, else 1h)
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_limit)]
    pub timeout: Option<Duration>,
    /// How often a test that did not pass is run again (default: the image's label test.retries, else 0)
    #[arg(long, value_name = "N", value_parser = retries)]
    pub retries: Option<u32>,
    /// How long to wait before the first retry; the wait doubles with each further one
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "1s")]
    pub retry_backoff: Duration,
    /// What it means when a test passes on a retry
    #[arg(long, value_enum, default_value_t, value_name = "VERDICT")]
    pub flaky_result: FlakyResult,
    /// How long building the test image may take
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_limit)]
    pub build_timeout: Option<Duration>,
    /// How long a test that is told to stop may take, until it is killed
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "10s")]
    pub grace_period: Duration,
    /// Directory that the test's files are put in; must be empty, new, or made by docker-test
    #[arg(long, value_name = "DIR", default_value = "./tests/results")]
    pub results_dir: PathBuf,
    /// Most bytes that are taken out of the container
    #[arg(long, value_name = "BYTES", value_parser = units::unsigned_size, default_value = "1GiB")]
    pub results_limit: u64,
    /// What decides: the exit code, the cases in the test's reports, or both
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub trust: Trust,
    /// What it means when a test passes and reports no case
    #[arg(long, value_enum, default_value_t, value_name = "VERDICT")]
    pub no_tests: NoTests,
    /// When to keep the container after the test
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub keep: Keep,
    /// Which ONTEST instructions apply to an image that has its parent's too
    #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
    pub inherit: Inherit,
    /// Open a shell in the test image of one IMAGE instead of running the test
    #[arg(long)]
    pub shell: bool,
    /// Exit with the container's own exit code, for one IMAGE
    #[arg(long)]
    pub propagate_exit_code: bool,
    /// Directory that the recipe and its files are read from
    #[arg(long, value_name = "DIR")]
    pub path: Option<PathBuf>,
    /// Read the recipe from this Dockerfile.test or Dockerfile
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Write the rendered Dockerfile.test; an existing file is left alone
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true, default_missing_value = "Dockerfile.test")]
    pub keep_dockerfile: Option<PathBuf>,
    /// Print the plan, or those of several tests, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write a report to a file, such as junit=report.xml
    #[arg(long, value_name = "FORMAT=PATH")]
    pub report: Vec<Report>,
    /// Hide the value of this variable in everything that is printed or written
    #[arg(long, value_name = "NAME")]
    pub redact: Vec<String>,
    /// Whether and how long to pull.
    #[command(flatten)]
    pub pull: PullFlags,
}

/// Reads `--retries`.
fn retries(text: &str) -> Result<u32, Invalid> {
    let count = text.trim().parse().ok().filter(|count| *count <= MOST_RETRIES);
    count.ok_or_else(|| Invalid::new(format!("expected a number from 0 to {MOST_RETRIES}")))
}

/// `--flaky-result`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum FlakyResult {
    /// The test passes, and is said to be flaky
    #[default]
    Pass,
    /// The test fails
    Fail,
}

/// When the image under test is pulled.
#[derive(Debug, Clone, Default, Args)]
pub struct PullFlags {
    /// When to pull the image under test
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub pull: Pull,
    /// How long a pull may take
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_limit)]
    pub pull_timeout: Option<Duration>,
}

/// `--pull`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Pull {
    /// Even if the engine has it
    Always,
    /// If the engine does not have it
    #[default]
    Missing,
    /// Never
    Never,
}

/// `--trust`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Trust {
    /// The exit code alone
    Exit,
    /// The cases in the test's JUnit and TAP files; the exit code where there are none
    Report,
    /// Both must be good
    #[default]
    Both,
}

/// `--no-tests`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum NoTests {
    /// The test passes
    Pass,
    /// The test passes, with a warning
    #[default]
    Warn,
    /// The test fails
    Fail,
}

/// `--keep`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Keep {
    /// Always remove it
    #[default]
    Never,
    /// Keep it when the test did not pass
    Failed,
    /// Always keep it
    Always,
}

/// `--inherit`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Inherit {
    /// The image's own, or its parent's where it has none
    #[default]
    Own,
    /// Those of its parents
    Inherited,
    /// Its parents', then its own
    All,
}

/// One `--report FORMAT=PATH`. Which formats exist is for the reports to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Name of the format.
    pub format: String,
    /// Where it is written.
    pub path: PathBuf,
}

impl FromStr for Report {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.split_once('=') {
            Some((format, path)) if !format.is_empty() && !path.is_empty() => {
                Ok(Self { format: format.to_ascii_lowercase(), path: path.into() })
            }
            _ => Err(Invalid::new("expected FORMAT=PATH, such as junit=report.xml")),
        }
    }
}

#[cfg(test)]
mod tests;
