//! The small archives that are unpacked in containers before they start.
//!
//! Owns how their entries look: owned by root, and with a mode that no umask changes.

use std::io;

use bytes::Bytes;
use tar::{Builder, EntryType, Header};

/// An archive in the making.
pub(super) struct UploadArchive(Builder<Vec<u8>>);

impl UploadArchive {
    /// Without an entry.
    pub(super) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    /// Adds a directory by its path below the one that the archive is unpacked in, or that one itself: `.`.
    pub(super) fn directory(&mut self, path: &str, mode: u32) -> io::Result<()> {
        self.append(&format!("{path}/"), EntryType::Directory, mode, &[])
    }

    /// Adds a file. Its name is one that has been checked.
    pub(super) fn file(&mut self, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.append(name, EntryType::Regular, mode, content)
    }

    /// The whole archive.
    pub(super) fn finish(self) -> io::Result<Bytes> {
        self.0.into_inner().map(Bytes::from)
    }

    fn append(&mut self, path: &str, kind: EntryType, mode: u32, content: &[u8]) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        self.0.append_data(&mut header, path, content)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn entries_belong_to_root_and_keep_their_modes() {
        let long = format!("{0}/{0}", "x".repeat(120));
        let mut archive = UploadArchive::new();
        archive.directory(".", 0o1777).unwrap();
        archive.directory(&long, 0o755).unwrap();
        archive.file("TOKEN", 0o444, b"value").unwrap();
        let bytes = archive.finish().unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let entries: Vec<(String, u32, u64, String)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut content = String::new();
                entry.read_to_string(&mut content).unwrap();
                let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
                (name, entry.header().mode().unwrap(), entry.header().uid().unwrap(), content)
            })
            .collect();
        let expected = [
            ("./".into(), 0o1777, 0, String::new()),
            (format!("{long}/"), 0o755, 0, String::new()),
            ("TOKEN".into(), 0o444, 0, "value".into()),
        ];
        assert_eq!(entries, expected);
    }
}
