//! `docker-test list`: what a run of a suite would run, in order. Needs no engine.
//!
//! Owns the flags, what is said about names that nothing has, and the JSON. What is selected, and its order, is
//! [`crate::suite::listing`]'s to say.

mod table;

use clap::Args;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use serde::Serialize;

use super::application::Application;
use super::flags::SelectionFlags;
use super::flags::output::Format;
use super::{secrets, suite_file, terminal};
use crate::environment::Environment;
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::plan::build::BuildSpec;
use crate::report::wording::count;
use crate::suite::document::Build;
use crate::suite::listing::{self, Listed, Listing};
use crate::suite::needs::Need;
use crate::suite::partition::Partition;
use crate::suite::pattern::NamePattern;
use crate::suite::policy::Policy;

/// Flags of `list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Tests by name, glob (checkout*) or /regular expression/; those with ! before them are left out (default: all).
    #[arg(value_name = "NAME", value_parser = NamePattern::parse, add = ArgValueCandidates::new(names_here))]
    names: Vec<NamePattern>,
    #[command(flatten)]
    selection: SelectionFlags,
    /// Format of the list.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
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
    let environment = &application.environment;
    let suite = suite_file::read(args.selection.suite.as_deref(), environment, false)?;
    let all = listing::candidates(&suite);
    let (format, partition, repetitions) = (args.format, args.selection.partition, args.selection.repeat);
    let mut wanted = args.selection.wanted(args.names);
    if let Some(partition) = partition.filter(Partition::wants_durations) {
        wanted.durations = suite_file::durations(partition, &suite, application)?;
    }
    for warning in suite_file::unmatched(&wanted.selection, &all) {
        terminal::note(&format!("docker-test: warning: {warning}\n"));
    }
    let listing = Listing::new(&suite, &wanted)?;
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

/// The tests of the suite here, for completion.
fn names_here() -> Vec<CompletionCandidate> {
    let Ok(suite) = suite_file::read(None, &Environment::capture(), false) else { return Vec::new() };
    suite.tests().map(|(name, test)| (name, &test.test_type)).map(candidate).collect()
}

fn candidate((name, test_type): (&str, &Option<String>)) -> CompletionCandidate {
    CompletionCandidate::new(name).help(test_type.clone().map(Into::into))
}
