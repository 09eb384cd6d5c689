//! Tests that have no verdict of their own, by what they were without.
//!
//! Owns the way from such a test to the service or test that failed first. Renders nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::results::{Cause, Outcome, RunResults, TestResult};

/// What tests were without, and which.
#[derive(Debug, PartialEq)]
pub(in crate::report) struct Lost<'a> {
    /// The service or test that failed.
    pub(in crate::report) name: &'a str,
    /// What became of it, and what it said last.
    pub(in crate::report) message: &'a str,
    pub(in crate::report) log_tail: &'a str,
    /// Tests that did not run.
    pub(in crate::report) not_run: Vec<&'a str>,
    /// Tests that ran when it failed.
    pub(in crate::report) cut_short: Vec<&'a str>,
}

/// What `test` was without, where that is why it has no verdict.
pub(in crate::report) fn needed(test: &TestResult) -> Option<&str> {
    match &test.cause {
        Some(Cause::DependencyFailed { service, .. }) if test.outcome == Outcome::DependencyFailed => {
            Some(service)
        }
        _ => None,
    }
}

/// Everything that tests were without, in the order in which they say so. What was not run itself because of a third
/// stands under that one.
pub(in crate::report) fn of(results: &RunResults) -> Vec<Lost<'_>> {
    let lacking = results.tests.iter().filter(|test| needed(test).is_some());
    let by_name: BTreeMap<&str, &TestResult> =
        lacking.clone().map(|test| (test.name.as_str(), test)).collect();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut all: Vec<Lost<'_>> = Vec::new();
    for test in lacking {
        let Some(Cause::DependencyFailed { service, message, log_tail }) = &first(test, &by_name).cause
        else {
            continue;
        };
        let place = *places.entry(service).or_insert_with(|| {
            let (not_run, cut_short) = (Vec::new(), Vec::new());
            all.push(Lost { name: service, message, log_tail, not_run, cut_short });
            all.len() - 1
        });
        let Some(lost) = all.get_mut(place) else { continue };
        let tests = if test.attempts.is_empty() { &mut lost.not_run } else { &mut lost.cut_short };
        tests.push(&test.name);
    }
    all
}

/// The last of those that `test` waited for in vain. Names may form a ring in a document that was edited.
fn first<'a>(test: &'a TestResult, by_name: &BTreeMap<&str, &'a TestResult>) -> &'a TestResult {
    let mut seen = BTreeSet::from([test.name.as_str()]);
    let mut at = test;
    while let Some(next) =
        needed(at).and_then(|name| by_name.get(name)).filter(|next| seen.insert(&next.name))
    {
        at = next;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{attempt, lacking, run};

    #[test]
    fn tests_stand_under_what_failed_first() {
        let mut cut = lacking("d", "db");
        cut.attempts = vec![attempt(1, Outcome::Failed, Vec::new())];
        let results = run(vec![lacking("a", "b"), lacking("b", "db"), lacking("c", "x"), cut]);
        let found = of(&results);
        let names: Vec<_> = found.iter().map(|lost| (lost.name, lost.not_run.clone())).collect();
        assert_eq!(names, [("db", vec!["a", "b"]), ("x", vec!["c"])]);
        assert_eq!(found[0].cut_short, ["d"]);
    }

    #[test]
    fn a_ring_of_names_comes_to_an_end() {
        let results = run(vec![lacking("a", "b"), lacking("b", "a"), lacking("c", "c")]);
        let all: usize = of(&results).iter().map(|lost| lost.not_run.len()).sum();
        assert_eq!(all, 3);
    }
}
