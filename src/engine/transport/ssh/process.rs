//! A child process as a connection: what is written goes to its stdin, what is read comes from its stdout.
//!
//! Owns the child: it is killed when the connection is dropped, and what it said on stderr becomes the error.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

use crate::environment::Environment;

/// As much of stderr as a message can use.
const KEPT: usize = 4 * 1024;
/// How long stderr may stay open after the child's end: a connection-sharing master inherits it and never closes it.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How the child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    program: String,
    /// `None` where a signal ended it.
    pub(super) code: Option<i32>,
    said: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{} ended with code {code}", self.program)?,
            None => write!(f, "{} was ended by a signal", self.program)?,
        }
        if self.said.is_empty() { Ok(()) } else { write!(f, ": {}", self.said) }
    }
}

impl std::error::Error for Ended {}

/// The connection.
pub(super) struct Process {
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    ended: Option<oneshot::Receiver<Ended>>,
    /// Dropped with the connection, which tells the keeper to kill the child.
    _alive: oneshot::Sender<()>,
}

impl Process {
    pub(super) fn start(program: &Path, arguments: &[OsString], env: &Environment) -> io::Result<Self> {
        // A group of its own: Ctrl-C must reach the test and not the connection over which its results come.
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(env.variables())
            .current_dir(env.current_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let (tell, ended) = oneshot::channel();
        let (alive, dropped) = oneshot::channel();
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        tokio::spawn(keep(child, stderr, name, tell, dropped));
        Ok(Self { stdin: Some(stdin), stdout, ended: Some(ended), _alive: alive })
    }

    /// The child closed its side: that is an end for one that ended well, an error otherwise.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(ended) = self.ended.as_mut() else { return Poll::Ready(Ok(())) };
        let ended = ready!(Pin::new(ended).poll(cx));
        self.ended = None;
        match ended {
            Ok(ended) if ended.code != Some(0) => Poll::Ready(Err(io::Error::other(ended))),
            _ => Poll::Ready(Ok(())),
        }
    }
}

/// Waits for the child's end, or for the connection to be dropped.
async fn keep(
    mut child: Child,
    mut stderr: ChildStderr,
    program: String,
    tell: oneshot::Sender<Ended>,
    dropped: oneshot::Receiver<()>,
) {
    let said = Arc::new(Mutex::new(Vec::new()));
    let reading = tokio::spawn({
        let said = Arc::clone(&said);
        async move {
            let mut buffer = [0; 1024];
            while let Ok(size @ 1..) = stderr.read(&mut buffer).await {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                said.extend_from_slice(buffer.get(..size).unwrap_or_default());
                let excess = said.len().saturating_sub(KEPT);
                said.drain(..excess);
            }
        }
    });
    let stop = reading.abort_handle();
    tokio::select! {
        status = child.wait() => {
            let _finished_or_not = tokio::time::timeout(LAST_WORDS, reading).await;
            let said = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let said = String::from_utf8_lossy(&said);
            let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            let code = status.ok().and_then(|status| status.code());
            let _nobody_listens = tell.send(Ended { program, code, said: lines.join("; ") });
        }
        _ = dropped => {
            let _already_gone = child.kill().await;
        }
    }
    stop.abort();
}

impl AsyncRead for Process {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let room = buffer.remaining();
        ready!(Pin::new(&mut this.stdout).poll_read(cx, buffer))?;
        if buffer.filled().len() == before && room > 0 {
            return this.poll_ended(cx);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Process {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(stdin) = this.stdin.as_mut() else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        match ready!(Pin::new(stdin).poll_write(cx, bytes)) {
            // Why the child is gone says more than that it is gone.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                ready!(this.poll_ended(cx))?;
                Poll::Ready(Err(error))
            }
            outcome => Poll::Ready(outcome),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut().stdin.as_mut() {
            Some(stdin) => Pin::new(stdin).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(stdin) = this.stdin.as_mut() {
            ready!(Pin::new(stdin).poll_shutdown(cx))?;
            // Only closing the pipe tells the child.
            this.stdin = None;
        }
        Poll::Ready(Ok(()))
    }
}
