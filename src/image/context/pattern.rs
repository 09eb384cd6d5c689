//! Wildcard patterns in Docker's two dialects: ignore patterns, and the file names of COPY and ADD.
//!
//! Owns syntax and matching against text, in time linear in the length of the path whatever the pattern. Knows
//! neither negation nor order, which belong to the ignore file, nor any disk.

use thiserror::Error;

/// Why a pattern is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PatternError {
    /// `[` without `]`, or nothing between them.
    #[error("the character class that begins with '[' is empty or has no end")]
    Class,
    /// A `-` or `]` where a class needs a character.
    #[error("a '-' or ']' inside '[...]' must be escaped with '\\'")]
    Range,
    /// The pattern ends with a lone backslash.
    #[error("nothing follows the '\\' at its end")]
    Escape,
    /// A `!` with nothing to include again.
    #[error("nothing follows the '!'")]
    Empty,
}

/// Which rules `*` follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `**` crosses directories, as in `.dockerignore`, `--exclude` and `--parents`.
    Path,
    /// `**` is `*` twice, as in the sources of a plain COPY.
    Name,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`: one character other than a slash.
    One,
    /// `*`: any number of characters other than a slash.
    Many,
    /// Anything, slashes included.
    Deep,
    /// Either nothing, or what [`Token::DeepBody`] takes.
    DeepEntry,
    /// Anything that ends with a slash.
    DeepBody,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    tokens: Vec<Token>,
    /// What every match begins with: settles most paths without a run.
    prefix: String,
}

impl Pattern {
    /// Compiles `text`, which the caller has cleaned.
    pub(super) fn new(text: &str, dialect: Dialect) -> Result<Self, PatternError> {
        let tokens = tokenize(text, dialect)?;
        let prefix = tokens
            .iter()
            .map_while(|token| if let Token::Char(c) = token { Some(*c) } else { None })
            .collect();
        Ok(Self { tokens, prefix })
    }

    /// True where the pattern describes the whole of `path`.
    pub(super) fn matches(&self, path: &str) -> bool {
        if !path.starts_with(&self.prefix) {
            return false;
        }
        if self.prefix.len() == path.len() && self.tokens.len() == self.prefix.chars().count() {
            return true;
        }
        self.run(path.chars()).last().copied().unwrap_or_default()
    }

    /// True where some path below the directory `dir` could match.
    pub(super) fn reaches_below(&self, dir: &str) -> bool {
        let live = self.run(dir.chars().chain(['/']));
        live.iter().take(self.tokens.len()).any(|state| *state)
    }

    /// The states that are alive after `input`: state `i` waits for token `i`, the last one accepts.
    fn run(&self, input: impl Iterator<Item = char>) -> Vec<bool> {
        let mut live = vec![false; self.tokens.len() + 1];
        let mut next = live.clone();
        if let Some(start) = live.first_mut() {
            *start = true;
        }
        self.settle(&mut live);
        for c in input {
            next.fill(false);
            for (state, token) in self.tokens.iter().enumerate().filter(|(state, _)| is_live(&live, *state)) {
                let (stays, passes) = match token {
                    Token::Char(expected) => (false, c == *expected),
                    Token::One => (false, c != '/'),
                    Token::Many => (c != '/', false),
                    Token::Deep => (true, false),
                    Token::DeepEntry => (false, false),
                    Token::DeepBody => (true, c == '/'),
                    Token::Class { negated, ranges } => {
                        (false, ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated)
                    }
                };
                if stays {
                    wake(&mut next, state);
                }
                if passes {
                    wake(&mut next, state + 1);
                }
            }
            std::mem::swap(&mut live, &mut next);
            if !live.contains(&true) {
                break;
            }
            self.settle(&mut live);
        }
        live
    }

    /// Wakes what can be reached without reading. Such steps only go forward, so that one pass is enough.
    fn settle(&self, live: &mut [bool]) {
        for (state, token) in self.tokens.iter().enumerate() {
            if !is_live(live, state) {
                continue;
            }
            match token {
                Token::Many | Token::Deep => wake(live, state + 1),
                Token::DeepEntry => {
                    wake(live, state + 1);
                    wake(live, state + 2);
                }
                Token::Char(_) | Token::One | Token::DeepBody | Token::Class { .. } => {}
            }
        }
    }
}

fn is_live(states: &[bool], state: usize) -> bool {
    states.get(state).copied().unwrap_or_default()
}

fn wake(states: &mut [bool], state: usize) {
    if let Some(slot) = states.get_mut(state) {
        *slot = true;
    }
}

/// True where Docker looks for several files: an unescaped `*`, `?` or `[`.
pub(super) fn has_wildcards(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

/// `text` without its escapes: the one name that a pattern without wildcards stands for.
pub(super) fn unescape(text: &str) -> String {
    let mut chars = text.chars();
    let mut name = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        name.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    name
}

fn tokenize(text: &str, dialect: Dialect) -> Result<Vec<Token>, PatternError> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    // Docker takes `**name` at the start literally, as "ends with name", as long as nothing else in the pattern
    // is special; in every other place `**` stops at a slash.
    if dialect == Dialect::Path
        && let Some(ending) = text.strip_prefix("**")
        && !ending.starts_with('/')
        && !ending.contains(['*', '?', '[', ']', '\\'])
    {
        tokens.push(Token::Deep);
        tokens.extend(ending.chars().map(Token::Char));
        return Ok(tokens);
    }
    while let Some(c) = chars.next() {
        match c {
            '*' if dialect == Dialect::Path && chars.next_if_eq(&'*').is_some() => {
                chars.next_if_eq(&'/');
                if chars.peek().is_some() {
                    tokens.extend([Token::DeepEntry, Token::DeepBody]);
                } else {
                    tokens.push(Token::Deep);
                }
            }
            '*' => tokens.push(Token::Many),
            '?' => tokens.push(Token::One),
            '[' => tokens.push(class(&mut chars)?),
            '\\' => tokens.push(Token::Char(chars.next().ok_or(PatternError::Escape)?)),
            _ => tokens.push(Token::Char(c)),
        }
    }
    Ok(tokens)
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, PatternError> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    while ranges.is_empty() || chars.next_if_eq(&']').is_none() {
        let low = class_member(chars)?;
        let high = if chars.next_if_eq(&'-').is_some() { class_member(chars)? } else { low };
        ranges.push((low, high));
    }
    Ok(Token::Class { negated, ranges })
}

fn class_member(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<char, PatternError> {
    match chars.next() {
        None => Err(PatternError::Class),
        Some('-' | ']') => Err(PatternError::Range),
        Some('\\') => chars.next().ok_or(PatternError::Escape),
        Some(c) => Ok(c),
    }
}

#[cfg(test)]
mod tests;
