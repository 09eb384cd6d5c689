//! `--progress plain`: one line on stderr for each thing that happens, fit for CI logs.
//!
//! Owns numbering of build steps and the thinning out of progress. The test's output passes through unchanged.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::Instant;

use super::build_log::BuildLog;
use super::words::{is_pull_noise, sentence, step_name};
use super::{Display, Streams};
use crate::report::text::printable;
use crate::report::wording::{bytes, duration};
use crate::runner::event::{OutputStream, RunEvent, StepStatus};

/// Seconds between two lines about an upload that goes on.
const CONTEXT_INTERVAL: f64 = 10.0;

/// Seconds since some moment; a value of its own so that tests need not wait.
pub(super) type Clock = Box<dyn Fn() -> f64 + Send>;

/// Writes lines.
pub struct Plain {
    streams: Streams,
    clock: Clock,
    steps: HashMap<String, Step>,
    pulled: HashSet<(String, String)>,
    log: BuildLog,
    context_shown_at: f64,
}

struct Step {
    number: usize,
    started: f64,
    ended: bool,
}

impl Plain {
    /// Takes over the streams.
    #[must_use]
    pub fn new(streams: Streams) -> Self {
        let start = Instant::now();
        Self::with_clock(streams, Box::new(move || start.elapsed().as_secs_f64()))
    }

    pub(super) fn with_clock(streams: Streams, clock: Clock) -> Self {
        let context_shown_at = clock();
        Self {
            streams,
            clock,
            steps: HashMap::new(),
            pulled: HashSet::new(),
            log: BuildLog::default(),
            context_shown_at,
        }
    }

    fn pull(&mut self, layer: &str, status: &str, total: Option<u64>) {
        if is_pull_noise(status) || !self.pulled.insert((layer.to_owned(), status.to_owned())) {
            return;
        }
        let layer = if layer.is_empty() { String::new() } else { format!("{}: ", printable(layer)) };
        let size = total.filter(|total| *total > 0).map(|total| format!(" ({})", bytes(total)));
        self.streams.line(&format!("pull {layer}{}{}", printable(status), size.unwrap_or_default()));
    }

    fn context(&mut self, sent: u64, done: bool) {
        let now = (self.clock)();
        if done {
            self.streams.line(&format!("context sent, {}", bytes(sent)));
        } else if now - self.context_shown_at >= CONTEXT_INTERVAL {
            self.streams.line(&format!("context {}", bytes(sent)));
            self.context_shown_at = now;
        }
    }

    fn step(&mut self, id: &str, name: &str, status: StepStatus) {
        self.end_build_line();
        let now = (self.clock)();
        let next = self.steps.len() + 1;
        let known = self.steps.contains_key(id);
        let step =
            self.steps.entry(id.to_owned()).or_insert(Step { number: next, started: now, ended: false });
        let number = step.number;
        if !known {
            self.streams.line(&format!("#{number} {}", step_name(id, name)));
        }
        if status == StepStatus::Started || std::mem::replace(&mut step.ended, true) {
            return;
        }
        let took = duration(now - step.started);
        self.streams.line(&match status {
            StepStatus::Cached => format!("#{number} cached"),
            StepStatus::Failed => format!("#{number} failed after {took}"),
            StepStatus::Done | StepStatus::Started => format!("#{number} done in {took}"),
        });
    }

    fn build_lines(&mut self, lines: &[String]) {
        for line in lines {
            self.streams.line(&format!("  | {line}"));
        }
    }

    fn end_build_line(&mut self) {
        let rest = self.log.flush();
        self.build_lines(&rest);
    }
}

impl Display for Plain {
    fn event(&mut self, event: &RunEvent) {
        match event {
            RunEvent::PullProgress { layer, status, total, .. } => self.pull(layer, status, *total),
            RunEvent::ContextProgress { sent, done } => self.context(*sent, *done),
            RunEvent::BuildStep { id, name, status } => self.step(id, name, *status),
            RunEvent::BuildOutput { text } => {
                let lines = self.log.push(text);
                self.build_lines(&lines);
            }
            RunEvent::Output { stream, text } => self.output(*stream, text.as_bytes()),
            other => {
                self.end_build_line();
                if matches!(other, RunEvent::Built { .. }) {
                    self.steps.clear();
                }
                if let Some(line) = sentence(other) {
                    self.streams.line(&line);
                }
            }
        }
    }

    fn output(&mut self, stream: OutputStream, bytes: &[u8]) {
        self.streams.pass(stream, bytes);
    }

    fn finish(&mut self) {
        self.end_build_line();
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use snapbox::{assert_data_eq, str};

    use super::*;
    use crate::report::progress::fixtures::{Both, a_run, feed, step, streams};

    fn plain(shared: bool) -> (Both, Plain, Arc<AtomicU32>) {
        let (both, streams) = streams(shared);
        let seconds = Arc::new(AtomicU32::new(0));
        let clock = Arc::clone(&seconds);
        let display = Plain::with_clock(streams, Box::new(move || f64::from(clock.load(Ordering::SeqCst))));
        (both, display, seconds)
    }

    #[test]
    fn a_run_is_told_line_by_line() {
        let (both, mut display, seconds) = plain(false);
        let (before, after) = a_run();
        for event in &before {
            display.event(event);
            seconds.fetch_add(1, Ordering::SeqCst);
        }
        display.output(OutputStream::Stdout, b"1 passed\n2 fail");
        display.output(OutputStream::Stderr, b"noise\n");
        feed(&mut display, &after);
        display.finish();
        assert_eq!(both.stdout.text(), "1 passed\n2 fail");
        assert_data_eq!(
            both.stderr.text(),
            str![[r"
testing shop:1.4 on Docker Engine 20.10.24 (run r-42)
pull aaa: Downloading (2 KiB)
pull aaa: Pull complete
pull bbb: Already exists
recipe from label: the image has the label test.ontest; 2 instructions, 1 file
context sent, 2 KiB
#1 [1/2] FROM shop:1.4
#1 cached
#2 [2/2] RUN apt-get install -y curl
  | Reading package lists...
  | Done
#2 done in 3s
built shop:1.4-test in 4.2s
running shop:1.4 in container 0123456789ab
noise
shop:1.4 failed after 2.3s: the test command ended with exit code 1 (10 passed, 2 failed)
results in tests/results: 3 files, 2 KiB

"]]
        );
    }

    #[test]
    fn a_long_upload_is_heard_of_now_and_then() {
        let (both, mut display, seconds) = plain(false);
        for second in 0..25 {
            seconds.store(second, Ordering::SeqCst);
            display.event(&RunEvent::ContextProgress { sent: u64::from(second) * 1024, done: false });
        }
        assert_eq!(both.stderr.text(), "context 10 KiB\ncontext 20 KiB\n");
    }

    #[test]
    fn a_step_ends_once() {
        let (both, mut display, _) = plain(false);
        for status in [StepStatus::Started, StepStatus::Failed, StepStatus::Done] {
            display.event(&step("sha256:1", "[1/1] RUN false", status));
        }
        assert_eq!(both.stderr.text(), "#1 [1/1] RUN false\n#1 failed after 0.0s\n");
    }

    #[test]
    fn a_builder_cannot_steer_the_terminal() {
        let (both, mut display, _) = plain(false);
        display.event(&step("1/1", "RUN \u{1b}]0;t\u{7}x\u{8}", StepStatus::Started));
        display.event(&RunEvent::BuildOutput { text: "\u{1b}[2J##[error]x\u{7}\n::error::y\n".to_owned() });
        assert_eq!(both.stderr.text(), "#1 [1/1] RUN x\\u{8}\n  | ## [error]x\\u{7}\n  | ::error::y\n");
    }

    #[test]
    fn a_partial_line_of_the_test_is_ended_before_ours_on_one_terminal() {
        let (both, mut display, _) = plain(true);
        display.output(OutputStream::Stdout, b"....");
        display.event(&RunEvent::Warning { message: "careful".to_owned() });
        display.finish();
        assert_eq!(both.stderr.text(), "\nwarning: careful\n");
    }
}
