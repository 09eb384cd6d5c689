//! The small values of docker-test.yaml: durations, sizes, names, flags.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::shape::{Nothing, Shaped, shaped};
use crate::error::Diagnose;
use crate::metadata::duration;
use crate::plan::syntax::{Invalid, units};

/// A text that a parser takes.
macro_rules! parsed {
    ($($(#[$doc:meta])* $name:ident($type:ty) = $expected:literal, $schema:tt, $parse:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $name($type);

        impl Shaped for $name {
            const EXPECTED: &'static str = $expected;
            type List = Nothing;
            type Map = Nothing;

            fn schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }

            fn from_text(text: &str) -> Result<Self, Invalid> {
                let parse: fn(&str) -> Result<$type, Invalid> = $parse;
                parse(text).map(Self)
            }
        }

        shaped!($name);

        impl $name {
            pub(super) fn optional<'de, D: Deserializer<'de>>(from: D) -> Result<Option<$type>, D::Error> {
                Ok(Option::<Self>::deserialize(from)?.map(|value| value.0))
            }
        }
    )*};
}

parsed! {
    /// `90s`, `5m`, `1h30m`, `500ms` or a number of seconds; more than none.
    Time(Duration) = "a duration such as 90s, 5m or 1h30m",
        { "type": ["string", "number"], "description": "A duration: 90s, 5m, 1h30m, 500ms, or a number of seconds.",
          "examples": ["30s", "5m"] },
        |text| match duration::parse(text) {
            Ok(time) if time.is_zero() => Err(Invalid::new("expected a duration of more than 0")),
            Ok(time) => Ok(time),
            Err(error) => {
                let invalid = Invalid::new(error.to_string());
                Err(match error.hint() { Some(hint) => invalid.hint(hint), None => invalid })
            }
        };
    /// Bytes of memory.
    Memory(i64) = "a size such as 512m",
        { "type": ["string", "integer"], "description": "A size: 512m, 1.5g, 64MiB, or a number of bytes.",
          "examples": ["256m"] },
        |text| match units::memory(text) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(Invalid::new("expected a size of more than 0")),
            Err(error) => Err(error),
        };
    /// Billionths of a CPU.
    Cpus(i64) = "a number of CPUs such as 0.5",
        { "type": ["string", "number"], "description": "A number of CPUs: 0.5, 2." },
        |text| match units::cpus(text) {
            Ok(Some(nano)) => Ok(nano),
            Ok(None) => Err(Invalid::new("expected more than 0 CPUs")),
            Err(error) => Err(error),
        };
    /// Processes.
    Pids(i64) = "a number of processes, or -1 for any",
        { "type": ["integer", "string"], "description": "A number of processes, or -1 for any." },
        |text| text.parse().ok().filter(|count| *count == -1 || *count > 0)
            .ok_or_else(|| Invalid::new("expected a number of processes, or -1 for any"));
    /// true or false.
    Switch(bool) = "true or false",
        { "type": ["boolean", "string"], "description": "true or false." },
        |text| match text {
            "true" | "True" | "TRUE" => Ok(true),
            "false" | "False" | "FALSE" => Ok(false),
            _ => Err(Invalid::new("expected true or false")),
        };
}

/// The same as [`Time`], or none at all: `0`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait(Duration);

impl Shaped for Wait {
    const EXPECTED: &'static str = "a duration such as 90s, 5m or 1h30m, or 0";
    type List = Nothing;
    type Map = Nothing;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number"],
            "description": "A duration: 90s, 5m, 1h30m, 500ms, or a number of seconds; 0 for none.", "examples": ["1m"] })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        duration::parse(text).map(Self).map_err(|error| {
            let invalid = Invalid::new(error.to_string());
            match error.hint() {
                Some(hint) => invalid.hint(hint),
                None => invalid,
            }
        })
    }
}

impl Wait {
    pub(super) const fn length(&self) -> Duration {
        self.0
    }
}

impl Time {
    pub(super) const fn length(&self) -> Duration {
        self.0
    }

    pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Self::deserialize(from).map(|time| time.0)
    }
}

/// Values by name, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named<T>(pub Vec<(String, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Named<T> {
    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Named<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of names")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut named = Named::default();
                while let Some(entry) = map.next_entry()? {
                    named.0.push(entry);
                }
                Ok(named)
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("NamesTo{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, T>::json_schema(generator)
    }
}

/// A scalar that may be absent: `NAME:` with nothing behind it.
pub(in crate::suite) struct Scalar(pub(super) Option<String>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<String>::deserialize(deserializer).map(Self)
    }
}

/// One name, or a list of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl Shaped for Names {
    const EXPECTED: &'static str = "a name, or a list of names";
    const LIST: bool = true;
    type List = Vec<String>;
    type Map = Nothing;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        Self::from_list(vec![text.to_owned()])
    }

    fn from_list(names: Vec<String>) -> Result<Self, Invalid> {
        if names.iter().any(|name| name.trim().is_empty()) {
            return Err(Invalid::new("expected a name, found an empty text"));
        }
        Ok(Self(names))
    }
}

/// Defaults of flags: long names to a value, a list of values, or a mapping of names to values, as texts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Options(pub Vec<(String, Vec<String>)>);

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// What one flag is given.
struct Given(Vec<String>);

impl Shaped for Given {
    const EXPECTED: &'static str = "a value, a list of values, or a mapping of names to values";
    const LIST: bool = true;
    const MAP: bool = true;
    type List = Vec<Scalar>;
    type Map = Named<Scalar>;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        Ok(Self(vec![text.to_owned()]))
    }

    fn from_list(items: Vec<Scalar>) -> Result<Self, Invalid> {
        Ok(Self(items.into_iter().filter_map(|item| item.0).collect()))
    }

    fn from_map(map: Named<Scalar>) -> Result<Self, Invalid> {
        let pair = |(name, value): (String, Scalar)| match value.0 {
            Some(value) => format!("{name}={value}"),
            None => name,
        };
        Ok(Self(map.0.into_iter().map(pair).collect()))
    }

    fn nothing() -> Option<Self> {
        Some(Self(Vec::new()))
    }
}

impl<'de> Deserialize<'de> for Options {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let options = Named::<Given>::deserialize(deserializer)?;
        Ok(Self(options.0.into_iter().map(|(name, given)| (name, given.0)).collect()))
    }
}

impl JsonSchema for Options {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Options".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "description": "Long names of docker-test's flags, and their values." })
    }
}

shaped!(Names, Given, Wait);

/// A part that is read by those who act on it, with [`crate::suite::Suite::section`]. Here it has a schema alone: what it
/// needs of the environment need not be there for a run that does without it.
pub struct Later<T>(std::marker::PhantomData<fn() -> T>);

impl<T> Clone for Later<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> Default for Later<T> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<T> PartialEq for Later<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> fmt::Debug for Later<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Later(…)")
    }
}

impl<'de, T> Deserialize<'de> for Later<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer)?;
        Ok(Self::default())
    }
}

impl<T: JsonSchema> JsonSchema for Later<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
