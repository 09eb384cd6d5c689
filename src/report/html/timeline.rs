//! What ran when, on which slot: bars on lanes, as percentages of the run's time.
//!
//! Owns the arithmetic. Where an older run did not say on which slot a test ran, lanes are given out so that no two
//! bars of one lane overlap; where it did not say when, the engine's clock stands in.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::budget::line;
use super::page::Verdict;
use crate::report::text::truncate;
use crate::report::wording::{count, duration, outcome_word};
use crate::results::{Attempt, RunResults, TestResult};

/// Height of a lane and of the bar in it, in pixels; the style sheet knows the first one.
const LANE: usize = 26;
const BAR: usize = 22;

/// Bars that are drawn.
const MAX_BARS: usize = 5_000;

/// More bars than this want more room than a telephone has.
const MANY: usize = 12;

/// Narrower bars than this would not be seen, in percent.
const MIN_WIDTH: f64 = 0.25;

/// Bars from this width on have a label, in percent.
const LABEL_WIDTH: f64 = 4.0;

/// Characters of a label that a hundredth of a chart of usual width has room for, and those that the margins of a bar
/// take.
const LABEL_CHARACTERS: f64 = 1.5;
const LABEL_MARGINS: f64 = 1.8;

/// Characters of a label at most.
const MAX_LABEL: u8 = 150;

/// More seconds than any run has: numbers of a report may be anything.
const MAX_SECONDS: f64 = 1e8;

#[derive(Debug, Serialize)]
pub(super) struct Timeline {
    lanes: Vec<String>,
    bars: Vec<Bar>,
    ticks: Vec<Tick>,
    height: usize,
    axis: usize,
    bar_height: usize,
    /// Too many bars for a telephone: the chart scrolls there.
    many: bool,
    left_out: Option<String>,
}

#[derive(Debug, Serialize)]
struct Bar {
    test: usize,
    tone: &'static str,
    x: String,
    width: String,
    y: usize,
    label: Option<String>,
    title: String,
}

#[derive(Debug, Serialize)]
struct Tick {
    x: String,
    label: String,
    last: bool,
}

/// An attempt with its place in time.
struct Span<'a> {
    test: usize,
    of: &'a TestResult,
    attempt: &'a Attempt,
    start: f64,
    end: f64,
}

/// Which lane: the run and its slot, or one of those that were given out.
type Lane<'a> = (&'a str, u32);

/// The timeline; absent where nothing ran.
pub(super) fn of(results: &RunResults) -> Option<Timeline> {
    let mut spans = spans(results);
    if spans.is_empty() {
        return None;
    }
    spans.sort_by(|one, other| one.start.total_cmp(&other.start));
    let left_out = spans.len().saturating_sub(MAX_BARS);
    spans.truncate(MAX_BARS);
    let total = spans.iter().map(|span| span.end).fold(sane(results.seconds), f64::max).max(0.001);
    let lanes_of_spans = lanes(&spans, results);
    let mut rows: BTreeMap<Lane<'_>, usize> = lanes_of_spans.iter().map(|lane| (*lane, 0)).collect();
    for (row, place) in rows.values_mut().enumerate() {
        *place = row;
    }
    let bars = spans.iter().zip(&lanes_of_spans);
    let bars: Vec<Bar> =
        bars.map(|(span, lane)| bar(span, rows.get(lane).copied().unwrap_or_default(), total)).collect();
    let several = results.runs.len() > 1;
    let name = |(run, slot): &Lane<'_>| {
        if several { format!("{} · {slot}", line(run)) } else { format!("slot {slot}") }
    };
    let axis = rows.len() * LANE;
    Some(Timeline {
        lanes: rows.keys().map(name).collect(),
        many: bars.len() > MANY,
        bars,
        ticks: ticks(total),
        height: axis + BAR,
        axis,
        bar_height: BAR,
        left_out: (left_out > 0).then(|| format!("{} not drawn", count(left_out as u64, "more attempt"))),
    })
}

fn sane(seconds: f64) -> f64 {
    if seconds.is_finite() { seconds.clamp(0.0, MAX_SECONDS) } else { 0.0 }
}

fn spans(results: &RunResults) -> Vec<Span<'_>> {
    let begin = OffsetDateTime::parse(&results.started_at, &Rfc3339).ok();
    let mut spans = Vec::new();
    let mut previous_end = 0.0;
    for (test, of) in (1..).zip(&results.tests) {
        for attempt in &of.attempts {
            let by_clock = || {
                let started = OffsetDateTime::parse(attempt.started_at.as_deref()?, &Rfc3339).ok()?;
                Some((started - begin?).as_seconds_f64())
            };
            // The engine's clock is not this machine's: what it says never reaches beyond the run.
            let latest = sane(results.seconds - sane(attempt.seconds));
            let by_clock = || by_clock().map(|start| start.min(latest));
            let start = sane(attempt.offset_seconds.or_else(by_clock).unwrap_or(previous_end));
            let end = sane(start + sane(attempt.seconds));
            previous_end = end;
            spans.push(Span { test, of, attempt, start, end });
        }
    }
    spans
}

/// The lane of each span, which are sorted by their start.
fn lanes<'a>(spans: &[Span<'a>], results: &'a RunResults) -> Vec<Lane<'a>> {
    let mut ends: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    spans
        .iter()
        .map(|span| {
            let run = span.of.run_id.as_deref().unwrap_or(&results.run_id);
            if let Some(slot) = span.attempt.slot {
                return (run, slot);
            }
            let ends = ends.entry(run).or_default();
            let free = ends.iter().position(|end| *end <= span.start).unwrap_or(ends.len());
            match ends.get_mut(free) {
                Some(end) => *end = span.end,
                None => ends.push(span.end),
            }
            (run, u32::try_from(free).unwrap_or(u32::MAX).saturating_add(1))
        })
        .collect()
}

fn bar(span: &Span<'_>, row: usize, total: f64) -> Bar {
    let width = ((span.end - span.start) / total * 100.0).max(MIN_WIDTH);
    let x = (span.start / total * 100.0).min(100.0 - MIN_WIDTH);
    let number =
        if span.of.attempts.len() > 1 { format!(" · {}", span.attempt.number) } else { String::new() };
    let name = line(&span.of.name);
    Bar {
        test: span.test,
        tone: Verdict::of(span.attempt.outcome).tone,
        x: percent(x),
        width: percent(width),
        y: row * LANE,
        title: format!(
            "{name}{number}: {}, {} from {}",
            outcome_word(span.attempt.outcome),
            duration(span.attempt.seconds),
            duration(span.start)
        ),
        label: (width >= LABEL_WIDTH).then(|| label(&format!("{name}{number}"), width)),
    }
}

/// As much of the text as a bar of that width has room for.
fn label(text: &str, width: f64) -> String {
    let room =
        (1..=MAX_LABEL).take_while(|length| f64::from(*length) <= width * LABEL_CHARACTERS - LABEL_MARGINS);
    truncate(text, room.count().max(1)).into_owned()
}

fn percent(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// At most nine ticks at round times.
fn ticks(total: f64) -> Vec<Tick> {
    const STEPS: [f64; 20] = [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0,
        7200.0, 21_600.0, 43_200.0, 86_400.0,
    ];
    let step = STEPS.into_iter().find(|step| total / step <= 8.0).unwrap_or(total / 8.0);
    (0..9_u32)
        .map(|number| f64::from(number) * step)
        .take_while(|at| *at <= total)
        .map(|at| Tick {
            x: percent(at / total * 100.0),
            label: if at > 0.0 { duration(at) } else { "0s".to_owned() },
            last: at / total > 0.96,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{attempt, passing, run, test};
    use crate::results::{MergedRun, Outcome};

    fn ran(name: &str, slot: Option<u32>, offset: Option<f64>, seconds: f64) -> TestResult {
        let made = attempt(1, Outcome::Passed, Vec::new());
        let attempts = vec![Attempt { slot, offset_seconds: offset, seconds, started_at: None, ..made }];
        test(name, Outcome::Passed, None, attempts)
    }

    fn drawn(results: &RunResults) -> (Vec<String>, Vec<(String, String, usize)>) {
        let made = of(results).unwrap();
        (made.lanes, made.bars.into_iter().map(|bar| (bar.x, bar.width, bar.y)).collect())
    }

    fn at(x: &str, width: &str, row: usize) -> (String, String, usize) {
        (x.to_owned(), width.to_owned(), row * LANE)
    }

    #[test]
    fn bars_stand_on_their_slots() {
        let tests = vec![ran("a", Some(1), Some(0.0), 2.0), ran("b", Some(3), Some(1.0), 3.0)];
        let (lanes, bars) = drawn(&run(tests));
        assert_eq!(lanes, ["slot 1", "slot 3"]);
        assert_eq!(bars, [at("0", "50", 0), at("25", "75", 1)]);
    }

    #[test]
    fn a_label_that_does_not_fit_its_bar_ends_in_an_ellipsis() {
        assert_eq!(label("comes-round · 2", 100.0), "comes-round · 2");
        assert_eq!(label("comes-round · 2", 8.0), "comes-rou…");
        assert_eq!(label("comes-round · 2", LABEL_WIDTH), "com…");
    }

    #[test]
    fn without_slots_no_two_bars_of_a_lane_overlap() {
        let tests = vec![
            ran("a", None, Some(0.0), 2.0),
            ran("b", None, Some(1.0), 1.0),
            ran("c", None, Some(2.0), 2.0),
        ];
        let (lanes, bars) = drawn(&run(tests));
        assert_eq!(lanes, ["slot 1", "slot 2"]);
        assert_eq!(bars, [at("0", "50", 0), at("25", "25", 1), at("50", "50", 0)]);
    }

    #[test]
    fn without_offsets_the_engines_clock_counts_and_without_that_the_order() {
        let (_, bars) = drawn(&passing());
        assert_eq!(bars, [at("56.25", "37.5", 0)]);
        let (_, bars) = drawn(&run(vec![ran("a", None, None, 1.0), ran("b", None, None, 3.0)]));
        assert_eq!(bars, [at("0", "25", 0), at("25", "75", 0)]);
    }

    #[test]
    fn an_engine_whose_clock_is_ahead_does_not_stretch_the_run() {
        let mut results = passing();
        results.tests[0].attempts[0].started_at = Some("2026-11-21T07:30:00Z".to_owned());
        assert_eq!(drawn(&results).1, [at("62.5", "37.5", 0)]);
    }

    #[test]
    fn slots_of_merged_runs_are_not_mixed() {
        let in_run =
            |id: &str| TestResult { run_id: Some(id.to_owned()), ..ran(id, Some(1), Some(0.0), 1.0) };
        let mut merged = run(vec![in_run("r-1"), in_run("r-2")]);
        merged.runs = vec![MergedRun::of(&passing()), MergedRun::of(&passing())];
        assert_eq!(drawn(&merged).0, ["r-1 · 1", "r-2 · 1"]);
    }

    #[test]
    fn absurd_numbers_stay_on_the_page() {
        let mut odd = run(vec![
            ran("a", Some(u32::MAX), Some(f64::NAN), f64::INFINITY),
            ran("b", None, Some(-1e300), -5.0),
            ran("c", None, Some(1e300), 1e300),
        ]);
        odd.seconds = f64::NEG_INFINITY;
        for (x, width, _) in drawn(&odd).1 {
            let (x, width): (f64, f64) = (x.parse().unwrap(), width.parse().unwrap());
            assert!((0.0..=100.0).contains(&x) && (0.0..=100.0).contains(&width), "{x} {width}");
        }
    }

    #[test]
    fn ticks_are_few_and_round() {
        let labels = |total| ticks(total).into_iter().map(|tick| tick.label).collect::<Vec<_>>();
        assert_eq!(labels(4.0), ["0s", "0.5s", "1s", "1.5s", "2s", "2.5s", "3s", "3.5s", "4s"]);
        assert_eq!(labels(100.0), ["0s", "15s", "30s", "45s", "1m", "1m 15s", "1m 30s"]);
        assert_eq!(labels(1e8).len(), 9);
        assert_eq!(labels(0.001), ["0s"]);
    }

    #[test]
    fn what_never_ran_has_no_timeline() {
        assert!(of(&run(vec![test("a", Outcome::Skipped, None, Vec::new())])).is_none());
    }
}
