//! Streams and events that the tests of the displays share.

pub(crate) mod terminal;

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::{Display, Streams};
use crate::results::{CaseCounts, Cause, Outcome};
use crate::runner::event::{RunEvent, StepStatus};

/// A writer that can be looked into.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) struct Both {
    pub(crate) stdout: Shared,
    pub(crate) stderr: Shared,
}

/// Streams to memory, and the memory.
pub(crate) fn streams(shared: bool) -> (Both, Streams) {
    let both = Both { stdout: Shared::default(), stderr: Shared::default() };
    let streams = Streams::new(Box::new(both.stdout.clone()), Box::new(both.stderr.clone()), shared);
    (both, streams)
}

/// A writer that fails, and counts how often it was tried.
#[derive(Clone)]
pub(crate) struct Failing {
    kind: io::ErrorKind,
    attempts: Arc<AtomicUsize>,
}

impl Failing {
    pub(crate) fn new(kind: io::ErrorKind) -> Self {
        Self { kind, attempts: Arc::default() }
    }

    pub(crate) fn attempts(&self) -> usize {
        self.attempts.load(Ordering::SeqCst)
    }
}

impl Write for Failing {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        Err(self.kind.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn step(id: &str, name: &str, status: StepStatus) -> RunEvent {
    RunEvent::BuildStep { id: id.to_owned(), name: name.to_owned(), status }
}

pub(crate) fn pull(layer: &str, status: &str, current: Option<u64>, total: Option<u64>) -> RunEvent {
    RunEvent::PullProgress { layer: layer.to_owned(), status: status.to_owned(), current, total }
}

pub(crate) fn test_started() -> RunEvent {
    RunEvent::TestStarted {
        test: "shop:1.4".to_owned(),
        attempt: 1,
        container: "0123456789abcdef0123".to_owned(),
    }
}

/// Hands all of them to the display.
pub(crate) fn feed(display: &mut dyn Display, events: &[RunEvent]) {
    for event in events {
        display.event(event);
    }
}

/// A whole run that fails, up to where the test starts and from where it ends.
pub(crate) fn a_run() -> (Vec<RunEvent>, Vec<RunEvent>) {
    let before = vec![
        RunEvent::RunStarted {
            run_id: "r-42".to_owned(),
            image: "shop:1.4".to_owned(),
            version: "0.1.0".to_owned(),
            engine: "Docker Engine 20.10.24".to_owned(),
        },
        pull("aaa", "Pulling fs layer", None, None),
        pull("aaa", "Downloading", Some(10), Some(2048)),
        pull("aaa", "Downloading", Some(20), Some(2048)),
        pull("aaa", "Pull complete", None, None),
        pull("bbb", "Already exists", None, None),
        RunEvent::Planned {
            source: "label".to_owned(),
            reason: "the image has the label test.ontest".to_owned(),
            triggers: 2,
            files: Some(1),
        },
        RunEvent::ContextProgress { sent: 100, done: false },
        RunEvent::ContextProgress { sent: 2048, done: true },
        step("sha256:1", "[1/2] FROM shop:1.4", StepStatus::Started),
        step("sha256:1", "[1/2] FROM shop:1.4", StepStatus::Cached),
        step("2/2", "RUN apt-get install -y curl", StepStatus::Started),
        RunEvent::BuildOutput { text: "Reading package".to_owned() },
        RunEvent::BuildOutput { text: " lists...\nDone\n".to_owned() },
        step("2/2", "RUN apt-get install -y curl", StepStatus::Done),
        RunEvent::Built {
            image: "shop:1.4-test".to_owned(),
            image_id: "sha256:cc".to_owned(),
            reused: false,
            seconds: 4.2,
        },
        test_started(),
    ];
    let after = vec![
        RunEvent::TestFinished {
            test: "shop:1.4".to_owned(),
            attempt: 1,
            outcome: Outcome::Failed,
            cause: Some(Cause::ExitCode { code: 1 }),
            exit_code: Some(1),
            seconds: 2.3,
            cases: CaseCounts { passed: 10, failed: 2, errored: 0, skipped: 0 },
        },
        RunEvent::Collected { directory: "tests/results".to_owned(), files: 3, bytes: 2048 },
        RunEvent::RunFinished {
            run_id: "r-42".to_owned(),
            outcome: Outcome::Failed,
            exit_code: 1,
            seconds: 9.0,
        },
    ];
    (before, after)
}
