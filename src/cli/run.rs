//! `docker-test run`: one image, built, run and judged.

pub(super) mod display;
mod request;

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use clap::Args;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use super::application::Running;
use super::connect::{self, Connection};
use super::flags::output::Format;
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
use crate::report::redaction::redact_results;
use crate::report::sink::ReportError;
use crate::report::{ReportSink, sink, summary};
use crate::results::RunResults;
use crate::results::directory::ResultsDirectory;
use crate::runner::Sink;
use crate::runner::event::RunEvent;
use crate::runner::housekeeping::Housekeeping;
use crate::runner::single::{self, Finished, Job};
use crate::signal;
use display::Shown;
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
    #[arg(last = true, value_name = "COMMAND")]
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
    let prepared = Prepared::resolve(&args.image, &args.options, &app)?;
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
        terminal::out(&format!("{}\n", prepared.redactor.redact(&text)));
        return Ok(ExitCode::Success);
    }
    let reports = ReportSink::open_all(&prepared.reports)?;
    if args.output.format == Format::Json && reports.iter().any(ReportSink::uses_stdout) {
        return Err(ReportError::StdoutTaken.into());
    }
    let connection = connect::connect(&args.engine, &app).await?;
    let state = app.state_dir()?;
    let (address, request) = (connection.engine.address(), &prepared.request);
    let (test_image, longest) = (Some(request.test_image.as_str()), request.limits.of_run());
    let ledger = RunLedger::begin(&state, address, &image, test_image, longest)?;
    let directory = ResultsDirectory::prepare(&prepared.results_dir, ledger.run_id())?;
    let housekeeping = Housekeeping::begin(state, &connection.engine, ledger.run_id());
    let started = Started { began: Instant::now(), at: OffsetDateTime::now_utc() };
    let (sink, messages) = Sink::channel();
    let (interactive, redactor) = (prepared.is_interactive(), &prepared.redactor);
    let shown = Shown::start(&args.output, &app.environment, &reports, interactive, redactor, messages);
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
        seconds: started.began.elapsed().as_secs_f64(),
    });
    drop(sink);
    shown.finish(&app.interrupts).await;
    let engine = connection.engine.describe();
    let run_id = ledger.run_id().to_owned();
    connection.close().await;
    Ok(conclude(&app, &prepared, &reports, &started, engine, run_id, finished))
}

/// When the run began, on both clocks.
struct Started {
    began: Instant,
    at: OffsetDateTime,
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
            return Err(connect::Interrupted { signal: state.signal }.into());
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
        keep_dockerfile(&path, &plan.dockerfile).map_err(|source| request::KeepError { path, source })?;
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
    };
    let _raw = display::raw_terminal(plan.container.interactive && plan.container.tty);
    Ok(single::run(&job, held.directory, &mut app.interrupts).await)
}

/// Reports, summary, errors: in this order, so that the reason stands last.
fn conclude(
    app: &Running,
    prepared: &Prepared,
    reports: &[ReportSink],
    started: &Started,
    engine: String,
    run_id: String,
    finished: Finished,
) -> ExitCode {
    let Finished { result, mut exit, kept, failure } = finished;
    let results = RunResults {
        schema: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        run_id,
        engine,
        started_at: started.at.format(&Rfc3339).unwrap_or_default(),
        seconds: started.began.elapsed().as_secs_f64(),
        outcome: result.outcome,
        exit_code: exit.code(),
        tests: vec![result],
    };
    let results = redact_results(results, &prepared.redactor);
    if prepared.shell && failure.is_none() {
        // A shell is no test: what it ended with is all there is to say.
        let code = results.tests.first().and_then(|test| test.last_attempt()?.exit_code);
        return code.and_then(|code| u8::try_from(code).ok()).map_or(exit, ExitCode::Container);
    }
    let quiet = prepared.quiet && exit == ExitCode::Success;
    // An error of ours says it all where nothing ran, and says it last.
    let ran = results.tests.iter().any(|test| !test.attempts.is_empty());
    if !quiet && (failure.is_none() || ran) {
        terminal::note(&summary::render(&results, terminal::style(&app.environment)));
    }
    for report in reports {
        if let Err(error) = report.write(&results, &mut std::io::stdout().lock())
            && !error.is_broken_pipe()
        {
            terminal::report_failure(&error.into(), &prepared.redactor);
            exit = exit.worst(ExitCode::Error);
        }
    }
    if let Some(targets) = &prepared.github {
        exit = exit.worst(tell_github(targets, &results, prepared));
    }
    if let Some(failure) = &failure {
        terminal::report_failure(failure, &prepared.redactor);
    }
    if let Some(name) = kept {
        let image = results.tests.first().map(|test| test.image.as_str()).unwrap_or_default();
        terminal::note(&format!(
            "kept: {name}\n  run it again:      docker start -ai {name}\n  look at its files: docker cp {name}:/PATH .\n  enter its image:   docker-test --shell {image}\n  remove it:         docker-test prune\n"
        ));
    }
    exit
}

fn tell_github(
    targets: &crate::report::github::GithubTargets,
    results: &RunResults,
    prepared: &Prepared,
) -> ExitCode {
    let mut worst = ExitCode::Success;
    // Workflow commands are read from both streams; stdout may belong to a program.
    let mut annotations = Vec::new();
    if let Ok(exporter) = crate::report::find("github")
        && exporter.export(results, &mut annotations).is_ok()
    {
        let _ = std::io::stderr().lock().write_all(&annotations);
    }
    if let Some(path) = &targets.summary_path
        && let Err(error) = sink::append_job_summary(path, results)
    {
        terminal::report_failure(&error.into(), &prepared.redactor);
        worst = ExitCode::Error;
    }
    worst
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
        let directory = self.read_sources(app)?;
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

/// True where a person types into this process.
pub(super) fn stdin_is_terminal() -> bool {
    std::io::stdin().is_terminal()
}
