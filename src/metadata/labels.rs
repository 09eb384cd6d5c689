//! The labels of an image that say how it is tested, and the labels that mark what docker-test makes.
//!
//! Owns names, meanings, limits and encodings. A label can come from anyone: every value is checked here, and
//! nothing is guessed. Whether a value is acted on is the plan's decision.

mod declared;
mod origin;
pub mod ours;
mod results;
pub mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

pub use declared::declared;
pub use origin::{Inherit, Origin};
pub use ours::{Role, is_ours};
pub use results::{DEFAULT_RESULTS, ResultsPathError, check_results_path};
pub use table::{
    CMD, LabelDoc, NEEDS, NETWORK, ONTEST, ORIGIN, RESULTS, RETRIES, SCHEDULE, TEST_LABELS, TIMEOUT, TYPE,
};

use crate::error::{Category, Diagnose};
use crate::metadata::dockerfile::json::{self, JsonArray};
use crate::metadata::dockerfile::{Trigger, escaped, excerpt};
use crate::metadata::duration::{self, DurationError};

/// The type of a test that names none.
pub const DEFAULT_TYPE: &str = "integration";

/// The most bytes that `test.ontest` or `test.ontest.origin` may have: engines refuse requests with more than a
/// megabyte of headers, and labels travel there.
pub const LARGEST: usize = 256 * 1024;

/// The most retries that a label may ask for.
pub const MOST_RETRIES: u32 = 100;

const LONGEST_TEXT: usize = 1024;

/// A command: `test.cmd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestCommand {
    /// Program and arguments.
    Exec(Vec<String>),
    /// A line for the image's shell.
    Shell(String),
}

/// What the labels of an image say about its test, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestLabels {
    /// `test.type`, or the default.
    pub test_type: String,
    /// Whether the image bears `test.type` itself, and so is an Integration Test Container.
    pub is_integration_test_container: bool,
    /// `test.results` without trailing slashes, or the default.
    pub results: String,
    /// `test.ontest`: texts that are not yet checked to be instructions.
    pub ontest: Option<Vec<String>>,
    /// `test.ontest.origin`, where it belongs to this `test.ontest`. An origin that was inherited from a base
    /// image while `test.ontest` was written anew is left out.
    pub origin: Option<Origin>,
    /// `test.cmd`
    pub cmd: Option<TestCommand>,
    /// `test.timeout`; never zero.
    pub timeout: Option<Duration>,
    /// `test.retries`
    pub retries: Option<u32>,
    /// `test.schedule`, as written.
    pub schedule: Option<String>,
    /// `test.network`, as written.
    pub network: Option<String>,
    /// `test.needs`, one by one.
    pub needs: Vec<String>,
    other: BTreeMap<String, String>,
}

/// A label that does not say what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// More bytes than allowed.
    #[error("label {label} has {bytes} bytes: expected at most {limit}")]
    TooLarge {
        /// The label.
        label: &'static str,
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// Not the JSON that it should be.
    #[error(
        "label {label} is {}: expected {expected}; line {line}, column {column}: {reason}",
        excerpt(found)
    )]
    Json {
        /// The label.
        label: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        expected: &'static str,
        /// Line of the fault within the value, counted from 1.
        line: usize,
        /// Column of the fault, counted from 1.
        column: usize,
        /// The reason, in the decoder's words.
        reason: String,
    },
    /// An origin of a later version of docker-test.
    #[error("label {label} has version {found}: expected {expected}")]
    Version {
        /// The label.
        label: &'static str,
        /// Its version.
        found: u64,
        /// The version known here.
        expected: u64,
    },
    /// Any other value that is not allowed.
    #[error("label {label} is {}: expected {expected}", excerpt(found))]
    Value {
        /// The label.
        label: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// `test.results` is not a path to mount a directory at.
    #[error("label {RESULTS}: {0}")]
    Results(#[source] ResultsPathError),
    /// `test.timeout` is not a duration.
    #[error("label {TIMEOUT}: {0}")]
    Timeout(#[source] DurationError),
}

impl Diagnose for LabelError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::TooLarge { .. } => "move what the instructions write into files that they COPY",
            Self::Json { .. } => "rebuild the image with docker-test build, or correct the LABEL",
            Self::Version { .. } => "update docker-test, or rebuild the image with this version",
            Self::Value { label, .. } if *label == CMD => {
                "write [\"program\", \"argument\"] or a shell command"
            }
            Self::Value { .. } => "correct the LABEL in the Dockerfile of the image",
            Self::Results(error) => return error.hint(),
            Self::Timeout(error) => return error.hint(),
        };
        Some(hint.to_owned())
    }
}

impl TestLabels {
    /// Reads and checks the labels of an image or container.
    pub fn read(labels: &BTreeMap<String, String>) -> Result<Self, LabelError> {
        let get = |name: &str| labels.get(name).map(String::as_str).filter(|value| !value.trim().is_empty());
        let ontest = get(ONTEST).map(read_ontest).transpose()?;
        let origin = match (get(ONTEST), get(ORIGIN)) {
            (Some(recorded), Some(origin)) => {
                Some(Origin::decode(origin)?).filter(|o| o.belongs_to(recorded))
            }
            _ => None,
        };
        Ok(Self {
            test_type: get(TYPE)
                .map(|value| text(TYPE, value))
                .transpose()?
                .unwrap_or_else(|| DEFAULT_TYPE.into()),
            is_integration_test_container: labels.contains_key(TYPE),
            results: get(RESULTS)
                .map_or_else(|| Ok(DEFAULT_RESULTS.into()), check_results_path)
                .map_err(LabelError::Results)?,
            ontest,
            origin,
            cmd: get(CMD).map(read_cmd).transpose()?,
            timeout: get(TIMEOUT).map(read_timeout).transpose()?,
            retries: get(RETRIES).map(read_retries).transpose()?,
            schedule: get(SCHEDULE).map(|value| text(SCHEDULE, value)).transpose()?,
            network: get(NETWORK).map(|value| word(NETWORK, value.trim())).transpose()?,
            needs: get(NEEDS).map(read_needs).transpose()?.unwrap_or_default(),
            other: labels
                .iter()
                .filter(|(name, _)| {
                    name.starts_with("test.") && TEST_LABELS.iter().all(|doc| doc.name != **name)
                })
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        })
    }

    /// Every other `test.*` label, unchecked.
    #[must_use]
    pub const fn other(&self) -> &BTreeMap<String, String> {
        &self.other
    }

    /// The recipe by origin: the image's own instructions, those of its base image, or both, the base's first.
    ///
    /// None where the image has no recipe at all. Without an origin every instruction counts as own: so does the
    /// recipe of a base image that a plain `docker build` has handed down unchanged.
    #[must_use]
    pub fn triggers(&self, inherit: Inherit) -> Option<Vec<&str>> {
        let own = self.ontest.as_ref()?.iter().map(String::as_str);
        let inherited = self.origin.iter().flat_map(|origin| origin.inherited.iter().map(String::as_str));
        Some(match inherit {
            Inherit::Own => own.collect(),
            Inherit::Inherited => inherited.collect(),
            Inherit::All => inherited.chain(own).collect(),
        })
    }
}

/// The value of `test.ontest` for these triggers.
pub fn encode_ontest(triggers: &[Trigger]) -> Result<String, LabelError> {
    let texts: Vec<&str> = triggers.iter().map(|trigger| trigger.text.as_str()).collect();
    let value = serde_json::Value::from(texts).to_string();
    within_limit(ONTEST, &value)?;
    Ok(value)
}

fn within_limit(label: &'static str, value: &str) -> Result<(), LabelError> {
    if value.len() > LARGEST {
        return Err(LabelError::TooLarge { label, bytes: value.len(), limit: LARGEST });
    }
    Ok(())
}

fn decode<T: serde::de::DeserializeOwned>(
    label: &'static str,
    value: &str,
    expected: &'static str,
) -> Result<T, LabelError> {
    within_limit(label, value)?;
    serde_json::from_str(value).map_err(|error| {
        let reason = error.to_string();
        // The decoder ends its message with the position, which has fields of its own here.
        let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
        LabelError::Json {
            label,
            found: value.to_owned(),
            expected,
            line: error.line(),
            column: error.column(),
            reason: escaped(&reason, 200),
        }
    })
}

fn read_ontest(value: &str) -> Result<Vec<String>, LabelError> {
    decode(ONTEST, value, "a JSON array of strings")
}

fn read_cmd(value: &str) -> Result<TestCommand, LabelError> {
    let refused = |expected| LabelError::Value { label: CMD, found: value.to_owned(), expected };
    if value.contains('\0') {
        return Err(refused("a command without NUL"));
    }
    match json::read(value) {
        JsonArray::Strings(words) if words.first().is_none_or(String::is_empty) => {
            Err(refused("a program to run"))
        }
        JsonArray::Strings(words) if words.iter().any(|word| word.contains('\0')) => {
            Err(refused("a command without NUL"))
        }
        JsonArray::Strings(words) => Ok(TestCommand::Exec(words)),
        JsonArray::Mixed => Err(refused("a JSON array of strings only, or a shell command")),
        JsonArray::Absent => Ok(TestCommand::Shell(value.trim().to_owned())),
    }
}

fn read_timeout(value: &str) -> Result<Duration, LabelError> {
    let timeout = duration::parse(value).map_err(LabelError::Timeout)?;
    if timeout.is_zero() {
        let found = value.to_owned();
        return Err(LabelError::Value { label: TIMEOUT, found, expected: "more than 0" });
    }
    Ok(timeout)
}

fn read_retries(value: &str) -> Result<u32, LabelError> {
    value.trim().parse().ok().filter(|retries| *retries <= MOST_RETRIES).ok_or_else(|| LabelError::Value {
        label: RETRIES,
        found: value.to_owned(),
        expected: "a number from 0 to 100",
    })
}

fn read_needs(value: &str) -> Result<Vec<String>, LabelError> {
    value.split(',').map(str::trim).filter(|need| !need.is_empty()).map(|need| word(NEEDS, need)).collect()
}

/// One line of moderate length.
fn text(label: &'static str, value: &str) -> Result<String, LabelError> {
    if value.chars().any(char::is_control) || value.len() > LONGEST_TEXT {
        let expected = "one line of text without control characters, at most 1024 bytes";
        return Err(LabelError::Value { label, found: value.to_owned(), expected });
    }
    Ok(value.trim().to_owned())
}

/// A name without white space.
fn word(label: &'static str, value: &str) -> Result<String, LabelError> {
    let value = text(label, value)?;
    if value.chars().any(char::is_whitespace) {
        return Err(LabelError::Value { label, found: value, expected: "names without white space" });
    }
    Ok(value)
}
