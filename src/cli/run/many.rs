//! A run of many tests: from where they come from to what is said of them.
//!
//! Owns the order of a run: what can be refused is refused first, then everything is planned, then the dispatcher runs
//! it, and whatever way it ends, files are in their place and the engine is clean.

mod build;
mod cache;
mod done;
mod entry;
mod memory;
mod networks;
mod origin;
mod outputs;
mod select;
mod service;
mod services;
mod stage;
mod tests;

use std::sync::Arc;
use std::time::Duration;

use super::super::application::Running;
use super::super::connect;
use super::super::{flags, terminal};
use super::conclude::{Ended, Started, Telling, conclude};
use super::display::{Shown, Subject};
use super::found::Found;
use super::recording::Known;
use super::request::Prepared;
use super::{RunArgs, overlap, single};
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::history::RunEnd;
use crate::ledger::RunLedger;
use crate::report::wording::count;
use crate::results::directory::ResultsDirectory;
use crate::runner::Sink;
use crate::runner::event::RunEvent;
use crate::runner::housekeeping::Housekeeping;
use crate::settings::Settings;
use crate::suite::listing::Listing;
use done::Done;
use memory::Memory;
use origin::Origin;
use select::Selected;
use stage::Stage;
use tests::CommandLines;

/// How long a run of several may go on, where others have to know when it must be over.
const LONGEST: Duration = Duration::from_hours(14 * 24);

pub(super) async fn execute(args: RunArgs, app: Running) -> Result<ExitCode, Failure> {
    // An --env-file may be a pipe.
    let reader = app.clone();
    let read = move || {
        let origin = origin::find(&args, &reader)?;
        let base = CommandLines::resolve(&args.options, &reader)?;
        Ok::<_, Failure>((origin, base, args))
    };
    let (origin, base, args) = app.unless_interrupted(Duration::ZERO, read).await??;
    let redactor = base.redactor();
    let interrupts = app.interrupts.clone();
    match Box::pin(run(args, origin, base, app)).await {
        Ok(code) => Ok(code),
        Err(failure) => {
            terminal::report_failure(&failure, &redactor);
            Ok(single::after_failure(&interrupts))
        }
    }
}

async fn run(args: RunArgs, origin: Origin, base: Prepared, app: Running) -> Result<ExitCode, Failure> {
    let reports = outputs::open_reports(&args, &base, origin.suite(), &app)?;
    let connection = connect::connect(&args.options.engine, &app).await?;
    let found = Found::default();
    let selected = select::select(&args, origin, &base, &app, &connection.engine, &found).await?;
    let state = app.state_dir()?;
    let mut memory = Memory::open(&state).await;
    let (selected, earlier) = memory.choose(selected, &args)?;
    let listing = Listing::new(&selected.suite, &selected.wanted)?;
    if listing.is_empty() {
        connection.close().await;
        return Ok(nothing_to_test(&selected, &listing));
    }
    let settings = settings_of(&selected, &app)?;
    let mut lines = CommandLines::new(&app, &selected.suite, settings.as_ref(), base.clone());
    let (entries, secrets) = tests::entries(&listing, &selected, &mut lines)?;
    let services = services::read(&selected.suite, &entries, &app)?;
    let redactor = Arc::new(outputs::redactor(&args, &app, &entries, &services, secrets));
    let engine = &connection.engine;
    let ledger = RunLedger::begin(&state, engine.address(), &selected.subject, None, LONGEST)?;
    ledger.note_results(&base.results_dir)?;
    let at = |flag: &str, failure: Failure| failure.at(app.origins.place(flag));
    let directory = ResultsDirectory::prepare(&base.results_dir, ledger.run_id())
        .map_err(|error| at("--results-dir", error.into()))?;
    let results_dir = directory.target().to_owned();
    overlap::refuse(&reports, &results_dir).map_err(|error| at("--report", error.into()))?;
    let housekeeping = Housekeeping::begin(state, engine, ledger.run_id());
    let started = Started::now();
    let (sink, messages) = Sink::channel();
    let subject = Subject { many: true, ..Subject::default() };
    let shown = Shown::start(&args.options.output, &app.environment, &reports, subject, &redactor, messages);
    sink.event(RunEvent::RunStarted {
        run_id: ledger.run_id().to_owned(),
        image: selected.shown.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        engine: engine.describe(),
    });
    let known = Known {
        run_id: ledger.run_id().to_owned(),
        subject: selected.subject.clone(),
        engine: engine.describe(),
        parent: earlier.as_ref().map(|earlier| earlier.run_id.clone()),
        selected: tests::names(&entries),
    };
    let expected = memory.expected(&selected.subject);
    let cache_secret = memory.cache_secret(args.many.cached, &sink);
    let passes = memory.passes_reader();
    let recording = memory.record(known, (*redactor).clone(), &sink).await;
    let stage = Stage {
        args: &args,
        app: &app,
        selected: &selected,
        engine,
        ledger: &ledger,
        housekeeping: &housekeeping,
        redactor: &redactor,
        base: &base,
        found: &found,
        sink: &sink,
        recording: &recording,
        expected: &expected,
        cache_secret,
        passes,
    };
    let outcome = Box::pin(stage.run(entries, services, &directory)).await;
    let mut done = match outcome {
        Ok(done) => done.commit(directory, &sink),
        Err(failure) => Done::failed(failure, *app.interrupts.borrow()),
    };
    let outstanding = done.outstanding(earlier.as_ref().map(|earlier| earlier.outstanding.clone()));
    if earlier.is_some() && done.exit == ExitCode::Success && !outstanding.is_empty() {
        done.exit = ExitCode::RerunIncomplete;
    }
    for leftover in ledger.close(engine).await {
        sink.warn(leftover.to_string());
    }
    housekeeping.finish().await;
    let end = RunEnd {
        outcome: done.outcome(),
        exit_code: done.exit.code(),
        seconds: started.seconds(),
        outstanding: outstanding.clone(),
    };
    if let Some(problem) = recording.finish(end).await {
        sink.warn(problem);
    }
    sink.event(RunEvent::RunFinished {
        run_id: ledger.run_id().to_owned(),
        outcome: done.outcome(),
        exit_code: done.exit.code(),
        seconds: started.seconds(),
    });
    drop(sink);
    let told = shown.finish(&app.interrupts).await;
    let (engine, run_id) = (engine.describe(), ledger.run_id().to_owned());
    connection.close().await;
    overlap::claim(&reports, &results_dir, &run_id);
    let still_failing = (done.exit == ExitCode::RerunIncomplete).then(|| outstanding.len() as u64);
    let ended = Ended {
        engine,
        run_id,
        told,
        tests: done.tests,
        services: done.services,
        exit: done.exit,
        kept: done.kept,
        failures: done.failures,
    };
    let telling = Telling { redactor, quiet: base.quiet, shell: false, github: base.github.clone() };
    let code = conclude(app, telling, reports, started, ended).await;
    if let Some(number) = still_failing {
        let tests = count(number, "other test");
        terminal::note(&format!("docker-test: {tests} of the earlier run still {} to pass\n", has(number)));
    }
    Ok(code)
}

const fn has(number: u64) -> &'static str {
    if number == 1 { "has" } else { "have" }
}

/// Says that nothing is selected, and why.
fn nothing_to_test(selected: &Selected, listing: &Listing<'_>) -> ExitCode {
    let all = count(selected.suite.tests().count() as u64, "test");
    let why = match (&selected.wanted.only, selected.wanted.partition) {
        (Some(only), _) if only.is_empty() => "no test of the earlier run has to be run again".to_owned(),
        (_, Some(part)) if listing.selected > 0 => {
            format!("of {}, none is in part {part}", count(listing.selected as u64, "selected test"))
        }
        _ => format!("none of {all} of {} is selected", selected.shown),
    };
    terminal::note(&format!("docker-test: nothing to test: {why}\n"));
    ExitCode::NothingToTest
}

/// `defaults` of the suite, for tests with options of their own.
fn settings_of(selected: &Selected, app: &Running) -> Result<Option<Settings>, Failure> {
    if !selected.is_written {
        return Ok(None);
    }
    let path = entry::absolute(selected.suite.path(), &app.environment);
    Ok(Settings::load(&path, &flags::setting_keys(&super::super::command()))?)
}
