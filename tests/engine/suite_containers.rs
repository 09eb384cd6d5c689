//! `--containers`: labelled containers of a deployment, run again as they were made, and left as they are.

use std::net::TcpListener;

use crate::suite_system::System;
use crate::support::docker;

/// A deployment: a network with a live server, and a label of its own that selects its tests.
struct Deployment {
    system: System,
    network: String,
    filter: String,
}

impl Deployment {
    fn new() -> Self {
        let system = System::new();
        let network = system.sandbox.name("staging");
        docker(&["network", "create", &network]);
        let filter = format!("label={}", system.sandbox.name("tests"));
        let deployment = Self { system, network, filter };
        let serve = "mkdir /www; echo live >/www/index.html; exec httpd -f -p 80 -h /www";
        deployment.start("web", &["--network-alias", "shop"], &["sh", "-c", serve]);
        deployment
    }

    /// Starts a container as somebody who deploys does.
    fn start(&self, name: &str, flags: &[&str], command: &[&str]) -> String {
        let name = self.system.sandbox.name(name);
        let mut words = vec!["run", "-d", "--name", &name, "--network", &self.network];
        words.extend(flags);
        words.push(&self.system.image);
        words.extend(command);
        docker(&words);
        name
    }

    /// The same, of a container that is a test.
    fn start_test(&self, name: &str, flags: &[&str], command: &[&str]) -> String {
        let label = self.system.sandbox.name("tests");
        let mut words = vec!["--label", "test.type=integration", "--label", &label];
        words.extend(flags);
        let name = self.start(name, &words, command);
        docker(&["wait", &name]);
        name
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut words = vec!["--containers", "--filter", &self.filter];
        words.extend(more);
        words
    }
}

#[test]
fn a_labelled_container_is_run_again_as_it_was_made_and_left_as_it_was() {
    let deployment = Deployment::new();
    let sandbox = &deployment.system.sandbox;
    let volume = sandbox.name("data");
    docker(&[
        "run",
        "--rm",
        "-v",
        &format!("{volume}:/data"),
        &deployment.system.image,
        "sh",
        "-c",
        "echo stored >/data/word",
    ]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let check = "for n in 1 2 3 4 5; do wget -qO- http://shop/ && break; sleep 1; done; echo $WORD; id -u; cat /data/word; hostname; echo left >/tmp/left; test $WORD = hello";
    let flags = [
        "-e",
        "WORD=hello",
        "--user",
        "1234",
        "-v",
        &format!("{volume}:/data:ro"),
        "-p",
        &format!("127.0.0.1:{port}:80"),
        "--hostname",
        "checker",
        "--label",
        "com.docker.compose.project=shop",
    ];
    let test = deployment.start_test("check", &flags, &["sh", "-c", check]);
    let photograph = || {
        let mut changed: Vec<String> = docker(&["diff", &test]).lines().map(str::to_owned).collect();
        changed.sort();
        (docker(&["inspect", &test]), changed, docker(&["logs", &test]))
    };
    let before = photograph();
    let told = deployment.system.run(0, &deployment.arguments(&[]));
    told.assert_outcomes(&[(&test, "passed")]);
    let lines: Vec<&str> = told.output(&test).lines().collect();
    assert_eq!(lines, ["live", "hello", "1234", "stored", "checker"]);
    assert_eq!(before, photograph());
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
    // The volume is the deployment's.
    assert_eq!(docker(&["volume", "inspect", "-f", "{{.Name}}", &volume]).trim(), volume);
    // Whatever may have changed in staging, it is run each time.
    let told = deployment.system.run(0, &deployment.arguments(&["--cached"]));
    told.assert_outcomes(&[(&test, "passed")]);
    let told = deployment.system.run(1, &deployment.arguments(&["-e", "WORD=other"]));
    assert_eq!(told.outcome(&test), "failed");
}

#[test]
fn containers_are_selected_by_name_and_type_and_each_has_its_own_outcome() {
    let deployment = Deployment::new();
    let good = deployment.start_test("good", &[], &["true"]);
    let bad = deployment.start_test("bad", &["--label", "test.type=smoke"], &["sh", "-c", "echo no; exit 3"]);
    let told = deployment.system.run(1, &deployment.arguments(&[]));
    told.assert_outcomes(&[(&bad, "failed"), (&good, "passed")]);
    assert_eq!(told.test(&bad)["type"], "smoke");
    deployment
        .system
        .run(0, &deployment.arguments(&["--type", "integration"]))
        .assert_outcomes(&[(&good, "passed")]);
    deployment
        .system
        .run(1, &deployment.arguments(&["--select", "*-bad"]))
        .assert_outcomes(&[(&bad, "failed")]);
    let told = deployment.system.run(1, &deployment.arguments(&["--rerun", "failed"]));
    told.assert_outcomes(&[(&bad, "failed")]);
    let told = deployment.system.run(4, &deployment.arguments(&["--select", "nobody"]));
    told.ran.assert_stderr("nothing to test");
}

#[test]
fn a_container_that_still_runs_keeps_its_name_its_port_and_its_state() {
    let deployment = Deployment::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let label = deployment.system.sandbox.name("tests");
    let published = format!("127.0.0.1:{port}:80");
    let flags = [
        "--label",
        "test.type=integration",
        "--label",
        &label,
        "-p",
        &published,
        "--restart",
        "always",
        "-e",
        "SECRET_TOKEN=staging-secret-1",
    ];
    let running = deployment.start(
        "probe",
        &flags,
        &[
            "sh",
            "-c",
            "echo token $SECRET_TOKEN; test -e /tmp/first || { touch /tmp/first; sleep 3; }; exit 0",
        ],
    );
    docker(&["update", "--restart", "no", &running]);
    let id = docker(&["inspect", "-f", "{{.Id}} {{.Created}} {{.Name}}", &running]);
    let told = deployment.system.run(0, &deployment.arguments(&[]));
    told.assert_outcomes(&[(&running, "passed")]);
    assert_eq!(told.output(&running), "token ***\n", "its secrets are hidden as any other");
    assert_eq!(docker(&["inspect", "-f", "{{.Id}} {{.Created}} {{.Name}}", &running]), id);
}

#[test]
fn a_network_that_is_gone_is_named_and_other_containers_are_run() {
    let deployment = Deployment::new();
    let other = deployment.system.sandbox.name("other");
    docker(&["network", "create", &other]);
    let good = deployment.start_test("good", &[], &["true"]);
    let lost = deployment.start_test("lost", &[], &["true"]);
    docker(&["network", "connect", &other, &lost]);
    docker(&["network", "rm", &other]);
    let told = deployment.system.run(125, &deployment.arguments(&[]));
    told.assert_outcomes(&[(&good, "passed"), (&lost, "not_started")]);
    let message = told.test(&lost)["cause"]["message"].as_str().unwrap();
    assert!(message.contains(&other), "{message}");
}

#[test]
fn labels_of_a_container_say_how_it_is_run() {
    let deployment = Deployment::new();
    let volume = format!("{}:/state", deployment.system.sandbox.name("state"));
    let flags = ["--label", "test.retries=1", "--label", "test.results=/out", "-v", &volume];
    let script = "n=$(cat /state/n 2>/dev/null || echo 0); n=$((n + 1)); echo $n >/state/n; mkdir -p /out; echo $n >/out/n; test $((n % 2)) = 1";
    let shaky = deployment.start_test("shaky", &flags, &["sh", "-c", script]);
    let slow = deployment.start_test(
        "slow",
        &["--label", "test.timeout=2s", "-v", &volume],
        &["sh", "-c", "test -e /state/slow && sleep 60; touch /state/slow"],
    );
    let told = deployment
        .system
        .run(124, &deployment.arguments(&["--grace-period", "0s", "--retry-backoff", "1ms"]));
    told.assert_outcomes(&[(&shaky, "flaky"), (&slow, "timed_out")]);
    let directory = told.test(&shaky)["results_dir"].as_str().unwrap();
    assert_eq!(std::fs::read_to_string(format!("{directory}/n")).unwrap(), "3\n");
}
