//! What the daemon says while it works, written by a thread of its own.
//!
//! Owns the wait for those who read stdout and stderr. A reader that has stopped, or a log driver that hangs, costs lines
//! and never a run or a page; how many lines is said.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use super::super::terminal;
use super::lines;
use crate::report::wording::count;

/// Lines that may wait to be written.
const WAITING: usize = 10_000;
/// At the end what waits is written for so long.
const PATIENCE: Duration = Duration::from_secs(2);

enum Line {
    /// To stdout.
    Out(String),
    /// To stderr.
    Note(String),
    /// All before it are written.
    Flushed(SyncSender<()>),
}

/// Says what the daemon has to say. Clones are cheap.
#[derive(Clone)]
pub(super) struct Voice {
    lines: SyncSender<Line>,
    lost: Arc<AtomicU64>,
    waits: bool,
}

impl Voice {
    /// One that `waits` loses nothing: for a daemon that ends by itself, and whose reader wants all of it.
    pub(super) fn new(waits: bool) -> Self {
        let (sender, lines) = sync_channel(WAITING);
        let lost: Arc<AtomicU64> = Arc::default();
        let of_thread = Arc::clone(&lost);
        std::thread::spawn(move || write(&lines, &of_thread));
        Self { lines: sender, lost, waits }
    }

    pub(super) fn out(&self, text: String) {
        self.send(Line::Out(text));
    }

    pub(super) fn note(&self, text: String) {
        self.send(Line::Note(text));
    }

    fn send(&self, line: Line) {
        let sent = if self.waits { self.lines.send(line).is_ok() } else { self.lines.try_send(line).is_ok() };
        if !sent {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was said is written, and no longer than people do.
    pub(super) fn flush(&self) {
        let (sender, flushed) = sync_channel(1);
        if self.lines.try_send(Line::Flushed(sender)).is_ok() {
            let _late = flushed.recv_timeout(PATIENCE);
        }
    }
}

fn write(lines: &Receiver<Line>, lost: &AtomicU64) {
    for line in lines {
        match line {
            // A reader who left does not end the daemon.
            Line::Out(text) => drop(terminal::out(&text)),
            Line::Note(text) => terminal::note(&text),
            Line::Flushed(sender) => drop(sender.send(())),
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            lines::say(&format!("{} lost, because nobody read them in time", count(lost, "line")));
        }
    }
}
