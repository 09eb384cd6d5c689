//! A line that stays, about something that happened.
//!
//! Owns its layout: a word, the time it took, the name, the reason, and below them the end of what a failed test
//! printed. No line of it begins with text that a terminal or a CI log would obey.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::work::FailedBuild;
use crate::report::style::{Paint, Style};
use crate::report::text::{inert, printable, printable_lines, truncate, wrap};
use crate::report::wording::count;
use crate::results::{Cause, Outcome};

/// The longest words are those with a number, such as `RETRY 2/3`.
const WORD_WIDTH: usize = 10;

/// Columns of a line of output where nothing wraps: more of a minified file helps nobody.
const MAX_LINE_WIDTH: usize = 300;

/// What the entry is about: displays choose by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The run as a whole.
    Run,
    /// A service begins or is ready, an image was pulled or built.
    Progress,
    /// A test passed as it should, or was not run on purpose.
    Fine,
    /// Worth a look: flaky, slow, tried again, a warning, no more tests.
    Notable,
    /// A test that could not run for want of a service or another test.
    Dependent,
    /// A test or a service failed.
    Bad,
}

/// What happened, in printable text.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) paint: Paint,
    pub(super) word: String,
    /// What stands between the brackets, where something took time: `   1.234s`.
    pub(super) clock: Option<String>,
    /// Which of how many tests has ended.
    pub(super) place: Option<(usize, usize)>,
    pub(super) name: String,
    pub(super) text: String,
    /// What stands above the output: the step of a build.
    pub(super) heading: Option<String>,
    /// The last lines that were printed, as they came.
    pub(super) output: String,
    /// The file with all of it.
    pub(super) log: Option<String>,
}

impl Entry {
    pub(super) fn new(kind: Kind, paint: Paint, word: &str, name: String, text: String) -> Self {
        Self {
            kind,
            paint,
            word: word.to_owned(),
            clock: None,
            place: None,
            name,
            text,
            heading: None,
            output: String::new(),
            log: None,
        }
    }

    /// With the step that failed and what the builder said, where nothing was printed later.
    pub(super) fn with_build(self, build: Option<FailedBuild>) -> Self {
        match build.filter(|_| self.output.is_empty()) {
            Some(FailedBuild { step, lines }) => {
                Self { heading: Some(format!("failed: {step}")), output: lines.join("\n"), ..self }
            }
            None => self,
        }
    }

    /// Lines of any length, for logs: columns are aligned, and what belongs together stands on one line.
    pub(super) fn long(&self, style: Style, lines_of_output: usize) -> Vec<String> {
        let mut line = self.beginning(style);
        if let Some((place, of)) = self.place {
            let width = of.to_string().len();
            // Writing to a String cannot fail.
            let _ = write!(line, " ({place:>width$}/{of})");
        }
        line.push(' ');
        line.push_str(&self.sentence());
        let mut lines = vec![line];
        self.below(&mut lines, MAX_LINE_WIDTH, lines_of_output);
        lines
    }

    /// Lines that fit into `style.width` columns.
    pub(super) fn fitted(&self, style: Style, lines_of_output: usize) -> Vec<String> {
        let beginning = self.beginning(Style { color: false, ..style });
        let room = style.width.saturating_sub(beginning.width() + 1).max(8);
        let sentence = self.sentence();
        let mut lines = Vec::new();
        if sentence.width() <= room || self.name.is_empty() {
            let mut parts = wrap(&sentence, room).into_iter();
            lines.push(format!("{} {}", self.beginning(style), parts.next().unwrap_or_default()));
            let indent = " ".repeat(beginning.width() + 1);
            lines.extend(parts.map(|part| format!("{indent}{}", inert(&part))));
        } else {
            lines.push(format!("{} {}", self.beginning(style), truncate(&self.name, room)));
            let indent = " ".repeat(WORD_WIDTH + 1);
            let room = style.width.saturating_sub(indent.len()).max(8);
            lines.extend(wrap(&self.text, room).iter().map(|part| format!("{indent}{}", inert(part))));
        }
        self.below(&mut lines, style.width, lines_of_output);
        lines
    }

    fn beginning(&self, style: Style) -> String {
        let pad = " ".repeat(WORD_WIDTH.saturating_sub(self.word.width()));
        let clock = self.clock.as_ref().map(|clock| format!(" [{clock}]")).unwrap_or_default();
        format!("{pad}{}{clock}", style.paint(self.paint, &self.word))
    }

    fn sentence(&self) -> String {
        match (self.name.as_str(), self.text.as_str()) {
            (name, "") => name.to_owned(),
            ("", text) => text.to_owned(),
            (name, text) => format!("{name}: {text}"),
        }
    }

    fn below(&self, lines: &mut Vec<String>, width: usize, lines_of_output: usize) {
        if let Some(heading) = &self.heading {
            lines.push(format!("  {}", truncate(heading, width.saturating_sub(2))));
        }
        lines.extend(framed(&self.output, width, lines_of_output));
        if let Some(log) = &self.log {
            lines.push(format!("  log: {}", printable(log)));
        }
    }
}

/// The last lines of the output behind a bar, with a note of how many stand before them.
fn framed(output: &str, width: usize, most: usize) -> Vec<String> {
    let lines: Vec<_> = printable_lines(output.trim_end()).collect();
    let hidden = lines.len().saturating_sub(most);
    let note = (hidden > 0).then(|| format!("  | … {} before", count(hidden as u64, "line")));
    let room = width.saturating_sub(4);
    let shown = lines.iter().skip(hidden).map(|line| format!("  | {}", truncate(line.trim_end(), room)));
    note.into_iter().chain(shown).collect()
}

/// The word for an outcome in a column of its own. A test that is not run because it passed before does not read as one
/// that is left out for another reason.
pub(super) const fn word(outcome: Outcome, cause: Option<&Cause>) -> &'static str {
    match outcome {
        Outcome::Skipped if matches!(cause, Some(Cause::Cached { .. })) => "CACHED",
        Outcome::Passed => "PASS",
        Outcome::Failed => "FAIL",
        Outcome::Flaky => "FLAKY",
        Outcome::TimedOut => "TIMEOUT",
        Outcome::OutOfMemory => "OOM",
        Outcome::NotStarted => "NO-START",
        Outcome::Aborted => "ABORT",
        Outcome::Skipped => "SKIP",
        Outcome::DependencyFailed => "DEP-FAIL",
    }
}

/// Seconds in a column of their own; blank where nothing ran.
pub(super) fn clock(seconds: Option<f64>) -> String {
    seconds
        .filter(|seconds| seconds.is_finite())
        .map_or_else(|| " ".repeat(9), |seconds| format!("{:>8.3}s", seconds.max(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Entry {
        Entry {
            clock: Some(clock(Some(2.3))),
            place: Some((7, 200)),
            output: "one\n::error::two\u{1b}[2J\n##[group]three\r\nhalf a line".to_owned(),
            log: Some("tests/results/api/log.txt".to_owned()),
            ..Entry::new(Kind::Bad, Paint::Bad, "FAIL", "api".to_owned(), "exit code 1".to_owned())
        }
    }

    #[test]
    fn a_failure_stands_in_columns_with_its_last_words_below() {
        assert_eq!(
            failed().long(Style::default(), 3),
            [
                "      FAIL [   2.300s] (  7/200) api: exit code 1",
                "  | … 1 line before",
                "  | ::error::two",
                "  | ## [group]three",
                "  | half a line",
                "  log: tests/results/api/log.txt",
            ]
        );
    }

    #[test]
    fn a_narrow_terminal_gets_the_reason_below_the_name() {
        let mut entry = failed();
        entry.name = "漢".repeat(40);
        entry.text = "the test command ended with exit code 1 ::error::and so on".to_owned();
        entry.output = "x".repeat(500);
        let lines = entry.fitted(Style { color: false, width: 60 }, 10);
        assert!(lines.iter().take(5).all(|line| line.width() <= 60), "{lines:#?}");
        assert_eq!(lines[0], format!("      FAIL [   2.300s] {}…", "漢".repeat(18)));
        assert_eq!(lines[1], "           the test command ended with exit code 1");
        assert_eq!(lines[2], "           \u{2060}::error::and so on");
        assert!(lines[3].starts_with("  | xxx") && lines[3].ends_with('…'));
    }

    #[test]
    fn colour_changes_no_column() {
        let style = Style { color: true, width: 60 };
        let coloured = failed().fitted(style, 5).join("\n");
        assert!(coloured.starts_with("      \u{1b}[31mFAIL\u{1b}[0m [   2.300s] api"), "{coloured}");
        let plain = failed().fitted(Style { color: false, ..style }, 5).join("\n");
        assert_eq!(crate::report::text::strip_ansi(&coloured), plain);
    }

    #[test]
    fn what_did_not_run_took_no_time() {
        assert_eq!(clock(None).len(), clock(Some(1.0)).len());
        assert_eq!(clock(Some(f64::NAN)), clock(None));
        assert_eq!(clock(Some(-1.0)), "   0.000s");
    }
}
