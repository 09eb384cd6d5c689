//! Suites that are interrupted: at any moment they end soon, tell the truth of each test, and leave nothing.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::live::Live;
use crate::suite_crash::{event, everything, left_of, names_in, run_id, run_in};
use crate::suite_system::System;
use crate::support::{BASE, Ran};

/// A suite that runs, with reports.
fn start(system: &System, flags: &[&str]) -> Live {
    let reports = ["run", "--format", "json", "--report", "json=run.json", "--report", "junit=run.xml"];
    Live::start(system.sandbox.command(&[&reports, flags].concat()))
}

/// What the JSON report says of the tests. Demands that the other report is there too.
#[track_caller]
fn report(system: &System, ran: &Ran) -> Value {
    let read = |name: &str| fs::read_to_string(system.sandbox.path().join(name));
    let junit = read("run.xml").unwrap_or_else(|error| panic!("{error}: {}", ran.stderr));
    assert!(junit.contains("</testsuites>"), "{junit}");
    serde_json::from_str(&read("run.json").unwrap()).unwrap()
}

fn outcomes(report: &Value) -> Vec<(&str, &str)> {
    let tests = report["tests"].as_array().unwrap().iter();
    tests.map(|test| (test["name"].as_str().unwrap(), test["outcome"].as_str().unwrap())).collect()
}

/// Interrupts a run after an event: it ends with the signal's code, names every test, and leaves nothing at all.
fn interrupted_after(moments: &[(&str, u64, Signal)]) {
    let system = everything();
    for (moment, delay, signal) in moments {
        let at = format!("{signal} {delay} ms after {moment}");
        let live = start(&system, &[]);
        live.prints(&event(moment));
        std::thread::sleep(Duration::from_millis(*delay));
        live.signal(*signal);
        let began = Instant::now();
        let ran = live.finish();
        assert!(began.elapsed() < Duration::from_secs(30), "{at}: {:?}", began.elapsed());
        ran.assert_code(128 + *signal as i32);
        let run = run_id(&ran);
        assert_eq!(left_of(&run), Vec::<String>::new(), "{at}");
        assert_eq!(names_in(&system.sandbox.state().join("runs")), Vec::<String>::new(), "{at}");
        let report = report(&system, &ran);
        assert_eq!((&report["outcome"], &report["exit_code"]), (&"aborted".into(), &ran.code.into()), "{at}");
        let outcomes = outcomes(&report);
        assert_eq!(outcomes.len(), 4, "{at}: {outcomes:?}");
        let ended = ran.events().into_iter().filter(|event| event["event"] == "test_ended");
        for event in ended {
            let (name, outcome) = (event["test"].as_str().unwrap(), event["outcome"].as_str().unwrap());
            assert!(outcomes.contains(&(name, outcome)), "{at}: {event} {outcomes:?}");
        }
        let of = |name: &str| outcomes.iter().find(|(test, _)| *test == name).unwrap().1;
        assert_eq!(of("last"), "aborted", "{at}: {outcomes:?}");
        // A test that has ended before keeps what it came to.
        assert!(matches!(of("fails"), "aborted" | "failed"), "{at}: {outcomes:?}");
        let files = names_in(&system.sandbox.path().join("tests"));
        assert!(files.iter().all(|name| name == "results"), "{at}: {files:?}");
    }
}

#[test]
fn a_suite_that_is_interrupted_while_it_is_planned_names_every_test_and_leaves_nothing() {
    use Signal::{SIGINT, SIGTERM};
    interrupted_after(&[("run_started", 0, SIGINT), ("build_step", 0, SIGTERM), ("build_step", 400, SIGINT)]);
}

#[test]
fn a_suite_that_is_interrupted_while_services_start_leaves_nothing() {
    use Signal::{SIGINT, SIGTERM};
    interrupted_after(&[
        ("queued", 0, SIGTERM),
        ("service_starting", 300, SIGINT),
        ("service_ready", 0, SIGTERM),
    ]);
}

#[test]
fn a_suite_that_is_interrupted_while_tests_run_leaves_nothing() {
    use Signal::{SIGINT, SIGTERM};
    interrupted_after(&[("test_started", 0, SIGINT), ("test_retry", 0, SIGTERM), ("test_ended", 0, SIGINT)]);
}

#[test]
fn an_interrupt_ends_the_wait_before_a_retry_and_the_failed_attempt_stands() {
    let system = System::of(
        "tests:\n  a: { image: IMAGE, command: [sh, -c, 'echo x >/var/tests/results/x; exit 3'], retries: { count: 3, backoff: 10m } }\n",
    );
    let live = start(&system, &[]);
    live.prints(&event("test_retry"));
    let began = Instant::now();
    live.signal(Signal::SIGINT);
    let ran = live.finish();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    ran.assert_code(130);
    let report = report(&system, &ran);
    let test = &report["tests"][0];
    assert_eq!((&test["outcome"], test["attempts"].as_array().unwrap().len()), (&"failed".into(), 1));
    assert_eq!(system.sandbox.result("a/attempt-1/x"), "x\n");
}

#[test]
fn a_build_of_a_suite_ends_at_once_and_history_knows_what_was_not_run() {
    let system =
        System::of("tests:\n  a: { build: ., needs: [b] }\n  b: { image: IMAGE, command: [\"true\"] }\n");
    let name = system.sandbox.name("slow");
    system
        .sandbox
        .write("Dockerfile", &format!("FROM {BASE}\nRUN echo {name} && echo now-sleeping && sleep 300\n"));
    let live = start(&system, &[]);
    live.prints("now-sleeping");
    let run = run_in(&system.sandbox);
    let began = Instant::now();
    live.signal(Signal::SIGINT);
    let ran = live.finish();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    ran.assert_code(130);
    assert_eq!(outcomes(&report(&system, &ran)), [("b", "aborted"), ("a", "aborted")]);
    let shown = system.sandbox.expect(0, &["history", "show", &run]);
    assert!(shown.stdout.matches("aborted").count() >= 2, "{}", shown.stdout);
    assert_eq!(left_of(&run), Vec::<String>::new());
    // Both still have to pass.
    system.sandbox.write("Dockerfile", &format!("FROM {BASE}\nLABEL test.cmd='true' of={name}\n"));
    let again = system.try_run(&["--rerun", "failed"]);
    assert_eq!(again.names(), ["b", "a"], "{}", again.ran.stderr);
}

/// Tests that hear no signal.
fn deaf(number: usize) -> System {
    let line = |number| {
        format!(
            "  t{number}: {{ image: IMAGE, command: [sh, -c, \"trap '' TERM INT; echo half >/var/tests/results/half; echo up; while :; do sleep 0.2; done\"] }}\n"
        )
    };
    let tests: String = (0..number).map(line).collect();
    let system = System::of(&format!(
        "tests:\n{tests}  done: {{ image: IMAGE, command: [\"true\"] }}\n  waits: {{ image: IMAGE, command: [\"true\"], needs: [t0] }}\n"
    ));
    // What all of them stand on is there: the time is that of the tests.
    system.run(0, &["--select", "done"]);
    system
}

/// Waits until all of them are deaf.
fn all_up(live: &Live, number: usize) {
    for test in 0..number {
        live.prints(&format!("\"test\":\"t{test}\",\"attempt\":1"));
    }
    live.prints("\"text\":\"up\\n\"");
    std::thread::sleep(Duration::from_secs(2));
}

#[test]
fn twenty_tests_that_hear_no_signal_are_ended_together_with_their_files_taken_out() {
    let system = deaf(20);
    let live = start(&system, &["-j", "21", "--grace-period", "1s"]);
    all_up(&live, 20);
    let run = run_in(&system.sandbox);
    let began = Instant::now();
    live.signal(Signal::SIGINT);
    let ran = live.finish();
    // One after another it would be 20 times the time of grace. What a machine with nothing else to do needs is measured
    // by the benchmark.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    ran.assert_code(130);
    let report = report(&system, &ran);
    for (name, outcome) in outcomes(&report) {
        assert_eq!(outcome, if name == "done" { "passed" } else { "aborted" }, "{name}");
        if name.starts_with('t') {
            assert_eq!(system.sandbox.result(&format!("{name}/attempt-1/half")), "half\n");
        }
    }
    assert_eq!(left_of(&run), Vec::<String>::new());
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_any_test() {
    let system = deaf(4);
    let live = start(&system, &["-j", "5", "--grace-period", "1h"]);
    all_up(&live, 4);
    let run = run_in(&system.sandbox);
    live.signal(Signal::SIGINT);
    live.prints(&event("stopping"));
    let began = Instant::now();
    live.signal(Signal::SIGINT);
    let ran = live.finish();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    ran.assert_code(130);
    let report = report(&system, &ran);
    assert!(outcomes(&report).iter().all(|(name, outcome)| *name == "done" || *outcome == "aborted"));
    assert_eq!(left_of(&run), Vec::<String>::new());
}
