mod server;

use serde_json::{Value, json};
use server::{Server, answer};

use super::*;
use crate::check::tests::{SECRET, assert_hidden, look, look_hiding};

fn at(server: &Server, path: &str, expect: &Value) -> Value {
    json!({"http": {"url": server.url(path), "expect": expect}})
}

fn measured(seen: &Observation, name: &str) -> f64 {
    seen.measurements.iter().find(|it| it.name == name).unwrap().value
}

#[tokio::test]
async fn any_status_of_success_is_ok_where_nothing_is_expected() {
    let server = Server::plain(|_| answer(204, "", "")).await;
    let seen = look(json!({"http": server.url("/health")})).await;
    assert_eq!(seen.state, State::Ok);
    assert!(seen.summary.starts_with("status 204 in "), "{}", seen.summary);
    assert_eq!(measured(&seen, "status").to_bits(), 204.0_f64.to_bits());
    assert!(measured(&seen, "time") >= measured(&seen, "time_to_header"));
    let request = server.requests().remove(0);
    assert!(request.starts_with("GET /health HTTP/1.1\r\n") && request.contains("user-agent: docker-test/"));
}

#[tokio::test]
async fn method_headers_and_body_are_sent_as_they_are_given() {
    let server = Server::plain(|_| answer(201, "", "")).await;
    let check = json!({"http": {"url": server.url("/orders?dry=1"), "method": "post", "body": "{\"a\": 1}",
                                "headers": {"Content-Type": "application/json", "Authorization": "Bearer t0ken"}}});
    assert_eq!(look(check).await.state, State::Ok);
    let request = server.requests().remove(0);
    assert!(request.starts_with("POST /orders?dry=1 HTTP/1.1\r\n"), "{request}");
    for part in
        ["content-type: application/json\r\n", "authorization: Bearer t0ken\r\n", "\r\n\r\n{\"a\": 1}"]
    {
        assert!(request.contains(part), "{request}");
    }
}

#[tokio::test]
async fn another_status_is_critical_and_the_body_is_kept() {
    let server = Server::plain(|_| answer(503, "", "down for \u{1b}[1m maintenance")).await;
    let seen = look(at(&server, "/", &json!({"status": [200, "300-302"]}))).await;
    assert_eq!(seen.state, State::Critical);
    assert_eq!(seen.summary, "expected status 200, 300-302, got 503");
    assert_eq!(seen.output, "down for \u{1b}[1m maintenance");
}

#[tokio::test]
async fn all_that_is_wrong_is_said_and_the_worst_first() {
    let server = Server::plain(|_| {
        std::thread::sleep(Duration::from_millis(60));
        answer(200, "", r#"{"status": "degraded", "n": 3}"#)
    })
    .await;
    let expect = json!({"body": "ok", "json": {"status": "ok", "n": 3}, "time": {"warning": "20ms"}});
    let seen = look(at(&server, "/", &expect)).await;
    assert_eq!(seen.state, State::Critical);
    let (wrong, slow) = seen.summary.rsplit_once("; ").unwrap();
    assert_eq!(
        wrong,
        "expected a body that contains `ok`, got `{\"status\": \"degraded\", \"n\": 3}`; \
         expected `\"ok\"` at status, got `\"degraded\"`"
    );
    assert!(slow.starts_with("expected an answer within 20ms, got it after "), "{slow}");
    let seen = look(at(&server, "/", &json!({"time": {"warning": "20ms"}}))).await;
    assert_eq!(seen.state, State::Warning);
    let seen = look(at(&server, "/", &json!({"time": {"warning": "10ms", "critical": "20ms"}}))).await;
    assert_eq!(seen.state, State::Critical);
    let seen =
        look(at(&server, "/", &json!({"time": {"warning": "30s"}, "body": {"matches": "\"n\": [0-9]+"}})))
            .await;
    assert_eq!(seen.state, State::Ok, "{}", seen.summary);
}

#[tokio::test]
async fn a_body_without_end_is_cut() {
    let server = Server::plain(|_| answer(200, "", &"x".repeat(LONGEST_BODY + 10_000))).await;
    let seen = look(at(&server, "/", &json!({"body": "the end"}))).await;
    assert!(seen.summary.ends_with("; the body was longer than what is read"), "{}", seen.summary);
    assert_eq!(seen.output.len(), LONGEST_OUTPUT);
}

#[tokio::test]
async fn what_is_quoted_of_a_body_has_no_part_of_a_secret() {
    for within in [6, 7, 20, 33, 39] {
        // The cuts of the output, of an excerpt, and of what an excerpt is made of.
        let before = [
            "x".repeat(LONGEST_OUTPUT - within),
            "x".repeat(60 - within),
            format!("{}{}", SECRET.repeat(9), "x".repeat(40 - within)),
        ];
        for before in before {
            let body = format!("{before}{SECRET} and more");
            let server = Server::plain(move |_| answer(500, "", &body)).await;
            let seen = look_hiding(at(&server, "/", &json!({"body": "the end", "json": {"a": 1}}))).await;
            assert_hidden(&seen);
            assert!(seen.output.contains('x') && seen.output.len() <= LONGEST_OUTPUT);
        }
        let value = format!("{}{SECRET}", "x".repeat(60 - within));
        let body = json!({"a": value}).to_string();
        let server = Server::plain(move |_| answer(200, "", &body)).await;
        for expect in [json!({"json": {"a": format!("{value}!")}}), json!({"body": format!("{value}!")})] {
            let seen = look_hiding(at(&server, "/", &expect)).await;
            assert_eq!(seen.state, State::Critical);
            assert_hidden(&seen);
        }
    }
}

#[tokio::test]
async fn what_is_judged_is_the_body_with_its_secrets() {
    let server = Server::plain(|_| answer(200, "", &json!({"a": SECRET}).to_string())).await;
    for expect in [
        json!({"body": SECRET}),
        json!({"json": {"a": SECRET}}),
        json!({"body": {"matches": "E_abc.*_QWERTY"}}),
    ] {
        let seen = look_hiding(at(&server, "/", &expect)).await;
        assert_eq!(seen.state, State::Ok, "{}", seen.summary);
    }
    assert_eq!(look_hiding(at(&server, "/", &json!({"body": "***"}))).await.state, State::Critical);
}

#[tokio::test]
async fn a_connection_that_breaks_is_critical_and_says_why() {
    let server = Server::plain(|_| Vec::new()).await;
    let seen = look(json!({"http": server.url("/secret-path?key=k")})).await;
    assert_eq!(seen.state, State::Critical);
    assert!(
        seen.summary.starts_with(&format!("expected an answer of {}, got ", server.url(""))),
        "{}",
        seen.summary
    );
    assert!(!seen.summary.contains("secret-path"), "{}", seen.summary);
    let server = Server::plain(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort".to_vec()).await;
    let seen = look(json!({"http": server.url("/")})).await;
    assert!(seen.summary.starts_with("expected a whole answer of http://"), "{}", seen.summary);
    let gone = server.url("/");
    server.close().await;
    let seen = look(json!({"http": gone})).await;
    assert!(seen.summary.to_lowercase().contains("refused"), "{}", seen.summary);
}

#[tokio::test]
async fn redirects_are_followed_to_their_limit_and_not_at_all_where_it_is_0() {
    let server = Server::plain(|request| match request.split(' ').nth(1) {
        Some("/here") => answer(200, "", "here"),
        Some("/loop") => answer(302, "location: /loop\r\n", ""),
        _ => answer(301, "location: here\r\n", ""),
    })
    .await;
    let seen = look(at(&server, "/there", &json!({"body": "here"}))).await;
    assert_eq!(seen.state, State::Ok, "{}", seen.summary);
    let seen = look(json!({"http": {"url": server.url("/loop"), "redirects": 3}})).await;
    assert_eq!(seen.state, State::Critical);
    assert_eq!(seen.summary, format!("expected at most 3 redirects, got one more to {}", server.url("")));
    assert_eq!(server.requests().len(), 2 + 4);
    let seen =
        look(json!({"http": {"url": server.url("/x"), "redirects": 0, "expect": {"status": 301}}})).await;
    assert_eq!(seen.state, State::Ok, "{}", seen.summary);
}

#[tokio::test]
async fn a_redirect_carries_no_key_to_another_origin_and_none_after_a_way_back() {
    let home = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let back = home.clone();
    let other = Server::plain(move |_| {
        answer(302, &format!("location: http://evil:pw@{}/end\r\n", back.get().unwrap()), "")
    })
    .await;
    let target = other.url("/elsewhere");
    let first = Server::plain(move |request| match request.split(' ').nth(1) {
        Some("/start") => answer(302, &format!("location: {target}\r\n"), ""),
        Some("/near") => answer(302, "location: /end\r\n", ""),
        _ => answer(200, "", "end"),
    })
    .await;
    home.set(first.authority()).unwrap();
    let check = |path: &str| {
        json!({"http": {"url": format!("http://user:s3cret@{}{path}", first.authority()),
                        "headers": {"X-Api-Key": "k3y", "Cookie": "c00kie", "Accept": "text/plain"}}})
    };
    assert_eq!(look(check("/start")).await.state, State::Ok);
    let (own, others) = (first.requests(), other.requests());
    assert!(own[0].contains("x-api-key: k3y") && own[0].contains("authorization: Basic"), "{}", own[0]);
    for request in [&others[0], &own[1]] {
        assert!(request.contains("accept: text/plain"), "{request}");
        for key in ["k3y", "c00kie", "authorization"] {
            assert!(!request.contains(key), "{request}");
        }
    }
    assert_eq!(look(check("/near")).await.state, State::Ok);
    assert!(first.requests()[3].contains("x-api-key: k3y"), "the same origin keeps them");
}

#[tokio::test]
async fn a_body_is_not_sent_on_to_another_origin() {
    let other = Server::plain(|_| answer(200, "", "")).await;
    let target = other.url("/");
    let first = Server::plain(move |request| {
        let status = if request.contains(" /307 ") { 307 } else { 303 };
        answer(status, &format!("location: {target}\r\n"), "")
    })
    .await;
    let post = |path| json!({"http": {"url": first.url(path), "method": "POST", "body": "s3cret"}});
    let seen = look(post("/307")).await;
    assert_eq!(seen.state, State::Critical);
    assert!(seen.summary.contains("got a redirect of the body to http://"), "{}", seen.summary);
    assert!(other.requests().is_empty());
    assert_eq!(look(post("/303")).await.state, State::Ok);
    let request = other.requests().remove(0);
    assert!(request.starts_with("GET / ") && !request.contains("s3cret"), "{request}");
}

#[tokio::test]
async fn a_redirect_to_something_else_than_http_is_not_followed() {
    let server = Server::plain(|_| answer(302, "location: file:///etc/passwd\r\n", "")).await;
    let seen = look(json!({"http": server.url("/")})).await;
    assert_eq!(seen.state, State::Critical);
    assert!(seen.summary.ends_with("to an address of http or https, got something else"), "{}", seen.summary);
}

#[tokio::test]
async fn a_certificate_is_verified_and_its_days_are_counted() {
    let server = Server::tls(|_| answer(200, "", "")).await;
    let named = format!("https://localhost:{}/", server.port());
    let seen =
        look(json!({"http": {"url": named, "expect": {"certificate_days": {"warning": 30, "critical": 7}}}}))
            .await;
    assert_eq!(seen.state, State::Ok, "{}", seen.summary);
    let end = certificate::not_after(&server::certificate()).unwrap();
    assert_eq!(end, 4_701_974_400);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let days = (4_701_974_400.0 - now) / SECONDS_A_DAY;
    assert!((measured(&seen, "certificate_days") - days).abs() < 1.0);
    let limit = |key: &str| json!({"http": {"url": named, "expect": {"certificate_days": {key: 1_000_000}}}});
    let seen = look(limit("warning")).await;
    assert_eq!(seen.state, State::Warning);
    assert!(
        seen.summary.starts_with("expected a certificate for 1000000 days or more, got one for "),
        "{}",
        seen.summary
    );
    assert_eq!(look(limit("critical")).await.state, State::Critical);
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused() {
    let server = Server::tls(|_| answer(200, "", "")).await;
    let seen = look(json!({"http": format!("https://other.localhost:{}/", server.port())})).await;
    assert_eq!(seen.state, State::Critical);
    assert!(seen.summary.contains("not valid for name"), "{}", seen.summary);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn an_answer_without_tls_has_no_certificate() {
    let server = Server::plain(|_| answer(200, "", "")).await;
    let seen = look(at(&server, "/", &json!({"certificate_days": {"critical": 7}}))).await;
    assert_eq!(seen.state, State::Critical);
    assert_eq!(seen.summary, "expected a certificate, got an answer without TLS");
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_who_asks_for_it() {
    let server = Server::mutual_tls(|_| answer(200, "", "")).await;
    let url = format!("https://localhost:{}/", server.port());
    let seen = look(json!({"http": url})).await;
    assert_eq!(seen.state, State::Critical, "{}", seen.summary);
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("c.pem"), directory.path().join("k.pem"));
    std::fs::write(&certificate, server::CERTIFICATE).unwrap();
    std::fs::write(&key, server::KEY).unwrap();
    let seen = look(json!({"http": {"url": url, "certificate": certificate, "key": key}})).await;
    assert_eq!(seen.state, State::Ok, "{}", seen.summary);
    std::fs::write(&key, "hunter2").unwrap();
    let check =
        crate::check::tests::check(json!({"http": {"url": url, "certificate": certificate, "key": key}}));
    let stop = tokio_util::sync::CancellationToken::new();
    let surroundings = crate::check::tests::surroundings();
    let error = check.run(&surroundings, Duration::from_secs(5), &stop).await.unwrap_err().to_string();
    assert!(error.contains("holds no private key") && !error.contains("hunter2"), "{error}");
}
