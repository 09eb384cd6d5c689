//! What is said of one test: its cause, its failed cases, its files.
//!
//! Owns what is left out of long lists. Says nothing about the run.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::page::{Page, VALUE_COLUMN};
use crate::report::text::{first_line, message, name, printable, printable_lines, truncate};
use crate::report::wording::{advise, bytes, case_counts, count, describe_cause, duration, outcome_word};
use crate::results::{Attempt, Case, CaseStatus, Cause, RunResults, TestResult};

/// Failed cases that are named; the rest is counted.
const MAX_FAILED_CASES: usize = 10;

/// Failed cases that are looked at for some that look alike.
const MAX_COMPARED_CASES: usize = 1000;

/// Warnings that are printed; the rest is counted.
pub(super) const MAX_WARNINGS: usize = 10;

/// Last lines of a failed service that are printed.
const MAX_SERVICE_LINES: usize = 5;

/// What the attempts came to, one after the other.
pub(super) fn attempts(test: &TestResult) -> String {
    let outcomes: Vec<&str> = test.attempts.iter().map(|attempt| outcome_word(attempt.outcome)).collect();
    outcomes.join(", then ")
}

/// The only test of a run.
pub(super) fn of_single(test: &TestResult, results: &RunResults, page: &mut Page) {
    let attempt = test.last_attempt();
    let took = attempt.map(|_| format!(" in {}", duration(test.seconds()))).unwrap_or_default();
    page.heading(test.outcome, &format!("{}{took}", name(&test.name)));
    if test.image != test.name {
        page.field("image", &name(&test.image));
    }
    page.field("source", &name(&test.source));
    if let Some(attempt) = attempt {
        page.field("cases", &case_counts(attempt.cases));
    }
    if let Some(cause) = &test.cause {
        page.field("cause", &describe_cause(cause));
        if let Cause::DependencyFailed { log_tail, .. } = cause {
            service_log(log_tail, page);
        }
    }
    if test.attempts.len() > 1 {
        page.field("attempts", &attempts(test));
    }
    if let Some(attempt) = attempt {
        failed_cases(attempt, page);
    }
    if let Some(directory) = &test.results_dir {
        let files = attempt.map(|attempt| attempt.files.as_slice()).unwrap_or_default();
        let size = files.iter().map(|file| file.size).fold(0, u64::saturating_add);
        page.copyable("results", &printable(directory));
        page.field("", &format!("{}, {}", count(files.len() as u64, "file"), bytes(size)));
    }
    warnings(test, page);
    page.field("run", &format!("{}, {} in all", printable(&results.run_id), duration(results.seconds)));
    if let Some(advice) = test.cause.as_ref().and_then(|cause| advise(cause, &results.run_id)) {
        page.copyable("hint", &printable(&advice));
    }
}

/// Things to know, those that look alike as one.
pub(super) fn warnings(test: &TestResult, page: &mut Page) {
    let warnings = tallied(test.warnings.iter().map(|warning| message(warning)));
    for (warning, times) in warnings.iter().take(MAX_WARNINGS) {
        page.field("warning", &repeated(warning, *times));
    }
    if warnings.len() > MAX_WARNINGS {
        page.field("", &format!("+ {} more", warnings.len() - MAX_WARNINGS));
    }
}

/// Each value once, in the order of its first appearance, with how often it is there.
pub(super) fn tallied<T: Ord + Clone>(values: impl Iterator<Item = T>) -> Vec<(T, u64)> {
    let mut places: BTreeMap<T, usize> = BTreeMap::new();
    let mut tally: Vec<(T, u64)> = Vec::new();
    for value in values {
        if let Some((_, times)) = places.get(&value).and_then(|place| tally.get_mut(*place)) {
            *times += 1;
        } else {
            places.insert(value.clone(), tally.len());
            tally.push((value, 1));
        }
    }
    tally
}

pub(super) fn repeated(text: &str, times: u64) -> String {
    if times == 1 { text.to_owned() } else { format!("{text} ({times} times)") }
}

/// What is shown of a failed case; two that look alike are one line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct FailedCase {
    name: String,
    place: Option<String>,
    said: Option<String>,
}

impl FailedCase {
    fn of(case: &Case) -> Self {
        let name = match case.class.as_deref() {
            Some(class) => name(&format!("{class} {}", case.name)),
            None => name(&case.name),
        };
        let place = case.file.as_deref().map(|file| {
            let file = self::name(file);
            case.line.map_or_else(|| file.clone(), |line| format!("{file}:{line}"))
        });
        let said = [case.message.as_deref(), case.detail.as_deref()];
        Self { name, place, said: said.into_iter().flatten().find_map(first_line) }
    }
}

/// What a service said last: mostly the reason why it is not there.
fn service_log(log_tail: &str, page: &mut Page) {
    let lines: Vec<Cow<'_, str>> = printable_lines(log_tail).filter(|line| !line.trim().is_empty()).collect();
    let room = page.style.width.saturating_sub(VALUE_COLUMN + 4);
    for line in lines.iter().skip(lines.len().saturating_sub(MAX_SERVICE_LINES)) {
        page.line("", &format!("  | {}", truncate(line, room)));
    }
}

pub(super) fn failed_cases(attempt: &Attempt, page: &mut Page) {
    let cases = attempt.suites.iter().flat_map(|suite| &suite.cases);
    let failed = tallied(
        cases
            .filter(|case| matches!(case.status, CaseStatus::Failed | CaseStatus::Errored))
            .take(MAX_COMPARED_CASES)
            .map(FailedCase::of),
    );
    let mut named = 0;
    for (number, (case, times)) in failed.iter().take(MAX_FAILED_CASES).enumerate() {
        named += times;
        let name = repeated(&case.name, *times);
        page.field(if number == 0 { "failed" } else { "" }, &format!("✗ {name}"));
        if let Some(place) = &case.place {
            page.copyable("", &format!("  at {place}"));
        }
        if let Some(line) = &case.said {
            let room = page.style.width.saturating_sub(VALUE_COLUMN + 4);
            page.line("", &format!("  | {}", truncate(line, room)));
        }
    }
    // More may have failed than the reader of a huge report kept.
    let all = attempt.cases.bad().max(failed.iter().map(|(_, times)| times).sum());
    let more = all.saturating_sub(named);
    if more > 0 {
        page.field(if failed.is_empty() { "failed" } else { "" }, &format!("+ {more} more"));
    }
}
