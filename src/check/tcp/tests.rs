use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::check::tests::{SECRET, assert_hidden, look, look_hiding};

/// Answers each connection: `greeting` in pieces, then what it heard, in upper case.
async fn server(greeting: &'static [&'static str]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            for piece in greeting {
                stream.write_all(piece.as_bytes()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let mut buffer = [0; 64];
            if let Ok(size @ 1..) = stream.read(&mut buffer).await {
                buffer.make_ascii_uppercase();
                let _gone = stream.write_all(&buffer[..size]).await;
            }
        }
    });
    address
}

#[tokio::test]
async fn a_connection_is_enough_where_nothing_is_expected() {
    let address = server(&[]).await;
    let seen = look(json!({"tcp": address.to_string()})).await;
    assert_eq!(seen.state, State::Ok);
    assert!(seen.summary.starts_with(&format!("{address} accepts connections, in ")), "{}", seen.summary);
    assert_eq!(seen.measurements[0].name, "time");
    let named = look(json!({"tcp": format!("localhost:{}", address.port())})).await;
    assert_eq!(named.state, State::Ok, "{}", named.summary);
}

#[tokio::test]
async fn a_refused_connection_is_critical() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let seen = look(json!({"tcp": address.to_string()})).await;
    assert_eq!(seen.state, State::Critical);
    assert_eq!(seen.summary, format!("expected a connection to {address}, got connection refused"));
}

#[tokio::test]
async fn a_banner_that_comes_in_pieces_is_heard() {
    let address = server(&["22", "0 mail.example", ".org\r\n"]).await.to_string();
    let seen = look(json!({"tcp": {"address": address, "expect": {"matches": "^220 [a-z.]+\r\n"}}})).await;
    assert_eq!((seen.state, seen.output.as_str()), (State::Ok, "220 mail.example.org\r\n"));
}

#[tokio::test]
async fn what_is_sent_is_answered() {
    let address = server(&[]).await.to_string();
    let seen = look(json!({"tcp": {"address": address, "send": "ping\r\n", "expect": "PING\r\n"}})).await;
    assert_eq!(seen.state, State::Ok, "{}", seen.summary);
}

#[tokio::test]
async fn another_banner_is_quoted() {
    let address = server(&["554 no\r\n"]).await.to_string();
    let seen = look(json!({"tcp": {"address": address, "send": "x", "expect": "220"}})).await;
    assert_eq!(seen.state, State::Critical);
    assert_eq!(seen.summary, r"expected a banner that contains `220`, got `554 no\r\nX`");
}

#[tokio::test]
async fn a_server_that_never_stops_talking_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    });
    let seen = look(json!({"tcp": {"address": address, "expect": "220"}})).await;
    assert_eq!(seen.state, State::Critical);
    assert!(seen.output.len() <= LONGEST_OUTPUT);
}

#[tokio::test]
async fn a_banner_that_is_cut_has_no_part_of_a_secret() {
    for (fill, within) in [(LONGEST_OUTPUT, 20), (LONGEST_OUTPUT, 39), (60, 20), (60, 39)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let banner = format!("{}{SECRET}", "x".repeat(fill - within));
            stream.write_all(banner.as_bytes()).await.unwrap();
        });
        let seen = look_hiding(json!({"tcp": {"address": address, "expect": "220"}})).await;
        assert_eq!(seen.state, State::Critical);
        assert_hidden(&seen);
        assert!(seen.output.ends_with("x***"), "{seen:?}");
    }
}

#[test]
fn an_address_has_a_host_and_a_port() {
    for (text, host, port) in
        [("a.b:1", "a.b", 1), ("1.2.3.4:65535", "1.2.3.4", 65_535), ("[::1]:25", "::1", 25)]
    {
        assert_eq!(host_and_port(text), Some((host.to_owned(), port)));
    }
    for text in ["a", ":1", "a:", "a:65536", "a:-1", "::1", "[a]:1", "[::1:25", "http://a:1", "u@a:1"] {
        assert_eq!(host_and_port(text), None, "{text}");
    }
}
