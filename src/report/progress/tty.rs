//! `--progress tty`: live bars at the bottom of the terminal, and everything else intact above them.
//!
//! Owns when bars may be drawn: never while the test has a line begun, and never from two threads at once. What the
//! bars show is [`screen`]'s.

mod screen;

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::ProgressDrawTarget;

use super::{Display, Streams};
use crate::report::style::Style;
use crate::runner::event::{OutputStream, RunEvent};
use screen::{Screen, Target};

const TICK: Duration = Duration::from_millis(100);

/// Draws bars on stderr.
pub struct Tty {
    screen: Arc<Mutex<Screen>>,
    ticker: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Tty {
    /// Takes over the streams and begins to draw.
    #[must_use]
    pub fn new(streams: Streams, style: Style) -> Self {
        let mut display = Self::without_ticker(streams, style, Box::new(ProgressDrawTarget::stderr));
        let screen = Arc::clone(&display.screen);
        let (stop, stopped) = mpsc::channel();
        let ticker = thread::Builder::new().name("progress".to_owned()).spawn(move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                lock(&screen).tick();
            }
        });
        // Without the thread the bars move with the events alone.
        display.ticker = ticker.ok().map(|handle| (stop, handle));
        display
    }

    fn without_ticker(streams: Streams, style: Style, target: Target) -> Self {
        Self { screen: Arc::new(Mutex::new(Screen::new(streams, style, target))), ticker: None }
    }
}

fn lock(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Display for Tty {
    fn event(&mut self, event: &RunEvent) {
        lock(&self.screen).event(event);
    }

    fn output(&mut self, stream: OutputStream, bytes: &[u8]) {
        lock(&self.screen).pass(stream, bytes);
    }

    fn finish(&mut self) {
        if let Some((stop, handle)) = self.ticker.take() {
            drop(stop);
            // A ticker that panicked has nothing left to draw.
            drop(handle.join());
        }
        lock(&self.screen).finish();
    }

    fn stdout_closed(&self) -> bool {
        lock(&self.screen).stdout_closed()
    }

    fn take_stdout_error(&mut self) -> Option<io::Error> {
        lock(&self.screen).take_stdout_error()
    }
}

impl Drop for Tty {
    /// A display that is dropped on the way out of an error leaves no bar behind.
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests;
