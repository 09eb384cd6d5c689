//! One look at a service: a command, a request, a connection, a name, a container or the tests of an image.
//!
//! Owns what a check may be, and that it ends: in time, or when it is asked to. A check that finds a service bad has done
//! its work; errors are about checks that could not look at all. How often, and what it means, is not decided here.

mod bearers;
mod command;
mod dns;
mod docker;
mod error;
mod expect;
mod http;
mod image;
mod keys;
mod leftovers;
mod mark;
mod nagios;
mod shape;
mod surroundings;
mod sweep;
mod tcp;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use tokio_util::sync::CancellationToken;

pub use command::CommandCheck;
pub(crate) use command::without_nul;
pub use dns::DnsCheck;
pub use docker::DockerCheck;
pub use error::CheckError;
pub use http::HttpCheck;
pub use image::ImageCheck;
pub use nagios::{PluginOutput, read_plugin_output};
pub use surroundings::{Surroundings, Tester};
pub use sweep::sweep;
pub use tcp::TcpCheck;

use crate::metadata::duration::human;
use crate::probe::{Measurement, Observation, State};
use crate::redact::Secrets;
use keys::Keys;

/// As much of what a check printed as is kept, in bytes.
pub const LONGEST_OUTPUT: usize = 16 * 1024;

/// What is looked at, and how. An entry of `checks:` has one of the keys `command`, `http`, `tcp`, `dns`,
/// `docker` and `image`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Entry")]
#[non_exhaustive]
pub enum Check {
    /// A command ends well.
    Command(CommandCheck),
    /// A request is answered as expected.
    Http(Box<HttpCheck>),
    /// Something accepts connections.
    Tcp(TcpCheck),
    /// A name has the expected records.
    Dns(DnsCheck),
    /// A container runs, and is healthy.
    Docker(DockerCheck),
    /// The tests of an image pass.
    Image(ImageCheck),
}

#[derive(Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping with one of the keys command, http, tcp, dns, docker and image"
)]
struct Entry {
    #[serde(deserialize_with = "shape::optional")]
    command: Option<CommandCheck>,
    #[serde(deserialize_with = "shape::optional")]
    http: Option<HttpCheck>,
    #[serde(deserialize_with = "shape::optional")]
    tcp: Option<TcpCheck>,
    #[serde(deserialize_with = "shape::optional")]
    dns: Option<DnsCheck>,
    #[serde(deserialize_with = "shape::optional")]
    docker: Option<DockerCheck>,
    #[serde(deserialize_with = "shape::optional")]
    image: Option<ImageCheck>,
}

impl TryFrom<Entry> for Check {
    type Error = String;

    fn try_from(entry: Entry) -> Result<Self, Self::Error> {
        let checks = [
            entry.command.map(Self::Command),
            entry.http.map(|http| Self::Http(Box::new(http))),
            entry.tcp.map(Self::Tcp),
            entry.dns.map(Self::Dns),
            entry.docker.map(Self::Docker),
            entry.image.map(Self::Image),
        ];
        let mut checks = checks.into_iter().flatten();
        match (checks.next(), checks.next()) {
            (Some(check), None) => Ok(check),
            (None, _) => {
                Err("expected one of the keys command, http, tcp, dns, docker and image, got none of them"
                    .to_owned())
            }
            (Some(_), Some(_)) => {
                Err("expected one of the keys command, http, tcp, dns, docker and image, got more than one"
                    .to_owned())
            }
        }
    }
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// What it saw.
    pub seen: Observation,
    /// The time allowed for it was over.
    pub timed_out: bool,
}

impl Check {
    /// Whether it may have to know whom TLS trusts.
    #[must_use]
    pub const fn needs_trust(&self) -> bool {
        matches!(self, Self::Http(_))
    }

    /// The keys that it holds: what stands under a name that `is_secret`, what a header or an address says in order to be
    /// let in, and of `taken`, the values of variables that stand somewhere in the check, those in a header, an address or
    /// a variable of a program.
    #[must_use]
    pub fn secrets(&self, is_secret: &dyn Fn(&str) -> bool, taken: &BTreeSet<String>) -> Secrets {
        let mut keys = Keys::new(is_secret, taken);
        match self {
            Self::Command(check) => check.keys(&mut keys),
            Self::Http(check) => check.keys(&mut keys),
            Self::Image(check) => check.keys(&mut keys),
            Self::Tcp(_) | Self::Dns(_) | Self::Docker(_) => {}
        }
        keys.found()
    }

    /// Looks, for as long as `timeout` and until `stop`. A command may take its grace period more to end.
    pub async fn run(
        &self,
        surroundings: &Surroundings,
        timeout: Duration,
        stop: &CancellationToken,
    ) -> Result<Looked, CheckError> {
        match self {
            // It is asked to end, and may take its time: dropping it would kill it.
            Self::Command(check) => check.run(surroundings, timeout, stop).await,
            Self::Http(check) => within(timeout, stop, check.look(surroundings)).await,
            Self::Tcp(check) => within(timeout, stop, check.look(surroundings)).await,
            Self::Dns(check) => within(timeout, stop, check.look(surroundings)).await,
            // An engine that is silent says nothing about a container.
            Self::Docker(check) => check.run(surroundings, timeout, stop).await,
            Self::Image(check) => check.run(surroundings, timeout, stop).await,
        }
    }
}

async fn within(
    timeout: Duration,
    stop: &CancellationToken,
    looking: impl Future<Output = Result<Observation, CheckError>>,
) -> Result<Looked, CheckError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(CheckError::Cancelled),
        seen = looking => Ok(Looked { seen: seen?, timed_out: false }),
        () = tokio::time::sleep(timeout) => {
            let fault = format!("expected an answer within {}, got none", human(timeout));
            Ok(Looked { seen: critical(fault), timed_out: true })
        }
    }
}

fn observation(state: State, summary: String) -> Observation {
    Observation { state, summary, output: String::new(), measurements: Vec::new() }
}

fn critical(summary: String) -> Observation {
    observation(State::Critical, summary)
}

/// The end of a text, as much as is kept of what a check printed.
fn last_of(text: &str) -> &str {
    let mut start = text.len().saturating_sub(LONGEST_OUTPUT);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default()
}

/// A duration in seconds.
fn measured(name: &str, time: Duration) -> Measurement {
    Measurement { name: name.to_owned(), value: time.as_secs_f64(), unit: "s".to_owned() }
}

#[cfg(test)]
mod tests;
