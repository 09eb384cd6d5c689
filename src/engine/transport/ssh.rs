//! ssh, by running the system's client as the Docker CLI does: its configuration, keys and agent are the user's own.
//!
//! Owns the command line and the child process behind a connection. Nothing is typed in: a terminal belongs to the
//! test, so a login that needs a password fails with ssh's own words.

mod process;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Mutex;

use super::Stream;
use crate::environment::Environment;
use process::{Ended, Process};

/// What is asked of a new connection before it is known which program is at the other end.
const GREETING: &[u8] = b"HEAD /_ping HTTP/1.1\r\nHost: localhost\r\n\r\n";
const LONGEST_ANSWER: usize = 16 * 1024;

/// The program at the other end that reaches the engine's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remote {
    Docker,
    Podman,
}

/// Makes connections to one host.
pub(super) struct Ssh {
    program: Option<PathBuf>,
    options: Vec<OsString>,
    path: Option<String>,
    env: Environment,
    /// Settled by the first connection.
    remote: Mutex<Option<Remote>>,
}

impl Ssh {
    pub(super) fn new(
        user: Option<&str>,
        host: &str,
        port: Option<u16>,
        path: Option<&str>,
        env: &Environment,
    ) -> Self {
        Self {
            program: env.find_program("ssh"),
            options: options(user, host, port),
            path: path.map(str::to_owned),
            env: env.clone(),
            remote: Mutex::new(None),
        }
    }

    pub(super) async fn dial(&self) -> io::Result<Stream> {
        let mut remote = self.remote.lock().await;
        if let Some(remote) = *remote {
            return Ok(Box::new(self.start(remote)?));
        }
        let (found, stream) = match self.greet(Remote::Docker).await {
            Ok(stream) => (Remote::Docker, stream),
            Err(error) if says_not_found(&error) => (Remote::Podman, self.greet(Remote::Podman).await?),
            Err(error) => return Err(error),
        };
        *remote = Some(found);
        Ok(Box::new(stream))
    }

    fn start(&self, remote: Remote) -> io::Result<Process> {
        let program = self
            .program
            .as_ref()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the program `ssh` is not installed"))?;
        let mut arguments = self.options.clone();
        arguments.extend(command(remote, self.path.as_deref()).into_iter().map(OsString::from));
        Process::start(program, &arguments, &self.env)
    }

    /// A connection on which the engine has answered once. It is as good as new: the answer to HEAD has no body.
    async fn greet(&self, remote: Remote) -> io::Result<Process> {
        let mut stream = self.start(remote)?;
        match stream.write_all(GREETING).await {
            // It ended well without reading: what it wrote tells more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            outcome => outcome?,
        }
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() > LONGEST_ANSWER || stream.read_buf(&mut answer).await? == 0 {
                break;
            }
        }
        let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        if !text.starts_with("http/1.") || !text.ends_with("\r\n\r\n") {
            let begun: String = text.chars().take(80).collect();
            let message = format!("the other end does not answer as an engine does, but with {begun:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        if text.contains("connection: close") { self.start(remote) } else { Ok(stream) }
    }
}

fn options(user: Option<&str>, host: &str, port: Option<u16>) -> Vec<OsString> {
    let mut words: Vec<OsString> =
        ["-o", "ConnectTimeout=30", "-o", "BatchMode=yes", "-T"].map(OsString::from).into();
    if let Some(user) = user {
        words.extend(["-l".into(), user.into()]);
    }
    if let Some(port) = port {
        words.extend(["-p".into(), port.to_string().into()]);
    }
    words.extend(["--".into(), host.into()]);
    words
}

fn command(remote: Remote, path: Option<&str>) -> Vec<String> {
    let (program, flag) = match remote {
        Remote::Docker => ("docker", "--host"),
        Remote::Podman => ("podman", "--url"),
    };
    let mut words = vec![program.to_owned()];
    if let Some(path) = path {
        words.extend([flag.to_owned(), quoted(&format!("unix://{path}"))]);
    }
    words.extend(["system".to_owned(), "dial-stdio".to_owned()]);
    words
}

/// ssh joins its words with spaces and hands them to the login's shell.
fn quoted(word: &str) -> String {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b':' | b'.' | b'-' | b'_' | b'@');
    if word.bytes().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn says_not_found(error: &io::Error) -> bool {
    let ended = error.get_ref().and_then(|inner| inner.downcast_ref::<Ended>());
    ended.is_some_and(|ended| ended.code == Some(127))
}

#[cfg(test)]
mod tests;
