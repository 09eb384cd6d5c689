//! The page that a summary is written on: headings, and values in a column.
//!
//! Owns indentation, breaking of lines and colour. No line of it begins with text that a CI log would obey.

use unicode_width::UnicodeWidthStr;

use crate::report::style::{Paint, Style};
use crate::report::text::{inert, wrap};
use crate::report::wording::outcome_word;
use crate::results::Outcome;

/// The column in which values begin.
pub(super) const VALUE_COLUMN: usize = 11;

/// The text so far, and the two ways to add to it.
pub(super) struct Page {
    pub(super) text: String,
    pub(super) style: Style,
}

impl Page {
    /// A blank line between what stands there and what follows.
    pub(super) fn gap(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

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

    pub(super) fn heading(&mut self, outcome: Outcome, text: &str) {
        self.title(Paint::of(outcome), &outcome_word(outcome).to_uppercase(), text);
    }

    /// A word in front of a text that is broken to the width beside it.
    pub(super) fn title(&mut self, paint: Paint, word: &str, text: &str) {
        let indent = word.width() + 2;
        let lines = wrap(text, self.style.width.saturating_sub(indent).max(8));
        self.text.push_str(&self.style.paint(paint, word));
        for (number, line) in lines.iter().enumerate() {
            self.text.push_str(&" ".repeat(if number == 0 { 2 } else { indent }));
            self.text.push_str(&inert(line));
            self.text.push('\n');
        }
    }
}
