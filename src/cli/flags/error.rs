//! What can be wrong with a flag's value, said so that the user can mend it.
//!
//! Owns the wording that all flags share. Values of variables and build arguments never get in here: only their
//! names do.

use std::io;
use std::path::PathBuf;

use crate::error::{Category, Diagnose};

pub use crate::plan::syntax::Invalid;

impl Invalid {
    /// The error of `flag` (with its dashes), whose value was `value`.
    #[must_use]
    pub fn of(self, flag: &str, value: &str) -> FlagError {
        let (problem, hint) = self.into_parts();
        FlagError::new(flag, Problem::Value { value: value.to_owned(), problem, hint })
    }

    /// The error of `flag` where its value may be secret: only `name` is shown of it.
    #[must_use]
    pub fn of_secret(self, flag: &str, name: &str) -> FlagError {
        self.of(flag, &format!("{name}=…"))
    }

    /// The error of a combination of flags, of which `flag` is the one to look at.
    #[must_use]
    pub fn combination(self, flag: &str) -> FlagError {
        let (problem, hint) = self.into_parts();
        FlagError::new(flag, Problem::Combination { problem, hint })
    }
}

/// A flag whose value cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{flag}{}: {problem}", .set_by.as_ref().map(|origin| format!(" (set by {origin})")).unwrap_or_default())]
pub struct FlagError {
    flag: String,
    set_by: Option<String>,
    problem: Problem,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The value itself.
    #[error("invalid value `{value}`: {problem}")]
    Value {
        /// As written; only a name where it may be secret.
        value: String,
        /// What was found or expected.
        problem: String,
        /// What to write instead.
        hint: Option<String>,
    },
    /// A line of a file that the flag names.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The file, as written.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What was found or expected.
        problem: String,
    },
    /// A file that the flag names and that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file, as written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The value does not go together with another flag.
    #[error("{problem}")]
    Combination {
        /// Which flags, and why not.
        problem: String,
        /// What to write instead.
        hint: Option<String>,
    },
}

impl FlagError {
    /// An error of `flag`, which is written with its dashes.
    pub fn new(flag: impl Into<String>, problem: Problem) -> Self {
        Self { flag: flag.into(), set_by: None, problem }
    }

    /// The flag, with its dashes.
    #[must_use]
    pub fn flag(&self) -> &str {
        &self.flag
    }

    /// What is wrong with it.
    #[must_use]
    pub const fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Adds where the value came from, where that was not the command line.
    #[must_use]
    pub fn set_by(self, origin: Option<String>) -> Self {
        Self { set_by: origin, ..self }
    }
}

impl Diagnose for FlagError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        match &self.problem {
            Problem::Value { hint, .. } | Problem::Combination { hint, .. } => hint.clone(),
            Problem::Read { .. } => Some("a relative path starts at the current directory".to_owned()),
            Problem::Line { .. } => None,
        }
    }
}
