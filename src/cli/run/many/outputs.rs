//! What a run of many writes beside its results: reports, and what must not be in any of it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::super::super::application::Running;
use super::super::super::flags::output::Format;
use super::super::super::secrets;
use super::super::RunArgs;
use super::super::request::Prepared;
use super::entry::{self, Entry};
use super::services;
use crate::error::Failure;
use crate::redact::Redactor;
use crate::report::sink::ReportError;
use crate::report::{ReportRequest, ReportSink};
use crate::suite::Suite;

/// Reports of the command line, and of the suite.
pub(super) fn open_reports(
    args: &RunArgs,
    base: &Prepared,
    suite: Option<&Suite>,
    app: &Running,
) -> Result<Vec<ReportSink>, Failure> {
    let mut requests: Vec<ReportRequest> = base.reports.clone();
    if let Some(suite) = suite {
        requests.extend(of_suite(suite, app)?);
    }
    let opened = ReportSink::open_all(&requests);
    let reports = opened.map_err(|error| Failure::from(error).at(app.origins.place("--report")))?;
    if args.options.output.format == Format::Json && reports.iter().any(ReportSink::uses_stdout) {
        return Err(Failure::from(ReportError::StdoutTaken).at(app.origins.place("--report")));
    }
    Ok(reports)
}

fn of_suite(suite: &Suite, app: &Running) -> Result<Vec<ReportRequest>, Failure> {
    let directory = entry::absolute(suite.directory(), &app.environment);
    let mut requests = Vec::new();
    for (format, paths) in suite.document.reports.iter() {
        for path in &paths.0 {
            let path = if path == "-" { PathBuf::from(path) } else { directory.join(path) };
            let request = format!("{format}={}", path.display()).parse::<ReportRequest>();
            requests.push(request.map_err(|error| {
                let failure = Failure::from(error);
                let problem = format!("reports.{format}: {}", failure.chain().join(": "));
                Failure::from(suite.error(&["reports", format], problem, failure.hint().map(str::to_owned)))
            })?);
        }
    }
    Ok(requests)
}

/// What hides the secrets of all tests and services.
pub(super) fn redactor(
    args: &RunArgs,
    app: &Running,
    entries: &[Entry],
    services: &[services::Read],
    values: Vec<String>,
) -> Redactor {
    let mut all: BTreeSet<String> = values.into_iter().collect();
    all.extend(services.iter().flat_map(services::Read::secrets));
    let named = &args.options.run.redact;
    let mut seen = BTreeSet::new();
    for entry in entries {
        let request = &entry.prepared.request;
        let (env, build) = (&request.container.env, &request.build);
        // Most tests have all of this in common.
        if seen.insert((env.clone(), build.build_args.clone(), format!("{build:?}"))) {
            all.extend(secrets::values(&app.environment, named, env, build));
        }
    }
    Redactor::new(all)
}
