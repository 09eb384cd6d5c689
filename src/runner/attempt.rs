//! One attempt at a test: create, run, take results out, judge, remove.
//!
//! Owns the order of these steps, so that files come out and nothing is left whatever way the container ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::signal::unix::SignalKind;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::Sink;
use super::collect::{self, Collected};
use super::dispose::dispose;
use super::event::RunEvent;
use super::halt;
use super::housekeeping::Housekeeping;
use super::output::{Outlet, Pumped, pump};
use super::secret_files::SecretFiles;
use super::supervise::{Lost, Supervised, supervise};
use super::writable::make_writable;
use crate::engine::docker::{Creation, ResultsVolume};
use crate::engine::{Engine, EngineError, ResourceKind};
use crate::error::Failure;
use crate::ledger::{LostRun, RunLedger};
use crate::metadata::labels::ours;
use crate::plan::{Source, TestPlan};
use crate::redact::Redactor;
use crate::results::Attempt;
use crate::results::verdict::{Ending, Evidence, Stopped, Verdict, exec_failure, judge};
use crate::signal;

/// After the container has ended its streams end too; a connection that is silent instead is not waited for.
const DRAIN: Duration = Duration::from_secs(10);

/// Everything that one attempt needs.
pub struct AttemptContext<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The run's ledger.
    pub ledger: &'a RunLedger,
    /// The run's sweeps.
    pub housekeeping: &'a Housekeeping,
    /// The plan.
    pub plan: &'a TestPlan,
    /// Id of the test image.
    pub image_id: &'a str,
    /// Counted from 1.
    pub number: u32,
    /// Name of the container, where the plan gives it none.
    pub container: String,
    /// Files under `/run/secrets`.
    pub secret_files: &'a SecretFiles,
    /// Where its files go.
    pub place: Place,
    /// Replaces secrets in everything that leaves the container.
    pub redactor: Arc<Redactor>,
    /// Where events and output go.
    pub sink: Sink,
    /// Output goes to the sink as it comes; otherwise into the log alone.
    pub stream: bool,
    /// Hand this process's standard input to the test.
    pub stdin: bool,
    /// Measures the user's terminal: columns and rows.
    pub terminal: Option<TerminalSize>,
    /// What the run may have to say meanwhile.
    pub halts: halt::Receiver,
}

/// Where the files of one attempt go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The directory that they are put in now. It is there.
    pub staging: PathBuf,
    /// Where it will be when the run is over.
    pub target: PathBuf,
    /// The file that takes all output, if one is to.
    pub log: Option<PathBuf>,
}

/// An attempt and what came with it.
#[derive(Debug)]
pub struct Attempted {
    /// For reports.
    pub attempt: Attempt,
    /// For the exit code.
    pub verdict: Verdict,
    /// Name of the container that was left for the user.
    pub kept: Option<String>,
    /// The results are still in the engine: `docker-test results RUN_ID` fetches them.
    pub results_pending: bool,
}

/// Measures a terminal: columns and rows; `None` where there is none any more.
pub type TerminalSize = fn() -> Option<(u16, u16)>;

/// How far the container got.
struct Ran {
    ending: Ending,
    stopped: Option<Stopped>,
    forced: bool,
    tail: String,
    seconds: f64,
    started_at: Option<String>,
    exit_code: Option<i64>,
    /// The record and the archive can be asked for.
    reachable: bool,
    /// They may be, one day: the ledger says how.
    pending: bool,
}

/// Runs one attempt. Errors are the engine's or the ledger's; a failing test is an outcome.
pub async fn run(
    context: &AttemptContext<'_>,
    interrupts: &mut signal::Receiver,
) -> Result<Attempted, Failure> {
    let name = context.plan.container.name.clone().unwrap_or_else(|| context.container.clone());
    // Pull and build are over: what another host has to wait for is the test alone.
    let longest = context.plan.limits.of_attempt();
    context.ledger.ends_within(longest)?;
    let record = context.ledger.record(ResourceKind::Container, &name)?;
    let creation = Creation {
        image: context.image_id.to_owned(),
        labels: context.ledger.labels_within(ours::Role::TestContainer, longest),
        results: context.plan.results_volume.then(|| ResultsVolume {
            path: context.plan.results.clone(),
            labels: context.ledger.labels_within(ours::Role::Volume, longest),
        }),
        platform: context.plan.build.platform.clone(),
    };
    let mut spec = context.plan.container.clone();
    context.secret_files.mount(&mut spec, context.ledger.labels_within(ours::Role::Volume, longest))?;
    let created = context.engine.create_container(&record, &spec, &creation).await?;
    context.secret_files.write(context.engine, &created.id).await?;
    // A test image has a directory that anybody may write to; of one that was not built here nobody knows.
    if context.plan.source == Source::Container && context.plan.results_volume {
        make_writable(context.engine, context.ledger, &created.id, &context.plan.results).await?;
    }
    for warning in created.warnings {
        context.sink.warn(warning);
    }
    let container = Container { name: &name, id: &created.id };
    let ran = run_created(context, &container, interrupts).await?;
    let collected = if ran.reachable && !ran.forced {
        let started = !matches!(ran.ending, Ending::NotStarted { .. });
        let since = ran.started_at.as_deref().and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok());
        let since = since.map(SystemTime::from);
        let collecting = collect::collect(context, &created.id, started, since, interrupts);
        tokio::join!(collecting, context.housekeeping.sweep_again()).0
    } else {
        Collected::default()
    };
    let stopped = match collected.forced {
        Some(signal) => ran.stopped.or(Some(Stopped::Interrupt { signal })),
        None => ran.stopped,
    };
    let evidence = Evidence {
        ending: ran.ending,
        stopped,
        cases: collected.counts,
        unreadable_reports: collected.unreadable_reports,
        over_limit: collected.over_limit,
        incomplete: collected.incomplete,
        oom_is_recorded: context.engine.capabilities().records_out_of_memory,
        exec_failure: exec_failure(&ran.tail),
    };
    let mut verdict = judge(&evidence, context.plan.verdict);
    verdict.warnings.extend(collected.warnings);
    let kept = if ran.pending { None } else { dispose(context, &record, &verdict).await };
    let attempt = Attempt {
        number: context.number,
        outcome: verdict.outcome,
        cause: verdict.cause.clone(),
        exit_code: ran.exit_code,
        started_at: ran.started_at,
        seconds: ran.seconds,
        suites: collected.suites,
        cases: collected.counts,
        files: collected.files,
        log_tail: ran.tail,
        container: Some(created.id),
        slot: None,
        offset_seconds: None,
        log: None,
    };
    context.sink.event(finished(context.plan, &attempt));
    Ok(Attempted { attempt, verdict, kept, results_pending: ran.pending })
}

/// Where the attempt takes place.
struct Container<'a> {
    name: &'a str,
    id: &'a str,
}

async fn run_created(
    context: &AttemptContext<'_>,
    container: &Container<'_>,
    interrupts: &mut signal::Receiver,
) -> Result<Ran, Failure> {
    let (engine, id) = (context.engine, container.id);
    let spec = &context.plan.container;
    let sink = context.stream.then(|| context.sink.clone());
    let outlet = Outlet::open(sink, context.place.log.as_deref()).await?;
    let mut attached = match engine.attach(id, context.stdin, spec.tty).await {
        Ok(attached) => attached,
        // Podman sets the container up before it attaches: what is wrong with the command is seen here already.
        Err(error @ EngineError::Refused { .. }) => return start_failed(error),
        Err(error) => return Err(error.into()),
    };
    let input = context.stdin.then(|| attached.take_input()).flatten();
    let before = Instant::now();
    if let Err(error) = engine.start(id).await {
        return start_failed(error);
    }
    context.sink.event(RunEvent::TestStarted {
        test: context.plan.name.clone(),
        attempt: context.number,
        container: id.to_owned(),
    });
    let sizing = context
        .terminal
        .filter(|_| spec.tty)
        .map(|size| AbortOnDropHandle::new(tokio::spawn(follow_size(engine.clone(), id.to_owned(), size))));
    let forward = input.map(|input| tokio::spawn(forward_stdin(input)));
    let redactor = Arc::clone(&context.redactor);
    let ended = CancellationToken::new();
    let pumping = tokio::spawn(pump(attached, outlet, redactor, ended.clone(), DRAIN));
    let mut halts = context.halts.clone();
    let supervised = supervise(engine, id, context.plan, &context.sink, interrupts, &mut halts, &ended).await;
    let seconds = before.elapsed().as_secs_f64();
    drop(sizing);
    if let Some(forward) = forward {
        forward.abort();
    }
    ended.cancel();
    let pumped = pumping.await.unwrap_or_else(|_| Pumped { broken: true, ..Pumped::default() });
    if pumped.broken && supervised.lost.is_none() && !supervised.forced {
        context.sink.warn("the output stream broke: output may be missing");
    }
    if let Some(problem) = &pumped.log_problem {
        context.sink.warn(format!("the log of {} is not whole: {problem}", context.plan.name));
    }
    after_the_end(context, container, supervised, pumped.tail, seconds).await
}

async fn after_the_end(
    context: &AttemptContext<'_>,
    container: &Container<'_>,
    supervised: Supervised,
    tail: String,
    seconds: f64,
) -> Result<Ran, Failure> {
    let Supervised { stopped, forced, lost } = supervised;
    let mut ran = Ran {
        ending: Ending::EngineLost { message: String::new() },
        stopped,
        forced,
        tail,
        seconds,
        started_at: None,
        exit_code: None,
        reachable: true,
        pending: false,
    };
    let state = match &lost {
        Some(Lost::Gone(message)) => Err(message.clone()),
        Some(Lost::Removed) => return Ok(Ran { ending: Ending::Removed, reachable: false, ..ran }),
        _ => match context.engine.container_state(container.id).await {
            Err(error) if error.is_missing() => {
                return Ok(Ran { ending: Ending::Removed, reachable: false, ..ran });
            }
            Ok(state) if matches!(state.status.as_str(), "removing" | "dead") => {
                return Ok(Ran { ending: Ending::Removed, reachable: false, ..ran });
            }
            state => state.map_err(|error| error.to_string()),
        },
    };
    match (lost, state) {
        (_, Err(message)) => {
            context.ledger.lost(LostRun {
                container: container.name.to_owned(),
                results: context.plan.results.clone(),
                directory: context.place.target.clone(),
                limit: context.plan.limits.results,
            })?;
            ran.ending = Ending::EngineLost { message };
            ran.reachable = false;
            ran.pending = true;
        }
        (Some(Lost::Returned(message)), Ok(_)) => ran.ending = Ending::EngineLost { message },
        (_, Ok(state)) => {
            ran.exit_code = Some(state.exit_code);
            ran.started_at = state.started_at;
            ran.ending = Ending::Exited {
                code: state.exit_code,
                oom_killed: state.oom_killed,
                memory_limit: state.memory_limit,
            };
        }
    }
    Ok(ran)
}

/// A refused start says something about the command; a lost engine does not.
fn start_failed(error: EngineError) -> Result<Ran, Failure> {
    let message = match error {
        EngineError::Refused { message, .. } | EngineError::Failed { message, .. } => message,
        error @ (EngineError::Missing { .. } | EngineError::Lost { .. } | EngineError::TimedOut { .. }) => {
            return Err(error.into());
        }
    };
    Ok(Ran {
        ending: Ending::NotStarted { message },
        stopped: None,
        forced: false,
        tail: String::new(),
        seconds: 0.0,
        started_at: None,
        exit_code: None,
        reachable: true,
        pending: false,
    })
}

/// Tells the test's terminal the size of the user's, now and whenever it changes. A size that cannot be told is of no
/// consequence.
async fn follow_size(engine: Engine, container: String, size: TerminalSize) {
    let Ok(mut changes) = tokio::signal::unix::signal(SignalKind::window_change()) else { return };
    loop {
        if let Some((columns, rows)) = size() {
            let _ = engine.resize(&container, columns, rows).await;
        }
        if changes.recv().await.is_none() {
            return;
        }
    }
}

async fn forward_stdin(mut input: impl tokio::io::AsyncWrite + Unpin) {
    // The test closing its end is not an error of ours.
    let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut input).await;
    let _ = tokio::io::AsyncWriteExt::shutdown(&mut input).await;
}

fn finished(plan: &TestPlan, attempt: &Attempt) -> RunEvent {
    RunEvent::TestFinished {
        test: plan.name.clone(),
        attempt: attempt.number,
        outcome: attempt.outcome,
        cause: attempt.cause.clone(),
        exit_code: attempt.exit_code,
        seconds: attempt.seconds,
        cases: attempt.cases,
    }
}
