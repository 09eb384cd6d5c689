//! `docker-test prune`: removes leftovers of dead, kept and engine-lost runs.

use clap::Args;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use super::application::Running;
use super::connect;
use super::flags::EngineFlags;
use super::flags::output::Format;
use super::{state, terminal};
use crate::environment::Environment;
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::ledger::{self, SweepOptions};

/// Flags of `prune`.
#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    /// Remove only what these runs left; a living one is refused (default: what all dead, kept and lost runs left).
    #[arg(value_name = "RUN_ID", add = ArgValueCandidates::new(known_here))]
    runs: Vec<String>,
    /// Also remove the test images.
    #[arg(long, conflicts_with = "runs")]
    images: bool,
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    dry_run: bool,
    /// Format of the answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    engine: EngineFlags,
}

pub(super) async fn execute(args: PruneArgs, app: Running) -> Result<ExitCode, Failure> {
    let state = app.state_dir()?;
    let connection = connect::connect(&args.engine, &app).await?;
    let (engine, now) = (&connection.engine, ledger::unix_now());
    let pruned = if args.runs.is_empty() {
        let options = SweepOptions { kept_and_lost: true, images: args.images, dry_run: args.dry_run };
        ledger::sweep(&state, engine, None, options, now).await?
    } else {
        ledger::prune(&state, engine, &args.runs, args.dry_run, now).await?
    };
    let failed = pruned.iter().any(|entry| entry.error.is_some());
    match args.format {
        Format::Json => {
            let entries: Vec<serde_json::Value> = pruned
                .iter()
                .map(|entry| {
                    serde_json::json!({
                        "kind": entry.kind,
                        "name": entry.name,
                        "run": entry.run,
                        "removed": entry.error.is_none() && !args.dry_run,
                        "error": entry.error.as_ref().map(ToString::to_string),
                    })
                })
                .collect();
            terminal::out(&format!("{}\n", serde_json::Value::from(entries)))?;
        }
        Format::Text => {
            let verb = if args.dry_run { "would remove" } else { "removed" };
            for entry in &pruned {
                match &entry.error {
                    None => terminal::out(&format!("{verb} {} {}\n", entry.kind, entry.name))?,
                    Some(error) => terminal::note(&format!("docker-test: {error}\n")),
                }
            }
            if pruned.is_empty() {
                terminal::note("nothing to remove\n");
            }
        }
    }
    connection.close().await;
    Ok(if failed { ExitCode::Error } else { ExitCode::Success })
}

fn known_here() -> Vec<CompletionCandidate> {
    journals(|_| true)
}

/// The runs that have a journal here, and are `wanted`, for completion.
pub(super) fn journals(wanted: impl Fn(&ledger::FoundRun) -> bool) -> Vec<CompletionCandidate> {
    let Ok(state) = state::directory(&Environment::capture(), &std::env::temp_dir()) else {
        return Vec::new();
    };
    let candidate = |found: ledger::FoundRun| {
        CompletionCandidate::new(found.record.run).help(Some(found.record.image.into()))
    };
    ledger::list_runs(&state).into_iter().filter(wanted).map(candidate).collect()
}
