//! `docker-test history`: the newest runs, newest first.

use clap::Args;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::super::table::{self, number, text};
use super::{Format, Listing, Progress, Scope, moment, shown_subject};
use crate::error::Failure;
use crate::history::{OutcomeCounts, RunRow};
use crate::report::text::printable;
use crate::report::wording::duration;
use crate::results::Outcome;

/// A subject in fewer columns than this says nothing.
const LEAST_SUBJECT: usize = 16;

/// Flags of `history`.
#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    #[command(flatten)]
    scope: Scope,
    /// How many runs are listed
    #[arg(long = "limit", id = "history-limit", value_name = "N", default_value = "20",
          value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Format of the list.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A run, as `--format json` shows it.
#[derive(Serialize)]
pub(super) struct Entry<'a> {
    run_id: &'a str,
    subject: &'a str,
    engine: &'a str,
    version: &'a str,
    started_at: &'a str,
    parent: Option<&'a str>,
    selected: u64,
    state: Progress,
    outcome: Option<Outcome>,
    exit_code: Option<u8>,
    seconds: Option<f64>,
    counts: Counts,
}

#[derive(Serialize)]
struct Counts {
    passed: u64,
    failed: u64,
    flaky: u64,
    skipped: u64,
}

impl<'a> Entry<'a> {
    pub(super) fn of(run: &'a RunRow, state: Progress) -> Self {
        let OutcomeCounts { passed, failed, flaky, skipped } = run.counts;
        Self {
            run_id: &run.id,
            subject: &run.subject,
            engine: &run.engine,
            version: &run.version,
            started_at: &run.started_at,
            parent: run.parent.as_deref(),
            selected: run.selected,
            state,
            outcome: run.outcome,
            exit_code: run.exit_code,
            seconds: run.seconds,
            counts: Counts { passed, failed, flaky, skipped },
        }
    }
}

pub(super) fn execute(args: &RunsArgs, listing: &Listing<'_>) -> Result<(), Failure> {
    let subject = args.scope.subject(listing.environment);
    let runs = match listing.open()? {
        Some(history) => history.runs(subject.as_deref(), args.limit as usize)?,
        None => Vec::new(),
    };
    if runs.is_empty() {
        listing.note_none(subject.as_deref());
    }
    let runs: Vec<(RunRow, Progress)> =
        runs.into_iter().map(|run| (listing.progress(&run), run)).map(|(state, run)| (run, state)).collect();
    match args.format {
        Format::Json => {
            let entries: Vec<Entry<'_>> = runs.iter().map(|(run, state)| Entry::of(run, *state)).collect();
            listing.say_all(&entries)
        }
        Format::Text if runs.is_empty() => Ok(()),
        Format::Text => listing.say(&render(&runs, listing.width())),
    }
}

/// A line for each run where the subject has some room beside the rest.
fn render(runs: &[(RunRow, Progress)], width: usize) -> String {
    let any = |of: fn(&OutcomeCounts) -> u64| runs.iter().any(|(run, _)| of(&run.counts) > 0);
    let (flaky, skipped) = (any(|counts| counts.flaky), any(|counts| counts.skipped));
    let mut columns =
        vec![text("RUN"), text("WHEN (UTC)"), text("OUTCOME"), number("PASSED"), number("FAILED")];
    columns.extend(flaky.then(|| number("FLAKY")));
    columns.extend(skipped.then(|| number("SKIPPED")));
    columns.extend([number("TIME"), text("SUBJECT")]);
    let rows = |room: usize| -> Vec<Vec<String>> {
        let row = |(run, state): &(RunRow, Progress)| {
            let counts = &run.counts;
            let mut cells = vec![
                printable(&run.id).into_owned(),
                moment(&run.started_at),
                state.word(run).to_owned(),
                counts.passed.to_string(),
                counts.failed.to_string(),
            ];
            cells.extend(flaky.then(|| counts.flaky.to_string()));
            cells.extend(skipped.then(|| counts.skipped.to_string()));
            cells.extend([run.seconds.map(duration).unwrap_or_default(), shown_subject(&run.subject, room)]);
            cells
        };
        runs.iter().map(row).collect()
    };
    let widest = runs.iter().map(|(run, _)| shown_subject(&run.subject, width).width()).max();
    let room = widest.unwrap_or_default();
    table::render(&columns, &rows(room), width)
        .or_else(|excess| {
            let room = room.saturating_sub(excess).max(LEAST_SUBJECT);
            table::render(&columns, &rows(room), width)
        })
        .unwrap_or_else(|_| runs.iter().map(|(run, state)| block(run, *state, width)).collect())
}

fn block(run: &RunRow, state: Progress, width: usize) -> String {
    let time = run.seconds.map(|seconds| format!(" in {}", duration(seconds))).unwrap_or_default();
    let room = width.saturating_sub(2).max(1);
    let below = [
        format!("{} UTC, {}{time}", moment(&run.started_at), state.word(run)),
        counts(run.counts),
        shown_subject(&run.subject, room),
    ];
    table::block(&printable(&run.id), &below, width)
}

/// The counts that are not zero: `10 passed, 1 flaky`.
pub(super) fn counts(counts: OutcomeCounts) -> String {
    let OutcomeCounts { passed, failed, flaky, skipped } = counts;
    let parts = [(passed, "passed"), (failed, "failed"), (flaky, "flaky"), (skipped, "skipped")];
    let shown: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str, subject: &str, outcome: Option<Outcome>, counts: OutcomeCounts) -> (RunRow, Progress) {
        let run = RunRow {
            id: id.to_owned(),
            subject: subject.to_owned(),
            engine: "Docker Engine 20.10.24".to_owned(),
            version: "0.1.0".to_owned(),
            started_at: "2026-11-21T06:30:00.5+01:00".to_owned(),
            parent: None,
            selected: 12,
            outcome,
            exit_code: outcome.map(|_| 1),
            seconds: outcome.map(|_| 125.0),
            counts,
        };
        let state = if outcome.is_some() { Progress::Ended } else { Progress::DidNotEnd };
        (run, state)
    }

    fn some() -> Vec<(RunRow, Progress)> {
        let counts = OutcomeCounts { passed: 10, failed: 2, ..OutcomeCounts::default() };
        vec![
            run("6b0147d2-c3a330", "/home/ada/shop/docker-test.yaml", Some(Outcome::Failed), counts),
            run("6b0147d1-000000", "shop:1.4\u{1b}[2J cart:1", None, OutcomeCounts::default()),
        ]
    }

    #[test]
    fn runs_stand_in_columns_with_their_moment_in_utc() {
        let table = render(&some(), 120);
        let expected = "\
RUN              WHEN (UTC)        OUTCOME      PASSED  FAILED    TIME  SUBJECT
6b0147d2-c3a330  2026-11-21 05:30  failed           10       2  2m 05s  /home/ada/shop/docker-test.yaml
6b0147d1-000000  2026-11-21 05:30  did not end       0       0          shop:1.4 cart:1
";
        assert_eq!(table, expected);
    }

    #[test]
    fn the_subject_gives_way_first_and_then_the_columns() {
        let mut runs = some();
        let table = render(&runs, 90);
        assert!(table.lines().all(|line| line.width() <= 90), "{table}");
        assert!(
            table.contains("  …hop/docker-test.yaml\n") || table.contains("/docker-test.yaml\n"),
            "{table}"
        );
        assert!(table.contains("6b0147d2-c3a330"), "{table}");
        runs.push(run("6b0147d0-000000", &"very:long ".repeat(40), None, OutcomeCounts::default()));
        for width in 20..100 {
            let text = render(&runs, width);
            assert!(text.lines().all(|line| line.width() <= width), "{width}\n{text}");
        }
        let narrow = render(&runs[..1], 40);
        assert_eq!(
            narrow,
            "6b0147d2-c3a330\n  2026-11-21 05:30 UTC, failed in 2m 05s\n  10 passed, 2 failed\n  \
             /home/ada/shop/docker-test.yaml\n"
        );
    }

    #[test]
    fn what_no_run_had_has_no_column() {
        assert!(!render(&some(), 120).contains("FLAKY"));
        let counts = OutcomeCounts { flaky: 1, skipped: 3, ..OutcomeCounts::default() };
        let table = render(&[run("r1", "a", Some(Outcome::Flaky), counts)], 120);
        assert!(
            table.starts_with("RUN  WHEN (UTC)        OUTCOME  PASSED  FAILED  FLAKY  SKIPPED  "),
            "{table}"
        );
    }
}
