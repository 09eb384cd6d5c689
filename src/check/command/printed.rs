//! What a command prints, read as it comes and kept in part.
//!
//! Owns both streams: their end is kept together, in the order in which it came, and the beginning of standard output
//! beside it, which may also be a document. However much is printed, memory does not grow. Secrets are hidden in the end
//! before it is cut off; the beginning is kept as it is, for those who read it, and they hide what they quote.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::check::{LONGEST_OUTPUT, Surroundings};
use crate::redact::RedactStream;

/// As much of the beginning of standard output as is kept, in bytes: performance data stand there.
const HEAD: usize = 64 * 1024;
/// Bytes of a document on standard output: results of tests have tens of MiB at most.
const DOCUMENT: usize = 64 * 1024 * 1024;
const CHUNK: usize = 8 * 1024;
/// How long the streams may stay open after the end: something out of reach may have inherited them.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What stands on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check) enum Stdout {
    /// Text for people, as on standard error.
    Output,
    /// A document, of which the beginning is kept and nothing passed on.
    Document,
}

/// What was kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::check) struct Text {
    /// The end of both streams, secrets hidden.
    pub(in crate::check) tail: String,
    /// The beginning of standard output, as it is.
    pub(in crate::check) head: String,
}

/// Both streams, being read. Dropped, they are closed.
pub(super) struct Printed {
    kept: Arc<Mutex<Kept>>,
    reading: [Option<JoinHandle<()>>; 2],
}

struct Kept {
    tail: VecDeque<u8>,
    head: Vec<u8>,
    /// Of standard output and standard error: a secret stands in one of them.
    hiding: [RedactStream; 2],
}

impl Kept {
    fn push(&mut self, bytes: &[u8], stdout: Option<Stdout>) {
        if let Some(stdout) = stdout {
            let most = if stdout == Stdout::Document { DOCUMENT } else { HEAD };
            let room = most.saturating_sub(self.head.len());
            self.head.extend_from_slice(bytes.get(..bytes.len().min(room)).unwrap_or_default());
        }
        if stdout == Some(Stdout::Document) {
            return;
        }
        let [of_stdout, of_stderr] = &mut self.hiding;
        let hiding = if stdout.is_some() { of_stdout } else { of_stderr };
        let shown = hiding.push(bytes);
        self.keep(&shown);
    }

    /// A stream has ended, or is read no further.
    fn end(&mut self, is_stdout: bool) {
        let [of_stdout, of_stderr] = &mut self.hiding;
        let rest = if is_stdout { of_stdout } else { of_stderr }.cut();
        self.keep(&rest);
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.tail.extend(bytes);
        let excess = self.tail.len().saturating_sub(LONGEST_OUTPUT);
        self.tail.drain(..excess);
    }
}

impl Printed {
    pub(super) fn of(child: &mut Child, surroundings: &Surroundings, stdout: Stdout) -> Self {
        let hiding = [surroundings.redactor.stream(), surroundings.redactor.stream()];
        let kept = Arc::new(Mutex::new(Kept { tail: VecDeque::new(), head: Vec::new(), hiding }));
        let echo = surroundings.output.clone();
        let shown = echo.clone().filter(|_| stdout == Stdout::Output);
        let reading = [
            child
                .stdout
                .take()
                .map(|stream| tokio::spawn(read(stream, Some(stdout), Arc::clone(&kept), shown))),
            child.stderr.take().map(|stream| tokio::spawn(read(stream, None, Arc::clone(&kept), echo))),
        ];
        Self { kept, reading }
    }

    /// All that was printed, once the streams have ended or time is over.
    pub(super) async fn ended(mut self) -> Text {
        let reading = async {
            for stream in self.reading.iter_mut().flatten() {
                let _read_or_aborted = stream.await;
            }
        };
        let _still_open = tokio::time::timeout(LAST_WORDS, reading).await;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Of a stream that is still open.
        kept.end(true);
        kept.end(false);
        let tail = kept.tail.make_contiguous();
        // The cut may have gone through a character.
        let start = if tail.len() == LONGEST_OUTPUT {
            tail.iter().take(3).take_while(|it| **it & 0xc0 == 0x80).count()
        } else {
            0
        };
        let tail = String::from_utf8_lossy(tail.get(start..).unwrap_or_default()).into_owned();
        let head = String::from_utf8_lossy(&kept.head).into_owned();
        Text { tail, head }
    }
}

impl Drop for Printed {
    fn drop(&mut self) {
        for stream in self.reading.iter().flatten() {
            stream.abort();
        }
    }
}

async fn read(
    mut stream: impl AsyncRead + Unpin,
    stdout: Option<Stdout>,
    kept: Arc<Mutex<Kept>>,
    echo: Option<mpsc::Sender<Bytes>>,
) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(size @ 1..) = stream.read(&mut buffer).await {
        let bytes = buffer.get(..size).unwrap_or_default();
        kept.lock().unwrap_or_else(PoisonError::into_inner).push(bytes, stdout);
        if let Some(echo) = &echo {
            let _nobody_listens = echo.send(Bytes::copy_from_slice(bytes)).await;
        }
    }
    kept.lock().unwrap_or_else(PoisonError::into_inner).end(stdout.is_some());
}
