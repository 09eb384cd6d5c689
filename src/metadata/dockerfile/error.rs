//! Why a Dockerfile cannot be read.
//!
//! Owns the reasons, their lines and the advice. Paths are not known here: [`ParseError::in_file`] adds one.

use crate::error::{Category, Diagnose};
use crate::metadata::recipe::TriggerError;

use super::excerpt;

/// A Dockerfile that cannot be read: the line and the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ParseError {
    line: u32,
    #[source]
    problem: ParseProblem,
}

impl ParseError {
    pub(crate) const fn new(line: u32, problem: ParseProblem) -> Self {
        Self { line, problem }
    }

    /// The line at fault, counted from 1: the first one of the instruction.
    #[must_use]
    pub const fn line(&self) -> u32 {
        self.line
    }

    /// The reason, which displays without the line.
    #[must_use]
    pub const fn problem(&self) -> &ParseProblem {
        &self.problem
    }

    /// The same with the file's name, displayed as `path:line: reason`.
    #[must_use]
    pub fn in_file(self, path: impl Into<String>) -> FileError {
        FileError { path: path.into(), line: self.line, problem: self.problem }
    }
}

/// A [`ParseError`] that knows its file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {problem}")]
pub struct FileError {
    path: String,
    line: u32,
    #[source]
    problem: ParseProblem,
}

impl FileError {
    /// The line at fault, counted from 1.
    #[must_use]
    pub const fn line(&self) -> u32 {
        self.line
    }

    /// The file, as the caller named it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// What is wrong, and what was expected instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseProblem {
    /// Bytes that are not text.
    #[error("byte {column} is not UTF-8 text")]
    NotUtf8 {
        /// Byte within the line, counted from 1.
        column: usize,
    },
    /// The same parser directive twice.
    #[error("only one {name} parser directive can be used")]
    RepeatedDirective {
        /// Its name.
        name: String,
    },
    /// `# escape=` something else.
    #[error("the escape directive is {}: expected \\ or `", excerpt(found))]
    Escape {
        /// Its value.
        found: String,
    },
    /// The file ends inside a heredoc.
    #[error("unterminated heredoc: expected a line that holds {} alone", excerpt(name))]
    UnterminatedHeredoc {
        /// The delimiter.
        name: String,
    },
    /// The delimiter of a heredoc has an unmatched quote or the like.
    #[error("the name of a heredoc cannot be read in {}", excerpt(word))]
    HeredocName {
        /// The word that holds it.
        word: String,
    },
    /// `["a", 1]`
    #[error("a JSON array of {keyword} must hold strings only")]
    JsonNotStrings {
        /// The instruction.
        keyword: String,
    },
    /// `ENV name`
    #[error("{keyword} must have two arguments: a name and a value")]
    MissingValue {
        /// The instruction.
        keyword: String,
    },
    /// `ENV a=b c`
    #[error("no = in {} of {keyword}: expected name=value", excerpt(word))]
    MissingEquals {
        /// The instruction.
        keyword: String,
        /// The word without `=`.
        word: String,
    },
    /// ONBUILD in ONBUILD, or `${` in `${`, too many times.
    #[error("{what} is nested too deeply")]
    TooDeep {
        /// What is nested.
        what: &'static str,
    },
    /// A `${…}` whose name builders read differently.
    #[error("the name of a ${{…}} variable beside a heredoc must be ASCII letters, digits and _")]
    AmbiguousVariable,
    /// ONTEST before there is a stage to test.
    #[error("ONTEST before the first FROM: expected it within the stage that it tests")]
    OntestBeforeFrom,
    /// ONTEST and nothing else.
    #[error("ONTEST has no instruction: expected one, such as ONTEST RUN …")]
    OntestEmpty,
    /// `ONTEST --x RUN`
    #[error("ONTEST takes no flag, found {}", excerpt(flag))]
    OntestFlag {
        /// The flag, dashes included.
        flag: String,
    },
    /// `ONBUILD ONTEST`
    #[error("ONTEST cannot follow ONBUILD: no builder knows it when the image is built upon")]
    OnbuildOntest,
    /// The instruction after ONTEST cannot be one.
    #[error("ONTEST: {0}")]
    Trigger(#[source] TriggerError),
    /// Under `` # escape=` ``: a trigger that ends with a backslash.
    #[error("ONTEST {keyword} ends with a backslash, which would continue the line in Dockerfile.test")]
    TrailingBackslash {
        /// The instruction after ONTEST.
        keyword: String,
    },
    /// Under `` # escape=` ``: a trigger that cannot be written with `\` as the escape character.
    #[error("ONTEST {keyword} cannot be written with \\ as the escape character, which Dockerfile.test has")]
    Inexpressible {
        /// The instruction after ONTEST.
        keyword: String,
    },
}

impl ParseProblem {
    fn advice(&self) -> Option<String> {
        let advice = match self {
            Self::NotUtf8 { .. } => "save the file as UTF-8",
            Self::RepeatedDirective { .. } => "remove one of them",
            Self::Escape { .. } => "use # escape=\\ or # escape=`, or remove the line",
            Self::UnterminatedHeredoc { .. } => {
                "close it with the name alone on a line, without spaces (tabs may precede it after <<-); \
                 to shift bits in a shell command, write 1<<3 without the space"
            }
            Self::HeredocName { .. } => "close the quotes of the name",
            Self::JsonNotStrings { .. } => "quote every item with double quotes",
            Self::MissingValue { .. } | Self::MissingEquals { .. } => {
                "write NAME=value, quoted where it has spaces"
            }
            Self::OntestBeforeFrom => "move it below FROM",
            Self::OntestEmpty => "write an instruction after ONTEST, or remove the line",
            Self::OntestFlag { .. } => "put the flag after the instruction: ONTEST RUN --mount=…",
            Self::OnbuildOntest => "put ONTEST into the Dockerfile of the image that is to be tested",
            Self::Trigger(error) => return error.hint(),
            Self::TrailingBackslash { .. } => "end it with another character, C:\\dir\\. for instance",
            Self::Inexpressible { .. } => "write it without ` and \\, or move it into Dockerfile.test",
            Self::TooDeep { .. } | Self::AmbiguousVariable => return None,
        };
        Some(advice.to_owned())
    }
}

impl Diagnose for ParseError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        self.problem.advice()
    }
}

impl Diagnose for FileError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        self.problem.advice()
    }
}
