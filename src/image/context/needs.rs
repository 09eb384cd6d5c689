//! What a recipe reads from the build context: COPY, ADD and bind mounts.
//!
//! Owns the reading of instructions; names paths without looking whether they exist. Where a path cannot be told
//! before the build it says so, and asks for the whole context.
//!
//! A source that climbs out of the context (`../x`) is clamped to its root, as BuildKit does; the classic builder
//! refuses such a line by itself.

use std::collections::BTreeMap;

use serde::Serialize;

use super::paths::{below_root, clean};
use super::pattern::{Dialect, Pattern, has_wildcards};
use super::variables::{Globals, Variables, declare_global, expand_global};
use crate::metadata::dockerfile::Instruction;

mod mount;
use mount::{BindMount, bind_mount};

/// What a recipe reads from the context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Needs {
    /// Nothing at all.
    Nothing,
    /// What these sources name.
    Paths(Vec<Need>),
    /// Everything that is not ignored.
    Whole {
        /// Why, for people: the line that asks for it, or what could not be decided.
        reason: String,
        /// Sources that were decided all the same: they must exist.
        named: Vec<Need>,
    },
}

/// One source of a COPY, an ADD or a bind mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Need {
    /// Path or wildcard pattern relative to the context's root, variables replaced; `.` is the root. With
    /// `parents` it may hold the pivot `/./`.
    pub pattern: String,
    /// `--exclude` patterns, relative to the source directory.
    pub exclude: Vec<String>,
    /// `--parents`: the pattern's directories are kept, and `**` crosses directories.
    pub parents: bool,
    /// True where `*`, `?` and `[` are ordinary characters: the source of a bind mount.
    pub literal: bool,
    /// Line of the instruction, counted from 1; 0 where it is not known.
    pub line: u32,
}

/// What surrounds the instructions and decides their variables.
#[derive(Debug, Clone, Copy)]
pub struct RecipeInputs<'a> {
    /// The Dockerfile's escape character.
    pub escape: char,
    /// `--build-arg` values.
    pub build_args: &'a BTreeMap<String, String>,
    /// ENV of the image under test, where it is known.
    pub target_env: Option<&'a BTreeMap<String, String>>,
    /// The name by which FROM calls the image under test, for a recipe that has FROM lines of its own.
    pub target: Option<&'a str>,
    /// The ONBUILD triggers of the image under test, which FROM runs.
    pub target_triggers: &'a [Instruction],
}

/// Reads what `instructions` need from the context.
///
/// They are either a recipe without FROM, which goes on from the image under test (ONBUILD and ONTEST are read as
/// the instruction behind the word), or a whole Dockerfile. In a whole Dockerfile every stage counts, also one that
/// a builder would skip; ONBUILD counts in the stages that go on from its stage, and ONTEST does not count. The
/// triggers of base images other than the one under test are not known here.
#[must_use]
pub fn needs(instructions: &[Instruction], inputs: &RecipeInputs<'_>) -> Needs {
    let mut reader = Reader {
        inputs,
        globals: Globals::new(),
        stages: Vec::new(),
        variables: Variables::at_base(inputs.target_env),
        named: Vec::new(),
        whole: None,
    };
    if instructions.iter().any(|instruction| instruction.keyword == "FROM") {
        reader.dockerfile(instructions);
    } else {
        reader.all(inputs.target_triggers);
        reader.all(instructions);
    }
    match (reader.whole, reader.named) {
        (Some(reason), named) => Needs::Whole { reason, named },
        (None, named) if named.is_empty() => Needs::Nothing,
        (None, named) => Needs::Paths(named),
    }
}

struct Stage {
    name: Option<String>,
    variables: Variables,
    triggers: Vec<Instruction>,
}

struct Reader<'a> {
    inputs: &'a RecipeInputs<'a>,
    globals: Globals,
    stages: Vec<Stage>,
    variables: Variables,
    named: Vec<Need>,
    whole: Option<String>,
}

impl Reader<'_> {
    fn all(&mut self, instructions: &[Instruction]) {
        for instruction in instructions {
            self.instruction(instruction.trigger.as_deref().unwrap_or(instruction));
        }
    }

    fn dockerfile(&mut self, instructions: &[Instruction]) {
        for instruction in instructions {
            match instruction.keyword.as_str() {
                "FROM" => self.stage(instruction),
                "ARG" if self.stages.is_empty() => declare_global(
                    &mut self.globals,
                    &instruction.rest,
                    self.inputs.escape,
                    self.inputs.build_args,
                ),
                "ONBUILD" => {
                    if let (Some(stage), Some(trigger)) = (self.stages.last_mut(), &instruction.trigger) {
                        stage.triggers.push((**trigger).clone());
                    }
                }
                "ONTEST" => {}
                _ => self.instruction(instruction),
            }
            if let Some(stage) = self.stages.last_mut() {
                stage.variables = self.variables.clone();
            }
        }
    }

    fn stage(&mut self, from: &Instruction) {
        let mut words = from.words().into_iter();
        let base = expand_global(&self.globals, words.next().unwrap_or_default(), self.inputs.escape).ok();
        let name = words.next().filter(|word| word.eq_ignore_ascii_case("as")).and_then(|_| words.next());
        let same_name = |stage: &&Stage| {
            stage
                .name
                .as_deref()
                .zip(base.as_deref())
                .is_some_and(|(name, base)| name.eq_ignore_ascii_case(base))
        };
        let mut triggers = Vec::new();
        self.variables = if let Some(parent) = self.stages.iter().rev().find(same_name) {
            triggers.clone_from(&parent.triggers);
            parent.variables.inherited()
        } else if base.is_some() && base.as_deref() == self.inputs.target {
            triggers.extend_from_slice(self.inputs.target_triggers);
            Variables::at_base(self.inputs.target_env)
        } else if base.as_deref() == Some("scratch") {
            Variables::at_base(Some(&BTreeMap::new()))
        } else {
            Variables::at_base(None)
        };
        let name = name.map(str::to_owned);
        self.stages.push(Stage { name, variables: self.variables.clone(), triggers: Vec::new() });
        self.all(&triggers);
    }

    fn instruction(&mut self, instruction: &Instruction) {
        let escape = self.inputs.escape;
        match instruction.keyword.as_str() {
            "ENV" => self.variables.env(&instruction.rest, escape),
            "ARG" => self.variables.arg(&instruction.rest, escape, self.inputs.build_args, &self.globals),
            "COPY" | "ADD" => self.copy(instruction),
            "RUN" => self.run(instruction),
            _ => {}
        }
    }

    fn copy(&mut self, instruction: &Instruction) {
        if flag(instruction, "from").is_some_and(|stage| !stage.is_empty()) {
            return;
        }
        let parents = flag(instruction, "parents").is_some_and(|value| value.is_empty() || value == "true");
        let exclude: Vec<String> = instruction
            .flags
            .iter()
            .filter(|flag| flag.name == "exclude")
            .filter_map(|flag| flag.value.clone())
            .collect();
        let words = instruction.words();
        let Some((_destination, sources)) = words.split_last() else { return };
        for source in sources.iter().filter(|source| !is_heredoc(source)) {
            match self.variables.expand(source, self.inputs.escape) {
                Err(reason) => self.undecided(instruction, &reason),
                Ok(source) if is_remote(&source, &instruction.keyword) => {}
                Ok(source) => {
                    let pattern = if parents { keep_pivot(&source) } else { root_or(below_root(&source)) };
                    let need = Need {
                        pattern,
                        exclude: exclude.clone(),
                        parents,
                        literal: false,
                        line: instruction.line,
                    };
                    self.name(need, &instruction.keyword);
                }
            }
        }
    }

    fn run(&mut self, instruction: &Instruction) {
        for flag in instruction.flags.iter().filter(|flag| flag.name == "mount") {
            let text = flag.value.as_deref().unwrap_or_default();
            match bind_mount(text, &|word| self.variables.expand(word, self.inputs.escape)) {
                BindMount::None => {}
                BindMount::Undecided(reason) => self.undecided(instruction, &reason),
                BindMount::Source(source) => {
                    let pattern = root_or(below_root(&source));
                    let need = Need {
                        pattern,
                        exclude: Vec::new(),
                        parents: false,
                        literal: true,
                        line: instruction.line,
                    };
                    self.name(need, "RUN --mount");
                }
            }
        }
    }

    fn name(&mut self, need: Need, keyword: &str) {
        if need.pattern == "." && need.exclude.is_empty() {
            let reason = format!("{keyword}{} reads the whole context", on_line(need.line));
            self.whole.get_or_insert(reason);
        } else if !self.named.contains(&need) {
            self.named.push(need);
        }
    }

    fn undecided(&mut self, instruction: &Instruction, reason: &str) {
        let place = on_line(instruction.line);
        let reason = format!("{}{place} cannot be decided: {reason}", instruction.keyword);
        self.whole.get_or_insert(reason);
    }
}

fn on_line(line: u32) -> String {
    if line == 0 { String::new() } else { format!(" on line {line}") }
}

/// The value of a flag: empty where it was given without one.
fn flag<'a>(instruction: &'a Instruction, name: &str) -> Option<&'a str> {
    instruction.flag(name).map(|flag| flag.value.as_deref().unwrap_or_default())
}

fn root_or(path: String) -> String {
    if path.is_empty() { ".".to_owned() } else { path }
}

/// A `--parents` source with both sides of its pivot cleaned.
fn keep_pivot(source: &str) -> String {
    match source.split_once("/./") {
        Some((base, pattern)) => {
            let (base, pattern) = (below_root(base), below_root(pattern));
            match (base.is_empty(), pattern.is_empty()) {
                (true, _) => root_or(pattern),
                (false, true) => base,
                (false, false) => format!("{base}/./{pattern}"),
            }
        }
        None => root_or(below_root(source)),
    }
}

fn is_heredoc(word: &str) -> bool {
    let word = word.trim_start_matches(|c: char| c.is_ascii_digit());
    word.strip_prefix("<<").is_some_and(|name| !name.is_empty() && !name.contains('<'))
}

/// True for sources that the builder fetches from elsewhere. COPY refuses them by itself.
fn is_remote(source: &str, keyword: &str) -> bool {
    const SCHEMES: [&str; 4] = ["http://", "https://", "git://", "ssh://"];
    let scp_like = || {
        let Some((host, path)) = source.split_once(':') else { return false };
        let Some((user, host)) = host.split_once('@') else { return false };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !user.is_empty()
            && !host.is_empty()
            && !path.is_empty()
            && user.chars().chain(host.chars()).all(plain)
    };
    SCHEMES.iter().any(|scheme| source.starts_with(scheme)) || (keyword == "ADD" && scp_like())
}

impl Needs {
    /// True where a source would also pick up `name`, an entry that the caller adds at the root of the context:
    /// `COPY .` copies everything that was sent, and a wildcard whatever it matches.
    #[must_use]
    pub fn reach(&self, name: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Whole { .. } => true,
            Self::Paths(named) => named.iter().any(|need| need.reaches(name)),
        }
    }
}

impl Need {
    fn reaches(&self, name: &str) -> bool {
        if !self.is_wildcard() {
            return self.pattern == "." || self.pattern == name;
        }
        let dialect = if self.parents { Dialect::Path } else { Dialect::Name };
        let first = self.pattern.split('/').next().filter(|_| !self.parents).unwrap_or(&self.pattern);
        // A malformed pattern matches nothing: it is refused when files are chosen.
        Pattern::new(first, dialect).is_ok_and(|pattern| pattern.matches(name) || pattern.reaches_below(name))
    }

    /// True where the source is looked up as a pattern and may match several paths, or none.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        !self.literal && has_wildcards(&self.pattern)
    }

    /// Base directory and pattern of a `--parents` source.
    pub(super) fn split_pivot(&self) -> (String, String) {
        match self.pattern.split_once("/./") {
            Some((base, pattern)) => (base.to_owned(), clean(pattern)),
            None => (String::new(), self.pattern.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
