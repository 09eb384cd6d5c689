//! The only effect boundary for containers: finds an engine, dials it, and speaks its API.
//!
//! Owns what an engine can do ([`Capabilities`], probed once) and every call to it. It knows nothing about
//! plans' reasons, results or reports, and nothing outside this module asks which engine it is.

pub mod capabilities;
pub mod container;
pub mod credentials;
pub mod docker;
pub mod endpoint;
pub mod event;
pub mod glance;
pub mod greeting;
pub mod network;
pub mod podman;
pub mod reference;
pub mod registry;
pub mod transport;

use std::collections::BTreeMap;

pub use capabilities::Capabilities;
pub use container::{ContainerRecord, EngineSize, ListedContainer, Mounted};
pub use docker::Engine;
pub use network::{NetworkCreation, NetworkRecord};

use crate::error::{Category, Diagnose};

/// An image as the engine records it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// `sha256:…`
    pub id: String,
    /// `name:tag` names that point to it.
    pub tags: Vec<String>,
    /// `name@sha256:…` names: not empty where the image came from, or went to, a registry.
    pub digests: Vec<String>,
    /// Labels of its configuration.
    pub labels: BTreeMap<String, String>,
    /// ONBUILD triggers, read from the history where the engine leaves them out of the record.
    pub onbuild: Vec<String>,
    /// Digests of its layers, base first.
    pub layers: Vec<String>,
    /// ENTRYPOINT
    pub entrypoint: Vec<String>,
    /// CMD
    pub command: Vec<String>,
    /// ENV as `NAME=value`
    pub env: Vec<String>,
    /// USER
    pub user: String,
    /// WORKDIR; empty is `/`.
    pub working_directory: String,
    /// STOPSIGNAL
    pub stop_signal: Option<String>,
    /// `os/arch[/variant]`
    pub platform: String,
}

/// A container's state as the engine records it after the fact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerState {
    /// created, running, exited, dead, …
    pub status: String,
    /// True while it runs.
    pub running: bool,
    /// Exit code; meaningless before it ran.
    pub exit_code: i64,
    /// The kernel killed a process of it for want of memory.
    pub oom_killed: bool,
    /// What the engine says went wrong at the start.
    pub error: String,
    /// `starting`, `healthy` or `unhealthy`, where it has a health check.
    pub health: Option<String>,
    /// RFC 3339, where it was started.
    pub started_at: Option<String>,
    /// RFC 3339, where it ended.
    pub finished_at: Option<String>,
    /// Memory limit in bytes, where one is set.
    pub memory_limit: Option<u64>,
}

/// An image in a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedImage {
    /// `sha256:…`
    pub id: String,
    /// `name:tag` names that point to it.
    pub tags: Vec<String>,
    /// Labels of its configuration.
    pub labels: BTreeMap<String, String>,
    /// When it was made, in Unix seconds by the engine's clock.
    pub created: u64,
}

/// What an engine says that something happened to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventSubject {
    /// Id of the container or image.
    pub id: String,
    /// Its name; of an image the one that it was given or lost.
    pub name: String,
    /// The image that a container is of, as it was named when the container was made.
    pub image: String,
    /// Its labels, and what else the engine says of it.
    pub labels: BTreeMap<String, String>,
}

/// Something that happened on an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineEvent {
    /// A container was made.
    ContainerCreated(EventSubject),
    /// A container was started, for the first time or again.
    ContainerStarted(EventSubject),
    /// A container is gone.
    ContainerRemoved(EventSubject),
    /// An image was given a name: by a tag, a build or a pull.
    ImageNamed(EventSubject),
    /// An image lost a name, or is gone.
    ImageUnnamed(EventSubject),
}

/// A resource that bears our labels, as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedResource {
    /// What it is.
    pub kind: ResourceKind,
    /// Name, or id where it has none.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// For containers: it runs.
    pub running: bool,
}

/// The kinds of things that a run makes on an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// A container, with its anonymous volumes.
    Container,
    /// A named volume.
    Volume,
    /// A network.
    Network,
    /// A tag: removing it leaves an image that others use.
    Tag,
    /// An image by id.
    Image,
    /// A Compose project, with all that it has. Last, since containers of the run may be on its networks.
    ComposeProject,
}

impl std::fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Container => "container",
            Self::Volume => "volume",
            Self::Network => "network",
            Self::Tag => "tag",
            Self::Image => "image",
            Self::ComposeProject => "compose project",
        })
    }
}

/// What the engine's answers mean to the callers; every variant names operation and subject.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The subject does not exist on this engine.
    #[error("cannot {operation} {subject}: there is no such {kind} on this engine")]
    Missing {
        /// What was asked for, as a verb.
        operation: &'static str,
        /// image, container, …
        kind: &'static str,
        /// Its name.
        subject: String,
    },
    /// The engine understood and refused.
    #[error("cannot {operation} {subject}: {message} (engine answered {status})")]
    Refused {
        /// What was asked for, as a verb.
        operation: &'static str,
        /// On what.
        subject: String,
        /// HTTP status.
        status: u16,
        /// The engine's own words.
        message: String,
    },
    /// A pull or another streamed operation failed on the way.
    #[error("cannot {operation} {subject}: {message}")]
    Failed {
        /// What was asked for, as a verb.
        operation: &'static str,
        /// On what.
        subject: String,
        /// The engine's own words.
        message: String,
    },
    /// The engine did not answer, or went away in mid-answer.
    #[error("lost the engine while trying to {operation} {subject}: {message}")]
    Lost {
        /// What was asked for, as a verb.
        operation: &'static str,
        /// On what.
        subject: String,
        /// What was seen.
        message: String,
    },
    /// The time allowed for the operation was over.
    #[error("could not {operation} {subject} within {limit}")]
    TimedOut {
        /// What was asked for, as a verb.
        operation: &'static str,
        /// On what.
        subject: String,
        /// The limit in words.
        limit: String,
    },
}

impl EngineError {
    /// True where the engine itself is gone, as opposed to one request having failed.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// True where the subject is already gone.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}

impl Diagnose for EngineError {
    fn category(&self) -> Category {
        match self {
            Self::Missing { .. } => Category::User,
            _ => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { kind: "image", subject, .. } => {
                Some(format!("build it first, or pull it: docker-test run --pull missing {subject}"))
            }
            Self::Lost { .. } => Some("is the engine still running? `docker-test doctor` looks".to_owned()),
            Self::Refused { message, .. } | Self::Failed { message, .. } => hint_for_message(message),
            Self::TimedOut { .. } => Some(
                "raise --pull-timeout, --build-timeout or --timeout, or look at the engine's load".to_owned(),
            ),
            Self::Missing { .. } => None,
        }
    }
}

/// Engines put the useful part of an error into prose; these are the phrases that users meet most.
fn hint_for_message(message: &str) -> Option<String> {
    let lower = message.to_lowercase();
    let table: [(&[&str], &str); 5] = [
        (
            &["unauthorized", "authentication required", "no basic auth credentials", "denied"],
            "log in with `docker login REGISTRY`; `docker-test doctor` shows which credentials are found",
        ),
        (&["no space left on device"], "the engine's disk is full: `docker system df` shows by what"),
        (
            &["no such host", "connection refused", "i/o timeout", "server misbehaving", "tls handshake"],
            "the registry cannot be reached from the engine: check name, network and proxy, or use --pull never",
        ),
        (&["manifest unknown", "not found", "does not exist"], "check the image name and tag for a typo"),
        (&["no matching manifest"], "the image has no variant for this platform: choose one with --platform"),
    ];
    table
        .iter()
        .find(|(phrases, _)| phrases.iter().any(|phrase| lower.contains(phrase)))
        .map(|(_, hint)| (*hint).to_owned())
}
