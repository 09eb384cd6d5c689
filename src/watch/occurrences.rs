//! What happened on an engine, in the words that probes wait for.
//!
//! Owns what counts as a deployment: containers of a service that were made anew and started, once none of its containers
//! came or went for a while. Nothing of ours is an occurrence: a watch must not feed on itself. Pure.

use std::collections::BTreeMap;

use crate::engine::{EngineEvent, EventSubject};
use crate::ledger::{LENT_REPOSITORY, TARGET_REPOSITORY};
use crate::metadata::labels::ours;

use super::definition::Trigger;

/// A service has been deployed when for so many milliseconds none of its containers came or went.
const QUIET: i64 = 3_000;
/// A container that was made and does not start holds a deployment back for so many milliseconds after the last of its
/// service came or went: it may never start.
const HELD_BACK: i64 = 60_000;
/// Containers that were made and are still to start, at most: the oldest is forgotten.
const MOST_CREATED: usize = 10_000;

/// Labels that name the service of a container, and what it belongs to.
const SERVICES: [(&str, &str); 2] = [
    ("com.docker.compose.service", "com.docker.compose.project"),
    ("com.docker.swarm.service.name", "com.docker.stack.namespace"),
];
/// `True` on a container of `docker compose run`: it does a job beside its service, and replaces nothing.
const ONE_OFF: &str = "com.docker.compose.oneoff";

/// Something that probes may wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// What happened.
    pub trigger: Trigger,
    /// To what: all names that it has, the one for people first.
    pub names: Vec<String>,
}

/// What has happened so far and has not come to an occurrence yet.
#[derive(Debug, Default)]
pub struct Occurrences {
    /// Containers that were made and have not started.
    created: BTreeMap<String, Created>,
    /// How many were made.
    made: u64,
    /// Services of which containers have started that were made anew, and when something last happened to them.
    deploying: BTreeMap<Service, i64>,
}

/// A container that has not started.
#[derive(Debug)]
struct Created {
    service: Option<Service>,
    /// The lowest has waited longest.
    number: u64,
    /// It is waited for.
    holds_back: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Service {
    project: String,
    name: String,
}

impl Occurrences {
    /// Takes in an event at `now`, in milliseconds that only go forward.
    pub fn take(&mut self, event: &EngineEvent, now: i64) -> Option<Occurrence> {
        match event {
            EngineEvent::ContainerCreated(subject) if !is_own_container(subject) => {
                let service = deployed(subject);
                self.stir(service.as_ref(), now);
                self.create(&subject.id, service);
                None
            }
            EngineEvent::ContainerStarted(subject) if !is_own_container(subject) => {
                let created = self.created.remove(&subject.id);
                if let Some(made_anew) = created.and_then(|created| created.service) {
                    self.deploying.insert(made_anew, now);
                } else {
                    self.stir(deployed(subject).as_ref(), now);
                }
                let service = service(subject).map(|service| service.name);
                let names = std::iter::once(subject.name.clone()).chain(service);
                let names = names.chain((!subject.image.is_empty()).then(|| subject.image.clone()));
                Some(Occurrence { trigger: Trigger::ContainerStart, names: names.collect() })
            }
            EngineEvent::ContainerRemoved(subject) => {
                self.created.remove(&subject.id);
                self.stir(deployed(subject).as_ref(), now);
                None
            }
            EngineEvent::ImageNamed(subject) if !is_own_image(subject) => {
                Some(Occurrence { trigger: Trigger::ImageTag, names: names_of_image(&subject.name) })
            }
            _ => None,
        }
    }

    /// The deployments that are over by `now`.
    pub fn settled(&mut self, now: i64) -> Vec<Occurrence> {
        let is_of = |created: &Created, service: &Service| created.service.as_ref() == Some(service);
        let waits = |service: &Service| {
            self.created.values().any(|created| created.holds_back && is_of(created, service))
        };
        let is_over =
            |service: &Service, at: i64| now - at >= HELD_BACK || (now - at >= QUIET && !waits(service));
        let over: Vec<Service> = self
            .deploying
            .iter()
            .filter(|(service, at)| is_over(service, **at))
            .map(|(service, _)| service.clone())
            .collect();
        // What has not started by now holds back no other deployment either.
        for created in self.created.values_mut() {
            created.holds_back &= !over.iter().any(|service| is_of(created, service));
        }
        over.into_iter()
            .map(|service| {
                self.deploying.remove(&service);
                let full = format!("{}_{}", service.project, service.name);
                let names = if service.project.is_empty() || service.name.starts_with(&service.project) {
                    vec![service.name]
                } else {
                    vec![service.name, full]
                };
                Occurrence { trigger: Trigger::Deploy, names }
            })
            .collect()
    }

    /// Whether a deployment is under way.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.deploying.is_empty()
    }

    fn create(&mut self, id: &str, service: Option<Service>) {
        if self.created.len() >= MOST_CREATED {
            let oldest = self.created.iter().min_by_key(|(_, created)| created.number);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                self.created.remove(&oldest);
            }
        }
        self.made += 1;
        let created = Created { service, number: self.made, holds_back: true };
        self.created.insert(id.to_owned(), created);
    }

    fn stir(&mut self, service: Option<&Service>, now: i64) {
        if let Some(at) = service.and_then(|service| self.deploying.get_mut(service)) {
            *at = now;
        }
    }
}

fn service(subject: &EventSubject) -> Option<Service> {
    SERVICES.iter().find_map(|(name, project)| {
        let name = subject.labels.get(*name)?.clone();
        Some(Service { project: subject.labels.get(*project).cloned().unwrap_or_default(), name })
    })
}

/// The service that the container is a part of, where it is one.
fn deployed(subject: &EventSubject) -> Option<Service> {
    let is_one_off = subject.labels.get(ONE_OFF).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if is_one_off { None } else { service(subject) }
}

fn is_own_container(subject: &EventSubject) -> bool {
    ours::is_own_container(&subject.labels, &subject.name)
}

/// Test images, and the names that targets are lent while a test image is built.
fn is_own_image(subject: &EventSubject) -> bool {
    let lent = [TARGET_REPOSITORY, LENT_REPOSITORY];
    ours::is_ours(&subject.labels) || lent.iter().any(|name| subject.name.starts_with(name))
}

/// With and without the tag.
fn names_of_image(name: &str) -> Vec<String> {
    let untagged =
        name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map(|(name, _)| name.to_owned());
    std::iter::once(name.to_owned()).chain(untagged).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str, labels: &[(&str, &str)]) -> EventSubject {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        EventSubject { id: id.to_owned(), name: format!("name-{id}"), image: "shop:1.4".to_owned(), labels }
    }

    const SHOP: [(&str, &str); 2] =
        [("com.docker.compose.service", "web"), ("com.docker.compose.project", "shop")];

    #[test]
    fn a_service_is_deployed_once_when_all_of_its_new_containers_have_started() {
        let mut occurrences = Occurrences::default();
        for (id, at) in [("1", 0), ("2", 100)] {
            assert_eq!(occurrences.take(&EngineEvent::ContainerCreated(container(id, &SHOP)), at), None);
        }
        let started = |occurrences: &mut Occurrences, id, at| {
            let start = occurrences.take(&EngineEvent::ContainerStarted(container(id, &SHOP)), at).unwrap();
            assert_eq!(
                (start.trigger, start.names.as_slice()),
                (
                    Trigger::ContainerStart,
                    [format!("name-{id}"), "web".to_owned(), "shop:1.4".to_owned()].as_slice()
                )
            );
        };
        started(&mut occurrences, "1", 200);
        assert!(occurrences.settled(200 + QUIET).is_empty(), "one is still to start");
        started(&mut occurrences, "2", 9_000);
        assert!(occurrences.settled(9_000 + QUIET - 1).is_empty(), "it is not quiet yet");
        let over = occurrences.settled(9_000 + QUIET);
        let names = vec!["web".to_owned(), "shop_web".to_owned()];
        assert_eq!(over, [Occurrence { trigger: Trigger::Deploy, names }]);
        assert!(occurrences.settled(99_000).is_empty() && !occurrences.is_waiting());
    }

    #[test]
    fn a_container_that_is_only_restarted_is_no_deployment() {
        let mut occurrences = Occurrences::default();
        assert!(occurrences.take(&EngineEvent::ContainerStarted(container("1", &SHOP)), 0).is_some());
        assert!(occurrences.settled(1_000_000).is_empty());
    }

    #[test]
    fn a_container_of_compose_run_is_no_deployment_and_starts_all_the_same() {
        let mut occurrences = Occurrences::default();
        let job = container("1", &[SHOP[0], SHOP[1], (ONE_OFF, "True")]);
        assert_eq!(occurrences.take(&EngineEvent::ContainerCreated(job.clone()), 0), None);
        let start = occurrences.take(&EngineEvent::ContainerStarted(job), 1).unwrap();
        assert_eq!((start.trigger, start.names[1].as_str()), (Trigger::ContainerStart, "web"));
        assert!(!occurrences.is_waiting() && occurrences.settled(1_000_000).is_empty());
        let part = container("2", &[SHOP[0], SHOP[1], (ONE_OFF, "False")]);
        occurrences.take(&EngineEvent::ContainerCreated(part.clone()), 2);
        occurrences.take(&EngineEvent::ContainerStarted(part), 3);
        assert!(occurrences.is_waiting());
    }

    #[test]
    fn a_container_that_never_starts_holds_a_deployment_back_for_a_while_and_the_next_one_not_at_all() {
        let mut occurrences = Occurrences::default();
        let deploy = |occurrences: &mut Occurrences, id: &str, at| {
            occurrences.take(&EngineEvent::ContainerCreated(container(id, &SHOP)), at);
            occurrences.take(&EngineEvent::ContainerStarted(container(id, &SHOP)), at);
        };
        deploy(&mut occurrences, "1", 0);
        occurrences.take(&EngineEvent::ContainerCreated(container("never", &SHOP)), 10);
        assert!(occurrences.settled(10 + HELD_BACK - 1).is_empty(), "it may start yet");
        assert_eq!(occurrences.settled(10 + HELD_BACK).len(), 1);
        deploy(&mut occurrences, "2", 100_000);
        assert_eq!(occurrences.settled(100_000 + QUIET).len(), 1);
        // It is a new one when it starts after all.
        occurrences.take(&EngineEvent::ContainerStarted(container("never", &SHOP)), 200_000);
        assert_eq!(occurrences.settled(200_000 + QUIET).len(), 1);
    }

    #[test]
    fn of_too_many_containers_that_do_not_start_the_one_that_has_waited_longest_is_forgotten() {
        let mut occurrences = Occurrences::default();
        // The first has the highest id.
        let id = |number: usize| format!("{:05}", 99_999 - number);
        for number in 0..=MOST_CREATED {
            occurrences.take(&EngineEvent::ContainerCreated(container(&id(number), &SHOP)), 0);
        }
        occurrences.take(&EngineEvent::ContainerStarted(container(&id(0), &SHOP)), 1);
        assert!(!occurrences.is_waiting(), "it is forgotten");
        occurrences.take(&EngineEvent::ContainerStarted(container(&id(MOST_CREATED), &SHOP)), 2);
        assert!(occurrences.is_waiting(), "it is the newest");
    }

    #[test]
    fn what_docker_test_makes_itself_is_no_occurrence() {
        let mut occurrences = Occurrences::default();
        let mut own = container("1", &[(ours::ROLE, "test-container"), (ours::CONTAINER, "name-1")]);
        assert_eq!(occurrences.take(&EngineEvent::ContainerStarted(own.clone()), 0), None);
        own.name = format!("{TARGET_REPOSITORY}:0a1b");
        own.labels.clear();
        assert_eq!(occurrences.take(&EngineEvent::ImageNamed(own.clone()), 0), None);
        own.name = "registry:5000/shop:1.4".to_owned();
        let named = occurrences.take(&EngineEvent::ImageNamed(own), 0).unwrap();
        assert_eq!(named.names, ["registry:5000/shop:1.4", "registry:5000/shop"]);
    }
}
