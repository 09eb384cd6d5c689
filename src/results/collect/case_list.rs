//! Cases gathered from reports, with a cap on what is kept and none on what is counted.
//!
//! Owns the two budgets (number of cases, bytes of text). Half of the bytes are reserved for cases that speak against
//! the image, so that a flood of output from passing cases cannot push a failure's text out.

use serde::Serialize;

use super::ReadLimits;
use crate::results::{Case, CaseCounts, CaseStatus, CaseSuite};

/// What reports held: suites within the limits, and counts over everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CaseList {
    /// Suites that hold at least one kept case, in the order of their first one.
    pub suites: Vec<CaseSuite>,
    /// Counts over all cases, kept or not.
    pub counts: CaseCounts,
    /// Cases that were counted but not kept, because the limits were reached.
    pub omitted: u64,
    #[serde(skip)]
    kept: usize,
    #[serde(skip)]
    kept_bytes: usize,
    #[serde(skip)]
    limits: ReadLimits,
}

/// Where the cases of one suite go; made on the suite's first kept case.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SuiteSlot(Option<usize>);

impl CaseList {
    /// An empty list under `limits`.
    #[must_use]
    pub fn new(limits: ReadLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The limits that the list was made with.
    #[must_use]
    pub const fn limits(&self) -> ReadLimits {
        self.limits
    }

    /// Counts `case`, and keeps it while there is room.
    pub(crate) fn push(&mut self, slot: &mut SuiteSlot, suite: &str, source: &str, mut case: Case) {
        count(&mut self.counts, case.status, 1);
        if self.kept >= self.limits.max_cases {
            self.omitted += 1;
            return;
        }
        let room = self.room_for(case.status);
        if weight(&case) > room {
            case.stdout = None;
            case.stderr = None;
        }
        if weight(&case) > room {
            self.omitted += 1;
            return;
        }
        self.kept += 1;
        self.kept_bytes += weight(&case);
        let index = *slot.0.get_or_insert_with(|| {
            self.suites.push(CaseSuite {
                name: suite.to_owned(),
                source: source.to_owned(),
                cases: Vec::new(),
            });
            self.suites.len() - 1
        });
        if let Some(suite) = self.suites.get_mut(index) {
            suite.cases.push(case);
        }
    }

    /// Counts cases that were met elsewhere and not kept there.
    pub(crate) fn add_omitted(&mut self, counts: CaseCounts) {
        self.counts = sum(self.counts, counts);
        self.omitted += counts.total();
    }

    fn room_for(&self, status: CaseStatus) -> usize {
        let bad = matches!(status, CaseStatus::Failed | CaseStatus::Errored);
        let budget = if bad { self.limits.max_total_text } else { self.limits.max_total_text / 2 };
        budget.saturating_sub(self.kept_bytes)
    }
}

/// Bytes of text that a case holds.
pub(crate) fn weight(case: &Case) -> usize {
    let texts =
        [&case.class, &case.message, &case.kind, &case.detail, &case.stdout, &case.stderr, &case.file];
    case.name.len() + texts.iter().filter_map(|text| text.as_ref()).map(String::len).sum::<usize>()
}

/// Adds `number` cases of one status.
pub(crate) const fn count(counts: &mut CaseCounts, status: CaseStatus, number: u64) {
    let field = match status {
        CaseStatus::Passed => &mut counts.passed,
        CaseStatus::Failed => &mut counts.failed,
        CaseStatus::Errored => &mut counts.errored,
        CaseStatus::Skipped => &mut counts.skipped,
    };
    *field = field.saturating_add(number);
}

/// Both together.
pub(crate) const fn sum(left: CaseCounts, right: CaseCounts) -> CaseCounts {
    CaseCounts {
        passed: left.passed.saturating_add(right.passed),
        failed: left.failed.saturating_add(right.failed),
        errored: left.errored.saturating_add(right.errored),
        skipped: left.skipped.saturating_add(right.skipped),
    }
}

/// A case with a name and a status and nothing else.
pub(crate) const fn bare_case(name: String, status: CaseStatus) -> Case {
    Case {
        name,
        class: None,
        status,
        seconds: None,
        message: None,
        kind: None,
        detail: None,
        stdout: None,
        stderr: None,
        file: None,
        line: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(max_cases: usize, max_total_text: usize) -> ReadLimits {
        ReadLimits { max_cases, max_total_text, ..ReadLimits::default() }
    }

    #[test]
    fn counts_stay_right_beyond_the_number_that_is_kept() {
        let mut list = CaseList::new(limits(2, 1000));
        let mut slot = SuiteSlot::default();
        for status in [CaseStatus::Passed, CaseStatus::Failed, CaseStatus::Failed, CaseStatus::Skipped] {
            list.push(&mut slot, "s", "f", bare_case("c".into(), status));
        }
        assert_eq!(list.counts, CaseCounts { passed: 1, failed: 2, errored: 0, skipped: 1 });
        assert_eq!((list.suites[0].cases.len(), list.omitted), (2, 2));
    }

    #[test]
    fn output_of_passing_cases_leaves_room_for_a_failure() {
        let mut list = CaseList::new(limits(1000, 200));
        let mut slot = SuiteSlot::default();
        for _ in 0..500 {
            list.push(&mut slot, "s", "f", bare_case("passing".into(), CaseStatus::Passed));
        }
        list.push(&mut slot, "s", "f", bare_case("failing".into(), CaseStatus::Failed));
        assert_eq!(list.counts.total(), 501);
        assert_eq!(list.suites[0].cases.last().map(|case| case.name.as_str()), Some("failing"));
        assert!(list.kept_bytes <= 200);
    }

    #[test]
    fn a_case_loses_its_output_before_it_is_left_out() {
        let mut list = CaseList::new(limits(10, 200));
        let noisy = Case { stdout: Some("x".repeat(500)), ..bare_case("noisy".into(), CaseStatus::Failed) };
        list.push(&mut SuiteSlot::default(), "s", "f", noisy);
        assert_eq!(list.suites[0].cases[0].stdout, None);
        assert_eq!(list.omitted, 0);
    }

    #[test]
    fn a_suite_that_is_returned_to_is_not_split() {
        let mut list = CaseList::new(ReadLimits::default());
        let (mut outer, mut inner) = (SuiteSlot::default(), SuiteSlot::default());
        list.push(&mut outer, "outer", "f", bare_case("1".into(), CaseStatus::Passed));
        list.push(&mut inner, "inner", "f", bare_case("2".into(), CaseStatus::Passed));
        list.push(&mut outer, "outer", "f", bare_case("3".into(), CaseStatus::Passed));
        let sizes: Vec<_> =
            list.suites.iter().map(|suite| (suite.name.as_str(), suite.cases.len())).collect();
        assert_eq!(sizes, [("outer", 2), ("inner", 1)]);
    }
}
