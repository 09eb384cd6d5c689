//! Where the tests of a run of several come from: images, the engine, a suite here or elsewhere.

use std::fs;

use crate::suite_system::System;
use crate::support::{BASE, Sandbox, docker};

/// An image that is its own test.
fn image(sandbox: &Sandbox, name: &str, command: &str, labels: &str) -> String {
    sandbox.docker_build(name, &format!("FROM {BASE}\nLABEL test.cmd=\"{command}\" {labels}\n"))
}

#[test]
fn each_image_of_the_command_line_has_an_outcome_of_its_own() {
    let system = System::new();
    let good = image(&system.sandbox, "good", "echo fine", "");
    let bad = image(&system.sandbox, "bad", "sh -c 'echo broken; exit 3'", "");
    let told = system.run(1, &[&good, &bad]);
    told.assert_outcomes(&[(&good, "passed"), (&bad, "failed")]);
    assert_eq!(told.output(&bad), "broken\n");
    assert_eq!(told.test(&bad)["cause"], serde_json::json!({"kind": "exit_code", "code": 3}));
    // The same image twice is one test, and still a run of several.
    let told = system.run(0, &[&good, &good]);
    told.assert_outcomes(&[(&good, "passed")]);
    assert_eq!(system.sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn an_image_that_is_not_there_is_its_own_tests_failure() {
    let system = System::new();
    let good = image(&system.sandbox, "good", "true", "");
    let bad = image(&system.sandbox, "bad", "false", "");
    let missing = system.sandbox.image("missing");
    let told = system.run(125, &["--pull", "never", &missing, &good, &bad]);
    told.assert_outcomes(&[(&missing, "not_started"), (&good, "passed"), (&bad, "failed")]);
    told.ran.assert_stderr(&missing);
    assert!(told.ran.stderr.contains("hint"), "{}", told.ran.stderr);
}

#[test]
fn nothing_is_started_after_an_image_that_is_not_there_where_that_is_to_be_enough() {
    let system = System::new();
    let missing = system.sandbox.image("missing");
    let good = image(&system.sandbox, "good", "true", "");
    let other = image(&system.sandbox, "other", "sh -c 'true; true'", "");
    for jobs in ["1", "3"] {
        let told = system.run(125, &["--pull", "never", "--fail-fast", "-j", jobs, &missing, &good, &other]);
        told.assert_outcomes(&[(&missing, "not_started"), (&good, "skipped"), (&other, "skipped")]);
        assert_eq!(told.test(&good)["attempts"], serde_json::json!([]), "{:#}", told.report);
    }
}

#[test]
fn the_worst_exit_code_is_that_of_the_run() {
    let system = System::new();
    let slow = image(&system.sandbox, "slow", "sleep 60", "test.timeout=1s");
    let missing = image(&system.sandbox, "missing", "/no/such/program", "");
    let bad = image(&system.sandbox, "bad", "false", "");
    let good = image(&system.sandbox, "good", "true", "");
    for (code, images) in [
        (124, vec![&slow, &good]),
        (127, vec![&slow, &missing, &good]),
        (1, vec![&slow, &missing, &bad, &good]),
    ] {
        let mut words = vec!["--grace-period", "0s"];
        words.extend(images.iter().map(|image| image.as_str()));
        let told = system.run(code, &words);
        assert_eq!(told.report["exit_code"], code);
        assert_eq!(told.outcome(&slow), "timed_out");
        assert_eq!(told.outcome(&good), "passed");
    }
}

#[test]
fn images_of_the_engine_are_found_by_label_and_by_type() {
    let system = System::new();
    let word = system.sandbox.name("label");
    let labels = |kind: &str, team: &str| format!("test.type={kind} {word}={team}");
    let one = image(&system.sandbox, "one", "true", &labels("integration", "a"));
    let two = image(&system.sandbox, "two", "true", &labels("performance", "a"));
    let three = image(&system.sandbox, "three", "true", &labels("smoke", "b"));
    // No test of its own: without test.type it is not one.
    image(&system.sandbox, "four", "true", &format!("{word}=a"));
    let names = |arguments: &[&str]| {
        let mut names = system.run(0, arguments).names();
        names.sort();
        names
    };
    let (all, of_a, of_b) = (format!("label={word}"), format!("label={word}=a"), format!("label={word}=b"));
    assert_eq!(names(&["--images", "--filter", &all]), [&*one, &*three, &*two]);
    assert_eq!(names(&["--filter", &of_a]), [&*one, &*two], "no test images of earlier runs");
    assert_eq!(names(&["--images", "--filter", &all, "--type", "performance,smoke"]), [&*three, &*two]);
    assert_eq!(names(&["--type", "integration", &one, &two]), [&*one]);
    assert_eq!(names(&["--filter", &of_b, &one, &three]), [&*three]);
    let told = system.run(4, &["--filter", &all, "--type", "chaos"]);
    told.ran.assert_stderr("nothing to test");
    let type_of = |told: &crate::suite_system::Told, name: &str| told.test(name)["type"].clone();
    assert_eq!(type_of(&system.run(0, &["--filter", &of_b]), &three), "smoke");
}

#[test]
fn a_suite_elsewhere_has_paths_of_its_own() {
    let system = System::new();
    system.suite_at(
        "deep/tests/shop.yaml",
        r#"
tests:
  copied:
    image: IMAGE
    context: ./data
  file: { image: IMAGE, file: ./other/Dockerfile.test, context: ./other }
  mounted: { image: IMAGE, mounts: ["./data:/data:ro"], command: [grep, one, /data/word] }
reports: { junit: ../out/junit.xml }
"#,
    );
    system.sandbox.write("deep/tests/data/word", "one\n");
    system.sandbox.write(
        "deep/tests/data/Dockerfile.test",
        "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCOPY word /word\nCMD [\"grep\", \"one\", \"/word\"]\n",
    );
    system.sandbox.write("deep/tests/other/text", "two\n");
    system.sandbox.write(
        "deep/tests/other/Dockerfile.test",
        "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCOPY text /word\nCMD [\"cat\", \"/word\"]\n",
    );
    // What lies where the command runs says nothing about tests of a suite.
    system.sandbox.write("Dockerfile.test", "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCMD [\"false\"]\n");
    let told = system.run(0, &["--suite", "deep/tests/shop.yaml"]);
    told.assert_outcomes(&[("copied", "passed"), ("file", "passed"), ("mounted", "passed")]);
    assert_eq!(told.output("file"), "two\n");
    assert_ne!(told.test("copied")["test_image"], told.test("file")["test_image"]);
    let junit = fs::read_to_string(system.sandbox.path().join("deep/out/junit.xml")).unwrap();
    assert!(junit.contains("mounted"), "{junit}");
    // Results are the user's, where he stands.
    assert_eq!(system.sandbox.result("file/attempt-1.log"), "two\n");
}

#[test]
fn where_there_is_nothing_to_test_it_says_what_can_be_named() {
    let system = System::new();
    let ran = system.sandbox.expect(125, &["run"]);
    ran.assert_stderr("docker-test.yaml");
    system.suite("tests:\n  a: { image: IMAGE, command: [\"true\"] }\n");
    system.run(0, &[]).assert_outcomes(&[("a", "passed")]);
    let ran = system.sandbox.expect(125, &["run", "--suite", "docker-test.yaml", &system.image]);
    ran.assert_stderr("exclude each other");
    let ran = system.sandbox.expect(125, &["run", "--name", "x"]);
    ran.assert_stderr("--name is for one test");
    assert!(!docker(&["ps", "-a", "--format", "{{.Names}}"]).lines().any(|name| name == "x"));
}
