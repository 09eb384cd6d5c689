//! Cases as the page lists them: failed ones with all they say, the others by name.

use serde::Serialize;

use super::budget::{Budget, beginning, line};
use crate::report::wording::{case_counts, count, duration};
use crate::results::{Attempt, Case, CaseCounts, CaseStatus, CaseSuite};

/// Passing lists up to this length are shown unfolded.
const FEW: usize = 6;

/// A suite of an attempt.
#[derive(Debug, Serialize)]
pub(super) struct Suite {
    name: String,
    source: Option<String>,
    bad: Vec<BadCase>,
    good: Vec<GoodCase>,
    good_counts: String,
    few: bool,
}

#[derive(Debug, Serialize)]
struct BadCase {
    status: &'static str,
    name: String,
    class: Option<String>,
    duration: Option<String>,
    place: Option<String>,
    message: Option<String>,
    detail: Option<String>,
    stdout: Option<String>,
    stderr: Option<String>,
}

#[derive(Debug, Serialize)]
struct GoodCase {
    status: &'static str,
    name: String,
    class: Option<String>,
    duration: Option<String>,
    message: Option<String>,
}

/// The suites of an attempt, and a sentence about what is not listed. Of an attempt that did not decide, only what
/// failed is of interest.
pub(super) fn of(attempt: &Attempt, decided: bool, budget: &Budget) -> (Vec<Suite>, Option<String>) {
    let mut room = budget.cases;
    let mut listed = 0;
    let mut suites = Vec::new();
    for written in &attempt.suites {
        let suite = suite_of(written, decided, &mut room, budget);
        listed += suite.bad.len() + suite.good.len();
        if !suite.bad.is_empty() || !suite.good.is_empty() {
            suites.push(suite);
        }
    }
    // More may have been counted than the reader of a huge report kept.
    let missing = attempt.cases.total().saturating_sub(listed as u64);
    let left_out = (missing > 0).then(|| format!("{} not listed here", count(missing, "more case")));
    (suites, left_out)
}

fn is_bad(case: &Case) -> bool {
    matches!(case.status, CaseStatus::Failed | CaseStatus::Errored)
}

fn suite_of(suite: &CaseSuite, decided: bool, room: &mut usize, budget: &Budget) -> Suite {
    let bad: Vec<BadCase> = suite
        .cases
        .iter()
        .filter(|case| is_bad(case))
        .take(*room)
        .map(|case| bad_case(case, budget))
        .collect();
    *room -= bad.len();
    let good = suite.cases.iter().filter(|case| decided && !is_bad(case));
    let good: Vec<GoodCase> = good.take(*room).map(good_case).collect();
    *room -= good.len();
    let of_status = |status| suite.cases.iter().filter(|case| case.status == status).count() as u64;
    let counts = CaseCounts {
        passed: of_status(CaseStatus::Passed),
        skipped: of_status(CaseStatus::Skipped),
        ..CaseCounts::default()
    };
    let blank = suite.name.trim().is_empty();
    let (name, source) = if blank { (&suite.source, None) } else { (&suite.name, Some(line(&suite.source))) };
    Suite {
        name: line(name),
        source: source.filter(|source| !source.is_empty()),
        few: good.len() <= FEW,
        bad,
        good,
        good_counts: case_counts(counts),
    }
}

fn bad_case(case: &Case, budget: &Budget) -> BadCase {
    let text = |text: &Option<String>| text.as_deref().and_then(|text| beginning(text, budget.case_text));
    let message = text(&case.message);
    let detail = text(&case.detail);
    // Frameworks repeat the message as the first line of the detail, and some as all of it.
    let repeated = message.as_ref().is_some_and(|message| detail.as_ref() == Some(message));
    BadCase {
        status: if case.status == CaseStatus::Errored { "error" } else { "failed" },
        name: line(&case.name),
        class: name_of_class(case),
        duration: case.seconds.map(duration),
        place: case.file.as_deref().map(|file| {
            line(&case.line.map_or_else(|| file.to_owned(), |number| format!("{file}:{number}")))
        }),
        message,
        detail: detail.filter(|_| !repeated),
        stdout: text(&case.stdout),
        stderr: text(&case.stderr),
    }
}

fn name_of_class(case: &Case) -> Option<String> {
    case.class.as_deref().map(line).filter(|class| !class.trim().is_empty())
}

fn good_case(case: &Case) -> GoodCase {
    GoodCase {
        status: if case.status == CaseStatus::Skipped { "skipped" } else { "passed" },
        name: line(&case.name),
        class: name_of_class(case),
        duration: case.seconds.map(duration),
        message: case.message.as_deref().map(line).filter(|message| !message.trim().is_empty()),
    }
}
