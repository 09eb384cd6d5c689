//! Whether a test that did not pass is worth another attempt. Pure.
//!
//! Owns the list of outcomes that another attempt can change. How many there are is the plan's.

use crate::results::verdict::Verdict;
use crate::results::{Cause, Outcome};

/// Whether another attempt may come to something else. What the user ended, what the engine lost and what the run took
/// the ground from stays as it is; so does a command that is not in the image.
#[must_use]
pub const fn may_change(verdict: &Verdict) -> bool {
    match verdict.outcome {
        Outcome::Failed | Outcome::TimedOut | Outcome::OutOfMemory => true,
        Outcome::NotStarted => matches!(verdict.cause, Some(Cause::NotStarted { .. })),
        Outcome::Passed
        | Outcome::Flaky
        | Outcome::Aborted
        | Outcome::Skipped
        | Outcome::DependencyFailed => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_another_attempt_can_change_is_tried_again() {
        let verdict = |outcome, cause| Verdict { outcome, cause, warnings: Vec::new() };
        let message = || "x".to_owned();
        assert!(may_change(&verdict(Outcome::Failed, Some(Cause::ExitCode { code: 1 }))));
        assert!(may_change(&verdict(Outcome::TimedOut, None)));
        assert!(may_change(&verdict(Outcome::NotStarted, Some(Cause::NotStarted { message: message() }))));
        let missing = Cause::CommandNotFound { message: message() };
        assert!(!may_change(&verdict(Outcome::NotStarted, Some(missing))));
        assert!(!may_change(&verdict(Outcome::Aborted, Some(Cause::Interrupted { signal: 2 }))));
        assert!(!may_change(&verdict(Outcome::DependencyFailed, None)));
        assert!(!may_change(&verdict(Outcome::Passed, None)));
    }
}
