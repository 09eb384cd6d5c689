//! `tests`: what is run, and under which conditions.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::mount::Mount;
use super::pairs::{Labels, Variables};
use super::secret::Secrets;
use super::service::Build;
use super::shape::{Nothing, Shaped, shaped};
use super::values::{Cpus, Memory, Named, Names, Options, Pids, Switch, Time};
use super::words::Words;
use crate::metadata::labels::{MOST_RETRIES, check_results_path};
use crate::plan::syntax::Invalid;
use crate::plan::{NoTests, Trust};

/// One test. After reading, every combination of a matrix is a test of its own.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a test: a mapping with image or build, needs, env, …")]
pub struct Test {
    /// The image under test. Either this or `build`.
    pub image: Option<String>,
    /// How the image under test is built.
    pub build: Option<Build>,
    /// Directory that the recipe's COPY reads, relative to the suite file's. Without it, files must be in the image.
    pub context: Option<String>,
    /// A Dockerfile.test to use instead of whatever the image says.
    pub file: Option<String>,
    /// Kind of test: integration, performance, security, chaos or any text. Without it, the image's label.
    #[serde(rename = "type")]
    pub test_type: Option<String>,
    /// Services, and other tests, that come first.
    pub needs: Vec<String>,
    /// Environment variables.
    pub env: Variables,
    /// Secrets, by name.
    pub secrets: Secrets,
    /// What is mounted.
    pub mounts: Vec<Mount>,
    /// Limits.
    pub resources: Resources,
    /// How long an attempt may take.
    #[serde(deserialize_with = "Time::optional")]
    #[schemars(with = "Option<Time>")]
    pub timeout: Option<Duration>,
    /// How often it is run again when it fails.
    pub retries: Option<Retries>,
    /// Labels to select it by; they are set on its container too.
    pub labels: Labels,
    /// Values of variables; the test is run with each combination.
    pub matrix: Option<Matrix>,
    /// Replaces the command.
    pub command: Option<Words>,
    /// Replaces the entrypoint; an empty list resets it.
    pub entrypoint: Option<Words>,
    /// User, or user and group.
    pub user: Option<String>,
    /// Working directory.
    pub workdir: Option<String>,
    /// Networks that it joins: names under `networks`, `default`, or `none`. Naming one grants it.
    pub network: Option<Names>,
    /// OS and architecture, such as linux/arm64.
    pub platform: Option<String>,
    /// Nothing else of this run runs on the same engine meanwhile.
    #[serde(deserialize_with = "Switch::optional")]
    #[schemars(with = "Option<Switch>")]
    pub exclusive: Option<bool>,
    /// Nothing else of this run runs anywhere meanwhile.
    #[serde(deserialize_with = "Switch::optional")]
    #[schemars(with = "Option<Switch>")]
    pub alone: Option<bool>,
    /// Directory in which the test leaves its results.
    pub results: Option<ResultsPath>,
    /// What decides: exit, report or both.
    pub trust: Option<TrustWord>,
    /// What no reported case means: pass, warn or fail.
    #[serde(rename = "no-tests")]
    pub no_tests: Option<NoTestsWord>,
    /// Further flags of `docker-test run`, by their long names.
    pub options: Options,
    /// Name before its matrix, for selection.
    #[serde(skip)]
    pub base: String,
    /// Variables of the matrix, in order.
    #[serde(skip)]
    pub variables: Vec<(String, String)>,
}

/// A test may use no more than this.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "limits: a mapping with memory, cpus and pids")]
pub struct Resources {
    /// Bytes of memory.
    #[serde(deserialize_with = "Memory::optional")]
    #[schemars(with = "Option<Memory>")]
    pub memory: Option<i64>,
    /// Billionths of a CPU; written as a number of CPUs.
    #[serde(deserialize_with = "Cpus::optional")]
    #[schemars(with = "Option<Cpus>")]
    pub cpus: Option<i64>,
    /// Processes, -1 for any number.
    #[serde(deserialize_with = "Pids::optional")]
    #[schemars(with = "Option<Pids>")]
    pub pids: Option<i64>,
}

/// Retries of a test that failed: a number, or a mapping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retries {
    /// How many.
    pub count: u32,
    /// Wait before the first retry; it doubles with each further one. The runner's own where absent.
    pub backoff: Option<Duration>,
}

/// The long form of [`Retries`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with count and backoff")]
pub(in crate::suite) struct LongRetries {
    /// How many, 0 to 100.
    count: u32,
    /// Wait before the first retry; it doubles with each further one.
    #[serde(default, deserialize_with = "Time::optional")]
    #[schemars(with = "Option<Time>")]
    backoff: Option<Duration>,
}

impl Shaped for Retries {
    const EXPECTED: &'static str = "a number from 0 to 100, or a mapping with count and backoff";
    const MAP: bool = true;
    type List = Nothing;
    type Map = LongRetries;

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<LongRetries>();
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 0, "maximum": MOST_RETRIES }, { "type": "string" }, long] })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        let count = text.parse().map_err(|_| Invalid::new(format!("expected {}", Self::EXPECTED)))?;
        Self::from_map(LongRetries { count, backoff: None })
    }

    fn from_map(LongRetries { count, backoff }: LongRetries) -> Result<Self, Invalid> {
        if count > MOST_RETRIES {
            return Err(Invalid::new(format!("expected {}", Self::EXPECTED)));
        }
        Ok(Self { count, backoff })
    }
}

/// Variables and their values, and what is added and left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matrix {
    /// Variables in the order of the file, each with its values.
    pub axes: Vec<(String, Vec<String>)>,
    /// Combinations that are added.
    pub include: Vec<Named<String>>,
    /// Combinations that are left out: every one that has all of these values.
    pub exclude: Vec<Named<String>>,
}

impl<'de> Deserialize<'de> for Matrix {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Axes;
        impl<'de> serde::de::Visitor<'de> for Axes {
            type Value = Matrix;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a mapping of variables to lists of values, with include and exclude")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Matrix, A::Error> {
                let mut matrix = Matrix::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "include" => matrix.include = map.next_value()?,
                        "exclude" => matrix.exclude = map.next_value()?,
                        _ => matrix.axes.push((key, map.next_value()?)),
                    }
                }
                Ok(matrix)
            }
        }
        deserializer.deserialize_any(Axes)
    }
}

impl JsonSchema for Matrix {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Matrix".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let value = serde_json::json!({ "type": ["string", "number", "boolean"] });
        let combinations = serde_json::json!({
            "type": "array", "items": { "type": "object", "additionalProperties": value }
        });
        json_schema!({
            "type": "object",
            "properties": { "include": combinations, "exclude": combinations },
            "additionalProperties": { "type": "array", "items": value, "minItems": 1 },
        })
    }
}

/// The path of the results, checked as the label is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultsPath(pub String);

impl Shaped for ResultsPath {
    const EXPECTED: &'static str = "an absolute path";
    type List = Nothing;
    type Map = Nothing;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }

    fn from_text(path: &str) -> Result<Self, Invalid> {
        check_results_path(path).map(Self).map_err(|error| Invalid::new(error.to_string()))
    }
}

/// `--trust`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrustWord {
    /// The exit code alone.
    Exit,
    /// The test's own reports alone, where there are any.
    Report,
    /// Both must be good.
    Both,
}

impl From<TrustWord> for Trust {
    fn from(word: TrustWord) -> Self {
        match word {
            TrustWord::Exit => Self::Exit,
            TrustWord::Report => Self::Report,
            TrustWord::Both => Self::Both,
        }
    }
}

/// `--no-tests`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoTestsWord {
    /// Nothing to say.
    Pass,
    /// A warning.
    Warn,
    /// A failure.
    Fail,
}

impl From<NoTestsWord> for NoTests {
    fn from(word: NoTestsWord) -> Self {
        match word {
            NoTestsWord::Pass => Self::Pass,
            NoTestsWord::Warn => Self::Warn,
            NoTestsWord::Fail => Self::Fail,
        }
    }
}

shaped!(Retries, ResultsPath);
