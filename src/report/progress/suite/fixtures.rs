//! Runs that the tests of the displays for many tests share.

use crate::report::progress::Display;
use crate::report::progress::fixtures::{pull, step};
use crate::results::{CaseCounts, Cause, Outcome};
use crate::runner::event::{RunEvent, StepStatus};

/// An event, and the test that it is of.
pub(in crate::report::progress) type Said = (Option<&'static str>, RunEvent);

pub(in crate::report::progress) fn feed(display: &mut dyn Display, events: &[Said]) {
    for (test, event) in events {
        match test {
            Some(test) => display.event_of(test, event),
            None => display.event(event),
        }
    }
}

pub(in crate::report::progress) fn queued(
    tests: usize,
    jobs: usize,
    expected_seconds: Option<f64>,
) -> RunEvent {
    RunEvent::Queued { tests, jobs, expected_seconds }
}

pub(in crate::report::progress) fn preparing(
    test: &str,
    slot: usize,
    expected_seconds: Option<f64>,
) -> RunEvent {
    RunEvent::TestPreparing { test: test.to_owned(), slot, expected_seconds }
}

pub(in crate::report::progress) fn started(test: &str, attempt: u32) -> RunEvent {
    RunEvent::TestStarted { test: test.to_owned(), attempt, container: "0123456789abcdef".to_owned() }
}

pub(in crate::report::progress) fn finished(
    test: &str,
    attempt: u32,
    outcome: Outcome,
    cause: Option<Cause>,
) -> RunEvent {
    RunEvent::TestFinished {
        test: test.to_owned(),
        attempt,
        outcome,
        cause,
        exit_code: None,
        seconds: 1.5,
        cases: CaseCounts::default(),
    }
}

pub(in crate::report::progress) fn retry(test: &str, attempt: u32, of: u32, delay_seconds: f64) -> RunEvent {
    RunEvent::TestRetry { test: test.to_owned(), attempt, of, delay_seconds }
}

/// The end of a test after one attempt of 2.3 seconds, or after none.
pub(in crate::report::progress) fn ended(
    test: &str,
    outcome: Outcome,
    cause: Option<Cause>,
    attempts: u32,
) -> RunEvent {
    RunEvent::TestEnded {
        test: test.to_owned(),
        outcome,
        cause,
        attempts,
        seconds: 2.3,
        cases: CaseCounts::default(),
        slot: None,
        log_tail: String::new(),
        log: None,
    }
}

/// The end of a test that failed, with what it printed last.
pub(in crate::report::progress) fn failed(test: &str, output: &str) -> RunEvent {
    RunEvent::TestEnded {
        test: test.to_owned(),
        outcome: Outcome::Failed,
        cause: Some(Cause::ExitCode { code: 1 }),
        attempts: 1,
        seconds: 2.3,
        cases: CaseCounts { passed: 10, failed: 2, errored: 0, skipped: 0 },
        slot: Some(1),
        log_tail: output.to_owned(),
        log: Some(format!("tests/results/{test}/log.txt")),
    }
}

pub(in crate::report::progress) fn run_started() -> RunEvent {
    RunEvent::RunStarted {
        run_id: "r-42".to_owned(),
        image: "docker-test.yaml".to_owned(),
        version: "0.1.0".to_owned(),
        engine: "Docker Engine 20.10.24".to_owned(),
    }
}

pub(in crate::report::progress) fn needs_db() -> Cause {
    Cause::DependencyFailed {
        service: "db".to_owned(),
        message: "it ended with exit code 1".to_owned(),
        log_tail: "FATAL: could not open file\n".to_owned(),
    }
}

/// Six tests of every kind, with a service that fails.
pub(in crate::report::progress) fn small_run() -> Vec<Said> {
    let warning = || RunEvent::Warning { message: "no swap limit here".to_owned() };
    let cached = Cause::Cached { run_id: "r-41".to_owned(), at: "2026-11-20T06:30:00Z".to_owned() };
    vec![
        (None, run_started()),
        (Some("db"), pull("16", "Pulling from postgres", None, None)),
        (Some("db"), pull("aaa", "Pulling fs layer", None, None)),
        (Some("db"), pull("aaa", "Pull complete", None, None)),
        (None, queued(6, 2, Some(60.0))),
        (Some("lint"), ended("lint", Outcome::Skipped, Some(cached), 0)),
        (None, RunEvent::ServiceStarting { service: "db".to_owned(), image: "postgres:16".to_owned() }),
        (Some("api"), preparing("api", 1, Some(10.0))),
        (Some("flips"), preparing("flips", 2, None)),
        (Some("api"), step("1/2", "FROM shop/api", StepStatus::Started)),
        (Some("flips"), warning()),
        (Some("api"), warning()),
        (
            Some("api"),
            RunEvent::Built {
                image: "shop/api:1.4-test".to_owned(),
                image_id: "sha256:cc".to_owned(),
                reused: false,
                seconds: 4.2,
            },
        ),
        (Some("api"), started("api", 1)),
        (Some("flips"), started("flips", 1)),
        (None, RunEvent::ServiceReady { service: "db".to_owned(), seconds: 2.5 }),
        (Some("flips"), finished("flips", 1, Outcome::Failed, Some(Cause::ExitCode { code: 3 }))),
        (Some("flips"), retry("flips", 2, 3, 1.0)),
        (Some("flips"), started("flips", 2)),
        (Some("flips"), RunEvent::TestSlow { test: "flips".to_owned(), attempt: 2, seconds: 60.0 }),
        (Some("flips"), finished("flips", 2, Outcome::Passed, None)),
        (Some("flips"), ended("flips", Outcome::Flaky, Some(Cause::ExitCode { code: 3 }), 2)),
        (Some("api"), failed("api", "collected 12 items\n\u{1b}[31m::error::two failed\u{1b}[0m\nhalf a li")),
        (Some("pay"), preparing("pay", 1, None)),
        (Some("pay"), started("pay", 1)),
        (Some("pay"), finished("pay", 1, Outcome::Passed, None)),
        (Some("pay"), ended("pay", Outcome::Passed, None, 1)),
        (
            None,
            RunEvent::ServiceFailed {
                service: "db".to_owned(),
                message: "it ended with exit code 1".to_owned(),
                log_tail: "FATAL: could not open file\n".to_owned(),
            },
        ),
        (Some("cart"), ended("cart", Outcome::DependencyFailed, Some(needs_db()), 0)),
        (None, RunEvent::Stopped { reason: "2 tests did not pass".to_owned(), tests: 1 }),
        (
            Some("last"),
            ended("last", Outcome::Skipped, Some(Cause::NotRun { reason: "stopped".to_owned() }), 0),
        ),
        (
            None,
            RunEvent::RunFinished {
                run_id: "r-42".to_owned(),
                outcome: Outcome::Failed,
                exit_code: 1,
                seconds: 9.0,
            },
        ),
    ]
}
