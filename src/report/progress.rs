//! Shows a run while it happens: plain lines, live bars, next to nothing, or events for programs.
//!
//! Owns the choice between them and the contract they share. A display is handed events and the test's raw output,
//! and writes to the two streams it was given; it never decides anything about the run.

pub mod ndjson;
pub mod plain;
pub mod quiet;
pub mod streams;
pub mod suite;
pub mod tty;

mod build_log;
mod ticker;
mod words;

use std::io::{self, IsTerminal as _};
use std::str::FromStr;

use crate::error::{Category, Diagnose};
use crate::report::style::Style;
use crate::runner::event::{OutputStream, RunEvent};

pub use ndjson::Ndjson;
pub use plain::Plain;
pub use quiet::Quiet;
pub use streams::Streams;
pub use tty::Tty;

/// Something that shows a run.
pub trait Display: Send {
    /// Takes note of an event.
    fn event(&mut self, event: &RunEvent);

    /// Takes note of an event of one test of several. A display of one test has no use for the name.
    fn event_of(&mut self, test: &str, event: &RunEvent) {
        let _ = test;
        self.event(event);
    }

    /// Takes bytes that the test printed, in chunks of any size.
    fn output(&mut self, stream: OutputStream, bytes: &[u8]);

    /// Takes bytes that one test of several printed.
    fn output_of(&mut self, test: &str, stream: OutputStream, bytes: &[u8]) {
        let _ = test;
        self.output(stream, bytes);
    }

    /// Ends the display: whatever was held back is written, and the cursor stands at the start of a line. May be
    /// called twice; nothing may follow it.
    fn finish(&mut self);

    /// True once the reader of stdout went away. What is meant for it is dropped from then on.
    fn stdout_closed(&self) -> bool;

    /// The first error of stdout other than a reader that went away, such as a full disk. Given out once.
    fn take_stdout_error(&mut self) -> Option<io::Error>;
}

/// `--progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// [`Mode::Tty`] where a person watches, [`Mode::Plain`] otherwise.
    #[default]
    Auto,
    /// One line for each thing that happens.
    Plain,
    /// Live bars.
    Tty,
    /// The test's output alone.
    Quiet,
}

/// The names that `--progress` takes.
pub const MODES: [&str; 4] = ["auto", "plain", "tty", "quiet"];

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        match text {
            "auto" => Ok(Self::Auto),
            "plain" => Ok(Self::Plain),
            "tty" => Ok(Self::Tty),
            "quiet" => Ok(Self::Quiet),
            _ => Err(UnknownMode { text: text.to_owned() }),
        }
    }
}

/// A mode that `--progress` does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown progress mode `{}`", crate::report::text::printable(text))]
pub struct UnknownMode {
    /// As the user wrote it.
    pub text: String,
}

impl Diagnose for UnknownMode {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some(format!("there are: {}", MODES.join(", ")))
    }
}

/// What the choice of a display depends on, looked up by the caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// stderr is a terminal.
    pub stderr_is_terminal: bool,
    /// `CI` is set to something other than nothing, `0` and `false`.
    pub ci: bool,
    /// `TERM` is `dumb` or not set.
    pub dumb_terminal: bool,
}

impl Surroundings {
    /// Looks at stderr and asks `lookup` for the environment.
    pub fn detect(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let ci = lookup("CI")
            .is_some_and(|value| !value.is_empty() && value != "0" && !value.eq_ignore_ascii_case("false"));
        Self {
            stderr_is_terminal: io::stderr().is_terminal(),
            ci,
            dumb_terminal: lookup("TERM").is_none_or(|term| term.is_empty() || term == "dumb"),
        }
    }
}

impl Mode {
    /// The mode that is used: never [`Mode::Auto`], and never bars where nothing can draw them, even on demand.
    #[must_use]
    pub const fn resolve(self, around: Surroundings) -> Self {
        let can_draw = around.stderr_is_terminal && !around.dumb_terminal;
        match self {
            Self::Auto if can_draw && !around.ci => Self::Tty,
            Self::Tty if can_draw => Self::Tty,
            Self::Auto | Self::Plain | Self::Tty => Self::Plain,
            Self::Quiet => Self::Quiet,
        }
    }
}

/// The display for people of that (resolved) mode.
#[must_use]
pub fn for_people(mode: Mode, streams: Streams, style: Style) -> Box<dyn Display> {
    match mode {
        Mode::Auto | Mode::Plain => Box::new(Plain::new(streams)),
        Mode::Tty => Box::new(Tty::new(streams, style)),
        Mode::Quiet => Box::new(Quiet::new(streams)),
    }
}

/// The display for people of that (resolved) mode, for a run of many tests.
#[must_use]
pub fn for_people_of_many(mode: Mode, streams: Streams, style: Style) -> Box<dyn Display> {
    match mode {
        Mode::Auto | Mode::Plain => Box::new(suite::Plain::new(streams, style)),
        Mode::Tty => Box::new(suite::Tty::new(streams, style)),
        Mode::Quiet => Box::new(suite::Quiet::new(streams, style)),
    }
}

/// `--format json`: events for a program on stdout, and people's lines on stderr. The test's output is in the events
/// alone.
pub struct MachineAndPeople {
    machine: Ndjson,
    people: Box<dyn Display>,
}

impl MachineAndPeople {
    /// `people` never gets to see the test's output, so that its stdout stays unused.
    #[must_use]
    pub const fn new(machine: Ndjson, people: Box<dyn Display>) -> Self {
        Self { machine, people }
    }
}

impl Display for MachineAndPeople {
    fn event(&mut self, event: &RunEvent) {
        self.machine.event(event);
        if !matches!(event, RunEvent::Output { .. }) {
            self.people.event(event);
        }
    }

    fn event_of(&mut self, test: &str, event: &RunEvent) {
        self.machine.event_of(test, event);
        if !matches!(event, RunEvent::Output { .. }) {
            self.people.event_of(test, event);
        }
    }

    fn output(&mut self, stream: OutputStream, bytes: &[u8]) {
        self.machine.output(stream, bytes);
    }

    fn output_of(&mut self, test: &str, stream: OutputStream, bytes: &[u8]) {
        self.machine.output_of(test, stream, bytes);
    }

    fn finish(&mut self) {
        self.machine.finish();
        self.people.finish();
    }

    fn stdout_closed(&self) -> bool {
        self.machine.stdout_closed()
    }

    fn take_stdout_error(&mut self) -> Option<io::Error> {
        self.machine.take_stdout_error()
    }
}

#[cfg(test)]
pub(crate) mod fixtures;

#[cfg(test)]
mod tests {
    use super::*;

    const WATCHED: Surroundings = Surroundings { stderr_is_terminal: true, ci: false, dumb_terminal: false };

    #[test]
    fn bars_are_chosen_only_where_a_person_watches() {
        assert_eq!(Mode::Auto.resolve(WATCHED), Mode::Tty);
        for around in [
            Surroundings { stderr_is_terminal: false, ..WATCHED },
            Surroundings { ci: true, ..WATCHED },
            Surroundings { dumb_terminal: true, ..WATCHED },
        ] {
            assert_eq!(Mode::Auto.resolve(around), Mode::Plain, "{around:?}");
        }
    }

    #[test]
    fn bars_on_demand_are_drawn_in_ci_but_never_into_a_file() {
        assert_eq!(Mode::Tty.resolve(Surroundings { ci: true, ..WATCHED }), Mode::Tty);
        assert_eq!(Mode::Tty.resolve(Surroundings { stderr_is_terminal: false, ..WATCHED }), Mode::Plain);
        assert_eq!(Mode::Quiet.resolve(WATCHED), Mode::Quiet);
        assert_eq!(Mode::Plain.resolve(WATCHED), Mode::Plain);
    }

    #[test]
    fn every_mode_is_read_by_its_name() {
        for name in MODES {
            assert!(name.parse::<Mode>().is_ok(), "{name}");
        }
        let error = "fancy".parse::<Mode>().unwrap_err();
        assert_eq!(error.to_string(), "unknown progress mode `fancy`");
        assert!(error.hint().unwrap().contains("quiet"));
    }

    #[test]
    fn ci_is_what_the_variable_says_it_is() {
        let with = |value: &'static str| {
            Surroundings::detect(move |name| (name == "CI").then(|| value.to_owned())).ci
        };
        assert!(with("true") && with("1") && with("woodpecker"));
        assert!(!with("") && !with("false") && !with("0"));
    }

    #[test]
    fn machine_and_people_share_events_but_not_the_output() {
        let (shared, streams) = fixtures::streams(false);
        let (people_shared, people) = fixtures::streams(false);
        drop(streams);
        let machine = Ndjson::new(Box::new(shared.stdout.clone()));
        let mut both = MachineAndPeople::new(machine, Box::new(Plain::new(people)));
        both.event(&RunEvent::Warning { message: "careful".to_owned() });
        both.output(OutputStream::Stdout, b"hello\n");
        both.finish();
        assert_eq!(
            shared.stdout.text(),
            "{\"event\":\"warning\",\"message\":\"careful\"}\n\
             {\"event\":\"output\",\"stream\":\"stdout\",\"text\":\"hello\\n\"}\n"
        );
        assert_eq!(people_shared.stdout.text(), "");
        assert!(people_shared.stderr.text().contains("careful"));
    }
}
