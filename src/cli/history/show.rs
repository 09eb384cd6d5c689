//! `docker-test history show RUN`: one run with its tests.

use std::fmt::Write as _;

use clap::Args;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use serde::Serialize;

use super::super::table::{self, number, text};
use super::runs::{self, counts};
use super::{Format, Listing, Progress, moment, shown_subject, state};
use crate::environment::Environment;
use crate::error::Failure;
use crate::history::{AttemptRecord, History, HistoryError, RunRow, TestRecord};
use crate::report::text::{name, printable, truncate, wrap};
use crate::report::wording::{count, duration, outcome_word, reason};
use crate::results::{Cause, Outcome};

/// Runs that completion offers.
const OFFERED: usize = 50;
/// Columns of the words before what is said about a run.
const LABEL: usize = 10;

/// Flags of `history show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The run, or the beginning of its id
    #[arg(value_name = "RUN", add = ArgValueCandidates::new(recorded_here))]
    run: String,
    /// Format of what is shown.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A run with its tests, as `--format json` shows it.
#[derive(Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    run: runs::Entry<'a>,
    tests: Vec<TestEntry<'a>>,
    outstanding: &'a [String],
}

#[derive(Serialize)]
struct TestEntry<'a> {
    name: &'a str,
    image: &'a str,
    image_id: &'a str,
    #[serde(rename = "type")]
    test_type: &'a str,
    outcome: Outcome,
    cause: Option<&'a Cause>,
    seconds: f64,
    slot: Option<u32>,
    attempts: Vec<AttemptEntry<'a>>,
}

#[derive(Serialize)]
struct AttemptEntry<'a> {
    number: u32,
    outcome: Outcome,
    seconds: f64,
    started_at: Option<&'a str>,
}

impl<'a> TestEntry<'a> {
    fn of(test: &'a TestRecord) -> Self {
        let attempt = |attempt: &'a AttemptRecord| AttemptEntry {
            number: attempt.number,
            outcome: attempt.outcome,
            seconds: attempt.seconds,
            started_at: attempt.started_at.as_deref(),
        };
        Self {
            name: &test.name,
            image: &test.image,
            image_id: &test.image_id,
            test_type: &test.test_type,
            outcome: test.outcome,
            cause: test.cause.as_ref(),
            seconds: test.seconds,
            slot: test.slot,
            attempts: test.attempts.iter().map(attempt).collect(),
        }
    }
}

pub(super) fn execute(args: &ShowArgs, listing: &Listing<'_>) -> Result<(), Failure> {
    let Some(history) = listing.open()? else {
        return Err(HistoryError::UnknownRun(args.run.clone()).into());
    };
    let run = history.run(&args.run)?;
    let tests = history.tests_of(&run.id)?;
    let outstanding = history.outstanding(&run.id)?;
    let state = listing.progress(&run);
    match args.format {
        Format::Json => {
            let tests = tests.iter().map(TestEntry::of).collect();
            let entry = Entry { run: runs::Entry::of(&run, state), tests, outstanding: &outstanding };
            listing.say(&format!("{}\n", serde_json::json!(entry)))
        }
        Format::Text => listing.say(&render(&run, state, &tests, &outstanding, listing.width())),
    }
}

fn render(
    run: &RunRow,
    state: Progress,
    tests: &[TestRecord],
    outstanding: &[String],
    width: usize,
) -> String {
    let mut text = about(run, state, width);
    if !tests.is_empty() {
        text.push('\n');
        text += &table(tests, width);
    }
    let reasons: Vec<String> = tests.iter().filter_map(why).collect();
    if !reasons.is_empty() {
        text.push('\n');
        text.extend(reasons.iter().flat_map(|line| wrap(line, width)).map(|line| line + "\n"));
    }
    if !outstanding.is_empty() {
        let names: Vec<String> = outstanding.iter().map(|test| name(test)).collect();
        text += &table::block("\nstill to pass", &[names.join(", ")], width);
    }
    text
}

/// What there is to say about the run as a whole.
fn about(run: &RunRow, state: Progress, width: usize) -> String {
    let room = width.saturating_sub(LABEL).max(1);
    let mut text = String::new();
    let mut add = |label: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{label:LABEL$}{value}");
    };
    add("run", &printable(&run.id));
    add("subject", &shown_subject(&run.subject, room));
    add("when", &format!("{} UTC", moment(&run.started_at)));
    let time = run.seconds.map(|seconds| format!(" in {}", duration(seconds))).unwrap_or_default();
    let code = run.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
    add("outcome", &truncate(&format!("{}{time}{code}", state.word(run)), room));
    let found = counts(run.counts);
    let selected = count(run.selected, "test");
    let tests =
        if found.is_empty() { format!("none of {selected}") } else { format!("{found} of {selected}") };
    add("tests", &truncate(&tests, room));
    if let Some(parent) = &run.parent {
        add("rerun of", &printable(parent));
    }
    let by = format!("{}, docker-test {}", name(&run.engine), name(&run.version));
    add("engine", &truncate(&by, room));
    text
}

fn table(tests: &[TestRecord], width: usize) -> String {
    let columns =
        [text("TEST"), text("OUTCOME"), number("TIME"), text("ATTEMPTS"), text("IMAGE"), text("IMAGE ID")];
    let rows: Vec<Vec<String>> = tests
        .iter()
        .map(|test| {
            vec![
                printable(&test.name).into_owned(),
                outcome_word(test.outcome).to_owned(),
                duration(test.seconds),
                attempts(&test.attempts),
                printable(&test.image).into_owned(),
                short(&test.image_id),
            ]
        })
        .collect();
    table::render(&columns, &rows, width)
        .unwrap_or_else(|_| tests.iter().map(|test| block(test, width)).collect())
}

fn block(test: &TestRecord, width: usize) -> String {
    let several = test.attempts.len() > 1;
    let below = [
        format!("{} in {}", outcome_word(test.outcome), duration(test.seconds)),
        if several { attempts(&test.attempts) } else { String::new() },
        format!("{} {}", printable(&test.image), short(&test.image_id)),
    ];
    table::block(&printable(&test.name), &below, width)
}

/// `1`, or what became of each: `failed 1.2s, passed 1.3s`.
fn attempts(attempts: &[AttemptRecord]) -> String {
    if attempts.len() < 2 {
        return attempts.len().to_string();
    }
    let attempt =
        |attempt: &AttemptRecord| format!("{} {}", outcome_word(attempt.outcome), duration(attempt.seconds));
    attempts.iter().map(attempt).collect::<Vec<_>>().join(", ")
}

/// Why a test did not simply pass.
fn why(test: &TestRecord) -> Option<String> {
    let cause = test.cause.as_ref()?;
    Some(format!("{}: {}", name(&test.name), reason(test.outcome, cause)))
}

/// A digest as `docker images` shows it.
fn short(image_id: &str) -> String {
    let digits = image_id.rsplit(':').next().unwrap_or(image_id);
    printable(digits.get(..12).unwrap_or(digits)).into_owned()
}

/// The newest runs, for completion.
fn recorded_here() -> Vec<CompletionCandidate> {
    let recorded = || {
        let state = state::directory(&Environment::capture(), &std::env::temp_dir()).ok()?;
        History::open_existing(&state).ok()??.runs(None, OFFERED).ok()
    };
    let candidate = |run: RunRow| {
        let help = format!("{}  {}", moment(&run.started_at), name(&run.subject));
        CompletionCandidate::new(run.id).help(Some(help.into()))
    };
    recorded().unwrap_or_default().into_iter().map(candidate).collect()
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::history::OutcomeCounts;

    fn run() -> RunRow {
        RunRow {
            id: "6b0147d2-c3a330".to_owned(),
            subject: "/home/ada/shop/docker-test.yaml".to_owned(),
            engine: "Docker Engine 20.10.24".to_owned(),
            version: "0.1.0".to_owned(),
            started_at: "2026-11-21T06:30:00Z".to_owned(),
            parent: Some("6b0147d0-aaaaaa".to_owned()),
            selected: 3,
            outcome: Some(Outcome::Failed),
            exit_code: Some(1),
            seconds: Some(4.0),
            counts: OutcomeCounts { passed: 0, failed: 1, flaky: 1, skipped: 0 },
        }
    }

    fn tests() -> Vec<TestRecord> {
        let attempt = |number, outcome, seconds| AttemptRecord { number, outcome, seconds, started_at: None };
        let checkout = TestRecord {
            name: "checkout".to_owned(),
            image: "shop/checkout:1.4".to_owned(),
            image_id: "sha256:0123456789abcdef".to_owned(),
            test_type: "integration".to_owned(),
            outcome: Outcome::Flaky,
            cause: None,
            seconds: 2.5,
            slot: Some(1),
            attempts: vec![attempt(1, Outcome::Failed, 1.25), attempt(2, Outcome::Passed, 1.25)],
        };
        let cart = TestRecord {
            name: "cart\u{1b}[2J".to_owned(),
            outcome: Outcome::Failed,
            cause: Some(Cause::ExitCode { code: 3 }),
            seconds: 1.5,
            attempts: vec![attempt(1, Outcome::Failed, 1.5)],
            ..checkout.clone()
        };
        vec![checkout, cart]
    }

    #[test]
    fn a_run_is_shown_with_its_tests_and_what_is_to_pass() {
        let outstanding = ["cart".to_owned(), "summary".to_owned()];
        let text = render(&run(), Progress::Ended, &tests(), &outstanding, 100);
        let expected = "\
run       6b0147d2-c3a330
subject   /home/ada/shop/docker-test.yaml
when      2026-11-21 06:30 UTC
outcome   failed in 4s, exit code 1
tests     1 failed, 1 flaky of 3 tests
rerun of  6b0147d0-aaaaaa
engine    Docker Engine 20.10.24, docker-test 0.1.0

TEST      OUTCOME  TIME  ATTEMPTS                  IMAGE              IMAGE ID
checkout  flaky    2.5s  failed 1.2s, passed 1.2s  shop/checkout:1.4  0123456789ab
cart      failed   1.5s  1                         shop/checkout:1.4  0123456789ab

cart: the test command ended with exit code 3

still to pass
  cart, summary
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_narrow_terminal_gets_short_lines() {
        for width in 30..80 {
            let text = render(&run(), Progress::Ended, &tests(), &["cart".to_owned()], width);
            assert!(text.lines().all(|line| line.width() <= width), "{width}\n{text}");
        }
        let text = render(&run(), Progress::Ended, &tests(), &[], 60);
        assert!(text.contains("\ncheckout\n  flaky in 2.5s\n  failed 1.2s, passed 1.2s\n"), "{text}");
    }

    #[test]
    fn a_run_without_an_end_says_so() {
        let killed = RunRow { outcome: None, exit_code: None, seconds: None, ..run() };
        assert!(render(&killed, Progress::DidNotEnd, &[], &[], 80).contains("outcome   did not end\n"));
        assert!(render(&killed, Progress::Running, &[], &[], 80).contains("outcome   running\n"));
    }
}
