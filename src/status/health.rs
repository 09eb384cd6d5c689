//! Whether the daemon is at work: for those who start it again when it is not.
//!
//! Owns `/healthz` and `/readyz`, which everybody may ask and which say nothing but yes and no.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::Shared;

/// Whether its loop goes round.
pub(super) async fn alive(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    if shared.board.is_alive().await {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the daemon does not answer\n")
    }
}

/// Whether its configuration has been read, and its probes are scheduled.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    if shared.board.health().is_ready {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the configuration has not been read yet\n")
    }
}
