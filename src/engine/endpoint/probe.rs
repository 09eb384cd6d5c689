//! First contact: tries the candidates in order and keeps the first that answers a ping.
//!
//! Owns what is reported when none does: everything that was tried, each with its error, and how to get an engine.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::address::{Address, Endpoint};
use super::discovery::{Discovery, Origin, Target};
use crate::engine::greeting::Greeting;
use crate::engine::podman::{PodmanError, PodmanService};
use crate::engine::transport::{HttpClient, TransportError, hint_for};
use crate::environment::Environment;
use crate::error::{Category, Diagnose};

/// A busy engine answers a ping late, and a socket that is not there fails at once.
const LIMIT: Duration = Duration::from_secs(10);
/// ssh has a limit of its own for the connection; the login comes after it.
const SSH_LIMIT: Duration = Duration::from_secs(45);
const LONGEST_ANSWER: usize = 64 * 1024;

/// An engine that answered.
#[derive(Debug)]
pub struct Connected {
    /// HTTP to it.
    pub http: HttpClient,
    /// Where it is.
    pub endpoint: Endpoint,
    /// What it said of itself.
    pub greeting: Greeting,
    /// Why it was tried.
    pub origin: Origin,
    /// What was tried before it in vain.
    pub skipped: Vec<Attempt>,
    /// The Podman service behind it, where it is our own: it must live as long as the engine is used.
    pub podman: Option<PodmanService>,
}

/// One candidate that did not answer.
#[derive(Debug)]
pub struct Attempt {
    /// The address, or the program.
    pub subject: String,
    /// Why it was tried.
    pub origin: Origin,
    /// What went wrong.
    pub error: AttemptError,
}

impl Attempt {
    /// True where an engine is there and this user may not use its socket.
    #[must_use]
    pub fn is_permission_denied(&self) -> bool {
        matches!(&self.error, AttemptError::Transport(error) if error.is_permission_denied())
    }
}

impl Diagnose for Attempt {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        match &self.error {
            AttemptError::Transport(error) => error.hint(),
            AttemptError::Refused { message, .. } => hint_for(message).map(str::to_owned),
            AttemptError::Podman(_) | AttemptError::TimedOut { .. } => None,
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.subject, self.origin, self.error)
    }
}

/// What went wrong with one candidate.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// It cannot be reached.
    #[error("{}", cause(.0))]
    Transport(#[source] TransportError),
    /// It took too long.
    #[error("no answer within {limit:?}")]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// It answered, but not as an engine does.
    #[error("it answers a ping with {status}: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The answer.
        message: String,
    },
    /// Podman's service could not be started.
    #[error("{0}")]
    Podman(#[from] PodmanError),
}

/// No engine answered. Its message lists what was tried.
#[derive(Debug)]
pub struct ConnectError {
    /// In the order tried; not empty.
    pub attempts: Vec<Attempt>,
    /// True where the user had chosen the engine.
    pub explicit: bool,
    /// Things that may explain it.
    pub notes: Vec<String>,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.attempts.as_slice() {
            return write!(f, "cannot reach an engine at {only}");
        }
        f.write_str("cannot reach an engine; tried:")?;
        self.attempts.iter().try_for_each(|attempt| write!(f, "\n  {attempt}"))
    }
}

impl std::error::Error for ConnectError {}

impl Diagnose for ConnectError {
    fn category(&self) -> Category {
        let user = |attempt: &Attempt| matches!(&attempt.error, AttemptError::Transport(error) if error.category() == Category::User);
        if self.explicit && self.attempts.iter().any(user) { Category::User } else { Category::Environment }
    }

    fn hint(&self) -> Option<String> {
        let specific = self.attempts.iter().find_map(Diagnose::hint);
        let general = || {
            if self.explicit {
                "is the engine running, and is this its address?".to_owned()
            } else {
                let started = self.attempts.iter().find_map(|attempt| match &attempt.error {
                    AttemptError::Podman(error) => error.hint(),
                    _ => None,
                });
                started.unwrap_or_else(|| {
                    "start Docker, or install an engine: `apt-get install docker.io` or `apt-get install podman`; \
                     for one elsewhere use -H or DOCKER_HOST"
                        .to_owned()
                })
            }
        };
        let advice = specific.unwrap_or_else(general);
        Some(std::iter::once(advice).chain(self.notes.iter().cloned()).collect::<Vec<_>>().join("; "))
    }
}

/// Tries the candidates in order. `runtime_dir` is where a Podman service of our own gets its private directory;
/// `limit` is for each candidate, 10 s (45 s over ssh) where absent.
pub async fn connect(
    discovery: &Discovery,
    env: &Environment,
    runtime_dir: &Path,
    limit: Option<Duration>,
) -> Result<Connected, ConnectError> {
    let mut skipped = Vec::new();
    for candidate in &discovery.candidates {
        let origin = candidate.origin.clone();
        let (subject, error) = match &candidate.target {
            Target::Dial(endpoint) => match ping(endpoint, env, limit).await {
                Ok((http, greeting)) => {
                    let endpoint = endpoint.clone();
                    return Ok(Connected { http, endpoint, greeting, origin, skipped, podman: None });
                }
                Err(error) => (endpoint.to_string(), error),
            },
            Target::StartPodman(program) => match start(program, env, runtime_dir, limit).await {
                Ok((http, greeting, podman)) => {
                    let endpoint = http.endpoint().clone();
                    let podman = Some(podman);
                    return Ok(Connected { http, endpoint, greeting, origin, skipped, podman });
                }
                Err(error) => (program.display().to_string(), error),
            },
        };
        skipped.push(Attempt { subject, origin, error });
    }
    Err(ConnectError { attempts: skipped, explicit: discovery.explicit, notes: discovery.notes.clone() })
}

async fn start(
    program: &Path,
    env: &Environment,
    runtime_dir: &Path,
    limit: Option<Duration>,
) -> Result<(HttpClient, Greeting, PodmanService), AttemptError> {
    let podman = PodmanService::start_program(program, env, runtime_dir).await?;
    let (http, greeting) = ping(&Endpoint::unix(podman.socket()), env, limit).await?;
    Ok((http, greeting, podman))
}

async fn ping(
    endpoint: &Endpoint,
    env: &Environment,
    limit: Option<Duration>,
) -> Result<(HttpClient, Greeting), AttemptError> {
    let usual = if matches!(endpoint.address(), Address::Ssh { .. }) { SSH_LIMIT } else { LIMIT };
    let limit = limit.unwrap_or(usual);
    let http = HttpClient::new(endpoint, env).map_err(AttemptError::Transport)?;
    let answer = tokio::time::timeout(limit, http.get("/_ping", LONGEST_ANSWER))
        .await
        .map_err(|_| AttemptError::TimedOut { limit })?
        .map_err(AttemptError::Transport)?;
    if answer.status().is_success() {
        let greeting = Greeting::read(answer.headers());
        return Ok((http, greeting));
    }
    let message: String = crate::engine::transport::refusal(answer.body()).chars().take(300).collect();
    Err(AttemptError::Refused { status: answer.status().as_u16(), message })
}

/// The attempt is named already: what counts is the cause.
fn cause(error: &TransportError) -> String {
    match error {
        TransportError::Connect { source, .. } | TransportError::Exchange { source, .. } => {
            source.to_string()
        }
        TransportError::Tls { source, .. } => {
            let inner = std::error::Error::source(source).map(|inner| format!(": {inner}"));
            format!("{source}{}", inner.unwrap_or_default())
        }
        TransportError::Declined { .. } => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
