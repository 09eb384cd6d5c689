//! Quotes text from a file or label in a message.
//!
//! Owns truncation and the escaping of control characters, so that hostile input cannot drive a terminal.

use std::fmt::Write as _;

const LONGEST: usize = 60;

/// `text` in backquotes, control characters escaped, cut after 60 characters.
pub(crate) fn excerpt(text: &str) -> String {
    format!("`{}`", escaped(text, LONGEST))
}

/// `text`, control characters escaped, cut after `longest` characters.
pub(crate) fn escaped(text: &str, longest: usize) -> String {
    let mut shown = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == longest {
            shown.push('…');
            break;
        }
        if is_unprintable(character) {
            // Writing into a String cannot fail.
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Control characters, and the marks that reorder or hide what a terminal shows.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_direction_marks_are_escaped() {
        assert_eq!(excerpt("a\nb\u{1b}[2J\u{202e}c"), r"`a\nb\u{1b}[2J\u{202e}c`");
    }

    #[test]
    fn a_long_text_is_cut() {
        let shown = excerpt(&"x".repeat(61));
        assert_eq!(shown.chars().count(), 63);
        assert!(shown.ends_with("…`"));
        assert!(!excerpt(&"x".repeat(60)).contains('…'));
    }
}
