//! Networks of a suite: its own, and staging, where others live.

use crate::suite_system::System;
use crate::support::{docker, until};

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
        r"
network: {{ join: {network} }}
services:
  own: {{ image: IMAGE, command: [sh, -c, 'mkdir /w; echo own >/w/index.html; exec httpd -f -p 80 -h /w'], ready: {{ port: 80 }} }}
tests:
  live: {{ image: IMAGE, command: [sh, -c, 'for n in 1 2 3 4 5; do wget -qO- http://shop/ && exit 0; sleep 1; done; exit 1'] }}
  both: {{ image: IMAGE, needs: [own], command: [sh, -c, 'wget -qO- http://own/ && wget -qO- http://{web}/'] }}
"
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
fn two_runs_at_a_time_have_services_and_networks_of_their_own() {
    let suite = r"
network: { internal: true }
services:
  web: { image: IMAGE, command: [sh, -c, 'mkdir /w; hostname >/w/index.html; exec httpd -f -p 80 -h /w'], ready: { port: 80 } }
tests:
  a: { image: IMAGE, needs: [web], command: [sh, -c, 'sleep 4; wget -qO- http://web/; nslookup web | grep -c ^Name'] }
";
    let (one, two) = (System::of(suite), System::of(suite));
    let run = |system: &System| system.sandbox.command(&["run"]).spawn().unwrap();
    let mut children = [run(&one), run(&two)];
    let network = until("the first network is there", || {
        let id = docker(&["ps", "-q", "--filter", &format!("ancestor={}", one.image)]);
        let format = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}";
        let id = id.lines().next()?;
        Some(docker(&["inspect", "-f", format, id]).trim().to_owned()).filter(|name| !name.is_empty())
    });
    assert!(network.starts_with("docker-test-"), "{network}");
    assert_eq!(docker(&["network", "inspect", "-f", "{{.Internal}}", &network]), "true\n");
    assert!(children.iter_mut().all(|child| child.wait().unwrap().success()));
    let log = |system: &System| system.sandbox.result("a/attempt-1.log");
    let (first, second) = (log(&one), log(&two));
    assert!(first.ends_with("\n1\n") && second.ends_with("\n1\n"), "one server each: {first} {second}");
    assert_ne!(first, second, "each has a server of its own");
    assert!(!docker(&["network", "ls", "--format", "{{.Name}}"]).lines().any(|name| name == network));
}
