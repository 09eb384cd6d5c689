//! Why there is no test image, in the author's terms.

use crate::engine::docker::build::{BuildError, BuildFailure};
use crate::error::{Category, Diagnose};

/// Why there is no test image.
#[derive(Debug, thiserror::Error)]
pub enum TestImageError {
    /// The builder failed; the line is the author's where it can be told.
    #[error("{}{failure}", place(.file.as_deref(), *.line))]
    Failed {
        /// Where the failing instruction was written: a path or a label.
        file: Option<String>,
        /// The author's line.
        line: Option<u32>,
        /// What the builder said.
        failure: Box<BuildFailure>,
    },
    /// The builder could not make the results directory.
    #[error("the results directory {path} cannot be made in {image}: {}", .failure.message)]
    Results {
        /// The results path.
        path: String,
        /// The image under test.
        image: String,
        /// What the builder said.
        failure: Box<BuildFailure>,
    },
    /// It took too long.
    #[error("building {image} took longer than {limit} (--build-timeout)")]
    TimedOut {
        /// The test image.
        image: String,
        /// The limit in words.
        limit: String,
    },
    /// A signal came.
    #[error("interrupted while building {image}")]
    Interrupted {
        /// The test image.
        image: String,
        /// Signal number.
        signal: u8,
    },
    /// Somebody removed the image under test meanwhile.
    #[error("{image} was removed while its test image was built")]
    TargetGone {
        /// The image under test.
        image: String,
    },
    /// What was built does not stand on the image under test.
    #[error(
        "{image} was built, but not on top of {target}: the last stage must begin with FROM ${{TEST_IMAGE}}"
    )]
    WrongBase {
        /// The test image.
        image: String,
        /// The image under test.
        target: String,
    },
    /// The builder named no image and none bears its name.
    #[error("the builder reported success, but there is no image {image}")]
    Vanished {
        /// The test image.
        image: String,
    },
    /// It came along without a recipe that it could be built from again.
    #[error("the test image {image} was removed before it could run")]
    Gone {
        /// The test image.
        image: String,
    },
    /// Everything else that a build can fail with.
    #[error(transparent)]
    Build(BuildError),
}

fn place(file: Option<&str>, line: Option<u32>) -> String {
    match (file, line) {
        (Some(file), Some(line)) => format!("{file}:{line}: "),
        (Some(file), None) => format!("{file}: "),
        _ => String::new(),
    }
}

impl TestImageError {
    /// The signal that ended the build, where one did.
    #[must_use]
    pub const fn signal(&self) -> Option<u8> {
        match self {
            Self::Interrupted { signal, .. } => Some(*signal),
            _ => None,
        }
    }
}

impl Diagnose for TestImageError {
    fn category(&self) -> Category {
        match self {
            Self::Build(error) => error.category(),
            Self::Vanished { .. } | Self::Gone { .. } => Category::Environment,
            _ => Category::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Failed { failure, .. } => BuildError::Failed(failure.clone()).hint(),
            Self::Build(error) => error.hint(),
            Self::Results { path, .. } => Some(format!(
                "{path} or a directory above it may be a symbolic link or a file in the image: name another path with \
                 the label test.results"
            )),
            Self::TimedOut { .. } => {
                Some("raise --build-timeout, or leave it out: a build has no limit by default".into())
            }
            Self::Gone { .. } => Some("pull it again; does something clean up images?".into()),
            Self::TargetGone { .. } => Some("build or pull it again; does something clean up images?".into()),
            Self::WrongBase { .. } => Some(
                "begin the last stage of Dockerfile.test with `ARG TEST_IMAGE` and `FROM ${TEST_IMAGE}`"
                    .into(),
            ),
            _ => None,
        }
    }
}
