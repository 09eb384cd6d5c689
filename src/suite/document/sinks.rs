//! `notify`: where alerts and metrics of probes go.
//!
//! Owns the schema alone, made of those of the sinks. What a sink needs is read by its own type, see
//! [`crate::notify::configured`].

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::notify::configured;

/// Sinks by kind, or by kind and a name of their own.
pub struct Sinks;

impl JsonSchema for Sinks {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sinks".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut properties = serde_json::Map::new();
        let mut patterns = serde_json::Map::new();
        for kind in configured::names() {
            let schema = configured::schema(kind, generator);
            patterns.insert(format!("^{kind}\\.[A-Za-z0-9_-]+$"), schema.clone());
            properties.insert(kind.to_owned(), schema);
        }
        json_schema!({
            "type": ["object", "null"],
            "properties": properties,
            "patternProperties": patterns,
            "additionalProperties": false,
        })
    }
}
