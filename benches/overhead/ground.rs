//! What the measurements stand on: images, a work directory and an engine, and that nothing of it is left afterwards.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command as StdCommand, Stdio};
use std::time::{Duration, Instant};

use docker_test::engine::docker::{BuilderChoice, Engine};
use docker_test::engine::endpoint::{self, Choice};
use docker_test::engine::transport::HttpClient;
use docker_test::environment::Environment;
use tempfile::TempDir;
use tokio::process::Command;

use crate::Failure;

/// The program that is measured.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_docker-test");

/// Stands under every image here.
pub(crate) const BASE: &str = "docker-test-base/busybox:1";

/// Where the test leaves its results.
pub(crate) const RESULTS: &str = "/var/tests/results";

/// A test that takes no time of its own and leaves one report.
pub(crate) const TEST: &str = r#"#!/bin/sh
echo '<testsuite name="bench" tests="1"><testcase name="nothing"/></testsuite>' >/var/tests/results/junit.xml
echo done
"#;

/// Its recipe, which plain Docker can build too.
pub(crate) const RECIPE: &str =
    "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCOPY tests/run.sh /run.sh\nCMD [\"/run.sh\"]\n";

/// A place with an engine, removed with all its images and containers when dropped.
pub(crate) struct Ground {
    directory: TempDir,
    /// Begins the name of everything on the engine.
    pub(crate) prefix: String,
    /// The engine in words.
    pub(crate) engine: String,
    /// A connection to it.
    pub(crate) http: HttpClient,
    /// A Docker client whose builds use BuildKit, where there is one.
    pub(crate) buildkit_client: Option<PathBuf>,
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
        let mut ground = Self {
            directory: tempfile::Builder::new().prefix("overhead-").tempdir_in(target)?,
            prefix: format!("docker-test-bench-{}", std::process::id()),
            engine: engine.describe(),
            http,
            buildkit_client: None,
        };
        ground.buildkit_client = ground.find_buildkit_client();
        Ok(ground)
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

    /// An image under test, and the directory with its recipe.
    pub(crate) fn project(&self, name: &str) -> Result<(String, PathBuf), Failure> {
        let (image, directory) = (self.image(name), self.directory(name)?);
        docker(&["tag", BASE, &image])?;
        write_executable(&directory.join("tests/run.sh"), TEST)?;
        fs::write(directory.join("Dockerfile.test"), RECIPE)?;
        Ok((image, directory))
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

    /// The Docker CLI of a distribution may come without the plugin that its BuildKit builds need.
    fn find_buildkit_client(&self) -> Option<PathBuf> {
        let image = self.image("probe");
        let directory = self.directory("probe").ok()?;
        fs::write(directory.join("Dockerfile"), format!("FROM {BASE}\n")).ok()?;
        clients().into_iter().find(|client| {
            StdCommand::new(client)
                .args(["build", "-q", "-t", &image, "."])
                .current_dir(&directory)
                .env("DOCKER_BUILDKIT", "1")
                .stdin(Stdio::null())
                .output()
                .is_ok_and(|output| output.status.success())
        })
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let quietly = |arguments: &[&str]| docker(arguments).unwrap_or_default();
        let filter = format!("name={}", self.prefix);
        for container in quietly(&["ps", "-aq", "--filter", &filter]).split_whitespace() {
            quietly(&["rm", "-fv", container]);
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

/// Every program called `docker` on the PATH.
fn clients() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join("docker"))
        .filter(|file| file.is_file())
        .collect()
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

pub(crate) fn write_executable(path: &Path, text: &str) -> Result<(), Failure> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, text)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))?;
    Ok(())
}
