//! `alert`: what people are told of probes, and when.
//!
//! Owns its shape, and what it makes of a policy: what it does not say stays as it was, so that a probe says only what is
//! to be other than in the file's own `alert`. What a policy does is [`crate::notify::policy`]'s.

mod escalation;
mod silence;
mod words;

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::shape::{Nothing, Shaped, shaped};
use super::values::Time;
use crate::notify::policy::{Flapping, Policy};
use crate::plan::syntax::Invalid;
use escalation::StageEntry;
pub use silence::{Moment, SilenceEntry};
use words::{SeverityEntry, SubjectWord};

/// The most silences of a file.
const MOST_SILENCES: usize = 1_000;

/// What people are told of probes, and when.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with failures, reminder, severity, …")]
pub struct Alert {
    /// So many runs in a row have to fail before somebody is told; 1 where absent.
    failures: Option<Count>,
    /// So many runs in a row have to pass before it is resolved; 1 where absent.
    successes: Option<Count>,
    /// What is taken for flapping, or `never`.
    flapping: Option<Flaps>,
    /// After this time an open incident is told of again, or `never`.
    reminder: Option<Reminder>,
    /// What is told of beside a failing target, a harness, an engine or a sink that fails, and a probe that does not run:
    /// degraded, cleanup.
    tell: Option<Vec<SubjectWord>>,
    /// How bad a failure is: one word, or by type of probe and by what is wrong.
    severity: Option<SeverityEntry>,
    /// Who is told after how many bad runs; all sinks at once where absent.
    escalation: Option<Vec<StageEntry>>,
    /// When nobody is paged. Stands in the file's own `alert` alone.
    silences: Vec<SilenceEntry>,
}

impl Alert {
    /// The policy that it makes of another.
    #[must_use]
    pub fn over(&self, policy: &Policy) -> Policy {
        let mut policy = policy.clone();
        if let Some(count) = self.failures {
            policy.failure_threshold = count.0;
        }
        if let Some(count) = self.successes {
            policy.success_threshold = count.0;
        }
        if let Some(flaps) = self.flapping {
            policy.flapping = flaps.0;
        }
        if let Some(reminder) = self.reminder {
            policy.reminder_interval = reminder.0;
        }
        policy.told.extend(self.tell.iter().flatten().map(|word| word.0));
        if let Some(severity) = &self.severity {
            policy.severities.of_types.extend(severity.of_types.clone());
            policy.severities.of_subjects.extend(severity.of_subjects.clone());
        }
        if let Some(stages) = &self.escalation {
            policy.escalation = stages.iter().map(StageEntry::stage).collect();
        }
        policy
    }

    /// When nobody is paged, in the order of the file.
    #[must_use]
    pub fn silences(&self) -> &[SilenceEntry] {
        &self.silences
    }

    /// Kinds of sinks that escalation names.
    pub fn sinks(&self) -> impl Iterator<Item = &str> {
        self.escalation.iter().flatten().flat_map(StageEntry::sinks)
    }

    /// Whether there are more silences than anyone would write.
    #[must_use]
    pub const fn has_too_many_silences(&self) -> bool {
        self.silences.len() > MOST_SILENCES
    }
}

/// Runs in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count(u32);

impl Shaped for Count {
    const EXPECTED: &'static str = "a number from 1 to 1000";
    type List = Nothing;
    type Map = Nothing;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 1000 }, { "type": "string" }] })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        let count = text.parse().ok().filter(|count| (1..=1000).contains(count));
        count.map(Self).ok_or_else(|| Invalid::new(format!("expected {}", Self::EXPECTED)))
    }
}

/// `flapping`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flaps(Option<Flapping>);

/// The mapping of `flapping`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with changes, window and quiet")]
struct LongFlaps {
    /// So many changes between well and failing, both ways counted.
    changes: Count,
    /// Within this time.
    window: Time,
    /// It ends when there was no change for so long; the window where absent.
    #[serde(default)]
    quiet: Option<Time>,
}

impl Shaped for Flaps {
    const EXPECTED: &'static str = "`never`, or a mapping with changes, window and quiet";
    const MAP: bool = true;
    type List = Nothing;
    type Map = LongFlaps;

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<LongFlaps>();
        json_schema!({ "anyOf": [{ "const": "never" }, long] })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        if text == "never" {
            Ok(Self(None))
        } else {
            Err(Invalid::new(format!("expected {}", Self::EXPECTED)))
        }
    }

    fn from_map(long: LongFlaps) -> Result<Self, Invalid> {
        let window = long.window.length();
        let quiet = long.quiet.map_or(window, |quiet| quiet.length());
        Ok(Self(Some(Flapping { changes: long.changes.0, window, quiet })))
    }
}

/// `reminder`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reminder(Option<Duration>);

impl Shaped for Reminder {
    const EXPECTED: &'static str = "`never`, or a duration such as 4h";
    type List = Nothing;
    type Map = Nothing;

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let time = generator.subschema_for::<Time>();
        json_schema!({ "anyOf": [{ "const": "never" }, time] })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        if text == "never" {
            Ok(Self(None))
        } else {
            Time::from_text(text).map(|time| Self(Some(time.length())))
        }
    }
}

shaped!(Count, Flaps, Reminder);
