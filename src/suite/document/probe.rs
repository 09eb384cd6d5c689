//! `probes`: what is looked at, how it is tried, and when.
//!
//! Owns the keys that say when; those that say what and how are [`crate::harness::entry`]'s. Whether a schedule can be read
//! shows when it is watched, because two keys say it together.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::alert::Alert;
use super::shape::{Nothing, Shaped, shaped};
use super::values::{Time, Wait};
use super::words::Words;
use crate::harness::entry::{self, Entry, Known};
use crate::plan::syntax::Invalid;
use crate::schedule::timetable::Missed;
use crate::suite::pattern::NamePattern;
use crate::watch::{Overlap, Trigger, TriggerRule};

/// Keys of a probe that a check in another file does not have.
const OWN: [&str; 9] =
    ["schedule", "time_zone", "splay", "overlap", "missed", "grace", "while_failing", "on", "alert"];

const KEYS: [&str; entry::KEYS.len() + OWN.len()] = {
    let mut keys = [""; entry::KEYS.len() + OWN.len()];
    let (first, rest) = keys.split_at_mut(entry::KEYS.len());
    first.copy_from_slice(&entry::KEYS);
    rest.copy_from_slice(&OWN);
    keys
};

/// A probe of docker-test.yaml.
#[derive(Default)]
pub struct Probe {
    /// What is looked at, and how it is tried.
    pub entry: Entry,
    /// Repeating interval of ISO 8601 or cron, as it was written.
    pub schedule: Option<String>,
    /// The zone of the schedule.
    pub time_zone: Option<String>,
    /// Runs are spread over this time after their slot.
    pub splay: Option<Duration>,
    /// What happens when it is due while it runs.
    pub overlap: Overlap,
    /// What becomes of slots that were missed.
    pub missed: Missed,
    /// How late a run may begin where missed ones are skipped.
    pub grace: Option<Duration>,
    /// After a run that failed, the next begins this long after it began.
    pub while_failing: Option<Duration>,
    /// What it is run upon.
    pub triggers: Vec<TriggerRule>,
    /// What is told of it, over the file's own.
    pub alert: Option<Alert>,
}

impl<'de> Deserialize<'de> for Probe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Probe;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping with a check and a schedule")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Probe, A::Error> {
                let mut probe = Probe::default();
                while let Some(key) = map.next_key_seed(Known(&KEYS))? {
                    probe.take(&key, &mut map)?;
                }
                Ok(probe)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

impl Probe {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "schedule" => self.schedule = map.next_value()?,
            "time_zone" => self.time_zone = map.next_value()?,
            "splay" => self.splay = map.next_value::<Option<Wait>>()?.map(|wait| wait.length()),
            "overlap" => {
                self.overlap =
                    map.next_value::<Option<Word<Overlap>>>()?.map_or_else(Overlap::default, |w| w.0);
            }
            "missed" => {
                self.missed = map.next_value::<Option<Word<Missed>>>()?.map_or_else(Missed::default, |w| w.0);
            }
            "grace" => self.grace = map.next_value::<Option<Wait>>()?.map(|wait| wait.length()),
            "while_failing" => {
                self.while_failing = map.next_value::<Option<Time>>()?.map(|time| time.length());
            }
            "on" => self.triggers = map.next_value::<Option<On>>()?.map(|on| on.0).unwrap_or_default(),
            "alert" => self.alert = map.next_value()?,
            _ => {
                if !self.entry.take(key, map)? {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A word that says itself which others there are.
struct Word<T>(T);

impl<T: FromStr<Err: fmt::Display>> Shaped for Word<T> {
    const EXPECTED: &'static str = "one word";
    type List = Nothing;
    type Map = Nothing;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        text.parse().map(Self).map_err(|error: T::Err| Invalid::new(error.to_string()))
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::shape::any_form(deserializer)
    }
}

/// `on`: events, with names of what they have to happen to.
pub(in crate::suite) struct On(Vec<TriggerRule>);

/// One of a list.
pub(in crate::suite) struct Event(TriggerRule);

/// The mapping of an event.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with event and target")]
pub(in crate::suite) struct LongEvent {
    /// container-start, image-tag or deploy.
    event: String,
    /// Names of containers, images or services: a name, a glob or a /regular expression/. Any where absent.
    #[serde(default)]
    target: Option<String>,
}

/// `deploy`, or `deploy=shop-*`.
pub fn rule(text: &str) -> Result<TriggerRule, Invalid> {
    match text.split_once('=') {
        Some((event, target)) => of_words(event.trim(), Some(target.trim())),
        None => of_words(text.trim(), None),
    }
}

fn of_words(event: &str, target: Option<&str>) -> Result<TriggerRule, Invalid> {
    let on: Trigger = event.parse().map_err(|error| {
        let invalid = Invalid::new(format!("{error}, found {}", crate::metadata::dockerfile::excerpt(event)));
        match crate::error::nearest(event, ["container-start", "image-tag", "deploy"]) {
            Some(near) => invalid.hint(format!("did you mean `{near}`?")),
            None => invalid,
        }
    })?;
    let target = target.map(NamePattern::parse).transpose()?;
    if target.as_ref().is_some_and(NamePattern::is_negated) {
        return Err(Invalid::new("expected a target without `!` before it"));
    }
    Ok(TriggerRule { on, target })
}

const EVENTS: &str = "container-start, image-tag, deploy, deploy=NAME, or a list of them";

impl Shaped for On {
    const EXPECTED: &'static str = EVENTS;
    const LIST: bool = true;
    type List = Vec<Event>;
    type Map = Nothing;

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let event = generator.subschema_for::<Event>();
        json_schema!({ "anyOf": [event, { "type": "array", "items": event }] })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        rule(text).map(|rule| Self(vec![rule]))
    }

    fn from_list(list: Vec<Event>) -> Result<Self, Invalid> {
        Ok(Self(list.into_iter().map(|event| event.0).collect()))
    }
}

impl Shaped for Event {
    const EXPECTED: &'static str = "container-start, image-tag, deploy, or a mapping with event and target";
    const MAP: bool = true;
    type List = Nothing;
    type Map = LongEvent;

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<LongEvent>();
        json_schema!({ "anyOf": [
            { "type": "string", "examples": ["container-start", "image-tag", "deploy", "deploy=shop-*"] },
            long,
        ]})
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        rule(text).map(Self)
    }

    fn from_map(long: LongEvent) -> Result<Self, Invalid> {
        of_words(&long.event, long.target.as_deref()).map(Self)
    }
}

shaped!(On, Event);

/// The keys that say what, for editors.
fn checks(generator: &mut SchemaGenerator) -> serde_json::Value {
    let words = generator.subschema_for::<Words>();
    serde_json::json!({
        "command": {
            "description": "A command ends with exit code 0: a text for the shell, a list of words, or a mapping with run, nagios, env, directory and grace.",
            "anyOf": [words, { "type": "object", "required": ["run"], "additionalProperties": false, "properties": {
                "run": words, "nagios": { "type": "boolean" }, "env": { "type": "object" },
                "directory": { "type": "string" }, "grace": { "type": ["string", "number"] } } }]
        },
        "http": {
            "description": "A request is answered as expected: an address, or a mapping with url, method, headers, body, redirects, certificate, key and expect.",
            "anyOf": [{ "type": "string" }, { "type": "object", "required": ["url"], "additionalProperties": false, "properties": {
                "url": { "type": "string" }, "method": { "type": "string" }, "headers": { "type": "object" },
                "body": { "type": "string" }, "redirects": { "type": "integer", "minimum": 0 },
                "certificate": { "type": "string" }, "key": { "type": "string" },
                "expect": { "type": "object", "additionalProperties": false, "properties": {
                    "status": { "description": "200, 200-204, 2xx, or a list of them." },
                    "body": { "description": "A text, { contains: TEXT } or { matches: EXPRESSION }." },
                    "json": { "type": "object", "description": "JSON path to value." },
                    "time": { "type": "object", "description": "warning and critical: durations." },
                    "certificate_days": { "type": "object", "description": "warning and critical: days left." } } } } }]
        },
        "tcp": {
            "description": "Something accepts connections: host:port, or a mapping with address, send and expect.",
            "anyOf": [{ "type": "string" }, { "type": "object", "required": ["address"], "additionalProperties": false, "properties": {
                "address": { "type": "string" }, "send": { "type": "string" }, "expect": {} } }]
        },
        "dns": {
            "description": "A name has records: a name, or a mapping with name, type, expect, exact and server.",
            "anyOf": [{ "type": "string" }, { "type": "object", "required": ["name"], "additionalProperties": false, "properties": {
                "name": { "type": "string" }, "type": { "type": "string" },
                "expect": { "type": "array", "items": { "type": "string" } },
                "exact": { "type": "boolean" }, "server": { "type": "string" } } }]
        },
        "docker": {
            "description": "A container runs and is healthy: its name, or a mapping with container and more.",
            "type": ["string", "object"]
        },
        "image": {
            "description": "The tests of an image pass: its name, or a mapping with image and more.",
            "type": ["string", "object"]
        }
    })
}

impl JsonSchema for Probe {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Probe".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (time, wait) = (generator.subschema_for::<Time>(), generator.subschema_for::<Wait>());
        let (on, alert) = (generator.subschema_for::<On>(), generator.subschema_for::<Alert>());
        let mut properties = checks(generator);
        let rest = serde_json::json!({
            "type": { "type": "string", "description": "Kind of test: decides how bad a failure is; integration where absent." },
            "host": { "type": "string", "description": "What is tested: the host tag of all metrics." },
            "tags": { "type": "array", "items": { "type": "string" }, "description": "Further tags." },
            "attempts": { "type": "integer", "minimum": 1, "maximum": 1000, "description": "Attempts until one passes; 2 where absent." },
            "all_attempts": { "type": "boolean", "description": "Make all attempts, also after one that passed." },
            "backoff": { "description": "Wait before the second attempt; it doubles with each further one.", "allOf": [wait] },
            "timeout": { "description": "How long one attempt may take.", "allOf": [time] },
            "cleanup": { "type": "string", "description": "A command that is run after each attempt." },
            "cleanup_timeout": { "description": "How long the cleanup may take.", "allOf": [time] },
            "schedule": { "type": "string", "description": "When it runs: a repeating interval of ISO 8601, or five fields of cron.", "examples": ["R//PT1H", "0 * * * *"] },
            "time_zone": { "type": "string", "description": "The zone of the schedule; UTC where absent.", "examples": ["Europe/Berlin"] },
            "splay": { "description": "Runs are spread over this time after their slot.", "allOf": [wait] },
            "overlap": { "enum": ["skip", "queue", "replace"], "description": "What happens when it is due while it runs." },
            "missed": { "type": "string", "pattern": "^(skip|once|all|all:[0-9]+)$", "description": "What becomes of slots that were missed: skip, once, all or all:N." },
            "grace": { "description": "How late a run may begin where missed ones are skipped.", "allOf": [wait] },
            "while_failing": { "description": "After a run that failed, the next begins this long after it began.", "allOf": [time] },
            "on": { "description": "What it is run upon.", "allOf": [on] },
            "alert": { "description": "What is told of it, over the file's own alert.", "allOf": [alert] }
        });
        if let (serde_json::Value::Object(all), serde_json::Value::Object(rest)) = (&mut properties, rest) {
            all.extend(rest);
        }
        let one_check = entry::KINDS.map(|kind| serde_json::json!({ "required": [kind] }));
        json_schema!({
            "type": "object", "properties": properties, "additionalProperties": false, "oneOf": one_check,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_know_every_key_of_a_probe() {
        let schema = schemars::schema_for!(Probe).to_value();
        let properties = schema["properties"].as_object().unwrap();
        for key in KEYS {
            assert!(properties[key]["description"].is_string(), "{key}");
        }
        assert_eq!(properties.len(), KEYS.len());
    }

    #[test]
    fn an_event_may_have_a_target_behind_it() {
        let rule = rule("deploy = shop-*").unwrap();
        assert_eq!(rule.on, Trigger::Deploy);
        assert!(rule.target.unwrap().matches("shop-api"));
        for text in ["", "deploy=", "deploy=!a", "start"] {
            assert!(super::rule(text).is_err(), "{text}");
        }
    }
}
