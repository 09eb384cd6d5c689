//! The text of a summary as it grows: labels, values, headings and frames.
//!
//! Owns alignment and line breaking, and that no line begins with what a CI log would obey. Knows nothing about results.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

use crate::report::style::{Paint, Style};
use crate::report::text::{inert, printable_lines, truncate, wrap};
use crate::report::wording::outcome_word;
use crate::results::Outcome;

/// The column in which values begin.
pub(super) const VALUE_COLUMN: usize = 11;

/// The text so far, and the ways to add to it.
pub(super) struct Page {
    pub(super) text: String,
    pub(super) style: Style,
}

impl Page {
    /// `  label    value`, the value broken to the width and aligned.
    pub(super) fn field(&mut self, label: &str, value: &str) {
        let room = self.style.width.saturating_sub(VALUE_COLUMN);
        for (number, line) in wrap(value, room).iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            self.line(label, line);
        }
    }

    /// As [`Page::field`], but the value stays in one piece because it is there to be copied.
    pub(super) fn copyable(&mut self, label: &str, value: &str) {
        self.line(label, value);
    }

    pub(super) fn line(&mut self, label: &str, value: &str) {
        let label = format!("  {label:<width$}", width = VALUE_COLUMN - 2);
        self.text.push_str(&self.style.paint(Paint::Faint, label.trim_end()));
        self.text.push_str(&" ".repeat(VALUE_COLUMN.saturating_sub(label.trim_end().width())));
        self.text.push_str(&inert(value));
        self.text.push('\n');
    }

    /// `OUTCOME  text`, the text broken to the width and aligned.
    pub(super) fn heading(&mut self, outcome: Outcome, text: &str) {
        let word = outcome_word(outcome).to_uppercase();
        let indent = word.width() + 2;
        let lines = wrap(text, self.style.width.saturating_sub(indent).max(8));
        self.text.push_str(&self.style.paint(Paint::of(outcome), &word));
        for (number, line) in lines.iter().enumerate() {
            self.text.push_str(&" ".repeat(if number == 0 { 2 } else { indent }));
            self.text.push_str(&inert(line));
            self.text.push('\n');
        }
    }

    /// `word text`, what does not fit on the line a little to the right of it.
    pub(super) fn remark(&mut self, paint: Paint, word: &str, text: &str) {
        let lines = wrap(&format!("{word} {text}"), self.style.width.saturating_sub(2).max(8));
        for (number, line) in lines.iter().enumerate() {
            if let Some(rest) = line.strip_prefix(word).filter(|_| number == 0) {
                self.text.push_str(&self.style.paint(paint, word));
                self.text.push_str(rest);
            } else {
                self.text.push_str(if number == 0 { "" } else { "  " });
                self.text.push_str(&inert(line));
            }
            self.text.push('\n');
        }
    }

    /// The last lines of a foreign text, beside a bar, each cut to the width.
    pub(super) fn framed(&mut self, label: &str, text: &str, most: usize) {
        let lines: Vec<Cow<'_, str>> = printable_lines(text.trim_end()).collect();
        let hidden = lines.len().saturating_sub(most);
        let room = self.style.width.saturating_sub(VALUE_COLUMN + 2);
        let shown = lines.iter().skip(hidden).map(|line| truncate(line, room));
        let cut = (hidden > 0).then_some(Cow::Borrowed("…"));
        for (number, line) in cut.into_iter().chain(shown).enumerate() {
            let label = if number == 0 { label } else { "" };
            self.line(label, format!("│ {line}").trim_end());
        }
    }

    /// A blank line, unless nothing stands before it.
    pub(super) fn gap(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }
}
