use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::check::tests::{SECRET, assert_hidden, check, surroundings};
use crate::engine::ContainerState;
use crate::engine::glance::Glance;
use crate::environment::Environment;

fn sight(status: &str, health: Option<&str>) -> Sight {
    let state =
        ContainerState { status: status.to_owned(), health: health.map(str::to_owned), ..Default::default() };
    Sight { state, ..Sight::default() }
}

fn judged(value: Value, sight: Option<&Sight>) -> Observation {
    let Check::Docker(check) = check(value) else { panic!() };
    check.judge(sight)
}

use crate::check::Check;

#[test]
fn a_container_runs_and_is_as_healthy_as_was_asked_for() {
    let table = [
        (json!("web"), sight("running", None), None),
        (json!("web"), sight("running", Some("healthy")), None),
        (json!("web"), sight("running", Some("starting")), Some("to be healthy, got starting")),
        (json!({"container": "web", "healthy": false}), sight("running", Some("unhealthy")), None),
        (json!({"container": "web", "healthy": true}), sight("running", Some("healthy")), None),
        (
            json!({"container": "web", "healthy": true}),
            sight("running", None),
            Some("expected the container web to be healthy, got no health check"),
        ),
        (json!("web"), sight("paused", None), Some("expected the container web to run, got paused")),
        (json!("web"), sight("exited", None), Some("to run, got exited with code 0")),
        (json!("web"), sight("created", None), Some("to run, got created")),
    ];
    for (value, sight, fault) in table {
        let seen = judged(json!({"docker": value}), Some(&sight));
        match fault {
            None => assert_eq!(seen.state, State::Ok, "{seen:?}"),
            Some(fault) => assert!(seen.state == State::Critical && seen.summary.contains(fault), "{seen:?}"),
        }
    }
    let none = judged(json!({"docker": "web"}), None);
    assert_eq!(none.summary, "expected a container web, got none of that name");
}

#[test]
fn what_is_quoted_of_a_container_has_no_part_of_a_secret_and_its_states_are_judged_as_they_are() {
    let redactor = Redactor::new([SECRET.to_owned(), "running".to_owned(), "unhealthy".to_owned()]);
    for within in [6, 20, 39] {
        let mut sick = sight("running", Some("unhealthy"));
        sick.health_output = format!("{}{SECRET}", "x".repeat(200 - within));
        let flood = format!("{SECRET}{}", "x".repeat(crate::check::LONGEST_OUTPUT - within));
        // The engine cuts what is printed.
        for output in [sick.health_output.clone(), flood, sick.health_output[..200].to_owned()] {
            let sight = hidden(Sight { health_output: output, ..sick.clone() }, &redactor);
            let seen = judged(json!({"docker": "web"}), Some(&sight));
            assert!(seen.summary.contains("to be healthy, got unhealthy: "), "{}", seen.summary);
            assert_hidden(&seen);
        }
        let mut ended = sight("exited", None);
        ended.state.error = sick.health_output.clone();
        assert_hidden(&judged(json!({"docker": "web"}), Some(&hidden(ended, &redactor))));
    }
}

#[test]
fn why_a_container_does_not_run_is_said_in_one_line() {
    let mut ended = sight("exited", None);
    ended.state.exit_code = 137;
    ended.state.oom_killed = true;
    ended.state.error = "it\nfell".to_owned();
    let seen = judged(json!({"docker": "web"}), Some(&ended));
    let expected =
        "expected the container web to run, got exited with code 137, killed for want of memory: it\\nfell";
    assert_eq!(seen.summary, expected);
    let mut ill = sight("running", Some("unhealthy"));
    ill.health_output = "curl: (7) refused\n".to_owned();
    let seen = judged(json!({"docker": "web"}), Some(&ill));
    assert!(seen.summary.ends_with("got unhealthy: curl: (7) refused"), "{seen:?}");
    assert_eq!(seen.output, "curl: (7) refused\n");
}

#[test]
fn restarts_are_counted_and_may_be_limited() {
    let restarted = Sight { restarts: 3, ..sight("running", None) };
    let limited = judged(json!({"docker": {"container": "web", "restarts": 2}}), Some(&restarted));
    assert_eq!(limited.summary, "expected at most 2 restarts of the container web, got 3");
    let enough = judged(json!({"docker": {"container": "web", "restarts": 3}}), Some(&restarted));
    assert_eq!((enough.state, enough.measurements[0].value), (State::Ok, 3.0));
}

#[test]
fn what_is_no_name_of_a_container_is_refused() {
    for name in ["", "-x", "a/b", "../info", "a b", "a%2f"] {
        let error = serde_json::from_value::<Check>(json!({"docker": name})).unwrap_err().to_string();
        assert!(error.contains("expected the name of a container"), "{name}: {error}");
    }
}

/// Surroundings whose engine is at an address.
fn beside(host: &str) -> Surroundings {
    let environment = Environment::from_pairs([("DOCKER_HOST", host)]);
    let mut surroundings = surroundings();
    surroundings.engine = Some(Glance::new(environment, PathBuf::from("/tmp")));
    surroundings
}

async fn looked(host: &str, timeout: Duration) -> Result<Looked, CheckError> {
    check(json!({"docker": "web"})).run(&beside(host), timeout, &CancellationToken::new()).await
}

/// Answers pings, and anything else with `status` and `body`.
async fn engine(status: u16, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("tcp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                while let Ok(size @ 1..) = stream.read(&mut buffer).await {
                    let request = String::from_utf8_lossy(&buffer[..size]).into_owned();
                    let (status, body) =
                        if request.starts_with("GET /_ping ") { (200, "OK") } else { (status, body) };
                    let length = body.len();
                    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    host
}

#[tokio::test]
async fn an_engine_that_cannot_be_asked_is_an_error_and_no_verdict() {
    let long = Duration::from_secs(20);
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = looked(&format!("tcp://{closed}"), long).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot ask the engine: cannot reach an engine at tcp://"), "{error}");
    assert!(error.contains("DOCKER_HOST") && error.contains("refused"), "{error}");
    let error = looked("nonsense://x", long).await.unwrap_err().to_string();
    assert!(error.contains("cannot use DOCKER_HOST: "), "{error}");
    let error = looked(&engine(500, "{\"message\":\"on fire\"}").await, long).await.unwrap_err().to_string();
    assert!(error.contains("the engine answers 500: on fire"), "{error}");
    let error = looked(&engine(200, "<html>").await, long).await.unwrap_err().to_string();
    assert!(error.contains("cannot read what the engine says of the container web: "), "{error}");
    let nobody = check(json!({"docker": "web"})).run(&surroundings(), long, &CancellationToken::new()).await;
    assert!(matches!(nobody, Err(CheckError::NoEngine)));
}

#[tokio::test]
async fn an_engine_that_says_nothing_is_not_waited_for_longer_than_was_asked() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let begun = Instant::now();
    let host = format!("tcp://{}", silent.local_addr().unwrap());
    let error = looked(&host, Duration::from_millis(200)).await.unwrap_err().to_string();
    assert_eq!(error, "cannot ask the engine: it has not answered within 200ms");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn what_an_engine_says_of_a_container_is_judged() {
    let long = Duration::from_secs(20);
    let healthy =
        engine(200, "{\"State\":{\"Status\":\"running\",\"Health\":{\"Status\":\"healthy\"}}}").await;
    let seen = looked(&healthy, long).await.unwrap().seen;
    assert_eq!(seen.summary, "the container web runs and is healthy");
    let none = engine(404, "{\"message\":\"No such container: web\"}").await;
    assert_eq!(looked(&none, long).await.unwrap().seen.state, State::Critical);
}
