//! What stands at the bottom of the terminal: a line for each test and service at work, and the totals.
//!
//! Owns the layout, which never is wider or higher than the terminal. Pure: a board, a time and a size make lines.

use unicode_width::UnicodeWidthStr as _;

use super::board::Board;
use super::estimate;
use super::work::Work;
use crate::report::style::{Paint, Style};
use crate::report::text::{name, truncate};
use crate::report::wording::{duration, is_bad, outcome_word};
use crate::results::Outcome;

/// Lines that are left to what stays, so that a person can read what has just failed.
const KEPT_FREE: usize = 4;

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// Columns of names: as many as the longest has, within these and half of the terminal.
const NAME_WIDTH: std::ops::RangeInclusive<usize> = 12..=40;

/// Columns of the time on the right: `59m 59s`.
const TIME_WIDTH: usize = 7;

/// The size of the terminal at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// One line of something at work.
struct Row {
    /// Where it stands among the others: services first, then slots.
    order: (u8, usize),
    since: f64,
    name: String,
    words: String,
    paint: Option<Paint>,
}

/// The lines at the time `now`, `began` being when the run did.
pub(super) fn lines(board: &mut Board, began: f64, now: f64, size: Size, style: Style) -> Vec<String> {
    let style = Style { width: size.columns.min(style.width.max(20)).max(20), ..style };
    let room = size.rows.saturating_sub(KEPT_FREE + 1);
    let mut rows = rows(board, now);
    let hidden = if rows.len() > room { rows.len() - room.saturating_sub(1) } else { 0 };
    if hidden > 0 {
        // Those that have been at work for long are of more interest; shown ones keep their places.
        rows.sort_by(|one, other| {
            one.since.total_cmp(&other.since).then_with(|| one.order.cmp(&other.order))
        });
        rows.truncate(room.saturating_sub(1));
        rows.sort_by(|one, other| one.order.cmp(&other.order));
    }
    let longest = rows.iter().map(|row| row.name.width()).max().unwrap_or_default();
    let names = longest.clamp(*NAME_WIDTH.start(), *NAME_WIDTH.end()).min(style.width / 2);
    let spinner = spinner(now);
    let mut lines: Vec<String> = rows.iter().map(|row| line(row, spinner, names, now, style)).collect();
    if hidden > 0 && room > 0 {
        lines.push(style.paint(Paint::Faint, &format!("  + {hidden} more at work")));
    }
    lines.push(totals(board, began, now, style));
    lines
}

fn rows(board: &Board, now: f64) -> Vec<Row> {
    let services = board.services().map(|(service, starting)| Row {
        order: (0, 0),
        since: starting.since,
        name: name(service),
        words: format!("starting {}", starting.image),
        paint: None,
    });
    let work = board.work().map(|(test, work)| Row {
        order: work.slot.map_or((1, 0), |slot| (2, slot)),
        since: work.since,
        name: name(test),
        words: work.words(now),
        paint: look(work),
    });
    let mut rows: Vec<Row> = services.chain(work).collect();
    rows.sort_by(|one, other| one.order.cmp(&other.order));
    rows
}

fn look(work: &Work) -> Option<Paint> {
    if work.slow {
        Some(Paint::Bad)
    } else if work.attempt > 1 {
        Some(Paint::Careful)
    } else {
        None
    }
}

fn spinner(now: f64) -> &'static str {
    let step = std::time::Duration::try_from_secs_f64(now).map_or(0, |now| now.as_millis() / 100);
    let at = usize::try_from(step % SPINNER.len() as u128).unwrap_or_default();
    SPINNER.get(at).copied().unwrap_or("*")
}

fn line(row: &Row, spinner: &str, names: usize, now: f64, style: Style) -> String {
    let time = whole(now - row.since);
    let shown = truncate(&row.name, names);
    let name_gap = " ".repeat(names.saturating_sub(shown.width()));
    // Spinner, name and time each with a space beside them.
    let room = style.width.saturating_sub(2 + names + 2 + 1 + TIME_WIDTH);
    let words = truncate(&row.words, room);
    let gap = " ".repeat(room.saturating_sub(words.width()));
    let time = format!("{time:>TIME_WIDTH$}");
    match row.paint {
        Some(paint) => {
            let (words, time) = (style.paint(paint, &words), style.paint(paint, &time));
            format!("{spinner} {shown}{name_gap}  {words}{gap} {time}")
        }
        None => format!("{spinner} {shown}{name_gap}  {words}{gap} {}", style.paint(Paint::Faint, &time)),
    }
}

/// How much it takes until what failed gives way, and until nothing more does.
const BAD: u8 = 7;
const DONE: u8 = 9;

/// A part of the totals, and how early it gives way where there is no room for all.
struct Part {
    text: String,
    paint: Option<Paint>,
    keep: u8,
}

fn totals(board: &mut Board, began: f64, now: f64, style: Style) -> String {
    let elapsed = whole(now - began);
    if board.tests == 0 {
        return format!("preparing  {elapsed}");
    }
    let mut parts =
        vec![Part { text: format!("{}/{} done", board.done(), board.tests), paint: None, keep: DONE }];
    let (mut bad, mut rest) = (Vec::new(), Vec::new());
    for (outcome, number) in board.outcomes() {
        let text = format!("{number} {}", outcome_word(outcome));
        let keep = match outcome {
            Outcome::Passed => 5,
            Outcome::Skipped => 2,
            Outcome::Flaky => 4,
            _ => BAD,
        };
        let paint = (outcome != Outcome::Skipped).then(|| Paint::of(outcome));
        let part = Part { text, paint, keep };
        match outcome {
            Outcome::Passed => parts.push(part),
            _ if is_bad(outcome) => bad.push(part),
            _ => rest.push(part),
        }
    }
    parts.extend(bad.into_iter().rev());
    parts.extend(rest.into_iter().rev());
    let running = board.work().filter(|(_, work)| work.slot.is_some()).count();
    if running > 0 {
        parts.push(Part { text: format!("{running} running"), paint: None, keep: 3 });
    }
    let left = board.left(now).map(estimate::words);
    let mut times = vec![match &left {
        Some(left) => format!("  {elapsed}, {left}"),
        None => format!("  {elapsed}"),
    }];
    times.extend(left.map(|left| format!("  {left}")));
    times.push(String::new());
    fit(&mut parts, &times, style)
}

/// The parts and one of the times, of which as much is left out as has to be.
fn fit(parts: &mut Vec<Part>, times: &[String], style: Style) -> String {
    let width = |parts: &[Part]| {
        let texts = parts.iter().map(|part| part.text.width()).sum::<usize>();
        texts + 2 * parts.len().saturating_sub(1)
    };
    let shortest = times.iter().rev().find(|time| !time.is_empty()).map_or(0, |time| time.width());
    let too_wide = |parts: &[Part]| {
        let least = parts.iter().enumerate().rev().min_by_key(|(_, part)| part.keep)?;
        let room = if least.1.keep < BAD { style.width.saturating_sub(shortest) } else { style.width };
        (width(parts) > room && least.1.keep < DONE).then_some(least.0)
    };
    while let Some(at) = too_wide(parts) {
        parts.remove(at);
    }
    let room = style.width.saturating_sub(width(parts));
    let time = times.iter().find(|time| time.width() <= room).map_or("", String::as_str);
    let painted: Vec<String> = parts
        .iter()
        .map(|part| part.paint.map_or_else(|| part.text.clone(), |paint| style.paint(paint, &part.text)))
        .collect();
    format!("{}{}", painted.join(", "), style.paint(Paint::Faint, time))
}

/// Whole seconds: tenths would only flicker.
fn whole(seconds: f64) -> String {
    let words = duration(seconds.max(0.0).floor());
    if words == "0.0s" { "0s".to_owned() } else { words }
}

#[cfg(test)]
mod tests;
