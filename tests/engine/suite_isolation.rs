//! Runs of suites beside one another, and with what they write to failing: none disturbs another, nor itself.

use std::fs;
use std::path::Path;

use crate::crash::{docker_at, own_engine};
use crate::live::{Fixture, Live};
use crate::suite_crash::{event, everything, left_of, names_in, run_id, run_in};
use crate::suite_system::System;
use crate::support::{BASE, Ran};

#[track_caller]
fn assert_ran_alone(ran: &Ran) {
    ran.assert_code(1);
    let events = ran.events();
    let outcome = |name: &str| {
        let ended = events.iter().find(|event| event["event"] == "test_ended" && event["test"] == name);
        ended.unwrap_or_else(|| panic!("{name} has no end: {}", ran.stderr))["outcome"].clone()
    };
    assert_eq!((outcome("files"), outcome("fails")), ("passed".into(), "failed".into()), "{}", ran.stderr);
    assert_eq!(outcome("last"), "passed", "{}", ran.stderr);
    let run = run_id(ran);
    assert_eq!(left_of(&run), Vec::<String>::new());
}

#[test]
fn two_runs_of_one_suite_at_once_on_one_engine_both_come_to_what_one_alone_would() {
    let system = everything();
    let sandbox = &system.sandbox;
    let start = |directory: &str| {
        Live::start(sandbox.command(&["run", "--format", "json", "--results-dir", directory]))
    };
    let runs = [start("one"), start("two")].map(Live::finish);
    for (ran, directory) in runs.iter().zip(["one", "two"]) {
        assert_ran_alone(ran);
        let key = fs::read_to_string(sandbox.path().join(directory).join("files/attempt-1/KEY"));
        assert!(key.is_ok(), "{directory} has no files of its own");
    }
    let history = sandbox.expect(0, &["history"]);
    for ran in &runs {
        history.assert_stdout(&run_id(ran));
    }
    assert_eq!(names_in(&sandbox.state().join("runs")), Vec::<String>::new());
}

#[test]
fn a_second_run_into_the_same_results_is_refused_before_anything_is_made() {
    let system = System::of(
        "services:\n  db: { image: IMAGE, command: [sleep, \"600\"] }\ntests:\n  a: { image: IMAGE, needs: [db], command: [sh, -c, 'echo up; sleep 4'] }\n",
    );
    let first = Live::start(system.sandbox.command(&["run", "--format", "json"]));
    first.prints(&event("service_ready"));
    let refused = system.sandbox.expect(125, &["run", "--format", "json"]);
    refused.assert_stderr("another run is writing its results to");
    refused.assert_stderr("--results-dir");
    assert_eq!(refused.stdout, "", "a run that is refused has not started");
    first.finish().assert_code(0);
    assert_eq!(system.sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn one_suite_on_two_engines_at_once_with_one_state_directory() {
    let (engine, other) = own_engine("stwo");
    let host = engine.value("DOCKERD_HOST");
    let system = System::new();
    let sandbox = &system.sandbox;
    // What both engines have.
    let built = sandbox.name("built");
    system.suite(&format!(
        "services:\n  db: {{ build: ., command: [sleep, \"600\"] }}\ntests:\n  {built}: {{ build: ., needs: [db], command: [sh, -c, 'sleep 2; echo $WHO >/var/tests/results/who'], env: [WHO] }}\n"
    ));
    sandbox.write("Dockerfile", &format!("FROM {BASE}\nLABEL of={built}\n"));
    let start = |directory: &str, engine: Option<&str>| {
        let mut command = sandbox.command(&["run", "--format", "json", "--results-dir", directory]);
        command.env("WHO", directory);
        if let Some(engine) = engine {
            command.env("DOCKER_HOST", engine);
        }
        Live::start(command)
    };
    let runs = [start("here", None), start("there", Some(host))].map(Live::finish);
    let history = sandbox.expect(0, &["history"]);
    for (ran, directory) in runs.iter().zip(["here", "there"]) {
        ran.assert_code(0);
        let who = sandbox.path().join(directory).join(&built).join("attempt-1/who");
        assert_eq!(fs::read_to_string(who).unwrap(), format!("{directory}\n"));
        let run = run_id(ran);
        history.assert_stdout(&run);
        assert_eq!(left_of(&run), Vec::<String>::new());
    }
    assert_eq!(docker_at(host, &["ps", "-aq"]), "");
    assert_eq!(docker_at(host, &["network", "ls", "-q", "--filter", "type=custom"]), "");
    assert!(!docker_at(host, &["images"]).contains("localhost/docker-test"));
    assert_eq!(names_in(&sandbox.state().join("runs")), Vec::<String>::new());
    drop(other);
}

#[test]
fn a_run_that_was_killed_on_one_engine_is_not_swept_by_a_run_on_another() {
    let (engine, _) = own_engine("sapart");
    let system = System::of("tests:\n  a: { image: IMAGE, command: [sh, -c, 'echo up; sleep 60'] }\n");
    let sandbox = &system.sandbox;
    let live = Live::start(sandbox.command(&["run", "--format", "json"]));
    live.prints("\"text\":\"up\\n\"");
    let run = run_in(&system.sandbox);
    live.signal(nix::sys::signal::Signal::SIGKILL);
    live.finish();
    let run_there = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        command.env("DOCKER_HOST", engine.value("DOCKERD_HOST"));
        Live::start(command).finish().assert_code(0);
    };
    run_there(&["--results-dir", "elsewhere", BASE, "--", "true"]);
    assert_ne!(left_of(&run), Vec::<String>::new());
    assert_eq!(
        names_in(&sandbox.state().join("runs")),
        [format!("{run}.jsonl")],
        "its journal is all that knows"
    );
    sandbox.expect(0, &["--results-dir", "elsewhere", &system.image, "--", "true"]);
    assert_eq!(left_of(&run), Vec::<String>::new());
}

#[test]
fn cached_runs_beside_one_another_take_nothing_for_a_pass_that_is_none() {
    let system = System::of(
        "tests:\n  good: { image: IMAGE, command: [sleep, \"1\"] }\n  bad: { image: IMAGE, command: [sh, -c, 'sleep 1; exit 1'] }\n",
    );
    let sandbox = &system.sandbox;
    let start = |directory: &str| {
        Live::start(sandbox.command(&["run", "--cached", "--format", "json", "--results-dir", directory]))
    };
    for ran in ["one", "two", "three"].map(start).map(Live::finish) {
        ran.assert_code(1);
        let ended = ran.events().into_iter().filter(|event| event["event"] == "test_ended");
        for event in ended {
            let wanted: &[&str] = if event["test"] == "bad" { &["failed"] } else { &["passed", "skipped"] };
            assert!(wanted.contains(&event["outcome"].as_str().unwrap()), "{event}");
        }
    }
    let told = system.run(1, &["--cached"]);
    told.assert_outcomes(&[("good", "skipped"), ("bad", "failed")]);
}

const ONE_SERVICE: &str = r#"
services:
  db: { image: IMAGE, command: [sleep, "600"] }
tests:
  big: { image: IMAGE, needs: [db], command: [sh, -c, "head -c 9000000 /dev/zero >/var/tests/results/big"] }
  small: { image: IMAGE, needs: [db], command: ["true"] }
"#;

#[test]
fn a_full_disk_under_the_results_costs_the_test_that_filled_it_its_pass_and_no_other() {
    let system = System::of(ONE_SERVICE);
    let disk = Fixture::up("disk@suite", &["--size", "4m"]);
    let results = format!("{}/results", disk.value("DISK_PATH"));
    let told = system.run(125, &["--results-dir", &results, "-j", "1"]);
    assert_eq!((told.outcome("big"), told.outcome("small")), ("aborted", "passed"), "{}", told.ran.stderr);
    assert!(told.ran.stderr.contains("No space left on device"), "{}", told.ran.stderr);
    assert_eq!(names_in(Path::new(disk.value("DISK_PATH"))), ["results"]);
    assert_eq!(system.sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn a_state_directory_on_a_full_disk_ends_a_suite_before_anything_is_made() {
    let mut system = System::of(ONE_SERVICE);
    let disk = Fixture::up("disk@sstate", &["--size", "1m"]);
    let path = Path::new(disk.value("DISK_PATH"));
    fs::create_dir_all(path.join("state/runs")).unwrap();
    // Until nothing goes in any more.
    let _ = std::io::copy(&mut std::io::repeat(0), &mut fs::File::create(path.join("fill")).unwrap());
    system.sandbox.set("DOCKER_TEST_STATE_DIR", path.join("state").to_str().unwrap());
    let ran = system.sandbox.expect(125, &["run", "--format", "json"]);
    ran.assert_stderr("DOCKER_TEST_STATE_DIR");
    assert_eq!(ran.stdout, "");
    assert!(!system.sandbox.path().join("tests").exists());
    assert_eq!(system.sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn a_history_that_cannot_be_used_is_a_warning_and_changes_no_verdict() {
    let system = System::of(
        "tests:\n  good: { image: IMAGE, command: [\"true\"] }\n  bad: { image: IMAGE, command: [\"false\"] }\n",
    );
    let file = system.sandbox.state().join("history.sqlite");
    fs::create_dir_all(system.sandbox.state()).unwrap();
    fs::write(&file, "this is no database, and never was one").unwrap();
    let verdict = |what: &str| {
        let told = system.run(1, &[]);
        told.assert_outcomes(&[("good", "passed"), ("bad", "failed")]);
        assert!(told.ran.stderr.contains("is not in the history"), "{what}: {}", told.ran.stderr);
        assert_eq!(system.sandbox.leftovers(), Vec::<String>::new());
    };
    verdict("damaged");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    verdict("a directory");
}

#[test]
fn a_history_that_is_damaged_while_a_suite_runs_changes_no_verdict() {
    let system = System::of(
        "tests:\n  a: { image: IMAGE, command: [sh, -c, 'echo up; sleep 3'] }\n  b: { image: IMAGE, command: [\"true\"], needs: [a] }\n",
    );
    let live = Live::start(system.sandbox.command(&["run", "--format", "json", "--report", "json=run.json"]));
    live.prints("\"text\":\"up\\n\"");
    for name in ["history.sqlite", "history.sqlite-wal"] {
        let file = system.sandbox.state().join(name);
        let length = fs::metadata(&file).map_or(0, |metadata| metadata.len());
        let _ = fs::write(&file, vec![b'x'; usize::try_from(length).unwrap()]);
    }
    let run = run_in(&system.sandbox);
    live.finish().assert_code(0);
    let report = fs::read_to_string(system.sandbox.path().join("run.json")).unwrap();
    assert_eq!(report.matches("\"outcome\": \"passed\"").count().min(2), 2, "{report}");
    assert_eq!(left_of(&run), Vec::<String>::new());
}

#[test]
fn a_reader_that_goes_away_does_not_keep_a_suite_from_its_end() {
    let system = System::of(ONE_SERVICE);
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = system.sandbox.command(&["run", "--format", "json", "--report", "json=run.json"]);
    command.stdout(writer);
    let live = Live::start(command);
    let run = run_in(&system.sandbox);
    drop(reader);
    let ran = live.finish();
    assert!(matches!(ran.code, 0 | 125), "{}: {}", ran.code, ran.stderr);
    let report = fs::read_to_string(system.sandbox.path().join("run.json")).unwrap();
    assert!(report.contains("\"small\""), "{report}");
    assert_eq!(left_of(&run), Vec::<String>::new());
}
