//! `test.ontest.origin`: whose recipe an image has, and which part of it came from the base image.
//!
//! The value is one JSON object:
//!
//! | key | meaning |
//! |---|---|
//! | `v` | version of this form: 1 |
//! | `ontest` | SHA-256 of the value of `test.ontest` that this belongs to, `sha256:` and 64 hexadecimal digits |
//! | `owner` | the image that the ONTEST lines were written for, as named when it was built |
//! | `base` | the image that it was built upon, as named in FROM, with its id where known |
//! | `dockerfile` | the Dockerfile that holds the lines, relative to the context |
//! | `lines` | first and last line of each own instruction, in the order of `test.ontest` |
//! | `inherited` | the texts of every instruction of the base image, its own inherited ones first |
//!
//! Labels pass from image to image: a Dockerfile that sets `test.ontest` by hand hands its base's origin down with
//! it. The digest tells such an origin from one that belongs. `inherited` is flat, so that nobody has to pull the
//! base image to learn what it says.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{LabelError, ORIGIN, TestLabels, decode, within_limit};
use crate::metadata::dockerfile::Trigger;

const VERSION: u64 = 1;

/// Which instructions a run takes: `--inherit`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Inherit {
    /// Those of the image itself.
    #[default]
    Own,
    /// Those of its base image.
    Inherited,
    /// Both, the base's first.
    All,
}

/// Whose recipe it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    v: u64,
    ontest: String,
    /// The image that the instructions were written for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The image that it was built upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The Dockerfile that holds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// First and last line of each own instruction.
    pub lines: Vec<(u32, u32)>,
    /// Instructions of the base image, as texts.
    pub inherited: Vec<String>,
}

impl Origin {
    /// The origin of `triggers`, whose `test.ontest` is `ontest`; `base` is what the base image's labels say.
    #[must_use]
    pub fn new(ontest: &str, triggers: &[Trigger], base: Option<&TestLabels>) -> Self {
        let inherited = base.and_then(|base| base.triggers(Inherit::All)).unwrap_or_default();
        Self {
            v: VERSION,
            ontest: digest(ontest),
            owner: None,
            base: None,
            dockerfile: None,
            lines: triggers.iter().map(|trigger| (trigger.line, trigger.end_line)).collect(),
            inherited: inherited.into_iter().map(str::to_owned).collect(),
        }
    }

    /// The label's value.
    pub fn encode(&self) -> Result<String, LabelError> {
        let value = serde_json::to_string(self).map_err(|error| LabelError::Json {
            label: ORIGIN,
            found: String::new(),
            expected: "an origin that can be written as JSON",
            line: error.line(),
            column: error.column(),
            reason: error.to_string(),
        })?;
        within_limit(ORIGIN, &value)?;
        Ok(value)
    }

    /// Reads the label's value.
    pub(super) fn decode(value: &str) -> Result<Self, LabelError> {
        #[derive(Deserialize)]
        struct Version {
            v: u64,
        }
        const EXPECTED: &str = "a JSON object with v, ontest, lines and inherited";
        let Version { v } = decode(ORIGIN, value, EXPECTED)?;
        if v != VERSION {
            return Err(LabelError::Version { label: ORIGIN, found: v, expected: VERSION });
        }
        decode(ORIGIN, value, EXPECTED)
    }

    /// Whether this is the origin of that value of `test.ontest`.
    #[must_use]
    pub fn belongs_to(&self, ontest: &str) -> bool {
        self.ontest == digest(ontest)
    }
}

fn digest(text: &str) -> String {
    let mut digest = String::from("sha256:");
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing into a String cannot fail.
        let _ = write!(digest, "{byte:02x}");
    }
    digest
}
