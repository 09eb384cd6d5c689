//! The text of docker-test.yaml into a [`Suite`].
//!
//! Owns the order: YAML, then variables and matrices, then types, then what one part says about another. Does no I/O:
//! the text and the environment are handed in.

mod check;
mod section;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use section::Section;

use super::document::{Document, Matrix, Named, Test};
use super::error::SuiteError;
use super::expand;
use super::interpolate::Interpolator;
use super::yaml::{self, Content, Fault, Key, Node, Place, decode};
use crate::environment::Environment;

/// The most tests of a suite, every combination of a matrix counted.
pub const MOST_TESTS: usize = 10_000;
/// The most keys and values of all tests together, after matrices were expanded.
const MOST_NODES: usize = 1_000_000;

/// What other modules know and the file may name. Empty lists are not checked against.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// Keys of `defaults` and `options`: `cli::flags::setting_keys`.
    pub flags: &'a [String],
    /// Names of report formats.
    pub formats: &'a [&'a str],
    /// Tests may need services of compose files that are named elsewhere.
    pub compose: bool,
}

/// A suite that was read and checked, and where everything in it stands.
#[derive(Clone)]
pub struct Suite {
    /// What the file says.
    pub document: Document,
    path: PathBuf,
    text: String,
    root: Node,
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suite")
            .field("path", &self.path)
            .field("document", &self.document)
            .finish_non_exhaustive()
    }
}

impl Suite {
    /// Reads the bytes of a suite file. `path` is for errors and for relative paths, `environment` for `${NAME}`.
    pub fn read(
        path: &Path,
        bytes: &[u8],
        environment: &Environment,
        known: Known<'_>,
    ) -> Result<Self, SuiteError> {
        let text = str::from_utf8(bytes).map_err(|error| {
            let good = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default());
            let line = good.matches('\n').count() + 1;
            let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            SuiteError::new(path, &good, Fault::new(Place { line, column }, "expected UTF-8 text"))
        })?;
        let wrong = |fault| SuiteError::new(path, text, fault);
        let parsed = yaml::parse(text).map_err(|fault| {
            let line = text.lines().nth(fault.place.line.saturating_sub(1)).unwrap_or_default();
            let is_brace = line.contains("${") && line.contains(['{', '[']);
            let hint = is_brace
                .then(|| "within { } and [ ], a ${NAME} is written in quotes: \"${NAME}\"".to_owned());
            wrong(Fault { hint: fault.hint.clone().or(hint), ..fault })
        })?;
        let Some(file) = parsed else {
            return Err(wrong(
                Fault::new(Place { line: 1, column: 1 }, "the file is empty")
                    .hint("it has `version: 1` and `tests` at least"),
            ));
        };
        let (root, cases) = expanded(&file, environment).map_err(wrong)?;
        let mut document: Document = decode(&root).map_err(wrong)?;
        for ((_, test), case) in document.tests.0.iter_mut().zip(cases) {
            test.base = case.base;
            test.variables = case.variables;
        }
        check::check(&document, &root, known).map_err(wrong)?;
        Ok(Self { document, path: path.to_owned(), text: text.to_owned(), root })
    }

    /// A suite that nobody has written: these tests, and nothing else.
    #[must_use]
    pub fn of_tests(tests: Vec<(String, Test)>) -> Self {
        let document = Document { tests: Named(tests), ..Document::default() };
        let root = Node { place: Place { line: 1, column: 1 }, content: Content::Map(Vec::new()) };
        Self { document, path: PathBuf::new(), text: String::new(), root }
    }

    /// The file, as it was named.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory that relative paths in the file start from.
    #[must_use]
    pub fn directory(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// Where something stands: keys and indices from the root, tests by their full names.
    /// `["tests", "checkout[db=16]", "needs", "0"]`
    #[must_use]
    pub fn place(&self, path: &[&str]) -> Place {
        self.root.locate(path)
    }

    /// An error about something in the file that showed only later, with its line: an image that is not there, a
    /// secret that nobody has set.
    pub fn error(&self, path: &[&str], problem: impl Into<String>, hint: Option<String>) -> SuiteError {
        SuiteError::new(&self.path, &self.text, Fault::new(self.place(path), problem).maybe(hint))
    }

    /// The tests with their full names, in the order of the file.
    pub fn tests(&self) -> impl Iterator<Item = (&str, &Test)> {
        self.document.tests.iter()
    }
}

/// What a test's name does not say in types.
struct Case {
    base: String,
    variables: Vec<(String, String)>,
}

/// The tree with variables put in, and a test for every combination of its matrix.
fn expanded(file: &Node, environment: &Environment) -> Result<(Node, Vec<Case>), Fault> {
    let mut interpolator = Interpolator::new(environment);
    let Content::Map(entries) = &file.content else {
        return Err(Fault::new(file.place, "expected a mapping with version, services, tests, …"));
    };
    let mut root: Vec<(Key, Node)> = Vec::new();
    let mut cases = Vec::new();
    for (key, node) in entries {
        let node = match key.text.as_str() {
            // A place for anchors, as in a compose file.
            extension if extension.starts_with("x-") => continue,
            // Flags take these as they are, see `crate::settings`.
            "defaults" => node.clone(),
            "tests" if matches!(node.content, Content::Map(_)) => tests(node, &mut interpolator, &mut cases)?,
            _ => interpolator.node(node, None)?,
        };
        root.push((key.clone(), node));
    }
    Ok((Node { place: file.place, content: Content::Map(root) }, cases))
}

fn tests(node: &Node, interpolator: &mut Interpolator<'_>, cases: &mut Vec<Case>) -> Result<Node, Fault> {
    let mut tests: Vec<(Key, Node)> = Vec::new();
    let mut nodes = 0;
    for (key, test) in node.entries() {
        check::test_name(&key.text).map_err(|problem| Fault::new(key.place, problem))?;
        let Some(matrix) = test.get("matrix").filter(|matrix| !matrix.is_null()) else {
            cases.push(Case { base: key.text.clone(), variables: Vec::new() });
            tests.push((key.clone(), interpolator.node(test, None)?));
            continue;
        };
        let without: Vec<(Key, Node)> =
            test.entries().iter().filter(|(key, _)| key.text != "matrix").cloned().collect();
        let without = Node { place: test.place, content: Content::Map(without) };
        let matrix = interpolator.node(matrix, None)?;
        let combinations = combinations(&key.text, &matrix)?;
        nodes += without.count() * combinations.len();
        if nodes > MOST_NODES || tests.len() + combinations.len() > MOST_TESTS {
            return Err(Fault::new(matrix.place, "the matrices of this file make too many tests")
                .hint(format!("a suite has at most {MOST_TESTS} tests")));
        }
        for combination in combinations {
            let name = expand::name(&key.text, &combination);
            tests.push((
                Key { place: key.place, text: name },
                interpolator.node(&without, Some(&combination))?,
            ));
            cases.push(Case { base: key.text.clone(), variables: combination });
        }
    }
    if tests.len() > MOST_TESTS {
        return Err(Fault::new(node.place, format!("more than {MOST_TESTS} tests")));
    }
    Ok(Node { place: node.place, content: Content::Map(tests) })
}

fn combinations(test: &str, node: &Node) -> Result<Vec<expand::Combination>, Fault> {
    let within = |problem: &str| format!("tests.{test}.matrix: {problem}");
    let matrix: Matrix = decode(node).map_err(|fault| Fault { problem: within(&fault.problem), ..fault })?;
    expand::combinations(&matrix).map_err(|error| {
        let path: Vec<&str> = error.path.iter().map(String::as_str).collect();
        let hint = error.nearest.map(|near| format!("did you mean `{near}`?"));
        Fault::new(node.locate(&path), within(&error.problem)).maybe(hint)
    })
}
