//! `docker-test report merge`: joins the JSON reports of several runs and writes the whole in any format.
//!
//! Owns the reading of files and its limits. What merging means is [`crate::results::merge`]'s to say.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::application::Application;
use super::terminal;
use crate::error::{Category, Diagnose, Failure};
use crate::exit_code::ExitCode;
use crate::input;
use crate::report::wording::{bytes, count, duration, is_bad, outcome_word};
use crate::report::{ReportRequest, ReportSink};
use crate::results::merge::merge;
use crate::results::{Outcome, RunResults, stored};

/// Bytes of one report, and of all of them: a thousand tests with full logs are about 100 MiB.
const MAX_FILE: u64 = 256 << 20;
const MAX_ALL: u64 = 512 << 20;

/// Arguments of `report`.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    #[command(subcommand)]
    command: ReportCommand,
}

#[derive(Debug, Subcommand)]
enum ReportCommand {
    /// Join the JSON reports of several runs, such as the shards of a suite, into one.
    Merge(MergeArgs),
}

/// Flags of `report merge`.
#[derive(Debug, Args)]
struct MergeArgs {
    /// JSON reports, written by --report json=PATH.
    #[arg(required = true, value_name = "RESULTS.json")]
    files: Vec<PathBuf>,
    /// Write the merged report; repeatable, `-` is stdout [default: json=-]
    #[arg(long = "report", id = "merged-report", value_name = "FORMAT=PATH")]
    reports: Vec<ReportRequest>,
    /// Exit with what the merged run came to, instead of 0
    #[arg(long)]
    exit_code: bool,
}

/// A report that cannot be read.
#[derive(Debug, thiserror::Error)]
enum InputError {
    #[error("cannot read the report {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("with {}, the reports are larger than {} together", path.display(), bytes(*limit))]
    TooMuch { path: PathBuf, limit: u64 },
}

impl Diagnose for InputError {
    fn category(&self) -> Category {
        match self {
            Self::Unreadable { .. } => Category::Environment,
            Self::TooMuch { .. } => Category::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } => Some("check the path and its permissions".to_owned()),
            Self::TooMuch { .. } => Some("merge fewer of them at a time".to_owned()),
        }
    }
}

pub(super) fn execute(args: ReportArgs, application: &Application) -> Result<ExitCode, Failure> {
    let ReportCommand::Merge(args) = args.command;
    let directory = application.environment.current_dir();
    let requests = if args.reports.is_empty() { vec!["json=-".parse()?] } else { args.reports };
    let mut parts = Vec::with_capacity(args.files.len());
    let mut room = MAX_ALL;
    for path in &args.files {
        let bytes = read(&directory.join(path), path, &mut room)?;
        let name = path.display().to_string();
        let results = stored::parse(&bytes, &name)?;
        parts.push((name, results));
    }
    let files = parts.len() as u64;
    let results = merge(parts)?;
    // Opened after reading, so that a report may replace one of those that it was made of.
    let sinks = ReportSink::open_all(&requests)?;
    for sink in &sinks {
        match sink.write(&results, &mut io::stdout().lock()) {
            Err(error) if !error.is_broken_pipe() => return Err(error.into()),
            _ => {}
        }
    }
    terminal::note(&format!("{}\n", told(files, &results)));
    Ok(if args.exit_code { ExitCode::from_code(results.exit_code) } else { ExitCode::Success })
}

fn read(file: &Path, named: &Path, room: &mut u64) -> Result<Vec<u8>, InputError> {
    let limit = MAX_FILE.min(*room);
    let bytes = input::read(file, limit).map_err(|source| {
        let path = named.to_owned();
        if source.kind() == io::ErrorKind::FileTooLarge && limit < MAX_FILE {
            InputError::TooMuch { path, limit: MAX_ALL }
        } else {
            InputError::Unreadable { path, source }
        }
    })?;
    *room -= bytes.len() as u64;
    Ok(bytes)
}

/// One line about the whole.
fn told(files: u64, results: &RunResults) -> String {
    let number =
        |wanted: fn(Outcome) -> bool| results.tests.iter().filter(|test| wanted(test.outcome)).count();
    let bad = number(is_bad);
    let flaky = number(|outcome| outcome == Outcome::Flaky);
    let parts = [(bad, "not passed"), (flaky, "flaky")];
    let parts =
        parts.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!(", {number} {word}"));
    format!(
        "{}  {}{} of {} in {}",
        outcome_word(results.outcome).to_uppercase(),
        count(results.tests.len() as u64, "test"),
        parts.collect::<String>(),
        count(files, "report"),
        duration(results.seconds)
    )
}
