//! `docker-test build`: an image from a Dockerfile that may contain ONTEST.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use super::application::Running;
use super::connect::{self, Connection};
use super::flags::{BuildCommandFlags, EngineFlags, OutputFlags};
use super::run::display::{Shown, Subject};
use super::{secrets, terminal};
use crate::engine::reference::Reference;
use crate::error::{Category, Diagnose, Failure};
use crate::exit_code::ExitCode;
use crate::image::application::{self, Builder, Source};
use crate::image::build::{self, Workshop};
use crate::image::logins::Logins;
use crate::image::sources;
use crate::input;
use crate::ledger::{Leftover, RunLedger};
use crate::plan::{self, Facts, Limits, Request};
use crate::runner::event::RunEvent;
use crate::runner::{Sink, housekeeping};

/// Flags of `build`.
#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// The context directory.
    #[arg(default_value = ".", value_name = "PATH")]
    path: PathBuf,
    /// Also build the test image, IMAGE:TAG-test, so that it can be pushed beside the image.
    #[arg(long)]
    with_tests: bool,
    #[command(flatten)]
    build: BuildCommandFlags,
    #[command(flatten)]
    engine: EngineFlags,
    #[command(flatten)]
    output: OutputFlags,
}

/// The command line does not say what to build.
#[derive(Debug, thiserror::Error)]
enum UsageError {
    #[error("{0} is not a directory: docker-test build takes the context from a directory of this machine")]
    NotADirectory(String),
    #[error("there is no Dockerfile at {}", .0.display())]
    NoDockerfile(PathBuf),
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("--with-tests needs a name for the image")]
    NoTag,
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

impl Diagnose for UsageError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotADirectory(path) if path.contains("://") || path.starts_with("git@") => {
                "clone the repository first, and build in its directory".to_owned()
            }
            Self::NotADirectory(_) => "give the directory, and the Dockerfile with -f".to_owned(),
            Self::NoDockerfile(_) => "give its path with -f".to_owned(),
            Self::NoTag => "add -t NAME:TAG; the test image is then NAME:TAG-test".to_owned(),
            Self::Read { .. } | Self::Write { .. } => return None,
        })
    }
}

pub(super) async fn execute(args: BuildArgs, app: Running) -> Result<ExitCode, Failure> {
    let spec = args.build.resolve(&app.environment).map_err(|error| app.origins.explain(error))?;
    let redactor = secrets::redactor(&app.environment, &[], &[], &spec);
    let tags: Vec<String> = args
        .build
        .tag
        .iter()
        .map(|tag| Ok(Reference::parse(tag)?.resolved()))
        .collect::<Result<_, Failure>>()
        .map_err(|failure| failure.at(app.origins.place("--tag")))?;
    if args.with_tests && tags.is_empty() {
        return Err(UsageError::NoTag.into());
    }
    // The Dockerfile may be a pipe, or typed.
    let cwd = app.environment.current_dir().to_owned();
    let read = move || (read_source(&args, &cwd), args);
    let (source, args) = app.unless_interrupted(Duration::ZERO, read).await?;
    let source = source.map_err(|error| Failure::from(error).at(app.origins.place("--file")))?;
    let connection = connect::connect(&args.engine, &app).await?;
    let name = tags.first().cloned().unwrap_or_else(|| source.name.clone());
    let test_image = match tags.first().filter(|_| args.with_tests) {
        Some(tag) => Some(Reference::parse(tag)?.test_tag()),
        None => None,
    };
    let state = app.state_dir()?;
    let address = connection.engine.address();
    let ledger = RunLedger::begin(&state, address, &name, test_image.as_deref(), Limits::default().of_run())?;
    let (sink, messages) = Sink::channel();
    let shown = Shown::start(&args.output, &app.environment, &[], Subject::default(), &redactor, messages);
    let built = all(&args, &app, &connection, &ledger, &source, &tags, spec, &sink).await;
    for warning in ledger.close(&connection.engine).await.iter().map(Leftover::to_string) {
        sink.warn(warning);
    }
    drop(sink);
    let told = shown.finish(&app.interrupts).await;
    housekeeping::sweep(&state, &connection.engine, ledger.run_id()).await;
    connection.close().await;
    match built {
        Ok(built) => {
            told?;
            report(&args, &app, &built)
        }
        Err(failure) => {
            terminal::report_failure(&failure, &redactor);
            let state = *app.interrupts.borrow();
            Ok(if state.count > 0 { ExitCode::Signal(state.signal) } else { ExitCode::Error })
        }
    }
}

/// What was built.
struct Built {
    /// Id of the image.
    id: String,
    /// Its names and those of test images, each with the id that it leads to.
    names: Vec<(String, String)>,
}

fn report(args: &BuildArgs, app: &Running, built: &Built) -> Result<ExitCode, Failure> {
    if let Some(path) = &args.build.iidfile {
        let path = app.environment.current_dir().join(path);
        std::fs::write(&path, &built.id)
            .map_err(|source| UsageError::Write { path, source })
            .map_err(|error| Failure::from(error).at(app.origins.place("--iidfile")))?;
    }
    if args.output.quiet {
        terminal::out(&format!("{}\n", built.id))?;
        return Ok(ExitCode::Success);
    }
    if built.names.is_empty() {
        terminal::note(&format!("the image is {}\n", built.id));
    }
    for (name, id) in &built.names {
        terminal::note(&format!("{name} is {id}\n"));
    }
    Ok(ExitCode::Success)
}

#[expect(clippy::too_many_arguments, reason = "the pieces of one command line, resolved one by one above")]
async fn all(
    args: &BuildArgs,
    app: &Running,
    connection: &Connection,
    ledger: &RunLedger,
    source: &Source,
    tags: &[String],
    spec: crate::plan::build::BuildSpec,
    sink: &Sink,
) -> Result<Built, Failure> {
    let engine = &connection.engine;
    let logins = Logins::new(connect::environment(&args.engine, &app.environment));
    let builder = Builder {
        engine,
        ledger,
        spec: &spec,
        tags,
        logins: &logins,
        environment: &app.environment,
        sink: sink.clone(),
    };
    let began = Instant::now();
    let id = application::build(source, &builder, &app.interrupts).await?;
    sink.event(RunEvent::Built {
        image: if tags.is_empty() { source.name.clone() } else { tags.join(", ") },
        image_id: id.clone(),
        reused: false,
        seconds: began.elapsed().as_secs_f64(),
    });
    let mut names: Vec<_> = tags.iter().map(|tag| (tag.clone(), id.clone())).collect();
    if args.with_tests {
        let target = engine.image(&id).await?.unwrap_or_default();
        let directory = sources::read(&source.directory, true, None)?;
        let mut flags = spec.clone();
        let anew = spec.no_cache || spec.pull;
        for tag in tags {
            let test_image = Reference::parse(tag)?.test_tag();
            let existing = engine.image(&test_image).await?;
            let request = Request {
                reference: tag.clone(),
                test_image: test_image.clone(),
                build: flags.clone(),
                ..Request::default()
            };
            let facts = Facts {
                target: &target,
                test_image: existing.as_ref(),
                directory: &directory,
                capabilities: engine.capabilities(),
                files_at_hand: true,
            };
            let plan = plan::resolve(&request, &facts)?;
            let workshop = Workshop {
                engine,
                ledger,
                target: &target,
                // One of the same key that is not of this build is none of the kind that was asked for.
                existing: existing.as_ref().filter(|_| names.len() == tags.len() || !anew),
                logins: &logins,
                environment: &app.environment,
                sink: sink.clone(),
            };
            let built = build::ensure(&plan, &workshop, &app.interrupts).await?;
            names.push((test_image, built.image_id));
            // The next one is the same under another name.
            flags.no_cache = false;
            flags.pull = false;
        }
    }
    Ok(Built { id, names })
}

fn read_source(args: &BuildArgs, cwd: &Path) -> Result<Source, UsageError> {
    let directory = cwd.join(&args.path);
    if !directory.is_dir() {
        return Err(UsageError::NotADirectory(args.path.display().to_string()));
    }
    let directory =
        directory.canonicalize().map_err(|source| UsageError::Read { path: directory, source })?;
    let path = match &args.build.file {
        Some(file) if file == Path::new("-") => {
            let bytes = input::read_open(std::io::stdin().lock(), sources::LARGEST)
                .map_err(|source| UsageError::Read { path: "-".into(), source })?;
            return Ok(Source { directory, name: "-".to_owned(), within: None, bytes });
        }
        Some(file) => cwd.join(file),
        None => directory.join("Dockerfile"),
    };
    let bytes = input::read(&path, sources::LARGEST).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => UsageError::NoDockerfile(path.clone()),
        _ => UsageError::Read { path: path.clone(), source },
    })?;
    let within =
        path.canonicalize().ok().and_then(|real| real.strip_prefix(&directory).map(Path::to_owned).ok());
    let name = args.build.file.clone().unwrap_or_else(|| args.path.join("Dockerfile"));
    let name = name.strip_prefix(".").unwrap_or(&name).display().to_string();
    Ok(Source { directory, name, within, bytes })
}
