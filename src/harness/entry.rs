//! A check as a file writes it down: what is looked at, and how it is tried.
//!
//! Owns the keys that a file of checks and the probes of a docker-test.yaml have in common, so that a check is written the
//! same in both. What a check itself may be is [`crate::check`]'s. Reads no file and no variable.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, de};

use super::Probe;
use crate::check::{Check, CommandCheck, without_nul};
use crate::error::Diagnose;
use crate::metadata::duration::{self, DurationError};
use crate::plan::Retries;
use crate::probe::Identity;

/// Keys of which an entry has one: what is looked at.
pub const KINDS: [&str; 6] = ["command", "http", "tcp", "dns", "docker", "image"];

/// All keys of an entry.
pub const KEYS: [&str; 15] = [
    "command",
    "http",
    "tcp",
    "dns",
    "docker",
    "image",
    "type",
    "host",
    "tags",
    "attempts",
    "all_attempts",
    "backoff",
    "timeout",
    "cleanup",
    "cleanup_timeout",
];

/// The most attempts of a run.
const MOST_ATTEMPTS: u32 = 1000;

/// The shell that a cleanup is written for.
const SHELL: &str = "/bin/sh";

/// What an entry says. What it does not say, [`Defaults`] do.
#[derive(Default)]
pub struct Entry {
    check: Option<(String, Check)>,
    kind: Option<String>,
    host: Option<String>,
    tags: Option<Vec<String>>,
    attempts: Option<u32>,
    all_attempts: Option<bool>,
    backoff: Option<String>,
    timeout: Option<String>,
    cleanup: Option<String>,
    cleanup_timeout: Option<String>,
}

/// What is the case where an entry does not say it.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// The probe's type.
    pub kind: String,
    /// What is tested.
    pub host: String,
    /// Further tags.
    pub tags: Vec<String>,
    /// Attempts until one passes.
    pub attempts: u32,
    /// Make all of them, also after one that passed.
    pub all_attempts: bool,
    /// The wait before the second one; it doubles with each further one.
    pub backoff: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// What is run after each attempt.
    pub cleanup: Option<String>,
    /// How long that may take.
    pub cleanup_timeout: Duration,
}

impl Defaults {
    /// What is usual, on this host.
    #[must_use]
    pub fn usual(host: String) -> Self {
        Self {
            kind: "integration".to_owned(),
            host,
            tags: Vec::new(),
            attempts: 2,
            all_attempts: false,
            backoff: Duration::from_secs(1),
            timeout: Duration::from_mins(5),
            cleanup: None,
            cleanup_timeout: Duration::from_mins(1),
        }
    }
}

/// A value that an entry cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct EntryError {
    /// Its key.
    pub key: &'static str,
    /// What is wrong with it.
    pub problem: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl EntryError {
    fn time(key: &'static str, error: &DurationError) -> Self {
        Self { key, problem: error.to_string(), hint: error.hint() }
    }
}

impl Entry {
    /// Reads the value of `key`, where it is one of [`KEYS`]; whether it is.
    pub fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "type" => self.kind = text(map)?,
            "host" => self.host = text(map)?,
            "tags" => self.tags = map.next_value()?,
            "attempts" => self.attempts = map.next_value()?,
            "all_attempts" => self.all_attempts = map.next_value()?,
            "backoff" => self.backoff = text(map)?,
            "timeout" => self.timeout = text(map)?,
            "cleanup" => self.cleanup = text(map)?,
            "cleanup_timeout" => self.cleanup_timeout = text(map)?,
            _ if KINDS.contains(&key) => {
                if let Some((other, _)) = &self.check {
                    let problem = format!("`{other}` and `{key}` exclude each other: expected one check");
                    return map.next_value_seed(Refused(problem));
                }
                let one = MapAccessDeserializer::new(One { key: Some(key.to_owned()), map });
                self.check = Some((key.to_owned(), Check::deserialize(one)?));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether it says what is looked at.
    #[must_use]
    pub const fn has_check(&self) -> bool {
        self.check.is_some()
    }

    /// The probe of this name. Relative paths start from `directory` where one is named, from that of the process
    /// elsewhere.
    pub fn probe(
        self,
        name: String,
        defaults: &Defaults,
        directory: Option<&Path>,
    ) -> Result<Probe, EntryError> {
        let Some((_, check)) = self.check else {
            let problem = format!("expected one of the keys {}, got none of them", KINDS.join(", "));
            return Err(EntryError { key: "", problem, hint: None });
        };
        if name.trim().is_empty() {
            let problem = "expected a name, which metrics and alerts are told by, got none".to_owned();
            return Err(EntryError { key: "name", problem, hint: None });
        }
        let within = |command: CommandCheck| match directory {
            Some(directory) => command.within(directory),
            None => command,
        };
        let check = match check {
            Check::Command(command) => Check::Command(within(command)),
            other => other,
        };
        let attempts = self.attempts.unwrap_or(defaults.attempts);
        if !(1..=MOST_ATTEMPTS).contains(&attempts) {
            let problem = format!("expected a number from 1 to {MOST_ATTEMPTS}, got {attempts}");
            return Err(EntryError { key: "attempts", problem, hint: None });
        }
        let backoff = time("backoff", self.backoff.as_deref(), duration::parse, defaults.backoff)?;
        let timeout = time("timeout", self.timeout.as_deref(), duration::parse_limit, defaults.timeout)?;
        let limit = self.cleanup_timeout.as_deref();
        let cleanup_timeout =
            time("cleanup_timeout", limit, duration::parse_limit, defaults.cleanup_timeout)?;
        let cleanup = self.cleanup.as_deref().or(defaults.cleanup.as_deref());
        if let Some(cleanup) = cleanup {
            without_nul(cleanup).map_err(|problem| EntryError { key: "cleanup", problem, hint: None })?;
        }
        let host = self.host.filter(|host| !host.is_empty());
        Ok(Probe {
            identity: Identity {
                name,
                kind: self.kind.unwrap_or_else(|| defaults.kind.clone()),
                host: host.unwrap_or_else(|| defaults.host.clone()),
                tags: self.tags.unwrap_or_else(|| defaults.tags.clone()),
            },
            check,
            retries: Retries { count: attempts - 1, backoff },
            all_attempts: self.all_attempts.unwrap_or(defaults.all_attempts),
            timeout,
            cleanup: cleanup.map(command_of).map(within),
            cleanup_timeout,
        })
    }

    /// An entry that says no more than what is looked at.
    #[must_use]
    pub fn of(check: Check) -> Self {
        Self { check: Some((String::new(), check)), ..Self::default() }
    }
}

fn time(
    key: &'static str,
    text: Option<&str>,
    parse: fn(&str) -> Result<Duration, DurationError>,
    default: Duration,
) -> Result<Duration, EntryError> {
    text.map_or(Ok(default), |text| parse(text).map_err(|error| EntryError::time(key, &error)))
}

/// A command in one text: for the shell, or split into words where there is none, because an image may hold nothing but
/// the programs themselves.
#[must_use]
pub fn command_of(text: &str) -> CommandCheck {
    if Path::new(SHELL).exists() {
        CommandCheck::shell(text)
    } else {
        CommandCheck::arguments(text.split_whitespace().map(str::to_owned).collect())
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Entry;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping with a check")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
                let mut entry = Entry::default();
                while let Some(key) = map.next_key_seed(Known(&KEYS))? {
                    if !entry.take(&key, &mut map)? {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(entry)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// One of these keys. Others are refused where they stand.
pub(crate) struct Known(pub(crate) &'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Known {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let key = String::deserialize(deserializer)?;
        if self.0.contains(&key.as_str()) { Ok(key) } else { Err(D::Error::unknown_field(&key, self.0)) }
    }
}

/// Refuses a value, where it stands.
struct Refused(String);

impl<'de> DeserializeSeed<'de> for Refused {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, _: D) -> Result<bool, D::Error> {
        Err(D::Error::custom(self.0))
    }
}

/// A mapping with the next key of another, alone.
struct One<'a, A> {
    key: Option<String>,
    map: &'a mut A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for One<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(key) = self.key.take() else { return Ok(None) };
        let key: StringDeserializer<A::Error> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// A text, or a number that was meant for one: `timeout: 30`.
struct Written(String);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl Visitor<'_> for Scalar {
            type Value = Written;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Written, E> {
                Ok(Written(text.to_owned()))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Written, E> {
                Ok(Written(number.to_string()))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Written, E> {
                Ok(Written(number.to_string()))
            }
        }
        deserializer.deserialize_any(Scalar)
    }
}

fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<String>, A::Error> {
    Ok(map.next_value::<Option<Written>>()?.map(|written| written.0))
}
