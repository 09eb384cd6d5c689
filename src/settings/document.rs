//! The YAML of a settings file, read key by key.
//!
//! Owns the shapes that are taken. A wrong key is refused while it is read, so that the YAML reader itself says where
//! it stands; the same way finds a key again later.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::nearest;

const DEFAULTS: &str = "defaults";
const VERSION: &str = "version";
/// Keys of the suite, which is read elsewhere.
const SUITE: [&str; 5] = ["network", "services", "tests", "reports", "notify"];

/// `defaults`, in the order of the file.
#[derive(Default)]
pub(super) struct Document {
    pub(super) defaults: Vec<(String, Vec<String>)>,
}

/// What is wrong, and where. Line and column are counted from 1.
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) problem: String,
    pub(super) hint: Option<String>,
}

/// What the reader shares with all its levels.
struct Context<'a> {
    keys: &'a [String],
    /// A key that is looked for: reading ends there.
    wanted: Option<&'a str>,
    hint: Cell<Option<String>>,
}

pub(super) fn read(text: &str, keys: &[String]) -> Result<Document, Fault> {
    let context = Context { keys, wanted: None, hint: Cell::new(None) };
    // An empty document has no mapping in it, and that is fine: nothing is set.
    if text.lines().all(|line| matches!(line.split('#').next().map(str::trim), Some("" | "---" | "..."))) {
        return Ok(Document::default());
    }
    Root(&context).deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
        Fault { line, column, problem: without_place(&error), hint: context.hint.take() }
    })
}

/// Line and column of a key of `defaults`.
pub(super) fn locate(text: &str, key: &str) -> Option<(usize, usize)> {
    let context = Context { keys: &[], wanted: Some(key), hint: Cell::new(None) };
    let error = Root(&context).deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    error.location().map(|place| (place.line(), place.column()))
}

/// The YAML reader puts path and place around its messages; both are said better by the caller.
fn without_place(error: &serde_yaml::Error) -> String {
    let message = error.to_string();
    let message =
        message.strip_prefix("defaults: ").or_else(|| message.strip_prefix("defaults.")).unwrap_or(&message);
    match message.rfind(" at line ") {
        Some(at) => message[..at].to_owned(),
        None => message.to_owned(),
    }
}

/// A key, checked while the reader still knows where it stands.
struct Key<F>(F);

impl<'de, F: FnOnce(&str) -> Result<(), String>> DeserializeSeed<'de> for Key<F> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<F: FnOnce(&str) -> Result<(), String>> Visitor<'_> for Key<F> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<String, E> {
        (self.0)(key).map_err(E::custom)?;
        Ok(key.to_owned())
    }
}

struct Root<'a>(&'a Context<'a>);

impl<'de> DeserializeSeed<'de> for Root<'_> {
    type Value = Document;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Document, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Root<'_> {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping with `version` and `defaults`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let context = self.0;
        let mut document = Document::default();
        let mut seen: Vec<String> = Vec::new();
        while let Some(key) = map.next_key_seed(Key(|key: &str| context.top_level(key, &seen)))? {
            match key.as_str() {
                DEFAULTS => document.defaults = map.next_value_seed(Defaults(context))?,
                VERSION => map.next_value_seed(Version)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            seen.push(key);
        }
        Ok(document)
    }
}

impl Context<'_> {
    fn top_level(&self, key: &str, seen: &[String]) -> Result<(), String> {
        if seen.iter().any(|known| known == key) {
            return Err(format!("`{key}` is there twice"));
        }
        let ours = nearest(key, [VERSION, DEFAULTS]);
        if let Some(near) = ours.filter(|near| *near != key && !SUITE.contains(&key)) {
            self.hint.set(Some(format!("did you mean `{near}`?")));
            return Err(format!("unknown key `{key}`"));
        }
        Ok(())
    }

    fn default(&self, key: &str, seen: &[(String, Vec<String>)]) -> Result<(), String> {
        if self.wanted == Some(key) {
            return Err("found".to_owned());
        }
        if seen.iter().any(|(known, _)| known == key) {
            return Err(format!("`{key}` is there twice in `defaults`"));
        }
        if self.wanted.is_some() || self.keys.iter().any(|known| known == key) {
            return Ok(());
        }
        self.hint.set(match nearest(key, self.keys.iter().map(String::as_str)) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None => Some("the keys are the long names of docker-test's flags".to_owned()),
        });
        Err(format!("unknown key `{key}` in `defaults`"))
    }
}

struct Version;

impl<'de> DeserializeSeed<'de> for Version {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Version {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`version: 1`")
    }

    fn visit_u64<E: serde::de::Error>(self, version: u64) -> Result<(), E> {
        self.visit_str(&version.to_string())
    }

    fn visit_str<E: serde::de::Error>(self, version: &str) -> Result<(), E> {
        if version == "1" { Ok(()) } else { Err(E::custom("this docker-test reads version 1")) }
    }
}

struct Defaults<'a>(&'a Context<'a>);

impl<'de> DeserializeSeed<'de> for Defaults<'_> {
    type Value = Vec<(String, Vec<String>)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Defaults<'_> {
    type Value = Vec<(String, Vec<String>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of flags to values in `defaults`")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let context = self.0;
        let mut defaults: Vec<(String, Vec<String>)> = Vec::new();
        while let Some(key) = map.next_key_seed(Key(|key: &str| context.default(key, &defaults)))? {
            let values = map.next_value_seed(Value)?;
            defaults.push((key, values));
        }
        defaults.retain(|(_, values)| !values.is_empty());
        Ok(defaults)
    }
}

/// A scalar, a list of scalars, or a mapping of names to scalars, as the texts that flags take.
struct Value;

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<String>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list of values, or a mapping of names to values")
    }

    fn visit_unit<E>(self) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
        let mut values = Vec::new();
        while let Some(item) = items.next_element_seed(Scalar)? {
            values.extend(item);
        }
        Ok(values)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
        let mut values: Vec<String> = Vec::new();
        while let Some(name) = map.next_key_seed(Scalar)? {
            let name = name.unwrap_or_default();
            let value = map.next_value_seed(Scalar)?;
            values.push(value.map_or_else(|| name.clone(), |value| format!("{name}={value}")));
        }
        Ok(values)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Vec<String>, E> {
        Scalar.visit_bool(value).map(Vec::from_iter)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Vec<String>, E> {
        Scalar.visit_i64(value).map(Vec::from_iter)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Vec<String>, E> {
        Scalar.visit_u64(value).map(Vec::from_iter)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Vec<String>, E> {
        Scalar.visit_f64(value).map(Vec::from_iter)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Vec<String>, E> {
        Scalar.visit_str(value).map(Vec::from_iter)
    }
}

/// A scalar as text; `None` for null.
struct Scalar;

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<String>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Scalar {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value")
    }

    fn visit_unit<E>(self) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Option<String>, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Option<String>, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Option<String>, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Option<String>, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Option<String>, E> {
        Ok(Some(value.to_owned()))
    }
}
