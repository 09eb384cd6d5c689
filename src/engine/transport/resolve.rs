//! Names to IP addresses, without the C library's name service: the release binary is static and has none.
//!
//! Owns the order that glibc keeps by default: IP literals, `/etc/hosts`, then DNS by `/etc/resolv.conf`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use tokio::sync::OnceCell;

const HOSTS: &str = "/etc/hosts";

/// Resolves names; the DNS client is made when first needed.
#[derive(Default)]
pub(in crate::engine) struct Resolver {
    dns: OnceCell<TokioResolver>,
}

impl Resolver {
    /// All addresses of `host`, in the order to try them. Never empty.
    pub(in crate::engine) async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let hosts = tokio::fs::read(HOSTS).await.unwrap_or_default();
        let known = in_hosts(&String::from_utf8_lossy(&hosts), host);
        if !known.is_empty() {
            return Ok(known);
        }
        if is_localhost(host) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let dns = self.dns.get_or_try_init(|| async { dns() }).await?;
        let answer = dns.lookup_ip(host).await.map_err(|error| {
            let reason = if error.is_nx_domain() || error.is_no_records_found() {
                "there is no such host".to_owned()
            } else {
                error.to_string()
            };
            io::Error::new(io::ErrorKind::NotFound, format!("cannot resolve the name {host}: {reason}"))
        })?;
        let addresses: Vec<IpAddr> = answer.iter().collect();
        if addresses.is_empty() {
            let message = format!("cannot resolve the name {host}: it has no address");
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        Ok(addresses)
    }
}

fn dns() -> io::Result<TokioResolver> {
    // Without the file, resolv.conf(5) says: the name server on this machine.
    let builder = TokioResolver::builder_tokio().unwrap_or_else(|_| {
        let server = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    });
    let mut builder = builder;
    builder.options_mut().use_hosts_file = ResolveHosts::Never;
    builder.build().map_err(|error| io::Error::other(format!("cannot set up name resolution: {error}")))
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
