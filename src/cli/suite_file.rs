//! The suite that a command works with: found, read and checked.
//!
//! Owns which file it is, and what is said about names that nothing has. What is in it is [`crate::suite`]'s.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::application::Application;
use super::state;
use crate::environment::Environment;
use crate::error::{Category, Diagnose, Failure, nearest};
use crate::history::{self, History};
use crate::input;
use crate::report::EXPORTERS;
use crate::report::text::printable;
use crate::suite::partition::Partition;
use crate::suite::pattern::NamePattern;
use crate::suite::select::{Candidate, Selection};
use crate::suite::{Known, MAX_BYTES, Suite};

/// The suite of a directory.
pub(super) const FILE: &str = "docker-test.yaml";

/// There is no suite to work with.
#[derive(Debug, thiserror::Error)]
pub(super) enum SuiteFileError {
    #[error("there is no {FILE} in {}", .0.display())]
    NoSuite(PathBuf),
    #[error("cannot read the suite {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} has no `tests`", .0.display())]
    NoTests(PathBuf),
    #[error("--partition {partition} goes by recorded durations, and none are recorded for {subject}")]
    NoDurations { partition: Partition, subject: String },
}

impl Diagnose for SuiteFileError {
    fn category(&self) -> Category {
        match self {
            Self::Unreadable { .. } => Category::Environment,
            Self::NoSuite(_) | Self::NoTests(_) | Self::NoDurations { .. } => Category::User,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoSuite(_) => {
                "`docker-test init` writes one to start from; --suite names another".to_owned()
            }
            Self::Unreadable { .. } => "check the path and its permissions".to_owned(),
            Self::NoTests(_) => {
                "add `tests` to it, or see what `docker-test init` writes in a directory without one"
                    .to_owned()
            }
            Self::NoDurations { partition, .. } => {
                let same = partition.to_string().replace("time:", "");
                format!(
                    "run the suite once, with its history in the same state directory; slice:{same} and hash:{same} work without"
                )
            }
        })
    }
}

/// The file that a command line takes defaults from: the suite that it names, else the one of the directory.
pub(super) fn of_command_line(
    command: &clap::Command,
    argv: &[OsString],
    environment: &Environment,
) -> PathBuf {
    let matches = command.clone().ignore_errors(true).try_get_matches_from(argv).ok();
    let named = matches.as_ref().and_then(|matches| {
        let (_, given) = matches.subcommand()?;
        given.try_get_one::<PathBuf>("suite").ok().flatten().cloned()
    });
    let named = named.or_else(|| environment.non_empty("DOCKER_TEST_SUITE").map(PathBuf::from));
    environment.current_dir().join(named.unwrap_or_else(|| PathBuf::from(FILE)))
}

/// Reads the suite that was named, or that of the directory, which has to have tests.
pub(super) fn read(
    named: Option<&Path>,
    environment: &Environment,
    with_compose: bool,
) -> Result<Suite, Failure> {
    let suite = read_any(named, environment, with_compose)?;
    if suite.document.tests.is_empty() {
        return Err(SuiteFileError::NoTests(suite.path().to_owned()).into());
    }
    Ok(suite)
}

/// The same, also where it has probes alone.
pub(super) fn read_any(
    named: Option<&Path>,
    environment: &Environment,
    with_compose: bool,
) -> Result<Suite, Failure> {
    let directory = environment.current_dir();
    let path = named.unwrap_or_else(|| Path::new(FILE));
    let bytes = input::read(&directory.join(path), MAX_BYTES as u64).map_err(|source| {
        if named.is_none() && source.kind() == io::ErrorKind::NotFound {
            SuiteFileError::NoSuite(directory.to_owned())
        } else {
            SuiteFileError::Unreadable { path: path.to_owned(), source }
        }
    })?;
    let formats: Vec<&str> = EXPORTERS.iter().map(|exporter| exporter.name()).collect();
    let flags = super::flags::setting_keys(&super::command());
    let known = Known { flags: &flags, formats: &formats, compose: with_compose };
    Ok(Suite::read(path, &bytes, environment, known)?)
}

/// Whether the suite of the directory has a test of this name.
pub(super) fn has_test(name: &str, environment: &Environment) -> bool {
    environment.current_dir().join(FILE).exists()
        && read(None, environment, false).is_ok_and(|suite| suite.tests().any(|(known, _)| known == name))
}

/// What was asked for and no test has: a slip that would silently run other tests.
pub(super) fn unmatched(selection: &Selection, all: &[Candidate<'_>]) -> Vec<String> {
    let guess = |near: Option<&str>| near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    let mut warnings = Vec::new();
    for pattern in &selection.names {
        let written = pattern.as_written();
        // What is left out should be there as well.
        let Ok(positive) = NamePattern::parse(written.strip_prefix('!').unwrap_or(written)) else { continue };
        let alone = Selection { names: vec![positive], ..Selection::default() };
        if let Some((_, near)) = alone.unmatched(all) {
            warnings.push(format!("`{}` matches no test{}", printable(written), guess(near)));
        }
    }
    for name in &selection.types {
        if all.iter().all(|candidate| candidate.test_type != name) {
            let near = nearest(name, all.iter().map(|candidate| candidate.test_type));
            warnings.push(format!("no test has the type `{}`{}", printable(name), guess(near)));
        }
    }
    warnings
}

/// Recorded durations of the tests of a suite, for a partition that goes by them.
pub(super) fn durations(
    partition: Partition,
    suite: &Suite,
    application: &Application,
) -> Result<BTreeMap<String, Duration>, Failure> {
    let environment = &application.environment;
    let state = state::directory(environment, &std::env::temp_dir())?;
    let subject = history::of_suite(&environment.current_dir().join(suite.path()));
    let expected = match History::open_existing(&state)? {
        Some(history) => history.expected(&subject)?,
        None => BTreeMap::new(),
    };
    if expected.is_empty() {
        let subject = suite.path().display().to_string();
        return Err(SuiteFileError::NoDurations { partition, subject }.into());
    }
    let duration = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Ok(expected.into_iter().map(|(name, seconds)| (name, duration(seconds))).collect())
}
