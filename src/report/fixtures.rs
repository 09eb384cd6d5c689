//! Results that the tests of this module share.

use crate::results::{
    Attempt, Case, CaseCounts, CaseStatus, CaseSuite, Cause, Outcome, ResultFile, RunResults, ServiceResult,
    TestResult,
};

pub(crate) fn case(name: &str, status: CaseStatus) -> Case {
    Case {
        name: name.to_owned(),
        class: None,
        status,
        seconds: Some(0.25),
        message: None,
        kind: None,
        detail: None,
        stdout: None,
        stderr: None,
        file: None,
        line: None,
    }
}

pub(crate) fn failed_case(name: &str, message: &str) -> Case {
    Case {
        class: Some("shop.CartTest".to_owned()),
        message: Some(message.to_owned()),
        kind: Some("AssertionError".to_owned()),
        detail: Some(format!("Traceback:\n  {message}")),
        file: Some("tests/cart.py".to_owned()),
        line: Some(41),
        ..case(name, CaseStatus::Failed)
    }
}

pub(crate) fn attempt(number: u32, outcome: Outcome, cases: Vec<Case>) -> Attempt {
    let tally = |status| cases.iter().filter(|case| case.status == status).count() as u64;
    let counts = CaseCounts {
        passed: tally(CaseStatus::Passed),
        failed: tally(CaseStatus::Failed),
        errored: tally(CaseStatus::Errored),
        skipped: tally(CaseStatus::Skipped),
    };
    let suites = if cases.is_empty() {
        Vec::new()
    } else {
        vec![CaseSuite { name: "pytest".to_owned(), source: "junit.xml".to_owned(), cases }]
    };
    Attempt {
        number,
        outcome,
        cause: None,
        exit_code: Some(0),
        started_at: Some("2026-11-21T06:30:00.25Z".to_owned()),
        seconds: 1.5,
        suites,
        cases: counts,
        files: vec![ResultFile { path: "junit.xml".to_owned(), size: 1536 }],
        log_tail: "collected 2 items\nFAILED\n".to_owned(),
        container: Some("0123456789abcdef".to_owned()),
        slot: None,
        offset_seconds: None,
        log: None,
    }
}

pub(crate) fn test(name: &str, outcome: Outcome, cause: Option<Cause>, attempts: Vec<Attempt>) -> TestResult {
    let mut attempts = attempts;
    if let Some(last) = attempts.last_mut() {
        last.cause.clone_from(&cause);
    }
    TestResult {
        name: name.to_owned(),
        image: name.to_owned(),
        image_id: "sha256:aa".to_owned(),
        test_image: format!("{name}-test"),
        test_type: "integration".to_owned(),
        source: "label".to_owned(),
        outcome,
        cause,
        flaky_fails: false,
        attempts,
        results_dir: Some("tests/results".to_owned()),
        warnings: Vec::new(),
        run_id: None,
    }
}

pub(crate) fn run(tests: Vec<TestResult>) -> RunResults {
    let outcome = tests.last().map_or(Outcome::Skipped, |test| test.outcome);
    RunResults {
        schema: 1,
        version: "0.1.0".to_owned(),
        run_id: "r-42".to_owned(),
        engine: "Docker Engine 20.10.24".to_owned(),
        started_at: "2026-11-21T06:29:58Z".to_owned(),
        seconds: 4.0,
        outcome,
        exit_code: u8::from(outcome != Outcome::Passed),
        tests,
        services: Vec::new(),
        runs: Vec::new(),
    }
}

/// One test with two passing cases.
pub(crate) fn passing() -> RunResults {
    let cases = vec![case("test_add", CaseStatus::Passed), case("test_remove", CaseStatus::Passed)];
    run(vec![test("shop:1.4", Outcome::Passed, None, vec![attempt(1, Outcome::Passed, cases)])])
}

/// One test with a failed and a passed case, exit code 1.
pub(crate) fn failing() -> RunResults {
    let cases = vec![case("test_add", CaseStatus::Passed), failed_case("test_total", "assert 3 == 4")];
    let cause = Some(Cause::ExitCode { code: 1 });
    run(vec![test("shop:1.4", Outcome::Failed, cause, vec![attempt(1, Outcome::Failed, cases)])])
}

/// One test without cases, ended as told.
pub(crate) fn without_cases(outcome: Outcome, cause: Option<Cause>) -> RunResults {
    run(vec![test("shop:1.4", outcome, cause, vec![attempt(1, outcome, Vec::new())])])
}

/// A service that ended as told.
pub(crate) fn service(name: &str, outcome: Outcome) -> ServiceResult {
    ServiceResult {
        name: name.to_owned(),
        image: "postgres:16".to_owned(),
        outcome,
        cause: (outcome != Outcome::Passed).then_some(Cause::ExitCode { code: 1 }),
        seconds: 2.5,
        log_tail: "FATAL: could not open file\n".to_owned(),
        run_id: None,
    }
}

/// A test that did not run because the service `db` was gone.
pub(crate) fn without_its_service() -> RunResults {
    let cause = Cause::DependencyFailed {
        service: "db".to_owned(),
        message: "it ended with exit code 1".to_owned(),
        log_tail: "starting\nFATAL: could not open file\n".to_owned(),
    };
    let mut results = run(vec![test("checkout", Outcome::DependencyFailed, Some(cause), Vec::new())]);
    results.services = vec![service("db", Outcome::Failed)];
    results
}

/// A test that failed first and passed then, with a case.
pub(crate) fn flaky() -> RunResults {
    let mut first = attempt(1, Outcome::Failed, vec![failed_case("test_total", "assert 3 == 4")]);
    first.cause = Some(Cause::ExitCode { code: 1 });
    let last = attempt(2, Outcome::Passed, vec![case("test_total", CaseStatus::Passed)]);
    run(vec![test("shop:1.4", Outcome::Flaky, None, vec![first, last])])
}

/// A test that did not run because it needs something that failed.
pub(crate) fn lacking(name: &str, needed: &str) -> TestResult {
    let cause = Cause::DependencyFailed {
        service: needed.to_owned(),
        message: "it ended with exit code 1".to_owned(),
        log_tail: String::new(),
    };
    let results_dir = None;
    TestResult { results_dir, ..test(name, Outcome::DependencyFailed, Some(cause), Vec::new()) }
}

fn of_two_hundred(number: u32) -> TestResult {
    let name = format!("part-{number:03}");
    let placed = |attempt: Attempt| {
        let log = format!("{name}/attempt-{}.log", attempt.number);
        let seconds = 1.0 + f64::from(number) / 128.0;
        let offset = f64::from(number / 4 * 4) + f64::from(attempt.number - 1);
        Attempt {
            slot: Some(number % 4 + 1),
            offset_seconds: Some(offset),
            log: Some(log),
            seconds,
            ..attempt
        }
    };
    let code = || Some(Cause::ExitCode { code: 1 });
    let failed = |at| {
        let mut made = placed(attempt(at, Outcome::Failed, vec![failed_case("test_total", "assert 3 == 4")]));
        (made.cause, made.exit_code) = (code(), Some(1));
        made
    };
    let passed = |at| placed(attempt(at, Outcome::Passed, vec![case("test_total", CaseStatus::Passed)]));
    let (outcome, cause, attempts) = match number {
        0..10 => (Outcome::Failed, code(), vec![failed(1), failed(2)]),
        10..15 => {
            let cause = Some(Cause::Timeout { seconds: 60.0 });
            (Outcome::TimedOut, cause, vec![placed(attempt(1, Outcome::TimedOut, Vec::new()))])
        }
        15..30 => return lacking(&name, "db"),
        30..35 => return lacking(&name, if number == 30 { "part-000" } else { "part-030" }),
        35..40 => (Outcome::Flaky, None, vec![failed(1), passed(2)]),
        40..43 => {
            let (run_id, at) = ("r-41".to_owned(), "2026-11-20T06:30:00Z".to_owned());
            (Outcome::Skipped, Some(Cause::Cached { run_id, at }), Vec::new())
        }
        43..50 => {
            let reason = "the run was stopped: 15 tests did not pass".to_owned();
            (Outcome::Skipped, Some(Cause::NotRun { reason }), Vec::new())
        }
        _ => (Outcome::Passed, None, vec![passed(1)]),
    };
    let last = attempts.len();
    let results_dir = (last > 0).then(|| format!("/work/out/{name}/attempt-{last}"));
    TestResult { results_dir, image: format!("shop/{name}:1.4"), ..test(&name, outcome, cause, attempts) }
}

/// Two hundred tests of every kind: 10 failed twice, 5 timed out, 15 were without the service `db`, 5 without the first
/// test, 5 are flaky, 3 are cached, 7 were skipped, 150 passed.
pub(crate) fn two_hundred() -> RunResults {
    let mut results = run((0..200).map(of_two_hundred).collect());
    results.services = vec![service("db", Outcome::Failed), service("queue", Outcome::Passed)];
    (results.outcome, results.exit_code, results.seconds) = (Outcome::Failed, 125, 203.0);
    results
}
