//! BuildKit's word lexer: quotes, escapes and `$variables`.
//!
//! Owns the splitting of a line into shell words (heredocs are found among them) and the substitution of ARG
//! values in FROM. Refuses pattern substitutions (`${x#…}`, `${x%…}`, `${x/…}`) where their value is asked for.

use std::iter::Peekable;
use std::str::Chars;

use super::dialect::HeredocRules;

/// Deeper nesting of `${…${…}…}` is refused: it serves nobody and would exhaust the stack.
const DEEPEST: u32 = 64;

/// Why a text cannot be lexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LexError {
    /// Unmatched quote or brace, an unknown modifier, or a `${x:?}` that is not met.
    Syntax,
    /// A substitution that is not carried out here.
    Unsupported,
    /// Nested beyond the limit.
    TooDeep,
    /// A variable without a value, used without a default.
    Unset,
    /// A name in `${…}` with letters whose class depends on the builder's Unicode tables.
    Ambiguous,
}

/// How to lex.
#[derive(Clone, Copy)]
pub(super) struct Lexer<'v> {
    /// The escape character.
    pub(super) escape: char,
    /// Keep quotes in the result.
    pub(super) raw_quotes: bool,
    /// Keep escape characters in the result.
    pub(super) raw_escapes: bool,
    /// Whose lexer it is: see [`HeredocRules`].
    pub(super) rules: HeredocRules,
    /// Leave references to unknown variables as they are written, instead of refusing them.
    pub(super) keep_unset: bool,
    /// The variables.
    pub(super) variables: &'v dyn Fn(&str) -> Option<String>,
}

impl Lexer<'_> {
    /// The text with everything substituted, as one word.
    pub(super) fn word(&self, text: &str) -> Result<String, LexError> {
        self.run(text).map(|(word, _)| word)
    }

    /// The words of the text, after substitution.
    pub(super) fn words(&self, text: &str) -> Result<Vec<String>, LexError> {
        self.run(text).map(|(_, words)| words)
    }

    fn run(&self, text: &str) -> Result<(String, Vec<String>), LexError> {
        let mut state =
            State { lexer: self, characters: text.chars().peekable(), words: Words::default(), depth: 0 };
        state.until(None, self.raw_escapes)
    }
}

#[derive(Default)]
struct Words {
    done: Vec<String>,
    current: String,
    in_word: bool,
}

impl Words {
    fn add(&mut self, character: char) {
        if !character.is_whitespace() {
            self.add_raw(character);
        } else if self.in_word && !self.current.is_empty() {
            self.done.push(std::mem::take(&mut self.current));
            self.in_word = false;
        }
    }

    fn add_raw(&mut self, character: char) {
        self.current.push(character);
        self.in_word = true;
    }

    fn finish(mut self) -> Vec<String> {
        if !self.current.is_empty() {
            self.done.push(self.current);
        }
        self.done
    }
}

struct State<'l, 't> {
    lexer: &'l Lexer<'l>,
    characters: Peekable<Chars<'t>>,
    words: Words,
    depth: u32,
}

impl State<'_, '_> {
    /// Lexes up to `stop`, or to the end of the text where there is none.
    fn until(&mut self, stop: Option<char>, raw_escapes: bool) -> Result<(String, Vec<String>), LexError> {
        if self.depth > DEEPEST {
            return Err(LexError::TooDeep);
        }
        self.depth += 1;
        let outer = std::mem::take(&mut self.words);
        let result = self.collect(stop, raw_escapes);
        let words = std::mem::replace(&mut self.words, outer).finish();
        if self.lexer.rules >= HeredocRules::Forgetful {
            self.words.current.clear();
        }
        self.depth -= 1;
        result.map(|text| (text, words))
    }

    fn collect(&mut self, stop: Option<char>, raw_escapes: bool) -> Result<String, LexError> {
        let mut result = String::new();
        while let Some(character) = self.characters.peek().copied() {
            if Some(character) == stop {
                self.characters.next();
                return Ok(result);
            }
            match character {
                '\'' | '"' => {
                    let quoted = if character == '"' {
                        self.double_quoted(raw_escapes)?
                    } else {
                        self.single_quoted()?
                    };
                    self.words.current.push_str(&quoted);
                    self.words.in_word = true;
                    result.push_str(&quoted);
                }
                '$' => {
                    let value = self.dollar()?;
                    value.chars().for_each(|character| self.words.add(character));
                    result.push_str(&value);
                }
                '<' if self.lexer.rules >= HeredocRules::Spaced => {
                    let opening = self.possible_heredoc();
                    self.words.current.push_str(&opening);
                    self.words.in_word = true;
                    result.push_str(&opening);
                }
                _ => {
                    self.characters.next();
                    if character != self.lexer.escape {
                        self.words.add(character);
                        result.push(character);
                        continue;
                    }
                    if raw_escapes {
                        self.words.add_raw(character);
                        result.push(character);
                    }
                    let Some(escaped) = self.characters.next() else { break };
                    self.words.add_raw(escaped);
                    result.push(escaped);
                }
            }
        }
        if stop.is_some() { Err(LexError::Syntax) } else { Ok(result) }
    }

    fn single_quoted(&mut self) -> Result<String, LexError> {
        self.characters.next();
        let mut result = String::new();
        for character in self.characters.by_ref() {
            if character == '\'' {
                return Ok(if self.lexer.raw_quotes { format!("'{result}'") } else { result });
            }
            result.push(character);
        }
        Err(LexError::Syntax)
    }

    fn double_quoted(&mut self, raw_escapes: bool) -> Result<String, LexError> {
        self.characters.next();
        let mut result = String::new();
        loop {
            match self.characters.peek().copied().ok_or(LexError::Syntax)? {
                '"' => {
                    self.characters.next();
                    return Ok(if self.lexer.raw_quotes { format!("\"{result}\"") } else { result });
                }
                '$' => result.push_str(&self.dollar()?),
                character => {
                    self.characters.next();
                    if character != self.lexer.escape {
                        result.push(character);
                        continue;
                    }
                    if raw_escapes {
                        result.push(character);
                    }
                    match self.characters.peek().copied() {
                        None => {}
                        Some(next) if matches!(next, '"' | '$') || next == self.lexer.escape => {
                            self.characters.next();
                            result.push(next);
                        }
                        Some(_) => result.push(character),
                    }
                }
            }
        }
    }

    fn possible_heredoc(&mut self) -> String {
        self.characters.next();
        if self.characters.next_if_eq(&'<').is_none() {
            return "<".to_owned();
        }
        let mut opening = "<<".to_owned();
        while let Some(space) = self.characters.next_if(|c| matches!(c, '\t' | '\r' | ' ')) {
            opening.push(space);
        }
        opening
    }

    fn dollar(&mut self) -> Result<String, LexError> {
        self.characters.next();
        if self.characters.next_if_eq(&'{').is_none() {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return self.value(&name).map_or_else(|| self.unset(format!("${name}")), Ok);
        }
        match self.characters.peek() {
            None | Some('{' | '}' | ':') => return Err(LexError::Syntax),
            Some(_) => {}
        }
        let name = self.name();
        if self.characters.peek().is_some_and(|next| !next.is_ascii()) || !name.is_ascii() {
            return Err(LexError::Ambiguous);
        }
        match self.characters.next().ok_or(LexError::Syntax)? {
            '}' => self.value(&name).map_or_else(|| self.unset(format!("${{{name}}}")), Ok),
            ':' => {
                let modifier = self.characters.next().ok_or(LexError::Syntax)?;
                self.modified(&name, modifier, true)
            }
            modifier @ ('+' | '-' | '?' | '#' | '%') => self.modified(&name, modifier, false),
            '/' if self.lexer.rules > HeredocRules::First => self.replaced(&name),
            _ => Err(LexError::Syntax),
        }
    }

    /// `${name<modifier>word}`, the opening up to the modifier read already.
    fn modified(&mut self, name: &str, modifier: char, empty_is_unset: bool) -> Result<String, LexError> {
        let pattern = matches!(modifier, '#' | '%');
        let unknown = self.lexer.rules <= HeredocRules::First && !matches!(modifier, '-' | '+');
        if unknown || pattern && empty_is_unset {
            return Err(LexError::Syntax);
        }
        let (word, _) = self.until(Some('}'), pattern)?;
        let value = self.value(name);
        if value.is_none() && self.lexer.keep_unset {
            let colon = if empty_is_unset { ":" } else { "" };
            return Ok(format!("${{{name}{colon}{modifier}{word}}}"));
        }
        let value = value.filter(|value| !(empty_is_unset && value.is_empty()));
        match modifier {
            '-' => Ok(value.unwrap_or(word)),
            '+' => Ok(value.map_or_else(String::new, |_| word)),
            '?' => value.ok_or(LexError::Syntax),
            '#' | '%' => Err(LexError::Unsupported),
            _ => Err(LexError::Syntax),
        }
    }

    /// `${name/pattern/replacement}`, the opening up to the first slash read already.
    fn replaced(&mut self, name: &str) -> Result<String, LexError> {
        self.characters.next_if_eq(&'/');
        let (pattern, _) = self.until(Some('/'), true)?;
        let (replacement, _) = self.until(Some('}'), true)?;
        if self.value(name).is_none() && self.lexer.keep_unset {
            return Ok(format!("${{{name}/{pattern}/{replacement}}}"));
        }
        Err(LexError::Unsupported)
    }

    fn value(&self, name: &str) -> Option<String> {
        (self.lexer.variables)(name)
    }

    fn unset(&self, written: String) -> Result<String, LexError> {
        if self.lexer.keep_unset { Ok(written) } else { Err(LexError::Unset) }
    }

    /// A variable's name: letters, digits and `_`; digits alone; or one of the shell's special parameters.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.characters.peek().copied() {
            Some(first) if first.is_ascii_digit() => {
                while let Some(digit) = self.characters.next_if(char::is_ascii_digit) {
                    name.push(digit);
                }
            }
            Some(first) if matches!(first, '@' | '*' | '#' | '?' | '-' | '$' | '!') => {
                self.characters.next();
                name.push(first);
            }
            _ => {
                while let Some(next) = self.characters.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(next);
                }
            }
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".to_owned()),
            "E" => Some(String::new()),
            _ => None,
        }
    }

    const PLAIN: Lexer<'static> = Lexer {
        escape: '\\',
        raw_quotes: false,
        raw_escapes: false,
        rules: HeredocRules::Spaced,
        keep_unset: false,
        variables: &variables,
    };

    #[test]
    fn variables_and_their_defaults_are_substituted() {
        for (text, expected) in [
            ("$A-${A}x", "one-onex"),
            ("${U:-d}${U-d}${E:-d}${E-d}", "ddd"),
            ("${A:+set}${E:+set}${E+set}${U+set}", "setset"),
            ("${U:-${A}/${U:-x}}", "one/x"),
            (r#"'$A' "$A" \$A"#, "$A one $A"),
            (r#""a\nb\"c""#, r#"a\nb"c"#),
            ("$", "$"),
        ] {
            assert_eq!(PLAIN.word(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_substituted_is_an_error() {
        for text in ["${A", "${}", "'", "\"", "${A!x}", "${U:?gone}", "${A:#x}"] {
            assert_eq!(PLAIN.word(text), Err(LexError::Syntax), "{text}");
        }
        for text in ["${A#o}", "${A%%e}", "${A/o/x}", "${A//o/x}"] {
            assert_eq!(PLAIN.word(text), Err(LexError::Unsupported), "{text}");
        }
        assert_eq!(PLAIN.word("${é}"), Err(LexError::Ambiguous));
        assert_eq!(PLAIN.word("$U"), Err(LexError::Unset));
        assert_eq!(PLAIN.word("${U}"), Err(LexError::Unset));
    }

    #[test]
    fn bottomless_nesting_is_refused_without_exhausting_the_stack() {
        assert_eq!(PLAIN.word(&"${a:-".repeat(100_000)), Err(LexError::TooDeep));
        assert_eq!(PLAIN.word(&"\"${a:-".repeat(100_000)), Err(LexError::TooDeep));
    }

    #[test]
    fn unknown_variables_stay_as_written_where_asked() {
        let keep = Lexer { keep_unset: true, raw_quotes: true, raw_escapes: true, ..PLAIN };
        for text in ["$U", "${U}", "${U:-a}", "${U/a/b}", r#"'a' "b" \c"#] {
            assert_eq!(keep.word(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn words_end_at_white_space_outside_quotes() {
        assert_eq!(
            PLAIN.words(r#" a  "b c"d\ e << f "#),
            Ok(vec!["a".into(), "b cd e".into(), "<< f".into()])
        );
    }

    #[test]
    fn a_nested_substitution_forgets_the_start_of_its_word_as_buildkit_does() {
        assert_eq!(PLAIN.words("x <<A${A:+B}"), Ok(vec!["x".into(), "B".into()]));
        let older = Lexer { rules: HeredocRules::Patterns, ..PLAIN };
        assert_eq!(older.words("x <<A${A:+B}"), Ok(vec!["x".into(), "<<AB".into()]));
    }
}
