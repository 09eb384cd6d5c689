//! Whose something is that bears our labels: what docker-test made, and what users made of it.

use nix::sys::signal::Signal;

use crate::crash::{docker_at, exists, own_engine};
use crate::live::{Live, plain, run_ids, script};
use crate::support::{BASE, Sandbox, docker};

#[test]
fn a_container_of_an_image_that_a_user_committed_of_ours_is_the_users() {
    let (engine, sandbox) = own_engine("committed");
    let host = engine.value("DOCKERD_HOST");
    let ran = sandbox.expect(0, &script(&["--keep", "always"], BASE, "true"));
    let run = run_ids(&ran.stderr).pop().unwrap();
    let kept = format!("docker-test-kept-{run}");
    docker_at(host, &["commit", "-c", "LABEL docker-test.deadline=1", &kept, "mine:1"]);
    docker_at(host, &["run", "-d", "--name", "users", "-v", "/data", "mine:1", "sleep", "300"]);
    // To somebody else it is a container of a run without a journal, and past its deadline.
    let mut other = Sandbox::new();
    other.set("DOCKER_HOST", host);
    other.expect(0, &script(&[], BASE, "true"));
    other.expect(0, &["prune"]);
    sandbox.expect(0, &["prune", "--dry-run", &run]).assert_stdout(&kept);
    sandbox.expect(0, &["prune", &run]);
    sandbox.expect(0, &["prune"]);
    assert!(!exists(host, &kept));
    assert_eq!(docker_at(host, &["inspect", "-f", "{{.State.Running}}", "users"]).trim(), "true");
    // Nothing of that run is left to be named.
    sandbox.expect(125, &["prune", &run]).assert_stderr("there is no run");
}

#[test]
fn a_kept_container_of_another_state_directory_goes_by_prune() {
    let (engine, sandbox) = own_engine("keptother");
    let host = engine.value("DOCKERD_HOST");
    let ran = sandbox.expect(0, &script(&["--keep", "always", "--name", "own"], BASE, "true"));
    let kept = format!("docker-test-kept-{}", run_ids(&ran.stderr).pop().unwrap());
    assert!(exists(host, &kept));
    let mut other = Sandbox::new();
    other.set("DOCKER_HOST", host);
    other.expect(0, &["prune"]).assert_stdout(&kept);
    assert!(!exists(host, &kept));
}

#[test]
fn the_results_volume_says_what_it_is() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let live = Live::start(sandbox.command(&script(&[], &image, "echo up; sleep 60")));
    live.prints("up");
    let run = run_ids(&live.stderr()).pop().unwrap();
    let filter = format!("label=docker-test.run={run}");
    let format = "{{.Label \"docker-test.role\"}} {{.Label \"docker-test.container\"}}";
    let volume = docker(&["volume", "ls", "--filter", &filter, "--format", format]);
    let container = docker(&["ps", "--filter", &filter, "--format", &format!("{{{{.Names}}}} {format}")]);
    live.signal(Signal::SIGTERM);
    live.finish();
    assert_eq!(volume.trim(), "volume");
    let name = format!("docker-test-{run}-1");
    assert_eq!(container.trim(), format!("{name} test-container {name}"));
}
