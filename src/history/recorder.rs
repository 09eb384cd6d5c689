//! Writes the history of one run from a thread of its own, so that tests never wait for a disk.
//!
//! Owns the thread. What was handed over is written in batches, one transaction each; after the first error nothing
//! more is written, and the run stays one that did not end.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::error::Refused;
use super::record::{self, RunEnd, TestRecord, Tests};
use super::{History, HistoryError, passes};

/// Messages of one transaction at most: others wait for its end.
const BATCH: usize = 1_000;

/// A handle on the thread. Where it is dropped without [`Recorder::finish`], what was handed over is still written, and
/// the run did not end.
#[derive(Debug)]
pub struct Recorder {
    sender: Sender<Message>,
    thread: JoinHandle<Result<(), HistoryError>>,
}

#[derive(Debug)]
enum Message {
    Test(TestRecord),
    Pass { key: String, test: String },
    Forget { key: String },
    Finish(RunEnd),
}

impl Recorder {
    /// Starts to write about a run that was begun with [`History::begin_run`].
    pub fn start(history: History, run_id: &str) -> Result<Self, HistoryError> {
        let (sender, receiver) = mpsc::channel();
        let path = history.path().to_owned();
        let run_id = run_id.to_owned();
        let thread = std::thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || write(history, &run_id, &receiver))
            .map_err(|source| HistoryError::Thread { path, source })?;
        Ok(Self { sender, thread })
    }

    /// Notes what became of a test. Never waits.
    pub fn test(&self, test: TestRecord) {
        self.send(Message::Test(test));
    }

    /// Notes a pass for the result cache. Never waits.
    pub fn pass(&self, key: String, test: String) {
        self.send(Message::Pass { key, test });
    }

    /// Takes a pass back: a test with this key has failed. Never waits.
    pub fn forget_pass(&self, key: String) {
        self.send(Message::Forget { key });
    }

    /// Notes the end of the run, and waits until all is written. Gives the first error of all; it says nothing about the
    /// tests.
    pub fn finish(self, end: RunEnd) -> Result<(), HistoryError> {
        self.send(Message::Finish(end));
        drop(self.sender);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// The thread ends before its handle only with an error, which [`Recorder::finish`] gives.
    fn send(&self, message: Message) {
        let _ = self.sender.send(message);
    }
}

/// Writes until nobody sends any more.
fn write(mut history: History, run_id: &str, receiver: &Receiver<Message>) -> Result<(), HistoryError> {
    while let Ok(first) = receiver.recv() {
        let batch: Vec<Message> = std::iter::once(first).chain(receiver.try_iter().take(BATCH - 1)).collect();
        history.write("add to", |database| write_batch(database, run_id, &batch))?;
    }
    Ok(())
}

fn write_batch(database: &Connection, run_id: &str, batch: &[Message]) -> Result<(), Refused> {
    let mut tests = Tests::of(database, run_id)?;
    for message in batch {
        match message {
            Message::Test(test) => tests.add(test)?,
            Message::Pass { key, test } => passes::add(database, key, test, run_id)?,
            Message::Forget { key } => passes::forget(database, key)?,
            Message::Finish(end) => record::finish(database, run_id, end)?,
        }
    }
    Ok(())
}
