//! Cuts the text of an instruction into words.
//!
//! Owns the two ways in which BuildKit splits: at white space alone, and with quotes and escapes respected.
//! Neither removes a quote; that is for [`super::lex`].

/// What BuildKit splits at. Unicode spaces are not among them.
pub(super) const SPACE: [char; 5] = ['\t', '\u{b}', '\u{c}', '\r', ' '];

/// The words between white space.
pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(SPACE).filter(|word| !word.is_empty())
}

/// The words of ARG, ENV and LABEL: white space inside quotes, or after the escape character, is kept.
pub(super) fn quoted(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut started = false;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if quote.is_none() && character.is_whitespace() {
            if started && !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            started = false;
            continue;
        }
        started = true;
        match quote {
            Some(open) if character == open => quote = None,
            None if matches!(character, '\'' | '"') => quote = Some(character),
            _ => {}
        }
        if character == escape && quote != Some('\'') {
            // An escape character at the very end is dropped.
            if let Some(next) = characters.next() {
                word.push(character);
                word.push(next);
            }
            continue;
        }
        word.push(character);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_escapes_keep_white_space_in_a_word() {
        assert_eq!(
            quoted(r#"a=1  b="x y" c=x\ y d='p"q r'"#, '\\'),
            ["a=1", "b=\"x y\"", "c=x\\ y", "d='p\"q r'"]
        );
    }

    #[test]
    fn the_escape_character_is_literal_in_single_quotes() {
        assert_eq!(quoted(r"a='x\' b", '\\'), [r"a='x\'", "b"]);
    }

    #[test]
    fn a_final_escape_character_is_dropped() {
        assert_eq!(quoted("a=b`", '`'), ["a=b"]);
    }
}
