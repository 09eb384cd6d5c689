//! Outcomes in the database: the words of the reports, and what they count as.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};

use crate::results::Outcome;

const ALL: [Outcome; 9] = [
    Outcome::Passed,
    Outcome::Failed,
    Outcome::Flaky,
    Outcome::TimedOut,
    Outcome::OutOfMemory,
    Outcome::NotStarted,
    Outcome::Aborted,
    Outcome::Skipped,
    Outcome::DependencyFailed,
];

/// The word that reports have for it.
const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "failed",
        Outcome::Flaky => "flaky",
        Outcome::TimedOut => "timed_out",
        Outcome::OutOfMemory => "out_of_memory",
        Outcome::NotStarted => "not_started",
        Outcome::Aborted => "aborted",
        Outcome::Skipped => "skipped",
        Outcome::DependencyFailed => "dependency_failed",
    }
}

impl ToSql for Outcome {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(word(*self)))
    }
}

impl FromSql for Outcome {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        let known = ALL.into_iter().find(|outcome| word(*outcome) == text);
        known.ok_or_else(|| FromSqlError::Other(format!("no outcome is called {text}").into()))
    }
}

/// Whether its duration says how long the test takes: it ran to an end of its own, or to its limit.
pub(super) const fn has_duration(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Passed | Outcome::Failed | Outcome::Flaky | Outcome::TimedOut | Outcome::OutOfMemory => true,
        Outcome::NotStarted | Outcome::Aborted | Outcome::Skipped | Outcome::DependencyFailed => false,
    }
}

/// What it says about the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    Flaky,
    Failed,
    /// The test was not judged.
    None,
}

pub(super) const fn verdict(outcome: Outcome) -> Verdict {
    match outcome {
        Outcome::Passed => Verdict::Passed,
        Outcome::Flaky => Verdict::Flaky,
        Outcome::Failed | Outcome::TimedOut | Outcome::OutOfMemory | Outcome::NotStarted => Verdict::Failed,
        Outcome::Aborted | Outcome::Skipped | Outcome::DependencyFailed => Verdict::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_the_word_of_the_reports_and_comes_back() {
        for outcome in ALL {
            assert_eq!(serde_json::to_value(outcome).unwrap(), word(outcome));
            let text = ValueRef::Text(word(outcome).as_bytes());
            assert_eq!(Outcome::column_result(text).unwrap(), outcome);
        }
        assert!(Outcome::column_result(ValueRef::Text(b"splendid")).is_err());
    }
}
