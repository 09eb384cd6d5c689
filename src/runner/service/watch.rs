//! Follows one service: its output into a log file, its last words, its end.
//!
//! Owns the two tasks that do so. They end with the container.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::engine::docker::Attached;
use crate::engine::{Engine, EngineError};
use crate::error::Failure;
use crate::redact::{RedactStream, Redactor};
use crate::runner::event::OutputStream;
use crate::runner::log_file::{self, LogFile};
use crate::runner::output::Tail;
use crate::suite::pattern::Text;

/// What is kept of a line that is searched. A longer one is searched piece by piece.
const LINE: usize = 64 * 1024;

/// How a service ended, from the engine's record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code, where the engine could say it.
    pub exit_code: Option<i64>,
    /// The kernel killed it for want of memory.
    pub out_of_memory: bool,
}

impl Ended {
    /// It did what it was there for.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.exit_code == Some(0) && !self.out_of_memory
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.out_of_memory, self.exit_code) {
            (true, _) => f.write_str("ran out of memory"),
            (false, Some(code)) if code > 128 && code <= 192 => {
                write!(f, "was ended by signal {} (exit code {code})", code - 128)
            }
            (false, Some(code)) => write!(f, "ended with exit code {code}"),
            (false, None) => f.write_str("ended, and the engine does not say how"),
        }
    }
}

#[derive(Debug, Default)]
struct Heard {
    tail: Tail,
    line: Vec<u8>,
    /// The line was counted.
    counted: bool,
    matches: u64,
}

#[derive(Debug)]
pub(super) struct Watch {
    heard: Arc<Mutex<Heard>>,
    ended: watch::Receiver<Option<Ended>>,
    started: Arc<Notify>,
    pump: AbortOnDropHandle<()>,
    _wait: AbortOnDropHandle<()>,
}

impl Watch {
    pub(super) async fn begin(
        engine: &Engine,
        container: &str,
        attached: Attached,
        redactor: Arc<Redactor>,
        log: &Path,
        wanted: Option<Text>,
    ) -> Result<Self, Failure> {
        let file = LogFile::create(log, log_file::LIMIT).await?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        let pump = tokio::spawn(pump(attached, redactor, file, Arc::clone(&heard), wanted));
        let (sender, ended) = watch::channel(None);
        let started = Arc::new(Notify::new());
        let (engine, container, go) = (engine.clone(), container.to_owned(), Arc::clone(&started));
        let wait = tokio::spawn(async move {
            go.notified().await;
            let _ = sender.send(Some(follow(&engine, &container).await));
        });
        Ok(Self {
            heard,
            ended,
            started,
            pump: AbortOnDropHandle::new(pump),
            _wait: AbortOnDropHandle::new(wait),
        })
    }

    /// It was started: from here on its end means something.
    pub(super) fn started(&self) {
        self.started.notify_one();
    }

    pub(super) async fn ended(&self) -> Ended {
        self.end().await
    }

    pub(super) fn end(&self) -> impl Future<Output = Ended> + Send + 'static {
        let mut ended = self.ended.clone();
        async move {
            match ended.wait_for(Option::is_some).await.map(|ended| ended.clone()) {
                Ok(ended) => ended.unwrap_or_default(),
                // Nobody watches any more, because it is being removed.
                Err(_) => std::future::pending().await,
            }
        }
    }

    pub(super) fn has_ended(&self) -> Option<Ended> {
        self.ended.borrow().clone()
    }

    /// How many lines had what is looked for.
    pub(super) fn matches(&self) -> u64 {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).matches
    }

    pub(super) fn tail(&self) -> String {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).tail.text()
    }

    /// Waits until what it printed is on disk, and gives out the last of it. To be called when its container is gone.
    pub(super) async fn close(self) -> String {
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), self.pump).await;
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).tail.text()
    }
}

/// Waits for the end. A connection that breaks is not the end.
async fn follow(engine: &Engine, container: &str) -> Ended {
    loop {
        match engine.wait(container).await {
            Ok(code) => {
                let out_of_memory =
                    engine.container_state(container).await.is_ok_and(|state| state.oom_killed && code != 0);
                return Ended { exit_code: Some(code), out_of_memory };
            }
            Err(error) if error.is_missing() => return Ended::default(),
            Err(EngineError::Refused { .. }) => return Ended::default(),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(500)).await,
        }
    }
}

async fn pump(
    mut attached: Attached,
    redactor: Arc<Redactor>,
    mut file: LogFile,
    heard: Arc<Mutex<Heard>>,
    wanted: Option<Text>,
) {
    let mut stdout = RedactStream::new(Arc::clone(&redactor));
    let mut stderr = RedactStream::new(redactor);
    while let Ok(Some(frame)) = attached.next().await {
        let clean = match frame.stream {
            OutputStream::Stdout => stdout.push(&frame.bytes),
            OutputStream::Stderr => stderr.push(&frame.bytes),
        };
        heard.lock().unwrap_or_else(PoisonError::into_inner).hear(&clean, wanted.as_ref());
        file.write(&clean).await;
    }
    for clean in [stdout.flush(), stderr.flush()] {
        heard.lock().unwrap_or_else(PoisonError::into_inner).hear(&clean, wanted.as_ref());
        file.write(&clean).await;
    }
    // A log that cannot be written takes nothing from the run.
    let _ = file.close().await;
}

impl Heard {
    fn hear(&mut self, bytes: &[u8], wanted: Option<&Text>) {
        self.tail.push(bytes);
        let Some(wanted) = wanted else { return };
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            // A service may print what is looked for without ending the line, and wait.
            let line = String::from_utf8_lossy(&self.line);
            if !self.counted && wanted.is_in(line.trim_end_matches(['\r', '\n'])) {
                self.matches += 1;
                self.counted = true;
            }
            if self.line.ends_with(b"\n") || self.line.len() > LINE {
                self.line.clear();
                self.counted = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_however_they_are_cut_and_nothing_is_found_across_lines() {
        let text = b"ready: no\nstarting\nready to accept, ready\nready";
        let count = |size: usize, wanted: &str| {
            let (mut heard, wanted) = (Heard::default(), Text::parse(wanted).unwrap());
            text.chunks(size).for_each(|chunk| heard.hear(chunk, Some(&wanted)));
            heard.matches
        };
        for size in 1..text.len() {
            assert_eq!(count(size, "ready"), 3, "{size}");
            assert_eq!(count(size, "starting ready"), 0, "{size}");
            assert_eq!(count(size, "/^ready to .*ready/"), 1, "{size}");
        }
    }

    #[test]
    fn an_end_is_told_in_words() {
        let ended = |code| Ended { exit_code: Some(code), out_of_memory: false };
        assert_eq!(ended(1).to_string(), "ended with exit code 1");
        assert_eq!(ended(137).to_string(), "was ended by signal 9 (exit code 137)");
        assert_eq!(Ended { exit_code: Some(137), out_of_memory: true }.to_string(), "ran out of memory");
    }
}
