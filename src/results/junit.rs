//! Reads JUnit XML as test tools really write it.
//!
//! Owns the mapping from elements to [`CaseSuite`](crate::results::CaseSuite)s, in constant memory: what is beyond a
//! limit is counted and read over. Refuses what is not JUnit and what is not well-formed, naming line and offset; cases
//! read before the fault are kept. Never fetches, includes or expands anything that a document asks for.

mod attributes;
mod case;
mod encoding;
mod report;
mod role;
mod token;

#[cfg(test)]
mod tests;

use std::io::{self, BufRead};

use crate::error::{Category, Diagnose};
use crate::results::collect::{CaseList, ReadLimits};

/// Why a JUnit file could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum JunitError {
    /// The file cannot be read.
    #[error("cannot read the report {file}")]
    Read {
        /// The file, relative to the results directory.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The declared encoding is not one that is supported.
    #[error("cannot read the report {file}: its encoding {encoding:?} is not supported")]
    Encoding {
        /// The file, relative to the results directory.
        file: String,
        /// The name that the file declares.
        encoding: String,
    },
    /// The root element is another one.
    #[error("{file} is not a JUnit report: its root element is <{root}>")]
    NotJunit {
        /// The file, relative to the results directory.
        file: String,
        /// Name of the root element; empty where there is none.
        root: String,
    },
    /// The file is cut short or not well-formed.
    #[error("the report {file} is broken at line {line} (byte {offset}): {reason}")]
    Malformed {
        /// The file, relative to the results directory.
        file: String,
        /// Line, counted from 1.
        line: u64,
        /// Offset in bytes, as UTF-8.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
}

impl Diagnose for JunitError {
    fn category(&self) -> Category {
        match self {
            Self::Read { .. } => Category::Environment,
            Self::Encoding { .. } | Self::NotJunit { .. } | Self::Malformed { .. } => Category::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } | Self::NotJunit { .. } => None,
            Self::Encoding { .. } => Some("let the test tool write UTF-8".into()),
            Self::Malformed { .. } => {
                Some("the test may have ended while it wrote the report; see its output".into())
            }
        }
    }
}

/// What the beginning of a file says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// The root element is `<testsuites>` or `<testsuite>`.
    Junit,
    /// It is another element.
    Other,
    /// The bytes end before a root element.
    Missing,
    /// The bytes are not XML.
    NotXml,
}

/// Whether a file whose first bytes these are (a few KiB are enough) is a JUnit report, judged by its root element.
#[must_use]
pub fn looks_like_junit(first_bytes: &[u8]) -> bool {
    root_of(first_bytes) == Root::Junit
}

/// The root element of a file whose first bytes these are.
pub(crate) fn root_of(first_bytes: &[u8]) -> Root {
    let Some(prefix) = encoding::utf8_prefix(first_bytes) else { return Root::NotXml };
    let mut tokenizer = token::Tokenizer::new(prefix.as_slice());
    loop {
        let blank = match tokenizer.next(64) {
            Ok(token::Token::Start { tag, .. }) => return root_by_name(attributes::local_name(tag)),
            Ok(token::Token::Text { raw, .. }) => raw.trim_ascii().is_empty(),
            Ok(token::Token::End { .. }) => false,
            Ok(token::Token::Eof) => return Root::Missing,
            Err(_) => {
                let tag = tokenizer.partial();
                let named = tag.iter().any(u8::is_ascii_whitespace);
                return if named { root_by_name(attributes::local_name(tag)) } else { Root::Missing };
            }
        };
        if !blank {
            return Root::NotXml;
        }
    }
}

fn root_by_name(name: &[u8]) -> Root {
    if matches!(name, b"testsuites" | b"testsuite") { Root::Junit } else { Root::Other }
}

/// Reads one report. `source` is its path relative to the results directory.
pub fn read(reader: impl BufRead, source: &str, limits: &ReadLimits) -> Result<CaseList, JunitError> {
    let mut list = CaseList::new(*limits);
    read_into(reader, source, &mut list)?;
    Ok(list)
}

/// Reads one report into `list`, which keeps what was read also where an error ends it.
pub fn read_into(reader: impl BufRead, source: &str, list: &mut CaseList) -> Result<(), JunitError> {
    let reader = encoding::utf8_reader(reader).map_err(|error| match error {
        encoding::EncodingError::Read(cause) => JunitError::Read { file: source.into(), source: cause },
        encoding::EncodingError::Unknown(encoding) => JunitError::Encoding { file: source.into(), encoding },
    })?;
    report::read(reader, source, list)
}
