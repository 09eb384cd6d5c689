//! The context as BuildKit asks for it: file by file over the session.
//!
//! Owns the packets of BuildKit's file synchronisation (`moby.filesync.v1.FileSync/DiffCopy`, fsutil): a list of
//! records, then the content of those files that the builder requests by their place in the list. Chooses no files;
//! what a directory holds is given by the caller. Reads a file only when it is requested, a chunk at a time.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::moby::filesync::v1::file_sync_server::FileSync;
use bytes::Bytes;
use futures_util::Stream;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// What BuildKit's own client puts into one packet.
const CHUNK: usize = 32 * 1024;

/// Packets that may wait for the connection.
const WAITING: usize = 16;

/// The metadata key that names the wanted directory.
const DIRECTORY: &str = "dir-name";

/// Go's `os.FileMode` bits, which the records carry instead of the system's.
mod go_mode {
    pub(super) const DIRECTORY: u32 = 1 << 31;
    pub(super) const SYMLINK: u32 = 1 << 27;
    pub(super) const DEVICE: u32 = 1 << 26;
    pub(super) const FIFO: u32 = 1 << 25;
    pub(super) const SETUID: u32 = 1 << 23;
    pub(super) const SETGID: u32 = 1 << 22;
    pub(super) const CHARACTER_DEVICE: u32 = 1 << 21;
    pub(super) const STICKY: u32 = 1 << 20;
}

/// One file or directory that the builder may ask for.
#[derive(Debug, Clone)]
pub struct SyncedEntry {
    /// Path below the directory, with `/`.
    pub path: String,
    /// Permission bits as the system has them, set-id and sticky bits included.
    pub mode: u32,
    /// Modification time in seconds since 1970; negative before.
    pub mtime: i64,
    /// What it is.
    pub content: SyncedContent,
}

/// What an entry is.
#[derive(Debug, Clone)]
pub enum SyncedContent {
    /// A directory.
    Directory,
    /// A regular file of that size, read when it is asked for.
    File {
        /// Where it is.
        source: PathBuf,
        /// Its size when it was chosen.
        size: u64,
    },
    /// A regular file in memory.
    Memory(Bytes),
    /// A symbolic link.
    Symlink(String),
    /// Another name of an earlier entry.
    HardLink(String),
    /// A named pipe.
    Fifo,
    /// A device.
    Device {
        /// Character devices, as opposed to block devices.
        character: bool,
        /// Major number.
        major: i64,
        /// Minor number.
        minor: i64,
    },
}

/// The directories that the builder may ask for, by name: `context` and `dockerfile`.
#[derive(Debug, Clone, Default)]
pub struct SyncedDirectories {
    directories: BTreeMap<&'static str, Arc<[SyncedEntry]>>,
    sent: Arc<AtomicU64>,
}

impl SyncedDirectories {
    /// Offers a directory. Entries may come in any order; a parent that is missing is the builder's to refuse.
    pub fn offer(&mut self, name: &'static str, mut entries: Vec<SyncedEntry>) {
        // The builder's own order: by component, so that a directory stands before everything below it.
        entries.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
        entries.dedup_by(|a, b| a.path == b.path);
        self.directories.insert(name, entries.into());
    }

    /// True where nothing is offered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.directories.is_empty()
    }

    /// Counts the bytes of file content that were sent.
    #[must_use]
    pub fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent)
    }
}

type Packets = Pin<Box<dyn Stream<Item = Result<Packet, Status>> + Send>>;

#[tonic::async_trait]
impl FileSync for SyncedDirectories {
    type DiffCopyStream = Packets;
    type TarStreamStream = Packets;

    async fn diff_copy(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<Self::DiffCopyStream>, Status> {
        let name = request.metadata().get(DIRECTORY).and_then(|name| name.to_str().ok()).unwrap_or_default();
        let entries = self
            .directories
            .get(name)
            .ok_or_else(|| Status::not_found(format!("no access allowed to dir {name:?}")))?;
        let (packets, answer) = mpsc::channel(WAITING);
        let sender = Sender { packets, sent: Arc::clone(&self.sent), entries: Arc::clone(entries) };
        tokio::spawn(sender.serve(request.into_inner()));
        Ok(Response::new(Box::pin(ReceiverStream::new(answer))))
    }

    /// The older form of the same, which BuildKit asks for only where this one is missing.
    async fn tar_stream(
        &self,
        _request: Request<Streaming<Packet>>,
    ) -> Result<Response<Self::TarStreamStream>, Status> {
        Err(Status::unimplemented("directories are synchronised with DiffCopy"))
    }
}

/// Sends one directory over one call.
struct Sender {
    packets: mpsc::Sender<Result<Packet, Status>>,
    entries: Arc<[SyncedEntry]>,
    sent: Arc<AtomicU64>,
}

/// The builder has closed the call, and says elsewhere why.
struct Gone;

impl Sender {
    async fn serve(self, requests: Streaming<Packet>) {
        // Requests come while the list is still being sent.
        let (listed, answered) = tokio::join!(self.list(), self.answer(requests));
        if let (Ok(()), Ok(Some(refusal))) = (listed, answered) {
            // Nobody may be left to hear it.
            let _ = self.packets.send(Err(refusal)).await;
        }
    }

    async fn list(&self) -> Result<(), Gone> {
        for entry in self.entries.iter() {
            self.send(Packet {
                r#type: PacketType::PacketStat.into(),
                stat: Some(stat(entry)),
                ..Packet::default()
            })
            .await?;
        }
        // A record without content ends the list.
        self.send(Packet { r#type: PacketType::PacketStat.into(), ..Packet::default() }).await
    }

    /// Answers requests until the builder has all it wants; what it returns besides is a reason to fail the call.
    async fn answer(&self, mut requests: Streaming<Packet>) -> Result<Option<Status>, Gone> {
        loop {
            let Ok(Some(packet)) = requests.message().await else { return Err(Gone) };
            match packet.r#type() {
                PacketType::PacketReq => {
                    let index = usize::try_from(packet.id).unwrap_or(usize::MAX);
                    let Some(entry) = self.entries.get(index) else {
                        return Ok(Some(Status::invalid_argument(
                            "the builder asks for a file that is not listed",
                        )));
                    };
                    if let Err(error) = self.content(packet.id, entry).await? {
                        return Ok(Some(Status::aborted(format!("cannot read {}: {error}", entry.path))));
                    }
                }
                PacketType::PacketFin => {
                    self.send(Packet { r#type: PacketType::PacketFin.into(), ..Packet::default() }).await?;
                    return Ok(None);
                }
                PacketType::PacketErr => return Err(Gone),
                PacketType::PacketStat | PacketType::PacketData => {
                    return Ok(Some(Status::invalid_argument(
                        "the builder sends files where it should ask for them",
                    )));
                }
            }
        }
    }

    /// Sends a file's bytes; an empty packet ends them.
    async fn content(&self, id: u32, entry: &SyncedEntry) -> Result<io::Result<()>, Gone> {
        match &entry.content {
            SyncedContent::Memory(bytes) => {
                for chunk in bytes.chunks(CHUNK) {
                    self.data(id, chunk.to_vec()).await?;
                }
            }
            SyncedContent::File { source, size } => {
                let mut file = match open(source).await {
                    // A file that grows meanwhile is cut at the size in its record.
                    Ok(file) => file.take(*size),
                    Err(error) => return Ok(Err(error)),
                };
                loop {
                    let mut chunk = Vec::with_capacity(CHUNK);
                    match file.read_buf(&mut chunk).await {
                        Ok(0) => break,
                        Ok(_) => self.data(id, chunk).await?,
                        Err(error) => return Ok(Err(error)),
                    }
                }
                if file.limit() > 0 {
                    return Ok(Err(io::Error::other("it became shorter while it was read")));
                }
            }
            _ => {}
        }
        self.data(id, Vec::new()).await?;
        Ok(Ok(()))
    }

    async fn data(&self, id: u32, data: Vec<u8>) -> Result<(), Gone> {
        self.sent.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.send(Packet { r#type: PacketType::PacketData.into(), id, data, ..Packet::default() }).await
    }

    async fn send(&self, packet: Packet) -> Result<(), Gone> {
        self.packets.send(Ok(packet)).await.map_err(|_| Gone)
    }
}

async fn open(path: &Path) -> io::Result<tokio::fs::File> {
    let path = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || crate::input::open_listed(&path)).await;
    Ok(tokio::fs::File::from_std(opened.map_err(io::Error::other)??))
}

/// The record of an entry. Everything belongs to root, as with the Docker CLI.
fn stat(entry: &SyncedEntry) -> Stat {
    let mut stat = Stat {
        path: entry.path.clone(),
        mode: permissions(entry.mode),
        mod_time: entry.mtime.saturating_mul(1_000_000_000),
        ..Stat::default()
    };
    match &entry.content {
        SyncedContent::Directory => stat.mode |= go_mode::DIRECTORY,
        SyncedContent::File { size, .. } => stat.size = i64::try_from(*size).unwrap_or(i64::MAX),
        SyncedContent::Memory(bytes) => stat.size = i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        SyncedContent::Symlink(target) => {
            stat.mode |= go_mode::SYMLINK;
            stat.linkname.clone_from(target);
        }
        SyncedContent::HardLink(target) => stat.linkname.clone_from(target),
        SyncedContent::Fifo => stat.mode |= go_mode::FIFO,
        SyncedContent::Device { character, major, minor } => {
            stat.mode |= go_mode::DEVICE;
            if *character {
                stat.mode |= go_mode::CHARACTER_DEVICE;
            }
            (stat.devmajor, stat.devminor) = (*major, *minor);
        }
    }
    stat
}

fn permissions(mode: u32) -> u32 {
    let bits = [(0o4000, go_mode::SETUID), (0o2000, go_mode::SETGID), (0o1000, go_mode::STICKY)];
    bits.into_iter().fold(mode & 0o777, |go, (system, bit)| if mode & system == 0 { go } else { go | bit })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, mode: u32, content: SyncedContent) -> SyncedEntry {
        SyncedEntry { path: path.into(), mode, mtime: 1, content }
    }

    #[test]
    fn a_directory_stands_before_everything_below_it_and_before_longer_names() {
        let mut offered = SyncedDirectories::default();
        let paths = ["a-b", "a/z", "a", "a/b/c", "a/b", "B"];
        offered.offer("context", paths.map(|path| entry(path, 0o755, SyncedContent::Directory)).into());
        let order: Vec<&str> =
            offered.directories["context"].iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(order, ["B", "a", "a/b", "a/b/c", "a/z", "a-b"]);
    }

    #[tokio::test]
    async fn a_file_that_became_a_link_or_a_pipe_is_neither_followed_nor_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("file"), "x").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(open(&path("file")).await.is_ok());
        assert!(open(&path("link")).await.is_err());
        let error = open(&path("pipe")).await.unwrap_err();
        assert_eq!(error.to_string(), "it is no longer a regular file");
        assert!(open(directory.path()).await.is_err());
    }

    #[test]
    fn special_bits_are_gos_own() {
        let sticky = stat(&entry("r", 0o1777, SyncedContent::Directory));
        assert_eq!(sticky.mode, go_mode::DIRECTORY | go_mode::STICKY | 0o777);
        let setuid = stat(&entry("s", 0o4755, SyncedContent::Memory(Bytes::from_static(b"ab"))));
        assert_eq!((setuid.mode, setuid.size), (go_mode::SETUID | 0o755, 2));
        assert_eq!(setuid.mod_time, 1_000_000_000);
    }
}
