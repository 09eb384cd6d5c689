//! `command` and `entrypoint`: words, or a text that is cut into words.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::shape::{Nothing, Shaped, shaped};
use crate::plan::syntax::Invalid;

/// Words of a command line. A text is cut into words as a shell would do it, and no shell runs it: as in a compose
/// file. An empty list resets what the image has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

impl Shaped for Words {
    const EXPECTED: &'static str = "a list of words, or a text that is cut into words";
    const LIST: bool = true;
    type List = Vec<String>;
    type Map = Nothing;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "array", "items": { "type": ["string", "number", "boolean"] } },
            { "type": "string" },
        ]})
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        cut(text).and_then(Self::from_list)
    }

    fn from_list(words: Vec<String>) -> Result<Self, Invalid> {
        if words.iter().any(|word| word.contains('\0')) {
            return Err(Invalid::new("expected words without NUL"));
        }
        Ok(Self(words))
    }
}

/// Cuts a text into words at white space outside of quotes, as a shell does without expanding anything.
fn cut(text: &str) -> Result<Vec<String>, Invalid> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some('"'), '\\') => {
                let next = letters.next().ok_or_else(|| Invalid::new("nothing follows the backslash"))?;
                let word = word.get_or_insert_default();
                if !matches!(next, '"' | '\\' | '$' | '`') {
                    word.push('\\');
                }
                word.push(next);
            }
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '\\') => {
                let next = letters.next().ok_or_else(|| Invalid::new("nothing follows the backslash"))?;
                word.get_or_insert_default().push(next);
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    if let Some(quote) = quote {
        return Err(Invalid::new(format!("the quote {quote} is not closed")));
    }
    words.extend(word);
    Ok(words)
}

shaped!(Words);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_into_words_as_a_shell_does() {
        let table: [(&str, &[&str]); 7] = [
            ("", &[]),
            ("  a  b ", &["a", "b"]),
            ("-c 'fsync = off'", &["-c", "fsync = off"]),
            ("a\"b c\"d ''", &["ab cd", ""]),
            (r#"a\ b "\$x \n \"""#, &["a b", "$x \\n \""]),
            ("'a\\'", &["a\\"]),
            ("$HOME *", &["$HOME", "*"]),
        ];
        for (text, words) in table {
            assert_eq!(cut(text).unwrap(), words, "{text}");
        }
        for text in ["'a", "a \"", "a\\", "\"\\"] {
            assert!(cut(text).is_err(), "{text}");
        }
    }
}
