//! Words of a Dockerfile instruction as BuildKit's shell lexer reads them: quotes, escapes and variables.
//!
//! Owns splitting and expansion of text. Refuses to guess: a word that depends on an unknown value, or on a form
//! that builders read differently, is reported as undecidable with the reason.

use std::iter::Peekable;
use std::str::Chars;

/// What is known of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// It has this value.
    Known(String),
    /// It has no value for certain.
    Unset,
    /// It cannot be told before the build, for this reason.
    Unknown(String),
}

/// Splits as ENV and ARG are split: quotes and escapes keep blanks in a word, and stay in it.
pub(super) fn split_quoted(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote: Option<char> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            continue;
        }
        if c == escape && quote != Some('\'') {
            // A trailing escape escapes nothing and is dropped.
            if let Some(escaped) = chars.next() {
                word.extend([c, escaped]);
            }
            continue;
        }
        word.push(c);
        if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && matches!(c, '\'' | '"') {
            quote = Some(c);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// `word` without quotes and escapes, variables replaced.
///
/// # Errors
/// Why the result cannot be told before the build.
pub(super) fn expand(word: &str, escape: char, lookup: &dyn Fn(&str) -> Value) -> Result<String, String> {
    let mut lexer = Lexer { chars: word.chars().peekable(), escape, lookup };
    lexer.until(None).map_err(|reason| format!("{reason} in {word:?}"))
}

struct Lexer<'a> {
    chars: Peekable<Chars<'a>>,
    escape: char,
    lookup: &'a dyn Fn(&str) -> Value,
}

impl Lexer<'_> {
    fn until(&mut self, stop: Option<char>) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.chars.next() {
                None if stop.is_some() => return Err("a '}' is missing".to_owned()),
                None => return Ok(text),
                c if c == stop => return Ok(text),
                Some('\'') => self.single_quoted(&mut text)?,
                Some('"') => self.double_quoted(&mut text)?,
                Some('$') => text.push_str(&self.variable()?),
                Some(c) if c == self.escape => text.extend(self.chars.next()),
                Some(c) => text.push(c),
            }
        }
    }

    fn single_quoted(&mut self, text: &mut String) -> Result<(), String> {
        loop {
            match self.chars.next() {
                None => return Err("a quote is not closed".to_owned()),
                Some('\'') => return Ok(()),
                Some(c) => text.push(c),
            }
        }
    }

    fn double_quoted(&mut self, text: &mut String) -> Result<(), String> {
        loop {
            match self.chars.next() {
                None => return Err("a quote is not closed".to_owned()),
                Some('"') => return Ok(()),
                Some('$') => text.push_str(&self.variable()?),
                Some(c) if c == self.escape => {
                    let escape = self.escape;
                    match self.chars.next_if(|next| matches!(next, '"' | '$') || *next == escape) {
                        Some(escaped) => text.push(escaped),
                        None => text.push(c),
                    }
                }
                Some(c) => text.push(c),
            }
        }
    }

    fn variable(&mut self) -> Result<String, String> {
        if self.chars.next_if_eq(&'{').is_none() {
            let name = self.name();
            return if name.is_empty() {
                Ok("$".to_owned())
            } else {
                self.value(&name).map(Option::unwrap_or_default)
            };
        }
        let name = self.name();
        if name.is_empty() {
            return Err("a variable has no name".to_owned());
        }
        let mut modifier = self.chars.next();
        let empty_is_unset = modifier == Some(':');
        if empty_is_unset {
            modifier = self.chars.next();
        }
        match modifier {
            Some('}') if !empty_is_unset => return self.value(&name).map(Option::unwrap_or_default),
            Some('-' | '+' | '?') => {}
            _ => return Err(format!("builders differ about this form of ${{{name}}}")),
        }
        // The word is read before the variable: it must be skipped whatever the variable holds, but what it
        // cannot decide matters only where it is used.
        let word = self.until(Some('}'));
        let value = self.value(&name)?.filter(|value| !(empty_is_unset && value.is_empty()));
        match (modifier, value) {
            (Some('+'), Some(_)) | (Some('-'), None) => word,
            (Some('+'), None) => word.map(|_| String::new()),
            (_, Some(value)) => word.map(|_| value),
            (_, None) => Err(format!("${name} must be set")),
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        if let Some(special) = self.chars.next_if(|c| matches!(c, '@' | '*' | '#' | '?' | '-' | '$' | '!')) {
            name.push(special);
            return name;
        }
        let numeric = self.chars.peek().is_some_and(char::is_ascii_digit);
        while let Some(c) = self
            .chars
            .next_if(|c| if numeric { c.is_ascii_digit() } else { c.is_alphanumeric() || *c == '_' })
        {
            name.push(c);
        }
        name
    }

    fn value(&self, name: &str) -> Result<Option<String>, String> {
        // Parameters such as $1 and $@ exist in a shell alone.
        if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return Ok(None);
        }
        match (self.lookup)(name) {
            Value::Known(value) => Ok(Some(value)),
            Value::Unset => Ok(None),
            Value::Unknown(reason) => Err(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lookup(name: &str) -> Value {
        match name {
            "SET" => Value::Known("value".to_owned()),
            "EMPTY" => Value::Known(String::new()),
            "HIDDEN" => Value::Unknown("$HIDDEN is not known".to_owned()),
            _ => Value::Unset,
        }
    }

    fn expanded(word: &str) -> Result<String, String> {
        expand(word, '\\', &lookup)
    }

    #[test]
    fn quotes_and_escapes_are_removed_and_variables_replaced() {
        let cases = [
            ("plain", "plain"),
            ("\"q.txt\"", "q.txt"),
            ("'a b'\"c\"", "a bc"),
            ("a\\ b", "a b"),
            ("end\\", "end"),
            ("'$SET'", "$SET"),
            ("\"$SET\"", "value"),
            ("\"\\$SET \\\" \\x\"", "$SET \" \\x"),
            ("\\$SET", "$SET"),
            ("a$SET.txt", "avalue.txt"),
            ("a${SET}b", "avalueb"),
            ("$", "$"),
            ("a$/b", "a$/b"),
            ("$1x$@y", "xy"),
            ("${UNSET}", ""),
            ("${SET:-d}", "value"),
            ("${UNSET:-d/$SET}", "d/value"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY-d}", ""),
            ("${UNSET-'d e'}", "d e"),
            ("${SET:+yes}", "yes"),
            ("${EMPTY:+yes}", ""),
            ("${EMPTY+yes}", "yes"),
            ("${SET:?gone}", "value"),
            ("${UNSET:-${SET:+in}}", "in"),
            ("[$SET*", "[value*"),
        ];
        for (word, expected) in cases {
            assert_eq!(expanded(word).as_deref(), Ok(expected), "{word}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_reported() {
        for word in [
            "$HIDDEN",
            "${HIDDEN:-d}",
            "a${HIDDEN:+x}",
            "\"$HIDDEN\"",
            "${SET%.txt}",
            "${SET//a/b}",
            "${UNSET:?x}",
            "${",
            "${}",
            "${SET",
            "'a",
            "\"a",
            "${SET:}",
        ] {
            assert!(expanded(word).is_err(), "{word}");
        }
        assert_eq!(expanded("x$HIDDEN"), Err("$HIDDEN is not known in \"x$HIDDEN\"".to_owned()));
    }

    #[test]
    fn an_undecidable_default_matters_only_where_it_is_used() {
        assert!(expanded("${UNSET:-$HIDDEN}").is_err());
    }

    #[test]
    fn the_backquote_can_be_the_escape() {
        assert_eq!(expand("a\\b`$c", '`', &lookup).as_deref(), Ok("a\\b$c"));
    }

    #[test]
    fn assignments_keep_quoted_blanks() {
        assert_eq!(
            split_quoted("A=1 B=\"x y\" C=a\\ b D='\\' E=\\", '\\'),
            ["A=1", "B=\"x y\"", "C=a\\ b", "D='\\'", "E="]
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_lexer_panic(word in "[a${}:+?'\"\\\\ -]{0,20}|\\PC*") {
            let _ = expanded(&word);
            split_quoted(&word, '\\');
        }

        #[test]
        fn text_without_special_characters_is_kept(word in "[a-z/.*?\\[\\]]{0,20}") {
            prop_assert_eq!(expanded(&word), Ok(word.clone()));
        }
    }
}
