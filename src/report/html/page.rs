//! What the template shows, as texts that are ready to be escaped.
//!
//! Owns the choice and the order of what is on the page. Knows nothing about markup.

use serde::Serialize;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::budget::{Budget, end, line};
use super::cases::{self, Suite};
use super::links::Links;
use super::services::{self, Service};
use super::timeline::{self, Timeline};
use crate::report::totals::is_cached;
use crate::report::wording::{
    advise, bytes, case_counts, count, describe_cause, duration, files_path, is_bad, log_path, outcome_word,
    reason,
};
use crate::results::{Attempt, CaseCounts, Cause, Outcome, RunResults, TestResult};

/// Failed tests that are unfolded when the page opens; with more of them a list is what one wants first.
const OPEN: usize = 5;

/// An outcome as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    key: &'static str,
    word: &'static str,
    icon: &'static str,
    pub(super) tone: &'static str,
}

const CACHED_VERDICT: Verdict = Verdict { key: "cached", word: "cached", icon: "≡", tone: "none" };

impl Verdict {
    pub(super) const fn of(outcome: Outcome) -> Self {
        let (key, icon, tone) = match outcome {
            Outcome::Passed => ("passed", "✓", "good"),
            Outcome::Failed => ("failed", "✗", "bad"),
            Outcome::Flaky => ("flaky", "↻", "careful"),
            Outcome::TimedOut => ("timed_out", "◔", "bad"),
            Outcome::OutOfMemory => ("out_of_memory", "▲", "bad"),
            Outcome::NotStarted => ("not_started", "⊘", "bad"),
            Outcome::Aborted => ("aborted", "■", "bad"),
            Outcome::Skipped => ("skipped", "–", "none"),
            Outcome::DependencyFailed => ("dependency_failed", "⇢", "other"),
        };
        Self { key, word: outcome_word(outcome), icon, tone }
    }

    /// That of a test: one that was not run because it passed before is told from those that were left out.
    const fn of_test(test: &TestResult) -> Self {
        if is_cached(test) { CACHED_VERDICT } else { Self::of(test.outcome) }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Fact {
    label: &'static str,
    value: String,
    link: Option<String>,
}

fn fact(label: &'static str, value: &str) -> Option<Fact> {
    let value = line(value);
    (!value.trim().is_empty()).then_some(Fact { label, value, link: None })
}

/// A path, which leads there where the page may know the way.
fn linked(label: &'static str, path: Option<&String>, links: Links<'_>) -> Option<Fact> {
    let path = path?;
    fact(label, path).map(|fact| Fact { link: links.to(path), ..fact })
}

#[derive(Debug, Serialize)]
pub(super) struct Page {
    title: String,
    outcome: Verdict,
    facts: Vec<Fact>,
    totals: Vec<Total>,
    cases: Option<String>,
    services: Vec<Service>,
    timeline: Option<Timeline>,
    tests: Vec<Test>,
    runs: Vec<Run>,
    footer: String,
}

#[derive(Debug, Serialize)]
struct Total {
    outcome: Verdict,
    count: usize,
    /// How many stand before it in the bar.
    before: usize,
}

#[derive(Debug, Serialize)]
struct Run {
    outcome: Verdict,
    id: String,
    words: String,
}

#[derive(Debug, Serialize)]
struct Test {
    number: usize,
    outcome: Verdict,
    open: bool,
    name: String,
    kind: String,
    cases: Option<String>,
    marks: Option<Vec<Verdict>>,
    duration: String,
    cause: Option<String>,
    advice: Option<String>,
    service_log: Option<String>,
    warnings: Vec<String>,
    attempts: Vec<AttemptView>,
    facts: Vec<Fact>,
}

#[derive(Debug, Serialize)]
struct AttemptView {
    number: u32,
    outcome: Verdict,
    cause: Option<String>,
    suites: Vec<Suite>,
    left_out: Option<String>,
    log: Option<String>,
    show_log: bool,
    files: Vec<FileView>,
    file_counts: String,
    more_files: Option<String>,
    facts: Vec<Fact>,
}

#[derive(Debug, Serialize)]
struct FileView {
    path: String,
    size: String,
    link: Option<String>,
}

pub(super) fn of(results: &RunResults, links: Links<'_>) -> Page {
    let budget = Budget::of(results);
    let bad = results.tests.iter().filter(|test| is_bad(test.outcome)).count();
    let open = |test: &TestResult| results.tests.len() == 1 || is_bad(test.outcome) && bad <= OPEN;
    let title = match results.tests.as_slice() {
        [only] => line(&only.name),
        tests => count(tests.len() as u64, "test"),
    };
    let facts = [
        fact("run", &results.run_id),
        fact("started", &moment(&results.started_at)),
        fact("took", &duration(results.seconds)),
        fact("engine", &results.engine),
        fact("exit code", &results.exit_code.to_string()),
    ];
    Page {
        title,
        outcome: Verdict::of(results.outcome),
        facts: facts.into_iter().flatten().collect(),
        totals: totals(results),
        cases: all_cases(results)
            .map(|counts| format!("{} in all: {}", count(counts.total(), "case"), case_counts(counts))),
        services: services::of(results, &budget),
        timeline: timeline::of(results),
        tests: (1..)
            .zip(&results.tests)
            .map(|(number, test)| test_of(number, test, open(test), results, &budget, links))
            .collect(),
        runs: results
            .runs
            .iter()
            .filter(|_| results.runs.len() > 1)
            .map(|run| Run {
                outcome: Verdict::of(run.outcome),
                id: line(&run.run_id),
                words: line(&format!(
                    "{}, {}, exit code {}, {}",
                    moment(&run.started_at),
                    duration(run.seconds),
                    run.exit_code,
                    run.engine
                )),
            })
            .collect(),
        footer: line(&format!(
            "Written by docker-test {}. This page loads nothing and sends nothing.",
            results.version
        )),
    }
}

/// The outcomes that occur, the worst first.
fn totals(results: &RunResults) -> Vec<Total> {
    let mut before = 0;
    let mut totals = Vec::new();
    let verdicts = Outcome::ALL.into_iter().rev().map(Verdict::of).chain([CACHED_VERDICT]);
    for verdict in verdicts {
        let count = results.tests.iter().filter(|test| Verdict::of_test(test) == verdict).count();
        if count > 0 {
            totals.push(Total { outcome: verdict, count, before });
            before += count;
        }
    }
    totals
}

fn all_cases(results: &RunResults) -> Option<CaseCounts> {
    let counts = results.tests.iter().filter_map(TestResult::last_attempt).map(|attempt| attempt.cases);
    let sum = counts.fold(CaseCounts::default(), |sum, counts| CaseCounts {
        passed: sum.passed.saturating_add(counts.passed),
        failed: sum.failed.saturating_add(counts.failed),
        errored: sum.errored.saturating_add(counts.errored),
        skipped: sum.skipped.saturating_add(counts.skipped),
    });
    (sum != CaseCounts::default()).then_some(sum)
}

/// The run that something belongs to, where there are several.
pub(super) fn run_fact(run_id: Option<&String>, results: &RunResults) -> Option<Fact> {
    run_id.filter(|_| results.runs.len() > 1).and_then(|run| fact("run", run))
}

fn test_of(
    number: usize,
    test: &TestResult,
    open: bool,
    results: &RunResults,
    budget: &Budget,
    links: Links<'_>,
) -> Test {
    let seconds = test.seconds();
    let last = test.attempts.len().saturating_sub(1);
    let facts = [
        fact("image", &test.image).filter(|_| test.image != test.name),
        fact("image id", &test.image_id),
        fact("test image", &test.test_image),
        fact("source", &test.source),
        linked("results", test.results_dir.as_ref(), links),
        run_fact(test.run_id.as_ref(), results),
    ];
    let service_log = match &test.cause {
        Some(Cause::DependencyFailed { log_tail, .. }) => end(log_tail, budget.bad_log),
        _ => None,
    };
    let of_run = test.run_id.as_ref().unwrap_or(&results.run_id);
    let counts = test.last_attempt().map(|attempt| attempt.cases).filter(|counts| counts.total() > 0);
    Test {
        number,
        outcome: Verdict::of_test(test),
        open,
        name: line(&test.name),
        kind: line(&test.test_type),
        cases: counts.map(case_counts),
        marks: (test.attempts.len() > 1)
            .then(|| test.attempts.iter().map(|attempt| Verdict::of(attempt.outcome)).collect()),
        duration: if test.attempts.is_empty() { "–".to_owned() } else { duration(seconds) },
        cause: test.cause.as_ref().map(describe_cause),
        advice: test.cause.as_ref().and_then(|cause| advise(cause, of_run)).map(|advice| line(&advice)),
        service_log,
        warnings: test.warnings.iter().map(|warning| line(warning)).collect(),
        attempts: test
            .attempts
            .iter()
            .enumerate()
            .map(|(index, attempt)| attempt_of(test, attempt, index == last, budget, links))
            .collect(),
        facts: facts.into_iter().flatten().collect(),
    }
}

fn attempt_of(
    test: &TestResult,
    attempt: &Attempt,
    decided: bool,
    budget: &Budget,
    links: Links<'_>,
) -> AttemptView {
    let bad = is_bad(attempt.outcome);
    let (suites, left_out) = cases::of(attempt, decided, budget);
    let directory = files_path(test, attempt);
    let listed = attempt.files.iter().take(budget.files);
    let size = attempt.files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
    let more = attempt.files.len().saturating_sub(budget.files);
    let facts = [
        fact("took", &duration(attempt.seconds)),
        fact("started", &attempt.started_at.as_deref().map(moment).unwrap_or_default()),
        attempt.slot.and_then(|slot| fact("slot", &slot.to_string())),
        attempt.exit_code.and_then(|code| fact("exit code", &code.to_string())),
        fact("container", attempt.container.as_deref().map(short).unwrap_or_default()),
        linked("log", log_path(test, attempt).as_ref(), links),
    ];
    AttemptView {
        number: attempt.number,
        outcome: Verdict::of(attempt.outcome),
        cause: attempt.cause.as_ref().map(|cause| reason(attempt.outcome, cause)),
        suites,
        left_out: left_out.filter(|_| decided),
        log: end(&attempt.log_tail, budget.log(bad)),
        show_log: bad && decided,
        files: listed
            .map(|file| FileView {
                path: line(&file.path),
                size: bytes(file.size),
                link: directory
                    .as_ref()
                    .and_then(|directory| links.to(&format!("{directory}/{}", file.path))),
            })
            .collect(),
        file_counts: format!("{}, {}", count(attempt.files.len() as u64, "file"), bytes(size)),
        more_files: (more > 0).then(|| format!("{more} more")),
        facts: facts.into_iter().flatten().collect(),
    }
}

/// A time as people write it; nobody looks for its fractions here.
fn moment(text: &str) -> String {
    let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) else { return text.to_owned() };
    let at = at.to_offset(UtcOffset::UTC);
    let (hour, minute, second) = at.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", at.date())
}

/// A container's id as `docker ps` shows it.
fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
