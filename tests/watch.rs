//! The daemon as a process, beside servers on loopback that answer as the vendors do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the place")]

#[path = "fixtures/vendor.rs"]
#[expect(dead_code, reason = "other tests take more of it")]
mod vendor;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use vendor::{Request, Vendor};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const API_KEY: &str = "fedcba9876543210fedcba9876543210";
const PATIENCE: Duration = Duration::from_mins(1);

/// A directory with a docker-test.yaml, and the vendors that its daemon tells.
struct Scene {
    directory: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Scene {
    fn new(file: &str) -> Self {
        let scene = Self { directory: tempfile::tempdir().unwrap(), variables: Vec::new() };
        scene.write(file);
        scene
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn write(&self, file: &str) {
        // As an editor does it: another file in its place.
        let new = self.path().join("new");
        std::fs::write(&new, file).unwrap();
        std::fs::rename(new, self.path().join("docker-test.yaml")).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_docker-test"));
        command
            .args(["watch", "--no-labels"])
            .args(words)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path())
            .env("DOCKER_TEST_STATE_DIR", self.path().join("state"))
            .envs(self.variables.iter().map(|(name, value)| (*name, value.as_str())))
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    fn begin(&self, words: &[&str]) -> Daemon {
        let log = self.path().join("log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child = self.command(words).stderr(file).stdout(Stdio::null()).spawn().unwrap();
        Daemon { child, log }
    }
}

/// A daemon that is at work.
struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    #[track_caller]
    fn until_it_says(&self, text: &str, times: usize) {
        until(text, || self.said().matches(text).count() >= times, || self.said());
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    #[track_caller]
    fn ends(mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool, tell: impl Fn() -> String) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "no {what}: {}", tell());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}\n{}", text(&output.stdout), text(&output.stderr));
}

fn actions(requests: &[Request]) -> Vec<String> {
    let of = |request: &Request| request.json()["event_action"].as_str().unwrap_or_default().to_owned();
    requests.iter().filter(|request| request.line.contains("/v2/enqueue")).map(of).collect()
}

#[test]
fn a_service_that_dies_pages_once_though_the_daemon_is_killed_and_resolves_when_it_is_back() {
    let pagerduty = Vendor::start(202);
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = service.local_addr().unwrap();
    let file = format!(
        "version: 1\nprobes:\n  shop.tcp: {{ tcp: '{address}', schedule: R//PT1S, attempts: 1, host: staging }}\n"
    );
    let mut scene = Scene::new(&file);
    scene.variables = vec![("PAGERDUTY_ROUTING_KEY", KEY.to_owned()), ("PAGERDUTY_URL", pagerduty.url())];
    let daemon = scene.begin(&["--verbose"]);
    daemon.until_it_says("shop.tcp passed", 2);
    drop(service);
    daemon.until_it_says("shop.tcp failed", 2);
    until("page", || actions(&pagerduty.seen()) == ["trigger"], || format!("{:?}", pagerduty.seen()));
    assert_eq!(daemon.ends(Signal::SIGKILL), None);
    let failed =
        std::fs::read_to_string(scene.path().join("log")).unwrap().matches("shop.tcp failed").count();
    let daemon = scene.begin(&["--verbose"]);
    daemon.until_it_says("shop.tcp failed", failed + 2);
    let service = TcpListener::bind(address).unwrap();
    daemon.until_it_says("[resolved: all sinks]", 1);
    until("resolve", || actions(&pagerduty.seen()).len() == 2, || format!("{:?}", pagerduty.seen()));
    drop(service);
    assert_eq!(actions(&pagerduty.seen()), ["trigger", "resolve"]);
    let keys: Vec<Value> =
        pagerduty.seen().iter().map(|request| request.json()["dedup_key"].clone()).collect();
    assert_eq!(keys[0], keys[1]);
    assert!(!daemon.said().contains(KEY), "{}", daemon.said());
    assert_eq!(daemon.ends(Signal::SIGTERM), Some(0), "it was asked to end");
}

#[test]
fn a_configuration_is_read_again_when_it_changes_and_a_bad_one_leaves_the_old_one_in_place() {
    let probe = |name: &str| format!("  {name}: {{ command: 'true', schedule: R//PT1S }}\n");
    let scene = Scene::new(&format!("version: 1\nprobes:\n{}", probe("one")));
    let daemon = scene.begin(&["--verbose"]);
    daemon.until_it_says("one passed", 1);
    scene.write("version: 1\nprobes:\n  one: { comand: 'true' }\n");
    daemon.until_it_says("the configuration cannot be used, and the one before stays", 1);
    assert!(daemon.said().contains("docker-test.yaml:3:10"), "{}", daemon.said());
    let passed = daemon.said().matches("one passed").count();
    daemon.until_it_says("one passed", passed + 1);
    scene.write(&format!("version: 1\nprobes:\n{}{}", probe("one"), probe("two")));
    daemon.until_it_says("two passed", 1);
    let read = daemon.said().matches("was read again").count();
    daemon.signal(Signal::SIGHUP);
    daemon.until_it_says("was read again", read + 1);
    scene.write(&format!("version: 1\nprobes:\n{}", probe("two")));
    daemon.until_it_says("watching 1 probe", 2);
    // A file that is away for a moment is no reason to forget what is open.
    let (file, away) = (scene.path().join("docker-test.yaml"), scene.path().join("away"));
    std::fs::rename(&file, &away).unwrap();
    daemon.until_it_says("is not there, and the configuration before stays", 1);
    let passed = daemon.said().matches("two passed").count();
    daemon.until_it_says("two passed", passed + 1);
    std::fs::rename(&away, &file).unwrap();
    assert_eq!(daemon.ends(Signal::SIGINT), Some(0));
}

#[test]
fn once_runs_what_is_due_and_passes_the_verdict_on() {
    let datadog = Vendor::start(202);
    let mut scene = Scene::new(
        "version: 1\nprobes:\n  good: { command: 'true', schedule: R//PT1H, host: a }\n  \
         later: { command: 'false', schedule: '0 0 1 1 *', host: a }\n",
    );
    scene.variables = vec![("DD_API_KEY", API_KEY.to_owned()), ("DD_URL", datadog.url())];
    assert_code(&scene.run(&["--once"]), 0);
    let series = datadog.take("/api/v2/series");
    assert!(series.iter().any(|request| request.body.contains("good.success")), "{series:?}");
    let second = scene.run(&["--once", "--verbose"]);
    assert_code(&second, 0);
    assert!(
        !text(&second.stderr).contains("good passed"),
        "it is due once an hour: {}",
        text(&second.stderr)
    );
    scene.write("version: 1\nprobes:\n  bad: { command: 'false', schedule: R//PT1H, attempts: 1 }\n");
    let failed = scene.run(&["--once", "--format", "json"]);
    assert_code(&failed, 1);
    let events: Vec<Value> =
        text(&failed.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        events.iter().any(|event| event["event"] == "ended" && event["verdict"] == "failed"),
        "{events:?}"
    );
    scene.write(
        "version: 1\nprobes:\n  odd: { command: [/no/such/program], schedule: R//PT1H, attempts: 1 }\n",
    );
    assert_code(&scene.run(&["--once"]), 125);
}

#[test]
fn two_daemons_do_not_share_a_state_directory() {
    let scene = Scene::new("version: 1\nprobes:\n  one: { command: 'true', schedule: R//PT1H }\n");
    let daemon = scene.begin(&[]);
    daemon.until_it_says("watching 1 probe", 1);
    let second = scene.run(&["--once"]);
    assert_code(&second, 125);
    assert!(text(&second.stderr).contains("another docker-test watch works in"), "{}", text(&second.stderr));
    // However it ends, the next one can begin.
    assert_eq!(daemon.ends(Signal::SIGKILL), None);
    assert_code(&scene.run(&["--once"]), 0);
}

#[test]
fn what_would_be_watched_is_shown_without_running_anything() {
    let scene = Scene::new(
        "version: 1\nprobes:\n  a: { command: 'touch ran', schedule: R/2020-01-01T00:00:00Z/PT1H }\n  \
         b: { tcp: 'x:1', on: deploy, type: security }\n",
    );
    let shown = scene.run(&["--dry-run"]);
    assert_code(&shown, 0);
    let shown = text(&shown.stdout);
    assert!(shown.contains("R/2020-01-01T00:00:00Z/PT1H") && shown.contains("deploy"), "{shown}");
    let json = scene.run(&["--dry-run", "--format", "json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json[0]["name"], &json[1]["type"]), (&"a".into(), &"security".into()));
    assert!(!scene.path().join("ran").exists());
}

#[test]
fn nothing_to_watch_is_refused() {
    let scene = Scene::new("version: 1\n");
    for _ in 0..2 {
        let nothing = scene.run(&["--once"]);
        assert_code(&nothing, 125);
        assert!(text(&nothing.stderr).contains("nothing to watch"), "{}", text(&nothing.stderr));
        let _gone = std::fs::remove_file(scene.path().join("docker-test.yaml"));
    }
}
