//! What the measurements stand on: images, a work directory and an engine, and that nothing of it is left afterwards.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command as StdCommand, Stdio};
use std::time::{Duration, Instant};

use docker_test::engine::docker::{BuilderChoice, Engine};
use docker_test::engine::endpoint::{self, Choice};
use docker_test::engine::transport::HttpClient;
use docker_test::environment::Environment;
use tempfile::TempDir;
use tokio::process::Command;

use crate::entry::Failure;

/// The program that is measured.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_docker-test");

/// Stands under every image here.
pub(crate) const BASE: &str = "docker-test-base/busybox:1";

/// Where the test leaves its results.
pub(crate) const RESULTS: &str = "/var/tests/results";

/// A place with an engine, removed with all its images and containers when dropped.
pub(crate) struct Ground {
    directory: TempDir,
    /// Begins the name of everything on the engine.
    pub(crate) prefix: String,
    /// The engine in words.
    pub(crate) engine: String,
    /// A connection to it.
    pub(crate) http: HttpClient,
}

impl Ground {
    pub(crate) async fn prepare() -> Result<Self, Failure> {
        let environment = Environment::capture();
        let discovery = endpoint::discover(&Choice::default(), &environment)?;
        let connected = endpoint::connect(&discovery, &environment, &std::env::temp_dir(), None).await?;
        let http = connected.http.clone();
        let address = connected.endpoint.to_string();
        let local = connected.endpoint.is_local();
        let engine =
            Engine::open(connected.http, connected.greeting, &address, local, BuilderChoice::Engine).await?;
        ensure_base()?;
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(target)?;
        Ok(Self {
            directory: tempfile::Builder::new().prefix("bench-").tempdir_in(target)?,
            prefix: format!("docker-test-bench-{}", std::process::id()),
            engine: engine.describe(),
            http,
        })
    }

    /// A directory of its own below the work directory.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.directory.path().join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// `NAME:TAG` of an image that goes when the ground goes.
    pub(crate) fn image(&self, name: &str) -> String {
        format!("{}/{name}:1", self.prefix)
    }

    /// docker-test, in a directory, with a ledger of its own.
    pub(crate) fn docker_test(&self, arguments: &[&str], directory: &Path) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(directory);
        self.surround(command.as_std_mut());
        command
    }

    /// The environment that docker-test is run in.
    pub(crate) fn surround(&self, command: &mut StdCommand) {
        command.env("DOCKER_TEST_STATE_DIR", self.directory.path().join("state"));
        for name in ["CI", "GITHUB_ACTIONS", "DOCKER_BUILDKIT"] {
            command.env_remove(name);
        }
    }

    /// Runs a command to its end and says how long it took. What it printed is shown only if it fails.
    pub(crate) async fn time(&self, mut command: Command) -> Result<Duration, Failure> {
        let path = self.directory.path().join("output");
        let log = File::create(&path)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let before = Instant::now();
        let status = command.status().await?;
        let taken = before.elapsed();
        if status.success() {
            return Ok(taken);
        }
        let output = fs::read_to_string(path).unwrap_or_default();
        Err(format!("{:?} ended with {status}:\n{output}", command.as_std()).into())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let quietly = |arguments: &[&str]| docker(arguments).unwrap_or_default();
        let filter = format!("name={}", self.prefix);
        for container in quietly(&["ps", "-aq", "--filter", &filter]).split_whitespace() {
            quietly(&["rm", "-fv", container]);
        }
        for network in quietly(&["network", "ls", "-q", "--filter", &filter]).split_whitespace() {
            quietly(&["network", "rm", network]);
        }
        // Interrupted in the middle of a run: docker-test's own ledger knows what is left.
        let mut prune = StdCommand::new(PROGRAM);
        prune.arg("prune").stdin(Stdio::null());
        self.surround(&mut prune);
        let _ = prune.output();
        let images = quietly(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        for image in images.lines().filter(|image| image.starts_with(&self.prefix)) {
            quietly(&["rmi", "-f", image]);
        }
    }
}

/// Runs the Docker CLI and returns what it prints.
pub(crate) fn docker(arguments: &[&str]) -> Result<String, Failure> {
    let output = StdCommand::new("docker").args(arguments).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("docker {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)).into())
}

fn ensure_base() -> Result<(), Failure> {
    if docker(&["image", "inspect", BASE]).is_ok() {
        return Ok(());
    }
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/fixture");
    let status = StdCommand::new(fixture).args(["base", "up", "busybox"]).status()?;
    if status.success() { Ok(()) } else { Err(format!("there is no {BASE}, and it cannot be made").into()) }
}
