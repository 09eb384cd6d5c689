//! Which files of the context a recipe needs, by Docker's rules for sources.
//!
//! Owns what a selection is, and puts one together. It looks at nothing that no source names, and reports a source
//! that is not there before an engine is bothered. Never opens a file.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

use nix::sys::stat::{major, minor};

use super::ContextError;
use super::ignore::Ignore;
use super::needs::{Need, Needs};
use super::tree::Tree;

mod sources;
mod walk;

use walk::Walker;

/// What an entry of the archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link; `link` is what it says.
    Symlink,
    /// A further name of a file that comes before it; `link` is that file's path.
    HardLink,
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice {
        /// Major number.
        major: u64,
        /// Minor number.
        minor: u64,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u64,
        /// Minor number.
        minor: u64,
    },
}

/// One path to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the context's root.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of content; 0 for everything but regular files.
    pub size: u64,
    /// Permission bits, with set-user-id, set-group-id and sticky.
    pub mode: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Target of a link.
    pub link: Option<PathBuf>,
}

/// Everything to send, parents before their children, in an order that depends on the paths alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Bytes of content in all.
    pub bytes: u64,
}

/// Chooses the files below `root` that `needs` names and `ignore` does not leave out. Blocks on the disk.
///
/// Sockets are skipped, as Docker skips them. A wildcard that matches nothing is left to the builder: BuildKit
/// copies nothing, the classic builder refuses.
///
/// # Errors
/// A source that is missing, excluded or a socket; a file or directory that cannot be read.
pub fn select<'t>(
    root: impl Into<Tree<'t>>,
    needs: &Needs,
    ignore: &'t Ignore,
) -> Result<Selection, ContextError> {
    let mut walker = Walker::new(root.into(), ignore);
    let named = match needs {
        Needs::Nothing => return Ok(Selection::default()),
        Needs::Paths(named) => named,
        Needs::Whole { named, .. } => {
            walker.take_root()?;
            named
        }
    };
    for need in named {
        sources::take(&mut walker, need)?;
    }
    finish(walker)
}

/// Whether any of the sources that `needs` names is below `root`. A whole context is there unless `root` is empty.
#[must_use]
pub(super) fn any_at_hand<'t>(root: impl Into<Tree<'t>>, needs: &Needs) -> bool {
    let root = root.into();
    let nothing_ignored = Ignore::default();
    let there = |need: &Need| match select(root, &Needs::Paths(vec![need.clone()]), &nothing_ignored) {
        Ok(selection) => !selection.entries.is_empty(),
        Err(ContextError::Missing { .. }) => false,
        // Whatever is wrong with it, it is there.
        Err(_) => true,
    };
    match needs {
        Needs::Nothing => true,
        Needs::Whole { named, .. } if named.is_empty() => {
            root.root().read_dir().is_ok_and(|mut entries| entries.next().is_some())
        }
        Needs::Paths(named) | Needs::Whole { named, .. } => named.iter().any(there),
    }
}

fn finish(walker: Walker<'_>) -> Result<Selection, ContextError> {
    let tree = walker.tree;
    let mut selection = Selection { entries: Vec::with_capacity(walker.taken.len()), bytes: 0 };
    let mut first_names: HashMap<(u64, u64), PathBuf> = HashMap::new();
    for (path, metadata) in walker.taken {
        let mut kind = kind_of(&metadata);
        let mut link = None;
        if kind == EntryKind::Symlink {
            let target = tree.read_link(&path);
            link = Some(target.map_err(|source| ContextError::Unreadable { path: path.clone(), source })?);
        } else if kind == EntryKind::File && metadata.nlink() > 1 {
            let inode = (metadata.dev(), metadata.ino());
            link = first_names.get(&inode).cloned();
            if link.is_some() {
                kind = EntryKind::HardLink;
            } else {
                first_names.insert(inode, path.clone());
            }
        }
        let size = if kind == EntryKind::File { metadata.len() } else { 0 };
        selection.bytes += size;
        let mode = metadata.mode() & 0o7777;
        selection.entries.push(Entry { path, kind, size, mode, mtime: metadata.mtime(), link });
    }
    Ok(selection)
}

fn kind_of(metadata: &Metadata) -> EntryKind {
    let kind = metadata.file_type();
    let device = metadata.rdev();
    if kind.is_dir() {
        EntryKind::Directory
    } else if kind.is_symlink() {
        EntryKind::Symlink
    } else if kind.is_fifo() {
        EntryKind::Fifo
    } else if kind.is_char_device() {
        EntryKind::CharDevice { major: major(device), minor: minor(device) }
    } else if kind.is_block_device() {
        EntryKind::BlockDevice { major: major(device), minor: minor(device) }
    } else {
        EntryKind::File
    }
}

#[cfg(test)]
mod tests;
