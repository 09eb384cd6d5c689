use std::path::Path;

use ::http::{Method, Request};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::*;

/// A server that answers each connection's requests with `answers`, one after another, then echoes what comes.
/// Gives the requests' heads, one list for a connection.
fn serve(
    path: &Path,
    answers: &'static [&'static str],
) -> tokio::sync::mpsc::UnboundedReceiver<(u32, String)> {
    let listener = UnixListener::bind(path).unwrap();
    let (tell, heads) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        for connection in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let tell = tell.clone();
            tokio::spawn(async move {
                for answer in answers {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match stream.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    tell.send((connection, String::from_utf8(head).unwrap())).ok();
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
                let (mut read, mut write) = stream.into_split();
                tokio::io::copy(&mut read, &mut write).await.ok();
            });
        }
    });
    heads
}

fn client(path: &Path) -> HttpClient {
    HttpClient::new(&Endpoint::unix(path), &Environment::default()).unwrap()
}

const SWITCHED: &str = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly ";
const REFUSAL: &str = "HTTP/1.1 409 Conflict\r\nContent-Length: 28\r\n\r\n{\"message\":\"not running, a\"}";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";

#[tokio::test]
async fn requests_share_a_connection_and_path_and_query_arrive_intact() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("a.sock");
    let mut heads = serve(&socket, &[OK, OK]);
    let client = client(&socket);
    let path = "/v1.41/containers/json?filters=%7B%22a%22%3A%5B%22b%20c%22%5D%7D&all=true";
    for _ in 0..2 {
        let answer = client.get(path, 10).await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"OK"[..]));
    }
    for expected in [0, 0] {
        let (connection, head) = heads.recv().await.unwrap();
        assert_eq!(connection, expected);
        assert!(head.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{head}");
        assert!(head.to_ascii_lowercase().contains("\r\nhost: localhost\r\n"), "{head}");
    }
}

#[tokio::test]
async fn an_upgrade_gives_a_stream_that_can_be_half_closed() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("a.sock");
    let mut heads = serve(&socket, &[SWITCHED]);
    let client = client(&socket);
    let mut stream =
        client.upgrade(Method::POST, "/a?b=c", &[("upgrade", "h2c"), ("x-a", "1")]).await.unwrap();
    stream.write_all(b"late").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "early late");
    let head = heads.recv().await.unwrap().1.to_ascii_lowercase();
    for expected in
        ["post /a?b=c http/1.1\r\n", "\r\nupgrade: h2c\r\n", "\r\nconnection: upgrade\r\n", "\r\nx-a: 1\r\n"]
    {
        assert!(head.contains(expected), "{expected} in {head}");
    }
    assert_eq!(head.matches("upgrade:").count(), 1, "{head}");
}

#[tokio::test]
async fn a_declined_upgrade_tells_the_engine_s_words() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("a.sock");
    let _heads = serve(&socket, &[REFUSAL]);
    let error = client(&socket).upgrade(Method::POST, "/a/attach?b=c", &[]).await.err().unwrap();
    let expected = format!("unix://{} answered POST /a/attach with 409: not running, a", socket.display());
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_connection_that_breaks_names_the_request_and_a_dead_socket_the_cause() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("a.sock");
    let error = client(&socket).get("/_ping", 10).await.unwrap_err();
    assert!(
        matches!(&error, TransportError::Connect { source, .. } if source.kind() == io::ErrorKind::NotFound)
    );
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _part = stream.read_u8().await;
        }
    });
    let error = client(&socket).get("/_ping?x", 10).await.unwrap_err();
    assert!(error.to_string().ends_with("in GET /_ping"), "{error}");
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("a.sock");
    let _heads = serve(&socket, &[OK]);
    assert!(client(&socket).get("/", 1).await.is_err());
}

#[tokio::test]
async fn a_path_in_the_address_comes_before_every_path_and_a_foreign_host_is_replaced() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 4096];
        let size = stream.read(&mut head).await.unwrap();
        stream.write_all(OK.as_bytes()).await.unwrap();
        String::from_utf8(head[..size].to_vec()).unwrap()
    });
    let endpoint = Endpoint::parse(&format!("tcp://127.0.0.1:{port}/engine/"), None).unwrap();
    let client = HttpClient::new(&endpoint, &Environment::default()).unwrap();
    let request =
        Request::post("http://elsewhere/v1/a?b").header("host", "x").body(Full::new(Bytes::from("12")));
    let answer = client.request(request.unwrap()).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "OK");
    let head = server.await.unwrap();
    assert!(head.starts_with("POST /engine/v1/a?b HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: 127.0.0.1:{port}\r\n")) && !head.contains("host: x"), "{head}");
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_named() {
    // `invalid` is reserved: no server knows it.
    let endpoint = Endpoint::parse("tcp://engine.invalid", None).unwrap();
    let request = Request::get("/").body(Empty::<Bytes>::new()).unwrap();
    let client = HttpClient::new(&endpoint, &Environment::default()).unwrap();
    let Ok(answer) = tokio::time::timeout(std::time::Duration::from_secs(20), client.request(request)).await
    else {
        return;
    };
    let error = crate::error::Failure::from(answer.unwrap_err()).to_string();
    assert!(error.contains("cannot resolve the name engine.invalid"), "{error}");
}

#[test]
fn common_failures_come_with_advice() {
    let table = [
        ("Client sent an HTTP request to an HTTPS server.", "wants TLS"),
        ("received corrupt message of type InvalidContentType", "does not speak TLS"),
        ("invalid peer certificate: UnknownIssuer", "ca.pem"),
        ("received fatal alert: CertificateRequired", "client certificate"),
        ("ssh ended with code 255: Host key verification failed.", "plain `ssh`"),
        ("ada@h: Permission denied (publickey).", "ssh-add"),
        ("ssh ended with code 127: sh: 1: podman: not found", "`docker` or `podman`"),
    ];
    for (message, expected) in table {
        let error = TransportError::Connect { address: "a".into(), source: io::Error::other(message) };
        assert!(error.hint().unwrap().contains(expected), "{message}");
    }
    let denied =
        TransportError::Connect { address: "a".into(), source: io::ErrorKind::PermissionDenied.into() };
    assert!(denied.hint().unwrap().contains("newgrp docker"));
    let other = TransportError::Connect { address: "a".into(), source: io::Error::other("?") };
    assert_eq!(other.hint(), None);
}
