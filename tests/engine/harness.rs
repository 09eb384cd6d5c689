//! The harness in containers of its own: as first process, beside services, with nothing else in the image; and its checks
//! that ask an engine.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::live::{Live, eventually};
use crate::support::{BASE, BINARY, Ran, Sandbox, docker};

const HARNESS: &str = env!("CARGO_BIN_EXE_docker-test-harness");

/// The programs under test as they are here, and what they need to be started, at the same paths in a container.
fn programs() -> Vec<String> {
    let mut mounts =
        vec![format!("{HARNESS}:/bin/docker-test-harness:ro"), format!("{BINARY}:/bin/docker-test:ro")];
    // Nothing for a static one. What is shipped is static, and scripts/release looks at that.
    for program in [HARNESS, BINARY] {
        let listed = Command::new("ldd").arg(program).output().unwrap();
        for line in String::from_utf8_lossy(&listed.stdout).lines() {
            let words = line.split_whitespace();
            let mount =
                words.filter(|word| word.starts_with('/')).map(|path| format!("{path}:{path}:ro")).next();
            mounts.extend(mount);
        }
    }
    mounts.sort();
    mounts.dedup();
    mounts
}

/// `docker run` with the programs, not started yet.
fn in_container(flags: &[&str], image: &str, words: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(["run", "--rm"]);
    for mount in programs() {
        command.args(["-v", &mount]);
    }
    command.args(flags).arg(image).args(words);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ran(flags: &[&str], image: &str, words: &[&str]) -> Ran {
    Ran::from(in_container(flags, image, words).output().unwrap())
}

/// An image with one file beside the harness: a program with many names, and no shell where one is looked for.
fn bare(sandbox: &Sandbox) -> String {
    sandbox.docker_build("bare", &format!("FROM scratch\nCOPY --from={BASE} /bin/busybox /bin/busybox\n"))
}

/// Both forms, as the first words of a container's command.
const FORMS: [&[&str]; 2] = [&["/bin/docker-test-harness"], &["/bin/docker-test", "harness"]];

#[test]
fn as_first_process_it_reaps_what_is_left_to_it_and_gives_the_commands_verdict() {
    let sandbox = Sandbox::new();
    let image = bare(&sandbox);
    // What made a group of its own is out of the command's reach, and becomes the first process's.
    let orphans = "(busybox setsid busybox sleep 0.2 &); (busybox setsid busybox sleep 0.2 &); busybox sleep 1; \
                   ! busybox grep -l '^State:.Z' /proc/[0-9]*/status";
    for form in FORMS {
        let of = |words: &[&str]| ran(&[], &image, &[form, words].concat());
        let reaped = of(&["--attempts", "1", "--", "/bin/busybox", "sh", "-c", orphans]);
        reaped.assert_code(0);
        assert_eq!(reaped.stdout, "", "a zombie");
        of(&["--backoff", "1ms", "--", "/bin/busybox", "false"]).assert_code(1);
        of(&["--", "/no/such/program"]).assert_code(125);
        of(&["--attempts", "none", "--", "/bin/busybox", "true"]).assert_code(125);
        of(&["--version"]).assert_code(0);
    }
}

#[test]
fn as_first_process_it_ends_and_reaps_a_session_that_a_command_has_left() {
    let sandbox = Sandbox::new();
    let image = bare(&sandbox);
    // The second attempt looks for what the first one has left.
    let script = "if busybox test -s /left; then ! busybox test -e /proc/$(busybox cat /left); exit; fi; \
                  (busybox setsid busybox sh -c 'echo $$ > /left; exec busybox sleep 600' &); \
                  until busybox test -s /left; do busybox sleep 0.05; done; exit 1";
    for form in FORMS {
        let words = ["--backoff", "1ms", "--", "/bin/busybox", "sh", "-c", script];
        ran(&[], &image, &[form, &words].concat()).assert_code(0);
    }
}

#[test]
fn a_zombie_would_be_seen() {
    let sandbox = Sandbox::new();
    let image = bare(&sandbox);
    // A first process that reaps nothing: the test above can fail.
    let script = "(busybox setsid busybox sleep 0.2 &); exec busybox sleep 600";
    let name = sandbox.name("zombies");
    docker(&["run", "-d", "--name", &name, &image, "/bin/busybox", "sh", "-c", script]);
    eventually("a zombie", || {
        let seen = docker(&["exec", &name, "/bin/busybox", "ps", "-o", "stat"]);
        seen.lines().any(|line| line.starts_with('Z')).then_some(())
    });
}

#[test]
fn a_container_that_is_stopped_ends_its_check_cleans_up_without_a_shell_and_says_the_signal() {
    let sandbox = Sandbox::new();
    let image = bare(&sandbox);
    let path = sandbox.path().display().to_string();
    for (form, number) in FORMS.into_iter().zip(["1", "2"]) {
        let name = sandbox.name(number);
        let cleaned = format!("/work/cleaned{number}");
        let cleanup = format!("/bin/busybox touch {cleaned}");
        let mount = format!("{path}:/work");
        let script =
            "trap 'busybox touch /work/heard; exit 0' TERM; echo up; while :; do busybox sleep 0.05; done";
        let words = ["--cleanup", &cleanup, "--", "/bin/busybox", "sh", "-c", script];
        let flags = ["--name", &name, "-v", &mount];
        let live = Live::start(in_container(&flags, &image, &[form, &words].concat()));
        live.prints("up");
        let begun = Instant::now();
        docker(&["kill", "-s", "TERM", &name]);
        live.finish().assert_code(143);
        assert!(begun.elapsed() < Duration::from_secs(30));
        assert!(sandbox.path().join("heard").exists(), "the command was asked to end");
        assert!(sandbox.path().join(format!("cleaned{number}")).exists(), "the cleanup was run");
        std::fs::remove_file(sandbox.path().join("heard")).unwrap();
    }
}

#[test]
fn an_entrypoint_with_a_test_is_a_probe_that_variables_alone_configure() {
    let sandbox = Sandbox::new();
    sandbox.write("test.sh", "#!/bin/sh\necho \"$DOCKER_TEST_NAME on $HOST\"\nexit 3\n");
    let image = sandbox.docker_build(
        "entry",
        &format!(
            "FROM {BASE}\nCOPY test.sh /test.sh\nENTRYPOINT [\"docker-test-harness\", \"--\", \"/test.sh\"]\n"
        ),
    );
    let variables = [
        "-e",
        "DOCKER_TEST_NAME=shop.checkout",
        "-e",
        "HOST=shop.staging",
        "-e",
        "DOCKER_TEST_ATTEMPTS=3",
        "-e",
        "DOCKER_TEST_BACKOFF=1ms",
        "-e",
        "DOCKER_TEST_CLEANUP=echo cleaned >&2",
    ];
    let probe = ran(&variables, &image, &[]);
    probe.assert_code(1);
    assert_eq!(probe.stdout.matches("shop.checkout on shop.staging\n").count(), 3, "{probe:?}");
    probe.assert_stderr("shop.checkout: attempt 3 of 3: expected exit code 0, got 3");
    probe.assert_stderr("shop.checkout: failed: 3 of 3 attempts");
}

#[test]
fn in_an_image_with_nothing_else_names_of_the_containers_network_are_known() {
    let sandbox = Sandbox::new();
    let (image, network, server) = (bare(&sandbox), sandbox.name("net"), sandbox.name("server"));
    docker(&["network", "create", &network]);
    sandbox.write("index.html", "all is well\n");
    let pages = format!("{}:/pages:ro", sandbox.path().display());
    docker(&[
        "run",
        "-d",
        "--name",
        &server,
        "--network",
        &network,
        "--network-alias",
        "shop.example",
        "-v",
        &pages,
        BASE,
        "httpd",
        "-f",
        "-p",
        "8080",
        "-h",
        "/pages",
    ]);
    sandbox.write(
        "checks.yaml",
        "checks:\n  port: { tcp: 'shop.example:8080', attempts: 20, backoff: 50ms }\n  \
         page: { http: { url: 'http://shop.example:8080/', expect: { body: well } } }\n  \
         name: { dns: shop.example }\n  nobody: { tcp: 'nobody.example:8080', attempts: 1 }\n",
    );
    let mount = format!("{}/checks.yaml:/checks.yaml:ro", sandbox.path().display());
    let flags = ["--network", &network, "-v", &mount];
    let words = ["/bin/docker-test-harness", "--checks", "/checks.yaml", "--format", "json"];
    let probes = ran(&flags, &image, &words);
    probes.assert_code(1);
    let states: Vec<Value> = probes
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["attempts"].as_array().unwrap().last().unwrap()["state"].clone())
        .collect();
    assert_eq!(states, ["ok", "ok", "ok", "critical"], "{}", probes.stdout);
    probes.assert_stderr("nobody: failed: 1 of 1 attempts");
}

/// The harness on this machine, with a file of checks.
fn of_checks(sandbox: &Sandbox, checks: &str) -> Command {
    sandbox.write("checks.yaml", checks);
    let mut command = Command::new(HARNESS);
    command
        .args(["--checks", "checks.yaml", "--attempts", "1", "--format", "json"])
        .current_dir(sandbox.path())
        .env("DOCKER_TEST_STATE_DIR", sandbox.state())
        .env("PATH", beside_docker_test())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// PATH with the docker-test under test before all others.
fn beside_docker_test() -> String {
    let directory = std::path::Path::new(BINARY).parent().unwrap().display().to_string();
    format!("{directory}:{}", std::env::var("PATH").unwrap())
}

/// State and summary of the last attempt of each probe.
fn seen(ran: &Ran) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let runs = ran.json();
    let last = |run: &Value| run["attempts"].as_array().unwrap().last().cloned().unwrap_or_default();
    runs.as_array().unwrap().iter().map(last).map(|it| (text(&it["state"]), text(&it["summary"]))).collect()
}

#[test]
fn a_container_is_found_running_healthy_ill_ended_or_not_at_all() {
    let sandbox = Sandbox::new();
    let names = ["well", "ill", "plain", "ended"].map(|name| sandbox.name(name));
    let [well, ill, plain, ended] = &names;
    let health = |command: &str| format!("--health-cmd={command}");
    let often = ["--health-interval=100ms", "--health-retries=1"];
    for (name, command) in [(well, "true"), (ill, "echo broken pipe; false")] {
        docker(&["run", "-d", "--name", name, &health(command), often[0], often[1], BASE, "sleep", "600"]);
    }
    docker(&["run", "-d", "--name", plain, BASE, "sleep", "600"]);
    docker(&["run", "-d", "--name", ended, BASE, "sh", "-c", "exit 3"]);
    docker(&["wait", ended]);
    for (name, status) in [(well, "healthy"), (ill, "unhealthy")] {
        eventually(status, || {
            let said = docker(&["inspect", "-f", "{{.State.Health.Status}}", name]);
            (said.trim() == status).then_some(())
        });
    }
    let checks = format!(
        "checks:\n  a: {{ docker: {well} }}\n  b: {{ docker: {ill} }}\n  c: {{ docker: {plain} }}\n  \
         d: {{ docker: {{ container: {plain}, healthy: true }} }}\n  e: {{ docker: {ended} }}\n  \
         f: {{ docker: {ill}-gone }}\n  g: {{ docker: {{ container: {ill}, healthy: false }} }}\n"
    );
    let looked = Ran::from(of_checks(&sandbox, &checks).output().unwrap());
    looked.assert_code(1);
    let expected = [
        ("ok", format!("the container {well} runs and is healthy")),
        ("critical", format!("expected the container {ill} to be healthy, got unhealthy: broken pipe")),
        ("ok", format!("the container {plain} runs")),
        ("critical", format!("expected the container {plain} to be healthy, got no health check")),
        ("critical", format!("expected the container {ended} to run, got exited with code 3")),
        ("critical", format!("expected a container {ill}-gone, got none of that name")),
        ("ok", format!("the container {ill} runs")),
    ];
    assert_eq!(seen(&looked), expected.map(|(state, summary)| (state.to_owned(), summary)));
}

/// An image whose test ends as `script` does.
fn with_test(sandbox: &Sandbox, name: &str, script: &str) -> String {
    sandbox.docker_build(name, &format!("FROM {BASE}\nLABEL sandbox={name}\nONBUILD CMD {script}\n"))
}

#[test]
fn an_image_is_tested_and_what_became_of_its_tests_is_the_verdict() {
    let sandbox = Sandbox::new();
    let junit = "<testsuite><testcase name=\\\"cart\\\"/><testcase name=\\\"checkout\\\">\
                 <failure message=\\\"expected 3, got 4\\\"/></testcase></testsuite>";
    let good = with_test(&sandbox, "good", "echo all is well");
    let bad = with_test(&sandbox, "bad", &format!("echo \"{junit}\" > /var/tests/results/junit.xml; exit 5"));
    let none = sandbox.docker_build("none", &format!("FROM {BASE}\nLABEL sandbox=none\n"));
    let missing = sandbox.image("missing");
    let checks = format!(
        "checks:\n  a: {{ image: '{good}' }}\n  b: {{ image: '{bad}' }}\n  \
         c: {{ image: {{ image: '{none}', arguments: [--, sh, -c, 'exit 0'] }} }}\n  \
         d: {{ image: {{ image: '{none}', arguments: [--timeout, 300ms, --grace-period, 100ms, --, sleep, '60'] }} }}\n"
    );
    let tested = Ran::from(of_checks(&sandbox, &checks).output().unwrap());
    tested.assert_code(1);
    let found = seen(&tested);
    assert_eq!(found[0], ("ok".to_owned(), format!("the tests of {good} passed")));
    let (state, summary) = &found[1];
    assert_eq!(state, "critical");
    assert!(
        summary.ends_with("got exit code 5 (1 passed, 1 failed): checkout (expected 3, got 4)"),
        "{summary}"
    );
    assert_eq!(found[2].0, "ok", "{found:?}");
    assert_eq!((found[3].0.as_str(), found[3].1.ends_with("got timed out")), ("critical", true), "{found:?}");
    assert!(!sandbox.path().join("tests").exists(), "results are left in the way");
    let measured = &tested.json()[1]["attempts"][0]["measurements"];
    assert!(measured.as_array().unwrap().iter().any(|it| it["name"] == "cases_failed" && it["value"] == 1.0));
    assert!(tested.json()[0]["attempts"][0]["output"].as_str().unwrap().contains("all is well"));

    // What says nothing about the tests is no verdict.
    let untested = Ran::from(
        of_checks(&sandbox, &format!("checks: {{ x: {{ image: '{missing}' }} }}\n")).output().unwrap(),
    );
    untested.assert_code(125);
    untested.assert_stderr("x: cannot test the image");
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn a_test_of_an_image_that_is_stopped_or_takes_too_long_leaves_nothing_on_the_engine() {
    let sandbox = Sandbox::new();
    let image = with_test(&sandbox, "slow", "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done");
    let checks = format!("checks: {{ slow: {{ image: '{image}' }} }}\n");
    let live = Live::start(of_checks(&sandbox, &checks));
    live.says("up");
    live.signal(Signal::SIGTERM);
    let stopped = live.finish();
    stopped.assert_code(143);
    assert_eq!(sandbox.leftovers(), Vec::<String>::new(), "{}", stopped.stderr);

    let checks = format!("checks: {{ slow: {{ image: '{image}', timeout: 6s }} }}\n");
    let late = Ran::from(of_checks(&sandbox, &checks).output().unwrap());
    late.assert_code(1);
    assert_eq!(late.json()[0]["attempts"][0]["timed_out"], true);
    assert_eq!(sandbox.leftovers(), Vec::<String>::new(), "{}", late.stderr);
}
