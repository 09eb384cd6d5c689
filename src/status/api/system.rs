//! The daemon itself: how it does, and what waits for its sinks.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use super::Operation;
use crate::history::outbox::Backlog;
use crate::status::Shared;
use crate::status::listed::counts;
use crate::status::problem::Problem;
use crate::watch::board::Health;

pub(super) fn operations(of: &mut SchemaGenerator) -> Vec<Operation> {
    vec![
        Operation::get(
            "status",
            "/api/v1/status",
            "How the daemon does, and how many probes are up.",
            of.subschema_for::<Summary>(),
            get(summary),
        ),
        Operation::get(
            "outbox",
            "/api/v1/outbox",
            "What waits for the sinks, and what was lost.",
            of.subschema_for::<Outbox>(),
            get(outbox),
        ),
    ]
}

/// How the daemon does, and how many probes are up.
#[derive(Serialize, JsonSchema)]
pub(super) struct Summary {
    /// Its version.
    version: &'static str,
    #[serde(flatten)]
    health: Health,
    /// How many probes there are of each condition.
    probes: BTreeMap<&'static str, usize>,
    /// Incidents that are open.
    incidents: usize,
    /// Silences that are in force.
    silences: usize,
}

pub(super) async fn summary(State(shared): State<Arc<Shared>>) -> Json<Summary> {
    let views = shared.board.probes();
    let now = shared.now();
    Json(Summary {
        version: env!("CARGO_PKG_VERSION"),
        health: shared.board.health(),
        probes: counts(&views).into_iter().map(|(condition, count)| (condition.word(), count)).collect(),
        incidents: views.iter().filter(|view| view.open_since.is_some()).count(),
        silences: shared.board.silences().iter().filter(|view| view.silence.covers(now)).count(),
    })
}

/// What waits for the sinks, and what was lost.
#[derive(Serialize, JsonSchema)]
pub(super) struct Outbox {
    /// Each sink that something was stored for.
    sinks: Vec<Backlog>,
}

pub(super) async fn outbox(State(shared): State<Arc<Shared>>) -> Result<Json<Outbox>, Problem> {
    Ok(Json(Outbox { sinks: shared.board.backlog().await? }))
}
