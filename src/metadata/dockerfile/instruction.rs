//! Takes one logical line apart: keyword, flags, arguments, and the trigger of ONBUILD and ONTEST.
//!
//! Owns what is an argument to whom. Refuses only what BuildKit's parser refuses: JSON arrays of anything but
//! strings, and ENV and LABEL without values.

use std::ops::Range;

use super::json::{self, JsonArray};
use super::{Arguments, Flag, ParseProblem, words};

/// ONBUILD within ONBUILD, beyond this, is refused: no builder accepts even two.
const DEEPEST: u32 = 8;

/// One instruction without positions: ranges are bytes of the logical line.
pub(super) struct Parts {
    pub(super) keyword: String,
    /// Where the keyword starts.
    pub(super) start: usize,
    pub(super) flags: Vec<Flag>,
    pub(super) rest: Range<usize>,
    pub(super) arguments: Arguments,
    pub(super) trigger: Option<Box<Parts>>,
}

impl Parts {
    /// Whether `<<NAME` means anything in this instruction.
    pub(super) fn may_hold_heredocs(&self) -> bool {
        let inner = self.trigger.as_deref().unwrap_or(self);
        matches!(inner.keyword.as_str(), "ADD" | "COPY" | "RUN")
            && matches!(inner.arguments, Arguments::Text(_))
    }
}

/// Takes `line` apart from byte `from` on.
pub(super) fn take_apart(line: &str, from: usize, escape: char, depth: u32) -> Result<Parts, ParseProblem> {
    if depth > DEEPEST {
        return Err(ParseProblem::TooDeep { what: "ONBUILD" });
    }
    let text = line.get(from..).unwrap_or_default();
    let start = from + (text.len() - text.trim_start().len());
    let text = text.trim();
    let keyword_length = text.find(words::SPACE).unwrap_or(text.len());
    let (word, after) = text.split_at(keyword_length);
    let after_start = start + keyword_length + (after.len() - after.trim_start_matches(words::SPACE).len());
    let after = after.trim_start_matches(words::SPACE);

    let (flags, flags_end) = take_flags(after, escape);
    let rest = after.get(flags_end..).unwrap_or_default();
    let rest_start = after_start + flags_end + (rest.len() - rest.trim_start().len());
    let rest = rest.trim();

    let keyword = upper(word);
    let arguments = match keyword.as_str() {
        "ADD" | "CMD" | "COPY" | "ENTRYPOINT" | "RUN" | "SHELL" | "VOLUME" => exec_or_text(rest, &keyword)?,
        "HEALTHCHECK" => {
            let command =
                rest.find(char::is_whitespace).and_then(|space| rest.get(space..)).unwrap_or_default();
            exec_or_text(command.trim_start(), &keyword)?;
            Arguments::Text(rest.to_owned())
        }
        "ENV" | "LABEL" => {
            check_pairs(rest, &keyword, escape)?;
            Arguments::Text(rest.to_owned())
        }
        _ => Arguments::Text(rest.to_owned()),
    };
    let trigger = if matches!(keyword.as_str(), "ONBUILD" | "ONTEST") && !rest.is_empty() {
        Some(Box::new(take_apart(line, rest_start, escape, depth + 1)?))
    } else {
        None
    };
    let rest = rest_start..rest_start + rest.len();
    Ok(Parts { keyword, start, flags, rest, arguments, trigger })
}

/// The keyword in upper case, where its lower case is what a builder would look up.
fn upper(word: &str) -> String {
    let lower: String = word
        .chars()
        .map(|c| match c {
            // The one character that becomes two in Rust and one in Go.
            '\u{130}' => 'i',
            _ => c.to_lowercase().next().unwrap_or(c),
        })
        .collect();
    lower.to_ascii_uppercase()
}

fn exec_or_text(text: &str, keyword: &str) -> Result<Arguments, ParseProblem> {
    match json::read(text) {
        JsonArray::Strings(items) => Ok(Arguments::Json(items)),
        JsonArray::Mixed => Err(ParseProblem::JsonNotStrings { keyword: keyword.to_owned() }),
        JsonArray::Absent => Ok(Arguments::Text(text.to_owned())),
    }
}

fn check_pairs(text: &str, keyword: &str, escape: char) -> Result<(), ParseProblem> {
    let pairs = words::quoted(text, escape);
    let Some(first) = pairs.first() else { return Ok(()) };
    if !first.contains('=') {
        return if text.contains(words::SPACE) {
            Ok(())
        } else {
            Err(ParseProblem::MissingValue { keyword: keyword.to_owned() })
        };
    }
    match pairs.iter().find(|pair| !pair.contains('=')) {
        None => Ok(()),
        Some(word) => Err(ParseProblem::MissingEquals { keyword: keyword.to_owned(), word: word.clone() }),
    }
}

/// The leading words that begin with `--`, quotes and escapes removed, and where the text after them starts.
///
/// A `--` alone ends them and is not one of them.
fn take_flags(text: &str, escape: char) -> (Vec<Flag>, usize) {
    let mut flags = Vec::new();
    let mut position = 0;
    loop {
        let rest = text.get(position..).unwrap_or_default();
        let word_text = rest.trim_start();
        position += rest.len() - word_text.len();
        if !word_text.starts_with("--") {
            return (flags, position);
        }
        let (word, length) = take_flag_word(word_text, escape);
        position += length;
        let Some(name) = word.strip_prefix("--").filter(|name| !name.is_empty()) else {
            return (flags, position);
        };
        flags.push(match name.split_once('=') {
            Some((name, value)) => Flag { name: name.to_owned(), value: Some(value.to_owned()) },
            None => Flag { name: name.to_owned(), value: None },
        });
    }
}

/// One word, quotes and escapes removed, and its length as written.
fn take_flag_word(text: &str, escape: char) -> (String, usize) {
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match quote {
            None if character.is_whitespace() => return (word, index),
            None if matches!(character, '\'' | '"') => quote = Some(character),
            Some(open) if character == open => quote = None,
            _ if character == escape => word.extend(characters.next().map(|(_, next)| next)),
            _ => word.push(character),
        }
    }
    (word, text.len())
}
