//! The outcome model: what became of a test, and the files and cases it left.
//!
//! Owns outcomes, causes, attempts and the reading of results (archive, JUnit, TAP). Does not know who reads
//! them: reports and alerts are made elsewhere from these values, and never change them.

pub mod archive;
pub mod collect;
pub mod directory;
pub mod junit;
pub mod merge;
pub mod service;
pub mod stored;
pub mod tap;
pub mod verdict;

use serde::{Deserialize, Serialize};

pub use merge::{MergedRun, worst_outcome};
pub use service::ServiceResult;

/// What became of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It ran and every verdict was good.
    Passed,
    /// It ran and a verdict was bad.
    Failed,
    /// It failed first and passed on a later attempt.
    Flaky,
    /// It ran longer than it was allowed to.
    TimedOut,
    /// The kernel killed it for want of memory.
    OutOfMemory,
    /// Its command could not be started.
    NotStarted,
    /// The run was cut short: by a signal, or because the engine was lost.
    Aborted,
    /// It was not run, on purpose.
    Skipped,
    /// It was not run, or its verdict does not count, because a service that it needs failed.
    DependencyFailed,
}

/// Why a test did not simply pass, from the engine's own record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// The command ended with a code other than 0.
    ExitCode {
        /// The code.
        code: i64,
    },
    /// The command was ended by a signal that docker-test did not send.
    KilledBySignal {
        /// Signal number.
        signal: u8,
    },
    /// The exit code was 0, but cases in the results failed.
    FailedCases {
        /// How many.
        failed: u64,
    },
    /// The results hold no case at all, and the user asked for that to be a failure.
    NoTests,
    /// The exit code was 0, but report files were cut short or broken.
    UnreadableReport {
        /// How many files.
        files: u64,
    },
    /// The kernel killed the container for want of memory.
    OutOfMemory {
        /// The limit in bytes, where one was set.
        limit: Option<u64>,
    },
    /// The time allowed was over.
    Timeout {
        /// The limit in seconds.
        seconds: f64,
    },
    /// The command is not in the image (127).
    CommandNotFound {
        /// What the engine said.
        message: String,
    },
    /// The command is there but cannot be executed (126).
    CommandNotExecutable {
        /// What the engine said.
        message: String,
    },
    /// The engine could not start the container, for another reason.
    NotStarted {
        /// What the engine said.
        message: String,
    },
    /// The engine went away while the test ran.
    EngineLost {
        /// What was seen.
        message: String,
    },
    /// Somebody else removed the container while the test ran.
    ContainerRemoved,
    /// The user or CI sent a signal.
    Interrupted {
        /// Signal number.
        signal: u8,
    },
    /// The results could not be taken out, or not all of them.
    ResultsIncomplete {
        /// What failed.
        message: String,
    },
    /// The results were larger than `--results-limit`.
    ResultsLimit {
        /// The limit in bytes.
        limit: u64,
    },
    /// It ran when the time for the whole run was over.
    RunTimeout {
        /// The limit in seconds.
        seconds: f64,
    },
    /// It was not run: a run that the user cut short, or a limit of his.
    NotRun {
        /// Why.
        reason: String,
    },
    /// It was not run: nothing that it depends on has changed since it passed.
    Cached {
        /// The run in which it passed.
        run_id: String,
        /// When, RFC 3339, UTC.
        at: String,
    },
    /// A service or a test that the test needs did not become ready, ended, or did not pass.
    DependencyFailed {
        /// Name of the service or test.
        service: String,
        /// What became of it.
        message: String,
        /// The last lines of its output.
        log_tail: String,
    },
}

/// How many cases of each kind the test's own reports hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseCounts {
    /// Cases that passed.
    pub passed: u64,
    /// Cases with a failed assertion.
    pub failed: u64,
    /// Cases that ended with an error.
    pub errored: u64,
    /// Cases that were skipped.
    pub skipped: u64,
}

impl CaseCounts {
    /// All of them.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.passed + self.failed + self.errored + self.skipped
    }

    /// Those that speak against the image.
    #[must_use]
    pub const fn bad(self) -> u64 {
        self.failed + self.errored
    }
}

/// The status of one case in a report that the test wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseStatus {
    /// It passed.
    Passed,
    /// An assertion failed.
    Failed,
    /// It ended with an error.
    Errored,
    /// It was skipped.
    Skipped,
}

/// One case of a JUnit or TAP file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Name of the case.
    pub name: String,
    /// Class name, where the file has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// What became of it.
    pub status: CaseStatus,
    /// Duration in seconds, where the file has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The `message` of the failure, error or skip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The `type` of the failure or error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The text of the failure or error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What the case wrote to its standard output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    /// What the case wrote to its standard error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
    /// Source file, where the report names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in that file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// One suite: a `<testsuite>` or a TAP file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CaseSuite {
    /// Name of the suite.
    pub name: String,
    /// The file it was read from, relative to the results directory.
    pub source: String,
    /// Its cases.
    pub cases: Vec<Case>,
}

/// A file that was taken out of the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultFile {
    /// Path relative to the results directory, with `/`.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
}

/// Everything about one attempt at a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// Its own outcome (never flaky).
    pub outcome: Outcome,
    /// Why it did not simply pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The container's exit code, where it ran.
    pub exit_code: Option<i64>,
    /// When the container was started, RFC 3339, UTC.
    pub started_at: Option<String>,
    /// How long the container ran, in seconds.
    pub seconds: f64,
    /// Suites read from its result files.
    pub suites: Vec<CaseSuite>,
    /// Counts over those suites.
    pub cases: CaseCounts,
    /// Files taken out.
    pub files: Vec<ResultFile>,
    /// The last lines of its output, stdout and stderr as they came.
    pub log_tail: String,
    /// Container id.
    pub container: Option<String>,
    /// Which of the parallel slots it ran on, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// When it began, in seconds from the start of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset_seconds: Option<f64>,
    /// The file with its whole output, relative to the results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// What became of one test over all its attempts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// Name of the test: the image as the user wrote it, unless a suite names it.
    pub name: String,
    /// The image under test.
    pub image: String,
    /// Its id.
    pub image_id: String,
    /// The tag of the test image that ran.
    pub test_image: String,
    /// `test.type`.
    #[serde(rename = "type")]
    pub test_type: String,
    /// Where the recipe came from.
    pub source: String,
    /// The verdict.
    pub outcome: Outcome,
    /// Why it did not simply pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// It is flaky, and that counts as failed: `--flaky-result fail`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flaky_fails: bool,
    /// Every attempt, in order.
    pub attempts: Vec<Attempt>,
    /// Directory the files are in, where there is one.
    pub results_dir: Option<String>,
    /// Things to know that changed no outcome.
    pub warnings: Vec<String>,
    /// The run that it belongs to, where reports of several were merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
}

impl TestResult {
    /// Whether it makes the run fail, or keeps it from a verdict.
    #[must_use]
    pub const fn is_bad(&self) -> bool {
        match self.outcome {
            Outcome::Passed | Outcome::Skipped => false,
            Outcome::Flaky => self.flaky_fails,
            Outcome::Failed
            | Outcome::TimedOut
            | Outcome::OutOfMemory
            | Outcome::NotStarted
            | Outcome::Aborted
            | Outcome::DependencyFailed => true,
        }
    }

    /// The attempt that decided.
    #[must_use]
    pub fn last_attempt(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// How long all attempts took together, in seconds; the waits between them are no part of it.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        // A sum of nothing would be -0.
        self.attempts.iter().fold(0.0, |sum, attempt| sum + attempt.seconds)
    }
}

/// The whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResults {
    /// Version of this document's schema.
    pub schema: u32,
    /// Version of docker-test.
    pub version: String,
    /// Identifies the run.
    pub run_id: String,
    /// The engine, in words.
    pub engine: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Duration in seconds, build included.
    pub seconds: f64,
    /// The outcome of the run: the worst of its tests.
    pub outcome: Outcome,
    /// What the process exits with.
    pub exit_code: u8,
    /// Every test.
    pub tests: Vec<TestResult>,
    /// Services that the run started or joined for its tests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceResult>,
    /// The runs that this document was merged from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<MergedRun>,
}
