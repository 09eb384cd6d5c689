//! The operations as an OpenAPI 3.1 document.

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::Operation;
use crate::status::problem::{MEDIA_TYPE, Problem};

pub(super) fn of(operations: &[Operation], mut generator: SchemaGenerator) -> Value {
    let problem = generator.subschema_for::<Problem>();
    let mut paths = Map::new();
    for operation in operations {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_ascii_lowercase()] = described(operation, problem.as_value());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "docker-test watch",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the daemon watches, and what it may be asked for. Times are Unix seconds. Reading needs no token where the page is served on a loopback address.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn described(operation: &Operation, problem: &Value) -> Value {
    let parameters: Vec<Value> = operation
        .parameters
        .iter()
        .map(|parameter| {
            json!({
                "name": parameter.name,
                "in": if parameter.is_in_path { "path" } else { "query" },
                "required": parameter.is_in_path,
                "description": parameter.description,
                "schema": parameter.schema,
            })
        })
        .collect();
    let (status, description, gives) = &operation.gives;
    let mut answers = Map::new();
    let mut answer = json!({ "description": description });
    if let Some(gives) = gives {
        answer["content"] = json!({ "application/json": { "schema": gives } });
    }
    answers.insert(status.as_str().to_owned(), answer);
    for other in operation.problems {
        let description = other.canonical_reason().unwrap_or("Error");
        let content = json!({ MEDIA_TYPE: { "schema": problem } });
        answers.insert(other.as_str().to_owned(), json!({ "description": description, "content": content }));
    }
    answers.insert(
        "default".to_owned(),
        json!({ "description": "What went wrong.", "content": { MEDIA_TYPE: { "schema": problem } } }),
    );
    // Without a token where the page is not public.
    let security =
        if operation.needs_token { json!([{ "token": [] }]) } else { json!([{}, { "token": [] }]) };
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": answers,
        "security": security,
    });
    if let Some(takes) = &operation.takes {
        let content = json!({ "application/json": { "schema": takes } });
        described["requestBody"] = json!({ "required": true, "content": content });
    }
    described
}
