//! Services of a suite: their order, their failures, and what these mean to the tests that need them.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::suite_system::System;
use crate::support::{BASE, docker};

/// The container of a service of a run, by the name of the run's network.
fn running(image: &str) -> Vec<String> {
    let format = "{{.ID}} {{.Image}} {{.Names}}";
    let filter = format!("ancestor={image}");
    docker(&["ps", "--filter", &filter, "--format", format]).lines().map(str::to_owned).collect()
}

#[test]
fn services_start_in_the_order_of_their_needs_and_one_serves_many_tests() {
    let system = System::of(
        r#"
services:
  web:
    image: IMAGE
    needs: [data]
    mounts: ["HERE/state:/state"]
    command: [sh, -c, 'cp /state/page /page/index.html 2>/dev/null || mkdir /page; cp /state/page /page/index.html; echo web >>/state/order; httpd -f -p 80 -h /page']
    ready: { http: 80/index.html, interval: 100ms }
  data:
    image: IMAGE
    mounts: ["HERE/state:/state"]
    command: [sh, -c, 'sleep 1; echo prepared >/state/page; echo data >>/state/order; echo done']
    ready: exit-0
  idle: { image: IMAGE, mounts: ["HERE/state:/state"], command: [sh, -c, 'echo idle >>/state/order; sleep 600'] }
tests:
  one: { image: IMAGE, needs: [web], command: [wget, -qO-, "http://web/index.html"] }
  two: { image: IMAGE, needs: [web], command: [wget, -qO-, "http://web/index.html"] }
  three: { image: IMAGE, needs: [two], command: ["true"] }
"#,
    );
    std::fs::create_dir(system.sandbox.path().join("state")).unwrap();
    let told = system.run(0, &[]);
    told.assert_outcomes(&[("one", "passed"), ("two", "passed"), ("three", "passed")]);
    assert_eq!((told.output("one"), told.output("two")), ("prepared\n", "prepared\n"));
    let order = std::fs::read_to_string(system.sandbox.path().join("state/order")).unwrap();
    assert_eq!(order, "data\nweb\n", "each once, and none that nobody needs");
    assert_eq!(system.sandbox.result("services/data.log"), "done\n");
    let services: Vec<(&Value, &Value)> = told.report["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|service| (&service["name"], &service["outcome"]))
        .collect();
    assert_eq!(services, [(&json!("data"), &json!("passed")), (&json!("web"), &json!("passed"))]);
    assert_eq!(running(&system.image), Vec::<String>::new());
    assert_eq!(system.sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn a_service_that_fails_is_named_with_its_exit_and_its_last_words() {
    let system = System::of(
        r#"
services:
  db: { image: IMAGE, command: [sh, -c, 'echo "cannot read the disk" >&2; exit 3'], ready: { port: 5432 } }
  api: { image: IMAGE, needs: [db], command: [sleep, "600"] }
  job: { image: IMAGE, command: [sh, -c, 'echo migrating; exit 2'], ready: exit-0 }
  slow: { image: IMAGE, command: [sleep, "600"], ready: { port: 1, timeout: 2s } }
  gone: { image: no/such/image:1, command: [x] }
tests:
  direct: { image: IMAGE, needs: [db], command: ["true"] }
  through: { image: IMAGE, needs: [api], command: ["true"] }
  job: { image: IMAGE, needs: [job], command: ["true"] }
  slow: { image: IMAGE, needs: [slow], command: ["true"] }
  gone: { image: IMAGE, needs: [gone], command: ["true"] }
  after: { image: IMAGE, needs: [direct], command: ["true"] }
  free: { image: IMAGE, command: ["true"] }
"#
        .replace("  job: { image: IMAGE, needs", "  jobbed: { image: IMAGE, needs")
        .replace("  slow: { image: IMAGE, needs", "  slowed: { image: IMAGE, needs")
        .replace("  gone: { image: IMAGE, needs", "  lost: { image: IMAGE, needs")
        .as_str(),
    );
    let told = system.run(125, &["--pull", "never"]);
    for name in ["direct", "through", "jobbed", "slowed", "lost", "after"] {
        assert_eq!(told.outcome(name), "dependency_failed", "{name}: {:#}", told.report);
        assert_eq!(told.test(name)["attempts"], json!([]), "{name}");
    }
    assert_eq!(told.outcome("free"), "passed");
    let cause = |name: &str| told.test(name)["cause"].clone();
    let direct = cause("direct");
    assert_eq!((&direct["kind"], &direct["service"]), (&json!("dependency_failed"), &json!("db")));
    assert!(direct["message"].as_str().unwrap().contains("exit code 3"), "{direct}");
    assert_eq!(direct["log_tail"], "cannot read the disk");
    let through = cause("through");
    assert!(through["service"] == "db" || through["service"] == "api", "{through}");
    assert!(through.to_string().contains("db"), "{through}");
    let jobbed = cause("jobbed");
    assert!(jobbed["message"].as_str().unwrap().contains("exit code 2"), "{jobbed}");
    assert_eq!(jobbed["log_tail"], "migrating");
    let slowed = cause("slowed");
    assert!(slowed["message"].as_str().unwrap().contains("2s"), "{slowed}");
    let lost = cause("lost");
    assert!(lost["message"].as_str().unwrap().contains("no/such/image"), "{lost}");
    assert_eq!(cause("after")["service"], "direct");
    told.ran.assert_stderr("cannot read the disk");
    assert_eq!(running(&system.image), Vec::<String>::new());
}

#[test]
fn a_service_that_dies_stops_the_tests_that_run_with_it_and_no_others() {
    let system = System::of(
        r#"
services:
  db: { image: IMAGE, command: [sh, -c, 'echo up; sleep 8; echo "panic: no memory"; exit 9'], ready: { log: up } }
tests:
  with: { image: IMAGE, needs: [db], command: [sh, -c, 'echo began; trap "exit 0" TERM; sleep 600 & wait'], retries: 2 }
  next: { image: IMAGE, needs: [with], command: ["true"] }
  without: { image: IMAGE, command: [sleep, "10"] }
  passes: { image: IMAGE, needs: [db], command: ["true"] }
"#,
    );
    let began = Instant::now();
    let told = system.run(125, &["-j", "4"]);
    assert!(began.elapsed() < Duration::from_secs(90), "{:?}", began.elapsed());
    let outcomes = ["with", "next", "without", "passes"].map(|name| told.outcome(name));
    assert_eq!(outcomes, ["dependency_failed", "dependency_failed", "passed", "passed"], "{:#}", told.report);
    let cause = &told.test("with")["cause"];
    assert!(cause["message"].as_str().unwrap().contains("exit code 9"), "{cause}");
    assert!(cause["log_tail"].as_str().unwrap().ends_with("panic: no memory"), "{cause}");
    assert_eq!(told.test("with")["attempts"].as_array().unwrap().len(), 1, "nothing to try again with");
    assert_eq!(told.output("with"), "began\n");
    let service = &told.report["services"][0];
    assert_eq!((&service["outcome"], &service["cause"]["code"]), (&json!("failed"), &json!(9)));
    assert_eq!(system.sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn a_service_goes_as_soon_as_nobody_needs_it_any_more() {
    let system = System::of(
        r#"
services:
  db: { image: IMAGE, labels: { mine: HERE }, command: [sh, -c, 'echo up; sleep 600'], ready: { log: up } }
tests:
  short: { image: IMAGE, needs: [db], command: ["true"] }
  long: { image: IMAGE, mounts: ["HERE/state:/state"], command: [sh, -c, 'until test -e /state/go; do sleep 0.2; done'] }
"#,
    );
    std::fs::create_dir(system.sandbox.path().join("state")).unwrap();
    let mine = format!("label=mine={}", system.sandbox.path().display());
    let alive = || docker(&["ps", "-q", "--filter", &mine]).lines().count();
    let mut child = system.sandbox.command(&["run", "-j", "2"]).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(90);
    let mut waited_for = |count: usize| {
        while alive() != count && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(100));
        }
        alive() == count && child.try_wait().unwrap().is_none()
    };
    let gone_before_the_end = waited_for(1) && waited_for(0);
    system.sandbox.write("state/go", "");
    assert!(child.wait().unwrap().success());
    assert!(gone_before_the_end, "the service was there until the end");
    assert_eq!(system.sandbox.result("services/db.log"), "up\n");
}

#[test]
fn services_are_built_published_and_checked_for_health() {
    let system = System::of(
        r#"
services:
  web:
    build: { context: ./web, args: { WORD: built } }
    ports: ["127.0.0.1::80"]
    healthcheck: { test: [CMD, test, -e, /tmp/healthy], interval: 300ms, retries: 50 }
    ready: healthy
  sick:
    image: IMAGE
    command: [sleep, "600"]
    healthcheck: { test: [CMD-SHELL, "echo not well; exit 1"], interval: 200ms, retries: 2 }
    ready: { healthy: true, timeout: 20s }
tests:
  get: { image: IMAGE, needs: [web], command: [wget, -qO-, "http://web/"] }
  sick: { image: IMAGE, needs: [sick], command: ["true"] }
"#
        .replace("  sick: { image: IMAGE, needs", "  ill: { image: IMAGE, needs")
        .replace(r#"["127.0.0.1::80"]"#, r#"["127.0.0.1:PORT:80"]"#)
        .replace("PORT", &free_port().to_string())
        .as_str(),
    );
    system.sandbox.write(
        "web/Dockerfile",
        &format!("FROM {BASE}\nARG WORD\nRUN mkdir /www && echo $WORD >/www/index.html\nCMD [\"sh\", \"-c\", \"(sleep 2; touch /tmp/healthy) & exec httpd -f -p 80 -h /www\"]\n"),
    );
    let told = system.run(125, &[]);
    told.assert_outcomes(&[("get", "passed"), ("ill", "dependency_failed")]);
    assert_eq!(told.output("get"), "built\n");
    let message = told.test("ill")["cause"]["message"].as_str().unwrap();
    assert!(message.contains("health"), "{message}");
    let run = told.report["run_id"].as_str().unwrap();
    assert!(!docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).contains(run));
    assert!(!docker(&["network", "ls"]).contains(run));
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_port_that_is_taken_is_the_services_failure() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let system = System::of(&format!(
        r#"
services:
  web: {{ image: IMAGE, ports: ["127.0.0.1:{port}:80"], command: [sleep, "600"] }}
tests:
  a: {{ image: IMAGE, needs: [web], command: ["true"] }}
"#
    ));
    let told = system.run(125, &[]);
    told.assert_outcomes(&[("a", "dependency_failed")]);
    let cause = told.test("a")["cause"].to_string();
    assert!(cause.contains(&port.to_string()), "{cause}");
    let left = Command::new("docker")
        .args(["ps", "-aq", "--filter", &format!("ancestor={}", system.image)])
        .output();
    assert_eq!(String::from_utf8_lossy(&left.unwrap().stdout), "");
}
