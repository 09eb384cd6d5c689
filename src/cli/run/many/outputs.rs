//! What a run of many writes beside its results: reports, and what must not be in any of it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::super::application::Running;
use super::super::super::flags::output::Format;
use super::super::super::{secrets, terminal};
use super::super::RunArgs;
use super::super::request::Prepared;
use super::entry::{self, Entry};
use super::select::Selected;
use super::services;
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::redact::Redactor;
use crate::report::sink::ReportError;
use crate::report::wording::count;
use crate::report::{ReportRequest, ReportSink};
use crate::results::{Outcome, RunResults};
use crate::suite::Suite;
use crate::suite::listing::Listing;

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

/// Says that nothing is selected, and why. Reports say so too: those of other parts of the suite are joined with them.
pub(super) fn nothing_to_test(
    selected: &Selected,
    listing: &Listing<'_>,
    reports: &[ReportSink],
) -> ExitCode {
    let all = count(selected.suite.tests().count() as u64, "test");
    let why = match (&selected.wanted.only, selected.wanted.partition) {
        (Some(only), _) if only.is_empty() => "no test of the earlier run has to be run again".to_owned(),
        (_, Some(part)) if listing.selected > 0 => {
            format!("of {}, none is in part {part}", count(listing.selected as u64, "selected test"))
        }
        (Some(only), _) => format!(
            "none of {all} of {} is both selected and among the {} to be run again",
            selected.shown,
            only.len()
        ),
        _ => format!("none of {all} of {} is selected", selected.shown),
    };
    terminal::note(&format!("docker-test: nothing to test: {why}\n"));
    let results = RunResults {
        schema: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        run_id: String::new(),
        engine: String::new(),
        started_at: OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
        seconds: 0.0,
        outcome: Outcome::Skipped,
        exit_code: ExitCode::NothingToTest.code(),
        tests: Vec::new(),
        services: Vec::new(),
        runs: Vec::new(),
    };
    let mut exit = ExitCode::NothingToTest;
    for report in reports {
        if let Err(error) = report.write(&results, &mut std::io::stdout().lock())
            && !error.is_broken_pipe()
        {
            terminal::report_failure(&error.into(), &Redactor::default());
            exit = ExitCode::Error;
        }
    }
    exit
}
