//! The page of one probe: its last failure with all that was seen, and its last runs.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use serde::Serialize;

use super::drawing::History;
use super::overview::{Face, link};
use super::words::{Badge, When, took};
use super::{Refused, Viewer};
use crate::history::HistoryError;
use crate::probe::{Attempt, ProbeRun};
use crate::report::text::strip_ansi;
use crate::status::Shared;
use crate::status::access::Standing;
use crate::status::listed::Condition;
use crate::status::problem::Problem;
use crate::watch::Origin;
use crate::watch::board::ProbeView;

/// Runs that are shown one by one.
const RUNS: usize = 20;

/// All that is on it.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    viewer: Viewer,
    here: String,
    title: String,
    tone: &'static str,
    updated: When,
    #[serde(flatten)]
    face: Face,
    origin: String,
    schedule: String,
    events: Vec<String>,
    skipped: u64,
    history_of: History,
    /// The last run that did not pass.
    failure: Option<Run>,
    runs: Vec<Run>,
}

#[derive(Debug, Clone, Serialize)]
struct Run {
    id: String,
    badge: Badge,
    at: When,
    took: String,
    error: Option<String>,
    attempts: Vec<Try>,
}

#[derive(Debug, Clone, Serialize)]
struct Try {
    number: u32,
    tone: &'static str,
    took: String,
    timed_out: bool,
    summary: String,
    output: String,
    measurements: Vec<String>,
    cleanup: Option<String>,
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(standing): Extension<Standing>,
    Path(name): Path<String>,
) -> Result<super::templates::Page, Refused> {
    let refused = |problem| Refused(Arc::clone(&shared), problem);
    let view = shared.board.probe(&name).ok_or_else(|| refused(Problem::no_probe(&name)))?;
    let runs = shared.board.runs(&view, RUNS).await.map_err(|error| refused(error.into()))?;
    let failure = last_failure(&shared, &view, &runs).await.map_err(|error| refused(error.into()))?;
    Ok(shared.pages.probe(&page(&shared, &standing, &view, &runs, failure.as_ref())))
}

/// The last run that failed, also where it is on the board and not among those that are shown in full.
async fn last_failure(
    shared: &Shared,
    view: &ProbeView,
    runs: &[ProbeRun],
) -> Result<Option<ProbeRun>, HistoryError> {
    let failed = |run: &&ProbeRun| !run.verdict().is_pass();
    if let Some(run) = runs.iter().find(failed) {
        return Ok(Some(run.clone()));
    }
    let place = view.recent.iter().rev().position(|mark| !mark.verdict.is_pass());
    match place.filter(|place| *place >= RUNS) {
        Some(place) => Ok(shared.board.run(view, place).await?.filter(|run| failed(&run))),
        None => Ok(None),
    }
}

fn page(
    shared: &Shared,
    standing: &Standing,
    view: &ProbeView,
    runs: &[ProbeRun],
    failure: Option<&ProbeRun>,
) -> Page {
    let now = shared.now();
    let face = Face::of(view, now);
    Page {
        viewer: Viewer::of(shared, standing, &link(&face.name)),
        here: link(&face.name),
        title: format!("{} {}", face.name, face.badge.word),
        tone: face.badge.tone,
        updated: When::of(now, now),
        origin: match &view.origin {
            Origin::File { path } => path.clone(),
            Origin::Image { name, .. } => format!("labels of the image {name}"),
            Origin::Container { name, .. } => format!("labels of the container {name}"),
        },
        schedule: view.schedule.clone(),
        events: view.events.clone(),
        skipped: view.skipped,
        history_of: History::of(&view.recent.iter(), now),
        failure: failure.map(|failed| run(failed, now)),
        runs: runs.iter().map(|one| run(one, now)).collect(),
        face,
    }
}

fn run(run: &ProbeRun, now: i64) -> Run {
    Run {
        id: run.id.clone(),
        badge: Badge::of_run(run.verdict()),
        at: When::of(run.started_at, now),
        took: took(run.seconds),
        error: run.error.clone(),
        attempts: run.attempts.iter().map(attempt).collect(),
    }
}

fn attempt(attempt: &Attempt) -> Try {
    let seen = &attempt.seen;
    let condition = if seen.state.is_pass() { Condition::Up } else { Condition::Down };
    Try {
        number: attempt.number,
        tone: Badge::of(condition).tone,
        took: took(attempt.seconds),
        timed_out: attempt.timed_out,
        summary: seen.summary.clone(),
        output: strip_ansi(&seen.output).into_owned(),
        measurements: seen
            .measurements
            .iter()
            .map(|one| format!("{} = {}{}", one.name, one.value, one.unit))
            .collect(),
        cleanup: attempt.cleanup.as_ref().map(|cleanup| {
            let verdict = if cleanup.passed { "passed" } else { "failed" };
            format!("{verdict} in {}: {}", took(cleanup.seconds), cleanup.summary)
        }),
    }
}
