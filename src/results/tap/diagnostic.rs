//! The YAML block under a test line.
//!
//! Owns what is looked up in it: message, duration and place. It is read line by line, not as YAML: writers differ
//! in what they quote, and a block that is no valid YAML is shown all the same.

use crate::results::collect::text::CappedText;

/// A `---` block that has not ended.
pub(super) struct Block {
    indent: usize,
    text: CappedText,
    case: Option<usize>,
}

/// Whether a line belongs to a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Inside,
    Last,
    /// The block was never ended, and this line is of what follows.
    NotPart,
}

impl Block {
    pub(super) const fn new(indent: usize, case: Option<usize>, limit: usize) -> Self {
        Self { indent, text: CappedText::new(limit), case }
    }

    pub(super) fn take(&mut self, line: &str) -> Taken {
        let content = line.trim_start_matches([' ', '\t']);
        let indent = line.len() - content.len();
        if content.trim_end() == "..." && indent <= self.indent {
            return Taken::Last;
        }
        if indent < self.indent && !content.trim().is_empty() {
            return Taken::NotPart;
        }
        self.text.push(line.get(self.indent..).unwrap_or_default());
        self.text.push("\n");
        Taken::Inside
    }

    /// The case it belongs to, and its text.
    pub(super) fn finish(self) -> (Option<usize>, Option<String>) {
        (self.case, self.text.finish())
    }
}

/// What a block says, besides its text.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Diagnostic {
    pub(super) message: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) seconds: Option<f64>,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
}

impl Diagnostic {
    /// Reads a block whose own indent was taken off.
    pub(super) fn parse(block: &str) -> Self {
        let mut known = Self::default();
        let mut lines = block.lines().peekable();
        while let Some(line) = lines.next() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            let text = if matches!(value.bytes().next(), Some(b'|' | b'>')) && value.len() <= 3 {
                let mut folded = Vec::new();
                while let Some(inner) = lines.next_if(|line| line.starts_with(' ') || line.is_empty()) {
                    folded.push(inner.trim());
                }
                folded.join("\n").trim().to_owned()
            } else {
                unquote(value)
            };
            if text.is_empty() {
                continue;
            }
            match key {
                "message" => known.message = Some(text),
                "error" => known.message = known.message.or(Some(text)),
                "failureType" => known.kind = Some(text),
                "duration_ms" => known.seconds = text.parse::<f64>().ok().map(|time| time / 1000.0),
                "location" => (known.file, known.line) = place(&text),
                _ => {}
            }
        }
        known.seconds = known.seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
        known
    }
}

fn unquote(value: &str) -> String {
    let inside = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    match (inside('\''), inside('"')) {
        (Some(text), _) => text.replace("''", "'"),
        (None, Some(text)) => text.replace("\\\"", "\"").replace("\\n", "\n"),
        (None, None) => value.to_owned(),
    }
}

/// `FILE:LINE:COLUMN`
fn place(text: &str) -> (Option<String>, Option<u32>) {
    let mut parts = text.rsplitn(3, ':');
    let (column, line, file) = (parts.next(), parts.next(), parts.next());
    let is_number = |part: Option<&str>| part.and_then(|part| part.parse::<u32>().ok());
    match (file, is_number(line), is_number(column)) {
        (Some(file), Some(line), Some(_)) => (Some(file.to_owned()), Some(line)),
        _ => (Some(text.to_owned()), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_duration_and_place_are_found() {
        let block = "duration_ms: 10.5\nlocation: '/app/cart.test.js:3:1'\nfailureType: 'testCodeFailure'\n\
                     error: |-\n  not ''equal'':\n  \n  2 !== 1\n\ncode: 'X'\n";
        let known = Diagnostic::parse(block);
        assert_eq!(known.message.as_deref(), Some("not ''equal'':\n\n2 !== 1"));
        assert_eq!(known.seconds, Some(0.0105));
        assert_eq!((known.file.as_deref(), known.line), (Some("/app/cart.test.js"), Some(3)));
        assert_eq!(known.kind.as_deref(), Some("testCodeFailure"));
    }

    #[test]
    fn quotes_are_taken_off_and_nested_keys_are_not_taken_for_ours() {
        let known = Diagnostic::parse("data:\n  message: inner\nmessage: \"it's \\\"off\\\"\"\n");
        assert_eq!(known.message.as_deref(), Some("it's \"off\""));
        assert_eq!(Diagnostic::parse("error: 'it''s'").message.as_deref(), Some("it's"));
    }

    #[test]
    fn what_is_no_yaml_says_nothing() {
        assert_eq!(Diagnostic::parse(":::\n\t|\nduration_ms: NaN\n"), Diagnostic::default());
    }
}
