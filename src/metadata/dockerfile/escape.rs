//! Rewrites an instruction written under `` # escape=` `` so that it means the same under `\`.
//!
//! A Dockerfile.test has the default escape character, whatever the Dockerfile has. Continuations are joined, as
//! the builder joins them. What comes next depends on who reads it: the shell reads the text of RUN, CMD and the
//! like as it is, where a backslash was and is literal; the words of ADD, COPY, ENV and the like pass through the
//! builder's lexer, where a literal backslash becomes `\\` and `` `x `` becomes `\x`; flags pass through it twice.

use super::heredoc::from_word;
use super::{Arguments, Dialect, Flag, Instruction, ParseProblem};

/// The instruction in one line (and the bodies of its heredocs), for `\` as the escape character.
pub(super) fn to_backslash(instruction: &Instruction) -> Result<String, ParseProblem> {
    let mut text = instruction.keyword.clone();
    for flag in &instruction.flags {
        text.push(' ');
        text.push_str(&written_flag(flag));
    }
    let rest = match instruction.keyword.as_str() {
        "ADD" | "ARG" | "COPY" | "ENV" | "EXPOSE" | "LABEL" | "STOPSIGNAL" | "USER" | "VOLUME"
        | "WORKDIR" => lexed_rest(instruction)?,
        _ => shell_rest(instruction)?,
    };
    if rest.starts_with("--") {
        text.push_str(" --");
    }
    if !rest.is_empty() {
        text.push(' ');
        text.push_str(&rest);
    }
    for heredoc in &instruction.heredocs {
        text.push('\n');
        text.push_str(heredoc.body.strip_suffix('\n').unwrap_or(&heredoc.body));
        if !heredoc.body.is_empty() {
            text.push('\n');
        }
        text.push_str(&heredoc.name);
    }
    Ok(text)
}

/// Text that the builder hands on as it is.
fn shell_rest(instruction: &Instruction) -> Result<String, ParseProblem> {
    if instruction.rest.ends_with('\\') {
        return Err(ParseProblem::TrailingBackslash { keyword: instruction.keyword.clone() });
    }
    Ok(instruction.rest.clone())
}

/// Text that the builder's lexer reads.
fn lexed_rest(instruction: &Instruction) -> Result<String, ParseProblem> {
    if let Arguments::Json(items) = &instruction.arguments {
        let items: Vec<String> = items.iter().map(|item| requote(item)).collect();
        return serde_json::to_string(&items)
            .map_err(|_| ParseProblem::Inexpressible { keyword: instruction.keyword.clone() });
    }
    let rest = if instruction.heredocs.is_empty() {
        requote(&instruction.rest)
    } else {
        // The names of heredocs are always read with the backslash.
        let word = |word: &str| match from_word(word, Dialect::BUILDKIT.heredocs) {
            Ok(Some(_)) => word.to_owned(),
            _ => requote(word),
        };
        instruction.rest.split(' ').map(word).collect::<Vec<_>>().join(" ")
    };
    // Even two backslashes at the end of a line are a continuation to some builders: quotes keep them apart.
    Ok(match rest.strip_suffix("\\\\") {
        Some(before) => format!("{before}\"\\\\\""),
        None => rest,
    })
}

/// The same for the lexer with `\` as what `text` is with `` ` ``.
fn requote(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut quote = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (_, '\\') => result.push('\\'),
            (None, '`') => {
                match characters.next() {
                    Some('`') => result.push('`'),
                    Some(next) => result.extend(['\\', next]),
                    None => {}
                }
                continue;
            }
            (Some(_), '`') => {
                if let Some(next) = characters.next_if(|c| matches!(c, '"' | '$' | '`')) {
                    if next != '`' {
                        result.push('\\');
                    }
                    result.push(next);
                    continue;
                }
            }
            _ => {}
        }
        result.push(character);
    }
    result
}

/// A flag as a word, its value made to survive the reading of the word and, after that, the lexer.
fn written_flag(flag: &Flag) -> String {
    let mut text = format!("--{}", flag.name);
    if let Some(value) = &flag.value {
        text.push('=');
        text.push_str(&requote(value));
    }
    let mut word = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_whitespace() || matches!(character, '\\' | '\'' | '"') {
            word.push('\\');
        }
        word.push(character);
    }
    word
}
