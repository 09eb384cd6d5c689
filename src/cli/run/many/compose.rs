//! Services of compose files in a run of many: which files, which of their services, and when they come and go.
//!
//! Owns the way from `--compose` and `services: FILE` to a project that tests can join. How a project is started is
//! [`crate::compose`]'s.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::super::super::application::{Interrupted, Running};
use super::super::super::connect::Connection;
use super::super::RunArgs;
use super::entry::{self, Entry};
use crate::compose::{ComposeContext, ComposeTool, DEFAULT_SETUP, Project, Started};
use crate::engine::Engine;
use crate::error::Failure;
use crate::ledger::RunLedger;
use crate::plan::container::NetworkSpec;
use crate::redact::Redactor;
use crate::results::{Cause, Outcome, ServiceResult};
use crate::runner::event::RunEvent;
use crate::runner::networks::DEFAULT;
use crate::runner::{Sink, services};
use crate::signal;
use crate::suite::Suite;
use crate::suite::document::{DEFAULT_TIMEOUT, Services};
use crate::suite::needs::Need;

/// Lines of a service's output that are kept beside the results.
const LOG_LINES: u32 = 100_000;

/// The compose files of a run: those of the command line, and the one of the suite.
pub(super) fn files(args: &RunArgs, suite: Option<&Suite>, app: &Running) -> Vec<PathBuf> {
    let current = app.environment.current_dir();
    let mut files: Vec<PathBuf> = args.many.origin.compose.iter().map(|file| current.join(file)).collect();
    if let Some(suite) = suite
        && let Services::Compose(file) = &suite.document.services
        && files.is_empty()
    {
        files.push(entry::absolute(suite.directory(), &app.environment).join(file));
    }
    files
}

/// Has the tool read the files, where there are any.
pub(super) async fn load(
    files: &[PathBuf],
    connection: &Connection,
    app: &Running,
    redactor: Arc<Redactor>,
) -> Result<Option<Project>, Failure> {
    if files.is_empty() {
        return Ok(None);
    }
    let tool = ComposeTool::find(&app.environment, &connection.endpoint, redactor).await?;
    Ok(Some(Project::load(tool, files, app.environment.current_dir()).await?))
}

/// Makes sure that the project has the services that tests need and the suite does not have, and gives each test those
/// that its services need in turn: whichever of them dies, it is known whose ground that was.
pub(super) fn settle_needs(project: &Project, suite: &Suite, entries: &mut [Entry]) -> Result<(), Failure> {
    for entry in entries {
        let here = suite.document.services.here();
        let is_here = |name: &str| here.is_some_and(|services| services.get(name).is_some());
        let names = entry.needs.iter().filter_map(|need| match need {
            Need::Service(name) if !is_here(name) => Some(name.clone()),
            Need::Service(_) | Need::Test(_) => None,
        });
        let wanted: BTreeSet<String> = names.collect();
        project.check(&wanted)?;
        for name in project.with_dependencies(&wanted) {
            if !wanted.contains(&name) {
                entry.needs.push(Need::Service(name));
            }
        }
    }
    Ok(())
}

/// The services of the project that these tests need.
pub(super) fn needed(project: &Project, entries: &[Entry]) -> BTreeSet<String> {
    let names = entries.iter().flat_map(|entry| &entry.needs).filter_map(|need| match need {
        Need::Service(name) => Some(name),
        Need::Test(_) => None,
    });
    names.filter(|name| project.service(name).is_some()).cloned().collect()
}

/// A project that was started, or tried to be.
pub(super) struct Composed {
    pub(super) project: services::Project,
    began: Instant,
    /// The container of the service that is the test.
    pub(super) sut: Option<String>,
}

/// Joins or starts what is needed. `is_test` says that the project has the test in itself: then it is one of the run's
/// own in any case.
pub(super) async fn start(
    project: &Project,
    needed: &BTreeSet<String>,
    is_test: bool,
    engine: &Engine,
    ledger: &RunLedger,
    sink: &Sink,
    interrupts: &mut signal::Receiver,
) -> Result<Composed, Failure> {
    let began = Instant::now();
    let context =
        ComposeContext { engine, ledger, join: !is_test, setup: DEFAULT_SETUP, ready: DEFAULT_TIMEOUT };
    for name in needed {
        let image = project.service(name).and_then(|service| service.image.clone()).unwrap_or_default();
        sink.event(RunEvent::ServiceStarting { service: name.clone(), image });
    }
    let started = project.start(needed, &context, interrupts).await?;
    let mut sut = None;
    let mut names: BTreeSet<String> = needed.clone();
    match &started {
        Ok(started) => {
            let seconds = began.elapsed().as_secs_f64();
            names.extend(started.services.iter().map(|service| service.name.clone()));
            for service in &started.services {
                sink.event(RunEvent::ServiceReady { service: service.name.clone(), seconds });
            }
            if is_test {
                // What is dropped ends the tool; the ledger has what it made.
                sut = Some(tokio::select! {
                    container = project.sut_container(started, &context) => container?,
                    state = signal::wait_for(interrupts, 1) => {
                        return Err(Interrupted { signal: state.signal }.into());
                    }
                });
            }
        }
        Err(failure) => sink.event(RunEvent::ServiceFailed {
            service: failure.service.clone(),
            message: failure.problem.clone(),
            log_tail: failure.log_tail.clone(),
        }),
    }
    let project = services::Project { names: names.into_iter().collect(), started };
    Ok(Composed { project, began, sut })
}

impl Composed {
    fn started(&self) -> Option<&Started> {
        self.project.started.as_ref().ok()
    }

    /// The network that tests of the run share with the services, where there is one.
    pub(super) fn default_network(&self) -> Option<(String, String)> {
        let name = self.started()?.default_network.clone()?;
        Some((DEFAULT.to_owned(), name))
    }

    /// Networks that a test has to join besides, to reach the services that it needs.
    pub(super) fn further(&self, needs: &[Need], joined: &[NetworkSpec]) -> Vec<NetworkSpec> {
        let Some(started) = self.started() else { return Vec::new() };
        let needed: BTreeSet<String> = needs
            .iter()
            .filter_map(|need| match need {
                Need::Service(name) => Some(name.clone()),
                Need::Test(_) => None,
            })
            .collect();
        let names = started.networks(&needed).into_iter();
        names
            .filter(|name| joined.iter().all(|network| network.name != *name))
            .map(|name| NetworkSpec { name, ..NetworkSpec::default() })
            .collect()
    }

    /// Keeps the services' output, says what became of them, and removes what was started here. `failures` are those
    /// that tests have met.
    pub(super) async fn end(
        self,
        engine: &Engine,
        ledger: &RunLedger,
        redactor: &Redactor,
        logs: &Path,
        failures: &BTreeMap<String, Cause>,
        sink: &Sink,
    ) -> Vec<ServiceResult> {
        let seconds = self.began.elapsed().as_secs_f64();
        let started = match self.project.started {
            Ok(started) => started,
            Err(failure) => {
                let cause = Cause::NotStarted { message: failure.problem };
                return vec![ServiceResult {
                    name: failure.service,
                    image: String::new(),
                    outcome: Outcome::Failed,
                    cause: Some(cause),
                    seconds,
                    log_tail: failure.log_tail,
                    run_id: None,
                }];
            }
        };
        let mut results = Vec::new();
        for service in &started.services {
            let cause = failures.get(&service.name).cloned();
            if !started.joined {
                keep_log(engine, redactor, &service.name, &service.containers, logs).await;
            }
            results.push(ServiceResult {
                name: service.name.clone(),
                image: service.image.clone(),
                outcome: if cause.is_some() { Outcome::Failed } else { Outcome::Passed },
                cause,
                seconds,
                log_tail: started.log_tail(&service.name).await,
                run_id: None,
            });
        }
        if let Err(problem) = started.remove(ledger).await {
            sink.warn(format!("{problem}; the next run, or `docker-test prune`, removes it"));
        }
        results
    }
}

/// A log that cannot be kept takes nothing from the run.
async fn keep_log(engine: &Engine, redactor: &Redactor, name: &str, containers: &[String], logs: &Path) {
    let mut text = String::new();
    for container in containers {
        text.push_str(&engine.last_lines(container, LOG_LINES).await.unwrap_or_default());
    }
    if tokio::fs::create_dir_all(logs).await.is_ok() {
        let path = logs.join(format!("{name}.log"));
        let _ = tokio::fs::write(path, redactor.redact(&text).as_bytes()).await;
    }
}
