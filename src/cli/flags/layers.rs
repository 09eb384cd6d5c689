//! Where a flag's value comes from when the command line does not say it: a `DOCKER_TEST_*` variable, then
//! `defaults:` of docker-test.yaml, then what is built in.
//!
//! Owns the names and the order. Values of the lower layers become clap's default values of the subcommand that is
//! run, after each was checked by the flag's own parser, so that an error can say where the value stands. A lower
//! layer is silent about a flag that excludes one chosen higher up. A list of a higher layer replaces the lower one.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;

use clap::builder::{BoolishValueParser, Resettable, StyledStr};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Id};

use super::error::FlagError;
use crate::environment::Environment;
use crate::error::{Category, Diagnose};
use crate::settings::Settings;

/// The layers below the command line.
#[derive(Clone, Copy)]
pub struct Layers<'a> {
    /// docker-test's own environment. An empty value counts as unset; a flag that may be
    /// repeated takes one value a line.
    pub environment: &'a Environment,
    /// The settings file, where there is one.
    pub settings: Option<&'a Settings>,
}

/// The parsed command line, and where its values came from.
#[derive(Debug)]
pub struct Parsed {
    /// What clap made of all layers.
    pub matches: ArgMatches,
    /// For errors that are found later.
    pub origins: Origins,
}

/// Flags (with their dashes) that a lower layer has set, and where.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    /// Flags that a variable or the file has set, and where.
    lower: BTreeMap<String, String>,
    /// Flags that the command line or a variable has set.
    above_the_file: BTreeSet<String>,
}

impl Origins {
    /// Where the value of `flag` (with its dashes) stands, where that was not the command line.
    #[must_use]
    pub fn place(&self, flag: &str) -> Option<String> {
        self.lower.get(flag).cloned()
    }

    /// Whether the command line or a variable says it, so that nothing in a file counts.
    #[must_use]
    pub fn is_above_the_file(&self, flag: &str) -> bool {
        self.above_the_file.contains(flag)
    }

    /// Adds to `error` where the value came from, where that was not the command line.
    #[must_use]
    pub fn explain(&self, error: FlagError) -> FlagError {
        match self.lower.get(error.flag()) {
            Some(origin) => error.set_by(Some(origin.clone())),
            None => error,
        }
    }
}

/// The command line or a lower layer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// What clap says: usage errors, and requests for help or the version.
    #[error(transparent)]
    Usage(#[from] Box<clap::Error>),
    /// A variable or a key of the settings file has a value that its flag does not take.
    #[error("{origin}: {problem}")]
    Layer {
        /// The variable, or file, line and key.
        origin: String,
        /// What is wrong, without the value where it may be secret.
        problem: String,
    },
}

impl Diagnose for ParseError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Usage(_) => Some("docker-test --help lists what there is".to_owned()),
            Self::Layer { .. } => {
                Some("the command line wins over variables, and they over the file".to_owned())
            }
        }
    }
}

/// Whether the lower layers can set it: every option except help and the like, and those that are only refused.
#[must_use]
pub fn settable(arg: &Arg) -> bool {
    let sets = matches!(
        arg.get_action(),
        ArgAction::Set | ArgAction::Append | ArgAction::SetTrue | ArgAction::SetFalse | ArgAction::Count
    );
    sets && arg.get_long().is_some() && !arg.is_hide_set()
}

/// The key of `defaults:` that sets this flag: its long name, unless two subcommands use that name differently.
#[must_use]
pub fn key(arg: &Arg) -> String {
    arg.get_id().as_str().replace('_', "-")
}

/// The variable that sets this flag.
#[must_use]
pub fn variable(arg: &Arg) -> String {
    format!("DOCKER_TEST_{}", key(arg).replace('-', "_").to_ascii_uppercase())
}

/// Gives every flag of `command` and its subcommands what Docker's flags have: `--switch=false`, and the last one
/// winning where it is repeated. Names the variables in the long help.
#[must_use]
pub fn prepare(command: Command) -> Command {
    let mut command = command.args_override_self(true).mut_args(|arg| document(switch(arg)));
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, prepare);
    }
    command
}

fn switch(arg: Arg) -> Arg {
    if !matches!(arg.get_action(), ArgAction::SetTrue) || arg.get_long().is_none() {
        return arg;
    }
    arg.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .default_value("false")
        .hide_default_value(true)
        .hide_possible_values(true)
        .value_name("true|false")
        .value_parser(BoolishValueParser::new())
}

fn document(arg: Arg) -> Arg {
    if !settable(&arg) {
        return arg;
    }
    let mut help = arg.get_long_help().or_else(|| arg.get_help()).cloned().unwrap_or_else(StyledStr::new);
    let lines = if matches!(arg.get_action(), ArgAction::Append) { ", one a line" } else { "" };
    // Writing to a string cannot fail.
    let _ = write!(help, "\n\n[env: {}{lines}]", variable(&arg));
    arg.long_help(help)
}

/// Parses `argv` (program name first) with all layers. `command` must have gone through [`prepare`].
pub fn parse(command: Command, argv: &[OsString], layers: &Layers<'_>) -> Result<Parsed, ParseError> {
    let usage = |error: clap::Error| ParseError::Usage(Box::new(error));
    let given = command.clone().try_get_matches_from(argv).map_err(usage)?;
    let mut origins = Origins::default();
    let command = layered(command, &given, layers, &mut origins)?;
    let matches = command.try_get_matches_from(argv).map_err(usage)?;
    Ok(Parsed { matches, origins })
}

/// Finds the values that one layer has for a flag, and says where they stand.
type Lookup<'a> = &'a dyn Fn(&Arg) -> Option<(String, Vec<String>)>;

/// `command` and the subcommand that was given, with the lower layers as default values.
fn layered(
    command: Command,
    given: &ArgMatches,
    layers: &Layers<'_>,
    origins: &mut Origins,
) -> Result<Command, ParseError> {
    let mut settled: BTreeSet<Id> = given
        .ids()
        // A flag that holds for subcommands too is among the ids where it was not declared, and clap panics when it is asked
        // for there.
        .filter(|id| given.try_contains_id(id.as_str()).is_ok())
        .filter(|id| given.value_source(id.as_str()) == Some(ValueSource::CommandLine))
        .cloned()
        .collect();
    let long = |arg: &Arg| format!("--{}", arg.get_long().unwrap_or_default());
    let on_the_command_line = command.get_arguments().filter(|arg| settled.contains(arg.get_id()));
    origins.above_the_file.extend(on_the_command_line.map(long));
    let mut defaults: BTreeMap<Id, Vec<String>> = BTreeMap::new();
    let lookups: [(bool, Lookup<'_>); 2] = [
        (true, &|arg| from_environment(arg, layers.environment)),
        (false, &|arg| from_settings(arg, layers.settings)),
    ];
    for (is_above_the_file, lookup) in lookups {
        let higher = settled.clone();
        for arg in command.get_arguments().filter(|arg| settable(arg) && !higher.contains(arg.get_id())) {
            let excluded = excluders(&command, arg);
            if excluded.iter().any(|other| higher.contains(other)) {
                continue;
            }
            let Some((origin, values)) = lookup(arg) else { continue };
            check(arg, &values).map_err(|problem| ParseError::Layer { origin: origin.clone(), problem })?;
            if let Some(other) = excluded.iter().find(|other| settled.contains(*other)) {
                let problem = format!("it excludes `{other}`, which is set beside it");
                return Err(ParseError::Layer { origin, problem });
            }
            origins.lower.insert(long(arg), origin);
            if is_above_the_file {
                origins.above_the_file.insert(long(arg));
            }
            settled.insert(arg.get_id().clone());
            defaults.insert(arg.get_id().clone(), values);
        }
    }
    let mut command = command.mut_args(|arg| match defaults.remove(arg.get_id()) {
        Some(values) => arg.default_values(values).hide_default_value(true),
        None => arg,
    });
    if let Some((name, given)) = given.subcommand()
        && let Some(sub) = command.find_subcommand(name).cloned()
    {
        let sub = layered(sub, given, layers, origins)?;
        command = command.mut_subcommand(name, |_| sub);
    }
    Ok(command)
}

/// What excludes `arg`, whichever of the two says so.
fn excluders(command: &Command, arg: &Arg) -> Vec<Id> {
    let named = |arg: &Arg| -> Vec<Id> {
        command.get_arg_conflicts_with(arg).into_iter().map(|other| other.get_id().clone()).collect()
    };
    let mut excluders = named(arg);
    excluders.extend(
        command
            .get_arguments()
            .filter(|other| named(other).contains(arg.get_id()))
            .map(|other| other.get_id().clone()),
    );
    excluders
}

fn from_environment(arg: &Arg, environment: &Environment) -> Option<(String, Vec<String>)> {
    let name = variable(arg);
    let value = environment.non_empty(&name)?;
    let values = if matches!(arg.get_action(), ArgAction::Append) {
        value.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    } else {
        vec![value.to_owned()]
    };
    Some((name, values))
}

fn from_settings(arg: &Arg, settings: Option<&Settings>) -> Option<(String, Vec<String>)> {
    let settings = settings?;
    let key = key(arg);
    let values = settings.values(&key)?;
    Some((settings.place(&key), values.to_vec()))
}

/// Parses `values` with the flag's own parser, apart from everything else.
fn check(arg: &Arg, values: &[String]) -> Result<(), String> {
    if !matches!(arg.get_action(), ArgAction::Append) && values.len() != 1 {
        return Err(format!("`{}` takes one value, not {}", key(arg), values.len()));
    }
    let long = format!("--{}", arg.get_long().unwrap_or_default());
    let alone = arg
        .clone()
        .required(false)
        .conflicts_with(Resettable::<Id>::Reset)
        .requires(Resettable::<Id>::Reset)
        .overrides_with(Resettable::<Id>::Reset);
    let command = Command::new("").no_binary_name(true).args_override_self(true).arg(alone);
    let words = values.iter().map(|value| format!("{long}={value}"));
    command.try_get_matches_from(words).map(|_| ()).map_err(|error| problem(&error, values))
}

fn problem(error: &clap::Error, values: &[String]) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let shown = text(ContextKind::InvalidValue).or_else(|| values.first().cloned()).unwrap_or_default();
    let why = match error.kind() {
        ErrorKind::ValueValidation => std::error::Error::source(error).map(ToString::to_string),
        ErrorKind::InvalidValue => {
            text(ContextKind::ValidValue).map(|valid| format!("expected one of {valid}"))
        }
        _ => None,
    };
    match why {
        Some(why) => format!("invalid value `{shown}`: {why}"),
        None => format!("invalid value `{shown}`"),
    }
}

#[cfg(test)]
mod tests;
