//! The run as GitHub-flavoured Markdown: the job summary of GitHub Actions, and a report of its own.
//!
//! Owns the layout, the escaping that keeps test output from forging markup, and the size limit. Writes nothing.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::io::Write;

use crate::report::dependents;
use crate::report::text::{head, printable, strip_ansi};
use crate::report::totals::{counts, is_cached};
use crate::report::wording::{
    CACHED, case_counts, count, describe_cause, describe_service_cause, duration, is_bad, outcome_word, reason,
};
use crate::report::{ExportError, Exporter};
use crate::results::{Case, CaseStatus, Cause, Outcome, RunResults, ServiceResult, TestResult};

/// `--report markdown=PATH`.
pub struct Markdown;

const NAME: &str = "markdown";

/// GitHub drops the summary of a step, whole, when it is larger than this many bytes.
pub const SUMMARY_LIMIT: usize = 1024 * 1024;

/// A single case may fill no more than this, so that one huge diff does not hide all others.
const MAX_DETAIL_BYTES: usize = 16 * 1024;

/// Rows of the table; with more tests than this, those that passed are a number.
const MAX_ROWS: usize = 100;

/// Tests that passed, and have a section all the same for their warnings.
const MAX_WARNED: usize = 20;

/// Tests that are named where several share a line.
const MAX_NAMES: usize = 20;

/// Kept free for the note that something was left out and for closing tags.
const RESERVE: usize = 256;

impl Exporter for Markdown {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> &'static str {
        "a Markdown page: a table of tests, and every failed case"
    }

    fn export(&self, results: &RunResults, out: &mut dyn Write) -> Result<(), ExportError> {
        out.write_all(render(results, SUMMARY_LIMIT).as_bytes())
            .map_err(|source| ExportError::Write { format: NAME, source })
    }
}

/// A text that takes whole pieces as long as they fit.
struct Page {
    text: String,
    limit: usize,
    left_out: u64,
}

impl Page {
    /// Adds the piece unless it, or one before it, does not fit.
    fn add(&mut self, piece: &str) {
        if self.left_out == 0 && self.text.len() + piece.len() + RESERVE <= self.limit {
            self.text.push_str(piece);
        } else {
            self.left_out += 1;
        }
    }
}

/// The page in at most `limit` bytes; what does not fit is counted in its last line. Empty where not even the
/// heading fits.
#[must_use]
pub fn render(results: &RunResults, limit: usize) -> String {
    let mut page = Page { text: String::new(), limit, left_out: 0 };
    let totals = match results.tests.as_slice() {
        [_] => String::new(),
        tests => format!("{}: {}\n\n", count(tests.len() as u64, "test"), counts(results)),
    };
    page.add(&format!(
        "## {} docker-test: {}\n\n{totals}",
        icon(results.outcome),
        outcome_word(results.outcome)
    ));
    if page.text.is_empty() {
        return page.text;
    }
    table(results, &mut page);
    for service in results.services.iter().filter(|service| is_bad(service.outcome)) {
        service_section(service, &mut page);
    }
    lost_sections(results, &mut page);
    let own = results.tests.iter().filter(|test| dependents::needed(test).is_none() || !test.attempts.is_empty());
    let (loud, quiet): (Vec<&TestResult>, Vec<&TestResult>) =
        own.partition(|test| is_bad(test.outcome) || test.outcome == Outcome::Flaky);
    for test in loud {
        section(test, &mut page);
    }
    for test in quiet.into_iter().filter(|test| !test.warnings.is_empty()).take(MAX_WARNED) {
        section(test, &mut page);
    }
    page.add(&format!(
        "\nRun {} on {} took {}, docker-test {}.\n",
        code(&results.run_id),
        code(&results.engine),
        duration(results.seconds),
        code(&results.version)
    ));
    if page.left_out > 0 {
        let note = count(page.left_out, "more part");
        // Writing to a String cannot fail.
        let _ = write!(page.text, "\n_{note} left out: the page would be too large._\n");
    }
    page.text
}

const fn icon(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "✅",
        Outcome::Failed => "❌",
        Outcome::Flaky => "⚠️",
        Outcome::TimedOut => "⏰",
        Outcome::OutOfMemory => "💥",
        Outcome::NotStarted | Outcome::Aborted => "🚫",
        Outcome::DependencyFailed => "🔗",
        Outcome::Skipped => "⏭️",
    }
}

/// Every test; of many only what is not a plain pass, the worst first.
fn table(results: &RunResults, page: &mut Page) {
    let mut rows: Vec<&TestResult> = results.tests.iter().collect();
    if rows.len() > MAX_ROWS {
        rows.retain(|test| test.outcome != Outcome::Passed);
        rows.sort_by_key(|test| Reverse(test.outcome.severity()));
        rows.truncate(MAX_ROWS);
    }
    if !rows.is_empty() {
        let rows: String = rows.iter().map(|test| row(test)).collect();
        page.add(&format!("| | Test | Outcome | Cases | Duration |\n|---|---|---|---|---|\n{rows}"));
    }
    let missing = results.tests.len() - rows.len();
    if missing > 0 {
        let passed = results.tests.iter().filter(|test| test.outcome == Outcome::Passed).count();
        let others = if missing > passed { format!(", {} others", missing - passed) } else { String::new() };
        page.add(&format!("\n_Not in the table: {passed} that passed{others}._\n"));
    }
}

/// What was not run because of one service or test, on one line.
fn lost_sections(results: &RunResults, page: &mut Page) {
    for lost in dependents::of(results) {
        let tests = lost.not_run.len() + lost.cut_short.len();
        let named: Vec<String> =
            lost.not_run.iter().chain(&lost.cut_short).take(MAX_NAMES).map(|name| code(name)).collect();
        let more = if tests > MAX_NAMES { format!(" + {} more", tests - MAX_NAMES) } else { String::new() };
        page.add(&format!(
            "\n### {} without {}\n\n{}: {}{more}\n",
            icon(Outcome::DependencyFailed),
            code(lost.name),
            code(&if lost.message.is_empty() { "it failed".to_owned() } else { lost.message.to_owned() }),
            named.join(", ")
        ));
        let told = results.services.iter().any(|service| service.name == lost.name && is_bad(service.outcome));
        if !told && !lost.log_tail.trim().is_empty() {
            page.add(&details(&format!("the end of the output of {}", code(lost.name)), lost.log_tail));
        }
    }
}

fn row(test: &TestResult) -> String {
    let attempt = test.last_attempt();
    let outcome = if is_cached(test) { CACHED } else { outcome_word(test.outcome) };
    format!(
        "| {} | {} | {} | {} | {} |\n",
        icon(test.outcome),
        code(&test.name),
        outcome,
        attempt.map_or_else(|| "none".to_owned(), |attempt| case_counts(attempt.cases)),
        attempt.map_or_else(|| "–".to_owned(), |attempt| duration(attempt.seconds)),
    )
}

fn service_section(service: &ServiceResult, page: &mut Page) {
    page.add(&format!("\n### {} service {}\n", icon(service.outcome), code(&service.name)));
    if let Some(cause) = &service.cause {
        page.add(&format!("\n{}\n", code(&describe_service_cause(cause))));
    }
    if !service.log_tail.trim().is_empty() {
        page.add(&details("the end of its output", &service.log_tail));
    }
}

fn section(test: &TestResult, page: &mut Page) {
    if !is_bad(test.outcome) && test.outcome != Outcome::Flaky && test.warnings.is_empty() {
        return;
    }
    page.add(&format!("\n### {} {}\n", icon(test.outcome), code(&test.name)));
    if let Some(cause) = &test.cause {
        page.add(&format!("\n{}\n", code(&describe_cause(cause))));
    }
    if let Some(Cause::DependencyFailed { service, log_tail, .. }) = &test.cause
        && !log_tail.trim().is_empty()
    {
        page.add(&details(&format!("the end of the output of {}", code(service)), log_tail));
    }
    if test.attempts.len() > 1 {
        page.add("\n");
    }
    for attempt in test.attempts.iter().filter(|_| test.attempts.len() > 1) {
        let reason =
            attempt.cause.as_ref().map(|cause| format!(": {}", code(&reason(attempt.outcome, cause))));
        page.add(&format!(
            "- attempt {}: {} after {}{}\n",
            attempt.number,
            outcome_word(attempt.outcome),
            duration(attempt.seconds),
            reason.unwrap_or_default()
        ));
    }
    for warning in &test.warnings {
        page.add(&format!("\n⚠️ {}\n", code(warning)));
    }
    let Some(attempt) = test.last_attempt().filter(|_| is_bad(test.outcome)) else { return };
    let cases = attempt.suites.iter().flat_map(|suite| &suite.cases);
    for case in cases.filter(|case| matches!(case.status, CaseStatus::Failed | CaseStatus::Errored)) {
        page.add(&case_details(case));
    }
    if !attempt.log_tail.trim().is_empty() {
        page.add(&details("the end of its output", &attempt.log_tail));
    }
}

fn case_details(case: &Case) -> String {
    let mut summary = code(&match &case.class {
        Some(class) => format!("{class} › {}", case.name),
        None => case.name.clone(),
    });
    if let Some(file) = &case.file {
        let place = case.line.map_or_else(|| file.clone(), |line| format!("{file}:{line}"));
        summary = format!("{summary} at {}", code(&place));
    }
    let message = case.message.as_deref().unwrap_or_default().trim();
    let detail = case.detail.as_deref().unwrap_or_default().trim();
    let text = match (message.is_empty(), detail.is_empty()) {
        (false, false) if !detail.contains(message) => format!("{message}\n\n{detail}"),
        (false, true) => message.to_owned(),
        _ => detail.to_owned(),
    };
    details(&summary, &text)
}

/// A folded block. `summary` is markup already, `text` is not. Inside `<pre>` nothing but HTML counts, blank lines
/// included.
fn details(summary: &str, text: &str) -> String {
    let stripped = strip_ansi(text);
    let text = head(&stripped, MAX_DETAIL_BYTES);
    let lines: Vec<String> = text.lines().map(|line| html(&printable(line.trim_end_matches('\r')))).collect();
    format!("\n<details><summary>{summary}</summary>\n\n<pre>\n{}\n</pre>\n\n</details>\n", lines.join("\n"))
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// One line of foreign text in a `<code>` element. Every punctuation mark is a character reference, which Markdown
/// never takes for markup, a table's bar included.
fn code(text: &str) -> String {
    let mut out = String::from("<code>");
    for character in printable(text).chars() {
        if character.is_ascii_punctuation() {
            // Writing to a String cannot fail.
            let _ = write!(out, "&#{};", u32::from(character));
        } else {
            out.push(character);
        }
    }
    out.push_str("</code>");
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::fixtures::{
        attempt, failed_case, failing, passing, run, test, two_hundred, without_its_service,
    };

    #[test]
    fn a_good_run_is_a_heading_and_a_table() {
        assert_eq!(
            render(&passing(), SUMMARY_LIMIT),
            "## ✅ docker-test: passed\n\n\
             | | Test | Outcome | Cases | Duration |\n\
             |---|---|---|---|---|\n\
             | ✅ | <code>shop&#58;1&#46;4</code> | passed | 2 passed | 1.5s |\n\n\
             Run <code>r&#45;42</code> on <code>Docker Engine 20&#46;10&#46;24</code> took 4s, \
             docker-test <code>0&#46;1&#46;0</code>.\n"
        );
    }

    #[test]
    fn failed_cases_are_folded_below_the_table() {
        let page = render(&failing(), SUMMARY_LIMIT);
        assert!(page.contains("\n### ❌ <code>shop&#58;1&#46;4</code>\n"));
        assert!(page.contains("<code>the test command ended with exit code 1</code>"));
        assert!(page.contains(
            "<details><summary><code>shop&#46;CartTest › test&#95;total</code> at \
             <code>tests&#47;cart&#46;py&#58;41</code></summary>\n\n\
             <pre>\nTraceback:\n  assert 3 == 4\n</pre>\n\n</details>"
        ));
        assert!(page.contains("<summary>the end of its output</summary>"));
    }

    #[test]
    fn a_service_that_failed_stands_before_the_tests_that_needed_it() {
        let page = render(&without_its_service(), SUMMARY_LIMIT);
        let service = page.find("### ❌ service <code>db</code>").unwrap();
        let tested = page.find("### 🔗 without <code>db</code>").unwrap();
        assert!(service < tested, "{page}");
        assert!(page.contains("<code>it ended with exit code 1</code>: <code>checkout</code>\n"), "{page}");
        assert_eq!(page.matches("FATAL: could not open file").count(), 1, "{page}");
    }

    #[test]
    fn of_two_hundred_tests_the_table_has_those_that_did_not_simply_pass() {
        let page = render(&two_hundred(), SUMMARY_LIMIT);
        assert!(page.starts_with("## ❌ docker-test: failed\n\n200 tests: 150 passed, 10 failed, "), "{page}");
        assert_eq!(page.lines().filter(|line| line.starts_with("| ")).count(), 51, "{page}");
        assert!(page.contains("\n_Not in the table: 150 that passed._\n"), "{page}");
        assert!(page.contains("| cached (passed before, nothing changed) | none | – |"), "{page}");
        assert_eq!(page.matches("\n### 🔗 without ").count(), 2, "{page}");
        // Each failed, timed out and flaky test, the service, and the two that others were without.
        assert_eq!(page.matches("\n### ").count(), 10 + 5 + 5 + 1 + 2, "{page}");
        assert!(page.contains("- attempt 1: failed after 1s: <code>"), "{page}");
    }

    #[test]
    fn a_table_of_failures_is_bounded_and_says_so() {
        let failed = |number: usize| {
            test(&format!("t{number}"), Outcome::Failed, None, vec![attempt(1, Outcome::Failed, Vec::new())])
        };
        let page = render(&run((0..150).map(failed).collect()), SUMMARY_LIMIT);
        assert!(page.contains("_Not in the table: 0 that passed, 50 others._"), "{page}");
    }

    #[test]
    fn test_output_cannot_forge_markup() {
        let mut case = failed_case("a | b `c` <img src=x>\n## h", "</pre><script>\n\n# heading\n| x |");
        case.class = Some("[l](http://e)".to_owned());
        case.file = None;
        let mut only = attempt(1, Outcome::Failed, vec![case]);
        only.log_tail = "</details>\n\n```\n**bold** @team".to_owned();
        let mut tested = test("x|y", Outcome::Failed, None, vec![only]);
        tested.warnings = vec!["*w* | <b>".to_owned()];
        let page = render(&run(vec![tested]), SUMMARY_LIMIT);
        for forged in ["<img", "<script", "<b>", "](http", "`c`", "*w*", "x|y"] {
            assert!(!page.contains(forged), "{forged}: {page}");
        }
        let tags = |tag: &str| page.matches(tag).count();
        assert_eq!((tags("<details>"), tags("</details>")), (2, 2));
        assert_eq!((tags("<pre>"), tags("</pre>")), (2, 2));
        let row = page.lines().find(|line| line.contains("x&#124;y") && line.starts_with('|')).unwrap();
        assert_eq!(row.matches('|').count(), 6);
    }

    #[test]
    fn the_page_never_exceeds_its_limit_and_says_what_is_missing() {
        let cases: Vec<_> =
            (0..200).map(|n| failed_case(&format!("case {n}"), &"x".repeat(20_000))).collect();
        let cause = Some(Cause::ExitCode { code: 1 });
        let tested = test("a", Outcome::Failed, cause, vec![attempt(1, Outcome::Failed, cases)]);
        let results = run(vec![tested]);
        let page = render(&results, SUMMARY_LIMIT);
        assert!(page.len() <= SUMMARY_LIMIT);
        assert!(page.len() > SUMMARY_LIMIT / 2);
        assert!(page.ends_with("left out: the page would be too large._\n"), "{}", &page[page.len() - 80..]);
        assert_eq!(render(&results, 100), "");
    }

    proptest! {
        #[test]
        fn pieces_are_never_cut(text in "\\PC{0,200}", limit in 0_usize..4000) {
            let cases = vec![failed_case(&text, &text), failed_case("b", &text)];
            let tested = test(&text, Outcome::Failed, None, vec![attempt(1, Outcome::Failed, cases)]);
            let page = render(&run(vec![tested]), limit);
            prop_assert!(page.len() <= limit);
            prop_assert_eq!(page.matches("<details>").count(), page.matches("</details>").count());
            prop_assert_eq!(page.matches("<code>").count(), page.matches("</code>").count());
        }
    }
}
