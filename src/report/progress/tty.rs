//! `--progress tty`: live bars at the bottom of the terminal, and everything else intact above them.
//!
//! Owns when bars may be drawn: never while the test has a line begun, and never from two threads at once. What the
//! bars show is [`screen`]'s.

mod screen;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::ProgressDrawTarget;

use super::ticker::Ticker;
use super::{Display, Streams};
use crate::report::style::Style;
use crate::runner::event::{OutputStream, RunEvent};
use screen::{Screen, Target};

/// Draws bars on stderr.
pub struct Tty {
    screen: Arc<Mutex<Screen>>,
    ticker: Option<Ticker>,
}

impl Tty {
    /// Takes over the streams and begins to draw.
    #[must_use]
    pub fn new(streams: Streams, style: Style) -> Self {
        let mut display = Self::without_ticker(streams, style, Box::new(ProgressDrawTarget::stderr));
        let screen = Arc::clone(&display.screen);
        display.ticker = Ticker::start(move || lock(&screen).tick());
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
        if let Some(ticker) = self.ticker.take() {
            ticker.end();
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
