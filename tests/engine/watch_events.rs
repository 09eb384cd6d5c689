//! What a watch hears of a real engine, and which probes it finds there.

use std::time::{Duration, Instant};

use docker_test::check::{Check, CommandCheck};
use docker_test::harness::Probe;
use docker_test::notify::policy::Policy;
use docker_test::plan::Retries;
use docker_test::plan::container::ContainerSpec;
use docker_test::probe::Identity;
use docker_test::watch::following::{self, LabelReader};
use docker_test::watch::occurrences::Occurrence;
use docker_test::watch::{Definition, Input, Overlap, Source, Trigger};
use tokio::sync::mpsc;

use crate::fixture::fixture;
use crate::stage::Stage;
use crate::support::BASE;

const PATIENCE: Duration = Duration::from_mins(1);

/// Takes what bears the label `case=CASE`, and nothing of other tests.
fn reader(case: &str) -> Box<LabelReader> {
    let case = case.to_owned();
    Box::new(move |name, labels, origin| {
        if labels.get("case") != Some(&case) {
            return Ok(None);
        }
        if labels.contains_key("broken") {
            return Err(format!("{name}: broken"));
        }
        let identity = Identity {
            name: name.to_owned(),
            kind: "integration".to_owned(),
            host: "here".to_owned(),
            tags: Vec::new(),
        };
        Ok(Some(Definition {
            probe: std::sync::Arc::new(Probe {
                identity,
                check: Check::Command(CommandCheck::shell("true")),
                retries: Retries { count: 0, backoff: Duration::ZERO },
                all_attempts: false,
                timeout: Duration::from_secs(1),
                cleanup: None,
                cleanup_timeout: Duration::from_secs(1),
            }),
            origin,
            times: None,
            overlap: Overlap::Skip,
            triggers: Vec::new(),
            policy: std::sync::Arc::new(Policy::default()),
        }))
    })
}

struct Heard {
    inputs: mpsc::Receiver<Input>,
    occurrences: Vec<Occurrence>,
    probes: Vec<String>,
    problem: Option<String>,
}

impl Heard {
    async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < PATIENCE, "no {what}: {:?} {:?}", self.probes, self.occurrences);
            let Ok(Some(input)) = tokio::time::timeout(Duration::from_secs(1), self.inputs.recv()).await
            else {
                continue;
            };
            match input {
                Input::Occurred(occurrence) => self.occurrences.push(occurrence),
                Input::Probes { source: Source::Engine, definitions, .. } => {
                    self.probes = definitions.iter().map(|definition| definition.name().to_owned()).collect();
                }
                Input::Problem { about, problem } if about == "labels" => self.problem = problem,
                _ => {}
            }
        }
    }

    fn has(&self, trigger: Trigger, name: &str) -> usize {
        let is_it = |occurrence: &&Occurrence| {
            occurrence.trigger == trigger && occurrence.names.iter().any(|known| known == name)
        };
        self.occurrences.iter().filter(is_it).count()
    }
}

async fn deployments_are_heard_and_labelled_containers_found(stage: Stage) {
    let name = stage.name("web");
    let service = stage.name("service");
    let case = stage.name("case");
    let (sender, inputs) = mpsc::channel(64);
    let mut heard = Heard { inputs, occurrences: Vec::new(), probes: Vec::new(), problem: None };
    let (engine, reader) = (stage.engine.clone(), reader(&case));
    let following =
        tokio::spawn(async move { following::follow(&engine, Some(&*reader), "engine", &sender).await });
    heard.until("first look", |heard| heard.problem.is_none()).await;
    // Long enough for the stream of events to have begun.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let label = |name: &str, value: &str| format!("{name}={value}");
    stage.docker(&[
        "create",
        "--name",
        &name,
        "--label",
        &label("com.docker.compose.service", &service),
        "--label",
        &label("case", &case),
        "--label",
        "test.schedule=R//PT1H",
        BASE,
        "sleep",
        "300",
    ]);
    let found = name.clone();
    heard.until("probe", |heard| heard.probes.contains(&found)).await;
    stage.docker(&["start", &name]);
    heard.until("start", |heard| heard.has(Trigger::ContainerStart, &name) == 1).await;
    heard.until("deployment", |heard| heard.has(Trigger::Deploy, &service) == 1).await;
    stage.docker(&["restart", "-t", "0", &name]);
    heard.until("second start", |heard| heard.has(Trigger::ContainerStart, &name) == 2).await;
    // What a run makes is no news, whatever it is called.
    let creation = stage.creation().await;
    let own = stage.create(ContainerSpec::default(), &creation, "true").await;
    stage.run(&own.id).await;
    let image = stage.name("image");
    stage.docker(&["tag", BASE, &image]);
    heard
        .until("image", |heard| {
            heard.occurrences.iter().any(|it| it.trigger == Trigger::ImageTag && it.names[0].contains(&image))
        })
        .await;
    stage.docker(&["rmi", &image]);
    stage.docker(&["rm", "-f", &name]);
    heard.until("end of the probe", |heard| !heard.probes.contains(&name)).await;
    assert_eq!(heard.has(Trigger::Deploy, &service), 1, "a restart is no deployment");
    let own_name = stage.name("container");
    assert_eq!(heard.has(Trigger::ContainerStart, &own_name), 0, "a watch feeds on itself");
    following.abort();
    stage.end().await;
}

#[tokio::test]
async fn deployments_are_heard_and_labelled_containers_found_on_docker() {
    deployments_are_heard_and_labelled_containers_found(Stage::new().await).await;
}

#[tokio::test]
async fn deployments_are_heard_and_labelled_containers_found_on_podman() {
    let podman = fixture("podman");
    let stage = Stage::at(Some(&podman["PODMAN_HOST"])).await;
    deployments_are_heard_and_labelled_containers_found(stage).await;
}
