//! One look at one container, for those who need no more of an engine than that.
//!
//! Owns the question and what is read of its answer, over the same connection as everything else here. Speaks no more of
//! the API, so that a program that only looks carries none of the rest. Each look finds and dials the engine anew.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer};

use super::ContainerState;
use super::endpoint::{self, Choice, ConnectError, DiscoverError};
use super::transport::{HttpClient, TransportError, refusal};
use crate::environment::Environment;
use crate::error::{Category, Diagnose};

/// Bytes of a container's record: labels may make it long.
const LARGEST: usize = 8 << 20;
/// As much of a refusal as a message can use, in characters.
const QUOTED: usize = 300;

/// How an engine is looked at: found as the Docker CLI finds it, from these variables.
#[derive(Debug, Clone)]
pub struct Glance {
    environment: Environment,
    runtime_dir: PathBuf,
}

/// What is seen of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// Its state.
    pub state: ContainerState,
    /// How often the engine has started it again by itself.
    pub restarts: u64,
    /// What its health check printed last.
    pub health_output: String,
}

/// Why an engine cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum GlanceError {
    /// It is not known where it is.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    /// It does not answer.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It went away.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// It refuses to say.
    #[error("cannot look at the container {container}: the engine answers {status}: {message}")]
    Refused {
        /// Which.
        container: String,
        /// HTTP status.
        status: u16,
        /// The engine's own words.
        message: String,
    },
    /// It says something else than an engine.
    #[error("cannot read what the engine says of the container {container}")]
    Unreadable {
        /// Which.
        container: String,
        /// What is wrong.
        source: serde_json::Error,
    },
}

impl Diagnose for GlanceError {
    fn category(&self) -> Category {
        match self {
            Self::Discover(error) => error.category(),
            Self::Connect(error) => error.category(),
            Self::Transport(error) => error.category(),
            Self::Refused { .. } | Self::Unreadable { .. } => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Discover(error) => error.hint(),
            Self::Connect(error) => error.hint(),
            Self::Transport(error) => error.hint(),
            Self::Refused { .. } | Self::Unreadable { .. } => None,
        }
    }
}

impl Glance {
    /// `runtime_dir` is where a Podman service of our own gets its private directory.
    #[must_use]
    pub const fn new(environment: Environment, runtime_dir: PathBuf) -> Self {
        Self { environment, runtime_dir }
    }

    /// Looks at the container of that name or id. `None` where there is none.
    pub async fn at(&self, container: &str) -> Result<Option<Sight>, GlanceError> {
        let discovery = endpoint::discover(&Choice::default(), &self.environment)?;
        let connected = endpoint::connect(&discovery, &self.environment, &self.runtime_dir, None).await?;
        let seen = look(&connected.http, container).await;
        if let Some(podman) = connected.podman {
            podman.stop().await;
        }
        seen
    }
}

async fn look(http: &HttpClient, container: &str) -> Result<Option<Sight>, GlanceError> {
    let answer = http.get(&format!("/containers/{container}/json"), LARGEST).await?;
    match answer.status().as_u16() {
        200 => {}
        404 => return Ok(None),
        status => {
            let message = refusal(answer.body()).chars().take(QUOTED).collect();
            return Err(GlanceError::Refused { container: container.to_owned(), status, message });
        }
    }
    let unreadable = |source| GlanceError::Unreadable { container: container.to_owned(), source };
    let record: Record = serde_json::from_slice(answer.body()).map_err(unreadable)?;
    Ok(Some(record.into()))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    #[serde(default)]
    restart_count: u64,
    state: State,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    #[serde(default)]
    running: bool,
    #[serde(default)]
    exit_code: i64,
    #[serde(default, rename = "OOMKilled")]
    oom_killed: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    started_at: Option<String>,
    #[serde(default)]
    finished_at: Option<String>,
    #[serde(default)]
    health: Option<Health>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Health {
    #[serde(default)]
    status: String,
    #[serde(default, deserialize_with = "nothing_is_empty")]
    log: Vec<Probe>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Probe {
    #[serde(default)]
    output: String,
}

/// Go writes a list without entries as null.
fn nothing_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Probe>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl From<Record> for Sight {
    fn from(record: Record) -> Self {
        let state = record.state;
        let (health, mut log) = state.health.map(|health| (health.status, health.log)).unwrap_or_default();
        Self {
            state: ContainerState {
                status: state.status,
                running: state.running,
                exit_code: state.exit_code,
                oom_killed: state.oom_killed,
                error: state.error,
                // Docker says "none" of a container without a health check, Podman nothing.
                health: Some(health).filter(|health| !matches!(health.as_str(), "" | "none")),
                started_at: state.started_at,
                finished_at: state.finished_at,
                memory_limit: None,
            },
            restarts: record.restart_count,
            health_output: log.pop().map(|probe| probe.output).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Sight {
        serde_json::from_str::<Record>(json).unwrap().into()
    }

    #[test]
    fn the_last_word_of_a_health_check_is_read() {
        let seen = read(
            "{\"Id\":\"x\",\"RestartCount\":2,\"State\":{\"Status\":\"running\",\"Running\":true,\"ExitCode\":0,\
             \"Health\":{\"Status\":\"unhealthy\",\"FailingStreak\":3,\"Log\":[{\"ExitCode\":0,\"Output\":\"ok\"},\
             {\"ExitCode\":1,\"Output\":\"refused\\n\"}]}}}",
        );
        assert_eq!(seen.state.health.as_deref(), Some("unhealthy"));
        assert_eq!((seen.restarts, seen.health_output.as_str()), (2, "refused\n"));
    }

    #[test]
    fn a_container_without_a_health_check_has_no_health_whatever_the_engine_writes() {
        for health in [
            "",
            ",\"Health\":null",
            ",\"Health\":{\"Status\":\"none\",\"Log\":null}",
            ",\"Health\":{\"Status\":\"\"}",
        ] {
            let seen = read(&format!(
                "{{\"State\":{{\"Status\":\"exited\",\"ExitCode\":3,\"OOMKilled\":true{health}}}}}"
            ));
            assert_eq!(seen.state.health, None, "{health}");
            assert_eq!((seen.state.exit_code, seen.state.oom_killed), (3, true));
        }
    }
}
