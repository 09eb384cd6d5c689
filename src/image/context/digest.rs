//! One number for everything that would be sent: part of the key that decides whether a test image is built again.
//!
//! Owns what counts: path, kind, mode, link and content. Times do not, because builders' own caches pass over
//! them, and a fresh checkout must find what an older one built.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

use sha2::{Digest as _, Sha256};

use super::ContextError;
use super::select::{EntryKind, Selection};
use super::tree::Tree;

/// SHA-256 of a selection; shown as `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Reads every file of `selection` once, in constant memory. Blocks on the disk.
///
/// # Errors
/// A file that cannot be read.
pub fn digest<'t>(root: impl Into<Tree<'t>>, selection: &Selection) -> Result<Digest, ContextError> {
    let tree = root.into();
    let mut whole = Sha256::new();
    let mut chunk = vec![0; 64 * 1024];
    for entry in &selection.entries {
        // A further name counts like a copy: whether files share an inode is not the image's business.
        let (kind, numbers) = match entry.kind {
            EntryKind::Directory => (b'd', [0; 2]),
            EntryKind::File | EntryKind::HardLink => (b'f', [0; 2]),
            EntryKind::Symlink => (b'l', [0; 2]),
            EntryKind::Fifo => (b'p', [0; 2]),
            EntryKind::CharDevice { major, minor } => (b'c', [major, minor]),
            EntryKind::BlockDevice { major, minor } => (b'b', [major, minor]),
        };
        whole.update([kind]);
        whole.update(entry.mode.to_be_bytes());
        field(&mut whole, entry.path.as_os_str().as_bytes());
        match entry.kind {
            EntryKind::File | EntryKind::HardLink => {
                let content = tree.open(&entry.path).and_then(|file| hash(tree, file, &mut chunk));
                let unreadable = |source| ContextError::Unreadable { path: entry.path.clone(), source };
                whole.update(content.map_err(unreadable)?);
            }
            EntryKind::Symlink => {
                let link = entry.link.as_deref().map(|link| link.as_os_str().as_bytes());
                field(&mut whole, link.unwrap_or_default());
            }
            EntryKind::CharDevice { .. } | EntryKind::BlockDevice { .. } => {
                for number in numbers {
                    whole.update(number.to_be_bytes());
                }
            }
            EntryKind::Directory | EntryKind::Fifo => {}
        }
    }
    Ok(Digest(whole.finalize().into()))
}

/// Length first, so that two fields cannot be read as two others.
fn field(whole: &mut Sha256, bytes: &[u8]) {
    whole.update((bytes.len() as u64).to_be_bytes());
    whole.update(bytes);
}

fn hash(tree: Tree<'_>, mut file: File, chunk: &mut [u8]) -> io::Result<[u8; 32]> {
    let mut content = Sha256::new();
    loop {
        tree.go_on()?;
        match file.read(chunk) {
            Ok(0) => return Ok(content.finalize().into()),
            Ok(read) => content.update(chunk.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use super::super::{Ignore, Needs, select};
    use super::*;

    fn current(root: &Path) -> Digest {
        let needs = Needs::Whole { reason: String::new(), named: Vec::new() };
        digest(root, &select(root, &needs, &Ignore::default()).unwrap()).unwrap()
    }

    #[test]
    fn everything_but_time_counts() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir(root.join("d")).unwrap();
        fs::write(root.join("d/f"), "content").unwrap();
        symlink("d/f", root.join("l")).unwrap();
        let mut seen = vec![current(root)];

        File::options()
            .write(true)
            .open(root.join("d/f"))
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(5))
            .unwrap();
        assert_eq!(current(root), seen[0], "times do not count");

        let changes: [&dyn Fn(); 5] = [
            &|| fs::write(root.join("d/f"), "other").unwrap(),
            &|| fs::set_permissions(root.join("d/f"), fs::Permissions::from_mode(0o755)).unwrap(),
            &|| fs::set_permissions(root.join("d"), fs::Permissions::from_mode(0o700)).unwrap(),
            &|| fs::rename(root.join("d/f"), root.join("d/g")).unwrap(),
            &|| {
                fs::remove_file(root.join("l")).unwrap();
                symlink("d/g", root.join("l")).unwrap();
            },
        ];
        for change in changes {
            change();
            let now = current(root);
            assert!(!seen.contains(&now));
            seen.push(now);
        }
    }

    #[test]
    fn a_hard_link_counts_like_a_copy() {
        let (linked, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(linked.path().join("a"), "x").unwrap();
        fs::hard_link(linked.path().join("a"), linked.path().join("b")).unwrap();
        for name in ["a", "b"] {
            fs::write(copied.path().join(name), "x").unwrap();
        }
        assert_eq!(current(linked.path()), current(copied.path()));
    }

    #[test]
    fn content_cannot_pass_for_a_name() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(one.path().join("ab"), "c").unwrap();
        fs::write(two.path().join("a"), "bc").unwrap();
        assert_ne!(current(one.path()), current(two.path()));
    }

    #[test]
    fn it_is_shown_with_its_algorithm() {
        let empty = digest(Path::new("/"), &Selection::default()).unwrap();
        assert_eq!(
            empty.to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(empty.as_bytes()[0], 0xe3);
    }
}
