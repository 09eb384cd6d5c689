//! Registry credentials as the Docker CLI finds them.
//!
//! Owns the order (`DOCKER_AUTH_CONFIG`, a registry's helper, the credential store, `auths` of `config.json`), the keys,
//! and the running of helpers. Hands secrets on in headers alone; nothing here prints one.

mod auth;
mod file;
mod helper;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use futures_util::future::join_all;

pub use auth::{RegistryAuth, Secret, to_config_header};

use crate::engine::endpoint::{ContextError, config_dir};
use crate::engine::reference::{Reference, ReferenceError};
use crate::environment::Environment;
use crate::error::{Category, Diagnose};
use file::Entries;

/// The key of Docker Hub in configuration files and helpers, for historical reasons.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// Where credentials can be found. Helpers run when they are asked.
#[derive(Clone)]
pub struct Credentials {
    /// `DOCKER_AUTH_CONFIG`
    variable: Entries,
    /// `config.json`
    file: Entries,
    env: Environment,
}

/// Everything for a build, which may pull from any registry.
#[derive(Debug, Default)]
pub struct AllCredentials {
    /// What was found.
    pub auths: Vec<RegistryAuth>,
    /// What could not be found out; a build may not need it.
    pub warnings: Vec<CredentialsError>,
}

/// Why credentials cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Docker's configuration file cannot be read.
    #[error("cannot read registry credentials")]
    Configuration(#[from] ContextError),
    /// The variable is not what it should be.
    #[error("cannot read registry credentials from DOCKER_AUTH_CONFIG: {reason}")]
    Variable {
        /// What is wrong.
        reason: String,
    },
    /// One registry's entry is not what it should be.
    #[error("cannot read the credentials of {registry} in {place}: {reason}")]
    Entry {
        /// The registry's key.
        registry: String,
        /// The file or variable.
        place: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The helper that the configuration names is not installed.
    #[error("cannot get credentials of {registry}: {helper} is not installed")]
    HelperMissing {
        /// The registry's key.
        registry: String,
        /// The helper's program.
        helper: String,
    },
    /// The helper failed.
    #[error("cannot get credentials of {registry}: {helper} {reason}")]
    Helper {
        /// The registry's key.
        registry: String,
        /// The helper's program.
        helper: String,
        /// Its own words, or what happened to it.
        reason: String,
    },
}

impl CredentialsError {
    /// True where the image may well be public, so that going on without credentials makes sense.
    #[must_use]
    pub const fn is_warning(&self) -> bool {
        matches!(self, Self::HelperMissing { .. } | Self::Helper { .. })
    }
}

impl Diagnose for CredentialsError {
    fn category(&self) -> Category {
        match self {
            Self::HelperMissing { .. } | Self::Helper { .. } => Category::Environment,
            _ => Category::User,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Configuration(error) => return error.hint(),
            Self::Variable { .. } => {
                "it must hold {\"auths\":{\"REGISTRY\":{\"auth\":\"base64 of USER:PASSWORD\"}}}".to_owned()
            }
            Self::Entry { registry, .. } => format!("log in again: docker login {registry}"),
            Self::HelperMissing { helper, .. } => {
                format!("install {helper}, or take credsStore or credHelpers out of Docker's config.json")
            }
            Self::Helper { registry, helper, .. } => format!("try it: echo {registry} | {helper} get"),
        })
    }
}

impl Credentials {
    /// Reads the configuration file and the variable. Missing ones are no error. Runs no helper.
    pub fn load(env: &Environment) -> Result<Self, CredentialsError> {
        let file = match config_dir(env) {
            Some(directory) => Entries::from_file(&directory)?,
            None => Entries::default(),
        };
        let variable = match env.non_empty("DOCKER_AUTH_CONFIG") {
            Some(text) => Entries::from_variable(text)?,
            None => Entries::default(),
        };
        Ok(Self { variable, file, env: env.clone() })
    }

    /// The configuration file that was read, where there is one.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        self.file.path().map(std::path::Path::to_owned)
    }

    /// The registries that the configuration mentions, sorted: for people, not proof of valid credentials.
    #[must_use]
    pub fn registries(&self) -> Vec<String> {
        self.keys().into_iter().collect()
    }

    /// Name of the store that is asked for registries which the configuration does not mention.
    #[must_use]
    pub fn store(&self) -> Option<&str> {
        self.file.store()
    }

    /// The credentials for a registry's host as references have it (`docker.io`, `localhost:5000`); `None` where the
    /// registry is to be used without.
    pub async fn for_registry(&self, host: &str) -> Result<Option<RegistryAuth>, CredentialsError> {
        let key = key_of(host);
        if let Some(auth) = self.variable.find(key)? {
            return Ok(Some(auth));
        }
        if let Some(name) = self.file.helper_of(key) {
            let asked = helper::get(name, key, &self.env).await;
            // Plain entries beside a store are what older logins left. They are better than nothing.
            return match asked {
                Ok(Some(auth)) => Ok(Some(auth)),
                Ok(None) => self.file.find(key),
                Err(error) => self.file.find(key)?.map_or(Err(error), |auth| Ok(Some(auth))),
            };
        }
        self.file.find(key)
    }

    /// The credentials of every registry that the configuration mentions by name.
    pub async fn all(&self) -> AllCredentials {
        let mut all = AllCredentials::default();
        let keys = self.keys();
        for found in join_all(keys.iter().map(|key| self.for_registry(key))).await {
            match found {
                Ok(Some(auth)) => all.auths.push(auth),
                Ok(None) => {}
                Err(error) => all.warnings.push(error),
            }
        }
        all
    }

    fn keys(&self) -> BTreeSet<String> {
        let keys = self.variable.keys().chain(self.file.keys());
        keys.map(|key| key_of(host_of(key)).to_owned()).collect()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("registries", &self.registries()).finish_non_exhaustive()
    }
}

/// The registry's host in an image reference, `docker.io` where it names none.
pub fn registry_of(reference: &str) -> Result<String, ReferenceError> {
    let reference = Reference::parse(reference)?;
    Ok(reference.registry().unwrap_or("docker.io").to_owned())
}

/// The key under which Docker keeps a host.
fn key_of(host: &str) -> &str {
    if matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io") || host == DOCKER_HUB_KEY {
        DOCKER_HUB_KEY
    } else {
        host
    }
}

/// The host in a key, which may be written as an address.
fn host_of(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    key.split('/').next().unwrap_or(key)
}

#[cfg(test)]
mod tests;
