//! Runs a plan: attempts, time, signals and cleanup. It never prints, and never learns what a report is.
//!
//! Everything it has to say goes through a [`Sink`]; what a test came to is returned as values of
//! [`crate::results`].

pub mod attempt;
pub mod builds;
pub mod collect;
pub mod dispatcher;
mod dispose;
pub mod event;
pub mod executor;
pub mod halt;
pub mod housekeeping;
pub mod layout;
pub mod log_file;
pub mod networks;
mod output;
pub mod retry;
pub mod secret_files;
pub mod service;
pub mod services;
pub mod single;
pub mod suite;
mod supervise;
pub mod target;
pub mod unrun;
mod upload_archive;
pub mod writable;

use bytes::Bytes;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use event::{OutputStream, RunEvent};

/// How many chunks of output may wait for the reader. A reader that is slower than the test slows the test down, as a
/// full pipe would, instead of filling memory.
const WAITING: usize = 64;

/// How many lines of a build, and notes on its progress, may wait. They cannot slow the engine down, so what comes on
/// top is lost; a reader that merely takes its time never gets there.
const WAITING_PROGRESS: usize = 16 * 1024;

/// What the runner says.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Something happened.
    Event(RunEvent),
    /// Something happened to one test of several, named here.
    OfTest(Arc<str>, RunEvent),
    /// The test printed this; secrets are already replaced.
    Output {
        /// Which test, where there are several.
        test: Option<Arc<str>>,
        /// On which stream.
        stream: OutputStream,
        /// The bytes.
        bytes: Bytes,
    },
}

/// Where the runner says it. Cheap to clone; a reader that has gone away is no error.
///
/// A reader that does not read holds up output alone: what decides about the run, and what cleans up after it, never
/// waits for one.
#[derive(Debug, Clone)]
pub struct Sink {
    test: Option<Arc<str>>,
    sender: mpsc::UnboundedSender<Waiting>,
    room: Arc<Semaphore>,
    progress_room: Arc<Semaphore>,
}

/// The other end of a [`Sink`].
#[derive(Debug)]
pub struct Messages(mpsc::UnboundedReceiver<Waiting>);

/// A message, and the room that it takes until it is read.
type Waiting = (Message, Option<OwnedSemaphorePermit>);

/// Room for one chunk of output.
#[derive(Debug)]
pub struct Room(Option<OwnedSemaphorePermit>);

impl Room {
    /// Room that is there in any case: for the little that is left when a test has ended.
    #[must_use]
    pub const fn beyond_measure() -> Self {
        Self(None)
    }
}

impl Sink {
    /// A sink and its reader.
    #[must_use]
    pub fn channel() -> (Self, Messages) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let sink = Self {
            test: None,
            sender,
            room: Arc::new(Semaphore::new(WAITING)),
            progress_room: Arc::new(Semaphore::new(WAITING_PROGRESS)),
        };
        (sink, Messages(receiver))
    }

    /// The same sink, for one test of several: whatever is said through it bears the test's name.
    #[must_use]
    pub fn of_test(&self, test: &str) -> Self {
        Self { test: Some(Arc::from(test)), ..self.clone() }
    }

    fn message(&self, event: RunEvent) -> Message {
        match &self.test {
            Some(test) => Message::OfTest(Arc::clone(test), event),
            None => Message::Event(event),
        }
    }

    /// Says that something happened. For what happens a few times in a run.
    pub fn event(&self, event: RunEvent) {
        let _ = self.sender.send((self.message(event), None));
    }

    /// Says that something went on; dropped when the reader is very far behind.
    pub fn progress(&self, event: RunEvent) {
        if let Ok(permit) = Arc::clone(&self.progress_room).try_acquire_owned() {
            let _ = self.sender.send((self.message(event), Some(permit)));
        }
    }

    /// Waits until the reader has come so far that it may be handed more output.
    pub async fn room(&self) -> Room {
        Room(Arc::clone(&self.room).acquire_owned().await.ok())
    }

    /// Hands on output.
    pub fn output(&self, stream: OutputStream, bytes: Bytes, room: Room) {
        let test = self.test.clone();
        let _ = self.sender.send((Message::Output { test, stream, bytes }, room.0));
    }

    /// Warns the user.
    pub fn warn(&self, message: impl Into<String>) {
        self.event(RunEvent::Warning { message: message.into() });
    }
}

impl Messages {
    /// The next message, for a thread that may wait; none once every sink is gone.
    pub fn blocking_next(&mut self) -> Option<Message> {
        self.0.blocking_recv().map(|(message, _)| message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(number: usize) -> RunEvent {
        RunEvent::Warning { message: number.to_string() }
    }

    #[tokio::test]
    async fn a_reader_that_does_not_read_holds_up_output_and_nothing_else() {
        let (sink, mut messages) = Sink::channel();
        for _ in 0..WAITING {
            let room = sink.room().await;
            sink.output(OutputStream::Stdout, Bytes::from_static(b"x"), room);
        }
        let full = tokio::time::timeout(std::time::Duration::from_millis(20), sink.room()).await;
        assert!(full.is_err());
        for number in 0..1000 {
            sink.event(warning(number));
        }
        sink.output(OutputStream::Stdout, Bytes::from_static(b"end"), Room::beyond_measure());
        drop(sink.clone());
        let reading = tokio::task::spawn_blocking(move || {
            std::iter::from_fn(|| messages.blocking_next()).take(WAITING + 1001).count()
        });
        assert_eq!(reading.await.unwrap(), WAITING + 1001);
        sink.room().await;
    }

    #[test]
    fn progress_is_lost_rather_than_kept_for_ever() {
        let (sink, mut messages) = Sink::channel();
        for number in 0..WAITING_PROGRESS + 10 {
            sink.progress(warning(number));
        }
        drop(sink);
        assert_eq!(std::iter::from_fn(|| messages.blocking_next()).count(), WAITING_PROGRESS);
    }
}
