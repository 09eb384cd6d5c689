//! `docker-test-harness` and `docker-test harness`: try a check, tell the sinks, and pass the verdict on as exit code.
//!
//! Owns the flags, the order of the work and how it is ended. A sink that is down is said and changes no
//! verdict. Needs no engine and no configuration: everything can be set by variables, and docker-test.yaml says nothing.

mod alerting;
mod aloud;
mod checks;
mod dry_run;
mod init;
mod machine;
pub(super) use machine::machine;
mod means;
mod relay;
mod told;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{CommandFactory, FromArgMatches, Parser};
use tokio_util::sync::CancellationToken;

use super::flags::layers::{self, Layers, ParseError};
use super::flags::output::Format;
use super::{leftovers, plugin, terminal};
use crate::environment::Environment;
use crate::error::{Category, Diagnose, Failure};
use crate::exit_code::ExitCode;
use crate::metadata::duration;
use crate::notify::from_environment;
use crate::notify::outbox::Sink;
use crate::redact::Redactor;
use crate::signal;
use aloud::Aloud;
use told::Told;

/// Try a check of a live service, report each attempt, page when all of them fail.
///
/// Passes the verdict on as exit code. Metrics and alerts go where the environment has a key or an address for.
#[derive(Debug, Parser)]
#[command(
    name = "docker-test-harness",
    version,
    max_term_width = 100,
    after_help = "Sinks: DD_API_KEY or DD_AGENT_HOST, OTEL_EXPORTER_OTLP_ENDPOINT, PAGERDUTY_ROUTING_KEY or \
                  PAGERDUTY_SERVICE_KEY, SLACK_WEBHOOK_URL, DOCKER_TEST_WEBHOOK_URL, PING_URL, KH_REPORTING_URL, \
                  DOCKER_TEST_PROMETHEUS_TEXTFILE, PUSHGATEWAY_URL.\n\n\
                  Exit codes: 0 an attempt passed, 1 all failed, 125 the harness could not do its job, 128+n ended by \
                  signal n."
)]
pub(super) struct HarnessArgs {
    /// The command that is tried, with its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    words: Vec<String>,
    /// The command as one text: a command of the shell, or words where there is no shell.
    #[arg(long, value_name = "COMMAND", conflicts_with = "words", value_parser = NonEmptyStringValueParser::new())]
    command: Option<String>,
    /// Name of the probe: metrics are named after it (default: the program of the command).
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// Type of the probe, as in test.type: it decides how bad a failure is.
    #[arg(long = "type", id = "type", value_name = "TYPE", default_value = "integration", value_parser = NonEmptyStringValueParser::new())]
    kind: String,
    /// What is tested; the host tag of all metrics (default: the variable HOST, else the name of this machine).
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// A further tag of all metrics: key:value or a word. May be repeated.
    #[arg(long, value_name = "TAG", value_parser = NonEmptyStringValueParser::new())]
    tag: Vec<String>,
    /// How often the check is tried until it passes.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    attempts: u32,
    /// Make all attempts, also after one that passed.
    #[arg(long)]
    all_attempts: bool,
    /// Wait before the second attempt; it doubles before each further one.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "1s")]
    backoff: Duration,
    /// How long one attempt may take.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_limit, default_value = "5m")]
    timeout: Duration,
    /// Run after each attempt: a command of the shell, or words where there is no shell.
    #[arg(long, value_name = "COMMAND", value_parser = NonEmptyStringValueParser::new())]
    cleanup: Option<String>,
    /// How long the cleanup may take.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_limit, default_value = "1m")]
    cleanup_timeout: Duration,
    /// The command is a plugin of Nagios: 0 ok, 1 warning, 2 critical, 3 unknown, and performance data.
    #[arg(long)]
    nagios: bool,
    /// Checks from a YAML file, in the place of a command.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["words", "command"])]
    checks: Option<PathBuf>,
    /// Where is kept what is open and what is not sent yet; without one, nothing outlives the run.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// So many runs in a row have to fail before somebody is told; needs --state-dir (default: 1).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    alert_after: Option<u32>,
    /// After this time an incident that is still open is told of again; needs --state-dir (default: never).
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_limit)]
    remind: Option<Duration>,
    /// How long sending may take once the verdict is known.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "10s")]
    send_timeout: Duration,
    /// Run the check, print the requests that would be sent, secrets masked, and send nothing.
    #[arg(long)]
    dry_run: bool,
    /// Hide the value of this variable in everything that is printed, sent or kept. May be repeated.
    #[arg(long, value_name = "NAME")]
    redact: Vec<String>,
    /// What stdout carries: the output of the command, or what became of each probe as JSON.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The harness cannot do its job.
#[derive(Debug, thiserror::Error)]
enum HarnessError {
    #[error("there is nothing to try: no command after --, no --command and no --checks")]
    Nothing,
    #[error("cannot {operation}")]
    Start { operation: &'static str, source: std::io::Error },
    #[error("cannot use the checks of {file}: {problem}")]
    Checks { file: String, problem: String },
    #[error(
        "{setting} goes by more runs than one: expected --state-dir, where earlier ones are known, got none"
    )]
    Stateless { setting: &'static str },
}

impl Diagnose for HarnessError {
    fn category(&self) -> Category {
        match self {
            Self::Nothing | Self::Checks { .. } | Self::Stateless { .. } => Category::User,
            Self::Start { .. } => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Nothing => Some("docker-test-harness --name example.integration -- ./test.sh".to_owned()),
            Self::Stateless { .. } => Some(
                "set DOCKER_TEST_STATE_DIR to a directory that is there at the next run, such as a volume"
                    .to_owned(),
            ),
            Self::Checks { .. } | Self::Start { .. } => None,
        }
    }
}

/// Which program this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// docker-test-harness, which holds no docker-test.
    Alone,
    /// docker-test, maybe as a plugin of Docker.
    DockerTest,
}

/// As the first process of a container: what its child came to, which is to be started before there are threads.
pub(super) fn supervised(argv: &[OsString], environment: &Environment) -> Option<ExitCode> {
    init::supervise(argv, environment)
}

/// Parses `argv` (program name first), runs the check, and says how the process should end.
#[must_use]
pub fn main(argv: &[OsString]) -> ExitCode {
    let environment = Environment::capture();
    if let Some(code) = supervised(argv, &environment) {
        return code;
    }
    let command = layers::prepare(HarnessArgs::command());
    let layers = Layers { environment: &environment, settings: None };
    let told = layers::parse(command, argv, &layers).and_then(|words| {
        HarnessArgs::from_arg_matches(&words.matches).map_err(|error| ParseError::Usage(Box::new(error)))
    });
    match told {
        Ok(chosen) => start(chosen, environment, Program::Alone),
        Err(ParseError::Usage(error)) => super::said(*error),
        Err(error @ ParseError::Layer { .. }) => failed(&error.into()),
    }
}

fn failed(failure: &Failure) -> ExitCode {
    terminal::report_failure(failure, &Redactor::default());
    ExitCode::Error
}

/// Runs the check, and says how the process should end.
pub(super) fn start(args: HarnessArgs, environment: Environment, program: Program) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(source) => return failed(&HarnessError::Start { operation: "start the runtime", source }.into()),
    };
    let code =
        runtime.block_on(execute(args, environment, program)).unwrap_or_else(|failure| failed(&failure));
    runtime.shutdown_background();
    code
}

/// Runs the probes, and tells of them.
async fn execute(args: HarnessArgs, environment: Environment, program: Program) -> Result<ExitCode, Failure> {
    let listening =
        signal::listen().map_err(|source| HarnessError::Start { operation: "listen for signals", source })?;
    let (canceller, mut interrupts) = listening;
    if program == Program::DockerTest {
        plugin::watch_socket(&environment, canceller);
    }
    let stop = CancellationToken::new();
    let asked = interrupts.clone();
    let code = tokio::select! {
        code = work(args, environment, program, &stop) => code?,
        // Who asks twice does not want to wait: what runs is killed, and no cleanup follows.
        forced = async {
            signal::wait_for(&mut interrupts, 1).await;
            stop.cancel();
            signal::wait_for(&mut interrupts, 2).await
        } => ExitCode::Signal(forced.signal),
    };
    Ok(if stop.is_cancelled() { ExitCode::Signal(asked.borrow().signal) } else { code })
}

async fn work(
    args: HarnessArgs,
    environment: Environment,
    program: Program,
    stop: &CancellationToken,
) -> Result<ExitCode, Failure> {
    let (probes, alerting, secrets) = checks::probes(&args, &environment)?;
    let mut alerting = alerting.checked(args.state_dir.is_some())?;
    let lookup = |name: &str| environment.variable(name).map(str::to_owned);
    let switched = from_environment::sinks(&lookup);
    // Nobody is to be left without a page because of a mistake in another sink's variable.
    let mut worst = ExitCode::Success;
    let mut unusable = Vec::new();
    for mistake in switched.mistakes {
        unusable.extend(lookup(mistake.variable));
        terminal::report_failure(&mistake.into(), &Redactor::default());
        worst = ExitCode::Error;
    }
    if worst == ExitCode::Error {
        say("the check runs without this, and the exit code will be 125");
    }
    let sinks = named(switched.sinks);
    let redactor = Arc::new(means::redactor(&environment, &args.redact, &sinks, secrets, unusable));
    for warning in switched.warnings.into_iter().chain(alerting.reach(&sinks)) {
        say(&redactor.redact(&format!("warning: {warning}")));
    }
    let (relay, output) = relay::begin(&args, probes.len(), Arc::clone(&redactor));
    let surroundings = means::surroundings(&environment, &probes, program, output)?.hiding(&redactor);
    let swept = (args.state_dir.is_some() && !args.dry_run).then(|| tokio::spawn(leftovers::end(say)));
    // It begins to look, which takes about as long as opening the state does.
    tokio::task::yield_now().await;
    let mut told = Told::begin(&args, &environment, probes.len(), sinks, &surroundings, &redactor)?;
    if let Some(swept) = swept {
        let _said = swept.await;
    }
    let mut runs = Vec::new();
    for probe in &probes {
        if stop.is_cancelled() {
            break;
        }
        let mut aloud = Aloud::of(probe, runs.is_empty(), &mut told);
        let ended = aloud.run(&surroundings, stop, &redactor).await;
        if !ended.stopped {
            told.conclude(&ended.run, &alerting.policy(&probe.identity.name)).await;
        }
        worst = worst.worst(aloud::verdict(probe, &ended));
        runs.push(ended.run);
    }
    drop(surroundings);
    relay.end().await;
    told.finish(args.send_timeout).await;
    if args.format == Format::Json {
        let text = serde_json::to_string_pretty(&runs).unwrap_or_default();
        terminal::out(&format!("{}\n", redactor.redact(&text)))?;
    }
    Ok(worst)
}

fn say(text: &str) {
    terminal::note(&format!("docker-test-harness: {text}\n"));
}

/// Sinks under names of their own.
pub(super) fn named(notifiers: Vec<Box<dyn crate::notify::Notifier>>) -> Vec<Sink> {
    notifiers
        .into_iter()
        .map(|notifier| Sink { id: notifier.name().to_owned(), notifier: Arc::from(notifier) })
        .collect()
}
