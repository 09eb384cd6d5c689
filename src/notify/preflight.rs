//! What tells whether a sink would be heard, without telling it anything.
//!
//! Owns the values: what is asked ([`Preflight`]) and what the answer says ([`Standing`]). What is harmless to ask, and how
//! the answer is to be read, is each sink's, in its own file; [`super::send`] asks. A preflight changes nothing on the
//! other side and pages nobody: where a sink knows no such request, it has none.

use std::path::PathBuf;

use super::address::Url;
use super::{HttpRequest, Reception};

/// What a sink wants to have tried.
#[derive(Clone, PartialEq, Eq)]
pub enum Preflight {
    /// A request that changes nothing. The sink reads its answer.
    Ask(HttpRequest),
    /// A connection over which nothing is sent, TLS aside.
    Connect {
        /// To the host of this address.
        to: Url,
        /// Why no more than that, as it stands behind "not asked, because".
        because: &'static str,
    },
    /// A socket as [`super::Transmission::Datagrams`] has it, into which nothing is written.
    Socket {
        /// Where it is.
        address: String,
    },
    /// A directory, which a file is made in that goes again at once.
    Directory {
        /// Where it is.
        path: PathBuf,
    },
    /// Nothing is harmless.
    Nothing,
}

impl Preflight {
    /// What to do where nothing of it could be tried.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Ask(_) | Self::Connect { .. } => {
                "look at the address, the firewall and HTTPS_PROXY, and name an authority of your own with SSL_CERT_FILE"
            }
            Self::Socket { .. } => "start the agent there, or correct its address",
            Self::Directory { .. } => "make the directory, and let this user write to it",
            Self::Nothing => "",
        }
    }
}

/// What the answer to a preflight says of what will be sent, in words that stand behind the name of who answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It will be taken.
    Accepted {
        /// `accepts the key`.
        says: &'static str,
    },
    /// It will be refused for as long as nobody does something.
    Refused {
        /// `refuses the key: HTTP status 403`.
        says: String,
        /// What to do.
        hint: String,
    },
    /// That was not the answer to the question.
    Unclear {
        /// `does not say: HTTP status 503`.
        says: String,
        /// What to do.
        hint: String,
    },
}

/// What an answer says unless a sink knows more: `says` where it was taken.
#[must_use]
pub fn standing(reception: Reception, says: &'static str) -> Standing {
    match reception {
        Reception::Accepted => Standing::Accepted { says },
        Reception::Later { reason, .. } => later(&reason),
        Reception::Refused { reason } => Standing::Refused {
            says: format!("refuses what it is asked: {reason}"),
            hint: "correct the address".to_owned(),
        },
    }
}

/// It has too much to do, or its own trouble.
pub(super) fn later(reason: &str) -> Standing {
    Standing::Unclear {
        says: format!("answers, and does not say whether it would take anything: {reason}"),
        hint: "it may pass: try again later; what it is told meanwhile waits in the outbox".to_owned(),
    }
}

/// Something that is likely to be wrong, without anybody being asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// What. Bears no secret.
    pub message: String,
    /// What to do.
    pub hint: String,
}
