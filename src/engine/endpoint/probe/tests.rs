use std::io;
use std::path::PathBuf;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::super::discovery::Candidate;
use super::*;

const PONG: &str = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK";

/// A socket on which every connection gets `answer` for its first bytes; an empty answer leaves it waiting.
fn engine(directory: &Path, name: &str, answer: &'static str) -> PathBuf {
    let path = directory.join(name);
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _head = stream.read(&mut [0; 1024]).await;
            stream.write_all(answer.as_bytes()).await.ok();
            open.push(stream);
        }
    });
    path
}

fn candidates(paths: &[PathBuf]) -> Discovery {
    let candidates = paths
        .iter()
        .map(|path| Candidate { target: Target::Dial(Endpoint::unix(path)), origin: Origin::DefaultSocket })
        .collect();
    Discovery { candidates, explicit: paths.len() == 1, notes: Vec::new() }
}

async fn try_all(discovery: &Discovery) -> Result<Connected, ConnectError> {
    let limit = Some(Duration::from_millis(200));
    connect(discovery, &Environment::default(), Path::new("/nowhere"), limit).await
}

#[tokio::test]
async fn the_first_that_answers_is_taken_and_those_before_it_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let paths = [
        directory.path().join("absent"),
        engine(directory.path(), "silent", ""),
        engine(
            directory.path(),
            "sick",
            "HTTP/1.1 503 No\r\nContent-Length: 18\r\n\r\n{\"message\":\"busy\"}",
        ),
        engine(directory.path(), "well", PONG),
        engine(directory.path(), "unused", PONG),
    ];
    let connected = try_all(&candidates(&paths)).await.unwrap();
    assert_eq!(connected.endpoint, Endpoint::unix(&paths[3]));
    assert_eq!(connected.greeting.api_version, "1.41");
    let told: Vec<String> = connected.skipped.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3);
    assert!(told[0].contains("absent (default socket): No such file"), "{told:?}");
    assert!(told[1].ends_with("no answer within 200ms"), "{told:?}");
    assert!(told[2].ends_with("answers a ping with 503: busy"), "{told:?}");
}

#[tokio::test]
async fn when_none_answers_everything_tried_is_listed_with_a_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let mut discovery = candidates(&[directory.path().join("a"), directory.path().join("b")]);
    discovery.notes.push("CONTAINER_HOST is set".to_owned());
    let error = try_all(&discovery).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(
        text.contains("/a (default socket): No such file") && text.contains("/b (default socket)"),
        "{text}"
    );
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("apt-get install docker.io") && hint.ends_with("; CONTAINER_HOST is set"),
        "{hint}"
    );
    assert_eq!(error.category(), Category::Environment);
}

#[tokio::test]
async fn an_explicit_engine_that_is_not_there_gets_no_advice_to_install_one() {
    let error = try_all(&candidates(&[PathBuf::from("/nowhere/a.sock")])).await.unwrap_err();
    let expected = "cannot reach an engine at unix:///nowhere/a.sock (default socket): ";
    assert!(error.to_string().starts_with(expected), "{error}");
    assert!(!error.hint().unwrap().contains("install"), "{:?}", error.hint());
}

#[tokio::test]
async fn a_podman_that_does_not_start_is_one_more_attempt() {
    let candidate = Candidate {
        target: Target::StartPodman(PathBuf::from("/nowhere/podman")),
        origin: Origin::OwnPodman,
    };
    let discovery = Discovery { candidates: vec![candidate], explicit: false, notes: Vec::new() };
    let runtime = tempfile::tempdir().unwrap();
    let error = connect(&discovery, &Environment::default(), runtime.path(), None).await.unwrap_err();
    let expected =
        "cannot reach an engine at /nowhere/podman (Podman service of our own): Podman's service ended";
    assert!(error.to_string().starts_with(expected), "{error}");
    assert!(error.to_string().contains("/nowhere/podman: not found"), "{error}");
    assert!(error.hint().unwrap().contains("podman info"));
}

#[test]
fn a_socket_that_may_not_be_used_leads_to_the_docker_group() {
    let attempt = |kind: io::ErrorKind| Attempt {
        subject: "unix:///a".to_owned(),
        origin: Origin::DefaultSocket,
        error: AttemptError::Transport(TransportError::Connect {
            address: "a".to_owned(),
            source: kind.into(),
        }),
    };
    let attempts = vec![attempt(io::ErrorKind::PermissionDenied), attempt(io::ErrorKind::NotFound)];
    let error = ConnectError { attempts, explicit: false, notes: Vec::new() };
    assert!(error.hint().unwrap().contains("newgrp docker"));
}

#[tokio::test]
async fn missing_tls_files_are_the_user_s_to_mend() {
    let endpoint = Endpoint::new(Address::Tls {
        host: "localhost".to_owned(),
        port: 1,
        prefix: String::new(),
        material: super::super::TlsMaterial { ca: Some("/nowhere/ca.pem".into()), ..Default::default() },
    });
    let candidates = vec![Candidate { target: Target::Dial(endpoint), origin: Origin::HostFlag }];
    let error = try_all(&Discovery { candidates, explicit: true, notes: Vec::new() }).await.unwrap_err();
    assert_eq!(error.category(), Category::User);
    assert!(error.to_string().contains("authority /nowhere/ca.pem: No such file"), "{error}");
    assert!(error.hint().unwrap().contains("DOCKER_CERT_PATH"));
}
