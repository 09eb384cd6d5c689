//! What happens during a run, as a stream of plain values.
//!
//! The runner sends these; progress displays and the NDJSON stream read them. They are part of the machine
//! contract (`--format json`), so fields are added, never renamed.

use serde::Serialize;

pub use crate::engine::event::{OutputStream, StepStatus};
use crate::results::{CaseCounts, Cause, Outcome};

/// One thing that happened. Serialised as `{"event": "...", ...}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunEvent {
    /// The run exists and has an id.
    RunStarted {
        /// Identifies the run in labels, ledger and reports.
        run_id: String,
        /// The image under test as the user wrote it.
        image: String,
        /// Version of docker-test.
        version: String,
        /// The engine, in words for people: `Docker Engine 20.10.24 at unix:///var/run/docker.sock`.
        engine: String,
    },
    /// All tests of a run of several are known, and wait for their turn.
    Queued {
        /// How many tests there are.
        tests: usize,
        /// How many run at a time.
        jobs: usize,
        /// How long the tests will take in seconds, one after another, from recorded durations where all are known.
        #[serde(skip_serializing_if = "Option::is_none")]
        expected_seconds: Option<f64>,
    },
    /// A service is being started.
    ServiceStarting {
        /// Its name.
        service: String,
        /// Its image.
        image: String,
    },
    /// A service can be used.
    ServiceReady {
        /// Its name.
        service: String,
        /// How long it took, in seconds.
        seconds: f64,
    },
    /// A service did not become ready, or ended while tests needed it.
    ServiceFailed {
        /// Its name.
        service: String,
        /// What is wrong, to be read after its name.
        message: String,
        /// The last lines of its output.
        log_tail: String,
    },
    /// A test has a slot: its image is looked for or built, and it runs.
    TestPreparing {
        /// Name of the test.
        test: String,
        /// The slot, counted from 1.
        slot: usize,
        /// How long it took the last times, in seconds, where that is recorded.
        #[serde(skip_serializing_if = "Option::is_none")]
        expected_seconds: Option<f64>,
    },
    /// A layer of the target is being pulled.
    PullProgress {
        /// Layer id.
        layer: String,
        /// What the engine says it does: `Downloading`, `Extracting`, ….
        status: String,
        /// Bytes so far, where known.
        current: Option<u64>,
        /// Bytes in all, where known.
        total: Option<u64>,
    },
    /// The plan is settled.
    Planned {
        /// Where the recipe came from: label, onbuild, recipe, dockerfile, command or image.
        source: String,
        /// Why that source applied, for people.
        reason: String,
        /// Number of trigger instructions.
        triggers: usize,
        /// Files of the user's directory that are sent to the builder, where they can be listed.
        files: Option<usize>,
    },
    /// Bytes of the build context sent so far.
    ContextProgress {
        /// Bytes sent.
        sent: u64,
        /// True once the whole context was sent.
        done: bool,
    },
    /// A build step began, ended or was found in the cache.
    BuildStep {
        /// Stable within the build: a vertex digest, or `N/M`.
        id: String,
        /// The step as the builder names it.
        name: String,
        /// started, cached, done or failed.
        status: StepStatus,
    },
    /// A line or chunk that the builder printed.
    BuildOutput {
        /// The text, as printed.
        text: String,
    },
    /// The test image is there.
    Built {
        /// Its tag.
        image: String,
        /// Its id.
        image_id: String,
        /// True where an unchanged image was used again and nothing was built.
        reused: bool,
        /// How long it took, in seconds.
        seconds: f64,
    },
    /// The test container runs.
    TestStarted {
        /// Name of the test.
        test: String,
        /// Attempt, counted from 1.
        attempt: u32,
        /// Container id.
        container: String,
    },
    /// The test printed something.
    Output {
        /// Which stream.
        stream: OutputStream,
        /// The text; bytes that are not UTF-8 are replaced.
        text: String,
    },
    /// The test container is being stopped.
    Stopping {
        /// Why: timeout, interrupt, output closed.
        reason: String,
        /// The signal sent.
        signal: String,
        /// Seconds until SIGKILL follows.
        grace_seconds: f64,
    },
    /// Results were taken out of the container.
    Collected {
        /// Where they are.
        directory: String,
        /// Regular files.
        files: u64,
        /// Bytes in all.
        bytes: u64,
    },
    /// Something the user should know, that changes no outcome.
    Warning {
        /// One sentence.
        message: String,
    },
    /// A test is judged.
    TestFinished {
        /// Name of the test.
        test: String,
        /// Attempt, counted from 1.
        attempt: u32,
        /// The outcome.
        outcome: Outcome,
        /// Why, where it did not pass.
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
        /// The container's exit code, where there is one.
        exit_code: Option<i64>,
        /// How long the container ran, in seconds.
        seconds: f64,
        /// Cases in the reports that the test wrote.
        cases: CaseCounts,
    },
    /// A test takes longer than it should.
    TestSlow {
        /// Name of the test.
        test: String,
        /// Attempt, counted from 1.
        attempt: u32,
        /// How long it has been running, in seconds.
        seconds: f64,
    },
    /// A test did not pass, and is run again.
    TestRetry {
        /// Name of the test.
        test: String,
        /// The attempt that follows.
        attempt: u32,
        /// How many attempts there will be at most.
        of: u32,
        /// Seconds until it starts.
        delay_seconds: f64,
    },
    /// Nothing more happens to a test of a run of several: after its last attempt, or because it is not run at all.
    TestEnded {
        /// Name of the test.
        test: String,
        /// The outcome over all attempts.
        outcome: Outcome,
        /// Why, where it did not pass.
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
        /// How many attempts were made; none where it was not run.
        attempts: u32,
        /// How long its containers ran in all, in seconds.
        seconds: f64,
        /// Cases of its last attempt.
        cases: CaseCounts,
        /// The slot that is free now.
        #[serde(skip_serializing_if = "Option::is_none")]
        slot: Option<usize>,
        /// The last lines that a test printed which did not pass.
        #[serde(skip_serializing_if = "String::is_empty")]
        log_tail: String,
        /// The file with the whole output of its last attempt, where it will be when the run is over.
        #[serde(skip_serializing_if = "Option::is_none")]
        log: Option<String>,
    },
    /// No further test is started.
    Stopped {
        /// Why: too many failures, the time of the run is over, an interrupt.
        reason: String,
        /// How many tests will not run.
        tests: usize,
    },
    /// Nothing more will happen.
    RunFinished {
        /// Same as in `run_started`.
        run_id: String,
        /// The outcome of the whole run.
        outcome: Outcome,
        /// What the process exits with.
        exit_code: u8,
        /// From start to here, in seconds.
        seconds: f64,
    },
}
