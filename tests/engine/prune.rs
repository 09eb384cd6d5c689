//! What `prune` and sweeps must leave alone, and what they remove when it is named.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::Signal;

use crate::crash::{carry, docker_at, exists, inventory, now, own_engine};
use crate::live::{Live, plain, run_ids, script};
use crate::support::{BASE, Sandbox, docker};

/// Stands before an engine and refuses the first two of all listings of one kind, as Podman does where something on the
/// list goes away while it is made. Returns how many it has refused.
fn refuse_listings(door: &Path, engine: &str, listing: &'static str) -> Arc<AtomicUsize> {
    refuse(door, engine, listing, 2)
}

/// Stands before an engine and refuses the first requests whose first line has `part`, `limit` of them at most.
pub(crate) fn refuse(door: &Path, engine: &str, part: &'static str, limit: usize) -> Arc<AtomicUsize> {
    let listener = UnixListener::bind(door).unwrap();
    let (engine, refused) = (engine.to_owned(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&refused);
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = UnixStream::connect(&engine).unwrap();
            carry(server.try_clone().unwrap(), client.try_clone().unwrap());
            let count = Arc::clone(&count);
            std::thread::spawn(move || pass_requests(client, server, part, limit, &count));
        }
    });
    refused
}

fn pass_requests(
    mut client: UnixStream,
    mut server: UnixStream,
    part: &str,
    limit: usize,
    refused: &AtomicUsize,
) {
    let said = r#"{"message": "no such container"}"#;
    let answer = format!(
        "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{said}",
        said.len()
    );
    let mut buffer = [0; 8192];
    while let Ok(size @ 1..) = client.read(&mut buffer) {
        let request = String::from_utf8_lossy(&buffer[..size]);
        let asked = request.lines().next().is_some_and(|line| line.contains(part));
        let passed = if asked && refused.fetch_add(1, Ordering::Relaxed) < limit {
            client.write_all(answer.as_bytes())
        } else {
            server.write_all(&buffer[..size])
        };
        if passed.is_err() {
            break;
        }
    }
}

#[test]
fn a_listing_that_failed_over_something_that_went_away_is_asked_for_again() {
    let (engine, mut sandbox) = own_engine("listing");
    for (number, listing) in
        ["/containers/json", "/volumes", "/networks", "/images/json"].into_iter().enumerate()
    {
        let door = sandbox.path().join(format!("{number}.sock"));
        let refused = refuse_listings(&door, engine.value("DOCKERD_SOCKET"), listing);
        sandbox.set("DOCKER_HOST", &format!("unix://{}", door.display()));
        sandbox.expect(0, &["prune", "--dry-run"]);
        assert!(refused.load(Ordering::Relaxed) > 2, "{listing} was not asked for");
    }
}

/// The id of the only run that has a journal in this sandbox.
pub(crate) fn only_run(sandbox: &Sandbox) -> String {
    let mut names = std::fs::read_dir(sandbox.state().join("runs")).unwrap().flatten();
    let name = names.next().unwrap().file_name().into_string().unwrap();
    assert!(names.next().is_none());
    name.trim_end_matches(".jsonl").to_owned()
}

#[test]
fn a_run_of_another_host_whose_journal_has_no_lock_is_not_taken_for_dead() {
    let (engine, sandbox) = own_engine("lockless");
    let live = Live::start(sandbox.command(&script(&[], BASE, "echo up; sleep 4")));
    live.prints("up");
    let run = only_run(&sandbox);
    // The same journal as another host sees it in a directory that both have mounted.
    let mut other = Sandbox::new();
    other.set("DOCKER_HOST", engine.value("DOCKERD_HOST"));
    let journal = std::fs::read_to_string(sandbox.state().join(format!("runs/{run}.jsonl"))).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let journal = journal.replace(boot.trim(), "other-boot").replace("\"locked\":true", "\"locked\":false");
    assert!(journal.contains("other-boot") && journal.contains("\"locked\":false"), "{journal}");
    std::fs::create_dir_all(other.state().join("runs")).unwrap();
    std::fs::write(other.state().join(format!("runs/{run}.jsonl")), journal).unwrap();
    other.expect(0, &["prune"]);
    other.expect(125, &["prune", &run]).assert_stderr("alive");
    live.finish().assert_code(0);
}

#[test]
fn a_timeout_that_the_image_sets_is_within_the_deadline_of_its_container() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build(
        "long",
        &format!("FROM {BASE}\nLABEL test.timeout=100h sandbox={}\n", sandbox.name("l")),
    );
    let name = sandbox.name("long");
    let live = Live::start(sandbox.command(&script(
        &["--name", &name, "--grace-period", "1s"],
        &image,
        "echo up; sleep 60",
    )));
    live.prints("up");
    let format = "{{index .Config.Labels \"docker-test.deadline\"}}";
    let deadline: u64 = docker(&["inspect", "--format", format, &name]).trim().parse().unwrap();
    live.signal(Signal::SIGTERM);
    live.finish();
    let hours = (deadline - now()) / 3600;
    assert!((100..200).contains(&hours), "{hours} h");
}

#[test]
fn the_test_image_of_a_run_that_has_no_container_yet_is_not_pruned_whatever_its_target_was_called() {
    let (engine, sandbox) = own_engine("using");
    let host = engine.value("DOCKERD_HOST");
    let id = |name: &str| docker_at(host, &["images", "-q", "--no-trunc", name]).trim().to_owned();
    docker_at(host, &["tag", BASE, "used:latest"]);
    sandbox.write("Dockerfile.test", "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nRUN sleep 4\nCMD echo up\n");
    sandbox.expect(0, &["used", "--path", "."]);
    let before = id("used:latest-test");
    let live = Live::start(sandbox.command(&["docker.io/library/used", "--path", ".", "--no-cache"]));
    live.says("sleep 4");
    sandbox.expect(0, &["prune", "--images"]);
    assert_eq!(id("used:latest-test"), before);
    live.finish().assert_code(0);
    sandbox.expect(0, &["prune", "--images"]).assert_stdout("used:latest-test");
    assert_eq!(id("used:latest-test"), "");
}

#[test]
fn an_image_without_a_name_outlives_the_one_that_it_was_lent() {
    let (engine, sandbox) = own_engine("nameless");
    let host = engine.value("DOCKERD_HOST");
    docker_at(host, &["create", "--name", "seed", BASE, "true"]);
    let id = docker_at(host, &["commit", "-c", "LABEL nameless=yes", "seed"]).trim().to_owned();
    docker_at(host, &["rm", "seed"]);
    sandbox.expect(0, &[&id, "--", "true"]);
    let names = || docker_at(host, &["image", "inspect", "-f", "{{.RepoTags}}", &id]).trim().to_owned();
    let lent = names();
    assert!(lent.starts_with("[localhost/docker-test-untagged:"), "{lent}");
    // It is the only one: it would take the image with it.
    sandbox.expect(0, &["prune"]);
    sandbox.expect(0, &["prune", "--images"]);
    assert_eq!(names(), lent);
    docker_at(host, &["tag", &id, "named:1"]);
    sandbox
        .expect(0, &["prune", "--dry-run"])
        .assert_stdout("would remove tag localhost/docker-test-untagged:");
    // A sweep has no business with the user's names.
    sandbox.expect(0, &["named:1", "--", "true"]);
    assert!(names().contains("docker-test-untagged"));
    sandbox.expect(0, &["prune"]).assert_stdout("removed tag localhost/docker-test-untagged:");
    assert_eq!(names(), "[named:1]");
}

#[test]
fn a_named_run_is_pruned_alone() {
    let (engine, sandbox) = own_engine("named");
    let host = engine.value("DOCKERD_HOST");
    let keep = || {
        let ran = sandbox.expect(0, &script(&["--keep", "always"], BASE, "true"));
        run_ids(&ran.stderr).pop().unwrap()
    };
    let (first, second) = (keep(), keep());
    let kept = |run: &str| format!("docker-test-kept-{run}");
    let completed = sandbox.expect(0, &["__complete", "prune", ""]);
    assert!(completed.stdout.contains(&first) && completed.stdout.contains(&second), "{}", completed.stdout);
    sandbox.expect(0, &["prune", "--dry-run", &first]).assert_stdout(&kept(&first));
    assert!(exists(host, &kept(&first)));
    // Nothing is removed where one of them cannot be.
    let refused = sandbox.expect(125, &["prune", &first, "00000001-abcdef"]);
    refused.assert_stderr("there is no run 00000001-abcdef");
    refused.assert_stderr(&format!("{first}, {second}"));
    assert!(exists(host, &kept(&first)));
    sandbox.expect(0, &["prune", &first]).assert_stdout(&kept(&first));
    assert!(!exists(host, &kept(&first)) && exists(host, &kept(&second)));
    sandbox.expect(125, &["prune", &first]).assert_stderr(&second);
    sandbox.expect(0, &["prune", &second]);
    let live = Live::start(sandbox.command(&script(&[], BASE, "echo up; sleep 4")));
    live.prints("up");
    let run = only_run(&sandbox);
    sandbox.expect(125, &["prune", &run]).assert_stderr(&format!("run {run} is alive"));
    let mut other = Sandbox::new();
    other.set("DOCKER_HOST", host);
    other.expect(125, &["prune", &run]).assert_stderr("alive");
    live.finish().assert_code(0);
    assert!(!inventory(host).iter().any(|line| line.starts_with("container")));
}

#[test]
fn a_killed_run_is_pruned_by_its_id_with_its_volumes_and_no_other() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let live = Live::start(sandbox.command(&script(&[], &image, "echo up; sleep 60")));
    live.prints("up");
    let run = run_ids(&live.stderr()).pop().unwrap();
    live.signal(Signal::SIGKILL);
    live.finish();
    // Others have things on this engine, which a named run does not touch.
    sandbox.expect(0, &["prune", &run]).assert_stdout(&run);
    assert_eq!(crate::live::remains(&run), Vec::<String>::new());
}
