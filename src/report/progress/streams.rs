//! The two streams that a display writes to.
//!
//! Owns what became of them (open, closed, failed), whether the cursor stands at the start of a line, and the
//! protection of a CI log. Passes the test's bytes on as they are.

use std::io::{self, Write};
use std::os::fd::AsFd;

use crate::report::github::StopCommands;
use crate::runner::event::OutputStream;

/// stdout and stderr of the program, or stand-ins.
pub struct Streams {
    stdout: Channel,
    stderr: Channel,
    /// Both end in the same place, so that a partial line on one is a partial line on the other.
    shared: bool,
    guard: Guard,
}

impl Streams {
    /// `shared` tells whether both end in the same terminal, pipe or file: see [`same_destination`].
    #[must_use]
    pub fn new(stdout: Box<dyn Write + Send>, stderr: Box<dyn Write + Send>, shared: bool) -> Self {
        Self { stdout: Channel::new(stdout), stderr: Channel::new(stderr), shared, guard: Guard::None }
    }

    /// Surrounds everything with the commands that make GitHub Actions ignore commands in untrusted output. They go
    /// to stderr, so that stdout carries nothing of ours.
    #[must_use]
    pub fn with_stop_commands(mut self, commands: StopCommands) -> Self {
        self.guard = Guard::Waiting(commands);
        self
    }

    /// Passes on bytes that the test printed.
    pub fn pass(&mut self, stream: OutputStream, bytes: &[u8]) {
        self.raise_guard();
        match stream {
            OutputStream::Stdout => self.stdout.write(bytes),
            OutputStream::Stderr => self.stderr.write(bytes),
        }
    }

    /// Writes a line of our own to stderr, on a line of its own. `text` has to be printable already.
    pub fn line(&mut self, text: &str) {
        self.raise_guard();
        self.fresh_line();
        self.stderr.write(format!("{text}\n").as_bytes());
    }

    /// True where nothing stands to the left of the cursor, as far as it can be known.
    #[must_use]
    pub const fn at_line_start(&self) -> bool {
        !(self.stderr.mid_line || self.shared && self.stdout.mid_line)
    }

    /// True where what is written to `stream` moves the cursor that stderr is drawn at.
    #[must_use]
    pub const fn moves_cursor(&self, stream: OutputStream) -> bool {
        matches!(stream, OutputStream::Stderr) || self.shared
    }

    /// Ends a partial line, if there is one where our lines go.
    pub fn fresh_line(&mut self) {
        if !self.at_line_start() {
            self.stderr.write(b"\n");
            self.stdout.mid_line = self.stdout.mid_line && !self.shared;
        }
    }

    /// Ends a partial line and lets the CI log listen to commands again.
    pub fn finish(&mut self) {
        self.fresh_line();
        if let Guard::Raised(commands) = std::mem::replace(&mut self.guard, Guard::None) {
            self.stderr.write(commands.resume().as_bytes());
        }
    }

    /// True once the reader of stdout went away.
    #[must_use]
    pub const fn stdout_closed(&self) -> bool {
        matches!(self.stdout.state, State::Closed)
    }

    /// The first error of stdout other than a closed pipe, once.
    pub const fn take_stdout_error(&mut self) -> Option<io::Error> {
        self.stdout.take_error()
    }

    fn raise_guard(&mut self) {
        match std::mem::replace(&mut self.guard, Guard::None) {
            Guard::Waiting(commands) => {
                self.stderr.write(commands.stop().as_bytes());
                self.guard = Guard::Raised(commands);
            }
            other => self.guard = other,
        }
    }
}

enum Guard {
    None,
    Waiting(StopCommands),
    Raised(StopCommands),
}

/// True where both are the same terminal, pipe or file, so that what is written to one stands beside what is written
/// to the other.
#[must_use]
pub fn same_destination(one: impl AsFd, other: impl AsFd) -> bool {
    match (nix::sys::stat::fstat(one), nix::sys::stat::fstat(other)) {
        (Ok(one), Ok(other)) => one.st_dev == other.st_dev && one.st_ino == other.st_ino,
        _ => false,
    }
}

/// One stream and what became of it.
pub(super) struct Channel {
    writer: Box<dyn Write + Send>,
    state: State,
    mid_line: bool,
    escape: Escape,
}

enum State {
    Open,
    Closed,
    Failed(Option<io::Error>),
}

/// Where a colour sequence stands; those do not move the cursor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    No,
    Begun,
    Parameters,
}

impl Channel {
    pub(super) const fn new(writer: Box<dyn Write + Send>) -> Self {
        Self { writer, state: State::Open, mid_line: false, escape: Escape::No }
    }

    /// Writes and flushes, or drops the bytes where nobody takes them any more.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Open) || bytes.is_empty() {
            return;
        }
        match self.writer.write_all(bytes).and_then(|()| self.writer.flush()) {
            Ok(()) => self.follow_cursor(bytes),
            Err(error) => {
                self.mid_line = false;
                self.state = if error.kind() == io::ErrorKind::BrokenPipe {
                    State::Closed
                } else {
                    State::Failed(Some(error))
                };
            }
        }
    }

    pub(super) const fn closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    pub(super) const fn take_error(&mut self) -> Option<io::Error> {
        match &mut self.state {
            State::Failed(error) => error.take(),
            State::Open | State::Closed => None,
        }
    }

    /// Only what follows the last line end counts: anything but colour leaves the line begun.
    fn follow_cursor(&mut self, bytes: &[u8]) {
        let tail = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => {
                self.mid_line = false;
                self.escape = Escape::No;
                bytes.get(end + 1..).unwrap_or_default()
            }
            None => bytes,
        };
        for byte in tail {
            if self.mid_line {
                break;
            }
            self.escape = match (self.escape, byte) {
                (Escape::No, 0x1b) => Escape::Begun,
                (Escape::Begun, b'[') | (Escape::Parameters, b'0'..=b'9' | b';' | b':') => Escape::Parameters,
                (Escape::Parameters, b'm') => Escape::No,
                _ => {
                    self.mid_line = true;
                    Escape::No
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::progress::fixtures::{self, Failing};

    #[test]
    fn the_tests_bytes_pass_unchanged_each_to_its_stream() {
        let (shared, mut streams) = fixtures::streams(false);
        streams.pass(OutputStream::Stdout, b"\xff\x1b[31mout");
        streams.pass(OutputStream::Stderr, b"err\r\n");
        assert_eq!(shared.stdout.bytes(), b"\xff\x1b[31mout");
        assert_eq!(shared.stderr.bytes(), b"err\r\n");
    }

    #[test]
    fn a_line_of_ours_never_continues_a_line_of_the_test() {
        let (shared, mut streams) = fixtures::streams(true);
        streams.pass(OutputStream::Stdout, b"partial");
        streams.line("ours");
        streams.line("again");
        assert_eq!(shared.stderr.text(), "\nours\nagain\n");
    }

    #[test]
    fn a_partial_line_elsewhere_is_left_alone() {
        let (shared, mut streams) = fixtures::streams(false);
        streams.pass(OutputStream::Stdout, b"partial");
        streams.line("ours");
        streams.finish();
        assert_eq!(shared.stderr.text(), "ours\n");
        assert_eq!(shared.stdout.text(), "partial");
    }

    #[test]
    fn colour_after_a_line_end_does_not_begin_a_line() {
        let (_, mut streams) = fixtures::streams(true);
        streams.pass(OutputStream::Stdout, b"red\n\x1b[0");
        assert!(streams.at_line_start());
        streams.pass(OutputStream::Stdout, b"m");
        assert!(streams.at_line_start());
        streams.pass(OutputStream::Stdout, b"\x1b[2K");
        assert!(!streams.at_line_start());
    }

    #[test]
    fn a_reader_that_left_is_remembered_and_not_written_to() {
        let failing = Failing::new(io::ErrorKind::BrokenPipe);
        let mut streams = Streams::new(Box::new(failing.clone()), Box::new(io::sink()), false);
        assert!(!streams.stdout_closed());
        streams.pass(OutputStream::Stdout, b"a");
        streams.pass(OutputStream::Stdout, b"b");
        assert!(streams.stdout_closed());
        assert_eq!(failing.attempts(), 1);
        assert!(streams.take_stdout_error().is_none());
    }

    #[test]
    fn a_full_disk_is_an_error_and_not_a_reader_that_left() {
        let failing = Failing::new(io::ErrorKind::StorageFull);
        let mut streams = Streams::new(Box::new(failing), Box::new(io::sink()), false);
        streams.pass(OutputStream::Stdout, b"a");
        assert!(!streams.stdout_closed());
        assert_eq!(streams.take_stdout_error().unwrap().kind(), io::ErrorKind::StorageFull);
        assert!(streams.take_stdout_error().is_none());
    }

    #[test]
    fn untrusted_output_stands_between_the_commands_that_disarm_it() {
        let (shared, streams) = fixtures::streams(true);
        let guard = StopCommands::new();
        let mut streams = streams.with_stop_commands(guard.clone());
        streams.pass(OutputStream::Stderr, b"::add-mask::x");
        streams.finish();
        streams.finish();
        assert_eq!(shared.stderr.text(), format!("{}::add-mask::x\n{}", guard.stop(), guard.resume()));
    }

    #[test]
    fn one_file_is_one_destination() {
        let file = tempfile::tempfile().unwrap();
        let other = tempfile::tempfile().unwrap();
        assert!(same_destination(&file, file.try_clone().unwrap()));
        assert!(!same_destination(&file, &other));
    }
}
