//! Every `docker run` flag that says something about the test container.
//!
//! Owns their sum and their resolution into a [`ContainerSpec`]; each family has its own file. Flags of `docker run`
//! that make no sense for a test are in [`super::refused`].

use clap::Args;

use super::error::FlagError;
use super::limits::LimitFlags;
use super::network::NetworkFlags;
use super::process::ProcessFlags;
use super::refused::{OfRun, Refused};
use super::security::SecurityFlags;
use super::storage::StorageFlags;
use crate::environment::Environment;
use crate::plan::container::ContainerSpec;

/// The flags of `docker run`, by family.
#[derive(Debug, Clone, Default, Args)]
pub struct ContainerFlags {
    /// What runs, and how it is labelled.
    #[command(flatten)]
    pub process: ProcessFlags,
    /// What is mounted.
    #[command(flatten)]
    pub storage: StorageFlags,
    /// How it is connected.
    #[command(flatten)]
    pub network: NetworkFlags,
    /// What it may use.
    #[command(flatten)]
    pub limits: LimitFlags,
    /// Its rights and namespaces.
    #[command(flatten)]
    pub security: SecurityFlags,
    #[command(flatten)]
    refused: Refused<OfRun>,
}

impl ContainerFlags {
    /// Reads the files that the flags name and turns everything into Docker's units. The command is not among the
    /// flags and stays unset.
    pub fn resolve(&self, environment: &Environment) -> Result<ContainerSpec, FlagError> {
        let mut spec = ContainerSpec::default();
        self.process.resolve(environment, &mut spec)?;
        self.storage.resolve(environment, &mut spec)?;
        self.network.resolve(&mut spec)?;
        self.limits.resolve(&mut spec)?;
        self.security.resolve(environment, &mut spec)?;
        Ok(spec)
    }
}

#[cfg(test)]
mod tests;
