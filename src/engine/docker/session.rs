//! The BuildKit session: what the builder may ask of us while it builds.
//!
//! Owns the gRPC server on the hijacked connection (registry logins, secrets, ssh agents, files of the context,
//! health) and its life. Chooses no files: the caller offers them. Values of secrets never reach an error, a log or
//! `Debug`.

mod agent;
pub mod auth;
pub mod files;
mod health;
pub mod secrets;
pub mod ssh;

use std::convert::Infallible;
use std::fmt::Write as _;
use std::path::PathBuf;

use bollard_buildkit_proto::health::health_server::HealthServer;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::SecretsServer;
use bollard_buildkit_proto::moby::filesync::v1::auth_server::AuthServer;
use bollard_buildkit_proto::moby::filesync::v1::file_sync_server::FileSyncServer;
use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::SshServer;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::AbortOnDropHandle;
use tonic::service::Routes;

use crate::error::{Category, Diagnose};
use auth::RegistryLogins;
use files::SyncedDirectories;
use secrets::Secrets;
use ssh::SshAgents;

/// What a session could not be opened with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A secret's file is not there, or is no file that can be read.
    #[error("cannot read the secret `{id}` from {}", path.display())]
    SecretUnreadable {
        /// Id of the secret.
        id: String,
        /// Where it was to be read.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A secret is larger than builders accept.
    #[error("the secret `{id}` is larger than 500 KiB")]
    SecretTooLarge {
        /// Id of the secret.
        id: String,
    },
    /// Two secrets or two ssh agents bear the same id.
    #[error("the {kind} `{id}` is given twice")]
    Duplicate {
        /// `secret` or `ssh agent`.
        kind: &'static str,
        /// The id.
        id: String,
    },
    /// `--ssh` names no agent or keys, and no agent runs.
    #[error("no ssh agent to forward as `{id}`: SSH_AUTH_SOCK is not set")]
    NoAgent {
        /// Id of the agent.
        id: String,
    },
    /// A path given to `--ssh` is neither a socket nor a readable key.
    #[error("cannot use {} for the ssh agent `{id}`", path.display())]
    AgentPath {
        /// Id of the agent.
        id: String,
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A socket was given together with other paths.
    #[error("the ssh agent `{id}` takes one socket or several keys, not both")]
    MixedAgent {
        /// Id of the agent.
        id: String,
    },
    /// The agent that holds the key files of one `--ssh` could not be started.
    #[error("cannot start an ssh agent for `{id}`: {message}")]
    PrivateAgent {
        /// Id of the agent.
        id: String,
        /// Why.
        message: String,
    },
    /// The system's source of random numbers failed, so the session has no id.
    #[error("cannot make a session id: no random numbers")]
    NoRandom,
}

impl Diagnose for SessionError {
    fn category(&self) -> Category {
        match self {
            Self::NoRandom => Category::Environment,
            _ => Category::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoAgent { .. } => Some(
                "start one with `eval $(ssh-agent)` and `ssh-add`, or name a key: `--ssh default=PATH`"
                    .into(),
            ),
            Self::PrivateAgent { .. } => Some(
                "load the key into an agent of your own (`ssh-add PATH`) and pass `--ssh default`".into(),
            ),
            Self::SecretTooLarge { .. } => Some("copy large files with COPY or a bind mount instead".into()),
            _ => None,
        }
    }
}

/// Everything that the builder can ask for.
#[derive(Debug, Default)]
pub struct SessionServices {
    /// Registry logins for base images.
    pub logins: RegistryLogins,
    /// For `RUN --mount=type=secret`.
    pub secrets: Secrets,
    /// For `RUN --mount=type=ssh`.
    pub ssh: SshAgents,
    /// Context and Dockerfile, where they are not uploaded with the build call.
    pub files: SyncedDirectories,
}

/// A session that is not connected yet.
#[derive(Debug)]
pub struct Session {
    id: String,
    services: SessionServices,
}

impl Session {
    /// A session with an id of its own. One session serves one build.
    pub fn new(services: SessionServices) -> Result<Self, SessionError> {
        Ok(Self { id: fresh_id()?, services })
    }

    /// What the build call names it by.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The headers of the `POST /session` call that turns its connection into this session, but for `Connection`.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("upgrade", "h2c".to_owned()),
            ("x-docker-expose-session-uuid", self.id.clone()),
            ("x-docker-expose-session-name", "docker-test".to_owned()),
            // BuildKit keeps what it was sent under this key, and next time asks only for files whose size or time
            // changed. Two versions of a file can agree in both, so nothing is shared between builds.
            ("x-docker-expose-session-sharedkey", self.id.clone()),
        ];
        headers
            .extend(self.methods().into_iter().map(|method| ("x-docker-expose-session-grpc-method", method)));
        headers
    }

    /// Without an agent the ssh service is not offered at all: only then does BuildKit say that no key was
    /// forwarded, and skip mounts that are not required.
    fn methods(&self) -> Vec<String> {
        let mut methods = vec![
            "/grpc.health.v1.Health/Check",
            "/grpc.health.v1.Health/Watch",
            "/moby.filesync.v1.Auth/Credentials",
            "/moby.buildkit.secrets.v1.Secrets/GetSecret",
        ];
        if !self.services.ssh.is_empty() {
            methods.extend(["/moby.sshforward.v1.SSH/CheckAgent", "/moby.sshforward.v1.SSH/ForwardAgent"]);
        }
        if !self.services.files.is_empty() {
            methods.push("/moby.filesync.v1.FileSync/DiffCopy");
        }
        methods.into_iter().map(str::to_owned).collect()
    }

    /// Answers the builder on the hijacked connection until it closes or the handle is dropped.
    pub fn serve<S>(self, stream: S) -> SessionHandle
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let SessionServices { logins, secrets, ssh, files } = self.services;
        let mut routes = Routes::new(HealthServer::new(health::Serving))
            .add_service(AuthServer::new(auth::Logins(logins)))
            .add_service(SecretsServer::new(secrets));
        let agents = ssh.keep_alive();
        if !ssh.is_empty() {
            routes = routes.add_service(SshServer::new(ssh));
        }
        if !files.is_empty() {
            routes = routes.add_service(FileSyncServer::new(files));
        }
        let routes = routes.prepare();
        let service = hyper::service::service_fn(move |request| {
            let mut routes = routes.clone();
            async move {
                let response = tower_service::Service::call(&mut routes, request).await;
                Ok::<_, Infallible>(response.unwrap_or_else(|never| match never {}))
            }
        });
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service);
        let task = tokio::spawn(async move {
            // The builder closes the connection when it is done with it, and says so as an error or not depending
            // on its version: either way the build call tells how the build ended.
            drop(connection.await);
            drop(agents);
        });
        SessionHandle { task: AbortOnDropHandle::new(task) }
    }
}

/// A session being served. Dropping it closes the connection and ends the agents started for it.
#[derive(Debug)]
pub struct SessionHandle {
    task: AbortOnDropHandle<()>,
}

impl SessionHandle {
    /// True once the builder has closed the session.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.task.is_finished()
    }
}

/// 128 random bits in hexadecimal: unique, and not to be guessed by another client of the same engine, which could
/// otherwise name the session in a build of its own and read the secrets.
pub(super) fn fresh_id() -> Result<String, SessionError> {
    let mut bytes = [0_u8; 16];
    let provider = rustls::crypto::ring::default_provider();
    provider.secure_random.fill(&mut bytes).map_err(|_| SessionError::NoRandom)?;
    Ok(bytes.iter().fold(String::with_capacity(32), |mut id, byte| {
        // Writing to a string cannot fail.
        let _ = write!(id, "{byte:02x}");
        id
    }))
}

#[cfg(test)]
mod tests;
