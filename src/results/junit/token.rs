//! Splits XML into tags and text in constant memory.
//!
//! quick-xml's own reader holds each event whole, so a report with a gigabyte between two tags would fill the memory.
//! This one keeps the first bytes of a text or attribute value and reads over the rest; quick-xml then parses what is
//! inside a tag. Comments, processing instructions and DOCTYPE are read over: no entity is ever declared.

use std::io::{self, BufRead};

/// Bytes of one attribute value that are kept.
const VALUE_LIMIT: usize = 64 * 1024;
/// Bytes of one tag, its values cut, beyond which the file is refused.
const TAG_LIMIT: usize = 1024 * 1024;

/// One piece of a document. Names and attributes are raw; text may hold entity references unless it is CDATA.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token<'b> {
    Start { tag: &'b [u8], empty: bool },
    End { name: &'b [u8] },
    Text { raw: &'b [u8], cdata: bool, cut: bool },
    Eof,
}

/// Why a document cannot be split.
#[derive(Debug)]
pub(super) enum TokenError {
    Read(io::Error),
    UnexpectedEnd { inside: &'static str },
    TagTooLarge,
}

impl From<io::Error> for TokenError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// The document and how far it was read.
pub(super) struct Tokenizer<R> {
    reader: R,
    buffer: Vec<u8>,
    line: u64,
    offset: u64,
}

impl<R: BufRead> Tokenizer<R> {
    pub(super) const fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), line: 1, offset: 0 }
    }

    /// Line that was reached, counted from 1.
    pub(super) const fn line(&self) -> u64 {
        self.line
    }

    /// Bytes read, as UTF-8.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// What was read of a piece that did not come whole.
    pub(super) fn partial(&self) -> &[u8] {
        &self.buffer
    }

    /// The next piece; at most `keep` bytes of a text are kept.
    pub(super) fn next(&mut self, keep: usize) -> Result<Token<'_>, TokenError> {
        loop {
            self.buffer.clear();
            match self.peek()? {
                None => return Ok(Token::Eof),
                Some(b'<') => {}
                Some(_) => {
                    let cut = self.read_text(keep)?;
                    return Ok(Token::Text { raw: &self.buffer, cdata: false, cut });
                }
            }
            self.take("a tag")?;
            match self.peek()? {
                None => return Err(TokenError::UnexpectedEnd { inside: "a tag" }),
                Some(b'?') => self.skip_past(b"?>", "a processing instruction")?,
                Some(b'!') => {
                    self.take("a declaration")?;
                    if self.starts_with(b"--")? {
                        self.skip_past(b"-->", "a comment")?;
                    } else if self.starts_with(b"[CDATA[")? {
                        let cut = self.read_past(b"]]>", keep, "a CDATA section")?;
                        return Ok(Token::Text { raw: &self.buffer, cdata: true, cut });
                    } else {
                        self.buffer.clear();
                        self.skip_declaration()?;
                    }
                }
                Some(b'/') => {
                    self.take("a tag")?;
                    self.read_tag()?;
                    return Ok(Token::End { name: self.buffer.trim_ascii() });
                }
                Some(_) => {
                    self.read_tag()?;
                    let empty = self.buffer.last() == Some(&b'/');
                    let tag = if empty { &self.buffer[..self.buffer.len() - 1] } else { &self.buffer[..] };
                    return Ok(Token::Start { tag, empty });
                }
            }
        }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.reader.fill_buf() {
                Ok(ready) => return Ok(ready.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn take(&mut self, inside: &'static str) -> Result<u8, TokenError> {
        let byte = self.peek()?.ok_or(TokenError::UnexpectedEnd { inside })?;
        self.reader.consume(1);
        self.offset += 1;
        self.line += u64::from(byte == b'\n');
        Ok(byte)
    }

    /// Hands what is buffered to `step`, which says how many bytes it used and whether it is done. False at the end
    /// of the input.
    fn scan(&mut self, mut step: impl FnMut(&mut Vec<u8>, &[u8]) -> (usize, bool)) -> io::Result<bool> {
        loop {
            if self.peek()?.is_none() {
                return Ok(false);
            }
            let ready = self.reader.fill_buf()?;
            let (used, done) = step(&mut self.buffer, ready);
            let used_bytes = &ready[..used.min(ready.len())];
            self.line += used_bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
            self.offset += used_bytes.len() as u64;
            self.reader.consume(used);
            if done {
                return Ok(true);
            }
        }
    }

    /// Reads up to the next `<`; true where text was dropped.
    fn read_text(&mut self, keep: usize) -> io::Result<bool> {
        let mut cut = false;
        self.scan(|buffer, ready| {
            let end = ready.iter().position(|byte| *byte == b'<');
            let text = &ready[..end.unwrap_or(ready.len())];
            let kept = text.len().min(keep.saturating_sub(buffer.len()));
            buffer.extend_from_slice(&text[..kept]);
            cut |= kept < text.len();
            (text.len(), end.is_some())
        })?;
        Ok(cut)
    }

    fn skip_past(&mut self, terminator: &[u8], inside: &'static str) -> Result<(), TokenError> {
        self.read_past(terminator, 0, inside).map(|_| self.buffer.clear())
    }

    /// Reads up to and over `terminator`, keeping at most `keep` bytes of what stands before it.
    fn read_past(
        &mut self,
        terminator: &[u8],
        keep: usize,
        inside: &'static str,
    ) -> Result<bool, TokenError> {
        self.buffer.clear();
        let mut total = 0_usize;
        let mut recent = [0_u8; 3];
        let tail = 3 - terminator.len();
        let room = keep.saturating_add(terminator.len());
        let found = self.scan(|buffer, ready| {
            for (index, byte) in ready.iter().enumerate() {
                recent = [recent[1], recent[2], *byte];
                total = total.saturating_add(1);
                if buffer.len() < room {
                    buffer.push(*byte);
                }
                if total >= terminator.len() && recent[tail..] == *terminator {
                    return (index + 1, true);
                }
            }
            (ready.len(), false)
        })?;
        if !found {
            return Err(TokenError::UnexpectedEnd { inside });
        }
        let content = total - terminator.len();
        self.buffer.truncate(content.min(keep));
        Ok(content > keep)
    }

    /// Reads over `literal` where it comes next. What was read of it is lost otherwise, which matters to nobody: the
    /// rest of a declaration is skipped in either case.
    fn starts_with(&mut self, literal: &[u8]) -> Result<bool, TokenError> {
        for expected in literal {
            if self.peek()? != Some(*expected) {
                return Ok(false);
            }
            self.take("a declaration")?;
        }
        Ok(true)
    }

    /// Reads over `<!DOCTYPE … [ … ]>` and its like.
    fn skip_declaration(&mut self) -> Result<(), TokenError> {
        let (mut depth, mut quote, mut in_comment) = (0_u32, None, false);
        let mut recent = [0_u8; 4];
        let found = self.scan(|_, ready| {
            for (index, byte) in ready.iter().enumerate() {
                recent = [recent[1], recent[2], recent[3], *byte];
                if in_comment {
                    in_comment = !recent.ends_with(b"-->");
                    continue;
                }
                match (quote, *byte) {
                    (Some(open), byte) if byte == open => quote = None,
                    (None, b'"' | b'\'') => quote = Some(*byte),
                    (None, b'<' | b'[') => depth = depth.saturating_add(1),
                    (None, b'>') if depth == 0 => return (index + 1, true),
                    (None, b'>' | b']') => depth = depth.saturating_sub(1),
                    (None, b'-') if recent == *b"<!--" => {
                        in_comment = true;
                        depth = depth.saturating_sub(1);
                    }
                    _ => {}
                }
            }
            (ready.len(), false)
        })?;
        if found { Ok(()) } else { Err(TokenError::UnexpectedEnd { inside: "a declaration" }) }
    }

    /// Reads a tag's inside into the buffer, over its `>`. Values are cut; a tag of too many attributes is refused.
    fn read_tag(&mut self) -> Result<(), TokenError> {
        let (mut quote, mut value, mut too_large) = (None, 0_usize, false);
        let found = self.scan(|buffer, ready| {
            for (index, byte) in ready.iter().enumerate() {
                match (quote, *byte) {
                    (None, b'>') => return (index + 1, true),
                    (None, b'"' | b'\'') => (quote, value) = (Some(*byte), 0),
                    (Some(open), byte) if byte == open => quote = None,
                    (Some(_), _) => value += 1,
                    _ => {}
                }
                if quote.is_some() && value > VALUE_LIMIT {
                    continue;
                }
                if buffer.len() >= TAG_LIMIT {
                    too_large = true;
                    return (index, true);
                }
                buffer.push(*byte);
            }
            (ready.len(), false)
        })?;
        match (too_large, found) {
            (true, _) => Err(TokenError::TagTooLarge),
            (false, false) => Err(TokenError::UnexpectedEnd { inside: "a tag" }),
            (false, true) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn tokens(xml: &str, keep: usize) -> Vec<String> {
        // One byte at a time, so that every split falls on a buffer's end.
        let mut tokenizer = Tokenizer::new(BufReader::with_capacity(1, xml.as_bytes()));
        let mut seen = Vec::new();
        let text = |raw: &[u8]| String::from_utf8_lossy(raw).into_owned();
        loop {
            seen.push(match tokenizer.next(keep) {
                Ok(Token::Start { tag, empty }) => format!("+{}{}", text(tag), if empty { "/" } else { "" }),
                Ok(Token::End { name }) => format!("-{}", text(name)),
                Ok(Token::Text { raw, cdata, cut }) => {
                    format!("{}{}{}", if cdata { "c:" } else { "t:" }, text(raw), if cut { "…" } else { "" })
                }
                Ok(Token::Eof) => break,
                Err(TokenError::UnexpectedEnd { inside }) => {
                    seen.push(format!("end inside {inside}"));
                    break;
                }
                Err(error) => panic!("{error:?}"),
            });
        }
        seen
    }

    #[test]
    fn tags_text_and_cdata_are_told_apart() {
        assert_eq!(
            tokens("<a x='1>2' y=\"'\">t&amp;<b/><![CDATA[<]]]]>x</a >", 100),
            ["+a x='1>2' y=\"'\"", "t:t&amp;", "+b/", "c:<]]", "t:x", "-a"]
        );
    }

    #[test]
    fn comments_instructions_and_declarations_are_read_over() {
        let xml = "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b \"]>\"> <!ELEMENT c (d)><!-- it's -->]><!-- <x> -- ---><a/>";
        assert_eq!(tokens(xml, 100), ["+a/"]);
    }

    #[test]
    fn text_is_kept_up_to_the_cap() {
        assert_eq!(tokens("<a>12345</a>", 3), ["+a", "t:123…", "-a"]);
        assert_eq!(tokens("<![CDATA[12345]]>", 3), ["c:123…"]);
        assert_eq!(tokens("<![CDATA[123]]>", 3), ["c:123"]);
        assert_eq!(tokens("<![CDATA[1234]]>", 0), ["c:…"]);
    }

    #[test]
    fn a_cut_file_is_told_from_a_whole_one() {
        assert_eq!(tokens("<a><b x='1", 9), ["+a", "end inside a tag"]);
        assert_eq!(tokens("<a><![CDATA[x]]", 9), ["+a", "end inside a CDATA section"]);
        assert_eq!(tokens("<a><!-- x --", 9), ["+a", "end inside a comment"]);
    }

    #[test]
    fn a_huge_attribute_is_cut_and_its_tag_stays_readable() {
        let xml = format!("<a x='{}' y='1'>", "z".repeat(3_000_000));
        let mut tokenizer = Tokenizer::new(xml.as_bytes());
        let Ok(Token::Start { tag, .. }) = tokenizer.next(0) else { panic!("no tag") };
        assert!(tag.len() < 70_000);
        assert!(tag.ends_with(b"' y='1'"));
    }

    #[test]
    fn a_tag_of_a_million_attributes_is_refused() {
        let xml = format!("<a {}>", "x='1' ".repeat(1_000_000));
        assert!(matches!(Tokenizer::new(xml.as_bytes()).next(0), Err(TokenError::TagTooLarge)));
    }

    #[test]
    fn lines_are_counted() {
        let mut tokenizer = Tokenizer::new("<a\n>\n<!--\n-->\n<b/>".as_bytes());
        while !matches!(tokenizer.next(9), Ok(Token::Start { empty: true, .. })) {}
        assert_eq!((tokenizer.line(), tokenizer.offset()), (5, 18));
    }
}
