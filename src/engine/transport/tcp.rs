//! TCP connections: every address of a name is tried, and a dead peer is noticed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::TcpStream;

use crate::names::Resolver;

/// For an address that others follow: short, since the next one may be the one that works.
const NOT_THE_LAST: Duration = Duration::from_secs(5);
/// For the only or the last address.
const THE_LAST: Duration = Duration::from_secs(30);
/// A waiting request sends nothing for as long as a test runs. Probes keep it alive through NAT, and after this
/// many seconds of silence plus three more probes of the same distance a dead peer is an error.
const PROBE_AFTER_SECONDS: u32 = 30;
const PROBES: u32 = 3;

pub(super) async fn connect(resolver: &Resolver, host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = resolver.addresses(host).await?;
    let stream = first_of(&addresses, port).await?;
    stream.set_nodelay(true)?;
    setsockopt(&stream, sockopt::KeepAlive, &true)?;
    setsockopt(&stream, sockopt::TcpKeepIdle, &PROBE_AFTER_SECONDS)?;
    setsockopt(&stream, sockopt::TcpKeepInterval, &PROBE_AFTER_SECONDS)?;
    setsockopt(&stream, sockopt::TcpKeepCount, &PROBES)?;
    Ok(stream)
}

async fn first_of(addresses: &[IpAddr], port: u16) -> io::Result<TcpStream> {
    let mut failures: Vec<io::Error> = Vec::new();
    for (tried, address) in (1..).zip(addresses) {
        let limit = if tried == addresses.len() { THE_LAST } else { NOT_THE_LAST };
        match tokio::time::timeout(limit, TcpStream::connect(SocketAddr::new(*address, port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failures.push(error),
            Err(_) => failures.push(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer within {} s", limit.as_secs()),
            )),
        }
    }
    match <[io::Error; 1]>::try_from(failures) {
        Ok([only]) => Err(only),
        Err(failures) => {
            let kind = failures.first().map_or(io::ErrorKind::NotFound, io::Error::kind);
            let told: Vec<String> = addresses
                .iter()
                .zip(&failures)
                .map(|(address, error)| format!("{address}: {error}"))
                .collect();
            Err(io::Error::new(kind, told.join("; ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn a_dead_address_does_not_hide_a_living_one() {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let dead: IpAddr = "127.0.0.77".parse().unwrap();
        assert!(first_of(&[dead, Ipv4Addr::LOCALHOST.into()], port).await.is_ok());
        let error = first_of(&[dead, dead], port).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.to_string().starts_with("127.0.0.77: "), "{error}");
        let error = first_of(&[dead], port).await.unwrap_err();
        assert!(error.raw_os_error().is_some(), "a single failure stays what the system said: {error}");
    }

    #[tokio::test]
    async fn a_connection_is_kept_alive() {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = connect(&Resolver::default(), "127.0.0.1", port).await.unwrap();
        assert!(nix::sys::socket::getsockopt(&stream, sockopt::KeepAlive).unwrap());
        assert_eq!(nix::sys::socket::getsockopt(&stream, sockopt::TcpKeepIdle).unwrap(), PROBE_AFTER_SECONDS);
    }
}
