//! How bad what is.
//!
//! Owns the table of types and subjects. What somebody set goes before it.

use std::collections::BTreeMap;

use super::{Severity, Subject};

/// How bad what is, as far as it was set; the rest is as usual.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Severities {
    /// Of a failing target, by the probe's type, in lower case.
    pub of_types: BTreeMap<String, Severity>,
    /// Of a subject, whatever the probe's type.
    pub of_subjects: BTreeMap<Subject, Severity>,
}

impl Severities {
    /// How bad it is when this subject of a probe of this type is bad.
    #[must_use]
    pub fn of(&self, subject: Subject, kind: &str) -> Severity {
        if let Some(severity) = self.of_subjects.get(&subject) {
            return *severity;
        }
        match subject {
            Subject::Target => {
                let kind = kind.to_lowercase();
                self.of_types.get(&kind).copied().unwrap_or_else(|| of_type(&kind))
            }
            Subject::Degraded | Subject::Cleanup => Severity::Warning,
            Subject::Harness | Subject::NoNews | Subject::Sink => Severity::Error,
            Subject::Engine => Severity::Critical,
        }
    }
}

fn of_type(kind: &str) -> Severity {
    match kind {
        "integration" => Severity::Critical,
        "performance" | "chaos" => Severity::Warning,
        // Security, and what nobody has named a severity for.
        _ => Severity::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_target_is_as_bad_as_its_type_says() {
        let of = |kind| Severities::default().of(Subject::Target, kind);
        assert_eq!(
            ["integration", "performance", "security", "chaos", "own"].map(of),
            [Severity::Critical, Severity::Warning, Severity::Error, Severity::Warning, Severity::Error]
        );
        assert_eq!(of("Integration"), Severity::Critical);
    }

    #[test]
    fn what_was_set_goes_before_the_table() {
        let severities = Severities {
            of_types: [("chaos".to_owned(), Severity::Critical)].into(),
            of_subjects: [(Subject::Cleanup, Severity::Info)].into(),
        };
        assert_eq!(severities.of(Subject::Target, "chaos"), Severity::Critical);
        assert_eq!(severities.of(Subject::Degraded, "chaos"), Severity::Warning);
        assert_eq!(severities.of(Subject::Cleanup, "integration"), Severity::Info);
    }
}
