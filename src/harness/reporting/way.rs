//! A store and the courier that empties it.
//!
//! Owns that sending begins with the store and ends with the report of what is left. Decides nothing of what is told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::milliseconds;
use crate::history::outbox::Store;
use crate::notify::outbox::{Clock, Courier, Ending, Flushed, Listener, Settings, Sink};
use crate::notify::send::Sender;

type Sending = (oneshot::Sender<Ending>, JoinHandle<Vec<Flushed>>);

/// One that has been told to end, and waits for its last answers.
pub(super) type Landing = JoinHandle<Vec<Flushed>>;

/// One of the two ways that a notice may take.
pub(super) struct Way {
    pub(super) store: Store,
    /// What is in it is there for the next run.
    pub(super) lasts: bool,
    sinks: Vec<String>,
    courier: Arc<Courier>,
    sending: Mutex<Option<Sending>>,
    /// Those that sent what is in the store before.
    earlier: Mutex<Vec<Landing>>,
}

impl Way {
    /// Begins to send what is in the store.
    pub(super) fn begin(
        store: Store,
        lasts: bool,
        sinks: &[Sink],
        sender: &Sender,
        listener: &Listener,
    ) -> Self {
        let clock: Clock = Arc::new(milliseconds);
        let ids = sinks.iter().map(|sink| sink.id.clone()).collect();
        let (sinks, sender, listener) = (sinks.to_vec(), sender.clone(), Arc::clone(listener));
        let settings = Settings::default();
        let courier = Courier::new(store.clone(), sinks, sender, clock, listener, settings);
        let courier = Arc::new(courier);
        let (stop, stopped) = oneshot::channel();
        let working = Arc::clone(&courier);
        let task = tokio::spawn(async move {
            let ending = async { stopped.await.unwrap_or_else(|_| landing()) };
            working.run(ending).await
        });
        let (sending, earlier) = (Mutex::new(Some((stop, task))), Mutex::default());
        Self { store, lasts, sinks: ids, courier, sending, earlier }
    }

    /// Begins to send nothing more. Gives those that wait for the answers to what is on its way.
    pub(super) fn stop(&self) -> Vec<Landing> {
        let mut landings = std::mem::take(&mut *lock(&self.earlier));
        if let Some((stop, task)) = lock(&self.sending).take() {
            let _ended = stop.send(landing());
            landings.push(task);
        }
        landings.retain(|landing| !landing.is_finished());
        landings
    }

    /// Waits for these too at the end.
    pub(super) fn wait_for(&self, landings: Vec<Landing>) {
        lock(&self.earlier).extend(landings);
    }

    /// Whether alerts wait in it. One that cannot be asked has none that could be sent.
    pub(super) async fn has_alerts(&self) -> bool {
        self.store.has_alerts(self.sinks.clone()).await.unwrap_or_default()
    }

    /// Sends what waits, for up to `limit`.
    pub(super) async fn finish(&self, limit: Duration) -> Vec<Flushed> {
        let begun = Instant::now();
        let earlier = std::mem::take(&mut *lock(&self.earlier));
        if !earlier.is_empty() {
            // What comes after theirs can be sent then. This one goes on meanwhile.
            let _landed = tokio::time::timeout(limit / 2, join_all(earlier)).await;
        }
        let left = limit.saturating_sub(begun.elapsed());
        let sending = lock(&self.sending).take();
        if let Some((stop, task)) = sending {
            let _ended = stop.send(Ending::Flush(left));
            if let Ok(flushed) = task.await {
                return flushed;
            }
        }
        self.courier.flush(limit.saturating_sub(begun.elapsed())).await
    }
}

/// No attempt takes longer.
fn landing() -> Ending {
    Ending::Land(Settings::default().attempt)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
