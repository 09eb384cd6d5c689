//! The JSON API, version 1: operations, of which both the routes and the OpenAPI document are made.
//!
//! Owns what an operation is. A new one is one entry beside its handler: its path, its documentation and its
//! schema cannot differ from what is served.

mod document;
mod probes;
mod silences;
mod system;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Query;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{MethodRouter, get};
use axum::{Extension, Json, Router};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Shared;
use super::access::Standing;
use super::problem::Problem;

pub(super) use silences::SilenceRequest;

/// Something that may be asked.
struct Operation {
    id: &'static str,
    method: Method,
    path: &'static str,
    summary: &'static str,
    parameters: Vec<Parameter>,
    /// It changes something, and is for those alone who have the token.
    needs_token: bool,
    takes: Option<Schema>,
    gives: (StatusCode, &'static str, Option<Schema>),
    /// What else it may answer.
    problems: &'static [StatusCode],
    handler: MethodRouter<Arc<Shared>>,
}

/// What stands in the address.
struct Parameter {
    name: &'static str,
    is_in_path: bool,
    description: &'static str,
    schema: Schema,
}

impl Operation {
    fn get(
        id: &'static str,
        path: &'static str,
        summary: &'static str,
        gives: Schema,
        handler: MethodRouter<Arc<Shared>>,
    ) -> Self {
        Self {
            id,
            method: Method::GET,
            path,
            summary,
            parameters: Vec::new(),
            needs_token: false,
            takes: None,
            gives: (StatusCode::OK, "What was asked for.", Some(gives)),
            problems: &[],
            handler,
        }
    }

    /// One that changes something, and gives nothing but its status.
    fn act(
        id: &'static str,
        method: Method,
        path: &'static str,
        summary: &'static str,
        gives: (StatusCode, &'static str),
        handler: MethodRouter<Arc<Shared>>,
    ) -> Self {
        let gives = (gives.0, gives.1, None);
        Self { method, needs_token: true, gives, ..Self::get(id, path, summary, true.into(), handler) }
    }

    fn with(mut self, parameters: Vec<Parameter>, problems: &'static [StatusCode]) -> Self {
        self.parameters = parameters;
        self.problems = problems;
        self
    }
}

fn path<T: JsonSchema>(name: &'static str, description: &'static str, of: &mut SchemaGenerator) -> Parameter {
    Parameter { name, is_in_path: true, description, schema: of.subschema_for::<T>() }
}

fn query<T: JsonSchema>(
    name: &'static str,
    description: &'static str,
    of: &mut SchemaGenerator,
) -> Parameter {
    Parameter { name, is_in_path: false, description, schema: of.subschema_for::<T>() }
}

/// All of them.
fn operations(of: &mut SchemaGenerator) -> Vec<Operation> {
    [system::operations, probes::operations, silences::operations].iter().flat_map(|part| part(of)).collect()
}

fn generator() -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    settings.into_generator()
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    let document = openapi();
    let mut router = Router::new().route("/api/v1/openapi.json", get(async move || Json(document)));
    for operation in operations(&mut generator()) {
        router = router.route(operation.path, operation.handler);
    }
    router
}

/// The OpenAPI document.
#[must_use]
pub fn openapi() -> Value {
    let mut generator = generator();
    let operations = operations(&mut generator);
    document::of(&operations, generator)
}

/// Only those who have the token may act.
fn may_act(shared: &Shared, standing: &Standing) -> Result<(), Problem> {
    match standing {
        Standing::Program => Ok(()),
        _ if !shared.access.has_token() => Err(Problem::new(StatusCode::FORBIDDEN, NO_TOKEN)),
        _ => Err(Problem::new(StatusCode::UNAUTHORIZED, "expected `Authorization: Bearer` and the token")),
    }
}

/// What is said to those who want to act where nobody may.
pub(super) const NO_TOKEN: &str = "the daemon has no token, and without one nobody may act: put one into \
                                   DOCKER_TEST_WATCH_TOKEN or into a file for --token-file";

/// What stands behind the `?`.
pub(super) fn asked<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    match Query::try_from_uri(uri) {
        Ok(Query(asked)) => Ok(asked),
        Err(rejection) => Err(Problem::invalid(rejection.body_text())),
    }
}

fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Problem::invalid(error.to_string()),
        _ => Problem::new(StatusCode::BAD_REQUEST, format!("expected a JSON object: {error}")),
    })
}

/// Who asks, as [`super::guard`] found out.
type Asker = Extension<Standing>;

#[cfg(test)]
mod tests;
