//! examples/probe as its README tells it: a shop that stops is paged of once, and resolved when it is back; by the daemon
//! that watches it, and by the harness in the test's own container.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::fixture::fixture;
use crate::support::{BASE, Sandbox, docker, repository};

const PATIENCE: Duration = Duration::from_mins(3);
const KEY: &str = "0123456789abcdef0123456789abcdef";
const HARNESS: &str = env!("CARGO_BIN_EXE_docker-test-harness");

/// The example under names of a sandbox, and its daemon.
struct Scene {
    sandbox: Sandbox,
    daemon: Child,
    /// Taken for the removal of the sandbox, which comes before it.
    turn: Option<MutexGuard<'static, ()>>,
}

/// What two scenes build has layers in common: none of them goes while another build finds it in the cache. Where each
/// test is a process of its own, `.config/nextest.toml` says the same.
static BUILDS: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    BUILDS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scene {
    /// The daemon makes the attempts, and has the keys.
    fn begin() -> Self {
        let sandbox = stage(&["shop", "test", "pager"], &repository("examples/probe"));
        let example = labelled(&sandbox, "test", &["--label", "test.host=staging"]);
        let published = docker(&["port", &sandbox.name("pager"), "80"]);
        let address = format!("http://{}/cgi-bin/receive", published.lines().next().unwrap());
        let mut command = sandbox.command(&["watch", "--verbose", "--filter", &example]);
        command.envs([("PAGERDUTY_ROUTING_KEY", KEY), ("PAGERDUTY_URL", &address)]);
        command.envs([("DD_API_KEY", KEY), ("DD_URL", &address)]);
        Self::watching(sandbox, command)
    }

    /// The harness in the container makes the attempts, and has the keys.
    fn begin_with_the_harness_inside() -> Self {
        let copy = tempfile::tempdir().unwrap();
        let from = repository("examples/probe");
        for file in fs::read_dir(&from).unwrap().map(|file| file.unwrap().file_name()) {
            fs::copy(from.join(&file), copy.path().join(&file)).unwrap();
        }
        // The debug information is most of it, and no part of what is tried.
        let inside = copy.path().join("docker-test-harness");
        let stripped = Command::new("strip").args([OsStr::new("-o"), inside.as_ref()]).arg(HARNESS).status();
        assert!(stripped.unwrap().success());
        // The classic builder makes all stages before the one that is asked for: each has a name, and none is left.
        let sandbox = stage(&["shop", "test", "pager", "integration"], copy.path());
        let network = sandbox.name("network");
        docker(&["network", "connect", "--alias", "pager", &network, &sandbox.name("pager")]);
        let variables = from.join("harness.env").display().to_string();
        let volume = format!("{}:/state", sandbox.name("state"));
        let flags = ["--env-file", &variables, "-v", &volume, "--label", "test.retries=0"];
        let example = labelled(&sandbox, "integration", &flags);
        let command =
            sandbox.command(&["watch", "--verbose", "--format", "json", "--filter", example.as_str()]);
        Self::watching(sandbox, command)
    }

    fn watching(sandbox: Sandbox, mut command: Command) -> Self {
        let file = |name: &str| File::create(sandbox.path().join(name)).unwrap();
        let daemon = command.stdout(file("events")).stderr(file("log")).spawn().unwrap();
        Self { sandbox, daemon, turn: None }
    }

    /// Asked to end, it removes what its run has made.
    fn end(&mut self) {
        if self.daemon.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ended = kill(Pid::from_raw(self.daemon.id().cast_signed()), Signal::SIGTERM);
            let _ended = self.daemon.wait();
        }
    }

    /// What the daemon says of the runs that are over, where it speaks JSON.
    fn runs(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.sandbox.path().join("events")).unwrap();
        // A line that is being written has no end yet.
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let events = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.filter(|event| event["event"] == "ended").collect()
    }

    fn said(&self) -> String {
        fs::read_to_string(self.sandbox.path().join("log")).unwrap()
    }

    /// What has arrived at a path of the stand-in.
    fn received(&self, path: &str) -> Vec<Value> {
        let log = docker(&["logs", &self.sandbox.name("pager")]);
        let lines = log.lines().filter_map(|line| line.split_once(' '));
        lines.filter(|(to, _)| *to == path).map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
    }

    /// Without the resolves of a state that is new, which are of what an earlier one may have left open.
    fn pages(&self) -> Vec<Value> {
        let pages = self.received("/v2/enqueue").into_iter();
        pages.skip_while(|page| page["event_action"] == "resolve").collect()
    }

    /// Points of a metric of the attempts, each with the tags that it bears.
    fn metric(&self, name: &str) -> Vec<Value> {
        let series = self.received("/api/v2/series").into_iter();
        let all = series.flat_map(|body| body["series"].as_array().cloned().unwrap_or_default());
        all.filter(|series| series["metric"] == name).collect()
    }

    #[track_caller]
    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < PATIENCE, "no {what}: {}\n{:?}", self.said(), self.pages());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    #[track_caller]
    fn until_it_says(&self, text: &str, times: usize) {
        self.until(text, || self.said().matches(text).count() >= times);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.end();
        self.turn = Some(turn());
    }
}

/// Builds stages of the example's Dockerfile, and starts shop and stand-in.
fn stage(parts: &[&str], directory: &Path) -> Sandbox {
    let sandbox = Sandbox::new();
    let directory = directory.display().to_string();
    let made = fixture("base");
    let (base, test_base) = (format!("BASE={BASE}"), format!("TEST_BASE={}", made["BASE_DEBIAN"]));
    let building = turn();
    for part in parts {
        let image = sandbox.image(part);
        let image = image.as_str();
        let arguments = ["--build-arg", &base, "--build-arg", &test_base, &directory];
        sandbox
            .has_built(&docker(&[&["build", "-q", "-t", image, "--target", part], &arguments[..]].concat()));
    }
    drop(building);
    let network = sandbox.name("network");
    docker(&["network", "create", &network]);
    let start = |part: &str, flags: &[&str]| {
        let (name, image) = (sandbox.name(part), sandbox.image(part));
        docker(&[&["run", "-d", "--name", &name], flags, &[&image]].concat());
    };
    start("shop", &["--network", &network, "--network-alias", "shop"]);
    start("pager", &["-p", "127.0.0.1::80"]);
    sandbox
}

/// Makes the container that is watched, and gives the filter that finds it alone.
fn labelled(sandbox: &Sandbox, part: &str, flags: &[&str]) -> String {
    let (name, image, network) = (sandbox.name(part), sandbox.image(part), sandbox.name("network"));
    let example = format!("example={}", sandbox.name("probe"));
    let mut words = vec!["create", "--name", &name, "--network", &network];
    let labels = [&example, "test.name=example.integration", "test.schedule=R//PT5S", "test.splay=0s"];
    words.extend(labels.iter().flat_map(|label| ["--label", label]));
    words.extend(flags);
    words.push(&image);
    docker(&words);
    format!("label={example}")
}

/// The tags and resources of a series as one text.
fn marks(series: &Value) -> String {
    format!("{} {}", series["tags"], series["resources"])
}

/// One page and one resolve of it, under one key.
#[track_caller]
fn assert_told_once(scene: &Scene) {
    let pages = scene.pages();
    let actions: Vec<&str> = pages.iter().map(|page| page["event_action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["trigger", "resolve"], "{}", scene.said());
    assert_eq!(pages[0]["dedup_key"], pages[1]["dedup_key"]);
    assert!(pages[0]["dedup_key"].as_str().is_some_and(|key| !key.is_empty()));
}

/// Metrics name what is tested, keys are not shown, and the container is as it was made.
#[track_caller]
fn assert_kept(scene: &Scene, part: &str) {
    let metric = |name: &str| scene.metric(&format!("example.integration.{name}"));
    for series in metric("failure").iter().chain(&metric("success")) {
        assert!(marks(series).contains("staging"), "{series}");
    }
    assert!(!scene.said().contains(KEY), "{}", scene.said());
    let state = docker(&["inspect", "-f", "{{.State.Status}}", &scene.sandbox.name(part)]);
    assert_eq!(state.trim(), "created", "the original was started");
}

#[test]
fn a_shop_that_stops_is_paged_of_once_and_resolved_when_it_is_back() {
    let scene = Scene::begin();
    let shop = scene.sandbox.name("shop");
    scene.until_it_says("example.integration passed", 1);
    scene.until("metric of success", || !scene.metric("example.integration.success").is_empty());
    assert_eq!(scene.pages(), Vec::<Value>::new());
    docker(&["stop", &shop]);
    scene.until_it_says("example.integration failed", 2);
    scene.until("page", || !scene.pages().is_empty());
    docker(&["start", &shop]);
    scene.until("resolve", || scene.pages().len() >= 2);
    // One run more: nothing is told again.
    let passed = scene.said().matches("example.integration passed").count();
    scene.until_it_says("example.integration passed", passed + 1);
    assert_told_once(&scene);
    let failures = || scene.metric("example.integration.failure");
    scene.until("metrics of two attempts in two runs", || failures().len() >= 4);
    assert_kept(&scene, "test");
}

#[test]
fn the_harness_in_the_tests_container_pages_once_and_resolves_without_a_key_outside() {
    let mut scene = Scene::begin_with_the_harness_inside();
    let shop = scene.sandbox.name("shop");
    scene.until_it_says("example.integration passed", 1);
    assert_eq!(scene.pages(), Vec::<Value>::new());
    docker(&["stop", &shop]);
    scene.until_it_says("example.integration failed", 3);
    docker(&["start", &shop]);
    scene.until("resolve", || scene.pages().len() >= 2);
    // One run more: nothing is told again.
    let passed = scene.said().matches("example.integration passed").count();
    scene.until_it_says("example.integration passed", passed + 1);
    scene.end();
    assert_told_once(&scene);
    assert_kept(&scene, "integration");

    let runs = scene.runs();
    let of = |verdict: &str| -> Vec<&Value> { runs.iter().filter(|run| run["verdict"] == verdict).collect() };
    let (failed, passed) = (of("failed"), of("passed"));
    assert!(!format!("{runs:?}").contains(KEY), "{runs:?}");
    assert_eq!(failed.len() + passed.len(), runs.len(), "{runs:?}");
    let output = |run: &Value| run["run"]["attempts"][0]["output"].as_str().unwrap().to_owned();
    for run in &failed {
        let output = output(run);
        for line in ["attempt 1 of 2", "attempt 2 of 2", "failed: 2 of 2 attempts"] {
            assert!(output.contains(&format!("example.integration: {line}")), "no {line}: {output}");
        }
        assert_eq!(output.matches("cleaned up").count(), 2, "{output}");
        assert!(!output.contains("mkdir"), "the second attempt found what the first one left: {output}");
    }
    // Each run has waited until the stand-in had taken what it sent.
    let failures = scene.metric("example.integration.failure").len();
    assert!(failures >= 2 * failed.len(), "{failures} of {} runs", failed.len());
    assert!(!scene.metric("example.integration.success").is_empty());
    assert_eq!(scene.sandbox.leftovers(), Vec::<String>::new());
}
