//! The middle of a run of many: everything is planned, then the dispatcher runs it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use super::super::super::application::{Interrupted, Running};
use super::super::super::connect;
use super::super::super::flags::output::Format;
use super::super::super::flags::run::FlakyResult;
use super::super::RunArgs;
use super::super::found::Found;
use super::super::recording::{self, Recording};
use super::super::request::Prepared;
use super::build::Yard;
use super::cache::Keys;
use super::compose::{self, Composed};
use super::done::Done;
use super::entry::Entry;
use super::memory::{self, Passes};
use super::planner::{self, Planner};
use super::select::Selected;
use super::{networks, services};
use crate::engine::Engine;
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::image::build::predict_key;
use crate::image::logins::Logins;
use crate::ledger::RunLedger;
use crate::redact::Redactor;
use crate::results::Cause;
use crate::results::directory::ResultsDirectory;
use crate::runner::builds::Builds;
use crate::runner::event::RunEvent;
use crate::runner::housekeeping::Housekeeping;
use crate::runner::layout::SERVICES;
use crate::runner::suite::{Finished, Suite as Run, Test};
use crate::runner::{Sink, dispatcher, networks as run_networks};
use crate::signal;
use crate::suite::schedule;

/// Plans that are made at a time.
const PLANS: usize = 8;

/// How long builds of the suite may take to be cancelled.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// What a run holds until it is over.
pub(super) struct Stage<'a> {
    pub(super) args: &'a RunArgs,
    pub(super) app: &'a Running,
    pub(super) selected: &'a Selected,
    pub(super) engine: &'a Engine,
    pub(super) ledger: &'a RunLedger,
    pub(super) housekeeping: &'a Housekeeping,
    pub(super) redactor: &'a Arc<Redactor>,
    pub(super) base: &'a Prepared,
    pub(super) found: &'a Found,
    pub(super) sink: &'a Sink,
    pub(super) recording: &'a Recording,
    /// Seconds that tests usually take, by names in history.
    pub(super) expected: &'a BTreeMap<String, f64>,
    pub(super) cache_secret: Option<[u8; 32]>,
    pub(super) passes: Passes,
}

impl Stage<'_> {
    /// Plans and runs everything.
    pub(super) async fn run(
        &self,
        entries: Vec<Entry>,
        services: Vec<services::Read>,
        directory: &ResultsDirectory,
    ) -> Result<Done, Failure> {
        let args = self.args;
        let logins = Logins::new(connect::environment(&args.options.engine, &self.app.environment));
        let known_as: Vec<String> = entries.iter().map(|entry| entry.known_as.clone()).collect();
        let mut cancelled = self.app.interrupts.clone();
        let composed = self.compose(&entries).await?;
        // The first request to stop does not cut this short: a network that is made while nobody waits for it would be
        // there after everything was removed.
        let networks = tokio::select! {
            networks = self.networks(&entries, &services, composed.as_ref()) => networks?,
            state = signal::wait_for(&mut cancelled, 2) => {
                return Err(Interrupted { signal: state.signal }.into());
            }
        };
        let planning = self.plan(entries, services, &logins, composed.as_ref(), &networks);
        let (services, mut tests) = unless_interrupted(planning, &mut cancelled).await?;
        for (test, known_as) in tests.iter_mut().zip(&known_as) {
            test.expected = self.expected.get(known_as).copied();
        }
        let joins = self.selected.suite.document.network.join.is_some();
        let is_open = joins || composed.is_some();
        let document = &self.selected.suite.document;
        let suite_networks = format!("{:?} {:?}", document.network, document.networks);
        let run_id = self.ledger.run_id();
        let keys =
            self.cache_secret.map(|secret| Keys::new(secret, &services, is_open, suite_networks, run_id));
        let cached = match keys.as_ref().filter(|_| args.many.cached) {
            Some(keys) => self.skip_cached(&mut tests, keys).await?,
            None => BTreeMap::new(),
        };
        let jobs = match args.many.jobs {
            Some(jobs) => jobs,
            None => default_jobs(self.engine).await,
        };
        let to_run = tests.iter().filter(|test| test.skipped.is_none());
        let expected: Option<f64> = to_run.map(|test| test.expected).sum();
        self.sink.event(RunEvent::Queued { tests: tests.len(), jobs, expected_seconds: expected });
        let builds = Builds::default();
        let run = Run {
            engine: self.engine,
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
            project: composed.as_ref().map(|composed| &composed.project),
            limits: schedule::Limits { jobs, max_failures: args.many.max_failures() },
            time: args.many.global_timeout,
            slow_after: args.many.slow_after,
            staging: directory.staging().to_owned(),
            target: directory.target().to_owned(),
        };
        let mut interrupts = self.app.interrupts.clone();
        let passed = RefCell::new(cached);
        let failed = RefCell::default();
        let on_end = |at: usize, finished: &Finished| {
            let (Some(test), Some(known_as)) = (tests.get(at), known_as.get(at)) else { return };
            self.note(test, known_as, finished, keys.as_ref(), &passed, &failed);
        };
        let mut ended = dispatcher::run(&run, &mut interrupts, on_end).await?;
        if let Some(composed) = composed {
            let logs = directory.staging().join(SERVICES);
            let (engine, ledger, redactor) = (self.engine, self.ledger, self.redactor);
            let lost = composed.end(engine, ledger, redactor, &logs, &ended.lost, self.sink).await;
            ended.services.extend(lost);
        }
        Ok(Done::ended(ended, &known_as, *self.app.interrupts.borrow()))
    }

    /// Joins or starts the services of compose files that the tests need.
    async fn compose(&self, entries: &[Entry]) -> Result<Option<Composed>, Failure> {
        let Some(project) = &self.selected.project else { return Ok(None) };
        let needed = compose::needed(project, entries);
        if needed.is_empty() && !self.selected.tests_itself {
            return Ok(None);
        }
        let mut interrupts = self.app.interrupts.clone();
        let is_test = self.selected.tests_itself;
        let (engine, ledger) = (self.engine, self.ledger);
        let starting = compose::start(project, &needed, is_test, engine, ledger, self.sink, &mut interrupts);
        Ok(Some(starting.await?))
    }

    /// Makes the networks of the run, or finds them.
    async fn networks(
        &self,
        entries: &[Entry],
        services: &[services::Read],
        composed: Option<&Composed>,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let shared = composed.and_then(Composed::default_network);
        if !self.selected.is_written {
            return Ok(shared.into_iter().collect());
        }
        let tests = entries.iter().map(|entry| entry.test.network.as_ref());
        let named = tests.chain(services.iter().map(services::Read::network));
        let has_services = !services.is_empty() || composed.is_some();
        let mut wanted = networks::wanted(&self.selected.suite.document, has_services, named);
        if shared.is_some() {
            wanted.remove(run_networks::DEFAULT);
        }
        let mut networks = run_networks::prepare(&wanted, self.engine, self.ledger).await?;
        networks.extend(shared);
        Ok(networks)
    }

    async fn plan(
        &self,
        entries: Vec<Entry>,
        services: Vec<services::Read>,
        logins: &Logins,
        composed: Option<&Composed>,
        networks: &BTreeMap<String, String>,
    ) -> Result<(Vec<crate::runner::services::Planned>, Vec<Test>), Failure> {
        let planner = Planner {
            yard: Yard { engine: self.engine, ledger: self.ledger, logins, app: self.app },
            selected: self.selected,
            networks,
            composed,
            found: self.found,
            sink: self.sink,
            flaky_fails: self.args.options.run.flaky_result == FlakyResult::Fail,
            base: self.base,
        };
        let directories = planner::directories(&entries);
        let numbered = entries.into_iter().zip(directories).enumerate();
        let planning = numbered.map(|(at, (entry, directory))| planner.plan(entry, at + 1, directory));
        let services = services::plan(services, &planner).await;
        let tests = futures_util::stream::iter(planning).buffered(PLANS).collect().await;
        Ok((services, tests))
    }

    /// Marks the tests that have passed and of which nothing has changed since. Gives out their keys, by their names:
    /// those that need them have passed with them.
    async fn skip_cached(
        &self,
        tests: &mut [Test],
        keys: &Keys<'_>,
    ) -> Result<BTreeMap<String, Option<String>>, Failure> {
        let mut cached: BTreeMap<String, Option<String>> = BTreeMap::new();
        for test in tests {
            let Ok(planned) = &test.planned else { continue };
            let plan = &planned.plan;
            let (target, existing) = (&planned.target, planned.existing.as_deref());
            let predict =
                async || predict_key(plan, target, existing, self.engine, &self.app.interrupts).await;
            // What is wrong with its context is told when it is built.
            let Ok(recipe) = self.found.keys.get(Builds::identity(plan), predict).await else { continue };
            let Some(key) = keys.of(test, &recipe, &cached) else { continue };
            if let Some(pass) = memory::pass(&self.passes, &key) {
                test.skipped = Some(Cause::Cached { run_id: pass.run_id, at: pass.at });
                cached.insert(test.name.clone(), Some(key));
            }
        }
        Ok(cached)
    }

    /// Tells history of the end of a test.
    fn note(
        &self,
        test: &Test,
        known_as: &str,
        finished: &Finished,
        keys: Option<&Keys<'_>>,
        passed: &RefCell<BTreeMap<String, Option<String>>>,
        failed: &RefCell<BTreeSet<String>>,
    ) {
        self.recording.test(known_as, &finished.result);
        let has_passed = recording::has_passed(&finished.result, finished.exit == ExitCode::Success);
        let (Some(keys), Some(recipe)) = (keys, &finished.recipe_key) else { return };
        let key = keys.of(test, recipe, &passed.borrow());
        if let Some(key) = key {
            // Repeated, it has passed only if it always has.
            let has_failed = failed.borrow().contains(&key);
            if !has_passed {
                failed.borrow_mut().insert(key.clone());
            }
            self.recording.verdict(key.clone(), known_as, has_passed && !has_failed);
            if has_passed {
                passed.borrow_mut().insert(test.name.clone(), Some(key));
            }
        }
    }
}

/// Plans until there is a request to stop. Builds hear of that themselves and tell the engine; a pull does not, and is
/// left.
async fn unless_interrupted<T>(
    planning: impl Future<Output = Result<T, Failure>>,
    interrupts: &mut signal::Receiver,
) -> Result<T, Failure> {
    let mut planning = std::pin::pin!(planning);
    tokio::select! {
        planned = &mut planning => planned,
        state = signal::wait_for(interrupts, 1) => {
            let _ = tokio::time::timeout(LAST_CALLS, planning).await;
            Err(Interrupted { signal: state.signal }.into())
        }
    }
}

/// Twice as many tests as the engine has CPUs, since tests of containers mostly wait, and no more than its memory bears.
async fn default_jobs(engine: &Engine) -> usize {
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
