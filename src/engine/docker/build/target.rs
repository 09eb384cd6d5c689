//! A connection on which the request target may be longer than the HTTP library's URI type allows.
//!
//! Labels travel in the target of the build call, and 256 KiB of them are more than 64 KiB of URI. The library writes
//! the request with a short target, and the first line is replaced on its way out. Only the first request of the
//! connection is touched.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The stream, and the target that its first request gets.
#[derive(Debug)]
pub(super) struct LongTarget<S> {
    inner: S,
    /// `Some` until the first line went by.
    target: Option<String>,
    /// The first line as far as it was written, then what still has to go out before anything else.
    buffer: Vec<u8>,
    sent: usize,
}

impl<S> LongTarget<S> {
    pub(super) const fn new(inner: S, target: String) -> Self {
        Self { inner, target: Some(target), buffer: Vec::new(), sent: 0 }
    }

    /// Puts the target in where the line is whole: `METHOD TARGET VERSION`.
    fn replace(&mut self) {
        let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") else { return };
        let line = self.buffer.get(..end).unwrap_or_default();
        let first = line.iter().position(|byte| *byte == b' ').map_or(0, |space| space + 1);
        let last = line.iter().rposition(|byte| *byte == b' ').unwrap_or(end);
        if let Some(target) = self.target.take() {
            self.buffer.splice(first..last.max(first), target.into_bytes());
        }
    }
}

impl<S: AsyncWrite + Unpin> LongTarget<S> {
    fn poll_buffer(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.target.is_none() && self.sent < self.buffer.len() {
            let rest = self.buffer.get(self.sent..).unwrap_or_default();
            let written = ready!(Pin::new(&mut self.inner).poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += written;
        }
        if self.target.is_none() && self.sent > 0 {
            (self.buffer, self.sent) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LongTarget<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.target.is_some() {
            self.buffer.extend_from_slice(bytes);
            self.replace();
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(self.poll_buffer(context))?;
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_buffer(context))?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_buffer(context))?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LongTarget<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn written(chunks: &[&[u8]], target: &str, pipe: usize) -> Vec<u8> {
        let (near, mut far) = tokio::io::duplex(pipe);
        let mut stream = LongTarget::new(near, target.to_owned());
        let reader = tokio::spawn(async move {
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.unwrap();
            all
        });
        for chunk in chunks {
            stream.write_all(chunk).await.unwrap();
        }
        stream.shutdown().await.unwrap();
        drop(stream);
        reader.await.unwrap()
    }

    #[tokio::test]
    async fn the_target_is_replaced_however_the_head_is_cut_and_the_rest_is_untouched() {
        let head: &[u8] = b"POST /x HTTP/1.1\r\nhost: d\r\n\r\n";
        let body: &[u8] = b"GET /x HTTP/1.1\r\n";
        let target = format!("/build?labels={}", "%22".repeat(100_000));
        let expected = [format!("POST {target} HTTP/1.1\r\nhost: d\r\n\r\n").as_bytes(), body].concat();
        for cut in 0..head.len() {
            let (left, right) = head.split_at(cut);
            assert_eq!(written(&[left, right, body], &target, 1000).await, expected, "{cut}");
        }
    }
}
