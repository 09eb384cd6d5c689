use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::report::fixtures::{
    attempt, case, failed_case, failing, flaky, passing, run, service, test, two_hundred, without_its_service,
};
use crate::results::{CaseStatus, Cause, MergedRun, Outcome, ResultFile};

fn html(results: &RunResults) -> String {
    let mut out = Vec::new();
    Html.export(results, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_page_tells_the_failed_case_its_place_and_the_log() {
    let page = html(&failing());
    for part in [
        "<title>failed: shop:1.4</title>",
        "the test command ended with exit code 1",
        "<strong data-s>test_total</strong>",
        "<code>tests&#x2f;cart.py:41</code>",
        "<p class=\"message\" data-s>assert 3 == 4</p>",
        "<span data-s>test_add</span>",
        "collected 2 items\nFAILED</pre>",
        "<code>junit.xml</code> <span class=\"faint\">1.5 KiB</span>",
        "data-outcome=\"failed\" open>",
    ] {
        assert!(page.contains(part), "no {part} in {page}");
    }
}

#[test]
fn two_hundred_tests_have_their_attempts_logs_and_files_one_click_away() {
    let mut out = Vec::new();
    Html.export_at(&two_hundred(), Path::new("/work/public/report.html"), &mut out).unwrap();
    let page = String::from_utf8(out).unwrap();
    let links = |end: &str| page.matches(&format!("<a href=\"..&#x2f;out&#x2f;part-000&#x2f;{end}\">")).count();
    assert_eq!((links("attempt-1.log"), links("attempt-2.log"), links("attempt-2")), (1, 1, 1));
    assert_eq!((links("attempt-1&#x2f;junit.xml"), links("attempt-2&#x2f;junit.xml")), (1, 1));
    for part in [
        "data-outcome=\"cached\"",
        "<strong>3</strong> cached",
        "<strong>7</strong> skipped",
        "<strong>150</strong> passed",
        "15 tests went without it: part-015, ",
        "part-000, which it needs, failed: ",
    ] {
        assert!(page.contains(part), "no {part} in {page}");
    }
    assert_eq!(page.matches("<span>slot ").count(), 4);
    // Those that ran: 15 attempts of two, 5 timeouts, 150 passes.
    assert_eq!(page.matches("data-test=").count(), 15 * 2 + 5 + 150);
    assert!(!html(&two_hundred()).contains("<a href=\".."));
}

#[test]
fn a_page_loads_nothing_and_lets_nothing_run_but_its_own_script() {
    let page = html(&failing());
    assert!(page.contains("content=\"default-src &#x27;none&#x27;; style-src &#x27;sha256-"), "{page}");
    let lower = page.to_lowercase();
    for forbidden in
        ["http://", "https://", " src=", "url(", "@import", "<link", "<iframe", "<img", " style=", " onclick"]
    {
        assert!(!lower.contains(forbidden), "{forbidden}");
    }
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(TEMPLATE.matches("|safe").count(), 2, "style and script alone are not escaped");
    assert!(!STYLE.contains("</style") && !SCRIPT.contains("</script"));
}

#[test]
fn attempts_services_and_merged_runs_have_their_places() {
    let page = html(&flaky());
    assert!(
        page.contains("Attempt 1<span class=\"why\">the test command ended with exit code 1</span>"),
        "{page}"
    );
    assert!(page.contains("<span class=\"bad\">✗</span><span class=\"good\">✓</span>"), "{page}");
    let page = html(&without_its_service());
    assert!(page.contains("db, which it needs, failed: it ended with exit code 1"), "{page}");
    assert!(page.matches("FATAL: could not open file").count() == 2, "{page}");
    let mut merged = passing();
    merged.runs = vec![MergedRun::of(&passing()), MergedRun::of(&failing())];
    merged.tests[0].run_id = Some("r-7".to_owned());
    let page = html(&merged);
    assert!(page.contains("Merged runs") && page.contains("<dt>run</dt><dd>r-7</dd>"), "{page}");
}

#[test]
fn the_keys_of_outcomes_are_those_of_the_json() {
    for outcome in Outcome::ALL {
        let json = serde_json::to_value(outcome).unwrap();
        assert_eq!(serde_json::to_value(page::Verdict::of(outcome)).unwrap()["key"], json);
    }
}

#[test]
fn a_run_without_tests_is_a_page_too() {
    assert!(html(&run(Vec::new())).contains("The run has no tests."));
}

/// A run with as much of everything as there can be.
fn large(tests: usize, log: &str) -> RunResults {
    let one = |number: usize| {
        let bad = number.is_multiple_of(10);
        let mut cases: Vec<_> =
            (0..10).map(|n| case(&format!("test_number_{n}_of_{number}"), CaseStatus::Passed)).collect();
        if bad {
            cases[3] = failed_case("test_total", log);
        }
        let outcome = if bad { Outcome::Failed } else { Outcome::Passed };
        let mut only = attempt(1, outcome, cases);
        only.log_tail = log.to_owned();
        only.slot = u32::try_from(number % 8 + 1).ok();
        only.offset_seconds = u32::try_from(number).ok().map(|number| f64::from(number) / 8.0);
        only.files = (0..50).map(|n| ResultFile { path: format!("out/{n}.txt"), size: 10 }).collect();
        test(&format!("registry.example/shop/part-{number}:1.4"), outcome, None, vec![only])
    };
    run((0..tests).map(one).collect())
}

#[test]
fn a_thousand_tests_with_long_logs_stay_a_page_of_a_few_megabytes_and_are_written_at_once() {
    let results = large(1000, &"a line of output with <markup> & more\n".repeat(1700));
    let begun = Instant::now();
    let page = html(&results);
    let took = begun.elapsed();
    assert!(page.len() < 5 << 20, "{} bytes", page.len());
    let usual = html(&large(1000, "collected 10 items\nFAILED test_total\n"));
    assert!(usual.len() < 4 << 20, "{} bytes", usual.len());
    // A second is the aim for a release build; this one is not optimised, and shares its processors.
    let limit = if cfg!(debug_assertions) { 30 } else { 1 };
    assert!(took < Duration::from_secs(limit), "{took:?}");
    assert_eq!(page.matches("<details class=\"test\"").count(), 1000);
}

proptest! {
    #[test]
    fn no_text_becomes_markup(text in "(\\PC|<|>|\"|'|&|\n|\u{0}|\u{2028}|\u{202e}|</script>|-->|<!--|\\{\\{ 1 \\}\\}){0,12}") {
        let mut failed = failed_case(&text, &text);
        failed.class = Some(text.clone());
        failed.file = Some(text.clone());
        failed.stdout = Some(text.clone());
        let mut skipped = case(&text, CaseStatus::Skipped);
        skipped.message = Some(text.clone());
        let mut only = attempt(1, Outcome::Failed, vec![failed, skipped, case(&text, CaseStatus::Passed)]);
        only.log_tail.clone_from(&text);
        only.log = Some(text.clone());
        only.suites[0].name.clone_from(&text);
        only.files[0].path.clone_from(&text);
        let cause = Cause::DependencyFailed { service: text.clone(), message: text.clone(), log_tail: text.clone() };
        let mut tested = test(&text, Outcome::DependencyFailed, Some(cause), vec![only.clone(), only]);
        tested.warnings = vec![text.clone()];
        tested.test_type.clone_from(&text);
        tested.results_dir = Some(text.clone());
        let hostile = |template: &str| {
            let mut results = run(vec![tested.clone()]);
            results.engine = template.to_owned();
            results.services = vec![service(template, Outcome::Failed)];
            results
        };
        let page = html(&hostile(&text));
        // What tags a page has depends on what it has to say, and never on the words.
        let mut harmless = hostile("x");
        blank(&mut harmless);
        let blanks = text.trim().is_empty();
        prop_assert!(blanks || tags(&page) <= tags(&html(&harmless)), "{}", page);
        prop_assert_eq!(page.matches("<script").count(), 1);
        let invisible = ['\u{0}', '\u{2028}', '\u{202e}'];
        prop_assert!(!page.contains(invisible));
    }
}

fn tags(page: &str) -> usize {
    page.matches('<').count()
}

/// The same results with a harmless word wherever free text was.
fn blank(results: &mut RunResults) {
    let json = serde_json::to_value(&*results).unwrap();
    let text = results.tests[0].name.clone();
    let replaced = replace(json, &text);
    *results = serde_json::from_value(replaced).unwrap();
}

fn replace(value: serde_json::Value, text: &str) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(own) if own == text => Value::String("x".to_owned()),
        Value::Array(items) => items.into_iter().map(|item| replace(item, text)).collect(),
        Value::Object(map) => map.into_iter().map(|(key, item)| (key, replace(item, text))).collect(),
        other => other,
    }
}
