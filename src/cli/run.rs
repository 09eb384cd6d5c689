//! `docker-test run`: one image or many, built, run and judged.

mod conclude;
pub(super) mod display;
mod found;
mod input;
mod many;
mod overlap;
mod planning;
mod recording;
mod request;
mod single;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::application::Running;
use super::flags::{BuildFlags, ContainerFlags, EngineFlags, ManyFlags, OutputFlags, RunFlags};
use super::{suite_file, terminal};
use crate::error::Failure;
use crate::exit_code::ExitCode;
pub(super) use found::Found;
pub(super) use request::Prepared;

/// Flags of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The images under test; without any, the suite in docker-test.yaml.
    #[arg(id = "image", value_name = "IMAGE[:TAG|@DIGEST]")]
    images: Vec<String>,
    #[command(flatten)]
    many: ManyFlags,
    #[command(flatten)]
    options: RunOptions,
}

/// Everything but the image, shared with `inspect` and `generate`.
#[derive(Debug, Args)]
pub(super) struct RunOptions {
    /// Command of the test, in the place of the recipe's own.
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "shell", help_heading = None::<&str>)]
    pub(super) command: Vec<String>,
    /// Name of the test image, instead of IMAGE:TAG-test.
    #[arg(long, value_name = "NAME[:TAG]", help_heading = "Run")]
    pub(super) test_image: Option<String>,
    #[command(flatten)]
    pub(super) run: RunFlags,
    #[command(flatten)]
    pub(super) container: ContainerFlags,
    #[command(flatten)]
    pub(super) build: BuildFlags,
    #[command(flatten)]
    pub(super) engine: EngineFlags,
    #[command(flatten)]
    pub(super) output: OutputFlags,
}

pub(super) async fn execute(args: RunArgs, app: Running) -> Result<ExitCode, Failure> {
    match args.images.as_slice() {
        [image] if !args.many.is_used() => {
            let image = image.clone();
            alone(image, args.options, app).await
        }
        _ => Box::pin(many::execute(args, app)).await,
    }
}

async fn alone(image: String, options: RunOptions, app: Running) -> Result<ExitCode, Failure> {
    // An --env-file may be a pipe.
    let reader = app.clone();
    let read = move || (Prepared::resolve(&image, &options, &reader), image, options);
    let (prepared, image, options) = app.unless_interrupted(Duration::ZERO, read).await?;
    let prepared = prepared?;
    let redactor = Arc::clone(&prepared.redactor);
    let interrupts = app.interrupts.clone();
    let (name, environment) = (image.clone(), app.environment.clone());
    let code = match Box::pin(single::run(image, options, app, prepared)).await {
        Ok(code) => code,
        Err(failure) => {
            terminal::report_failure(&failure, &redactor);
            single::after_failure(&interrupts)
        }
    };
    if code == ExitCode::Error && suite_file::has_test(&name, &environment) {
        let file = suite_file::FILE;
        terminal::note(&format!("  hint: {name} is a test of {file}: docker-test run --select {name}\n"));
    }
    Ok(code)
}
