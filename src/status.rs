//! The status page of the daemon: HTML for people, JSON for programs, and metrics for Prometheus.
//!
//! Owns the server, who may read and act, and how what is on the [`Board`] is shown. Knows of the daemon only what is on
//! the board, and asks it for things the way everybody does.

mod access;
mod api;
mod exposition;
mod guard;
mod health;
mod listed;
mod page;
mod problem;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::get;

use tokio::sync::Semaphore;

use crate::notify::metrics::UnifiedTags;
use crate::watch::Board;
use crate::watch::daemon::Clock;
use access::Access;
use exposition::Scrapes;
use page::Pages;
use problem::Problem;

pub use access::{AccessError, SHORTEST_TOKEN, Token, address};
pub use api::openapi;
pub use server::{Server, ServerError};

/// What all requests share.
struct Shared {
    board: Board,
    access: Access,
    pages: Pages,
    clock: Clock,
    tags: UnifiedTags,
    /// Large answers are made one after the other.
    turns: Semaphore,
    scrapes: Scrapes,
}

impl Shared {
    /// The time, in Unix seconds.
    fn now(&self) -> i64 {
        (self.clock)().as_second()
    }

    /// Makes an answer that grows with the number of probes. It takes a thread that no run is on, and one at a time: those
    /// who look hold up one another, and not the daemon.
    async fn make<T: Send + 'static>(
        self: Arc<Self>,
        make: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let failed = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made");
        let _turn = self.turns.acquire().await.map_err(|_| failed())?;
        let shared = Arc::clone(&self);
        tokio::task::spawn_blocking(move || make(&shared)).await.map_err(|_| failed())
    }
}

/// What the page is made of.
pub struct Status {
    /// What is shown, and whom to ask.
    pub board: Board,
    /// Gives the time.
    pub clock: Clock,
    /// Labels of all metrics.
    pub tags: UnifiedTags,
    /// Lets people in. Without one nobody may act.
    pub token: Option<Token>,
}

impl Status {
    /// All that is served at `address`.
    fn router(self, address: SocketAddr) -> Result<Router, AccessError> {
        let shared = Arc::new(Shared {
            board: self.board,
            access: Access::new(address, self.token.as_ref())?,
            pages: Pages::new(),
            clock: self.clock,
            tags: self.tags,
            turns: Semaphore::new(1),
            scrapes: Scrapes::default(),
        });
        let router = Router::new()
            .merge(page::routes())
            .merge(api::routes())
            .route("/metrics", get(exposition::scrape))
            .route("/healthz", get(health::alive))
            .route("/readyz", get(health::ready))
            .fallback(guard::unknown)
            .method_not_allowed_fallback(guard::not_allowed)
            .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard::explain))
            .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard::admit))
            .layer(middleware::from_fn(guard::protect))
            .with_state(shared);
        Ok(router)
    }
}

#[cfg(test)]
mod tests;
