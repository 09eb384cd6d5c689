//! What can be wrong with a report or the place it goes to.

use std::io;
use std::path::PathBuf;

use crate::error::{Category, Diagnose};
use crate::report::{ExportError, UnknownFormat};

/// What can be wrong with a report's destination.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Not `FORMAT=PATH`.
    #[error("`{}` is not of the form FORMAT=PATH", crate::report::text::printable(text))]
    Malformed {
        /// As the user wrote it.
        text: String,
    },
    /// No such format.
    #[error(transparent)]
    UnknownFormat(#[from] UnknownFormat),
    /// The path names a directory.
    #[error("cannot write a report to {}: it is a directory", path.display())]
    IsDirectory {
        /// The path.
        path: PathBuf,
    },
    /// The results directory keeps the name for itself.
    #[error("cannot write a report to {}: docker-test keeps that name for itself", path.display())]
    Reserved {
        /// The path.
        path: PathBuf,
    },
    /// Found before the run: nothing can be written there.
    #[error("cannot write a report to {}", path.display())]
    Unwritable {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Two reports for one place.
    #[error("two reports cannot share {}", path.display())]
    SharedDestination {
        /// The path; `-` for stdout.
        path: PathBuf,
    },
    /// `--format json` has stdout already.
    #[error("a report on stdout and --format json exclude each other: both are for programs")]
    StdoutTaken,
    /// Found after the run: writing failed.
    #[error("cannot write the {format} report to {}", path.display())]
    Write {
        /// Which exporter.
        format: &'static str,
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The document could not be made, or stdout could not take it.
    #[error(transparent)]
    Export(#[from] ExportError),
}

impl ReportError {
    /// True where the reader of a report on stdout went away.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Export(error) if error.is_broken_pipe())
    }
}

impl Diagnose for ReportError {
    fn category(&self) -> Category {
        match self {
            Self::Malformed { .. }
            | Self::IsDirectory { .. }
            | Self::Reserved { .. }
            | Self::SharedDestination { .. }
            | Self::StdoutTaken => Category::User,
            Self::Unwritable { .. } | Self::Write { .. } => Category::Environment,
            Self::UnknownFormat(error) => error.category(),
            Self::Export(error) => error.category(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Malformed { .. } => Some("for example --report junit=report.xml; `-` is stdout".to_owned()),
            Self::IsDirectory { .. } => Some("name a file in it".to_owned()),
            Self::Reserved { .. } => Some("choose another name".to_owned()),
            Self::SharedDestination { .. } => Some("give every report a path of its own".to_owned()),
            Self::StdoutTaken => Some("write the report to a file".to_owned()),
            Self::UnknownFormat(error) => error.hint(),
            Self::Unwritable { .. } => Some("check the path and its permissions".to_owned()),
            Self::Write { .. } | Self::Export(_) => None,
        }
    }
}
