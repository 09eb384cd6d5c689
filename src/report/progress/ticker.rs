//! The thread that moves spinners on while nothing happens.
//!
//! Owns its life: it ends with the display that started it. What is drawn is the display's.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

/// A thread that calls a function ten times a second.
pub(super) struct Ticker {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Ticker {
    /// Starts it. Without the thread a display moves with the events alone.
    pub(super) fn start(tick: impl Fn() + Send + 'static) -> Option<Self> {
        let (stop, stopped) = mpsc::channel();
        let ticking = move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                tick();
            }
        };
        let thread = thread::Builder::new().name("progress".to_owned()).spawn(ticking).ok()?;
        Some(Self { stop, thread })
    }

    /// Ends it, and waits until it has ended.
    pub(super) fn end(self) {
        drop(self.stop);
        // A ticker that panicked has nothing left to draw.
        drop(self.thread.join());
    }
}
