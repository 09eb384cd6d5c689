//! The command line without an engine: help, usage errors, inspection of Dockerfiles, completion, exit codes.
//!
//! Each command runs in the smallest example with an environment of its own, so that no variable, no configuration and
//! no engine of this machine is seen. Snapshots are rewritten with `SNAPSHOTS=overwrite`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the place")]
#![expect(clippy::needless_raw_string_hashes, reason = "snapbox rewrites snapshots in this form")]

use std::path::{Path, PathBuf};

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

Usage: docker-test run --memory <BYTES> <IMAGE[:TAG|@DIGEST]> [-- <COMMAND>...]

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
  hint: did you mean `junit`? There are: junit, json, markdown, github

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

Usage: docker-test run --host <URL> <IMAGE[:TAG|@DIGEST]> [-- <COMMAND>...]

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
        for name in
            ["run", "build", "inspect", "generate", "results", "prune", "doctor", "completions", "man"]
        {
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
  hint: there are run, build, inspect, generate, results, prune, doctor, completions, man

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
