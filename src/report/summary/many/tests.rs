use snapbox::{assert_data_eq, str};
use unicode_width::UnicodeWidthStr as _;

use crate::report::fixtures::{
    attempt, case, failed_case, failing, run, service, test, two_hundred, without_its_service,
};
use crate::report::style::Style;
use crate::report::summary::render;
use crate::results::{CaseStatus, Cause, Outcome, RunResults};

fn plain(results: &RunResults, width: usize) -> String {
    render(results, Style { color: false, width })
}

#[test]
fn only_what_did_not_simply_pass_is_told_and_the_totals_stand_last() {
    let text = plain(&two_hundred(), 70);
    let blocks: Vec<&str> = text.trim_end().split("\n\n").collect();
    let titles: Vec<&str> = blocks.iter().take(6).filter_map(|block| block.split(" in ").next()).collect();
    assert_eq!(
        titles,
        [
            "FAILED  payment-017",
            "FAILED  login-044",
            "FAILED  search-058",
            "TIMED OUT  cart-071",
            "OUT OF MEMORY  checkout-090",
            "FAILED  search-113",
        ]
    );
    assert_data_eq!(
        blocks[1],
        str![[r"
FAILED  login-044 in 3.6s
  image    registry.example/shop/login:1.4
  cases    2 passed, 1 failed
  cause    the test command ended with exit code 1
  attempts failed, then failed, then failed
  failed   ✗ shop.CartTest test_total
             at tests/cart.py:41
             | assert 3 == 4
  output     | collected 3 items
             | test_add PASSED
             | test_remove PASSED
             | test_total FAILED
             | E   assert 3 == 4
             | 1 failed, 2 passed
  log      tests/results/login-044/attempt-3.log
  results  tests/results/login-044/attempt-3
           2 files, 48.3 KiB
"]]
    );
    assert_data_eq!(
        blocks[6..].join("\n\n"),
        str![[r"
SKIPPED  2 tests
  tests    checkout-180, cart-181
  cause    not run: nothing has changed since it passed at
           2026-11-20T06:30:00Z (run r-41)

DEPENDENCY FAILED  3 tests
  tests    checkout-150, cart-151, payment-152
  cause    cache, which it needs, failed: ended with exit code 1

FLAKY  checkout-025 in 5.8s: failed, then passed
FLAKY  checkout-125 in 7.8s: failed, then passed

FAILED  service cache (postgres:16) after 2.5s
  cause    it ended with exit code 1
  output     | FATAL: could not open file

  slowest      30s  cart-071
              9.3s  payment-017
              9.3s  payment-107

DEPENDENCY FAILED  200 tests: 187 passed, 3 dependency failed, 4
                   failed, 1 out of memory, 1 timed out, 2 flaky, 2
                   skipped in 2m 11s
  run      r-42
  hint     docker-test run --rerun failed
"]]
    );
}

#[test]
fn a_run_without_tests_has_its_line_too() {
    assert_data_eq!(
        plain(&run(Vec::new()), 60),
        str![[r"
SKIPPED  0 tests in 4s
  run      r-42

"]]
    );
}

#[test]
fn a_run_of_passes_is_a_line() {
    let passed =
        |name: &str| test(name, Outcome::Passed, None, vec![attempt(1, Outcome::Passed, Vec::new())]);
    assert_data_eq!(
        plain(&run(vec![passed("a"), passed("b")]), 60),
        str![[r"
PASSED  2 tests: 2 passed in 4s
  run      r-42

"]]
    );
}

#[test]
fn what_was_not_run_never_reads_as_a_pass() {
    let cached = |run: &str| Cause::Cached { run_id: run.to_owned(), at: "2026-11-20T06:30:00Z".to_owned() };
    let stopped = Cause::NotRun { reason: "the run was stopped: a test did not pass".to_owned() };
    let skipped = |name: &str, cause| test(name, Outcome::Skipped, Some(cause), Vec::new());
    let tests = vec![
        skipped("a", cached("r-40")),
        skipped("b", cached("r-41")),
        skipped("c", cached("r-41")),
        skipped("d", stopped),
    ];
    assert_data_eq!(
        plain(&run(tests), 70),
        str![[r"
SKIPPED  3 tests
  tests    a, b, c
  cause    not run: nothing has changed since it passed at
           2026-11-20T06:30:00Z (run r-40) (1 test)
           not run: nothing has changed since it passed at
           2026-11-20T06:30:00Z (run r-41) (2 tests)

SKIPPED  d
  cause    not run: the run was stopped: a test did not pass

SKIPPED  4 tests: 4 skipped in 4s
  run      r-42

"]]
    );
}

#[test]
fn tests_that_wanted_one_service_stand_together_and_its_words_once() {
    let mut results = without_its_service();
    let first = results.tests[0].clone();
    results.tests = (1..=150)
        .map(|number| {
            let mut test = first.clone();
            test.name = format!("test-{number}");
            test
        })
        .collect();
    results.outcome = Outcome::DependencyFailed;
    assert_data_eq!(
        plain(&results, 70),
        str![[r"
DEPENDENCY FAILED  150 tests
  tests    test-1, test-2, test-3, test-4, test-5, test-6, test-7,
           test-8, test-9, test-10, + 140 more
  cause    db, which it needs, failed: it ended with exit code 1

FAILED  service db (postgres:16) after 2.5s
  cause    it ended with exit code 1
  output     | FATAL: could not open file

DEPENDENCY FAILED  150 tests: 150 dependency failed in 4s
  run      r-42
  hint     docker-test run --rerun failed

"]]
    );
    results.services.clear();
    assert_eq!(plain(&results, 70).matches("FATAL").count(), 1);
}

#[test]
fn the_twenty_first_failure_and_those_after_it_have_a_line_each() {
    let one = |number: u32| {
        let mut failed = failing().tests.remove(0);
        failed.name = format!("test-{number}");
        failed
    };
    let text = plain(&run((1..=150).map(one).collect()), 60);
    assert_eq!(text.matches("  results  ").count(), 20, "{text}");
    let line = "FAILED  test-150 in 1.5s: the test command ended with exit\n        code 1\n";
    assert!(text.contains(line), "{text}");
    assert!(text.lines().count() < 600, "{}", text.lines().count());
}

#[test]
fn a_warning_of_many_tests_is_said_once() {
    let one = |number: u32| {
        let passed = vec![attempt(1, Outcome::Passed, Vec::new())];
        let mut test = test(&format!("test-{number}"), Outcome::Passed, None, passed);
        test.warnings = vec!["no swap limit".to_owned()];
        test
    };
    let mut tests: Vec<_> = (1..=9).map(one).collect();
    tests[4].warnings.push("a child was killed".to_owned());
    let text = plain(&run(tests), 60);
    assert!(
        text.starts_with("WARNING  no swap limit (9 times)\nWARNING  test-5: a child was killed\n\nPASSED  "),
        "{text}"
    );
}

#[test]
fn the_log_is_named_where_it_is_and_as_reports_do_where_that_is_unknown() {
    let mut failed = failing().tests.remove(0);
    failed.attempts[0].log = Some("api/attempt-1.log".to_owned());
    failed.results_dir = Some("/srv/results/api/attempt-1".to_owned());
    let text = |test: &crate::results::TestResult| plain(&run(vec![test.clone(), test.clone()]), 60);
    assert!(text(&failed).contains("  log      /srv/results/api/attempt-1.log\n"), "{}", text(&failed));
    failed.results_dir = None;
    assert!(text(&failed).contains("  log      api/attempt-1.log\n"), "{}", text(&failed));
}

#[test]
fn every_line_fits_a_narrow_terminal_and_none_steers_it() {
    let long = "averyveryverylongword and \u{1b}[2J\u{7} \r::error::x ##[group]y 漢字 ".repeat(3);
    let mut failed = failed_case(&long, &long);
    failed.class = Some(long.clone());
    let mut bad = attempt(1, Outcome::Failed, vec![failed, case(&long, CaseStatus::Passed)]);
    bad.log_tail = format!("::add-mask::x\n{long}\n##[error]half a line");
    let cause = Some(Cause::NotStarted { message: long.clone() });
    let mut tested = test(&long, Outcome::NotStarted, cause, vec![bad]);
    tested.warnings = vec![long.clone()];
    let mut flaky = tested.clone();
    flaky.outcome = Outcome::Flaky;
    let mut tests = vec![tested, flaky];
    tests.extend(
        without_its_service()
            .tests
            .into_iter()
            .map(|test| crate::results::TestResult { name: long.clone(), ..test }),
    );
    tests.extend(
        (0..12).map(|_| test(&long, Outcome::Passed, None, vec![attempt(1, Outcome::Passed, Vec::new())])),
    );
    let mut results = run(tests);
    results.services = vec![service(&long, Outcome::Failed)];
    let text = plain(&results, 60);
    for line in text.lines() {
        assert!(line.width() <= 60, "{} columns: {line}", line.width());
        assert!(!line.trim_start().starts_with("::") && !line.contains("##["), "{line}");
    }
    assert!(!text.contains(['\u{1b}', '\u{7}', '\r']), "{text}");
}
