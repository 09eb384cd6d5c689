//! What is said and written once a run is over: summary, reports, GitHub's page, errors, and its exit code.
//!
//! Nothing here changes a verdict; what cannot be said or written makes the exit code worse.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use super::super::application::{Interrupted, Running};
use super::super::terminal::{self, StdoutError};
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::redact::Redactor;
use crate::report::github::GithubTargets;
use crate::report::redaction::redact_results;
use crate::report::{ReportSink, sink, summary};
use crate::results::{Outcome, RunResults, ServiceResult, TestResult, worst_outcome};

/// How long what is written may take after a request to stop: enough for a reader that reads.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Errors that are printed at the end, each with its hint.
const MOST_FAILURES: usize = 5;

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

/// What decides how it is told.
pub(super) struct Telling {
    pub(super) redactor: Arc<Redactor>,
    /// `--quiet`
    pub(super) quiet: bool,
    /// `--shell`
    pub(super) shell: bool,
    /// When in GitHub Actions.
    pub(super) github: Option<GithubTargets>,
}

/// What is known when everything is over.
pub(super) struct Ended {
    pub(super) engine: String,
    pub(super) run_id: String,
    /// Whether stdout took what was written to it meanwhile.
    pub(super) told: Result<(), StdoutError>,
    pub(super) tests: Vec<TestResult>,
    pub(super) services: Vec<ServiceResult>,
    pub(super) exit: ExitCode,
    /// Containers that were left for the user.
    pub(super) kept: Vec<String>,
    /// Why there is no verdict, where the program itself failed.
    pub(super) failures: Vec<Failure>,
}

/// Says and writes it all, until one more request to stop: whoever is to read it may never do so.
pub(super) async fn conclude(
    app: Running,
    telling: Telling,
    reports: Vec<ReportSink>,
    started: Started,
    ended: Ended,
) -> ExitCode {
    let teller = app.clone();
    let telling = move || tell_all(&teller, &telling, &reports, &started, ended);
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
    telling: &Telling,
    reports: &[ReportSink],
    started: &Started,
    ended: Ended,
) -> ExitCode {
    let Ended { engine, run_id, told, tests, services, mut exit, kept, failures } = ended;
    if told.is_err() {
        exit = exit.worst(ExitCode::Error);
    }
    let outcome = worst_outcome(&tests);
    let results = RunResults {
        schema: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        run_id,
        engine,
        started_at: started.at.format(&Rfc3339).unwrap_or_default(),
        seconds: started.seconds(),
        outcome: outcome.unwrap_or(Outcome::Skipped),
        exit_code: exit.code(),
        tests,
        services,
        runs: Vec::new(),
    };
    let results = redact_results(results, &telling.redactor);
    if telling.shell && failures.is_empty() {
        // A shell is no test: what it ended with is all there is to say. It excludes reports.
        let code = results.tests.first().and_then(|test| test.last_attempt()?.exit_code);
        exit = code.and_then(|code| u8::try_from(code).ok()).map_or(exit, ExitCode::Container);
    } else {
        exit = tell(app, telling, reports, &results, !failures.is_empty(), exit);
    }
    tell_failures(&failures, &telling.redactor);
    for name in kept {
        let image = results.tests.first().filter(|_| results.tests.len() == 1);
        let image = image.map(|test| format!("  enter its image:   docker-test --shell {}\n", test.image));
        terminal::note(&format!(
            "kept: {name}\n  run it again:      docker start -ai {name}\n  look at its files: docker cp {name}:/PATH .\n{}  remove it:         docker-test prune {}\n",
            image.unwrap_or_default(),
            results.run_id
        ));
    }
    if let Err(error) = told {
        terminal::report_failure(&error.into(), &telling.redactor);
        exit = exit.worst(ExitCode::Error);
    }
    exit
}

/// Each error once: many tests may have failed for one reason.
fn tell_failures(failures: &[Failure], redactor: &Redactor) {
    let mut told: Vec<String> = Vec::new();
    for failure in failures {
        let text = failure.to_string();
        if told.contains(&text) {
            continue;
        }
        if told.len() == MOST_FAILURES {
            terminal::note("docker-test: there are more errors: see the tests above\n");
            return;
        }
        terminal::report_failure(failure, redactor);
        told.push(text);
    }
}

/// Summary and reports of a test.
fn tell(
    app: &Running,
    telling: &Telling,
    reports: &[ReportSink],
    results: &RunResults,
    failed: bool,
    mut exit: ExitCode,
) -> ExitCode {
    let quiet = telling.quiet && exit == ExitCode::Success;
    // An error of ours says it all where nothing ran, and says it last.
    let ran = results.tests.len() > 1 || results.tests.iter().any(|test| !test.attempts.is_empty());
    if !quiet && (!failed || ran) {
        terminal::note(&summary::render(results, terminal::style(&app.environment)));
    }
    for report in reports {
        if let Err(error) = report.write(results, &mut std::io::stdout().lock())
            && !error.is_broken_pipe()
        {
            terminal::report_failure(&error.into(), &telling.redactor);
            exit = exit.worst(ExitCode::Error);
        }
    }
    if let Some(targets) = &telling.github {
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
