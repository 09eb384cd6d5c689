//! Names of registries: as keys of logins, as hosts to ask, and which of them mean this machine.

use std::net::IpAddr;

/// Where Docker Hub serves what its old address is the key of.
const DOCKER_HUB: &str = "registry-1.docker.io";

/// The host and port in a key, which may be written as an address.
#[must_use]
pub fn host_of(key: &str) -> &str {
    let host = key.split_once("://").map_or(key, |(_, rest)| rest);
    host.split('/').next().unwrap_or(host)
}

/// Where the registry of a key answers.
pub(super) fn address_of(key: &str) -> &str {
    match host_of(key) {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        host => host,
    }
}

/// True for this machine: `localhost`, or an address of its own, with or without a port.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None if host.matches(':').count() == 1 => host.split(':').next().unwrap_or(host),
        None => host,
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_all_its_names() {
        for host in
            ["localhost", "localhost:5000", "127.0.0.1:5000", "127.8.8.8", "[::1]:5000", "::1", "LOCALHOST"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["localhost.example", "registry:5000", "10.0.0.1:5000", "[fe80::1]:5000", "127.0.0.1.example:80"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn docker_hub_is_asked_where_it_serves() {
        for key in ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"] {
            assert_eq!(address_of(key), "registry-1.docker.io");
        }
        assert_eq!(address_of("https://reg.example:5000/v2/"), "reg.example:5000");
    }
}
