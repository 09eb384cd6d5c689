//! Runs of several tests, as far as they come without an engine: what is asked for and does not go together, what is
//! wrong with a suite, and what there is nothing to run of.
//!
//! Where a command asks an engine first whether it is there, one answers that can do nothing else.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the place")]
#![expect(clippy::needless_raw_string_hashes, reason = "snapbox rewrites snapshots in this form")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use snapbox::cmd::{Command, OutputAssert};
use snapbox::{Assert, Redactions, str};
use tempfile::TempDir;

/// A suite that has nothing wrong with it.
const SHOP: &str = "\
version: 1
tests:
  cart:
    image: shop/cart:1
    type: security
  checkout:
    image: shop/checkout:1
    needs: [cart]
";

/// An empty directory, with an environment of its own.
struct World {
    home: TempDir,
    host: String,
}

impl World {
    /// No engine answers.
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), host: "unix:///nonexistent.sock".to_owned() }
    }

    /// An engine answers, and has nothing.
    fn with_engine() -> Self {
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join(".engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let mut writer = connection.try_clone().unwrap();
                    for line in BufReader::new(connection).lines().map_while(Result::ok) {
                        if line.is_empty() {
                            let answer = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nOstype: linux\r\n\
                                          Server: Docker/20.10.24 (linux)\r\nContent-Length: 0\r\n\r\n";
                            if writer.write_all(answer.as_bytes()).is_err() {
                                return;
                            }
                        }
                    }
                });
            }
        });
        Self { home, host: format!("unix://{}", socket.display()) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> OutputAssert {
        let mut redactions = Redactions::new();
        redactions.insert("[HOME]", self.home.path().to_owned()).unwrap();
        let config = Assert::new()
            .action_env(snapbox::assert::DEFAULT_ACTION_ENV)
            .redact_with(redactions)
            .normalize_paths(false);
        Command::new(env!("CARGO_BIN_EXE_docker-test"))
            .with_assert(config)
            .env_clear()
            .env("PATH", "/nonexistent")
            .env("HOME", self.home.path())
            .env("DOCKER_HOST", &self.host)
            .env("COLUMNS", "100")
            .current_dir(self.home.path())
            .arg("run")
            .args(arguments)
            .assert()
    }

    /// What a usage error says.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).code(125).stdout_eq("").get_output().clone();
        String::from_utf8(output.stderr).unwrap()
    }
}

#[test]
fn flags_that_exclude_each_other_are_named() {
    let world = World::new();
    for (words, problem) in [
        (&["--containers", "--images"][..], "'--containers' cannot be used with '--images'"),
        (&["--containers", "--suite", "x.yaml"], "'--containers' cannot be used with '--suite <FILE>'"),
        (&["--images", "--suite", "x.yaml"], "'--images' cannot be used with '--suite <FILE>'"),
        (&["--fail-fast", "--max-fail", "1"], "'--fail-fast' cannot be used with '--max-fail <N>'"),
        (&["--max-fail", "1", "--fail-fast"], "cannot be used with"),
    ] {
        // A switch may be given a value.
        let said = world.refused(words).replace("[=<true|false>]", "");
        assert!(said.contains(problem), "{words:?}: {said}");
    }
}

#[test]
fn numbers_out_of_range_are_answered_with_the_range() {
    let world = World::new();
    for (words, expected) in [
        (["--jobs", "0"], "expected a number from 1 to 10000"),
        (["-j", "many"], "expected a number from 1 to 10000"),
        (["--max-fail", "0"], "expected a number from 1 to 10000"),
        (["--retries", "101"], "expected a number from 0 to 100"),
        (["--repeat", "0"], "expected a number"),
        (["--global-timeout", "0"], "invalid value '0'"),
        (["--partition", "slice:3/2"], "there is no part 3 of 2"),
        (["--flaky-result", "skip"], "pass, fail"),
    ] {
        let said = world.refused(&words);
        assert!(said.contains(words[0].trim_start_matches('-')) || words[0] == "-j", "{words:?}: {said}");
        assert!(said.contains(expected), "{words:?}: {said}");
    }
}

#[test]
fn what_is_for_one_test_is_refused_for_several() {
    let world = World::new();
    world.run(&["--shell", "a:1", "b:1"]).code(125).stdout_eq("").stderr_eq(str![]);
    for words in [
        &["--name", "x"][..],
        &["--test-image", "x"],
        &["--propagate-exit-code"],
        &["--keep-dockerfile"],
        &["-i"],
    ] {
        let said = world.refused(&[words, &["a:1", "b:1"]].concat());
        assert!(said.contains("is for one test, and this is a run of several"), "{words:?}: {said}");
    }
    // One image with what only a run of several has is one.
    let said = world.refused(&["--shell", "--repeat", "2", "a:1"]);
    assert!(said.contains("--shell is for one test"), "{said}");
}

#[test]
fn what_is_tested_is_said_once() {
    let world = World::new();
    world.write("docker-test.yaml", SHOP);
    world.run(&["--suite", "docker-test.yaml", "a:1"]).code(125).stdout_eq("").stderr_eq(str![]);
    for flag in ["--containers", "--images"] {
        let said = world.refused(&[flag, "a:1"]);
        assert!(said.contains(&format!("{flag} and IMAGE exclude each other")), "{said}");
    }
}

#[test]
fn whoever_watches_reads_no_events() {
    let world = World::new();
    world.write("docker-test.yaml", SHOP);
    world.run(&["--watch", "--format", "json"]).code(125).stdout_eq("").stderr_eq(str![]);
}

#[test]
fn without_images_and_suite_it_says_what_can_be_named() {
    let world = World::new();
    world.run(&[]).code(125).stdout_eq("").stderr_eq(str![]);
    world.run(&["--suite", "other.yaml"]).code(125).stdout_eq("").stderr_eq(str![]);
}

#[test]
fn what_is_wrong_with_a_suite_has_a_place_and_needs_no_engine() {
    let world = World::new();
    world.write("docker-test.yaml", "version: 1\ntests:\n  checkout:\n    imge: shop/checkout:1\n");
    world.run(&[]).code(125).stdout_eq("").stderr_eq(str![]);
    world.write("docker-test.yaml", "version: 1\ntests:\n  a:\n    image: shop/a:${TAG}\n");
    world.run(&[]).code(125).stdout_eq("").stderr_eq(str![]);
    world.write("docker-test.yaml", "version: 1\ntests:\n  a:\n    image: shop/a:1\n    needs: [db]\n");
    world.run(&[]).code(125).stdout_eq("").stderr_eq(str![]);
    world.write(
        "docker-test.yaml",
        "version: 1\ntests:\n  a: { image: x, needs: [b] }\n  b: { image: x, needs: [a] }\n",
    );
    world.run(&[]).code(125).stdout_eq("").stderr_eq(str![]);
}

#[test]
fn defaults_are_those_of_the_suite_that_is_named() {
    let world = World::new();
    world.write("docker-test.yaml", "version: 1\ndefaults: { timeout: 5m }\n");
    world.write("other.yaml", &format!("{SHOP}defaults:\n  timeout: soon\n"));
    let said = world.refused(&["--suite", "other.yaml"]);
    assert!(said.contains("other.yaml") && said.contains("soon"), "{said}");
}

#[test]
fn a_secret_that_is_not_to_be_had_is_named_with_its_place() {
    let world = World::with_engine();
    world.write("docker-test.yaml", &format!("{SHOP}    secrets: [PAYMENT_TOKEN]\n"));
    world.run(&[]).code(125).stdout_eq("").stderr_eq(str![]);
    world.write(
        "docker-test.yaml",
        &format!("{SHOP}    secrets: {{ KEY: {{ file: ./nothing, as: file }} }}\n"),
    );
    world.run(&[]).code(125).stdout_eq("").stderr_eq(str![]);
    assert!(!world.path("tests").exists(), "nothing was begun");
}

#[test]
fn options_of_a_test_are_flags_and_their_errors_name_it() {
    let world = World::with_engine();
    world.write("docker-test.yaml", &format!("{SHOP}    options: {{ memory: much }}\n"));
    world.run(&[]).code(125).stdout_eq("").stderr_eq(str![]);
}

#[test]
fn nothing_selected_is_4_and_its_report_is_empty() {
    let world = World::with_engine();
    world.write("docker-test.yaml", SHOP);
    world.run(&["--select", "crat"]).code(4).stdout_eq("").stderr_eq(str![]);
    world
        .run(&["--type", "security", "--partition", "slice:2/2", "--report", "json=part.json"])
        .code(4)
        .stdout_eq("")
        .stderr_eq(str![]);
    let report = std::fs::read_to_string(world.path("part.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["tests"], &report["exit_code"]), (&serde_json::json!([]), &serde_json::json!(4)));
    assert!(!world.path("tests").exists(), "older results are left alone");
}

#[test]
fn what_asks_for_the_past_is_an_error_where_there_is_none() {
    let world = World::with_engine();
    world.write("docker-test.yaml", SHOP);
    world.run(&["--partition", "time:1/2"]).code(125).stdout_eq("").stderr_eq(str![]);
    world.run(&["--rerun", "failed"]).code(125).stdout_eq("").stderr_eq(str![]);
    world.run(&["--rerun", "6b0147d2"]).code(125).stdout_eq("").stderr_eq(str![]);
}
