//! Lines of the builder's output, put together from chunks, and the last ones of them.
//!
//! Owns no wording: what a failed build printed is kept here until somebody wants to show it.

use std::collections::VecDeque;

use crate::report::text::printable_lines;

const KEPT_LINES: usize = 20;

/// A line that is never ended is given out at this length.
const MAX_LINE_BYTES: usize = 16 * 1024;

/// The partial line and the last whole ones.
#[derive(Debug, Default)]
pub(super) struct BuildLog {
    partial: String,
    last: VecDeque<String>,
}

impl BuildLog {
    pub(super) const fn new() -> Self {
        Self { partial: String::new(), last: VecDeque::new() }
    }

    /// Takes a chunk; returns the lines that are complete, printable.
    pub(super) fn push(&mut self, text: &str) -> Vec<String> {
        self.partial.push_str(text);
        let end = match self.partial.rfind('\n') {
            Some(end) => end + 1,
            None if self.partial.len() > MAX_LINE_BYTES => self.partial.len(),
            None => return Vec::new(),
        };
        let rest = self.partial.split_off(end);
        let complete = std::mem::replace(&mut self.partial, rest);
        self.keep(&complete)
    }

    /// Ends a partial line; returns it.
    pub(super) fn flush(&mut self) -> Vec<String> {
        let complete = std::mem::take(&mut self.partial);
        self.keep(&complete)
    }

    /// The last lines, oldest first.
    pub(super) fn last(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.partial.clear();
        self.last.clear();
    }

    fn keep(&mut self, complete: &str) -> Vec<String> {
        let lines: Vec<String> = printable_lines(complete).map(|line| line.trim_end().to_owned()).collect();
        for line in &lines {
            if self.last.len() == KEPT_LINES {
                self.last.pop_front();
            }
            self.last.push_back(line.clone());
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_become_lines() {
        let mut log = BuildLog::default();
        assert_eq!(log.push("Reading"), Vec::<String>::new());
        assert_eq!(log.push(" lists\r\nnext\nrest"), ["Reading lists", "next"]);
        assert_eq!(log.flush(), ["rest"]);
        assert_eq!(log.flush(), Vec::<String>::new());
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut log = BuildLog::default();
        for number in 0..100 {
            log.push(&format!("{number}\n"));
        }
        assert_eq!(log.last().count(), KEPT_LINES);
        assert_eq!(log.last().last(), Some("99"));
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let mut log = BuildLog::default();
        assert_eq!(log.push(&"x".repeat(MAX_LINE_BYTES + 1)).len(), 1);
        assert!(log.partial.is_empty());
    }
}
