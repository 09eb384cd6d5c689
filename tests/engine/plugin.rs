//! `docker test …`: the Docker CLI finds the plugin, hands everything on and takes everything back.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::fixture::{ImagesAt, docker_at, fixture};
use crate::support::{BASE, BINARY, Ran, Sandbox, docker};

/// A sandbox with the plugin in a Docker configuration of its own.
struct Installed {
    sandbox: Sandbox,
    image: String,
}

impl Installed {
    fn new() -> Self {
        let mut sandbox = Sandbox::new();
        let image = sandbox.image("plugin");
        docker(&["tag", BASE, &image]);
        let config = sandbox.path().parent().unwrap().join("docker-config");
        let plugins = config.join("cli-plugins");
        fs::create_dir_all(&plugins).unwrap();
        std::os::unix::fs::symlink(BINARY, plugins.join("docker-test")).unwrap();
        sandbox.set("DOCKER_CONFIG", config.to_str().unwrap());
        Self { sandbox, image }
    }

    fn config(&self) -> PathBuf {
        self.sandbox.path().parent().unwrap().join("docker-config")
    }

    /// The Docker CLI in the sandbox's surroundings, not started yet.
    fn docker(&self, arguments: &[&str]) -> Command {
        let prepared = self.sandbox.command::<&str>(&[]);
        let mut command = Command::new("docker");
        command
            .args(arguments)
            .current_dir(self.sandbox.path())
            .envs(prepared.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    #[track_caller]
    fn expect(&self, code: i32, arguments: &[&str]) -> Ran {
        let ran = Ran::from(self.docker(arguments).output().unwrap());
        ran.assert_code(code);
        ran
    }
}

#[test]
fn docker_test_runs_an_image_and_hands_the_exit_code_on() {
    let installed = Installed::new();
    let image = installed.image.as_str();
    let ran = installed
        .expect(0, &["test", image, "--", "sh", "-c", "echo out; echo err >&2; pwd > /var/tests/results/p"]);
    assert_eq!(ran.stdout, "out\n");
    ran.assert_stderr("err\n");
    assert_eq!(installed.sandbox.result("p"), "/\n");
    installed.expect(1, &["test", image, "--", "sh", "-c", "exit 3"]);
    installed.expect(3, &["test", "run", "--propagate-exit-code", image, "--", "sh", "-c", "exit 3"]);
    installed.expect(127, &["test", image, "--", "/not-there"]);
    installed.expect(125, &["test", "--no-such-flag", image]);
}

#[test]
fn docker_s_global_flags_before_test_choose_the_engine() {
    let installed = Installed::new();
    let engine = fixture("dockerd");
    let host = engine["DOCKERD_HOST"].as_str();
    let image = installed.sandbox.image("far");
    docker_at(host, &["tag", BASE, &image]);
    let _images = ImagesAt { host: host.to_owned(), names: vec![image.clone()] };
    let command = ["--", "echo", "far"];
    let ran = installed.expect(0, &[&["-H", host, "test", &image], &command[..]].concat());
    assert_eq!(ran.stdout, "far\n");
    ran.assert_stderr(host);
    let config = installed.config();
    docker(&[
        "--config",
        config.to_str().unwrap(),
        "context",
        "create",
        "far",
        "--docker",
        &format!("host={host}"),
    ]);
    for flags in [["--context", "far"], ["-c", "far"]] {
        let ran = installed.expect(0, &[&flags[..], &["test", "run", &image], &command[..]].concat());
        ran.assert_stderr(host);
    }
    let ran = installed.expect(125, &["--context", "missing", "test", &image, "--", "true"]);
    ran.assert_stderr("missing");
}

#[test]
fn docker_lists_the_plugin_and_shows_its_help() {
    let installed = Installed::new();
    installed.expect(0, &["--help"]).assert_stdout("Build, run and judge the tests of an image");
    for arguments in [&["test", "--help"][..], &["help", "test"]] {
        let ran = installed.expect(0, arguments);
        ran.assert_stdout("Usage: docker test <COMMAND>");
        ran.assert_stdout("Exit codes:");
    }
    for arguments in [&["test", "build", "--help"][..], &["help", "test", "build"]] {
        installed.expect(0, arguments).assert_stdout("Usage: docker test build [OPTIONS] [PATH]");
    }
    let version = installed.expect(0, &["test", "--version"]);
    assert_eq!(version.stdout, format!("docker-test {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_metadata_is_there_at_once_and_without_an_engine() {
    let mut fastest = Duration::MAX;
    for _ in 0..10 {
        let began = Instant::now();
        let output = Command::new(BINARY)
            .arg("docker-cli-plugin-metadata")
            .env_clear()
            .env("DOCKER_HOST", "tcp://127.0.0.1:1")
            .output()
            .unwrap();
        fastest = fastest.min(began.elapsed());
        assert!(output.status.success() && output.stderr.is_empty());
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(metadata["SchemaVersion"], "0.1.0");
        assert_eq!(metadata["Version"], env!("CARGO_PKG_VERSION"));
    }
    // The goal is 10 ms for the released program, which the benchmark measures; this one is not optimised.
    assert!(fastest < Duration::from_millis(50), "metadata took {fastest:?}");
}

#[test]
fn the_docker_cli_completes_subcommands_flags_and_values() {
    let installed = Installed::new();
    let complete = |words: &[&str]| -> Vec<String> {
        let ran = Ran::from(
            installed.sandbox.command(&[&["__complete", "test"], words].concat()).output().unwrap(),
        );
        ran.assert_code(0);
        assert!(ran.stdout.ends_with("\n:4\n") || ran.stdout == ":4\n", "{}", ran.stdout);
        ran.stdout.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    };
    assert_eq!(complete(&["ins"]), ["inspect", ":4"]);
    assert!(complete(&[""]).contains(&"prune".to_owned()));
    assert_eq!(complete(&["--timeo"]), ["--timeout", ":4"]);
    assert_eq!(complete(&["shop:1.4", "--pids"]), ["--pids-limit", ":4"]);
    assert_eq!(complete(&["build", "--with"]), ["--with-tests", ":4"]);
    assert_eq!(complete(&["run", "--trust", ""]), ["exit", "report", "both", ":4"]);
    assert_eq!(complete(&["no-such"]), [":4"]);
}

#[test]
fn completion_scripts_and_the_manual_are_printed() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = sandbox.expect(0, &["completions", shell]);
        ran.assert_stdout("docker-test");
        ran.assert_stdout("pids-limit");
        assert!(!ran.stdout.contains("health-cmd"), "{shell} offers a flag that is refused");
        assert!(ran.stderr.is_empty());
    }
    let syntax = Command::new("bash")
        .arg("-n")
        .arg(sandbox.write("completion", &sandbox.expect(0, &["completions", "bash"]).stdout))
        .output()
        .unwrap();
    assert!(syntax.status.success(), "{}", String::from_utf8_lossy(&syntax.stderr));
    sandbox.expect(125, &["completions", "tcsh"]);
    let page = sandbox.expect(0, &["man"]).stdout;
    assert!(page.contains(".TH docker-test 1"), "{page}");
    sandbox.expect(0, &["man", "build"]).assert_stdout("with\\-tests");
    sandbox.expect(125, &["man", "nothing"]).assert_stderr("there is no subcommand `nothing`");
}

/// Stops gently: says so, leaves a result, and takes its time.
const GENTLE: &str = "trap 'echo stopping; echo late > /var/tests/results/late; exit 0' TERM; echo ready; \
                      while :; do sleep 0.05; done";

/// Waits until the test has printed `ready`.
fn ready(child: &mut Child) -> BufReader<std::process::ChildStdout> {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    output
}

/// The end of the plugin socket stops the test gently; `address` is what Docker puts into the variable.
fn the_end_of_the_socket(listener: &UnixListener, address: &str) {
    let mut installed = Installed::new();
    installed
        .sandbox
        .set("DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND", "docker")
        .set("DOCKER_CLI_PLUGIN_SOCKET", address);
    let arguments = ["test", &installed.image, "--", "sh", "-c", GENTLE];
    let mut child = installed.sandbox.command(&arguments).spawn().unwrap();
    let (connection, _) = listener.accept().unwrap();
    let mut output = ready(&mut child);
    drop(connection);
    let mut rest = String::new();
    output.read_line(&mut rest).unwrap();
    assert_eq!(rest, "stopping\n");
    Ran::from(child.wait_with_output().unwrap()).assert_code(130);
    assert_eq!(installed.sandbox.result("late"), "late\n");
    assert_eq!(installed.sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn the_end_of_the_plugin_socket_stops_the_test_gently() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plugin.sock");
    the_end_of_the_socket(&UnixListener::bind(&path).unwrap(), path.to_str().unwrap());
}

#[test]
fn the_plugin_socket_may_be_an_abstract_one() {
    let name = format!("docker_cli_dt_it_{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    the_end_of_the_socket(&UnixListener::bind_addr(&address).unwrap(), &format!("@{name}"));
}

#[test]
fn ctrl_c_on_the_docker_cli_stops_the_test_gently() {
    let major = docker(&["version", "--format", "{{.Client.Version}}"]);
    let major: u32 = major.split('.').next().unwrap().parse().unwrap();
    if major < 25 {
        // Older ones give their plugins no socket and forward no signal.
        return;
    }
    let installed = Installed::new();
    let arguments = ["test", &installed.image, "--", "sh", "-c", GENTLE];
    let mut child = installed.docker(&arguments).spawn().unwrap();
    let mut output = ready(&mut child);
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let mut rest = String::new();
    output.read_line(&mut rest).unwrap();
    assert_eq!(rest, "stopping\n");
    Ran::from(child.wait_with_output().unwrap()).assert_code(130);
    assert_eq!(installed.sandbox.leftovers(), Vec::<String>::new());
}
