//! Makes text from images, builders and tests safe to show.
//!
//! Owns the removal of terminal control, the characters that XML forbids, and line breaking by display width.
//! Knows nothing about results.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The text without ANSI escape sequences (colours, cursor movement, titles, links).
#[must_use]
pub fn strip_ansi(text: &str) -> Cow<'_, str> {
    if !text.contains(['\u{1b}', '\u{9b}']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(character) = chars.next() {
        match character {
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\u{1b}' => match chars.peek() {
                Some('[') => {
                    chars.next();
                    skip_control_sequence(&mut chars);
                }
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    chars.next();
                    skip_control_string(&mut chars);
                }
                Some('(' | ')' | '*' | '+' | '#' | '%') => {
                    chars.next();
                    chars.next_if(char::is_ascii);
                }
                Some('\u{30}'..='\u{7e}') => {
                    chars.next();
                }
                _ => {}
            },
            _ => out.push(character),
        }
    }
    Cow::Owned(out)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Parameters and intermediates, then one final character. Anything else ends the sequence and stays.
fn skip_control_sequence(chars: &mut Chars<'_>) {
    while chars.next_if(|c| ('\u{20}'..='\u{3f}').contains(c)).is_some() {}
    chars.next_if(|c| ('\u{40}'..='\u{7e}').contains(c));
}

/// Up to BEL or the string terminator. A string that is not ended on its line is taken to end with the line, so
/// that a stray introducer cannot swallow the rest of a log.
fn skip_control_string(chars: &mut Chars<'_>) {
    while let Some(character) = chars.next_if(|c| *c != '\n') {
        match character {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                chars.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

/// One line that a terminal shows as it is: ANSI sequences removed, other control characters (line ends too) and
/// bidirectional overrides written as escapes, and no legacy workflow command (`##[…]`) for CI logs to obey.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let text = strip_ansi(text);
    if !text.chars().any(is_unsafe) && !text.contains("##[") {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\t' => out.push_str("    "),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            // Writing to a String cannot fail.
            c if is_unsafe(c) => drop(write!(out, "\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    Cow::Owned(out.replace("##[", "## ["))
}

fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}')
        || matches!(character, '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The line as no CI log obeys it: `::command::` counts at the start of a line, spaces aside, and an invisible word joiner
/// in front ends that.
#[must_use]
pub fn inert(line: &str) -> Cow<'_, str> {
    if line.trim_start().starts_with("::") {
        Cow::Owned(format!("\u{2060}{line}"))
    } else {
        Cow::Borrowed(line)
    }
}

/// Lines of a longer text, each made [`printable`]; a carriage return inside a line keeps what follows it, as a
/// terminal would.
pub fn printable_lines(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.lines().map(|line| {
        let line = line.trim_end_matches('\r');
        printable(line.rsplit('\r').next().unwrap_or(line))
    })
}

/// The first line that says something, made [`printable`].
#[must_use]
pub fn first_line(text: &str) -> Option<String> {
    printable_lines(text).map(|line| line.trim().to_owned()).find(|line| !line.is_empty())
}

/// Text that XML 1.0 can hold: ANSI sequences and forbidden characters removed.
#[must_use]
pub fn xml_text(text: &str) -> String {
    strip_ansi(text)
        .chars()
        .filter(|c| {
            matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{7e}' | '\u{85}' | '\u{a0}'..='\u{d7ff}')
                || matches!(c, '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
        })
        .collect()
}

/// The text cut to at most `limit` bytes at a character, with a note of how much is missing.
#[must_use]
pub fn head(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(limit);
    let kept = text.get(..end).unwrap_or_default();
    Cow::Owned(format!("{kept}\n… {} more bytes", text.len() - end))
}

/// The text cut to `width` columns, the last one an ellipsis where something is missing.
#[must_use]
pub fn truncate(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut used = 0;
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used + 1 > width {
            break;
        }
        out.push(character);
    }
    out.push('…');
    Cow::Owned(out)
}

/// Columns of a name that a test, an image or a builder chose: more of it tells nobody more.
pub const NAME_WIDTH: usize = 200;

/// Columns of a message that is shown among others.
pub const MESSAGE_WIDTH: usize = 1000;

/// A foreign name, made [`printable`] and cut to [`NAME_WIDTH`].
#[must_use]
pub fn name(text: &str) -> String {
    truncate(&printable(text), NAME_WIDTH).into_owned()
}

/// A foreign message, made [`printable`] and cut to [`MESSAGE_WIDTH`].
#[must_use]
pub fn message(text: &str) -> String {
    truncate(&printable(text), MESSAGE_WIDTH).into_owned()
}

/// Breaks one line into lines of at most `width` columns, at spaces where there are some. Never returns no line.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let gap = usize::from(!line.is_empty());
        if line.width() + gap + word.width() <= width {
            line.extend(std::iter::repeat_n(' ', gap));
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for character in word.chars() {
            if line.width() + character.width().unwrap_or(0) > width && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line.push(character);
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ansi_sequences_disappear_and_the_text_between_stays() {
        assert_eq!(strip_ansi("\u{1b}[1;31mred\u{1b}[0m plain"), "red plain");
        assert_eq!(strip_ansi("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{7}!"), "link!");
        assert_eq!(strip_ansi("a\u{1b}(Bb\u{1b}cd\u{9b}2Ke"), "abde");
        assert_eq!(strip_ansi("\u{1b}]0;title without end\nnext"), "\nnext");
        assert_eq!(strip_ansi("end\u{1b}"), "end");
    }

    #[test]
    fn what_could_steer_a_terminal_is_written_out() {
        assert_eq!(printable("a\u{7}b\rc\nd\te"), "a\\u{7}b\\rc\\nd    e");
        assert_eq!(printable("x\u{202e}gnp.exe"), "x\\u{202e}gnp.exe");
        assert_eq!(printable("plain é 漢"), "plain é 漢");
    }

    #[test]
    fn legacy_workflow_commands_are_broken() {
        assert_eq!(printable("x ##[add-mask]secret"), "x ## [add-mask]secret");
        assert_eq!(printable("#\u{1b}[0m#[error]x"), "## [error]x");
    }

    #[test]
    fn a_redrawn_line_keeps_its_last_state() {
        let lines: Vec<_> = printable_lines("10%\r50%\r100%\r\nnext").collect();
        assert_eq!(lines, ["100%", "next"]);
    }

    #[test]
    fn the_first_line_skips_blank_ones() {
        assert_eq!(first_line("\n  \n  assert 1 == 2  \nmore").as_deref(), Some("assert 1 == 2"));
        assert_eq!(first_line(" \n"), None);
    }

    #[test]
    fn cuts_respect_characters_and_columns() {
        assert_eq!(head("aéb", 2), "a\n… 3 more bytes");
        assert_eq!(head("aéb", 4), "aéb");
        assert_eq!(truncate("漢字漢字", 5), "漢字…");
        assert_eq!(truncate("abc", 3), "abc");
    }

    #[test]
    fn foreign_names_and_messages_end_somewhere() {
        let long = "x\u{7}".repeat(4000);
        assert_eq!((name(&long).width(), message(&long).width()), (NAME_WIDTH, MESSAGE_WIDTH));
        assert!(name(&long).starts_with("x\\u{7}x") && name(&long).ends_with('…'));
        assert_eq!(name("shop:1.4"), "shop:1.4");
    }

    #[test]
    fn lines_break_at_spaces_and_long_words_where_they_must() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4), [""]);
    }

    proptest! {
        #[test]
        fn printable_text_has_no_control_character(text in any::<String>()) {
            let shown = printable(&text);
            prop_assert!(!shown.chars().any(is_unsafe));
            prop_assert!(!shown.contains("##["));
        }

        #[test]
        fn xml_text_has_no_forbidden_character(text in any::<String>()) {
            let clean = xml_text(&text);
            let forbidden = |c: char| {
                (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}')
            };
            prop_assert!(!clean.chars().any(forbidden));
        }

        #[test]
        fn wrapped_lines_fit_and_lose_nothing_but_spaces(text in "[a-z漢 ]{0,60}", width in 2_usize..20) {
            let lines = wrap(&text, width);
            prop_assert!(lines.iter().all(|line| line.width() <= width));
            let squeeze = |s: &str| s.replace(' ', "");
            prop_assert_eq!(squeeze(&lines.concat()), squeeze(&text));
        }
    }
}
