//! The status page of the daemon: where it listens, and who may ask for something.

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::WatchArgs;
use crate::error::Failure;
use crate::watch::Board;

/// A page that listens.
pub(super) struct Page {
    listener: TcpListener,
}

/// A page that is served.
pub(super) struct Served(JoinHandle<()>);

pub(super) async fn open(args: &WatchArgs, token: Option<String>) -> Result<Option<Page>, Failure> {
    let _ = (args, token);
    Ok(None)
}

impl Page {
    pub(super) fn serve(self, board: Board, stop: &CancellationToken) -> Served {
        let _ = (self.listener, board, stop);
        Served(tokio::spawn(async {}))
    }
}

impl Served {
    pub(super) async fn end(self) {
        let _ended = self.0.await;
    }
}
