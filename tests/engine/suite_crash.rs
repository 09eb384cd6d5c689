//! Runs of suites that are killed, and whose engines are: what a later run or `prune` has to leave nothing of.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::crash::{docker_at, inventory, own_engine};
use crate::live::{Live, eventually, remains, script};
use crate::suite_system::System;
use crate::support::{BASE, Ran, Sandbox, docker};

/// Builds, a network, volumes, secrets as files, services of both kinds, a retry, a need: whatever a run makes.
const EVERYTHING: &str = r#"
defaults: { grace-period: 1s }
services:
  db:
    build: ./service
    command: [sh, -c, "touch /ok; sleep 600 & wait"]
    healthcheck: { test: [CMD, test, -e, /ok], interval: 1s, retries: 100 }
    ready: { healthy: true, timeout: 3m }
    secrets: { PASSWORD: { file: ./key, as: file } }
  seed: { image: IMAGE, command: [sleep, "0.3"], needs: [db], ready: { exit-0: true, timeout: 3m } }
tests:
  BUILT: { build: ./job, needs: [seed], mounts: ["type=volume,dst=/data"], command: [sh, -c, "echo up; sleep 1"] }
  files:
    image: IMAGE
    needs: [seed]
    secrets: { KEY: { file: ./key, as: file } }
    command: [sh, -c, "cp /run/secrets/KEY /var/tests/results/; sleep 1"]
  fails: { image: IMAGE, command: ["false"], retries: { count: 1, backoff: 1s } }
  last: { image: IMAGE, needs: [BUILT], command: ["true"] }
"#;

/// A system with that suite, whose images nobody else has.
pub(crate) fn everything() -> System {
    let system = System::new();
    let (sandbox, built) = (&system.sandbox, system.sandbox.name("built"));
    system.suite(&EVERYTHING.replace("BUILT", &built));
    sandbox.write("key", "the-key-that-nobody-knows\n");
    sandbox.write("service/Dockerfile", &format!("FROM {BASE}\nLABEL of={built}\nVOLUME /var/lib/db\n"));
    sandbox
        .write("job/Dockerfile", &format!("FROM {BASE}\nLABEL of={built}\nRUN echo {built} && sleep 0.3\n"));
    system
}

/// What the main engine still holds of a run, the networks and all tags that are the run's own too.
pub(crate) fn left_of(run: &str) -> Vec<String> {
    let label = format!("label=docker-test.run={run}");
    let networks = docker(&["network", "ls", "--filter", &label, "--format", "network {{.Name}}"]);
    let tags = docker(&["images", "--format", "tag {{.Repository}}:{{.Tag}}"]);
    let tags = tags.lines().filter(|line| line.contains(run)).map(str::to_owned);
    remains(run).into_iter().chain(networks.lines().map(str::to_owned)).chain(tags).collect()
}

/// The names in a directory; none where it is not there.
pub(crate) fn names_in(directory: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// An event as it stands on stdout.
pub(crate) fn event(name: &str) -> String {
    format!("{{\"event\":\"{name}\"")
}

/// The id of the run that has just begun in a sandbox.
pub(crate) fn run_in(sandbox: &Sandbox) -> String {
    let journals = || names_in(&sandbox.state().join("runs")).pop();
    let journal = eventually("the run's journal", journals);
    journal.strip_suffix(".jsonl").unwrap().to_owned()
}

/// The id of a run that has ended, from its events.
#[track_caller]
pub(crate) fn run_id(ran: &Ran) -> String {
    ran.event("run_started")["run_id"].as_str().unwrap().to_owned()
}

/// An engine that is still about to start a container may refuse to remove it or its volume, which is said; once it has
/// started, they go.
fn prune_all(sandbox: &Sandbox, arguments: &[&str]) {
    eventually("a prune of everything", || {
        let ran = sandbox.run(arguments);
        assert!(ran.code == 0 || ran.stderr.contains("cannot remove"), "{}", ran.stderr);
        (ran.code == 0).then_some(())
    });
}

/// Kills a run so long after an event, and demands that another one, or `prune`, leaves nothing of it.
fn killed_after(moments: &[(&str, u64)]) {
    let system = everything();
    let sandbox = &system.sandbox;
    for (turn, (moment, delay)) in moments.iter().enumerate() {
        let live = Live::start(sandbox.command(&["run", "--format", "json"]));
        live.prints(&event(moment));
        std::thread::sleep(Duration::from_millis(*delay));
        live.signal(Signal::SIGKILL);
        let run = run_in(sandbox);
        assert_eq!(live.finish().code, -9, "it was over before it could be killed after {moment}");
        if turn % 2 == 0 {
            // Any run will do, and wherever it puts its own results.
            sandbox.expect(0, &script(&["--results-dir", "elsewhere"], &system.image, "true"));
        } else {
            prune_all(sandbox, &["prune", &run]);
        }
        assert_eq!(left_of(&run), Vec::<String>::new(), "killed {delay} ms after {moment}");
        if turn % 2 == 0 {
            assert_eq!(names_in(&sandbox.path().join("tests")), Vec::<String>::new(), "after {moment}");
        }
        // What the engine was asked for in the last moment may still come: until then the journal stays.
        prune_all(sandbox, &["prune"]);
        assert_eq!(left_of(&run), Vec::<String>::new(), "killed {delay} ms after {moment}");
        assert_eq!(names_in(&sandbox.state().join("runs")), Vec::<String>::new(), "after {moment}");
    }
    // After all that it still runs as it should.
    let told = system.run(1, &[]);
    assert_eq!((told.outcome("files"), told.outcome("last")), ("passed", "passed"));
    assert_eq!(left_of(told.report["run_id"].as_str().unwrap()), Vec::<String>::new());
}

#[test]
fn a_suite_that_is_killed_while_it_is_planned_leaves_nothing_to_the_next_run() {
    killed_after(&[("run_started", 0), ("run_started", 150), ("build_step", 0), ("build_step", 400)]);
}

#[test]
fn a_suite_that_is_killed_while_services_start_leaves_nothing_to_the_next_run() {
    killed_after(&[("queued", 0), ("service_starting", 200), ("service_ready", 0), ("service_ready", 500)]);
}

#[test]
fn a_suite_that_is_killed_while_tests_run_leaves_nothing_to_the_next_run() {
    killed_after(&[("test_started", 0), ("test_retry", 100), ("test_ended", 0), ("test_started", 900)]);
}

#[test]
fn a_container_that_a_killed_suite_kept_stays_and_everything_else_goes() {
    let system = System::of(
        r#"
services:
  db: { image: IMAGE, command: [sleep, "600"] }
tests:
  bad: { image: IMAGE, needs: [db], command: [sh, -c, "echo evidence >/evidence; exit 3"] }
  long: { image: IMAGE, needs: [db], command: [sleep, "600"] }
"#,
    );
    let sandbox = &system.sandbox;
    let live = Live::start(sandbox.command(&["run", "--format", "json", "--keep", "failed", "-j", "2"]));
    live.prints(&event("test_ended"));
    let run = run_in(sandbox);
    live.prints("\"test\":\"long\",\"attempt\":1");
    live.signal(Signal::SIGKILL);
    live.finish();
    assert!(left_of(&run).iter().filter(|line| line.starts_with("container")).count() > 1);
    sandbox.expect(0, &script(&["--results-dir", "elsewhere"], &system.image, "true"));
    let kept = format!("docker-test-kept-{run}");
    let left = left_of(&run);
    let containers: Vec<&String> = left.iter().filter(|line| line.starts_with("container")).collect();
    assert_eq!(containers, [&format!("container {kept}")], "{left:?}");
    assert!(docker(&["cp", &format!("{kept}:/evidence"), "-"]).contains("evidence"));
    sandbox.expect(0, &["prune", &run]).assert_stdout(&kept);
    assert_eq!(left_of(&run), Vec::<String>::new());
}

const ON_A_LOST_ENGINE: &str = r#"
version: 1
defaults: { grace-period: 1s }
services:
  db: { image: BASE, command: [sh, -c, "sleep 600 & wait"] }
tests:
  early: { image: BASE, command: [sh, -c, "echo x >/var/tests/results/early"] }
  long: { image: BASE, needs: [db, early], command: [sh, -c, "echo x >/var/tests/results/file; echo up; sleep 600"] }
  waits: { image: BASE, needs: [long], command: ["true"] }
"#;

/// Starts that suite, and waits until its long test runs.
fn started_on(sandbox: &Sandbox) -> Live {
    sandbox.write("docker-test.yaml", &ON_A_LOST_ENGINE.replace("BASE", BASE));
    let arguments = ["run", "--format", "json", "--report", "json=run.json", "--report", "junit=run.xml"];
    let live = Live::start(sandbox.command(&arguments));
    live.prints("\"text\":\"up\\n\"");
    live
}

/// What is on an engine besides images that have a name of their own.
fn made_on(host: &str) -> Vec<String> {
    let all = inventory(host).into_iter();
    all.filter(|line| !line.starts_with("image ") || line.contains("localhost/docker-test-")).collect()
}

fn report(sandbox: &Sandbox) -> Value {
    serde_json::from_slice(&fs::read(sandbox.path().join("run.json")).unwrap()).unwrap()
}

fn test<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["tests"].as_array().unwrap().iter().find(|test| test["name"] == name).unwrap()
}

#[test]
fn a_suite_whose_engine_is_killed_says_so_of_what_ran_and_keeps_what_had_passed() {
    let (engine, sandbox) = own_engine("slost");
    let host = engine.value("DOCKERD_HOST");
    let live = started_on(&sandbox);
    let daemon = engine.crash();
    let ran = live.finish();
    ran.assert_code(125);
    let run = run_id(&ran);
    let told = report(&sandbox);
    assert_eq!(test(&told, "early")["outcome"], "passed");
    assert_eq!(sandbox.result("early/attempt-1/early"), "x\n");
    let long = test(&told, "long");
    assert!(matches!(long["outcome"].as_str().unwrap(), "aborted" | "dependency_failed"), "{long}");
    assert_ne!(test(&told, "waits")["outcome"], "passed");
    assert!(sandbox.path().join("run.xml").exists());
    engine.revive(&daemon);
    // A later run takes all but what waits to be fetched; that goes when it is fetched, or by prune.
    sandbox.expect(0, &script(&["--results-dir", "elsewhere"], BASE, "true"));
    let left = made_on(host);
    assert!(left.iter().all(|line| !line.contains("-db")), "{left:?}");
    sandbox.expect(0, &["results", &run]).assert_stdout("file");
    sandbox.expect(0, &["prune"]);
    assert_eq!(made_on(host), Vec::<String>::new());
    assert_eq!(names_in(&sandbox.state().join("runs")), Vec::<String>::new());
}

#[test]
fn an_engine_that_is_lost_before_a_retry_takes_nothing_from_the_attempt_before() {
    let (engine, sandbox) = own_engine("sretry");
    let suite = "version: 1\ntests:\n  a: { image: BASE, command: [sh, -c, 'echo x >/var/tests/results/x; exit 3'], retries: { count: 1, backoff: 3s } }\n";
    sandbox.write("docker-test.yaml", &suite.replace("BASE", BASE));
    let live = Live::start(sandbox.command(&["run", "--format", "json", "--report", "json=run.json"]));
    live.prints(&event("test_retry"));
    engine.crash();
    let ran = live.finish();
    ran.assert_code(125);
    let told = report(&sandbox);
    let attempts = test(&told, "a")["attempts"].as_array().unwrap();
    assert_eq!((attempts.len(), &attempts[0]["exit_code"]), (1, &3.into()), "{told}");
    assert_eq!(test(&told, "a")["outcome"], "failed");
    assert_eq!(sandbox.result("a/attempt-1/x"), "x\n");
}

#[test]
fn a_suite_whose_engine_is_restarted_does_not_pass_and_leaves_nothing() {
    let (engine, sandbox) = own_engine("sback");
    let host = engine.value("DOCKERD_HOST");
    let live = started_on(&sandbox);
    // It ends its containers when it starts again.
    engine.revive(&engine.crash());
    let ran = live.finish();
    ran.assert_code(125);
    let told = report(&sandbox);
    assert_eq!(test(&told, "early")["outcome"], "passed");
    let long = test(&told, "long");
    assert!(matches!(long["outcome"].as_str().unwrap(), "aborted" | "dependency_failed"), "{long}");
    sandbox.expect(0, &["prune"]);
    assert_eq!(made_on(host), Vec::<String>::new());
    // The engine is as good as ever.
    sandbox.expect(0, &script(&["--results-dir", "elsewhere"], BASE, "true"));
    assert_eq!(docker_at(host, &["ps", "-aq"]), "");
}

#[test]
fn a_suite_on_an_engine_that_stops_answering_ends_on_a_second_interrupt() {
    let (engine, sandbox) = own_engine("sfrozen");
    let host = engine.value("DOCKERD_HOST");
    let live = started_on(&sandbox);
    let pid = engine.daemon();
    kill(pid, Signal::SIGSTOP).unwrap();
    let began = Instant::now();
    for _ in 0..3 {
        live.signal(Signal::SIGINT);
        std::thread::sleep(Duration::from_millis(300));
    }
    let ran = live.finish();
    let took = began.elapsed();
    kill(pid, Signal::SIGCONT).unwrap();
    ran.assert_code(130);
    assert!(took < Duration::from_secs(20), "{took:?}");
    eventually("the sweep", || {
        sandbox.expect(0, &["prune"]);
        made_on(host).is_empty().then_some(())
    });
}
