//! YAML as a tree in which every key and value knows where it stands.
//!
//! Owns reading within bounds (bytes, depth, nodes, aliases), merge keys, and decoding into serde types with the place
//! of whatever is wrong. Knows nothing of suites. The reader of [`crate::settings`] says places in errors alone, and a
//! suite has errors that show only after it was read, such as a need that nothing meets.

mod decode;
mod parse;
#[cfg(test)]
mod tests;

pub(super) use decode::{decode, decode_as, with_hint};
pub(super) use parse::parse;

use crate::redact::is_secret_name;

/// The most bytes that a file may have.
pub const MAX_BYTES: usize = 16 << 20;
/// The most levels of lists and mappings.
pub(super) const MAX_DEPTH: usize = 64;
/// The most keys and values, those that aliases repeat included.
pub(super) const MAX_NODES: usize = 1_000_000;
/// The most keys of one mapping.
pub(super) const MAX_KEYS: usize = 50_000;
/// The most bytes of text, that which aliases repeat included.
pub(super) const MAX_TEXT: usize = 32 << 20;

/// Line and column, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) problem: String,
    pub(super) hint: Option<String>,
}

/// What is said where a secret's value does not fit, instead of a sentence that quotes it.
pub(super) fn unspoken(variable: &str) -> String {
    format!("what `{variable}` holds does not fit here")
}

impl Fault {
    pub(super) fn new(place: Place, problem: impl Into<String>) -> Self {
        Self { place, problem: problem.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(super) fn maybe(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }
}

/// A value and where it begins.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) content: Content,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Content {
    Scalar(Scalar),
    List(Vec<Node>),
    /// In the order of the file, no key twice.
    Map(Vec<(Key, Node)>),
}

/// A key and where it stands.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) text: String,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Written without quotes, so that it may be a number, a truth value or nothing.
    pub(super) plain: bool,
    /// Variables whose values were put in.
    pub(super) variables: Vec<String>,
}

impl Scalar {
    /// Nothing at all: `key:`, `~` or `null`. What a variable gave is text, also where it is empty.
    pub(super) fn is_null(&self) -> bool {
        self.plain
            && self.variables.is_empty()
            && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

impl Node {
    pub(super) fn entries(&self) -> &[(Key, Node)] {
        if let Content::Map(entries) = &self.content { entries } else { &[] }
    }

    pub(super) fn items(&self) -> &[Node] {
        if let Content::List(items) = &self.content { items } else { &[] }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(known, _)| known.text == key).map(|(_, node)| node)
    }

    /// Keys and values in all.
    pub(super) fn count(&self) -> usize {
        1 + self.items().iter().map(Self::count).sum::<usize>()
            + self.entries().iter().map(|(_, node)| node.count()).sum::<usize>()
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar(scalar) if scalar.is_null())
    }

    pub(super) const fn scalar(&self) -> Option<&Scalar> {
        if let Content::Scalar(scalar) = &self.content { Some(scalar) } else { None }
    }

    /// A variable with a secret's name whose value is in here.
    pub(super) fn secret(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(scalar) => {
                scalar.variables.iter().map(String::as_str).find(|name| is_secret_name(name))
            }
            Content::List(items) => items.iter().find_map(Self::secret),
            Content::Map(entries) => entries.iter().find_map(|(_, node)| node.secret()),
        }
    }

    /// The value of a path of keys and indices.
    pub(super) fn find(&self, path: &[&str]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        match &self.content {
            Content::Map(_) => self.get(first)?.find(rest),
            Content::List(items) => items.get(first.parse::<usize>().ok()?)?.find(rest),
            Content::Scalar(_) => None,
        }
    }

    /// Where the value of a path of keys and indices stands, or the nearest that is there.
    pub(super) fn locate(&self, path: &[&str]) -> Place {
        let Some((first, rest)) = path.split_first() else { return self.place };
        match &self.content {
            Content::Map(entries) => match entries.iter().find(|(key, _)| key.text == *first) {
                Some((key, _)) if rest.is_empty() => key.place,
                Some((_, node)) => node.locate(rest),
                None => self.place,
            },
            Content::List(items) => {
                let item = first.parse::<usize>().ok().and_then(|index| items.get(index));
                item.map_or(self.place, |node| node.locate(rest))
            }
            Content::Scalar(_) => self.place,
        }
    }
}
