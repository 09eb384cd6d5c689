//! The recipe: the instructions that make a test image of the image under test.
//!
//! Owns the check that a recorded trigger is one instruction and no more, to every builder it may meet, the facts
//! that plans need about a recipe, and the names of builder features. Renders nothing.

mod feature;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use feature::{Feature, features};

use crate::error::{Category, Diagnose};
use crate::metadata::dockerfile::{Arguments, Dialect, Instruction, ParseError, ParseProblem, excerpt, read};

/// Why a text is not one instruction that may stand in a Dockerfile.test.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TriggerError {
    /// Nothing but white space.
    #[error("the instruction is empty")]
    Empty,
    /// NUL, a carriage return, an escape sequence, ….
    #[error("line {line} has the control character {}: expected none but tab and newline", character.escape_default())]
    ControlCharacter {
        /// Line within the text, counted from 1.
        line: usize,
        /// The character.
        character: char,
    },
    /// It begins with a comment, a continuation or the like.
    #[error("expected an instruction at the start, found {}", excerpt(found))]
    NotAnInstruction {
        /// Its first line.
        found: String,
    },
    /// FROM, MAINTAINER, ONBUILD or ONTEST.
    #[error("{keyword} is not allowed here")]
    Forbidden {
        /// The keyword in upper case.
        keyword: String,
    },
    /// CMD and nothing else: builders take it, and the test is nothing that passes.
    #[error("{keyword} has no arguments")]
    NoArguments {
        /// The keyword in upper case.
        keyword: String,
    },
    /// The builder's parser refuses it.
    #[error("line {line}: {problem}")]
    Malformed {
        /// Line within the text, counted from 1.
        line: u32,
        /// The reason.
        problem: Box<ParseProblem>,
    },
    /// It ends with a continuation, which would swallow what follows.
    #[error("{builder} continues its last line: expected it to end there")]
    Open {
        /// The builder, in words.
        builder: &'static str,
    },
    /// One builder at least reads more than one instruction.
    #[error("expected one instruction, but {builder} reads another one in line {line}: {}", excerpt(found))]
    Several {
        /// The builder, in words.
        builder: &'static str,
        /// Line within the text, counted from 1.
        line: u32,
        /// That line.
        found: String,
    },
    /// One instruction to every builder, but not the same one.
    #[error("{builder} reads it differently: expected the same heredocs to every builder")]
    Differs {
        /// The builder, in words.
        builder: &'static str,
    },
}

impl Diagnose for TriggerError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Empty | Self::NotAnInstruction { .. } => "write one instruction, such as RUN, COPY or CMD",
            Self::ControlCharacter { .. } => "remove the character; lines end with a newline alone",
            Self::Forbidden { .. } => {
                "a test image has one stage: use any instruction but FROM, MAINTAINER, ONBUILD and ONTEST"
            }
            Self::NoArguments { .. } => {
                "write what runs, such as CMD [\"/test.sh\"]; ENTRYPOINT [] resets it"
            }
            Self::Malformed { problem, .. } => return ParseError::new(1, (**problem).clone()).hint(),
            Self::Open { .. } => "remove the backslash at its end",
            Self::Several { .. } | Self::Differs { .. } => {
                "write one instruction a trigger; write a heredoc as <<NAME without a space, and only for a \
                 builder that has heredocs"
            }
        };
        Some(hint.to_owned())
    }
}

/// Checks that `text`, which may come from anyone's label, is exactly one instruction.
///
/// It has to be one to every parser that may read it: BuildKit's of any age and Podman's, and, unless
/// `allow_heredoc` says that the builder has heredocs, also to those that read a heredoc's body as instructions.
/// The instruction is returned as BuildKit reads it, its lines counted within `text`.
///
/// White space around the text is ignored; `raw` of the result is the text to render, with a line end after it.
pub fn validate_trigger(text: &str, allow_heredoc: bool) -> Result<Instruction, TriggerError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(TriggerError::Empty);
    }
    if let Some((index, character)) =
        text.char_indices().find(|(_, c)| c.is_control() && !matches!(c, '\t' | '\n'))
    {
        let line = text.get(..index).unwrap_or_default().matches('\n').count() + 1;
        return Err(TriggerError::ControlCharacter { line, character });
    }
    let keyword: &str = text.split([' ', '\t', '\n']).next().unwrap_or_default();
    if !is_keyword(keyword) {
        let found = text.lines().next().unwrap_or_default().to_owned();
        return Err(TriggerError::NotAnInstruction { found });
    }
    let keyword = keyword.to_ascii_uppercase();
    if matches!(keyword.as_str(), "FROM" | "MAINTAINER" | "ONBUILD" | "ONTEST") {
        return Err(TriggerError::Forbidden { keyword });
    }
    let instruction = read_one(text, Dialect::BUILDKIT)?;
    for dialect in Dialect::all(!allow_heredoc) {
        let other = read_one(text, dialect)?;
        let same = other.raw == instruction.raw && other.heredocs == instruction.heredocs;
        if other.keyword != keyword || !same {
            return Err(TriggerError::Differs { builder: dialect.describe() });
        }
    }
    Ok(instruction)
}

/// Refuses a bare `CMD` or `ENTRYPOINT`: builders take them, and what runs then is not what anybody wrote.
pub fn refuse_empty(instruction: &Instruction) -> Result<(), TriggerError> {
    let runs = matches!(instruction.keyword.as_str(), "CMD" | "ENTRYPOINT");
    if runs && instruction.rest.trim().is_empty() {
        return Err(TriggerError::NoArguments { keyword: instruction.keyword.clone() });
    }
    Ok(())
}

fn is_keyword(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// The one instruction that `dialect` reads in `text`, which begins with a keyword and so has no directives.
fn read_one(text: &str, dialect: Dialect) -> Result<Instruction, TriggerError> {
    let reading = read(text, 0, dialect).map_err(|error| TriggerError::Malformed {
        line: error.line(),
        problem: Box::new(error.problem().clone()),
    })?;
    let builder = dialect.describe();
    let mut instructions = reading.dockerfile.instructions.into_iter();
    let first = instructions.next().ok_or(TriggerError::Empty)?;
    let line = instructions.next().map_or(first.end_line + 1, |second| second.line);
    // Comments after the instruction are no part of it and are refused like instructions.
    if first.span.end < text.len() {
        let index = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
        let found = text.lines().nth(index).unwrap_or_default().trim().to_owned();
        return Err(TriggerError::Several { builder, line, found });
    }
    if reading.open_at.is_some() {
        return Err(TriggerError::Open { builder });
    }
    Ok(first)
}

/// The instructions that are put on top of the image under test, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipe {
    /// The instructions, FROM left out.
    pub instructions: Vec<Instruction>,
}

/// One of a list of triggers is not one instruction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("instruction {number} of {total}: {source}")]
pub struct RecipeError {
    /// Which one, counted from 1.
    pub number: usize,
    /// Of how many.
    pub total: usize,
    /// Why.
    pub source: TriggerError,
}

impl Diagnose for RecipeError {
    fn category(&self) -> Category {
        self.source.category()
    }

    fn hint(&self) -> Option<String> {
        self.source.hint()
    }
}

impl Recipe {
    /// Checks every text with [`validate_trigger`].
    pub fn from_triggers<T: AsRef<str>>(texts: &[T], allow_heredoc: bool) -> Result<Self, RecipeError> {
        let instructions = texts
            .iter()
            .enumerate()
            .map(|(index, text)| {
                validate_trigger(text.as_ref(), allow_heredoc).map_err(|source| RecipeError {
                    number: index + 1,
                    total: texts.len(),
                    source,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { instructions })
    }

    fn last(&self, keyword: &str) -> Option<&Instruction> {
        self.instructions.iter().rev().find(|instruction| instruction.keyword == keyword)
    }

    /// Whether the recipe says what the test image runs.
    #[must_use]
    pub fn sets_cmd(&self) -> bool {
        self.last("CMD").is_some()
    }

    /// Whether the recipe sets the entrypoint, be it to nothing.
    #[must_use]
    pub fn sets_entrypoint(&self) -> bool {
        self.last("ENTRYPOINT").is_some()
    }

    /// The user that the recipe leaves the image with, as written: variables are not substituted.
    #[must_use]
    pub fn last_user(&self) -> Option<&str> {
        self.last("USER").map(|user| match &user.arguments {
            Arguments::Text(text) => text.as_str(),
            Arguments::Json(_) => user.rest.as_str(),
        })
    }

    /// The builder features that the recipe needs, each once.
    #[must_use]
    pub fn features(&self) -> BTreeSet<Feature> {
        self.instructions.iter().flat_map(features).collect()
    }
}
