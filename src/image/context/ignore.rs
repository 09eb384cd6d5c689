//! `.dockerignore`: which paths of the context Docker leaves out.
//!
//! Owns the file's syntax and its verdict on a path: of all lines that match the path or a directory above it, the
//! last one decides. That is Docker's documented rule; releases of its walker have differed on lines that are
//! repeated around a `!` line. Reads no disk.

use thiserror::Error;

use super::paths::{ancestors, clean};
use super::pattern::{Dialect, Pattern, PatternError};

/// A line of an ignore file that is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("invalid pattern {pattern:?}")]
pub struct IgnoreError {
    /// Line, counted from 1.
    pub line: u32,
    /// The pattern as written, trimmed.
    pub pattern: String,
    /// What is wrong with it.
    #[source]
    pub source: PatternError,
}

/// One line that matched a path, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IgnoreRule<'a> {
    /// Line, counted from 1.
    pub line: u32,
    /// The pattern as written, trimmed.
    pub pattern: &'a str,
}

/// A read ignore file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    pattern: Pattern,
    /// A `!` line: it includes again.
    negated: bool,
    line: u32,
    text: String,
}

/// Which rules match a path or a directory above it: carried down while walking.
#[derive(Debug, Clone)]
pub(super) struct Matched(Vec<bool>);

impl Ignore {
    /// Reads the text of an ignore file.
    ///
    /// # Errors
    /// The first line whose pattern Docker would refuse.
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for (line, written) in (1..).zip(text.lines()) {
            let pattern = written.trim();
            // A comment has its `#` in the first column: an indented one is a pattern to Docker.
            if written.starts_with('#') || pattern.is_empty() {
                continue;
            }
            let (negated, bare) = match pattern.strip_prefix('!') {
                Some(bare) => (true, bare.trim()),
                None => (false, pattern),
            };
            let cleaned = if bare.is_empty() { String::new() } else { clean(bare) };
            let relative = cleaned.strip_prefix('/').filter(|rest| !rest.is_empty()).unwrap_or(&cleaned);
            rules.push(Rule::new(line, pattern, negated, relative)?);
        }
        Ok(Self { rules })
    }

    /// The patterns of `--exclude` flags and `--parents` sources, which keep a leading slash and so never match
    /// with one. Errors count patterns instead of lines.
    pub(super) fn from_patterns<S: AsRef<str>>(patterns: &[S]) -> Result<Self, IgnoreError> {
        let mut rules = Vec::new();
        for (line, written) in (1..).zip(patterns) {
            let pattern = written.as_ref().trim();
            if pattern.is_empty() {
                continue;
            }
            let cleaned = clean(pattern);
            let (negated, bare) = match cleaned.strip_prefix('!') {
                Some(bare) => (true, bare),
                None => (false, cleaned.as_str()),
            };
            rules.push(Rule::new(line, pattern, negated, bare)?);
        }
        Ok(Self { rules })
    }

    /// True where Docker leaves `path` out of the context. `path` is relative to the context's root, with `/`.
    #[must_use]
    pub fn excluded(&self, path: &str) -> bool {
        self.is_excluded(&self.matched(&clean(path)))
    }

    /// True where `dir`, although left out itself, can hold paths that are included again.
    #[must_use]
    pub fn may_contain_included(&self, dir: &str) -> bool {
        let dir = clean(dir);
        self.may_include_below(&self.matched(&dir), &dir)
    }

    /// The line that leaves `path` out, where one does.
    #[must_use]
    pub fn rule_excluding(&self, path: &str) -> Option<IgnoreRule<'_>> {
        let rule = self.deciding(&self.matched(&clean(path)))?;
        (!rule.negated).then_some(IgnoreRule { line: rule.line, pattern: &rule.text })
    }

    /// True where nothing is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What matches the context's root: nothing.
    pub(super) fn at_root(&self) -> Matched {
        Matched(vec![false; self.rules.len()])
    }

    /// What matches `path`, a child of the directory that `parent` belongs to.
    pub(super) fn descend(&self, parent: &Matched, path: &str) -> Matched {
        let matches = |(rule, above): (&Rule, &bool)| *above || rule.pattern.matches(path);
        Matched(self.rules.iter().zip(&parent.0).map(matches).collect())
    }

    /// What matches `path`, a clean relative path.
    pub(super) fn matched(&self, path: &str) -> Matched {
        if path == "." {
            return self.at_root();
        }
        let parent = ancestors(path).fold(self.at_root(), |above, dir| self.descend(&above, dir));
        self.descend(&parent, path)
    }

    pub(super) fn is_excluded(&self, matched: &Matched) -> bool {
        self.deciding(matched).is_some_and(|rule| !rule.negated)
    }

    /// True where a `!` line that outranks every line matching `dir` can match below it.
    pub(super) fn may_include_below(&self, matched: &Matched, dir: &str) -> bool {
        for (rule, matches) in self.rules.iter().zip(&matched.0).rev() {
            if rule.negated && (*matches || rule.pattern.reaches_below(dir)) {
                return true;
            }
            if !rule.negated && *matches {
                return false;
            }
        }
        true
    }

    /// True where some pattern can match below `dir`, itself unmatched so far.
    pub(super) fn may_match_below(&self, dir: &str) -> bool {
        self.rules.iter().any(|rule| rule.pattern.reaches_below(dir))
    }

    fn deciding(&self, matched: &Matched) -> Option<&Rule> {
        self.rules.iter().zip(&matched.0).rev().find_map(|(rule, matches)| matches.then_some(rule))
    }
}

impl Rule {
    fn new(line: u32, text: &str, negated: bool, pattern: &str) -> Result<Self, IgnoreError> {
        let refused = |source| IgnoreError { line, pattern: text.to_owned(), source };
        if negated && matches!(pattern, "" | "/") {
            return Err(refused(PatternError::Empty));
        }
        let pattern = Pattern::new(pattern, Dialect::Path).map_err(refused)?;
        Ok(Self { pattern, negated, line, text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests;
