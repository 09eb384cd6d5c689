//! Many tests in one line: how many there are of each kind, and the names of some.
//!
//! Owns the order of outcomes in such a line, and that a test that was not run counts as none that passed.

use super::text::name;
use super::wording::{CACHED, outcome_word};
use crate::results::{Cause, Outcome, RunResults, TestResult};

/// Tests that are named where several share a line.
const MAX_NAMES: usize = 6;

/// Whether a test was not run because nothing has changed since it passed.
pub(super) const fn is_cached(test: &TestResult) -> bool {
    matches!((test.outcome, &test.cause), (Outcome::Skipped, Some(Cause::Cached { .. })))
}

/// `195 passed, 2 failed, 1 flaky`: those that passed, what is bad, and what was not run.
pub(super) fn counts(results: &RunResults) -> String {
    const ORDER: [Outcome; 9] = [
        Outcome::Passed,
        Outcome::Failed,
        Outcome::TimedOut,
        Outcome::OutOfMemory,
        Outcome::NotStarted,
        Outcome::Aborted,
        Outcome::DependencyFailed,
        Outcome::Flaky,
        Outcome::Skipped,
    ];
    let of = |outcome| {
        let tests = results.tests.iter().filter(|test| test.outcome == outcome && !is_cached(test)).count();
        (tests, outcome_word(outcome))
    };
    let cached = results.tests.iter().filter(|test| is_cached(test)).count();
    let all = ORDER.into_iter().map(of).chain([(cached, CACHED)]);
    let told = all.filter(|(number, _)| *number > 0).map(|(number, words)| format!("{number} {words}"));
    told.collect::<Vec<_>>().join(", ")
}

/// `a, b, c + 12 more`
pub(super) fn names<'a>(all: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = all.len().saturating_sub(MAX_NAMES);
    let named: Vec<String> = all.take(MAX_NAMES).map(name).collect();
    let named = named.join(", ");
    if more > 0 { format!("{named} + {more} more") } else { named }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::two_hundred;

    #[test]
    fn what_is_cached_is_not_among_those_that_passed() {
        assert_eq!(
            counts(&two_hundred()),
            "150 passed, 10 failed, 5 timed out, 20 dependency failed, 5 flaky, 7 skipped, 3 cached (passed before, \
             nothing changed)"
        );
    }

    #[test]
    fn long_lists_of_names_are_cut_and_counted() {
        assert_eq!(names(["a", "b"].into_iter()), "a, b");
        assert_eq!(names(["a"; 18].into_iter()), "a, a, a, a, a, a + 12 more");
    }
}
