//! Which stage is tested, and what it stands on.
//!
//! Owns the selection by name or number, the chain of stages built upon one another, and the substitution of ARGs
//! in FROM. What cannot be known without the builder is left unknown.

use std::collections::BTreeMap;

use super::dialect::HeredocRules;
use super::lex::Lexer;
use super::{Instruction, Split, StageTests, Trigger, excerpt, words};
use crate::error::{Category, Diagnose};

/// The target names no stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no stage {} in the Dockerfile: expected {}", excerpt(target), expected(stages))]
pub struct TargetError {
    /// The target.
    pub target: String,
    /// The stages there are, by name or else by number.
    pub stages: Vec<String>,
}

impl Diagnose for TargetError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some("name a stage as in FROM … AS name, or leave --target out for the last one".to_owned())
    }
}

fn expected(stages: &[String]) -> String {
    if stages.is_empty() {
        return "one, but it has no FROM".to_owned();
    }
    let quoted: Vec<String> = stages.iter().map(|stage| excerpt(stage)).collect();
    format!("one of {}", quoted.join(", "))
}

impl Split {
    /// The triggers of the last stage, or of the stage that `target` names (in any case) or numbers (from 0).
    ///
    /// A stage without ONTEST of its own that is built upon an earlier stage is tested as that one is.
    pub fn for_target(&self, target: Option<&str>) -> Result<Vec<&Trigger>, TargetError> {
        let Some(start) = self.target(target)? else { return Ok(Vec::new()) };
        let tested = self.chain(start).find(|stage| !stage.triggers.is_empty());
        Ok(tested.map(|stage| stage.triggers.iter().collect()).unwrap_or_default())
    }

    /// The lines, from the first up to but without the second, of the targeted stage and before it of the stages that
    /// it is built upon.
    pub fn lines_of(&self, target: Option<&str>) -> Result<Vec<(u32, u32)>, TargetError> {
        let Some(start) = self.target(target)? else { return Ok(Vec::new()) };
        let end = |line: u32| {
            self.stages.iter().map(|stage| stage.line).find(|next| *next > line).unwrap_or(u32::MAX)
        };
        let mut lines: Vec<_> = self.chain(start).map(|stage| (stage.line, end(stage.line))).collect();
        lines.reverse();
        Ok(lines)
    }

    /// The index of the stage that `target` names or numbers.
    pub fn index_of(&self, target: &str) -> Result<usize, TargetError> {
        Ok(self.target(Some(target))?.unwrap_or_default())
    }

    /// The image that the stage stands on, through every stage between; none where the target is unknown or the
    /// image depends on a variable without a known value.
    #[must_use]
    pub fn base_of(&self, target: Option<&str>) -> Option<&str> {
        let start = self.target(target).ok()??;
        self.chain(start).last()?.resolved_base.as_deref()
    }

    /// The index of the targeted stage; none where there is no stage at all and none was asked for.
    fn target(&self, target: Option<&str>) -> Result<Option<usize>, TargetError> {
        let Some(target) = target else { return Ok(self.stages.len().checked_sub(1)) };
        let named = self.named(target, self.stages.len());
        let numbered = || target.parse().ok().filter(|index: &usize| *index < self.stages.len());
        named.or_else(numbered).map(Some).ok_or_else(|| TargetError {
            target: target.to_owned(),
            stages: self
                .stages
                .iter()
                .enumerate()
                .map(|(index, stage)| stage.name.clone().unwrap_or_else(|| index.to_string()))
                .collect(),
        })
    }

    /// The last stage of that name among the first `before`.
    fn named(&self, name: &str, before: usize) -> Option<usize> {
        let name = name.to_lowercase();
        self.stages
            .iter()
            .take(before)
            .rposition(|stage| stage.name.as_ref().is_some_and(|other| other.to_lowercase() == name))
    }

    /// The stage, the stage it is built upon, and so on. Each stands before the other, so this ends.
    fn chain(&self, start: usize) -> impl Iterator<Item = &StageTests> {
        std::iter::successors(Some(start), |index| {
            let base = self.stages.get(*index)?.resolved_base.as_deref()?;
            self.named(base, *index)
        })
        .filter_map(|index| self.stages.get(index))
    }
}

/// The ARGs before the first FROM.
pub(super) struct Variables<'a> {
    build_args: &'a BTreeMap<String, String>,
    escape: char,
    known: BTreeMap<String, String>,
}

impl<'a> Variables<'a> {
    pub(super) const fn new(build_args: &'a BTreeMap<String, String>, escape: char) -> Self {
        Self { build_args, escape, known: BTreeMap::new() }
    }

    /// Takes up `ARG name=default …`; a build argument of that name wins.
    pub(super) fn declare(&mut self, arg: &Instruction) {
        for word in words::quoted(&arg.rest, self.escape) {
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name.to_owned(), self.substitute(default)),
                None => (word, None),
            };
            match self.build_args.get(&name).cloned().or(default) {
                Some(value) => self.known.insert(name, value),
                None => self.known.remove(&name),
            };
        }
    }

    /// The text with every variable replaced; none where one is not known or the text is not well formed.
    ///
    /// A variable that is used with a default of its own, `${x:-y}`, is known, unless the builder may set it.
    pub(super) fn substitute(&self, text: &str) -> Option<String> {
        if !text.contains(['$', '\'', '"', self.escape]) {
            return Some(text.to_owned());
        }
        let lexer = Lexer {
            escape: self.escape,
            raw_quotes: false,
            raw_escapes: false,
            rules: HeredocRules::Patterns,
            keep_unset: false,
            variables: &|name| self.known.get(name).cloned(),
        };
        let may_be_the_builders =
            BUILDER_ARGUMENTS.iter().chain(&["BUILDKIT_"]).any(|name| text.contains(name));
        lexer.word(text).ok().filter(|_| !may_be_the_builders)
    }
}

/// Arguments that the builder itself fills in: before the first FROM, and in a stage once they are declared.
pub const BUILDER_ARGUMENTS: [&str; 9] = [
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
    "TARGETSTAGE",
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
    "BUILDVARIANT",
];
