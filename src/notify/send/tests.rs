use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolving};
use tokio::io::AsyncReadExt as _;

use super::loopback::{Loopback, Reply, closed_port};
use super::*;
use crate::notify::HttpRequest;

/// Knows one name.
struct OneName;

impl Resolve for OneName {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            if name.as_str() == "agent.test" {
                return Ok(Box::new([SocketAddr::from(([127, 0, 0, 1], 0))].into_iter()) as Addrs);
            }
            Err(format!("there is no {}", name.as_str()).into())
        })
    }
}

pub(crate) fn sender() -> Sender {
    Sender::new(&Environment::default(), Arc::new(OneName)).unwrap()
}

fn post(url: &str) -> Transmission {
    Transmission::Http(HttpRequest {
        method: "POST",
        url: url.to_owned(),
        headers: vec![("x-key".into(), "s3cr3t-key".to_owned())],
        body: b"body".to_vec(),
    })
}

fn datagrams(address: String) -> Transmission {
    Transmission::Datagrams { address, datagrams: vec![b"one".to_vec(), b"two".to_vec()] }
}

#[tokio::test]
async fn a_request_arrives_as_it_is_and_its_answer_comes_back() {
    let server = Loopback::start(|_, _| Reply::Answer(202, "retry-after: 5\r\n", "taken".to_owned())).await;
    let sent = sender().send(&post(&format!("{}/v2/enqueue?a=b", server.url))).await;
    let answer = Answer { status: 202, retry_after: None, body: "taken".to_owned() };
    assert_eq!(sent, Sent::Answered(answer));
    let asked = &server.asked()[0];
    assert_eq!((asked.path.as_str(), asked.body.as_str()), ("/v2/enqueue?a=b", "body"));
    assert_eq!(asked.headers["x-key"], "s3cr3t-key");
    assert!(asked.headers["user-agent"].starts_with("docker-test/"));
}

#[tokio::test]
async fn a_refusal_says_when_to_come_back_and_only_its_beginning_is_read() {
    let server = Loopback::start(|_, _| Reply::Answer(429, "retry-after: 7\r\n", "x".repeat(1 << 20))).await;
    let Sent::Answered(answer) = sender().send(&post(&server.url)).await else { panic!() };
    assert_eq!((answer.status, answer.retry_after, answer.body.len()), (429, Some(7), 4096));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_names_no_path() {
    let other = Loopback::with_status(200).await;
    let location: &'static str =
        Box::leak(format!("location: {}/path?key=hidden\r\n", other.url).into_boxed_str());
    let server = Loopback::start(move |_, _| Reply::Answer(307, location, String::new())).await;
    let Sent::Answered(answer) = sender().send(&post(&server.url)).await else { panic!() };
    assert_eq!(answer.status, 307);
    assert_eq!(answer.body, format!("a redirect to {}, which is not followed\n", other.url));
    assert!(other.asked().is_empty(), "the key went to another host");
}

#[tokio::test]
async fn what_cannot_be_reached_was_seen_by_nobody_and_what_broke_off_may_have_been() {
    let sender = sender();
    let closed = closed_port();
    let sent = sender.send(&post(&format!("{closed}/key-in-path?key=s3cr3t"))).await;
    let Sent::Failed { reason, unseen: true } = sent else { panic!("{sent:?}") };
    assert!(reason.starts_with(&format!("{closed}: ")) && reason.contains("refused"), "{reason}");
    assert!(!reason.contains("key-in-path") && !reason.contains("s3cr3t"), "{reason}");
    let sent = sender.send(&post("https://nowhere.test/key-in-path")).await;
    let Sent::Failed { reason, unseen: true } = sent else { panic!("{sent:?}") };
    assert_eq!(reason, "https://nowhere.test: there is no nowhere.test");
    let server = Loopback::start(|_, _| Reply::Reset).await;
    let sent = sender.send(&post(&format!("{}/key-in-path", server.url))).await;
    let Sent::Failed { reason, unseen: false } = sent else { panic!("{sent:?}") };
    assert!(!reason.contains("key-in-path"), "{reason}");
}

#[tokio::test]
async fn a_request_that_can_never_go_is_not_tried() {
    let sender = sender();
    for url in ["not a url", "ftp://host/x", "data:text/plain,x"] {
        let sent = sender.send(&post(url)).await;
        assert!(matches!(sent, Sent::Unsendable { .. }), "{url}: {sent:?}");
    }
    let broken = Transmission::Http(HttpRequest {
        method: "POST",
        url: "http://127.0.0.1:9/".to_owned(),
        headers: vec![("x-key".into(), "s3cr3t\nx-forged: 1".to_owned())],
        body: Vec::new(),
    });
    let Sent::Unsendable { reason } = sender.send(&broken).await else { panic!() };
    assert!(reason.contains("x-key") && !reason.contains("s3cr3t"), "{reason}");
}

#[tokio::test]
async fn a_server_without_a_certificate_of_a_known_authority_is_told_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let hello = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = vec![0; 4096];
        let count = stream.read(&mut bytes).await.unwrap();
        bytes.truncate(count);
        bytes
    });
    let sent = sender().send(&post(&format!("https://{address}/"))).await;
    assert!(matches!(sent, Sent::Failed { unseen: true, .. }), "{sent:?}");
    let hello = hello.await.unwrap();
    assert_eq!(hello[0], 22, "a handshake comes first");
    assert!(!String::from_utf8_lossy(&hello).contains("s3cr3t"));
}

#[tokio::test]
async fn datagrams_arrive_over_udp_by_address_and_by_name() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    for address in [format!("127.0.0.1:{port}"), format!("udp://agent.test:{port}")] {
        assert_eq!(sender().send(&datagrams(address)).await, Sent::Done);
        let mut bytes = [0; 16];
        for expected in ["one", "two"] {
            let count = socket.recv(&mut bytes).await.unwrap();
            assert_eq!(&bytes[..count], expected.as_bytes());
        }
    }
    let too_large = Transmission::Datagrams {
        address: format!("127.0.0.1:{port}"),
        datagrams: vec![vec![b'x'; 100_000]],
    };
    assert!(matches!(sender().send(&too_large).await, Sent::Unsendable { .. }));
    let nowhere = sender().send(&datagrams("nowhere.test:8125".to_owned())).await;
    assert!(matches!(nowhere, Sent::Failed { unseen: true, .. }), "{nowhere:?}");
    assert!(matches!(sender().send(&datagrams("nonsense".to_owned())).await, Sent::Unsendable { .. }));
}

#[tokio::test]
async fn local_sockets_take_datagrams_or_a_stream_of_messages_with_their_lengths() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("datagrams");
    let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
    for scheme in ["unix", "unixgram"] {
        assert_eq!(sender().send(&datagrams(format!("{scheme}://{}", path.display()))).await, Sent::Done);
        let mut bytes = [0; 16];
        for expected in ["one", "two"] {
            let count = socket.recv(&mut bytes).await.unwrap();
            assert_eq!(&bytes[..count], expected.as_bytes());
        }
    }
    let path = directory.path().join("stream");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    for scheme in ["unix", "unixstream"] {
        let receiving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            bytes
        };
        let transmission = datagrams(format!("{scheme}://{}", path.display()));
        let sender = sender();
        let (sent, bytes) = tokio::join!(sender.send(&transmission), receiving);
        assert_eq!(sent, Sent::Done);
        assert_eq!(bytes, b"\x03\0\0\0one\x03\0\0\0two");
    }
    let nowhere = sender().send(&datagrams("unix:///nowhere/socket".to_owned())).await;
    assert!(matches!(nowhere, Sent::Failed { unseen: true, .. }), "{nowhere:?}");
}

#[tokio::test]
async fn a_file_is_replaced_as_a_whole_and_can_be_read_by_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("probes.prom");
    std::fs::write(&path, "a longer text that was there before").unwrap();
    let file = |path: &Path| Transmission::File { path: path.to_owned(), bytes: b"new".to_vec() };
    assert_eq!(sender().send(&file(&path)).await, Sent::Done);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
    let sent = sender().send(&file(&directory.path().join("missing/probes.prom"))).await;
    assert!(matches!(sent, Sent::Failed { unseen: true, .. }), "{sent:?}");
}
