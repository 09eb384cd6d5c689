//! How much of a large run the page shows, so that it stays one that a browser opens at once.
//!
//! Owns limits that shrink with the number of things that share them. What is left out is counted on the page; all of it
//! is in the JSON report and in the log files.

use crate::report::text::{head, printable, printable_lines, strip_ansi};
use crate::report::wording::is_bad;
use crate::results::{Attempt, CaseStatus, RunResults};

/// Bytes that all log tails of failed attempts share, and those of good ones.
const BAD_LOGS: usize = 512 << 10;
const GOOD_LOGS: usize = 128 << 10;

/// Bytes that the texts of all failed cases share.
const CASE_TEXTS: usize = 512 << 10;

/// Cases that are listed by name.
const CASES: usize = 20_000;

/// Files that are listed by name.
const FILES: usize = 5_000;

/// What one attempt, or one case of it, may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    pub(super) bad_log: usize,
    pub(super) good_log: usize,
    pub(super) case_text: usize,
    pub(super) cases: usize,
    pub(super) files: usize,
}

impl Budget {
    pub(super) fn of(results: &RunResults) -> Self {
        let attempts = || results.tests.iter().flat_map(|test| &test.attempts);
        let all = attempts().count();
        let bad = attempts().filter(|attempt| is_bad(attempt.outcome)).count();
        let bad_cases = attempts().map(bad_cases).sum::<usize>().min(CASES);
        let share = |total: usize, by: usize, least, most| (total / by.max(1)).clamp(least, most);
        Self {
            bad_log: share(BAD_LOGS, bad + results.services.len(), 1 << 10, 64 << 10),
            good_log: share(GOOD_LOGS, all - bad, 128, 8 << 10),
            case_text: share(CASE_TEXTS, bad_cases * 2, 256, 16 << 10),
            cases: share(CASES, all, 20, CASES),
            files: share(FILES, all, 5, 200),
        }
    }

    pub(super) const fn log(&self, bad: bool) -> usize {
        if bad { self.bad_log } else { self.good_log }
    }
}

fn bad_cases(attempt: &Attempt) -> usize {
    let cases = attempt.suites.iter().flat_map(|suite| &suite.cases);
    cases.filter(|case| matches!(case.status, CaseStatus::Failed | CaseStatus::Errored)).count()
}

/// One line, printable and not endless: names are shown whole unless they are absurd.
pub(super) fn line(text: &str) -> String {
    let text = printable(text);
    if text.len() <= 1000 { text.into_owned() } else { head(&text, 1000).replace('\n', " ") }
}

/// The beginning of a text of several lines.
pub(super) fn beginning(text: &str, limit: usize) -> Option<String> {
    let text = strip_ansi(text);
    let text = text.trim_end();
    (!text.trim().is_empty()).then(|| join(&head(text, limit)))
}

/// The end of a log: what was said last is mostly the reason.
pub(super) fn end(text: &str, limit: usize) -> Option<String> {
    let text = strip_ansi(text);
    let text = text.trim_end();
    if text.trim().is_empty() {
        return None;
    }
    if text.len() <= limit {
        return Some(join(text));
    }
    let from = text.ceil_char_boundary(text.len() - limit);
    let kept = text.get(from..).unwrap_or_default();
    // A line that is cut in front misleads, unless it is all there is.
    let kept = kept.split_once('\n').map_or(kept, |(_, rest)| rest);
    Some(format!("… {} bytes before this\n{}", text.len() - kept.len(), join(kept)))
}

fn join(text: &str) -> String {
    let lines: Vec<_> = printable_lines(text).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{attempt, failing, run, test};
    use crate::results::Outcome;

    #[test]
    fn one_test_shows_all_and_a_thousand_share() {
        let alone = Budget::of(&failing());
        assert_eq!((alone.bad_log, alone.cases), (64 << 10, 20_000));
        let many = (0..1000).map(|number| {
            test(&number.to_string(), Outcome::Failed, None, vec![attempt(1, Outcome::Failed, Vec::new())])
        });
        let budget = Budget::of(&run(many.collect()));
        assert_eq!((budget.bad_log, budget.cases, budget.files), (1024, 20, 5));
    }

    #[test]
    fn the_end_of_a_log_begins_with_a_whole_line_and_says_what_is_missing() {
        assert_eq!(end("one\ntwo\nthree\n", 9).as_deref(), Some("… 8 bytes before this\nthree"));
        assert_eq!(end("ééé", 3).as_deref(), Some("… 4 bytes before this\né"));
        assert_eq!(end(" \n", 9), None);
        assert_eq!(end("\u{1b}[31mred\u{1b}[0m\u{0}\n", 9).as_deref(), Some("red\\u{0}"));
    }
}
