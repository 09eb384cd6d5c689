//! Looks into the outbox beside its writer: what people are shown does not wait for what is stored and sent.
//!
//! Owns a connection that can write nothing, made when somebody first looks. Sees all that was stored before it looks. Where
//! there can be none, as beside a database in memory, whoever asks has to ask the writer.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::history::error::{Refused, of_sqlite};
use crate::history::{HistoryError, file};

/// A handle on the connection. Those who look at the same time do so one after the other.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    /// `None` where there can be no other connection.
    path: Option<Arc<Path>>,
    connection: Arc<Mutex<Option<Connection>>>,
}

/// What came of a look: what was seen, or the work back, where there is no connection.
type Looked<T, W> = Result<Result<T, HistoryError>, W>;

impl Reader {
    pub(super) fn of(path: Option<&Path>) -> Self {
        Self { path: path.map(Arc::from), connection: Arc::default() }
    }

    /// Does `work`, which only reads.
    pub(super) async fn look<T, W>(&self, work: W) -> Looked<T, W>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, Refused> + Send + 'static,
    {
        let Some(path) = self.path.clone() else { return Err(work) };
        let (shown, connection) = (Arc::clone(&path), Arc::clone(&self.connection));
        let looking = tokio::task::spawn_blocking(move || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            if connection.is_none() {
                // The writer may still have what can be opened no more.
                *connection = connect(&path).ok();
            }
            match connection.as_ref() {
                Some(connection) => Ok(work(connection).map_err(|refused| refused.of("read", &path))),
                None => Err(work),
            }
        });
        looking.await.unwrap_or_else(|error| {
            let (operation, path) = ("read", shown.to_path_buf());
            Ok(Err(HistoryError::Inaccessible { operation, path, source: std::io::Error::other(error) }))
        })
    }
}

fn connect(path: &Path) -> Result<Connection, HistoryError> {
    // Not opened for reading alone: the last to close a write-ahead log has to be able to remove it.
    let connection = file::connect(path)?;
    super::tune(&connection)
        .and_then(|()| connection.pragma_update(None, "query_only", true))
        .map_err(|error| of_sqlite("open", path, error))?;
    Ok(connection)
}
