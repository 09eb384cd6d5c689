use proptest::prelude::*;

use super::*;
use crate::results::{Case, CaseCounts, CaseStatus};

fn read_text(tap: &str) -> CaseList {
    read(tap.as_bytes(), "t/a.tap", &ReadLimits::default()).unwrap_or_else(|error| panic!("{error}: {tap}"))
}

fn cases(tap: &str) -> Vec<Case> {
    read_text(tap).suites.into_iter().flat_map(|suite| suite.cases).collect()
}

fn summary(tap: &str) -> Vec<String> {
    let status = |status| match status {
        CaseStatus::Passed => "passed",
        CaseStatus::Failed => "failed",
        CaseStatus::Errored => "errored",
        CaseStatus::Skipped => "skipped",
    };
    cases(tap).iter().map(|case| format!("{} {}", status(case.status), case.name)).collect()
}

#[test]
fn the_plan_may_stand_first_or_last() {
    assert_eq!(summary("1..2\nok 1 - a\nnot ok 2 - b\n"), ["passed a", "failed b"]);
    assert_eq!(summary("TAP version 13\nok\nok 2 b\r\n1..2\n"), ["passed (unnamed)", "passed b"]);
    assert_eq!(read_text("1..1\nok 1\n").suites[0].name, "t/a");
}

#[test]
fn directives_decide() {
    assert_eq!(
        summary(
            "1..5\nok 1 a # SKIP x\nnot ok 2 b # skip\nnot ok 3 c # TODO y\nok 4 d # todo z\nok 5 e # nothing\n"
        ),
        ["skipped a", "skipped b", "skipped c", "passed d", "passed e # nothing"]
    );
    assert_eq!(cases("1..1\nok 1 a # SKIP no db\n")[0].message.as_deref(), Some("no db"));
}

#[test]
fn a_file_that_is_skipped_whole_is_one_skipped_case() {
    let skipped = cases("1..0 # SKIP not here\n");
    assert_eq!((skipped[0].status, skipped[0].message.as_deref()), (CaseStatus::Skipped, Some("not here")));
    assert_eq!(skipped.len(), 1);
}

#[test]
fn a_broken_promise_is_an_errored_case() {
    let problem = |tap| {
        let errored: Vec<_> =
            cases(tap).into_iter().filter(|case| case.status == CaseStatus::Errored).collect();
        assert_eq!(errored.len(), 1, "{tap}");
        errored[0].message.clone().unwrap_or_default()
    };
    assert_eq!(problem("1..3\nok 1\n"), "planned 3, ran 1");
    assert_eq!(problem("1..1\nok 1\nok 2\n"), "planned 1, ran 2");
    assert_eq!(problem("ok 1\nok 2\n"), "no plan after 2 tests: the test may have ended early");
    assert_eq!(problem("TAP version 13\n"), "no plan after 0 tests: the test may have ended early");
    assert_eq!(problem("1..2\nok 1\nok 1\n"), "number 1 came more than once");
    assert_eq!(problem("1..2\nok 1\n1..2\nok 2\n"), "2 plans");
}

#[test]
fn tests_may_come_in_any_order() {
    assert_eq!(read_text("1..3\nok 3\nok 1\nok 2\n").counts.passed, 3);
}

#[test]
fn a_bail_out_ends_the_file_and_says_why() {
    let left =
        cases("1..9\nok 1 - a\n    ok 1 - deep\n    1..4\nBail out!  the engine is gone\nnot ok 2 - never\n");
    let last = left.last().expect("a case");
    assert_eq!((last.name.as_str(), last.status), ("Bail out!", CaseStatus::Errored));
    assert_eq!(last.message.as_deref(), Some("the engine is gone"));
    assert_eq!(left.iter().filter(|case| case.status == CaseStatus::Errored).count(), 1);
    assert!(left.iter().all(|case| case.name != "never"));
}

#[test]
fn comments_under_a_failed_test_are_its_detail() {
    let cases = cases(
        "1..3\nnot ok 1 a\n# one\n#   two\nok 2 b\n# of b\nnot ok 3 c\n\nnoise\n# three\n1..3\n# end\n",
    );
    assert_eq!(cases[0].detail.as_deref(), Some("one\n  two"));
    assert_eq!(cases[1].detail, None);
    assert_eq!(cases[2].detail.as_deref(), Some("three"));
}

#[test]
fn a_yaml_block_is_detail_message_duration_and_place() {
    let cases = cases(
        "TAP version 13\nnot ok 1 - a\n  ---\n  message: 'it''s off'\n  duration_ms: 1500\n  location: 'x.js:3:1'\n  text: |\n    not ok 9 - inside\n    ...\n  ...\nok 2 - b\n  ---\n  duration_ms: 2\n  ...\n1..2\n",
    );
    assert_eq!(cases.len(), 2);
    assert_eq!((cases[0].message.as_deref(), cases[0].seconds), (Some("it's off"), Some(1.5)));
    assert_eq!((cases[0].file.as_deref(), cases[0].line), (Some("x.js"), Some(3)));
    assert!(cases[0].detail.as_deref().is_some_and(|detail| detail.contains("not ok 9 - inside")));
    assert_eq!((cases[1].detail.as_deref(), cases[1].seconds), (None, Some(0.002)));
}

#[test]
fn a_yaml_block_that_does_not_end_swallows_nothing_of_its_parent() {
    assert_eq!(summary("1..2\nnot ok 1 a\n  ---\n  message: x\nok 2 b\n"), ["failed a", "passed b"]);
    assert_eq!(summary("1..1\nnot ok 1 a\n  ---\n  message: x\n"), ["failed a"]);
}

#[test]
fn subtests_are_the_cases_and_their_sum_is_none() {
    assert_eq!(
        summary(
            "# Subtest: prices\n    1..2\n    ok 1 - net\n    not ok 2 - gross\nnot ok 1 - prices\nok 2 - b\n1..2\n"
        ),
        ["passed prices > net", "failed prices > gross", "passed b"]
    );
}

#[test]
fn subtests_nest() {
    assert_eq!(
        summary(
            "    # Subtest: b\n        ok 1 - c\n        1..1\n    ok 1 - b\n    ok 2 - d\n    1..2\nok 1 - a\n1..1\n"
        ),
        ["passed a > b > c", "passed a > d"]
    );
}

#[test]
fn the_line_that_sums_subtests_up_is_their_judge() {
    let sum = |line: &str| summary(&format!("    not ok 1 - x\n    1..1\n{line}\n1..1\n"));
    assert_eq!(sum("ok 1 - a"), ["passed a"]);
    assert_eq!(sum("not ok 1 - a # TODO later"), ["skipped a"]);
    assert_eq!(sum("ok 1 - a # SKIP"), ["skipped a"]);
    assert_eq!(sum("not ok 1 - a"), ["failed a > x"]);
    assert_eq!(
        summary("    ok 1 - x\n    1..1\nnot ok 1 - teardown\n1..1\n"),
        ["passed teardown > x", "failed teardown"]
    );
    assert_eq!(summary("    1..0 # SKIP\nok 1 - a\n1..1\n"), ["passed a"]);
}

#[test]
fn a_block_in_braces_is_summed_up_by_the_line_before_it() {
    assert_eq!(
        summary(
            "1..2\nnot ok 1 - a.test.ts # time=5ms {\n    1..2\n    ok 1 - x\n    not ok 2 - y\n      ---\n      error: z\n      ...\n}\nok 2 - b\n"
        ),
        ["passed a.test.ts > x", "failed a.test.ts > y", "passed b"]
    );
    assert_eq!(summary("1..1\nok 1 - a {\n    1..1\n    ok 1 - x\n"), ["passed a > x"]);
    assert_eq!(summary("1..2\nok 1 - a {\n}\nok 2 - b {\n"), ["passed a", "passed b"]);
}

#[test]
fn subtests_that_nothing_sums_up_are_kept_under_their_name() {
    assert_eq!(
        summary("1..2\nok 1 - a\n# Subtest: b\n    ok 1 - c\n"),
        ["passed a", "passed b > c", "errored (plan)"]
    );
}

#[test]
fn files_that_were_joined_are_all_read() {
    let one = "TAP version 13\n1..1\nok 1 - a\n";
    assert_eq!(summary(&one.repeat(2)), ["passed a", "passed a"]);
    assert_eq!(summary("1..1\nok 1 - a\n1..1\nnot ok 1 - b\n"), ["passed a", "failed b"]);
}

#[test]
fn what_holds_no_tap_is_refused() {
    let error = read(&b"hello\n# world\nokay\n"[..], "a.tap", &ReadLimits::default()).unwrap_err();
    assert!(matches!(error, TapError::NotTap { lines: 3, .. }), "{error:?}");
    assert!(read(&b""[..], "a.tap", &ReadLimits::default()).is_err());
    assert!(looks_like_tap(b"\xef\xbb\xbfTAP version 13\n"));
    assert!(!looks_like_tap(b"TAP version of the story"));
    assert!(!looks_like_tap(b"1..2"));
}

#[test]
fn a_line_without_end_is_held_in_part() {
    let tap = format!("1..1\nnot ok 1 - {}\n# {}\n", "n".repeat(1_000_000), "c".repeat(1_000_000));
    let case = &cases(&tap)[0];
    assert!(case.name.len() <= 4096);
    assert!(case.detail.as_ref().is_some_and(|detail| detail.len() <= 66_000));
}

#[test]
fn counts_are_right_beyond_the_limits() {
    let passing: Vec<String> = (1..=5000).map(|number| format!("ok {number} - x\n")).collect();
    let mut tap = format!("1..5002\n{}", passing.concat());
    tap.push_str("    not ok 1 - y\n    not ok 2 - y\n    1..2\nok 5001 - overruled\nok 5002 # SKIP\n");
    let limits = ReadLimits { max_cases: 10, ..ReadLimits::default() };
    let list = read(tap.as_bytes(), "a.tap", &limits).unwrap();
    assert_eq!(list.counts, CaseCounts { passed: 5001, failed: 0, errored: 0, skipped: 1 });
    assert_eq!((list.suites[0].cases.len(), list.omitted), (10, 4992));
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "ok 1 - a\n",
            "not ok 2 - b\n",
            "    ok 1\n",
            "    not ok\n",
            "        ok\n",
            "  ---\n",
            "  ...\n",
            "1..2\n",
            "    1..1\n",
            "1..0 # SKIP\n",
            "# c\n",
            "# Subtest: s\n",
            "ok 3 {\n",
            "    ok {\n",
            "}\n",
            "    }\n",
            "Bail out!\n",
            "TAP version 13\n",
            "not ok # TODO x\n",
            "ok # skip\n",
            "    message: x\n",
            "\t ok\n",
            "\n",
        ])
        .prop_map(str::to_owned),
        ".{0,6}\n",
    ]
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = looks_like_tap(&bytes);
        let _ = read(&bytes[..], "a.tap", &ReadLimits::default());
    }

    #[test]
    fn no_mixture_of_lines_breaks_the_counts(pieces in prop::collection::vec(piece(), 0..60), max_cases in 0_usize..6) {
        let tap = pieces.concat();
        let unlimited = read(tap.as_bytes(), "a.tap", &ReadLimits::default());
        let limits = ReadLimits { max_cases, ..ReadLimits::default() };
        let limited = read(tap.as_bytes(), "a.tap", &limits);
        if let (Ok(unlimited), Ok(limited)) = (unlimited, limited) {
            let kept: u64 = limited.suites.iter().map(|suite| suite.cases.len() as u64).sum();
            prop_assert!(kept <= max_cases as u64);
            prop_assert_eq!(kept + limited.omitted, limited.counts.total());
            prop_assert_eq!(limited.counts, unlimited.counts);
            prop_assert_eq!(unlimited.omitted, 0);
        }
    }
}
