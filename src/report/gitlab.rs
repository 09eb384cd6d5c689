//! GitLab's Code Quality report: failures at their file and line, in merge requests and diffs.
//!
//! Owns severities, places and fingerprints. GitLab's list of tests is fed by JUnit XML, which [`crate::report::junit`]
//! makes; what that cannot do is to point at a line, and this can.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::report::dependents::{self, Lost};
use crate::report::text::{first_line, head, printable};
use crate::report::totals::names;
use crate::report::wording::{cause_kind, describe_cause, flaky, is_bad, outcome_word};
use crate::report::{ExportError, Exporter};
use crate::results::{Case, CaseStatus, Outcome, RunResults, TestResult};

/// `--report gitlab=PATH`.
pub struct CodeQuality;

const NAME: &str = "gitlab";

const MAX_DESCRIPTION_BYTES: usize = 1024;

impl Exporter for CodeQuality {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> &'static str {
        "GitLab Code Quality: failures at their file and line"
    }

    fn export(&self, results: &RunResults, out: &mut dyn Write) -> Result<(), ExportError> {
        serde_json::to_writer_pretty(&mut *out, &findings(results)).map_err(|error| {
            match error.io_error_kind() {
                Some(kind) => {
                    ExportError::Write { format: NAME, source: io::Error::new(kind, error.to_string()) }
                }
                None => ExportError::Encode { format: NAME, message: error.to_string() },
            }
        })?;
        out.write_all(b"\n").map_err(|source| ExportError::Write { format: NAME, source })
    }
}

/// What GitLab reads of Code Climate's format.
#[derive(Debug, Serialize)]
struct Finding {
    description: String,
    check_name: String,
    fingerprint: String,
    severity: &'static str,
    location: Location,
}

#[derive(Debug, Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Debug, Serialize)]
struct Lines {
    begin: u32,
}

fn findings(results: &RunResults) -> Vec<Finding> {
    let mut fingerprints = Fingerprints::default();
    let lost = dependents::of(results);
    let mut findings: Vec<Finding> =
        lost.iter().filter_map(|lost| of_lost(lost, results, &mut fingerprints)).collect();
    let tests = results.tests.iter().filter(|test| dependents::needed(test).is_none());
    findings.extend(tests.flat_map(|test| findings_of(test, &mut fingerprints)));
    findings
}

/// What failed under the feet of tests, once. Where it is a test, that has findings of its own.
fn of_lost(lost: &Lost<'_>, results: &RunResults, fingerprints: &mut Fingerprints) -> Option<Finding> {
    if results.tests.iter().any(|test| test.name == lost.name) {
        return None;
    }
    let tests: Vec<&str> = lost.not_run.iter().chain(&lost.cut_short).copied().collect();
    let first = results.tests.iter().find(|test| tests.first() == Some(&test.name.as_str()))?;
    let why = format!("{} failed: {}; without it: {}", lost.name, lost.message, names(tests.into_iter()));
    let check = "dependency_failed";
    Some(Finding {
        description: describe(&why),
        check_name: format!("docker-test/{check}"),
        fingerprint: fingerprints.next(&[lost.name, check]),
        severity: "critical",
        location: Location { path: declared_in(first).to_owned(), lines: Lines { begin: 1 } },
    })
}

fn findings_of(test: &TestResult, fingerprints: &mut Fingerprints) -> Vec<Finding> {
    if test.outcome == Outcome::Flaky {
        let severity = if test.flaky_fails { "major" } else { "minor" };
        let why = format!("{}: flaky, {}", test.name, flaky(test));
        return vec![of_container(test, "flaky", severity, &why, fingerprints)];
    }
    if !is_bad(test.outcome) {
        return Vec::new();
    }
    let suites = test.last_attempt().map(|attempt| attempt.suites.as_slice()).unwrap_or_default();
    let mut findings = Vec::new();
    for suite in suites {
        let bad = |case: &&Case| matches!(case.status, CaseStatus::Failed | CaseStatus::Errored);
        for case in suite.cases.iter().filter(bad) {
            findings.push(of_case(test, &suite.name, case, fingerprints));
        }
    }
    if findings.is_empty() {
        let (check, why) = match &test.cause {
            Some(cause) => (cause_kind(cause), describe_cause(cause)),
            None => ("failed", outcome_word(test.outcome).to_owned()),
        };
        let severity = if test.outcome == Outcome::Failed { "major" } else { "critical" };
        findings.push(of_container(test, check, severity, &format!("{}: {why}", test.name), fingerprints));
    }
    findings
}

fn of_case(test: &TestResult, suite: &str, case: &Case, fingerprints: &mut Fingerprints) -> Finding {
    let said = [case.message.as_deref(), case.detail.as_deref()].into_iter().flatten().find_map(first_line);
    let class = case.class.as_deref().unwrap_or_default();
    let title = format!("{}: {class} {}", test.name, case.name);
    let (severity, check) = match case.status {
        CaseStatus::Errored => ("critical", "errored_case"),
        _ => ("major", "failed_case"),
    };
    let own = case.file.as_deref().map(|file| file.trim_start_matches("./")).filter(|file| !file.is_empty());
    let path = own.map_or_else(|| declared_in(test).to_owned(), |file| printable(file).into_owned());
    Finding {
        description: describe(&match said {
            Some(said) => format!("{title}: {said}"),
            None => title,
        }),
        check_name: format!("docker-test/{check}"),
        fingerprint: fingerprints.next(&[subject(test), suite, class, &case.name, &path]),
        severity,
        location: Location { path, lines: Lines { begin: own.and(case.line).unwrap_or(1).max(1) } },
    }
}

fn of_container(
    test: &TestResult,
    check: &str,
    severity: &'static str,
    why: &str,
    fingerprints: &mut Fingerprints,
) -> Finding {
    Finding {
        description: describe(why),
        check_name: format!("docker-test/{check}"),
        fingerprint: fingerprints.next(&[subject(test), check]),
        severity,
        location: Location { path: declared_in(test).to_owned(), lines: Lines { begin: 1 } },
    }
}

fn describe(text: &str) -> String {
    let text = printable(text);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    head(&text, MAX_DESCRIPTION_BYTES).replace('\n', " ")
}

/// GitLab drops a finding without a place. Where the test is declared is the place that is left.
fn declared_in(test: &TestResult) -> &'static str {
    if test.source == "recipe" { "Dockerfile.test" } else { "Dockerfile" }
}

/// What the test is called in every pipeline. A test is named after its image unless a suite names it, and tags are
/// mostly those of a commit: with them in the fingerprint no failure would ever be a known one.
fn subject(test: &TestResult) -> &str {
    if test.name != test.image {
        return &test.name;
    }
    let name = test.name.split('@').next().unwrap_or_default();
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

/// GitLab compares reports by fingerprint, and shows one finding for each.
#[derive(Default)]
struct Fingerprints {
    given: BTreeMap<String, u32>,
}

impl Fingerprints {
    fn next(&mut self, parts: &[&str]) -> String {
        let key = parts.join("\0");
        let number = self.given.entry(key.clone()).or_default();
        *number += 1;
        let digest = Sha256::digest(format!("{key}\0{number}"));
        let number = digest.iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        format!("{number:032x}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::report::fixtures::{
        attempt, failed_case, failing, flaky, passing, run, test, two_hundred, without_cases,
        without_its_service,
    };
    use crate::results::Cause;

    fn findings(results: &RunResults) -> Vec<Value> {
        let mut out = Vec::new();
        CodeQuality.export(results, &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_failed_case_is_a_finding_at_its_line() {
        let found = findings(&failing());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["description"], "shop:1.4: shop.CartTest test_total: assert 3 == 4");
        assert_eq!(found[0]["check_name"], "docker-test/failed_case");
        assert_eq!(found[0]["severity"], "major");
        assert_eq!(found[0]["location"], json!({"path": "tests/cart.py", "lines": {"begin": 41}}));
    }

    #[test]
    fn nothing_to_complain_about_is_an_empty_list() {
        assert!(findings(&passing()).is_empty());
    }

    #[test]
    fn a_container_that_failed_without_a_case_is_a_finding_where_the_test_is_declared() {
        let cause = Some(Cause::Timeout { seconds: 60.0 });
        let mut results = without_cases(Outcome::TimedOut, cause);
        let found = findings(&results);
        assert_eq!(found[0]["description"], "shop:1.4: timed out: the test ran longer than 1m");
        assert_eq!(found[0]["check_name"], "docker-test/timeout");
        assert_eq!(found[0]["severity"], "critical");
        assert_eq!(found[0]["location"], json!({"path": "Dockerfile", "lines": {"begin": 1}}));
        results.tests[0].source = "recipe".to_owned();
        assert_eq!(findings(&results)[0]["location"]["path"], "Dockerfile.test");
        let found = findings(&without_its_service());
        assert_eq!(found[0]["check_name"], "docker-test/dependency_failed");
        assert_eq!(found[0]["description"], "db failed: it ended with exit code 1; without it: checkout");
    }

    #[test]
    fn of_two_hundred_tests_those_without_their_service_are_one_finding() {
        let found = findings(&two_hundred());
        let of = |check: &str| {
            let check = format!("docker-test/{check}");
            found.iter().filter(|finding| finding["check_name"] == check).count()
        };
        assert_eq!((of("dependency_failed"), of("failed_case"), of("timeout"), of("flaky")), (1, 10, 5, 5));
        assert_eq!(found.len(), 21);
        let all: BTreeSet<&str> = found.iter().filter_map(|one| one["fingerprint"].as_str()).collect();
        assert_eq!(all.len(), 21);
    }

    #[test]
    fn a_flaky_test_is_a_minor_finding() {
        let found = findings(&flaky());
        assert_eq!(found[0]["severity"], "minor");
        assert_eq!(found[0]["description"], "shop:1.4: flaky, passed on attempt 2 only");
    }

    #[test]
    fn a_failure_keeps_its_fingerprint_when_tag_line_and_message_change() {
        let failure = |image: &str, line, message: &str| {
            let mut failed = failed_case("test_total", message);
            failed.line = Some(line);
            let attempts = vec![attempt(1, Outcome::Failed, vec![failed])];
            findings(&run(vec![test(image, Outcome::Failed, None, attempts)]))[0]["fingerprint"].clone()
        };
        let known = failure("localhost:5000/shop:1.4", 41, "assert 3 == 4");
        assert_eq!(known, failure("localhost:5000/shop:2f0c@sha256:aa", 7, "assert 3 == 5"));
        assert_eq!(known, failure("localhost:5000/shop", 1, ""));
        assert_ne!(known, failure("localhost:5000/cart:1.4", 41, "assert 3 == 4"));
    }

    #[test]
    fn failures_that_look_alike_have_fingerprints_of_their_own() {
        let again = || failed_case("test_total", "assert 3 == 4");
        let attempts = vec![attempt(1, Outcome::Failed, vec![again(), again(), again()])];
        let found = findings(&run(vec![test("shop", Outcome::Failed, None, attempts)]));
        let all: BTreeSet<&str> = found.iter().filter_map(|one| one["fingerprint"].as_str()).collect();
        assert_eq!(all.len(), 3);
        assert!(all.iter().all(|fingerprint| fingerprint.len() == 32));
    }

    #[test]
    fn a_description_is_one_short_printable_line() {
        let mut failed = failed_case("a\nb\u{1b}[2J", &"x".repeat(5000));
        failed.file = Some("./tests/a.py".to_owned());
        let attempts = vec![attempt(1, Outcome::Failed, vec![failed])];
        let found = findings(&run(vec![test("shop", Outcome::Failed, None, attempts)]));
        let text = found[0]["description"].as_str().unwrap();
        assert!(text.starts_with("shop: shop.CartTest a\\nb: xxx") && text.len() < 1100, "{text}");
        assert!(!text.contains(['\n', '\u{1b}']));
        assert_eq!(found[0]["location"]["path"], "tests/a.py");
    }
}
