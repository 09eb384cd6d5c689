//! Services: when they count as ready, what is said where they never are, and that nothing of them is left.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use docker_test::engine::Engine;
use docker_test::engine::docker::BuilderChoice;
use docker_test::engine::endpoint::{self, Choice};
use docker_test::environment::Environment;
use docker_test::ledger::RunLedger;
use docker_test::plan::container::ContainerSpec;
use docker_test::plan::service::ServicePlan;
use docker_test::redact::Redactor;
use docker_test::runner::secret_files::SecretFiles;
use docker_test::runner::service::{Service, ServiceContext, ServiceFailure, start};
use docker_test::signal;
use docker_test::suite::document::{Condition, Http, Ready};
use docker_test::suite::pattern::Text;

use crate::live::remains;
use crate::support::{BASE, docker};

/// An engine, a ledger and a place for logs.
pub(crate) struct Stage {
    pub(crate) engine: Engine,
    pub(crate) ledger: RunLedger,
    directory: tempfile::TempDir,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let environment = Environment::capture();
        let directory = tempfile::tempdir().unwrap();
        let discovery = endpoint::discover(&Choice::default(), &environment).unwrap();
        let connected = endpoint::connect(&discovery, &environment, directory.path(), None).await.unwrap();
        let address = connected.endpoint.to_string();
        let local = connected.endpoint.is_local();
        let engine =
            Engine::open(connected.http, connected.greeting, &address, local, BuilderChoice::Engine).await;
        let state = directory.path().join("state");
        let ledger = RunLedger::begin(&state, &address, BASE, None, Duration::from_mins(10)).unwrap();
        Self { engine: engine.unwrap(), ledger, directory }
    }

    pub(crate) fn log(&self) -> std::path::PathBuf {
        self.directory.path().join("log")
    }

    async fn start(&self, script: &str, ready: Option<Ready>) -> Result<Service, ServiceFailure> {
        self.start_with(script, ready, ContainerSpec::default()).await
    }

    async fn start_with(
        &self,
        script: &str,
        ready: Option<Ready>,
        spec: ContainerSpec,
    ) -> Result<Service, ServiceFailure> {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        let spec = ContainerSpec { command: Some(command), ..spec };
        self.start_image("db", BASE, ready, spec).await
    }

    pub(crate) async fn start_image(
        &self,
        name: &str,
        image: &str,
        ready: Option<Ready>,
        container: ContainerSpec,
    ) -> Result<Service, ServiceFailure> {
        let image_id = self.engine.image(image).await.unwrap().unwrap().id;
        let (name, image) = (name.to_owned(), image.to_owned());
        let plan = ServicePlan { name, image, image_id, container, platform: None, ready };
        let context = ServiceContext {
            engine: &self.engine,
            ledger: &self.ledger,
            redactor: Arc::new(Redactor::new(["hunter22-secret".to_owned()])),
            log: self.log(),
            secret_files: &SecretFiles::default(),
            unwanted: tokio_util::sync::CancellationToken::new(),
        };
        let (_canceller, mut interrupts) = signal::channel();
        start(&plan, &context, &mut interrupts).await.unwrap()
    }

    /// Ends the run, and demands that nothing of it is left.
    pub(crate) async fn end(self) {
        assert!(self.ledger.close(&self.engine).await.is_empty());
        assert_eq!(remains(self.ledger.run_id()), Vec::<String>::new());
    }
}

impl Drop for Stage {
    /// Also where an assertion has failed.
    fn drop(&mut self) {
        let label = format!("label=docker-test.run={}", self.ledger.run_id());
        for id in docker(&["ps", "-aq", "--filter", &label]).split_whitespace() {
            let _ = std::process::Command::new("docker").args(["rm", "-fv", id]).output();
        }
    }
}

pub(crate) fn when(condition: Condition) -> Ready {
    let (timeout, interval) = (Duration::from_secs(20), Duration::from_millis(100));
    Ready { condition, timeout, interval }
}

fn soon(condition: Condition) -> Ready {
    Ready { timeout: Duration::from_secs(2), ..when(condition) }
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn every_condition_is_met_when_it_holds() {
    let serve = "mkdir /www; echo hello > /www/index.html; sleep 1; exec httpd -f -p 8080 -h /www";
    let http = |path: &str, status| Http { port: 8080, path: path.to_owned(), status, tls: false };
    let late = "echo starting; sleep 1; echo ready; echo ready; touch /tmp/ready; exec sleep 60";
    let log = |times| Condition::Log { text: Text::parse("/^ready$/").unwrap(), times };
    let exec = ["test", "-e", "/tmp/ready"].map(str::to_owned).to_vec();
    let cases = [
        (serve, Some(Condition::Port(8080))),
        (serve, Some(Condition::Http(http("/", None)))),
        (serve, Some(Condition::Http(http("/nowhere", Some(404))))),
        (late, Some(log(2))),
        (late, Some(Condition::Exec(exec))),
        ("sleep 1; echo prepared", Some(Condition::Completed)),
        ("exec sleep 60", None),
    ];
    for (script, condition) in cases {
        let stage = Stage::new().await;
        let named = format!("{condition:?}");
        let service = stage.start(script, condition.map(when)).await;
        let service = service.unwrap_or_else(|failure| panic!("{named}: {failure}"));
        assert_eq!(service.name, "db");
        service.remove(&stage.engine, &stage.ledger).await.unwrap();
        stage.end().await;
    }
}

#[tokio::test]
async fn a_service_that_never_gets_ready_is_named_with_what_is_missing() {
    let http = Http { port: 81, path: "/".to_owned(), status: None, tls: false };
    let cases = [
        (Condition::Port(5432), "nobody listens on port 5432"),
        (Condition::Http(http), "nobody listens on port 81"),
        (
            Condition::Log { text: Text::parse("ready").unwrap(), times: 1 },
            "`ready` was 0 times in its output",
        ),
        (Condition::Exec(vec!["false".to_owned()]), "`false` ended with 1"),
        (Condition::Healthy, "has no health check"),
        (Condition::Completed, "had not ended after 2s"),
    ];
    for (condition, expected) in cases {
        let stage = Stage::new().await;
        let failure = stage.start("echo last words; exec sleep 60", Some(soon(condition))).await.unwrap_err();
        assert!(failure.to_string().starts_with("service db "), "{failure}");
        assert!(failure.problem.contains(expected), "{failure}");
        assert_eq!(failure.log_tail, "last words\n");
        stage.end().await;
    }
}

#[tokio::test]
async fn a_service_that_ends_before_it_is_ready_is_named_with_its_end_and_last_words() {
    let stage = Stage::new().await;
    let script = "echo no room for hunter22-secret >&2; exit 7";
    let failure = stage.start(script, Some(when(Condition::Port(1)))).await.unwrap_err();
    assert_eq!(failure.to_string(), "service db ended with exit code 7 before it was ready");
    assert_eq!(failure.log_tail, "no room for ***\n");
    assert_eq!(read(&stage.log()), "no room for ***\n");
    stage.end().await;
    let stage = Stage::new().await;
    let failure = stage.start("exit 3", Some(when(Condition::Completed))).await.unwrap_err();
    assert_eq!(failure.problem, "ended with exit code 3, and should have ended with 0");
    stage.end().await;
    let stage = Stage::new().await;
    let spec = ContainerSpec { entrypoint: Some(vec!["/not-there".to_owned()]), ..ContainerSpec::default() };
    let failure = stage.start_with("", None, spec).await.unwrap_err();
    assert!(failure.problem.starts_with("could not be started"), "{failure}");
    stage.end().await;
}

#[tokio::test]
async fn a_service_that_dies_later_is_noticed_with_its_cause() {
    let stage = Stage::new().await;
    let service = stage.start("echo up; sleep 2; exit 5", None).await.unwrap();
    assert_eq!(service.has_ended(), None);
    let ended = tokio::time::timeout(Duration::from_secs(20), service.end()).await.unwrap();
    assert_eq!(ended.to_string(), "ended with exit code 5");
    assert_eq!(service.has_ended(), Some(ended));
    assert_eq!(service.log_tail(), "up\n");
    stage.end().await;
    let stage = Stage::new().await;
    let spec = ContainerSpec { memory: Some(24 * 1024 * 1024), ..ContainerSpec::default() };
    let service = stage.start_with("exec tail /dev/zero", None, spec).await;
    // It may be quicker than the question whether it is ready.
    let said = match service {
        Ok(service) => service.end().await.to_string(),
        Err(failure) => failure.problem,
    };
    assert!(said.starts_with("ran out of memory"), "{said}");
    stage.end().await;
}
