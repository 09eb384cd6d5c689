//! The tasks beside the daemon: one that reads the file again when it changes, one that follows the engine.
//!
//! Owns when a configuration is read again, that a bad one leaves the old one in place, and when an engine that does not
//! answer is told of.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::super::application::Running;
use super::super::connect;
use super::super::flags::EngineFlags;
use super::configured::{self, Configured, Current, Kit};
use super::{WatchArgs, WatchError, lines};
use crate::error::Failure;
use crate::suite::select::Filter;
use crate::watch::Input;
use crate::watch::following::{self, LabelReader};

/// The file is looked at so often.
const LOOK: Duration = Duration::from_secs(2);
/// An engine that is away for less is not told of.
const PATIENCE: Duration = Duration::from_secs(30);
/// An engine that could be followed for so long does answer.
const STEADY: Duration = Duration::from_secs(5);
/// Between two tries to reach it; doubled up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(15);

/// Tasks beside the daemon.
pub(super) struct Tasks(Vec<JoinHandle<()>>);

impl Tasks {
    pub(super) fn abort(self) {
        for task in self.0 {
            task.abort();
        }
    }
}

/// Begins them.
pub(super) fn begin(
    args: &WatchArgs,
    configured: &Configured,
    app: &Running,
    kit: Kit,
    inputs: &mpsc::Sender<Input>,
) -> Result<Tasks, Failure> {
    let hangup = signal(SignalKind::hangup()).map_err(WatchError::Hangup)?;
    let reload = Reload {
        suite: args.suite.clone(),
        labels: !args.no_labels,
        filter: args.filter.clone(),
        redact: args.redact.clone(),
        path: configured.path.clone(),
        has_file: configured.has_file,
        kit,
        inputs: inputs.clone(),
    };
    let engine = Attended {
        flags: args.engine.clone(),
        app: app.clone(),
        name: configured::engine_name(&args.engine, app),
        current: reload.kit.current.clone(),
        inputs: inputs.clone(),
    };
    let reader = (!args.no_labels).then(|| engine.current.label_reader());
    Ok(Tasks(vec![tokio::spawn(reload.run(hangup)), tokio::spawn(engine.run(reader))]))
}

/// Reads the file again.
struct Reload {
    suite: Option<PathBuf>,
    labels: bool,
    filter: Vec<Filter>,
    redact: Vec<String>,
    path: PathBuf,
    has_file: bool,
    kit: Kit,
    inputs: mpsc::Sender<Input>,
}

impl Reload {
    async fn run(mut self, mut hangup: tokio::signal::unix::Signal) {
        let (mut read, mut last) = (print(&self.path), print(&self.path));
        let mut ticks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                _ = hangup.recv() => {}
                _ = ticks.tick() => {
                    let now = print(&self.path);
                    // It is read when it is the same at two looks: somebody may be writing it.
                    let is_settled = now == last;
                    last = now;
                    if !is_settled || now == read {
                        continue;
                    }
                }
            }
            read = print(&self.path);
            self.read().await;
        }
    }

    async fn read(&mut self) {
        let about = "configuration".to_owned();
        if self.has_file && !self.path.exists() {
            let path = self.path.display();
            let problem = format!("{path} is not there, and the configuration before stays");
            self.send(Input::Problem { about, problem: Some(problem) }).await;
            return;
        }
        let read =
            configured::read(self.suite.as_deref(), &self.filter, self.labels, &self.redact, &self.kit.app)
                .map(|configured| configured.after(&self.kit.current))
                .and_then(|configured| Ok((self.kit.means(&configured)?, configured)));
        let (means, configured) = match read {
            Ok(read) => read,
            Err(failure) => {
                let why = failure.chain().join(": ");
                let problem = format!("the configuration cannot be used, and the one before stays: {why}");
                self.send(Input::Problem { about, problem: Some(problem) }).await;
                return;
            }
        };
        lines::say("the configuration was read again");
        self.has_file = configured.has_file;
        self.kit.current.adopt(&configured);
        self.send(Input::Problem { about, problem: None }).await;
        self.send(Input::Means(Box::new(means))).await;
        for input in configured.inputs() {
            self.send(input).await;
        }
    }

    async fn send(&self, input: Input) {
        // The daemon has ended, and this task ends with it.
        let _unheard = self.inputs.send(input).await;
    }
}

/// What a file looks like from outside. An editor puts another file in its place, often.
fn print(path: &Path) -> Option<(SystemTime, u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len(), found.ino()))
}

/// An engine that is followed.
struct Attended {
    flags: EngineFlags,
    app: Running,
    name: String,
    current: Current,
    inputs: mpsc::Sender<Input>,
}

impl Attended {
    async fn run(self, reader: Option<Box<LabelReader>>) {
        let (mut pause, mut has_answered, mut is_said) = (FIRST_PAUSE, false, false);
        let mut lost_since = Instant::now();
        self.send(Input::Labels { engine: reader.as_ref().map(|_| self.name.clone()) }).await;
        // A daemon before this one may have followed it.
        let mut is_followed = true;
        loop {
            let was_followed = is_followed;
            is_followed = reader.is_some() || self.current.needs_engine();
            if !is_followed {
                if was_followed {
                    self.send(Input::Unfollowed).await;
                }
                lost_since = Instant::now();
                tokio::time::sleep(LOOK).await;
                continue;
            }
            let trouble = match connect::connect(&self.flags, &self.app).await {
                Ok(connection) => {
                    let begun = Instant::now();
                    let engine = &connection.engine;
                    let error = following::follow(engine, reader.as_deref(), &self.name, &self.inputs).await;
                    connection.close().await;
                    // One that answers and cannot be followed is as bad as one that does not answer.
                    if begun.elapsed() >= STEADY {
                        (pause, has_answered) = (FIRST_PAUSE, true);
                        lost_since = Instant::now();
                    }
                    error.to_string()
                }
                Err(failure) => failure.chain().join(": "),
            };
            if has_answered || self.current.needs_engine() {
                if lost_since.elapsed() >= PATIENCE {
                    let name = self.name.clone();
                    self.send(Input::Engine { name, trouble: Some(trouble) }).await;
                }
            } else if !is_said {
                is_said = true;
                lines::say(&format!("no engine can be followed, and labels are not looked at: {trouble}"));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    async fn send(&self, input: Input) {
        // The daemon has ended, and this task ends with it.
        let _unheard = self.inputs.send(input).await;
    }
}

/// Finds the probes of an engine once.
pub(super) async fn discover_once(
    flags: &EngineFlags,
    app: &Running,
    reader: &LabelReader,
    inputs: &mpsc::Sender<Input>,
) -> Result<(), Failure> {
    let connection = connect::connect(flags, app).await?;
    let name = configured::engine_name(flags, app);
    let found = following::discover(&connection.engine, reader, &name, inputs).await;
    connection.close().await;
    Ok(found?)
}
