use proptest::prelude::*;

use super::*;
use crate::report::fixtures::{
    attempt, case, failed_case, failing, flaky, run, test, two_hundred, without_its_service,
};
use crate::results::collect::ReadLimits;

fn tap(results: &RunResults) -> String {
    let mut out = Vec::new();
    Tap.export(results, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_failed_test_is_a_point_with_its_cases_as_a_subtest() {
    let expected = r#"TAP version 14
# docker-test 0.1.0, run r-42 on Docker Engine 20.10.24
1..1
# Subtest: shop:1.4
    1..2
    ok 1 - pytest › test_add
    not ok 2 - pytest › shop.CartTest › test_total
      ---
      message: "assert 3 == 4"
      severity: fail
      type: "AssertionError"
      at: "tests/cart.py:41"
      detail: |2-
        Traceback:
          assert 3 == 4
      ...
not ok 1 - shop:1.4
  ---
  outcome: "failed"
  duration_ms: 1500
  cause: exit_code
  message: "the test command ended with exit code 1"
  cases: "1 passed, 1 failed"
  output: |2-
    collected 2 items
    FAILED
  ...
"#;
    assert_eq!(tap(&failing()), expected);
}

#[test]
fn a_flaky_test_is_ok_and_tells_its_attempts() {
    let text = tap(&flaky());
    assert!(text.contains("\nok 1 - shop:1.4\n  ---\n  outcome: \"flaky\"\n  duration_ms: 3000\n"), "{text}");
    let attempts =
        "  attempts:\n    - \"failed, the test command ended with exit code 1\"\n    - \"passed\"\n";
    assert!(text.contains(attempts), "{text}");
}

#[test]
fn a_test_without_its_service_names_it_and_its_last_words() {
    let text = tap(&without_its_service());
    let comment = "# service db (postgres:16) failed: it ended with exit code 1\n";
    assert!(text.contains(comment), "{text}");
    let point = "not ok 1 - checkout\n  ---\n  outcome: \"dependency failed\"\n";
    assert!(text.contains(point), "{text}");
    assert!(text.contains("  service_output: |2-\n    starting\n    FATAL: could not open file\n"), "{text}");
}

#[test]
fn a_name_or_a_reason_that_ends_in_a_brace_opens_no_block() {
    let cases = vec![case("opens {", CaseStatus::Passed), case("opens{", CaseStatus::Passed)];
    let mut skipped = test("b", Outcome::Skipped, None, Vec::new());
    skipped.warnings = vec!["because of {".to_owned()];
    let tested = test("{", Outcome::Passed, None, vec![attempt(1, Outcome::Passed, cases)]);
    let text = tap(&run(vec![tested, skipped]));
    for line in [
        "    ok 1 - pytest › opens \\{\n",
        "› opens{\n",
        "\nok 1 - \\{\n",
        "\nok 2 - b # SKIP because of \\{\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn what_was_not_run_is_skipped_with_the_reason() {
    let mut skipped = test("slow #1", Outcome::Skipped, None, Vec::new());
    skipped.warnings = vec!["passed before # with the same image".to_owned()];
    let mut slow = case("slow", CaseStatus::Skipped);
    slow.message = Some("needs a database\nand time".to_owned());
    let other = test("b", Outcome::Passed, None, vec![attempt(1, Outcome::Passed, vec![slow])]);
    let text = tap(&run(vec![skipped, other]));
    assert!(text.contains("\nok 1 - slow \\#1 # SKIP passed before \\# with the same image\n"), "{text}");
    assert!(text.contains("\n    ok 1 - pytest › slow # SKIP needs a database\n"), "{text}");
}

#[test]
fn cases_that_did_not_decide_do_not_contradict_their_test() {
    let mut results = failing();
    (results.tests[0].outcome, results.tests[0].cause) = (Outcome::Passed, None);
    let text = tap(&results);
    assert!(text.contains("test_total # TODO the cases did not decide\n"), "{text}");
    assert!(text.contains("\nok 1 - shop:1.4\n"), "{text}");
}

#[test]
fn a_run_without_tests_has_an_empty_plan() {
    assert!(tap(&run(Vec::new())).ends_with("\n1..0\n"));
}

#[test]
fn of_two_hundred_tests_those_that_were_not_run_on_purpose_say_why() {
    let text = tap(&two_hundred());
    let points: Vec<&str> =
        text.lines().filter(|line| line.starts_with("ok ") || line.starts_with("not ok ")).collect();
    assert_eq!(points.len(), 200);
    assert_eq!(points.iter().filter(|line| line.starts_with("not ok ")).count(), 35);
    assert_eq!(
        points[40],
        "ok 41 - part-040 # SKIP not run: nothing has changed since it passed at 2026-11-20T06:30:00Z (run r-41)"
    );
    assert_eq!(points[43], "ok 44 - part-043 # SKIP not run: the run was stopped: 15 tests did not pass");
    assert_eq!(points.iter().filter(|line| line.contains("# SKIP")).count(), 10);
    assert_eq!(points[35], "ok 36 - part-035");
    assert!(
        text.contains("# service db (postgres:16) failed: it ended with exit code 1\n1..200\n"),
        "{text}"
    );
}

proptest! {
    #[test]
    fn whatever_the_text_every_line_is_read_back_as_what_it_is(
        name in "(\\PC|#|\\\\|\n|\r|\u{1b}|\u{2028}|ok|not|1\\.\\.2){0,12}",
        message in "(\\PC|\n|\"|'|---|\\.\\.\\.|: |- |\u{0}|\u{85}){0,12}",
    ) {
        let mut failed = failed_case(&name, &message);
        failed.stdout = Some(message.clone());
        failed.class = Some(name.clone());
        let cases = vec![failed, case(&name, CaseStatus::Skipped), case(&name, CaseStatus::Passed)];
        let mut last = attempt(1, Outcome::Failed, cases);
        last.log_tail.clone_from(&message);
        let cause = Some(Cause::NotStarted { message: message.clone() });
        let mut tested = test(&name, Outcome::Failed, cause, vec![last]);
        tested.warnings = vec![message.clone()];
        let text = tap(&run(vec![tested, test(&name, Outcome::Skipped, None, Vec::new())]));

        // Diagnostics are YAML of the values that went in.
        let mut block: Option<(usize, String)> = None;
        for line in text.lines() {
            let trimmed = line.trim_start();
            let indent = line.len() - trimmed.len();
            match (&mut block, trimmed) {
                (None, "---") => block = Some((indent, String::new())),
                (Some((begun, yaml)), "...") if indent == *begun => {
                    let value: Result<serde_yaml::Value, _> = serde_yaml::from_str(yaml);
                    prop_assert!(value.as_ref().is_ok_and(serde_yaml::Value::is_mapping), "{}\n{:?}", yaml, value);
                    block = None;
                }
                (Some((_, yaml)), _) => {
                    yaml.push_str(line);
                    yaml.push('\n');
                }
                (None, _) => {}
            }
        }
        prop_assert!(block.is_none());

        // And our own reader finds what was written, nothing more.
        let read = crate::results::tap::read(text.as_bytes(), "x.tap", &ReadLimits::default()).unwrap();
        let statuses: Vec<CaseStatus> = read.suites.iter().flat_map(|suite| &suite.cases).map(|case| case.status).collect();
        prop_assert!(!statuses.contains(&CaseStatus::Errored), "{}\n{:?}", text, read.suites);
        prop_assert_eq!(statuses.iter().filter(|status| **status == CaseStatus::Failed).count(), 1, "{}", text);
    }
}
