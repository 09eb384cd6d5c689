//! A run of many tests: from where they come from to what is said of them.
//!
//! Owns the order of a run: what can be refused is refused first, then everything is planned, then the dispatcher runs
//! it, and whatever way it ends, files are in their place and the engine is clean.

mod build;
mod entry;
mod networks;
mod origin;
mod service;
mod services;
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use super::super::application::{Interrupted, Running};
use super::super::connect::{self, Connection};
use super::super::flags::output::Format;
use super::super::flags::run::FlakyResult;
use super::super::suite_file;
use super::super::{flags, secrets, terminal};
use super::conclude::{Ended, Started, Telling, conclude};
use super::display::{Shown, Subject};
use super::found::Found;
use super::request::Prepared;
use super::{RunArgs, overlap, single};
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::image::logins::Logins;
use crate::ledger::RunLedger;
use crate::redact::Redactor;
use crate::report::sink::ReportError;
use crate::report::wording::count;
use crate::report::{ReportRequest, ReportSink};
use crate::results::directory::{Committed, ResultsDirectory};
use crate::runner::builds::Builds;
use crate::runner::event::RunEvent;
use crate::runner::housekeeping::Housekeeping;
use crate::runner::suite::{Finished, Suite as Run, Test};
use crate::runner::{Sink, dispatcher, networks as run_networks};
use crate::settings::Settings;
use crate::signal;
use crate::suite::Suite;
use crate::suite::listing::{self, Listing, Wanted};
use crate::suite::schedule;
use build::Yard;
use entry::Entry;
use origin::Origin;
use tests::{CommandLines, Planner};

/// Plans that are made at a time.
const PLANS: usize = 8;

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

/// What is wanted of the tests of the suite, and what it is called.
struct Selected {
    suite: Suite,
    wanted: Wanted,
    /// The user has written it: errors have a place in it, and its keys count.
    is_written: bool,
    /// What history and displays call it.
    subject: String,
}

async fn run(args: RunArgs, origin: Origin, base: Prepared, app: Running) -> Result<ExitCode, Failure> {
    let at = |flag: &str, failure: Failure| failure.at(app.origins.place(flag));
    let selected = select(&args, origin, &app)?;
    let reports = open_reports(&args, &base, &selected.suite, &app)?;
    let connection = connect::connect(&args.options.engine, &app).await?;
    let state = app.state_dir()?;
    let ledger =
        RunLedger::begin(&state, connection.engine.address(), &selected.subject, None, LONGEST)?;
    ledger.note_results(&base.results_dir)?;
    let listing = Listing::new(&selected.suite, &selected.wanted)?;
    if listing.is_empty() {
        let _ = ledger.close(&connection.engine).await;
        return Ok(nothing_to_test(&selected, &listing));
    }
    let settings = settings_of(&selected, &app)?;
    let mut lines = CommandLines::new(&app, &selected.suite, settings.as_ref(), base.clone());
    let repetitions = selected.wanted.repetitions;
    let (entries, mut secret_values) =
        tests::entries(&listing, &selected.suite, repetitions, &mut lines, selected.is_written)?;
    let services = services::read(&selected.suite, &entries, &app)?;
    secret_values.extend(services.iter().flat_map(services::Read::secrets));
    let redactor = Arc::new(redactor_of(&args, &app, &entries, secret_values));
    let directory = ResultsDirectory::prepare(&base.results_dir, ledger.run_id())
        .map_err(|error| at("--results-dir", error.into()))?;
    let results_dir = directory.target().to_owned();
    overlap::refuse(&reports, &results_dir).map_err(|error| at("--report", error.into()))?;
    let housekeeping = Housekeeping::begin(state, &connection.engine, ledger.run_id());
    let started = Started::now();
    let (sink, messages) = Sink::channel();
    let subject = Subject { many: true, ..Subject::default() };
    let shown = Shown::start(&args.options.output, &app.environment, &reports, subject, &redactor, messages);
    sink.event(RunEvent::RunStarted {
        run_id: ledger.run_id().to_owned(),
        image: selected.subject.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        engine: connection.engine.describe(),
    });
    let held = Held {
        args: &args,
        app: &app,
        selected: &selected,
        connection: &connection,
        ledger: &ledger,
        housekeeping: &housekeeping,
        redactor: &redactor,
        base: &base,
        sink: &sink,
    };
    let outcome = Box::pin(held.test(entries, services, &directory)).await;
    let outcome = match outcome {
        Ok(done) => commit(done, directory, &sink),
        Err(failure) => Done::failed(failure, *app.interrupts.borrow()),
    };
    for leftover in ledger.close(&connection.engine).await {
        sink.warn(leftover.to_string());
    }
    housekeeping.finish().await;
    sink.event(RunEvent::RunFinished {
        run_id: ledger.run_id().to_owned(),
        outcome: outcome.worst_outcome(),
        exit_code: outcome.exit.code(),
        seconds: started.seconds(),
    });
    drop(sink);
    let told = shown.finish(&app.interrupts).await;
    let (engine, run_id) = (connection.engine.describe(), ledger.run_id().to_owned());
    connection.close().await;
    overlap::claim(&reports, &results_dir, &run_id);
    let Done { tests, services, exit, kept, failures } = outcome;
    let ended = Ended { engine, run_id, told, tests, services, exit, kept, failures };
    let telling = Telling { redactor, quiet: base.quiet, shell: false, github: base.github.clone() };
    Ok(conclude(app, telling, reports, started, ended).await)
}

/// Which tests there are, before anything is asked of an engine.
fn select(args: &RunArgs, origin: Origin, app: &Running) -> Result<Selected, Failure> {
    let many = &args.many;
    let wanted = many.selection.wanted(many.select.clone());
    match origin {
        Origin::Suite(suite) => {
            for warning in suite_file::unmatched(&wanted.selection, &listing::candidates(&suite)) {
                terminal::note(&format!("docker-test: warning: {warning}\n"));
            }
            let path = entry::absolute(suite.path(), &app.environment);
            let path = path.canonicalize().unwrap_or(path);
            Ok(Selected { suite: *suite, wanted, is_written: true, subject: path.display().to_string() })
        }
        Origin::Images(images) => {
            let subject = images.join(" ");
            let test = |image: String| {
                let test = crate::suite::document::Test {
                    image: Some(image.clone()),
                    base: image.clone(),
                    ..Default::default()
                };
                (image, test)
            };
            let suite = Suite::of_tests(images.into_iter().map(test).collect());
            Ok(Selected { suite, wanted, is_written: false, subject })
        }
        Origin::ImagesOfTheEngine | Origin::Containers | Origin::Compose => {
            Err(origin::OriginError::Nothing(app.environment.current_dir().to_owned()).into())
        }
    }
}

/// Says that nothing is selected, and why.
fn nothing_to_test(selected: &Selected, listing: &Listing<'_>) -> ExitCode {
    let all = count(selected.suite.tests().count() as u64, "test");
    let why = match selected.wanted.partition {
        Some(part) if listing.selected > 0 => {
            format!("of {}, none is in part {part}", count(listing.selected as u64, "selected test"))
        }
        _ => format!("none of {all} is selected"),
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

/// Reports of the command line, and of the suite.
fn open_reports(
    args: &RunArgs,
    base: &Prepared,
    suite: &Suite,
    app: &Running,
) -> Result<Vec<ReportSink>, Failure> {
    let mut requests: Vec<ReportRequest> = base.reports.clone();
    let directory = entry::absolute(suite.directory(), &app.environment);
    for (format, paths) in suite.document.reports.iter() {
        for path in &paths.0 {
            let path = if path == "-" { PathBuf::from(path) } else { directory.join(path) };
            let request = format!("{format}={}", path.display()).parse::<ReportRequest>();
            requests.push(request.map_err(|error| {
                let failure = Failure::from(error);
                let problem = format!("reports.{format}: {}", failure.chain().join(": "));
                Failure::from(suite.error(&["reports", format], problem, failure.hint().map(str::to_owned)))
            })?);
        }
    }
    let opened = ReportSink::open_all(&requests);
    let reports = opened.map_err(|error| Failure::from(error).at(app.origins.place("--report")))?;
    if args.options.output.format == Format::Json && reports.iter().any(ReportSink::uses_stdout) {
        return Err(Failure::from(ReportError::StdoutTaken).at(app.origins.place("--report")));
    }
    Ok(reports)
}

/// What hides the secrets of all tests and services.
fn redactor_of(args: &RunArgs, app: &Running, entries: &[Entry], values: Vec<String>) -> Redactor {
    let mut all: Vec<String> = values;
    let mut seen = std::collections::BTreeSet::new();
    for entry in entries {
        let request = &entry.prepared.request;
        if seen.insert(format!("{:?}{:?}", request.build, request.build.build_args.values())) {
            let named = &args.options.run.redact;
            all.extend(secrets::values(&app.environment, named, &request.container.env, &request.build));
        }
    }
    Redactor::new(all)
}

/// What a run holds until it is over.
struct Held<'a> {
    args: &'a RunArgs,
    app: &'a Running,
    selected: &'a Selected,
    connection: &'a Connection,
    ledger: &'a RunLedger,
    housekeeping: &'a Housekeeping,
    redactor: &'a Arc<Redactor>,
    base: &'a Prepared,
    sink: &'a Sink,
}

/// What a run has come to.
struct Done {
    tests: Vec<crate::results::TestResult>,
    services: Vec<crate::results::ServiceResult>,
    exit: ExitCode,
    kept: Vec<String>,
    failures: Vec<Failure>,
}

impl Done {
    /// Nothing was run.
    fn failed(failure: Failure, interrupted: signal::Interrupts) -> Self {
        let exit = match interrupted.count {
            0 => ExitCode::Error,
            _ => ExitCode::Signal(interrupted.signal),
        };
        Self { tests: Vec::new(), services: Vec::new(), exit, kept: Vec::new(), failures: vec![failure] }
    }

    fn worst_outcome(&self) -> crate::results::Outcome {
        let worst = self.tests.iter().map(|test| test.outcome).max_by_key(|outcome| outcome.severity());
        worst.unwrap_or(crate::results::Outcome::Aborted)
    }
}

impl Held<'_> {
    /// Plans and runs everything.
    async fn test(
        &self,
        entries: Vec<Entry>,
        services: Vec<services::Read>,
        directory: &ResultsDirectory,
    ) -> Result<Done, Failure> {
        let (args, engine) = (self.args, &self.connection.engine);
        let document = &self.selected.suite.document;
        let logins = Logins::new(connect::environment(&args.options.engine, &self.app.environment));
        let networks = if self.selected.is_written {
            let tests = entries.iter().map(|entry| entry.test.network.as_ref());
            let named = tests.chain(services.iter().map(services::Read::network));
            let wanted = networks::wanted(document, named);
            run_networks::prepare(&wanted, engine, self.ledger).await?
        } else {
            BTreeMap::new()
        };
        let found = Found::default();
        let planner = Planner {
            yard: Yard { engine, ledger: self.ledger, logins: &logins, app: self.app },
            suite: &self.selected.suite,
            networks: &networks,
            found: &found,
            sink: self.sink,
            flaky_fails: args.options.run.flaky_result == FlakyResult::Fail,
            base: self.base,
        };
        let mut cancelled = self.app.interrupts.clone();
        let planning = async {
            let services = services::plan(services, &planner).await;
            (services, plan_all(&planner, entries).await)
        };
        let (services, tests) = tokio::select! {
            planned = planning => planned,
            state = signal::wait_for(&mut cancelled, 1) => {
                return Err(Interrupted { signal: state.signal }.into());
            }
        };
        let jobs = match args.many.jobs {
            Some(jobs) => jobs,
            None => default_jobs(engine).await,
        };
        let expected: Option<f64> = tests.iter().map(|test| test.expected).sum();
        self.sink.event(RunEvent::Queued { tests: tests.len(), jobs, expected_seconds: expected });
        let builds = Builds::default();
        let run = Run {
            engine,
            ledger: self.ledger,
            housekeeping: self.housekeeping,
            builds: &builds,
            logins: &logins,
            environment: &self.app.environment,
            redactor: Arc::clone(self.redactor),
            sink: self.sink.clone(),
            stream: args.options.output.format == Format::Json,
            tests: &tests,
            services: &services,
            limits: schedule::Limits { jobs, max_failures: args.many.max_failures() },
            time: args.many.global_timeout,
            slow_after: args.many.slow_after,
            staging: directory.staging().to_owned(),
            target: directory.target().to_owned(),
        };
        let mut interrupts = self.app.interrupts.clone();
        let ended = dispatcher::run(&run, &mut interrupts, |_, _| {}).await?;
        let mut exit = tests::worst(ended.tests.iter().map(|finished: &Finished| &finished.exit));
        if ended.out_of_time {
            exit = exit.worst(ExitCode::TimedOut);
        }
        let state = *self.app.interrupts.borrow();
        if state.count > 0 {
            exit = exit.worst(ExitCode::Signal(state.signal));
        }
        let mut done =
            Done { tests: Vec::new(), services: ended.services, exit, kept: Vec::new(), failures: Vec::new() };
        for finished in ended.tests {
            done.tests.push(finished.result);
            done.kept.extend(finished.kept);
            done.failures.extend(finished.failure);
        }
        Ok(done)
    }
}

async fn plan_all(planner: &Planner<'_>, entries: Vec<Entry>) -> Vec<Test> {
    let directories = tests::directories(&entries);
    let numbered = entries.into_iter().zip(directories).enumerate();
    let planning = numbered.map(|(at, (entry, directory))| planner.plan(entry, at + 1, directory));
    futures_util::stream::iter(planning).buffered(PLANS).collect().await
}

/// Twice as many tests as the engine has CPUs, since tests of containers mostly wait, and no more than its memory bears.
async fn default_jobs(engine: &crate::engine::Engine) -> usize {
    const MEMORY_OF_A_TEST: u64 = 256 << 20;
    const MOST: usize = 32;
    match engine.size().await {
        Ok(size) => {
            let by_memory = usize::try_from(size.memory / MEMORY_OF_A_TEST).unwrap_or(MOST);
            (size.cpus * 2).min(by_memory).clamp(1, MOST)
        }
        // It will say so to the first test as well.
        Err(_) => 1,
    }
}

/// Puts the files in their place. A run without its files has not passed.
fn commit(mut done: Done, directory: ResultsDirectory, sink: &Sink) -> Done {
    if done.tests.iter().all(|test| test.attempts.is_empty()) {
        return done;
    }
    match directory.commit() {
        Ok(Committed { leftover, .. }) => {
            if let Some(leftover) = leftover {
                let leftover = leftover.display();
                sink.warn(format!("the older results cannot be removed, and are in {leftover}"));
            }
        }
        Err(error) => {
            for test in &mut done.tests {
                test.results_dir = None;
            }
            done.exit = done.exit.worst(ExitCode::Error);
            done.failures.push(error.into());
        }
    }
    done
}

