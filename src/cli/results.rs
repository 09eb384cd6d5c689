//! `docker-test results RUN_ID`: fetches the files of a run whose engine went away, once it is back.
//!
//! Owns where they go: a suite may have lost many containers, and none of them keeps the others from being fetched.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use super::application::Running;
use super::connect;
use super::flags::EngineFlags;
use super::terminal;
use crate::engine::{ContainerState, Engine, EngineError};
use crate::error::{Category, Diagnose, Failure};
use crate::exit_code::ExitCode;
use crate::ledger::{self, FoundRun, LostRun};
use crate::plan::syntax::units;
use crate::redact::Redactor;
use crate::results::directory::{self, ResultsDirectory};
use crate::runner::collect::{self, Wanted};

/// Flags of `results`.
#[derive(Debug, Args)]
pub(super) struct ResultsArgs {
    /// The run, as the error named it. Without one, the runs whose results can be fetched are listed.
    #[arg(add = ArgValueCandidates::new(waiting))]
    run_id: Option<String>,
    /// Directory that the files are put in, instead of the one that the run was to use; those of several containers
    /// each in a directory of their own below it.
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
    #[error("run {run} still goes on")]
    Alive { run: String },
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
            | Self::Alive { .. }
            | Self::OtherEngine { .. }
            | Self::Running { .. }
            | Self::Gone { .. }
            | Self::Cut { .. } => Category::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown(_) => Some("`docker-test results` lists the runs that wait".to_owned()),
            Self::Alive { .. } => Some("wait for its end: its own results come first".to_owned()),
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
    let mut found =
        ledger::find_run(&state, &run_id).filter(has_waiting).ok_or(ResultsError::Unknown(run_id.clone()))?;
    // Of one that another host may have it is not known; it has said that its engine is lost, and that is its end.
    if found.is_alive(u64::MAX) {
        return Err(ResultsError::Alive { run: run_id }.into());
    }
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
    let chosen = args.results_dir.map(|path| app.environment.current_dir().join(path));
    let all = found.lost().to_vec();
    let directories = destinations(&all, chosen.as_deref());
    if let Some(chosen) = chosen.as_deref().filter(|_| all.len() > 1) {
        // Where that fails, so does what is put into it.
        let _ = directory::claim(chosen, &run_id);
    }
    let mut failures: Vec<Failure> = Vec::new();
    for (lost, directory) in all.iter().zip(&directories) {
        if !found.waits(&lost.container) {
            continue;
        }
        let limit = args.results_limit.unwrap_or(lost.limit);
        let state = engine.container_state(&lost.container).await;
        let is_gone = state.as_ref().is_err_and(EngineError::is_lost);
        let fetched = fetch(engine, &mut found, lost, directory, limit, state).await;
        failures.extend(fetched.err());
        if is_gone {
            break;
        }
    }
    connection.close().await;
    let Some(last) = failures.pop() else { return Ok(ExitCode::Success) };
    for failure in &failures {
        terminal::report_failure(failure, &Redactor::default());
    }
    Err(last)
}

/// Fetches what is in one container, and ends that.
async fn fetch(
    engine: &Engine,
    found: &mut FoundRun,
    lost: &LostRun,
    directory: &Path,
    limit: u64,
    state: Result<ContainerState, EngineError>,
) -> Result<(), Failure> {
    let run = found.record.run.clone();
    let LostRun { container, results, .. } = lost;
    match state {
        Ok(state) if state.running => {
            return Err(ResultsError::Running { container: container.clone() }.into());
        }
        Ok(_) => {}
        Err(error) if error.is_missing() => {
            return Err(ResultsError::Gone { run, container: container.clone() }.into());
        }
        Err(error) => return Err(error.into()),
    }
    let target = ResultsDirectory::prepare(directory, &run)?;
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
        return Err(ResultsError::Cut { run, limit }.into());
    }
    // Fetched: the container has served.
    found.end(engine, container).await?;
    told?;
    Ok(())
}

/// Where the files of each go: to where they belong, or below the directory that the user chose, as they lie to one
/// another there. It is the same however many of them are fetched already.
fn destinations(lost: &[LostRun], chosen: Option<&Path>) -> Vec<PathBuf> {
    let above = lost.iter().map(|lost| lost.directory.clone()).reduce(|a, b| common_part(&a, &b));
    let mut taken = BTreeSet::new();
    let mut destinations = Vec::new();
    for LostRun { directory, .. } in lost {
        let wanted = match chosen {
            Some(chosen) if lost.len() == 1 => chosen.to_owned(),
            Some(chosen) => chosen.join(below(directory, above.as_deref())),
            None => directory.clone(),
        };
        destinations.push(free(wanted, &mut taken));
    }
    destinations
}

fn common_part(a: &Path, b: &Path) -> PathBuf {
    a.components().zip(b.components()).take_while(|(a, b)| a == b).map(|(part, _)| part).collect()
}

/// What tells a directory from the others; its own name, where nothing does.
fn below<'a>(directory: &'a Path, above: Option<&Path>) -> &'a Path {
    let rest = above.and_then(|above| directory.strip_prefix(above).ok());
    let name = || directory.file_name().map_or(Path::new("results"), Path::new);
    rest.filter(|rest| !rest.as_os_str().is_empty()).unwrap_or_else(name)
}

/// One that no other of them has, also where names that differ in case alone are the same.
fn free(wanted: PathBuf, taken: &mut BTreeSet<String>) -> PathBuf {
    let name = wanted.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let numbered = (2..).map(|number| wanted.with_file_name(format!("{name}-{number}")));
    std::iter::once(wanted.clone())
        .chain(numbered)
        .find(|path| taken.insert(path.to_string_lossy().to_lowercase()))
        .unwrap_or(wanted)
}

fn has_waiting(found: &FoundRun) -> bool {
    found.lost().iter().any(|lost| found.waits(&lost.container))
}

fn waiting() -> Vec<CompletionCandidate> {
    super::prune::journals(has_waiting)
}

fn list(state: &Path) -> String {
    let mut text = String::new();
    for run in ledger::list_runs(state) {
        let record = &run.record;
        for lost in run.lost().iter().filter(|lost| run.waits(&lost.container)) {
            let directory = lost.directory.display();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}  {}  {}  {directory}", record.run, record.image, record.engine);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(directories: &[&str], chosen: Option<&str>) -> Vec<String> {
        let lost: Vec<LostRun> = directories
            .iter()
            .map(|directory| LostRun {
                container: "c".to_owned(),
                results: "/r".to_owned(),
                directory: directory.into(),
                limit: 1,
            })
            .collect();
        let places = destinations(&lost, chosen.map(Path::new));
        places.into_iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn results_go_where_they_belong_unless_the_user_says_where() {
        assert_eq!(placed(&["/w/tests/results"], None), ["/w/tests/results"]);
        assert_eq!(placed(&["/w/tests/results"], Some("/o")), ["/o"]);
        assert_eq!(placed(&["/w/r/a/attempt-1", "/w/r/b/attempt-1"], None)[1], "/w/r/b/attempt-1");
    }

    #[test]
    fn those_of_several_containers_lie_in_the_chosen_directory_as_they_would_have_where_they_belong() {
        assert_eq!(placed(&["/w/r/a", "/w/r/b"], Some("/o")), ["/o/a", "/o/b"]);
        let attempts = ["/w/r/a/attempt-1", "/w/r/b/attempt-1", "/w/r/b/attempt-2"];
        assert_eq!(placed(&attempts, Some("/o")), ["/o/a/attempt-1", "/o/b/attempt-1", "/o/b/attempt-2"]);
        assert_eq!(placed(&["/w/r/a/attempt-1", "/x/a/attempt-1"], Some("/o"))[1], "/o/x/a/attempt-1");
    }

    #[test]
    fn no_two_of_them_meet() {
        assert_eq!(placed(&["/w/r", "/w/r", "/w/r"], Some("/o")), ["/o/r", "/o/r-2", "/o/r-3"]);
        assert_eq!(placed(&["/w/r", "/w/r"], None), ["/w/r", "/w/r-2"]);
        assert_eq!(placed(&["/w/r/A", "/w/r/a"], Some("/o")), ["/o/A", "/o/a-2"]);
        assert_eq!(placed(&["/w/r", "/w/r/r", "/w/r/x"], Some("/o")), ["/o/r", "/o/r-2", "/o/x"]);
        assert_eq!(placed(&["/"; 2], Some("/o")), ["/o/results", "/o/results-2"]);
    }
}
