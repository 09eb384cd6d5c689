//! Reading the context on a thread of its own, for as long as somebody waits for it.
//!
//! Owns the end of that thread: a large context takes minutes, and a request to stop must not wait for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;

use super::ContextError;
use super::needs::Needs;
use super::select::any_at_hand;
use super::tree::Tree;
use crate::error::{Category, Diagnose};
use crate::signal;

/// The context was not read to its end.
#[derive(Debug, Error)]
pub enum ReadError {
    /// Reading failed.
    #[error(transparent)]
    Context(ContextError),
    /// A signal came first.
    #[error("interrupted while reading the build context")]
    Interrupted {
        /// Signal number.
        signal: u8,
    },
}

impl Diagnose for ReadError {
    fn category(&self) -> Category {
        match self {
            Self::Context(error) => error.category(),
            Self::Interrupted { .. } => Category::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Context(error) => error.hint(),
            Self::Interrupted { .. } => None,
        }
    }
}

/// Tells the thread when the task that waits for it goes away, whatever the reason.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does `work` on the directory `root`, on a thread that may block. A request to stop ends the waiting at once and the
/// thread soon after: at the next file, or the next piece of one.
pub async fn read<T: Send + 'static>(
    root: PathBuf,
    interrupts: &signal::Receiver,
    work: impl FnOnce(Tree<'_>) -> Result<T, ContextError> + Send + 'static,
) -> Result<T, ReadError> {
    let stop = Arc::new(AtomicBool::new(false));
    let _stop = StopOnDrop(Arc::clone(&stop));
    let reading = tokio::task::spawn_blocking(move || work(Tree::new(&root).until(&stop)));
    let mut interrupts = interrupts.clone();
    tokio::select! {
        biased;
        state = signal::wait_for(&mut interrupts, 1) => Err(ReadError::Interrupted { signal: state.signal }),
        done = reading => {
            let done = done.unwrap_or_else(|error| Err(ContextError::internal(error.to_string())));
            done.map_err(ReadError::Context)
        }
    }
}

/// Whether any of the sources that `needs` names is in the directory `root`.
pub async fn at_hand(root: &Path, needs: &Needs, interrupts: &signal::Receiver) -> Result<bool, ReadError> {
    let needs = needs.clone();
    read(root.to_owned(), interrupts, move |tree| Ok(any_at_hand(tree, &needs))).await
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::super::{Ignore, Needs, digest, select};
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_large_context_is_left_when_a_signal_comes() {
        let dir = tempfile::tempdir().unwrap();
        // A hole: it takes minutes to read and no room.
        File::create(dir.path().join("large")).unwrap().set_len(1 << 40).unwrap();
        let (canceller, interrupts) = signal::channel();
        let (begun, has_begun) = mpsc::channel();
        let (ended, has_ended) = mpsc::channel();
        let cancelling = tokio::task::spawn_blocking(move || {
            has_begun.recv_timeout(SOON).unwrap();
            canceller.cancel(2);
        });
        let read = read(dir.path().to_owned(), &interrupts, move |tree| {
            let needs = Needs::Whole { reason: String::new(), named: Vec::new() };
            let selection = select(tree, &needs, &Ignore::default())?;
            begun.send(()).unwrap();
            let digest = digest(tree, &selection);
            ended.send(()).unwrap();
            digest
        });
        let read = tokio::time::timeout(SOON, read).await.unwrap();
        assert!(matches!(read, Err(ReadError::Interrupted { signal: 2 })), "{read:?}");
        cancelling.await.unwrap();
        has_ended.recv_timeout(SOON).unwrap();
    }

    #[tokio::test]
    async fn the_walk_ends_when_nobody_waits_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let (_canceller, interrupts) = signal::channel();
        let (begun, has_begun) = mpsc::channel();
        let (ended, has_ended) = mpsc::channel();
        let reading = read(dir.path().to_owned(), &interrupts, move |tree| {
            let needs = Needs::Whole { reason: String::new(), named: Vec::new() };
            begun.send(()).unwrap();
            while select(tree, &needs, &Ignore::default()).is_ok() {}
            ended.send(()).unwrap();
            Ok(())
        });
        assert!(tokio::time::timeout(Duration::from_millis(50), reading).await.is_err());
        has_begun.recv_timeout(SOON).unwrap();
        has_ended.recv_timeout(SOON).unwrap();
    }
}
