//! Rules for free text on its way into somebody else's format.
//!
//! Owns cutting to a length at a character boundary, one line out of many, keys that are hashed when they are too
//! long, mentions made harmless, and DataDog's rules for tags. Knows no format: escaping is done where a format is
//! written.

use std::borrow::Cow;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Most characters of a tag.
pub(crate) const MOST_TAG_CHARS: usize = 200;

/// Stands where text was cut.
const MARK: char = '…';
/// `-` and the digits of SHA-256.
const HASH_BYTES: usize = 65;

/// At most `most` characters. Text that was cut ends in `…`.
#[must_use]
pub(crate) fn cut_chars(text: &str, most: usize) -> Cow<'_, str> {
    if text.chars().nth(most).is_none() {
        return Cow::Borrowed(text);
    }
    let kept = text.chars().take(most.saturating_sub(1));
    Cow::Owned(kept.chain((most > 0).then_some(MARK)).collect())
}

/// At most `most` bytes of UTF-8, cut between characters. Text that was cut ends in `…` where there is room for it.
#[must_use]
pub(crate) fn cut_bytes(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let Some(room) = most.checked_sub(MARK.len_utf8()) else {
        return Cow::Borrowed(start_of(text, most));
    };
    let mut kept = start_of(text, room).to_owned();
    kept.push(MARK);
    Cow::Owned(kept)
}

fn start_of(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}

/// The last of a text in at most `most` bytes. Where that begins within a line, the rest of this line is left out,
/// unless it is all there is.
#[must_use]
pub(crate) fn tail(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let start = text.ceil_char_boundary(text.len() - most);
    let (before, last) = text.split_at(start);
    match last.split_once('\n') {
        Some((_, rest)) if !before.ends_with('\n') && !rest.trim().is_empty() => rest,
        _ => last,
    }
}

/// Text in one line: control characters and line ends become single spaces, and what turns the direction of text
/// around is left out.
#[must_use]
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars().filter(|character| !turns_direction(*character)) {
        let is_space = character.is_control() || character.is_whitespace();
        if !is_space {
            line.push(character);
        } else if !line.ends_with(' ') && !line.is_empty() {
            line.push(' ');
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Text in lines: of control characters it keeps the end of a line and the tabulator.
#[must_use]
pub(crate) fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    text.chars()
        .filter(|character| !turns_direction(*character))
        .map(|character| if matches!(character, '\r' | '\u{2028}' | '\u{2029}') { '\n' } else { character })
        .filter(|character| matches!(character, '\n' | '\t') || !character.is_control())
        .collect()
}

/// With these a stranger's text can be shown in another order than it has, ours around it included.
const fn turns_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Text in which `@name` calls nobody: a space of no width stands behind the `@`.
#[must_use]
pub(crate) fn without_mentions(text: &str) -> String {
    let mut quiet = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        quiet.push(character);
        if character == '@' && rest.peek().is_some_and(|next| !next.is_whitespace()) {
            quiet.push('\u{200b}');
        }
    }
    quiet
}

/// A key of at most `most` bytes, which are at least 65. One that is longer keeps its beginning and ends in the
/// SHA-256 of all of it, so that it is the same every time and two keys stay two.
#[must_use]
pub(crate) fn key(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let mut key = start_of(text, most.saturating_sub(HASH_BYTES)).to_owned();
    key.push('-');
    key.push_str(&hash(text));
    Cow::Owned(key)
}

/// SHA-256 in hexadecimal digits.
#[must_use]
pub(crate) fn hash(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::with_capacity(64), |mut digits, byte| {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// A tag by DataDog's rules: letters and digits of any script and `_-:/.`, a letter first, no colon last, at most 200
/// characters. Every other character becomes `_`. `None` where nothing is left.
#[must_use]
pub(crate) fn tag(text: &str) -> Option<String> {
    let allowed = |character: char| {
        if character.is_alphanumeric() || matches!(character, '_' | '-' | ':' | '/' | '.') {
            character
        } else {
            '_'
        }
    };
    let text = text.trim().trim_start_matches(|first: char| !first.is_alphabetic());
    let tag: String = text.chars().take(MOST_TAG_CHARS).map(allowed).collect();
    let tag = tag.trim_end_matches(':');
    (!tag.is_empty()).then(|| tag.to_owned())
}

/// A time of RFC 3339 in UTC: `2026-03-01T12:00:00Z`. One that is out of the calendar becomes 1970.
#[must_use]
pub(crate) fn timestamp(at: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(at).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_else(|_| "1970-01-01T00:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_cut_between_characters_and_says_so() {
        assert_eq!(cut_chars("grün", 4), "grün");
        assert_eq!(cut_chars("grünlich", 4), "grü…");
        assert_eq!(cut_chars("grün", 0), "");
        assert_eq!(cut_bytes("grün", 5), "grün");
        assert_eq!(cut_bytes("grünlich", 6), "gr…", "half of ü is no text");
        assert_eq!(cut_bytes("日本", 2), "");
    }

    #[test]
    fn the_last_of_a_text_begins_with_a_whole_line() {
        assert_eq!(tail("one\ntwo\nthree", 8), "three");
        assert_eq!(tail("one\ntwo\nthree", 9), "two\nthree");
        assert_eq!(tail("one\ntwo\nthree", 100), "one\ntwo\nthree");
        assert_eq!(tail("abcdefgh", 3), "fgh");
        assert_eq!(tail("ää", 3), "ä");
    }

    #[test]
    fn one_line_has_no_control_characters_and_nothing_that_turns_text_around() {
        assert_eq!(one_line(" a\r\n\tb\u{1b}[31m\u{202e}c\u{2028}d\0 "), "a b [31mc d");
        assert_eq!(lines("a\r\nb\rc\u{1b}[0m\td\u{2066}"), "a\nb\nc[0m\td");
    }

    #[test]
    fn mentions_call_nobody() {
        assert_eq!(without_mentions("@channel a@b @ c"), "@\u{200b}channel a@\u{200b}b @ c");
    }

    #[test]
    fn a_long_key_is_hashed_and_two_stay_two() {
        let (one, two) = ("k".repeat(300) + "1", "k".repeat(300) + "2");
        assert_eq!(key("short", 255), "short");
        assert_eq!(key(&one, 255).len(), 255);
        assert_eq!(key(&one, 255), key(&one, 255));
        assert_ne!(key(&one, 255), key(&two, 255));
        assert!(key(&one, 255).starts_with(&"k".repeat(190)));
    }

    #[test]
    fn tags_follow_the_rules_of_datadog() {
        assert_eq!(tag("host:web 1,env:x").as_deref(), Some("host:web_1_env:x"));
        assert_eq!(tag("1a#|b").as_deref(), Some("a__b"));
        assert_eq!(tag("größe:a@b").as_deref(), Some("größe:a_b"));
        assert_eq!(tag("empty:").as_deref(), Some("empty"));
        assert_eq!(tag(" 12:"), None);
    }

    #[test]
    fn a_time_is_written_in_utc_and_one_out_of_the_calendar_is_no_error() {
        assert_eq!(timestamp(1_772_366_400), "2026-03-01T12:00:00Z");
        assert_eq!(timestamp(i64::MAX), "1970-01-01T00:00:00Z");
    }

    proptest! {
        #[test]
        fn nothing_is_longer_than_its_limit(text in any::<String>(), most in 0_usize..80) {
            prop_assert!(cut_chars(&text, most).chars().count() <= most);
            prop_assert!(cut_bytes(&text, most).len() <= most);
            prop_assert!(tail(&text, most).len() <= most);
            prop_assert!(text.ends_with(tail(&text, most)));
            prop_assert!(key(&text, most + 65).len() <= most + 65);
        }

        #[test]
        fn a_tag_stays_a_tag_and_a_line_stays_a_line(text in any::<String>()) {
            if let Some(tag) = tag(&text) {
                prop_assert!(tag.chars().count() <= MOST_TAG_CHARS && !tag.contains([',', '|', '#', '\n', ' ']));
            }
            let line = one_line(&text);
            prop_assert!(!line.chars().any(char::is_control));
            prop_assert_eq!(one_line(&line), line.clone());
        }
    }
}
