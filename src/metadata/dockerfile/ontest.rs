//! ONTEST: the instructions that test a stage, taken out of the Dockerfile.
//!
//! Owns what may follow the word, how it is recorded, and the Dockerfile that is left for the builder: every other
//! byte and every line number stay as the author wrote them.
//!
//! A trigger's text is what stands after the word ONTEST, line ends made `\n`, and a continuation that waits for
//! a line beyond the end of the file taken off. Under `` # escape=` `` it is rewritten for the default escape
//! character, because that is the one it will be read with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::escape::to_backslash;
use super::stages::Variables;
use super::{Dialect, Dockerfile, Instruction, ParseError, ParseProblem, read};
use crate::metadata::recipe::{TriggerError, refuse_empty, validate_trigger};

/// A Dockerfile parted into what the builder gets and what tests the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The author's bytes, every line of an ONTEST instruction emptied.
    pub stripped: Vec<u8>,
    /// The stages, in order.
    pub stages: Vec<StageTests>,
}

/// A stage and its tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageTests {
    /// The name after AS, as written.
    pub name: Option<String>,
    /// What it is built upon, as written: variables not substituted.
    pub base: String,
    /// The same with the values of the ARGs before the first FROM; none where one of its variables has no value
    /// that can be known here, as `TARGETARCH` has not.
    pub resolved_base: Option<String>,
    /// The line of its FROM.
    pub line: u32,
    /// Its own ONTEST instructions.
    pub triggers: Vec<Trigger>,
}

/// One ONTEST instruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// The keyword after ONTEST, in upper case.
    pub instruction: String,
    /// What is recorded: see the notes of this module.
    pub text: String,
    /// Its first line in the Dockerfile, counted from 1.
    pub line: u32,
    /// Its last line.
    pub end_line: u32,
}

/// Takes the ONTEST instructions out, with ARGs before the first FROM at their defaults.
pub fn take_tests(source: &[u8], dockerfile: &Dockerfile) -> Result<Split, ParseError> {
    take_tests_with(source, dockerfile, &BTreeMap::new())
}

/// The same, where build arguments override the defaults. `source` must be what `dockerfile` was parsed from.
pub fn take_tests_with(
    source: &[u8],
    dockerfile: &Dockerfile,
    build_args: &BTreeMap<String, String>,
) -> Result<Split, ParseError> {
    let mut stages: Vec<StageTests> = Vec::new();
    let mut variables = Variables::new(build_args, dockerfile.escape);
    let mut stripped = Vec::with_capacity(source.len());
    let mut copied = 0;
    for instruction in &dockerfile.instructions {
        let failed = |problem| ParseError::new(instruction.line, problem);
        match instruction.keyword.as_str() {
            "ARG" if stages.is_empty() => variables.declare(instruction),
            "FROM" => stages.push(stage(instruction, &variables)),
            "ONBUILD" if holds_ontest(instruction) => return Err(failed(ParseProblem::OnbuildOntest)),
            "ONTEST" => {
                let stage = stages.last_mut().ok_or_else(|| failed(ParseProblem::OntestBeforeFrom))?;
                stage.triggers.push(trigger(instruction, dockerfile.escape).map_err(failed)?);
                let span = instruction.span.start.clamp(copied, source.len())
                    ..instruction.span.end.clamp(copied, source.len());
                stripped.extend_from_slice(source.get(copied..span.start).unwrap_or_default());
                stripped.extend(line_ends(source.get(span.clone()).unwrap_or_default()));
                copied = span.end;
            }
            _ => {}
        }
    }
    stripped.extend_from_slice(source.get(copied..).unwrap_or_default());
    Ok(Split { stripped, stages })
}

fn holds_ontest(instruction: &Instruction) -> bool {
    instruction.trigger.as_deref().is_some_and(|inner| inner.keyword == "ONTEST" || holds_ontest(inner))
}

/// The line ends of a text, and nothing else of it.
fn line_ends(text: &[u8]) -> impl Iterator<Item = u8> {
    text.split_inclusive(|byte| *byte == b'\n').flat_map(|line| {
        let end: &[u8] = if line.ends_with(b"\r\n") {
            b"\r\n"
        } else if line.ends_with(b"\n") {
            b"\n"
        } else {
            b""
        };
        end.iter().copied()
    })
}

fn stage(from: &Instruction, variables: &Variables) -> StageTests {
    let words = from.words();
    let name = match words.as_slice() {
        [_, word, name] if word.eq_ignore_ascii_case("as") => Some((*name).to_owned()),
        _ => None,
    };
    let base = words.first().copied().unwrap_or_default();
    StageTests {
        name,
        base: base.to_owned(),
        resolved_base: variables.substitute(base).filter(|base| !base.is_empty()),
        line: from.line,
        triggers: Vec::new(),
    }
}

fn trigger(ontest: &Instruction, escape: char) -> Result<Trigger, ParseProblem> {
    if let Some(flag) = ontest.flags.first() {
        return Err(ParseProblem::OntestFlag { flag: format!("--{}", flag.name) });
    }
    let inner = ontest.trigger.as_deref().ok_or(ParseProblem::OntestEmpty)?;
    let text = if escape == '\\' { as_written(inner) } else { to_backslash(inner)? };
    let text = unix_line_ends(&text);
    let read_back = validate_trigger(&text, true)
        .and_then(|instruction| refuse_empty(&instruction).map(|()| instruction))
        .map_err(|error| ParseProblem::Trigger(in_file(error, inner)))?;
    if !means_the_same(&read_back, inner, escape) {
        return Err(ParseProblem::Inexpressible { keyword: inner.keyword.clone() });
    }
    Ok(Trigger { instruction: read_back.keyword, text, line: ontest.line, end_line: ontest.end_line })
}

/// The text from the keyword on, less an open continuation at the end of the file.
fn as_written(inner: &Instruction) -> String {
    let open_at = read(&inner.raw, 0, Dialect::BUILDKIT).ok().and_then(|reading| reading.open_at);
    let text = open_at.and_then(|end| inner.raw.get(..end)).unwrap_or(&inner.raw);
    text.to_owned()
}

/// `\r\n`, however many `\r`, becomes `\n`, as the builder reads it.
fn unix_line_ends(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').map(|line| line.trim_end_matches('\r')).collect();
    lines.join("\n")
}

/// Whether a recorded text is still the author's instruction. The words of a rewritten text differ in their
/// escapes, so only the shape is compared then.
fn means_the_same(recorded: &Instruction, written: &Instruction, escape: char) -> bool {
    let bodies = |instruction: &Instruction| -> Vec<(String, bool, bool, String)> {
        let body = |text: &str| unix_line_ends(text);
        let heredocs = instruction.heredocs.iter();
        heredocs.map(|h| (h.name.clone(), h.expand, h.chomp, body(&h.body))).collect()
    };
    let names = |instruction: &Instruction| -> Vec<String> {
        instruction.flags.iter().map(|flag| flag.name.clone()).collect()
    };
    recorded.keyword == written.keyword
        && bodies(recorded) == bodies(written)
        && names(recorded) == names(written)
        && recorded.words().len() == written.words().len()
        && (escape != '\\' || recorded.rest == written.rest && recorded.flags == written.flags)
}

/// Lines of the trigger counted in the file.
fn in_file(error: TriggerError, inner: &Instruction) -> TriggerError {
    let offset = inner.line.saturating_sub(1);
    match error {
        TriggerError::ControlCharacter { line, character } => TriggerError::ControlCharacter {
            line: line.saturating_add(usize::try_from(offset).unwrap_or(0)),
            character,
        },
        TriggerError::Malformed { line, problem } => {
            TriggerError::Malformed { line: line.saturating_add(offset), problem }
        }
        TriggerError::Several { builder, line, found } => {
            TriggerError::Several { builder, line: line.saturating_add(offset), found }
        }
        other => other,
    }
}
