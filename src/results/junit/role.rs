//! What an element means, by its name and by what it stands in.
//!
//! Owns the vocabulary of JUnit writers. An element that is not known here is read over, with all that is in it.

use crate::results::CaseStatus;

/// What an open element means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Root,
    Suite,
    Case,
    /// `<failure>` or `<error>` of a case.
    Verdict(CaseStatus),
    /// `<failure>` or `<error>` of a suite.
    SuiteVerdict,
    Skip,
    Flaky,
    Stdout,
    Stderr,
    /// `<stackTrace>` in one of the above: its text belongs to the parent.
    Inner,
    Ignored,
}

impl Role {
    /// A root element; `None` where the document is no report.
    pub(super) fn of_root(name: &[u8]) -> Option<Self> {
        match name {
            b"testsuites" => Some(Self::Root),
            b"testsuite" => Some(Self::Suite),
            _ => None,
        }
    }

    /// An element in one of this role.
    pub(super) fn of_child(self, name: &[u8]) -> Self {
        match (self, name) {
            (Self::Root | Self::Suite, b"testsuite") => Self::Suite,
            (Self::Root | Self::Suite, b"testcase") => Self::Case,
            (Self::Root | Self::Suite, b"failure" | b"error") => Self::SuiteVerdict,
            (Self::Case, b"failure") => Self::Verdict(CaseStatus::Failed),
            (Self::Case, b"error") => Self::Verdict(CaseStatus::Errored),
            (Self::Case, b"skipped" | b"ignored" | b"disabled") => Self::Skip,
            (Self::Case, b"flakyFailure" | b"flakyError") => Self::Flaky,
            (Self::Case, b"system-out") => Self::Stdout,
            (Self::Case, b"system-err") => Self::Stderr,
            (Self::Verdict(_) | Self::SuiteVerdict | Self::Flaky | Self::Inner, b"stackTrace") => Self::Inner,
            _ => Self::Ignored,
        }
    }

    /// Whether the text in it is kept.
    pub(super) const fn has_text(self) -> bool {
        !matches!(self, Self::Root | Self::Suite | Self::Case | Self::Ignored)
    }
}
