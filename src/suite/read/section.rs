//! Parts of a suite that are read when somebody acts on them: probes, their alerts, and the sinks.
//!
//! Owns `env:NAME`, which stands for a variable's value there, and that an error in such a part has its place and shows no
//! key that stands in the file. Reads the environment that it is handed, and nothing else.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::path::Path;

use serde::de::{Deserialize, DeserializeSeed};

use super::Suite;
use crate::environment::Environment;
use crate::error::nearest;
use crate::suite::SuiteError;
use crate::suite::yaml::{self, Content, Fault, Node, Place, Scalar, decode_as};

/// Begins a value that stands for a variable's.
const REFERENCE: &str = "env:";

/// Below this key a list has tags, of which `env:prod` is the most usual one there is.
const TAGS: &str = "tags";

/// Keys below which a value may open something.
const CONFIDENTIAL: [&str; 6] = ["notify", "headers", "env", "body", "send", "command"];

/// A part of a suite, with the values of variables in it.
pub struct Section<'a> {
    suite: &'a Suite,
    path: Vec<String>,
    node: Node,
    is_confidential: bool,
}

impl Suite {
    /// A file that is no suite and has parts as one has: those alone can be read.
    pub fn of_parts(path: &Path, text: &str) -> Result<Self, SuiteError> {
        let parsed = yaml::parse(text).map_err(|fault| SuiteError::new(path, text, fault))?;
        let nothing = Self::of_tests(Vec::new());
        let root = parsed.unwrap_or(nothing.root);
        Ok(Self { path: path.to_owned(), text: text.to_owned(), root, ..nothing })
    }

    /// The part under this key at the top; `None` where there is nothing.
    pub fn section(&self, key: &str, environment: &Environment) -> Result<Option<Section<'_>>, SuiteError> {
        let Some(node) = self.root.get(key).filter(|node| !node.is_null()) else { return Ok(None) };
        let mut section = Section {
            suite: self,
            path: vec![key.to_owned()],
            node: node.clone(),
            is_confidential: CONFIDENTIAL.contains(&key),
        };
        match resolved(node, environment) {
            Ok(node) => section.node = node,
            Err(fault) => return Err(section.wrong(fault)),
        }
        Ok(Some(section))
    }
}

impl<'a> Section<'a> {
    /// The parts of a mapping, by their keys.
    pub fn parts(&self) -> impl Iterator<Item = (&str, Section<'a>)> {
        self.node.entries().iter().map(|(key, node)| {
            let path = self.path.iter().chain([&key.text]).cloned().collect();
            let is_confidential = self.is_confidential;
            (key.text.as_str(), Section { suite: self.suite, path, node: node.clone(), is_confidential })
        })
    }

    /// Makes a `T` of it.
    pub fn read<T: for<'de> Deserialize<'de>>(&self) -> Result<T, SuiteError> {
        self.read_as(PhantomData::<T>)
    }

    /// Makes of it what `seed` reads.
    pub fn read_as<S: for<'de> DeserializeSeed<'de, Value = T>, T>(&self, seed: S) -> Result<T, SuiteError> {
        decode_as(&self.node, seed, &self.path.join(".")).map_err(|fault| self.wrong(fault))
    }

    /// An error about the value of a path of keys in it, with its place and its line.
    pub fn error(&self, path: &[&str], problem: impl Into<String>, hint: Option<String>) -> SuiteError {
        let problem = format!("{}: {}", self.name_of(path), problem.into());
        let place = if path.is_empty() {
            self.suite.place(&self.path.iter().map(String::as_str).collect::<Vec<_>>())
        } else {
            self.node.locate(path)
        };
        self.wrong(Fault::new(place, problem).maybe(hint))
    }

    /// Where the value of a path of keys in it stands.
    #[must_use]
    pub fn place(&self, path: &[&str]) -> Place {
        self.node.locate(path)
    }

    /// Texts that stand in the file as they are, and their places.
    #[must_use]
    pub fn written(&self) -> Vec<(Place, &str)> {
        let mut found = Vec::new();
        written(&self.node, true, &mut found);
        found
    }

    /// Names of the variables whose values stand in it, wholly or within a text.
    #[must_use]
    pub fn variables(&self) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        variables(&self.node, &mut found);
        found
    }

    /// The value of a path of keys in it by all of its keys: `probes.shop.alert`.
    #[must_use]
    pub fn name_of(&self, path: &[&str]) -> String {
        let within = self.path.iter().map(String::as_str).chain(path.iter().copied());
        within.collect::<Vec<_>>().join(".")
    }

    /// `docker-test.yaml:3:5`
    #[must_use]
    pub fn named(&self, place: Place) -> String {
        format!("{}:{}:{}", self.suite.path.display(), place.line, place.column)
    }

    fn wrong(&self, fault: Fault) -> SuiteError {
        let mut hidden = Vec::new();
        written(&self.node, self.is_confidential, &mut hidden);
        SuiteError::new(&self.suite.path, &self.suite.text, fault)
            .hiding(hidden.into_iter().map(|(_, text)| text))
    }
}

/// Collects texts that stand in the file as they are, where `is_meant` or below a key of [`CONFIDENTIAL`].
fn written<'a>(node: &'a Node, is_meant: bool, found: &mut Vec<(Place, &'a str)>) {
    match &node.content {
        Content::Scalar(scalar) => {
            let has_password = scalar.text.contains("://") && scalar.text.contains('@');
            let is_word = scalar.plain && scalar.text.len() <= 5;
            if scalar.variables.is_empty() && (is_meant || has_password) && !is_word {
                found.push((node.place, &scalar.text));
            }
        }
        Content::List(items) => items.iter().for_each(|item| written(item, is_meant, found)),
        Content::Map(entries) => {
            for (key, node) in entries {
                written(node, is_meant || CONFIDENTIAL.contains(&key.text.as_str()), found);
            }
        }
    }
}

fn variables<'a>(node: &'a Node, found: &mut BTreeSet<&'a str>) {
    match &node.content {
        Content::Scalar(scalar) => found.extend(scalar.variables.iter().map(String::as_str)),
        Content::List(items) => items.iter().for_each(|item| variables(item, found)),
        Content::Map(entries) => entries.iter().for_each(|(_, node)| variables(node, found)),
    }
}

/// The tree with the values of variables in the place of `env:NAME`.
fn resolved(node: &Node, environment: &Environment) -> Result<Node, Fault> {
    let content = match &node.content {
        Content::Scalar(scalar) => match scalar.text.strip_prefix(REFERENCE) {
            // What a variable has put in is not looked at again.
            Some(name) if scalar.variables.is_empty() => {
                let value = environment.variable(name).ok_or_else(|| unset(name, node.place, environment))?;
                let (text, variables) = (value.to_owned(), vec![name.to_owned()]);
                Content::Scalar(Scalar { text, plain: scalar.plain, variables })
            }
            _ => Content::Scalar(scalar.clone()),
        },
        Content::List(items) => {
            Content::List(items.iter().map(|item| resolved(item, environment)).collect::<Result<_, _>>()?)
        }
        Content::Map(entries) => {
            let entries = entries.iter().map(|(key, node)| {
                let is_tags = key.text == TAGS && matches!(node.content, Content::List(_));
                Ok((key.clone(), if is_tags { node.clone() } else { resolved(node, environment)? }))
            });
            Content::Map(entries.collect::<Result<_, Fault>>()?)
        }
    };
    Ok(Node { place: node.place, content })
}

fn unset(name: &str, place: Place, environment: &Environment) -> Fault {
    let near = nearest(name, environment.variables().map(|(name, _)| name));
    let hint = near.map_or_else(|| format!("set {name}"), |near| format!("did you mean `{near}`?"));
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_name {
        Fault::new(place, format!("the variable `{name}` is not set")).hint(hint)
    } else {
        Fault::new(place, "expected the name of a variable after `env:`")
    }
}
