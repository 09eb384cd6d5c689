//! What will happen: a resolved, serialisable plan, printed by `--dry-run` and `inspect`.
//!
//! Owns the choice of source and every decision that can be taken before anything is created. It is pure: it
//! never talks to an engine, and is given what the engine said about the target.

pub mod build;
pub mod container;
mod container_error;
mod error;
mod find;
pub mod of_container;
pub mod recreate;
mod resolve;
mod retries;
mod runs;
pub mod service;
mod source;
pub mod syntax;
#[cfg(test)]
mod tests;

pub use container_error::ContainerPlanError;
pub use error::PlanError;
pub use of_container::of_container;
pub(crate) use resolve::PINNED_PLACEHOLDER;
pub use resolve::resolve;
pub use retries::{DEFAULT_BACKOFF, Retries};
pub use source::Source;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::engine::{Capabilities, Image};
use crate::image::context::Needs;
use crate::image::sources::DirectorySources;
use crate::metadata::labels::Inherit;
use crate::metadata::recipe::Feature;
use build::BuildSpec;
use container::ContainerSpec;

/// Longest run of a test where neither flag nor label says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_hours(1);

/// Time between the stop signal and SIGKILL where the user does not say otherwise.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// What the user asked for, resolved from flags, environment and file.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The image under test as the user wrote it.
    pub reference: String,
    /// Name of the test image, `IMAGE:TAG-test`.
    pub test_image: String,
    /// Command after `--`.
    pub command: Option<Vec<String>>,
    /// Which of own and inherited triggers run.
    pub inherit: Inherit,
    /// Build flags.
    pub build: BuildSpec,
    /// Run flags.
    pub container: ContainerSpec,
    /// Its type, where a suite says it: it wins over the label.
    pub test_type: Option<String>,
    /// Its results path, where a suite says it: it wins over the label.
    pub results: Option<String>,
    /// `--timeout`, where given: it wins over the label.
    pub timeout: Option<Duration>,
    /// `--retries`, where given: it wins over the label.
    pub retries: Option<u32>,
    /// `--retry-backoff`
    pub backoff: Option<Duration>,
    /// The other limits.
    pub limits: Limits,
    /// How the verdict is reached.
    pub verdict: VerdictPolicy,
    /// Whether the container is left for the user.
    pub keep: Keep,
}

/// What is known about the target and about the user's directory.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The engine's record of the image under test.
    pub target: &'a Image,
    /// An existing image under the test image's name.
    pub test_image: Option<&'a Image>,
    /// What the user's directory holds.
    pub directory: &'a DirectorySources,
    /// What the engine can do.
    pub capabilities: &'a Capabilities,
    /// False where a recipe that came with the image names files, and none of them is in the user's directory.
    pub files_at_hand: bool,
}

/// Limits of time and size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Of the test itself.
    #[serde(serialize_with = "seconds")]
    pub timeout: Duration,
    /// Of the build of the test image; none where absent.
    #[serde(serialize_with = "optional_seconds")]
    pub build: Option<Duration>,
    /// Of a pull; none where absent.
    #[serde(serialize_with = "optional_seconds")]
    pub pull: Option<Duration>,
    /// Between the stop signal and SIGKILL.
    #[serde(serialize_with = "seconds")]
    pub grace: Duration,
    /// Bytes of results at most.
    pub results: u64,
}

impl Limits {
    /// What is reckoned for a build or a pull without a limit of its own, where others have to know when it must be
    /// over.
    pub const UNLIMITED: Duration = Duration::from_hours(7 * 24);

    /// What is reckoned for taking out the results, which has no limit of time.
    pub const TAKING_RESULTS: Duration = Duration::from_hours(24);

    /// The time after which an attempt, and its container, must be over.
    #[must_use]
    pub const fn of_attempt(&self) -> Duration {
        self.timeout.saturating_add(self.grace).saturating_add(Self::TAKING_RESULTS)
    }

    /// The time after which a run that begins now must be over.
    #[must_use]
    pub fn of_run(&self) -> Duration {
        [self.pull, self.build]
            .into_iter()
            .map(|limit| limit.unwrap_or(Self::UNLIMITED))
            .fold(self.of_attempt(), Duration::saturating_add)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: DEFAULT_TIMEOUT, build: None, pull: None, grace: DEFAULT_GRACE, results: 1 << 30 }
    }
}

/// How exit code and reports make a verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct VerdictPolicy {
    /// Which of the two is believed.
    pub trust: Trust,
    /// What results without a single case mean.
    pub no_tests: NoTests,
}

/// `--trust`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// The exit code alone.
    Exit,
    /// The test's own reports alone, where there are any.
    Report,
    /// Both must be good.
    #[default]
    Both,
}

/// `--no-tests`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoTests {
    /// Nothing to say.
    Pass,
    /// A warning.
    #[default]
    Warn,
    /// A failure.
    Fail,
}

/// `--keep`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Remove the container always.
    #[default]
    Never,
    /// Keep it where the test did not pass.
    Failed,
    /// Keep it always.
    Always,
}

/// One instruction of the recipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedTrigger {
    /// Its keyword in upper case.
    pub instruction: String,
    /// The whole instruction as it will stand in Dockerfile.test.
    pub text: String,
    /// The line where the author wrote it, where known.
    pub line: Option<u32>,
}

/// Where the build context comes from and what of it is read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ContextPlan {
    /// The directory; absent where nothing is read.
    pub directory: Option<PathBuf>,
    /// What the recipe reads.
    pub needs: Needs,
    /// File whose rules leave paths out, where there is one.
    pub ignore_file: Option<PathBuf>,
}

/// The whole plan of one test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestPlan {
    /// Name of the test in reports.
    pub name: String,
    /// The image under test as the user wrote it.
    pub image: String,
    /// Its id.
    pub image_id: String,
    /// Its platform.
    pub platform: String,
    /// Where the recipe came from.
    pub source: Source,
    /// Why that one, for people.
    pub reason: String,
    /// The recipe's instructions.
    pub triggers: Vec<PlannedTrigger>,
    /// `test.type`
    #[serde(rename = "type")]
    pub test_type: String,
    /// `test.results`
    pub results: String,
    /// Name of the test image.
    pub test_image: String,
    /// Dockerfile.test as a person would build it: FROM the name of the image under test.
    pub dockerfile: String,
    /// What is sent to the builder.
    pub context: ContextPlan,
    /// Builder features that the recipe needs.
    pub features: Vec<Feature>,
    /// What runs in the container.
    pub runs: Runs,
    /// How it is built.
    pub build: BuildSpec,
    /// How it is run.
    pub container: ContainerSpec,
    /// False where the user mounts something at the results path.
    pub results_volume: bool,
    /// Limits.
    pub limits: Limits,
    /// Retries.
    pub retries: Retries,
    /// Verdict.
    pub verdict: VerdictPolicy,
    /// Keep.
    pub keep: Keep,
    /// STOPSIGNAL of the image, or the user's.
    pub stop_signal: String,
    /// Things the user should know.
    pub warnings: Vec<String>,
    /// What the text is rendered from once the target is pinned.
    #[serde(skip)]
    pub recipe: PlannedRecipe,
}

/// What runs in the test container, as far as recipe, labels and flags say; otherwise the image's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Runs {
    /// ENTRYPOINT; empty where it is reset.
    pub entrypoint: Option<Vec<String>>,
    /// CMD
    pub command: Option<Vec<String>>,
}

impl std::fmt::Display for Runs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<&str> = self
            .entrypoint
            .iter()
            .flatten()
            .chain(self.command.iter().flatten())
            .map(String::as_str)
            .collect();
        match &self.entrypoint {
            _ if !words.is_empty() => f.write_str(&words.join(" ")),
            Some(_) => f.write_str("nothing: the ENTRYPOINT is reset, and there is no command"),
            None => f.write_str("the image's own command"),
        }
    }
}

/// The parts of Dockerfile.test that do not depend on the name that the target is pinned under.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlannedRecipe {
    /// The author's own Dockerfile.test.
    pub author: Option<String>,
    /// Reset the target's ENTRYPOINT.
    pub reset_entrypoint: bool,
    /// The recipe's last CMD.
    pub command: Option<String>,
    /// Where the author wrote it: a path, or a label.
    pub origin: String,
    /// The author's line behind which the results directory is made, 0 for the place before all triggers; at the end
    /// without one.
    pub results_after: Option<u32>,
}

fn seconds<S: serde::Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(value.as_secs_f64())
}

#[expect(clippy::ref_option, reason = "the signature is serde's")]
fn optional_seconds<S: serde::Serializer>(
    value: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => seconds(value, serializer),
        None => serializer.serialize_none(),
    }
}
