//! Why a check could not look.

use std::io;
use std::path::PathBuf;

use super::command::SHELL;
use crate::error::{Category, Diagnose};

/// Why a check could not look. It says nothing about the service.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The command cannot be started.
    #[error("cannot start the command {program}: {source}")]
    NotStarted {
        /// Its program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// Nothing is known of the command's end.
    #[error("cannot wait for the command {program}: {source}")]
    Lost {
        /// Its program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A client certificate cannot be used.
    #[error("cannot use the {what} {}: {reason}", path.display())]
    ClientCertificate {
        /// client certificate, private key
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What is wrong. Never what the file holds.
        reason: String,
    },
    /// HTTP or TLS cannot be set up.
    #[error("cannot set up {what}: {reason}")]
    Setup {
        /// HTTP, TLS, name resolution
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The check was asked to stop.
    #[error("the check was stopped before it came to an end")]
    Cancelled,
}

impl Diagnose for CheckError {
    fn category(&self) -> Category {
        match self {
            Self::NotStarted { .. } | Self::ClientCertificate { .. } | Self::Cancelled => Category::User,
            Self::Lost { .. } | Self::Setup { .. } => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotStarted { program, source } if source.kind() == io::ErrorKind::NotFound => {
                Some(if program == SHELL {
                    format!("a command in one text needs {SHELL} in the image; a list of arguments does not")
                } else {
                    "look whether it is in this image, and in a directory of PATH".to_owned()
                })
            }
            _ => None,
        }
    }
}
