//! Whose something is that bears our labels: what docker-test made, and what users made of it.

use nix::sys::signal::Signal;

use crate::crash::{docker_at, exists, forge, now, own_engine};
use crate::live::{Live, plain, run_ids, script};
use crate::prune::{only_run, refuse};
use crate::support::{BASE, Sandbox, docker};

const OTHER_HOST: &str = "11111111-2222-3333-4444-555555555555/4026531836/1/1";

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
fn what_a_run_without_a_journal_here_left_may_be_results_that_wait_and_goes_by_prune_alone() {
    let (engine, sandbox) = own_engine("waiting");
    let host = engine.value("DOCKERD_HOST");
    forge(host, "overdue", OTHER_HOST, now() - 10);
    sandbox.expect(0, &script(&[], BASE, "true"));
    assert!(exists(host, "overdue"));
    sandbox.expect(0, &["prune"]).assert_stdout("overdue");
    assert!(!exists(host, "overdue"));
}

#[test]
fn a_users_image_without_a_name_that_stands_on_a_test_image_is_not_taken_for_a_superseded_one() {
    let (engine, sandbox) = own_engine("standing");
    let host = engine.value("DOCKERD_HOST");
    let id = |name: &str| docker_at(host, &["images", "-q", "--no-trunc", name]).trim().to_owned();
    let is_there =
        |id: &str| docker_at(host, &["images", "-aq", "--no-trunc"]).lines().any(|line| line == id);
    docker_at(host, &["tag", BASE, "stood:1"]);
    let ran = sandbox.expect(0, &["--keep", "always", "stood:1", "--", "true"]);
    let kept = format!("docker-test-kept-{}", run_ids(&ran.stderr).pop().unwrap());
    // The kept container holds the test image that is replaced now.
    let superseded = id("stood:1-test");
    sandbox.expect(0, &["--no-cache", "--build-label", "a=b", "stood:1", "--", "true"]);
    assert_ne!(id("stood:1-test"), superseded);
    assert!(is_there(&superseded));
    docker_at(host, &["create", "--name", "seed", "stood:1-test", "true"]);
    let users = docker_at(host, &["commit", "-c", "LABEL users=yes", "seed"]).trim().to_owned();
    docker_at(host, &["rm", "seed"]);
    docker_at(host, &["rm", "-f", &kept]);
    // To others both may be of a host that is about to use them; no sweep takes what a user built.
    let mut other = Sandbox::new();
    other.set("DOCKER_HOST", host);
    other.expect(0, &["prune"]);
    sandbox.expect(0, &script(&[], BASE, "true"));
    assert!(is_there(&superseded) && is_there(&users));
    // This state directory knows it for its own.
    sandbox.expect(0, &["prune"]);
    assert!(!is_there(&superseded));
}

#[test]
fn networks_of_dead_runs_go_by_sweep_and_prune() {
    let (engine, sandbox) = own_engine("networks");
    let host = engine.value("DOCKERD_HOST");
    let create = |name: &str, run: &str, deadline: u64| {
        let labels = [
            format!("docker-test.run={run}"),
            format!("docker-test.owner={OTHER_HOST}"),
            format!("docker-test.deadline={deadline}"),
            "docker-test.role=network".to_owned(),
        ];
        let flags = labels.iter().flat_map(|label| ["--label", label]);
        docker_at(host, &["network", "create"].into_iter().chain(flags).chain([name]).collect::<Vec<_>>());
    };
    let there = || docker_at(host, &["network", "ls", "--filter", "type=custom", "--format", "{{.Name}}"]);
    create("living", "00000001-aaaaaa", now() + 600);
    create("foreign", "00000002-bbbbbb", now() - 10);
    create("journalled", "00000003-cccccc", now() - 10);
    docker_at(host, &["network", "create", "users"]);
    let begin = serde_json::json!({"begin": {
        "run": "00000003-cccccc", "owner": OTHER_HOST, "engine": host, "image": "shop", "started": 1, "deadline": 2
    }});
    let created = serde_json::json!({"created": {"kind": "network", "name": "journalled"}});
    std::fs::create_dir_all(sandbox.state().join("runs")).unwrap();
    let journal = sandbox.state().join("runs/00000003-cccccc.jsonl");
    std::fs::write(&journal, format!("{begin}\n{created}\n")).unwrap();
    sandbox.expect(0, &script(&[], BASE, "true"));
    assert_eq!(there(), "foreign\nliving\nusers\n");
    assert!(!journal.exists());
    sandbox.expect(0, &["prune"]).assert_stdout("removed network foreign");
    assert_eq!(there(), "living\nusers\n");
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

#[test]
fn a_container_that_cannot_be_kept_is_removed_with_its_journal() {
    let (engine, sandbox) = own_engine("unkept");
    let host = engine.value("DOCKERD_HOST");
    let live = Live::start(sandbox.command(&script(&["--keep", "always"], BASE, "echo up; sleep 3")));
    live.prints("up");
    let run = only_run(&sandbox);
    let kept = format!("docker-test-kept-{run}");
    docker_at(host, &["create", "--name", &kept, BASE, "true"]);
    let ran = live.finish();
    ran.assert_code(0);
    ran.assert_stderr("could not be kept");
    assert_eq!(docker_at(host, &["ps", "-a", "--format", "{{.Names}}"]).trim(), kept);
    assert_eq!(std::fs::read_dir(sandbox.state().join("runs")).unwrap().count(), 0);
}

#[test]
fn a_build_says_what_it_could_not_remove() {
    let (engine, mut sandbox) = own_engine("buildleft");
    let door = sandbox.path().join("door.sock");
    refuse(&door, engine.value("DOCKERD_SOCKET"), "DELETE ", 100);
    sandbox.set("DOCKER_HOST", &format!("unix://{}", door.display()));
    sandbox.write("Dockerfile", &format!("FROM {BASE}\nONTEST CMD true\n"));
    let built = sandbox.expect(0, &["build", "-t", "left:1", "--with-tests", "."]);
    built.assert_stderr("is left for the next run or `docker-test prune`");
}
