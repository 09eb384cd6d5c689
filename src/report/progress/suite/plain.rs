//! `--progress plain` for many tests: a line on stderr for each that ended, fit for CI logs.
//!
//! Owns no wording. Nothing is left out but what tests print while they run.

use std::io;
use std::time::Instant;

use super::board::Board;
use crate::report::progress::plain::Clock;
use crate::report::progress::{Display, Streams};
use crate::report::style::Style;
use crate::runner::event::{OutputStream, RunEvent};

/// Lines of a failed test's output that are shown at once; the log has all.
const LINES_OF_OUTPUT: usize = 50;

/// Writes lines.
pub struct Plain {
    streams: Streams,
    style: Style,
    clock: Clock,
    board: Board,
}

impl Plain {
    /// Takes over the streams.
    #[must_use]
    pub fn new(streams: Streams, style: Style) -> Self {
        let start = Instant::now();
        Self::with_clock(streams, style, Box::new(move || start.elapsed().as_secs_f64()))
    }

    pub(super) fn with_clock(streams: Streams, style: Style, clock: Clock) -> Self {
        Self { streams, style, clock, board: Board::default() }
    }

    fn follow(&mut self, test: Option<&str>, event: &RunEvent) {
        for entry in self.board.follow(test, event, (self.clock)()) {
            self.streams.line(&entry.long(self.style, LINES_OF_OUTPUT).join("\n"));
        }
    }
}

impl Display for Plain {
    fn event(&mut self, event: &RunEvent) {
        self.follow(None, event);
    }

    fn event_of(&mut self, test: &str, event: &RunEvent) {
        self.follow(Some(test), event);
    }

    /// What many tests print at the same time, nobody can read: it is in their logs.
    fn output(&mut self, _: OutputStream, _: &[u8]) {}

    fn finish(&mut self) {
        self.streams.finish();
    }

    fn stdout_closed(&self) -> bool {
        self.streams.stdout_closed()
    }

    fn take_stdout_error(&mut self) -> Option<io::Error> {
        self.streams.take_stdout_error()
    }
}

#[cfg(test)]
mod tests;
