//! The little YAML that TAP's diagnostics need: a mapping of words, texts and lists of texts.
//!
//! Owns quoting. Every value is one that YAML 1.1 and 1.2 read as the same string.

use crate::report::text::{head, printable, printable_lines, strip_ansi};

/// A single text may fill no more than this.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// The lines of a diagnostic block, without their indentation.
#[derive(Debug, Default)]
pub(super) struct Block {
    lines: Vec<String>,
}

impl Block {
    /// A value that needs no quotes: a number, or a word of ours.
    pub(super) fn word(&mut self, key: &str, value: &str) {
        self.lines.push(format!("{key}: {value}"));
    }

    /// Free text: quoted where it is one line, else as a literal block. Nothing at all where it is blank.
    pub(super) fn text(&mut self, key: &str, value: &str) {
        let value = strip_ansi(value);
        let value = value.trim_end();
        if value.trim().is_empty() {
            return;
        }
        if !value.contains('\n') {
            self.lines.push(format!("{key}: {}", quoted(value)));
            return;
        }
        // The indentation is given, because the text may begin with blanks of its own.
        self.lines.push(format!("{key}: |2-"));
        let value = head(value, MAX_TEXT_BYTES);
        self.lines
            .extend(printable_lines(&value).map(|line| format!("  {}", plain(&line)).trim_end().to_owned()));
    }

    /// Texts of one line each.
    pub(super) fn list(&mut self, key: &str, values: impl Iterator<Item = String>) {
        let items: Vec<String> = values.map(|value| format!("  - {}", quoted(&value))).collect();
        if !items.is_empty() {
            self.lines.push(format!("{key}:"));
            self.lines.extend(items);
        }
    }

    /// Appends the block, two columns behind the test point that it belongs to.
    pub(super) fn end(self, text: &mut String, indent: &str) {
        if self.lines.is_empty() {
            return;
        }
        text.push_str(indent);
        text.push_str("  ---\n");
        for line in self.lines {
            for part in [indent, "  ", &line, "\n"] {
                text.push_str(part);
            }
        }
        text.push_str(indent);
        text.push_str("  ...\n");
    }
}

/// In double quotes, where JSON's escapes are YAML's.
fn quoted(text: &str) -> String {
    format!("\"{}\"", plain(&printable(text)).replace('\\', "\\\\").replace('"', "\\\""))
}

/// Characters that YAML does not take as they are, beyond control characters: the two that are none.
fn plain(text: &str) -> String {
    text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}
