//! Finds heredocs on a logical line.
//!
//! Owns the recognition of `<<NAME`, `<<-NAME` and quoted names among a line's shell words. Reading the bodies is
//! the reader's part.

use super::dialect::HeredocRules;
use super::lex::{LexError, Lexer};
use super::{Heredoc, ParseProblem};

fn lexer(rules: HeredocRules) -> Lexer<'static> {
    Lexer {
        // Always the backslash, whatever the escape directive says.
        escape: '\\',
        raw_quotes: true,
        raw_escapes: true,
        rules,
        keep_unset: true,
        variables: &|_| None,
    }
}

/// The heredocs that a line announces, in order, their bodies still empty.
pub(super) fn announced(line: &str, rules: HeredocRules) -> Result<Vec<Heredoc>, ParseProblem> {
    if rules == HeredocRules::Unknown || !line.contains("<<") {
        return Ok(Vec::new());
    }
    let words = match lexer(rules).words(line) {
        Ok(words) => words,
        // A line that does not lex, with an unmatched quote for instance, has no heredocs.
        Err(LexError::Syntax | LexError::Unsupported | LexError::Unset) => return Ok(Vec::new()),
        Err(LexError::TooDeep) => return Err(ParseProblem::TooDeep { what: "a ${…} variable" }),
        Err(LexError::Ambiguous) => return Err(ParseProblem::AmbiguousVariable),
    };
    let mut heredocs = Vec::new();
    for word in &words {
        heredocs.extend(from_word(word, rules)?);
    }
    Ok(heredocs)
}

/// The heredoc that a word announces: `3<<-"NAME"`.
pub(super) fn from_word(word: &str, rules: HeredocRules) -> Result<Option<Heredoc>, ParseProblem> {
    let Some(rest) = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<") else {
        return Ok(None);
    };
    let (chomp, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    let rest = match rules {
        HeredocRules::Spaced => rest.trim_start_matches(['\t', '\n', '\u{c}', '\r', ' ']),
        _ => rest,
    };
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    // A quote that is gone after lexing was one: the name was quoted, and nothing in the body is expanded.
    let lexer = Lexer { raw_escapes: false, ..lexer(rules) };
    let unreadable = |_| ParseProblem::HeredocName { word: word.to_owned() };
    let names = Lexer { raw_quotes: false, ..lexer }.words(rest).map_err(unreadable)?;
    let [name] = names.as_slice() else { return Ok(None) };
    let quoted = lexer.words(rest).map_err(unreadable)?;
    let [quoted] = quoted.as_slice() else {
        return Err(ParseProblem::HeredocName { word: word.to_owned() });
    };
    let expand = quotes(name) == quotes(quoted);
    Ok(Some(Heredoc { name: name.clone(), expand, chomp, body: String::new() }))
}

fn quotes(text: &str) -> usize {
    text.matches(['\'', '"']).count()
}
