//! Where the tests of a run of several come from, and whether what was asked for goes together.
//!
//! Owns the order in which that is decided: images on the command line, `--containers`, `--images`, `--suite`, a compose
//! file's own test, the suite of the directory.

use std::path::PathBuf;

use super::super::super::application::Running;
use super::super::super::flags::output::Format;
use super::super::super::suite_file;
use super::super::RunArgs;
use crate::error::{Category, Diagnose, Failure};
use crate::suite::Suite;

/// Where tests come from.
pub(super) enum Origin {
    /// Named on the command line.
    Images(Vec<String>),
    /// Every image of the engine that has a type of test.
    ImagesOfTheEngine,
    /// Every container of the engine that has one.
    Containers,
    /// A suite file.
    Suite(Box<Suite>),
    /// The service `sut` of compose files.
    Compose,
}

impl Origin {
    /// The suite that the user has written, where it is one.
    pub(super) const fn suite(&self) -> Option<&Suite> {
        if let Self::Suite(suite) = self { Some(suite) } else { None }
    }
}

/// What was asked for does not go together, or is nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum OriginError {
    #[error("there is nothing to test: no IMAGE, and no {} in {}", suite_file::FILE, .0.display())]
    Nothing(PathBuf),
    #[error("{flag} is for one test, and this is a run of several")]
    OfOne { flag: &'static str },
    #[error("{flag} and IMAGE exclude each other: both say what is tested")]
    Twice { flag: &'static str },
    #[error("--watch tells people what happens, and writes nothing for programs to standard output")]
    WatchedByAProgram,
}

impl Diagnose for OriginError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Nothing(_) => "name an image (docker-test run shop:1.4), or let `docker-test init` write a suite to start from".to_owned(),
            Self::OfOne { flag } => format!("run the image alone: docker-test run {flag} IMAGE"),
            Self::Twice { .. } => "leave one of the two out".to_owned(),
            Self::WatchedByAProgram => {
                "leave --format json out, and write reports to files: each run writes them anew".to_owned()
            }
        })
    }
}

/// Decides, and reads the suite where it is one.
pub(super) fn find(args: &RunArgs, app: &Running) -> Result<Origin, Failure> {
    refuse(args)?;
    let (many, selection) = (&args.many, &args.many.selection);
    if !args.images.is_empty() {
        let mut images: Vec<String> = Vec::new();
        for image in &args.images {
            if !images.contains(image) {
                images.push(image.clone());
            }
        }
        return Ok(Origin::Images(images));
    }
    if many.origin.containers {
        return Ok(Origin::Containers);
    }
    if many.origin.images {
        return Ok(Origin::ImagesOfTheEngine);
    }
    let environment = &app.environment;
    let here = environment.current_dir().join(suite_file::FILE).exists();
    if selection.suite.is_none() && !many.origin.compose.is_empty() {
        return Ok(Origin::Compose);
    }
    if selection.suite.is_none() && !here {
        if selection.selects_by_label() {
            return Ok(Origin::ImagesOfTheEngine);
        }
        return Err(OriginError::Nothing(environment.current_dir().to_owned()).into());
    }
    let with_compose = !many.origin.compose.is_empty();
    let suite = suite_file::read(selection.suite.as_deref(), environment, with_compose)?;
    Ok(Origin::Suite(Box::new(suite)))
}

/// Refuses what makes sense for a single test alone, and what says twice what is tested.
fn refuse(args: &RunArgs) -> Result<(), OriginError> {
    let options = &args.options;
    let of_one = [
        ("--shell", options.run.shell),
        ("--test-image", options.test_image.is_some()),
        ("--keep-dockerfile", options.run.keep_dockerfile.is_some()),
        ("--propagate-exit-code", options.run.propagate_exit_code),
        ("--name", options.container.process.name.is_some()),
        ("--interactive", options.container.process.interactive),
    ];
    if let Some((flag, _)) = of_one.into_iter().find(|(_, given)| *given) {
        return Err(OriginError::OfOne { flag });
    }
    let many = &args.many;
    let sources = [
        ("--suite", many.selection.suite.is_some()),
        ("--containers", many.origin.containers),
        ("--images", many.origin.images),
    ];
    if let Some((flag, _)) = sources.into_iter().find(|(_, given)| *given && !args.images.is_empty()) {
        return Err(OriginError::Twice { flag });
    }
    let to_stdout = options.run.report.iter().any(|report| report.path.as_os_str() == "-");
    if many.watch && (to_stdout || options.output.format == Format::Json) {
        return Err(OriginError::WatchedByAProgram);
    }
    Ok(())
}
