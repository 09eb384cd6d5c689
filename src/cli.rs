//! Flags in, exit code out.
//!
//! Owns the command line, the Docker CLI plugin protocol and what is printed outside a display. Nothing below this
//! module reads flags or the environment, and nothing outside it sees clap's types.

mod application;
mod arguments;
mod build;
mod completions;
mod connect;
mod doctor;
pub mod flags;
mod generate;
pub mod harness;
mod history;
mod init;
mod inspect;
mod leftovers;
mod list;
mod outbox;
mod plugin;
mod prune;
mod report;
mod results;
mod run;
mod secrets;
mod state;
mod suite_file;
mod table;
mod terminal;
mod watch;

use std::ffi::OsString;
use std::io::{self, Write};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::environment::Environment;
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::redact::Redactor;
use crate::settings::Settings;
use application::{Application, OnSignal};
use flags::layers::{self, Layers, ParseError};

/// Test any container image: build, run and judge the tests that it says it has.
///
/// `docker-test IMAGE` is short for `docker-test run IMAGE`.
#[derive(Debug, Parser)]
#[command(
    name = "docker-test",
    version,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 passed, 1 a test failed, 4 nothing to test, 124 timed out, 125 usage, engine or build \
                  error, 126/127 the test command cannot be executed / was not found, 128+n ended by signal n."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build, run and judge the tests of an image.
    Run(Box<run::RunArgs>),
    /// Build an image from a Dockerfile that may contain ONTEST, and record its tests in the image.
    Build(Box<build::BuildArgs>),
    /// Show how an image would be tested, and why so.
    Inspect(Box<inspect::InspectArgs>),
    /// Print the Dockerfile.test of an image.
    Generate(Box<inspect::InspectArgs>),
    /// List what a run of a suite (docker-test.yaml) would run, in order.
    List(list::ListArgs),
    /// Write a docker-test.yaml to start from.
    Init(init::InitArgs),
    /// List earlier runs, and which tests are flaky or slow.
    History(history::HistoryArgs),
    /// List what waits for a sink or was refused by it, and send it again.
    Outbox(outbox::OutboxArgs),
    /// Fetch the results of a run whose engine went away.
    Results(results::ResultsArgs),
    /// Work with reports of earlier runs.
    Report(report::ReportArgs),
    /// Try a check of a live service, report each attempt, page when all of them fail.
    Harness(Box<harness::HarnessArgs>),
    /// Remove what dead and kept runs left on the engine.
    Prune(prune::PruneArgs),
    /// Look at engine, builder, logins, permissions and sinks, with a hint for each finding.
    Doctor(doctor::DoctorArgs),
    /// Run probes of live services when they are due, and tell of what they come to.
    Watch(Box<watch::WatchArgs>),
    /// Print the completion script of a shell.
    Completions(completions::CompletionsArgs),
    /// Print the manual page.
    Man(completions::ManArgs),
}

/// The subcommand that is a program of its own, too.
const HARNESS: &str = "harness";

fn command() -> clap::Command {
    layers::prepare(Cli::command())
}

/// Runs one command line to its end.
#[must_use]
pub fn main(argv: &[OsString]) -> ExitCode {
    if arguments::asks_for_metadata(argv) {
        return quietly(|out| plugin::print_metadata(out));
    }
    if argv.get(1).is_some_and(|word| word == "__complete") {
        let command = Cli::command();
        let words = arguments::to_complete(argv, &subcommands(&command));
        return quietly(|out| plugin::complete(command, words, out));
    }
    let environment = Environment::capture();
    let plugin = plugin::is_plugin(&environment);
    let command = if plugin { command().bin_name(plugin::NAME) } else { command() };
    let names = subcommands(&command);
    // The subcommand that was meant, where the image has almost its name.
    let meant = arguments::mistyped(argv, &names);
    let failed = |failure: Failure| {
        terminal::report_failure(&failure, &Redactor::default());
        ExitCode::Error
    };
    if let Some(topic) = arguments::unknown_topic(argv, &names, plugin) {
        return failed(completions::UnknownSubcommand::new(&topic, names).into());
    }
    let as_started = argv;
    let argv = arguments::normalise(argv, &names, plugin);
    if argv.get(1).is_some_and(|word| word == HARNESS)
        && let Some(code) = harness::supervised(as_started, &environment)
    {
        return code;
    }
    let code = match parse(&environment, command, &argv) {
        Ok(Parsed { cli, application }) => dispatch(cli, application).unwrap_or_else(failed),
        Err(Stop::Said(code)) => code,
        Err(Stop::Failed(failure)) => failed(failure),
    };
    if let Some(name) = meant.filter(|_| code == ExitCode::Error) {
        terminal::note(&format!("  hint: did you mean `docker-test {name}`?\n"));
    }
    code
}

/// Why there is nothing to dispatch.
enum Stop {
    /// Help, version or a usage error, already printed.
    Said(ExitCode),
    Failed(Failure),
}

/// A command line that can be dispatched.
struct Parsed {
    cli: Cli,
    application: Application,
}

fn parse(environment: &Environment, command: clap::Command, argv: &[OsString]) -> Result<Parsed, Stop> {
    let file = suite_file::of_command_line(&command, argv, environment);
    // `init` replaces the file, whatever is wrong with it, and a probe is none of a suite's tests.
    let settings = if argv.get(1).is_some_and(|word| word == "init" || word == HARNESS) {
        None
    } else {
        Settings::load(&file, &flags::setting_keys(&command)).map_err(|error| {
            // Help and versions are there for those whose settings are broken, too.
            match command.clone().try_get_matches_from(argv) {
                Err(usage) => Stop::Said(said(usage)),
                Ok(_) => Stop::Failed(Failure::from(error)),
            }
        })?
    };
    let layers = Layers { environment, settings: settings.as_ref() };
    let parsed = layers::parse(command, argv, &layers).map_err(|error| match error {
        ParseError::Usage(error) => Stop::Said(said(*error)),
        error @ ParseError::Layer { .. } => Stop::Failed(Failure::from(error)),
    })?;
    let cli = Cli::from_arg_matches(&parsed.matches).map_err(|error| Stop::Said(said(error)))?;
    let application =
        Application { environment: environment.clone(), origins: parsed.origins, argv: argv.into() };
    Ok(Parsed { cli, application })
}

/// Reads the command line of `run` again, with the options of one test above the defaults of its suite.
fn parse_again(
    argv: &[OsString],
    environment: &Environment,
    settings: &Settings,
) -> Result<(run::RunOptions, flags::layers::Origins), ParseError> {
    let layers = Layers { environment, settings: Some(settings) };
    let parsed = layers::parse(command(), argv, &layers)?;
    let usage = |error: clap::Error| ParseError::Usage(Box::new(error));
    let missing = || usage(clap::Error::new(ErrorKind::MissingSubcommand));
    let given = parsed.matches.subcommand_matches("run").ok_or_else(missing)?;
    Ok((run::RunOptions::from_arg_matches(given).map_err(usage)?, parsed.origins))
}

fn subcommands(command: &clap::Command) -> Vec<String> {
    command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect()
}

/// Prints help, a version or a usage error where each belongs.
fn said(mut error: clap::Error) -> ExitCode {
    if let Some(tip) = tip(&error) {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    let printed = error.print();
    if error.use_stderr() {
        return ExitCode::Error;
    }
    quietly(|out| printed.and_then(|()| out.flush()))
}

/// What clap cannot know: which words belong where.
fn tip(error: &clap::Error) -> Option<&'static str> {
    let named = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        Some(ContextValue::Strings(texts)) => texts.first().map(String::as_str),
        _ => None,
    };
    let argument = named(ContextKind::InvalidArg)?;
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    };
    match error.kind() {
        ErrorKind::UnknownArgument if argument.starts_with('-') || !usage.contains("[-- <COMMAND>...]") => {
            None
        }
        ErrorKind::UnknownArgument if usage.contains(HARNESS) => {
            Some("the command stands after `--`: docker-test-harness -- COMMAND ARG…")
        }
        ErrorKind::UnknownArgument => {
            Some("the command of the test stands after `--`: docker-test IMAGE -- COMMAND ARG…")
        }
        _ => None,
    }
}

fn dispatch(cli: Cli, application: Application) -> Result<ExitCode, Failure> {
    match cli.command {
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => completions::man(&args),
        Command::Report(args) => report::execute(args, &application),
        Command::List(args) => list::execute(args, &application),
        Command::Init(args) => init::execute(&args, &application),
        Command::History(args) => history::execute(&args, &application),
        Command::Harness(args) => {
            Ok(harness::start(*args, application.environment, harness::Program::DockerTest))
        }
        Command::Run(args) => {
            application.block_on(OnSignal::WindUp, async move |app| Box::pin(run::execute(*args, app)).await)
        }
        Command::Build(args) => application
            .block_on(OnSignal::WindUp, async move |app| Box::pin(build::execute(*args, app)).await),
        Command::Inspect(args) => {
            application.block_on(OnSignal::End, async move |app| Box::pin(inspect::execute(*args, app)).await)
        }
        Command::Generate(args) => application
            .block_on(OnSignal::End, async move |app| Box::pin(generate::execute(*args, app)).await),
        Command::Watch(args) => {
            let on_signal = if args.is_once() { OnSignal::WindUp } else { OnSignal::Serve };
            application.block_on(on_signal, async move |app| Box::pin(watch::execute(*args, app)).await)
        }
        Command::Results(args) => {
            application.block_on(OnSignal::End, async move |app| results::execute(args, app).await)
        }
        Command::Prune(args) => {
            application.block_on(OnSignal::End, async move |app| prune::execute(args, app).await)
        }
        Command::Outbox(args) => {
            application.block_on(OnSignal::End, async move |app| outbox::execute(args, app).await)
        }
        Command::Doctor(args) => {
            application.block_on(OnSignal::End, async move |app| doctor::execute(args, app).await)
        }
    }
}

/// A reader that went away is no error of a command that only prints.
fn quietly(print: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> ExitCode {
    let mut stdout = io::stdout().lock();
    let printed = print(&mut stdout).and_then(|()| stdout.flush());
    match terminal::written(printed) {
        Ok(()) => ExitCode::Success,
        Err(error) => {
            terminal::report_failure(&error.into(), &Redactor::default());
            ExitCode::Error
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
