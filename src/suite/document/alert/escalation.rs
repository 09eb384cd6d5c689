//! `escalation`: which kinds of sinks are told after how many bad runs.
//!
//! Owns its shape. Kinds that no alert goes to are refused here; whether the file has such a sink is for others to see.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Count;
use super::words::{SeverityWord, one_of};
use crate::notify::policy::Stage;
use crate::notify::{Severity, configured};
use crate::plan::syntax::Invalid;
use crate::suite::document::shape::{Nothing, Shaped, any_form, shaped};

/// Who is told after how many bad runs.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with sinks and after")]
pub(super) struct StageEntry {
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
    /// The kinds of sinks that it names.
    pub(super) fn sinks(&self) -> impl Iterator<Item = &str> {
        self.sinks.0.iter().map(|kind| kind.0.as_str())
    }

    pub(super) fn stage(&self) -> Stage {
        Stage {
            sinks: self.sinks().map(str::to_owned).collect(),
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
        any_form(deserializer)
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

shaped!(SinkKind);
