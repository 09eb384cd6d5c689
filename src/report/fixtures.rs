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

/// A run of 200 tests on eight slots: of each outcome some, and most of them passed.
pub(crate) fn two_hundred() -> RunResults {
    let mut slots = [0.0_f64; 8];
    let tests = (1..=200_u32).map(|number| one_of_many(number, &mut slots)).collect();
    let mut results = run(tests);
    results.seconds = slots.iter().copied().fold(0.0, f64::max) + 1.25;
    results.outcome = Outcome::DependencyFailed;
    results.exit_code = 125;
    results.services = vec![service("db", Outcome::Passed), service("cache", Outcome::Failed)];
    results
}

fn one_of_many(number: u32, slots: &mut [f64; 8]) -> TestResult {
    let kinds = ["checkout", "cart", "payment", "search", "login"];
    let name = format!("{}-{number:03}", kinds[number as usize % kinds.len()]);
    let exit = || Some(Cause::ExitCode { code: 1 });
    let (outcome, cause, tries) = match number {
        17 | 58 | 113 => (Outcome::Failed, exit(), vec![Outcome::Failed]),
        44 => (Outcome::Failed, exit(), vec![Outcome::Failed, Outcome::Failed, Outcome::Failed]),
        71 => (Outcome::TimedOut, Some(Cause::Timeout { seconds: 30.0 }), vec![Outcome::TimedOut]),
        90 => (
            Outcome::OutOfMemory,
            Some(Cause::OutOfMemory { limit: Some(64 << 20) }),
            vec![Outcome::OutOfMemory],
        ),
        25 | 125 => (Outcome::Flaky, exit(), vec![Outcome::Failed, Outcome::Passed]),
        150..=152 => (
            Outcome::DependencyFailed,
            Some(Cause::DependencyFailed {
                service: "cache".to_owned(),
                message: "ended with exit code 1".to_owned(),
                log_tail: "FATAL: could not open file\n".to_owned(),
            }),
            Vec::new(),
        ),
        180..=181 => (
            Outcome::Skipped,
            Some(Cause::Cached { run_id: "r-41".to_owned(), at: "2026-11-20T06:30:00Z".to_owned() }),
            Vec::new(),
        ),
        _ => (Outcome::Passed, None, vec![Outcome::Passed]),
    };
    let mut attempts = Vec::new();
    for (index, outcome) in (1_u32..).zip(tries) {
        attempts.push(attempt_of_many(number, index, outcome, slots));
    }
    let last = attempts.len();
    for attempt in &mut attempts {
        attempt.cause = cause.clone().filter(|_| attempt.outcome != Outcome::Passed);
    }
    let image = format!("registry.example/shop/{}:1.4", kinds[number as usize % kinds.len()]);
    let results_dir = (last > 0).then(|| format!("tests/results/{name}/attempt-{last}"));
    let tested = TestResult {
        name: name.clone(),
        image,
        outcome,
        cause,
        attempts,
        results_dir,
        ..test(&name, outcome, None, Vec::new())
    };
    TestResult { test_image: format!("{}-test", tested.image), ..tested }
}

fn attempt_of_many(test: u32, number: u32, outcome: Outcome, slots: &mut [f64; 8]) -> Attempt {
    let seconds = match outcome {
        Outcome::TimedOut => 30.0,
        _ => 0.4 + f64::from(test * 37 % 90) / 10.0,
    };
    let slot =
        (0..slots.len()).min_by(|one, other| slots[*one].total_cmp(&slots[*other])).unwrap_or_default();
    let offset = slots[slot] + 0.05;
    slots[slot] = offset + seconds;
    let kinds = ["checkout", "cart", "payment", "search", "login"];
    let mut cases = vec![case("test_add", CaseStatus::Passed), case("test_remove", CaseStatus::Passed)];
    let mut log_tail = "collected 3 items\ntest_add PASSED\ntest_remove PASSED\n".to_owned();
    if outcome == Outcome::Failed {
        cases.push(failed_case("test_total", "assert 3 == 4"));
        log_tail.push_str("test_total FAILED\n\u{1b}[31mE   assert 3 == 4\u{1b}[0m\n1 failed, 2 passed");
    }
    if !matches!(outcome, Outcome::Failed | Outcome::Passed) {
        cases.clear();
    }
    let name = format!("{}-{test:03}", kinds[test as usize % kinds.len()]);
    Attempt {
        seconds,
        log_tail,
        exit_code: Some(i64::from(outcome != Outcome::Passed)),
        slot: u32::try_from(slot + 1).ok(),
        offset_seconds: Some(offset),
        log: Some(format!("{name}/attempt-{number}.log")),
        files: vec![
            ResultFile { path: "junit.xml".to_owned(), size: 1536 },
            ResultFile { path: "screenshots/start.png".to_owned(), size: 48_000 },
        ],
        ..attempt(number, outcome, cases)
    }
}
