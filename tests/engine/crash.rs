//! Runs that are killed, engines that go away, and what is swept, kept and pruned afterwards.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use crate::live::{Fixture, Live, assert_clean, eventually, plain, remains, run_ids, script};
use crate::support::{BASE, Sandbox, docker};

/// Runs the Docker CLI against an engine of the test's own.
pub(crate) fn docker_at(host: &str, arguments: &[&str]) -> String {
    let output = Command::new("docker").args(["-H", host]).args(arguments).output().unwrap();
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Everything that an engine of the test's own holds: containers, volumes, networks beyond its own three, images.
pub(crate) fn inventory(host: &str) -> Vec<String> {
    let listings: [&[&str]; 4] = [
        &["ps", "-a", "--format", "container {{.Names}}"],
        &["volume", "ls", "--format", "volume {{.Name}}"],
        &["network", "ls", "--filter", "type=custom", "--format", "network {{.Name}}"],
        &["images", "-a", "--format", "image {{.Repository}}:{{.Tag}} {{.ID}}"],
    ];
    let mut all: Vec<String> = listings
        .iter()
        .flat_map(|listing| docker_at(host, listing).lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    all.sort();
    all
}

/// An engine of the test's own, and a sandbox whose commands go there. Whatever prunes needs one: other tests keep things
/// on the engine that they share.
pub(crate) fn own_engine(name: &str) -> (Fixture, Sandbox) {
    let engine = Fixture::up(&format!("dockerd@{name}"), &[]);
    let mut sandbox = Sandbox::new();
    sandbox.set("DOCKER_HOST", engine.value("DOCKERD_HOST"));
    (engine, sandbox)
}

/// A container labelled as that of a run by `owner`, as docker-test would have made it.
pub(crate) fn forge(host: &str, name: &str, owner: &str, deadline: u64) {
    let label = |key: &str, value: &str| format!("docker-test.{key}={value}");
    docker_at(
        host,
        &[
            "create",
            "--name",
            name,
            "-v",
            "/data",
            "--label",
            &label("run", "00000001-abcdef"),
            "--label",
            &label("owner", owner),
            "--label",
            &label("deadline", &deadline.to_string()),
            "--label",
            &label("role", "test-container"),
            "--label",
            &label("container", name),
            BASE,
            "true",
        ],
    );
}

pub(crate) fn exists(host: &str, name: &str) -> bool {
    !docker_at(host, &["ps", "-aq", "--filter", &format!("name=^{name}$")]).is_empty()
}

pub(crate) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn killed_at_any_moment_it_leaves_nothing_that_the_next_run_does_not_sweep() {
    for builder in ["1", "0"] {
        let (engine, mut sandbox) = own_engine(&format!("crash{builder}"));
        let host = engine.value("DOCKERD_HOST").to_owned();
        sandbox.set("DOCKER_BUILDKIT", builder);
        sandbox.write("Dockerfile", &format!("FROM {BASE}\nVOLUME /data\nONTEST COPY Dockerfile /d\nONTEST RUN sleep 0.1\nONTEST CMD sleep 0.2\n"));
        sandbox.expect(0, &["build", "-t", "crash:1", "."]);
        let run = ["run", "--no-cache", "crash:1"];
        sandbox.expect(0, &run);
        docker_at(&host, &["rmi", "crash:1-test"]);
        let before = inventory(&host);
        let mut ends = Vec::new();
        for delay in (0..14).map(|step| Duration::from_millis(20 + step * 130)) {
            let live = Live::start(sandbox.command(&run));
            std::thread::sleep(delay);
            live.signal(Signal::SIGKILL);
            ends.push(live.finish().code);
        }
        assert!(ends.contains(&-9), "no run was killed in its life: {ends:?}");
        // What the classic builder keeps of a build is its cache, after a plain `docker build` too.
        let counted = |all: &[String]| -> Vec<String> {
            all.iter().filter(|line| builder == "1" || !line.contains("<none>")).cloned().collect()
        };
        let expected = counted(&before);
        let mut left = Vec::new();
        // The builder of a client that is gone may take a moment to note it.
        let deadline = Instant::now() + Duration::from_secs(30);
        while left != expected && Instant::now() < deadline {
            sandbox.expect(0, &["prune"]);
            if !docker_at(&host, &["images", "-q", "crash:1-test"]).is_empty() {
                docker_at(&host, &["rmi", "crash:1-test"]);
            }
            left = counted(&inventory(&host));
        }
        assert_eq!(left, expected);
        let journals = std::fs::read_dir(sandbox.state().join("runs")).unwrap().flatten();
        let left: Vec<_> = journals.map(|entry| entry.file_name()).collect();
        assert!(left.is_empty(), "{left:?}");
        let around: Vec<_> = std::fs::read_dir(sandbox.path().join("tests"))
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        sandbox.expect(0, &run);
        let after: Vec<_> = std::fs::read_dir(sandbox.path().join("tests"))
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert_eq!(after, ["results"], "before: {around:?}");
    }
}

#[test]
fn the_next_run_sweeps_what_a_killed_one_left_and_its_volumes_too() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let live = Live::start(sandbox.command(&script(&["-v", "/data"], &image, "echo up; sleep 60")));
    live.prints("up");
    let run = run_ids(&live.stderr()).pop().unwrap();
    let container = remains(&run).into_iter().find(|line| line.starts_with("container ")).unwrap();
    let container = container.trim_start_matches("container ").to_owned();
    let volumes = docker(&["inspect", "--format", "{{range .Mounts}}{{.Name}} {{end}}", &container]);
    live.signal(Signal::SIGKILL);
    live.finish();
    assert!(!remains(&run).is_empty());
    // Wherever the next run puts its own results.
    let half = || {
        let names = std::fs::read_dir(sandbox.path().join("tests")).unwrap();
        names.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    assert_eq!(half().len(), 2);
    sandbox.expect(0, &script(&["--results-dir", "elsewhere"], &image, "true"));
    assert_eq!(remains(&run), Vec::<String>::new());
    assert!(half().is_empty(), "{:?}", half());
    let all = docker(&["volume", "ls", "-q"]);
    assert_eq!(volumes.split_whitespace().count(), 2);
    for volume in volumes.split_whitespace() {
        assert!(!all.contains(volume), "{volume} is left");
    }
}

#[test]
fn a_killed_run_is_left_to_those_who_have_its_journal() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let live = Live::start(sandbox.command(&script(&[], &image, "echo up; sleep 60")));
    live.prints("up");
    let run = run_ids(&live.stderr()).pop().unwrap();
    live.signal(Signal::SIGKILL);
    live.finish();
    // Without the journal it may be a run whose engine was lost, and whose results wait.
    let other = Sandbox::new();
    other.expect(0, &script(&["--test-image", &other.image("t")], &image, "true"));
    assert_ne!(remains(&run), Vec::<String>::new());
    sandbox.expect(0, &script(&[], &image, "true"));
    assert_eq!(remains(&run), Vec::<String>::new());
}

#[test]
fn a_living_run_is_never_touched() {
    let (engine, sandbox) = own_engine("living");
    let shell = "echo up; sleep 5; echo x > /var/tests/results/file";
    let live = Live::start(sandbox.command(&script(&[], BASE, shell)));
    live.prints("up");
    let mut other = Sandbox::new();
    other.set("DOCKER_HOST", engine.value("DOCKERD_HOST"));
    for arguments in [&["prune"] as &[&str], &["prune", "--images"]] {
        sandbox.expect(0, arguments);
        other.expect(0, arguments);
    }
    sandbox.expect(0, &script(&["--results-dir", "other"], BASE, "true"));
    live.finish().assert_code(0);
    assert_eq!(sandbox.result("file"), "x\n");
}

#[test]
fn what_another_host_made_is_left_alone_until_its_deadline() {
    let (engine, sandbox) = own_engine("hosts");
    let host = engine.value("DOCKERD_HOST");
    let other_host = "11111111-2222-3333-4444-555555555555/4026531836/1/1";
    forge(host, "living", other_host, now() + 600);
    forge(host, "overdue", other_host, now() - 10);
    forge(host, "nonsense", "not an owner", now() + 600);
    let volumes = docker_at(host, &["volume", "ls", "-q"]).lines().count();
    sandbox.expect(0, &["prune"]);
    assert!(exists(host, "living") && exists(host, "nonsense"));
    assert!(!exists(host, "overdue"));
    assert_eq!(docker_at(host, &["volume", "ls", "-q"]).lines().count(), volumes - 1);
}

#[test]
fn nothing_that_is_not_ours_is_ever_removed() {
    let (engine, sandbox) = own_engine("foreign");
    let host = engine.value("DOCKERD_HOST");
    docker_at(host, &["create", "--name", "own", BASE, "true"]);
    docker_at(host, &["create", "--name", "half", "--label", "docker-test.owner=x", BASE, "true"]);
    docker_at(
        host,
        &["create", "--name", "named", "--label", "docker-test.run=00000001-abcdef", BASE, "true"],
    );
    docker_at(host, &["volume", "create", "precious"]);
    let before = inventory(host);
    sandbox.expect(0, &["prune", "--images"]).assert_stderr("nothing to remove");
    assert_eq!(inventory(host), before);
}

#[test]
fn a_container_of_the_user_by_the_name_of_a_killed_run_is_not_swept() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let name = sandbox.name("shared");
    let live = Live::start(sandbox.command(&script(&["--name", &name], &image, "echo up; sleep 60")));
    live.prints("up");
    live.signal(Signal::SIGKILL);
    live.finish();
    docker(&["rm", "-fv", &name]);
    docker(&["create", "--name", &name, BASE, "true"]);
    sandbox.expect(0, &script(&[], &image, "true"));
    assert!(!docker(&["ps", "-aq", "--filter", &format!("name=^{name}$")]).is_empty());
}

#[test]
fn a_container_is_kept_where_asked_for_until_prune() {
    let (engine, sandbox) = own_engine("kept");
    let host = engine.value("DOCKERD_HOST");
    let containers = || docker_at(host, &["ps", "-aq"]).lines().count();
    sandbox.expect(0, &script(&["--keep", "failed"], BASE, "true"));
    assert_eq!(containers(), 0);
    let ran = sandbox.expect(1, &script(&["--keep", "failed"], BASE, "echo evidence > /evidence; exit 3"));
    let kept = format!("docker-test-kept-{}", run_ids(&ran.stderr).pop().unwrap());
    ran.assert_stderr(&kept);
    assert!(docker_at(host, &["cp", &format!("{kept}:/evidence"), "-"]).contains("evidence"));
    sandbox.expect(0, &script(&[], BASE, "true"));
    let mut other = Sandbox::new();
    other.set("DOCKER_HOST", host);
    other.expect(0, &script(&[], BASE, "true"));
    assert!(exists(host, &kept), "a sweep took it");
    sandbox.expect(0, &["prune", "--dry-run"]).assert_stdout(&format!("would remove container {kept}"));
    assert!(exists(host, &kept));
    let json = sandbox.expect(0, &["prune", "--format", "json"]).json();
    let entry = json.as_array().unwrap().iter().find(|entry| entry["name"] == kept.as_str()).unwrap();
    assert_eq!((&entry["kind"], &entry["removed"]), (&"container".into(), &true.into()));
    assert_eq!(containers(), 0);
    let ran = sandbox.expect(0, &script(&["--keep", "always"], BASE, "true"));
    let run = run_ids(&ran.stderr).pop().unwrap();
    let kept = format!("docker-test-kept-{run}");
    assert!(exists(host, &kept));
    ran.assert_stderr(&format!("remove it:         docker-test prune {run}\n"));
    sandbox.expect(0, &["prune", &run]).assert_stdout(&kept);
    assert_eq!((containers(), docker_at(host, &["volume", "ls", "-q"]).as_str()), (0, ""));
}

#[test]
fn test_images_go_only_where_images_are_named_and_nobody_uses_them() {
    let (engine, sandbox) = own_engine("images");
    let host = engine.value("DOCKERD_HOST");
    let images = |name: &str| docker_at(host, &["images", "-q", name]).lines().count();
    docker_at(host, &["tag", BASE, "pruned:1"]);
    sandbox.expect(0, &["pruned:1", "--", "true"]);
    sandbox.expect(0, &["prune"]);
    assert_eq!(images("pruned:1-test"), 1);
    let live = Live::start(sandbox.command(&["pruned:1", "--", "sh", "-c", "echo up; sleep 2"]));
    live.prints("up");
    sandbox.expect(0, &["prune", "--images"]);
    live.finish().assert_code(0);
    sandbox.expect(0, &["prune", "--images", "--dry-run"]).assert_stdout("pruned:1-test");
    assert_eq!(images("pruned:1-test"), 1);
    sandbox.expect(0, &["prune", "--images"]).assert_stdout("pruned:1-test");
    assert_eq!((images("pruned:1-test"), images("pruned:1")), (0, 1));
}

#[test]
fn a_daemon_killed_in_a_run_is_named_and_its_results_are_fetched_when_it_is_back() {
    let (engine, sandbox) = own_engine("killed");
    let shell = "echo x > /var/tests/results/file; echo up; sleep 300";
    let live = Live::start(sandbox.command(&script(&["--report", "json=run.json"], BASE, shell)));
    live.prints("up");
    let daemon = engine.crash();
    let ran = live.finish();
    ran.assert_code(125);
    let run = run_ids(&ran.stderr).pop().unwrap();
    ran.assert_stderr("the engine was lost");
    ran.assert_stderr(&format!("docker-test results {run}"));
    let report = std::fs::read_to_string(sandbox.path().join("run.json")).unwrap();
    assert!(report.contains("engine_lost"), "{report}");
    assert!(!sandbox.path().join("tests/results/file").exists());
    // Without an engine they cannot be fetched, and stay to be fetched.
    sandbox.expect(125, &["results", &run]);
    engine.revive(&daemon);
    sandbox.expect(0, &["results"]).assert_stdout(&run);
    // A sweep does not take them.
    sandbox.expect(0, &script(&["--results-dir", "other"], BASE, "true"));
    sandbox.expect(0, &["results", &run]).assert_stdout("tests/results/file");
    assert_eq!(sandbox.result("file"), "x\n");
    assert_eq!(docker_at(engine.value("DOCKERD_HOST"), &["ps", "-aq"]), "");
    sandbox.expect(125, &["results", &run]);
    assert_eq!(sandbox.expect(0, &["results"]).stdout, "");
}

#[test]
fn lost_results_over_their_limit_are_cut_and_can_be_fetched_again_with_a_larger_one() {
    let (engine, sandbox) = own_engine("large");
    let shell = "head -c 3000000 /dev/zero > /var/tests/results/big; echo up; sleep 300";
    let live = Live::start(sandbox.command(&script(&["--results-limit", "1m"], BASE, shell)));
    live.prints("up");
    let daemon = engine.crash();
    let ran = live.finish();
    ran.assert_code(125);
    let run = run_ids(&ran.stderr).pop().unwrap();
    engine.revive(&daemon);
    let size = || std::fs::metadata(sandbox.path().join("tests/results/big")).unwrap().len();
    let cut = sandbox.expect(125, &["results", &run]);
    cut.assert_stdout("tests/results/big");
    cut.assert_stderr("cut");
    cut.assert_stderr(&format!("docker-test results {run} --results-limit"));
    assert_eq!(size(), 1 << 20);
    sandbox.expect(125, &["results", &run, "--results-limit", "2m"]);
    assert_eq!(size(), 2 << 20);
    sandbox.expect(0, &["results"]).assert_stdout(&run);
    sandbox.expect(0, &["results", &run, "--results-limit", "3m"]).assert_stdout("tests/results/big");
    assert_eq!(size(), 3_000_000);
    assert_eq!(docker_at(engine.value("DOCKERD_HOST"), &["ps", "-aq"]), "");
}

#[test]
fn a_daemon_that_comes_back_in_time_still_gives_the_results_and_no_pass() {
    let (engine, sandbox) = own_engine("back");
    let shell = "echo x > /var/tests/results/file; echo up; sleep 300";
    let live = Live::start(sandbox.command(&script(&[], BASE, shell)));
    live.prints("up");
    // It ends its containers when it starts again.
    engine.revive(&engine.crash());
    let ran = live.finish();
    ran.assert_code(125);
    ran.assert_stderr("the engine was lost");
    assert_eq!(sandbox.result("file"), "x\n");
    assert_eq!(docker_at(engine.value("DOCKERD_HOST"), &["ps", "-aq"]), "");
}

/// A door to the engine that can be shut on everyone who is inside.
struct Door {
    path: String,
    inside: Arc<Mutex<Vec<UnixStream>>>,
}

impl Door {
    fn open(sandbox: &Sandbox, engine: &str) -> Self {
        let path = sandbox.path().join("door.sock").display().to_string();
        let listener = UnixListener::bind(&path).unwrap();
        let inside = Arc::new(Mutex::new(Vec::new()));
        let guests = Arc::clone(&inside);
        let engine = engine.to_owned();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = UnixStream::connect(&engine) else { continue };
                guests.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                carry(client.try_clone().unwrap(), server.try_clone().unwrap());
                carry(server, client);
            }
        });
        Self { path, inside }
    }

    fn throw_everyone_out(&self) {
        for stream in self.inside.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

pub(crate) fn carry(mut from: UnixStream, mut to: UnixStream) {
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(size @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..size]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

#[test]
fn a_cut_connection_to_a_living_engine_does_not_end_the_run() {
    for end in [0, 3] {
        let mut sandbox = Sandbox::new();
        let image = plain(&sandbox);
        let door = Door::open(&sandbox, "/var/run/docker.sock");
        sandbox.set("DOCKER_HOST", &format!("unix://{}", door.path));
        let shell = format!("echo up; sleep 3; echo x > /var/tests/results/file; exit {end}");
        let live = Live::start(sandbox.command(&script(&[], &image, &shell)));
        live.prints("up");
        door.throw_everyone_out();
        let ran = live.finish();
        ran.assert_code(i32::from(end != 0));
        ran.assert_stderr("came back");
        assert_eq!(sandbox.result("file"), "x\n");
        assert_clean(&ran.stderr);
    }
}

#[test]
fn a_connection_cut_at_any_moment_leaves_nothing_and_is_never_a_pass_without_results() {
    let (engine, mut sandbox) = own_engine("cut");
    let door = Door::open(&sandbox, engine.value("DOCKERD_SOCKET"));
    sandbox.set("DOCKER_HOST", &format!("unix://{}", door.path));
    for delay in (0..8).map(|step| Duration::from_millis(50 + step * 120)) {
        let shell = "echo x > /var/tests/results/file; sleep 0.3";
        let live = Live::start(sandbox.command(&script(&["--no-cache"], BASE, shell)));
        live.says("testing");
        std::thread::sleep(delay);
        door.throw_everyone_out();
        let ran = live.finish();
        match ran.code {
            0 => assert_eq!(sandbox.result("file"), "x\n"),
            125 => {}
            other => panic!("{other}: {}", ran.stderr),
        }
        // What the cut kept from being removed goes with the next run or prune.
        sandbox.expect(0, &["prune"]);
        let left = inventory(engine.value("DOCKERD_HOST"));
        assert!(
            !left.iter().any(|line| line.starts_with("container")
                || line.starts_with("volume")
                || line.contains("docker-test-target")),
            "{left:?}"
        );
    }
}

#[test]
fn an_engine_that_stops_answering_is_left_on_a_second_interrupt() {
    let (engine, sandbox) = own_engine("frozen");
    let live = Live::start(sandbox.command(&script(&[], BASE, "echo up; sleep 300")));
    live.prints("up");
    let pid = engine.daemon();
    kill(pid, Signal::SIGSTOP).unwrap();
    let began = Instant::now();
    for _ in 0..3 {
        live.signal(Signal::SIGINT);
        std::thread::sleep(Duration::from_millis(300));
    }
    let ran = live.finish();
    kill(pid, Signal::SIGCONT).unwrap();
    ran.assert_code(130);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    eventually("the sweep", || {
        sandbox.expect(0, &["prune"]);
        docker_at(engine.value("DOCKERD_HOST"), &["ps", "-aq"]).is_empty().then_some(())
    });
}

#[test]
fn a_state_directory_that_cannot_be_written_ends_the_run_before_anything_is_made() {
    let mut sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let file = sandbox.write("file", "");
    sandbox.set("DOCKER_TEST_STATE_DIR", file.to_str().unwrap());
    let ran = sandbox.expect(125, &script(&[], &image, "true"));
    ran.assert_stderr("DOCKER_TEST_STATE_DIR");
    assert!(Path::new(&file).is_file());
}
