//! What is said and written once a run is over: summary, reports, GitHub's page, errors, and its exit code.
//!
//! Nothing here changes a verdict; what cannot be said or written makes the exit code worse.

use std::io::Write;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use super::super::application::{Interrupted, Running};
use super::super::terminal::{self, StdoutError};
use super::request::Prepared;
use crate::exit_code::ExitCode;
use crate::report::github::GithubTargets;
use crate::report::redaction::redact_results;
use crate::report::{ReportSink, sink, summary};
use crate::results::RunResults;
use crate::runner::single::Finished;

/// How long what is written may take after a request to stop: enough for a reader that reads.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// When the run began, on both clocks.
pub(super) struct Started {
    began: Instant,
    at: OffsetDateTime,
}

impl Started {
    pub(super) fn now() -> Self {
        Self { began: Instant::now(), at: OffsetDateTime::now_utc() }
    }

    /// How long ago that was.
    pub(super) fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}

/// What is known when everything is over.
pub(super) struct Ended {
    pub(super) engine: String,
    pub(super) run_id: String,
    /// Whether stdout took what was written to it meanwhile.
    pub(super) told: Result<(), StdoutError>,
    pub(super) finished: Finished,
}

/// Says and writes it all, until one more request to stop: whoever is to read it may never do so.
pub(super) async fn conclude(
    app: Running,
    prepared: Prepared,
    reports: Vec<ReportSink>,
    started: Started,
    ended: Ended,
) -> ExitCode {
    let teller = app.clone();
    let telling = move || tell_all(&teller, &prepared, &reports, &started, ended);
    match app.unless_interrupted(LAST_WORDS, telling).await {
        Ok(exit) => exit,
        Err(Interrupted { signal }) => {
            // It may be stderr itself that nobody reads.
            let said = "docker-test: interrupted before everything was written\n";
            let saying = tokio::task::spawn_blocking(move || terminal::note(said));
            let _unheard = tokio::time::timeout(LAST_WORDS, saying).await;
            ExitCode::Signal(signal)
        }
    }
}

/// Reports, summary, errors: in this order, so that the reason stands last.
fn tell_all(
    app: &Running,
    prepared: &Prepared,
    reports: &[ReportSink],
    started: &Started,
    ended: Ended,
) -> ExitCode {
    let Ended { engine, run_id, told, finished } = ended;
    let Finished { result, mut exit, kept, failure } = finished;
    if told.is_err() {
        exit = exit.worst(ExitCode::Error);
    }
    let results = RunResults {
        schema: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        run_id,
        engine,
        started_at: started.at.format(&Rfc3339).unwrap_or_default(),
        seconds: started.seconds(),
        outcome: result.outcome,
        exit_code: exit.code(),
        tests: vec![result],
        services: Vec::new(),
        runs: Vec::new(),
    };
    let results = redact_results(results, &prepared.redactor);
    if prepared.shell && failure.is_none() {
        // A shell is no test: what it ended with is all there is to say. It excludes reports.
        let code = results.tests.first().and_then(|test| test.last_attempt()?.exit_code);
        exit = code.and_then(|code| u8::try_from(code).ok()).map_or(exit, ExitCode::Container);
    } else {
        exit = tell(app, prepared, reports, &results, failure.is_some(), exit);
    }
    if let Some(failure) = &failure {
        terminal::report_failure(failure, &prepared.redactor);
    }
    for name in kept {
        let image = results.tests.first().map(|test| test.image.as_str()).unwrap_or_default();
        terminal::note(&format!(
            "kept: {name}\n  run it again:      docker start -ai {name}\n  look at its files: docker cp {name}:/PATH .\n  enter its image:   docker-test --shell {image}\n  remove it:         docker-test prune {}\n",
            results.run_id
        ));
    }
    if let Err(error) = told {
        terminal::report_failure(&error.into(), &prepared.redactor);
        exit = exit.worst(ExitCode::Error);
    }
    exit
}

/// Summary and reports of a test.
fn tell(
    app: &Running,
    prepared: &Prepared,
    reports: &[ReportSink],
    results: &RunResults,
    failed: bool,
    mut exit: ExitCode,
) -> ExitCode {
    let quiet = prepared.quiet && exit == ExitCode::Success;
    // An error of ours says it all where nothing ran, and says it last.
    let ran = results.tests.iter().any(|test| !test.attempts.is_empty());
    if !quiet && (!failed || ran) {
        terminal::note(&summary::render(results, terminal::style(&app.environment)));
    }
    for report in reports {
        if let Err(error) = report.write(results, &mut std::io::stdout().lock())
            && !error.is_broken_pipe()
        {
            terminal::report_failure(&error.into(), &prepared.redactor);
            exit = exit.worst(ExitCode::Error);
        }
    }
    if let Some(targets) = &prepared.github {
        tell_github(targets, results);
    }
    exit
}

/// Annotations and job summary. Nobody asked for them by name, so what goes wrong with them is a warning.
fn tell_github(targets: &GithubTargets, results: &RunResults) {
    // Workflow commands are read from both streams; stdout may belong to a program.
    let mut annotations = Vec::new();
    if let Ok(exporter) = crate::report::find("github")
        && exporter.export(results, &mut annotations).is_ok()
    {
        let _ = std::io::stderr().lock().write_all(&annotations);
    }
    if let Some(path) = &targets.summary_path
        && let Err(error) = sink::append_job_summary(path, results)
    {
        let causes = crate::error::Failure::from(error).chain().join(": ");
        terminal::note(&format!("docker-test: warning: there is no job summary: {causes}\n"));
    }
}
