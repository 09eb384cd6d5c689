//! Texts and /regular expressions/, and globs over the names of tests.
//!
//! Owns the grammar of both: text between slashes is a regular expression. Expressions run in linear time, and what
//! they compile to is bounded by their engine.

use regex_automata::meta::Regex;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::document::shape::{Nothing, Shaped, shaped};
use crate::plan::syntax::Invalid;

/// A text that is looked for, or a /regular expression/.
#[derive(Clone)]
pub struct Text {
    written: String,
    expression: Option<Regex>,
}

impl Text {
    /// Reads a text; between slashes it is a regular expression.
    pub fn parse(written: &str) -> Result<Self, Invalid> {
        if written.is_empty() {
            return Err(Invalid::new("expected a text, or a /regular expression/"));
        }
        let expression = between_slashes(written).map(compile).transpose()?;
        Ok(Self { written: written.to_owned(), expression })
    }

    /// Whether `line` has it.
    #[must_use]
    pub fn is_in(&self, line: &str) -> bool {
        match &self.expression {
            Some(expression) => expression.is_match(line),
            None => line.contains(&self.written),
        }
    }

    /// As the user wrote it.
    #[must_use]
    pub fn as_written(&self) -> &str {
        &self.written
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Text({:?})", self.written)
    }
}

impl Shaped for Text {
    const EXPECTED: &'static str = "a text, or a /regular expression/";
    type List = Nothing;
    type Map = Nothing;

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A text, or a /regular expression/.", "minLength": 1 })
    }

    fn from_text(text: &str) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}

shaped!(Text);

fn between_slashes(text: &str) -> Option<&str> {
    text.strip_prefix('/')?.strip_suffix('/').filter(|inner| !inner.is_empty())
}

fn compile(expression: &str) -> Result<Regex, Invalid> {
    Regex::new(expression).map_err(|error| {
        let why = error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
        // The parser draws the expression over several lines and says why in the last one.
        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Invalid::new(format!("`/{expression}/` is not a regular expression: {why}"))
    })
}

/// A pattern for names: a glob in which `*` stands for any text, `?` for one character and `{a,b}` for either, or a
/// /regular expression/ that is found anywhere in the name. Brackets are those of a matrix and mean nothing more.
#[derive(Debug, Clone)]
pub struct NamePattern {
    written: String,
    matcher: Matcher,
    negated: bool,
}

#[derive(Debug, Clone)]
enum Matcher {
    Glob(Box<globset::GlobMatcher>),
    Expression(Regex),
}

impl NamePattern {
    /// Reads a pattern; `!` before it leaves out what it matches.
    pub fn parse(written: &str) -> Result<Self, Invalid> {
        let (negated, pattern) = written.strip_prefix('!').map_or((false, written), |rest| (true, rest));
        if pattern.is_empty() {
            return Err(Invalid::new("expected a name, a glob such as checkout*, or a /regular expression/"));
        }
        let matcher = match between_slashes(pattern) {
            Some(expression) => Matcher::Expression(compile(expression)?),
            None => Matcher::Glob(Box::new(glob(pattern)?)),
        };
        Ok(Self { written: written.to_owned(), matcher, negated })
    }

    /// Whether it is one of a name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match &self.matcher {
            Matcher::Glob(glob) => glob.is_match(name),
            Matcher::Expression(expression) => expression.is_match(name),
        }
    }

    /// Whether it leaves out what it matches.
    #[must_use]
    pub const fn is_negated(&self) -> bool {
        self.negated
    }

    /// As the user wrote it.
    #[must_use]
    pub fn as_written(&self) -> &str {
        &self.written
    }
}

fn glob(pattern: &str) -> Result<globset::GlobMatcher, Invalid> {
    let pattern = pattern.replace('[', "[[]");
    let glob = globset::GlobBuilder::new(&pattern).literal_separator(false).backslash_escape(true).build();
    glob.map(|glob| glob.compile_matcher())
        .map_err(|error| Invalid::new(format!("`{pattern}` is not a glob: {}", error.kind())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_between_slashes_is_an_expression() {
        let table = [
            ("ready", "is ready now", true),
            ("ready", "Ready", false),
            ("/^ready$/", "ready", true),
            ("/^ready$/", "is ready", false),
            ("/var/log", "reading /var/log", true),
            ("/", "a/b", true),
        ];
        for (text, line, expected) in table {
            assert_eq!(Text::parse(text).unwrap().is_in(line), expected, "{text} {line}");
        }
        let error = Text::parse("/(/").unwrap_err().to_string();
        assert!(error.contains("is not a regular expression: unclosed group"), "{error}");
        assert!(Text::parse("").is_err());
    }

    #[test]
    fn names_match_whole_globs_and_parts_of_expressions() {
        let table = [
            ("checkout", "checkout", true),
            ("checkout", "checkout2", false),
            ("check*", "checkout[db=16]", true),
            ("checkout[db=16]", "checkout[db=16]", true),
            ("checkout[db=1?]", "checkout[db=16]", true),
            ("checkout[db=*]", "checkout2", false),
            ("{cart,pay}", "pay", true),
            ("shop/*", "shop/a/b", true),
            ("/out$/", "checkout", true),
            ("/OUT/", "checkout", false),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(NamePattern::parse(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
        assert!(NamePattern::parse("!slow*").unwrap().is_negated());
        for pattern in ["", "!", "/(/", "{a"] {
            assert!(NamePattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
