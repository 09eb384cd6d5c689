//! `--progress quiet`: the test's output and nothing of ours.

use std::io;

use super::{Display, Streams};
use crate::runner::event::{OutputStream, RunEvent};

/// Passes the test's output on.
pub struct Quiet {
    streams: Streams,
}

impl Quiet {
    /// Takes over the streams.
    #[must_use]
    pub const fn new(streams: Streams) -> Self {
        Self { streams }
    }
}

impl Display for Quiet {
    fn event(&mut self, event: &RunEvent) {
        if let RunEvent::Output { stream, text } = event {
            self.output(*stream, text.as_bytes());
        }
    }

    fn output(&mut self, stream: OutputStream, bytes: &[u8]) {
        self.streams.pass(stream, bytes);
    }

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
    use crate::report::progress::fixtures::{a_run, feed, streams};

    #[test]
    fn nothing_but_the_tests_output_is_written() {
        let (shared, streams) = streams(false);
        let mut display = Quiet::new(streams);
        let (before, after) = a_run();
        feed(&mut display, &before);
        display.output(OutputStream::Stdout, b"out");
        display.event(&RunEvent::Output { stream: OutputStream::Stderr, text: "err\n".to_owned() });
        feed(&mut display, &after);
        display.finish();
        assert_eq!(shared.stdout.text(), "out");
        assert_eq!(shared.stderr.text(), "err\n");
    }
}
