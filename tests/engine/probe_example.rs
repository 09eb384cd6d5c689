//! examples/probe as its README tells it: a shop that stops is paged of once, and resolved when it is back.

use std::fs::File;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::fixture::fixture;
use crate::support::{BASE, Sandbox, docker, repository};

const PATIENCE: Duration = Duration::from_mins(3);
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// The example under names of a sandbox, and its daemon.
struct Scene {
    sandbox: Sandbox,
    daemon: Child,
}

impl Scene {
    fn begin() -> Self {
        let sandbox = Sandbox::new();
        let directory = repository("examples/probe").display().to_string();
        let made = fixture("base");
        let (base, test_base) = (format!("BASE={BASE}"), format!("TEST_BASE={}", made["BASE_DEBIAN"]));
        for part in ["shop", "test", "pager"] {
            let image = sandbox.image(part);
            let image = image.as_str();
            let arguments = ["--build-arg", &base, "--build-arg", &test_base, &directory];
            docker(&[&["build", "-q", "-t", image, "--target", part], &arguments[..]].concat());
        }
        let network = sandbox.name("network");
        docker(&["network", "create", &network]);
        let start = |part: &str, flags: &[&str]| {
            let (name, image) = (sandbox.name(part), sandbox.image(part));
            docker(&[&["run", "-d", "--name", &name], flags, &[&image]].concat());
        };
        start("shop", &["--network", &network, "--network-alias", "shop"]);
        start("pager", &["-p", "127.0.0.1::80"]);
        let example = format!("example={}", sandbox.name("probe"));
        let (name, image) = (sandbox.name("test"), sandbox.image("test"));
        let mut words = vec!["create", "--name", &name, "--network", &network];
        let labels = [
            example.as_str(),
            "test.name=example.integration",
            "test.host=staging",
            "test.schedule=R//PT5S",
            "test.splay=0s",
        ];
        words.extend(labels.iter().flat_map(|label| ["--label", label]));
        words.push(&image);
        docker(&words);
        let published = docker(&["port", &sandbox.name("pager"), "80"]);
        let address = format!("http://{}/cgi-bin/receive", published.lines().next().unwrap());
        let log = File::create(sandbox.path().join("log")).unwrap();
        let daemon = sandbox
            .command(&["watch", "--verbose", "--filter", &format!("label={example}")])
            .envs([("PAGERDUTY_ROUTING_KEY", KEY), ("PAGERDUTY_URL", &address)])
            .envs([("DD_API_KEY", KEY), ("DD_URL", &address)])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { sandbox, daemon }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.sandbox.path().join("log")).unwrap()
    }

    /// What has arrived at a path of the stand-in.
    fn received(&self, path: &str) -> Vec<Value> {
        let log = docker(&["logs", &self.sandbox.name("pager")]);
        let lines = log.lines().filter_map(|line| line.split_once(' '));
        lines.filter(|(to, _)| *to == path).map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
    }

    fn pages(&self) -> Vec<Value> {
        self.received("/v2/enqueue")
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
        // Asked to end, it removes what its run has made.
        let _ended = kill(Pid::from_raw(self.daemon.id().cast_signed()), Signal::SIGTERM);
        let _ended = self.daemon.wait();
    }
}

/// The tags and resources of a series as one text.
fn marks(series: &Value) -> String {
    format!("{} {}", series["tags"], series["resources"])
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
    let pages = scene.pages();
    let actions: Vec<&str> = pages.iter().map(|page| page["event_action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["trigger", "resolve"], "{}", scene.said());
    assert_eq!(pages[0]["dedup_key"], pages[1]["dedup_key"]);
    assert!(pages[0]["dedup_key"].as_str().is_some_and(|key| !key.is_empty()));
    let failures = || scene.metric("example.integration.failure");
    scene.until("metrics of two attempts in two runs", || failures().len() >= 4);
    for series in failures().iter().chain(&scene.metric("example.integration.success")) {
        assert!(marks(series).contains("staging"), "{series}");
    }
    assert!(!scene.said().contains(KEY), "{}", scene.said());
    let state = docker(&["inspect", "-f", "{{.State.Status}}", &scene.sandbox.name("test")]);
    assert_eq!(state.trim(), "created", "the original was started");
}
