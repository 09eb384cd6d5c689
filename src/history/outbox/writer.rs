//! The thread that alone uses the database of the outbox.
//!
//! Owns the batches: jobs that wait together are one transaction, and each is answered after its commit. Where a batch
//! fails its jobs are done again one by one, so that none fails for another. Whoever drops the last handle waits a moment for
//! the database to be closed: a program that ended before that would leave its log for the next one to read.

use std::convert::Infallible;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::queue::Rules;
use crate::history::error::{Refused, of_sqlite};
use crate::history::{History, HistoryError};

/// Jobs of one transaction at most: others wait for its end.
const BATCH: usize = 1_000;

/// How long the last handle waits for the database to be closed, which takes milliseconds where the disk does not hang.
/// Closed or not, all is kept that was stored.
const CLOSING: Duration = Duration::from_millis(500);

/// A handle on the thread, which ends with the last of them.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    thread: Arc<Thread>,
    changed: Arc<watch::Sender<u64>>,
    path: Arc<std::path::Path>,
}

impl Writer {
    pub(super) fn start(history: History, rules: Rules) -> Result<Self, HistoryError> {
        let (sender, receiver) = mpsc::channel();
        let path: Arc<std::path::Path> = Arc::from(history.path());
        let changed = Arc::new(watch::Sender::new(0));
        let tell = Arc::clone(&changed);
        let (open, closed) = mpsc::channel();
        std::thread::Builder::new()
            .name("outbox".to_owned())
            .spawn(move || {
                run(history, &rules, &receiver, &tell);
                drop(open);
            })
            .map_err(|source| HistoryError::Thread { path: path.to_path_buf(), source })?;
        let thread = Arc::new(Thread { jobs: sender, _closed: Closed(Mutex::new(closed)) });
        Ok(Self { thread, changed, path })
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Does `work`, which gives senders something to do, and waits until a power cut cannot undo it.
    pub(super) async fn add<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection, &Rules) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, HistoryError> {
        self.hand_over(work, Weight::Waking).await
    }

    /// Does `work`, and waits until a power cut cannot undo it.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection, &Rules) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, HistoryError> {
        self.hand_over(work, Weight::Durable).await
    }

    /// Does `work`, which only reads, and waits for no other process that writes.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection, &Rules) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, HistoryError> {
        self.hand_over(work, Weight::Reading).await
    }

    /// Does `work`, which may be undone by a power cut (never by the end of this process): what it
    /// notes is then found out again.
    pub(super) async fn note<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection, &Rules) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, HistoryError> {
        self.hand_over(work, Weight::Undoable).await
    }

    async fn hand_over<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection, &Rules) -> Result<T, Refused> + Send + 'static,
        weight: Weight,
    ) -> Result<T, HistoryError> {
        let (reply, answer) = oneshot::channel();
        let ended = || HistoryError::Inaccessible {
            operation: "write to",
            path: self.path.to_path_buf(),
            source: std::io::Error::other("the thread that does it has ended"),
        };
        let task = Task { work, weight, value: None, reply };
        self.thread.jobs.send(Box::new(task)).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

/// What all handles share.
#[derive(Debug)]
struct Thread {
    /// The first to go: without it the thread ends, which is waited for then.
    jobs: Sender<Box<dyn Job>>,
    _closed: Closed,
}

/// Ends once the database is closed. Whoever drops it waits for that.
#[derive(Debug)]
struct Closed(Mutex<Receiver<Infallible>>);

impl Drop for Closed {
    fn drop(&mut self) {
        let closed = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _no_longer = closed.recv_timeout(CLOSING);
    }
}

/// What a job needs of its transaction: of several that share one, the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// None at all.
    Reading,
    /// A power cut may undo it.
    Undoable,
    /// A power cut cannot undo it.
    Durable,
    /// The same, and it gives senders something to do.
    Waking,
}

/// Work of whatever type its answer has.
trait Job: Send {
    fn weight(&self) -> Weight;
    fn run(&mut self, database: &Connection, rules: &Rules) -> Result<(), Refused>;
    fn answer(self: Box<Self>, done: Result<(), HistoryError>);
}

struct Task<F, T> {
    work: F,
    weight: Weight,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, HistoryError>>,
}

impl<F, T> Job for Task<F, T>
where
    F: FnMut(&Connection, &Rules) -> Result<T, Refused> + Send,
    T: Send,
{
    fn weight(&self) -> Weight {
        self.weight
    }

    fn run(&mut self, database: &Connection, rules: &Rules) -> Result<(), Refused> {
        self.value = Some((self.work)(database, rules)?);
        Ok(())
    }

    fn answer(self: Box<Self>, done: Result<(), HistoryError>) {
        // Whoever asked may not wait any more.
        match (done, self.value) {
            (Ok(()), Some(value)) => drop(self.reply.send(Ok(value))),
            (Ok(()), None) => {}
            (Err(error), _) => drop(self.reply.send(Err(error))),
        }
    }
}

/// Works until nobody hands anything over any more.
fn run(history: History, rules: &Rules, receiver: &Receiver<Box<dyn Job>>, changed: &watch::Sender<u64>) {
    let mut database = Database { history, level: "" };
    while let Ok(first) = receiver.recv() {
        let mut batch: Vec<Box<dyn Job>> =
            std::iter::once(first).chain(receiver.try_iter().take(BATCH - 1)).collect();
        let wakes = weight(&batch) == Weight::Waking;
        match database.transact(rules, &mut batch) {
            Ok(()) => batch.into_iter().for_each(|job| job.answer(Ok(()))),
            Err(error) if batch.len() == 1 => {
                if let Some(job) = batch.pop() {
                    job.answer(Err(error));
                }
            }
            Err(_) => {
                for job in batch {
                    let mut alone = [job];
                    let done = database.transact(rules, &mut alone);
                    let [job] = alone;
                    job.answer(done);
                }
            }
        }
        if wakes {
            changed.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}

fn weight(jobs: &[Box<dyn Job>]) -> Weight {
    jobs.iter().map(|job| job.weight()).max().unwrap_or(Weight::Reading)
}

struct Database {
    history: History,
    /// How sure it is that what is written stays.
    level: &'static str,
}

impl Database {
    fn transact(&mut self, rules: &Rules, jobs: &mut [Box<dyn Job>]) -> Result<(), HistoryError> {
        // FULL: with a write-ahead log, NORMAL survives the end of the process, but not that of the machine.
        let level = match weight(jobs) {
            Weight::Reading => {
                return self
                    .history
                    .read(|database| jobs.iter_mut().try_for_each(|job| job.run(database, rules)));
            }
            Weight::Undoable => "NORMAL",
            Weight::Durable | Weight::Waking => "FULL",
        };
        if self.level != level {
            self.history
                .database
                .pragma_update(None, "synchronous", level)
                .map_err(|error| of_sqlite("write to", self.history.path(), error))?;
            self.level = level;
        }
        self.history
            .write("write to", |database| jobs.iter_mut().try_for_each(|job| job.run(database, rules)))
    }
}
