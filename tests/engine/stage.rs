//! An engine and a run's ledger for tests that call the library, cleaned up when dropped.

use std::time::Duration;

use docker_test::engine::docker::{BuilderChoice, Created, Creation, Recorded};
use docker_test::engine::endpoint::{self, Choice};
use docker_test::engine::{Engine, ResourceKind};
use docker_test::environment::Environment;
use docker_test::ledger::RunLedger;
use docker_test::metadata::labels::Role;
use docker_test::plan::container::ContainerSpec;

use crate::support::{BASE, docker, until};

/// A run without a test.
pub(crate) struct Stage {
    pub(crate) engine: Engine,
    pub(crate) ledger: RunLedger,
    host: Option<String>,
    directory: tempfile::TempDir,
}

impl Stage {
    /// On the engine that is found.
    pub(crate) async fn new() -> Self {
        Self::at(None).await
    }

    /// On another engine.
    pub(crate) async fn at(host: Option<&str>) -> Self {
        let environment = Environment::capture();
        let directory = tempfile::tempdir().unwrap();
        let choice = Choice { host: host.map(str::to_owned), ..Choice::default() };
        let discovery = endpoint::discover(&choice, &environment).unwrap();
        let connected = endpoint::connect(&discovery, &environment, directory.path(), None).await.unwrap();
        let address = connected.endpoint.to_string();
        let local = connected.endpoint.is_local();
        let engine =
            Engine::open(connected.http, connected.greeting, &address, local, BuilderChoice::Engine).await;
        let state = directory.path().join("state");
        let ledger = RunLedger::begin(&state, &address, BASE, None, Duration::from_mins(10)).unwrap();
        Self { engine: engine.unwrap(), ledger, host: host.map(str::to_owned), directory }
    }

    /// A directory that goes with it.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// A name that no other run has.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("docker-test-{}-{what}", self.ledger.run_id())
    }

    /// Writes a resource of this run down.
    pub(crate) fn record(&self, kind: ResourceKind, what: &str) -> Recorded {
        self.ledger.record(kind, &self.name(what)).unwrap()
    }

    /// What a container of this run bears.
    pub(crate) async fn creation(&self) -> Creation {
        Creation {
            image: self.engine.image(BASE).await.unwrap().unwrap().id,
            labels: self.ledger.labels(Role::TestContainer),
            ..Creation::default()
        }
    }

    /// Creates a container of this run that runs `script`.
    pub(crate) async fn create(&self, spec: ContainerSpec, creation: &Creation, script: &str) -> Created {
        let record = self.record(ResourceKind::Container, "container");
        let command = Some(["sh", "-c", script].map(str::to_owned).to_vec());
        let spec = ContainerSpec { command, ..spec };
        self.engine.create_container(&record, &spec, creation).await.unwrap()
    }

    /// Runs a created container to its end; its exit code and what it printed.
    pub(crate) async fn run(&self, container: &str) -> (i64, String) {
        self.engine.start(container).await.unwrap();
        let code = self.engine.wait(container).await.unwrap();
        (code, self.docker(&["logs", container]))
    }

    /// The Docker CLI on this engine; panics where it fails.
    #[track_caller]
    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        match &self.host {
            Some(host) => crate::fixture::docker_at(host, arguments),
            None => docker(arguments),
        }
    }

    /// Everything of this run that is on the engine.
    pub(crate) fn remains(&self) -> Vec<String> {
        let label = format!("label=docker-test.run={}", self.ledger.run_id());
        let listings: [&[&str]; 3] = [
            &["ps", "-a", "--filter", &label, "--format", "container {{.Names}}"],
            &["volume", "ls", "--filter", &label, "--format", "volume {{.Name}}"],
            &["network", "ls", "--filter", &label, "--format", "network {{.Name}}"],
        ];
        // Podman's listing fails where something on it is removed meanwhile, by another test for example.
        let listings = listings.iter().map(|listing| {
            until("the list is made", || {
                let host: Vec<&str> = self.host.iter().flat_map(|host| ["-H", host]).collect();
                let output = std::process::Command::new("docker").args(host).args(*listing).output().unwrap();
                output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
            })
        });
        listings.flat_map(|lines| lines.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// Ends the run, and demands that nothing of it is left.
    pub(crate) async fn end(self) {
        let left = self.ledger.close(&self.engine).await;
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(self.remains(), Vec::<String>::new());
    }
}

impl Drop for Stage {
    /// Also where an assertion has failed.
    fn drop(&mut self) {
        let label = format!("label=docker-test.run={}", self.ledger.run_id());
        let host: Vec<&str> = self.host.iter().flat_map(|host| ["-H", host]).collect();
        let removals: [(&[&str], &[&str]); 3] = [
            (&["ps", "-aq", "--filter", &label], &["rm", "-fv"]),
            (&["volume", "ls", "-q", "--filter", &label], &["volume", "rm"]),
            (&["network", "ls", "-q", "--filter", &label], &["network", "rm"]),
        ];
        for (list, remove) in removals {
            let listed = std::process::Command::new("docker").args(&host).args(list).output().unwrap();
            for id in String::from_utf8_lossy(&listed.stdout).split_whitespace() {
                let _ = std::process::Command::new("docker").args(&host).args(remove).arg(id).output();
            }
        }
    }
}
