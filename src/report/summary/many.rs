//! The summary of a run of several tests: who did not simply pass, and the totals.
//!
//! Owns the choice of what is said. Tests that were not run for one reason stand together, and nothing that was not
//! run reads as if it had passed.

use std::collections::BTreeMap;
use std::path::Path;

use super::page::{Page, VALUE_COLUMN};
use super::{
    attempts, failed_cases, hint, last_lines, results_directory, service_log, tallied, took, warnings,
};
use crate::report::style::Paint;
use crate::report::text::{message, name, printable, truncate};
use crate::report::wording::{
    case_counts, cause_kind, count, describe_cause, describe_service_cause, duration, is_bad, outcome_counts,
    reason,
};
use crate::results::{Attempt, Cause, Outcome, RunResults, ServiceResult, TestResult};

/// Failed tests that are shown in full; the rest has a line each.
const MAX_BLOCKS: usize = 20;

/// Last lines of a failed test that are shown; the log has all.
const MAX_OUTPUT_LINES: usize = 10;

/// Tests of a group that are named.
const MAX_NAMES: usize = 10;

/// Causes of a group, and warnings of tests that are not shown otherwise.
const MAX_CAUSES: usize = 3;
const MAX_WARNINGS: usize = 5;

/// With more tests than this it is of interest which took longest.
const MANY: usize = 10;
const SLOWEST: usize = 3;

/// Where a test is told of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// With its cause, cases and files.
    Block,
    /// With others of its kind: severity of the outcome, and what kind.
    Group(usize, String),
    /// On a line of its own.
    Line,
    /// In the totals.
    Totals,
}

impl Place {
    fn of(test: &TestResult) -> Self {
        let never_ran = test.attempts.is_empty();
        match (test.outcome, &test.cause) {
            (Outcome::Passed, _) => Self::Totals,
            (Outcome::Flaky, _) => Self::Line,
            (outcome @ Outcome::DependencyFailed, Some(Cause::DependencyFailed { service, .. })) => {
                Self::Group(outcome.severity(), service.clone())
            }
            (outcome @ Outcome::Skipped, cause) => Self::group(outcome, cause.as_ref()),
            (outcome @ (Outcome::Aborted | Outcome::TimedOut), cause) if never_ran => {
                Self::group(outcome, cause.as_ref())
            }
            _ => Self::Block,
        }
    }

    fn group(outcome: Outcome, cause: Option<&Cause>) -> Self {
        Self::Group(outcome.severity(), cause.map(cause_kind).unwrap_or_default().to_owned())
    }
}

pub(super) fn render(results: &RunResults, page: &mut Page) {
    let mut places: BTreeMap<Place, Vec<&TestResult>> = BTreeMap::new();
    for test in &results.tests {
        places.entry(Place::of(test)).or_default().push(test);
    }
    for (place, tests) in &places {
        match place {
            Place::Block => blocks(tests, results, page),
            Place::Group(..) => group(tests, results, page),
            Place::Line => lines(tests, page),
            Place::Totals => {}
        }
    }
    let bad = results.services.iter().filter(|service| is_bad(service.outcome));
    bad.for_each(|service| failed_service(service, page));
    let elsewhere = places.iter().filter(|(place, _)| **place != Place::Block).flat_map(|(_, tests)| tests);
    other_warnings(elsewhere.copied(), page);
    slowest(results, page);
    page.gap();
    totals(results, page);
}

fn blocks(tests: &[&TestResult], results: &RunResults, page: &mut Page) {
    for test in tests.iter().take(MAX_BLOCKS) {
        page.gap();
        block(test, results, page);
    }
    let rest = tests.get(MAX_BLOCKS..).unwrap_or_default();
    if !rest.is_empty() {
        page.gap();
    }
    for test in rest {
        let cause = test.cause.as_ref().map(|cause| format!(": {}", reason(test.outcome, cause)));
        let text = format!("{}{}{}", name(&test.name), took(test), cause.unwrap_or_default());
        page.heading(test.outcome, &text);
    }
}

fn block(test: &TestResult, results: &RunResults, page: &mut Page) {
    page.heading(test.outcome, &format!("{}{}", name(&test.name), took(test)));
    if test.image != test.name {
        page.field("image", &name(&test.image));
    }
    let attempt = test.last_attempt();
    if let Some(attempt) = attempt.filter(|attempt| attempt.cases.total() > 0) {
        page.field("cases", &case_counts(attempt.cases));
    }
    if let Some(cause) = &test.cause {
        page.field("cause", &describe_cause(cause));
    }
    if test.attempts.len() > 1 {
        page.field("attempts", &attempts(test));
    }
    if let Some(attempt) = attempt {
        failed_cases(attempt, page);
    }
    if let Some(attempt) = attempt {
        last_lines("output", &attempt.log_tail, MAX_OUTPUT_LINES, page);
    }
    if let Some(log) = attempt.and_then(|attempt| log(test, attempt)) {
        page.copyable("log", &printable(&log));
    }
    results_directory(test, page);
    warnings(test, page);
    hint(test, results, page);
}

/// The file with an attempt's whole output. It is named relative to the directory of the run, below which the attempt's
/// own files are, too.
fn log(test: &TestResult, attempt: &Attempt) -> Option<String> {
    let log = attempt.log.as_ref()?;
    let own = test.results_dir.as_deref().map(Path::new);
    let of_test = own.and_then(Path::parent).filter(|of_test| of_test.file_name() == first_of(log));
    let path = of_test.and_then(Path::parent).map(|of_run| of_run.join(log).display().to_string());
    Some(path.unwrap_or_else(|| log.clone()))
}

fn first_of(path: &str) -> Option<&std::ffi::OsStr> {
    Path::new(path).iter().next()
}

/// Tests that share what kept them from running.
fn group(tests: &[&TestResult], results: &RunResults, page: &mut Page) {
    let Some(first) = tests.first() else { return };
    page.gap();
    let mut names: Vec<String> = tests.iter().take(MAX_NAMES).map(|test| name(&test.name)).collect();
    if tests.len() > MAX_NAMES {
        names.push(format!("+ {} more", tests.len() - MAX_NAMES));
    }
    if let [only] = tests {
        page.heading(only.outcome, &format!("{}{}", name(&only.name), took(only)));
    } else {
        page.heading(first.outcome, &count(tests.len() as u64, "test"));
        page.field("tests", &names.join(", "));
    }
    let causes = tallied(tests.iter().filter_map(|test| test.cause.as_ref().map(describe_cause)));
    for (number, (cause, times)) in causes.iter().take(MAX_CAUSES).enumerate() {
        let times = if causes.len() > 1 { format!(" ({})", count(*times, "test")) } else { String::new() };
        page.field(if number == 0 { "cause" } else { "" }, &format!("{cause}{times}"));
    }
    if causes.len() > MAX_CAUSES {
        page.field("", &format!("+ {} more", causes.len() - MAX_CAUSES));
    }
    if let Some(Cause::DependencyFailed { service, log_tail, .. }) = &first.cause {
        let is_told = |other: &ServiceResult| other.name == *service && is_bad(other.outcome);
        if !results.services.iter().any(is_told) {
            service_log(log_tail, page);
        }
    }
}

fn lines(tests: &[&TestResult], page: &mut Page) {
    page.gap();
    for test in tests {
        page.heading(test.outcome, &format!("{}{}: {}", name(&test.name), took(test), attempts(test)));
    }
}

fn failed_service(service: &ServiceResult, page: &mut Page) {
    page.gap();
    let text = format!(
        "service {} ({}) after {}",
        name(&service.name),
        name(&service.image),
        duration(service.seconds)
    );
    page.heading(service.outcome, &text);
    if let Some(cause) = &service.cause {
        page.field("cause", &describe_service_cause(cause));
    }
    last_lines("output", &service.log_tail, MAX_OUTPUT_LINES, page);
}

/// Warnings of tests that have no block: many tests mostly have the same ones.
fn other_warnings<'a>(tests: impl Iterator<Item = &'a TestResult>, page: &mut Page) {
    let mut of: BTreeMap<String, String> = BTreeMap::new();
    let tally = tallied(tests.flat_map(|test| test.warnings.iter().map(move |warning| (warning, test))).map(
        |(warning, test)| {
            let warning = message(warning);
            of.entry(warning.clone()).or_insert_with(|| name(&test.name));
            warning
        },
    ));
    if !tally.is_empty() {
        page.gap();
    }
    for (warning, times) in tally.iter().take(MAX_WARNINGS) {
        let whose = match (times, of.get(warning)) {
            (1, Some(test)) => format!("{test}: {warning}"),
            _ => format!("{warning} ({times} times)"),
        };
        page.title(Paint::Careful, "WARNING", &whose);
    }
    if tally.len() > MAX_WARNINGS {
        page.title(Paint::Careful, "WARNING", &format!("+ {} more", tally.len() - MAX_WARNINGS));
    }
}

fn slowest(results: &RunResults, page: &mut Page) {
    let seconds = |test: &TestResult| test.attempts.iter().map(|attempt| attempt.seconds).sum::<f64>();
    let ran = results.tests.iter().filter(|test| !test.attempts.is_empty());
    let mut ran: Vec<(f64, &TestResult)> = ran.map(|test| (seconds(test), test)).collect();
    if ran.len() <= MANY {
        return;
    }
    page.gap();
    ran.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    for (number, (seconds, test)) in ran.iter().take(SLOWEST).enumerate() {
        let label = if number == 0 { "slowest" } else { "" };
        let room = page.style.width.saturating_sub(VALUE_COLUMN + 9);
        let line = format!("{:>7}  {}", duration(*seconds), truncate(&name(&test.name), room));
        page.line(label, &line);
    }
}

fn totals(results: &RunResults, page: &mut Page) {
    let tests = results.tests.len() as u64;
    let counts = outcome_counts(results.tests.iter().map(|test| test.outcome));
    let counts = if counts.is_empty() { String::new() } else { format!(": {counts}") };
    let text = format!("{}{counts} in {}", count(tests, "test"), duration(results.seconds));
    page.heading(results.outcome, &text);
    page.field("run", &printable(&results.run_id));
    if results.tests.iter().any(|test| is_bad(test.outcome)) {
        page.copyable("hint", "docker-test run --rerun failed");
    }
}

#[cfg(test)]
mod tests;
