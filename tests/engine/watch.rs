//! `docker-test watch` on a real engine: probes from labels, runs upon a deployment, and nothing left behind.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{BASE, Sandbox, docker};

const PATIENCE: Duration = Duration::from_mins(2);

/// A daemon that watches what bears this sandbox's label, and nothing of other tests.
struct Watching<'a> {
    sandbox: &'a Sandbox,
    child: Child,
}

impl<'a> Watching<'a> {
    fn begin(sandbox: &'a Sandbox, words: &[&str]) -> Self {
        let log = File::create(sandbox.path().join("log")).unwrap();
        let filter = format!("label=case={}", sandbox.name("case"));
        let words = [&["watch", "--verbose", "--filter", &filter], words].concat();
        let child = sandbox.command(&words).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Self { sandbox, child }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.sandbox.path().join("log")).unwrap()
    }

    #[track_caller]
    fn until_it_says(&self, text: &str, times: usize) {
        let begun = Instant::now();
        while self.said().matches(text).count() < times {
            assert!(begun.elapsed() < PATIENCE, "no {text:?}: {}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[track_caller]
    fn ends(mut self) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{}", self.said());
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Containers that go with the test.
struct Containers(Vec<String>);

impl Drop for Containers {
    fn drop(&mut self) {
        for name in &self.0 {
            let _gone = Command::new("docker").args(["rm", "-fv", name]).output();
        }
    }
}

fn remains(sandbox: &Sandbox) -> String {
    let label = format!("label=case={}", sandbox.name("case"));
    docker(&["ps", "-a", "--filter", &label, "--filter", "label=docker-test.run", "--format", "{{.Names}}"])
}

#[test]
fn a_labelled_image_is_tested_on_its_schedule_and_again_upon_a_deployment() {
    let sandbox = Sandbox::new();
    let case = sandbox.name("case");
    let image = sandbox.docker_build(
        "probe",
        &format!(
            "FROM {BASE}\nLABEL case={case} test.schedule=R//PT1H test.splay=0s test.name={case}.image \
             test.on=deploy={case}-* test.retries=0 test.cmd='[\"sh\", \"-c\", \"exit 0\"]'\n"
        ),
    );
    let service = format!("{case}-web");
    let _containers = Containers(vec![service.clone()]);
    let watching = Watching::begin(&sandbox, &[]);
    watching.until_it_says("image passed", 1);
    docker(&[
        "run",
        "-d",
        "--name",
        &service,
        "--label",
        &format!("com.docker.compose.service={service}"),
        BASE,
        "sleep",
        "300",
    ]);
    watching.until_it_says("image passed", 2);
    // Its own containers and images are no occurrences: nothing runs again.
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(watching.said().matches("image begins").count(), 2, "{}", watching.said());
    watching.ends();
    assert_eq!(remains(&sandbox), "");
    drop(image);
}

#[test]
fn a_labelled_container_is_run_again_as_a_test_and_left_as_it_was() {
    let sandbox = Sandbox::new();
    let case = sandbox.name("case");
    let name = sandbox.name("test");
    let _containers = Containers(vec![name.clone()]);
    docker(&[
        "create",
        "--name",
        &name,
        "--label",
        &format!("case={case}"),
        "--label",
        "test.type=integration",
        "--label",
        "test.schedule=R//PT1H",
        "--label",
        "test.splay=0s",
        "--label",
        "test.retries=0",
        "-e",
        "ANSWER=43",
        BASE,
        "sh",
        "-c",
        "test $ANSWER = 42",
    ]);
    let ran = sandbox.run(&["watch", "--once", "--verbose", "--filter", &format!("label=case={case}")]);
    ran.assert_code(1);
    assert!(ran.stderr.contains("failed in"), "{}", ran.stderr);
    let state = docker(&["inspect", "-f", "{{.State.Status}}", &name]);
    assert_eq!(state.trim(), "created", "the original was started");
    assert_eq!(remains(&sandbox), "");
    let again =
        sandbox.expect(0, &["watch", "--once", "--verbose", "--filter", &format!("label=case={case}")]);
    assert!(!again.stderr.contains("failed in"), "it is due once an hour: {}", again.stderr);
}

#[test]
fn a_daemon_that_is_told_to_end_stops_the_test_that_it_runs_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    let case = sandbox.name("case");
    sandbox.docker_build(
        "slow",
        &format!(
            "FROM {BASE}\nLABEL case={case} test.schedule=R//PT1H test.splay=0s test.name={case}.slow \
             test.cmd='[\"sleep\", \"300\"]'\n"
        ),
    );
    let watching = Watching::begin(&sandbox, &[]);
    watching.until_it_says("slow begins", 1);
    let begun = Instant::now();
    while remains(&sandbox).is_empty() {
        assert!(begun.elapsed() < PATIENCE, "no container: {}", watching.said());
        std::thread::sleep(Duration::from_millis(100));
    }
    watching.ends();
    assert_eq!(remains(&sandbox), "");
}
