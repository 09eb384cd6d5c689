//! `docker-test-harness`: tries a check, tells the sinks, and passes the verdict on as its exit code.
//!
//! Owns the flags, the surroundings of the check and what is said on stderr. A sink that is down is said and changes no
//! verdict. Needs no engine and no configuration: everything can be set by variables.

mod checks;
mod dry_run;
mod init;
mod relay;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser};
use tokio_util::sync::CancellationToken;

use super::flags::layers::{self, Layers, ParseError};
use super::flags::output::Format;
use super::terminal;
use crate::check::Surroundings;
use crate::environment::Environment;
use crate::error::{Category, Diagnose, Failure};
use crate::exit_code::ExitCode;
use crate::harness::reporting::{self, Reporting};
use crate::harness::{self, Ended, Probe};
use crate::metadata::duration;
use crate::notify::Notice;
use crate::notify::from_environment;
use crate::notify::outbox::{Event, Flushed, Listener, Sink};
use crate::notify::policy::Policy;
use crate::notify::send::{self, Sender};
use crate::probe::{ProbeRun, Verdict};
use crate::redact::{Redactor, is_secret_name};
use crate::signal;

/// Try a check of a live service, report each attempt, page when all of them fail.
///
/// Passes the verdict on as exit code. Metrics and alerts go where the environment has a key or an address for.
#[derive(Debug, Parser)]
#[command(
    name = "docker-test-harness",
    version,
    max_term_width = 100,
    after_help = "Sinks: DD_API_KEY or DD_AGENT_HOST, PAGERDUTY_ROUTING_KEY or PAGERDUTY_SERVICE_KEY, SLACK_WEBHOOK_URL, \
                  PING_URL, KH_REPORTING_URL.\n\n\
                  Exit codes: 0 an attempt passed, 1 all failed, 125 the harness could not do its job, 128+n ended by \
                  signal n."
)]
pub(super) struct HarnessArgs {
    /// The command that is tried, with its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// Name of the probe: metrics are named after it (default: the program of the command).
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Type of the probe, as in test.type: it decides how bad a failure is.
    #[arg(long = "type", id = "type", value_name = "TYPE", default_value = "integration")]
    kind: String,
    /// What is tested; the host tag of all metrics (default: the variable HOST, else the name of this machine).
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// A further tag of all metrics: key:value or a word. May be repeated.
    #[arg(long, value_name = "TAG")]
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
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "5m")]
    timeout: Duration,
    /// Run after each attempt: a command of the shell, or words where there is no shell.
    #[arg(long, value_name = "COMMAND")]
    cleanup: Option<String>,
    /// How long the cleanup may take.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "1m")]
    cleanup_timeout: Duration,
    /// The command is a plugin of Nagios: 0 ok, 1 warning, 2 critical, 3 unknown, and performance data.
    #[arg(long)]
    nagios: bool,
    /// Checks from a YAML file, in the place of a command.
    #[arg(long, value_name = "FILE", conflicts_with = "command")]
    checks: Option<PathBuf>,
    /// Where is kept what is open and what is not sent yet; without one, nothing outlives the run.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// How long sending may take once the verdict is known.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "10s")]
    send_timeout: Duration,
    /// Run the check, print the requests that would be sent, secrets masked, and send nothing.
    #[arg(long)]
    dry_run: bool,
    /// What stdout carries: the output of the command, or what became of each probe as JSON.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The harness cannot do its job.
#[derive(Debug, thiserror::Error)]
enum HarnessError {
    #[error("there is nothing to try: no command after --, and no --checks")]
    Nothing,
    #[error("cannot {operation}")]
    Start { operation: &'static str, source: std::io::Error },
    #[error("cannot use the checks of {file}: {problem}")]
    Checks { file: String, problem: String },
}

impl Diagnose for HarnessError {
    fn category(&self) -> Category {
        match self {
            Self::Nothing | Self::Checks { .. } => Category::User,
            Self::Start { .. } => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Nothing => Some("docker-test-harness --name example.integration -- ./test.sh".to_owned()),
            Self::Checks { .. } | Self::Start { .. } => None,
        }
    }
}

/// Parses `argv` (program name first), runs the check, and says how the process should end.
#[must_use]
pub fn main(argv: &[OsString]) -> ExitCode {
    if let Some(code) = init::supervise(argv) {
        return code;
    }
    let environment = Environment::capture();
    let command = layers::prepare(HarnessArgs::command());
    let layers = Layers { environment: &environment, settings: None };
    let told = layers::parse(command, argv, &layers).and_then(|words| {
        HarnessArgs::from_arg_matches(&words.matches).map_err(|error| ParseError::Usage(Box::new(error)))
    });
    match told {
        Ok(chosen) => start(chosen, environment),
        Err(ParseError::Usage(error)) => super::said(*error),
        Err(error @ ParseError::Layer { .. }) => failed(&error.into()),
    }
}

fn failed(failure: &Failure) -> ExitCode {
    terminal::report_failure(failure, &Redactor::default());
    ExitCode::Error
}

fn start(args: HarnessArgs, environment: Environment) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(source) => return failed(&HarnessError::Start { operation: "start the runtime", source }.into()),
    };
    let code = runtime.block_on(execute(args, environment)).unwrap_or_else(|failure| failed(&failure));
    runtime.shutdown_background();
    code
}

/// Runs the probes, and tells of them.
async fn execute(args: HarnessArgs, environment: Environment) -> Result<ExitCode, Failure> {
    let listening =
        signal::listen().map_err(|source| HarnessError::Start { operation: "listen for signals", source })?;
    let (_canceller, mut interrupts) = listening;
    let stop = CancellationToken::new();
    let asked = interrupts.clone();
    let code = tokio::select! {
        code = work(args, environment, &stop) => code?,
        never = async {
            signal::wait_for(&mut interrupts, 1).await;
            stop.cancel();
            std::future::pending::<std::convert::Infallible>().await
        } => match never {},
    };
    Ok(if stop.is_cancelled() { ExitCode::Signal(asked.borrow().signal) } else { code })
}

async fn work(
    args: HarnessArgs,
    environment: Environment,
    stop: &CancellationToken,
) -> Result<ExitCode, Failure> {
    let probes = checks::probes(&args, &environment)?;
    let lookup = |name: &str| environment.variable(name).map(str::to_owned);
    let notifiers = from_environment::sinks(&lookup)?;
    let sinks = named(notifiers);
    let redactor = Arc::new(redactor(&environment, &sinks));
    let (relay, output) = relay::begin(&args, probes.len(), Arc::clone(&redactor));
    let surroundings = surroundings(&environment, &sinks, &probes, output)?;
    let mut told = Told::begin(&args, &environment, sinks, &surroundings, &redactor)?;
    let mut worst = ExitCode::Success;
    let mut runs = Vec::new();
    for probe in &probes {
        if stop.is_cancelled() {
            break;
        }
        let ended = one(probe, &surroundings, stop, &redactor, &mut told).await;
        worst = worst.worst(verdict(probe, &ended));
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

async fn one(
    probe: &Probe,
    surroundings: &Surroundings,
    stop: &CancellationToken,
    redactor: &Redactor,
    told: &mut Told,
) -> Ended {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let of = probe.retries.count.saturating_add(1);
    let ended = harness::run(probe, &id, surroundings, stop, redactor, async |notice| {
        if let Notice::Attempted { attempt, .. } = &notice
            && !(attempt.seen.state.is_pass()
                && attempt.cleanup.as_ref().is_none_or(|cleanup| cleanup.passed))
        {
            say(&attempt_line(probe, attempt, of));
        }
        told.tell(notice).await;
    })
    .await;
    if !ended.stopped {
        told.conclude(&ended.run).await;
    }
    ended
}

fn attempt_line(probe: &Probe, attempt: &crate::probe::Attempt, of: u32) -> String {
    let name = &probe.identity.name;
    let mut line = format!("{name}: attempt {} of {of}: {}", attempt.number, attempt.seen.summary);
    if let Some(cleanup) = attempt.cleanup.as_ref().filter(|cleanup| !cleanup.passed) {
        line.push_str("; the cleanup failed: ");
        line.push_str(&cleanup.summary);
    }
    line
}

/// Says what it came to where that is not plain, and gives the exit code.
fn verdict(probe: &Probe, ended: &Ended) -> ExitCode {
    let name = &probe.identity.name;
    let made = ended.run.attempts.len();
    match ended.run.verdict() {
        Verdict::Passed | Verdict::Warning | Verdict::CleanupFailed => ExitCode::Success,
        Verdict::PassedOnRetry => {
            let of = probe.retries.count.saturating_add(1);
            say(&format!("{name}: passed on attempt {made} of {of}"));
            ExitCode::Success
        }
        Verdict::Failed => {
            say(&format!("{name}: failed: {made} of {made} attempts"));
            ExitCode::TestsFailed
        }
        Verdict::Errored => {
            if let Some(error) = &ended.failure {
                say(&format!("{name}: {error}"));
                if let Some(hint) = error.hint() {
                    terminal::note(&format!("  hint: {hint}\n"));
                }
            }
            ExitCode::Error
        }
    }
}

fn say(text: &str) {
    terminal::note(&format!("docker-test-harness: {text}\n"));
}

/// Sinks under names of their own.
fn named(notifiers: Vec<Box<dyn crate::notify::Notifier>>) -> Vec<Sink> {
    notifiers
        .into_iter()
        .map(|notifier| Sink { id: notifier.name().to_owned(), notifier: Arc::from(notifier) })
        .collect()
}

/// Hides the keys of the sinks, and whatever a variable holds whose name says that it is secret.
fn redactor(environment: &Environment, sinks: &[Sink]) -> Redactor {
    let keys = sinks.iter().flat_map(|sink| sink.notifier.secrets());
    let variables = environment.variables().filter(|(name, _)| is_secret_name(name));
    Redactor::new(variables.map(|(_, value)| value.to_owned()).chain(keys))
}

fn surroundings(
    environment: &Environment,
    sinks: &[Sink],
    probes: &[Probe],
    output: Option<relay::Output>,
) -> Result<Surroundings, Failure> {
    let variables = environment
        .variables()
        .filter(|(name, _)| *name != init::MARK)
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    // Reading hundreds of certificates takes longer than most commands do.
    let needs_trust = !sinks.is_empty() || probes.iter().any(|probe| probe.check.needs_trust());
    let roots =
        if needs_trust { send::authorities(environment)? } else { Arc::new(rustls::RootCertStore::empty()) };
    let mut surroundings =
        Surroundings::new(variables.collect(), environment.current_dir().to_owned(), roots)?;
    surroundings.output = output;
    Ok(surroundings)
}

/// Where notices go.
enum Told {
    /// Nobody is to be told.
    Nobody,
    /// They are printed.
    Printed { sinks: Vec<Sink>, redactor: Arc<Redactor> },
    /// They are sent.
    Sent { reporting: Box<Reporting> },
}

impl Told {
    fn begin(
        args: &HarnessArgs,
        environment: &Environment,
        sinks: Vec<Sink>,
        surroundings: &Surroundings,
        redactor: &Arc<Redactor>,
    ) -> Result<Self, Failure> {
        if args.dry_run {
            return Ok(Self::Printed { sinks, redactor: Arc::clone(redactor) });
        }
        if sinks.is_empty() {
            return Ok(Self::Nobody);
        }
        let opened = reporting::open(args.state_dir.as_deref())?;
        if let Some(problem) = &opened.problem {
            let directory = args.state_dir.as_deref().unwrap_or_else(|| Path::new("")).display();
            say(&format!("the state in {directory} cannot be used, and this run goes on without: {problem}"));
        }
        if let Some(aside) = &opened.set_aside {
            say(&format!("the state was damaged: it is kept as {}, and a new one is begun", aside.display()));
        }
        let sender = Sender::new(environment, surroundings.resolve())?;
        let hidden = Arc::clone(redactor);
        let store_failed = AtomicBool::new(false);
        let listener: Listener = Arc::new(move |event| match event {
            Event::Refused { sink, reason, .. } => {
                say(&hidden.redact(&format!("{sink} refuses what it was sent: {reason}")));
            }
            Event::StoreFailed(error) if !store_failed.swap(true, Ordering::Relaxed) => {
                let why = Failure::from(error).chain().join(": ");
                say(&hidden.redact(&format!("{why}; this run goes on without its state")));
            }
            _ => {}
        });
        let reporting = Box::new(Reporting::begin(opened, sinks, sender, Policy::default(), listener));
        Ok(Self::Sent { reporting })
    }

    async fn tell(&mut self, notice: Notice) {
        match self {
            Self::Nobody => {}
            Self::Printed { sinks, redactor } => dry_run::print(sinks, &notice, redactor),
            Self::Sent { reporting } => {
                if let Err(error) = reporting.tell(&notice).await {
                    say(&format!("not told: {}", Failure::from(error).chain().join(": ")));
                }
            }
        }
    }

    async fn conclude(&mut self, run: &ProbeRun) {
        match self {
            Self::Nobody => {}
            Self::Printed { sinks, redactor } => dry_run::conclude(sinks, run, &Policy::default(), redactor),
            Self::Sent { reporting } => {
                if let Err(error) = reporting.conclude(run).await {
                    say(&format!("not told: {}", Failure::from(error).chain().join(": ")));
                }
            }
        }
    }

    async fn finish(self, limit: Duration) {
        let Self::Sent { reporting } = self else { return };
        let lasts = reporting.lasts();
        for Flushed { sink, waiting, reason, .. } in reporting.finish(limit).await {
            if waiting > 0 {
                let fate = if lasts {
                    "the next run sends it"
                } else {
                    "it is lost, without a state that can be written"
                };
                let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
                say(&format!("{sink} has not taken everything{why}: {fate}"));
            }
        }
    }
}
