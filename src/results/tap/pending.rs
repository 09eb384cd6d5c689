//! Cases of a TAP document that are not settled yet: a later line may rename, judge or drop them.
//!
//! Owns the limits on them. What is not kept is only counted, by whoever pushes it.

use super::diagnostic::Diagnostic;
use crate::results::collect::text::{CappedText, clean_line};
use crate::results::collect::{ReadLimits, weight};
use crate::results::{Case, CaseStatus};

pub(super) struct Pending {
    cases: Vec<Case>,
    bytes: usize,
    limits: ReadLimits,
}

impl Pending {
    pub(super) const fn new(limits: ReadLimits) -> Self {
        Self { cases: Vec::new(), bytes: 0, limits }
    }

    pub(super) const fn len(&self) -> usize {
        self.cases.len()
    }

    /// Keeps a case while there is room, and says where.
    pub(super) fn push(&mut self, case: Case) -> Option<usize> {
        if self.cases.len() >= self.limits.max_cases || self.bytes >= self.limits.max_total_text {
            return None;
        }
        self.bytes += weight(&case);
        self.cases.push(case);
        Some(self.cases.len() - 1)
    }

    /// All cases, which leaves none.
    pub(super) fn take(&mut self) -> Vec<Case> {
        self.bytes = 0;
        std::mem::take(&mut self.cases)
    }

    pub(super) fn drop_from(&mut self, start: usize) {
        let dropped: usize = self.cases.drain(start.min(self.cases.len())..).map(|case| weight(&case)).sum();
        self.bytes = self.bytes.saturating_sub(dropped);
    }

    /// Puts the name of the test that they belong to before the names of subtests.
    pub(super) fn prefix_from(&mut self, start: usize, prefix: &str) {
        if prefix.is_empty() {
            return;
        }
        for case in self.cases.iter_mut().skip(start) {
            let name = clean_line(&format!("{prefix} > {}", case.name), self.limits.max_name);
            self.bytes = (self.bytes + name.len()).saturating_sub(case.name.len());
            case.name = name;
        }
    }

    /// Adds lines to the detail of a case that speaks against the image.
    pub(super) fn add_detail(&mut self, index: usize, text: &str) {
        let Some(case) = self.cases.get_mut(index).filter(|case| is_bad(case)) else { return };
        if self.bytes + text.len() > self.limits.max_total_text {
            return;
        }
        let mut detail = CappedText::with_room_for_a_note(self.limits.max_text);
        if let Some(earlier) = case.detail.take() {
            self.bytes = self.bytes.saturating_sub(earlier.len());
            detail.push(&earlier);
            detail.push("\n");
        }
        detail.push(text);
        case.detail = detail.finish();
        self.bytes += case.detail.as_ref().map_or(0, String::len);
    }

    /// Adds a YAML block.
    pub(super) fn add_diagnostic(&mut self, index: usize, text: &str) {
        let known = Diagnostic::parse(text);
        let limit = self.limits.max_name;
        if let Some(case) = self.cases.get_mut(index) {
            case.seconds = case.seconds.or(known.seconds);
            if is_bad(case) {
                let before = weight(case);
                case.kind = known.kind.map(|kind| clean_line(&kind, limit));
                case.file = known.file.map(|file| clean_line(&file, limit));
                case.line = known.line;
                case.message = case.message.take().or(known.message);
                self.bytes = (self.bytes + weight(case)).saturating_sub(before);
            }
        }
        self.add_detail(index, text);
    }
}

const fn is_bad(case: &Case) -> bool {
    matches!(case.status, CaseStatus::Failed | CaseStatus::Errored)
}
