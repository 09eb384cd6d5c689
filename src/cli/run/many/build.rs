//! Images that a suite builds for a run: of its tests and of its services.
//!
//! Owns their names, which are this run's own and go with it; what the builder has in its cache stays.

use std::path::{Path, PathBuf};

use super::super::super::application::Running;
use super::entry;
use crate::engine::{Engine, ResourceKind};
use crate::error::{Category, Diagnose, Failure};
use crate::image::application::{self, Builder, Source};
use crate::image::logins::Logins;
use crate::image::sources;
use crate::input;
use crate::ledger::RunLedger;
use crate::plan::build::BuildSpec;
use crate::runner::Sink;
use crate::suite::Suite;
use crate::suite::document::Build;

/// Repository of the images that are built for a run.
const REPOSITORY: &str = "localhost/docker-test-built";

/// A Dockerfile of the suite cannot be read.
#[derive(Debug, thiserror::Error)]
enum DockerfileError {
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    #[error("cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
}

impl Diagnose for DockerfileError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some("`build` is a directory with a Dockerfile, relative to the suite file; `dockerfile` names another".to_owned())
    }
}

/// What builds need besides what is built.
pub(super) struct Yard<'a> {
    pub(super) engine: &'a Engine,
    pub(super) ledger: &'a RunLedger,
    pub(super) logins: &'a Logins,
    pub(super) app: &'a Running,
}

/// The name that an image of this number gets.
pub(super) fn name(ledger: &RunLedger, number: usize) -> String {
    format!("{REPOSITORY}:{}-{number}", ledger.run_id())
}

/// Builds it under that name. `spec` are the flags of the run.
pub(super) async fn build(
    build: &Build,
    name: &str,
    suite: &Suite,
    spec: &BuildSpec,
    yard: &Yard<'_>,
    sink: Sink,
) -> Result<(), Failure> {
    let environment = &yard.app.environment;
    let source = read(build, &entry::absolute(suite.directory(), environment))?;
    let mut spec = spec.clone();
    spec.build_args.extend(entry::arguments(&build.args, environment));
    spec.target = build.target.clone().or(spec.target);
    let record = yard.ledger.record(ResourceKind::Tag, name)?;
    let builder = Builder {
        engine: yard.engine,
        ledger: yard.ledger,
        spec: &spec,
        tags: &[record.name().to_owned()],
        logins: yard.logins,
        environment,
        sink,
    };
    application::build(&source, &builder, &yard.app.interrupts).await?;
    Ok(())
}

fn read(build: &Build, suite: &Path) -> Result<Source, DockerfileError> {
    let directory = suite.join(&build.context);
    if !directory.is_dir() {
        return Err(DockerfileError::NotADirectory(directory));
    }
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| DockerfileError::Unreadable { path, source }
    };
    let directory = directory.canonicalize().map_err(unreadable(&directory))?;
    let within = PathBuf::from(build.dockerfile.as_deref().unwrap_or("Dockerfile"));
    let path = directory.join(&within);
    let bytes = input::read(&path, sources::LARGEST).map_err(unreadable(&path))?;
    let real = path.canonicalize().ok();
    let within = real.and_then(|real| real.strip_prefix(&directory).map(Path::to_owned).ok());
    let name = Path::new(&build.context).join(build.dockerfile.as_deref().unwrap_or("Dockerfile"));
    let name = name.strip_prefix(".").unwrap_or(&name).display().to_string();
    Ok(Source { directory, name, within, bytes })
}
