//! docker-test.yaml, as far as it gives flags their defaults: `version` and `defaults`.
//!
//! Owns the reading of these two, with the place of every key for errors. Knows no flag: the keys that may stand in
//! `defaults` are handed in, and what a value means is the flag's to say. The rest of the file is left to the suite.

mod document;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use crate::error::nearest;
use crate::error::{Category, Diagnose, excerpt, shown_line};
use crate::input;
use crate::suite::MAX_BYTES;
use document::{Document, Fault};

/// The suite stands in the same file.
const LARGEST: u64 = MAX_BYTES as u64;

/// What the file says about flags. Values may be secret, so debug output shows keys alone.
pub struct Settings {
    path: PathBuf,
    text: String,
    document: Document,
}

impl Settings {
    /// Reads `path`. `keys` are those that `defaults` may have. `None` where there is no such file.
    pub fn load(path: &Path, keys: &[String]) -> Result<Option<Self>, SettingsError> {
        match input::read(path, LARGEST) {
            Ok(bytes) => Self::parse(path, bytes, keys).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SettingsError::Read { path: path.to_owned(), source }),
        }
    }

    fn parse(path: &Path, bytes: Vec<u8>, keys: &[String]) -> Result<Self, SettingsError> {
        let text = String::from_utf8(bytes).map_err(|error| SettingsError::Read {
            path: path.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()),
        })?;
        // Editors of other systems begin a file with it; it is no part of the text.
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        match document::read(&text, keys) {
            Ok(document) => Ok(Self { path: path.to_owned(), text, document }),
            Err(fault) => Err(SettingsError::invalid(path, &text, fault)),
        }
    }

    /// Settings in which `more` stands above what `base` says: the options of one test of the suite at `path`.
    #[must_use]
    pub fn with_options(base: Option<&Self>, path: &Path, more: &[(String, Vec<String>)]) -> Self {
        let mut defaults = base.map(|base| base.document.defaults.clone()).unwrap_or_default();
        for (key, values) in more {
            defaults.retain(|(known, _)| known != key);
            defaults.push((key.clone(), values.clone()));
        }
        let text = base.map(|base| base.text.clone()).unwrap_or_default();
        Self { path: path.to_owned(), text, document: Document { defaults } }
    }

    /// The values of a key of `defaults`, as text: one for a scalar, one an item for a list, `NAME=value` for a
    /// mapping. `None` where the key is absent or empty.
    #[must_use]
    pub fn values(&self, key: &str) -> Option<&[String]> {
        self.document.defaults.iter().find(|(known, _)| known == key).map(|(_, values)| &**values)
    }

    /// Where a key of `defaults` stands, for people: `docker-test.yaml:3:5: timeout`.
    #[must_use]
    pub fn place(&self, key: &str) -> String {
        match document::locate(&self.text, key) {
            Some((line, column)) => format!("{}:{line}:{column}: {key}", self.path.display()),
            None => format!("{}: {key}", self.path.display()),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.document.defaults.iter().map(|(key, _)| key.as_str()).collect();
        f.debug_struct("Settings").field("path", &self.path).field("defaults", &keys).finish_non_exhaustive()
    }
}

/// The settings file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It is there and cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not YAML, or says something that it must not.
    #[error("{}:{line}:{column}: {problem}\n{}", path.display(), excerpt(*line, *column, source_line))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What is wrong.
        problem: String,
        /// The line, unless it names a secret.
        source_line: String,
        /// What to write instead.
        hint: Option<String>,
    },
}

impl SettingsError {
    fn invalid(path: &Path, text: &str, fault: Fault) -> Self {
        Self::Invalid {
            path: path.to_owned(),
            line: fault.line,
            column: fault.column,
            problem: fault.problem,
            source_line: shown_line(text, fault.line),
            hint: fault.hint,
        }
    }
}

impl Diagnose for SettingsError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => {
                Some("it has to be a regular file of UTF-8 text, with read permission".to_owned())
            }
            Self::Invalid { hint, .. } => hint.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
