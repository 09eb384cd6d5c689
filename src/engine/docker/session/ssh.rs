//! Forwards ssh agents to the builder, byte for byte.
//!
//! Owns which agent stands behind which id, and the copying in both directions. Does not look into the agent
//! protocol: what a step may do with an agent is what the agent allows.

use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::Ssh;
use bollard_buildkit_proto::moby::sshforward::v1::{BytesMessage, CheckAgentRequest, CheckAgentResponse};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::io::ReaderStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status, Streaming};

use super::SessionError;
use super::agent::PrivateAgent;
use crate::plan::build::SshSpec;

/// The id that a mount without one means.
const DEFAULT_ID: &str = "default";
/// The metadata key under which BuildKit names the agent of a forwarded connection.
const ID_KEY: &str = "buildkit.ssh.id";

/// The agents of one build, by id.
#[derive(Debug, Default)]
pub struct SshAgents {
    sockets: BTreeMap<String, PathBuf>,
    own: Arc<Vec<PrivateAgent>>,
}

impl SshAgents {
    /// Finds the socket of every agent, and starts an agent of our own for key files.
    ///
    /// `agent_socket` is the user's agent (`SSH_AUTH_SOCK`).
    pub async fn open(specs: &[SshSpec], agent_socket: Option<&Path>) -> Result<Self, SessionError> {
        let mut sockets = BTreeMap::new();
        let mut own = Vec::new();
        for SshSpec { id, paths } in specs {
            let id = if id.is_empty() { DEFAULT_ID } else { id.as_str() };
            let socket = match paths.as_slice() {
                [] => {
                    let socket = agent_socket.ok_or_else(|| SessionError::NoAgent { id: id.to_owned() })?;
                    if !is_socket(id, socket)? {
                        let source = std::io::Error::other("it is not a socket");
                        return Err(agent_path(id, socket, source));
                    }
                    socket.to_owned()
                }
                [path] if is_socket(id, path)? => path.clone(),
                keys => {
                    for key in keys {
                        if is_socket(id, key)? {
                            return Err(SessionError::MixedAgent { id: id.to_owned() });
                        }
                    }
                    let agent = PrivateAgent::start(keys).await;
                    let agent =
                        agent.map_err(|message| SessionError::PrivateAgent { id: id.to_owned(), message })?;
                    let socket = agent.socket();
                    own.push(agent);
                    socket
                }
            };
            if sockets.insert(id.to_owned(), socket).is_some() {
                return Err(SessionError::Duplicate { kind: "ssh agent", id: id.to_owned() });
            }
        }
        Ok(Self { sockets, own: Arc::new(own) })
    }

    /// True where none was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// A share in the agents that were started here: they live as long as one share does.
    pub(super) fn keep_alive(&self) -> impl Send + 'static {
        Arc::clone(&self.own)
    }

    fn socket(&self, id: &str) -> Result<&Path, Status> {
        let id = if id.is_empty() { DEFAULT_ID } else { id };
        let socket = self.sockets.get(id);
        socket
            .map(PathBuf::as_path)
            .ok_or_else(|| Status::not_found(format!("no ssh agent `{id}` was given")))
    }
}

fn is_socket(id: &str, path: &Path) -> Result<bool, SessionError> {
    let metadata = std::fs::metadata(path).map_err(|source| agent_path(id, path, source))?;
    Ok(metadata.file_type().is_socket())
}

fn agent_path(id: &str, path: &Path, source: std::io::Error) -> SessionError {
    SessionError::AgentPath { id: id.to_owned(), path: path.to_owned(), source }
}

#[tonic::async_trait]
impl Ssh for SshAgents {
    async fn check_agent(
        &self,
        request: Request<CheckAgentRequest>,
    ) -> Result<Response<CheckAgentResponse>, Status> {
        self.socket(&request.get_ref().id)?;
        Ok(Response::new(CheckAgentResponse {}))
    }

    type ForwardAgentStream = FromAgent;

    async fn forward_agent(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<FromAgent>, Status> {
        let id = request.metadata().get(ID_KEY).and_then(|id| id.to_str().ok()).unwrap_or_default();
        let socket = self.socket(id)?;
        let connection = UnixStream::connect(socket).await;
        let connection = connection
            .map_err(|error| Status::unavailable(format!("the ssh agent does not answer: {error}")))?;
        let (from_agent, to_agent) = connection.into_split();
        let writer = tokio::spawn(copy_to_agent(request.into_inner(), to_agent));
        Ok(Response::new(FromAgent {
            bytes: ReaderStream::new(from_agent),
            _writer: AbortOnDropHandle::new(writer),
        }))
    }
}

/// The next message is taken only after the last one was written, so a slow agent slows the builder down. When the
/// builder has no more to say, the agent is told so and may still finish its answer.
async fn copy_to_agent<M>(mut messages: M, mut agent: OwnedWriteHalf)
where
    M: Stream<Item = Result<BytesMessage, Status>> + Unpin,
{
    while let Some(Ok(message)) = messages.next().await {
        if agent.write_all(&message.data).await.is_err() {
            break;
        }
    }
    // Dropping the half shuts it down in any case; the reading side tells the builder how it ended.
    drop(agent.shutdown().await);
}

/// What the agent says. Read only as fast as the builder takes it; dropping it ends the copying both ways.
#[derive(Debug)]
pub struct FromAgent {
    bytes: ReaderStream<OwnedReadHalf>,
    _writer: AbortOnDropHandle<()>,
}

impl Stream for FromAgent {
    type Item = Result<BytesMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let message = |bytes: Bytes| BytesMessage { data: bytes.into() };
        let failed = |error: std::io::Error| Status::unavailable(format!("the ssh agent went away: {error}"));
        self.bytes.poll_next_unpin(context).map(|next| next.map(|read| read.map(message).map_err(failed)))
    }
}
