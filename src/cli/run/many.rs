//! A run of many tests: from where they come from to what is said of them.
//!
//! Owns the order of a run: what can be refused is refused first, then everything is planned, then the dispatcher runs
//! it, and whatever way it ends, files are in their place and the engine is clean.

mod build;
mod cache;
mod compose;
mod done;
mod dry_run;
mod entry;
mod memory;
mod networks;
mod origin;
mod outputs;
mod planner;
mod select;
mod service;
mod services;
mod stage;
mod watch;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::super::application::{Interrupted, Running};
use super::super::connect::{self, Connection};
use super::super::{flags, terminal};
use super::conclude::{Started, Telling, conclude};
use super::display::{Shown, Subject};
use super::found::Found;
use super::recording::{Earlier, Known};
use super::request::Prepared;
use super::{RunArgs, overlap, single};
use crate::compose::Project;
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::history::RunEnd;
use crate::ledger::RunLedger;
use crate::redact::Redactor;
use crate::report::ReportSink;
use crate::report::wording::count;
use crate::results::TestResult;
use crate::results::directory::ResultsDirectory;
use crate::runner::Sink;
use crate::runner::event::RunEvent;
use crate::runner::housekeeping::Housekeeping;
use crate::settings::Settings;
use crate::signal;
use crate::suite::listing::Listing;
use done::Done;
use entry::Entry;
use memory::Memory;
use origin::Origin;
use planner::CommandLines;
use select::Selected;
use stage::Stage;
use watch::{Changed, Watched};

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
    let (mut origin, base, args) = app.unless_interrupted(Duration::ZERO, read).await??;
    let redactor = base.redactor();
    let interrupts = app.interrupts.clone();
    let fails = |failure: &Failure| {
        terminal::report_failure(failure, &redactor);
        single::after_failure(&interrupts)
    };
    let mut only = None;
    let mut watched = Watched::default();
    loop {
        let code = match Box::pin(run(&args, origin, &base, &app, only, &mut watched)).await {
            Ok(code) => code,
            Err(failure) => fails(&failure),
        };
        if !args.many.watch || interrupts.borrow().count > 0 || watched.is_empty() {
            return Ok(code);
        }
        (origin, only) = loop {
            let changed = watched.change(&args.options.engine, &app).await?;
            match (origin::find(&args, &app), changed) {
                (Ok(origin), Changed::Suite) => break (origin, None),
                (Ok(origin), Changed::Tests(tests)) => break (origin, Some(tests)),
                // It is being written.
                (Err(failure), _) => _ = fails(&failure),
            }
        };
    }
}

/// What there is to run, and how it is known.
struct Chosen {
    selected: Selected,
    earlier: Option<Earlier>,
    memory: Memory,
    state: PathBuf,
}

async fn run(
    args: &RunArgs,
    origin: Origin,
    base: &Prepared,
    app: &Running,
    only: Option<BTreeSet<String>>,
    watched: &mut Watched,
) -> Result<ExitCode, Failure> {
    let reports = outputs::open_reports(args, base, origin.suite(), app)?;
    let connection = connect::connect(&args.options.engine, app).await?;
    let found = Found::default();
    // Nothing is made yet: what is waited for can be left.
    let mut cancelled = app.interrupts.clone();
    let mut selected = tokio::select! {
        selected = select::select(args, origin, base, app, &connection, &found) => selected?,
        state = signal::wait_for(&mut cancelled, 1) => {
            return Err(Interrupted { signal: state.signal }.into());
        }
    };
    let is_part = only.is_some();
    selected.wanted.only = only;
    let state = app.state_dir()?;
    let mut memory = Memory::open(&state).await;
    let (selected, earlier) = memory.choose(selected, args)?;
    let listing = Listing::new(&selected.suite, &selected.wanted)?;
    if listing.is_empty() {
        connection.close().await;
        return Ok(outputs::nothing_to_test(&selected, &listing, &reports));
    }
    let settings = settings_of(&selected, app)?;
    let mut lines = CommandLines::new(app, &selected.suite, settings.as_ref(), base.clone());
    let (mut entries, mut secrets) = planner::entries(&listing, &selected, &mut lines)?;
    if let Some(project) = &selected.project {
        compose::settle_needs(project, &selected.suite, &mut entries)?;
    }
    secrets.extend(planner::container_secrets(&entries, &connection.engine, &found).await?);
    secrets.extend(selected.project.iter().flat_map(Project::secrets).map(str::to_owned));
    if args.many.watch {
        let these = Watched::of(&selected, &entries, &base.results_dir, app);
        watched.renew(these, is_part, &args.options.engine, app).await;
    }
    let services = services::read(&selected.suite, &entries, app)?;
    let redactor = Arc::new(outputs::redactor(args, app, &entries, &services, secrets));
    if args.options.run.dry_run {
        let sut = selected.tests_itself;
        let code = dry_run::print(&entries, &connection.engine, app, &found, &redactor, sut).await;
        connection.close().await;
        return code;
    }
    let chosen = Chosen { selected, earlier, memory, state };
    let run = Run { args, base, app, reports, connection, found, redactor };
    run.perform(chosen, entries, services).await
}

/// What a run is made with, until it is told.
struct Run<'a> {
    args: &'a RunArgs,
    base: &'a Prepared,
    app: &'a Running,
    reports: Vec<ReportSink>,
    connection: Connection,
    found: Found,
    redactor: Arc<Redactor>,
}

impl Run<'_> {
    async fn perform(
        self,
        chosen: Chosen,
        entries: Vec<Entry>,
        services: Vec<services::Read>,
    ) -> Result<ExitCode, Failure> {
        let Self { args, base, app, reports, connection, found, redactor } = self;
        let Chosen { selected, earlier, mut memory, state } = chosen;
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
        let output = &args.options.output;
        let shown = Shown::start(output, &app.environment, &reports, subject, &redactor, messages);
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
            selected: planner::names(&entries),
        };
        let expected = memory.expected(&selected.subject);
        let cache_secret = memory.cache_secret(args.many.cached, &sink);
        let passes = memory.passes_reader();
        let recording = memory.record(known, (*redactor).clone(), &sink).await;
        let middle = Stage {
            args,
            app,
            selected: &selected,
            engine,
            ledger: &ledger,
            housekeeping: &housekeeping,
            redactor: &redactor,
            base,
            found: &found,
            sink: &sink,
            recording: &recording,
            expected: &expected,
            cache_secret,
            passes,
        };
        let waiting = entries.iter().map(|entry| (entry.known_as.clone(), entry.blank())).collect();
        let outcome = Box::pin(middle.run(entries, services, &directory)).await;
        let mut done = match outcome {
            Ok(done) => done.commit(directory, &sink),
            Err(failure) => {
                let record = |known_as: &str, result: &TestResult| recording.test(known_as, result);
                Done::failed(failure, *app.interrupts.borrow(), waiting, record)
            }
        };
        for leftover in ledger.close(engine).await {
            sink.warn(leftover.to_string());
        }
        housekeeping.finish().await;
        let outstanding = done.settle(earlier.as_ref());
        let (run_id, seconds) = (ledger.run_id().to_owned(), started.seconds());
        let (outcome, exit_code) = (done.outcome(), done.exit.code());
        let end = RunEnd { outcome, exit_code, seconds, outstanding: outstanding.clone() };
        if let Some(problem) = recording.finish(end).await {
            sink.warn(problem);
        }
        sink.event(RunEvent::RunFinished { run_id: run_id.clone(), outcome, exit_code, seconds });
        drop(sink);
        let told = shown.finish(&app.interrupts).await;
        let engine = engine.describe();
        connection.close().await;
        overlap::claim(&reports, &results_dir, &run_id);
        let left = outstanding.len() as u64;
        let still_failing = (done.exit == ExitCode::RerunIncomplete).then_some(left);
        let telling = Telling { redactor, quiet: base.quiet, shell: false, github: base.github.clone() };
        let code = conclude(app.clone(), telling, reports, started, done.told(engine, run_id, told)).await;
        if let Some(number) = still_failing {
            let (tests, have) = (count(number, "other test"), if number == 1 { "has" } else { "have" });
            terminal::note(&format!("docker-test: {tests} of the earlier run still {have} to pass\n"));
        }
        Ok(code)
    }
}

/// `defaults` of the suite, for tests with options of their own.
fn settings_of(selected: &Selected, app: &Running) -> Result<Option<Settings>, Failure> {
    if !selected.is_written {
        return Ok(None);
    }
    let path = entry::absolute(selected.suite.path(), &app.environment);
    Ok(Settings::load(&path, &flags::setting_keys(&super::super::command()))?)
}
