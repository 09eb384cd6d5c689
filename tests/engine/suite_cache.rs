//! `--cached`: what has passed and has not changed is not run again, and is never said to have passed.

use std::fs;

use serde_json::Value;

use crate::suite_system::System;
use crate::support::BASE;

const SUITE: &str = r#"
services:
  db: { image: "SERVICE", command: [sh, -c, 'echo up; sleep 600'], ready: { log: up } }
tests:
  plain: { image: IMAGE, command: [echo, plain] }
  copied: { image: IMAGE, context: ./data }
  valued: { image: IMAGE, env: { WORD: "${WORD:-one}" }, secrets: [PASS], command: [sh, -c, 'echo $WORD'] }
  served: { image: IMAGE, needs: [db], command: ["true"] }
  mounted: { image: IMAGE, mounts: ["./data:/data"], command: ["true"] }
  after: { image: IMAGE, needs: [plain], command: [echo, after] }
"#;

fn system() -> System {
    let mut system = System::new();
    service(&system, "1");
    system.suite(&SUITE.replace("SERVICE", &system.sandbox.image("service")));
    system.sandbox.write(
        "data/Dockerfile.test",
        "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCOPY file /file\nCMD [\"cat\", \"/file\"]\n",
    );
    system.sandbox.write("data/file", "one\n");
    system.sandbox.set("PASS", "passphrase-one");
    system
}

fn service(system: &System, version: &str) {
    system.sandbox.docker_build("service", &format!("FROM {BASE}\nLABEL version={version}\n"));
}

/// The tests that a cached run has run.
#[track_caller]
fn run_again(system: &System) -> Vec<String> {
    let told = system.run(0, &["--cached"]);
    let tests = told.report["tests"].as_array().unwrap();
    for test in tests.iter().filter(|test| test["outcome"] == "skipped") {
        assert_eq!(test["cause"]["kind"], "cached", "{test:#}");
        assert!(test["cause"]["run_id"].is_string() && test["cause"]["at"].is_string(), "{test:#}");
        assert_eq!(test["attempts"], Value::Array(Vec::new()));
    }
    let ran = tests.iter().filter(|test| test["outcome"] == "passed");
    ran.map(|test| test["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn only_what_has_changed_is_run_again() {
    let mut system = system();
    let all = ["plain", "copied", "valued", "served", "mounted", "after"];
    let names = system.run(0, &[]).names();
    assert!(all.iter().all(|name| names.iter().any(|known| known == name)), "{names:?}");
    // A bind mount can change without anybody's knowledge.
    assert_eq!(run_again(&system), ["mounted"]);
    system.sandbox.write("data/file", "two\n");
    assert_eq!(run_again(&system), ["copied", "mounted"]);
    system.sandbox.write("data/file", "one\n");
    assert_eq!(run_again(&system), ["mounted"], "it has passed with this, too");
    system.sandbox.set("WORD", "two");
    assert_eq!(run_again(&system), ["valued", "mounted"]);
    system.sandbox.set("PASS", "passphrase-two");
    assert_eq!(run_again(&system), ["valued", "mounted"]);
    service(&system, "2");
    assert_eq!(run_again(&system), ["served", "mounted"]);
    system.sandbox.docker_build("app", &format!("FROM {BASE}\nLABEL system=other\n"));
    let mut again = run_again(&system);
    again.sort();
    let mut expected = all.map(str::to_owned);
    expected.sort();
    assert_eq!(again, expected);
    // Without the flag, everything runs.
    let told = system.run(0, &[]);
    assert!(told.names().iter().all(|name| told.outcome(name) == "passed"));
    // Values stand nowhere in the store.
    for entry in fs::read_dir(system.sandbox.state()).unwrap().flatten() {
        let bytes = fs::read(entry.path()).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&bytes).contains("passphrase-"), "{}", entry.path().display());
    }
}

#[test]
fn nothing_is_cached_that_was_never_run_or_did_not_pass() {
    let system = System::of(
        r#"
tests:
  bad: { image: IMAGE, command: ["false"] }
  shaky: { image: IMAGE, command: [sh, -c, "test $(($(date +%s) % 1000000)) -gt 0"] }
"#,
    );
    let told = system.run(1, &["--cached"]);
    told.assert_outcomes(&[("bad", "failed"), ("shaky", "passed")]);
    let told = system.run(1, &["--cached"]);
    told.assert_outcomes(&[("bad", "failed"), ("shaky", "skipped")]);
    told.ran.assert_stderr("passed");
    assert_eq!(told.report["outcome"], "failed");
}

#[test]
fn a_later_failure_makes_the_pass_forgotten() {
    let system = System::new();
    // Passes in the first few seconds, by the clock of the engine's machine.
    let end = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 25;
    system.suite(&format!(
        "tests:\n  a: {{ image: IMAGE, command: [sh, -c, 'test $(date +%s) -lt {end}'] }}\n"
    ));
    system.run(0, &[]).assert_outcomes(&[("a", "passed")]);
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    while now() <= end {
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    system.run(0, &["--cached"]).assert_outcomes(&[("a", "skipped")]);
    system.run(1, &[]).assert_outcomes(&[("a", "failed")]);
    system.run(1, &["--cached"]).assert_outcomes(&[("a", "failed")]);
}

#[test]
fn a_test_is_cached_though_what_it_needs_was_not_run_beside_it() {
    let system = System::of(
        r#"
tests:
  first: { image: IMAGE, command: ["true"] }
  second: { image: IMAGE, needs: [first], env: { WORD: "${WORD:-one}" }, command: [sh, -c, "echo $WORD"] }
"#,
    );
    let mut system = system;
    system.run(0, &[]);
    system.sandbox.set("WORD", "two");
    system.run(0, &["--cached"]).assert_outcomes(&[("first", "skipped"), ("second", "passed")]);
    let told = system.run(0, &["--cached"]);
    told.assert_outcomes(&[("first", "skipped"), ("second", "skipped")]);
    assert_eq!(told.report["outcome"], "skipped");
}
