//! The public exit-code contract: what a CI job may rely on.
//!
//! Owns the numbers and the order in which they win. Knows nothing about why a run ended; callers map their
//! verdict to one of these values.

use std::process;

/// How the program ended, in the order of precedence: a signal, then 125, 1, 126/127, 124 and 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitCode {
    /// 0: everything that was selected passed.
    Success,
    /// 1: at least one test failed.
    TestsFailed,
    /// 4: the selection holds nothing to test.
    NothingToTest,
    /// 5: a rerun passed, but other tests are still failing.
    RerunIncomplete,
    /// 124: tests timed out, and nothing worse happened.
    TimedOut,
    /// 125: usage, engine, pull, build, dependency or report error.
    Error,
    /// 126: the test command exists but cannot be executed.
    NotExecutable,
    /// 127: the test command was not found.
    CommandNotFound,
    /// 128+n: the program was ended by signal n.
    Signal(u8),
    /// The container's own code, handed on by `--propagate-exit-code`.
    Container(u8),
}

impl ExitCode {
    /// The number that the process exits with.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::TestsFailed => 1,
            Self::NothingToTest => 4,
            Self::RerunIncomplete => 5,
            Self::TimedOut => 124,
            Self::Error => 125,
            Self::NotExecutable => 126,
            Self::CommandNotFound => 127,
            Self::Signal(signal) => 128_u8.saturating_add(signal),
            Self::Container(code) => code,
        }
    }

    /// What a process that exited with this number meant. Numbers outside of the contract are a container's own.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Success,
            1 => Self::TestsFailed,
            4 => Self::NothingToTest,
            5 => Self::RerunIncomplete,
            124 => Self::TimedOut,
            125 => Self::Error,
            126 => Self::NotExecutable,
            127 => Self::CommandNotFound,
            129..=192 => Self::Signal(code - 128),
            other => Self::Container(other),
        }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Signal(_) => 9,
            Self::Error => 8,
            Self::TestsFailed => 7,
            Self::Container(_) => 6,
            Self::NotExecutable => 5,
            Self::CommandNotFound => 4,
            Self::TimedOut => 3,
            Self::RerunIncomplete => 2,
            Self::NothingToTest => 1,
            Self::Success => 0,
        }
    }

    /// The one of two that a run which met both must exit with.
    #[must_use]
    pub const fn worst(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}

#[cfg(test)]
mod tests {
    use super::ExitCode::{
        self, CommandNotFound, Container, Error, NotExecutable, NothingToTest, RerunIncomplete, Signal,
        Success, TestsFailed, TimedOut,
    };

    #[test]
    fn numbers_are_the_published_ones() {
        let published = [
            (Success, 0),
            (TestsFailed, 1),
            (NothingToTest, 4),
            (RerunIncomplete, 5),
            (TimedOut, 124),
            (Error, 125),
            (NotExecutable, 126),
            (CommandNotFound, 127),
            (Signal(2), 130),
            (Signal(15), 143),
            (Container(3), 3),
        ];
        for (code, number) in published {
            assert_eq!(code.code(), number, "{code:?}");
            assert_eq!(ExitCode::from_code(number), code);
        }
    }

    #[test]
    fn precedence_is_signal_then_error_then_failed_then_command_then_timeout_then_nothing() {
        let order = [Signal(2), Error, TestsFailed, NotExecutable, TimedOut, NothingToTest, Success];
        for pair in order.windows(2) {
            assert_eq!(pair[0].worst(pair[1]), pair[0]);
            assert_eq!(pair[1].worst(pair[0]), pair[0]);
        }
    }
}
