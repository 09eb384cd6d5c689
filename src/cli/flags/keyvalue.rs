//! `NAME=value` flags and the files that list them: `-e`, `--env-file`, `-l`, `--label-file`, `--build-arg`.
//!
//! Owns the file syntax, which is Docker's: no quotes, no escapes, no expansion. Values may be secret, so neither
//! errors nor debug output show them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::absolute;
use super::error::{FlagError, Invalid, Problem};
use crate::environment::Environment;
use crate::input;

/// A file of variables or labels that is larger cannot be meant: no kernel hands so many to a process.
const LARGEST: u64 = 4 << 20;

/// `NAME=value` or `NAME`, as given. Debug output shows the name alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Assignment(String);

impl Assignment {
    /// Name, and value where there is one.
    fn parts(&self) -> (&str, Option<&str>) {
        self.0.split_once('=').map_or((&self.0, None), |(name, value)| (name, Some(value)))
    }
}

impl From<String> for Assignment {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Assignment({}=…)", self.parts().0)
    }
}

/// Variables of `files` and then of `flags`, a later one in the place of an earlier one. `NAME` alone takes the value
/// from the environment; where that has none, `-e NAME` takes the variable away again.
pub fn variables(
    files: &[PathBuf],
    flags: &[Assignment],
    environment: &Environment,
) -> Result<Vec<(String, String)>, FlagError> {
    let mut variables: Vec<(String, String)> = Vec::new();
    for path in files {
        for line in read("--env-file", path, environment)? {
            let value = line.value.or_else(|| environment.variable(&line.name).map(str::to_owned));
            if value.is_some() {
                set(&mut variables, line.name, value);
            }
        }
    }
    for (name, value) in assignments("--env", flags, environment)? {
        set(&mut variables, name, value);
    }
    Ok(variables)
}

/// Build arguments; `NAME` alone takes the value from the environment and is left out where that has none.
pub fn arguments(
    flags: &[Assignment],
    environment: &Environment,
) -> Result<BTreeMap<String, String>, FlagError> {
    let pairs = assignments("--build-arg", flags, environment)?;
    Ok(pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

fn assignments(
    flag: &str,
    flags: &[Assignment],
    environment: &Environment,
) -> Result<Vec<(String, Option<String>)>, FlagError> {
    let mut pairs = Vec::new();
    for assignment in flags {
        let (name, value) = assignment.parts();
        if name.is_empty() {
            return Err(Invalid::new("expected NAME or NAME=value").of_secret(flag, name));
        }
        let value = value.or_else(|| environment.variable(name)).map(str::to_owned);
        pairs.push((name.to_owned(), value));
    }
    Ok(pairs)
}

fn set(variables: &mut Vec<(String, String)>, name: String, value: Option<String>) {
    variables.retain(|(known, _)| *known != name);
    variables.extend(value.map(|value| (name, value)));
}

/// Labels of `files` and then of `flags`; no `=` means an empty value. `flag` names the flag in errors.
pub fn labels(
    flag: &str,
    files: &[PathBuf],
    flags: &[String],
    environment: &Environment,
) -> Result<BTreeMap<String, String>, FlagError> {
    let mut labels = BTreeMap::new();
    for path in files {
        for line in read("--label-file", path, environment)? {
            labels.insert(line.name, line.value.unwrap_or_default());
        }
    }
    for text in flags {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let name = name.trim_start_matches([' ', '\t']);
        if name.is_empty() || name.contains([' ', '\t']) {
            let problem = "expected KEY or KEY=value, with no white space in the key";
            return Err(Invalid::new(problem).of(flag, text));
        }
        labels.insert(name.to_owned(), value.to_owned());
    }
    Ok(labels)
}

/// Options of the form `key=value` for a driver; no `=` means an empty value.
#[must_use]
pub fn options<S: AsRef<str>>(pairs: &[S]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|pair| pair.as_ref().split_once('=').unwrap_or((pair.as_ref(), "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

struct Line {
    name: String,
    value: Option<String>,
}

fn read(flag: &str, path: &Path, environment: &Environment) -> Result<Vec<Line>, FlagError> {
    let bytes = input::read(&absolute(environment, path), LARGEST)
        .map_err(|source| FlagError::new(flag, Problem::Read { path: path.to_owned(), source }))?;
    lines(&bytes).map_err(|(line, error)| {
        FlagError::new(flag, Problem::Line { path: path.to_owned(), line, problem: error.to_string() })
    })
}

fn lines(bytes: &[u8]) -> Result<Vec<Line>, (usize, Invalid)> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut lines = Vec::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let number = number + 1;
        let line = str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line))
            .map_err(|_| (number, Invalid::new("the line is not UTF-8")))?
            .trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value)));
        if name.is_empty() {
            return Err((number, Invalid::new("no name before `=`")));
        }
        if name.contains([' ', '\t']) {
            // Without an equals sign the whole line may be a stray piece of a secret.
            let shown = if value.is_some() { format!("the name `{name}`") } else { "the name".to_owned() };
            return Err((number, Invalid::new(format!("{shown} contains white space"))));
        }
        lines.push(Line { name: name.to_owned(), value: value.map(str::to_owned) });
    }
    Ok(lines)
}

#[cfg(test)]
mod tests;
