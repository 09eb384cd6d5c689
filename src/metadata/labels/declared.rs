//! Labels as a LABEL instruction declares them, before any image is built.
//!
//! Variables are left as written: their values are the builder's to know.

use crate::metadata::dockerfile::Instruction;

/// The labels of one LABEL instruction, quotes and escapes removed.
#[must_use]
pub fn declared(instruction: &Instruction, escape: char) -> Vec<(String, String)> {
    instruction
        .quoted_words(escape)
        .iter()
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| (unquote(name, escape), unquote(value, escape)))
        .collect()
}

fn unquote(text: &str, escape: char) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            (letter, open) if letter == escape && open != Some('\'') => plain.extend(letters.next()),
            (_, Some(open)) if letter == open => quote = None,
            ('"' | '\'', None) => quote = Some(letter),
            _ => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::dockerfile::parse;

    #[test]
    fn labels_are_read_as_a_shell_would_quote_them() {
        let parsed =
            parse(b"FROM x\nLABEL test.type=security \"test.results\"='/my results' a=b\\ c\n").unwrap();
        let labels = declared(&parsed.instructions[1], '\\');
        let expected = [("test.type", "security"), ("test.results", "/my results"), ("a", "b c")];
        assert_eq!(labels, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
