//! `--progress quiet`: the test's output and nothing of ours.
//!
//! A build that comes to no image is the exception: its last lines are shown, or nobody could tell why.

use std::io;

use super::build_log::BuildLog;
use super::words::step_name;
use super::{Display, Streams};
use crate::runner::event::{OutputStream, RunEvent, StepStatus};

/// Passes the test's output on.
pub struct Quiet {
    streams: Streams,
    /// What the builder has printed since the last image was made.
    log: BuildLog,
    failed_step: Option<String>,
}

impl Quiet {
    /// Takes over the streams.
    #[must_use]
    pub const fn new(streams: Streams) -> Self {
        Self { streams, log: BuildLog::new(), failed_step: None }
    }

    fn show_failed_build(&mut self) {
        let Some(step) = self.failed_step.take() else { return };
        self.streams.line(&format!("failed: {step}"));
        self.log.flush();
        for line in self.log.last() {
            self.streams.line(&format!("  | {line}"));
        }
        self.log.clear();
    }
}

impl Display for Quiet {
    fn event(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Output { stream, text } => self.output(*stream, text.as_bytes()),
            RunEvent::BuildOutput { text } => drop(self.log.push(text)),
            RunEvent::BuildStep { id, name, status: StepStatus::Failed } => {
                self.failed_step = Some(step_name(id, name));
            }
            RunEvent::Built { .. } => {
                self.log.clear();
                self.failed_step = None;
            }
            _ => {}
        }
    }

    fn output(&mut self, stream: OutputStream, bytes: &[u8]) {
        self.streams.pass(stream, bytes);
    }

    fn finish(&mut self) {
        self.show_failed_build();
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

    #[test]
    fn a_build_that_fails_shows_its_last_lines() {
        let (shared, streams) = streams(false);
        let mut display = Quiet::new(streams);
        let output = |text: &str| RunEvent::BuildOutput { text: text.to_owned() };
        display.event(&output("an image that was made\n"));
        let built = a_run().0.into_iter().find(|event| matches!(event, RunEvent::Built { .. }));
        display.event(&built.unwrap());
        display.event(&output("E: Unable to locate\nno such pack"));
        display.event(&output("age\u{1b}[2J"));
        let (id, name) = ("2/4".to_owned(), "RUN apt-get install".to_owned());
        display.event(&RunEvent::BuildStep { id, name, status: StepStatus::Failed });
        display.finish();
        display.finish();
        let expected = "failed: [2/4] RUN apt-get install\n  | E: Unable to locate\n  | no such package\n";
        assert_eq!(shared.stderr.text(), expected);
    }

    #[test]
    fn a_build_that_comes_to_an_image_shows_nothing() {
        let (shared, streams) = streams(false);
        let mut display = Quiet::new(streams);
        display.event(&RunEvent::BuildOutput { text: "a step at work\n".to_owned() });
        display.finish();
        assert_eq!(shared.stderr.text(), "");
    }
}
