//! Values that may be written as a word, as a list or as a mapping.
//!
//! Owns the choice between them, and durations. An untagged enum of serde would do the same and forget what was wrong.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::metadata::duration;

/// A type with short forms beside its mapping.
pub(super) trait Shaped: Sized {
    /// All forms, after the word "expected".
    const EXPECTED: &'static str;
    /// What a mapping holds.
    type Map: DeserializeOwned;
    /// What a list holds.
    type Item: DeserializeOwned;

    fn from_map(map: Self::Map) -> Result<Self, String>;

    fn from_text(_text: &str) -> Result<Self, String> {
        Err(format!("expected {}", Self::EXPECTED))
    }

    fn from_list(_list: Vec<Self::Item>) -> Result<Self, String> {
        Err(format!("expected {}", Self::EXPECTED))
    }
}

struct Forms<T>(PhantomData<T>);

impl<'de, T: Shaped> Visitor<'de> for Forms<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        let list = Vec::<T::Item>::deserialize(SeqAccessDeserializer::new(list))?;
        T::from_list(list).map_err(A::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        let map = T::Map::deserialize(MapAccessDeserializer::new(map))?;
        T::from_map(map).map_err(A::Error::custom)
    }
}

/// Reads any of the forms.
pub(super) fn required<'de, T: Shaped, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(Forms(PhantomData))
}

/// Reads any of the forms, where the key is there at all.
pub(super) fn optional<'de, T: Shaped, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    required(deserializer).map(Some)
}

/// A duration that is more than nothing: `500ms`, `2s`, or a number of seconds.
pub(super) struct Limit(pub(super) Duration);

impl Shaped for Limit {
    const EXPECTED: &'static str = "a duration such as 500ms, 2s or 1h30m";
    type Map = serde::de::IgnoredAny;
    type Item = serde::de::IgnoredAny;

    fn from_map(_map: Self::Map) -> Result<Self, String> {
        Err(format!("expected {}", Self::EXPECTED))
    }

    fn from_text(text: &str) -> Result<Self, String> {
        duration::parse_limit(text).map(Self).map_err(|error| error.to_string())
    }
}

/// A duration, where the key is there at all.
pub(super) fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    required::<Limit, D>(deserializer).map(|limit| Some(limit.0))
}
