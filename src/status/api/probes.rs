//! Probes: which there are, how they do, and running one.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{get, post};
use axum::{Extension, Json};
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{Asker, Operation, asked, may_act, path, query};
use crate::probe::{ProbeRun, Verdict};
use crate::status::Shared;
use crate::status::listed::{Condition, Wanted, listed};
use crate::status::problem::Problem;
use crate::watch::board::ProbeView;

pub(super) fn operations(of: &mut SchemaGenerator) -> Vec<Operation> {
    let name = |of: &mut SchemaGenerator| path::<String>("name", "The probe's name.", of);
    let (list_parameters, runs_parameters) = (
        vec![
            query::<String>("q", "A part of a name, a type, a host or a tag.", of),
            query::<Condition>("condition", "How they stand.", of),
            query::<u32>("offset", "How many are passed over.", of),
            query::<u32>("limit", "How many are given: 100 where absent, 1000 at most.", of),
        ],
        vec![name(of), query::<u32>("limit", "How many: 20 where absent, 200 at most.", of)],
    );
    vec![
        Operation::get(
            "probes",
            "/api/v1/probes",
            "Probes: open incidents first, then the worst.",
            of.subschema_for::<List>(),
            get(list),
        )
        .with(list_parameters, &[StatusCode::UNPROCESSABLE_ENTITY]),
        Operation::get("probe", "/api/v1/probes/{name}", "One probe.", of.subschema_for::<Shown>(), get(one))
            .with(vec![name(of)], &[StatusCode::NOT_FOUND]),
        Operation::get(
            "runs",
            "/api/v1/probes/{name}/runs",
            "The newest runs of a probe with all that was seen, newest first.",
            of.subschema_for::<Runs>(),
            get(runs),
        )
        .with(runs_parameters, &[StatusCode::NOT_FOUND, StatusCode::UNPROCESSABLE_ENTITY]),
        Operation::act(
            "run",
            Method::POST,
            "/api/v1/probes/{name}/run",
            "Run a probe now, beside its schedule.",
            (StatusCode::ACCEPTED, "It runs, or will when the run that is under way is over."),
            post(run),
        )
        .with(vec![name(of)], &[StatusCode::NOT_FOUND]),
    ]
}

const USUAL_LIMIT: u32 = 100;
const MOST: u32 = 1000;
const USUAL_RUNS: u32 = 20;
const MOST_RUNS: u32 = 200;

/// A probe.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Probe")]
pub(super) struct Shown {
    /// How it stands after its last run.
    condition: Condition,
    #[serde(flatten)]
    view: ProbeView,
}

impl Shown {
    fn of(view: &ProbeView) -> Self {
        Self { condition: Condition::of_probe(view), view: view.clone() }
    }
}

/// Some of the probes.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Probes")]
pub(super) struct List {
    /// How many there are of those that were asked for.
    total: usize,
    /// How many were passed over.
    offset: usize,
    /// The probes.
    probes: Vec<Shown>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    #[serde(default)]
    q: String,
    condition: Option<Condition>,
    #[serde(default)]
    offset: u32,
    limit: Option<u32>,
}

pub(super) async fn list(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Json<List>, Problem> {
    let asked: ListQuery = asked(&uri)?;
    let limit = within("limit", asked.limit, USUAL_LIMIT, MOST)?;
    let made = shared.make(move |shared| {
        let views = listed(shared.board.probes(), &Wanted { text: &asked.q, condition: asked.condition });
        let offset = usize::try_from(asked.offset).unwrap_or(usize::MAX);
        let probes = views.iter().skip(offset).take(limit).map(|view| Shown::of(view)).collect();
        List { total: views.len(), offset, probes }
    });
    Ok(Json(made.await?))
}

pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Json<Shown>, Problem> {
    let view = shared.board.probe(&name).ok_or_else(|| Problem::no_probe(&name))?;
    Ok(Json(Shown::of(&view)))
}

/// A run with its verdict.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Run")]
struct Run {
    /// What it came to.
    verdict: Verdict,
    #[serde(flatten)]
    run: ProbeRun,
}

/// Runs of a probe.
#[derive(Serialize, JsonSchema)]
pub(super) struct Runs {
    /// Newest first.
    runs: Vec<Run>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunsQuery {
    limit: Option<u32>,
}

pub(super) async fn runs(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<Runs>, Problem> {
    let asked: RunsQuery = asked(&uri)?;
    let limit = within("limit", asked.limit, USUAL_RUNS, MOST_RUNS)?;
    let view = shared.board.probe(&name).ok_or_else(|| Problem::no_probe(&name))?;
    let runs = shared.board.runs(&view, limit).await?;
    Ok(Json(Runs { runs: runs.into_iter().map(|run| Run { verdict: run.verdict(), run }).collect() }))
}

pub(super) async fn run(
    State(shared): State<Arc<Shared>>,
    Extension(standing): Asker,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    may_act(&shared, &standing)?;
    shared.board.run_now(&name).await?;
    Ok(StatusCode::ACCEPTED)
}

fn within(name: &str, given: Option<u32>, usual: u32, most: u32) -> Result<usize, Problem> {
    let given = given.unwrap_or(usual);
    if !(1..=most).contains(&given) {
        return Err(Problem::invalid(format!("{name}: expected 1 to {most}, got {given}")));
    }
    Ok(usize::try_from(given).unwrap_or(usize::MAX))
}
