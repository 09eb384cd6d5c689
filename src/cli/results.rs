//! `docker-test results RUN_ID`: fetches the files of a run whose engine went away, once it is back.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use super::application::Running;
use super::connect;
use super::flags::EngineFlags;
use super::terminal;
use crate::error::{Category, Diagnose, Failure};
use crate::exit_code::ExitCode;
use crate::ledger::{self, LostRun, RunState};
use crate::plan::syntax::units;
use crate::results::directory::ResultsDirectory;
use crate::runner::collect::{self, Wanted};

/// Flags of `results`.
#[derive(Debug, Args)]
pub(super) struct ResultsArgs {
    /// The run, as the error named it. Without one, the runs whose results can be fetched are listed.
    #[arg(add = ArgValueCandidates::new(waiting))]
    run_id: Option<String>,
    /// Directory that the files are put in, instead of the one that the run was to use.
    #[arg(long, value_name = "DIR")]
    results_dir: Option<PathBuf>,
    /// Most bytes that are taken out of the container, instead of the limit of the run.
    #[arg(long, value_name = "BYTES", value_parser = units::unsigned_size)]
    results_limit: Option<u64>,
    #[command(flatten)]
    engine: EngineFlags,
}

/// There is nothing to fetch.
#[derive(Debug, thiserror::Error)]
enum ResultsError {
    #[error("there is no run {0} whose results wait to be fetched")]
    Unknown(String),
    #[error("the results of run {run} are on the engine at {engine}, and this is {connected}")]
    OtherEngine { run: String, engine: String, connected: String },
    #[error("the test still runs in container {container}")]
    Running { container: String },
    #[error("the engine has no container {container} any more: the results of run {run} are gone")]
    Gone { run: String, container: String },
    #[error("the results could not be taken out: {message}")]
    Incomplete { message: String },
    #[error("the results are larger than {limit} bytes, and were cut")]
    Cut { run: String, limit: u64 },
}

impl Diagnose for ResultsError {
    fn category(&self) -> Category {
        match self {
            Self::Incomplete { .. } => Category::Environment,
            Self::Unknown(_)
            | Self::OtherEngine { .. }
            | Self::Running { .. }
            | Self::Gone { .. }
            | Self::Cut { .. } => Category::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown(_) => Some("`docker-test results` lists the runs that wait".to_owned()),
            Self::OtherEngine { engine, .. } => {
                Some(format!("connect to it: docker-test results -H {engine} …"))
            }
            Self::Running { container } => {
                Some(format!("wait for its end, or stop it: docker stop {container}"))
            }
            Self::Gone { .. } => Some("`docker-test prune` forgets the run".to_owned()),
            Self::Cut { run, .. } => Some(format!(
                "all of them are still on the engine: docker-test results {run} --results-limit BYTES"
            )),
            Self::Incomplete { .. } => Some(
                "they are still on the engine: try again, with another --results-dir where the disk is full"
                    .to_owned(),
            ),
        }
    }
}

pub(super) async fn execute(args: ResultsArgs, app: Running) -> Result<ExitCode, Failure> {
    let state = app.state_dir()?;
    let Some(run_id) = args.run_id else {
        terminal::out(&list(&state))?;
        return Ok(ExitCode::Success);
    };
    let found = ledger::find_run(&state, &run_id).ok_or_else(|| ResultsError::Unknown(run_id.clone()))?;
    let RunState::Lost(lost) = &found.state else {
        return Err(ResultsError::Unknown(run_id).into());
    };
    let connection = connect::connect(&args.engine, &app).await?;
    let engine = &connection.engine;
    if found.record.engine != engine.address() {
        return Err(ResultsError::OtherEngine {
            run: run_id,
            engine: found.record.engine.clone(),
            connected: engine.address().to_owned(),
        }
        .into());
    }
    let LostRun { container, results, directory, limit } = lost;
    let limit = args.results_limit.unwrap_or(*limit);
    match engine.container_state(container).await {
        Ok(state) if state.running => {
            return Err(ResultsError::Running { container: container.clone() }.into());
        }
        Ok(_) => {}
        Err(error) if error.is_missing() => {
            return Err(ResultsError::Gone { run: run_id, container: container.clone() }.into());
        }
        Err(error) => return Err(error.into()),
    }
    let directory =
        args.results_dir.map_or_else(|| directory.clone(), |path| app.environment.current_dir().join(path));
    let target = ResultsDirectory::prepare(&directory, &run_id)?;
    let never = std::future::pending();
    let wanted = Wanted { limit, since: None };
    let collected = collect::take_out(engine, container, results, target.staging(), wanted, never).await;
    for warning in &collected.warnings {
        terminal::note(&format!("docker-test: {warning}\n"));
    }
    if let Some(message) = &collected.incomplete {
        return Err(ResultsError::Incomplete { message: message.clone() }.into());
    }
    target.commit()?;
    let names = collected.files.iter().map(|file| format!("{}\n", directory.join(&file.path).display()));
    // The files are there, whoever could be told.
    let told = terminal::out(&names.collect::<String>());
    if let Some(limit) = collected.over_limit {
        // As in a run, what came is delivered; the container stays, so that the rest can be had.
        connection.close().await;
        return Err(ResultsError::Cut { run: run_id, limit }.into());
    }
    // Fetched: the container has served, and the run is over.
    let container = container.clone();
    found.end(engine, &container).await?;
    connection.close().await;
    told?;
    Ok(ExitCode::Success)
}

fn waiting() -> Vec<CompletionCandidate> {
    super::prune::journals(|run| matches!(run.state, RunState::Lost(_)))
}

fn list(state: &std::path::Path) -> String {
    let mut text = String::new();
    for run in ledger::list_runs(state) {
        if let RunState::Lost(lost) = &run.state {
            let record = &run.record;
            let directory = lost.directory.display();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}  {}  {}  {directory}", record.run, record.image, record.engine);
        }
    }
    text
}
