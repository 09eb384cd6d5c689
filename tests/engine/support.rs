//! A sandbox for one test: a directory, a state directory, image names of its own, and the cleaning up.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The small base image that every test may build on.
pub(crate) const BASE: &str = "docker-test-base/busybox:1";

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_docker-test");

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// One test's own world.
pub(crate) struct Sandbox {
    directory: TempDir,
    prefix: String,
    variables: BTreeMap<String, String>,
    /// Ids of what docker has built.
    built: Mutex<Vec<String>>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        // The last letter keeps the names of sandbox 1 from being the beginning of those of sandbox 10.
        let prefix = format!("dt-it-{}-{number}x", std::process::id());
        let directory = tempfile::Builder::new().prefix("dt-it-").tempdir().unwrap();
        fs::create_dir(directory.path().join("work")).unwrap();
        Self { directory, prefix, variables: BTreeMap::new(), built: Mutex::default() }
    }

    /// The current directory of the commands.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("work")
    }

    /// Where run journals of this sandbox are.
    pub(crate) fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// `NAME:TAG` that belongs to this sandbox and is removed with it, its test image too.
    pub(crate) fn image(&self, name: &str) -> String {
        format!("{}/{name}:1", self.prefix)
    }

    /// A name for containers, volumes and networks of this sandbox.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Sets a variable for every command from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Writes a file below the work directory, executable where it begins with `#!`.
    pub(crate) fn write(&self, path: &str, content: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let file = self.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        let mode = if content.starts_with("#!") { 0o755 } else { 0o644 };
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    /// Reads a file of the results directory.
    pub(crate) fn result(&self, path: &str) -> String {
        fs::read_to_string(self.path().join("tests/results").join(path)).unwrap()
    }

    /// A command of docker-test, not started yet.
    pub(crate) fn command<S: AsRef<str>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(arguments.iter().map(AsRef::as_ref))
            .current_dir(self.path())
            .env_remove("CI")
            .env_remove("GITHUB_ACTIONS")
            .env("DOCKER_TEST_STATE_DIR", self.state())
            .envs(&self.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs docker-test to its end.
    pub(crate) fn run<S: AsRef<str>>(&self, arguments: &[S]) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }

    /// Runs docker-test and demands an exit code.
    #[track_caller]
    pub(crate) fn expect<S: AsRef<str>>(&self, code: i32, arguments: &[S]) -> Ran {
        let ran = self.run(arguments);
        ran.assert_code(code);
        ran
    }

    /// Builds an image of this sandbox with plain docker.
    #[track_caller]
    pub(crate) fn docker_build(&self, name: &str, dockerfile: &str) -> String {
        let image = self.image(name);
        let file = self.directory.path().join(format!("{name}.Dockerfile"));
        fs::write(&file, dockerfile).unwrap();
        let (file, path) = (file.display().to_string(), self.path().display().to_string());
        // Without the cache: a layer that another sandbox made may go with that sandbox while it is used here.
        let id = docker(&["build", "-q", "--no-cache", "-t", &image, "-f", &file, &path]);
        self.has_built(&id);
        image
    }

    /// Builds an image of this sandbox with `docker-test build` from the work directory.
    #[track_caller]
    pub(crate) fn build(&self, name: &str, dockerfile: &str) -> String {
        let image = self.image(name);
        self.write("Dockerfile", dockerfile);
        self.expect(0, &["build", "-t", &image, "."]);
        image
    }

    /// Everything on the engine that bears a run label of this sandbox's journals, or its names.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        // A test container is created from an image's id: the name of its target stands in its labels alone.
        let format = "{{.Names}} {{.Image}} {{.Labels}}";
        let containers = docker(&["ps", "-a", "--filter", "label=docker-test.run", "--format", format]);
        containers.lines().filter(|line| line.contains(&self.prefix)).map(str::to_owned).collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let containers = docker(&["ps", "-aq", "--filter", &format!("name={}", self.prefix)]);
        for id in containers.split_whitespace() {
            let _ = Command::new("docker").args(["rm", "-fv", id]).output();
        }
        for kind in ["volume", "network"] {
            let names = docker(&[kind, "ls", "-q", "--filter", &format!("name={}", self.prefix)]);
            for name in names.split_whitespace() {
                let _ = Command::new("docker").args([kind, "rm", name]).output();
            }
        }
        // A name may follow that of a registry, and what was pulled by digest has no tag.
        let images = docker(&["images", "--digests", "--format", "{{.Repository}}\t{{.Tag}}\t{{.Digest}}"]);
        for image in images.lines().filter(|image| image.contains(&self.prefix)) {
            let name = match image.split('\t').collect::<Vec<_>>()[..] {
                [repository, "<none>", digest] => format!("{repository}@{digest}"),
                [repository, tag, _] => format!("{repository}:{tag}"),
                _ => continue,
            };
            let _ = Command::new("docker").args(["rmi", "-f", &name]).output();
        }
        self.remove_nameless();
    }
}

impl Sandbox {
    /// Remembers the id of an image that docker has built. Several tests that build the same have it in common, and two
    /// that take their names off it at once leave it without any.
    pub(crate) fn has_built(&self, id: &str) {
        self.built.lock().unwrap().push(id.trim().to_owned());
    }

    /// Images that this sandbox has built and given away the name of: by id where docker built them, and whatever
    /// says this sandbox's name in a label. Also what the classic builder has made and lost, of whichever sandbox.
    fn remove_nameless(&self) {
        let dangling = docker(&["images", "-q", "--no-trunc", "--filter", "dangling=true"]);
        let format = "{{.Id}}\t{{.Parent}}\t{{json .Config.Labels}}";
        // Those of other tests come and go meanwhile.
        let inspected = Command::new("docker")
            .args(["image", "inspect", "--format", format])
            .args(dangling.split_whitespace())
            .output()
            .unwrap();
        let inspected = String::from_utf8_lossy(&inspected.stdout).into_owned();
        let ours = inspected.lines().filter(|line| line.contains(&self.prefix));
        let labelled = ours.filter_map(|line| line.split_once('\t')).map(|(id, _)| id);
        let orphans = inspected.lines().filter_map(|line| line.split_once("\t\t")).map(|(id, _)| id);
        let lost = orphans.filter(|id| is_lost_step(id));
        // An image without instructions of its own is its base, which has a name.
        let built = self.built.lock().map(|built| built.clone()).unwrap_or_default();
        let built = dangling.split_whitespace().filter(|id| built.iter().any(|built| built == id));
        for id in labelled.chain(built).chain(lost) {
            let _ = Command::new("docker").args(["rmi", id]).output();
        }
    }
}

/// Whether an image without a parent is a step of a test image whose first step was removed while the classic builder
/// made it: the builder then fails, and never tells of it.
fn is_lost_step(id: &str) -> bool {
    let words = ["history", "--no-trunc", "--format", "{{.CreatedBy}}", id];
    let told = Command::new("docker").args(words).output().unwrap();
    let steps = String::from_utf8_lossy(&told.stdout);
    steps.starts_with("/bin/sh -c #(nop) COPY ") && steps.contains(" in /var/tests/ ")
}

/// A finished command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        Self {
            code: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
    }

    #[track_caller]
    pub(crate) fn assert_stderr(&self, part: &str) {
        assert!(self.stderr.contains(part), "no `{part}` in stderr:\n{}", self.stderr);
    }

    #[track_caller]
    pub(crate) fn assert_stdout(&self, part: &str) {
        assert!(
            self.stdout.contains(part),
            "no `{part}` in stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
    }

    /// stdout as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// The first event of that name on stdout.
    #[track_caller]
    pub(crate) fn event(&self, name: &str) -> Value {
        let found = self.events().into_iter().find(|event| event["event"] == name);
        found.unwrap_or_else(|| panic!("no event {name} in {}\n{}", self.stdout, self.stderr))
    }

    /// stdout as NDJSON.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs the Docker CLI and returns its stdout; panics where it fails.
#[track_caller]
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).env("DOCKER_BUILDKIT", "0").output().unwrap();
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The id of an image, where the engine has it.
pub(crate) fn image_id(reference: &str) -> Option<String> {
    let output =
        Command::new("docker").args(["image", "inspect", "-f", "{{.Id}}", reference]).output().unwrap();
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A label of an image; empty where it has none of that name.
#[track_caller]
pub(crate) fn label(image: &str, name: &str) -> String {
    let format = format!("{{{{index .Config.Labels {name:?}}}}}");
    docker(&["image", "inspect", "-f", &format, image]).trim_end_matches('\n').to_owned()
}

/// Asks until there is an answer, for a quarter of a minute at most.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "in vain waited until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
