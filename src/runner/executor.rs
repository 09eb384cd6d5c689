//! One test from plan to verdict: its image, its attempts, the waits between them.
//!
//! Owns that order, for the only test of a run and for one of many alike. Where files end up is [`super::layout`]'s, and
//! what comes before and after the test is the caller's.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Sink;
use super::attempt::{self, AttemptContext, Attempted, TerminalSize};
use super::builds::Builds;
use super::event::RunEvent;
use super::halt;
use super::housekeeping::Housekeeping;
use super::layout::Layout;
use super::retry::may_change;
use super::secret_files::SecretFiles;
use crate::engine::{Engine, Image};
use crate::environment::Environment;
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::image::build::{BuiltTest, Workshop};
use crate::image::logins::Logins;
use crate::ledger::RunLedger;
use crate::plan::{Source, TestPlan};
use crate::redact::Redactor;
use crate::results::verdict::{Verdict, exit_code};
use crate::results::{Attempt, Cause, Outcome};
use crate::signal;

/// Everything that one test needs.
pub struct Execution<'a> {
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
    /// Files under `/run/secrets`.
    pub secret_files: &'a SecretFiles,
    /// The run's test images.
    pub builds: &'a Builds,
    /// Logins for base images.
    pub logins: &'a Logins,
    /// For build secrets and the ssh agent.
    pub environment: &'a Environment,
    /// Replaces secrets.
    pub redactor: Arc<Redactor>,
    /// Where events go.
    pub sink: Sink,
    /// Output goes there as it comes.
    pub stream: bool,
    /// Hand this process's standard input to the test.
    pub stdin: bool,
    /// Measures the user's terminal.
    pub terminal: Option<TerminalSize>,
    /// Which test of the run it is, counted from 1: its containers are named by it.
    pub number: usize,
    /// The slot that it has, counted from 1, and when the run began.
    pub slot: Option<(usize, Instant)>,
    /// Where files go.
    pub layout: Layout,
    /// An attempt that takes longer is said to be slow.
    pub slow_after: Option<Duration>,
    /// What the run may have to say meanwhile.
    pub halts: halt::Receiver,
}

/// What became of it.
#[derive(Debug)]
pub struct Executed {
    /// Every attempt, in order.
    pub attempts: Vec<Attempt>,
    /// The verdict over all of them.
    pub verdict: Verdict,
    /// Containers that were left for the user.
    pub kept: Vec<String>,
    /// The results of the last attempt are still in the engine.
    pub results_pending: bool,
    /// What the test image was made of: its key, or the image itself.
    pub recipe_key: Option<String>,
    /// Why a further attempt could not be made. What the earlier ones came to stands.
    pub failure: Option<Failure>,
}

impl Executed {
    /// The exit code of the last attempt's container.
    fn exit_code(&self) -> Option<i64> {
        self.attempts.last().and_then(|attempt| attempt.exit_code)
    }

    /// What the process exits with for this test.
    #[must_use]
    pub fn exit(&self, propagate: bool, flaky_fails: bool) -> ExitCode {
        let exit = match self.verdict.outcome {
            Outcome::Flaky if flaky_fails => ExitCode::TestsFailed,
            _ => exit_code(&self.verdict, self.exit_code(), propagate),
        };
        if self.failure.is_some() { exit.worst(ExitCode::Error) } else { exit }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.attempts.len()).unwrap_or(u32::MAX)
    }
}

/// Builds the test image and makes attempts until one passes or there are no more.
pub async fn execute(
    execution: &Execution<'_>,
    interrupts: &mut signal::Receiver,
) -> Result<Executed, Failure> {
    let mut executed = Executed {
        attempts: Vec::new(),
        verdict: Verdict { outcome: Outcome::NotStarted, cause: None, warnings: Vec::new() },
        kept: Vec::new(),
        results_pending: false,
        recipe_key: None,
        failure: None,
    };
    let mut halts = execution.halts.clone();
    let built = tokio::select! {
        image = test_image(execution, execution.existing, interrupts) => image?,
        halt = halt::wait(&mut halts) => {
            let verdict = Verdict { outcome: halt.outcome, cause: Some(halt.cause), warnings: Vec::new() };
            return Ok(Executed { verdict, ..executed });
        }
    };
    let mut image = built.image_id;
    executed.recipe_key = Some(built.key);
    let mut rebuilt = false;
    let so_far = *interrupts.borrow();
    // One of many that has not begun need not begin: starting it would only make the end wait for it.
    if so_far.count > 0 && execution.slot.is_some() {
        let cause = Some(Cause::Interrupted { signal: so_far.signal });
        let verdict = Verdict { outcome: Outcome::Aborted, cause, warnings: Vec::new() };
        return Ok(Executed { verdict, ..executed });
    }
    loop {
        let number = executed.count() + 1;
        let attempted = match attempt(execution, &image, number, interrupts).await {
            // Another run has built the same test image anew, and removed this one, before it was used.
            Err(_) if !rebuilt && is_gone(execution, &image).await => {
                rebuilt = true;
                execution.builds.forget(execution.plan);
                match test_image(execution, None, interrupts).await {
                    Ok(built) => image = built.image_id,
                    Err(failure) if number > 1 => {
                        executed.failure = Some(failure);
                        break;
                    }
                    Err(failure) => return Err(failure),
                }
                continue;
            }
            // What was tried before is told all the same. An interrupt tells itself.
            Err(failure) if number > 1 => {
                let is_ours = interrupts.borrow().count == 0;
                executed.failure = is_ours.then_some(failure);
                break;
            }
            attempted => attempted?,
        };
        take(&mut executed, attempted);
        let wait = execution.plan.retries.after(number).filter(|_| may_change(&executed.verdict));
        let is_over = interrupts.borrow().count > 0 || execution.halts.borrow().is_some();
        let Some(wait) = wait.filter(|_| !is_over) else { break };
        execution.sink.event(RunEvent::TestRetry {
            test: execution.plan.name.clone(),
            attempt: number + 1,
            of: execution.plan.retries.count + 1,
            delay_seconds: wait.as_secs_f64(),
        });
        if !waited(wait, interrupts, &execution.halts).await {
            break;
        }
    }
    execution.layout.settle(executed.count())?;
    if executed.verdict.outcome == Outcome::Passed && executed.attempts.len() > 1 {
        let first = executed.attempts.first().and_then(|attempt| attempt.cause.clone());
        executed.verdict = Verdict { outcome: Outcome::Flaky, cause: first, ..executed.verdict };
    }
    Ok(executed)
}

fn take(executed: &mut Executed, attempted: Attempted) {
    let Attempted { attempt, verdict, kept, results_pending } = attempted;
    let mut warnings = std::mem::take(&mut executed.verdict.warnings);
    for warning in &verdict.warnings {
        if !warnings.contains(warning) {
            warnings.push(warning.clone());
        }
    }
    executed.verdict = Verdict { warnings, ..verdict };
    executed.attempts.push(attempt);
    executed.kept.extend(kept);
    executed.results_pending = results_pending;
}

/// Waits before a retry; false where the run has no use for one any more.
async fn waited(wait: Duration, interrupts: &signal::Receiver, halts: &halt::Receiver) -> bool {
    let (mut interrupts, mut halts) = (interrupts.clone(), halts.clone());
    tokio::select! {
        biased;
        _ = signal::wait_for(&mut interrupts, 1) => false,
        _ = halt::wait(&mut halts) => false,
        () = sleep(wait) => true,
    }
}

async fn is_gone(execution: &Execution<'_>, image: &str) -> bool {
    execution.plan.source != Source::Container && matches!(execution.engine.image(image).await, Ok(None))
}

async fn test_image(
    execution: &Execution<'_>,
    existing: Option<&Image>,
    interrupts: &signal::Receiver,
) -> Result<BuiltTest, Failure> {
    let workshop = Workshop {
        engine: execution.engine,
        ledger: execution.ledger,
        target: execution.target,
        existing,
        logins: execution.logins,
        environment: execution.environment,
        sink: execution.sink.clone(),
    };
    // Only now is it known how long the image's own labels let the test run.
    execution.ledger.ends_within(execution.plan.limits.of_run())?;
    execution.builds.ensure(execution.plan, &workshop, interrupts).await
}

async fn attempt(
    execution: &Execution<'_>,
    image_id: &str,
    number: u32,
    interrupts: &mut signal::Receiver,
) -> Result<Attempted, Failure> {
    // Without a slot it is the only test of its run, and nothing is built any more.
    if execution.slot.is_none() {
        execution.ledger.all_ends_within(execution.plan.limits.of_attempt())?;
    }
    let context = AttemptContext {
        engine: execution.engine,
        ledger: execution.ledger,
        housekeeping: execution.housekeeping,
        plan: execution.plan,
        image_id,
        number,
        container: container_name(execution, number),
        secret_files: execution.secret_files,
        place: execution.layout.place(number)?,
        redactor: Arc::clone(&execution.redactor),
        sink: execution.sink.clone(),
        stream: execution.stream,
        stdin: execution.stdin,
        terminal: execution.terminal,
        halts: execution.halts.clone(),
    };
    let began = Instant::now();
    let mut attempting = Box::pin(attempt::run(&context, interrupts));
    let mut notice = execution.slow_after.unwrap_or(Duration::MAX);
    let mut attempted = loop {
        tokio::select! {
            attempted = &mut attempting => break attempted?,
            () = sleep(notice.saturating_sub(began.elapsed())), if notice < Duration::MAX => {
                let (test, seconds) = (execution.plan.name.clone(), began.elapsed().as_secs_f64());
                execution.sink.event(RunEvent::TestSlow { test, attempt: number, seconds });
                notice = notice.saturating_mul(2);
            }
        }
    };
    attempted.attempt.log = execution.layout.log(number);
    if let Some((slot, run_began)) = execution.slot {
        attempted.attempt.slot = u32::try_from(slot).ok();
        attempted.attempt.offset_seconds = Some(began.duration_since(run_began).as_secs_f64());
    }
    Ok(attempted)
}

/// `docker-test-RUN-1`, and for other tests of the run `docker-test-RUN-2.1`: test and attempt.
fn container_name(execution: &Execution<'_>, attempt: u32) -> String {
    let run = execution.ledger.run_id();
    match execution.number {
        1 => format!("docker-test-{run}-{attempt}"),
        number => format!("docker-test-{run}-{number}.{attempt}"),
    }
}
