//! The server: connections, and what one of them may take up.
//!
//! Owns the limits. A client that is slow, or that never reads, holds a connection for a while and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::{AccessError, Status, access};
use crate::error::{Category, Diagnose};

/// Connections at one time. Others wait in the queue of the system.
const CONNECTIONS: usize = 512;
/// The head of a request has to arrive within this.
const HEAD: Duration = Duration::from_secs(5);
/// The longest that a connection is kept, whether its client reads or not. It has one request.
const CONNECTION: Duration = Duration::from_secs(45);
/// The pause after a connection that could not be accepted: too many files are open, most likely.
const PAUSE: Duration = Duration::from_millis(100);

/// The page cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Not to everybody, and not like that.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

impl Diagnose for ServerError {
    fn category(&self) -> Category {
        match self {
            Self::Access(error) => error.category(),
            Self::Bind { .. } => Category::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Access(error) => error.hint(),
            Self::Bind { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
                Some("another program listens there: choose another port with --listen".to_owned())
            }
            Self::Bind { .. } => None,
        }
    }
}

/// A server that has its address, and serves nothing yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

impl Server {
    /// Takes the address. Port 0 is any that is free.
    pub async fn bind(address: SocketAddr, status: Status) -> Result<Self, ServerError> {
        let bind = |source| ServerError::Bind { address, source };
        // Asked first: a page that is not to be served is not bound either.
        access::is_public(address, status.token.as_ref())?;
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        Ok(Self { listener, address, router: status.router(address)? })
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is dropped.
    pub async fn serve(self) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            // It is never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let service = TowerToHyperService::new(self.router.clone());
            tokio::spawn(async move {
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD)
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), service);
                // What goes wrong on a connection is its client's to know.
                let _over = tokio::time::timeout(CONNECTION, connection).await;
                drop(place);
            });
        }
    }
}
