//! A Podman API service of our own, for the length of a run, where no engine answers.
//!
//! Owns the process, its private socket and their end: on drop, on request, or with this process if it is killed before
//! it can do either. What the service then does is Podman's.

mod workplace;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::environment::{Environment, STARTED_BY};
use crate::error::{Category, Diagnose};
use workplace::Workplace;

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

/// A running service. Dropping it ends it.
pub struct PodmanService {
    child: Child,
    workplace: Workplace,
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
        workplace::sweep(runtime_dir);
        let workplace = Workplace::create(runtime_dir)
            .map_err(|source| PodmanError::Directory { directory: runtime_dir.to_owned(), source })?;
        let socket = workplace.socket();
        if socket.as_os_str().len() > LONGEST_SOCKET_PATH {
            return Err(PodmanError::PathTooLong { path: socket });
        }
        let stderr = workplace
            .create_log()
            .map_err(|source| PodmanError::Directory { directory: workplace.path().to_owned(), source })?;
        // A group of its own: Ctrl-C must reach the test and not the engine that it runs on.
        let mut child = Command::new(SHELL)
            .args(["-c", WATCHED, "sh"])
            .arg(env.current_dir().join(program))
            .args(["system", "service", &format!("--time={IDLE_SECONDS}")])
            .arg(format!("unix://{}", socket.display()))
            .env_clear()
            // It has its own end, and what it starts may serve containers of others for as long as they run.
            .envs(env.variables().filter(|(name, _)| *name != STARTED_BY))
            // Its monitors of containers write files where they are started.
            .current_dir(workplace.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::from(stderr))
            .process_group(0)
            .spawn()
            .map_err(|source| PodmanError::Execute { program: SHELL.into(), source })?;
        let started = tokio::time::timeout(START_LIMIT, async {
            while !answers(&socket).await {
                if let Ok(Some(status)) = child.try_wait() {
                    return Err(PodmanError::Ended { status, said: workplace.last_words() });
                }
                tokio::time::sleep(POLL).await;
            }
            Ok(())
        });
        started.await.unwrap_or_else(|_| {
            Err(PodmanError::Silent { seconds: START_LIMIT.as_secs(), said: workplace.last_words() })
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
        Ok(Self { child, workplace, socket, keep_alive })
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The end of what it wrote to its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.workplace.last_words()
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
    async fn it_bears_no_mark_of_a_check() {
        let (directory, env) = with_podman("echo \"marked: $DOCKER_TEST_STARTED_BY.$OTHER\" >&2; exit 125");
        let env = env.with(STARTED_BY, "1:2:3:4:5").with("OTHER", "there");
        let error = PodmanService::start(&env, directory.path()).await.unwrap_err();
        assert!(error.to_string().ends_with("marked: .there"), "{error}");
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
}
