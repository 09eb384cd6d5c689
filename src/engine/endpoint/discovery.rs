//! Which engines are tried, and in which order: the Docker CLI's precedence, then the places where rootless and
//! Podman sockets are.
//!
//! Reads Docker's configuration files and dials nothing. An explicit choice is the only candidate: falling back to
//! another engine than the one that was asked for would test the wrong thing.

use std::fmt;
use std::path::{Path, PathBuf};

use super::address::{Address, AddressError, DEFAULT_SOCKET, Endpoint, TlsMaterial};
use super::context::{self, ContextError, config_dir};
use crate::environment::Environment;
use crate::error::{Category, Diagnose};

/// What the command line says about the engine, in the Docker CLI's own flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// `-H`, `--host`
    pub host: Option<String>,
    /// `-c`, `--context`
    pub context: Option<String>,
    /// `--tls`
    pub tls: Option<bool>,
    /// `--tlsverify`
    pub tls_verify: Option<bool>,
    /// `--tlscacert`
    pub tls_ca: Option<PathBuf>,
    /// `--tlscert`
    pub tls_cert: Option<PathBuf>,
    /// `--tlskey`
    pub tls_key: Option<PathBuf>,
}

/// The candidates, best first. There is at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// What to try, in this order.
    pub candidates: Vec<Candidate>,
    /// True where the user chose: then there is exactly one candidate.
    pub explicit: bool,
    /// Things seen on the way that the user should know if no engine answers.
    pub notes: Vec<String>,
}

/// One engine to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What to do.
    pub target: Target,
    /// Why it is tried.
    pub origin: Origin,
}

/// What trying a candidate means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Dial it.
    Dial(Endpoint),
    /// Start Podman's API service with this executable.
    StartPodman(PathBuf),
}

/// Why a candidate is tried; its `Display` completes "tried … (…)".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `-H`
    HostFlag,
    /// `DOCKER_HOST`
    HostVariable,
    /// A context by name.
    Context {
        /// Its name.
        name: String,
        /// Who chose it.
        chosen_by: ChosenBy,
    },
    /// TLS was asked for without an address.
    TlsDefault,
    /// `/var/run/docker.sock`
    DefaultSocket,
    /// Docker's rootless mode.
    RootlessSocket,
    /// Docker Desktop.
    DesktopSocket,
    /// Podman's socket unit, the system's or the user's.
    PodmanSocket,
    /// A Podman service of our own.
    OwnPodman,
}

/// Who named a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChosenBy {
    /// `--context`
    Flag,
    /// `DOCKER_CONTEXT`
    Variable,
    /// `docker context use`
    Configuration,
}

impl fmt::Display for ChosenBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "--context",
            Self::Variable => "DOCKER_CONTEXT",
            Self::Configuration => "docker context use",
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HostFlag => "-H flag",
            Self::HostVariable => "DOCKER_HOST",
            Self::Context { name, chosen_by } => return write!(f, "context {name}, chosen by {chosen_by}"),
            Self::TlsDefault => "TLS without an address",
            Self::DefaultSocket => "default socket",
            Self::RootlessSocket => "rootless Docker",
            Self::DesktopSocket => "Docker Desktop",
            Self::PodmanSocket => "Podman socket",
            Self::OwnPodman => "Podman service of our own",
        })
    }
}

/// Why no list of candidates can be made.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// `-H` and `--context` together.
    #[error("cannot choose an engine: both -H and --context are given")]
    Conflict,
    /// The address is wrong.
    #[error("cannot use {origin}")]
    Address {
        /// Where it came from.
        origin: Origin,
        /// What is wrong.
        source: AddressError,
    },
    /// The context or Docker's configuration is wrong.
    #[error("cannot find the engine of the chosen context")]
    Context(#[from] ContextError),
    /// Half of a client certificate.
    #[error("cannot use TLS: {given} is given without {missing}")]
    HalfCertificate {
        /// What is there.
        given: &'static str,
        /// What is not.
        missing: &'static str,
    },
}

impl Diagnose for DiscoverError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Conflict => Some("leave one of the two out".to_owned()),
            Self::Address { source, .. } => source.hint(),
            Self::Context(error) => error.hint(),
            Self::HalfCertificate { .. } => Some(
                "give --tlscert and --tlskey, or put cert.pem and key.pem into DOCKER_CERT_PATH".to_owned(),
            ),
        }
    }
}

/// Makes the list of candidates.
///
/// `-H` or `--context`, `DOCKER_HOST`, `DOCKER_CONTEXT`, the current context; then, only if none of them is there,
/// the default socket and the sockets of rootless Docker, Docker Desktop and Podman, and a Podman service of our own.
pub fn discover(choice: &Choice, env: &Environment) -> Result<Discovery, DiscoverError> {
    if choice.host.is_some() && choice.context.as_ref().is_some_and(|name| !name.is_empty()) {
        return Err(DiscoverError::Conflict);
    }
    let directory = config_dir(env);
    if let Some((name, chosen_by)) = context_of(choice, env, directory.as_deref())? {
        let origin = Origin::Context { name: name.clone(), chosen_by };
        if name != "default" {
            let found = context::load(directory.as_deref(), &name, &chosen_by.to_string())?;
            return one(&found.host, found.tls.as_ref(), origin, env);
        }
        // The default context is what -H and DOCKER_HOST say, and the flags for TLS.
        let host = env.non_empty("DOCKER_HOST").unwrap_or_default();
        let tls = tls_of(choice, env, directory.as_deref())?;
        return one(tls_host(host, tls.as_ref()), tls.as_ref(), origin, env);
    }
    let tls = tls_of(choice, env, directory.as_deref())?;
    if let Some(host) = &choice.host {
        return one(tls_host(host, tls.as_ref()), tls.as_ref(), Origin::HostFlag, env);
    }
    if let Some(host) = env.non_empty("DOCKER_HOST") {
        return one(host, tls.as_ref(), Origin::HostVariable, env);
    }
    if tls.is_some() {
        return one("tcp://", tls.as_ref(), Origin::TlsDefault, env);
    }
    Ok(Discovery { candidates: usual_places(env), explicit: false, notes: notes(env) })
}

/// The context to use, where `-H` and `DOCKER_HOST` do not come first.
fn context_of(
    choice: &Choice,
    env: &Environment,
    directory: Option<&Path>,
) -> Result<Option<(String, ChosenBy)>, DiscoverError> {
    if let Some(name) = choice.context.as_deref().filter(|name| !name.is_empty()) {
        return Ok(Some((name.to_owned(), ChosenBy::Flag)));
    }
    if choice.host.is_some() || env.non_empty("DOCKER_HOST").is_some() {
        return Ok(None);
    }
    if let Some(name) = env.non_empty("DOCKER_CONTEXT") {
        return Ok(Some((name.to_owned(), ChosenBy::Variable)));
    }
    let current = directory.map(context::current).transpose()?.flatten();
    Ok(current.map(|name| (name, ChosenBy::Configuration)))
}

fn one(
    host: &str,
    tls: Option<&TlsMaterial>,
    origin: Origin,
    env: &Environment,
) -> Result<Discovery, DiscoverError> {
    match Endpoint::parse(host, tls) {
        Ok(endpoint) => {
            let endpoint = match endpoint.address() {
                Address::Unix(path) if path.is_relative() => Endpoint::unix(env.current_dir().join(path)),
                _ => endpoint,
            };
            let target = Target::Dial(endpoint);
            Ok(Discovery {
                candidates: vec![Candidate { target, origin }],
                explicit: true,
                notes: Vec::new(),
            })
        }
        Err(source) => Err(DiscoverError::Address { origin, source }),
    }
}

const fn tls_host<'host>(host: &'host str, tls: Option<&TlsMaterial>) -> &'host str {
    if host.is_empty() && tls.is_some() { "tcp://" } else { host }
}

/// TLS as flags and variables ask for it. Any text in `DOCKER_TLS` or `DOCKER_TLS_VERIFY` switches it on, `0`
/// included: that is how Docker reads them.
fn tls_of(
    choice: &Choice,
    env: &Environment,
    directory: Option<&Path>,
) -> Result<Option<TlsMaterial>, DiscoverError> {
    let verify = choice.tls_verify.unwrap_or_else(|| env.non_empty("DOCKER_TLS_VERIFY").is_some());
    let plain = choice.tls.unwrap_or_else(|| env.non_empty("DOCKER_TLS").is_some());
    if !(plain || verify || choice.tls_verify.is_some()) {
        return Ok(None);
    }
    let files = env
        .non_empty("DOCKER_CERT_PATH")
        .map(|path| env.current_dir().join(path))
        .or_else(|| directory.map(Path::to_owned));
    let given = |flag: &Option<PathBuf>| flag.as_ref().map(|path| env.current_dir().join(path));
    let found = |name: &str| files.as_ref().map(|files| files.join(name)).filter(|path| path.is_file());
    let cert = given(&choice.tls_cert).or_else(|| found("cert.pem"));
    let key = given(&choice.tls_key).or_else(|| found("key.pem"));
    match (&cert, &key) {
        (Some(_), None) => {
            return Err(DiscoverError::HalfCertificate { given: "a certificate", missing: "its key" });
        }
        (None, Some(_)) => {
            return Err(DiscoverError::HalfCertificate { given: "a key", missing: "its certificate" });
        }
        _ => {}
    }
    // Who asks for verification names the authority, by Docker's rule: one that is not there is an error when the
    // file is read, and never a reason to trust the system's authorities instead.
    let ca = given(&choice.tls_ca).or_else(|| {
        let path = files.as_ref()?.join("ca.pem");
        (verify || path.is_file()).then_some(path)
    });
    Ok(Some(TlsMaterial { ca, cert, key, verify }))
}

fn usual_places(env: &Environment) -> Vec<Candidate> {
    let runtime = env
        .non_empty("XDG_RUNTIME_DIR")
        .map_or_else(|| PathBuf::from(format!("/run/user/{}", env.uid())), PathBuf::from);
    let mut sockets = vec![
        (PathBuf::from(DEFAULT_SOCKET), Origin::DefaultSocket),
        (runtime.join("docker.sock"), Origin::RootlessSocket),
    ];
    if let Some(home) = env.home() {
        sockets.push((home.join(".docker/run/docker.sock"), Origin::DesktopSocket));
        sockets.push((home.join(".docker/desktop/docker.sock"), Origin::DesktopSocket));
    }
    sockets.push((PathBuf::from("/run/podman/podman.sock"), Origin::PodmanSocket));
    sockets.push((runtime.join("podman/podman.sock"), Origin::PodmanSocket));
    let podman = env
        .find_program("podman")
        .map(|program| Candidate { target: Target::StartPodman(program), origin: Origin::OwnPodman });
    sockets
        .into_iter()
        .map(|(path, origin)| Candidate { target: Target::Dial(Endpoint::unix(path)), origin })
        .chain(podman)
        .collect()
}

fn notes(env: &Environment) -> Vec<String> {
    env.non_empty("CONTAINER_HOST")
        .map(|_| "CONTAINER_HOST is set, but only DOCKER_HOST is read: set that one, or use -H".to_owned())
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests;
