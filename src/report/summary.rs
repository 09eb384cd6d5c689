//! The summary for people: what happened, why, and where to look.
//!
//! Owns the layout. Everything that a test, an image or an engine supplied is made printable, and no line of it
//! begins with text that a CI log would obey.

use std::borrow::Cow;
use std::collections::BTreeMap;

use unicode_width::UnicodeWidthStr;

use crate::report::style::{Paint, Style};
use crate::report::text::{first_line, inert, message, name, printable, printable_lines, truncate, wrap};
use crate::report::wording::{
    advise, bytes, case_counts, count, describe_cause, duration, is_bad, outcome_word,
};
use crate::results::{Attempt, Case, CaseStatus, Cause, Outcome, RunResults, TestResult};

/// Failed cases that are named; the rest is counted.
const MAX_FAILED_CASES: usize = 10;

/// Failed cases that are looked at for some that look alike.
const MAX_COMPARED_CASES: usize = 1000;

/// Warnings that are printed; the rest is counted.
const MAX_WARNINGS: usize = 10;

/// Last lines of a failed service that are printed.
const MAX_SERVICE_LINES: usize = 5;

const MIN_WIDTH: usize = 30;

/// The column in which values begin.
const VALUE_COLUMN: usize = 11;

/// The whole summary, with its last line end.
#[must_use]
pub fn render(results: &RunResults, style: Style) -> String {
    let style = Style { width: style.width.max(MIN_WIDTH), ..style };
    let mut page = Page { text: String::new(), style };
    for test in &results.tests {
        if !page.text.is_empty() {
            page.text.push('\n');
        }
        test_block(test, results, &mut page);
    }
    if results.tests.len() != 1 {
        if !page.text.is_empty() {
            page.text.push('\n');
        }
        totals(results, &mut page);
    }
    page.text
}

/// The text so far, and the two ways to add to it.
struct Page {
    text: String,
    style: Style,
}

impl Page {
    /// `  label    value`, the value broken to the width and aligned.
    fn field(&mut self, label: &str, value: &str) {
        let room = self.style.width.saturating_sub(VALUE_COLUMN);
        for (number, line) in wrap(value, room).iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            self.line(label, line);
        }
    }

    /// As [`Page::field`], but the value stays in one piece because it is there to be copied.
    fn copyable(&mut self, label: &str, value: &str) {
        self.line(label, value);
    }

    fn line(&mut self, label: &str, value: &str) {
        let label = format!("  {label:<width$}", width = VALUE_COLUMN - 2);
        self.text.push_str(&self.style.paint(Paint::Faint, label.trim_end()));
        self.text.push_str(&" ".repeat(VALUE_COLUMN.saturating_sub(label.trim_end().width())));
        self.text.push_str(&inert(value));
        self.text.push('\n');
    }

    fn heading(&mut self, outcome: Outcome, text: &str) {
        let word = outcome_word(outcome).to_uppercase();
        let indent = word.width() + 2;
        let lines = wrap(text, self.style.width.saturating_sub(indent).max(8));
        self.text.push_str(&self.style.paint(Paint::of(outcome), &word));
        for (number, line) in lines.iter().enumerate() {
            self.text.push_str(&" ".repeat(if number == 0 { 2 } else { indent }));
            self.text.push_str(&inert(line));
            self.text.push('\n');
        }
    }
}

fn test_block(test: &TestResult, results: &RunResults, page: &mut Page) {
    let alone = results.tests.len() == 1;
    let attempt = test.last_attempt();
    let tested: f64 = test.attempts.iter().map(|attempt| attempt.seconds).sum();
    let took = attempt.map(|_| format!(" in {}", duration(tested))).unwrap_or_default();
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
        let outcomes: Vec<&str> = test.attempts.iter().map(|attempt| outcome_word(attempt.outcome)).collect();
        page.field("attempts", &outcomes.join(", then "));
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
    let warnings = tallied(test.warnings.iter().map(|warning| message(warning)));
    for (warning, times) in warnings.iter().take(MAX_WARNINGS) {
        page.field("warning", &repeated(warning, *times));
    }
    if warnings.len() > MAX_WARNINGS {
        page.field("", &format!("+ {} more", warnings.len() - MAX_WARNINGS));
    }
    if alone {
        page.field("run", &format!("{}, {} in all", printable(&results.run_id), duration(results.seconds)));
    }
    if let Some(advice) = test.cause.as_ref().and_then(|cause| advise(cause, &results.run_id)) {
        page.copyable("hint", &printable(&advice));
    }
}

/// Each value once, in the order of its first appearance, with how often it is there.
fn tallied<T: Ord + Clone>(values: impl Iterator<Item = T>) -> Vec<(T, u64)> {
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

fn repeated(text: &str, times: u64) -> String {
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

fn failed_cases(attempt: &Attempt, page: &mut Page) {
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

fn totals(results: &RunResults, page: &mut Page) {
    let tests = results.tests.len() as u64;
    let bad = results.tests.iter().filter(|test| is_bad(test.outcome)).count();
    let flaky = results.tests.iter().filter(|test| test.outcome == Outcome::Flaky).count();
    let parts = [(bad, "not passed"), (flaky, "flaky")];
    let told =
        parts.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!(", {number} {word}"));
    let text = format!("{}{}", count(tests, "test"), told.collect::<String>());
    page.heading(results.outcome, &format!("{text} in {}", duration(results.seconds)));
    page.field("run", &printable(&results.run_id));
}

#[cfg(test)]
mod tests;
