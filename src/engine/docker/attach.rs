//! The attach stream: the container's output as it comes.
//!
//! Owns the framing of Docker's multiplexed stream. Holds at most one read buffer, whatever a container prints.

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadHalf, WriteHalf};

use crate::engine::event::OutputStream;
use crate::engine::transport::Stream;

const HEADER: usize = 8;
const BUFFER: usize = 64 * 1024;

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Which of the container's streams it came from; always stdout with a terminal.
    pub stream: OutputStream,
    /// The bytes, at most one read buffer of them.
    pub bytes: Bytes,
}

/// An attached container.
pub struct Attached {
    reader: FrameReader<ReadHalf<Stream>>,
    writer: Option<WriteHalf<Stream>>,
}

impl Attached {
    pub(super) fn new(stream: Stream, tty: bool) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self { reader: FrameReader::new(read, tty), writer: Some(write) }
    }

    /// The next piece of output; `None` once the container has closed its streams.
    pub async fn next(&mut self) -> std::io::Result<Option<Frame>> {
        self.reader.next().await
    }

    /// The container's standard input, once.
    pub fn take_input(&mut self) -> Option<impl AsyncWrite + Send + Unpin + 'static + use<>> {
        self.writer.take()
    }
}

/// Splits the multiplexed stream into frames without collecting a whole one.
struct FrameReader<R> {
    source: R,
    buffer: BytesMut,
    raw: bool,
    /// Stream and bytes left of the frame being read.
    current: Option<(OutputStream, usize)>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    fn new(source: R, raw: bool) -> Self {
        Self { source, buffer: BytesMut::with_capacity(BUFFER), raw, current: None }
    }

    async fn next(&mut self) -> std::io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.take() {
                return Ok(Some(frame));
            }
            self.buffer.reserve(BUFFER);
            if self.source.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        if self.raw {
            return (!self.buffer.is_empty())
                .then(|| Frame { stream: OutputStream::Stdout, bytes: self.buffer.split().freeze() });
        }
        loop {
            match self.current {
                Some((_, 0)) => self.current = None,
                Some((stream, left)) => {
                    if self.buffer.is_empty() {
                        return None;
                    }
                    let size = left.min(self.buffer.len());
                    self.current = Some((stream, left - size));
                    return Some(Frame { stream, bytes: self.buffer.split_to(size).freeze() });
                }
                None => {
                    if self.buffer.len() < HEADER {
                        return None;
                    }
                    let kind = self.buffer.get_u8();
                    self.buffer.advance(3);
                    let length = usize::try_from(self.buffer.get_u32()).unwrap_or(usize::MAX);
                    let stream = if kind == 2 { OutputStream::Stderr } else { OutputStream::Stdout };
                    self.current = Some((stream, length));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len()).unwrap();
        let mut bytes = vec![kind, 0, 0, 0];
        bytes.extend(length.to_be_bytes());
        bytes.extend(text.as_bytes());
        bytes
    }

    async fn read(chunks: Vec<Vec<u8>>, raw: bool) -> (String, String) {
        let (mut write, source) = tokio::io::duplex(16);
        let writer = tokio::spawn(async move {
            for chunk in chunks {
                tokio::io::AsyncWriteExt::write_all(&mut write, &chunk).await.unwrap();
            }
        });
        let mut reader = FrameReader::new(source, raw);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        while let Some(frame) = reader.next().await.unwrap() {
            match frame.stream {
                OutputStream::Stdout => out.extend(frame.bytes),
                OutputStream::Stderr => err.extend(frame.bytes),
            }
        }
        writer.await.unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[tokio::test]
    async fn frames_are_told_apart_however_they_are_cut() {
        let mut bytes = frame(1, "hello ");
        bytes.extend(frame(2, "oops"));
        bytes.extend(frame(1, ""));
        bytes.extend(frame(1, "world"));
        for size in 1..bytes.len() {
            let chunks = bytes.chunks(size).map(<[u8]>::to_vec).collect();
            assert_eq!(read(chunks, false).await, ("hello world".into(), "oops".into()), "chunks of {size}");
        }
    }

    #[tokio::test]
    async fn a_terminal_stream_is_passed_on_as_it_is() {
        assert_eq!(read(vec![b"\x01\0\0\0raw".to_vec()], true).await.0, "\x01\0\0\0raw");
    }
}
