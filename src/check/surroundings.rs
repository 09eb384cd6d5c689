//! What all checks of a process share: variables, authorities, names, and one client for HTTP.
//!
//! Owns how connections are made: names by our own resolver, TLS verified, no connection used twice, since a check is to
//! see whether one can be made. What a check does not need is not set up: a command starts at once. Reads no environment;
//! it is handed in.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use hickory_resolver::TokioResolver;
use reqwest::dns::Resolve;
use reqwest::{Client, redirect};
use rustls::client::WantsClientCert;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use tokio::sync::mpsc;

use super::CheckError;
use super::leftovers::Leftovers;
use crate::engine::glance::Glance;
use crate::names::{self, Memory, Names, Resolver};
use crate::redact::Redactor;

/// What all checks of a process share. Cheap for each of them.
pub struct Surroundings {
    /// Variables of commands: these, and no others.
    pub variables: Vec<(String, String)>,
    /// Where commands run.
    pub directory: PathBuf,
    /// Receives what commands print, as they print it. A slow reader slows them down.
    pub output: Option<mpsc::Sender<Bytes>>,
    /// Where the engine is that containers are asked for at; none where nobody may ask.
    pub engine: Option<Glance>,
    /// How images are tested.
    pub tester: Tester,
    /// Hides secrets in what is kept and quoted, before it is cut.
    pub(super) redactor: Redactor,
    /// What commands leave running outside of their groups.
    pub(super) leftovers: Leftovers,
    roots: Arc<RootCertStore>,
    names: Names,
    fresh_names: OnceLock<TokioResolver>,
    tls: ClientConfig,
    client: OnceLock<Client>,
}

/// The program that tests images: docker-test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tester {
    /// A name is looked for in PATH.
    pub program: PathBuf,
    /// Variables that mean something else to it than to whoever set them.
    pub without: BTreeSet<String>,
}

impl Default for Tester {
    fn default() -> Self {
        Self { program: PathBuf::from("docker-test"), without: BTreeSet::new() }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("variables", &self.variables.len())
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

impl Surroundings {
    /// `roots` are the authorities that servers' certificates are verified by.
    pub fn new(
        variables: Vec<(String, String)>,
        directory: PathBuf,
        roots: Arc<RootCertStore>,
    ) -> Result<Self, CheckError> {
        Ok(Self {
            variables,
            directory,
            output: None,
            engine: None,
            tester: Tester::default(),
            redactor: Redactor::default(),
            leftovers: Leftovers::default(),
            tls: tls_builder(&roots)?.with_no_client_auth(),
            roots,
            names: Names::default(),
            fresh_names: OnceLock::new(),
            client: OnceLock::new(),
        })
    }

    /// What is kept and quoted of a service is free of the secrets of `redactor`.
    #[must_use]
    pub fn hiding(self, redactor: &Redactor) -> Self {
        Self { redactor: redactor.clone(), ..self }
    }

    /// Looks names up as checks do.
    #[must_use]
    pub fn resolve(&self) -> Arc<dyn Resolve> {
        Arc::new(self.names.clone())
    }

    /// Follows no redirect, bears no certificate, and keeps no connection.
    pub(super) fn client(&self) -> Result<&Client, CheckError> {
        made(&self.client, || client(self.tls.clone(), self.names.clone()))
    }

    /// A client of the same kind with TLS of its own.
    pub(super) fn client_with(
        &self,
        tls: impl FnOnce(ConfigBuilder<ClientConfig, WantsClientCert>) -> Result<ClientConfig, CheckError>,
    ) -> Result<Client, CheckError> {
        client(tls(tls_builder(&self.roots)?)?, self.names.clone())
    }

    /// Addresses of hosts, for connections.
    pub(super) fn names(&self) -> &Resolver {
        &self.names.0
    }

    /// What name servers say now: nothing is remembered, and no file of hosts is read.
    pub(super) fn fresh_names(&self) -> Result<&TokioResolver, CheckError> {
        made(&self.fresh_names, || Ok(names::name_servers(Memory::None)?))
    }
}

/// What a cell holds, made where it holds nothing yet.
fn made<T>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T, CheckError>) -> Result<&T, CheckError> {
    match cell.get() {
        Some(there) => Ok(there),
        // Of two that are made at once, one is dropped.
        None => make().map(|new| cell.get_or_init(|| new)),
    }
}

fn tls_builder(
    roots: &Arc<RootCertStore>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, CheckError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| CheckError::Setup { what: "TLS", reason: error.to_string() })?;
    Ok(builder.with_root_certificates(Arc::clone(roots)))
}

fn client(tls: ClientConfig, names: Names) -> Result<Client, CheckError> {
    Client::builder()
        .user_agent(concat!("docker-test/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .dns_resolver(names)
        .pool_max_idle_per_host(0)
        .tls_backend_preconfigured(tls)
        .tls_info(true)
        .build()
        .map_err(|error| CheckError::Setup { what: "HTTP", reason: error.without_url().to_string() })
}
