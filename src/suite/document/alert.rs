//! `alert`: what people are told of probes, and when.
//!
//! Owns its shape, and what it makes of a policy: what it does not say stays as it was, so that a probe says only what is
//! to be other than in the file's own `alert`. What a policy does is [`crate::notify::policy`]'s.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::shape::{Nothing, Shaped, shaped};
use super::values::{Names, Time};
use crate::error::nearest;
use crate::notify::policy::{Flapping, Policy, Stage};
use crate::notify::{Severity, Subject, configured};
use crate::plan::syntax::Invalid;

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
        self.escalation.iter().flatten().flat_map(|stage| &stage.sinks.0).map(|kind| kind.0.as_str())
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

const SUBJECTS: [(&str, Subject); 7] = [
    ("target", Subject::Target),
    ("degraded", Subject::Degraded),
    ("cleanup", Subject::Cleanup),
    ("harness", Subject::Harness),
    ("no-news", Subject::NoNews),
    ("engine", Subject::Engine),
    ("sink", Subject::Sink),
];

fn subject(text: &str) -> Option<Subject> {
    let text = text.replace('_', "-");
    SUBJECTS.iter().find(|(name, _)| *name == text).map(|(_, subject)| *subject)
}

fn one_of<'n>(text: &str, names: impl Iterator<Item = &'n str> + Clone) -> Invalid {
    let all: Vec<&str> = names.clone().collect();
    let invalid = Invalid::new(format!("expected one of {}, found `{text}`", all.join(", ")));
    match nearest(text, names) {
        Some(near) => invalid.hint(format!("did you mean `{near}`?")),
        None => invalid,
    }
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SubjectWord(Subject);

impl Shaped for SubjectWord {
    const EXPECTED: &'static str = "one of target, degraded, cleanup, harness, no-news, engine, sink";
    type List = Nothing;
    type Map = Nothing;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": SUBJECTS.map(|(name, _)| name) })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        subject(text).map(Self).ok_or_else(|| one_of(text, SUBJECTS.iter().map(|(name, _)| *name)))
    }
}

const SEVERITIES: [(&str, Severity); 4] = [
    ("info", Severity::Info),
    ("warning", Severity::Warning),
    ("error", Severity::Error),
    ("critical", Severity::Critical),
];

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SeverityWord(Severity);

impl Shaped for SeverityWord {
    const EXPECTED: &'static str = "one of info, warning, error, critical";
    type List = Nothing;
    type Map = Nothing;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": SEVERITIES.map(|(name, _)| name) })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        let found = SEVERITIES.iter().find(|(name, _)| *name == text);
        found
            .map(|(_, severity)| Self(*severity))
            .ok_or_else(|| one_of(text, SEVERITIES.iter().map(|(name, _)| *name)))
    }
}

/// `severity`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct SeverityEntry {
    of_types: BTreeMap<String, Severity>,
    of_subjects: BTreeMap<Subject, Severity>,
}

impl Shaped for SeverityEntry {
    const EXPECTED: &'static str =
        "one of info, warning, error, critical, or a mapping of types and of what is wrong to one of them";
    const MAP: bool = true;
    type List = Nothing;
    type Map = super::values::Named<SeverityWord>;

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let word = generator.subschema_for::<SeverityWord>();
        json_schema!({ "anyOf": [word, { "type": "object", "additionalProperties": word }] })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        let severity = SeverityWord::from_text(text)?.0;
        Ok(Self { of_subjects: [(Subject::Target, severity)].into(), ..Self::default() })
    }

    fn from_map(map: Self::Map) -> Result<Self, Invalid> {
        let mut entry = Self::default();
        for (name, word) in map.0 {
            match subject(&name) {
                Some(subject) => entry.of_subjects.insert(subject, word.0),
                None => entry.of_types.insert(name.to_lowercase(), word.0),
            };
        }
        Ok(entry)
    }
}

/// Who is told after how many bad runs.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with sinks and after")]
struct StageEntry {
    /// Kinds of sinks: pagerduty, slack, webhook. All of them where absent.
    #[serde(default)]
    sinks: OneOrMany<SinkKind>,
    /// From this bad run on; the first is 1.
    #[serde(default)]
    after: Option<Count>,
    /// Only where it is at least so bad.
    #[serde(default)]
    least: Option<SeverityWord>,
}

impl StageEntry {
    fn stage(&self) -> Stage {
        Stage {
            sinks: self.sinks.0.iter().map(|kind| kind.0.clone()).collect(),
            after: self.after.map_or(1, |count| count.0),
            least: self.least.map_or(Severity::Info, |word| word.0),
        }
    }
}

/// A kind of sink that alerts go to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SinkKind(String);

impl Shaped for SinkKind {
    const EXPECTED: &'static str = "a kind of sink that alerts go to";
    type List = Nothing;
    type Map = Nothing;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": configured::alerted().collect::<Vec<_>>() })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        if configured::alerted().any(|kind| kind == text) {
            return Ok(Self(text.to_owned()));
        }
        let error = one_of(text, configured::alerted());
        Err(match text.split_once('.') {
            Some((kind, _)) => error.hint(format!("all sinks of a kind are told: write {kind}")),
            None => error,
        })
    }
}

/// One, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OneOrMany<T>(Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Shaped + DeserializeOwned + JsonSchema> Shaped for OneOrMany<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    const LIST: bool = true;
    type List = Vec<T>;
    type Map = Nothing;

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        T::from_text(text).map(|one| Self(vec![one]))
    }

    fn from_list(list: Vec<T>) -> Result<Self, Invalid> {
        Ok(Self(list))
    }
}

impl<'de, T: Shaped + DeserializeOwned + JsonSchema> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::shape::any_form(deserializer)
    }
}

impl<T: Shaped + DeserializeOwned + JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        <Self as Shaped>::schema(generator)
    }
}

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

shaped!(Count, Flaps, Reminder, SubjectWord, SeverityWord, SeverityEntry, SinkKind, Moment);
