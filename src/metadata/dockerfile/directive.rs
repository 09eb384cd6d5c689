//! Parser directives: `# syntax=`, `# escape=`, `# check=` at the top of the file.
//!
//! Owns where directives may stand and what they may say. The first line that is not one ends them for good.

use super::{Directive, ParseError, ParseProblem};

const NAMES: [&str; 3] = ["syntax", "escape", "check"];

/// The directives read so far, and the escape character that they chose.
pub(super) struct Directives {
    pub(super) found: Vec<Directive>,
    pub(super) escape: char,
    done: bool,
}

impl Directives {
    pub(super) const fn new() -> Self {
        Self { found: Vec::new(), escape: '\\', done: false }
    }

    /// Looks at the next line of the file; `line` has no white space in front and no line end.
    pub(super) fn observe(&mut self, line: &str, number: u32) -> Result<(), ParseError> {
        if self.done {
            return Ok(());
        }
        let Some((name, value)) = line.strip_prefix('#').and_then(|comment| split(comment.trim_start()))
        else {
            self.done = true;
            return Ok(());
        };
        let name = name.to_ascii_lowercase();
        if !NAMES.contains(&name.as_str()) {
            self.done = true;
            return Ok(());
        }
        if self.found.iter().any(|directive| directive.name == name) {
            return Err(ParseError::new(number, ParseProblem::RepeatedDirective { name }));
        }
        if name == "escape" {
            self.escape = match value {
                "\\" => '\\',
                "`" => '`',
                _ => {
                    let found = value.to_owned();
                    return Err(ParseError::new(number, ParseProblem::Escape { found }));
                }
            };
        }
        self.found.push(Directive { name, value: value.to_owned(), line: number });
        Ok(())
    }
}

/// `name = value`, where the value has at least one character, be it a space.
fn split(text: &str) -> Option<(&str, &str)> {
    let space = [' ', '\t', '\n', '\u{c}', '\r'];
    let (name, value) = text.split_once('=')?;
    let name = name.trim_end_matches(space);
    let first = name.chars().next()?;
    if !first.is_ascii_alphabetic() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    let trimmed = value.trim_matches(space);
    if !trimmed.is_empty() {
        return Some((name, trimmed));
    }
    // A value of spaces alone is the last of them: the pattern of BuildKit gives back no more than it must.
    let last = value.char_indices().next_back().map(|(index, _)| index)?;
    value.get(last..).map(|value| (name, value))
}
