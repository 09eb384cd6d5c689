//! An `ssh-agent` of our own that holds the keys of one `--ssh ID=KEY` and nothing else.
//!
//! Owns its process and its private directory: both are gone when it is dropped, and also when this process dies
//! without a chance to clean up.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::process::{Child, ChildStdin, Command};

/// How long the agent may take to listen.
const START_LIMIT: Duration = Duration::from_secs(10);

/// The shell ends the agent when its standard input closes, which the kernel does for us even after SIGKILL. The
/// agent runs in the foreground (`-D`) so that its process id is known.
const KEEPER: &str = r#"command -v ssh-agent >/dev/null || exit 127
ssh-agent -D -a "$1" >/dev/null & agent=$!
cat >/dev/null; kill "$agent"; wait"#;

#[derive(Debug)]
pub(super) struct PrivateAgent {
    // Dropped in this order: the pipe ends the agent, then its directory goes.
    _lifeline: ChildStdin,
    _keeper: Child,
    directory: tempfile::TempDir,
}

impl PrivateAgent {
    /// Starts an agent and loads the keys. The error is one sentence for people.
    pub(super) async fn start(keys: &[PathBuf]) -> Result<Self, String> {
        let directory = tempfile::Builder::new()
            .prefix("docker-test-ssh-")
            .tempdir()
            .map_err(|error| format!("no private directory: {error}"))?;
        let socket = directory.path().join("agent");
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(&socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C on the terminal is ours to answer; the agent ends when we say so.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("sh: {error}"))?;
        let lifeline = keeper.stdin.take().ok_or("sh: no pipe")?;
        tokio::select! {
            () = listening(&socket) => {}
            _ = keeper.wait() => return Err("ssh-agent is not installed".to_owned()),
            () = tokio::time::sleep(START_LIMIT) => return Err("ssh-agent does not listen".to_owned()),
        }
        let agent = Self { _lifeline: lifeline, _keeper: keeper, directory };
        for key in keys {
            add(&socket, key).await?;
        }
        Ok(agent)
    }

    /// Where it listens.
    pub(super) fn socket(&self) -> PathBuf {
        self.directory.path().join("agent")
    }
}

async fn listening(socket: &Path) {
    while UnixStream::connect(socket).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn add(socket: &Path, key: &Path) -> Result<(), String> {
    let output = Command::new("ssh-add")
        .arg("-q")
        .arg(key)
        .env("SSH_AUTH_SOCK", socket)
        // A key with a passphrase must fail here and not wait for an answer that nobody can give.
        .env("SSH_ASKPASS_REQUIRE", "never")
        .env_remove("DISPLAY")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(START_LIMIT, output)
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
        .map_err(|error| format!("ssh-add {}: {error}", key.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = said.trim().lines().last().unwrap_or("the key cannot be read, or has a passphrase").trim();
    Err(format!("ssh-add {}: {reason}", key.display()))
}
