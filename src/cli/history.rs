//! `docker-test history`: what ran, what became of it, and which tests are flaky or slow. Needs no engine.
//!
//! Owns the flags and the words. What is recorded, and what is counted, is [`crate::history`]'s to say.

mod runs;
mod show;
mod statistics;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::application::Application;
use super::flags::output::Format;
use super::{secrets, state, terminal};
use crate::environment::Environment;
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::history::{self, History, RunRow};
use crate::ledger;
use crate::plan::build::BuildSpec;
use crate::redact::Redactor;
use crate::report::text;
use crate::report::wording::outcome_word;

/// Arguments of `history`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct HistoryArgs {
    #[command(subcommand)]
    command: Option<HistoryCommand>,
    #[command(flatten)]
    list: runs::RunsArgs,
}

#[derive(Debug, Subcommand)]
enum HistoryCommand {
    /// Show one run: its tests, their attempts, and what still has to pass.
    Show(show::ShowArgs),
    /// List tests by how flaky or how slow they are.
    Tests(statistics::TestsArgs),
}

/// Which runs are looked at.
#[derive(Debug, Args)]
struct Scope {
    /// Only runs of this suite
    #[arg(long, value_name = "FILE")]
    suite: Option<PathBuf>,
    /// Only runs of this subject: the path of a suite, or images as they were written, with spaces between them
    #[arg(long = "subject", id = "history-subject", value_name = "TEXT", conflicts_with = "suite")]
    subject: Option<String>,
}

impl Scope {
    fn subject(&self, environment: &Environment) -> Option<String> {
        let suite = self.suite.as_ref().map(|path| environment.current_dir().join(path));
        suite.map(|path| history::of_suite(&path)).or_else(|| self.subject.clone())
    }
}

/// What each of the commands is given.
struct Listing<'a> {
    environment: &'a Environment,
    state: PathBuf,
    redactor: Redactor,
}

impl Listing<'_> {
    fn open(&self) -> Result<Option<History>, Failure> {
        Ok(History::open_existing(&self.state)?)
    }

    /// Columns of stdout.
    fn width(&self) -> usize {
        terminal::columns(self.environment)
    }

    fn say(&self, text: &str) -> Result<(), Failure> {
        Ok(terminal::out(&self.redactor.redact(text))?)
    }

    /// An array, one entry a line.
    fn say_all(&self, entries: &[impl Serialize]) -> Result<(), Failure> {
        let lines: Vec<String> =
            entries.iter().map(|entry| format!("\n  {}", serde_json::json!(entry))).collect();
        let end = if lines.is_empty() { "" } else { "\n" };
        self.say(&format!("[{}{end}]\n", lines.join(",")))
    }

    /// There is nothing to list, which is no error.
    fn note_none(&self, of: Option<&str>) {
        let of = of.map(|subject| format!(" of {}", text::name(subject))).unwrap_or_default();
        let line = format!("docker-test: no run{of} is in the history yet\n");
        terminal::note(&self.redactor.redact(&line));
    }

    /// Whether a run that has not ended still lives.
    fn progress(&self, run: &RunRow) -> Progress {
        let lives = || {
            let journal = ledger::find_run(&self.state, &run.id);
            journal.is_some_and(|found| found.is_alive(ledger::unix_now()))
        };
        match run.outcome {
            Some(_) => Progress::Ended,
            None if lives() => Progress::Running,
            None => Progress::DidNotEnd,
        }
    }
}

/// How far a run came.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Progress {
    Ended,
    Running,
    DidNotEnd,
}

impl Progress {
    /// The outcome of a run, or why it has none.
    fn word(self, run: &RunRow) -> &'static str {
        match (self, run.outcome) {
            (_, Some(outcome)) => outcome_word(outcome),
            (Self::Running, None) => "running",
            (Self::Ended | Self::DidNotEnd, None) => "did not end",
        }
    }
}

pub(super) fn execute(args: &HistoryArgs, application: &Application) -> Result<ExitCode, Failure> {
    let environment = &application.environment;
    let listing = Listing {
        environment,
        state: state::directory(environment, &std::env::temp_dir())?,
        redactor: secrets::redactor(environment, &[], &[], &BuildSpec::default()),
    };
    match &args.command {
        None => runs::execute(&args.list, &listing)?,
        Some(HistoryCommand::Show(args)) => show::execute(args, &listing)?,
        Some(HistoryCommand::Tests(args)) => statistics::execute(args, &listing)?,
    }
    Ok(ExitCode::Success)
}

/// Date, hour and minute in UTC; what cannot be read stays as it is.
fn moment(written: &str) -> String {
    let Ok(at) = OffsetDateTime::parse(written, &Rfc3339) else { return text::name(written) };
    let at = at.to_offset(UtcOffset::UTC);
    format!("{} {:02}:{:02}", at.date(), at.hour(), at.minute())
}

/// A subject in `width` columns: of a path the end says most, of images the beginning.
fn shown_subject(subject: &str, width: usize) -> String {
    let subject = text::printable(subject);
    if !subject.starts_with('/') {
        return text::truncate(&subject, width).into_owned();
    }
    let reversed: String = subject.chars().rev().collect();
    text::truncate(&reversed, width).chars().rev().collect()
}
