//! `--dry-run` of several tests: the plan of each, and nothing is made.
//!
//! Owns what is said of tests that cannot be planned without making something first.

use futures_util::StreamExt;
use serde_json::{Value, json};

use super::super::super::application::Running;
use super::super::super::terminal;
use super::super::found::Found;
use super::entry::Entry;
use crate::engine::Engine;
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::redact::Redactor;
use crate::runner::Sink;

/// Plans that are made at a time.
const PLANS: usize = 8;

/// Prints an array: for each test its plan, or why there is none.
pub(super) async fn print(
    entries: &[Entry],
    engine: &Engine,
    app: &Running,
    found: &Found,
    redactor: &Redactor,
    tests_itself: bool,
) -> Result<ExitCode, Failure> {
    let (sink, _unread) = Sink::channel();
    let planning =
        entries.iter().map(async |entry| plan(entry, engine, app, found, &sink, tests_itself).await);
    let plans: Vec<(Value, bool)> = futures_util::stream::iter(planning).buffered(PLANS).collect().await;
    let all_planned = plans.iter().all(|(_, is_plan)| *is_plan);
    let plans: Vec<Value> = plans.into_iter().map(|(plan, _)| plan).collect();
    let text = serde_json::to_string_pretty(&plans).unwrap_or_default();
    terminal::out(&format!("{}\n", redactor.redact(&text)))?;
    Ok(if all_planned { ExitCode::Success } else { ExitCode::Error })
}

async fn plan(
    entry: &Entry,
    engine: &Engine,
    app: &Running,
    found: &Found,
    sink: &Sink,
    tests_itself: bool,
) -> (Value, bool) {
    if let Some(build) = &entry.build {
        let said = "its image is built first: what it says of its tests is known then";
        return (json!({ "name": entry.name, "build": build.context, "plan": null, "reason": said }), true);
    }
    if entry.container.is_some() || tests_itself {
        let said = "a container of the engine, re-created from its own configuration";
        return (json!({ "name": entry.name, "container": entry.name, "plan": null, "reason": said }), true);
    }
    match entry.prepared.plan(engine, app, sink, found).await {
        Ok((_, mut plan, _)) => {
            plan.name.clone_from(&entry.name);
            (serde_json::to_value(&plan).unwrap_or_default(), true)
        }
        Err(failure) => {
            let error = failure.chain().join(": ");
            (json!({ "name": entry.name, "image": entry.image, "plan": null, "error": error }), false)
        }
    }
}
