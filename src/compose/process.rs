//! One call of the Compose tool as a child process: bounded, and never longer alive than we are.
//!
//! Owns the process group and what the tool said. What a call means is the caller's.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, ChildStdin, Command};

/// Ends the tool, and what it has started, when our end of the pipe on standard input is closed, by whatever means this
/// process ends: a tool that goes on creating after that would leave what nobody sweeps.
const WATCHED: &str = "exec 3<&0 </dev/null; \"$@\" 3<&- & tool=$!; \
                       { read -r never <&3; kill -KILL 0; } >/dev/null 2>&1 & watcher=$!; exec 3<&-; \
                       wait \"$tool\"; code=$?; kill -KILL \"$watcher\" 2>/dev/null; exit \"$code\"";
const SHELL: &str = "/bin/sh";
/// What `config` may print at most.
const STDOUT: usize = 16 * 1024 * 1024;
/// What is kept of the messages.
const STDERR: usize = 64 * 1024;
/// How long the streams may stay open after its end: something that it started may have inherited them.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a call came to.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    /// The last of standard error, or where it is silent, of standard output.
    pub(super) words: String,
}

impl Said {
    /// Its exit code, or the signal that ended it.
    pub(super) fn ended_with(&self) -> String {
        match self.status.code() {
            Some(code) => format!("exit code {code}"),
            None => format!("signal {}", self.status.signal().unwrap_or_default()),
        }
    }
}

/// A call in progress. Dropped, it is killed with all that it has started.
pub(super) struct Call {
    child: Child,
    /// Open for as long as the tool may live.
    stdin: Option<ChildStdin>,
    group: Option<Pid>,
    streams: tokio::task::JoinHandle<(Vec<u8>, Vec<u8>)>,
}

impl Call {
    /// Starts `program` in `directory`, with these variables and no others.
    pub(super) fn start<'v>(
        program: &Path,
        arguments: &[OsString],
        variables: impl IntoIterator<Item = (&'v str, &'v str)>,
        directory: &Path,
    ) -> io::Result<Self> {
        // A group of its own: Ctrl-C must not reach the tool in the middle of its work.
        let mut child = Command::new(SHELL)
            .args(["-c", WATCHED, "sh"])
            .arg(program)
            .args(arguments)
            .env_clear()
            .envs(variables)
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let streams =
            tokio::spawn(async move { tokio::join!(read_first(stdout, STDOUT), read_last(stderr, STDERR)) });
        Ok(Self { child, stdin, group, streams })
    }

    /// Waits for its end.
    pub(super) async fn ended(&mut self) -> io::Result<Said> {
        let status = self.child.wait().await?;
        self.group = None;
        drop(self.stdin.take());
        let (stdout, stderr) = match tokio::time::timeout(LAST_WORDS, &mut self.streams).await {
            Ok(read) => read.unwrap_or_default(),
            Err(_) => Default::default(),
        };
        let words = if stderr.iter().all(u8::is_ascii_whitespace) { &stdout } else { &stderr };
        let words = String::from_utf8_lossy(words).into_owned();
        Ok(Said { status, stdout, words })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.streams.abort();
        if let Some(group) = self.group {
            let _already_gone = killpg(group, Signal::SIGKILL);
        }
    }
}

/// Reads to the end, and keeps the first bytes: a document that is cut cannot be read.
async fn read_first(stream: Option<impl AsyncRead + Unpin>, limit: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return kept };
    let mut buffer = [0; 8192];
    while let Ok(size @ 1..) = stream.read(&mut buffer).await {
        let room = limit.saturating_sub(kept.len());
        kept.extend_from_slice(buffer.get(..size.min(room)).unwrap_or_default());
    }
    kept
}

/// Reads to the end, and keeps the last bytes.
async fn read_last(stream: Option<impl AsyncRead + Unpin>, limit: usize) -> Vec<u8> {
    let mut kept = VecDeque::new();
    let Some(mut stream) = stream else { return Vec::new() };
    let mut buffer = [0; 8192];
    while let Ok(size @ 1..) = stream.read(&mut buffer).await {
        kept.extend(buffer.get(..size).unwrap_or_default());
        let excess = kept.len().saturating_sub(limit);
        kept.drain(..excess);
    }
    kept.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::install_script;

    const PATH: [(&str, &str); 1] = [("PATH", "/usr/bin:/bin")];

    fn start(directory: &Path, script: &str) -> Call {
        let program = install_script(directory, "tool", script);
        Call::start(&program, &["a b".into()], PATH, directory).unwrap()
    }

    #[tokio::test]
    async fn exit_code_and_words_are_kept_and_an_argument_stays_one() {
        let directory = tempfile::tempdir().unwrap();
        let said = start(directory.path(), r#"echo "$1"; echo "$#" >&2; exit 7"#).ended().await.unwrap();
        assert_eq!(said.stdout, b"a b\n");
        assert_eq!((said.words.as_str(), said.ended_with().as_str()), ("1\n", "exit code 7"));
        let said = start(directory.path(), "echo only here").ended().await.unwrap();
        assert_eq!(said.words, "only here\n");
        assert!(said.status.success());
    }

    #[tokio::test]
    async fn of_many_words_the_last_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let script = "head -c 300000 /dev/zero | tr '\\0' x >&2; echo end >&2";
        let said = start(directory.path(), script).ended().await.unwrap();
        assert_eq!(said.words.len(), STDERR);
        assert!(said.words.ends_with("xend\n"));
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_ends_with_what_it_has_started() {
        let directory = tempfile::tempdir().unwrap();
        let sign = directory.path().join("sign");
        let script = format!("( sleep 1; touch {0} ) & touch {0}.up; wait", sign.display());
        let call = start(directory.path(), &script);
        while !directory.path().join("sign.up").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(call);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(!sign.exists());
    }

    #[tokio::test]
    async fn a_call_ends_when_our_end_of_its_standard_input_is_closed() {
        let directory = tempfile::tempdir().unwrap();
        let mut call = start(directory.path(), "sleep 30 & wait");
        drop(call.stdin.take());
        let ended = tokio::time::timeout(Duration::from_secs(10), call.ended()).await;
        assert_eq!(ended.unwrap().unwrap().ended_with(), "signal 9");
    }
}
