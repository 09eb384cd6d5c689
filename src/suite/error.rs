//! What is wrong with a suite, and where it stands in the file.

use std::path::{Path, PathBuf};

use super::yaml::{Fault, Place};
use crate::error::{Category, Diagnose, excerpt, shown_line};

/// A docker-test.yaml that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}:{}: {problem}\n{}", path.display(), place.line, place.column, excerpt(place.line, place.column, source_line))]
pub struct SuiteError {
    path: PathBuf,
    place: Place,
    problem: String,
    source_line: String,
    hint: Option<String>,
}

impl SuiteError {
    pub(super) fn new(path: &Path, text: &str, fault: Fault) -> Self {
        Self {
            path: path.to_owned(),
            place: fault.place,
            problem: fault.problem,
            source_line: shown_line(text, fault.place.line),
            hint: fault.hint,
        }
    }

    /// The same, with texts of the file that its line must not show.
    pub(super) fn hiding<'a>(self, texts: impl Iterator<Item = &'a str>) -> Self {
        let mut source_line = self.source_line;
        for text in texts.flat_map(str::lines).map(str::trim).filter(|text| !text.is_empty()) {
            // As long as it was: the caret below stands at its place.
            source_line = source_line.replace(text, &"*".repeat(text.chars().count()));
        }
        Self { source_line, ..self }
    }

    /// Line and column.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// What is wrong, without place and line.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl Diagnose for SuiteError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}
