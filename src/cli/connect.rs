//! From engine flags to a connected, probed engine.

use std::path::PathBuf;

use super::application::Running;
use super::flags::EngineFlags;
use super::terminal;
use crate::engine::Engine;
use crate::engine::docker::BuilderChoice;
use crate::engine::endpoint::{self, Choice};
use crate::engine::podman::PodmanService;
use crate::environment::Environment;
use crate::error::{Category, Diagnose, Failure};
use crate::signal;

/// A signal came before anything was begun.
#[derive(Debug, thiserror::Error)]
#[error("interrupted by signal {signal} before the test began")]
pub(super) struct Interrupted {
    /// Signal number.
    pub(super) signal: u8,
}

impl Diagnose for Interrupted {
    fn category(&self) -> Category {
        Category::User
    }
}

/// A connected engine, and the Podman service behind it where we started one.
pub(super) struct Connection {
    /// The engine.
    pub(super) engine: Engine,
    podman: Option<PodmanService>,
}

impl Connection {
    /// Stops what was started to reach the engine. Dropping does it too, without waiting.
    pub(super) async fn close(self) {
        if let Some(podman) = self.podman {
            podman.stop().await;
        }
    }
}

/// The flags as the engine module's own choice.
pub(super) fn choice(flags: &EngineFlags) -> Choice {
    Choice {
        host: flags.host.clone(),
        context: flags.context.clone(),
        tls: flags.tls,
        tls_verify: flags.tlsverify,
        tls_ca: flags.tlscacert.clone(),
        tls_cert: flags.tlscert.clone(),
        tls_key: flags.tlskey.clone(),
    }
}

/// The environment with `--config` in the place of `DOCKER_CONFIG`, as the Docker CLI has it.
pub(super) fn environment(flags: &EngineFlags, environment: &Environment) -> Environment {
    match &flags.config {
        Some(directory) => environment.clone().with("DOCKER_CONFIG", directory.display().to_string()),
        None => environment.clone(),
    }
}

/// Where a Podman service of our own gets its private directory.
pub(super) fn runtime_dir(environment: &Environment) -> PathBuf {
    environment.non_empty("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from)
}

/// Finds, dials and probes the engine.
pub(super) async fn connect(flags: &EngineFlags, app: &Running) -> Result<Connection, Failure> {
    let environment = environment(flags, &app.environment);
    let mut interrupts = app.interrupts.clone();
    tokio::select! {
        connection = dial(flags, &environment) => connection,
        // An engine that accepts the connection and never answers is left like one that is not there.
        state = signal::wait_for(&mut interrupts, 1) => Err(Interrupted { signal: state.signal }.into()),
    }
}

async fn dial(flags: &EngineFlags, environment: &Environment) -> Result<Connection, Failure> {
    let discovery = endpoint::discover(&choice(flags), environment)?;
    let connected = endpoint::connect(&discovery, environment, &runtime_dir(environment), None).await?;
    if let (Some(podman), Some(first)) = (&connected.podman, connected.skipped.first()) {
        terminal::note(&format!(
            "docker-test: no engine at {}; started Podman's API service at {} for this run\n",
            first.subject,
            podman.socket().display()
        ));
    }
    let builder = match environment.variable("DOCKER_BUILDKIT") {
        Some("0" | "false") => BuilderChoice::Classic,
        _ => BuilderChoice::Engine,
    };
    // A Podman service of ours has another socket each time, and is the same engine all the same.
    let address =
        if connected.podman.is_some() { "podman".to_owned() } else { connected.endpoint.to_string() };
    let local = connected.endpoint.is_local();
    let engine = Engine::open(connected.http, connected.greeting, &address, local, builder).await?;
    Ok(Connection { engine, podman: connected.podman })
}
