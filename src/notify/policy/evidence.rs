//! What a run says about each subject.
//!
//! Owns the reading of a run. A harness that failed says nothing about the target, and a target that failed says nothing
//! against its cleanup: what cannot be known opens and closes nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Subject;
use crate::probe::{Attempt, Identity, ProbeRun, State, Verdict};

/// The longest line for people, in characters.
const LONGEST_LINE: usize = 500;
/// As much of an attempt's output as an alert holds, in bytes: its end.
const LONGEST_OUTPUT: usize = 2 * 1024;

/// What a run says about a subject.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Evidence {
    /// Nothing.
    None,
    /// That it is as it should be.
    Good,
    /// That it is not.
    Bad(Seen),
}

/// What was bad, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Seen {
    pub(super) run: String,
    pub(super) summary: String,
    pub(super) details: BTreeMap<String, String>,
}

impl Seen {
    /// A run did not come.
    pub(super) fn missed(probe: &Identity, expected_at: i64) -> Self {
        let expected = OffsetDateTime::from_unix_timestamp(expected_at).ok();
        let expected = expected.and_then(|time| time.format(&Rfc3339).ok());
        let expected = expected.unwrap_or_else(|| format!("Unix second {expected_at}"));
        let summary =
            format!("{}: it was due at {expected}, and no run has begun", place(probe, "has not run"));
        Self {
            run: String::new(),
            summary: line(&summary),
            details: [("expected_at".to_owned(), expected)].into(),
        }
    }

    /// The engine or a sink does not do its part.
    pub(super) fn trouble(subject: Subject, identity: &Identity, reason: &str) -> Self {
        let Identity { name, host, .. } = identity;
        let summary = match subject {
            Subject::Engine => format!("engine {name} does not answer on {host}: {reason}"),
            _ => format!("sink {name} takes nothing from {host}: {reason}"),
        };
        Self { run: String::new(), summary: line(&summary), details: BTreeMap::new() }
    }

    fn of(run: &ProbeRun, summary: &str, attempt: Option<&Attempt>) -> Self {
        let mut details = BTreeMap::new();
        details.insert("attempts".to_owned(), run.attempts.len().to_string());
        details.insert("duration".to_owned(), format!("{:.3}s", run.seconds));
        if let Some(output) = attempt.map(|attempt| end_of(&attempt.seen.output)).filter(|it| !it.is_empty())
        {
            details.insert("output".to_owned(), output.to_owned());
        }
        Self { run: run.id.clone(), summary: line(summary), details }
    }
}

/// What a run says about this subject.
pub(super) fn of(run: &ProbeRun, subject: Subject) -> Evidence {
    let verdict = run.verdict();
    match subject {
        Subject::Target => target(run, verdict),
        Subject::Degraded if verdict.is_pass() => degraded(run),
        Subject::Cleanup if !run.attempts.is_empty() => cleanup(run, verdict),
        Subject::Harness => harness(run, verdict),
        Subject::NoNews => Evidence::Good,
        Subject::Degraded | Subject::Cleanup | Subject::Engine | Subject::Sink => Evidence::None,
    }
}

fn target(run: &ProbeRun, verdict: Verdict) -> Evidence {
    match verdict {
        Verdict::Errored => Evidence::None,
        Verdict::Failed => {
            let count = run.attempts.len();
            let attempts =
                if count == 1 { "its attempt".to_owned() } else { format!("all {count} attempts") };
            let what = format!("failed in {attempts}");
            let summary = format!("{}: {}", place(&run.probe, &what), run.summary());
            Evidence::Bad(Seen::of(run, &summary, run.attempts.last()))
        }
        _ => Evidence::Good,
    }
}

fn degraded(run: &ProbeRun) -> Evidence {
    match (run.attempts.first(), run.first_pass()) {
        (Some(first), Some(passed)) if !first.seen.state.is_pass() => {
            let what = format!("passed only on attempt {}", passed.number);
            let summary = format!("{}; before: {}", place(&run.probe, &what), first.seen.summary);
            Evidence::Bad(Seen::of(run, &summary, Some(first)))
        }
        (_, Some(passed)) if passed.seen.state == State::Warning => {
            let summary = format!("{}: {}", place(&run.probe, "has a warning"), passed.seen.summary);
            Evidence::Bad(Seen::of(run, &summary, Some(passed)))
        }
        _ => Evidence::Good,
    }
}

fn cleanup(run: &ProbeRun, verdict: Verdict) -> Evidence {
    let failed = run.attempts.iter().find_map(|attempt| attempt.cleanup.as_ref().filter(|it| !it.passed));
    match failed {
        None => Evidence::Good,
        // It may have failed because of the service, for which there is a page.
        Some(_) if !verdict.is_pass() => Evidence::None,
        Some(cleanup) => {
            let summary =
                format!("{}: {}", place(&run.probe, "passed, and its cleanup failed"), cleanup.summary);
            Evidence::Bad(Seen::of(run, &summary, None))
        }
    }
}

fn harness(run: &ProbeRun, verdict: Verdict) -> Evidence {
    if run.error.is_none() && verdict != Verdict::Errored {
        return Evidence::Good;
    }
    let what = if verdict.is_pass() { "passed, and the harness had trouble" } else { "could not be run" };
    let summary = format!("{}: {}", place(&run.probe, what), run.summary());
    Evidence::Bad(Seen::of(run, &summary, run.attempts.last()))
}

/// `example.integration failed on staging`
pub(super) fn place(probe: &Identity, what: &str) -> String {
    if probe.host.is_empty() {
        format!("{} {what}", probe.name)
    } else {
        format!("{} {what} on {}", probe.name, probe.host)
    }
}

/// One line without control characters.
pub(super) fn line(text: &str) -> String {
    let printable = text.replace(char::is_control, " ");
    let mut line = String::new();
    for (count, character) in printable.split_whitespace().collect::<Vec<_>>().join(" ").chars().enumerate() {
        if count == LONGEST_LINE {
            line.push('…');
            break;
        }
        line.push(character);
    }
    line
}

fn end_of(output: &str) -> &str {
    let output = output.trim_end();
    let mut start = output.len().saturating_sub(LONGEST_OUTPUT);
    while !output.is_char_boundary(start) {
        start += 1;
    }
    output.get(start..).unwrap_or_default()
}
