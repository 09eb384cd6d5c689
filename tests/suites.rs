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
    world.run(&["--shell", "a:1", "b:1"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: --shell is for one test, and this is a run of several
  hint: run the image alone: docker-test run --shell IMAGE

"#]]);
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
    world.run(&["--suite", "docker-test.yaml", "a:1"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: --suite and IMAGE exclude each other: both say what is tested
  hint: leave one of the two out

"#]]);
    for flag in ["--containers", "--images"] {
        let said = world.refused(&[flag, "a:1"]);
        assert!(said.contains(&format!("{flag} and IMAGE exclude each other")), "{said}");
    }
}

#[test]
fn whoever_watches_reads_no_events() {
    let world = World::new();
    world.write("docker-test.yaml", SHOP);
    world.run(&["--watch", "--format", "json"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: --watch tells people what happens, and writes nothing for programs to standard output
  hint: leave --format json out, and write reports to files: each run writes them anew

"#]]);
    world.run(&["--watch", "--report", "tap=-"]).code(125).stdout_eq("");
}

#[test]
fn without_images_and_suite_it_says_what_can_be_named() {
    let world = World::new();
    world.run(&[]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: there is nothing to test: no IMAGE, and no docker-test.yaml in [HOME]
  hint: name an image (docker-test run shop:1.4), or let `docker-test init` write a suite to start from

"#]]);
    world.run(&["--suite", "other.yaml"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: cannot read the suite other.yaml
  because: No such file or directory (os error 2)
  hint: check the path and its permissions

"#]]);
}

#[test]
fn what_is_wrong_with_a_suite_has_a_place_and_needs_no_engine() {
    let world = World::new();
    world.write("docker-test.yaml", "version: 1\ntests:\n  checkout:\n    imge: shop/checkout:1\n");
    world.run(&[]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: docker-test.yaml:4:5: unknown key `imge` in `tests.checkout`
  4 |     imge: shop/checkout:1
    |     ^
  hint: did you mean `image`?

"#]]);
    world.write("docker-test.yaml", "version: 1\ntests:\n  a:\n    image: shop/a:${TAG}\n");
    world.run(&[]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: docker-test.yaml:4:19: the variable `TAG` is not set
  4 |     image: shop/a:${TAG}
    |                   ^
  hint: set it, or give a default: ${TAG:-default}

"#]]);
    world.write("docker-test.yaml", "version: 1\ntests:\n  a:\n    image: shop/a:1\n    needs: [db]\n");
    world.run(&[]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: docker-test.yaml:5:13: there is no service or test `db`
  5 |     needs: [db]
    |             ^

"#]]);
    world.write(
        "docker-test.yaml",
        "version: 1\ntests:\n  a: { image: x, needs: [b] }\n  b: { image: x, needs: [a] }\n",
    );
    world.run(&[]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: docker-test.yaml:3:18: needs go round in a circle: a → b → a
  3 |   a: { image: x, needs: [b] }
    |                  ^

"#]]);
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
    world.run(&[]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: docker-test.yaml:9:5: tests.checkout.secrets.PAYMENT_TOKEN: the variable PAYMENT_TOKEN is not set
  9 |     secrets: [PAYMENT_TOKEN]
    |     ^
  hint: export PAYMENT_TOKEN=…, or name a file: { file: PATH }

"#]]);
    world.write(
        "docker-test.yaml",
        &format!("{SHOP}    secrets: {{ KEY: {{ file: ./nothing, as: file }} }}\n"),
    );
    world.run(&[]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: docker-test.yaml:9:5: tests.checkout.secrets.KEY: cannot read [HOME]/././nothing: No such file or directory (os error 2)
  9 | (not shown: it names a secret)
    |     ^
  hint: paths are relative to the suite file

"#]]);
    assert!(!world.path("tests").exists(), "nothing was begun");
}

#[test]
fn an_option_of_a_test_is_read_as_the_flag_of_that_name() {
    let world = World::with_engine();
    world.write("docker-test.yaml", &format!("{SHOP}    options: {{ memory: much }}\n"));
    world.run(&[]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: --memory (set by docker-test.yaml: memory): invalid value `much`: expected a size such as 512m, 1.5g, 64MiB or a number of bytes

"#]]);
}

#[test]
fn a_dry_run_says_what_is_known_and_begins_nothing() {
    let world = World::with_engine();
    world.write("docker-test.yaml", "version: 1\ntests:\n  shop:\n    build: ./shop\n    needs: [db]\nservices:\n  db: { build: ./db, ready: healthy }\n");
    world
        .run(&["--dry-run"])
        .success()
        .stdout_eq(str![[r#"
[
  {
    "name": "shop",
    "build": "./shop",
    "plan": null,
    "reason": "its image is built first: what it says of its tests is known then"
  }
]

"#]])
        .stderr_eq("");
    assert!(!world.path("tests").exists());
}

#[test]
fn nothing_selected_is_4_and_its_report_is_empty() {
    let world = World::with_engine();
    world.write("docker-test.yaml", SHOP);
    world.run(&["--select", "crat"]).code(4).stdout_eq("").stderr_eq(str![[r#"
docker-test: warning: `crat` matches no test; did you mean `cart`?
docker-test: nothing to test: none of 2 tests of docker-test.yaml is selected

"#]]);
    world
        .run(&["--type", "security", "--partition", "slice:2/2", "--report", "json=part.json"])
        .code(4)
        .stdout_eq("")
        .stderr_eq(str![[r#"
docker-test: nothing to test: of 1 selected test, none is in part slice:2/2

"#]]);
    let report = std::fs::read_to_string(world.path("part.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["tests"], &report["exit_code"]), (&serde_json::json!([]), &serde_json::json!(4)));
    assert!(!world.path("tests").exists(), "older results are left alone");
}

#[test]
fn what_asks_for_the_past_is_an_error_where_there_is_none() {
    let world = World::with_engine();
    world.write("docker-test.yaml", SHOP);
    world.run(&["--partition", "time:1/2"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: --partition time:1/2 goes by recorded durations, and none are recorded for docker-test.yaml
  hint: run the suite once, with its history in the same state directory; slice:1/2 and hash:1/2 work without

"#]]);
    world.run(&["--rerun", "failed"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: there is no run of [HOME]/docker-test.yaml in the history
  hint: `docker-test history` lists the runs that are known

"#]]);
    world.run(&["--rerun", "6b0147d2"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: there is no run 6b0147d2 in the history
  hint: `docker-test history` lists the runs

"#]]);
}
