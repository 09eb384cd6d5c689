//! One image from plan to verdict: test image, attempts, results, cleanup.
//!
//! Owns that order and the promise that whatever way it ends, results are in their directory and the engine is clean.

use std::sync::Arc;

use super::Sink;
use super::attempt::TerminalSize;
use super::builds::Builds;
use super::executor::{self, Executed, Execution};
use super::halt;
use super::housekeeping::Housekeeping;
use super::layout::Layout;
use super::secret_files::SecretFiles;
use super::unrun;
use crate::engine::{Engine, Image};
use crate::environment::Environment;
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::image::logins::Logins;
use crate::ledger::RunLedger;
use crate::plan::TestPlan;
use crate::redact::Redactor;
use crate::results::directory::{Committed, ResultsDirectory};
use crate::results::verdict::Verdict;
use crate::results::{Cause, Outcome, TestResult};
use crate::signal;

/// Everything that one test of one image needs.
pub struct Job<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The run's ledger.
    pub ledger: &'a RunLedger,
    /// The run's sweeps.
    pub housekeeping: &'a Housekeeping,
    /// The plan.
    pub plan: &'a TestPlan,
    /// The image under test.
    pub target: &'a Image,
    /// The image that bears the test image's name now.
    pub existing: Option<&'a Image>,
    /// Logins for base images.
    pub logins: &'a Logins,
    /// For build secrets and the ssh agent.
    pub environment: &'a Environment,
    /// Replaces secrets.
    pub redactor: Arc<Redactor>,
    /// Where events go.
    pub sink: Sink,
    /// Hand this process's standard input to the test.
    pub stdin: bool,
    /// Measures the user's terminal.
    pub terminal: Option<TerminalSize>,
    /// `--propagate-exit-code`
    pub propagate: bool,
    /// `--flaky-result fail`
    pub flaky_fails: bool,
}

/// A finished test.
#[derive(Debug)]
pub struct Finished {
    /// For reports.
    pub result: TestResult,
    /// What the process exits with.
    pub exit: ExitCode,
    /// Containers that were left for the user.
    pub kept: Vec<String>,
    /// Why there is no verdict, where the program itself failed.
    pub failure: Option<Failure>,
}

/// Builds, runs and judges one test. Never fails: an error of ours becomes part of the result, so that reports tell
/// it too.
pub async fn run(job: &Job<'_>, directory: ResultsDirectory, interrupts: &mut signal::Receiver) -> Finished {
    let mut finished = match build_and_run(job, directory, interrupts).await {
        Ok(finished) => finished,
        Err(failure) => failed(job, failure, *interrupts.borrow()),
    };
    for leftover in job.ledger.close(job.engine).await {
        job.sink.warn(leftover.to_string());
    }
    finished.result.warnings.extend(job.plan.warnings.iter().cloned());
    finished
}

async fn build_and_run(
    job: &Job<'_>,
    directory: ResultsDirectory,
    interrupts: &mut signal::Receiver,
) -> Result<Finished, Failure> {
    let builds = Builds::default();
    let secret_files = SecretFiles::default();
    let (_said, halts) = halt::channel();
    let execution = Execution {
        engine: job.engine,
        ledger: job.ledger,
        housekeeping: job.housekeeping,
        plan: job.plan,
        target: job.target,
        existing: job.existing,
        secret_files: &secret_files,
        builds: &builds,
        logins: job.logins,
        environment: job.environment,
        redactor: Arc::clone(&job.redactor),
        sink: job.sink.clone(),
        stream: true,
        stdin: job.stdin,
        terminal: job.terminal,
        number: 1,
        slot: None,
        layout: Layout::alone(directory.staging(), directory.target(), job.plan.retries.count > 0),
        slow_after: None,
        halts,
    };
    let mut executed = executor::execute(&execution, interrupts).await?;
    let last = executed.attempts.last();
    let is_empty = last.is_none_or(|last| last.outcome == Outcome::NotStarted && last.files.is_empty());
    let keeps_older = executed.results_pending || is_empty && executed.attempts.len() < 2;
    let (results_dir, failure) = if keeps_older { (None, None) } else { commit(job, directory) };
    if let Some(failure) = &failure {
        executed.verdict = without_results(executed.verdict, failure);
    }
    let exit = executed.exit(job.propagate, job.flaky_fails);
    let Executed { attempts, verdict, kept, failure: unmade, .. } = executed;
    let Verdict { outcome, cause, warnings } = verdict;
    let flaky_fails = job.flaky_fails && outcome == Outcome::Flaky;
    let known = unrun::planned(job.plan);
    let result = TestResult { outcome, cause, flaky_fails, attempts, results_dir, warnings, ..known };
    Ok(Finished { result, exit, kept, failure: unmade.or(failure) })
}

/// Puts the results in their place. Where that fails the verdict of the test is still one.
fn commit(job: &Job<'_>, directory: ResultsDirectory) -> (Option<String>, Option<Failure>) {
    match directory.commit() {
        Ok(Committed { directory, leftover }) => {
            if let Some(leftover) = leftover {
                let leftover = leftover.display();
                job.sink.warn(format!("the older results cannot be removed, and are in {leftover}"));
            }
            (Some(directory.display().to_string()), None)
        }
        Err(error) => (None, Some(error.into())),
    }
}

/// A pass without its results is none; a failure stays what it is.
fn without_results(verdict: Verdict, failure: &Failure) -> Verdict {
    if !matches!(verdict.outcome, Outcome::Passed | Outcome::Flaky) {
        return verdict;
    }
    let message = failure.chain().join(": ");
    Verdict { outcome: Outcome::Aborted, cause: Some(Cause::ResultsIncomplete { message }), ..verdict }
}

/// An error of ours as a result: nothing ran, and the reports say why.
fn failed(job: &Job<'_>, failure: Failure, interrupted: signal::Interrupts) -> Finished {
    ended_by(failure, interrupted, unrun::planned(job.plan))
}

/// The same before there was a plan: of the test no more is known than what the user asked for.
#[must_use]
pub fn without_plan(
    image: &str,
    test_image: &str,
    failure: Failure,
    interrupted: signal::Interrupts,
) -> Finished {
    let known = TestResult { test_image: test_image.to_owned(), ..unrun::unplanned(image, image) };
    ended_by(failure, interrupted, known)
}

fn ended_by(failure: Failure, interrupted: signal::Interrupts, known: TestResult) -> Finished {
    let (outcome, cause, exit) = if interrupted.count > 0 {
        let signal = interrupted.signal;
        (Outcome::Aborted, Cause::Interrupted { signal }, ExitCode::Signal(signal))
    } else {
        (Outcome::NotStarted, Cause::NotStarted { message: failure.to_string() }, ExitCode::Error)
    };
    let result = TestResult { outcome, cause: Some(cause), ..known };
    Finished { result, exit, kept: Vec::new(), failure: Some(failure) }
}
