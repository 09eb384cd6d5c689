//! Pumps a container's output to the sink, secrets replaced, and keeps its tail.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::event::OutputStream;
use super::log_file::{self, LogError, LogFile};
use super::{Room, Sink};
use crate::engine::docker::Attached;
use crate::redact::{RedactStream, Redactor};

/// What is taken at most after the end without waiting for the reader. Engines hold a megabyte or two; more than this
/// comes from a container that does not die.
const AFTER_THE_END: usize = 16 * 1024 * 1024;

/// Output that is kept for reports; everything before it was streamed, and is gone or in the log.
const TAIL: usize = 64 * 1024;

/// Where a test's output goes.
pub(super) struct Outlet {
    /// Whoever watches it as it comes, if anybody does.
    pub(super) sink: Option<Sink>,
    /// The file that holds all of it.
    pub(super) log: Option<LogFile>,
}

/// What is left when the streams have ended.
#[derive(Debug, Default)]
pub(super) struct Pumped {
    /// The last bytes of both streams, as they came.
    pub(super) tail: String,
    /// The connection broke before the container had closed its streams.
    pub(super) broken: bool,
    /// Why the log is not whole, where it is not.
    pub(super) log_problem: Option<String>,
}

/// Hands on everything until the container closes its streams.
///
/// Once `ended` is cancelled the container has ended, or was killed: what the engine still holds is little, and is taken without
/// waiting for the reader; an engine that does not send it is waited for no longer than `patience` at a time.
pub(super) async fn pump(
    mut attached: Attached,
    outlet: Outlet,
    redactor: Arc<Redactor>,
    ended: CancellationToken,
    patience: Duration,
) -> Pumped {
    let mut stdout = RedactStream::new(Arc::clone(&redactor));
    let mut stderr = RedactStream::new(redactor);
    let mut out = Out { outlet, tail: Tail::default(), ended, room_left: AFTER_THE_END };
    let broken = loop {
        let silence = async {
            out.ended.cancelled().await;
            tokio::time::sleep(patience).await;
        };
        let next = tokio::select! {
            next = attached.next() => next,
            () = silence => break true,
        };
        match next {
            Ok(Some(frame)) => {
                let clean = match frame.stream {
                    OutputStream::Stdout => stdout.push(&frame.bytes),
                    OutputStream::Stderr => stderr.push(&frame.bytes),
                };
                out.hand_on(frame.stream, clean).await;
                if out.room_left == 0 {
                    break true;
                }
            }
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    out.hand_on(OutputStream::Stdout, stdout.flush()).await;
    out.hand_on(OutputStream::Stderr, stderr.flush()).await;
    let log_problem = match out.outlet.log.take() {
        Some(log) => log.close().await.err().map(|error| error.to_string()),
        None => None,
    };
    Pumped { tail: out.tail.text(), broken, log_problem }
}

struct Out {
    outlet: Outlet,
    tail: Tail,
    ended: CancellationToken,
    room_left: usize,
}

impl Out {
    async fn hand_on(&mut self, stream: OutputStream, clean: Vec<u8>) {
        if clean.is_empty() {
            return;
        }
        self.tail.push(&clean);
        if let Some(log) = &mut self.outlet.log {
            log.write(&clean).await;
        }
        let ended = &self.ended;
        let Some(sink) = &self.outlet.sink else {
            if ended.is_cancelled() {
                self.room_left = self.room_left.saturating_sub(clean.len());
            }
            return;
        };
        let room = tokio::select! {
            biased;
            room = sink.room() => room,
            () = ended.cancelled() => {
                self.room_left = self.room_left.saturating_sub(clean.len());
                Room::beyond_measure()
            }
        };
        sink.output(stream, Bytes::from(clean), room);
    }
}

impl Outlet {
    /// Opens the log, where there is to be one.
    pub(super) async fn open(sink: Option<Sink>, log: Option<&std::path::Path>) -> Result<Self, LogError> {
        let log = match log {
            Some(path) => Some(LogFile::create(path, log_file::LIMIT).await?),
            None => None,
        };
        Ok(Self { sink, log })
    }
}

/// The last bytes of a stream.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
    cut: bool,
}

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.cut |= bytes.len() > TAIL;
        let bytes = bytes.get(bytes.len().saturating_sub(TAIL)..).unwrap_or_default();
        let over = (self.bytes.len() + bytes.len()).saturating_sub(TAIL);
        if over > 0 {
            self.cut = true;
            self.bytes.drain(..over.min(self.bytes.len()));
        }
        self.bytes.extend(bytes);
    }

    /// What it holds; a tail that was cut begins with a whole line.
    pub(super) fn text(&self) -> String {
        let bytes: Vec<u8> = self.bytes.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match text.split_once('\n') {
            Some((_, rest)) if self.cut => rest.to_owned(),
            _ => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_holds_the_last_whole_lines() {
        let mut tail = Tail::default();
        for line in 0..20_000 {
            tail.push(format!("line {line}\n").as_bytes());
        }
        let text = tail.text();
        assert!(text.len() <= TAIL);
        assert!(text.starts_with("line ") && text.ends_with("line 19999\n"));
        assert!(text.lines().all(|line| line.starts_with("line ")));
    }

    #[test]
    fn one_chunk_larger_than_the_tail_leaves_its_end() {
        let mut tail = Tail::default();
        let mut chunk = vec![b'x'; TAIL * 2];
        chunk.extend(b"\nlast");
        tail.push(&chunk);
        assert_eq!(tail.text(), "last");
    }
}
