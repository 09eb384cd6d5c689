//! The harness and the daemon with their state on a disk that is full: a small file system of its own, which is filled
//! while they are at work, beside a server on loopback that is paged.
//!
//! To mount one needs root. Where the scripts have said that there is none (`FIXTURES_MISSING`), nothing is shown.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the place")]

#[path = "fixtures/daemon.rs"]
mod daemon;
#[path = "fixtures/vendor.rs"]
#[expect(dead_code, reason = "other tests take more of it")]
mod vendor;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use daemon::{Daemon, until};
use serde_json::Value;
use vendor::Vendor;

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A file system of a megabyte. It is unmounted when this is dropped, and whoever comes next does it otherwise.
struct Disk {
    name: &'static str,
    path: PathBuf,
}

impl Disk {
    /// `None` where none can be mounted.
    fn up(name: &'static str) -> Option<Self> {
        let missing = std::env::var("FIXTURES_MISSING").unwrap_or_default();
        if missing.split(' ').any(|name| name == "disk") {
            return None;
        }
        let mut disk = Self { name, path: PathBuf::new() };
        // One that a killed test has left is full.
        disk.fixture(&["down"]);
        let made = disk.fixture(&["up", "--size", "1m"]);
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(made.status.success(), "FIXTURES_MISSING=disk does without it: {said}");
        let made = text(&made.stdout);
        disk.path = made.lines().find_map(|line| line.strip_prefix("DISK_PATH=")).unwrap().into();
        Some(disk)
    }

    fn fixture(&self, words: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/fixture");
        Command::new(script).arg(self.name).args(words).output().unwrap()
    }

    /// Not a byte more fits.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.path.join("filler")).unwrap();
        let mut piece = 64 << 10;
        while piece > 0 {
            // A part of it may be written.
            match file.write(&vec![0x5a; piece]) {
                Ok(written) if written > 0 => {}
                _ => piece /= 2,
            }
        }
        let full = std::fs::write(self.path.join("more"), [0; 4096]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
        std::fs::remove_file(self.path.join("more")).unwrap();
    }

    fn empty(&self) {
        std::fs::remove_file(self.path.join("filler")).unwrap();
    }

    fn state(&self) -> PathBuf {
        self.path.join("state")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let gone = self.fixture(&["down"]);
        assert!(gone.status.success() || std::thread::panicking(), "{gone:?}");
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What was done to incidents, and to which.
fn told(pagerduty: &Vendor) -> Vec<(String, String)> {
    let told = pagerduty.seen().into_iter().map(|request| {
        let event = request.json();
        let field = |name: &str| event[name].as_str().unwrap().to_owned();
        (field("event_action"), field("dedup_key"))
    });
    told.collect()
}

fn actions(pagerduty: &Vendor) -> Vec<String> {
    told(pagerduty).into_iter().map(|(action, _)| action).collect()
}

/// A probe that passes where a file is, its daemon, and whoever that pages. The state alone is on the disk.
struct Scene {
    directory: tempfile::TempDir,
    pagerduty: Vendor,
    state: PathBuf,
}

impl Scene {
    fn new(disk: &Disk) -> Self {
        let scene = Self {
            directory: tempfile::tempdir().unwrap(),
            pagerduty: Vendor::start(202),
            state: disk.state(),
        };
        let file = "version: 1\nprobes:\n  shop: { command: 'test -e up', schedule: R//PT1S, attempts: 1, host: staging }\n";
        std::fs::write(scene.path().join("docker-test.yaml"), file).unwrap();
        scene
    }

    /// A probe that has failed, and was told of, since the disk was filled.
    fn of_a_trouble(disk: &Disk) -> (Self, Daemon) {
        let scene = Self::new(disk);
        scene.set_up(true);
        let daemon = scene.watch();
        daemon.until_more("shop passed", 2);
        disk.fill();
        daemon.until_it_says("the store fails", 1);
        scene.set_up(false);
        scene.until_told(&["trigger"]);
        (scene, daemon)
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn set_up(&self, is_up: bool) {
        let file = self.path().join("up");
        if is_up {
            std::fs::write(file, "").unwrap();
        } else {
            std::fs::remove_file(file).unwrap();
        }
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(words)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path())
            .env("DOCKER_TEST_STATE_DIR", &self.state)
            .env("PAGERDUTY_ROUTING_KEY", KEY)
            .env("PAGERDUTY_URL", self.pagerduty.url())
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    fn watch(&self) -> Daemon {
        let log = self.path().join("log");
        let file = File::create(&log).unwrap();
        let words = ["watch", "--no-labels", "--verbose", "--listen", "127.0.0.1:0"];
        let mut command = self.command(env!("CARGO_BIN_EXE_docker-test"), &words);
        let child = command.stderr(file).stdout(Stdio::null()).spawn().unwrap();
        let daemon = Daemon { child, log };
        daemon.until_it_says("the status page is at http://", 1);
        daemon
    }

    /// Tries the probe once, by the harness.
    fn harness(&self) -> Output {
        let words = ["--name", "shop", "--attempts", "1", "--host", "staging", "--", "test", "-e", "up"];
        self.command(env!("CARGO_BIN_EXE_docker-test-harness"), &words).output().unwrap()
    }

    #[track_caller]
    fn until_told(&self, expected: &[&str]) {
        let is_told = || actions(&self.pagerduty).len() >= expected.len();
        until("page", is_told, || format!("{:?}", told(&self.pagerduty)));
        assert_eq!(actions(&self.pagerduty), expected);
    }
}

impl Daemon {
    /// So many runs more with this end.
    #[track_caller]
    fn until_more(&self, end: &str, runs: usize) {
        self.until_it_says(end, self.said().matches(end).count() + runs);
    }

    fn get(&self, path: &str) -> Value {
        let said = self.said();
        let address = said.split("the status page is at http://").nth(1).unwrap();
        let address = address.split('/').next().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// What the sinks have taken is known to be so in the store, too.
    #[track_caller]
    fn until_nothing_waits(&self) {
        let outbox = || self.get("/api/v1/outbox");
        let is_empty = || outbox()["sinks"].as_array().unwrap().iter().all(|sink| sink["waiting"] == 0);
        until("empty outbox", is_empty, || outbox().to_string());
    }

    fn problems(&self) -> Vec<String> {
        serde_json::from_value(self.get("/api/v1/status")["problems"].clone()).unwrap()
    }
}

#[test]
fn a_watch_whose_disk_fills_up_goes_on_pages_once_and_resolves_once() {
    let Some(disk) = Disk::up("disk@watch") else { return };
    let scene = Scene::new(&disk);
    scene.set_up(true);
    let daemon = scene.watch();
    daemon.until_more("shop passed", 2);
    assert_eq!(daemon.problems(), [""; 0]);

    disk.fill();
    // What the log of the store has room for is not lost either.
    daemon.until_it_says("the store fails", 1);
    scene.set_up(false);
    scene.until_told(&["trigger"]);
    daemon.until_more("shop failed", 3);
    let problems = daemon.problems();
    assert!(problems.iter().any(|problem| problem.contains("the store fails")), "{problems:?}");
    assert_eq!(actions(&scene.pagerduty), ["trigger"]);

    scene.set_up(true);
    scene.until_told(&["trigger", "resolve"]);
    daemon.until_more("shop passed", 2);
    let told = told(&scene.pagerduty);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0].1, told[1].1, "the same incident");
}

#[test]
fn a_watch_that_has_room_again_uses_its_store_and_pages_nobody_anew() {
    let Some(disk) = Disk::up("disk@room") else { return };
    let (scene, daemon) = Scene::of_a_trouble(&disk);

    disk.empty();
    until("end of the trouble", || daemon.problems().is_empty(), || format!("{:?}", daemon.problems()));
    daemon.until_more("shop failed", 3);
    assert_eq!(actions(&scene.pagerduty), ["trigger"], "it is known that it is open");
    let runs = daemon.get("/api/v1/probes/shop/runs");
    let newest = &runs["runs"][0];
    assert_eq!(newest["verdict"], "failed", "it is stored again: {runs}");

    // What is open is in the store, and nowhere else.
    drop(daemon);
    let daemon = scene.watch();
    daemon.until_more("shop failed", 2);
    assert_eq!(actions(&scene.pagerduty), ["trigger"]);
    scene.set_up(true);
    scene.until_told(&["trigger", "resolve"]);
    daemon.until_more("shop passed", 2);
    assert_eq!(actions(&scene.pagerduty), ["trigger", "resolve"]);
}

#[test]
fn a_second_time_without_room_goes_on_from_what_was_open_before_it() {
    let Some(disk) = Disk::up("disk@twice") else { return };
    let (scene, daemon) = Scene::of_a_trouble(&disk);
    scene.set_up(true);
    scene.until_told(&["trigger", "resolve"]);
    disk.empty();
    until("end of the trouble", || daemon.problems().is_empty(), || format!("{:?}", daemon.problems()));
    daemon.until_more("shop passed", 2);

    // What memory knew of the first time is older now.
    scene.set_up(false);
    scene.until_told(&["trigger", "resolve", "trigger"]);
    // One whose answer is not stored when the disk fills is told once more, under its key.
    daemon.until_nothing_waits();
    disk.fill();
    daemon.until_more("the store fails", 1);
    daemon.until_more("shop failed", 3);
    assert_eq!(actions(&scene.pagerduty), ["trigger", "resolve", "trigger"]);
}

#[test]
fn a_harness_whose_disk_is_full_pages_and_resolves_and_uses_its_store_again() {
    let Some(disk) = Disk::up("disk@harness") else { return };
    let scene = Scene::new(&disk);
    scene.set_up(true);
    assert_eq!(scene.harness().status.code(), Some(0));
    // Its state is new: what an earlier one may have left open is resolved.
    let first = scene.pagerduty.take("/v2/enqueue");
    assert!(!first.is_empty() && first.iter().all(|told| told.json()["event_action"] == "resolve"));

    disk.fill();
    scene.set_up(false);
    let failed = scene.harness();
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stderr).contains("goes on without"), "{}", text(&failed.stderr));
    assert_eq!(actions(&scene.pagerduty), ["trigger"]);
    scene.set_up(true);
    let passed = scene.harness();
    assert_eq!(passed.status.code(), Some(0));
    assert!(text(&passed.stderr).contains("goes on without"), "{}", text(&passed.stderr));
    let all = told(&scene.pagerduty);
    assert!(all.len() > 1 && all[1..].iter().all(|(action, _)| action == "resolve"), "{all:?}");
    assert!(all.contains(&("resolve".to_owned(), all[0].1.clone())), "{all:?}");

    disk.empty();
    // Nobody knows what was told meanwhile: one pass more resolves what may be open.
    let passed = scene.harness();
    assert_eq!((passed.status.code(), text(&passed.stderr).as_str()), (Some(0), ""));
    let before = actions(&scene.pagerduty).len();
    assert_eq!(scene.harness().status.code(), Some(0));
    assert_eq!(actions(&scene.pagerduty).len(), before, "the store is used again");
    assert_eq!(actions(&scene.pagerduty).iter().filter(|action| *action == "trigger").count(), 1);
    scene.set_up(false);
    for _ in 0..2 {
        assert_eq!(scene.harness().status.code(), Some(1));
    }
    assert_eq!(actions(&scene.pagerduty).iter().filter(|action| *action == "trigger").count(), 2);
}
