//! A Podman API service of our own, for the length of a run, where no engine answers.
//!
//! Owns the process, its private socket and their end: on drop, on request, or with this process if it is killed before
//! it can do either. What the service then does is Podman's.

use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::environment::Environment;
use crate::error::{Category, Diagnose};

/// Ends the service when our end of the pipe on standard input is closed, by whatever means this process ends. The
/// service's own idle timeout does not see that: to Podman, a connection to a container's output is work in progress for as
/// long as the container runs.
const WATCHED: &str = "exec 3<&0 </dev/null; \"$@\" 3<&- & service=$!; \
                       { read -r never <&3; kill \"$service\"; } 2>/dev/null & watcher=$!; exec 3<&-; \
                       wait \"$service\"; code=$?; kill \"$watcher\" 2>/dev/null; exit \"$code\"";
const SHELL: &str = "/bin/sh";
/// The service ends itself after so many seconds without a request, should the shell that watches it be killed too.
const IDLE_SECONDS: u64 = 60;
/// How often it is asked something, so that a long pause of ours is not taken for our end.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// A first start on a machine sets storage up, which is slow on a slow disk.
const START_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);
/// How long it may take to end on SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// The kernel's limit for a socket's path, its final zero included.
const LONGEST_SOCKET_PATH: usize = 107;
const PREFIX: &str = "docker-test-podman-";
/// A directory of another run that is younger than this may not have its socket yet.
const STALE_AFTER: Duration = Duration::from_mins(2);
/// As much of the service's log as a message can use.
const KEPT: usize = 4 * 1024;

/// A running service. Dropping it ends it.
pub struct PodmanService {
    child: Child,
    directory: tempfile::TempDir,
    socket: PathBuf,
    keep_alive: tokio::task::JoinHandle<()>,
}

/// Why the service does not run.
#[derive(Debug, thiserror::Error)]
pub enum PodmanError {
    /// There is no such program in `PATH`.
    #[error("cannot start Podman's service: podman is not installed")]
    NotInstalled,
    /// The private directory cannot be made.
    #[error("cannot make a private directory in {directory} for Podman's socket")]
    Directory {
        /// Where.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel allows no such path for a socket.
    #[error("cannot start Podman's service: the socket's path would be too long: {path}")]
    PathTooLong {
        /// The path.
        path: PathBuf,
    },
    /// The program cannot be executed.
    #[error("cannot execute {program}")]
    Execute {
        /// Which.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ended before it served.
    #[error("Podman's service ended at once ({status}): {said}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// The end of its log.
        said: String,
    },
    /// It serves nothing in time.
    #[error("Podman's service does not answer within {seconds} s: {said}")]
    Silent {
        /// The limit.
        seconds: u64,
        /// The end of its log.
        said: String,
    },
}

impl Diagnose for PodmanError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotInstalled => Some("install it: `apt-get install podman`".to_owned()),
            Self::PathTooLong { .. } => Some("set XDG_RUNTIME_DIR to a short path".to_owned()),
            Self::Directory { .. } => Some("set XDG_RUNTIME_DIR to a directory of your own".to_owned()),
            Self::Execute { .. } | Self::Ended { .. } | Self::Silent { .. } => {
                Some("`podman info` must work for this user".to_owned())
            }
        }
    }
}

impl PodmanService {
    /// Starts the service on a socket in a new private directory below `runtime_dir` and waits until it answers.
    /// Directories that killed runs of this user left there are removed.
    pub async fn start(env: &Environment, runtime_dir: &Path) -> Result<Self, PodmanError> {
        let program = env.find_program("podman").ok_or(PodmanError::NotInstalled)?;
        Self::start_program(&program, env, runtime_dir).await
    }

    /// The same with an executable that is already found.
    pub async fn start_program(
        program: &Path,
        env: &Environment,
        runtime_dir: &Path,
    ) -> Result<Self, PodmanError> {
        sweep(runtime_dir);
        let directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir_in(runtime_dir)
            .map_err(|source| PodmanError::Directory { directory: runtime_dir.to_owned(), source })?;
        let socket = directory.path().join("podman.sock");
        if socket.as_os_str().len() > LONGEST_SOCKET_PATH {
            return Err(PodmanError::PathTooLong { path: socket });
        }
        let log = directory.path().join("log");
        let stderr = std::fs::File::create(&log)
            .map_err(|source| PodmanError::Directory { directory: directory.path().to_owned(), source })?;
        // A group of its own: Ctrl-C must reach the test and not the engine that it runs on.
        let mut child = Command::new(SHELL)
            .args(["-c", WATCHED, "sh"])
            .arg(env.current_dir().join(program))
            .args(["system", "service", &format!("--time={IDLE_SECONDS}")])
            .arg(format!("unix://{}", socket.display()))
            .env_clear()
            .envs(env.variables())
            // Its monitors of containers write files where they are started.
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::from(stderr))
            .process_group(0)
            .spawn()
            .map_err(|source| PodmanError::Execute { program: SHELL.into(), source })?;
        let started = tokio::time::timeout(START_LIMIT, async {
            while !answers(&socket).await {
                if let Ok(Some(status)) = child.try_wait() {
                    return Err(PodmanError::Ended { status, said: last_words(&log) });
                }
                tokio::time::sleep(POLL).await;
            }
            Ok(())
        });
        started.await.unwrap_or_else(|_| {
            Err(PodmanError::Silent { seconds: START_LIMIT.as_secs(), said: last_words(&log) })
        })?;
        let keep_alive = tokio::spawn({
            let socket = socket.clone();
            async move {
                loop {
                    tokio::time::sleep(KEEP_ALIVE).await;
                    let _next_time = tokio::time::timeout(KEEP_ALIVE, answers(&socket)).await;
                }
            }
        });
        Ok(Self { child, directory, socket, keep_alive })
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The end of what it wrote to its log.
    #[must_use]
    pub fn log(&self) -> String {
        last_words(&self.directory.path().join("log"))
    }

    /// Ends it, gently first, and removes its directory.
    pub async fn stop(mut self) {
        self.keep_alive.abort();
        drop(self.child.stdin.take());
        // One that does not end in time is killed when this value is dropped.
        let _too_late = tokio::time::timeout(STOP_LIMIT, self.child.wait()).await;
    }
}

impl Drop for PodmanService {
    fn drop(&mut self) {
        self.keep_alive.abort();
        // No id: it has ended and been waited for. The supervisors of containers are in groups of their own.
        if let Some(group) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            let group = nix::unistd::Pid::from_raw(group);
            let _already_gone = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        }
    }
}

impl fmt::Debug for PodmanService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PodmanService").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// True where something answers HTTP on the socket.
async fn answers(socket: &Path) -> bool {
    let ping = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        io::Result::Ok(answer.starts_with(b"HTTP/1.1 200"))
    };
    ping.await.unwrap_or(false)
}

fn last_words(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let end = bytes.get(bytes.len().saturating_sub(KEPT)..).unwrap_or_default();
    let text = String::from_utf8_lossy(end);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { "it said nothing".to_owned() } else { lines.join("; ") }
}

/// Removes what runs left that were killed: directories of ours whose socket nobody listens on any more.
fn sweep(runtime_dir: &Path) {
    let Ok(entries) = std::fs::read_dir(runtime_dir) else { return };
    let now = SystemTime::now();
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let old = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|modified| now.duration_since(modified).is_ok_and(|age| age > STALE_AFTER));
        let socket = entry.path().join("podman.sock");
        if ours && is_directory && old && std::os::unix::net::UnixStream::connect(socket).is_err() {
            // Another user's cannot be removed, and need not be.
            let _not_ours = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An environment whose `podman` is a shell script.
    fn with_podman(script: &str) -> (tempfile::TempDir, Environment) {
        let directory = tempfile::tempdir().unwrap();
        crate::environment::install_script(directory.path(), "podman", script);
        let env =
            Environment::from_pairs([("PATH", format!("{}:/usr/bin:/bin", directory.path().display()))]);
        (directory, env)
    }

    #[tokio::test]
    async fn an_end_before_it_serves_tells_its_last_words_and_leaves_nothing() {
        let (directory, env) = with_podman("echo \"cannot $1 $2 $3\" >&2; exit 125");
        let runtime = directory.path().join("run");
        std::fs::create_dir(&runtime).unwrap();
        let error = PodmanService::start(&env, &runtime).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("125") && text.ends_with(": cannot system service --time=60"), "{text}");
        assert_eq!(std::fs::read_dir(&runtime).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn without_podman_the_error_says_so() {
        let env = Environment::from_pairs([("PATH", "/nowhere")]);
        let error = PodmanService::start(&env, Path::new("/")).await.unwrap_err();
        assert!(matches!(error, PodmanError::NotInstalled), "{error}");
    }

    #[tokio::test]
    async fn a_path_too_long_for_a_socket_is_refused_before_anything_starts() {
        let (directory, env) = with_podman("exit 0");
        let runtime = directory.path().join("x".repeat(100));
        std::fs::create_dir(&runtime).unwrap();
        let error = PodmanService::start(&env, &runtime).await.unwrap_err();
        assert!(matches!(error, PodmanError::PathTooLong { .. }), "{error}");
    }

    #[tokio::test]
    async fn only_old_directories_without_a_listener_are_swept() {
        let runtime = tempfile::tempdir().unwrap();
        let make = |name: &str, age: Duration| {
            let path = runtime.path().join(name);
            std::fs::create_dir(&path).unwrap();
            let listener = std::os::unix::net::UnixListener::bind(path.join("podman.sock")).unwrap();
            let directory = std::fs::File::open(&path).unwrap();
            directory.set_modified(SystemTime::now() - age).unwrap();
            (path, listener)
        };
        let hour = Duration::from_hours(1);
        let (dead, listener) = make("docker-test-podman-dead", hour);
        drop(listener);
        let (alive, _listening) = make("docker-test-podman-alive", hour);
        let (young, listener) = make("docker-test-podman-young", Duration::ZERO);
        drop(listener);
        let (foreign, listener) = make("podman-foreign", hour);
        drop(listener);
        sweep(runtime.path());
        assert!(!dead.exists());
        assert!(alive.exists() && young.exists() && foreign.exists());
    }
}
