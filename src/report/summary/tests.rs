use snapbox::{assert_data_eq, str};

use super::*;
use crate::report::fixtures::{
    attempt, failed_case, failing, passing, run, test, without_cases, without_its_service,
};
use crate::results::{Cause, Outcome};
use unicode_width::UnicodeWidthStr;

fn plain(results: &RunResults, width: usize) -> String {
    render(results, Style { color: false, width })
}

#[test]
fn a_pass_is_short() {
    assert_data_eq!(
        plain(&passing(), 60),
        str![[r"
PASSED  shop:1.4 in 1.5s
  source   label
  cases    2 passed
  results  tests/results
           1 file, 1.5 KiB
  run      r-42, 4s in all

"]]
    );
}

#[test]
fn a_failure_names_its_cases() {
    assert_data_eq!(
        plain(&failing(), 60),
        str![[r"
FAILED  shop:1.4 in 1.5s
  source   label
  cases    1 passed, 1 failed
  cause    the test command ended with exit code 1
  failed   ✗ shop.CartTest test_total
             at tests/cart.py:41
             | assert 3 == 4
  results  tests/results
           1 file, 1.5 KiB
  run      r-42, 4s in all

"]]
    );
}

#[test]
fn a_lost_engine_says_how_to_get_the_files() {
    let mut results = without_cases(
        Outcome::Aborted,
        Some(Cause::EngineLost { message: "connection reset by peer".to_owned() }),
    );
    results.tests[0].results_dir = None;
    results.tests[0].warnings = vec!["two containers may still run on the engine that was lost".to_owned()];
    assert_data_eq!(
        plain(&results, 50),
        str![[r"
ABORTED  shop:1.4 in 1.5s
  source   label
  cases    none
  cause    the engine was lost while the test ran:
           connection reset by peer
  warning  two containers may still run on the
           engine that was lost
  run      r-42, 4s in all
  hint     docker-test results r-42

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
fn a_test_without_its_service_shows_what_the_service_said_last() {
    assert_data_eq!(
        plain(&without_its_service(), 70),
        str![[r"
DEPENDENCY FAILED  checkout
  source   label
  cause    db, which it needs, failed: it ended with exit code 1
             | starting
             | FATAL: could not open file
  results  tests/results
           0 files, 0 B
  run      r-42, 4s in all

"]]
    );
}

#[test]
fn long_lists_are_cut_and_counted() {
    let cases = (0..14).map(|n| failed_case(&format!("case_{n}"), "no")).collect();
    let cause = Some(Cause::ExitCode { code: 1 });
    let results = run(vec![test("a", Outcome::Failed, cause, vec![attempt(1, Outcome::Failed, cases)])]);
    let text = plain(&results, 60);
    assert_eq!(text.matches('✗').count(), 10);
    assert!(text.contains("           + 4 more\n"), "{text}");
}

#[test]
fn every_line_fits_a_narrow_terminal() {
    let long =
        "a rather long message with many words and averyveryverylongwordthatdoesnotfitanywhere".repeat(2);
    let mut failed = failed_case(&long, &long);
    failed.class = Some(long.clone());
    let cause = Some(Cause::NotStarted { message: long.clone() });
    let mut tested = test(&long, Outcome::NotStarted, cause, vec![attempt(1, Outcome::Failed, vec![failed])]);
    tested.warnings = vec![long.clone()];
    let text = plain(&run(vec![tested]), 60);
    for line in text.lines() {
        assert!(line.width() <= 60, "{} columns: {line}", line.width());
    }
}

#[test]
fn a_test_cannot_steer_the_terminal_or_the_ci_log() {
    let mut case = failed_case("\u{1b}[2Jname\r::error::x", "\n::add-mask::z ##[error]y\u{7}");
    case.class = None;
    case.file = Some("::warning::f".to_owned());
    let mut tested = test("a", Outcome::Failed, None, vec![attempt(1, Outcome::Failed, vec![case])]);
    tested.warnings = vec![format!("{} ::error::w", "x".repeat(49))];
    let text = plain(&run(vec![tested]), 60);
    assert!(!text.contains(['\u{1b}', '\u{7}', '\r']), "{text}");
    assert!(!text.contains("##["), "{text}");
    assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");
}

#[test]
fn colour_marks_the_outcome_and_nothing_of_the_text() {
    let text = render(&failing(), Style { color: true, width: 60 });
    assert!(text.starts_with("\u{1b}[31mFAILED\u{1b}[0m  shop:1.4"), "{text}");
    let without: String = crate::report::text::strip_ansi(&text).into_owned();
    assert_eq!(without, plain(&failing(), 60));
}

#[test]
fn what_a_test_calls_itself_cannot_flood_the_summary() {
    let mut results = failing();
    let test = &mut results.tests[0];
    let long = "n".repeat(100_000);
    test.warnings = vec![long.clone(), "small".to_owned()];
    for case in &mut test.attempts[0].suites[0].cases {
        (case.name, case.class, case.file) = (long.clone(), Some(long.clone()), Some(long.clone()));
    }
    test.name = long;
    let summary = plain(&results, 80);
    assert!(summary.len() < 4000, "{}", summary.len());
    assert!(summary.contains("nnn…") && summary.contains("small"), "{summary}");
}

#[test]
fn what_looks_alike_is_one_line() {
    let mut results = failing();
    let test = &mut results.tests[0];
    test.warnings = ["twice", "once", "twice"].map(str::to_owned).to_vec();
    test.attempts[0].suites[0].cases.push(failed_case("test_total", "assert 3 == 4"));
    test.attempts[0].cases.failed = 2;
    let summary = plain(&results, 80);
    assert_eq!(summary.matches("test_total").count(), 1, "{summary}");
    assert!(summary.contains("✗ shop.CartTest test_total (2 times)\n"), "{summary}");
    assert!(summary.contains("warning  twice (2 times)\n") && !summary.contains("more"), "{summary}");
}
