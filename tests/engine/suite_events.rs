//! `--format json` of a run of several: events that say whose they are, and nothing else on stdout.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::suite_system::System;

const SUITE: &str = r#"
services:
  db: { image: IMAGE, command: [sh, -c, 'echo up; sleep 600'], ready: { log: up } }
tests:
  a: { image: IMAGE, needs: [db], command: [sh, -c, 'seq 1 3000 | sed "s/^/a /"'] }
  b: { image: IMAGE, command: [sh, -c, 'seq 1 3000 | sed "s/^/b /"; echo "b error" >&2'] }
  c: { image: IMAGE, context: ./c }
  d: { image: IMAGE, retries: 1, command: [sh, -c, 'seq 1 3000 | sed "s/^/d /"; exit 1'] }
  e: { image: IMAGE, needs: [d], command: ["true"] }
"#;

fn system() -> System {
    let system = System::of(SUITE);
    system.sandbox.write("c/Dockerfile.test", "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nRUN echo building c\nCMD [\"sh\", \"-c\", \"seq 1 3000 | sed 's/^/c /'\"]\n");
    system
}

fn of<'a>(events: &'a [Value], kind: &'a str, test: &'a str) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |event| event["event"] == kind && event["test"] == test)
}

#[test]
fn events_of_tests_that_run_beside_one_another_say_whose_they_are() {
    let system = system();
    let ran = system.sandbox.expect(1, &["run", "--format", "json", "-j", "5"]);
    let events = ran.events();
    assert_eq!(events.first().unwrap()["event"], "run_started");
    assert_eq!(events.last().unwrap()["event"], "run_finished");
    assert_eq!(events.last().unwrap()["exit_code"], 1);
    assert_eq!(ran.event("queued")["tests"], 5);
    assert_eq!(ran.event("service_ready")["service"], "db");

    let mut printed: BTreeMap<String, String> = BTreeMap::new();
    for event in events.iter().filter(|event| event["event"] == "output") {
        let test = event["test"].as_str().unwrap_or_else(|| panic!("whose is {event}?"));
        if event["stream"] == "stdout" {
            *printed.entry(test.to_owned()).or_default() += event["text"].as_str().unwrap();
        }
    }
    let lines =
        |name: &str| (1..=3000).map(|number| format!("{name} {number}\n")).collect::<Vec<_>>().concat();
    for (name, times) in [("a", 1), ("b", 1), ("c", 1), ("d", 2)] {
        assert!(printed[name] == lines(name).repeat(times), "the output of {name} is not its own");
        assert_eq!(of(&events, "test_preparing", name).count(), 1, "{name}");
        assert_eq!(of(&events, "test_started", name).count(), times, "{name}");
        assert_eq!(of(&events, "test_finished", name).count(), times, "{name}");
        assert_eq!(of(&events, "collected", name).count(), times, "{name}");
    }
    assert!(!printed.contains_key("e"));
    let error = of(&events, "output", "b").find(|event| event["stream"] == "stderr").unwrap();
    assert_eq!(error["text"], "b error\n");
    assert_eq!(of(&events, "test_retry", "d").count(), 1);
    for name in ["a", "b", "c", "d", "e"] {
        assert_eq!(of(&events, "test_ended", name).count(), 1, "{name}");
    }
    assert_eq!(of(&events, "test_started", "e").count(), 0);
    // What is built says for whom.
    for event in events.iter().filter(|event| event["event"] == "built" || event["event"] == "build_step") {
        assert!(event["test"].is_string(), "{event}");
    }
    assert_eq!(of(&events, "built", "c").count(), 1);
}

#[test]
fn nothing_but_events_is_on_stdout_whatever_happens() {
    let system = system();
    let missing = system.sandbox.image("missing");
    let cases: [(i32, &[&str]); 5] = [
        (125, &["run", "--format", "json", "--pull", "never", &missing, &system.image, "--", "true"]),
        (4, &["run", "--format", "json", "--select", "nobody"]),
        (125, &["run", "--format", "json", "--rerun", "nothing"]),
        (124, &["run", "--format", "json", "--global-timeout", "1ms", "--select", "b"]),
        (1, &["run", "--format", "json", "--fail-fast", "-j", "1", "--select", "d"]),
    ];
    for (code, words) in cases {
        let ran = system.sandbox.expect(code, words);
        for line in ran.stdout.lines() {
            let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{words:?}: {line}"));
            assert!(event["event"].is_string(), "{event}");
        }
        if !ran.stdout.is_empty() {
            assert_eq!(ran.event("run_finished")["exit_code"], code);
        }
    }
    let ran = system.sandbox.expect(125, &["run", "--format", "json", "--report", "junit=-"]);
    assert_eq!(ran.stdout, "");
    ran.assert_stderr("stdout");
}

#[test]
fn tests_that_are_not_run_end_with_their_cause() {
    let system = System::of(
        r#"
tests:
  a: { image: IMAGE, command: ["true"] }
  b: { image: IMAGE, command: ["false"] }
  c: { image: IMAGE, command: ["true"], type: chaos }
"#,
    );
    let ran = system.sandbox.expect(1, &["run", "--format", "json", "--fail-fast", "--cached", "-j", "1"]);
    let stopped = ran.event("stopped");
    assert_eq!(stopped["tests"], 1, "{stopped}");
    let events = ran.events();
    let ended = of(&events, "test_ended", "c").next().unwrap();
    assert_eq!((&ended["outcome"], &ended["cause"]["kind"]), (&"skipped".into(), &"not_run".into()));
    assert_eq!(ended["attempts"], 0);
    let ran = system.sandbox.expect(1, &["run", "--format", "json", "--cached"]);
    let events = ran.events();
    let ended = of(&events, "test_ended", "a").next().unwrap();
    assert_eq!((&ended["outcome"], &ended["cause"]["kind"]), (&"skipped".into(), &"cached".into()));
    assert_eq!(of(&events, "test_started", "a").count(), 0);
}
