//! Writes entries below the destination.
//!
//! Owns the order in which things are made: directories and files as they come, symbolic links last, so that nothing is
//! ever written through one. Keeps a list of what it made; what it did not make, it does not touch.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::disk::{self, Made, write_problem};
use super::name::{Misplaced, Root, SafePath, link_text, printable};
use super::stream::{Entry, Kind, Stream};
use super::{ArchiveProblem, Extracted, Limits};
use crate::results::ResultFile;
use crate::results::directory::is_reserved;

const BUFFER: usize = 64 * 1024;

/// What is at a path.
#[derive(Debug)]
enum Node {
    File { size: u64 },
    Directory { modified: Option<SystemTime> },
    Link { raw: Vec<u8> },
}

pub(super) struct Tree<'d> {
    destination: &'d Path,
    limits: Limits,
    nodes: BTreeMap<SafePath, Node>,
    name_bytes: usize,
    bytes_left: u64,
    buffer: Box<[u8]>,
    extracted: Extracted,
}

impl<'d> Tree<'d> {
    pub(super) fn new(destination: &'d Path, limits: Limits) -> Self {
        Self {
            destination,
            limits,
            nodes: BTreeMap::new(),
            name_bytes: 0,
            bytes_left: limits.max_bytes,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            extracted: Extracted::default(),
        }
    }

    /// Whether the limit in bytes was reached, and nothing more is to be read.
    pub(super) const fn is_full(&self) -> bool {
        self.extracted.truncated.is_some()
    }

    /// Writes one entry, reading its content where it has one that is kept.
    pub(super) fn add(
        &mut self,
        stream: &mut Stream<impl Read>,
        entry: &Entry,
        root: &Root,
    ) -> Result<(), ArchiveProblem> {
        let is_file = matches!(entry.kind, Kind::File | Kind::HardLink(_));
        let made = match root.place(&entry.path, is_file, self.limits.max_depth) {
            Err(misplaced) => {
                self.extracted.too_deep += u64::from(misplaced == Misplaced::TooDeep);
                Err(misplaced.reason())
            }
            Ok(path) if is_reserved(&path.0) => Err("its name is reserved for docker-test"),
            Ok(path) => self.add_at(stream, entry, root, path)?,
        };
        if let Err(reason) = made {
            self.extracted.skip(printable(&entry.path), reason);
            // Content that is read over costs the same: an archive without end must come to one.
            self.spend(entry.size);
        }
        Ok(())
    }

    fn add_at(
        &mut self,
        stream: &mut Stream<impl Read>,
        entry: &Entry,
        root: &Root,
        path: SafePath,
    ) -> Result<Made, ArchiveProblem> {
        if let Kind::Other(what) = entry.kind {
            return Ok(Err(what));
        }
        if path.0.is_empty() {
            let is_directory = entry.kind == Kind::Directory;
            return Ok(if is_directory { Ok(()) } else { Err("the results path is a link") });
        }
        if let Err(reason) = self.make_parents(&path)? {
            return Ok(Err(reason));
        }
        if let Err(reason) = self.make_room(&path, &entry.kind)? {
            return Ok(Err(reason));
        }
        match &entry.kind {
            Kind::Directory => {
                if !self.nodes.contains_key(&path)
                    && let Err(reason) = disk::make_directory(&self.on_disk(&path), entry.mode)?
                {
                    return Ok(Err(reason));
                }
                self.record(path, Node::Directory { modified: entry.modified })?;
                Ok(Ok(()))
            }
            Kind::File => self.write_file(stream, entry, path),
            Kind::HardLink(target) => match root.target(target, self.limits.max_depth) {
                Ok(target) => self.link_file(&target, path),
                Err(_) => Ok(Err("it is a hard link to a file outside the results directory")),
            },
            Kind::SymbolicLink(raw) => {
                // Judged now, made last: until then nothing is at this path.
                match link_text(&path, raw) {
                    Ok(_) => {
                        self.name_bytes = self.name_bytes.saturating_add(raw.len());
                        self.record(path, Node::Link { raw: raw.clone() })?;
                        Ok(Ok(()))
                    }
                    Err(reason) => Ok(Err(reason)),
                }
            }
            Kind::Other(what) => Ok(Err(what)),
        }
    }

    fn on_disk(&self, path: &SafePath) -> PathBuf {
        self.destination.join(&path.0)
    }

    fn record(&mut self, path: SafePath, node: Node) -> Result<(), ArchiveProblem> {
        let length = path.0.len();
        if self.nodes.insert(path, node).is_none() {
            self.name_bytes = self.name_bytes.saturating_add(length);
        }
        let limit = self.limits.max_name_bytes;
        if self.name_bytes > limit { Err(ArchiveProblem::NamesTooLarge { limit }) } else { Ok(()) }
    }

    fn make_parents(&mut self, path: &SafePath) -> Result<Made, ArchiveProblem> {
        for parent in path.parents().map(|parent| SafePath(parent.to_owned())).collect::<Vec<_>>() {
            match self.nodes.get(&parent) {
                Some(Node::Directory { .. }) => {}
                Some(Node::File { .. }) => return Ok(Err("its directory is a file")),
                Some(Node::Link { .. }) => return Ok(Err("its directory is a symbolic link")),
                None => {
                    if let Err(reason) = disk::make_directory(&self.on_disk(&parent), 0o755)? {
                        return Ok(Err(reason));
                    }
                    self.record(parent, Node::Directory { modified: None })?;
                }
            }
        }
        Ok(Ok(()))
    }

    /// Takes away what an earlier entry of the same name left. A directory with content stays.
    fn make_room(&mut self, path: &SafePath, kind: &Kind) -> Result<Made, ArchiveProblem> {
        let on_disk = self.on_disk(path);
        let removed = match self.nodes.get(path) {
            Some(Node::Directory { .. }) if *kind == Kind::Directory => return Ok(Ok(())),
            Some(Node::Directory { .. }) if self.has_children(path) => {
                return Ok(Err("a directory with content is in its place"));
            }
            Some(Node::Directory { .. }) => fs::remove_dir(&on_disk),
            Some(Node::File { .. }) => fs::remove_file(&on_disk),
            Some(Node::Link { .. }) | None => Ok(()),
        };
        removed.map_err(|source| write_problem(&on_disk, source))?;
        self.nodes.remove(path);
        Ok(Ok(()))
    }

    /// Asks the list, not the disk: links are not there yet.
    fn has_children(&self, path: &SafePath) -> bool {
        let first = SafePath(format!("{}/", path.0));
        self.nodes.range(first.clone()..).next().is_some_and(|(next, _)| next.0.starts_with(&first.0))
    }

    fn write_file(
        &mut self,
        stream: &mut Stream<impl Read>,
        entry: &Entry,
        path: SafePath,
    ) -> Result<Made, ArchiveProblem> {
        let mut file = match disk::create_file(&self.on_disk(&path), entry.mode)? {
            Ok(file) => file,
            Err(reason) => return Ok(Err(reason)),
        };
        // Known from here on, so that a file in which the archive or the disk ends is listed with what it has.
        self.record(path.clone(), Node::File { size: 0 })?;
        let mut size = 0;
        let outcome = self.copy_content(stream, &mut file, &path, &mut size);
        if matches!(outcome, Err(ArchiveProblem::DiskFull { .. })) {
            // A piece of a file is worth less than the room it takes from everything else.
            drop(file);
            let _ = fs::remove_file(self.on_disk(&path));
            self.nodes.remove(&path);
            self.extracted.skip(path.0, "there was no room for it");
            outcome?;
            return Ok(Ok(()));
        }
        self.record(path, Node::File { size })?;
        outcome?;
        disk::set_modified(&file, entry.modified);
        Ok(Ok(()))
    }

    fn copy_content(
        &mut self,
        stream: &mut Stream<impl Read>,
        file: &mut File,
        path: &SafePath,
        size: &mut u64,
    ) -> Result<(), ArchiveProblem> {
        loop {
            let count = stream.read_content(&mut self.buffer)?;
            if count == 0 {
                return Ok(());
            }
            let allowed = usize::try_from(self.bytes_left).unwrap_or(usize::MAX).min(count);
            let written = file.write_all(&self.buffer[..allowed]);
            written.map_err(|source| write_problem(&self.on_disk(path), source))?;
            *size += allowed as u64;
            self.spend(count as u64);
            if self.is_full() {
                return Ok(());
            }
        }
    }

    fn link_file(&mut self, target: &SafePath, path: SafePath) -> Result<Made, ArchiveProblem> {
        let Some(Node::File { size }) = self.nodes.get(target) else {
            return Ok(Err("it is a hard link to nothing that was taken out"));
        };
        let size = *size;
        // A copy of the results elsewhere may make a file of each link: they count as such.
        if size > self.bytes_left {
            self.spend(size);
            return Ok(Ok(()));
        }
        if let Err(reason) = disk::link(&self.on_disk(target), &self.on_disk(&path))? {
            return Ok(Err(reason));
        }
        self.spend(size);
        self.record(path, Node::File { size })?;
        Ok(Ok(()))
    }

    fn spend(&mut self, bytes: u64) {
        if bytes > self.bytes_left {
            self.extracted.truncated = Some(self.limits.max_bytes);
        }
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
    }

    /// Makes the links, sets the times of directories, and lists the files.
    pub(super) fn finish(mut self) -> (Extracted, Result<(), ArchiveProblem>) {
        let nodes = std::mem::take(&mut self.nodes);
        let mut outcome = Ok(());
        for (path, node) in &nodes {
            let Node::Link { raw } = node else { continue };
            let made = match link_text(path, raw) {
                Ok((text, target)) if target.0.is_empty() || nodes.contains_key(&target) => {
                    let made = disk::make_link(&text, &self.on_disk(path));
                    if let (Ok(Ok(())), Some(Node::File { .. })) = (&made, nodes.get(&target)) {
                        self.extracted.links.push((path.0.clone(), target.0));
                    }
                    made
                }
                Ok(_) => Ok(Err("it is a link to nothing that was taken out")),
                Err(reason) => Ok(Err(reason)),
            };
            match made {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => self.extracted.skip(path.0.clone(), reason),
                Err(problem) => {
                    outcome = Err(problem);
                    break;
                }
            }
        }
        for (path, node) in &nodes {
            if let Node::Directory { modified: Some(modified) } = node
                && let Ok(directory) = File::open(self.on_disk(path))
            {
                disk::set_modified(&directory, Some(*modified));
            }
        }
        let files = nodes.into_iter().filter_map(|(path, node)| match node {
            Node::File { size } => Some(ResultFile { path: path.0, size }),
            Node::Directory { .. } | Node::Link { .. } => None,
        });
        self.extracted.files = files.collect();
        self.extracted.bytes = self.extracted.files.iter().map(|file| file.size).sum();
        (self.extracted, outcome)
    }
}
