//! `silences`: times in which nobody is paged.
//!
//! Owns their shape. Which keys go together, and what a schedule means, is for whoever reads the whole file.

use std::time::Duration;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::plan::syntax::Invalid;
use crate::suite::document::shape::{Nothing, Shaped, shaped};
use crate::suite::document::values::{Names, Time};

/// A time in which nobody is paged: `from` and `until`, or a schedule under `recurring`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with from and until, or with recurring")]
pub struct SilenceEntry {
    /// When it begins: 2026-12-24T00:00:00Z.
    #[serde(default)]
    pub from: Option<Moment>,
    /// When it ends. There is none without an end.
    #[serde(default)]
    pub until: Option<Moment>,
    /// One that comes again and again.
    #[serde(default)]
    pub recurring: Option<Recurring>,
    /// Which probes: a name, a glob, or a list of them. All where absent.
    #[serde(default)]
    pub probes: Option<Names>,
    /// Why, for people.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A silence that comes again and again.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with schedule, time_zone and for")]
pub struct Recurring {
    /// When it begins: a line of cron, or a repeating interval of ISO 8601 with its beginning.
    pub schedule: String,
    /// The zone of the schedule; UTC where absent.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// How long it lasts.
    #[serde(rename = "for", deserialize_with = "Time::read")]
    #[schemars(with = "Time")]
    pub lasts: Duration,
    /// Why, for people.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A time, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub i64);

impl Shaped for Moment {
    const EXPECTED: &'static str = "a time with its zone such as 2026-12-24T00:00:00Z";
    type List = Nothing;
    type Map = Nothing;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        let time: Result<Timestamp, _> = text.parse();
        time.map(|time| Self(time.as_second()))
            .map_err(|_| Invalid::new(format!("expected {}", Self::EXPECTED)))
    }
}

shaped!(Moment);
