//! The archive as an asynchronous stream of chunks, for the body of a build request.
//!
//! Owns the hand-over between the thread that reads files and the task that sends them. At most half a mebibyte
//! waits in between; when nobody listens any more the reading stops. Knows nothing of HTTP.

use std::io::{self, Write};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::sync::mpsc;

use super::archive::{ExtraEntry, write_archive};
use super::select::Selection;

const CHUNK: usize = 64 * 1024;
const CHUNKS_IN_FLIGHT: usize = 8;

/// The archive, chunk by chunk. An error is the last item, and holds a [`super::ContextError`].
#[derive(Debug)]
pub struct ArchiveStream {
    chunks: mpsc::Receiver<Message>,
    progress: ArchiveProgress,
    ended: bool,
}

#[derive(Debug)]
enum Message {
    Chunk(Bytes),
    Failed(io::Error),
    /// Said aloud, so that a reader that died cannot pass for one that finished.
    End,
}

/// How far an archive has got, for a progress display.
#[derive(Debug, Clone, Default)]
pub struct ArchiveProgress {
    sent: Arc<AtomicU64>,
}

impl ArchiveProgress {
    /// Bytes taken off the stream so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// Archives `selection` and `extra` on a thread of the runtime's, which must exist: see
/// [`write_archive`](super::write_archive).
#[must_use]
pub fn stream(
    root: PathBuf,
    selection: Selection,
    extra: Vec<ExtraEntry>,
) -> (ArchiveStream, ArchiveProgress) {
    let (sender, chunks) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let progress = ArchiveProgress::default();
    tokio::task::spawn_blocking(move || {
        let mut writer = ChunkWriter { sender, chunk: BytesMut::new() };
        let last = match write_archive(&root, &selection, &extra, &mut writer) {
            Ok(_) => Message::End,
            Err(error) => Message::Failed(io::Error::other(error)),
        };
        // Fails only where nobody listens any more, and then nobody needs to know.
        let _ = writer.sender.blocking_send(last);
    });
    (ArchiveStream { chunks, progress: progress.clone(), ended: false }, progress)
}

impl Stream for ArchiveStream {
    type Item = Result<Bytes, io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.chunks.poll_recv(context).map(|message| match message {
            Some(Message::Chunk(bytes)) => {
                self.progress.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                Some(Ok(bytes))
            }
            Some(Message::End) => {
                self.ended = true;
                None
            }
            Some(Message::Failed(error)) => {
                self.ended = true;
                Some(Err(error))
            }
            None => {
                self.ended = true;
                Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive was not finished")))
            }
        })
    }
}

struct ChunkWriter {
    sender: mpsc::Sender<Message>,
    chunk: BytesMut,
}

impl ChunkWriter {
    fn send(&mut self) -> io::Result<()> {
        let chunk = self.chunk.split().freeze();
        self.sender.blocking_send(Message::Chunk(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.capacity() < CHUNK {
            self.chunk.reserve(CHUNK - self.chunk.len());
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        if self.chunk.len() == CHUNK {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() { Ok(()) } else { self.send() }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use futures_util::StreamExt;

    use super::super::{ContextError, Ignore, Needs, select};
    use super::*;

    fn whole(root: &Path) -> Selection {
        let needs = Needs::Whole { reason: String::new(), named: Vec::new() };
        select(root, &needs, &Ignore::default()).unwrap()
    }

    #[tokio::test]
    async fn the_chunks_are_the_archive_and_progress_counts_them() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("big"), vec![7; 1_000_000]).unwrap();
        fs::write(dir.path().join("small"), "x").unwrap();
        let selection = whole(dir.path());
        let mut expected = Vec::new();
        write_archive(dir.path(), &selection, &[], &mut expected).unwrap();

        let (mut chunks, progress) = stream(dir.path().to_owned(), selection, Vec::new());
        let mut received = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.unwrap();
            assert!(chunk.len() <= CHUNK);
            received.extend_from_slice(&chunk);
            assert_eq!(progress.sent(), received.len() as u64);
        }
        assert_eq!(received, expected);
    }

    #[tokio::test]
    async fn an_error_is_the_last_item_and_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("gone"), "x").unwrap();
        let selection = whole(dir.path());
        fs::remove_file(dir.path().join("gone")).unwrap();
        let (chunks, _) = stream(dir.path().to_owned(), selection, Vec::new());
        let items: Vec<_> = chunks.collect().await;
        let error = items.last().unwrap().as_ref().unwrap_err();
        let cause = error.get_ref().unwrap().downcast_ref::<ContextError>().unwrap();
        assert!(matches!(cause, ContextError::Unreadable { path, .. } if path == Path::new("gone")));
    }

    #[test]
    fn a_dropped_stream_stops_the_reader() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("big"), vec![7; 4_000_000]).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let progress = runtime.block_on(async {
            let (mut chunks, progress) = stream(dir.path().to_owned(), whole(dir.path()), Vec::new());
            chunks.next().await.unwrap().unwrap();
            progress
        });
        // Waits for the reader's thread: it would wait for ever if the reader still waited for room.
        drop(runtime);
        assert_eq!(progress.sent(), CHUNK as u64);
    }

    #[tokio::test]
    async fn a_reader_that_died_is_not_taken_for_the_end() {
        let (sender, chunks) = mpsc::channel(1);
        drop(sender);
        let mut chunks = ArchiveStream { chunks, progress: ArchiveProgress::default(), ended: false };
        assert_eq!(chunks.next().await.unwrap().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(chunks.next().await.is_none());
    }
}
