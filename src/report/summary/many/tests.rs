use crate::report::fixtures::{attempt, failing, lacking, passing, run, test, two_hundred, without_cases};
use crate::report::style::Style;
use crate::report::summary::render;
use crate::report::text::strip_ansi;
use crate::results::{Cause, Outcome, RunResults, TestResult};
use snapbox::{assert_data_eq, str};
use unicode_width::UnicodeWidthStr;

fn plain(results: &RunResults) -> String {
    render(results, Style { color: false, width: 60 })
}

fn passed(name: &str) -> TestResult {
    TestResult { results_dir: None, ..test(name, Outcome::Passed, None, vec![attempt(1, Outcome::Passed, Vec::new())]) }
}

#[test]
fn a_run_in_which_all_is_well_is_its_totals() {
    assert_data_eq!(
        plain(&run(vec![passed("a"), passed("b")])),
        str![[r"
PASSED  2 tests: 2 passed in 4s
  run      r-42

"]]
    );
}

#[test]
fn each_failure_has_a_block_and_a_flaky_test_a_line() {
    let mut flaky = test(
        "api",
        Outcome::Flaky,
        None,
        vec![attempt(1, Outcome::TimedOut, Vec::new()), attempt(2, Outcome::Passed, Vec::new())],
    );
    flaky.results_dir = None;
    let mut failed = failing().tests.remove(0);
    failed.name = "shop".to_owned();
    failed.results_dir = Some("/work/out/shop/attempt-1".to_owned());
    failed.attempts[0].log = Some("shop/attempt-1.log".to_owned());
    failed.attempts[0].log_tail = "\n".repeat(12) + "collected 2 items\u{1b}[2J\n\n::error::x\nFAILED\n\n";
    let mut results = run(vec![flaky, passed("calm"), failed]);
    results.tests[1].warnings = vec!["a child was killed".to_owned()];
    assert_data_eq!(
        plain(&results),
        str![[r"
FLAKY  api: timed out, then passed in 3s

FAILED  shop in 1.5s
  image    shop:1.4
  cause    the test command ended with exit code 1
  cases    1 passed, 1 failed
  failed   ✗ shop.CartTest test_total
             at tests/cart.py:41
             | assert 3 == 4
  output   │ …
           │
           │
           │
           │
           │
           │
           │ collected 2 items
           │
           │ ::error::x
           │ FAILED
  results  /work/out/shop/attempt-1
  log      /work/out/shop/attempt-1.log

FAILED  3 tests: 1 passed, 1 failed, 1 flaky in 4s
  warning  calm: a child was killed
  run      r-42
  hint     add --rerun failed to run these again

"]]
    );
}

#[test]
fn dependents_share_the_line_of_what_failed_first() {
    let mut results = two_hundred();
    results.tests.drain(50..);
    results.tests.drain(1..15);
    assert_data_eq!(
        plain(&results),
        str![[r"
FLAKY  part-035: failed, then passed in 2.7s
FLAKY  part-036: failed, then passed in 2.7s
FLAKY  part-037: failed, then passed in 2.7s
FLAKY  part-038: failed, then passed in 2.8s
FLAKY  part-039: failed, then passed in 2.8s

FAILED  service db (postgres:16) after 2.5s
  cause    it ended with exit code 1
  output   │ FATAL: could not open file

FAILED  part-000 in 2s
  image    shop/part-000:1.4
  cause    the test command ended with exit code 1
  attempts failed, then failed
  cases    1 failed
  failed   ✗ shop.CartTest test_total
             at tests/cart.py:41
             | assert 3 == 4
  output   │ collected 2 items
           │ FAILED
  results  /work/out/part-000/attempt-2
  log      /work/out/part-000/attempt-2.log

not run because db failed: part-015, part-016, part-017,
  part-018, part-019, part-020 + 9 more

not run because part-000 failed: part-030, part-031,
  part-032, part-033, part-034

FAILED  36 tests: 1 failed, 20 dependency failed, 5 flaky, 7
        skipped, 3 cached (passed before, nothing changed)
        in 3m 23s
  skipped  7 not run: the run was stopped: 15 tests did not
           pass
  slowest  part-039 2.8s, part-038 2.8s, part-037 2.7s
  run      r-42
  hint     add --rerun failed to run these again

"]]
    );
}

#[test]
fn what_kept_many_tests_from_starting_is_told_once() {
    let never = |name: &str| {
        let cause = Cause::NotStarted { message: "no such image: shop".to_owned() };
        TestResult { image: "i".to_owned(), ..test(name, Outcome::NotStarted, Some(cause), Vec::new()) }
    };
    let tests = (0..9).map(|number| never(&format!("t{number}"))).collect();
    assert_data_eq!(
        plain(&run(tests)),
        str![[r"
NOT STARTED  t0, t1, t2, t3, t4, t5 + 3 more
  cause    the test did not start: no such image: shop

NOT STARTED  9 tests: 9 not started in 4s
  run      r-42
  hint     add --rerun failed to run these again

"]]
    );
}

#[test]
fn a_service_without_a_record_of_its_own_is_told_where_its_tests_are() {
    let mut cut = lacking("b", "db");
    cut.attempts = vec![attempt(1, Outcome::Failed, Vec::new())];
    if let Some(Cause::DependencyFailed { log_tail, .. }) = &mut cut.cause {
        *log_tail = "FATAL\n".to_owned();
    }
    assert_data_eq!(
        plain(&run(vec![cut, lacking("c", "db"), passed("d")])),
        str![[r"
not run because db failed: c
without a verdict because db failed meanwhile: b
  cause    it ended with exit code 1
  output   │ FATAL

PASSED  3 tests: 1 passed, 2 dependency failed in 4s
  run      r-42
  hint     add --rerun failed to run these again

"]]
    );
}

#[test]
fn cached_tests_do_not_read_as_a_pass() {
    let cached = |name: &str| {
        let cause = Cause::Cached { run_id: "r-1".to_owned(), at: "2026-11-20T06:30:00Z".to_owned() };
        test(name, Outcome::Skipped, Some(cause), Vec::new())
    };
    let text = plain(&run(vec![cached("a"), cached("b")]));
    assert_data_eq!(
        text,
        str![[r"
SKIPPED  2 tests: 2 cached (passed before, nothing changed)
         in 4s
  run      r-42

"]]
    );
}

#[test]
fn flaky_tests_that_count_as_failed_say_so() {
    let mut results = run(vec![passed("a"), TestResult { outcome: Outcome::Flaky, ..passed("b") }]);
    results.exit_code = 1;
    assert!(plain(&results).contains("cause    a flaky test counts as failed in this run\n"));
    results.exit_code = 0;
    assert!(!plain(&results).contains("cause"));
}

#[test]
fn a_thousand_failures_stay_readable_and_are_all_counted() {
    let tests = (0..1000).map(|number| {
        let mut failed = without_cases(Outcome::Failed, Some(Cause::ExitCode { code: 1 })).tests.remove(0);
        failed.name = format!("t{number}");
        failed
    });
    let text = plain(&run(tests.collect()));
    assert!(text.lines().count() < 300, "{}", text.lines().count());
    assert!(text.contains("+ 950 more that did not pass\n"), "{text}");
    assert!(text.contains("1000 tests: 1000 failed in 4s\n"), "{text}");
}

#[test]
fn every_line_of_two_hundred_tests_fits_sixty_columns() {
    let mut results = two_hundred();
    for test in &mut results.tests {
        test.results_dir = None;
    }
    for color in [false, true] {
        let text = render(&results, Style { color, width: 60 });
        for line in strip_ansi(&text).lines() {
            assert!(line.width() <= 60, "{} columns: {line}", line.width());
        }
    }
}

#[test]
fn nothing_of_many_tests_can_steer_the_terminal_or_the_ci_log() {
    let mut results = two_hundred();
    let evil = "\u{1b}[2J\r\n::error::x ##[error]y\u{7}";
    for (number, test) in results.tests.iter_mut().enumerate() {
        test.name = format!("{evil}{number}");
        test.warnings = vec![evil.to_owned()];
        for attempt in &mut test.attempts {
            attempt.log_tail = evil.to_owned();
            attempt.log = Some(evil.to_owned());
        }
    }
    results.services[0].log_tail = evil.to_owned();
    results.services[0].name = evil.to_owned();
    let text = plain(&results);
    assert!(!text.contains(['\u{1b}', '\u{7}', '\r']), "{text}");
    assert!(!text.contains("##["), "{text}");
    assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");
}

#[test]
fn one_test_alone_keeps_its_own_summary() {
    assert!(plain(&passing()).starts_with("PASSED  shop:1.4 in 1.5s\n  source   label\n"));
}
