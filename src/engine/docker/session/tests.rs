use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bollard_buildkit_proto::health::HealthCheckRequest;
use bollard_buildkit_proto::health::health_client::HealthClient;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::GetSecretRequest;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_client::SecretsClient;
use bollard_buildkit_proto::moby::filesync::v1::auth_client::AuthClient;
use bollard_buildkit_proto::moby::filesync::v1::{CredentialsRequest, FetchTokenRequest};
use bollard_buildkit_proto::moby::sshforward::v1::ssh_client::SshClient;
use bollard_buildkit_proto::moby::sshforward::v1::{BytesMessage, CheckAgentRequest};
use futures_util::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::UnixListener;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Request};

use super::auth::RegistryLogin;
use super::*;
use crate::plan::build::{SecretSource, SecretSpec, SshSpec};

/// Plays the builder: the one who calls on the session's connection.
struct Builder(Option<DuplexStream>);

impl tower_service::Service<Uri> for Builder {
    type Response = TokioIo<DuplexStream>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let stream = self.0.take().ok_or_else(|| std::io::Error::other("one connection only"));
        Box::pin(async move { stream.map(TokioIo::new) })
    }
}

async fn connected(services: SessionServices) -> (Channel, SessionHandle) {
    let (near, far) = tokio::io::duplex(16 * 1024);
    let handle = Session::new(services).unwrap().serve(near);
    let endpoint = Endpoint::from_static("http://session");
    let channel = endpoint.connect_with_connector(Builder(Some(far))).await.unwrap();
    (channel, handle)
}

async fn agents(listener: &std::path::Path) -> SshAgents {
    SshAgents::open(&[SshSpec { id: "own".into(), paths: vec![listener.into()] }], None).await.unwrap()
}

fn forward<S>(messages: S) -> Request<S> {
    let mut request = Request::new(messages);
    request.metadata_mut().insert("buildkit.ssh.id", "own".parse().unwrap());
    request
}

fn bytes(data: &[u8]) -> BytesMessage {
    BytesMessage { data: data.to_vec() }
}

#[tokio::test]
async fn the_session_says_that_it_is_healthy_and_goes_on_saying_so() {
    let (channel, _handle) = connected(SessionServices::default()).await;
    let mut client = HealthClient::new(channel);
    let request = HealthCheckRequest { service: String::new() };
    assert_eq!(client.check(request.clone()).await.unwrap().get_ref().status, 1);
    let mut watch = client.watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
    let more = tokio::time::timeout(Duration::from_millis(200), watch.message()).await;
    assert!(more.is_err(), "the watch ended");
}

#[tokio::test]
async fn credentials_are_answered_and_tokens_are_left_to_the_builder() {
    let mut logins = RegistryLogins::default();
    logins.insert("docker.io", RegistryLogin::Password { username: "user".into(), password: "word".into() });
    logins.insert("quay.io", RegistryLogin::IdentityToken("token".into()));
    let (channel, _handle) = connected(SessionServices { logins, ..SessionServices::default() }).await;
    let mut client = AuthClient::new(channel);
    let cases =
        [("registry-1.docker.io", "user", "word"), ("quay.io", "", "token"), ("other.example", "", "")];
    for (host, username, secret) in cases {
        let answer = client.credentials(CredentialsRequest { host: host.into() }).await.unwrap().into_inner();
        assert_eq!((answer.username.as_str(), answer.secret.as_str()), (username, secret), "{host}");
    }
    let refused = client.fetch_token(FetchTokenRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
}

#[tokio::test]
async fn secrets_travel_as_bytes() {
    let environment = |name: &str| (name == "TOKEN").then(|| "swordfish\n".into());
    let spec = SecretSpec { id: "token".into(), source: SecretSource::Environment("TOKEN".into()) };
    let secrets = Secrets::new(&[spec], &environment).unwrap();
    let (channel, _handle) = connected(SessionServices { secrets, ..SessionServices::default() }).await;
    let mut client = SecretsClient::new(channel);
    let ask = |id: &str| GetSecretRequest { id: id.into(), ..GetSecretRequest::default() };
    assert_eq!(client.get_secret(ask("token")).await.unwrap().get_ref().data, b"swordfish\n");
    assert_eq!(client.get_secret(ask("other")).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn an_agent_may_answer_after_the_builder_has_said_its_last_word() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("agent");
    let listener = UnixListener::bind(&socket).unwrap();
    let agent = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        stream.read_to_end(&mut asked).await.unwrap();
        stream.write_all(&asked).await.unwrap();
    });
    let ssh = agents(&socket).await;
    let (channel, _handle) = connected(SessionServices { ssh, ..SessionServices::default() }).await;
    let mut client = SshClient::new(channel);
    client.check_agent(CheckAgentRequest { id: "own".into() }).await.unwrap();
    let unknown = client.check_agent(CheckAgentRequest { id: "other".into() }).await.unwrap_err();
    assert_eq!((unknown.code(), unknown.message()), (Code::NotFound, "no ssh agent `other` was given"));
    let sent = vec![bytes(b"one "), bytes(&[b'x'; 100_000]), bytes(b" two")];
    let answer = client.forward_agent(forward(stream::iter(sent))).await.unwrap().into_inner();
    let answer: Vec<u8> = answer.map(|message| message.unwrap().data).concat().await;
    assert!(answer.starts_with(b"one x") && answer.ends_with(b"x two") && answer.len() == 100_008);
    agent.await.unwrap();
}

#[tokio::test]
async fn an_agent_that_does_not_read_slows_the_builder_down() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("agent");
    let listener = UnixListener::bind(&socket).unwrap();
    let ssh = agents(&socket).await;
    let (channel, handle) = connected(SessionServices { ssh, ..SessionServices::default() }).await;
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&sent);
    let endless = stream::repeat_with(move || {
        counter.fetch_add(32, std::sync::atomic::Ordering::Relaxed);
        bytes(&vec![0; 32 * 1024])
    });
    let mut client = SshClient::new(channel);
    let call = tokio::spawn(async move { client.forward_agent(forward(endless)).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let kib = sent.load(std::sync::atomic::Ordering::Relaxed);
    assert!((32..16 * 1024).contains(&kib), "{kib} KiB were taken");
    drop(handle);
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection to the agent outlives the session");
    call.abort();
}

#[tokio::test]
async fn a_session_ends_when_the_builder_leaves() {
    let (near, far) = tokio::io::duplex(1024);
    let handle = Session::new(SessionServices::default()).unwrap().serve(near);
    assert!(!handle.is_closed());
    drop(far);
    let closed = async {
        while !handle.is_closed() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), closed).await.unwrap();
}

#[tokio::test]
async fn paths_that_are_no_agent_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let (socket, file) = (directory.path().join("agent"), directory.path().join("file"));
    let _listener = UnixListener::bind(&socket).unwrap();
    std::fs::write(&file, "no key").unwrap();
    let open = |paths: Vec<std::path::PathBuf>, user: Option<std::path::PathBuf>| async move {
        let specs = [SshSpec { id: String::new(), paths }];
        SshAgents::open(&specs, user.as_deref()).await.map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(open(vec![], None).await, "no ssh agent to forward as `default`: SSH_AUTH_SOCK is not set");
    assert_eq!(
        open(vec![file.clone(), socket.clone()], None).await,
        "the ssh agent `default` takes one socket or several keys, not both"
    );
    assert!(open(vec![], Some(file.clone())).await.starts_with("cannot use "));
    assert!(open(vec![directory.path().join("none")], None).await.starts_with("cannot use "));
    assert!(open(vec![file], None).await.starts_with("cannot start an ssh agent for `default`: ssh-add "));
    let twice = [
        SshSpec { id: "a".into(), paths: vec![socket.clone()] },
        SshSpec { id: "a".into(), paths: vec![socket] },
    ];
    let twice = SshAgents::open(&twice, None).await.unwrap_err();
    assert_eq!(twice.to_string(), "the ssh agent `a` is given twice");
}

#[test]
fn ssh_is_offered_only_where_there_is_an_agent_and_every_session_has_its_own_id() {
    let session = Session::new(SessionServices::default()).unwrap();
    let headers = session.headers();
    assert!(headers.contains(&("upgrade", "h2c".to_owned())));
    let methods: Vec<_> = headers
        .iter()
        .filter(|(name, _)| *name == "x-docker-expose-session-grpc-method")
        .map(|(_, method)| method.as_str())
        .collect();
    assert!(methods.contains(&"/moby.buildkit.secrets.v1.Secrets/GetSecret"));
    assert!(!methods.iter().any(|method| method.contains("sshforward")));
    let other = Session::new(SessionServices::default()).unwrap();
    assert!(session.id().len() == 32 && session.id() != other.id());
}
