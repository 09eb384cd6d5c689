//! Why a check could not look.

use std::error::Error as StdError;
use std::io;
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use super::command::SHELL;
use crate::engine::glance::GlanceError;
use crate::error::{Category, Diagnose};
use crate::metadata::duration::human;
use crate::names::NameError;
use crate::shortage::Shortage;

/// Any port will do.
const DISCARD: u16 = 9;

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
    /// The engine cannot be asked.
    #[error("cannot ask the engine: {}", flat(.0))]
    Engine(#[from] GlanceError),
    /// The engine took too long.
    #[error("cannot ask the engine: it has not answered within {}", human(*limit))]
    SilentEngine {
        /// The time that was allowed.
        limit: Duration,
    },
    /// Nobody has said where an engine would be.
    #[error("cannot ask an engine here")]
    NoEngine,
    /// The tests of an image say nothing.
    #[error("cannot test the image {image}: {reason}")]
    Untested {
        /// Which.
        image: String,
        /// Why not.
        reason: String,
    },
    /// This machine has too little left to look.
    #[error("cannot look at {what}: {reason}: {remedy}")]
    Shortage {
        /// At what.
        what: String,
        /// What the system says.
        reason: String,
        /// What helps. It is a part of the message: a page is all that people get.
        remedy: &'static str,
    },
    /// The check was asked to stop.
    #[error("the check was stopped before it came to an end")]
    Cancelled,
}

impl CheckError {
    /// The error of a look at `what` that failed for want of something that this machine is to have; nothing where the
    /// service, or the way to it, is to blame. `addresses` are those that were tried, where they are known.
    pub(super) fn of_shortage(
        error: &(dyn StdError + 'static),
        what: impl FnOnce() -> String,
        addresses: &[IpAddr],
    ) -> Option<Self> {
        let shortage = Shortage::of(error)?;
        // A machine without IPv6 has no local address for one of IPv6, and says the same.
        let is_ours = shortage != Shortage::Ports
            || (!addresses.is_empty() && addresses.iter().all(|address| has_source_for(*address)));
        let mut cause = error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        let reason = cause.to_string().replace(char::is_control, " ");
        is_ours.then(|| Self::Shortage { what: what(), reason, remedy: shortage.remedy() })
    }
}

/// Whether this machine has an address to send to this one from. Sends nothing.
fn has_source_for(address: IpAddr) -> bool {
    let connect = || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?.connect((address, DISCARD));
    address.is_ipv4() || connect().is_ok()
}

impl From<NameError> for CheckError {
    fn from(error: NameError) -> Self {
        let reason = match error {
            NameError::Setup { source } => source.to_string(),
            other => other.to_string(),
        };
        Self::Setup { what: "name resolution", reason }
    }
}

impl Diagnose for CheckError {
    fn category(&self) -> Category {
        match self {
            Self::NotStarted { .. } | Self::ClientCertificate { .. } | Self::Cancelled => Category::User,
            Self::Engine(error) => error.category(),
            Self::Lost { .. }
            | Self::Setup { .. }
            | Self::SilentEngine { .. }
            | Self::Untested { .. }
            | Self::Shortage { .. } => Category::Environment,
            Self::NoEngine => Category::Internal,
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
            Self::NotStarted { source, .. } => {
                Shortage::of_start(source).map(|shortage| shortage.remedy().to_owned())
            }
            Self::Engine(error) => match Shortage::of(error) {
                Some(shortage) => Some(shortage.remedy().to_owned()),
                None => error.hint(),
            },
            _ => None,
        }
    }
}

/// All causes in one line.
fn flat(error: &dyn StdError) -> String {
    let mut told = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let cause = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if !told.contains(&cause) {
            told.push_str(if told.is_empty() { "" } else { ": " });
            told.push_str(&cause);
        }
        next = error.source();
    }
    told
}
