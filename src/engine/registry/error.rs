//! Why a registry could not be asked.

use std::time::Duration;

use crate::engine::transport::TlsError;
use crate::error::{Category, Diagnose};

/// Where Docker keeps the authorities of single registries.
pub(super) const CERTIFICATES: &str = "/etc/docker/certs.d";

/// The registry could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It cannot be reached.
    #[error("cannot reach the registry {registry}: {reason}")]
    Unreachable {
        /// The registry.
        registry: String,
        /// The innermost cause.
        reason: String,
    },
    /// It took too long.
    #[error("the registry {registry} does not answer within {limit:?}")]
    TimedOut {
        /// The registry.
        registry: String,
        /// The limit.
        limit: Duration,
    },
    /// Something answers, but not as a registry does.
    #[error("{registry} does not answer as a registry does: {reason}")]
    NotARegistry {
        /// The registry.
        registry: String,
        /// What it did.
        reason: String,
    },
    /// It wants the login in a way that would give it away.
    #[error("the login of {registry} was not sent: {reason}")]
    Unsafe {
        /// The registry.
        registry: String,
        /// Why.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("cannot ask the registry {registry}")]
    Tls {
        /// The registry.
        registry: String,
        /// Why.
        source: TlsError,
    },
}

impl Diagnose for RegistryError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreachable { reason, registry } if reason.contains("certificate") => {
                format!("an authority of the registry's own belongs in {CERTIFICATES}/{registry}/ca.crt")
            }
            Self::Unreachable { .. } | Self::TimedOut { .. } => {
                "check its name, the network and HTTPS_PROXY; the engine may reach it where this machine cannot"
                    .to_owned()
            }
            Self::NotARegistry { .. } => {
                "is this the registry's own address, and not that of its web site?".to_owned()
            }
            Self::Unsafe { .. } => "the registry's administrator has to mend this".to_owned(),
            Self::Tls { .. } => "install ca-certificates, or set SSL_CERT_FILE".to_owned(),
        })
    }
}
