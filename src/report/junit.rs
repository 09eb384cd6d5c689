//! The JUnit XML report, as Jenkins, GitLab and their kin read it.
//!
//! Owns the merging of the cases that tests wrote into suites of ours, and the case that stands for the container
//! where no case says why the test is not good. XML itself is the junit-report crate's.

use std::borrow::Cow;
use std::io::{self, Write};

use junit_report::{Duration, OffsetDateTime, Report, TestCase, TestResult as Verdict, TestSuite};
use time::format_description::well_known::Rfc3339;

use crate::report::text::xml_text;
use crate::report::wording::{cause_kind, describe_cause, duration, flaky, outcome_word, reason};
use crate::report::{ExportError, Exporter};
use crate::results::{Attempt, Case, CaseStatus, CaseSuite, Cause, Outcome, RunResults, TestResult};

/// `--report junit=PATH`.
pub struct Junit;

const NAME: &str = "junit";

impl Exporter for Junit {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> &'static str {
        "JUnit XML: every case, and one for a container that failed without any"
    }

    fn export(&self, results: &RunResults, out: &mut dyn Write) -> Result<(), ExportError> {
        let mut report = Report::new();
        for test in &results.tests {
            report.add_testsuites(suites_of(test, &results.started_at));
        }
        report.write_xml(&mut *out).map_err(|error| match error {
            junit_report::Error::Io(source) => ExportError::Write { format: NAME, source },
            junit_report::Error::Xml(error) => xml_failure(error),
        })?;
        out.write_all(b"\n").map_err(|source| ExportError::Write { format: NAME, source })
    }
}

/// The XML writer wraps errors of the file below it; those keep their kind, so that a full disk is not taken for a
/// defect.
fn xml_failure(error: quick_xml::Error) -> ExportError {
    match error {
        quick_xml::Error::Io(source) => {
            ExportError::Write { format: NAME, source: io::Error::new(source.kind(), source.to_string()) }
        }
        other => ExportError::Encode { format: NAME, message: other.to_string() },
    }
}

fn suites_of(test: &TestResult, run_started_at: &str) -> Vec<TestSuite> {
    let attempt = test.last_attempt();
    let started = attempt.and_then(|attempt| attempt.started_at.as_deref()).unwrap_or(run_started_at);
    let timestamp = OffsetDateTime::parse(started, &Rfc3339).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    // Readers differ on fractions of a second.
    let timestamp = timestamp.replace_nanosecond(0).unwrap_or(timestamp);
    let new_suite = |name: &str| {
        let mut suite = TestSuite::new(&attribute(name));
        suite.package = attribute(&test.image);
        suite.timestamp = timestamp;
        suite
    };

    let mut suites = Vec::new();
    for written in attempt.map(|attempt| attempt.suites.as_slice()).unwrap_or_default() {
        if !written.cases.is_empty() {
            let mut suite = new_suite(&format!("{} / {}", test.name, suite_name(written)));
            suite.add_testcases(written.cases.iter().map(case_of));
            suites.push(suite);
        }
    }
    let history = attempts_text(test);
    if suites.is_empty() || container_says_more(test) {
        let mut suite = new_suite(&test.name);
        suite.add_testcase(container_case(test, history.as_deref()));
        suites.insert(0, suite);
    } else if let Some(history) = history {
        tell_history(&mut suites, &history);
    }
    suites
}

/// Puts the attempts in front of what a case printed: the first that is not good, else the first of all. Few readers
/// show the output of a suite.
fn tell_history(suites: &mut [TestSuite], history: &str) {
    let bad = |case: &TestCase| matches!(case.result, Verdict::Failure { .. } | Verdict::Error { .. });
    let of_suite = suites.iter().position(|suite| suite.testcases.iter().any(bad)).unwrap_or_default();
    let cases = suites.get_mut(of_suite).map(|suite| suite.testcases.as_mut_slice()).unwrap_or_default();
    let of_case = cases.iter().position(bad).unwrap_or_default();
    if let Some(case) = cases.get_mut(of_case) {
        let own = case.system_out.take().map(|own| format!("\n\n{own}")).unwrap_or_default();
        case.system_out = Some(format!("{}{own}", cdata(history)));
    }
}

fn suite_name(suite: &CaseSuite) -> &str {
    if suite.name.trim().is_empty() { &suite.source } else { &suite.name }
}

/// True where the verdict is bad and the cases do not account for it: none of them failed, or something happened to
/// the container that no case can know.
fn container_says_more(test: &TestResult) -> bool {
    if !test.is_bad() {
        return false;
    }
    if test.outcome == Outcome::Flaky {
        return true;
    }
    let bad_cases = test.last_attempt().map_or(0, |attempt| attempt.cases.bad());
    match test.cause {
        Some(Cause::ExitCode { .. } | Cause::FailedCases { .. }) | None => bad_cases == 0,
        Some(_) => true,
    }
}

/// The case that stands for the container as a whole.
fn container_case(test: &TestResult, history: Option<&str>) -> TestCase {
    let seconds = test.last_attempt().map_or(0.0, |attempt| attempt.seconds);
    let log = test.last_attempt().map(|attempt| attempt.log_tail.as_str()).unwrap_or_default();
    let (type_, sentence) = match &test.cause {
        _ if test.outcome == Outcome::Flaky => ("flaky", flaky(test)),
        Some(cause) => (cause_kind(cause), describe_cause(cause)),
        None => (outcome_word(test.outcome), outcome_word(test.outcome).to_owned()),
    };
    let type_ = type_.to_owned();
    let message = attribute(&sentence);

    let mut case = TestCase::success(&attribute(&test.name), span(seconds));
    case.set_classname(&attribute(&test.test_type));
    case.result = match (test.outcome, &test.cause) {
        (Outcome::Passed, _) => Verdict::Success,
        (Outcome::Flaky, _) if !test.flaky_fails => Verdict::Success,
        (Outcome::Skipped, Some(_)) => Verdict::SkippedWithCause { type_, message, cause: None },
        (Outcome::Skipped, None) => Verdict::Skipped,
        (_, Some(Cause::ExitCode { .. } | Cause::FailedCases { .. } | Cause::NoTests))
        | (Outcome::Failed, None)
        | (Outcome::Flaky, _) => Verdict::Failure { type_, message, cause: Some(cdata(&sentence)) },
        _ => Verdict::Error { type_, message, cause: Some(cdata(&sentence)) },
    };
    let of_service = match &test.cause {
        Some(Cause::DependencyFailed { log_tail, .. }) => log_tail,
        _ => "",
    };
    let output = [history.unwrap_or_default(), log, of_service].map(str::trim_end);
    let output: Vec<&str> = output.into_iter().filter(|part| !part.is_empty()).collect();
    if !output.is_empty() {
        case.set_system_out(&cdata(&output.join("\n\n")));
    }
    case
}

/// One line an attempt, where there was more than one.
fn attempts_text(test: &TestResult) -> Option<String> {
    let line = |attempt: &Attempt| {
        let verdict = outcome_word(attempt.outcome);
        let reason = attempt.cause.as_ref().map(|cause| format!(": {}", reason(attempt.outcome, cause)));
        format!(
            "attempt {}: {verdict} after {}{}",
            attempt.number,
            duration(attempt.seconds),
            reason.unwrap_or_default()
        )
    };
    (test.attempts.len() > 1).then(|| {
        let flaky = (test.outcome == Outcome::Flaky).then(|| format!("flaky: {}", flaky(test)));
        test.attempts.iter().map(line).chain(flaky).collect::<Vec<_>>().join("\n")
    })
}

fn case_of(case: &Case) -> TestCase {
    let mut made = TestCase::success(&attribute(&case.name), span(case.seconds.unwrap_or_default()));
    made.classname = case.class.as_deref().map(attribute);
    made.filepath = case.file.as_deref().map(attribute);
    made.system_out = case.stdout.as_deref().map(cdata);
    made.system_err = case.stderr.as_deref().map(cdata);
    let message = attribute(case.message.as_deref().unwrap_or_default());
    let type_ = |fallback: &str| attribute(case.kind.as_deref().unwrap_or(fallback));
    let text = text_of(case).map(|text| cdata(&text));
    made.result = match case.status {
        CaseStatus::Passed => Verdict::Success,
        CaseStatus::Failed => Verdict::Failure { type_: type_("failure"), message, cause: text },
        CaseStatus::Errored => Verdict::Error { type_: type_("error"), message, cause: text },
        CaseStatus::Skipped if message.is_empty() && text.is_none() => Verdict::Skipped,
        CaseStatus::Skipped => Verdict::SkippedWithCause { type_: type_("skipped"), message, cause: text },
    };
    made
}

/// The detail; the message stands in for it where an attribute would lose its line breaks.
fn text_of(case: &Case) -> Option<Cow<'_, str>> {
    let message = case.message.as_deref().filter(|message| message.trim().contains('\n'));
    match (case.detail.as_deref(), message) {
        (Some(detail), Some(message)) if !detail.contains(message.trim()) => {
            Some(Cow::Owned(format!("{message}\n{detail}")))
        }
        (Some(text), _) | (None, Some(text)) => Some(Cow::Borrowed(text)),
        (None, None) => None,
    }
}

/// Attribute values are normalised by every XML reader: a line break is read as a space, so it is written as one.
fn attribute(text: &str) -> String {
    xml_text(text).trim().replace("\r\n", " ").replace(['\n', '\r', '\t'], " ")
}

/// The crate writes text as CDATA without looking for its end mark, so the mark is split over two sections here.
fn cdata(text: &str) -> String {
    xml_text(text).replace("]]>", "]]]]><![CDATA[>")
}

fn span(seconds: f64) -> Duration {
    if seconds.is_finite() && seconds > 0.0 {
        Duration::saturating_seconds_f64((seconds * 1e6).round() / 1e6)
    } else {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests;
