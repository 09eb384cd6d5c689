//! Networks of a suite: its own, and staging, where others live.

use crate::suite_system::System;
use crate::support::docker;

#[test]
fn tests_join_a_network_with_live_containers_and_leave_it_as_it_was() {
    let system = System::new();
    let (network, web) = (system.sandbox.name("staging"), system.sandbox.name("web"));
    docker(&["network", "create", &network]);
    let serve = "mkdir /www; echo live >/www/index.html; exec httpd -f -p 80 -h /www";
    docker(&[
        "run",
        "-d",
        "--name",
        &web,
        "--network",
        &network,
        "--network-alias",
        "shop",
        &system.image,
        "sh",
        "-c",
        serve,
    ]);
    system.suite(&format!(
        r#"
network: {{ join: {network} }}
services:
  own: {{ image: IMAGE, command: [sh, -c, 'mkdir /w; echo own >/w/index.html; exec httpd -f -p 80 -h /w'], ready: {{ port: 80 }} }}
tests:
  live: {{ image: IMAGE, command: [sh, -c, 'for n in 1 2 3 4 5; do wget -qO- http://shop/ && exit 0; sleep 1; done; exit 1'] }}
  both: {{ image: IMAGE, needs: [own], command: [sh, -c, 'wget -qO- http://own/ && wget -qO- http://{web}/'] }}
"#
    ));
    let told = system.run(0, &[]);
    assert_eq!((told.output("live"), told.output("both")), ("live\n", "own\nlive\n"));
    let state = docker(&["inspect", "-f", "{{.State.Status}} {{.RestartCount}}", &web]);
    assert_eq!(state, "running 0\n");
    let members = docker(&["network", "inspect", "-f", "{{range .Containers}}{{.Name}} {{end}}", &network]);
    assert_eq!(members.trim(), web, "nobody else stays");
    // What depends on others is never taken from the cache.
    let told = system.run(0, &["--cached"]);
    told.assert_outcomes(&[("live", "passed"), ("both", "passed")]);
    assert_eq!(system.sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn a_further_network_that_is_joined_is_no_more_known_than_the_first() {
    let system = System::new();
    let network = system.sandbox.name("staging");
    docker(&["network", "create", &network]);
    system.suite(&format!(
        r#"
networks: {{ staging: {{ join: {network} }} }}
tests:
  live: {{ image: IMAGE, network: staging, command: ["true"] }}
  host: {{ image: IMAGE, options: {{ network: [host] }}, command: ["true"] }}
  own: {{ image: IMAGE, command: ["true"] }}
  none: {{ image: IMAGE, network: none, command: [sh, -c, "true"] }}
"#
    ));
    system.run(0, &[]);
    let told = system.run(0, &["--cached"]);
    told.assert_outcomes(&[("live", "passed"), ("host", "passed"), ("own", "skipped"), ("none", "skipped")]);
}

#[test]
fn a_network_that_is_not_there_is_named_and_nothing_runs() {
    let system = System::of(
        "network: { join: dt-no-such-network }\ntests:\n  a: { image: IMAGE, command: [\"true\"] }\n",
    );
    let told = system.run(125, &[]);
    told.ran.assert_stderr("there is no network dt-no-such-network");
    assert_eq!(system.sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn two_runs_have_networks_of_their_own_and_an_internal_one_has_no_way_out() {
    let system = System::of(
        r#"
network: { internal: true }
services:
  web: { image: IMAGE, command: [sh, -c, 'mkdir /w; hostname >/w/index.html; exec httpd -f -p 80 -h /w'], ready: { port: 80 } }
tests:
  a: { image: IMAGE, needs: [web], command: [sh, -c, 'sleep 2; wget -qO- http://web/; nslookup web | grep -c ^Address; ip route | grep -c default'], options: { trust: exit }, results: /r }
"#,
    );
    let other = System::of(
        &std::fs::read_to_string(system.sandbox.path().join("docker-test.yaml")).unwrap().replacen(
            "version: 1\n",
            "",
            1,
        ),
    );
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| system.sandbox.run(&["run"]));
        let two = scope.spawn(|| other.sandbox.run(&["run"]));
        (one.join().unwrap(), two.join().unwrap())
    });
    // No route out: the last command counts none, and says so with its exit code.
    one.assert_code(1);
    two.assert_code(1);
    let log = |system: &System| system.sandbox.result("a/attempt-1.log");
    let (one, two) = (log(&system), log(&other));
    assert!(one.ends_with("\n0\n") && two.ends_with("\n0\n"), "{one} {two}");
    assert_ne!(one.lines().next(), two.lines().next(), "each has a server of its own");
}
