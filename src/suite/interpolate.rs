//! `${NAME}` in the values of docker-test.yaml.
//!
//! Owns the grammar, a compose file's: `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?message}`,
//! `${NAME?message}`, `${NAME:+other}`, `${NAME+other}`, nested in each other, and `$$` for one `$`. Unlike there, a `$`
//! without a brace is left alone, so that shell commands can be written down as they are. `${matrix.NAME}` is a variable of the
//! test's matrix. What is put in is not looked at again.

use super::yaml::{Content, Fault, Node, Scalar};
use crate::environment::Environment;
use crate::error::nearest;
use crate::plan::syntax::Invalid;

/// Levels of defaults within defaults.
const DEEPEST: usize = 16;
/// Bytes that all values together may get from variables.
const MOST_TEXT: usize = 16 << 20;

/// Puts the values of variables into a tree.
pub(super) struct Interpolator<'a> {
    environment: &'a Environment,
    left: usize,
}

/// The combination that a test is for.
pub(super) type Combination<'a> = Option<&'a [(String, String)]>;

impl<'a> Interpolator<'a> {
    pub(super) const fn new(environment: &'a Environment) -> Self {
        Self { environment, left: MOST_TEXT }
    }

    /// The tree with all values put in. Keys stay as they are.
    pub(super) fn node(&mut self, node: &Node, combination: Combination<'_>) -> Result<Node, Fault> {
        let content = match &node.content {
            Content::Scalar(scalar) => Content::Scalar(self.scalar(scalar, node, combination)?),
            Content::List(items) => {
                let items = items.iter().map(|item| self.node(item, combination));
                Content::List(items.collect::<Result<_, _>>()?)
            }
            Content::Map(entries) => {
                let entries =
                    entries.iter().map(|(key, value)| Ok((key.clone(), self.node(value, combination)?)));
                Content::Map(entries.collect::<Result<_, Fault>>()?)
            }
        };
        Ok(Node { place: node.place, content })
    }

    fn scalar(
        &mut self,
        scalar: &Scalar,
        node: &Node,
        combination: Combination<'_>,
    ) -> Result<Scalar, Fault> {
        if !scalar.text.contains('$') {
            return Ok(scalar.clone());
        }
        let mut reading =
            Reading { environment: self.environment, combination, rest: &scalar.text, variables: Vec::new() };
        let text = reading.text(0, None).map_err(|invalid| {
            let mut place = node.place;
            // Text without quotes stands in the file as it is.
            if scalar.plain && !scalar.text.contains('\n') {
                let before = scalar.text.len() - reading.rest.len();
                place.column += scalar.text.get(..before).unwrap_or_default().chars().count();
            }
            let (problem, hint) = invalid.into_parts();
            Fault::new(place, problem).maybe(hint)
        })?;
        let variables = reading.variables;
        self.left = self
            .left
            .checked_sub(text.len())
            .ok_or_else(|| Fault::new(node.place, "the variables put too much text into the file"))?;
        Ok(Scalar { text, plain: scalar.plain, variables })
    }
}

/// One text while it is read. Where it fails, `rest` begins with what is wrong.
struct Reading<'a> {
    environment: &'a Environment,
    combination: Combination<'a>,
    rest: &'a str,
    variables: Vec<String>,
}

impl Reading<'_> {
    /// Reads to the end, or to the brace that ends a default.
    fn text(&mut self, depth: usize, end: Option<char>) -> Result<String, Invalid> {
        if depth > DEEPEST {
            return Err(Invalid::new("too many defaults within defaults"));
        }
        let mut text = String::new();
        loop {
            let stop = |c: char| c == '$' || Some(c) == end;
            let (before, after) = self.rest.split_at(self.rest.find(stop).unwrap_or(self.rest.len()));
            text.push_str(before);
            self.rest = after;
            if after.is_empty() || end.is_some_and(|end| after.starts_with(end)) {
                return Ok(text);
            }
            if after.starts_with("${") {
                let value = self.variable(depth)?;
                text.push_str(&value);
            } else {
                text.push('$');
                let skipped = if after.starts_with("$$") { 2 } else { 1 };
                self.rest = after.get(skipped..).unwrap_or_default();
            }
        }
    }

    /// Reads `${…}`.
    fn variable(&mut self, depth: usize) -> Result<String, Invalid> {
        let start = self.rest;
        let result = self.braces(depth);
        if result.is_err() {
            self.rest = start;
        }
        result
    }

    fn braces(&mut self, depth: usize) -> Result<String, Invalid> {
        let inside = self.rest.get(2..).unwrap_or_default();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let is_matrix = inside.starts_with("matrix.");
        let is_end = |c: char| !is_name(c) || (!is_matrix && matches!(c, '-' | '.'));
        let (name, rest) = inside.split_at(inside.find(is_end).unwrap_or(inside.len()));
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Invalid::new("expected the name of a variable after `${`")
                .hint("write $$ for a `$` that is meant as it is"));
        }
        let value = match name.strip_prefix("matrix.") {
            Some(variable) => Some(self.of_matrix(variable)?),
            None => self.environment.variable(name).map(str::to_owned),
        };
        let (operator, rest) = operator(rest).ok_or_else(|| {
            Invalid::new(format!("`${{{name}` has no closing brace"))
                .hint("write ${NAME}, ${NAME:-default} or ${NAME:?message}")
        })?;
        self.rest = rest;
        // Read in any case, to come to its end; what is not used must not fail.
        let is_set = value.as_ref().is_some_and(|value| !(operator.empty_is_unset && value.is_empty()));
        let used = match operator.kind {
            Kind::Plain => true,
            Kind::Default | Kind::Message => !is_set,
            Kind::Other => is_set,
        };
        let word = if operator.kind == Kind::Plain {
            String::new()
        } else if used {
            self.text(depth + 1, Some('}'))?
        } else {
            self.skip(depth + 1)?;
            String::new()
        };
        let Some(rest) = self.rest.strip_prefix('}') else {
            return Err(Invalid::new(format!("`${{{name}` has no closing brace")));
        };
        self.rest = rest;
        match (operator.kind, value) {
            (Kind::Plain | Kind::Default | Kind::Message, Some(value)) if is_set => {
                self.variables.push(name.to_owned());
                Ok(value)
            }
            (Kind::Default, _) | (Kind::Other, Some(_)) => {
                self.variables.push(name.to_owned());
                Ok(if used { word } else { String::new() })
            }
            (Kind::Other, None) => {
                self.variables.push(name.to_owned());
                Ok(String::new())
            }
            (Kind::Message, _) if !word.is_empty() => {
                Err(Invalid::new(format!("the variable `{name}` is not set: {word}")))
            }
            _ => Err(self.unset(name)),
        }
    }

    /// Reads over a word that is not used.
    fn skip(&mut self, depth: usize) -> Result<(), Invalid> {
        if depth > DEEPEST {
            return Err(Invalid::new("too many defaults within defaults"));
        }
        let mut open = 1;
        let mut at = 0;
        let bytes = self.rest.as_bytes();
        while let Some(byte) = bytes.get(at) {
            match (byte, bytes.get(at + 1)) {
                (b'$', Some(b'$')) => at += 1,
                (b'$', Some(b'{')) => {
                    open += 1;
                    at += 1;
                }
                (b'}', _) => open -= 1,
                _ => {}
            }
            if open == 0 {
                break;
            }
            at += 1;
        }
        self.rest = self.rest.get(at..).unwrap_or_default();
        Ok(())
    }

    fn of_matrix(&self, variable: &str) -> Result<String, Invalid> {
        let Some(combination) = self.combination else {
            return Err(Invalid::new(format!("`matrix.{variable}` means nothing here"))
                .hint("a test with a `matrix` has variables of that kind"));
        };
        let value = combination.iter().find(|(name, _)| name == variable).map(|(_, value)| value.clone());
        value.ok_or_else(|| {
            let names: Vec<&str> = combination.iter().map(|(name, _)| name.as_str()).collect();
            let hint = match nearest(variable, names.iter().copied()) {
                Some(near) => format!("did you mean `matrix.{near}`?"),
                None => format!("variables of this matrix: {}", names.join(", ")),
            };
            Invalid::new(format!("the matrix has no variable `{variable}`")).hint(hint)
        })
    }

    fn unset(&self, name: &str) -> Invalid {
        let near = nearest(name, self.environment.variables().map(|(name, _)| name));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("set it, or give a default: ${{{name}:-default}}"),
        };
        Invalid::new(format!("the variable `{name}` is not set")).hint(hint)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Default,
    Message,
    Other,
}

struct Operator {
    kind: Kind,
    empty_is_unset: bool,
}

/// What follows the name, and the text behind it.
fn operator(rest: &str) -> Option<(Operator, &str)> {
    if rest.starts_with('}') {
        return Some((Operator { kind: Kind::Plain, empty_is_unset: false }, rest));
    }
    let (empty_is_unset, rest) = rest.strip_prefix(':').map_or((false, rest), |rest| (true, rest));
    let kind = match rest.chars().next()? {
        '-' => Kind::Default,
        '?' => Kind::Message,
        '+' => Kind::Other,
        _ => return None,
    };
    Some((Operator { kind, empty_is_unset }, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::suite::yaml::Place;

    fn put(text: &str) -> Result<String, Fault> {
        let environment =
            Environment::from_pairs([("A", "1"), ("EMPTY", ""), ("SHELL", "${A}"), ("NAME", "n")]);
        let combination = [("db".to_owned(), "16".to_owned()), ("os-name".to_owned(), "b".to_owned())];
        let scalar = Scalar { text: text.to_owned(), plain: true, variables: Vec::new() };
        let node = Node { place: Place { line: 3, column: 7 }, content: Content::Scalar(scalar) };
        let node = Interpolator::new(&environment).node(&node, Some(&combination))?;
        Ok(node.scalar().unwrap().text.clone())
    }

    #[test]
    fn variables_are_put_in_as_compose_does() {
        let table = [
            ("a${A}b${A}", "a1b1"),
            ("${B:-x y}", "x y"),
            ("${B-}", ""),
            ("${EMPTY}", ""),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY-d}", ""),
            ("${A:?no}${A?no}", "11"),
            ("${A:+yes}${B:+no}${EMPTY:+no}${EMPTY+yes}", "yesyes"),
            ("${B:-${C:-${A}}}", "1"),
            ("${A:-${B}}", "1"),
            ("${A:-$${}}", "1}"),
            ("${matrix.db}/${matrix.os-name}", "16/b"),
            ("${A:-${matrix.no}}", "1"),
            ("$$", "$"),
            ("$${A}", "${A}"),
            ("$$$A $1 $? a$", "$$A $1 $? a$"),
            ("${SHELL}", "${A}"),
            ("{}}", "{}}"),
        ];
        for (text, expected) in table {
            assert_eq!(put(text).unwrap_or_else(|f| panic!("{text}: {}", f.problem)), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let table = [
            (
                "ab${NOBODY}",
                9,
                "the variable `NOBODY` is not set",
                Some("set it, or give a default: ${NOBODY:-default}"),
            ),
            ("${NAM}", 7, "the variable `NAM` is not set", Some("did you mean `NAME`?")),
            ("${B:?say it}", 7, "the variable `B` is not set: say it", None),
            (
                "${}",
                7,
                "expected the name of a variable after `${`",
                Some("write $$ for a `$` that is meant as it is"),
            ),
            (
                "x ${A",
                9,
                "`${A` has no closing brace",
                Some("write ${NAME}, ${NAME:-default} or ${NAME:?message}"),
            ),
            ("${B:-x", 7, "`${B` has no closing brace", None),
            ("${matrix.dbb}", 7, "the matrix has no variable `dbb`", Some("did you mean `matrix.db`?")),
        ];
        for (text, column, problem, hint) in table {
            let fault = put(text).unwrap_err();
            assert_eq!((fault.place.line, fault.place.column), (3, column), "{text}");
            assert_eq!((fault.problem.as_str(), fault.hint.as_deref()), (problem, hint), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(\\$|\\{|\\}|:|-|\\?|\\+|A|é|matrix\\.|db){0,24}") {
            let _ = put(&text);
        }

        #[test]
        fn escaped_text_comes_back(text in "[a-z${}:\\-é ]{0,20}") {
            prop_assert_eq!(put(&text.replace('$', "$$")).unwrap(), text);
        }
    }
}
