//! The Docker Engine API, as Docker and Podman serve it.
//!
//! Owns the connection and the mapping of the API's answers to our types. With its submodules it is the one place
//! that names `bollard`; it creates nothing that the ledger has not written down first.

mod attach;
pub mod build;
mod compose_project;
mod containers;
mod creation;
mod events;
mod exec;
mod images;
mod inspect;
mod listing;
mod networks;
mod owned;
mod probe;
mod record;
mod retry;
pub mod session;
mod swarm;
mod upload;

pub use attach::{Attached, Frame};
pub use compose_project::{ComposeContainer, NamedResources, PROJECT_PREFIX};
pub use containers::{Archive, Created};
pub use creation::{Creation, ResultsVolume};
pub use events::Events;
pub use images::PullProgress;

use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error as ApiError;

use super::capabilities::Capabilities;
use super::greeting::Greeting;
use super::transport::HttpClient;
use super::{EngineError, ResourceKind};

/// How long one ordinary call may take before the engine counts as lost. Calls that stream have limits of their
/// own; starting a container on a busy engine is the slowest ordinary one.
const CALL_TIMEOUT: Duration = Duration::from_mins(3);

/// A connected engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    docker: Docker,
    http: HttpClient,
    address: Arc<str>,
    capabilities: Arc<Capabilities>,
}

/// Where the engine keeps images and containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// Name of the driver.
    pub driver: String,
    /// Directory on the engine's machine.
    pub root: String,
    /// What the engine warns of about itself.
    pub warnings: Vec<String>,
}

/// Which builder is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BuilderChoice {
    /// The one that the engine prefers.
    #[default]
    Engine,
    /// The classic builder (`DOCKER_BUILDKIT=0`).
    Classic,
}

/// Proof that the ledger has written a resource down: without one nothing can be created or removed.
#[derive(Debug, Clone)]
pub struct Recorded {
    kind: ResourceKind,
    name: String,
    run: Option<String>,
}

impl Recorded {
    /// To be called by the ledger alone, after the record is on disk.
    pub(crate) const fn new(kind: ResourceKind, name: String) -> Self {
        Self { kind, name, run: None }
    }

    /// Says which run made it. A name that the user chose may be somebody else's: what does not bear the run's label
    /// is not removed.
    pub(crate) fn of_run(mut self, run: &str) -> Self {
        self.run = Some(run.to_owned());
        self
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> ResourceKind {
        self.kind
    }

    /// The name it has, or will have, on the engine.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The run whose label must be on it, where its name alone does not say whose it is.
    fn run_to_check(&self) -> Option<&str> {
        self.run.as_deref().filter(|run| !self.name.contains(run))
    }
}

impl Engine {
    /// Works out what a dialled engine can do, and asks it where its greeting leaves that open.
    ///
    /// `address` is the endpoint in words; `local` says that it shares this machine's files.
    pub async fn open(
        http: HttpClient,
        greeting: Greeting,
        address: &str,
        local: bool,
        builder: BuilderChoice,
    ) -> Result<Self, EngineError> {
        let (docker, capabilities) = probe::probe(&http, greeting, address, local, builder).await?;
        Ok(Self { docker, http, address: Arc::from(address), capabilities: Arc::new(capabilities) })
    }

    /// What this engine can do.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The endpoint in words, without secrets.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Product and address, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{} at {}", self.capabilities.product, self.address)
    }

    /// The raw client, for the build call and its session.
    #[must_use]
    pub const fn http(&self) -> &HttpClient {
        &self.http
    }

    /// True where the engine answers within `limit`.
    pub async fn answers(&self, limit: Duration) -> bool {
        matches!(tokio::time::timeout(limit, self.docker.ping()).await, Ok(Ok(_)))
    }

    fn path(&self, rest: &str) -> String {
        format!("/v{}{rest}", self.capabilities.api_version)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Names operation and subject of a failed call, and tells a refusal from a lost engine.
fn refine(operation: &'static str, kind: &'static str, subject: &str, error: ApiError) -> EngineError {
    let subject = subject.to_owned();
    match error {
        ApiError::DockerResponseServerError { status_code: 404, .. } => {
            EngineError::Missing { operation, kind, subject }
        }
        ApiError::DockerResponseServerError { status_code, message } => EngineError::Refused {
            operation,
            subject,
            status: status_code,
            message: message.trim().to_owned(),
        },
        ApiError::DockerStreamError { error } => {
            EngineError::Failed { operation, subject, message: error.trim().to_owned() }
        }
        ApiError::RequestTimeoutError => {
            EngineError::TimedOut { operation, subject, limit: format!("{} s", CALL_TIMEOUT.as_secs()) }
        }
        other => EngineError::Lost { operation, subject, message: causes(&other) },
    }
}

/// Like [`refine`], where "not found" is about something else than the subject: the engine's words name it.
fn refused(operation: &'static str, subject: &str, error: ApiError) -> EngineError {
    match error {
        ApiError::DockerResponseServerError { status_code: status @ 404, message } => EngineError::Refused {
            operation,
            subject: subject.to_owned(),
            status,
            message: message.trim().to_owned(),
        },
        other => refine(operation, "container", subject, other),
    }
}

/// The innermost causes matter: hyper's own messages ("client error (Connect)") say nothing.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let message = cause.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        next = cause.source();
    }
    text
}
