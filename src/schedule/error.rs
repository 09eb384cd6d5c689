//! Why a schedule cannot be read: the field, what stands there, and what was expected.

use crate::error::{Category, Diagnose};

/// More of a schedule than this is not repeated in a message.
const MOST_SHOWN: usize = 80;

/// A schedule or time zone that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read schedule `{schedule}`: {field}: {problem}: expected {expected}")]
pub struct ScheduleError {
    schedule: String,
    field: &'static str,
    problem: String,
    expected: String,
}

impl ScheduleError {
    /// `problem` says what stands there, `expected` what should, with an example.
    pub(super) fn new(field: &'static str, problem: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { schedule: String::new(), field, problem: problem.into(), expected: expected.into() }
    }

    /// Names the whole schedule.
    pub(super) fn of(self, schedule: &str) -> Self {
        Self { schedule: shown(schedule), ..self }
    }

    /// The part of the schedule that is wrong: `period`, `day of month`, `time zone`.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }
}

impl Diagnose for ScheduleError {
    fn category(&self) -> Category {
        Category::User
    }
}

/// A label's text may hold anything: control characters are escaped, and the length is bounded.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(MOST_SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
