//! The end of a step's output, kept for the error that may follow.
//!
//! Bounded: whatever a step prints, no more than [`LIMIT`] bytes of it are held. Joins characters that were cut
//! between two chunks.

/// How much of a step's output is kept, in bytes.
pub(super) const LIMIT: usize = 16 * 1024;

/// Text whose beginning is forgotten when it grows too long.
#[derive(Debug, Default, Clone)]
pub(super) struct Tail {
    text: String,
    cut: bool,
}

impl Tail {
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        if self.text.len() > 2 * LIMIT {
            let from = self.text.ceil_char_boundary(self.text.len() - LIMIT);
            self.text.drain(..from);
            self.cut = true;
        }
    }

    /// The last lines, whole ones where the beginning was cut.
    pub(super) fn text(&self) -> &str {
        let over = self.text.len().saturating_sub(LIMIT);
        let text = self.text.get(self.text.ceil_char_boundary(over)..).unwrap_or_default();
        let text = if self.cut || over > 0 {
            text.split_once('\n').map_or(text, |(_, whole_lines)| whole_lines)
        } else {
            text
        };
        text.trim_end()
    }
}

/// Turns chunks of bytes into text where a character may be cut between two chunks.
#[derive(Debug, Default, Clone)]
pub(super) struct Decoder {
    rest: Vec<u8>,
}

impl Decoder {
    /// The text that is complete so far; bytes that are not UTF-8 are replaced.
    pub(super) fn decode(&mut self, chunk: &[u8]) -> String {
        let mut bytes = std::mem::take(&mut self.rest);
        bytes.extend_from_slice(chunk);
        let mut text = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(part) = chunks.next() {
            text.push_str(part.valid());
            let invalid = part.invalid();
            if invalid.is_empty() {
                continue;
            }
            if chunks.peek().is_none() && may_continue(invalid) {
                self.rest = invalid.to_vec();
            } else {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        text
    }
}

/// True for the beginning of a character whose end has not come yet.
fn may_continue(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_end_is_kept_in_whole_lines_and_the_beginning_is_forgotten() {
        let mut tail = Tail::default();
        for number in 0..100_000 {
            tail.push(&format!("line {number} ü\n"));
            assert!(tail.text.len() <= 2 * LIMIT + 32);
        }
        assert!(tail.text().len() <= LIMIT && tail.text().len() > LIMIT / 2);
        assert!(tail.text().starts_with("line ") && tail.text().ends_with("line 99999 ü"));
    }

    proptest! {
        #[test]
        fn text_is_the_same_however_it_is_cut(text in "\\PC{0,40}", cuts in proptest::collection::vec(0usize..200, 0..6)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (bytes.len() + 1)).collect();
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let (mut decoder, mut decoded, mut from) = (Decoder::default(), String::new(), 0);
            for cut in cuts {
                decoded.push_str(&decoder.decode(&bytes[from..cut]));
                from = cut;
            }
            prop_assert_eq!(decoded, text);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(b"a\xffb\xe2\x82"), "a\u{fffd}b");
        assert_eq!(decoder.decode(b"\xac!"), "\u{20ac}!");
        assert_eq!(decoder.decode(b"\xe2x"), "\u{fffd}x");
    }
}
