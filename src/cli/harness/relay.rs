//! What a command prints, on its way to our own output.
//!
//! Owns that secrets are hidden in it whatever way it is cut, and that a reader who left ends nothing. Keeps none of it.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::HarnessArgs;
use crate::cli::flags::output::Format;
use crate::redact::Redactor;

/// Chunks that may wait to be written, before the command has to.
const CHUNKS: usize = 16;

/// Where a check puts what its command prints.
pub(super) type Output = mpsc::Sender<Bytes>;

/// Writes until nobody prints any more.
pub(super) struct Relay(Option<JoinHandle<()>>);

/// What a single command prints is passed on: to stdout, or to stderr where stdout is for a program. That of several
/// checks would be a muddle: it stands in their results alone.
pub(super) fn begin(args: &HarnessArgs, probes: usize, redactor: Arc<Redactor>) -> (Relay, Option<Output>) {
    if probes != 1 {
        return (Relay(None), None);
    }
    let (sender, mut receiver) = mpsc::channel::<Bytes>(CHUNKS);
    let to_stdout = args.format == Format::Text && !args.dry_run;
    let write = move |bytes: &[u8]| -> io::Result<()> {
        if to_stdout {
            let mut stdout = io::stdout().lock();
            stdout.write_all(bytes).and_then(|()| stdout.flush())
        } else {
            io::stderr().lock().write_all(bytes)
        }
    };
    let task = tokio::task::spawn_blocking(move || {
        let mut stream = redactor.stream();
        let mut listens = true;
        // The command goes on where nobody reads: it is a check, and no filter.
        while let Some(chunk) = receiver.blocking_recv() {
            let shown = stream.push(&chunk);
            listens = listens && write(&shown).is_ok();
        }
        let rest = stream.flush();
        if listens {
            let _unread = write(&rest);
        }
    });
    (Relay(Some(task)), Some(sender))
}

impl Relay {
    /// Waits until all is written. To be called once nobody can print any more.
    pub(super) async fn end(self) {
        if let Some(task) = self.0 {
            let _ended = task.await;
        }
    }
}
