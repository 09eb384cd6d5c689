//! A run of test lines of one indent: its plan, its numbers, its counts, and the ways in which it contradicts itself.
//!
//! Owns the bookkeeping of one level. How levels follow each other is the document's matter.

use std::collections::HashSet;

use super::line::Point;
use crate::results::collect::{count, sum};
use crate::results::{CaseCounts, CaseStatus};

/// Test numbers of one level that are remembered, to see one that comes twice.
const NUMBER_LIMIT: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Level {
    pub(super) indent: usize,
    pub(super) plan: Option<u64>,
    plans: u32,
    /// The reason where the plan says SKIP.
    pub(super) skip: Option<String>,
    pub(super) points: u64,
    numbers: HashSet<u64>,
    repeated: Option<u64>,
    pub(super) tally: Tally,
    /// From `# Subtest:`, for subtests that are never summed up.
    pub(super) name: Option<String>,
    /// The line that opened a `{` block: it stands before the subtests that it sums up.
    pub(super) opener: Option<Point>,
    /// Subtests that ended and wait for the line that sums them up.
    pub(super) child: Option<Tally>,
    pub(super) child_name: Option<String>,
}

/// The cases of a level: kept ones are pending from `start` on, the others are only counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) start: usize,
    pub(super) counts: CaseCounts,
    pub(super) unkept: CaseCounts,
}

impl Tally {
    pub(super) const fn add(&mut self, status: CaseStatus, is_kept: bool) {
        count(&mut self.counts, status, 1);
        if !is_kept {
            count(&mut self.unkept, status, 1);
        }
    }

    /// Both, from where this one starts.
    pub(super) const fn merged(self, other: Self) -> Self {
        Self {
            start: self.start,
            counts: sum(self.counts, other.counts),
            unkept: sum(self.unkept, other.unkept),
        }
    }
}

impl Level {
    pub(super) fn new(indent: usize, tally: Tally, name: Option<String>, child: Option<Tally>) -> Self {
        Self { indent, tally, name, child, ..Self::default() }
    }

    /// Whether as many tests came as were planned, and some did.
    pub(super) fn is_complete(&self) -> bool {
        self.points > 0 && self.plan == Some(self.points)
    }

    pub(super) fn add_plan(&mut self, tests: u64, skip: Option<String>) {
        self.plans = self.plans.saturating_add(1);
        self.plan = Some(tests);
        self.skip = skip;
    }

    pub(super) fn add_number(&mut self, number: Option<u64>) {
        self.points = self.points.saturating_add(1);
        if let Some(number) = number
            && self.numbers.len() < NUMBER_LIMIT
            && !self.numbers.insert(number)
        {
            self.repeated.get_or_insert(number);
        }
    }

    /// What was promised and not kept. Subtests need no plan of their own: a line sums them up.
    pub(super) fn problems(&self, needs_plan: bool) -> Vec<String> {
        let mut problems = Vec::new();
        match self.plan {
            Some(plan) if plan != self.points => {
                problems.push(format!("planned {plan}, ran {}", self.points));
            }
            None if needs_plan => {
                problems.push(format!("no plan after {} tests: the test may have ended early", self.points));
            }
            _ => {}
        }
        if let Some(number) = self.repeated {
            problems.push(format!("number {number} came more than once"));
        }
        if self.plans > 1 {
            problems.push(format!("{} plans", self.plans));
        }
        problems
    }
}
