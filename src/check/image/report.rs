//! What a check needs of docker-test's report in JSON.
//!
//! Owns the few fields that are read, and their words, in which secrets are hidden before they are cut. The rest is passed
//! over, so that a later docker-test is understood, too.

use std::borrow::Cow;

use serde::Deserialize;

use crate::check::command::one_line;
use crate::probe::Measurement;
use crate::redact::Redactor;

/// As many failed cases as a summary names.
const SHOWN: usize = 3;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Report {
    #[serde(default)]
    seconds: f64,
    #[serde(default)]
    outcome: String,
    tests: Vec<Test>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Test {
    name: String,
    outcome: String,
    cause: Option<Cause>,
    attempts: Vec<Attempt>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cause {
    kind: String,
    code: Option<i64>,
    signal: Option<i64>,
    message: Option<String>,
    reason: Option<String>,
    service: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Attempt {
    seconds: f64,
    cases: Counts,
    suites: Vec<Suite>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    passed: u32,
    failed: u32,
    errored: u32,
    skipped: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Suite {
    cases: Vec<Case>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Case {
    name: String,
    status: String,
    message: Option<String>,
}

impl Case {
    fn is_bad(&self) -> bool {
        matches!(self.status.as_str(), "failed" | "errored")
    }
}

impl Report {
    /// None where the text is no report.
    pub(super) fn read(text: &str, redactor: &Redactor) -> Option<Self> {
        let mut report: Self = serde_json::from_str(text).ok()?;
        for text in report.tests.iter_mut().flat_map(Test::quoted) {
            if let Cow::Owned(shown) = redactor.redact(text) {
                *text = shown;
            }
        }
        Some(report)
    }

    /// Nobody knows whether the tests would have passed.
    pub(super) fn is_aborted(&self) -> bool {
        self.outcome == "aborted"
    }

    /// Something passed on a later attempt alone.
    pub(super) fn is_flaky(&self) -> bool {
        self.tests.iter().any(|test| test.outcome == "flaky")
    }

    /// The attempts that decided.
    fn last_attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.tests.iter().filter_map(|test| test.attempts.last())
    }

    fn sum(&self, count: impl Fn(&Counts) -> u32) -> u32 {
        self.last_attempts().fold(0, |sum, attempt| sum.saturating_add(count(&attempt.cases)))
    }

    /// How many cases there were, in brackets; nothing where the tests wrote none.
    pub(super) fn counts(&self) -> String {
        let bad = self.sum(|cases| cases.failed.saturating_add(cases.errored));
        match (self.sum(|cases| cases.passed), bad) {
            (0, 0) => String::new(),
            (passed, 0) => format!(" ({passed} passed)"),
            (passed, bad) => format!(" ({passed} passed, {bad} failed)"),
        }
    }

    /// What is wrong, after the word "got".
    pub(super) fn fault(&self) -> String {
        let bad: Vec<&Test> = self.tests.iter().filter(|test| test.is_bad()).collect();
        let what = match bad.as_slice() {
            [] => self.outcome.replace('_', " "),
            [only] if self.tests.len() == 1 => only.fault(),
            [first, ..] => {
                format!(
                    "{} of {} that failed, first {}: {}",
                    bad.len(),
                    self.tests.len(),
                    first.name,
                    first.fault()
                )
            }
        };
        let counts = self.counts();
        let failed: Vec<String> = self
            .last_attempts()
            .flat_map(|attempt| &attempt.suites)
            .flat_map(|suite| &suite.cases)
            .filter(|case| case.is_bad())
            .map(named)
            .collect();
        let more = if failed.len() > SHOWN { ", …" } else { "" };
        let shown = failed.get(..failed.len().min(SHOWN)).unwrap_or_default().join(", ");
        if shown.is_empty() { format!("{what}{counts}") } else { format!("{what}{counts}: {shown}{more}") }
    }

    pub(super) fn measurements(&self) -> Vec<Measurement> {
        let measured = |name: &str, value: f64, unit: &str| Measurement {
            name: name.to_owned(),
            value,
            unit: unit.to_owned(),
        };
        let mut all = vec![
            measured("time", self.seconds, "s"),
            measured("test_time", self.tests.iter().map(Test::seconds).sum::<f64>() + 0.0, "s"),
        ];
        let cases = |name: &str, sum: u32| measured(name, f64::from(sum), "");
        all.extend([
            cases("cases_passed", self.sum(|cases| cases.passed)),
            cases("cases_failed", self.sum(|cases| cases.failed)),
            cases("cases_errored", self.sum(|cases| cases.errored)),
            cases("cases_skipped", self.sum(|cases| cases.skipped)),
        ]);
        all.retain(|one| one.value.is_finite());
        all
    }
}

impl Test {
    /// The texts that may be quoted.
    fn quoted(&mut self) -> impl Iterator<Item = &mut String> {
        let cause = self.cause.iter_mut();
        let told = cause.flat_map(|it| [&mut it.message, &mut it.reason, &mut it.service]).flatten();
        let suites = self.attempts.iter_mut().flat_map(|attempt| &mut attempt.suites);
        let bad = suites.flat_map(|suite| &mut suite.cases).filter(|case| case.is_bad());
        let cases = bad.flat_map(|case| std::iter::once(&mut case.name).chain(&mut case.message));
        std::iter::once(&mut self.name).chain(told).chain(cases)
    }

    fn is_bad(&self) -> bool {
        !matches!(self.outcome.as_str(), "passed" | "skipped" | "flaky")
    }

    fn seconds(&self) -> f64 {
        self.attempts.iter().map(|attempt| attempt.seconds).sum()
    }

    fn fault(&self) -> String {
        let outcome = self.outcome.replace('_', " ");
        let Some(cause) = &self.cause else { return outcome };
        let detail = match (cause.kind.as_str(), cause) {
            ("exit_code", Cause { code: Some(code), .. }) => return format!("exit code {code}"),
            ("killed_by_signal", Cause { signal: Some(signal), .. }) => return format!("signal {signal}"),
            (_, Cause { service: Some(service), message: Some(message), .. }) => {
                format!("{service}: {message}")
            }
            (_, Cause { message: Some(message), .. }) => message.clone(),
            (_, Cause { reason: Some(reason), .. }) => reason.clone(),
            ("failed_cases", _) => return "failed cases".to_owned(),
            ("timeout" | "out_of_memory" | "", _) => return outcome,
            (kind, _) => kind.replace('_', " "),
        };
        format!("{outcome}: {}", one_line(&detail))
    }
}

fn named(case: &Case) -> String {
    match case.message.as_deref().map(one_line).filter(|message| !message.is_empty()) {
        Some(message) => format!("{} ({message})", one_line(&case.name)),
        None => one_line(&case.name),
    }
}
