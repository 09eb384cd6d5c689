//! `docker-test list`: what a run of a suite would run, in order. Needs no engine.
//!
//! Owns the flags, what is said about names that nothing has, and the JSON. What is selected, and its order, is
//! [`crate::suite::listing`]'s to say.

mod table;

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use serde::Serialize;

use super::application::Application;
use super::flags::Invalid;
use super::flags::output::Format;
use super::{secrets, terminal};
use crate::environment::Environment;
use crate::error::{Category, Diagnose, Failure, nearest};
use crate::exit_code::ExitCode;
use crate::input;
use crate::plan::build::BuildSpec;
use crate::report::EXPORTERS;
use crate::report::text::printable;
use crate::report::wording::count;
use crate::suite::document::Build;
use crate::suite::listing::{self, Listed, Listing, Wanted};
use crate::suite::needs::Need;
use crate::suite::partition::Partition;
use crate::suite::pattern::NamePattern;
use crate::suite::policy::Policy;
use crate::suite::select::{self, Candidate, Filter, Selection};
use crate::suite::{Known, MAX_BYTES, Suite, order};

/// The suite of a directory.
pub(super) const FILE: &str = "docker-test.yaml";

/// Flags of `list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Tests by name, glob (checkout*) or /regular expression/; those with ! before them are left out (default: all).
    #[arg(value_name = "NAME", value_parser = NamePattern::parse, add = ArgValueCandidates::new(names_here))]
    names: Vec<NamePattern>,
    /// The suite (default: docker-test.yaml in the current directory)
    #[arg(long, value_name = "FILE")]
    suite: Option<PathBuf>,
    /// Only tests of these types, such as integration,security
    #[arg(long = "type", id = "type", value_name = "TYPES", value_parser = Types::parse)]
    types: Vec<Types>,
    /// Only tests with this label: label=KEY or label=KEY=VALUE; repeatable
    #[arg(long = "filter", id = "filter", value_name = "FILTER", value_parser = Filter::parse)]
    filters: Vec<Filter>,
    /// Only one part of several: slice:M/N or hash:M/N
    #[arg(long, value_name = "KIND:M/N", value_parser = Partition::parse)]
    partition: Option<Partition>,
    /// Shuffle the tests: the same seed gives the same order
    #[arg(long, value_name = "SEED", value_parser = order::seed)]
    shuffle: Option<String>,
    /// How often each test is run
    #[arg(long, value_name = "N", value_parser = order::repetitions, default_value = "1")]
    repeat: u32,
    /// Format of the list.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A value of `--type`.
#[derive(Debug, Clone)]
struct Types(Vec<String>);

impl Types {
    fn parse(text: &str) -> Result<Self, Invalid> {
        select::types(text).map(Self)
    }
}

/// There is nothing to list.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListError {
    #[error("there is no {FILE} in {}", .0.display())]
    NoSuite(PathBuf),
    #[error("cannot read the suite {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} has no `tests`", .0.display())]
    NoTests(PathBuf),
    #[error("--partition {0} goes by recorded durations, and none are recorded yet")]
    NoDurations(Partition),
}

impl Diagnose for ListError {
    fn category(&self) -> Category {
        match self {
            Self::Unreadable { .. } => Category::Environment,
            Self::NoSuite(_) | Self::NoTests(_) | Self::NoDurations(_) => Category::User,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoSuite(_) => {
                "`docker-test init` writes one to start from; --suite names another".to_owned()
            }
            Self::Unreadable { .. } => "check the path and its permissions".to_owned(),
            Self::NoTests(_) => {
                "add `tests` to it, or see what `docker-test init` writes in a directory without one"
                    .to_owned()
            }
            Self::NoDurations(partition) => {
                let same = partition.to_string().replace("time:", "");
                format!("slice:{same} and hash:{same} work without them")
            }
        })
    }
}

/// A test, as `--format json` shows it.
#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    image: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<BuildEntry<'a>>,
    #[serde(rename = "type")]
    test_type: &'a str,
    needs: Vec<&'a str>,
    services: &'a [String],
    policy: Policy,
    timeout: Option<f64>,
    retries: u32,
    labels: &'a std::collections::BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repetition: Option<u32>,
}

/// How the image is built; arguments may be secret, and stay where they are.
#[derive(Serialize)]
struct BuildEntry<'a> {
    context: &'a str,
    dockerfile: Option<&'a str>,
    target: Option<&'a str>,
}

impl<'a> BuildEntry<'a> {
    fn of(build: &'a Build) -> Self {
        Self {
            context: &build.context,
            dockerfile: build.dockerfile.as_deref(),
            target: build.target.as_deref(),
        }
    }
}

pub(super) fn execute(args: ListArgs, application: &Application) -> Result<ExitCode, Failure> {
    if let Some(partition) = args.partition.filter(Partition::wants_durations) {
        return Err(ListError::NoDurations(partition).into());
    }
    let environment = &application.environment;
    let suite = read(args.suite.as_deref(), environment)?;
    let all = listing::candidates(&suite);
    let types = args.types.into_iter().flat_map(|types| types.0).collect();
    let selection = Selection { names: args.names, types, filters: args.filters };
    for warning in unmatched(&selection, &all) {
        terminal::note(&format!("docker-test: warning: {warning}\n"));
    }
    let (format, repetitions, partition) = (args.format, args.repeat, args.partition);
    let listing = Listing::new(&suite, &Wanted { selection, partition, seed: args.shuffle, repetitions })?;
    let redactor = secrets::redactor(environment, &[], &[], &BuildSpec::default());
    let say = |text: String| terminal::out(&redactor.redact(&text));
    match format {
        Format::Json => {
            let repeated = (repetitions > 1).then_some(());
            say("[".to_owned())?;
            let mut separator = "\n";
            for (repetition, round) in listing.rounds() {
                for test in round {
                    let entry = entry(test, partition, repeated.map(|()| repetition));
                    say(format!("{separator}  {}", serde_json::json!(entry)))?;
                    separator = ",\n";
                }
            }
            say(if separator == "\n" { "]\n" } else { "\n]\n" }.to_owned())?;
        }
        Format::Text => {
            let width = terminal::columns(environment);
            for (repetition, round) in listing.rounds().filter(|(_, round)| !round.is_empty()) {
                if repetitions > 1 {
                    say(format!(
                        "{}round {repetition} of {repetitions}\n",
                        if repetition > 1 { "\n" } else { "" }
                    ))?;
                }
                say(table::render(&round, width))?;
            }
        }
    }
    if listing.is_empty() {
        let tests = count(all.len() as u64, "test");
        let why = match partition {
            Some(part) if listing.selected > 0 => {
                format!("of {}, none is in part {part}", count(listing.selected as u64, "selected test"))
            }
            _ => format!("none of the {tests} of {} is selected", suite.path().display()),
        };
        terminal::note(&format!("docker-test: {why}\n"));
        return Ok(ExitCode::NothingToTest);
    }
    Ok(ExitCode::Success)
}

fn entry<'a>(test: &'a Listed<'a>, partition: Option<Partition>, repetition: Option<u32>) -> Entry<'a> {
    Entry {
        name: test.name,
        image: test.test.image.as_deref(),
        build: test.test.build.as_ref().map(BuildEntry::of),
        test_type: test.test_type,
        needs: test.needs.iter().map(needed).collect(),
        services: &test.services,
        policy: test.policy,
        timeout: test.timeout.map(|timeout| timeout.as_secs_f64()),
        retries: test.retries,
        labels: &test.test.labels.0,
        partition: partition.map(|partition| partition.to_string()),
        repetition,
    }
}

fn needed(need: &Need) -> &str {
    match need {
        Need::Service(name) | Need::Test(name) => name,
    }
}

/// Reads the suite that was named, or that of the directory.
fn read(named: Option<&Path>, environment: &Environment) -> Result<Suite, Failure> {
    let directory = environment.current_dir();
    let path = named.unwrap_or_else(|| Path::new(FILE));
    let bytes = input::read(&directory.join(path), MAX_BYTES as u64).map_err(|source| {
        if named.is_none() && source.kind() == io::ErrorKind::NotFound {
            ListError::NoSuite(directory.to_owned())
        } else {
            ListError::Unreadable { path: path.to_owned(), source }
        }
    })?;
    let formats: Vec<&str> = EXPORTERS.iter().map(|exporter| exporter.name()).collect();
    let flags = super::flags::setting_keys(&super::command());
    let suite = Suite::read(path, &bytes, environment, Known { flags: &flags, formats: &formats })?;
    if suite.document.tests.is_empty() {
        return Err(ListError::NoTests(path.to_owned()).into());
    }
    Ok(suite)
}

/// What was asked for and no test has: a slip that would silently run other tests.
fn unmatched(selection: &Selection, all: &[Candidate<'_>]) -> Vec<String> {
    let guess = |near: Option<&str>| near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    let mut warnings = Vec::new();
    for pattern in &selection.names {
        let written = pattern.as_written();
        // What is left out should be there as well.
        let Ok(positive) = NamePattern::parse(written.strip_prefix('!').unwrap_or(written)) else { continue };
        let alone = Selection { names: vec![positive], ..Selection::default() };
        if let Some((_, near)) = alone.unmatched(all) {
            warnings.push(format!("`{}` matches no test{}", printable(written), guess(near)));
        }
    }
    for name in &selection.types {
        if all.iter().all(|candidate| candidate.test_type != name) {
            let near = nearest(name, all.iter().map(|candidate| candidate.test_type));
            warnings.push(format!("no test has the type `{}`{}", printable(name), guess(near)));
        }
    }
    warnings
}

/// The tests of the suite here, for completion.
fn names_here() -> Vec<CompletionCandidate> {
    let Ok(suite) = read(None, &Environment::capture()) else { return Vec::new() };
    suite.tests().map(|(name, test)| (name, &test.test_type)).map(candidate).collect()
}

fn candidate((name, test_type): (&str, &Option<String>)) -> CompletionCandidate {
    CompletionCandidate::new(name).help(test_type.clone().map(Into::into))
}
