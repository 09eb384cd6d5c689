//! The summary of many tests: what did not simply pass, one after the other, and then the totals.
//!
//! Owns what is worth a block, a line or a number. A run in which all is well is its totals.

use std::collections::BTreeMap;

use super::block::{self, MAX_WARNINGS, attempts, tallied};
use super::page::Page;
use crate::report::dependents::{self, Lost};
use crate::report::style::Paint;
use crate::report::text::{message, name, printable};
use crate::report::totals::{counts, is_cached, names};
use crate::report::wording::{
    advise, case_counts, count, describe_cause, describe_service_cause, duration, is_bad, log_path,
};
use crate::results::{Outcome, RunResults, ServiceResult, TestResult};

/// Tests and services that failed and get a block each.
const MAX_BLOCKS: usize = 20;

/// Further ones that get a line each, and flaky ones that do; the rest is counted.
const MAX_LINES: usize = 30;

/// Last lines of an output that are shown.
const MAX_OUTPUT_LINES: usize = 10;

/// Reasons for skipping that are shown.
const MAX_REASONS: usize = 5;

/// Runs of more tests than this tell their slowest ones.
const FEW: usize = 10;

const SLOWEST: usize = 3;

/// A run of several tests, or of none.
pub(super) fn of_run(results: &RunResults, page: &mut Page) {
    flaky_lines(results, page);
    let lost = dependents::of(results);
    let mut blocks = 0;
    for service in results.services.iter().filter(|service| is_bad(service.outcome)) {
        blocks += 1;
        if blocks <= MAX_BLOCKS {
            service_block(service, page);
        }
    }
    let bad: Vec<&TestResult> = results.tests.iter().filter(|test| speaks_for_itself(test)).collect();
    let (unstarted, ran): (Vec<&TestResult>, Vec<&TestResult>) =
        bad.iter().copied().partition(|test| test.attempts.is_empty());
    for test in ran.iter().take(MAX_BLOCKS.saturating_sub(blocks)) {
        test_block(test, results, page);
    }
    shortly(ran.get(MAX_BLOCKS.saturating_sub(blocks)..).unwrap_or_default(), page);
    unstarted_blocks(&unstarted, results, page);
    for lost in &lost {
        lost_lines(lost, results, page);
    }
    page.gap();
    totals(results, page);
}

/// Whether a test has a bad outcome that nothing else in the run accounts for.
fn speaks_for_itself(test: &TestResult) -> bool {
    is_bad(test.outcome) && dependents::needed(test).is_none()
}

fn flaky_lines(results: &RunResults, page: &mut Page) {
    let flaky: Vec<&TestResult> =
        results.tests.iter().filter(|test| test.outcome == Outcome::Flaky).collect();
    for test in flaky.iter().take(MAX_LINES) {
        let attempts = attempts(test);
        page.heading(
            test.outcome,
            &format!("{}: {attempts} in {}", name(&test.name), duration(test.seconds())),
        );
    }
    if flaky.len() > MAX_LINES {
        page.remark(Paint::Careful, "+", &format!("{} more flaky tests", flaky.len() - MAX_LINES));
    }
}

fn service_block(service: &ServiceResult, page: &mut Page) {
    page.gap();
    let image = name(&service.image);
    let text = format!("service {} ({image}) after {}", name(&service.name), duration(service.seconds));
    page.heading(service.outcome, &text);
    if let Some(cause) = &service.cause {
        page.field("cause", &describe_service_cause(cause));
    }
    page.framed("output", &service.log_tail, MAX_OUTPUT_LINES);
}

fn test_block(test: &TestResult, results: &RunResults, page: &mut Page) {
    page.gap();
    page.heading(test.outcome, &format!("{} in {}", name(&test.name), duration(test.seconds())));
    if test.image != test.name {
        page.field("image", &name(&test.image));
    }
    if let Some(cause) = &test.cause {
        page.field("cause", &describe_cause(cause));
    }
    if test.attempts.len() > 1 {
        page.field("attempts", &attempts(test));
    }
    let Some(attempt) = test.last_attempt() else { return };
    if attempt.cases.total() > 0 {
        page.field("cases", &case_counts(attempt.cases));
    }
    block::failed_cases(attempt, page);
    page.framed("output", &attempt.log_tail, MAX_OUTPUT_LINES);
    if let Some(directory) = test.results_dir.as_ref().filter(|_| !attempt.files.is_empty()) {
        page.copyable("results", &printable(directory));
    }
    if let Some(log) = log_path(test, attempt) {
        page.copyable("log", &printable(&log));
    }
    block::warnings(test, page);
    if let Some(advice) = test.cause.as_ref().and_then(|cause| advise(cause, &results.run_id)) {
        page.copyable("hint", &printable(&advice));
    }
}

/// Those that are too many for a block each.
fn shortly(tests: &[&TestResult], page: &mut Page) {
    if !tests.is_empty() {
        page.gap();
    }
    for test in tests.iter().take(MAX_LINES) {
        let cause = test.cause.as_ref().map(|cause| format!(": {}", describe_cause(cause)));
        page.heading(test.outcome, &format!("{}{}", name(&test.name), cause.unwrap_or_default()));
    }
    if tests.len() > MAX_LINES {
        page.remark(Paint::Bad, "+", &format!("{} more that did not pass", tests.len() - MAX_LINES));
    }
}

/// Tests that never ran. Mostly one reason has kept many from it, and it is told once.
fn unstarted_blocks(tests: &[&TestResult], results: &RunResults, page: &mut Page) {
    let words = |test: &TestResult| test.cause.as_ref().map(describe_cause).unwrap_or_default();
    let mut groups: BTreeMap<(usize, String), Vec<&TestResult>> = BTreeMap::new();
    for test in tests {
        groups.entry((test.outcome.severity(), words(test))).or_default().push(test);
    }
    for ((_, cause), group) in groups.iter().take(MAX_BLOCKS) {
        let Some(first) = group.first() else { continue };
        page.gap();
        page.heading(first.outcome, &names(group.iter().map(|test| test.name.as_str())));
        if !cause.is_empty() {
            page.field("cause", cause);
        }
        if let Some(advice) = first.cause.as_ref().and_then(|cause| advise(cause, &results.run_id)) {
            page.copyable("hint", &printable(&advice));
        }
    }
    let more: usize = groups.values().skip(MAX_BLOCKS).map(Vec::len).sum();
    if more > 0 {
        page.remark(Paint::Bad, "+", &format!("{more} more that did not run"));
    }
}

/// The tests that a failed service or test took with it.
fn lost_lines(lost: &Lost<'_>, results: &RunResults, page: &mut Page) {
    let of_test = results.tests.iter().find(|test| test.name == lost.name);
    let failed = match of_test {
        Some(test) if test.outcome != Outcome::Failed => "did not pass",
        _ => "failed",
    };
    let because = format!("because {} {failed}", name(lost.name));
    page.gap();
    if !lost.not_run.is_empty() {
        page.remark(Paint::Bad, "not run", &format!("{because}: {}", names(lost.not_run.iter().copied())));
    }
    if !lost.cut_short.is_empty() {
        let tests = names(lost.cut_short.iter().copied());
        page.remark(Paint::Bad, "without a verdict", &format!("{because} meanwhile: {tests}"));
    }
    // Nothing else in the summary may know what has become of it.
    let told = results.services.iter().any(|service| service.name == lost.name && is_bad(service.outcome));
    if of_test.is_none() && !told {
        page.field("cause", &message(lost.message.trim()));
        page.framed("output", lost.log_tail, MAX_OUTPUT_LINES);
    }
}

fn totals(results: &RunResults, page: &mut Page) {
    let tests = count(results.tests.len() as u64, "test");
    let counts = counts(results);
    let counts = if counts.is_empty() { String::new() } else { format!(": {counts}") };
    page.heading(results.outcome, &format!("{tests}{counts} in {}", duration(results.seconds)));
    if results.outcome == Outcome::Flaky && results.exit_code != 0 {
        page.field("cause", "a flaky test counts as failed in this run");
    }
    reasons(results, page);
    if results.tests.len() > FEW {
        slowest(results, page);
    }
    shared_warnings(results, page);
    page.field("run", &printable(&results.run_id));
    if results.tests.iter().any(|test| is_bad(test.outcome)) {
        page.field("hint", "add --rerun failed to run these again");
    }
}

/// Why tests were skipped, each reason once.
fn reasons(results: &RunResults, page: &mut Page) {
    let skipped = results.tests.iter().filter(|test| test.outcome == Outcome::Skipped && !is_cached(test));
    let reasons = tallied(skipped.filter_map(|test| test.cause.as_ref()).map(describe_cause));
    for (number, (reason, tests)) in reasons.iter().take(MAX_REASONS).enumerate() {
        page.field(if number == 0 { "skipped" } else { "" }, &format!("{tests} {reason}"));
    }
    if reasons.len() > MAX_REASONS {
        page.field("", &format!("+ {} more reasons", reasons.len() - MAX_REASONS));
    }
}

fn slowest(results: &RunResults, page: &mut Page) {
    let mut timed: Vec<(f64, &TestResult)> = results
        .tests
        .iter()
        .filter(|test| !test.attempts.is_empty())
        .map(|test| (test.seconds(), test))
        .collect();
    timed.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let told: Vec<String> = timed
        .iter()
        .take(SLOWEST)
        .map(|(seconds, test)| format!("{} {}", name(&test.name), duration(*seconds)))
        .collect();
    if !told.is_empty() {
        page.field("slowest", &told.join(", "));
    }
}

/// Warnings of tests that have no block, each once with how many have it.
fn shared_warnings(results: &RunResults, page: &mut Page) {
    let quiet = results.tests.iter().filter(|test| !speaks_for_itself(test) || test.attempts.is_empty());
    let mut first: BTreeMap<String, &str> = BTreeMap::new();
    let mut all = Vec::new();
    for test in quiet {
        for (warning, _) in tallied(test.warnings.iter().map(|warning| message(warning))) {
            first.entry(warning.clone()).or_insert(&test.name);
            all.push(warning);
        }
    }
    let warnings = tallied(all.into_iter());
    for (warning, tests) in warnings.iter().take(MAX_WARNINGS) {
        let whose = match (tests, first.get(warning)) {
            (1, Some(test)) => name(test),
            (tests, _) => count(*tests, "test"),
        };
        page.field("warning", &format!("{whose}: {warning}"));
    }
    if warnings.len() > MAX_WARNINGS {
        page.field("", &format!("+ {} more", warnings.len() - MAX_WARNINGS));
    }
}

#[cfg(test)]
mod tests;
