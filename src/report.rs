//! Turns results into bytes, and events into what a terminal or a program reads.
//!
//! Owns the table of formats, the wording of outcomes and causes, the summary and the progress displays. Exporters
//! are pure: [`sink`] alone writes files. Never changes an outcome and never looks at the environment.

mod dependents;
pub mod github;
pub mod gitlab;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod progress;
pub mod redaction;
pub mod sink;
pub mod style;
pub mod summary;
pub mod tap;
pub mod text;
mod totals;
pub mod wording;

use std::io::{self, Write};
use std::path::Path;

use crate::error::{Category, Diagnose};
use crate::results::RunResults;

pub use sink::{Destination, ReportError, ReportRequest, ReportSink};
pub use style::Style;

/// A format that results can be written in.
pub trait Exporter: Sync {
    /// The word before `=` in `--report FORMAT=PATH`.
    fn name(&self) -> &'static str;

    /// What it is for, in a few words, for `--help`.
    fn describe(&self) -> &'static str;

    /// Writes the whole document.
    fn export(&self, results: &RunResults, out: &mut dyn Write) -> Result<(), ExportError>;

    /// As [`Exporter::export`], for a document that will be the file `path`: formats with links lead to files beside it.
    fn export_at(&self, results: &RunResults, path: &Path, out: &mut dyn Write) -> Result<(), ExportError> {
        let _ = path;
        self.export(results, out)
    }
}

/// Every format. A new one is one file and one row here.
pub static EXPORTERS: &[&dyn Exporter] = &[
    &junit::Junit,
    &json::Json,
    &markdown::Markdown,
    &github::Annotations,
    &html::Html,
    &tap::Tap,
    &gitlab::CodeQuality,
];

/// The exporter of that name.
pub fn find(name: &str) -> Result<&'static dyn Exporter, UnknownFormat> {
    let known = EXPORTERS.iter().find(|exporter| exporter.name().eq_ignore_ascii_case(name));
    known.copied().ok_or_else(|| {
        let lower = name.to_ascii_lowercase();
        let nearest = EXPORTERS
            .iter()
            .map(|exporter| (strsim::damerau_levenshtein(&lower, exporter.name()), exporter.name()))
            .filter(|(distance, known)| *distance <= known.len() / 2)
            .min();
        UnknownFormat {
            name: name.to_owned(),
            nearest: nearest.map(|(_, known)| known),
            available: EXPORTERS.iter().map(|exporter| exporter.name()).collect(),
        }
    })
}

/// A report format that is not in the table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown report format `{}`", text::printable(name))]
pub struct UnknownFormat {
    /// As the user wrote it.
    pub name: String,
    /// A known one that looks alike.
    pub nearest: Option<&'static str>,
    /// All of them.
    pub available: Vec<&'static str>,
}

impl Diagnose for UnknownFormat {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        let available = self.available.join(", ");
        Some(match self.nearest {
            Some(nearest) => format!("did you mean `{nearest}`? There are: {available}"),
            None => format!("there are: {available}"),
        })
    }
}

/// A document that could not be made or handed over.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The writer failed.
    #[error("cannot write the {format} report")]
    Write {
        /// Which exporter.
        format: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The results cannot be expressed in the format.
    #[error("cannot express the results as {format}: {message}")]
    Encode {
        /// Which exporter.
        format: &'static str,
        /// Why.
        message: String,
    },
}

impl ExportError {
    /// True where the reader of the report went away.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl Diagnose for ExportError {
    fn category(&self) -> Category {
        match self {
            Self::Write { .. } => Category::Environment,
            Self::Encode { .. } => Category::Internal,
        }
    }
}

#[cfg(test)]
pub(crate) mod fixtures;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_found_by_its_name_in_any_case() {
        for exporter in EXPORTERS {
            assert_eq!(find(exporter.name()).unwrap().name(), exporter.name());
            assert_eq!(find(&exporter.name().to_uppercase()).unwrap().name(), exporter.name());
            assert!(!exporter.describe().is_empty());
        }
    }

    #[test]
    fn a_flaky_test_that_counts_as_failed_is_a_failure_to_every_machine() {
        let text = |format: &str, fails: bool| {
            let mut results = fixtures::flaky();
            results.tests[0].flaky_fails = fails;
            let mut bytes = Vec::new();
            find(format).unwrap().export(&results, &mut bytes).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        let counted = "passed on attempt 2 only, which counts as failed in this run";
        for (format, sign) in [
            ("junit", "failures=\"1\""),
            ("tap", "\nnot ok 1 - shop:1.4\n"),
            ("github", "::error title=shop%3A1.4::passed on attempt 2 only, which counts"),
            ("gitlab", "\"severity\": \"major\""),
            ("json", "\"flaky_fails\": true"),
        ] {
            let (fails, passes) = (text(format, true), text(format, false));
            assert!(fails.contains(sign), "{format}: {fails}");
            assert!(!passes.contains(sign), "{format}: {passes}");
            assert!(matches!(format, "tap" | "json") || fails.contains(counted), "{format}: {fails}");
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_answered_with_the_nearest_format() {
        let error = find("junti").err().unwrap();
        assert_eq!(error.nearest, Some("junit"));
        assert_eq!(error.to_string(), "unknown report format `junti`");
        assert!(error.hint().unwrap().starts_with("did you mean `junit`?"));
    }

    #[test]
    fn a_name_that_resembles_none_gets_the_list_alone() {
        let error = find("spreadsheet").err().unwrap();
        assert_eq!(error.nearest, None);
        assert!(error.hint().unwrap().contains("junit, json, markdown, github"));
    }
}
