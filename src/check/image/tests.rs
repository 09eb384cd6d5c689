use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::check::Check;
use crate::check::tests::{SECRET, assert_hidden, check, hiding, surroundings};

/// A program in the place of docker-test, and surroundings that have it.
fn beside(script: &str) -> (TempDir, Surroundings) {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("docker-test");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut surroundings = surroundings();
    surroundings.tester.program = program;
    (directory, surroundings)
}

async fn looked(script: &str, value: Value) -> Result<Looked, CheckError> {
    let (_directory, surroundings) = beside(script);
    let check = check(json!({"image": value}));
    check.run(&surroundings, Duration::from_secs(20), &CancellationToken::new()).await
}

/// A script that says `report` and ends with `code`.
fn says(report: &Value, code: u8) -> String {
    format!("cat <<'END'\n{report}\nEND\necho 'what the test printed' >&2\nexit {code}")
}

fn report(outcome: &str, cause: &Value, cases: &Value) -> Value {
    let count =
        |status: &str| cases.as_array().unwrap().iter().filter(|case| case["status"] == status).count();
    json!({
        "schema": 1, "outcome": outcome, "seconds": 2.5, "later": "field",
        "tests": [{"name": "shop", "outcome": outcome, "cause": cause, "attempts": [
            {"seconds": 1.5, "cases": {"passed": count("passed"), "failed": count("failed"), "errored": 0, "skipped": 0},
             "suites": [{"name": "s", "source": "j.xml", "cases": cases}]}
        ]}],
    })
}

#[tokio::test]
async fn tests_that_pass_are_counted_and_timed() {
    let passed = report("passed", &Value::Null, &json!([{"name": "a", "status": "passed"}]));
    let looked = looked(&says(&passed, 0), json!("shop:1")).await.unwrap();
    assert_eq!((looked.seen.state, looked.timed_out), (State::Ok, false));
    assert_eq!(looked.seen.summary, "the tests of shop:1 passed (1 passed)");
    assert_eq!(looked.seen.output, "what the test printed\n");
    let value = |name: &str| looked.seen.measurements.iter().find(|it| it.name == name).unwrap().value;
    assert_eq!((value("time"), value("test_time"), value("cases_passed")), (2.5, 1.5, 1.0));
}

#[tokio::test]
async fn tests_that_fail_are_named_with_what_they_said() {
    let cases = json!([
        {"name": "a", "status": "passed"},
        {"name": "checkout", "status": "failed", "message": "expected 3\ngot 4"},
        {"name": "cart", "status": "errored"},
    ]);
    let failed = report("failed", &json!({"kind": "exit_code", "code": 3}), &cases);
    let looked = looked(&says(&failed, 1), json!("shop:1")).await.unwrap();
    assert_eq!(looked.seen.state, State::Critical);
    assert_eq!(
        looked.seen.summary,
        "expected the tests of shop:1 to pass, got exit code 3 (1 passed, 1 failed): checkout (expected 3\\ngot 4), cart"
    );
}

#[tokio::test]
async fn what_is_quoted_of_results_has_no_part_of_a_secret() {
    let long = |before: usize| format!("{}{SECRET}", "x".repeat(before));
    for within in [6, 20, 39] {
        let cases = json!([
            {"name": "checkout", "status": "failed", "message": long(200 - within)},
            {"name": long(200 - within), "status": "errored"},
        ]);
        let cause = json!({"kind": "command_not_found", "message": long(200 - within)});
        let failed = [
            report("failed", &cause, &cases),
            report("failed", &json!({"kind": "exit_code", "code": 3}), &cases),
            // The whole is cut once more, behind what is said of the image.
            report("failed", &json!({"kind": "x", "reason": long(0)}), &json!([])),
        ];
        for failed in failed {
            let image = format!("{}:1", "i".repeat(150 - within));
            let (_directory, surroundings) = beside(&says(&failed, 1));
            let check = check(json!({"image": image}));
            let stop = CancellationToken::new();
            let looked = check.run(&hiding(surroundings), Duration::from_secs(20), &stop).await.unwrap();
            assert_eq!(looked.seen.state, State::Critical);
            assert_hidden(&looked.seen);
        }
    }
}

#[tokio::test]
async fn every_bad_end_of_a_test_is_critical_and_says_what_it_was() {
    for (code, outcome, cause, expected) in [
        (124, "timed_out", json!({"kind": "timeout", "seconds": 3.0}), "got timed out"),
        (
            127,
            "not_started",
            json!({"kind": "command_not_found", "message": "no such file"}),
            "got not started: no such file",
        ),
        (
            126,
            "not_started",
            json!({"kind": "command_not_executable", "message": "denied"}),
            "got not started: denied",
        ),
        (1, "out_of_memory", json!({"kind": "out_of_memory", "limit": 5}), "got out of memory"),
        (1, "failed", json!({"kind": "killed_by_signal", "signal": 11}), "got signal 11"),
        (
            1,
            "dependency_failed",
            json!({"kind": "dependency_failed", "service": "db", "message": "it ended"}),
            "got dependency failed: db: it ended",
        ),
    ] {
        let looked =
            looked(&says(&report(outcome, &cause, &json!([])), code), json!("shop:1")).await.unwrap();
        assert_eq!(looked.seen.state, State::Critical, "{code}");
        assert!(looked.seen.summary.ends_with(expected), "{}", looked.seen.summary);
    }
}

#[tokio::test]
async fn a_test_that_passed_on_a_later_attempt_is_a_warning() {
    let flaky = report("flaky", &json!({"kind": "exit_code", "code": 1}), &json!([]));
    let looked = looked(&says(&flaky, 0), json!("shop:1")).await.unwrap();
    assert_eq!(looked.seen.state, State::Warning);
    assert_eq!(looked.seen.summary, "the tests of shop:1 passed, on a later attempt");
}

#[tokio::test]
async fn a_run_that_says_nothing_about_the_tests_is_an_error() {
    let aborted = report("aborted", &json!({"kind": "engine_lost", "message": "broken pipe"}), &json!([]));
    for (script, expected) in [
        (
            "echo 'docker-test: warning: old' >&2; echo 'docker-test: cannot find the image shop:1' >&2; \
             echo '  hint: pull it' >&2; exit 125"
                .to_owned(),
            "cannot test the image `shop:1`: cannot find the image shop:1",
        ),
        ("exit 4".to_owned(), "it has nothing to test"),
        ("kill -9 $$".to_owned(), "docker-test was killed"),
        ("echo '{'; echo oops >&2; exit 1".to_owned(), "docker-test ended with 1 and gave no results: oops"),
        (says(&aborted, 1), "the run was cut short: aborted: broken pipe"),
    ] {
        let error = looked(&script, json!("shop:1")).await.unwrap_err();
        assert!(matches!(error, CheckError::Untested { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let (_directory, mut surroundings) = beside("");
    surroundings.tester.program = "/nowhere/docker-test".into();
    let check = check(json!({"image": "shop:1"}));
    let error =
        check.run(&surroundings, Duration::from_secs(5), &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, CheckError::NotStarted { .. }), "{error:?}");
}

#[tokio::test]
async fn docker_test_is_told_what_was_asked_for_and_nothing_that_was_meant_for_us() {
    let (directory, mut surroundings) =
        beside("echo \"$@\" > \"$(dirname \"$0\")/words\"; env > \"$(dirname \"$0\")/variables\"; exit 4");
    for (name, value) in
        [("DOCKER_TEST_NAME", "probe"), ("DOCKER_HOST", "x"), ("DOCKER_CLI_PLUGIN_SOCKET", "@x")]
    {
        surroundings.variables.push((name.to_owned(), value.to_owned()));
    }
    surroundings.tester.without = BTreeSet::from(["DOCKER_TEST_NAME".to_owned()]);
    let written = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    let check_of = |value: Value| check(json!({"image": value}));
    let run = async |check: Check| {
        drop(check.run(&surroundings, Duration::from_secs(20), &CancellationToken::new()).await);
    };
    run(check_of(
        json!({"image": "shop:1", "arguments": ["--results-dir=r", "-e", "A=b", "--", "sh", "--report"]}),
    ))
    .await;
    assert_eq!(written("words"), "run --report json=- shop:1 --results-dir=r -e A=b -- sh --report\n");
    let variables = written("variables");
    assert!(
        variables.contains("DOCKER_HOST=x") && !variables.contains("probe") && !variables.contains("PLUGIN")
    );
    run(check_of(json!("shop:1"))).await;
    let words = written("words");
    let results = words.trim().strip_prefix("run --report json=- shop:1 --results-dir ").unwrap();
    assert!(!std::path::Path::new(results).exists(), "{results} is left behind");
}

#[tokio::test]
async fn a_run_that_takes_too_long_or_is_stopped_may_put_things_in_order() {
    let script = "sleep 60 & trap 'echo in order >> \"$(dirname \"$0\")/order\"; kill $!; exit 130' INT; \
                  touch \"$(dirname \"$0\")/up\"; wait";
    let (directory, surroundings) = beside(script);
    let check = check(json!({"image": "shop:1"}));
    let begun = Instant::now();
    let looked =
        check.run(&surroundings, Duration::from_millis(500), &CancellationToken::new()).await.unwrap();
    assert!(looked.timed_out && begun.elapsed() < Duration::from_secs(10));
    assert_eq!(looked.seen.summary, "expected an end of the tests within 500ms, got none");
    std::fs::remove_file(directory.path().join("up")).unwrap();
    let stop = CancellationToken::new();
    let stopping = async {
        while !directory.path().join("up").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(check.run(&surroundings, Duration::from_secs(20), &stop), stopping);
    assert!(matches!(ended, Err(CheckError::Cancelled)), "{ended:?}");
    assert_eq!(std::fs::read_to_string(directory.path().join("order")).unwrap(), "in order\nin order\n");
}

#[tokio::test]
async fn one_that_does_not_end_is_killed_after_its_grace() {
    let (_directory, surroundings) = beside("trap '' INT TERM; while :; do sleep 0.05; done");
    let check = check(json!({"image": {"image": "shop:1", "grace": "200ms"}}));
    let begun = Instant::now();
    let looked =
        check.run(&surroundings, Duration::from_millis(100), &CancellationToken::new()).await.unwrap();
    assert!(looked.timed_out && begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn what_is_no_image_and_what_is_ours_is_refused() {
    let refused =
        |value: Value| serde_json::from_value::<Check>(json!({"image": value})).unwrap_err().to_string();
    for image in ["", "--version", "a b"] {
        assert!(refused(json!(image)).contains("expected an image such as shop:1.4"), "{image}");
    }
    let error = refused(json!({"image": "shop:1", "arguments": ["--format=text"]}));
    assert!(error.contains("expected no --format=text, which the check sets itself"), "{error}");
}
