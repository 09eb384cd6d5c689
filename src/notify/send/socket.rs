//! Datagrams over UDP and local sockets. Owns how an address is read and how a stream is cut into messages.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::errno::Errno;
use reqwest::dns::{Name, Resolve};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{UdpSocket, UnixDatagram, UnixStream};

use super::{LIMIT, Sent};

/// Sends each datagram as it is; on a stream each is preceded by its length in four bytes, the lowest first, as
/// DogStatsD has it.
pub(super) async fn send(names: &dyn Resolve, address: &str, datagrams: &[Vec<u8>]) -> Sent {
    let mut seen = 0;
    let sending = async {
        if let Some(path) = address.strip_prefix("unixgram://") {
            datagram_socket(path, datagrams, &mut seen).await
        } else if let Some(path) = address.strip_prefix("unixstream://") {
            stream_socket(path, datagrams, &mut seen).await
        } else if let Some(path) = address.strip_prefix("unix://") {
            match datagram_socket(path, datagrams, &mut seen).await {
                Err(error) if error.raw_os_error() == Some(Errno::EPROTOTYPE as i32) => {
                    stream_socket(path, datagrams, &mut seen).await
                }
                done => done,
            }
        } else {
            udp(names, address.strip_prefix("udp://").unwrap_or(address), datagrams, &mut seen).await
        }
    };
    let done = tokio::time::timeout(LIMIT, sending).await;
    match done.unwrap_or_else(|_| Err(io::Error::new(ErrorKind::TimedOut, "it was not taken in time"))) {
        Ok(()) => Sent::Done,
        Err(error) if is_for_good(&error) => Sent::Unsendable { reason: format!("{address}: {error}") },
        Err(error) => Sent::Failed { reason: format!("{address}: {error}"), unseen: seen == 0 },
    }
}

/// It is too large for a datagram, or the address cannot be read.
fn is_for_good(error: &io::Error) -> bool {
    error.kind() == ErrorKind::InvalidInput || error.raw_os_error() == Some(Errno::EMSGSIZE as i32)
}

async fn datagram_socket(path: &str, datagrams: &[Vec<u8>], seen: &mut usize) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    for datagram in datagrams {
        socket.send(datagram).await?;
        *seen += 1;
    }
    Ok(())
}

async fn stream_socket(path: &str, datagrams: &[Vec<u8>], seen: &mut usize) -> io::Result<()> {
    let mut stream = UnixStream::connect(path).await?;
    for datagram in datagrams {
        let length = u32::try_from(datagram.len())
            .map_err(|_| io::Error::new(ErrorKind::InvalidInput, "a message has more than 4 GiB"))?;
        *seen += 1;
        stream.write_all(&length.to_le_bytes()).await?;
        stream.write_all(datagram).await?;
    }
    stream.shutdown().await
}

async fn udp(names: &dyn Resolve, address: &str, datagrams: &[Vec<u8>], seen: &mut usize) -> io::Result<()> {
    let address = resolve(names, address).await?;
    let local: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((local, 0)).await?;
    socket.connect(address).await?;
    for datagram in datagrams {
        socket.send(datagram).await?;
        *seen += 1;
    }
    Ok(())
}

/// The first address of `host:port`.
async fn resolve(names: &dyn Resolve, address: &str) -> io::Result<SocketAddr> {
    if let Ok(address) = address.parse() {
        return Ok(address);
    }
    let expected = || io::Error::new(ErrorKind::InvalidInput, "expected host:port or unix:///path");
    let (host, port) = address.rsplit_once(':').ok_or_else(expected)?;
    let port: u16 = port.parse().map_err(|_| expected())?;
    let name: Name = host.parse().map_err(|_| expected())?;
    let mut found = names.resolve(name).await.map_err(io::Error::other)?;
    let found = found.next().ok_or_else(|| io::Error::new(ErrorKind::NotFound, "the name has no address"))?;
    Ok(SocketAddr::new(found.ip(), port))
}
