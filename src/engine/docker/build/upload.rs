//! The context on its way to the engine: counted, and remembered where it breaks.
//!
//! Holds no more than the chunk that is being sent. HTTP turns an error in a body into a broken connection, so the
//! reason is kept here for the one who asks.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::sync::watch;

use super::{BuildError, BuildEvent};

/// Bytes sent so far, and whether that was all.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sent {
    bytes: u64,
    done: bool,
}

impl From<Sent> for BuildEvent {
    fn from(sent: Sent) -> Self {
        Self::ContextSent { bytes: sent.bytes, done: sent.done }
    }
}

/// Where the reading end of an upload finds out about it.
#[derive(Debug)]
pub(super) struct Upload {
    /// Changes as bytes are sent. Changes that nobody looked at in time are merged.
    pub sent: watch::Receiver<Sent>,
    failure: Arc<Mutex<Option<io::Error>>>,
}

impl Upload {
    /// The body of the call: `prefix`, then `context`.
    pub(super) fn new<S>(prefix: Bytes, context: S) -> (Self, UnsyncBoxBody<Bytes, io::Error>)
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let (sender, sent) = watch::channel(Sent::default());
        let failure = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&failure);
        let bytes_sent = sender.clone();
        let counted = stream::once(async move { Ok(prefix) })
            .chain(context)
            .inspect_ok(move |bytes| bytes_sent.send_modify(|sent| sent.bytes += bytes.len() as u64))
            .map_err(move |error| {
                // The body needs an error of its own to break off with.
                let broken = io::Error::from(error.kind());
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                broken
            });
        let end = stream::once(async move {
            sender.send_modify(|sent| sent.done = true);
            Ok(Bytes::new())
        });
        let frames = counted.chain(end).try_filter(|bytes| std::future::ready(!bytes.is_empty()));
        let body = StreamBody::new(frames.map_ok(Frame::data)).boxed_unsync();
        (Self { sent, failure }, body)
    }

    /// Why the context could not be read, if that is what happened.
    pub(super) fn failure(&self) -> Option<BuildError> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map(|source| BuildError::Context { source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn prefix_and_context_are_sent_in_order_counted_and_ended() {
        let chunks = ["b", "", "cd"].map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())));
        let (upload, body) = Upload::new(Bytes::from_static(b"a"), stream::iter(chunks));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abcd");
        let sent = BuildEvent::from(*upload.sent.borrow());
        assert_eq!(sent, BuildEvent::ContextSent { bytes: 4, done: true });
        assert!(upload.failure().is_none());
    }

    #[tokio::test]
    async fn the_reason_of_a_broken_context_is_kept() {
        let chunks = [Ok(Bytes::from_static(b"a")), Err(io::Error::other("the file shrank"))];
        let (upload, body) = Upload::new(Bytes::new(), stream::iter(chunks));
        assert!(body.collect().await.is_err());
        let Some(BuildError::Context { source }) = upload.failure() else { panic!("no failure") };
        assert_eq!(source.to_string(), "the file shrank");
        assert!(!upload.sent.borrow().done);
    }
}
