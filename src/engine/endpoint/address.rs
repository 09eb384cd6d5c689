//! The address of an engine: `unix://`, `tcp://`, `http://`, `https://` and `ssh://`.
//!
//! Owns parsing and the words for people. A password in an address is refused and never repeated.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Category, Diagnose};

/// The socket that Docker listens on when nobody says otherwise.
pub(super) const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
const PLAIN_PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

/// How an engine is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// TCP without encryption.
    Tcp {
        /// Name or IP address, without brackets.
        host: String,
        /// Port.
        port: u16,
        /// Path before every request's path: empty, or `/…` without a slash at its end.
        prefix: String,
    },
    /// TCP with TLS.
    Tls {
        /// Name or IP address, without brackets.
        host: String,
        /// Port.
        port: u16,
        /// Path before every request's path: empty, or `/…` without a slash at its end.
        prefix: String,
        /// What the connection is made and judged with.
        material: TlsMaterial,
    },
    /// The system's `ssh`, with `docker system dial-stdio` at the other end.
    Ssh {
        /// Login name; ssh's own configuration decides where absent.
        user: Option<String>,
        /// Name, IP address or alias of ssh's configuration.
        host: String,
        /// Port; ssh's own configuration decides where absent.
        port: Option<u16>,
        /// Socket on the other machine; its default where absent.
        path: Option<String>,
    },
}

/// Files for TLS. They are read when the connection is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsMaterial {
    /// Certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// The client's certificate chain.
    pub cert: Option<PathBuf>,
    /// The client's private key.
    pub key: Option<PathBuf>,
    /// Check the server's certificate and name.
    pub verify: bool,
}

impl Default for TlsMaterial {
    fn default() -> Self {
        Self { ca: None, cert: None, key: None, verify: true }
    }
}

/// One engine's address. Its `Display` is for people and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    address: Address,
}

/// Why an address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A scheme that exists, but not for a client on this system.
    #[error("cannot use the engine address {address}: {scheme}:// {reason}")]
    Unsupported {
        /// As given, without a password.
        address: String,
        /// `fd`, `npipe`.
        scheme: String,
        /// Why not.
        reason: &'static str,
    },
    /// Not an address.
    #[error("cannot use the engine address {address}: {reason}")]
    Invalid {
        /// As given, without a password.
        address: String,
        /// What is wrong.
        reason: &'static str,
    },
}

impl Diagnose for AddressError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some("write unix:///PATH, tcp://HOST:PORT or ssh://USER@HOST".to_owned())
    }
}

impl Endpoint {
    /// An address that is already taken apart.
    #[must_use]
    pub const fn new(address: Address) -> Self {
        Self { address }
    }

    /// A Unix socket.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self { address: Address::Unix(path.into()) }
    }

    /// Reads an address as `-H` and `DOCKER_HOST` have it. An empty one is the default socket, one without a scheme
    /// is a socket's path or `HOST[:PORT]`. With `tls`, TCP is encrypted; sockets and ssh never are.
    pub fn parse(text: &str, tls: Option<&TlsMaterial>) -> Result<Self, AddressError> {
        let text = text.trim();
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
            None if text.is_empty() || text.starts_with(['/', '.']) => ("unix".to_owned(), text),
            None => ("tcp".to_owned(), text),
        };
        let invalid = |reason| AddressError::Invalid { address: without_password(text), reason };
        let unsupported = |reason| AddressError::Unsupported {
            address: without_password(text),
            scheme: scheme.clone(),
            reason,
        };
        let address = match scheme.as_str() {
            "unix" if rest.contains("://") => return Err(invalid("it has two schemes")),
            "unix" if rest.is_empty() => Address::Unix(PathBuf::from(DEFAULT_SOCKET)),
            "unix" => Address::Unix(PathBuf::from(rest)),
            "tcp" => {
                let (host, port, prefix) = network(rest).map_err(invalid)?;
                match tls {
                    Some(material) => {
                        let material = material.clone();
                        Address::Tls { host, port: port.unwrap_or(TLS_PORT), prefix, material }
                    }
                    None => Address::Tcp { host, port: port.unwrap_or(PLAIN_PORT), prefix },
                }
            }
            "http" if tls.is_some() => {
                return Err(invalid(
                    "http:// is not encrypted, but TLS was asked for: use tcp:// or https://",
                ));
            }
            "http" => {
                let (host, port, prefix) = network(rest).map_err(invalid)?;
                Address::Tcp { host, port: port.unwrap_or(80), prefix }
            }
            "https" => {
                let (host, port, prefix) = network(rest).map_err(invalid)?;
                let material = tls.cloned().unwrap_or_default();
                Address::Tls { host, port: port.unwrap_or(443), prefix, material }
            }
            "ssh" => ssh(rest).map_err(invalid)?,
            "fd" => return Err(unsupported("is a daemon's way to take over a socket, not a client's")),
            "npipe" => return Err(unsupported("needs Windows")),
            _ => return Err(invalid("its scheme is none of unix, tcp, http, https and ssh")),
        };
        Ok(Self { address })
    }

    /// How it is reached.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// True where the engine can be taken to see this machine's files: only a Unix socket says so.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        matches!(self.address, Address::Unix(_))
    }

    /// What stands in the Host header.
    pub(in crate::engine) fn authority(&self) -> String {
        match &self.address {
            Address::Unix(_) | Address::Ssh { .. } => "localhost".to_owned(),
            Address::Tcp { host, port, .. } | Address::Tls { host, port, .. } => {
                format!("{}:{port}", bracketed(host))
            }
        }
    }

    /// What stands before every request's path.
    pub(in crate::engine) fn prefix(&self) -> &str {
        match &self.address {
            Address::Unix(_) | Address::Ssh { .. } => "",
            Address::Tcp { prefix, .. } | Address::Tls { prefix, .. } => prefix,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
            Address::Tcp { host, port, prefix } => write!(f, "tcp://{}:{port}{prefix}", bracketed(host)),
            Address::Tls { host, port, prefix, material } => {
                let judged = if material.verify { "TLS" } else { "TLS, not verified" };
                write!(f, "tcp://{}:{port}{prefix} ({judged})", bracketed(host))
            }
            Address::Ssh { user, host, port, path } => {
                f.write_str("ssh://")?;
                if let Some(user) = user {
                    write!(f, "{user}@")?;
                }
                f.write_str(&bracketed(host))?;
                if let Some(port) = port {
                    write!(f, ":{port}")?;
                }
                f.write_str(path.as_deref().unwrap_or_default())
            }
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Host, port and path of `HOST[:PORT][/PATH]`.
fn network(rest: &str) -> Result<(String, Option<u16>, String), &'static str> {
    if rest.contains("://") {
        return Err("it has two schemes");
    }
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    if authority.contains('@') {
        return Err("a user name or password has no meaning here");
    }
    if path.contains(['?', '#']) || authority.contains(['?', '#']) {
        return Err("a query or fragment has no meaning here");
    }
    let path_is_plain =
        path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'`'));
    if !path_is_plain {
        return Err("its path holds characters that must be percent-encoded");
    }
    let (host, port) = host_and_port(authority)?;
    let host = if host.is_empty() { "localhost".to_owned() } else { host };
    Ok((host, port, path.trim_end_matches('/').to_owned()))
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("a bracket is not closed")?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err("what stands in brackets is not an IPv6 address");
        }
        let port = match after.strip_prefix(':') {
            Some(port) => port,
            None if after.is_empty() => "",
            None => return Err("something other than a port follows the bracket"),
        };
        (host, port)
    } else {
        match authority.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err("an IPv6 address must stand in brackets"),
            Some((host, port)) => (host, port),
            None => (authority, ""),
        }
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    if !host.bytes().all(is_name) {
        return Err("its host is not a name or an IP address");
    }
    let port = match port {
        "" => None,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let port: u16 = digits.parse().map_err(|_| "its port is not between 1 and 65535")?;
            Some(port).filter(|port| *port != 0).map(Some).ok_or("its port is not between 1 and 65535")?
        }
        _ => return Err("its port is not a number"),
    };
    Ok((host.to_owned(), port))
}

fn ssh(rest: &str) -> Result<Address, &'static str> {
    if rest.contains(['?', '#']) {
        return Err("a query or fragment has no meaning here");
    }
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, _)) if user.contains(':') => {
            return Err("a password cannot be given in an address: use a key or an ssh agent");
        }
        Some(("", _)) => return Err("its user name is empty"),
        Some((user, place)) => (Some(user), place),
        None => (None, authority),
    };
    let (host, port) = host_and_port(place)?;
    // ssh would take a leading dash for an option.
    if host.is_empty() || host.starts_with('-') {
        return Err("its host is missing");
    }
    if user.is_some_and(|user| user.starts_with('-')) {
        return Err("its user name begins with a dash");
    }
    if path.chars().any(char::is_control) {
        return Err("its path holds control characters");
    }
    let path = Some(path).filter(|path| !path.trim_matches('/').is_empty()).map(str::to_owned);
    Ok(Address::Ssh { user: user.map(str::to_owned), host, port, path })
}

fn without_password(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let end = rest.find('/').unwrap_or(rest.len());
    let Some(at) = rest.get(..end).and_then(|authority| authority.rfind('@')).or_else(|| rest.rfind('@'))
    else {
        return text.to_owned();
    };
    let (user, place) = rest.split_at(at);
    let user = user.split_once(':').map_or_else(|| user.to_owned(), |(name, _)| format!("{name}:***"));
    if scheme.is_empty() { format!("{user}{place}") } else { format!("{scheme}://{user}{place}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        match Endpoint::parse(text, None) {
            Ok(endpoint) => endpoint.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn addresses_are_read_as_the_docker_cli_reads_them() {
        let table = [
            ("", "unix:///var/run/docker.sock"),
            ("unix://", "unix:///var/run/docker.sock"),
            ("unix:///run/user/1000/docker.sock", "unix:///run/user/1000/docker.sock"),
            ("/run/a.sock", "unix:///run/a.sock"),
            ("./a.sock", "unix://./a.sock"),
            ("tcp://", "tcp://localhost:2375"),
            ("tcp://engine", "tcp://engine:2375"),
            ("tcp://engine:", "tcp://engine:2375"),
            ("TCP://engine:1", "tcp://engine:1"),
            (":4243", "tcp://localhost:4243"),
            ("engine:4243", "tcp://engine:4243"),
            ("tcp://[::1]", "tcp://[::1]:2375"),
            ("tcp://[::1]:4243/docker/", "tcp://[::1]:4243/docker"),
            ("tcp://10.0.0.1:2375/a/b", "tcp://10.0.0.1:2375/a/b"),
            ("http://engine", "tcp://engine:80"),
            ("https://engine", "tcp://engine:443 (TLS)"),
            ("ssh://host", "ssh://host"),
            ("ssh://ada@host:2222", "ssh://ada@host:2222"),
            ("ssh://host/", "ssh://host"),
            ("ssh://ada@[fe80::1]:22/run/a.sock", "ssh://ada@[fe80::1]:22/run/a.sock"),
        ];
        for (text, expected) in table {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_named() {
        let table = [
            ("fd://", "daemon's way"),
            ("npipe:////./pipe/docker_engine", "needs Windows"),
            ("ftp://host", "none of unix, tcp"),
            ("tcp://host:port", "port is not a number"),
            ("tcp://host:0", "between 1 and 65535"),
            ("tcp://host:65536", "between 1 and 65535"),
            ("tcp://::1:2375", "must stand in brackets"),
            ("tcp://[::1", "not closed"),
            ("tcp://[host]:1", "not an IPv6 address"),
            ("tcp://[::1]x", "follows the bracket"),
            ("tcp://tcp://host", "two schemes"),
            ("tcp://ho st", "not a name or an IP"),
            ("tcp://host/a b", "percent-encoded"),
            ("tcp://host/?a=b", "query"),
            ("tcp://ada@host", "user name or password"),
            ("ssh://", "host is missing"),
            ("ssh://-oProxyCommand=x", "not a name"),
            ("ssh://-x", "host is missing"),
            ("ssh://-x@host", "begins with a dash"),
            ("ssh://@host", "user name is empty"),
            ("ssh://host?x", "query"),
            ("unix://tcp://a", "two schemes"),
        ];
        for (text, expected) in table {
            let error = Endpoint::parse(text, None).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for text in
            ["ssh://ada:hunter2@host", "tcp://ada:hunter2@host:1", "ada:hunter2@host", "x://a:hunter2@b/"]
        {
            let error = Endpoint::parse(text, None).expect_err(text).to_string();
            assert!(!error.contains("hunter2"), "{error}");
            assert!(error.contains(":***@"), "{error}");
        }
        let error = Endpoint::parse("ssh://ada:hun/ter2@host", None).unwrap_err().to_string();
        assert!(!error.contains("ter2"), "{error}");
    }

    #[test]
    fn tls_applies_to_tcp_alone_and_moves_the_default_port() {
        let skip = TlsMaterial { verify: false, ..TlsMaterial::default() };
        let parse = |text| Endpoint::parse(text, Some(&skip)).map(|endpoint| endpoint.to_string());
        assert_eq!(parse("tcp://engine").unwrap(), "tcp://engine:2376 (TLS, not verified)");
        assert_eq!(parse("unix:///a").unwrap(), "unix:///a");
        assert_eq!(parse("ssh://a").unwrap(), "ssh://a");
        assert!(parse("http://engine").unwrap_err().to_string().contains("TLS was asked for"));
    }

    #[test]
    fn only_a_unix_socket_is_local() {
        assert!(Endpoint::unix("/a").is_local());
        assert!(!Endpoint::parse("tcp://127.0.0.1", None).unwrap().is_local());
        assert!(!Endpoint::parse("ssh://localhost", None).unwrap().is_local());
    }

    #[test]
    fn the_host_header_is_the_address_for_tcp_and_localhost_otherwise() {
        assert_eq!(Endpoint::parse("tcp://[::1]:9/p", None).unwrap().authority(), "[::1]:9");
        assert_eq!(Endpoint::parse("tcp://[::1]:9/p", None).unwrap().prefix(), "/p");
        assert_eq!(Endpoint::parse("ssh://a", None).unwrap().authority(), "localhost");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _outcome = Endpoint::parse(&text, None);
            let _outcome = Endpoint::parse(&format!("ssh://{text}"), None);
            let _outcome = Endpoint::parse(&format!("tcp://{text}"), None);
        }

        #[test]
        fn what_is_shown_for_tcp_reads_back_the_same(host in "[a-z][a-z0-9.-]{0,10}", port in 1_u16.., prefix in "(/[a-z]{1,4}){0,2}") {
            let endpoint = Endpoint::parse(&format!("tcp://{host}:{port}{prefix}"), None).unwrap();
            prop_assert_eq!(Endpoint::parse(&endpoint.to_string(), None).unwrap(), endpoint);
        }
    }
}
