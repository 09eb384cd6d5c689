//! What ARG and ENV make of the variables of one build stage, as far as it can be told before the build.
//!
//! Owns the precedence between build arguments, ARG, ENV and the base image's environment. Where builders differ,
//! or the base image may have a say that nobody knows, the answer is "unknown", never a guess.

use std::collections::BTreeMap;

use super::words::{Value, expand, split_quoted};
use crate::metadata::dockerfile::BUILDER_ARGUMENTS;

/// Arguments that need no declaration.
const PROXY_ARGUMENTS: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// Variables in force at one point of a stage.
#[derive(Debug, Clone)]
pub(super) struct Variables {
    slots: BTreeMap<String, Slot>,
    /// True where everything that the base image sets is in `slots`.
    base_is_known: bool,
}

#[derive(Debug, Clone)]
struct Slot {
    value: Result<String, String>,
    origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Env,
    Arg,
}

impl Variables {
    /// At the start of a stage whose base image sets `env`; `None` where nobody knows what it sets.
    pub(super) fn at_base(env: Option<&BTreeMap<String, String>>) -> Self {
        let slot = |value: &String| Slot { value: Ok(value.clone()), origin: Origin::Env };
        let slots = env.into_iter().flatten().map(|(name, value)| (name.clone(), slot(value))).collect();
        Self { slots, base_is_known: env.is_some() }
    }

    /// At the start of a stage that goes on from the end of this one. Whether arguments are handed down depends
    /// on the builder.
    pub(super) fn inherited(&self) -> Self {
        let mut child = self.clone();
        for (name, slot) in child.slots.iter_mut().filter(|(_, slot)| slot.origin == Origin::Arg) {
            slot.value = Err(format!("builders differ on whether ${name} is handed down from another stage"));
        }
        child
    }

    /// What `$name` stands for here.
    pub(super) fn get(&self, name: &str) -> Value {
        match self.slots.get(name) {
            Some(Slot { value: Ok(value), .. }) => Value::Known(value.clone()),
            Some(Slot { value: Err(reason), .. }) => Value::Unknown(reason.clone()),
            // The builder gives every stage a PATH, and hands proxy settings on without a declaration.
            None if name == "PATH" || PROXY_ARGUMENTS.contains(&name.to_ascii_uppercase().as_str()) => {
                Value::Unknown(format!("${name} is set by the builder"))
            }
            None if self.base_is_known => Value::Unset,
            None => Value::Unknown(format!("the base image may set ${name}")),
        }
    }

    /// `word` as it reads here.
    pub(super) fn expand(&self, word: &str, escape: char) -> Result<String, String> {
        expand(word, escape, &|name| self.get(name))
    }

    /// Applies an ENV instruction, given what follows the keyword.
    pub(super) fn env(&mut self, rest: &str, escape: char) {
        let before = self.clone();
        for (name, value) in assignments(rest, escape) {
            let value = before.expand(&value, escape);
            match before.expand(&name, escape) {
                Ok(name) => {
                    self.slots.insert(name, Slot { value, origin: Origin::Env });
                }
                Err(reason) => self.forget(&reason),
            }
        }
    }

    /// Applies an ARG instruction, given what follows the keyword, the `--build-arg`s and the arguments declared
    /// above the first FROM.
    pub(super) fn arg(
        &mut self,
        rest: &str,
        escape: char,
        given: &BTreeMap<String, String>,
        global: &Globals,
    ) {
        for word in split_quoted(rest, escape) {
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name.to_owned(), Some(default)),
                None => (word, None),
            };
            let Ok(name) = self.expand(&name, escape) else { continue };
            let value = match (given.get(&name), default) {
                (Some(value), _) => Some(Ok(value.clone())),
                (None, Some(default)) => Some(self.expand(default, escape)),
                (None, None) if BUILDER_ARGUMENTS.contains(&name.as_str()) => {
                    Some(Err(format!("${name} is set by the builder")))
                }
                (None, None) => global.get(&name).cloned(),
            };
            if let Some(value) = value {
                self.declare(name, value);
            }
        }
    }

    /// An argument never replaces ENV in some builders and always does in others, and the same holds for a
    /// second argument of one name.
    fn declare(&mut self, name: String, value: Result<String, String>) {
        let value = match self.slots.get(&name) {
            Some(slot) if slot.value == value && value.is_ok() => return,
            Some(_) => Err(format!("${name} is set more than once, and builders differ on which one counts")),
            None if self.base_is_known => value,
            None => value.and(Err(format!("the base image may set ${name}, which would win over ARG"))),
        };
        self.slots.insert(name, Slot { value, origin: Origin::Arg });
    }

    fn forget(&mut self, reason: &str) {
        self.base_is_known = false;
        for slot in self.slots.values_mut() {
            slot.value = Err(reason.to_owned());
        }
    }
}

/// Arguments declared above the first FROM.
pub(super) type Globals = BTreeMap<String, Result<String, String>>;

/// Applies an ARG instruction that stands above the first FROM.
pub(super) fn declare_global(
    globals: &mut Globals,
    rest: &str,
    escape: char,
    given: &BTreeMap<String, String>,
) {
    for word in split_quoted(rest, escape) {
        let (name, default) = match word.split_once('=') {
            Some((name, default)) => (name, Some(default)),
            None => (word.as_str(), None),
        };
        let value = match (given.get(name), default) {
            (Some(value), _) => Some(Ok(value.clone())),
            (None, Some(default)) => Some(expand_global(globals, default, escape)),
            (None, None) => None,
        };
        if let Some(value) = value {
            globals.insert(name.to_owned(), value);
        }
    }
}

/// `word` as a FROM line reads it: only arguments declared above the first FROM count.
pub(super) fn expand_global(globals: &Globals, word: &str, escape: char) -> Result<String, String> {
    expand(word, escape, &|name| match globals.get(name) {
        Some(Ok(value)) => Value::Known(value.clone()),
        Some(Err(reason)) => Value::Unknown(reason.clone()),
        None if BUILDER_ARGUMENTS.contains(&name) => Value::Unknown(format!("${name} is set by the builder")),
        None => Value::Unset,
    })
}

/// `NAME=value …`, or the old `NAME value`, quotes still in place.
fn assignments(rest: &str, escape: char) -> Vec<(String, String)> {
    let words = split_quoted(rest, escape);
    if !words.first().is_some_and(|first| first.contains('=')) {
        let mut parts = rest.trim().splitn(2, [' ', '\t']);
        let name = parts.next().unwrap_or_default().to_owned();
        return parts.next().map(|value| (name, value.trim_start().to_owned())).into_iter().collect();
    }
    let pair = |word: String| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    words.into_iter().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn known(value: &str) -> Value {
        Value::Known(value.to_owned())
    }

    fn is_unknown(variables: &Variables, name: &str) -> bool {
        matches!(variables.get(name), Value::Unknown(_))
    }

    #[test]
    fn env_is_decided_by_the_recipe_itself() {
        let mut variables = Variables::at_base(None);
        variables.env("DIR=tests FILE=\"a b\" SUB=$DIR", '\\');
        assert_eq!(variables.get("DIR"), known("tests"));
        assert_eq!(variables.get("FILE"), known("a b"));
        assert!(is_unknown(&variables, "SUB"), "one instruction reads the values from before it");
        variables.env("SUB $DIR/x y", '\\');
        assert_eq!(variables.get("SUB"), known("tests/x y"));
    }

    #[test]
    fn an_argument_is_decided_only_where_the_base_image_is_known() {
        let given = map(&[("GIVEN", "cli")]);
        let mut open = Variables::at_base(None);
        open.arg("A=1", '\\', &given, &Globals::new());
        assert!(is_unknown(&open, "A") && is_unknown(&open, "B"));

        let mut closed = Variables::at_base(Some(&map(&[("FROM_IMAGE", "x"), ("CLASH", "env")])));
        closed.arg("A=1 GIVEN=default B CLASH=arg FROM_IMAGE=x C=$A", '\\', &given, &Globals::new());
        assert_eq!(closed.get("A"), known("1"));
        assert_eq!(closed.get("GIVEN"), known("cli"));
        assert_eq!(closed.get("B"), Value::Unset);
        assert_eq!(closed.get("FROM_IMAGE"), known("x"));
        assert_eq!(closed.get("C"), known("1"));
        assert!(is_unknown(&closed, "CLASH"));
        closed.env("A=2", '\\');
        assert_eq!(closed.get("A"), known("2"));
    }

    #[test]
    fn the_builder_fills_in_its_own_arguments() {
        let mut variables = Variables::at_base(Some(&BTreeMap::new()));
        variables.arg("TARGETARCH BUILDOS=linux", '\\', &BTreeMap::new(), &Globals::new());
        assert!(is_unknown(&variables, "TARGETARCH") && is_unknown(&variables, "PATH"));
        assert!(is_unknown(&variables, "https_proxy"));
        assert_eq!(variables.get("BUILDOS"), known("linux"));
    }

    #[test]
    fn global_arguments_reach_a_stage_through_a_declaration() {
        let mut globals = Globals::new();
        declare_global(&mut globals, "V=1 W=$V-x U", '\\', &map(&[("V", "2")]));
        assert_eq!(expand_global(&globals, "img:${W}$U", '\\').as_deref(), Ok("img:2-x"));
        let mut variables = Variables::at_base(Some(&BTreeMap::new()));
        assert_eq!(variables.get("W"), Value::Unset);
        variables.arg("W", '\\', &BTreeMap::new(), &globals);
        assert_eq!(variables.get("W"), known("2-x"));
    }

    #[test]
    fn a_child_stage_keeps_env_and_doubts_arguments() {
        let mut variables = Variables::at_base(Some(&BTreeMap::new()));
        variables.env("E=1", '\\');
        variables.arg("A=1", '\\', &BTreeMap::new(), &Globals::new());
        let child = variables.inherited();
        assert_eq!(child.get("E"), known("1"));
        assert!(is_unknown(&child, "A"));
    }

    #[test]
    fn a_variable_name_that_is_unknown_leaves_nothing_certain() {
        let mut variables = Variables::at_base(None);
        variables.env("E=1", '\\');
        variables.env("$SECRET=2", '\\');
        assert!(is_unknown(&variables, "E"));
    }
}
