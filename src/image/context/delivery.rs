//! How the chosen files reach the builder: as an archive, or file by file where the builder asks for them.
//!
//! Owns the place of the Dockerfile: beside the context where the builder takes it from there, so that `COPY .` does
//! not find it, and inside the archive otherwise.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::archive::{ExtraContent, ExtraEntry};
use super::select::{Entry, EntryKind, Selection};
use super::{ContextError, stream};
use crate::engine::docker::build::{BuildContext, BuilderKind};
use crate::engine::docker::session::files::{SyncedContent, SyncedDirectories, SyncedEntry};

/// Everything that one build is sent.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The context directory.
    pub directory: PathBuf,
    /// What is sent of it.
    pub selection: Selection,
    /// What docker-test adds, the Dockerfile left out.
    pub extra: Vec<ExtraEntry>,
    /// Path of the Dockerfile within an archive, and entries for the directories above it.
    pub dockerfile: PathBuf,
    /// The Dockerfile.
    pub text: Bytes,
    /// `COPY .` must not find the Dockerfile.
    pub hidden: bool,
}

/// The ignore file that a builder reads in an archive. The classic builder heeds it for the two names that are put into
/// it, and for nothing else. Podman's would heed a `.dockerignore` of the user's as a whole, though another file may
/// have chosen what is sent; one of the name that is Podman's own goes before that.
const fn ignore_file(builder: BuilderKind) -> &'static str {
    match builder {
        BuilderKind::Buildah => ".containerignore",
        BuilderKind::Classic | BuilderKind::BuildKit => ".dockerignore",
    }
}

/// Name of the Dockerfile where it has a directory of its own.
const ALONE: &str = "Dockerfile";

impl Delivery {
    /// The context for `builder`, and the path that the build call names the Dockerfile by.
    pub fn prepare(&self, builder: BuilderKind) -> Result<(BuildContext, String), ContextError> {
        if !builder.synchronises() {
            let mut extra = self.extra.clone();
            extra.extend(self.parents());
            extra.push(ExtraEntry::file(&self.dockerfile, 0o644, self.text.clone()));
            let mut selection = self.selection.clone();
            // The file that is built stands in the place of the author's.
            selection.entries.retain(|entry| entry.path != self.dockerfile);
            let ignore = ignore_file(builder);
            if self.hidden && !self.holds(Path::new(ignore)) {
                let names = format!("{ignore}\n{}\n", self.dockerfile.display());
                extra.push(ExtraEntry::file(ignore, 0o644, names));
            }
            let (archive, _) = stream(self.directory.clone(), selection, extra);
            return Ok((BuildContext::Archive(Box::pin(archive)), self.dockerfile.display().to_string()));
        }
        let mut files = SyncedDirectories::default();
        let mut context = Vec::with_capacity(self.selection.entries.len() + self.extra.len());
        for entry in &self.extra {
            context.push(extra(entry)?);
        }
        for entry in &self.selection.entries {
            context.push(selected(&self.directory, entry)?);
        }
        files.offer("context", context);
        let dockerfile = SyncedEntry {
            path: ALONE.to_owned(),
            mode: 0o644,
            mtime: 0,
            content: SyncedContent::Memory(self.text.clone()),
        };
        files.offer("dockerfile", vec![dockerfile]);
        Ok((BuildContext::Directories(files), ALONE.to_owned()))
    }

    fn holds(&self, path: &Path) -> bool {
        self.selection.entries.iter().any(|entry| entry.path == path)
            || self.extra.iter().any(|entry| entry.path == path)
    }

    /// Directories above the Dockerfile that nothing else brings along.
    fn parents(&self) -> Vec<ExtraEntry> {
        let mut missing: Vec<ExtraEntry> = self
            .dockerfile
            .ancestors()
            .skip(1)
            .filter(|parent| !parent.as_os_str().is_empty() && !self.holds(parent))
            .map(|parent| ExtraEntry::directory(parent, 0o755))
            .collect();
        missing.reverse();
        missing
    }
}

fn extra(entry: &ExtraEntry) -> Result<SyncedEntry, ContextError> {
    let content = match &entry.content {
        ExtraContent::Directory => SyncedContent::Directory,
        ExtraContent::File(bytes) => SyncedContent::Memory(bytes.clone()),
    };
    Ok(SyncedEntry { path: text(&entry.path)?, mode: entry.mode, mtime: 0, content })
}

fn selected(root: &Path, entry: &Entry) -> Result<SyncedEntry, ContextError> {
    let link = || text(entry.link.as_deref().unwrap_or_else(|| Path::new("")));
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let content = match entry.kind {
        EntryKind::Directory => SyncedContent::Directory,
        EntryKind::File => SyncedContent::File { source: root.join(&entry.path), size: entry.size },
        EntryKind::Symlink => SyncedContent::Symlink(link()?),
        EntryKind::HardLink => SyncedContent::HardLink(link()?),
        EntryKind::Fifo => SyncedContent::Fifo,
        EntryKind::CharDevice { major, minor } => {
            SyncedContent::Device { character: true, major: number(major), minor: number(minor) }
        }
        EntryKind::BlockDevice { major, minor } => {
            SyncedContent::Device { character: false, major: number(major), minor: number(minor) }
        }
    };
    Ok(SyncedEntry { path: text(&entry.path)?, mode: entry.mode, mtime: entry.mtime, content })
}

/// The builder's protocol has room for UTF-8 alone.
fn text(path: &Path) -> Result<String, ContextError> {
    path.to_str().map(str::to_owned).ok_or_else(|| ContextError::NotUtf8 { path: path.to_owned() })
}
