//! The one place that sends: bytes over HTTP, to sockets and into files.
//!
//! Owns connections and how long they may take. TLS is always verified, no redirect is followed, and of an answer only
//! the beginning is read. Knows no sink; what it says of a failure names the host and nothing else of an address.

mod clock;
mod http;
mod preflight;
mod retry_after;
mod socket;
mod tls;

use std::error::Error as StdError;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::dns::Resolve;
use rustls::ClientConfig;
use tempfile::NamedTempFile;

use super::{Answer, Transmission};
use crate::environment::Environment;
use crate::error::{Category, Diagnose};
pub use preflight::Tried;
pub use tls::{RootsError, authorities};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a transmission may take, connection and answer included.
const LIMIT: Duration = Duration::from_secs(15);

/// What became of a transmission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// There was an answer over HTTP. What it means is for the sink to say.
    Answered(Answer),
    /// It was handed over; there are no answers.
    Done,
    /// It may go better another time.
    Failed {
        /// Why. Holds no path, query or header.
        reason: String,
        /// Nothing of it has been seen by anybody.
        unseen: bool,
    },
    /// It will never go as it is.
    Unsendable {
        /// Why. Holds no path, query or header.
        reason: String,
    },
}

/// Nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The certificate authorities cannot be read.
    #[error("cannot set up TLS for notifications")]
    Roots(#[from] RootsError),
    /// The client cannot be made.
    #[error("cannot set up HTTP for notifications: {reason}")]
    Client {
        /// Why not.
        reason: String,
    },
}

impl Diagnose for SendError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Roots(error) => error.hint(),
            Self::Client { .. } => None,
        }
    }
}

/// Sends. Clones are cheap and share their connections.
#[derive(Clone)]
pub struct Sender {
    client: reqwest::Client,
    names: Arc<dyn Resolve>,
    trust: Arc<ClientConfig>,
    proxies: Arc<Matcher>,
}

impl Sender {
    /// Takes note of the certificate authorities and the proxies in `env`; a file of authorities that is named is read. Names are looked up by `names`.
    pub fn new(env: &Environment, names: Arc<dyn Resolve>) -> Result<Self, SendError> {
        let trust = tls::config(env)?;
        let client = http::client(env, Arc::clone(&names), trust.clone())?;
        Ok(Self { client, names, trust: Arc::new(trust), proxies: Arc::new(http::matcher(env)) })
    }

    /// Sends once, within a quarter of a minute.
    pub async fn send(&self, transmission: &Transmission) -> Sent {
        match transmission {
            Transmission::Http(request) => http::send(&self.client, request).await,
            Transmission::Datagrams { address, datagrams } => {
                socket::send(self.names.as_ref(), address, datagrams).await
            }
            Transmission::File { path, bytes } => replace(path.clone(), bytes.clone()).await,
        }
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// Replaces a file as a whole: whoever reads it sees the old one or the new one.
async fn replace(path: PathBuf, bytes: Vec<u8>) -> Sent {
    let shown = path.display().to_string();
    let written = tokio::task::spawn_blocking(move || write(&path, &bytes)).await;
    let error = match written {
        Ok(Ok(())) => return Sent::Done,
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    Sent::Failed { reason: format!("cannot write {shown}: {error}"), unseen: true }
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = aside(directory)?;
    file.write_all(bytes)?;
    // It is there to be read by another user's program.
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// A file that a collector which takes every `*.prom` leaves alone. It goes unless it is given a name.
fn aside(directory: &Path) -> std::io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".docker-test-").suffix(".tmp").tempfile_in(directory)
}

/// What a library wraps around the cause says nothing to a person, and may hold an address with a key.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
pub(crate) mod loopback;
#[cfg(test)]
pub(crate) mod tests;
