//! From engine flags to a connected, probed engine.

use std::path::PathBuf;

use super::application::{Interrupted, Running};
use super::flags::EngineFlags;
use super::terminal;
use crate::engine::Engine;
use crate::engine::docker::BuilderChoice;
use crate::engine::endpoint::{self, Attempt, Choice, Endpoint};
use crate::engine::podman::PodmanService;
use crate::environment::Environment;
use crate::error::{Diagnose, Failure};
use crate::signal;

/// A connected engine, and the Podman service behind it where we started one.
pub(super) struct Connection {
    /// The engine.
    pub(super) engine: Engine,
    /// Where it is.
    pub(super) endpoint: Endpoint,
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

/// The flag that chose the engine, with its dashes.
const fn chosen_by(flags: &EngineFlags) -> &'static str {
    if flags.host.is_some() {
        "--host"
    } else if flags.context.is_some() {
        "--context"
    } else if flags.tlscacert.is_some() {
        "--tlscacert"
    } else if flags.tlscert.is_some() {
        "--tlscert"
    } else if flags.tlskey.is_some() {
        "--tlskey"
    } else {
        "--config"
    }
}

/// What to say where another engine answered than the one that people expect; `used` says which.
fn passed_over(skipped: &[Attempt], used: &str, is_podman: bool) -> Option<String> {
    if let Some(denied) = skipped.iter().find(|attempt| attempt.is_permission_denied()) {
        let hint = denied.hint().map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
        return Some(format!(
            "docker-test: warning: permission denied at {}; {used}\n{hint}",
            denied.subject
        ));
    }
    let first = skipped.first().filter(|_| is_podman)?;
    Some(format!("docker-test: no engine at {}; {used}\n", first.subject))
}

/// Finds, dials and probes the engine.
pub(super) async fn connect(flags: &EngineFlags, app: &Running) -> Result<Connection, Failure> {
    let environment = environment(flags, &app.environment);
    let mut interrupts = app.interrupts.clone();
    tokio::select! {
        connection = dial(flags, &environment, app) => connection,
        // An engine that accepts the connection and never answers is left like one that is not there.
        state = signal::wait_for(&mut interrupts, 1) => Err(Interrupted { signal: state.signal }.into()),
    }
}

async fn dial(flags: &EngineFlags, environment: &Environment, app: &Running) -> Result<Connection, Failure> {
    let chosen_at = app.origins.place(chosen_by(flags));
    let discovery = endpoint::discover(&choice(flags), environment)
        .map_err(|error| Failure::from(error).at(chosen_at.clone()))?;
    let connected = endpoint::connect(&discovery, environment, &runtime_dir(environment), None)
        .await
        .map_err(|error| Failure::from(error).at(chosen_at))?;
    let used = match &connected.podman {
        Some(podman) => format!("started Podman's API service at {} for this run", podman.socket().display()),
        None => format!("using {} ({})", connected.endpoint, connected.origin),
    };
    if let Some(note) = passed_over(&connected.skipped, &used, connected.podman.is_some()) {
        terminal::note(&note);
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
    Ok(Connection { engine, endpoint: connected.endpoint, podman: connected.podman })
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::engine::endpoint::{AttemptError, Origin};
    use crate::engine::transport::TransportError;

    fn attempt(kind: ErrorKind) -> Attempt {
        let address = "unix:///var/run/docker.sock".to_owned();
        let error = TransportError::Connect { address: address.clone(), source: kind.into() };
        Attempt { subject: address, origin: Origin::DefaultSocket, error: AttemptError::Transport(error) }
    }

    #[test]
    fn a_socket_that_is_denied_is_named_whatever_engine_answers_instead() {
        for is_podman in [false, true] {
            let skipped = [attempt(ErrorKind::PermissionDenied)];
            let said = passed_over(&skipped, "using unix:///x (Podman socket)", is_podman).unwrap();
            let warning =
                "docker-test: warning: permission denied at unix:///var/run/docker.sock; using unix:///x";
            assert!(said.starts_with(warning), "{said}");
            assert!(said.contains("\n  hint: ") && said.contains("usermod -aG docker"), "{said}");
        }
    }

    #[test]
    fn an_engine_that_is_not_there_is_worth_a_word_only_where_one_is_started() {
        let skipped = [attempt(ErrorKind::NotFound)];
        assert_eq!(passed_over(&skipped, "using x", false), None);
        assert!(
            passed_over(&skipped, "started x", true).unwrap().starts_with("docker-test: no engine at unix")
        );
        assert_eq!(passed_over(&[], "using x", false), None);
    }
}
