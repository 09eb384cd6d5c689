//! The command line without an engine: help, usage errors, inspection of Dockerfiles, completion, exit codes.
//!
//! Each command runs in the smallest example with an environment of its own, so that no variable, no configuration and
//! no engine of this machine is seen. Snapshots are rewritten with `SNAPSHOTS=overwrite`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the place")]
#![expect(clippy::needless_raw_string_hashes, reason = "snapbox rewrites snapshots in this form")]

use std::path::{Path, PathBuf};

use docker_test::history::{AttemptRecord, History, RunEnd, RunStart, TestRecord};
use docker_test::results::{Cause, Outcome};
use snapbox::cmd::{Command, OutputAssert};
use snapbox::{Assert, Redactions, file, str};
use tempfile::TempDir;

const NO_ENGINE: &str = "unix:///nonexistent.sock";

/// Where commands run, and what they see.
struct World {
    home: TempDir,
    directory: PathBuf,
    variables: Vec<(String, String)>,
}

impl World {
    fn new() -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/busybox");
        Self { home: tempfile::tempdir().unwrap(), directory, variables: Vec::new() }
    }

    /// Runs in the empty home directory.
    fn at_home() -> Self {
        let world = Self::new();
        Self { directory: world.home.path().to_owned(), ..world }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.home.path().join(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> OutputAssert {
        let mut redactions = Redactions::new();
        redactions.insert("[ROOT]", env!("CARGO_MANIFEST_DIR")).unwrap();
        redactions.insert("[HOME]", self.home.path().to_owned()).unwrap();
        redactions.insert("[VERSION]", env!("CARGO_PKG_VERSION")).unwrap();
        let config = Assert::new()
            .action_env(snapbox::assert::DEFAULT_ACTION_ENV)
            .redact_with(redactions)
            .normalize_paths(false);
        Command::new(env!("CARGO_BIN_EXE_docker-test"))
            .with_assert(config)
            .env_clear()
            .env("PATH", "/nonexistent")
            .env("HOME", self.home.path())
            .env("DOCKER_HOST", NO_ENGINE)
            .env("COLUMNS", "100")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.directory)
            .args(arguments)
            .assert()
    }
}

#[test]
fn help_of_the_program() {
    World::new().run(&["--help"]).success().stdout_eq(file!["snapshots/help.txt"]).stderr_eq("");
    World::new().run(&["help"]).success().stdout_eq(file!["snapshots/help.txt"]).stderr_eq("");
}

#[test]
fn help_of_every_subcommand_names_flags_defaults_and_variables() {
    let world = World::new();
    world.run(&["run", "--help"]).success().stdout_eq(file!["snapshots/help-run.txt"]);
    world.run(&["help", "run"]).success().stdout_eq(file!["snapshots/help-run.txt"]);
    world.run(&["build", "--help"]).success().stdout_eq(file!["snapshots/help-build.txt"]);
    world.run(&["report", "--help"]).success().stdout_eq(file!["snapshots/help-report.txt"]);
    world.run(&["report", "merge", "--help"]).success().stdout_eq(file!["snapshots/help-report-merge.txt"]);
    world.run(&["list", "--help"]).success().stdout_eq(file!["snapshots/help-list.txt"]);
    world.run(&["init", "--help"]).success().stdout_eq(file!["snapshots/help-init.txt"]);
    world.run(&["history", "--help"]).success().stdout_eq(file!["snapshots/help-history.txt"]);
    world.run(&["history", "show", "--help"]).success().stdout_eq(file!["snapshots/help-history-show.txt"]);
    world.run(&["history", "tests", "--help"]).success().stdout_eq(file!["snapshots/help-history-tests.txt"]);
    world.run(&["harness", "--help"]).success().stdout_eq(file!["snapshots/help-harness.txt"]);
    world.run(&["help", "harness"]).success().stdout_eq(file!["snapshots/help-harness.txt"]);
    world.run(&["results", "--help"]).success().stdout_eq(file!["snapshots/help-results.txt"]);
    world.run(&["prune", "--help"]).success().stdout_eq(file!["snapshots/help-prune.txt"]);
    world.run(&["doctor", "--help"]).success().stdout_eq(file!["snapshots/help-doctor.txt"]);
    world.run(&["completions", "--help"]).success().stdout_eq(file!["snapshots/help-completions.txt"]);
    world.run(&["man", "--help"]).success().stdout_eq(file!["snapshots/help-man.txt"]);
}

#[test]
fn dash_h_is_help_and_not_a_host_name() {
    World::new().run(&["run", "-h"]).success().stdout_eq(file!["snapshots/short-help-run.txt"]).stderr_eq("");
}

#[test]
fn inspect_and_generate_take_what_run_takes() {
    let world = World::new();
    let flags = |command: &str| {
        let output = world.run(&[command, "-h"]).success().get_output().stdout.clone();
        let text = String::from_utf8(output).unwrap();
        text.split_once("Run:\n").map(|(_, flags)| flags.to_owned()).unwrap()
    };
    assert_eq!(flags("inspect"), flags("run"));
    assert_eq!(flags("generate"), flags("run"));
}

/// A report of one test, as `--report json` writes it.
fn report_of(run: &str, name: &str, outcome: &str, exit_code: u8) -> String {
    format!(
        r#"{{"schema": 1, "version": "0.1.0", "run_id": "{run}", "engine": "Docker Engine 20.10.24",
  "started_at": "2026-11-21T06:30:00Z", "seconds": 2.0, "outcome": "{outcome}", "exit_code": {exit_code},
  "tests": [{{"name": "{name}", "image": "shop:1.4", "image_id": "", "test_image": "", "type": "integration",
    "source": "label", "outcome": "{outcome}", "attempts": [], "results_dir": null, "warnings": []}}]}}"#
    )
}

#[test]
fn reports_of_shards_are_merged_into_any_format() {
    let world = World::at_home();
    world.write("1.json", &report_of("r-1", "checkout", "passed", 0));
    world.write("2.json", &report_of("r-2", "checkout", "failed", 1));
    world.write("3.json", &report_of("r-3", "cart", "flaky", 0));
    let merge = ["report", "merge", "--report", "tap=-", "--report", "html=out/page.html"];
    let files = ["1.json", "2.json", "3.json"];
    world
        .run(&[&merge[..], &files[..]].concat())
        .success()
        .stdout_eq(str![[r#"
TAP version 14
# docker-test [VERSION], run merge-c6c066dc236e on Docker Engine 20.10.24
1..3
ok 1 - checkout (r-1)
  ---
  outcome: "passed"
  duration_ms: 0
  image: "shop:1.4"
  ...
not ok 2 - checkout (r-2)
  ---
  outcome: "failed"
  duration_ms: 0
  image: "shop:1.4"
  ...
ok 3 - cart
  ---
  outcome: "flaky"
  duration_ms: 0
  image: "shop:1.4"
  ...

"#]])
        .stderr_eq("FAILED  3 tests, 1 not passed, 1 flaky of 3 reports in 2s\n");
    assert!(world.home.path().join("out/page.html").exists());
    world.run(&["report", "merge", "--exit-code", "2.json", "1.json"]).code(1);

    // Without a format it is the JSON again, which can be merged further, also in the place of a part.
    world.run(&["report", "merge", "--report", "json=1.json", "1.json", "3.json"]).success().stdout_eq("");
    world.run(&["report", "merge", "1.json", "2.json"]).success().stdout_eq(str![[r#"
{
  "schema": 1,
...
  "runs": [
    {
      "run_id": "r-1",
...
      "run_id": "r-3",
...
      "run_id": "r-2",
...
}

"#]]);
}

#[test]
fn what_cannot_be_merged_is_named_with_its_place() {
    let world = World::at_home();
    world.write("good.json", &report_of("r-1", "checkout", "passed", 0));
    world.write("bad.json", "{\n  \"schema\": 1,\n  \"version\": []\n}\n");
    world.write("later.json", "{\"schema\": 2}");
    world.write("junit.xml", "<testsuites/>");
    let merge = |file: &str| world.run(&["report", "merge", "good.json", file]).code(125).stdout_eq("");
    merge("bad.json").stderr_eq(str![[r#"
docker-test: bad.json:3:13: invalid type: sequence, expected a string
  hint: reports to be read again are written by --report json=PATH

"#]]);
    merge("later.json").stderr_eq(str![[r#"
docker-test: later.json has schema 2, and this version of docker-test reads schema 1
  hint: use one version of docker-test for all of them

"#]]);
    merge("junit.xml").stderr_eq(str![[r#"
docker-test: junit.xml:1:1: expected value
  hint: reports to be read again are written by --report json=PATH

"#]]);
    merge("good.json").stderr_eq(str![[r#"
docker-test: good.json holds the run r-1, which good.json holds already
  hint: name the report of each run once

"#]]);
    merge("none.json").stderr_eq(str![[r#"
docker-test: cannot read the report none.json
  because: No such file or directory (os error 2)
  hint: check the path and its permissions

"#]]);
    merge(".").stderr_eq(str![[r#"
docker-test: cannot read the report .
  because: it is a directory, and no regular file
  hint: check the path and its permissions

"#]]);
}

#[test]
fn version() {
    World::new().run(&["--version"]).success().stdout_eq("docker-test [VERSION]\n").stderr_eq("");
    World::new().run(&["-V"]).success().stdout_eq("docker-test [VERSION]\n");
}

#[test]
fn without_a_word_help_is_shown_and_is_a_usage_error() {
    World::new().run(&[]).code(125).stdout_eq("").stderr_eq(file!["snapshots/short-help.txt"]);
}

#[test]
fn an_unknown_flag_is_answered_with_the_nearest_one() {
    World::new().run(&["run", "--memroy", "1g", "shop:1.4"]).code(125).stdout_eq("").stderr_eq(str![[r#"
error: unexpected argument '--memroy' found

  tip: a similar argument exists: '--memory'
  tip: to pass '--memroy' as a value, use '-- --memroy'

Usage: docker-test run --memory <BYTES> [IMAGE[:TAG|@DIGEST]]... [-- <COMMAND>...]

For more information, try '--help'.

"#]]);
}

#[test]
fn a_flag_of_docker_that_makes_no_sense_is_answered_with_the_reason() {
    let world = World::new();
    world.run(&["-p", "80:80", "shop:1.4"]).code(125).stderr_eq(str![[r#"
error: --publish is not taken: nothing on the host calls a test; join the service's network with --network

"#]]);
    world.run(&["build", "--push", "."]).code(125).stderr_eq(str![[r#"
error: --push is not taken: test the image first, then `docker push` it

"#]]);
}

#[test]
fn a_wrong_value_is_answered_with_what_was_expected() {
    let world = World::new();
    world.run(&["--memory", "4m", "shop:1.4"]).code(125).stderr_eq(str![[r#"
docker-test: --memory: invalid value `4m`: the least that an engine takes is 6 MiB
  hint: a number without a unit is bytes: write 64m for 64 MiB

"#]]);
    world.run(&["--timeout", "soon", "shop:1.4"]).code(125).stderr_eq(str![[r#"
error: invalid value 'soon' for '--timeout <DURATION>': `soon` is not a duration: expected one like 90s, 5m, 1h30m, 500ms, or a number of seconds

For more information, try '--help'.

"#]]);
    world.run(&["--report", "junti=a.xml", "shop:1.4"]).code(125).stderr_eq(str![[r#"
docker-test: unknown report format `junti`
  hint: did you mean `junit`? There are: junit, json, markdown, github, html, tap, gitlab

"#]]);
    world.run(&["SHOP:1.4"]).code(125).stderr_eq(str![[r#"
docker-test: "SHOP:1.4" is no image reference: [..]
  hint: write NAME[:TAG][@DIGEST], such as registry.example.com/team/shop:1.4

"#]]);
}

#[test]
fn a_variable_sets_a_flag_and_its_error_names_it() {
    let world = World::new().with("DOCKER_TEST_TIMEOUT", "2m");
    world.run(&["inspect", "-f", "Dockerfile"]).success().stdout_eq("...\ntimeout     2m\n...\n");
    let world = World::new().with("DOCKER_TEST_TRUST", "nobody");
    world.run(&["inspect", "-f", "Dockerfile"]).code(125).stderr_eq(str![[r#"
docker-test: DOCKER_TEST_TRUST: invalid value `nobody`: expected one of exit, report, both
  hint: the command line wins over variables, and they over the file

"#]]);
}

#[test]
fn the_settings_file_sets_flags_below_variables_and_the_command_line() {
    let world = World::at_home().with("DOCKER_TEST_GRACE_PERIOD", "3s");
    world.write("Dockerfile", "FROM scratch\nONTEST CMD [\"/t\"]\n");
    world.write("docker-test.yaml", "version: 1\ndefaults:\n  timeout: 90s\n  test-image: own/name:1\n");
    world
        .run(&["inspect", "-f", "Dockerfile"])
        .success()
        .stdout_eq("...\ntest image  IMAGE-test\n...\ntimeout     1m30s\n...\n");
    world
        .run(&["inspect", "-f", "Dockerfile", "--timeout", "5m"])
        .success()
        .stdout_eq("...\ntimeout     5m\n...\n");
}

#[test]
fn an_unknown_key_of_the_settings_file_is_answered_with_place_and_nearest_one() {
    let world = World::at_home();
    world.write("docker-test.yaml", "version: 1\ndefaults:\n  timeuot: 5m\n");
    world.run(&["shop:1.4"]).code(125).stderr_eq(str![[r#"
docker-test: [HOME]/docker-test.yaml:3:3: unknown key `timeuot` in `defaults`
  3 |   timeuot: 5m
    |   ^
  hint: did you mean `timeout`?

"#]]);
}

#[test]
fn help_and_version_are_there_beside_a_broken_settings_file() {
    let world = World::at_home();
    world.write("docker-test.yaml", "defaults: [");
    world.run(&["--version"]).success();
    world.run(&["run", "--help"]).success();
    world.run(&["shop:1.4"]).code(125);
}

#[test]
fn an_engine_that_does_not_answer_is_named_with_who_chose_it() {
    World::new().run(&["shop:1.4"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: cannot reach an engine at unix:///nonexistent.sock (DOCKER_HOST): No such file or directory (os error 2)
  hint: is the engine running, and is this its address?

"#]]);
    World::new().run(&["-H", "unix:///other.sock", "prune"]).code(125).stderr_eq(str![[r#"
docker-test: cannot reach an engine at unix:///other.sock (-H flag): No such file or directory (os error 2)
  hint: is the engine running, and is this its address?

"#]]);
}

#[test]
fn runs_that_are_pruned_by_name_take_no_images_with_them() {
    World::new().run(&["prune", "--images", "00000001-abcdef"]).code(125).stderr_eq(str![[r#"
error: the argument '--images[=<true|false>]' cannot be used with '[RUN_ID]...'

Usage: docker-test prune --images[=<true|false>] [RUN_ID]...

For more information, try '--help'.

"#]]);
    // What is set once for all is no reason to refuse.
    let world = World::new().with("DOCKER_TEST_IMAGES", "true");
    world
        .run(&["prune", "00000001-abcdef"])
        .code(125)
        .stderr_eq("docker-test: cannot reach an engine [..]\n...\n");
}

#[test]
fn every_command_that_needs_an_engine_ends_with_125_without_one() {
    let world = World::new();
    for arguments in [
        &["run", "shop:1.4"][..],
        &["shop:1.4"],
        &["--dry-run", "shop:1.4"],
        &["--shell", "shop:1.4"],
        &["build", "."],
        &["inspect", "shop:1.4"],
        &["generate", "shop:1.4"],
        &["prune"],
        &["doctor"],
    ] {
        let output = world.run(arguments).code(125).get_output().clone();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert!(said.contains("cannot reach an engine at unix:///nonexistent.sock"), "{arguments:?}: {said}");
        assert!(said.contains("hint: "), "{arguments:?}: {said}");
    }
}

#[test]
fn a_run_that_finds_no_engine_leaves_no_trace() {
    let world = World::at_home();
    world.run(&["--report", "junit=junit.xml", "shop:1.4"]).code(125);
    let left: Vec<_> =
        std::fs::read_dir(world.home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, Vec::<std::ffi::OsString>::new());
}

#[test]
fn host_and_context_exclude_each_other() {
    World::new().run(&["-H", NO_ENGINE, "--context", "prod", "shop:1.4"]).code(125).stderr_eq(str![[r#"
error: the argument '--host <URL>' cannot be used with '--context <NAME>'

Usage: docker-test run --host <URL> <IMAGE[:TAG|@DIGEST]>... [-- <COMMAND>...]

For more information, try '--help'.

"#]]);
}

#[test]
fn a_mistyped_subcommand_is_taken_for_an_image_and_the_error_says_what_was_meant() {
    World::new().run(&["isnpect"]).code(125).stderr_eq(str![[r#"
docker-test: cannot reach an engine at unix:///nonexistent.sock (DOCKER_HOST): No such file or directory (os error 2)
  hint: is the engine running, and is this its address?
  hint: did you mean `docker-test inspect`?

"#]]);
}

#[test]
fn inspect_of_a_dockerfile_needs_no_engine() {
    let world = World::new();
    world
        .run(&["inspect", "-f", "Dockerfile"])
        .success()
        .stdout_eq(file!["snapshots/inspect.txt"])
        .stderr_eq("");
    world
        .run(&["inspect", "-f", "Dockerfile", "--format", "json"])
        .success()
        .stdout_eq(file!["snapshots/inspect.json": Text])
        .stderr_eq("");
}

#[test]
fn inspect_counts_the_lines_of_the_authors_file() {
    let world = World::at_home();
    world.write("Dockerfile", "FROM scratch\n\nONTEST RUN <<EOF\nx\nEOF\nONTEST COPY a \\\n  b /c/\n");
    let output =
        world.run(&["inspect", "-f", "Dockerfile", "--format", "json"]).success().get_output().clone();
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let lines: Vec<_> = plan["triggers"].as_array().unwrap().iter().map(|trigger| &trigger["line"]).collect();
    assert_eq!(lines, [3, 6]);
    let needs: Vec<_> =
        plan["context"]["needs"]["paths"].as_array().unwrap().iter().map(|need| &need["line"]).collect();
    assert_eq!(needs, [6, 6]);
}

#[test]
fn generate_prints_the_dockerfile_and_nothing_else() {
    World::new().run(&["generate", "-f", "Dockerfile"]).success().stderr_eq("").stdout_eq(str![[r#"
FROM IMAGE
COPY [".docker-test/results/", "/var/tests/"]
COPY tests /tests
CMD ["sh", "/tests/run.sh"]
VOLUME ["/var/tests/results"]
ENTRYPOINT []
CMD ["sh", "/tests/run.sh"]

"#]]);
}

#[test]
fn a_dockerfile_without_a_test_is_refused_with_what_to_write() {
    let world = World::at_home();
    world.write("Dockerfile", "FROM scratch\n");
    world.run(&["inspect", "-f", "Dockerfile"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: [HOME]/Dockerfile has no ONTEST lines and no stage that begins with FROM ${TEST_IMAGE}
  hint: begin it with `ARG TEST_IMAGE` and `FROM ${TEST_IMAGE}`; docker-test sets the argument

"#]]);
    world.write("Dockerfile", "FROM scratch\nONTEST FROM scratch\n");
    world.run(&["inspect", "-f", "Dockerfile"]).code(125).stderr_eq(str![[r#"
docker-test: [HOME]/Dockerfile:2: [..]ONTEST: FROM is not allowed here
  hint: a test image has one stage: use any instruction but FROM, MAINTAINER, ONBUILD and ONTEST

"#]]);
    world.run(&["inspect"]).code(125).stderr_eq(str![[r#"
docker-test: there is nothing to inspect: no IMAGE and no -f DOCKERFILE
  hint: docker-test inspect IMAGE, or docker-test inspect -f Dockerfile

"#]]);
}

#[test]
fn build_says_what_it_cannot_find_before_it_looks_for_an_engine() {
    let world = World::at_home();
    world.run(&["build", "."]).code(125).stderr_eq(str![[r#"
docker-test: there is no Dockerfile at [HOME]/Dockerfile
  hint: give its path with -f

"#]]);
    world.run(&["build", "https://example.com/shop.git"]).code(125).stderr_eq(str![[r#"
docker-test: https://example.com/shop.git is not a directory: docker-test build takes the context from a directory of this machine
  hint: clone the repository first, and build in its directory

"#]]);
    world.run(&["build", "--with-tests", "."]).code(125).stderr_eq(str![[r#"
docker-test: --with-tests needs a name for the image
  hint: add -t NAME:TAG; the test image is then NAME:TAG-test

"#]]);
}

#[test]
fn every_shell_gets_a_script_that_knows_every_subcommand() {
    let world = World::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = world.run(&["completions", shell]).success().stderr_eq("").get_output().clone();
        let script = String::from_utf8(output.stdout).unwrap();
        for name in [
            "run",
            "build",
            "inspect",
            "generate",
            "list",
            "init",
            "history",
            "results",
            "harness",
            "prune",
            "doctor",
            "completions",
            "man",
        ] {
            assert!(script.contains(name), "{shell}: {name}");
        }
    }
    world.run(&["completions", "bsh"]).code(125).stderr_eq(str![[r#"
error: invalid value 'bsh' for '<SHELL>'
  [possible values: bash, elvish, fish, powershell, zsh]

  tip: a similar value exists: 'bash'

For more information, try '--help'.

"#]]);
}

#[test]
fn manual_pages_are_roff_and_an_unknown_one_is_answered_with_those_there_are() {
    let world = World::new();
    world.run(&["man"]).success().stdout_eq("...\n.TH docker-test 1  \"docker-test [VERSION]\" \n...\n");
    world.run(&["man", "prune"]).success().stdout_eq("...\n.SH OPTIONS\n...\n");
    world.run(&["man", "nosuch"]).code(125).stderr_eq(str![[r#"
docker-test: there is no subcommand `nosuch`
  hint: there are run, build, inspect, generate, list, init, history, outbox, results, report, harness, prune, doctor, watch, completions, man

"#]]);
}

#[test]
fn the_docker_cli_is_told_what_the_plugin_is() {
    let output =
        World::new().run(&["docker-cli-plugin-metadata"]).success().stderr_eq("").get_output().clone();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(metadata["SchemaVersion"], "0.1.0");
    assert_eq!(metadata["Version"], env!("CARGO_PKG_VERSION"));
    for field in ["Vendor", "ShortDescription", "URL"] {
        assert!(metadata[field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
    }
}

#[test]
fn the_docker_cli_completes_subcommands_and_flags() {
    let world = World::new();
    world.run(&["__complete", "test", "pr"]).success().stdout_eq(str![[r#"
prune	Remove what dead and kept runs left on the engine
:4

"#]]);
    let output = world.run(&["__complete", "test", "run", "--time"]).success().get_output().clone();
    let candidates = String::from_utf8(output.stdout).unwrap();
    assert!(candidates.contains("--timeout\t") && candidates.ends_with(":4\n"), "{candidates}");
}

#[test]
fn as_a_plugin_it_is_given_the_whole_command_line() {
    let world = World::new().with("DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND", "docker");
    world.run(&["--log-level", "info", "test", "--version"]).success().stdout_eq("docker-test [VERSION]\n");
    world.run(&["-H", "unix:///other.sock", "test", "shop:1.4"]).code(125).stderr_eq(str![[r#"
docker-test: cannot reach an engine at unix:///other.sock (-H flag): No such file or directory (os error 2)
  hint: is the engine running, and is this its address?

"#]]);
    World::new().run(&["test"]).code(125);
}

#[test]
fn results_lists_nothing_where_no_run_waits_and_refuses_an_unknown_one() {
    let world = World::at_home();
    world.run(&["results"]).success().stdout_eq("").stderr_eq("");
    world.run(&["results", "6b0147d2-c3a330"]).code(125).stderr_eq(str![[r#"
docker-test: there is no run 6b0147d2-c3a330 whose results wait to be fetched
  hint: `docker-test results` lists the runs that wait

"#]]);
}

#[test]
fn the_word_of_the_completion_protocol_is_an_argument_like_any_other_elsewhere() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_docker-test"))
        .args(["run", "x:1", "--", "__complete"])
        .env("DOCKER_HOST", "unix:///nonexistent.sock")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(125));
}

/// The program at home, to be run without snapbox: with files as its streams.
fn plain_command(world: &World, arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_docker-test"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", world.home.path())
        .env("DOCKER_HOST", NO_ENGINE)
        .current_dir(&world.directory)
        .stdin(std::process::Stdio::null());
    command
}

/// Ends what waits where nothing may be waited for.
fn at_once(mut command: std::process::Command) -> (Option<i32>, String) {
    let mut child =
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while child.try_wait().unwrap().is_none() {
        if std::time::Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it waits");
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_stdout_does_not_take_is_an_error() {
    let world = World::new();
    for arguments in [
        &["--version"][..],
        &["--help"],
        &["help", "run"],
        &["completions", "bash"],
        &["man"],
        &["inspect", "-f", "Dockerfile"],
        &["inspect", "-f", "Dockerfile", "--format", "json"],
        &["generate", "-f", "Dockerfile"],
        &["doctor"],
        &["docker-cli-plugin-metadata"],
        &["__complete", "test", "pr"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = plain_command(&world, arguments).stdout(full).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(125), "{arguments:?}");
        let reason = "docker-test: cannot write to standard output\n  because: No space left on device";
        assert!(said.contains(reason), "{arguments:?}: {said}");
    }
}

#[test]
fn a_reader_that_left_is_no_error_of_what_only_prints() {
    let world = World::new();
    for arguments in [&["--help"][..], &["completions", "bash"], &["man"], &["inspect", "-f", "Dockerfile"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = plain_command(&world, arguments).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()), "{arguments:?}");
    }
}

#[test]
fn what_is_no_file_is_refused_and_neither_waited_for_nor_read_for_ever() {
    let world = World::at_home();
    let pipe = |name: &str| nix::unistd::mkfifo(&world.home.path().join(name), nix::sys::stat::Mode::S_IRWXU);
    pipe("pipe").unwrap();
    for (arguments, kind) in [
        (&["--env-file", "pipe", "shop:1.4"][..], "a named pipe"),
        (&["--env-file", "/dev/full", "shop:1.4"], "a device"),
        (&["--label-file", "/dev/zero", "shop:1.4"], "a device"),
        (&["--security-opt", "seccomp=/dev/zero", "shop:1.4"], "a device"),
        (&["--report", "junit=pipe", "shop:1.4"], "a named pipe"),
        (&["inspect", "-f", "pipe"], "a named pipe"),
        (&["inspect", "-f", "/dev/zero"], "a device"),
        (&["build", "-f", "pipe", "."], "a named pipe"),
        (&["build", "-f", "/dev/zero", "."], "a device"),
    ] {
        let (code, said) = at_once(plain_command(&world, arguments));
        assert_eq!(code, Some(125), "{arguments:?}: {said}");
        assert!(said.contains(&format!("it is {kind}, and no regular file")), "{arguments:?}: {said}");
    }
    pipe("docker-test.yaml").unwrap();
    let (code, said) = at_once(plain_command(&world, &["shop:1.4"]));
    assert!(code == Some(125) && said.contains("docker-test.yaml: it is a named pipe"), "{said}");
}

#[test]
fn what_the_shell_hands_over_is_read_up_to_a_limit() {
    let world = World::at_home();
    let from = |text: &[u8]| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let text = text.to_vec();
        // Its reader may have had enough before the end.
        std::thread::spawn(move || std::io::Write::write_all(&mut writer, &text));
        reader
    };
    let arguments = ["generate", "-f", "/dev/stdin", "--env-file", "/dev/null"];
    let dockerfile = from(b"FROM scratch\nONTEST CMD [\"/t\"]\n");
    let output = plain_command(&world, &arguments).stdin(dockerfile).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8(output.stdout).unwrap().ends_with("CMD [\"/t\"]\n"));
    let endless = vec![b'#'; 9 << 20];
    for arguments in [
        &["generate", "-f", "/dev/stdin"][..],
        &["build", "-f", "-", "."],
        &["--env-file", "/dev/stdin", "shop:1.4"],
    ] {
        let mut command = plain_command(&world, arguments);
        command.stdin(from(&endless));
        let (code, said) = at_once(command);
        assert!(code == Some(125) && said.contains("is larger than"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_link_that_leads_nowhere_is_named() {
    let world = World::at_home();
    std::os::unix::fs::symlink("gone", world.home.path().join("Dockerfile.test")).unwrap();
    world.run(&["inspect", "-f", "Dockerfile.test"]).code(125).stderr_eq(str![[r#"
docker-test: [HOME]/Dockerfile.test is a symbolic link to gone, which is not there
  hint: put the file there, or remove the link

"#]]);
}

#[test]
fn a_terminal_that_is_not_there_cannot_be_handed_to_a_test() {
    let world = World::new();
    for arguments in [&["-it", "shop:1.4"][..], &["run", "-i", "-t", "shop:1.4"]] {
        world.run(arguments).code(125).stderr_eq(str![[r#"
docker-test: the input device is not a TTY: -i and -t together hand the terminal to the test, and there is none
  hint: leave -t out where the test reads a pipe or a file, and both where it reads nothing

"#]]);
    }
    let (code, said) = at_once(plain_command(&world, &["--shell", "shop:1.4"]));
    assert!(code == Some(125) && said.contains("nothing to type into the shell"), "{said}");
}

#[test]
fn a_shell_has_neither_reports_nor_a_command() {
    let world = World::new().with("DOCKER_TEST_REPORT", "junit=lower-layers-are-silent.xml");
    world.run(&["--shell", "shop:1.4"]).code(125).stderr_eq("...\n[..]cannot reach an engine[..]\n...\n");
    let world = World::new();
    world.run(&["--shell", "--report", "json=-", "shop:1.4"]).code(125).stderr_eq(str![[r#"
docker-test: --shell runs no test, so that --report has nothing to tell
  hint: leave one of the two out

"#]]);
    world.run(&["--shell", "shop:1.4", "--", "ls"]).code(125).stderr_eq(str![[r#"
error: the argument '--shell[=<true|false>]' cannot be used with '[COMMAND]...'
...
"#]]);
}

#[test]
fn a_limit_of_nothing_is_refused_wherever_it_stands() {
    let world = World::new();
    for flag in ["--timeout", "--build-timeout", "--pull-timeout"] {
        let said = format!(
            "error: invalid value '0s' for '{flag} <DURATION>': `0s` leaves no time at all: [..]\n...\n"
        );
        world.run(&[flag, "0s", "shop:1.4"]).code(125).stderr_eq(said);
    }
    let world = World::new().with("DOCKER_TEST_TIMEOUT", "0");
    world.run(&["shop:1.4"]).code(125).stderr_eq(str![[r#"
docker-test: DOCKER_TEST_TIMEOUT: invalid value `0`: `0` leaves no time at all: leave it out for the default, or give a long one such as 24h
  hint: the command line wins over variables, and they over the file

"#]]);
}

#[test]
fn whatever_is_wrong_in_the_settings_file_is_answered_with_its_place() {
    let world = World::at_home();
    world.write("Dockerfile", "FROM scratch\n");
    for (key, value, problem) in [
        ("report", "[junti=a.xml]", "unknown report format `junti`"),
        ("report", "junit=/dev/null/x", "cannot write a report to /dev/null/x"),
        ("host", "unix:///gone.sock", "cannot reach an engine at unix:///gone.sock"),
        ("host", "gopher://x", "cannot use -H flag"),
        ("context", "nosuch", "cannot find the engine of the chosen context"),
        ("test-image", "NO:1", "\"NO:1\" is no image reference"),
    ] {
        world.write("docker-test.yaml", &format!("version: 1\ndefaults:\n  {key}: {value}\n"));
        let said = format!("docker-test: [HOME]/docker-test.yaml:3:3: {key}: {problem}[..]\n...\n");
        world.run(&["shop:1.4"]).code(125).stderr_eq(said);
    }
    for (key, value, problem) in
        [("file", "gone", "cannot read [HOME]/gone"), ("path", "yaml", "[HOME]/yaml is not a directory")]
    {
        world.write("docker-test.yaml", &format!("version: 1\ndefaults:\n  {key}: {value}\n"));
        let said = format!("docker-test: [HOME]/docker-test.yaml:3:3: {key}: {problem}[..]\n...\n");
        let file: &[&str] = if key == "file" { &[] } else { &["-f", "Dockerfile"] };
        // An engine is asked first for what it says of an image.
        let arguments = [&["inspect"], file].concat();
        world.run(&arguments).code(125).stderr_eq(said);
    }
    world.write("docker-test.yaml", "version: 1\ndefaults:\n  tag: [NO]\n");
    world
        .run(&["build", "."])
        .code(125)
        .stderr_eq("docker-test: [HOME]/docker-test.yaml:3:3: tag: \"NO\" is no image reference[..]\n...\n");
}

#[test]
fn help_about_what_is_not_there_says_what_there_is() {
    let world = World::new();
    world.run(&["help", "help"]).success().stdout_eq(file!["snapshots/help.txt"]);
    world.run(&["help", "biuld"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: there is no subcommand `biuld`
  hint: did you mean `build`? There are run, build, inspect, generate, list, init, history, outbox, results, report, harness, prune, doctor, watch, completions, man

"#]]);
}

#[test]
fn words_that_are_missing_or_too_many_are_answered_with_where_they_belong() {
    let world = World::new();
    world.run(&["run"]).code(125).stderr_eq(str![[r#"
docker-test: there is nothing to test: no IMAGE, and no docker-test.yaml in [ROOT]/examples/busybox
  hint: name an image (docker-test run shop:1.4), or let `docker-test init` write a suite to start from

"#]]);
    world.run(&["shop:1.4", "pytest"]).code(125).stderr_eq(str![[r#"
docker-test: cannot reach an engine at unix:///nonexistent.sock (DOCKER_HOST): No such file or directory (os error 2)
  hint: is the engine running, and is this its address?

"#]]);
    world.run(&["biuld", "."]).code(125).stderr_eq(str![[r#"
docker-test: cannot reach an engine at unix:///nonexistent.sock (DOCKER_HOST): No such file or directory (os error 2)
...
  hint: did you mean `docker-test build`?

"#]]);
}

#[test]
fn a_test_command_without_words_is_refused_with_its_line() {
    let world = World::at_home();
    world.write("Dockerfile", "FROM scratch\nCMD\nONTEST CMD\n");
    world.run(&["inspect", "-f", "Dockerfile"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: [HOME]/Dockerfile:3: ONTEST: CMD has no arguments
  hint: write what runs, such as CMD ["/test.sh"]; ENTRYPOINT [] resets it

"#]]);
}

#[test]
fn an_entrypoint_is_shown_without_the_command_that_it_takes_away() {
    let world = World::at_home();
    world.write("Dockerfile", "FROM scratch\nONTEST CMD [\"/t\"]\n");
    let shown =
        "...\nruns        /bin/x\n...\nwarning     --entrypoint takes the CMD of the recipe away[..]\n...\n";
    world.run(&["inspect", "-f", "Dockerfile", "--entrypoint", "/bin/x"]).success().stdout_eq(shown);
    let shown = "...\nruns        /bin/x y\n...\n";
    world
        .run(&["inspect", "-f", "Dockerfile", "--entrypoint", "/bin/x", "--", "y"])
        .success()
        .stdout_eq(shown);
}

/// A shop with tests of every type.
const SHOP: &str = "\
version: 1
defaults: { timeout: 5m, retries: 1 }
services:
  db: { image: postgres:16 }
  schema: { image: shop/schema:1, needs: [db], ready: exit-0 }
tests:
  load: { image: shop/load:1, type: performance, timeout: 1h }
  summary: { image: shop/summary:1, needs: [checkout] }
  checkout:
    image: shop/checkout:1.4
    needs: [schema]
    labels: { team: payments, trace: \"${API_TOKEN:-none}\" }
    matrix: { db: [15, 16] }
  cart: { build: { context: ./cart, target: slim, args: { KEY: value } }, type: security, retries: 0 }
";

#[test]
fn a_list_is_what_a_run_would_run_in_order() {
    let world = World::at_home();
    world.write("docker-test.yaml", SHOP);
    world
        .run(&["list"])
        .success()
        .stdout_eq(str![[r#"
NAME             TYPE         IMAGE              NEEDS
checkout[db=15]  integration  shop/checkout:1.4  schema
checkout[db=16]  integration  shop/checkout:1.4  schema
summary          integration  shop/summary:1     checkout[db=15], checkout[db=16]
cart             security     build ./cart
load             performance  shop/load:1

"#]])
        .stderr_eq("");
    world.run(&["list", "summary", "--repeat", "2"]).success().stdout_eq(str![[r#"
round 1 of 2
NAME             TYPE         IMAGE              NEEDS
checkout[db=15]  integration  shop/checkout:1.4  schema
checkout[db=16]  integration  shop/checkout:1.4  schema
summary          integration  shop/summary:1     checkout[db=15], checkout[db=16]

round 2 of 2
NAME             TYPE         IMAGE              NEEDS
checkout[db=15]  integration  shop/checkout:1.4  schema
checkout[db=16]  integration  shop/checkout:1.4  schema
summary          integration  shop/summary:1     checkout[db=15], checkout[db=16]

"#]]);
    let narrow = World::at_home().with("COLUMNS", "60");
    narrow.write("shop.yaml", SHOP);
    let output = narrow
        .run(&["list", "--suite", "shop.yaml"])
        .success()
        .stdout_eq(str![[r#"
checkout[db=15]
  integration  shop/checkout:1.4
  needs schema
checkout[db=16]
  integration  shop/checkout:1.4
  needs schema
summary
  integration  shop/summary:1
  needs checkout[db=15], checkout[db=16]
cart
  security  build ./cart
load
  performance  shop/load:1

"#]])
        .get_output()
        .clone();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
}

#[test]
fn a_list_for_programs_has_every_field_and_no_secret() {
    let world = World::at_home().with("API_TOKEN", "geheimnis");
    world.write("docker-test.yaml", SHOP);
    let arguments = ["list", "--format", "json", "cart", "checkout[db=16]", "load"];
    world.run(&arguments).success().stdout_eq(str![[r#"
[
  {"name":"checkout[db=16]","image":"shop/checkout:1.4","type":"integration","needs":["schema"],"services":["db","schema"],"policy":{"exclusive":false,"alone":false,"network":"granted"},"timeout":300.0,"retries":1,"labels":{"team":"payments","trace":"***"}},
  {"name":"cart","image":null,"build":{"context":"./cart","dockerfile":null,"target":"slim"},"type":"security","needs":[],"services":[],"policy":{"exclusive":false,"alone":false,"network":"none"},"timeout":300.0,"retries":0,"labels":{}},
  {"name":"load","image":"shop/load:1","type":"performance","needs":[],"services":[],"policy":{"exclusive":true,"alone":false,"network":"granted"},"timeout":3600.0,"retries":1,"labels":{}}
]

"#]]).stderr_eq("");
    let output = world
        .run(&["list", "--format", "json", "--partition", "slice:1/3", "--repeat", "2"])
        .success()
        .get_output()
        .clone();
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let shown: Vec<String> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|test| format!("{} {} {}", test["name"], test["partition"], test["repetition"]))
        .collect();
    assert_eq!(
        shown,
        [r#""load" "slice:1/3" 1"#, r#""load" "slice:1/3" 2"#],
        "tests that need each other are one turn of the deal"
    );
}

#[test]
fn parts_of_a_list_make_up_the_whole() {
    let world = World::at_home();
    world.write("docker-test.yaml", SHOP);
    let names = |arguments: &[&str]| {
        let output = world.run(&[&["list", "--format", "json"], arguments].concat()).get_output().clone();
        let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let names = list.as_array().unwrap().iter().map(|test| test["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<String>>()
    };
    let mut whole = names(&[]);
    whole.sort();
    for kind in ["slice", "hash"] {
        let parts = (1..=3).map(|part| format!("{kind}:{part}/3"));
        let mut all: Vec<String> = parts.flat_map(|part| names(&["--partition", &part])).collect();
        all.sort();
        assert_eq!(all, whole, "{kind}");
    }
    assert_eq!(names(&["--shuffle", "a"]), names(&["--shuffle", "a"]));
    assert_eq!(names(&["--type", "security,performance"]), ["cart", "load"]);
    assert_eq!(names(&["--type", "security", "--type", "performance"]), ["cart", "load"]);
    assert_eq!(names(&["--filter", "label=team=payments", "!/db=15/"]), ["checkout[db=16]"]);
}

#[test]
fn names_that_no_test_has_are_warned_of_and_nothing_selected_is_4() {
    let world = World::at_home();
    world.write("docker-test.yaml", SHOP);
    world
        .run(&["list", "chekout", "cart", "!laod", "--type", "secruity,security"])
        .success()
        .stdout_eq("...\ncart [..]\n")
        .stderr_eq(str![[r#"
docker-test: warning: `chekout` matches no test; did you mean `checkout`?
docker-test: warning: `!laod` matches no test; did you mean `load`?
docker-test: warning: no test has the type `secruity`; did you mean `security`?

"#]]);
    world.run(&["list", "nothing"]).code(4).stdout_eq("").stderr_eq(str![[r#"
docker-test: warning: `nothing` matches no test
docker-test: none of the 5 tests of docker-test.yaml is selected

"#]]);
    world
        .run(&["list", "cart", "--partition", "slice:2/2", "--format", "json"])
        .code(4)
        .stdout_eq("[]\n")
        .stderr_eq(str![[r#"
docker-test: of 1 selected test, none is in part slice:2/2

"#]]);
    world.run(&["list", "--partition", "time:1/3"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: --partition time:1/3 goes by recorded durations, and none are recorded for docker-test.yaml
  hint: run the suite once, with its history in the same state directory; slice:1/3 and hash:1/3 work without

"#]]);
    world.run(&["list", "--partition", "slcie:1/3"]).code(125).stderr_eq(str![[r#"
error: invalid value 'slcie:1/3' for '--partition <KIND:M/N>': unknown partition `slcie`: expected slice:M/N, hash:M/N or time:M/N, with M from 1 to N

For more information, try '--help'.

"#]]);
    world.run(&["list", "--filter", "team=a", "/(/"]).code(125).stderr_eq(str![[r#"
error: invalid value 'team=a' for '--filter <FILTER>': unknown filter `team`: expected label=KEY or label=KEY=VALUE

For more information, try '--help'.

"#]]);
}

#[test]
fn a_suite_that_is_not_there_or_has_no_tests_is_answered_with_what_writes_one() {
    let world = World::at_home();
    world.run(&["list"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: there is no docker-test.yaml in [HOME]
  hint: `docker-test init` writes one to start from; --suite names another

"#]]);
    world.run(&["list", "--suite", "other.yaml"]).code(125).stderr_eq(str![[r#"
docker-test: cannot read the suite other.yaml
  because: No such file or directory (os error 2)
  hint: check the path and its permissions

"#]]);
    world.write("docker-test.yaml", "version: 1\ndefaults:\n  timeout: 5m\n");
    world.run(&["list"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: docker-test.yaml has no `tests`
  hint: add `tests` to it, or see what `docker-test init` writes in a directory without one

"#]]);
    world.write("docker-test.yaml", "version: 1\ntests:\n  a:\n    imge: x\n");
    world.run(&["list"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: docker-test.yaml:4:5: unknown key `imge` in `tests.a`
  4 |     imge: x
    |     ^
  hint: did you mean `image`?

"#]]);
}

#[test]
fn init_writes_what_it_finds_and_list_reads_it() {
    let world = World::at_home();
    for (name, text) in [
        ("Dockerfile", "FROM scratch\n"),
        ("compose.yaml", "services:\n  db: { image: postgres:16 }\n"),
        ("checkout/Dockerfile", "FROM scratch\nONTEST CMD [\"/t\"]\n"),
        ("cart/Dockerfile", "FROM scratch\n"),
        ("cart/Dockerfile.test", "FROM scratch\n"),
        (".hidden/Dockerfile", "FROM scratch\n"),
        ("empty/README", ""),
        ("a: ${b}/Dockerfile", "FROM scratch\n"),
    ] {
        std::fs::create_dir_all(world.home.path().join(name).parent().unwrap()).unwrap();
        world.write(name, text);
    }
    // The directory has a name of its own in every run.
    let here = world.home.path().file_name().unwrap().to_str().unwrap().trim_matches('.').to_owned();
    let said = world.run(&["init"]).success().stdout_eq("").get_output().stderr.clone();
    let said = String::from_utf8(said).unwrap().replace(&here, "HERE");
    Assert::new().action_env(snapbox::assert::DEFAULT_ACTION_ENV).normalize_paths(false).eq(
        said,
        str![[r#"
wrote docker-test.yaml
  HERE  Dockerfile, no test yet: give it a command
  a-b        a: ${b}/Dockerfile, no test yet: give it a command
  cart       cart/Dockerfile, Dockerfile.test
  checkout   checkout/Dockerfile, ONTEST
  services   compose.yaml, 1 service
next: complete it, then `docker-test list` shows what would run

"#]],
    );
    let written = std::fs::read_to_string(world.home.path().join("docker-test.yaml")).unwrap();
    let shown = written.replace(&here, "HERE");
    Assert::new().action_env(snapbox::assert::DEFAULT_ACTION_ENV).normalize_paths(false).eq(shown, str![[r##"
# yaml-language-server: $schema=https://raw.githubusercontent.com/docker-test/docker-test/main/docs/docker-test.schema.json
version: 1
# defaults: { timeout: 5m }   # flags of every docker-test command in this directory
services: compose.yaml
tests:
  HERE:
    build: .
    # command: [/test.sh]     # how it is tested: nothing in the image says so
    # needs: [db]
  a-b:
    build: "./a: $${b}"
    # command: [/test.sh]     # how it is tested: nothing in the image says so
    # needs: [db]
  cart:
    build: ./cart
    context: ./cart
    file: ./cart/Dockerfile.test
    # needs: [db]
  checkout:
    build: ./checkout
    context: ./checkout
    # needs: [db]

"##]]);
    world.run(&["list"]).success().stderr_eq("");
}

#[test]
fn init_never_writes_over_a_file_unless_it_is_told_to() {
    let world = World::at_home();
    let path = world.home.path().join("docker-test.yaml");
    world.run(&["init"]).success().stdout_eq("").stderr_eq(str![[r#"
wrote docker-test.yaml
  example   no Dockerfile was found: put your image there
next: complete it, then `docker-test list` shows what would run

"#]]);
    world
        .run(&["list"])
        .success()
        .stdout_eq(str![[r#"
NAME     TYPE         IMAGE
example  integration  alpine:3

"#]])
        .stderr_eq("");
    let whole = std::fs::read_to_string(&path).unwrap();
    // Also one that is broken, and one that is a link to nowhere.
    std::fs::write(&path, "tests: [").unwrap();
    world.run(&["init"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: there is a docker-test.yaml in [HOME] already
  hint: `docker-test list` shows its tests; --force replaces it

"#]]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "tests: [");
    world.run(&["init", "--force"]).success().stdout_eq("");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("nowhere", &path).unwrap();
    world.run(&["init"]).code(125);
    assert!(!world.home.path().join("nowhere").exists());
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    world.run(&["init", "--force"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: cannot write [HOME]/docker-test.yaml
  because: it is a directory, and no regular file
  hint: check that you may read and write there, and that the disk is not full

"#]]);
    let left = std::fs::read_dir(world.home.path()).unwrap().count();
    assert_eq!(left, 1, "nothing half-written is left");
}

/// A run of a suite that failed, a rerun of it that passed, and one that was killed.
fn with_history(world: &World) {
    let state = world.home.path().join(".local/state/docker-test");
    let subject = "/home/ada/shop/docker-test.yaml";
    let selected = ["checkout".to_owned(), "cart".to_owned()];
    let begin = |id: &str, parent: Option<&str>, started_at: &str, selected: &[String]| {
        let mut history = History::open(&state).unwrap();
        let (engine, version) = ("Docker Engine 20.10.24", "0.0.9");
        let start = RunStart { id, subject, engine, version, started_at, parent, selected };
        history.begin_run(&start).unwrap();
        history
    };
    let test = |name: &str, outcomes: &[Outcome], cause: Option<Cause>| TestRecord {
        name: name.to_owned(),
        image: format!("shop/{name}:1.4"),
        image_id: "sha256:0123456789abcdef".to_owned(),
        test_type: "integration".to_owned(),
        outcome: if outcomes.len() > 1 { Outcome::Flaky } else { outcomes[0] },
        cause,
        seconds: outcomes.iter().map(|_| 1.5).sum(),
        slot: Some(1),
        attempts: (1..)
            .zip(outcomes)
            .map(|(number, &outcome)| AttemptRecord {
                number,
                outcome,
                seconds: 1.5,
                started_at: Some("2026-11-21T06:30:01Z".to_owned()),
            })
            .collect(),
    };
    let end = |outcome, exit_code, outstanding: &[&str]| RunEnd {
        outcome,
        exit_code,
        seconds: 4.25,
        outstanding: outstanding.iter().map(|&name| name.to_owned()).collect(),
    };
    let mut history = begin("6b0147d0-aaaaaa", None, "2026-11-21T06:30:00Z", &selected);
    let cause = Some(Cause::ExitCode { code: 3 });
    history.record_test("6b0147d0-aaaaaa", &test("checkout", &[Outcome::Failed], cause)).unwrap();
    let flaky = test("cart", &[Outcome::Failed, Outcome::Passed], None);
    history.record_test("6b0147d0-aaaaaa", &flaky).unwrap();
    history.finish_run("6b0147d0-aaaaaa", &end(Outcome::Failed, 1, &["checkout"])).unwrap();
    let mut history =
        begin("6b0147d1-bbbbbb", Some("6b0147d0-aaaaaa"), "2026-11-21T06:31:00Z", &selected[..1]);
    history.record_test("6b0147d1-bbbbbb", &test("checkout", &[Outcome::Passed], None)).unwrap();
    history.finish_run("6b0147d1-bbbbbb", &end(Outcome::Passed, 0, &[])).unwrap();
    begin("6b0147d2-cccccc", None, "2026-11-21T06:32:00Z", &selected);
}

#[test]
fn the_history_lists_runs_newest_first() {
    let world = World::at_home();
    with_history(&world);
    world
        .run(&["history"])
        .success()
        .stdout_eq(str![[r#"
RUN              WHEN (UTC)        OUTCOME      PASSED  FAILED  FLAKY  TIME  SUBJECT
6b0147d2-cccccc  2026-11-21 06:32  did not end       0       0      0        …/shop/docker-test.yaml
6b0147d1-bbbbbb  2026-11-21 06:31  passed            1       0      0  4.2s  …/shop/docker-test.yaml
6b0147d0-aaaaaa  2026-11-21 06:30  failed            0       1      1  4.2s  …/shop/docker-test.yaml

"#]])
        .stderr_eq("");
    world.run(&["history", "--limit", "1", "--format", "json"]).success().stdout_eq(str![[r#"
[
  {"run_id":"6b0147d2-cccccc","subject":"/home/ada/shop/docker-test.yaml","engine":"Docker Engine 20.10.24","version":"0.0.9","started_at":"2026-11-21T06:32:00Z","parent":null,"selected":2,"state":"did_not_end","outcome":null,"exit_code":null,"seconds":null,"counts":{"passed":0,"failed":0,"flaky":0,"skipped":0}}
]

"#]]).stderr_eq("");
    let suite = ["history", "--suite", "/home/ada/shop/docker-test.yaml", "--format", "json"];
    let output = world.run(&suite).success().get_output().clone();
    let runs: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(runs.as_array().unwrap().len(), 3);
    let note = "docker-test: no run of shop:1.4 is in the history yet\n";
    world.run(&["history", "--subject", "shop:1.4"]).success().stdout_eq("").stderr_eq(note);
}

#[test]
fn the_history_shows_a_run_by_the_beginning_of_its_id() {
    let world = World::at_home();
    with_history(&world);
    world
        .run(&["history", "show", "6b0147d0"])
        .success()
        .stdout_eq(str![[r#"
run       6b0147d0-aaaaaa
subject   /home/ada/shop/docker-test.yaml
when      2026-11-21 06:30 UTC
outcome   failed in 4.2s, exit code 1
tests     1 failed, 1 flaky of 2 tests
engine    Docker Engine 20.10.24, docker-test 0.0.9

TEST      OUTCOME  TIME  ATTEMPTS                  IMAGE              IMAGE ID
checkout  failed   1.5s  1                         shop/checkout:1.4  0123456789ab
cart      flaky      3s  failed 1.5s, passed 1.5s  shop/cart:1.4      0123456789ab

checkout: the test command ended with exit code 3

still to pass
  checkout

"#]])
        .stderr_eq("");
    world.run(&["history", "show", "6b0147d1", "--format", "json"]).success().stdout_eq(str![[r#"
{"run_id":"6b0147d1-bbbbbb","subject":"/home/ada/shop/docker-test.yaml","engine":"Docker Engine 20.10.24","version":"0.0.9","started_at":"2026-11-21T06:31:00Z","parent":"6b0147d0-aaaaaa","selected":1,"state":"ended","outcome":"passed","exit_code":0,"seconds":4.25,"counts":{"passed":1,"failed":0,"flaky":0,"skipped":0},"tests":[{"name":"checkout","image":"shop/checkout:1.4","image_id":"sha256:0123456789abcdef","type":"integration","outcome":"passed","cause":null,"seconds":1.5,"slot":1,"attempts":[{"number":1,"outcome":"passed","seconds":1.5,"started_at":"2026-11-21T06:30:01Z"}]}],"outstanding":[]}

"#]]).stderr_eq("");
    world
        .run(&["history", "show", "6b0147d2"])
        .success()
        .stdout_eq(str![[r#"
run       6b0147d2-cccccc
subject   /home/ada/shop/docker-test.yaml
when      2026-11-21 06:32 UTC
outcome   did not end
tests     none of 2 tests
engine    Docker Engine 20.10.24, docker-test 0.0.9

still to pass
  checkout, cart

"#]])
        .stderr_eq("");
    world.run(&["history", "show", "6b"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: several runs begin with 6b: 6b0147d2-cccccc, 6b0147d1-bbbbbb, 6b0147d0-aaaaaa
  hint: give more of the id

"#]]);
    world.run(&["history", "show", "7"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: there is no run 7 in the history
  hint: `docker-test history` lists the runs

"#]]);
}

#[test]
fn the_history_tells_flaky_tests_from_slow_ones() {
    let world = World::at_home();
    with_history(&world);
    world
        .run(&["history", "tests"])
        .success()
        .stdout_eq(str![[r#"
TEST      RUNS  FAILED  FLAKY  RATE  MEDIAN   MAX  LAST
cart         1       0      1  100%      3s    3s  flaky
checkout     2       1      0    0%    1.5s  1.5s  passed

"#]])
        .stderr_eq("");
    world.run(&["history", "tests", "--sort", "slow", "--limit", "1"]).success().stdout_eq(str![[r#"
TEST  RUNS  FAILED  FLAKY  RATE  MEDIAN  MAX  LAST
cart     1       0      1  100%      3s   3s  flaky

"#]]);
    world.run(&["history", "tests", "check*", "--format", "json"]).success().stdout_eq(str![[r#"
[
  {"name":"checkout","subject":"/home/ada/shop/docker-test.yaml","runs":2,"passed":1,"failed":1,"flaky":0,"flaky_rate":0.0,"median_seconds":1.5,"max_seconds":1.5,"last_outcome":"passed","last_run":"6b0147d1-bbbbbb"}
]

"#]]).stderr_eq("");
    let note = "docker-test: none of 2 tests matches\n";
    world.run(&["history", "tests", "nosuch"]).success().stdout_eq("").stderr_eq(note);
}

#[test]
fn an_empty_history_is_no_error_and_is_not_made_by_looking_at_it() {
    let world = World::at_home();
    let note = "docker-test: no run is in the history yet\n";
    for command in [&["history"][..], &["history", "tests"]] {
        world.run(command).success().stdout_eq("").stderr_eq(note);
        world.run(&[command, &["--format", "json"]].concat()).success().stdout_eq("[]\n").stderr_eq(note);
    }
    world.run(&["history", "show", "6b"]).code(125);
    assert_eq!(std::fs::read_dir(world.home.path()).unwrap().count(), 0);
}

#[test]
fn the_history_hides_what_the_environment_says_is_secret() {
    let world = World::at_home().with("API_TOKEN", "ada/shop");
    with_history(&world);
    let output = world.run(&["history", "--format", "json"]).success().get_output().clone();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("ada/shop") && text.contains("/home/***/docker-test.yaml"), "{text}");
}

#[test]
fn a_damaged_history_is_named_and_left_alone() {
    let world = World::at_home().with("DOCKER_TEST_STATE_DIR", "state");
    let path = world.home.path().join("state/history.sqlite");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "scribble ".repeat(200)).unwrap();
    world.run(&["history"]).code(125).stdout_eq("").stderr_eq(str![[r#"
docker-test: the history [HOME]/state/history.sqlite is damaged
  because: file is not a database
  hint: move history.sqlite, history.sqlite-wal and history.sqlite-shm to another directory: a new history is begun, and nothing but records of earlier runs is lost

"#]]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "scribble ".repeat(200));
}

#[test]
fn runs_of_the_history_are_completed() {
    let world = World::at_home();
    with_history(&world);
    let words = ["__complete", "test", "history", "show", "6b0147d1"];
    world.run(&words).success().stdout_eq(str![[r#"
6b0147d1-bbbbbb	2026-11-21 06:31  /home/ada/shop/docker-test.yaml
:4

"#]]);
}

#[test]
fn every_field_of_the_history_is_in_its_documentation() {
    let world = World::at_home();
    with_history(&world);
    let text = include_str!("../docs/history.md");
    let mut checked = 0;
    for command in [&["history"][..], &["history", "show", "6b0147d0"], &["history", "tests"]] {
        let output = world.run(&[command, &["--format", "json"]].concat()).success().get_output().clone();
        let mut waiting = vec![serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()];
        while let Some(value) = waiting.pop() {
            match value {
                serde_json::Value::Array(items) => waiting.extend(items),
                // What a cause has is that of the reports.
                serde_json::Value::Object(fields) if !fields.contains_key("kind") => {
                    for (name, value) in fields {
                        assert!(text.contains(&format!("`{name}`")), "docs/history.md does not name {name}");
                        waiting.push(value);
                        checked += 1;
                    }
                }
                _ => {}
            }
        }
    }
    assert!(checked > 60, "only {checked} fields were checked");
}
