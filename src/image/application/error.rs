//! Why the image under test was not built.

use crate::engine::docker::build::BuildError;
use crate::error::{Category, Diagnose};
use crate::metadata::dockerfile::{FileError, TargetError};
use crate::metadata::labels;

/// The image was not built.
#[derive(Debug, thiserror::Error)]
pub enum ApplicationError {
    /// The Dockerfile cannot be read.
    #[error(transparent)]
    Dockerfile(#[from] FileError),
    /// `--target` names no stage.
    #[error("{file}: {source}")]
    Target {
        /// The Dockerfile.
        file: String,
        /// What is wrong.
        source: TargetError,
    },
    /// The builder lacks what the Dockerfile uses.
    #[error("{file}:{line}: the {builder} of {product} lacks {feature}")]
    Unsupported {
        /// The Dockerfile.
        file: String,
        /// The line.
        line: u32,
        /// The builder.
        builder: String,
        /// The engine.
        product: String,
        /// What it lacks.
        feature: String,
    },
    /// The tests cannot be recorded.
    #[error("{file}: the ONTEST instructions cannot be recorded: {source}")]
    Label {
        /// The Dockerfile.
        file: String,
        /// Why.
        source: labels::LabelError,
    },
    /// The builder failed.
    #[error("{file}: {source}")]
    Build {
        /// The Dockerfile, and the line where the builder names one.
        file: String,
        /// Why.
        source: Box<BuildError>,
    },
    /// The builder reported success and no image.
    #[error("{file}: the builder reported success, but names no image")]
    NoImage {
        /// The Dockerfile.
        file: String,
    },
}

impl Diagnose for ApplicationError {
    fn category(&self) -> Category {
        match self {
            Self::Build { source, .. } => source.category(),
            Self::NoImage { .. } | Self::Unsupported { .. } => Category::Environment,
            _ => Category::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Dockerfile(error) => error.hint(),
            Self::Target { source, .. } => source.hint(),
            Self::Label { source, .. } => source.hint(),
            Self::Build { source, .. } => source.hint(),
            Self::Unsupported { .. } => Some(
                "`docker-test doctor` shows what this builder can do; a newer engine can do more".to_owned(),
            ),
            Self::NoImage { .. } => None,
        }
    }
}

impl ApplicationError {
    /// True where a signal ended the build.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Build { source, .. } if matches!(**source, BuildError::Cancelled))
    }
}
