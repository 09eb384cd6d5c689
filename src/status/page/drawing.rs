//! Bars and lines of the last runs, as paths of an SVG.
//!
//! Owns their geometry. What they show stands beside them in words, for those who do not see them.

use std::fmt::Write as _;

use serde::Serialize;

use super::words::{Badge, When, took};
use crate::report::wording::count;
use crate::status::listed::Condition;
use crate::watch::board::{Mark, RECENT};

/// Width of a bar, and of the space after it.
const STEP: usize = 5;
const BAR: usize = 4;
const HEIGHT: f32 = 24.0;
/// The line stays so far inside of its box, where half its width would be cut off.
const MARGIN: f32 = 1.5;

/// Bars of one tone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Bars {
    tone: &'static str,
    path: String,
}

/// The last runs of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct History {
    width: usize,
    bars: Vec<Bars>,
    /// How long each took; empty with fewer than two runs.
    line: String,
    /// Both in words.
    words: String,
    /// Each bar by itself, for those who point at it.
    each: Vec<Bar>,
}

/// One run in the row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Bar {
    x: usize,
    tone: &'static str,
    title: String,
}

impl History {
    /// Of these runs, oldest first. `now` is in Unix seconds.
    pub(super) fn of<'a>(marks: &(impl ExactSizeIterator<Item = &'a Mark> + Clone), now: i64) -> Self {
        let first = RECENT.saturating_sub(marks.len());
        let mut bars: Vec<Bars> = Vec::new();
        let mut each = Vec::new();
        for (place, mark) in marks.clone().enumerate() {
            let x = (first + place) * STEP;
            let badge = Badge::of_run(mark.verdict);
            let index = bars.iter().position(|bars| bars.tone == badge.tone).unwrap_or_else(|| {
                bars.push(Bars { tone: badge.tone, path: String::new() });
                bars.len() - 1
            });
            if let Some(bars) = bars.get_mut(index) {
                // Writing to a string cannot fail.
                let _ = write!(bars.path, "M{x} 0h{BAR}v{HEIGHT}h-{BAR}z");
            }
            let when = When::of(mark.at, now);
            let took = took(f64::from(mark.seconds));
            let title = format!("{} in {took}, {} ({})", badge.word, when.relative, when.exact);
            each.push(Bar { x, tone: badge.tone, title });
        }
        Self { width: RECENT * STEP, bars, line: line(marks, first), words: words(marks), each }
    }

    /// Without what only the page of one probe needs.
    pub(super) fn short(self) -> Self {
        Self { each: Vec::new(), ..self }
    }
}

fn line<'a>(marks: &(impl ExactSizeIterator<Item = &'a Mark> + Clone), first: usize) -> String {
    if marks.len() < 2 {
        return String::new();
    }
    let longest = marks.clone().map(|mark| mark.seconds).fold(0.0_f32, f32::max).max(f32::MIN_POSITIVE);
    let room = HEIGHT - 2.0 * MARGIN;
    let mut path = String::new();
    for (place, mark) in marks.clone().enumerate() {
        let x = (first + place) * STEP + BAR / 2;
        let y = HEIGHT - MARGIN - (mark.seconds.max(0.0) / longest) * room;
        let command = if place == 0 { 'M' } else { 'L' };
        // Writing to a string cannot fail.
        let _ = write!(path, "{command}{x} {y:.1}");
    }
    path
}

fn words<'a>(marks: &(impl ExactSizeIterator<Item = &'a Mark> + Clone)) -> String {
    if marks.len() == 0 {
        return "no run yet".to_owned();
    }
    let of = |condition: Condition| {
        marks.clone().filter(|mark| Condition::of(mark.verdict) == condition).count() as u64
    };
    let parts =
        [Condition::Down, Condition::Unknown, Condition::Warning].map(|condition| (of(condition), condition));
    let bad: Vec<String> = parts
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, condition)| format!("{number} {}", condition.word()))
        .collect();
    let bad = if bad.is_empty() { "all up".to_owned() } else { bad.join(", ") };
    let mut times: Vec<f32> = marks.clone().map(|mark| mark.seconds).collect();
    times.sort_by(f32::total_cmp);
    let at = |index: usize| times.get(index).copied().map_or_else(String::new, |time| took(f64::from(time)));
    let (median, longest) = (at(times.len() / 2), at(times.len() - 1));
    format!("{}: {bad}; median {median}, longest {longest}", count(marks.len() as u64, "run"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Verdict;

    fn mark(verdict: Verdict, seconds: f32) -> Mark {
        Mark { at: 940, verdict, seconds }
    }

    #[test]
    fn runs_stand_at_the_right_end_in_the_tone_of_their_verdict() {
        let marks = [mark(Verdict::Passed, 1.0), mark(Verdict::Failed, 4.0), mark(Verdict::Passed, 2.0)];
        let history = History::of(&marks.iter(), 1_000);
        assert_eq!(history.width, 240);
        assert_eq!(history.bars.len(), 2);
        assert_eq!(history.bars[0].path, "M225 0h4v24h-4zM235 0h4v24h-4z");
        assert_eq!((history.bars[1].tone, history.bars[1].path.as_str()), ("bad", "M230 0h4v24h-4z"));
        assert_eq!(history.line, "M227 17.2L232 1.5L237 12.0");
        assert_eq!(history.words, "3 runs: 1 down; median 2s, longest 4s");
        assert_eq!(history.each[1].title, "failed in 4s, 60 s ago (1970-01-01T00:15:40Z)");
    }

    #[test]
    fn without_runs_nothing_is_drawn_and_one_has_no_line() {
        let none: [Mark; 0] = [];
        assert_eq!(History::of(&none.iter(), 0).words, "no run yet");
        let one = [mark(Verdict::Passed, 0.0)];
        let history = History::of(&one.iter(), 1_000);
        assert_eq!(
            (history.line.as_str(), history.words.as_str()),
            ("", "1 run: all up; median 0ms, longest 0ms")
        );
        let same = [mark(Verdict::Passed, 0.0), mark(Verdict::Passed, 0.0)];
        assert_eq!(History::of(&same.iter(), 1_000).line, "M232 22.5L237 22.5");
    }
}
