//! Services of a project while tests use them: on which networks they are, whether one has died, and their removal.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::engine::docker::{ComposeContainer, Recorded};
use crate::engine::{Engine, EngineError};
use crate::error::Failure;
use crate::ledger::RunLedger;
use crate::redact::Redactor;
use crate::runner::service::{Ended, ServiceFailure};

/// Lines of a service's log that are told with its failure.
const LINES: u32 = 50;
/// How long an engine may take to give them.
const LOG_LIMIT: Duration = Duration::from_secs(10);
/// Before a container that is started again, or an engine that did not answer, is asked anew.
const PAUSE: Duration = Duration::from_millis(500);

/// Networks that are the engine's own: nobody is found by name on them.
const NAMELESS: [&str; 3] = ["bridge", "host", "none"];

/// Services of a project that are ready.
#[derive(Debug)]
pub struct Started {
    /// Name of the project on the engine.
    pub project: String,
    /// It was there before: nothing of it is changed or removed.
    pub joined: bool,
    /// The services, sorted by name: with what they depend on where they were started here.
    pub services: Vec<StartedService>,
    /// The engine's name of the project's default network, where it has one.
    pub default_network: Option<String>,
    pub(super) engine: Engine,
    pub(super) redactor: Arc<Redactor>,
    pub(super) record: Option<Recorded>,
}

/// A service that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedService {
    /// Its name.
    pub name: String,
    /// Its image, as the tool named it to the engine.
    pub image: String,
    /// Ids of its containers.
    pub containers: Vec<String>,
    /// It has ended with exit code 0: a job that is done.
    pub is_done: bool,
    /// The engine's names of the networks on which it is found by its name.
    pub networks: BTreeSet<String>,
}

impl StartedService {
    pub(super) fn new(name: &str, containers: &[&ComposeContainer], is_done: bool) -> Self {
        let networks = containers.iter().flat_map(|container| &container.networks);
        Self {
            name: name.to_owned(),
            image: containers.first().map(|container| container.image.clone()).unwrap_or_default(),
            containers: containers.iter().map(|container| container.id.clone()).collect(),
            is_done,
            networks: networks.filter(|name| !NAMELESS.contains(&name.as_str())).cloned().collect(),
        }
    }
}

impl Started {
    /// The networks that a container must join to reach `services` by their names, the default one first.
    #[must_use]
    pub fn networks(&self, services: &BTreeSet<String>) -> Vec<String> {
        let wanted = self.services.iter().filter(|service| services.contains(&service.name));
        let mut names: BTreeSet<&String> = wanted.flat_map(|service| &service.networks).collect();
        let default = self.default_network.as_ref().filter(|name| names.remove(*name));
        default.into_iter().chain(names).cloned().collect()
    }

    /// Resolves when the first of these services has died, with its end and its last lines; never for those that end
    /// with exit code 0, nor for those that are `known` to be dead. May be dropped and called again.
    pub async fn ended(&self, known: &BTreeSet<String>) -> ServiceFailure {
        let running =
            self.services.iter().filter(|service| !service.is_done && !known.contains(&service.name));
        let mut ends: FuturesUnordered<_> = running
            .flat_map(|service| service.containers.iter().map(move |container| (service, container)))
            .map(async |(service, container)| (service, container, self.follow(container).await))
            .collect();
        while let Some((service, container, ended)) = ends.next().await {
            if !ended.is_success() {
                return ServiceFailure {
                    service: service.name.clone(),
                    problem: ended.to_string(),
                    log_tail: log_tail(&self.engine, &self.redactor, container).await,
                    interrupted: false,
                };
            }
        }
        std::future::pending().await
    }

    /// The last lines that a service printed, secrets hidden; nothing where they cannot be had.
    pub async fn log_tail(&self, service: &str) -> String {
        let mut tail = String::new();
        let containers = self.services.iter().filter(|started| started.name == service);
        for container in containers.flat_map(|started| &started.containers) {
            tail.push_str(&log_tail(&self.engine, &self.redactor, container).await);
        }
        tail
    }

    /// Removes the project where it was started here. A project that was joined is left as it is.
    pub async fn remove(self, ledger: &RunLedger) -> Result<(), Failure> {
        match &self.record {
            Some(record) => Ok(ledger.remove(&self.engine, record).await?),
            None => Ok(()),
        }
    }

    /// Waits for the end. A connection that breaks is not the end, nor is one that the engine makes good by itself.
    async fn follow(&self, container: &str) -> Ended {
        loop {
            let state = match self.engine.wait(container).await {
                Ok(_) => self.engine.container_state(container).await,
                Err(error) => Err(error),
            };
            match state {
                Ok(state) if state.running || state.status == "restarting" => {}
                Ok(state) => {
                    let out_of_memory = state.oom_killed && state.exit_code != 0;
                    return Ended { exit_code: Some(state.exit_code), out_of_memory };
                }
                Err(EngineError::Missing { .. } | EngineError::Refused { .. }) => return Ended::default(),
                Err(_) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The last lines of a container's log, secrets hidden.
pub(super) async fn log_tail(engine: &Engine, redactor: &Redactor, container: &str) -> String {
    let lines = tokio::time::timeout(LOG_LIMIT, engine.last_lines(container, LINES)).await;
    // A log driver that cannot be read takes nothing from what is said of the service.
    let lines = lines.ok().and_then(Result::ok).unwrap_or_default();
    redactor.redact(&lines).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(networks: &[&str]) -> ComposeContainer {
        ComposeContainer {
            id: "1".to_owned(),
            project: "p".to_owned(),
            service: "db".to_owned(),
            image: "postgres:16".to_owned(),
            status: "running".to_owned(),
            directory: None,
            networks: networks.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn networks_of_the_engine_s_own_lead_nowhere() {
        let (one, other) = (container(&["p_back", "host"]), container(&["p_default", "bridge"]));
        let service = StartedService::new("db", &[&one, &other], false);
        assert_eq!(service.networks.into_iter().collect::<Vec<_>>(), ["p_back", "p_default"]);
        assert_eq!((service.image.as_str(), service.containers.len()), ("postgres:16", 2));
    }
}
