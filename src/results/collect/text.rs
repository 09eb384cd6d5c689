//! Text from a test's reports, made safe to hold and to show.
//!
//! Owns the cap on length and the removal of what could drive a terminal: escape sequences, control characters and
//! invisible direction marks. Knows nothing of XML or TAP.

/// What stands where text was cut.
const CUT_NOTE: &str = "\n[cut]";

/// Text that stops growing at a limit, cut between characters.
#[derive(Debug, Clone, Default)]
pub(crate) struct CappedText {
    text: String,
    limit: usize,
    cut: bool,
}

impl CappedText {
    /// Empty text that keeps at most `limit` bytes.
    pub(crate) const fn new(limit: usize) -> Self {
        Self { text: String::new(), limit, cut: false }
    }

    /// As [`Self::new`], for text that is put together from finished ones and may end in their note.
    pub(crate) const fn with_room_for_a_note(limit: usize) -> Self {
        Self::new(limit.saturating_add(CUT_NOTE.len()))
    }

    /// Appends what still fits.
    pub(crate) fn push(&mut self, text: &str) {
        if self.cut {
            return;
        }
        let room = self.limit.saturating_sub(self.text.len());
        let end = if text.len() <= room { text.len() } else { text.floor_char_boundary(room) };
        self.text.push_str(&text[..end]);
        self.cut = end < text.len();
    }

    /// How much more can be of use.
    pub(crate) const fn room(&self) -> usize {
        if self.cut { 0 } else { self.limit.saturating_sub(self.text.len()) }
    }

    /// Notes that text was dropped before it came here.
    pub(crate) const fn mark_cut(&mut self) {
        self.cut = true;
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text without blank lines around it, cleaned by [`clean`], with a note where it was cut. `None` where
    /// nothing but white space is left.
    pub(crate) fn finish(self) -> Option<String> {
        let mut cleaned = clean(&self.text);
        let cut = self.cut | cut(&mut cleaned, self.limit);
        let without_blank_lines = trim_blank_lines(&cleaned);
        match (without_blank_lines.is_empty(), cut) {
            (true, _) => None,
            (false, false) => Some(without_blank_lines.to_owned()),
            (false, true) => Some(format!("{without_blank_lines}{CUT_NOTE}")),
        }
    }
}

fn trim_blank_lines(text: &str) -> &str {
    let text = text.trim_end();
    let content = text.find(|letter: char| !letter.is_whitespace()).unwrap_or(text.len());
    let start = text[..content].rfind('\n').map_or(0, |newline| newline + 1);
    &text[start..]
}

/// Several lines of text without escape sequences, control characters and direction marks. Line ends become `\n`.
pub(crate) fn clean(text: &str) -> String {
    if !text.contains(is_unsafe) {
        return text.to_owned();
    }
    let mut cleaned = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' => {
                letters.next_if_eq(&'\n');
                cleaned.push('\n');
            }
            '\u{1b}' => skip_escape(&mut letters),
            _ if is_unsafe(letter) => cleaned.push('\u{fffd}'),
            _ => cleaned.push(letter),
        }
    }
    cleaned
}

/// One line of text of at most `limit` bytes: cleaned as [`clean`] does, line ends and tabs made spaces, trimmed.
pub(crate) fn clean_line(text: &str, limit: usize) -> String {
    let cleaned = clean(&text[..text.floor_char_boundary(limit)]);
    let mut line: String =
        cleaned.chars().map(|letter| if matches!(letter, '\n' | '\t') { ' ' } else { letter }).collect();
    cut(&mut line, limit);
    line.trim().to_owned()
}

/// What stands for a control character is longer than it: cleaned text may have outgrown its limit. True if so.
fn cut(text: &mut String, limit: usize) -> bool {
    let is_longer = text.len() > limit;
    text.truncate(text.floor_char_boundary(limit));
    is_longer
}

const fn is_unsafe(letter: char) -> bool {
    matches!(
        letter,
        '\0'..='\u{8}'
            | '\u{b}'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

fn skip_escape(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    if letters.next_if_eq(&'[').is_some() {
        while letters.next_if(|letter| matches!(letter, ' '..='?')).is_some() {}
        letters.next_if(|letter| matches!(letter, '@'..='~'));
    } else if letters.next_if_eq(&']').is_some() {
        while let Some(letter) = letters.next_if(|letter| *letter != '\n') {
            if letter == '\u{7}' || (letter == '\u{1b}' && letters.next_if_eq(&'\\').is_some()) {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters_and_says_so() {
        let mut text = CappedText::new(5);
        text.push("aßß");
        text.push("ß");
        text.push("x");
        assert_eq!(text.finish().as_deref(), Some("aßß\n[cut]"));
    }

    #[test]
    fn control_characters_do_not_let_text_outgrow_its_limit() {
        let hostile = "\0".repeat(100);
        let mut text = CappedText::new(100);
        text.push(&hostile);
        let finished = text.finish().unwrap();
        assert_eq!(finished.len(), 99 + CUT_NOTE.len());
        assert!(finished.ends_with(CUT_NOTE));
        assert_eq!(clean_line(&hostile, 100).len(), 99);
    }

    #[test]
    fn text_that_fits_is_not_marked() {
        let mut text = CappedText::new(4);
        text.push("\n \n  ab".trim_start_matches('\n'));
        assert_eq!(text.room(), 0);
        let mut whole = CappedText::new(40);
        whole.push("\n \n  ab\n\n");
        assert_eq!(whole.finish().as_deref(), Some("  ab"));
    }

    #[test]
    fn white_space_alone_is_no_text() {
        let mut text = CappedText::new(40);
        text.push("\n  \n");
        assert_eq!(text.finish(), None);
    }

    #[test]
    fn colours_titles_and_controls_do_not_reach_the_reader() {
        assert_eq!(clean("\u{1b}[31;1mred\u{1b}[0m"), "red");
        assert_eq!(clean("\u{1b}]0;title\u{7}x"), "x");
        assert_eq!(clean("\u{1b}]8;;http://a\u{1b}\\link"), "link");
        assert_eq!(clean("a\0b\u{202e}c\u{9b}d"), "a\u{fffd}b\u{fffd}c\u{fffd}d");
        assert_eq!(clean("50%\r100%\r\ndone"), "50%\n100%\ndone");
    }

    #[test]
    fn a_name_is_one_line() {
        assert_eq!(clean_line(" a\n\tb\u{1b}[2J ", 100), "a  b");
        assert_eq!(clean_line("ßß", 3), "ß");
    }
}
