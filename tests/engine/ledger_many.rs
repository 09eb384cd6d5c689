//! One run with many containers at once: some in use, some kept, some lost with their engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use docker_test::engine::docker::{BuilderChoice, Creation, ResultsVolume};
use docker_test::engine::endpoint::{self, Choice};
use docker_test::engine::{Engine, ResourceKind};
use docker_test::environment::Environment;
use docker_test::ledger::{LostRun, RunLedger, TARGET_REPOSITORY, find_run};
use docker_test::metadata::labels::ours::{self, Role};
use docker_test::plan::container::{ContainerSpec, NetworkSpec};

use crate::crash::{docker_at, inventory, own_engine};
use crate::live::{run_ids, script};
use crate::support::{BASE, Sandbox};

const OTHER_HOST: &str = "11111111-2222-3333-4444-555555555555/4026531836/1/1";

const SLEEPS: &str = "trap '' TERM; while :; do sleep 1; done";

/// A run of this process, as a suite makes one.
struct Suite {
    host: String,
    engine: Engine,
    ledger: RunLedger,
    network: String,
}

impl Suite {
    async fn begin(host: &str, state: &Path) -> Self {
        let environment = Environment::capture();
        let choice = Choice { host: Some(host.to_owned()), ..Choice::default() };
        let discovery = endpoint::discover(&choice, &environment).unwrap();
        let connected = endpoint::connect(&discovery, &environment, state, None).await.unwrap();
        let (address, local) = (connected.endpoint.to_string(), connected.endpoint.is_local());
        let engine =
            Engine::open(connected.http, connected.greeting, &address, local, BuilderChoice::Engine).await;
        let ledger = RunLedger::begin(state, &address, BASE, None, Duration::from_hours(1)).unwrap();
        // Before anything that is in it, as a run makes it.
        let network = format!("docker-test-{}", ledger.run_id());
        ledger.record(ResourceKind::Network, &network).unwrap();
        let labels: Vec<String> = foreign(ledger.labels(Role::Network))
            .into_iter()
            .map(|(name, value)| format!("--label={name}={value}"))
            .collect();
        let words = ["network", "create"].into_iter().chain(labels.iter().map(String::as_str));
        docker_at(host, &words.chain([network.as_str()]).collect::<Vec<_>>());
        Self { host: host.to_owned(), engine: engine.unwrap(), ledger, network }
    }

    /// Starts a container of this run in the run's network, and returns its name.
    async fn start(&self, number: &str, shell: &str) -> String {
        let name = format!("docker-test-{}-{number}", self.ledger.run_id());
        let permit = self.ledger.record(ResourceKind::Container, &name).unwrap();
        let longest = Duration::from_mins(10);
        let labels = |role| foreign(self.ledger.labels_within(role, longest));
        let creation = Creation {
            image: self.engine.image(BASE).await.unwrap().unwrap().id,
            labels: labels(Role::TestContainer),
            results: Some(ResultsVolume {
                path: "/var/tests/results".to_owned(),
                labels: labels(Role::Volume),
            }),
            platform: None,
        };
        let spec = ContainerSpec {
            command: Some(["sh", "-c", shell].map(str::to_owned).to_vec()),
            networks: vec![NetworkSpec { name: self.network.clone(), ..NetworkSpec::default() }],
            ..ContainerSpec::default()
        };
        self.engine.create_container(&permit, &spec, &creation).await.unwrap();
        self.engine.start(&name).await.unwrap();
        name
    }

    /// One that has ended, and is kept.
    async fn keep(&self, number: &str) -> String {
        let before = self.start(number, "true").await;
        self.engine.wait(&before).await.unwrap();
        let kept = before.replace("docker-test-", ours::KEPT_PREFIX);
        self.ledger.record(ResourceKind::Container, &kept).unwrap();
        self.engine.rename(&before, &kept).await.unwrap();
        self.ledger.keep(&self.ledger.record(ResourceKind::Container, &before).unwrap()).unwrap();
        kept
    }

    /// One whose engine was lost, with results in it that belong in `directory`.
    async fn lose(&self, number: &str, shell: &str, directory: &Path) -> String {
        let shell = format!("echo {number} > /var/tests/results/file; {shell}");
        let container = self.start(number, &shell).await;
        if !shell.ends_with(SLEEPS) {
            self.engine.wait(&container).await.unwrap();
        }
        let (results, directory) = ("/var/tests/results".to_owned(), directory.to_owned());
        let lost = LostRun { container: container.clone(), results, directory, limit: 1 << 20 };
        self.ledger.lost(lost).unwrap();
        container
    }

    /// As if its process had been killed. Returns its id.
    fn die(self, state: &Path) -> String {
        let run = self.ledger.run_id().to_owned();
        drop(self.ledger);
        let path = state.join(format!("runs/{run}.jsonl"));
        let journal = std::fs::read_to_string(&path).unwrap();
        let owner = docker_test::ledger::Owner::of_this_process().to_string();
        assert!(journal.contains(&owner));
        std::fs::write(&path, journal.replace(&owner, OTHER_HOST)).unwrap();
        run
    }

    fn there(&self) -> Vec<String> {
        things(&self.host)
    }
}

/// This process lives as long as the test: what it makes is labelled as if another had made it, long ago.
fn foreign(mut labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
    labels.insert(ours::OWNER.to_owned(), OTHER_HOST.to_owned());
    labels.insert(ours::DEADLINE.to_owned(), "1".to_owned());
    labels
}

/// Everything on the engine but images.
fn things(host: &str) -> Vec<String> {
    inventory(host).into_iter().filter(|line| !line.starts_with("image ")).collect()
}

fn containers(host: &str) -> Vec<String> {
    let lines =
        things(host).into_iter().filter_map(|line| line.strip_prefix("container ").map(str::to_owned));
    lines.collect()
}

#[tokio::test]
async fn of_a_killed_suite_a_sweep_leaves_what_was_kept_and_lost_and_prune_removes_that_too() {
    let (engine, sandbox) = own_engine("suite");
    let (host, state) = (engine.value("DOCKERD_HOST"), sandbox.state());
    let suite = Suite::begin(host, &state).await;
    let kept = [suite.keep("1").await, suite.keep("2.1").await];
    let lost = suite.lose("3.1", SLEEPS, &sandbox.path().join("tests/results/three")).await;
    for number in ["4.1", "5.1", "db"] {
        suite.start(number, SLEEPS).await;
    }
    // Killed in the middle of a build.
    let tag = suite.ledger.target_name();
    suite.ledger.record(ResourceKind::Tag, &tag).unwrap();
    docker_at(host, &["tag", BASE, &tag]);
    assert_eq!(containers(host).len(), 6);
    let network = suite.network.clone();
    let run = suite.die(&state);
    let swept = || {
        sandbox.expect(0, &script(&["--results-dir", "other"], BASE, "true"));
        let mut expected = vec![lost.clone(), kept[0].clone(), kept[1].clone()];
        expected.sort();
        assert_eq!(containers(host), expected);
        let there = things(host);
        assert_eq!(there.iter().filter(|line| line.starts_with("volume")).count(), 3, "{there:?}");
        assert!(there.contains(&format!("network {network}")), "{there:?}");
        assert_eq!(docker_at(host, &["images", "-q", TARGET_REPOSITORY]), "");
    };
    swept();
    let journal = find_run(&state, &run).unwrap();
    assert_eq!(journal.open().len(), 4, "{:?}", journal.open());
    swept();
    sandbox.expect(0, &["results"]).assert_stdout("tests/results/three");
    // A kept container can be started again where it was.
    docker_at(host, &["start", &kept[0]]);
    let pruned = sandbox.expect(0, &["prune"]);
    for name in kept.iter().chain([&lost, &network]) {
        pruned.assert_stdout(name);
    }
    assert_eq!(things(host), Vec::<String>::new());
    assert!(find_run(&state, &run).is_none());
}

#[tokio::test]
async fn a_killed_suite_is_pruned_by_its_id() {
    let (engine, sandbox) = own_engine("suiteid");
    let (host, state) = (engine.value("DOCKERD_HOST"), sandbox.state());
    let suite = Suite::begin(host, &state).await;
    suite.keep("1").await;
    suite.lose("2.1", SLEEPS, &sandbox.path().join("two")).await;
    suite.start("3.1", SLEEPS).await;
    let names = [suite.ledger.target_name(), suite.ledger.target_name()];
    for name in &names {
        docker_at(host, &["tag", BASE, name]);
    }
    let run = suite.die(&state);
    let pruned = sandbox.expect(0, &["prune", &run]);
    for name in &names {
        pruned.assert_stdout(name);
    }
    assert_eq!(things(host), Vec::<String>::new());
    assert_eq!(docker_at(host, &["images", "-q", TARGET_REPOSITORY]), "");
    assert!(find_run(&state, &run).is_none());
}

#[tokio::test]
async fn a_run_that_ends_removes_all_but_what_is_kept_and_lost_and_says_nothing_of_the_network() {
    let (engine, sandbox) = own_engine("suiteend");
    let (host, state) = (engine.value("DOCKERD_HOST"), sandbox.state());
    let suite = Suite::begin(host, &state).await;
    for number in 0..20 {
        suite.start(&format!("{number}.2"), SLEEPS).await;
    }
    let lost = suite.lose("lost", SLEEPS, &sandbox.path().join("lost")).await;
    let leftovers = suite.ledger.close(&suite.engine).await;
    assert!(leftovers.is_empty(), "{leftovers:?}");
    assert_eq!(containers(host), [lost.as_str()]);
    assert!(suite.there().contains(&format!("network {}", suite.network)), "it is in use");
    sandbox.expect(125, &["results", suite.ledger.run_id()]).assert_stderr("still goes on");
    let run = suite.die(&state);
    docker_at(host, &["kill", &lost]);
    sandbox.expect(0, &["results", &run]).assert_stdout("lost/file");
    assert_eq!(things(host), Vec::<String>::new(), "with the last one the network goes");
    assert!(find_run(&state, &run).is_none());
    // Nothing waits: neither a network that was made first, nor a journal, is left.
    let suite = Suite::begin(host, &state).await;
    for number in 0..10 {
        suite.start(&format!("{number}.1"), SLEEPS).await;
    }
    let leftovers = suite.ledger.close(&suite.engine).await;
    assert!(leftovers.is_empty(), "{leftovers:?}");
    assert_eq!(suite.there(), Vec::<String>::new());
    assert!(find_run(&state, suite.ledger.run_id()).is_none());
    // With a kept one its network stays, though Docker would remove it.
    let suite = Suite::begin(host, &state).await;
    let kept = suite.keep("1").await;
    suite.start("2.1", SLEEPS).await;
    assert!(suite.ledger.close(&suite.engine).await.is_empty());
    docker_at(host, &["start", &kept]);
    let run = suite.die(&state);
    sandbox.expect(0, &["prune", &run]);
    assert_eq!(things(host), Vec::<String>::new());
}

#[tokio::test]
async fn what_an_engine_makes_after_its_run_was_killed_and_swept_goes_with_a_later_run() {
    let (engine, sandbox) = own_engine("suitelate");
    let (host, state) = (engine.value("DOCKERD_HOST"), sandbox.state());
    let suite = Suite::begin(host, &state).await;
    let late = format!("{}-late", suite.network);
    suite.ledger.record(ResourceKind::Network, &late).unwrap();
    let labels = foreign(suite.ledger.labels(Role::Network));
    let run = suite.die(&state);
    let next = || sandbox.expect(0, &script(&["--results-dir", "other"], BASE, "true"));
    next();
    assert_eq!(things(host), Vec::<String>::new());
    assert!(find_run(&state, &run).is_some(), "it may still come");
    let labels: Vec<String> =
        labels.into_iter().map(|(name, value)| format!("--label={name}={value}")).collect();
    let words = ["network", "create"].into_iter().chain(labels.iter().map(String::as_str));
    docker_at(host, &words.chain([late.as_str()]).collect::<Vec<_>>());
    next();
    assert_eq!(things(host), Vec::<String>::new());
    assert!(find_run(&state, &run).is_none());
}

#[tokio::test]
async fn lost_results_of_many_containers_are_fetched_each_to_its_own_place() {
    let (engine, sandbox) = own_engine("suitelost");
    let (host, state) = (engine.value("DOCKERD_HOST"), sandbox.state());
    let read = |path: &str| std::fs::read_to_string(sandbox.path().join(path)).unwrap();
    let directory = |name: &str| sandbox.path().join("tests/results").join(name).join("attempt-1");
    for results_dir in [None, Some("out")] {
        let suite = Suite::begin(host, &state).await;
        suite.lose("1", "true", &directory("a")).await;
        let running = suite.lose("2.1", SLEEPS, &directory("b")).await;
        suite.lose("3.1", "true", &directory("c")).await;
        assert!(suite.ledger.close(&suite.engine).await.is_empty());
        let run = suite.die(&state);
        let listed = sandbox.expect(0, &["results"]).stdout;
        assert_eq!(listed.lines().filter(|line| line.starts_with(&run)).count(), 3, "{listed}");
        let flags: &[&str] = if results_dir.is_some() { &["--results-dir", "out"] } else { &[] };
        let fetch = [&["results", run.as_str()], flags].concat();
        let base = results_dir.unwrap_or("tests/results");
        // One that cannot be had yet does not keep the others back.
        let fetched = sandbox.expect(125, &fetch);
        fetched.assert_stderr(&format!("the test still runs in container {running}"));
        fetched.assert_stdout(&format!("{base}/a/attempt-1/file"));
        assert_eq!(read(&format!("{base}/a/attempt-1/file")), "1\n");
        assert_eq!(read(&format!("{base}/c/attempt-1/file")), "3.1\n");
        assert_eq!(containers(host), [running.as_str()]);
        assert_eq!(sandbox.expect(0, &["results"]).stdout.lines().count(), 1);
        docker_at(host, &["kill", &running]);
        let fetched = sandbox.expect(0, &fetch);
        assert_eq!(fetched.stdout.lines().count(), 1, "{}", fetched.stdout);
        assert_eq!(read(&format!("{base}/b/attempt-1/file")), "2.1\n");
        assert_eq!(things(host), Vec::<String>::new());
        sandbox.expect(125, &fetch).assert_stderr("there is no run");
        assert_eq!(sandbox.expect(0, &["results"]).stdout, "");
    }
}

#[tokio::test]
async fn whoever_has_no_journal_knows_kept_containers_of_one_run_by_label_and_name() {
    let (engine, sandbox) = own_engine("suitekept");
    let host = engine.value("DOCKERD_HOST");
    let suite = Suite::begin(host, &sandbox.state()).await;
    let names = [suite.keep("1").await, suite.keep("1.2").await, suite.keep("web").await];
    let network = suite.network.clone();
    assert!(suite.ledger.close(&suite.engine).await.is_empty());
    assert_eq!(containers(host), names);
    let run = suite.die(&sandbox.state());
    docker_at(host, &["commit", &names[0], "mine:1"]);
    docker_at(host, &["create", "--name", "docker-test-kept-users", "mine:1"]);
    let mut other = Sandbox::new();
    other.set("DOCKER_HOST", host);
    other.expect(0, &script(&[], BASE, "true"));
    assert_eq!(containers(host).len(), 4);
    let pruned = other.expect(0, &["prune", &run]);
    for name in names.iter().chain([&network]) {
        pruned.assert_stdout(name);
    }
    assert_eq!(containers(host), ["docker-test-kept-users"]);
}

#[test]
fn every_attempt_that_failed_is_kept_whatever_its_container_was_called() {
    let (engine, sandbox) = own_engine("attempts");
    let host = engine.value("DOCKERD_HOST");
    for flags in [&[][..], &["--name", "web"]] {
        let flags = [&["--retries", "1", "--retry-backoff", "1ms", "--keep", "failed"][..], flags].concat();
        let ran = sandbox.expect(1, &script(&flags, BASE, "exit 1"));
        let kept = format!("docker-test-kept-{}", run_ids(&ran.stderr).pop().unwrap());
        assert_eq!(containers(host), [kept.clone(), format!("{kept}-2")]);
        sandbox.expect(0, &["prune"]);
        assert_eq!(things(host), Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_cannot_be_removed_from_an_engine_that_is_gone_is_told_and_swept_when_it_is_back() {
    let (engine, sandbox) = own_engine("suitegone");
    let (host, state) = (engine.value("DOCKERD_HOST"), sandbox.state());
    let suite = Suite::begin(host, &state).await;
    let lost = suite.lose("1", "true", &sandbox.path().join("lost")).await;
    for number in ["2.1", "3.1"] {
        suite.start(number, SLEEPS).await;
    }
    let daemon = engine.crash();
    let leftovers = suite.ledger.close(&suite.engine).await;
    let told: Vec<String> = leftovers.iter().map(ToString::to_string).collect();
    let left =
        ["2.1", "3.1"].map(|number| format!("container docker-test-{}-{number} ", suite.ledger.run_id()));
    for name in left.iter().chain([&format!("network {} ", suite.network)]) {
        assert!(told.iter().any(|line| line.starts_with(name.as_str())), "{told:?}");
    }
    assert_eq!(told.len(), 3, "nothing is said of what waits: {told:?}");
    engine.revive(&daemon);
    let run = suite.die(&state);
    sandbox.expect(0, &script(&["--results-dir", "other"], BASE, "true"));
    assert_eq!(
        things(host).iter().filter(|line| !line.starts_with("volume")).count(),
        1,
        "{:?}",
        things(host)
    );
    sandbox.expect(0, &["results", &run]).assert_stdout("lost/file");
    assert!(!containers(host).contains(&lost));
    assert_eq!(things(host), Vec::<String>::new());
    assert!(find_run(&state, &run).is_none());
}
