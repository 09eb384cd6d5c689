//! The JSON Schema of docker-test.yaml, made of the types that read it. Published as docs/docker-test.schema.json.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::document::Document;

/// Where editors find the published schema.
pub const URL: &str =
    "https://raw.githubusercontent.com/docker-test/docker-test/main/docs/docker-test.schema.json";

/// The schema. Keys that begin with `x-` are places for anchors, at the top alone.
#[must_use]
pub fn schema() -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<Document>().to_value();
    if let Value::Object(root) = &mut schema {
        root.insert("$id".to_owned(), URL.into());
        root.insert("title".to_owned(), "docker-test.yaml".into());
        root.insert("patternProperties".to_owned(), serde_json::json!({ "^x-": true }));
    }
    schema
}
