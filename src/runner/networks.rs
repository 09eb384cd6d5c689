//! The networks of a run: made for it, or found.
//!
//! Owns their names, and that what is to be joined is there and can be joined before any container is made. They go
//! with the run's ledger.

use std::collections::BTreeMap;

use crate::engine::{Engine, EngineError, NetworkCreation, ResourceKind};
use crate::error::{Category, Diagnose, Failure};
use crate::ledger::RunLedger;
use crate::metadata::labels::ours::Role;
use crate::suite::document::Network;

/// The name that the network of all services and tests has in a suite.
pub const DEFAULT: &str = "default";

/// A network cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// It is not there.
    #[error("there is no network {name} on this engine to join")]
    Missing {
        /// Its name.
        name: String,
    },
    /// It is there, and containers of ours cannot join it.
    #[error("the network {name} cannot be joined: {reason}")]
    Closed {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// It could not be made.
    #[error("cannot create the network {name}")]
    NotMade {
        /// Its name in the suite.
        name: String,
        /// Why.
        source: EngineError,
    },
}

impl Diagnose for NetworkError {
    fn category(&self) -> Category {
        match self {
            Self::Missing { .. } | Self::Closed { .. } => Category::User,
            Self::NotMade { .. } => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some("`docker network ls` lists those that are there".to_owned()),
            Self::Closed { .. } => None,
            Self::NotMade { source, .. } => source.hint().or_else(|| {
                Some("the engine may have no addresses left: `docker network prune` frees some".to_owned())
            }),
        }
    }
}

/// Makes or finds `wanted`, each by its name in the suite. Says what each is called on the engine.
pub async fn prepare(
    wanted: &BTreeMap<&str, &Network>,
    engine: &Engine,
    ledger: &RunLedger,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut names = BTreeMap::new();
    // Whatever is refused is refused before anything is made.
    for (key, network) in wanted {
        if let Some(existing) = &network.join {
            let name = existing.clone();
            let found =
                engine.network(existing).await?.ok_or(NetworkError::Missing { name: name.clone() })?;
            if let Err(reason) = found.can_be_joined() {
                return Err(NetworkError::Closed { name, reason }.into());
            }
            names.insert((*key).to_owned(), name);
        }
    }
    for (key, network) in wanted.iter().filter(|(_, network)| network.join.is_none()) {
        let name = match *key {
            DEFAULT => format!("docker-test-{}", ledger.run_id()),
            key => format!("docker-test-{}-{key}", ledger.run_id()),
        };
        let record = ledger.record(ResourceKind::Network, &name)?;
        let creation = NetworkCreation { internal: network.internal, labels: ledger.labels(Role::Network) };
        engine
            .create_network(&record, &creation)
            .await
            .map_err(|source| NetworkError::NotMade { name: (*key).to_owned(), source })?;
        names.insert((*key).to_owned(), name);
    }
    Ok(names)
}
