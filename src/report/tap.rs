//! The Test Anything Protocol, version 14: a test point for each test, a subtest for its cases.
//!
//! Owns the escaping of descriptions and the YAML of the diagnostics. The text is one that [`crate::results::tap`] reads.

mod yaml;

use std::fmt::Write as _;
use std::io::Write;

use crate::report::text::{first_line, printable};
use crate::report::wording::{
    case_counts, cause_kind, describe_cause, describe_service_cause, is_bad, outcome_word,
};
use crate::report::{ExportError, Exporter};
use crate::results::{Case, CaseStatus, Cause, Outcome, RunResults, TestResult};
use yaml::Block;

/// `--report tap=PATH`.
pub struct Tap;

const NAME: &str = "tap";

/// What a subtest is indented by.
const SUBTEST: &str = "    ";

impl Exporter for Tap {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> &'static str {
        "TAP 14: a test point for each test, its cases as a subtest"
    }

    fn export(&self, results: &RunResults, out: &mut dyn Write) -> Result<(), ExportError> {
        write(results, out).map_err(|source| ExportError::Write { format: NAME, source })
    }
}

fn write(results: &RunResults, out: &mut dyn Write) -> std::io::Result<()> {
    let run = comment(&format!("run {} on {}", results.run_id, results.engine));
    writeln!(out, "TAP version 14\n# docker-test {}, {run}", comment(&results.version))?;
    for service in results.services.iter().filter(|service| is_bad(service.outcome)) {
        let why = service.cause.as_ref().map(|cause| format!(": {}", describe_service_cause(cause)));
        let line = format!(
            "service {} ({}) {}{}",
            service.name,
            service.image,
            outcome_word(service.outcome),
            why.unwrap_or_default()
        );
        writeln!(out, "# {}", comment(&line))?;
    }
    writeln!(out, "1..{}", results.tests.len())?;
    for (number, test) in (1..).zip(&results.tests) {
        out.write_all(test_point(number, test).as_bytes())?;
    }
    Ok(())
}

/// A comment ends with its line, so a line is all that it may be.
fn comment(text: &str) -> String {
    printable(text).into_owned()
}

/// Free text in a description: `#` would begin a directive, and `\` escapes.
fn description(text: &str) -> String {
    printable(text).trim().replace('\\', "\\\\").replace('#', "\\#")
}

/// A brace at the end of a point, alone or after a space, begins a block of points for many readers (Test2, node-tap).
fn unbraced(mut point: String) -> String {
    if point == "{" || point.ends_with(" {") {
        point.insert(point.len() - 1, '\\');
    }
    point
}

fn test_point(number: usize, test: &TestResult) -> String {
    let mut point = String::new();
    let name = description(&test.name);
    let attempt = test.last_attempt();
    let suites = attempt.map(|attempt| attempt.suites.as_slice()).unwrap_or_default();
    let cases: Vec<(&str, &Case)> =
        suites.iter().flat_map(|suite| suite.cases.iter().map(|case| (suite.name.as_str(), case))).collect();
    if !cases.is_empty() {
        // Writing to a String cannot fail.
        let _ = writeln!(point, "# Subtest: {name}\n{SUBTEST}1..{}", cases.len());
        for (number, (suite, case)) in (1..).zip(cases) {
            case_point(number, suite, case, !test.is_bad(), &mut point);
        }
    }
    let not = if test.is_bad() { "not " } else { "" };
    let skip = match (test.outcome, &test.cause) {
        (Outcome::Skipped, Some(cause)) => skip(Some(&describe_cause(cause))),
        (Outcome::Skipped, None) => skip(test.warnings.first()),
        _ => String::new(),
    };
    let _ = writeln!(point, "{not}ok {number} - {}", unbraced(name + &skip));
    diagnostics(test).end(&mut point, "");
    point
}

/// The directive; its reason is free text, but nothing behind it is read.
fn skip(reason: Option<&String>) -> String {
    let reason = reason.and_then(|reason| first_line(reason)).unwrap_or_default();
    format!(" # SKIP {}", description(&reason)).trim_end().to_owned()
}

fn case_point(number: usize, suite: &str, case: &Case, forgiven: bool, text: &mut String) {
    let bad = matches!(case.status, CaseStatus::Failed | CaseStatus::Errored);
    let not = if bad { "not " } else { "" };
    let parts = [suite, case.class.as_deref().unwrap_or_default(), &case.name];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.trim().is_empty()).collect();
    let directive = match case.status {
        CaseStatus::Skipped => skip(case.message.as_ref()),
        // The test passed all the same: a failed point in its subtest would contradict it.
        _ if bad && forgiven => " # TODO the cases did not decide".to_owned(),
        _ => String::new(),
    };
    let name = description(&parts.join(" › "));
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{SUBTEST}{not}ok {number} - {}", unbraced(name + &directive));
    if !bad {
        return;
    }
    let mut block = Block::default();
    block.text("message", case.message.as_deref().unwrap_or_default());
    block.word("severity", if case.status == CaseStatus::Errored { "error" } else { "fail" });
    block.text("type", case.kind.as_deref().unwrap_or_default());
    if let Some(file) = &case.file {
        let place = case.line.map_or_else(|| file.clone(), |line| format!("{file}:{line}"));
        block.text("at", &place);
    }
    block.text("detail", case.detail.as_deref().unwrap_or_default());
    block.text("stdout", case.stdout.as_deref().unwrap_or_default());
    block.text("stderr", case.stderr.as_deref().unwrap_or_default());
    block.end(text, SUBTEST);
}

fn diagnostics(test: &TestResult) -> Block {
    let mut block = Block::default();
    let milliseconds = test.seconds().max(0.0) * 1000.0;
    block.text("outcome", outcome_word(test.outcome));
    block.word("duration_ms", &format!("{milliseconds:.0}"));
    if test.image != test.name {
        block.text("image", &test.image);
    }
    if let Some(cause) = &test.cause {
        block.word("cause", cause_kind(cause));
        block.text("message", &describe_cause(cause));
        if let Cause::DependencyFailed { log_tail, .. } = cause {
            block.text("service_output", log_tail);
        }
    }
    if test.attempts.len() > 1 {
        let told = test.attempts.iter().map(|attempt| {
            let why = attempt.cause.as_ref().map(|cause| format!(", {}", describe_cause(cause)));
            format!("{}{}", outcome_word(attempt.outcome), why.unwrap_or_default())
        });
        block.list("attempts", told);
    }
    if let Some(attempt) = test.last_attempt().filter(|_| is_bad(test.outcome)) {
        block.text("cases", &case_counts(attempt.cases));
        block.text("output", &attempt.log_tail);
    }
    block.list("warnings", test.warnings.iter().cloned());
    block
}

#[cfg(test)]
mod tests;
