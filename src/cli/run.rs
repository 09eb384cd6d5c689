//! `docker-test run`: one image, built, run and judged.

mod conclude;
pub(super) mod display;
mod input;
mod overlap;
mod request;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::application::{Interrupted, Running};
use super::connect::{self, Connection};
use super::flags::output::Format;
use super::flags::run::FlakyResult;
use super::flags::{BuildFlags, ContainerFlags, EngineFlags, OutputFlags, RunFlags};
use super::terminal;
use crate::engine::Image;
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::image::build::keep_dockerfile;
use crate::image::context::at_hand;
use crate::image::logins::Logins;
use crate::ledger::RunLedger;
use crate::plan::{self, Facts, TestPlan};
use crate::report::ReportSink;
use crate::report::sink::ReportError;
use crate::results::directory::ResultsDirectory;
use crate::runner::Sink;
use crate::runner::event::RunEvent;
use crate::runner::housekeeping::Housekeeping;
use crate::runner::single::{self, Finished, Job};
use crate::signal;
use conclude::{Ended, Started, conclude};
use display::{Shown, Subject};
pub(super) use request::Prepared;

/// Flags of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The image under test.
    #[arg(value_name = "IMAGE[:TAG|@DIGEST]")]
    image: String,
    #[command(flatten)]
    options: RunOptions,
}

/// Everything but the image, shared with `inspect` and `generate`.
#[derive(Debug, Args)]
pub(super) struct RunOptions {
    /// Command of the test, in the place of the recipe's own.
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "shell")]
    pub(super) command: Vec<String>,
    /// Name of the test image, instead of IMAGE:TAG-test.
    #[arg(long, value_name = "NAME[:TAG]")]
    pub(super) test_image: Option<String>,
    #[command(flatten)]
    pub(super) run: RunFlags,
    #[command(flatten)]
    pub(super) container: ContainerFlags,
    #[command(flatten)]
    pub(super) build: BuildFlags,
    #[command(flatten)]
    pub(super) engine: EngineFlags,
    #[command(flatten)]
    pub(super) output: OutputFlags,
}

pub(super) async fn execute(args: RunArgs, app: Running) -> Result<ExitCode, Failure> {
    // An --env-file may be a pipe.
    let reader = app.clone();
    let read = move || (Prepared::resolve(&args.image, &args.options, &reader), args);
    let (prepared, args) = app.unless_interrupted(Duration::ZERO, read).await?;
    let prepared = prepared?;
    let redactor = Arc::clone(&prepared.redactor);
    let interrupts = app.interrupts.clone();
    match Box::pin(run(args, app, prepared)).await {
        Ok(code) => Ok(code),
        Err(failure) => {
            terminal::report_failure(&failure, &redactor);
            Ok(after_failure(&interrupts))
        }
    }
}

/// What a run that came to no verdict exits with.
fn after_failure(interrupts: &signal::Receiver) -> ExitCode {
    let state = *interrupts.borrow();
    if state.count > 0 { ExitCode::Signal(state.signal) } else { ExitCode::Error }
}

async fn run(args: RunArgs, mut app: Running, prepared: Prepared) -> Result<ExitCode, Failure> {
    let RunArgs { image, options: args } = args;
    if args.run.dry_run {
        let connection = connect::connect(&args.engine, &app).await?;
        let (sink, _unread) = Sink::channel();
        let (_, plan, _) = prepared.plan(&connection.engine, &app, &sink).await?;
        connection.close().await;
        let text = serde_json::to_string_pretty(&plan).unwrap_or_default();
        terminal::out(&format!("{}\n", prepared.redactor.redact(&text)))?;
        return Ok(ExitCode::Success);
    }
    let at = |flag: &str, failure: Failure| failure.at(app.origins.place(flag));
    prepared.refuse_missing_input()?;
    let reports =
        ReportSink::open_all(prepared.reports(&app)?).map_err(|error| at("--report", error.into()))?;
    if args.output.format == Format::Json && reports.iter().any(ReportSink::uses_stdout) {
        return Err(at("--report", ReportError::StdoutTaken.into()));
    }
    let connection = connect::connect(&args.engine, &app).await?;
    let state = app.state_dir()?;
    let (address, request) = (connection.engine.address(), &prepared.request);
    let (test_image, longest) = (Some(request.test_image.as_str()), request.limits.of_run());
    let ledger = RunLedger::begin(&state, address, &image, test_image, longest)?;
    ledger.note_results(&prepared.results_dir)?;
    let directory = ResultsDirectory::prepare(&prepared.results_dir, ledger.run_id())
        .map_err(|error| at("--results-dir", error.into()))?;
    let results_dir = directory.target().to_owned();
    overlap::refuse(&reports, &results_dir).map_err(|error| at("--report", error.into()))?;
    let housekeeping = Housekeeping::begin(state, &connection.engine, ledger.run_id());
    let started = Started::now();
    let (sink, messages) = Sink::channel();
    let subject = Subject { interactive: prepared.is_interactive(), shell: prepared.shell };
    let shown = Shown::start(&args.output, &app.environment, &reports, subject, &prepared.redactor, messages);
    sink.event(RunEvent::RunStarted {
        run_id: ledger.run_id().to_owned(),
        image: image.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        engine: connection.engine.describe(),
    });
    let held = Held { ledger: &ledger, housekeeping: &housekeeping, directory };
    let outcome = test(&args, &mut app, &prepared, &connection, held, &sink).await;
    housekeeping.finish().await;
    let finished = match outcome {
        Ok(finished) => finished,
        Err(failure) => {
            let _ = ledger.close(&connection.engine).await;
            let interrupted = *app.interrupts.borrow();
            single::without_plan(&image, &prepared.request.test_image, failure, interrupted)
        }
    };
    sink.event(RunEvent::RunFinished {
        run_id: ledger.run_id().to_owned(),
        outcome: finished.result.outcome,
        exit_code: finished.exit.code(),
        seconds: started.seconds(),
    });
    drop(sink);
    let told = shown.finish(&app.interrupts).await;
    let engine = connection.engine.describe();
    let run_id = ledger.run_id().to_owned();
    connection.close().await;
    overlap::claim(&reports, &results_dir, &run_id);
    let ended = Ended { engine, run_id, told, finished };
    Ok(conclude(app, prepared, reports, started, ended).await)
}

/// What a run holds until it is over.
struct Held<'a> {
    ledger: &'a RunLedger,
    housekeeping: &'a Housekeeping,
    directory: ResultsDirectory,
}

async fn test(
    args: &RunOptions,
    app: &mut Running,
    prepared: &Prepared,
    connection: &Connection,
    held: Held<'_>,
    sink: &Sink,
) -> Result<Finished, Failure> {
    let engine = &connection.engine;
    let mut cancelled = app.interrupts.clone();
    let (target, plan, existing) = tokio::select! {
        planned = prepared.plan(engine, app, sink) => planned?,
        state = signal::wait_for(&mut cancelled, 1) => {
            return Err(Interrupted { signal: state.signal }.into());
        }
    };
    sink.event(RunEvent::Planned {
        source: plan.source.name().to_owned(),
        reason: plan.reason.clone(),
        triggers: plan.triggers.len(),
        files: None,
    });
    if let Some(path) = &args.run.keep_dockerfile {
        let path = app.environment.current_dir().join(path);
        keep_dockerfile(&path, &plan.dockerfile)
            .map_err(|source| request::KeepError { path, source })
            .map_err(|error| Failure::from(error).at(app.origins.place("--keep-dockerfile")))?;
    }
    let logins = Logins::new(connect::environment(&args.engine, &app.environment));
    let job = Job {
        engine,
        ledger: held.ledger,
        housekeeping: held.housekeeping,
        plan: &plan,
        target: &target,
        existing: existing.as_ref(),
        logins: &logins,
        environment: &app.environment.clone(),
        redactor: Arc::clone(&prepared.redactor),
        sink: sink.clone(),
        stdin: plan.container.interactive,
        terminal: Some(terminal::size),
        propagate: args.run.propagate_exit_code,
        flaky_fails: args.run.flaky_result == FlakyResult::Fail,
    };
    let _raw = display::raw_terminal(plan.container.interactive && plan.container.tty);
    Ok(single::run(&job, held.directory, &mut app.interrupts).await)
}

impl Prepared {
    /// Obtains the target and makes the plan.
    pub(super) async fn plan(
        &self,
        engine: &crate::engine::Engine,
        app: &Running,
        sink: &Sink,
    ) -> Result<(Image, TestPlan, Option<Image>), Failure> {
        let (target, existing) =
            tokio::join!(self.obtain(engine, app, sink), engine.image(&self.request.test_image));
        let (target, mut existing) = (target?, existing?);
        let directory = self.read_sources(app).await?;
        let resolve = |existing: &Option<Image>, files_at_hand| {
            plan::resolve(
                &self.request,
                &Facts {
                    target: &target,
                    test_image: existing.as_ref(),
                    directory: &directory,
                    capabilities: engine.capabilities(),
                    files_at_hand,
                },
            )
        };
        let plan = match resolve(&existing, true) {
            Err(error) if error.asks_for_the_test_image() && existing.is_none() => {
                existing = self.pull_test_image(engine, app, sink).await;
                if existing.is_none() {
                    return Err(error.into());
                }
                resolve(&existing, true)?
            }
            other => other?,
        };
        // A recipe that names files of its author's directory says nothing about this one.
        let lost = existing.is_some() && plan.source.came_with_the_image() && !directory.explicit;
        let plan = match &plan.context.directory {
            Some(root) if lost && !at_hand(root, &plan.context.needs, &app.interrupts).await? => {
                resolve(&existing, false)?
            }
            _ => plan,
        };
        Ok((target, plan, existing))
    }
}
