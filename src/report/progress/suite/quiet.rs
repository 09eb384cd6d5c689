//! `--progress quiet` for many tests: a line for each test or service that failed, and nothing else.
//!
//! Owns the choice alone. Output, reasons in full and files are in the summary, which a failed run has in any case.

use std::io;

use super::board::Board;
use super::entry::{Entry, Kind};
use crate::report::progress::{Display, Streams};
use crate::report::style::Style;
use crate::runner::event::{OutputStream, RunEvent};

/// Names what failed.
pub struct Quiet {
    streams: Streams,
    style: Style,
    board: Board,
}

impl Quiet {
    /// Takes over the streams.
    #[must_use]
    pub fn new(streams: Streams, style: Style) -> Self {
        Self { streams, style, board: Board::default() }
    }

    fn follow(&mut self, test: Option<&str>, event: &RunEvent) {
        let wanted = |entry: &Entry| matches!(entry.kind, Kind::Bad | Kind::Dependent);
        // No time is shown that does not come with the event.
        for entry in self.board.follow(test, event, 0.0).into_iter().filter(wanted) {
            let line = Entry { heading: None, output: String::new(), log: None, ..entry };
            self.streams.line(&line.long(self.style, 0).join("\n"));
        }
    }
}

impl Display for Quiet {
    fn event(&mut self, event: &RunEvent) {
        self.follow(None, event);
    }

    fn event_of(&mut self, test: &str, event: &RunEvent) {
        self.follow(Some(test), event);
    }

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
mod tests {
    use super::*;
    use crate::report::progress::fixtures::streams;
    use crate::report::progress::suite::fixtures::{feed, small_run};

    #[test]
    fn only_what_failed_is_named() {
        let (both, streams) = streams(false);
        let mut display = Quiet::new(streams, Style::default());
        feed(&mut display, &small_run());
        display.output_of("api", OutputStream::Stdout, b"noise");
        display.finish();
        assert_eq!(both.stdout.text(), "");
        assert_eq!(
            both.stderr.text(),
            "      FAIL [   2.300s] (3/6) api: the test command ended with exit code 1 (10 passed, 2 failed)\n\
             \u{20}  SERVICE db: failed: it ended with exit code 1\n\
             \u{20} DEP-FAIL [         ] (5/6) cart: db, which it needs, failed: it ended with exit code 1\n"
        );
    }
}
