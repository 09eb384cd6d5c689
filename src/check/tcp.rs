//! Something accepts connections, and says what is expected.
//!
//! Owns the connection for as long as it takes to hear that. It speaks no protocol beyond the text that it is given.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::expect::Pattern;
use super::shape::{self, Shaped};
use super::{CheckError, LONGEST_OUTPUT, Surroundings, critical, measured, observation};
use crate::metadata::dockerfile::excerpt;
use crate::metadata::duration::human;
use crate::names::{NameError, Resolver};
use crate::probe::{Observation, State};

/// Where to connect to, what to say, and what to hear.
#[derive(Clone)]
pub struct TcpCheck {
    host: String,
    port: u16,
    send: Option<String>,
    expect: Option<Pattern>,
}

/// What is sent may be a key.
impl std::fmt::Debug for TcpCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TcpCheck")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("expect", &self.expect)
            .finish_non_exhaustive()
    }
}

/// The mapping of a `tcp` check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LongTcp {
    address: String,
    #[serde(default)]
    send: Option<String>,
    #[serde(default, deserialize_with = "shape::optional")]
    expect: Option<Pattern>,
}

impl Shaped for TcpCheck {
    const EXPECTED: &'static str =
        "an address such as db.example.org:5432, or a mapping with the key address";
    type Map = LongTcp;
    type Item = serde::de::IgnoredAny;

    fn from_text(text: &str) -> Result<Self, String> {
        let (host, port) = host_and_port(text).ok_or_else(|| {
            format!("expected an address such as db.example.org:5432, got {}", excerpt(text))
        })?;
        Ok(Self { host, port, send: None, expect: None })
    }

    fn from_map(map: LongTcp) -> Result<Self, String> {
        let check = Self::from_text(&map.address)?;
        Ok(Self { send: map.send, expect: map.expect, ..check })
    }
}

/// `host:port`, `1.2.3.4:port` or `[::1]:port`
pub(super) fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    let host = match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']').filter(|it| it.parse::<IpAddr>().is_ok())?,
        None => Some(host).filter(|it| !it.is_empty() && !it.contains([':', '/', '@', ' ']))?,
    };
    Some((host.to_owned(), port))
}

impl TcpCheck {
    pub(super) async fn look(&self, surroundings: &Surroundings) -> Result<Observation, CheckError> {
        let begun = Instant::now();
        let mut stream = match self.connect(surroundings.names()).await? {
            Ok(stream) => stream,
            Err(reason) => {
                return Ok(critical(format!("expected a connection to {}, got {reason}", self.place())));
            }
        };
        let connected = begun.elapsed();
        let heard = match self.talk(&mut stream).await {
            Ok(heard) => heard,
            Err(error) => {
                let (place, got) = (self.place(), reason(&error));
                return Ok(critical(format!("expected an answer of {place}, got {got}")));
            }
        };
        let time = begun.elapsed();
        let redactor = &surroundings.redactor;
        let fault = self.expect.as_ref().and_then(|pattern| pattern.fault("banner", &heard, redactor));
        let (state, summary) = match fault {
            Some(fault) => (State::Critical, fault),
            None => (State::Ok, format!("{} accepts connections, in {}", self.place(), human(time))),
        };
        let mut seen = observation(state, summary);
        seen.output = redactor.beginning(&heard, LONGEST_OUTPUT);
        seen.measurements = vec![measured("time", time), measured("time_to_connection", connected)];
        Ok(seen)
    }

    fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The connection, or why the service has none.
    async fn connect(&self, names: &Resolver) -> Result<Result<TcpStream, String>, CheckError> {
        let found = match names.addresses(&self.host).await {
            Ok(found) => found,
            Err(error) => {
                return match CheckError::of_shortage(&error, || self.place(), &[]) {
                    Some(shortage) => Err(shortage),
                    None => Ok(Err(unresolved(&error))),
                };
            }
        };
        let addresses: Vec<_> = found.iter().map(|address| SocketAddr::new(*address, self.port)).collect();
        match TcpStream::connect(&addresses[..]).await {
            Ok(stream) => Ok(Ok(stream)),
            Err(error) => match CheckError::of_shortage(&error, || self.place(), &found) {
                Some(shortage) => Err(shortage),
                None => Ok(Err(reason(&error))),
            },
        }
    }

    /// Says what is to be said, and listens until what is expected was heard or cannot come any more.
    async fn talk(&self, stream: &mut TcpStream) -> io::Result<Vec<u8>> {
        if let Some(text) = &self.send {
            stream.write_all(text.as_bytes()).await?;
        }
        let mut heard = Vec::new();
        let Some(pattern) = &self.expect else { return Ok(heard) };
        while !pattern.is_in(&heard) && heard.len() < LONGEST_OUTPUT {
            let mut buffer = [0; 4096];
            let room = buffer.len().min(LONGEST_OUTPUT - heard.len());
            match stream.read(buffer.get_mut(..room).unwrap_or_default()).await? {
                0 => break,
                size => heard.extend_from_slice(buffer.get(..size).unwrap_or_default()),
            }
        }
        Ok(heard)
    }
}

fn unresolved(error: &NameError) -> String {
    match error {
        NameError::Unknown { .. } | NameError::WithoutAddress { .. } => "no address for its name".to_owned(),
        NameError::NoAnswer { source, .. } => format!("no answer of name servers: {source}"),
        NameError::Setup { .. } => error.to_string(),
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
