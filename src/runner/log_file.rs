//! Output on disk: what a container prints, as it comes, up to a limit.
//!
//! Owns the file and its bound. Memory holds one buffer, whatever is printed; what comes beyond the limit is counted
//! and said at the end of the file.

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};

use crate::error::{Category, Diagnose};

/// What one log may take of the disk.
pub const LIMIT: u64 = 1024 * 1024 * 1024;

/// A log cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the log {}", path.display())]
pub struct LogError {
    path: PathBuf,
    source: io::Error,
}

impl Diagnose for LogError {
    fn category(&self) -> Category {
        Category::Environment
    }
}

/// A log being written.
#[derive(Debug)]
pub struct LogFile {
    file: BufWriter<File>,
    left: u64,
    dropped: u64,
    broken: Option<io::Error>,
}

impl LogFile {
    /// Creates the file, for its owner alone: a test may print what is nobody's business.
    pub async fn create(path: &Path, limit: u64) -> Result<Self, LogError> {
        let mut options = tokio::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(path).await.map_err(|source| LogError { path: path.to_owned(), source })?;
        let file = BufWriter::new(file);
        Ok(Self { file, left: limit, dropped: 0, broken: None })
    }

    /// Adds to it. An error is kept for [`Self::close`]: a full disk ends no test.
    pub async fn write(&mut self, bytes: &[u8]) {
        let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let (taken, dropped) = bytes.split_at(taken);
        self.dropped = self.dropped.saturating_add(dropped.len() as u64);
        self.left -= taken.len() as u64;
        if self.broken.is_none()
            && let Err(error) = self.file.write_all(taken).await
        {
            self.broken = Some(error);
        }
    }

    /// Writes out what is buffered.
    pub async fn close(mut self) -> io::Result<()> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        if self.dropped > 0 {
            let note = format!("\n[docker-test: {} more bytes were not kept]\n", self.dropped);
            self.file.write_all(note.as_bytes()).await?;
        }
        self.file.flush().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_log_ends_at_its_limit_and_says_how_much_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut log = LogFile::create(&path, 6).await.unwrap();
        log.write(b"1234").await;
        log.write(b"5678").await;
        log.write(b"9").await;
        log.close().await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "123456\n[docker-test: 3 more bytes were not kept]\n");
    }

    #[tokio::test]
    async fn a_disk_that_is_full_is_told_at_the_end_and_stops_nothing() {
        let mut log = LogFile::create(Path::new("/dev/full"), LIMIT).await.unwrap();
        log.write(&vec![b'x'; 100_000]).await;
        log.write(b"more").await;
        assert_eq!(log.close().await.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
