//! Writes the chosen files as a tar stream, the way the Docker CLI archives a build context.
//!
//! Owns the format: GNU tar, owner 0:0 and no names, times in whole seconds, what docker-test adds itself first.
//! Holds one block in memory however large the context is. Chooses nothing.

use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tar::{EntryType, Header};

use super::ContextError;
use super::select::{Entry, EntryKind, Selection};
use super::tree::Tree;

const BLOCK: u64 = 512;
/// Bytes read from a file at a time.
const CHUNK: usize = 64 * 1024;

/// What docker-test adds to the context: held in memory, under a name that the caller keeps clear of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraEntry {
    /// Relative to the context's root. Parents must be entries of their own, before it.
    pub path: PathBuf,
    /// Permission bits, sticky bit included.
    pub mode: u32,
    /// What it is.
    pub content: ExtraContent,
}

/// A directory or a file in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtraContent {
    /// A directory.
    Directory,
    /// A regular file.
    File(Bytes),
}

impl ExtraEntry {
    /// A directory.
    #[must_use]
    pub fn directory(path: impl Into<PathBuf>, mode: u32) -> Self {
        Self { path: path.into(), mode, content: ExtraContent::Directory }
    }

    /// A regular file.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>, mode: u32, content: impl Into<Bytes>) -> Self {
        Self { path: path.into(), mode, content: ExtraContent::File(content.into()) }
    }
}

/// Writes `extra` and then `selection` to `out`, and returns the length of the archive. Blocks on the disk and on
/// `out`. Always the same bytes for the same files.
///
/// A file that shrinks meanwhile is padded and one that grows is cut, so that what follows stays readable; the
/// archive is then left without its end mark, and the error says which file it was.
///
/// # Errors
/// [`ContextError::Reserved`] before anything is written; [`ContextError::Unreadable`], [`ContextError::Changed`]
/// and [`ContextError::Send`] afterwards.
pub fn write_archive(
    root: &Path,
    selection: &Selection,
    extra: &[ExtraEntry],
    out: impl Write,
) -> Result<u64, ContextError> {
    check_reserved(selection, extra)?;
    let tree = Tree::new(root);
    let mut archive = Archive { out, written: 0, chunk: vec![0; CHUNK] };
    let mut changed = None;
    for entry in extra {
        archive.extra(entry).map_err(ContextError::Send)?;
    }
    for entry in &selection.entries {
        if !archive.entry(tree, entry)? {
            changed.get_or_insert_with(|| entry.path.clone());
        }
    }
    if let Some(path) = changed {
        return Err(ContextError::Changed { path });
    }
    archive.zeros(2 * BLOCK).and_then(|()| archive.out.flush()).map_err(ContextError::Send)?;
    Ok(archive.written)
}

/// An extra entry must not replace or join anything of the user's.
fn check_reserved(selection: &Selection, extra: &[ExtraEntry]) -> Result<(), ContextError> {
    let top = |path: &Path| path.components().next().map(|name| name.as_os_str().to_owned());
    let reserved: Vec<_> = extra.iter().filter_map(|entry| top(&entry.path)).collect();
    let taken =
        selection.entries.iter().find(|entry| top(&entry.path).is_some_and(|top| reserved.contains(&top)));
    taken.map_or(Ok(()), |entry| Err(ContextError::Reserved { path: entry.path.clone() }))
}

struct Archive<W> {
    out: W,
    written: u64,
    chunk: Vec<u8>,
}

impl<W: Write> Archive<W> {
    fn extra(&mut self, entry: &ExtraEntry) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_mode(entry.mode);
        header.set_mtime(0);
        match &entry.content {
            ExtraContent::Directory => {
                header.set_entry_type(EntryType::Directory);
                header.set_size(0);
                self.header(header, &directory_name(&entry.path), &[])
            }
            ExtraContent::File(bytes) => {
                let size = bytes.len() as u64;
                header.set_entry_type(EntryType::Regular);
                header.set_size(size);
                self.header(header, entry.path.as_os_str().as_bytes(), &[])?;
                self.bytes(bytes)?;
                self.pad(size)
            }
        }
    }

    /// False where the file was not of the size that was seen when it was chosen.
    fn entry(&mut self, tree: Tree<'_>, entry: &Entry) -> Result<bool, ContextError> {
        let mut header = Header::new_gnu();
        header.set_mode(entry.mode);
        // Times before 1970 have no place in the header's unsigned field.
        header.set_mtime(u64::try_from(entry.mtime).unwrap_or_default());
        header.set_size(entry.size);
        header.set_entry_type(match entry.kind {
            EntryKind::Directory => EntryType::Directory,
            EntryKind::File => EntryType::Regular,
            EntryKind::Symlink => EntryType::Symlink,
            EntryKind::HardLink => EntryType::Link,
            EntryKind::Fifo => EntryType::Fifo,
            EntryKind::CharDevice { .. } => EntryType::Char,
            EntryKind::BlockDevice { .. } => EntryType::Block,
        });
        if let EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } = entry.kind {
            let device = set_device(&mut header, major, minor);
            device.map_err(|source| ContextError::Unreadable { path: entry.path.clone(), source })?;
        }
        let name = match entry.kind {
            EntryKind::Directory => directory_name(&entry.path),
            _ => entry.path.as_os_str().as_bytes().to_vec(),
        };
        let link = entry.link.as_deref().map(|link| link.as_os_str().as_bytes()).unwrap_or_default();
        // The file is opened before its header is written: what cannot be read is not announced.
        let file = match entry.kind {
            EntryKind::File => {
                let opened = tree.open(&entry.path);
                Some(opened.map_err(|source| ContextError::Unreadable { path: entry.path.clone(), source })?)
            }
            _ => None,
        };
        self.header(header, &name, link).map_err(ContextError::Send)?;
        match file {
            Some(file) => self.content(file, entry),
            None => Ok(true),
        }
    }

    fn content(&mut self, mut file: impl Read, entry: &Entry) -> Result<bool, ContextError> {
        let mut left = entry.size;
        let unreadable = |source| ContextError::Unreadable { path: entry.path.clone(), source };
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let chunk = self.chunk.get_mut(..wanted).unwrap_or_default();
            let read = read_some(&mut file, chunk).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            let read = chunk.get(..read).unwrap_or_default();
            self.out.write_all(read).map_err(ContextError::Send)?;
            self.written += read.len() as u64;
            left -= read.len() as u64;
        }
        self.zeros(left).and_then(|()| self.pad(entry.size)).map_err(ContextError::Send)?;
        let grown = left == 0 && read_some(&mut file, &mut [0]).map_err(unreadable)? > 0;
        Ok(left == 0 && !grown)
    }

    fn header(&mut self, mut header: Header, name: &[u8], link: &[u8]) -> io::Result<()> {
        header.set_uid(0);
        header.set_gid(0);
        if let Some(gnu) = header.as_gnu_mut() {
            fit(&mut gnu.name, name);
            fit(&mut gnu.linkname, link);
        }
        for (kind, text) in [(EntryType::GNULongLink, link), (EntryType::GNULongName, name)] {
            if text.len() > 100 {
                self.long(kind, text)?;
            }
        }
        header.set_cksum();
        self.bytes(header.as_bytes())
    }

    /// A name that is too long for a header, in an entry of its own before it.
    fn long(&mut self, kind: EntryType, text: &[u8]) -> io::Result<()> {
        let size = text.len() as u64 + 1;
        let mut header = Header::new_gnu();
        if let Some(gnu) = header.as_gnu_mut() {
            fit(&mut gnu.name, b"././@LongLink");
        }
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        self.bytes(header.as_bytes())?;
        self.bytes(text)?;
        self.bytes(&[0])?;
        self.pad(size)
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        self.zeros(size.next_multiple_of(BLOCK) - size)
    }

    fn zeros(&mut self, count: u64) -> io::Result<()> {
        io::copy(&mut io::repeat(0).take(count), &mut self.out)?;
        self.written += count;
        Ok(())
    }
}

fn read_some(file: &mut impl Read, chunk: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

fn directory_name(path: &Path) -> Vec<u8> {
    let mut name = path.as_os_str().as_bytes().to_vec();
    name.push(b'/');
    name
}

/// Copies what fits; a longer text has an entry of its own.
fn fit(field: &mut [u8; 100], text: &[u8]) {
    for (slot, byte) in field.iter_mut().zip(text) {
        *slot = *byte;
    }
}

fn set_device(header: &mut Header, major: u64, minor: u64) -> io::Result<()> {
    let number = |number: u64| u32::try_from(number).map_err(io::Error::other);
    header.set_device_major(number(major)?)?;
    header.set_device_minor(number(minor)?)
}

#[cfg(test)]
mod tests;
