//! Bytes to and from an engine: one dialer for every kind of address, and HTTP over it.
//!
//! Owns connections: sockets, names, TLS, ssh, the pool, upgrades. Knows nothing of the engine's API; the one function
//! that hands a connection to the API client is in [`bollard`].

pub mod bollard;
mod http;
mod ssh;
mod tcp;
mod tls;

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;

pub(in crate::engine) use self::http::refusal;
pub use self::http::{BoxError, HttpClient};
pub(in crate::engine) use self::tls::client_config as tls_client_config;
pub use self::tls::{TlsError, unverified};

use crate::engine::endpoint::{Address, Endpoint};
use crate::environment::Environment;
use crate::error::{Category, Diagnose};
use crate::names::Resolver;

/// A connection in both directions, whatever carries it.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A dialled connection. Dropping it closes it, and ends the `ssh` process behind it.
pub type Stream = Box<dyn Duplex>;

/// Why an exchange with the engine did not come about. Says nothing about what the engine answered, but for an
/// upgrade that it declined.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The files for TLS cannot be used.
    #[error("cannot set up TLS to {address}")]
    Tls {
        /// The engine.
        address: String,
        /// What is wrong.
        source: TlsError,
    },
    /// No connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// The engine.
        address: String,
        /// What was seen.
        source: io::Error,
    },
    /// The connection broke, or what came over it was not HTTP.
    #[error("lost {address} in {method} {path}")]
    Exchange {
        /// The engine.
        address: String,
        /// HTTP method.
        method: String,
        /// Path without its query.
        path: String,
        /// What was seen.
        source: io::Error,
    },
    /// The engine answered a request for an upgrade with something else.
    #[error("{address} answered {method} {path} with {status}: {message}")]
    Declined {
        /// The engine.
        address: String,
        /// HTTP method.
        method: String,
        /// Path without its query.
        path: String,
        /// HTTP status.
        status: u16,
        /// The engine's own words.
        message: String,
    },
}

impl TransportError {
    fn source_text(&self) -> String {
        match self {
            Self::Tls { source, .. } => source.to_string(),
            Self::Connect { source, .. } | Self::Exchange { source, .. } => source.to_string(),
            Self::Declined { message, .. } => message.clone(),
        }
    }

    /// True where the operating system refused access to a socket.
    #[must_use]
    pub fn is_permission_denied(&self) -> bool {
        matches!(self, Self::Connect { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
}

impl Diagnose for TransportError {
    fn category(&self) -> Category {
        match self {
            Self::Tls { .. } => Category::User,
            _ => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        if self.is_permission_denied() {
            return Some(
                "let your user use the socket: `sudo usermod -aG docker \"$USER\"`, then `newgrp docker` or log in again"
                    .to_owned(),
            );
        }
        if let Self::Tls { source, .. } = self {
            return source.hint().map(str::to_owned);
        }
        hint_for(&self.source_text()).map(str::to_owned)
    }
}

/// What rustls, ssh and Go's HTTP server say when something common is wrong, and what helps.
pub(in crate::engine) fn hint_for(message: &str) -> Option<&'static str> {
    let table: [(&[&str], &str); 10] = [
        (
            &["HTTP request to an HTTPS server"],
            "this engine wants TLS: set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, or give --tlsverify",
        ),
        (
            &["InvalidContentType", "corrupt message"],
            "this engine does not speak TLS: unset DOCKER_TLS_VERIFY and DOCKER_TLS, or use its TLS port",
        ),
        (
            &["UnknownIssuer"],
            "the engine's certificate was not made by the given authority: check ca.pem in DOCKER_CERT_PATH",
        ),
        (
            &["not valid for name", "NotValidForName"],
            "the engine's certificate is for another name: use that name, or make one with this name or IP in it",
        ),
        (
            &["CertificateRequired", "BadCertificate", "UnknownCA", "CertificateUnknown"],
            "this engine wants a client certificate that it knows: check cert.pem and key.pem in DOCKER_CERT_PATH, or --tlscert and --tlskey",
        ),
        (&["Host key verification failed"], "connect once with plain `ssh` to accept the host's key"),
        (
            &["Permission denied (", "Too many authentication failures"],
            "log in with a key that needs no typing: `ssh-add`, then `ssh HOST true` must work without a prompt",
        ),
        (
            &["permission denied while trying to connect"],
            "the login on that machine may not use its engine: add it to the docker group there",
        ),
        (
            &["unable to connect to Podman socket"],
            "start Podman's socket on that machine: `systemctl enable --now podman.socket`, with --user for a user's",
        ),
        (
            &["command not found", "not found"],
            "the machine at the other end needs `docker` or `podman` in the PATH of a non-interactive login",
        ),
    ];
    table
        .iter()
        .find(|(phrases, _)| phrases.iter().any(|phrase| message.contains(phrase)))
        .map(|(_, hint)| *hint)
}

/// Makes connections to one endpoint. What is costly to make (TLS files read, the resolver) is made once.
pub struct Dialer {
    endpoint: Endpoint,
    tls: Option<Arc<rustls::ClientConfig>>,
    ssh: Option<ssh::Ssh>,
    resolver: Resolver,
}

impl Dialer {
    /// Reads TLS files; dials nothing yet.
    pub fn new(endpoint: &Endpoint, env: &Environment) -> Result<Self, TransportError> {
        let tls = match endpoint.address() {
            Address::Tls { material, .. } => {
                let config = tls::client_config(material, env)
                    .map_err(|source| TransportError::Tls { address: endpoint.to_string(), source })?;
                Some(Arc::new(config))
            }
            _ => None,
        };
        let ssh = match endpoint.address() {
            Address::Ssh { user, host, port, path } => {
                Some(ssh::Ssh::new(user.as_deref(), host, *port, path.as_deref(), env))
            }
            _ => None,
        };
        Ok(Self { endpoint: endpoint.clone(), tls, ssh, resolver: Resolver::default() })
    }

    /// Where it connects to.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Makes a new connection, ready for HTTP.
    pub async fn dial(&self) -> io::Result<Stream> {
        match (self.endpoint.address(), &self.tls, &self.ssh) {
            (Address::Unix(path), _, _) => Ok(Box::new(UnixStream::connect(path).await?)),
            (Address::Tls { host, port, .. }, Some(config), _) => {
                let name = tls::server_name(host)?;
                let stream = tcp::connect(&self.resolver, host, *port).await?;
                let connector = TlsConnector::from(Arc::clone(config));
                Ok(Box::new(connector.connect(name, stream).await?))
            }
            (Address::Tcp { host, port, .. }, _, _) => {
                Ok(Box::new(tcp::connect(&self.resolver, host, *port).await?))
            }
            (Address::Ssh { .. }, _, Some(ssh)) => ssh.dial().await,
            // `new` makes what an address needs.
            (Address::Tls { .. } | Address::Ssh { .. }, _, _) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// Makes one connection to an endpoint.
pub async fn dial(endpoint: &Endpoint, env: &Environment) -> Result<Stream, TransportError> {
    let dialer = Dialer::new(endpoint, env)?;
    dialer.dial().await.map_err(|source| TransportError::Connect { address: endpoint.to_string(), source })
}

#[cfg(test)]
mod tests;
