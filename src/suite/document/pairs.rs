//! `env` and `labels`: names with values, as a mapping or as a list of `NAME=value`.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::shape::refused;
use super::values::Scalar;
use crate::plan::syntax::Invalid;

/// Environment variables: `NAME: value`, `NAME:` (its value comes from docker-test's own environment), or a list of
/// `NAME=value` and `NAME`. Debug output has the names alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(pub Vec<(String, Option<String>)>);

impl Variables {
    /// Every variable with its value; `lookup` gives those that come from the environment. What it does not have is
    /// left out, as `docker run -e NAME` does.
    pub fn resolve<'a>(&self, lookup: impl Fn(&str) -> Option<&'a str>) -> Vec<(String, String)> {
        let value =
            |name: &str, value: &Option<String>| value.clone().or_else(|| lookup(name).map(str::to_owned));
        self.0.iter().filter_map(|(name, given)| Some((name.clone(), value(name, given)?))).collect()
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

fn variable_name(name: &str) -> Result<(), Invalid> {
    if name.is_empty() || name.contains(['=', '\0']) || name.contains(char::is_whitespace) {
        return Err(Invalid::new("expected the name of a variable, without white space and `=`"));
    }
    Ok(())
}

fn label_name(name: &str) -> Result<(), Invalid> {
    if name.is_empty() || name.contains(['=', '\0']) || name.contains(char::is_whitespace) {
        return Err(Invalid::new("expected the name of a label, without white space and `=`"));
    }
    Ok(())
}

/// A mapping, or a list of `NAME=value`, with every name checked where it stands.
struct Pairs {
    check: fn(&str) -> Result<(), Invalid>,
    expected: &'static str,
}

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(String, Option<String>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value::<Scalar>()?.0;
            (self.check)(&name).map_err(refused)?;
            pairs.push((name, value));
        }
        Ok(pairs)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut pairs: Vec<(String, Option<String>)> = Vec::new();
        while let Some(text) = items.next_element::<String>()? {
            let (name, value) =
                text.split_once('=').map_or((&*text, None), |(name, value)| (name, Some(value.to_owned())));
            (self.check)(name).map_err(refused)?;
            pairs.retain(|(known, _)| known != name);
            pairs.push((name.to_owned(), value));
        }
        Ok(pairs)
    }
}

impl<'de> Deserialize<'de> for Variables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a mapping of variables to values, or a list of NAME=value";
        deserializer.deserialize_any(Pairs { check: variable_name, expected }).map(Self)
    }
}

fn pairs_schema() -> Schema {
    json_schema!({ "anyOf": [
        { "type": "object", "additionalProperties": { "type": ["string", "number", "boolean", "null"] } },
        { "type": "array", "items": { "type": "string" } },
    ]})
}

impl JsonSchema for Variables {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Variables".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        pairs_schema()
    }
}

/// Labels: `name: value`, or a list of `name=value`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(pub BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a mapping of labels to values, or a list of name=value";
        let pairs = deserializer.deserialize_any(Pairs { check: label_name, expected })?;
        Ok(Self(pairs.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect()))
    }
}

impl JsonSchema for Labels {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Labels".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        pairs_schema()
    }
}
