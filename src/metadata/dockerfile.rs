//! Reads a Dockerfile as BuildKit's parser does, keeping the position of every byte.
//!
//! Owns directives, continuations, heredocs, flags and the ONTEST instruction. Judges nothing else: an unknown
//! instruction is the builder's to refuse.

mod dialect;
mod directive;
mod error;
mod escape;
mod excerpt;
mod heredoc;
mod instruction;
pub(crate) mod json;
mod lex;
mod lines;
mod ontest;
mod reader;
mod stages;
#[cfg(test)]
mod tests;
mod words;

use std::ops::Range;

pub(crate) use dialect::Dialect;
pub use error::{FileError, ParseError, ParseProblem};
pub(crate) use excerpt::{escaped, excerpt};
pub use ontest::{Split, StageTests, Trigger, take_tests, take_tests_with};
pub(crate) use reader::read;
pub use stages::{BUILDER_ARGUMENTS, TargetError};

/// Reads a Dockerfile.
///
/// The rules are those of BuildKit's parser: what it refuses is refused here, with the same line. A file without
/// any instruction is not refused; the builder does that. Offsets in the result count the bytes of `source`, a
/// byte order mark included.
pub fn parse(source: &[u8]) -> Result<Dockerfile, ParseError> {
    const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
    let text = source.strip_prefix(BYTE_ORDER_MARK).unwrap_or(source);
    let mark = source.len() - text.len();
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = text.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        let column = before.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len) + 1;
        ParseError::new(u32::try_from(line).unwrap_or(u32::MAX), ParseProblem::NotUtf8 { column })
    })?;
    Ok(read(text, mark, Dialect::BUILDKIT)?.dockerfile)
}

/// A whole Dockerfile, in the order it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// Parser directives at the top of the file (`syntax`, `escape`, `check`), names in lower case.
    pub directives: Vec<Directive>,
    /// The character that escapes and continues lines: `\` or `` ` ``.
    pub escape: char,
    /// Every instruction, comments and blank lines left out.
    pub instructions: Vec<Instruction>,
}

/// One `# name=value` line before the first instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Name in lower case.
    pub name: String,
    /// Value as written, trimmed.
    pub value: String,
    /// Line, counted from 1.
    pub line: u32,
}

/// One instruction with everything that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// The word that opens it, in upper case.
    pub keyword: String,
    /// First line, counted from 1.
    pub line: u32,
    /// Last line, counted from 1; continuation lines and heredoc bodies included.
    pub end_line: u32,
    /// Where it stands in the source: bytes from the start of its first line to the end of its last one, line end
    /// included.
    pub span: Range<usize>,
    /// The source text from the first letter of the keyword, as written, heredoc bodies included, without the
    /// last line end.
    pub raw: String,
    /// What follows keyword and flags on the logical line: continuations joined as BuildKit joins them, comments
    /// inside continuations removed, heredoc bodies not included.
    pub rest: String,
    /// `--name` and `--name=value` words between keyword and arguments.
    pub flags: Vec<Flag>,
    /// The arguments: JSON form where BuildKit would take it as JSON, words otherwise.
    pub arguments: Arguments,
    /// Heredoc bodies, in order.
    pub heredocs: Vec<Heredoc>,
    /// For ONBUILD and ONTEST: the instruction that follows the word. Its heredocs are those of the outer one.
    pub trigger: Option<Box<Instruction>>,
}

/// A flag of an instruction, such as `--from=build` or `--link`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// Name without the dashes.
    pub name: String,
    /// Value, where one was given.
    pub value: Option<String>,
}

/// The arguments of an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arguments {
    /// `["a", "b"]`, decoded.
    Json(Vec<String>),
    /// The rest of the line, for a shell or for the instruction's own words.
    Text(String),
}

/// One `<<NAME` document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiter, quotes removed.
    pub name: String,
    /// False where the delimiter was quoted: no expansion in the body.
    pub expand: bool,
    /// `<<-`: leading tabs are removed.
    pub chomp: bool,
    /// The body, as written.
    pub body: String,
}

impl Instruction {
    /// The flag of that name, the last one where there are several.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<&Flag> {
        self.flags.iter().rev().find(|flag| flag.name == name)
    }

    /// The arguments of ARG, ENV and LABEL one by one, quotes and escapes left as written.
    #[must_use]
    pub fn quoted_words(&self, escape: char) -> Vec<String> {
        words::quoted(&self.rest, escape)
    }

    /// The arguments one by one: the JSON strings, or the words between white space as BuildKit splits them for
    /// ADD, COPY, EXPOSE, FROM and VOLUME (quotes, escapes and variables left as written).
    #[must_use]
    pub fn words(&self) -> Vec<&str> {
        match &self.arguments {
            Arguments::Json(words) => words.iter().map(String::as_str).collect(),
            Arguments::Text(text) => words::split(text).collect(),
        }
    }
}
