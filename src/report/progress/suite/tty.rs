//! `--progress tty` for many tests: live lines at the bottom of the terminal, and above them what stays.
//!
//! Owns what stays, and when the live lines are drawn: never from two threads at once, and all of them in one go. What
//! they say is [`super::frame`]'s.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::FEW;
use super::board::Board;
use super::entry::{Entry, Kind};
use super::frame::{self, Size};
use crate::report::progress::plain::Clock;
use crate::report::progress::ticker::Ticker;
use crate::report::progress::{Display, Streams};
use crate::report::style::Style;
use crate::runner::event::{OutputStream, RunEvent};

/// Lines of a failed test's output that are shown at once; the summary has some again, and the log has all.
const LINES_OF_OUTPUT: usize = 20;

/// Tests without what they need that have a line each; then the totals count them, as what they need has its line.
const MAX_DEPENDENT: usize = 5;

/// Draws live lines on stderr.
pub struct Tty {
    screen: Arc<Mutex<Screen>>,
    ticker: Option<Ticker>,
}

impl Tty {
    /// Takes over the streams and begins to draw.
    #[must_use]
    pub fn new(streams: Streams, style: Style) -> Self {
        let start = Instant::now();
        let clock: Clock = Box::new(move || start.elapsed().as_secs_f64());
        let terminal = console::Term::stderr();
        let size = move || match terminal.size_checked() {
            Some((rows, columns)) => Size { rows: usize::from(rows), columns: usize::from(columns) },
            None => Size { rows: 24, columns: style.width },
        };
        let surroundings = Surroundings { clock, size: Box::new(size), target: ProgressDrawTarget::stderr() };
        let mut display = Self::without_ticker(streams, style, surroundings);
        let screen = Arc::clone(&display.screen);
        display.ticker = Ticker::start(move || lock(&screen).tick());
        display
    }

    fn without_ticker(streams: Streams, style: Style, surroundings: Surroundings) -> Self {
        Self { screen: Arc::new(Mutex::new(Screen::new(streams, style, surroundings))), ticker: None }
    }

    fn follow(&mut self, test: Option<&str>, event: &RunEvent) {
        let mut screen = lock(&self.screen);
        screen.event(test, event);
        if self.ticker.is_none() {
            screen.tick();
        }
    }
}

/// What a screen needs to know of the world; tests have one of their own.
struct Surroundings {
    clock: Clock,
    size: Box<dyn Fn() -> Size + Send>,
    target: ProgressDrawTarget,
}

struct Screen {
    streams: Streams,
    style: Style,
    clock: Clock,
    size: Box<dyn Fn() -> Size + Send>,
    /// All live lines are the message of one bar, so that none moves on its own.
    live: ProgressBar,
    board: Board,
    began: f64,
    dependent: usize,
    finished: bool,
}

impl Screen {
    fn new(streams: Streams, style: Style, surroundings: Surroundings) -> Self {
        let Surroundings { clock, size, target } = surroundings;
        let live = ProgressBar::with_draw_target(None, target);
        live.set_style(
            ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        let began = clock();
        Self {
            streams,
            style,
            clock,
            size,
            live,
            board: Board::default(),
            began,
            dependent: 0,
            finished: false,
        }
    }

    fn event(&mut self, test: Option<&str>, event: &RunEvent) {
        if self.finished {
            return;
        }
        let mut lines = Vec::new();
        for entry in self.board.follow(test, event, (self.clock)()) {
            if self.stays(&entry) {
                let style = Style { width: self.columns(), ..self.style };
                lines.extend(entry.fitted(style, LINES_OF_OUTPUT));
            }
        }
        if !lines.is_empty() {
            let frame = self.frame();
            self.live.set_message(frame);
            let (live, streams) = (&self.live, &mut self.streams);
            live.suspend(|| streams.line(&lines.join("\n")));
        }
    }

    fn stays(&mut self, entry: &Entry) -> bool {
        let is_small = self.board.tests <= FEW;
        match entry.kind {
            Kind::Run | Kind::Notable | Kind::Bad => true,
            Kind::Progress => false,
            Kind::Fine => is_small,
            Kind::Dependent => {
                self.dependent += 1;
                is_small || self.dependent <= MAX_DEPENDENT
            }
        }
    }

    fn columns(&self) -> usize {
        (self.size)().columns.min(self.style.width).max(20)
    }

    fn frame(&mut self) -> String {
        frame::lines(&mut self.board, self.began, (self.clock)(), (self.size)(), self.style).join("\n")
    }

    /// Draws the live lines as they are now.
    fn tick(&mut self) {
        if !self.finished {
            let frame = self.frame();
            self.live.set_message(frame);
        }
    }

    fn finish(&mut self) {
        if !self.finished {
            self.finished = true;
            self.live.finish_and_clear();
            self.streams.finish();
        }
    }
}

fn lock(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Display for Tty {
    fn event(&mut self, event: &RunEvent) {
        self.follow(None, event);
    }

    fn event_of(&mut self, test: &str, event: &RunEvent) {
        self.follow(Some(test), event);
    }

    /// What many tests print at the same time, nobody can read: it is in their logs.
    fn output(&mut self, _: OutputStream, _: &[u8]) {}

    fn finish(&mut self) {
        if let Some(ticker) = self.ticker.take() {
            ticker.end();
        }
        lock(&self.screen).finish();
    }

    fn stdout_closed(&self) -> bool {
        lock(&self.screen).streams.stdout_closed()
    }

    fn take_stdout_error(&mut self) -> Option<io::Error> {
        lock(&self.screen).streams.take_stdout_error()
    }
}

impl Drop for Tty {
    /// A display that is dropped on the way out of an error leaves no line behind.
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests;
