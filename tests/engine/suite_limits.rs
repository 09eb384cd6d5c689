//! When enough is enough: failures, time, and tests that take longer than they should.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::suite_system::System;

const FAILING: &str = r#"
tests:
  a: { image: IMAGE, command: ["true"] }
  b: { image: IMAGE, command: ["false"] }
  c: { image: IMAGE, command: ["false"], needs: [a] }
  d: { image: IMAGE, command: ["true"] }
  e: { image: IMAGE, command: ["true"], needs: [d] }
"#;

#[test]
fn the_first_failure_stops_the_run_where_it_should() {
    let system = System::of(FAILING);
    let told = system.run(1, &["--fail-fast", "-j", "1"]);
    told.assert_outcomes(&[
        ("a", "passed"),
        ("b", "failed"),
        ("c", "skipped"),
        ("d", "skipped"),
        ("e", "skipped"),
    ]);
    let reason = told.test("d")["cause"]["reason"].as_str().unwrap();
    assert!(reason.contains("a test did not pass"), "{reason}");
    assert_eq!(told.report["outcome"], "failed");
    // What was not run still has to pass.
    let names = system.run(1, &["--rerun", "failed"]).names();
    assert_eq!(names, ["a", "b", "c", "d", "e"], "and what they need");
}

#[test]
fn as_many_failures_as_are_allowed_stop_the_run() {
    let system = System::of(FAILING);
    let told = system.run(1, &["--max-fail", "2", "-j", "1"]);
    told.assert_outcomes(&[
        ("a", "passed"),
        ("b", "failed"),
        ("c", "failed"),
        ("d", "skipped"),
        ("e", "skipped"),
    ]);
    system.run(1, &["--max-fail", "3"]).assert_outcomes(&[
        ("a", "passed"),
        ("b", "failed"),
        ("c", "failed"),
        ("d", "passed"),
        ("e", "passed"),
    ]);
}

#[test]
fn the_time_of_the_whole_run_stops_tests_that_run_and_those_that_wait() {
    let system = System::of(
        r#"
tests:
  quick: { image: IMAGE, command: [echo, quick] }
  endless: { image: IMAGE, command: [sh, -c, 'echo began; echo half >/var/tests/results/half; trap "exit 0" TERM; sleep 600 & wait'] }
  waiting: { image: IMAGE, command: ["true"], needs: [endless] }
  later: { image: IMAGE, command: ["true"], type: chaos }
"#,
    );
    let began = Instant::now();
    let told = system.run(124, &["--global-timeout", "8s", "--grace-period", "5s", "-j", "2"]);
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
    let outcomes = ["quick", "endless", "waiting", "later"].map(|name| told.outcome(name));
    assert_eq!(outcomes, ["passed", "timed_out", "timed_out", "timed_out"], "{}", told.ran.stderr);
    assert_eq!(told.test("endless")["cause"], serde_json::json!({"kind": "run_timeout", "seconds": 8.0}));
    assert_eq!(told.test("waiting")["cause"]["kind"], "not_run");
    told.ran.assert_stderr("the time for the whole run (8s) was over while it ran");
    assert_eq!(told.output("endless"), "began\n");
    assert_eq!(system.sandbox.result("endless/attempt-1/half"), "half\n", "its files are taken out");
    assert_eq!(told.test("later")["attempts"], Value::Array(Vec::new()));
    assert_eq!(system.sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn no_attempt_follows_when_the_time_of_the_run_is_over() {
    let system = System::of(
        "tests:\n  a: { image: IMAGE, command: [\"false\"], retries: { count: 5, backoff: 1m } }\n",
    );
    let began = Instant::now();
    // The test has failed before, and that is worse.
    let told = system.run(1, &["--global-timeout", "6s"]);
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    assert_eq!(told.test("a")["attempts"].as_array().unwrap().len(), 1);
}

#[test]
fn a_test_that_takes_long_is_said_to_be_slow_and_each_time_limit_is_its_own() {
    let system = System::of(
        r#"
defaults: { timeout: 2s }
tests:
  limited: { image: IMAGE, command: [sleep, "60"] }
  longer: { image: IMAGE, command: [sleep, "3"], timeout: 1m }
"#,
    );
    let ran = system.sandbox.run(&["run", "--format", "json", "--slow-after", "1s", "--grace-period", "0s"]);
    ran.assert_code(124);
    let events = ran.events();
    let slow: Vec<&Value> = events.iter().filter(|event| event["event"] == "test_slow").collect();
    assert!(slow.iter().any(|event| event["test"] == "longer" && event["attempt"] == 1), "{slow:?}");
    for event in &slow {
        assert!(event["seconds"].as_f64().unwrap() >= 1.0, "{event}");
    }
    let ended = |name: &str| {
        events.iter().find(|event| event["event"] == "test_ended" && event["test"] == name).unwrap()["outcome"]
            .clone()
    };
    assert_eq!((ended("limited"), ended("longer")), ("timed_out".into(), "passed".into()));
}
