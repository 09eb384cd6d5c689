//! Physical lines, and the logical lines that continuations make of them.
//!
//! Owns the positions: every piece of a logical line knows where in the file it came from. Knows nothing about
//! instructions.

/// One line of the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// Counted from 1.
    pub(super) number: u32,
    /// Where it starts.
    pub(super) start: usize,
    /// Where the next one starts.
    pub(super) end: usize,
    /// The text without its line end; every `\r` before the `\n` is part of the line end.
    pub(super) text: &'a str,
    /// The text with its line end.
    pub(super) whole: &'a str,
}

impl Line<'_> {
    /// Nothing but white space.
    pub(super) fn is_blank(&self) -> bool {
        self.text.trim_start().is_empty()
    }

    /// The first thing on it is `#`.
    pub(super) fn is_comment(&self) -> bool {
        self.text.trim_start().starts_with('#')
    }

    /// Where its text ends.
    pub(super) const fn text_end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// The lines of a file, in order.
pub(super) struct Lines<'a> {
    source: &'a str,
    position: usize,
    number: u32,
}

impl<'a> Lines<'a> {
    pub(super) const fn new(source: &'a str) -> Self {
        Self { source, position: 0, number: 0 }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let remaining = self.source.get(self.position..)?;
        if remaining.is_empty() {
            return None;
        }
        let length = remaining.find('\n').map_or(remaining.len(), |index| index + 1);
        let whole = remaining.get(..length)?;
        let start = self.position;
        self.position += length;
        self.number = self.number.saturating_add(1);
        Some(Line {
            number: self.number,
            start,
            end: self.position,
            text: whole.trim_end_matches(['\r', '\n']),
            whole,
        })
    }
}

/// Removes the continuation from a line; `None` where it has none.
///
/// An escape character after another one continues nothing, unless `doubled` says that it does. The rule looks
/// at one character only, so a third escape character changes nothing: BuildKit's parser does the same.
pub(super) fn strip_continuation(text: &str, escape: char, doubled: bool) -> Option<&str> {
    let before = text.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (doubled || !before.ends_with(escape)).then_some(before)
}

struct Piece {
    logical: usize,
    source: usize,
    line: u32,
    length: usize,
}

/// A logical line: physical lines joined, comments and blank lines between them left out.
pub(super) struct LogicalLine {
    pub(super) text: String,
    pieces: Vec<Piece>,
}

impl LogicalLine {
    pub(super) const fn new() -> Self {
        Self { text: String::new(), pieces: Vec::new() }
    }

    /// Appends text that stands at byte `source` of the file, on line `line`.
    pub(super) fn push(&mut self, text: &str, source: usize, line: u32) {
        self.pieces.push(Piece { logical: self.text.len(), source, line, length: text.len() });
        self.text.push_str(text);
    }

    /// Where in the file (byte, line) the character at byte `logical` of the joined text stands.
    pub(super) fn locate(&self, logical: usize) -> Option<(usize, u32)> {
        self.pieces
            .iter()
            .find(|piece| logical >= piece.logical && logical < piece.logical + piece.length)
            .map(|piece| (piece.source + (logical - piece.logical), piece.line))
    }

    /// Where in the file the last character that is not white space ends.
    pub(super) fn content_end(&self) -> usize {
        let last = self.text.trim_end().char_indices().next_back();
        last.and_then(|(index, character)| Some(self.locate(index)?.0 + character.len_utf8())).unwrap_or(0)
    }
}
