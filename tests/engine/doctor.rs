//! `docker-test doctor`: one finding for everything that a run depends on.

use std::fs;

use serde_json::Value;

use crate::fixture::fixture;
use crate::support::Sandbox;

/// A sandbox with a Docker configuration of its own.
fn configured(json: &str) -> Sandbox {
    let mut sandbox = Sandbox::new();
    let config = sandbox.path().parent().unwrap().join("docker-config");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("config.json"), json).unwrap();
    sandbox.set("DOCKER_CONFIG", config.to_str().unwrap());
    sandbox
}

#[track_caller]
fn findings(sandbox: &Sandbox, code: i32) -> Vec<Value> {
    let ran = sandbox.expect(code, &["doctor", "--format", "json"]);
    ran.json().as_array().unwrap().clone()
}

#[track_caller]
fn finding<'f>(findings: &'f [Value], check: &str) -> &'f Value {
    let found = findings.iter().find(|finding| finding["check"] == check);
    found.unwrap_or_else(|| panic!("no finding {check} in {findings:?}"))
}

#[test]
fn a_healthy_engine_is_described() {
    let sandbox = configured("{}");
    let ran = sandbox.expect(0, &["doctor"]);
    for part in ["engine", "version", "builder", "storage", "leftovers", "credentials", "state", "results"] {
        assert!(
            ran.stdout.lines().any(|line| line.split_whitespace().nth(1) == Some(part)),
            "{part}: {}",
            ran.stdout
        );
    }
    ran.assert_stdout("Docker Engine");
    let findings = findings(&sandbox, 0);
    assert!(findings.iter().all(|finding| finding["level"] != "problem"), "{findings:?}");
    assert_eq!(finding(&findings, "engine")["level"], "ok");
    assert!(finding(&findings, "version")["message"].as_str().unwrap().contains("API 1."));
}

#[test]
fn doctor_leaves_nothing_behind() {
    let sandbox = configured("{}");
    sandbox.expect(0, &["doctor"]);
    assert_eq!(fs::read_dir(sandbox.path()).unwrap().count(), 0);
}

#[test]
fn a_dead_engine_is_a_problem_and_the_rest_is_looked_at_all_the_same() {
    let mut sandbox = configured("{}");
    sandbox.set("DOCKER_HOST", "tcp://127.0.0.1:1");
    let found = findings(&sandbox, 125);
    let engine = finding(&found, "engine");
    assert_eq!(engine["level"], "problem");
    assert!(engine["message"].as_str().unwrap().contains("127.0.0.1:1 (DOCKER_HOST)"), "{engine}");
    assert!(engine["hint"].is_string());
    assert_eq!(finding(&found, "credentials")["level"], "ok");
    let ran = sandbox.expect(125, &["doctor"]);
    ran.assert_stdout("problem engine");
    ran.assert_stdout("hint: ");
}

#[test]
fn a_broken_configuration_is_named_with_its_place_and_not_quoted() {
    let sandbox = configured("{\"auths\": {\"r\": {\"auth\": hunter2}}}");
    let ran = sandbox.expect(125, &["doctor"]);
    ran.assert_stdout("config.json");
    ran.assert_stdout("line 1");
    assert!(!ran.stdout.contains("hunter2") && !ran.stderr.contains("hunter2"));
}

#[test]
fn a_store_that_is_not_installed_is_found_before_anything_is_pulled() {
    for config in [
        "{\"credsStore\": \"dt-not-installed\"}",
        "{\"credHelpers\": {\"registry.invalid\": \"dt-not-installed\"}}",
    ] {
        let found = findings(&configured(config), 125);
        let credentials = finding(&found, "credentials");
        assert_eq!(credentials["level"], "problem", "{config}");
        assert!(credentials["message"].as_str().unwrap().contains("docker-credential-dt-not-installed"));
        assert!(credentials["hint"].as_str().unwrap().contains("install"));
    }
}

#[test]
fn a_registry_is_asked_whether_it_takes_the_login() {
    let registry = fixture("registry");
    let mut sandbox = configured("{}");
    sandbox.set("DOCKER_CONFIG", &registry["REGISTRY_DOCKER_CONFIG"]);
    let ran = sandbox.expect(0, &["doctor"]);
    let accepted =
        format!("{} accepts the login of {}", registry["REGISTRY_ADDR"], registry["REGISTRY_USER"]);
    ran.assert_stdout(&accepted);
    assert!(!ran.stdout.contains(&registry["REGISTRY_PASSWORD"]));
}

#[test]
fn a_login_that_the_registry_refuses_is_a_problem_and_never_shown() {
    let address = fixture("registry")["REGISTRY_ADDR"].clone();
    // `tester:hunter2hunter2`
    let sandbox = configured(&format!(
        "{{\"auths\": {{{address:?}: {{\"auth\": \"dGVzdGVyOmh1bnRlcjJodW50ZXIy\"}}}}}}"
    ));
    let ran = sandbox.expect(125, &["doctor"]);
    ran.assert_stdout(&format!("{address} refuses the login of tester"));
    ran.assert_stdout(&format!("docker login {address}"));
    assert!(!ran.stdout.contains("hunter2") && !ran.stdout.contains("dGVzdGVy"));
}

#[test]
fn a_registry_that_is_out_of_reach_or_has_no_login_is_a_warning() {
    let sandbox = configured(
        "{\"auths\": {\"127.0.0.1:1\": {\"auth\": \"dGVzdGVyOmh1bnRlcjJodW50ZXIy\"}, \"empty.invalid\": {}}}",
    );
    let ran = sandbox.expect(0, &["doctor"]);
    ran.assert_stdout("warning credentials  cannot reach the registry 127.0.0.1:1");
    ran.assert_stdout("warning credentials  none for empty.invalid");
    ran.assert_stdout("docker login empty.invalid");
    assert!(!ran.stdout.contains("hunter2") && !ran.stdout.contains("dGVzdGVy"));
}

#[test]
fn directories_that_cannot_be_written_are_problems() {
    let mut sandbox = configured("{}");
    sandbox.write("file", "");
    sandbox.set("DOCKER_TEST_STATE_DIR", "/proc/docker-test-state");
    let found = findings(&sandbox, 125);
    let state = finding(&found, "state");
    assert_eq!(state["level"], "problem");
    assert!(state["hint"].as_str().unwrap().contains("DOCKER_TEST_STATE_DIR"));
}

#[test]
fn podman_is_told_apart_and_what_its_builder_lacks_is_named() {
    let mut sandbox = configured("{}");
    sandbox.set("DOCKER_HOST", &fixture("podman")["PODMAN_HOST"]);
    let found = findings(&sandbox, 0);
    assert!(finding(&found, "engine")["message"].as_str().unwrap().starts_with("Podman "));
    let builder = finding(&found, "builder");
    assert_eq!(builder["level"], "warning");
    assert!(builder["message"].as_str().unwrap().contains("heredoc"), "{builder}");
}
