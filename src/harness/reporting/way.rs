//! A store and the courier that empties it.
//!
//! Owns that sending begins with the store and ends with the report of what is left. Decides nothing of what is told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::milliseconds;
use crate::history::outbox::Store;
use crate::notify::outbox::{Clock, Courier, Flushed, Listener, Settings, Sink};
use crate::notify::send::Sender;

/// How long what is on its way may take when the run is over, before the rest is sent.
const LANDING: Duration = Duration::from_millis(100);

/// One of the two ways that a notice may take.
pub(super) struct Way {
    pub(super) store: Store,
    /// What is in it is there for the next run.
    pub(super) lasts: bool,
    courier: Arc<Courier>,
    sending: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
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
        let (sinks, sender, listener) = (sinks.to_vec(), sender.clone(), Arc::clone(listener));
        let courier = Courier::new(store.clone(), sinks, sender, clock, listener, Settings::default());
        let courier = Arc::new(courier);
        let (stop, stopped) = oneshot::channel();
        let working = Arc::clone(&courier);
        let task = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            working.run(stopped, LANDING).await;
        });
        Self { store, lasts, courier, sending: Mutex::new(Some((stop, task))) }
    }

    /// Sends nothing more, without waiting for what is on its way.
    pub(super) fn stop(&self) {
        let sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, _task)) = sending {
            let _ended = stop.send(());
        }
    }

    /// Whether something waits in it. One that cannot be asked has nothing that could be sent.
    pub(super) async fn is_in_use(&self) -> bool {
        let backlog = self.store.backlog().await.unwrap_or_default();
        backlog.iter().any(|sink| sink.waiting > 0)
    }

    /// Sends what waits, for up to `limit`.
    pub(super) async fn finish(&self, limit: Duration) -> Vec<Flushed> {
        let sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, task)) = sending {
            let _ended = stop.send(());
            let _ended = task.await;
        }
        self.courier.flush(limit).await
    }
}
