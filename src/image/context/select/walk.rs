//! Walking the context: links, directories, what is ignored, and the parents that carry modes.
//!
//! Owns the set of paths taken so far. Knows paths, not patterns: which ones to take is its caller's business. It
//! behaves as if the context were the root of the file system, so that no link leads out of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::{FileType, Metadata};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, Path, PathBuf};

use crate::image::context::ContextError;
use crate::image::context::ignore::{Ignore, Matched};
use crate::image::context::tree::Tree;

/// Links followed in one source before it is called a circle: Linux's own limit.
const MAX_LINKS: u32 = 40;

/// The context, and what is taken from it.
pub(super) struct Walker<'a> {
    pub(super) tree: Tree<'a>,
    pub(super) ignore: &'a Ignore,
    pub(super) taken: BTreeMap<PathBuf, Metadata>,
    /// Directories that were taken with everything in them.
    complete: BTreeSet<PathBuf>,
}

/// `--exclude` patterns and the directory that they are relative to.
#[derive(Clone, Copy)]
pub(super) struct Filter<'a> {
    pub(super) patterns: &'a Ignore,
    pub(super) base: &'a Path,
}

/// Why a path led nowhere.
pub(super) enum Lost {
    /// `at` does not exist, or is below a file; `rest` was still to come.
    Missing { at: PathBuf, rest: PathBuf },
    /// The ignore file leaves it out.
    Excluded(PathBuf),
    /// Links lead round in a circle.
    Loop,
    /// The disk refused.
    Failed(ContextError),
}

impl From<ContextError> for Lost {
    fn from(error: ContextError) -> Self {
        Self::Failed(error)
    }
}

impl<'a> Walker<'a> {
    pub(super) fn new(tree: Tree<'a>, ignore: &'a Ignore) -> Self {
        Self { tree, ignore, taken: BTreeMap::new(), complete: BTreeSet::new() }
    }

    /// Takes everything that is not ignored.
    pub(super) fn take_root(&mut self) -> Result<(), ContextError> {
        let metadata = self.metadata(Path::new(""))?;
        self.take(Path::new(""), &metadata, None).map(|_| ())
    }

    /// Takes a path that has no links in it, and everything below it that neither the ignore file nor `exclude`
    /// leaves out; `exclude` does not judge the path itself. False where nothing of it may be sent.
    pub(super) fn take(
        &mut self,
        path: &Path,
        metadata: &Metadata,
        exclude: Option<Filter<'_>>,
    ) -> Result<bool, ContextError> {
        if path.ancestors().any(|dir| self.complete.contains(dir)) && self.taken.contains_key(path) {
            return Ok(true);
        }
        let ignored = self.ignore.matched(&text_or_root(path));
        let excluded = self.ignore.is_excluded(&ignored);
        if !excluded && !path.as_os_str().is_empty() {
            self.insert(path, metadata.clone())?;
        }
        if !metadata.is_dir() {
            return Ok(!excluded);
        }
        if excluded && !self.ignore.may_include_below(&ignored, &text(path)) {
            return Ok(false);
        }
        let any = self.take_below(path, ignored, exclude)?;
        if exclude.is_none() {
            self.complete.insert(path.to_owned());
        }
        Ok(any || !excluded)
    }

    /// True where something below `dir` was taken.
    fn take_below(
        &mut self,
        dir: &Path,
        ignored: Matched,
        exclude: Option<Filter<'_>>,
    ) -> Result<bool, ContextError> {
        let filtered = exclude.map(|filter| filter.matched(dir));
        let mut pending = vec![(dir.to_owned(), ignored, filtered)];
        let mut any = false;
        while let Some((dir, ignored, filtered)) = pending.pop() {
            let names = match self.tree.list(&dir) {
                // What is not sent need not be readable.
                Err(error)
                    if error.kind() == io::ErrorKind::PermissionDenied
                        && self.ignore.is_excluded(&ignored) =>
                {
                    continue;
                }
                names => names.map_err(|source| unreadable(&dir, source))?,
            };
            for (name, kind) in names {
                let path = dir.join(name);
                let shown = text(&path);
                let ignored = self.ignore.descend(&ignored, &shown);
                let filtered =
                    exclude.zip(filtered.as_ref()).map(|(filter, above)| filter.descend(above, &path));
                let excluded = self.ignore.is_excluded(&ignored)
                    || exclude.zip(filtered.as_ref()).is_some_and(|(filter, matched)| filter.drops(matched));
                if kind.is_dir() {
                    let closed = (self.ignore.is_excluded(&ignored)
                        && !self.ignore.may_include_below(&ignored, &shown))
                        || exclude
                            .zip(filtered.as_ref())
                            .is_some_and(|(filter, matched)| filter.closes(matched, &path));
                    if !closed {
                        pending.push((path.clone(), ignored, filtered));
                    }
                }
                // A path that vanishes meanwhile is not there for Docker either.
                if !excluded
                    && !kind.is_socket()
                    && let Some(metadata) = self.stat(&path)?
                {
                    self.insert(&path, metadata)?;
                    any = true;
                }
            }
        }
        Ok(any)
    }

    /// Follows `path` through links to what is there. Every link on the way is taken.
    pub(super) fn resolve(&mut self, path: &Path) -> Result<(PathBuf, Metadata), Lost> {
        let mut pending: VecDeque<OsString> = names(path).collect();
        let mut at = PathBuf::new();
        let mut metadata = self.metadata(&at)?;
        let mut links = 0;
        while let Some(name) = pending.pop_front() {
            if name == ".." {
                at.pop();
                metadata = self.metadata(&at)?;
                continue;
            }
            let next = at.join(&name);
            let found = if metadata.is_dir() { self.stat(&next)? } else { None };
            let Some(found) = found else {
                return Err(Lost::Missing { at: next, rest: pending.iter().collect() });
            };
            if !found.is_symlink() {
                (at, metadata) = (next, found);
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(Lost::Loop);
            }
            if self.ignore.excluded(&text(&next)) {
                return Err(Lost::Excluded(next));
            }
            let target = self.tree.read_link(&next).map_err(|source| unreadable(&next, source))?;
            self.insert(&next, found)?;
            if target.is_absolute() {
                at.clear();
                metadata = self.metadata(&at)?;
            }
            pending = names(&target).chain(pending).collect();
        }
        Ok((at, metadata))
    }

    /// True where neither the path nor anything below it may be sent.
    pub(super) fn is_closed(&self, path: &Path) -> bool {
        let shown = text(path);
        let ignored = self.ignore.matched(&shown);
        self.ignore.is_excluded(&ignored) && !self.ignore.may_include_below(&ignored, &shown)
    }

    /// Metadata, or nothing where the path is gone.
    pub(super) fn stat(&self, path: &Path) -> Result<Option<Metadata>, ContextError> {
        match self.tree.stat(path) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(source) => Err(unreadable(path, source)),
        }
    }

    /// What a directory holds, sorted by name.
    pub(super) fn list(&self, dir: &Path) -> Result<Vec<(OsString, FileType)>, ContextError> {
        self.tree.list(dir).map_err(|source| unreadable(dir, source))
    }

    fn insert(&mut self, path: &Path, metadata: Metadata) -> Result<(), ContextError> {
        let mut next = Some((path.to_owned(), metadata));
        while let Some((path, metadata)) = next.take() {
            if metadata.file_type().is_socket() || self.taken.contains_key(&path) {
                break;
            }
            if metadata.is_file() {
                self.tree.check_readable(&path).map_err(|source| unreadable(&path, source))?;
            }
            if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                next = Some((parent.to_owned(), self.metadata(parent)?));
            }
            self.taken.insert(path, metadata);
        }
        Ok(())
    }

    /// Metadata of a directory that must be there.
    fn metadata(&self, path: &Path) -> Result<Metadata, ContextError> {
        if path.as_os_str().is_empty() {
            let root = |source| ContextError::Root { path: self.tree.root().to_owned(), source };
            return self.tree.stat_root().map_err(root);
        }
        self.tree.stat(path).map_err(|source| unreadable(path, source))
    }
}

impl Filter<'_> {
    /// The path as the patterns see it.
    pub(super) fn relative(&self, path: &Path) -> String {
        text_or_root(path.strip_prefix(self.base).unwrap_or(path))
    }

    pub(super) fn matched(&self, path: &Path) -> Matched {
        self.patterns.matched(&self.relative(path))
    }

    fn descend(&self, above: &Matched, path: &Path) -> Matched {
        self.patterns.descend(above, &self.relative(path))
    }

    /// True where the path itself does not pass.
    pub(super) fn drops(&self, matched: &Matched) -> bool {
        self.patterns.is_excluded(matched)
    }

    /// True where neither the path nor anything below it passes.
    pub(super) fn closes(&self, matched: &Matched, path: &Path) -> bool {
        self.drops(matched) && !self.patterns.may_include_below(matched, &self.relative(path))
    }
}

/// The names of a path; a leading slash and `.` do not count.
fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

/// A path as patterns see it. Bytes that are no text match only wildcards.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn text_or_root(path: &Path) -> String {
    if path.as_os_str().is_empty() { ".".to_owned() } else { text(path) }
}

fn unreadable(path: &Path, source: io::Error) -> ContextError {
    ContextError::Unreadable { path: text_or_root(path).into(), source }
}
