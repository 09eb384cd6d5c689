//! Connects the runner's messages to a display, on a thread of its own.
//!
//! A reader of our stdout that does not read blocks that thread alone: time limits and signals go on.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::termios::{self, SetArg, Termios};

use super::super::flags::OutputFlags;
use super::super::flags::output::{Format, Progress};
use super::super::terminal::{self, StdoutError};
use crate::environment::Environment;
use crate::redact::Redactor;
use crate::report::ReportSink;
use crate::report::github::{StopCommands, github_actions};
use crate::report::progress::streams::{Streams, same_destination};
use crate::report::progress::{
    Display, MachineAndPeople, Mode, Ndjson, Surroundings, for_people, for_people_of_many,
};
use crate::report::redaction::EventRedactor;
use crate::runner::event::RunEvent;
use crate::runner::{Message, Messages};
use crate::signal;

/// How long the reader of a run that was told to stop may take.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What is shown.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::cli) struct Subject {
    /// A person and the test share the terminal: nothing of ours may move the cursor.
    pub(in crate::cli) interactive: bool,
    /// A shell: it is no test, and has no verdict.
    pub(in crate::cli) shell: bool,
    /// Many tests beside one another.
    pub(in crate::cli) many: bool,
}

impl Subject {
    const fn shows(self, event: &RunEvent) -> bool {
        !(self.shell && matches!(event, RunEvent::TestFinished { .. }))
    }
}

/// A display at work.
pub(in crate::cli) struct Shown {
    thread: JoinHandle<Option<io::Error>>,
}

impl Shown {
    pub(in crate::cli) fn start(
        flags: &OutputFlags,
        environment: &Environment,
        reports: &[ReportSink],
        subject: Subject,
        redactor: &Redactor,
        mut messages: Messages,
    ) -> Self {
        let mut display = choose(flags, environment, reports, subject);
        let mut redactor = EventRedactor::new(redactor);
        let is_json = flags.format == Format::Json;
        // What stands on stderr in the place of stdout is for people: a stderr that fails is nobody's problem.
        let stdout_is_asked_for = is_json || !reports.iter().any(ReportSink::uses_stdout);
        let thread = std::thread::spawn(move || {
            let shown = |event: &RunEvent| is_json || subject.shows(event);
            while let Some(message) = messages.blocking_next() {
                match message {
                    Message::Event(event) => {
                        redactor.pass(None, event).filter(shown).for_each(|event| display.event(&event));
                    }
                    Message::OfTest(test, event) => {
                        let events = redactor.pass(Some(&test), event).filter(shown);
                        events.for_each(|event| display.event_of(&test, &event));
                    }
                    Message::Output { test: Some(test), stream, bytes } => {
                        display.output_of(&test, stream, &bytes);
                    }
                    Message::Output { test: None, stream, bytes } => display.output(stream, &bytes),
                }
            }
            for (test, event) in redactor.finish() {
                match test {
                    Some(test) => display.event_of(&test, &event),
                    None => display.event(&event),
                }
            }
            display.finish();
            display.take_stdout_error().filter(|_| stdout_is_asked_for)
        });
        Self { thread }
    }

    /// Waits until everything that was said is shown, or until one more signal says that nobody will read it. Says what
    /// kept stdout from taking it all; a reader that went away is no error.
    pub(in crate::cli) async fn finish(self, interrupts: &signal::Receiver) -> Result<(), StdoutError> {
        let mut interrupts = interrupts.clone();
        let seen = interrupts.borrow().count;
        let nobody_reads = async {
            if seen == 0 {
                signal::wait_for(&mut interrupts, 1).await;
            } else {
                let waiting = signal::wait_for(&mut interrupts, seen + 1);
                let _ = tokio::time::timeout(LAST_WORDS, waiting).await;
            }
        };
        // A display that panicked has said so itself.
        let shown = tokio::task::spawn_blocking(move || self.thread.join().ok().flatten());
        let error = tokio::select! {
            shown = shown => shown.ok().flatten(),
            () = nobody_reads => None,
        };
        error.map_or(Ok(()), |error| terminal::written(Err(error)))
    }
}

fn choose(
    flags: &OutputFlags,
    environment: &Environment,
    reports: &[ReportSink],
    subject: Subject,
) -> Box<dyn Display> {
    let lookup = |name: &str| environment.variable(name).map(str::to_owned);
    let style = terminal::style(environment);
    let mode = match flags.shown() {
        Progress::Auto => Mode::Auto,
        Progress::Plain => Mode::Plain,
        Progress::Tty => Mode::Tty,
        Progress::Quiet => Mode::Quiet,
    };
    let mode = match mode.resolve(Surroundings::detect(lookup)) {
        // A person and the test share the terminal: nothing of ours may move the cursor.
        Mode::Tty if subject.interactive => Mode::Quiet,
        mode => mode,
    };
    let report_on_stdout = reports.iter().any(ReportSink::uses_stdout);
    // A report on stdout stands there alone: the test's own output joins ours.
    let stdout: Box<dyn io::Write + Send> =
        if report_on_stdout { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
    let shared = report_on_stdout || same_destination(io::stdout().as_fd(), io::stderr().as_fd());
    let mut streams = Streams::new(stdout, Box::new(io::stderr()), shared);
    if github_actions(lookup).is_some() {
        streams = streams.with_stop_commands(StopCommands::new());
    }
    let people = if subject.many {
        for_people_of_many(mode, streams, style)
    } else {
        for_people(mode, streams, style)
    };
    match flags.format {
        Format::Text => people,
        Format::Json => Box::new(MachineAndPeople::new(Ndjson::new(Box::new(io::stdout())), people)),
    }
}

/// The terminal as it was; put back when dropped.
pub(super) struct RawTerminal(Termios);

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, &self.0);
    }
}

/// Hands every key to the test where a person types and the test has a terminal.
pub(super) fn raw_terminal(wanted: bool) -> Option<RawTerminal> {
    if !wanted || !io::stdin().is_terminal() {
        return None;
    }
    let before = termios::tcgetattr(io::stdin().as_fd()).ok()?;
    let mut raw = before.clone();
    termios::cfmakeraw(&mut raw);
    termios::tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, &raw).ok()?;
    Some(RawTerminal(before))
}
