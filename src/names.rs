//! Names to IP addresses, without the C library's name service: the release binaries are static and have none.
//!
//! Owns the order that glibc keeps by default: IP literals, `/etc/hosts`, then DNS by `/etc/resolv.conf`. For all who make
//! connections.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::OnceCell;

use crate::shortage::Shortage;

const HOSTS: &str = "/etc/hosts";

/// Why a name has no address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NameError {
    #[error("cannot resolve the name {host}: there is no such host")]
    Unknown { host: String },
    #[error("cannot resolve the name {host}: it has no address")]
    WithoutAddress { host: String },
    /// The name servers do not say.
    #[error("cannot resolve the name {host}: {source}")]
    NoAnswer { host: String, source: NetError },
    #[error("cannot set up name resolution: {source}")]
    Setup { source: NetError },
}

impl From<NameError> for io::Error {
    fn from(error: NameError) -> Self {
        let kind = match error {
            NameError::Setup { .. } => io::ErrorKind::Other,
            _ => io::ErrorKind::NotFound,
        };
        Self::new(kind, error)
    }
}

/// Resolves names; the DNS client is made when first needed.
#[derive(Default)]
pub(crate) struct Resolver {
    dns: OnceCell<TokioResolver>,
}

impl Resolver {
    /// All addresses of `host`, in the order to try them. Never empty.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NameError> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let hosts = match tokio::fs::read(HOSTS).await {
            Ok(hosts) => hosts,
            // Name servers may not know what stands in it.
            Err(error) if Shortage::of(&error).is_some() => {
                return Err(NameError::Setup { source: error.into() });
            }
            Err(_) => Vec::new(),
        };
        let known = in_hosts(&String::from_utf8_lossy(&hosts), host);
        if !known.is_empty() {
            return Ok(known);
        }
        if is_localhost(host) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let host = host.to_owned();
        let dns = self.dns.get_or_try_init(|| async { name_servers(Memory::Kept) }).await?;
        let addresses: Vec<IpAddr> = match dns.lookup_ip(host.as_str()).await {
            Ok(answer) => answer.iter().collect(),
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => {
                return Err(NameError::Unknown { host });
            }
            Err(source) => return Err(NameError::NoAnswer { host, source }),
        };
        if addresses.is_empty() { Err(NameError::WithoutAddress { host }) } else { Ok(addresses) }
    }
}

/// The same for clients of HTTP. Clones share the DNS client.
#[derive(Clone, Default)]
pub(crate) struct Names(pub(crate) Arc<Resolver>);

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = Arc::clone(&self.0);
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str()).await?;
            // The client puts the port in.
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

/// Whether answers are remembered for as long as they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    Kept,
    None,
}

/// The system's name servers, asked as they are: the file of hosts is not theirs.
pub(crate) fn name_servers(memory: Memory) -> Result<TokioResolver, NameError> {
    let mut builder = match TokioResolver::builder_tokio() {
        Ok(builder) => builder,
        // The file may be there, and what is made here is kept.
        Err(source) if Shortage::of(&source).is_some() => return Err(NameError::Setup { source }),
        // Without the file, resolv.conf(5) says: the name server on this machine.
        Err(_) => {
            let server = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    builder.options_mut().use_hosts_file = ResolveHosts::Never;
    if memory == Memory::None {
        builder.options_mut().cache_size = 0;
    }
    builder.build().map_err(|source| NameError::Setup { source })
}

fn is_localhost(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// The addresses that a hosts file gives to a name. Names are compared without case, as in DNS.
fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let name = name.trim_end_matches('.');
    let mut addresses = Vec::new();
    for line in hosts.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
        if words.any(|word| word.eq_ignore_ascii_case(name)) && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_file_is_read_line_by_line() {
        let hosts = "127.0.0.1 localhost\n# 10.0.0.9 engine\n10.0.0.1\tEngine engine.lan # a comment engine2\n\
                     fe80::1%eth0 engine\nnonsense engine\n::7 engine\n10.0.0.1 engine\n";
        let expected: Vec<IpAddr> = vec!["10.0.0.1".parse().unwrap(), "::7".parse().unwrap()];
        assert_eq!(in_hosts(hosts, "ENGINE"), expected);
        assert_eq!(in_hosts(hosts, "engine.lan."), expected[..1]);
        assert!(in_hosts(hosts, "engine2").is_empty());
        assert!(in_hosts(hosts, "10.0.0.1").is_empty());
    }

    #[tokio::test]
    async fn literals_and_localhost_need_no_server() {
        let resolver = Resolver::default();
        assert_eq!(resolver.addresses("::1").await.unwrap(), ["::1".parse::<IpAddr>().unwrap()]);
        assert_eq!(resolver.addresses("10.1.2.3").await.unwrap(), ["10.1.2.3".parse::<IpAddr>().unwrap()]);
        assert!(resolver.addresses("a.localhost").await.unwrap().contains(&"127.0.0.1".parse().unwrap()));
        assert!(resolver.dns.get().is_none());
    }
}
