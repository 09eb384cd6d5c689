//! One image, built, run and judged: its output on this process's own streams.

use std::sync::Arc;

use super::super::application::{Interrupted, Running};
use super::super::connect::{self, Connection};
use super::super::flags::output::Format;
use super::super::flags::run::FlakyResult;
use super::super::terminal;
use super::conclude::{Ended, Started, Telling, conclude};
use super::display::{self, Shown, Subject};
use super::found::Found;
use super::recording::{self, Beginning, Known, Recording};
use super::request::{self, Prepared};
use super::{RunOptions, overlap};
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::history::{self, RunEnd};
use crate::image::build::keep_dockerfile;
use crate::image::logins::Logins;
use crate::ledger::RunLedger;
use crate::report::ReportSink;
use crate::report::sink::ReportError;
use crate::results::directory::ResultsDirectory;
use crate::runner::Sink;
use crate::runner::event::RunEvent;
use crate::runner::housekeeping::Housekeeping;
use crate::runner::single::{self, Finished, Job};
use crate::signal;

/// What a run that came to no verdict exits with.
pub(super) fn after_failure(interrupts: &signal::Receiver) -> ExitCode {
    let state = *interrupts.borrow();
    if state.count > 0 { ExitCode::Signal(state.signal) } else { ExitCode::Error }
}

/// Runs it to its end.
pub(super) async fn run(
    image: String,
    args: RunOptions,
    mut app: Running,
    prepared: Prepared,
) -> Result<ExitCode, Failure> {
    if args.run.dry_run {
        let connection = connect::connect(&args.engine, &app).await?;
        let (sink, _unread) = Sink::channel();
        let (_, plan, _) = prepared.plan(&connection.engine, &app, &sink, &Found::default()).await?;
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
    let known = Known {
        run_id: ledger.run_id().to_owned(),
        subject: history::of_images(&[&image]),
        engine: connection.engine.describe(),
        parent: None,
        selected: vec![image.clone()],
    };
    // A shell is no test.
    let recording = (!prepared.shell)
        .then(|| Recording::begin_beside(state.clone(), known, (*prepared.redactor).clone()));
    let housekeeping = Housekeeping::begin(state, &connection.engine, ledger.run_id());
    let started = Started::now();
    let (sink, messages) = Sink::channel();
    let subject =
        Subject { interactive: prepared.is_interactive(), shell: prepared.shell, ..Subject::default() };
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
    if let Some(recording) = recording {
        record(recording, &image, &finished, &started, &sink).await;
    }
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
    let Finished { result, exit, kept, failure } = finished;
    let ended = Ended {
        engine,
        run_id,
        told,
        tests: vec![result],
        services: Vec::new(),
        exit,
        kept,
        failures: failure.into_iter().collect(),
    };
    let telling = Telling {
        redactor: prepared.redactor,
        quiet: prepared.quiet,
        shell: prepared.shell,
        github: prepared.github,
    };
    Ok(conclude(app, telling, reports, started, ended).await)
}

/// Tells history what became of the test.
async fn record(recording: Beginning, image: &str, finished: &Finished, started: &Started, sink: &Sink) {
    let recording = recording.begun(|problem| sink.warn(problem)).await;
    recording.test(image, &finished.result);
    let has_passed = recording::has_passed(&finished.result, finished.exit == ExitCode::Success);
    let end = RunEnd {
        outcome: finished.result.outcome,
        exit_code: finished.exit.code(),
        seconds: started.seconds(),
        outstanding: if has_passed { Vec::new() } else { vec![image.to_owned()] },
    };
    if let Some(problem) = recording.finish(end).await {
        sink.warn(problem);
    }
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
    let found = Found::default();
    let (target, plan, existing) = tokio::select! {
        planned = prepared.plan(engine, app, sink, &found) => planned?,
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
        existing: existing.as_deref(),
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
