//! Flags that connect the test container: `--network`, addresses, names and DNS.
//!
//! Owns the long form of `--network` and the rules of what goes with which network mode. Whether a network exists is
//! the engine's to say.

use std::net::{Ipv4Addr, Ipv6Addr};

use clap::Args;

use super::error::{FlagError, Invalid};
use super::{csv, units};
use crate::plan::container::{ContainerSpec, NetworkSpec};

const FLAG: &str = "--network";

/// How the test container is connected.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Test container: network")]
pub struct NetworkFlags {
    /// Connect to a network, or share one: NAME, host, none, container:NAME, or name=NAME,alias=A,ip=IP
    #[arg(long, alias = "net", value_name = "NETWORK")]
    pub network: Vec<String>,
    /// Name of the container in its first network
    #[arg(long, alias = "net-alias", value_name = "NAME")]
    pub network_alias: Vec<String>,
    /// IPv4 address in the first network
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// IPv6 address in the first network
    #[arg(long, value_name = "ADDRESS")]
    pub ip6: Option<String>,
    /// Add a line to /etc/hosts; the address may be host-gateway
    #[arg(long, value_name = "HOST:ADDRESS")]
    pub add_host: Vec<String>,
    /// DNS server
    #[arg(long, value_name = "ADDRESS")]
    pub dns: Vec<String>,
}

impl NetworkFlags {
    /// Writes what these flags say into `spec`.
    pub fn resolve(&self, spec: &mut ContainerSpec) -> Result<(), FlagError> {
        for text in &self.network {
            spec.networks.push(network(text).map_err(|error| error.of(FLAG, text))?);
        }
        self.address_first(&mut spec.networks)?;
        together(&spec.networks)?;
        spec.extra_hosts = extra_hosts("--add-host", &self.add_host)?;
        for text in &self.dns {
            spec.dns.push(units::address(text).map_err(|error| error.of("--dns", text))?.to_string());
        }
        Ok(())
    }

    /// `--network-alias`, `--ip` and `--ip6` speak of the first network.
    fn address_first(&self, networks: &mut [NetworkSpec]) -> Result<(), FlagError> {
        let ipv4 =
            self.ip.as_ref().map(|text| ipv4(text).map_err(|error| error.of("--ip", text))).transpose()?;
        let ipv6 =
            self.ip6.as_ref().map(|text| ipv6(text).map_err(|error| error.of("--ip6", text))).transpose()?;
        let given = [
            ("--network-alias", !self.network_alias.is_empty()),
            ("--ip", ipv4.is_some()),
            ("--ip6", ipv6.is_some()),
        ];
        let Some(first) = networks.first_mut() else {
            return match given.iter().find(|(_, given)| *given) {
                Some((flag, _)) => Err(user_defined_only().combination(flag)),
                None => Ok(()),
            };
        };
        let twice = [!first.aliases.is_empty(), first.ipv4.is_some(), first.ipv6.is_some()];
        if let Some(((flag, _), _)) = given.iter().zip(twice).find(|((_, given), inside)| *given && *inside) {
            return Err(Invalid::new("the first --network says it too").combination(flag));
        }
        first.aliases.extend(self.network_alias.iter().cloned());
        first.ipv4 = first.ipv4.take().or(ipv4);
        first.ipv6 = first.ipv6.take().or(ipv6);
        Ok(())
    }
}

fn user_defined_only() -> Invalid {
    Invalid::new("it needs a user-defined network")
        .hint("make one with `docker network create NAME` and give it as --network NAME")
}

fn network(text: &str) -> Result<NetworkSpec, Invalid> {
    let mut spec = NetworkSpec::default();
    if !text.contains('=') {
        text.clone_into(&mut spec.name);
        return if text.trim().is_empty() {
            Err(Invalid::new("expected the name of a network"))
        } else {
            Ok(spec)
        };
    }
    for field in csv::fields(text)? {
        let (key, value) =
            field.split_once('=').ok_or_else(|| Invalid::new(format!("`{field}` is not KEY=VALUE")))?;
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
        match key.as_str() {
            "name" => value.clone_into(&mut spec.name),
            "alias" => spec.aliases.push(value.to_owned()),
            "ip" => spec.ipv4 = Some(ipv4(value)?),
            "ip6" => spec.ipv6 = Some(ipv6(value)?),
            "driver-opt" => {
                let pair = value.split_once('=').filter(|(name, _)| !name.trim().is_empty());
                let (name, option) = pair.ok_or_else(|| Invalid::new("expected driver-opt=NAME=VALUE"))?;
                spec.driver_options.insert(name.trim().to_owned(), option.trim().to_owned());
            }
            "mac-address" | "link-local-ip" | "gw-priority" => {
                return Err(Invalid::new(format!("`{key}` is not supported by docker-test")));
            }
            _ => {
                return Err(Invalid::new(format!("unknown key `{key}`"))
                    .hint("known keys: name, alias, ip, ip6, driver-opt"));
            }
        }
    }
    if spec.name.is_empty() {
        return Err(Invalid::new("no network is named: name=NAME is missing"));
    }
    Ok(spec)
}

/// What several networks must agree on, and what a mode cannot have.
fn together(networks: &[NetworkSpec]) -> Result<(), FlagError> {
    for (index, network) in networks.iter().enumerate() {
        if networks.iter().take(index).any(|known| known.name == network.name) {
            return Err(Invalid::new("the network is given more than once").of(FLAG, &network.name));
        }
        if network.name == "container:" {
            return Err(Invalid::new("expected container:NAME").of(FLAG, &network.name));
        }
        let addressed = !network.aliases.is_empty() || network.ipv4.is_some() || network.ipv6.is_some();
        if addressed && !is_user_defined(&network.name) {
            return Err(
                Invalid::new("aliases and addresses need a user-defined network").of(FLAG, &network.name)
            );
        }
    }
    if networks.len() > 1
        && let Some(mode) = networks.iter().find(|network| !is_user_defined(&network.name))
    {
        return Err(Invalid::new("it does not go together with further networks").of(FLAG, &mode.name));
    }
    Ok(())
}

fn is_user_defined(name: &str) -> bool {
    !matches!(name, "default" | "bridge" | "host" | "none") && !name.starts_with("container:")
}

fn ipv4(text: &str) -> Result<String, Invalid> {
    let address =
        text.parse::<Ipv4Addr>().map_err(|_| Invalid::new(format!("`{text}` is not an IPv4 address")))?;
    Ok(address.to_string())
}

fn ipv6(text: &str) -> Result<String, Invalid> {
    let address =
        text.parse::<Ipv6Addr>().map_err(|_| Invalid::new(format!("`{text}` is not an IPv6 address")))?;
    Ok(address.to_string())
}

/// Reads `HOST:ADDRESS` and `HOST=ADDRESS` values into `HOST:ADDRESS`, brackets around an address removed.
pub(super) fn extra_hosts(flag: &str, texts: &[String]) -> Result<Vec<String>, FlagError> {
    texts.iter().map(|text| extra_host(text).map_err(|error| error.of(flag, text))).collect()
}

fn extra_host(text: &str) -> Result<String, Invalid> {
    let form = || Invalid::new("expected HOST:ADDRESS, such as db:10.0.0.5 or proxy:host-gateway");
    let (host, address) = text.split_once('=').or_else(|| text.split_once(':')).ok_or_else(form)?;
    if host.is_empty() || host.contains(':') || host.contains(char::is_whitespace) {
        return Err(form());
    }
    let inner = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    if address != "host-gateway" {
        units::address(inner)
            .map_err(|_| Invalid::new(format!("`{address}` is not an IP address or host-gateway")))?;
    }
    Ok(format!("{host}:{inner}"))
}

#[cfg(test)]
mod tests;
