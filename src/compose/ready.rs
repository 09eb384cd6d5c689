//! Waits until the services of a project are ready, and says what was missing where they never are.
//!
//! Owns what counts as ready: healthy with a health check, running without, ended with exit code 0 for a job. It asks the
//! engine alone, also while the tool is still at work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ComposeService;
use super::process::{Call, Said};
use super::started::log_tail;
use crate::engine::docker::ComposeContainer;
use crate::engine::{ContainerState, Engine, EngineError};
use crate::error::Failure;
use crate::metadata::duration;
use crate::redact::Redactor;
use crate::runner::service::{Ended, ServiceFailure};

/// How often the engine is asked.
const INTERVAL: Duration = Duration::from_millis(250);

pub(super) struct Readiness<'a> {
    engine: &'a Engine,
    redactor: &'a Arc<Redactor>,
    project: &'a str,
    services: Vec<ComposeService>,
    limit: Duration,
    /// The tool has done its part: whoever is not started now is not going to be.
    is_up: bool,
    /// When a container was first seen at work.
    since: BTreeMap<String, Instant>,
    done: BTreeSet<String>,
}

/// How a service stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    Ready,
    /// It has ended with exit code 0.
    Done,
    NotYet(String),
    Failed(String),
}

impl<'a> Readiness<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        redactor: &'a Arc<Redactor>,
        project: &'a str,
        services: Vec<ComposeService>,
        limit: Duration,
        is_up: bool,
    ) -> Self {
        let (since, done) = (BTreeMap::new(), BTreeSet::new());
        Self { engine, redactor, project, services, limit, is_up, since, done }
    }

    /// Whether a service has ended with exit code 0.
    pub(super) fn is_done(&self, service: &str) -> bool {
        self.done.contains(service)
    }

    /// Watches services while the tool starts them: it may wait for one that never gets ready.
    pub(super) async fn starting(&mut self, mut call: Call) -> Result<Result<Said, ServiceFailure>, Failure> {
        let mut ended = Box::pin(call.ended());
        loop {
            tokio::select! {
                said = &mut ended => {
                    self.is_up = true;
                    return Ok(Ok(said.map_err(ToolLost)?));
                }
                () = tokio::time::sleep(INTERVAL) => {}
            }
            if let Look::Failed(failure) = self.look().await? {
                return Ok(Err(failure));
            }
        }
    }

    /// Waits until all are ready.
    pub(super) async fn wait(&mut self) -> Result<Result<(), ServiceFailure>, Failure> {
        loop {
            match self.look().await? {
                Look::Ready => return Ok(Ok(())),
                Look::Failed(failure) => return Ok(Err(failure)),
                Look::NotYet => tokio::time::sleep(INTERVAL).await,
            }
        }
    }

    /// The service that failed, where one has.
    pub(super) async fn failed(&mut self) -> Result<Option<ServiceFailure>, Failure> {
        Ok(match self.look().await? {
            Look::Failed(failure) => Some(failure),
            Look::Ready | Look::NotYet => None,
        })
    }

    async fn look(&mut self) -> Result<Look, Failure> {
        let containers = self.engine.compose_containers(Some(self.project)).await?;
        let mut all = true;
        for service in self.services.clone() {
            let of_service = containers.iter().filter(|container| container.service == service.name);
            let of_service: Vec<&ComposeContainer> = of_service.collect();
            if of_service.is_empty() {
                all = false;
                if self.is_up {
                    return Ok(Look::Failed(failure(&service.name, "has no container", String::new())));
                }
            }
            let mut done = !of_service.is_empty();
            for container in of_service {
                let state = match self.engine.container_state(&container.id).await {
                    Ok(state) => state,
                    Err(error) if error.is_missing() => ContainerState::default(),
                    Err(error) => return Err(EngineError::into(error)),
                };
                let problem = match standing(&service, &state, self.is_up) {
                    Standing::Ready => {
                        done = false;
                        continue;
                    }
                    Standing::Done => continue,
                    Standing::Failed(problem) => problem,
                    Standing::NotYet(missing) => {
                        (all, done) = (false, false);
                        if !self.is_overdue(&container.id, &state) {
                            continue;
                        }
                        format!("was not ready after {}: {missing}", duration::human(self.limit))
                    }
                };
                let tail = log_tail(self.engine, self.redactor, &container.id).await;
                return Ok(Look::Failed(failure(&service.name, &problem, tail)));
            }
            if done {
                self.done.insert(service.name);
            }
        }
        Ok(if all { Look::Ready } else { Look::NotYet })
    }

    /// The time that counts begins when the container is at work, whenever its image has come.
    fn is_overdue(&mut self, container: &str, state: &ContainerState) -> bool {
        if state.started_at.is_none() && !self.is_up {
            return false;
        }
        self.since.entry(container.to_owned()).or_insert_with(Instant::now).elapsed() >= self.limit
    }
}

enum Look {
    Ready,
    NotYet,
    Failed(ServiceFailure),
}

fn failure(service: &str, problem: &str, log_tail: String) -> ServiceFailure {
    ServiceFailure { service: service.to_owned(), problem: problem.to_owned(), log_tail, interrupted: false }
}

fn standing(service: &ComposeService, state: &ContainerState, is_up: bool) -> Standing {
    match state.status.as_str() {
        "running" => match state.health.as_deref() {
            _ if service.is_job => Standing::NotYet("it is to end, and has not".to_owned()),
            Some("healthy") | None => Standing::Ready,
            Some("unhealthy") => {
                Standing::Failed("was not ready: its health check says unhealthy".to_owned())
            }
            Some(health) => Standing::NotYet(format!("its health check says {health}")),
        },
        "exited" | "dead" => {
            let ended = Ended {
                exit_code: Some(state.exit_code),
                out_of_memory: state.oom_killed && state.exit_code != 0,
            };
            if ended.is_success() {
                Standing::Done
            } else {
                Standing::Failed(format!("{ended} before it was ready"))
            }
        }
        // A failed start is noted here, and the container stays as it was.
        "created" if is_up && !state.error.is_empty() => {
            Standing::Failed(format!("could not be started: {}", state.error))
        }
        "created" => Standing::NotYet("it is not started".to_owned()),
        "restarting" => {
            Standing::NotYet(format!("it ended with exit code {} and is started again", state.exit_code))
        }
        other => Standing::NotYet(format!("it is {other}")),
    }
}

/// The system cannot say how the tool ended.
#[derive(Debug, thiserror::Error)]
#[error("cannot wait for the Compose tool")]
struct ToolLost(#[source] std::io::Error);

impl crate::error::Diagnose for ToolLost {
    fn category(&self) -> crate::error::Category {
        crate::error::Category::Environment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(is_job: bool) -> ComposeService {
        ComposeService {
            name: "db".to_owned(),
            image: None,
            has_build: false,
            depends_on: Vec::new(),
            has_healthcheck: false,
            is_job,
        }
    }

    fn state(status: &str, exit_code: i64, health: Option<&str>) -> ContainerState {
        let health = health.map(str::to_owned);
        ContainerState { status: status.to_owned(), exit_code, health, ..ContainerState::default() }
    }

    #[test]
    fn ready_is_healthy_where_there_is_a_health_check_and_running_where_there_is_none() {
        let stands = |health| standing(&service(false), &state("running", 0, health), true);
        assert_eq!(stands(None), Standing::Ready);
        assert_eq!(stands(Some("healthy")), Standing::Ready);
        assert!(matches!(stands(Some("starting")), Standing::NotYet(_)));
        assert!(matches!(stands(Some("unhealthy")), Standing::Failed(_)));
    }

    #[test]
    fn a_job_is_ready_when_it_has_ended_well_and_any_other_may_end_well_too() {
        for is_job in [true, false] {
            assert_eq!(standing(&service(is_job), &state("exited", 0, None), true), Standing::Done);
            let failed = Standing::Failed("ended with exit code 3 before it was ready".to_owned());
            assert_eq!(standing(&service(is_job), &state("exited", 3, None), true), failed);
        }
        assert!(matches!(standing(&service(true), &state("running", 0, None), true), Standing::NotYet(_)));
    }

    #[test]
    fn a_failed_start_is_one_only_when_the_tool_has_given_up() {
        let refused = ContainerState { error: "no such file".to_owned(), ..state("created", 127, None) };
        assert!(matches!(standing(&service(false), &refused, false), Standing::NotYet(_)));
        let failed = Standing::Failed("could not be started: no such file".to_owned());
        assert_eq!(standing(&service(false), &refused, true), failed);
    }

    #[test]
    fn one_that_is_started_again_is_neither_ready_nor_failed() {
        assert!(matches!(
            standing(&service(false), &state("restarting", 1, None), true),
            Standing::NotYet(_)
        ));
    }
}
