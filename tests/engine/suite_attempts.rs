//! Retries: what is tried again, what flaky is, and where logs and files of each attempt are.

use std::fs;

use serde_json::json;

use crate::suite_system::System;
use crate::support::{BASE, Sandbox, docker};

/// A command that fails the first time and leaves something each time.
const SECOND_TIME: &str = "n=$(cat /state/n 2>/dev/null || echo 0); n=$((n + 1)); echo $n >/state/n; \
                           echo attempt $n; echo $n >/var/tests/results/n; test $n -ge 2";

fn flaky(more: &str) -> System {
    let system = System::of(&format!(
        r#"
tests:
  wobbly:
    image: IMAGE
    mounts: ["HERE/state:/state"]
    command: [sh, -c, '{SECOND_TIME}']
    {more}
  steady: {{ image: IMAGE, command: [echo, once] }}
"#
    ));
    fs::create_dir(system.sandbox.path().join("state")).unwrap();
    system
}

#[test]
fn a_test_that_passes_the_second_time_is_flaky_and_both_attempts_are_kept() {
    let system = flaky("retries: 2");
    let told = system.run(0, &[]);
    told.assert_outcomes(&[("wobbly", "flaky"), ("steady", "passed")]);
    let test = told.test("wobbly");
    assert_eq!(test["cause"], json!({"kind": "exit_code", "code": 1}), "why it did not simply pass");
    let attempts = test["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2);
    for (attempt, (number, outcome, code)) in attempts.iter().zip([(1, "failed", 1), (2, "passed", 0)]) {
        assert_eq!(attempt["number"], number);
        assert_eq!(attempt["outcome"], outcome);
        assert_eq!(attempt["exit_code"], code);
        assert_eq!(attempt["log"], format!("wobbly/attempt-{number}.log"));
        assert_eq!(attempt["log_tail"], format!("attempt {number}\n"));
        assert_eq!(attempt["files"], json!([{"path": "n", "size": 2}]));
        assert_eq!(
            system.sandbox.result(&format!("wobbly/attempt-{number}.log")),
            format!("attempt {number}\n")
        );
        assert_eq!(system.sandbox.result(&format!("wobbly/attempt-{number}/n")), format!("{number}\n"));
    }
    assert_ne!(attempts[0]["container"], attempts[1]["container"]);
    assert!(test["results_dir"].as_str().unwrap().ends_with("wobbly/attempt-2"), "{test}");
    assert_eq!(told.test("steady")["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(told.report["outcome"], "flaky");
    let ran = system.sandbox.expect(0, &["history", "tests", "--format", "json"]);
    let wobbly =
        ran.json().as_array().unwrap().iter().find(|test| test["name"] == "wobbly").cloned().unwrap();
    assert_eq!((&wobbly["flaky"], &wobbly["passed"], &wobbly["failed"]), (&json!(1), &json!(0), &json!(0)));
    assert_eq!(system.sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn flaky_is_a_failure_where_it_is_to_be_one() {
    let system = flaky("retries: 1");
    let told = system.run(1, &["--flaky-result", "fail"]);
    told.assert_outcomes(&[("wobbly", "flaky"), ("steady", "passed")]);
    assert_eq!(told.report["exit_code"], 1);
    assert_eq!(told.test("wobbly")["flaky_fails"], true);
    // It has still to pass: a rerun knows.
    let told = system.run(0, &["--rerun", "failed"]);
    told.assert_outcomes(&[("wobbly", "passed")]);
}

#[test]
fn the_command_line_decides_how_often_a_test_is_tried_again() {
    let system = flaky("retries: 5");
    let told = system.run(1, &["--retries", "0"]);
    told.assert_outcomes(&[("wobbly", "failed"), ("steady", "passed")]);
    let state = system.sandbox.path().join("state/n");
    fs::remove_file(&state).unwrap();
    let mut system = system;
    system.sandbox.set("DOCKER_TEST_RETRIES", "0");
    system.run(1, &[]).assert_outcomes(&[("wobbly", "failed"), ("steady", "passed")]);
    fs::remove_file(&state).unwrap();
    system.run(0, &["--retries", "1"]).assert_outcomes(&[("wobbly", "flaky"), ("steady", "passed")]);
}

#[test]
fn every_attempt_that_fails_is_told_and_the_last_one_decides() {
    let system = System::of(
        r#"
defaults: { retries: 1 }
tests:
  bad: { image: IMAGE, command: [sh, -c, 'echo no; exit 4'] }
  late: { image: IMAGE, command: [sleep, "60"], timeout: 1s }
  wrong: { image: IMAGE, command: [/no/such] }
"#,
    );
    let told = system.run(1, &["--grace-period", "0s", "--retry-backoff", "100ms"]);
    told.assert_outcomes(&[("bad", "failed"), ("late", "timed_out"), ("wrong", "not_started")]);
    let attempts = |name: &str| told.test(name)["attempts"].as_array().unwrap().len();
    assert_eq!((attempts("bad"), attempts("late")), (2, 2));
    assert_eq!(attempts("wrong"), 1, "a command that is not there will not be there the next time");
    assert_eq!(told.test("late")["cause"], json!({"kind": "timeout", "seconds": 1.0}));
}

#[test]
fn a_single_image_has_its_last_attempt_where_its_results_are_and_earlier_ones_beside_it() {
    let sandbox = Sandbox::new();
    let state = sandbox.path().join("state");
    fs::create_dir(&state).unwrap();
    let image = sandbox.docker_build("app", &format!("FROM {BASE}\nLABEL test.retries=1\n"));
    let mount = format!("{}:/state", state.display());
    let run = |code: i32, flags: &[&str]| {
        let _ = fs::remove_file(state.join("n"));
        let mut words = vec!["run", "-v", &mount, "--report", "json=report.json", "--retry-backoff", "10ms"];
        words.extend(flags);
        words.extend([&*image, "--", "sh", "-c", SECOND_TIME]);
        let ran = sandbox.expect(code, &words);
        let report = fs::read(sandbox.path().join("report.json")).unwrap();
        (ran, serde_json::from_slice::<serde_json::Value>(&report).unwrap())
    };
    let (_, report) = run(0, &[]);
    assert_eq!(report["tests"][0]["outcome"], "flaky", "by the image's own label");
    assert_eq!(sandbox.result("n"), "2\n");
    assert_eq!(sandbox.result("attempt-1/n"), "1\n");
    let (_, report) = run(1, &["--retries", "0"]);
    assert_eq!(report["tests"][0]["outcome"], "failed");
    assert_eq!(sandbox.result("n"), "1\n");
    assert!(!sandbox.path().join("tests/results/attempt-1").exists(), "older results are gone");
    run(1, &["--retries", "3", "--flaky-result", "fail"]);
    assert_eq!(sandbox.result("attempt-1/n"), "1\n");
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn each_failed_attempt_can_be_kept() {
    let system = flaky("retries: 1");
    let told = system.run(0, &["--keep", "failed"]);
    told.assert_outcomes(&[("wobbly", "flaky"), ("steady", "passed")]);
    let kept: Vec<&str> = told.ran.stderr.lines().filter_map(|line| line.strip_prefix("kept: ")).collect();
    assert_eq!(kept.len(), 1, "{}", told.ran.stderr);
    let state = docker(&["inspect", "-f", "{{.State.ExitCode}}", kept[0]]);
    assert_eq!(state, "1\n", "the attempt that failed");
    system.sandbox.expect(0, &["prune", told.report["run_id"].as_str().unwrap()]);
    assert!(!docker(&["ps", "-a", "--format", "{{.Names}}"]).contains(kept[0]));
}
