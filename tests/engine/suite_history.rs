//! What a run leaves in the history, and what later runs make of it.

use std::fs;

use crate::suite_system::System;

const SUITE: &str = r#"
tests:
  good: { image: IMAGE, command: ["true"] }
  bad: { image: IMAGE, mounts: ["HERE/state:/state"], command: [test, -e, /state/fixed] }
  worse: { image: IMAGE, mounts: ["HERE/state:/state"], command: [test, -e, /state/all-fixed] }
  shaky: { image: IMAGE, mounts: ["HERE/state:/state"], retries: 1, command: [sh, -c, 'test -e /state/seen || { touch /state/seen; false; }'] }
"#;

fn system() -> System {
    let system = System::of(SUITE);
    fs::create_dir(system.sandbox.path().join("state")).unwrap();
    system
}

#[test]
fn what_failed_is_run_again_until_nothing_is_left() {
    let system = system();
    let first = system.run(1, &[]);
    first.assert_outcomes(&[("good", "passed"), ("bad", "failed"), ("worse", "failed"), ("shaky", "flaky")]);
    let id = first.report["run_id"].as_str().unwrap();
    // That run is of one test: what the first has left stays, and is no success.
    system.run(5, &["--rerun", "flaky"]).assert_outcomes(&[("shaky", "passed")]);
    system.sandbox.write("state/fixed", "");
    let told = system.run(1, &["--rerun", id]);
    told.assert_outcomes(&[("bad", "passed"), ("worse", "failed")]);
    let told = system.run(1, &["--rerun", "failed"]);
    told.assert_outcomes(&[("worse", "failed")]);
    system.sandbox.write("state/all-fixed", "");
    // A part of what is left passes, and something is left.
    fs::remove_file(system.sandbox.path().join("state/fixed")).unwrap();
    let told = system.run(5, &["--rerun", id, "--select", "worse"]);
    told.assert_outcomes(&[("worse", "passed")]);
    told.ran.assert_stderr("1 other test of the earlier run still has to pass");
    assert_eq!(told.report["exit_code"], 5, "the report says what the process exits with");
    system.sandbox.write("state/fixed", "");
    let told = system.run(0, &["--rerun", "failed"]);
    told.assert_outcomes(&[("bad", "passed")]);
    let told = system.run(4, &["--rerun", "failed"]);
    told.ran.assert_stderr("nothing to test");
    let ran = system.sandbox.expect(125, &["run", "--rerun", "no-such-run"]);
    ran.assert_stderr("no-such-run");
}

#[test]
fn a_run_without_a_past_has_nothing_to_run_again() {
    let system = system();
    let ran = system.sandbox.expect(125, &["run", "--rerun", "failed"]);
    ran.assert_stderr("there is no run of");
    let ran = system.sandbox.expect(125, &["run", "--partition", "time:1/2"]);
    ran.assert_stderr("time:1/2");
}

#[test]
fn history_shows_runs_and_lists_go_by_their_durations() {
    let system = system();
    let told = system.run(1, &[]);
    let id = told.report["run_id"].as_str().unwrap();
    let runs = system.sandbox.expect(0, &["history", "--format", "json"]).json();
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs}");
    assert!(runs.to_string().contains(id) && runs.to_string().contains("failed"), "{runs}");
    system.sandbox.expect(0, &["history"]).assert_stdout(id);
    let shown = system.sandbox.expect(0, &["history", "show", id]);
    for name in ["good", "bad", "worse", "shaky"] {
        shown.assert_stdout(name);
    }
    let shown = system.sandbox.expect(0, &["history", "show", id, "--format", "json"]).json();
    assert!(shown.to_string().contains("sha256:"), "images are known by their digests: {shown}");
    let tests = system.sandbox.expect(0, &["history", "tests", "--sort", "slow", "--format", "json"]).json();
    assert_eq!(tests.as_array().unwrap().len(), 4, "{tests}");
    let mut names = Vec::new();
    for part in ["time:1/2", "time:2/2"] {
        let listed = system.sandbox.expect(0, &["list", "--partition", part, "--format", "json"]).json();
        let listed = listed.as_array().unwrap().clone();
        assert!(!listed.is_empty(), "{part}");
        assert!(listed.iter().all(|test| test["partition"] == part), "{listed:?}");
        names.extend(listed.iter().map(|test| test["name"].as_str().unwrap().to_owned()));
    }
    names.sort();
    assert_eq!(names, ["bad", "good", "shaky", "worse"]);
}

#[test]
fn a_run_of_images_has_a_past_of_its_own() {
    let system = system();
    let bad =
        system.sandbox.docker_build("bad", &format!("FROM {}\nLABEL test.cmd=false\n", crate::support::BASE));
    let good =
        system.sandbox.docker_build("good", &format!("FROM {}\nLABEL test.cmd=true\n", crate::support::BASE));
    system.run(1, &[&bad, &good]);
    let suite = system.sandbox.expect(125, &["run", "--rerun", "failed"]);
    suite.assert_stderr("there is no run of");
    system.run(1, &["--rerun", "failed", &bad, &good]).assert_outcomes(&[(&bad, "failed")]);
}
