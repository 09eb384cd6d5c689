use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::image::context::{Ignore, Needs, select};

fn whole(root: &Path) -> Selection {
    let needs = Needs::Whole { reason: String::new(), named: Vec::new() };
    select(root, &needs, &Ignore::default()).unwrap()
}

fn archive(root: &Path, extra: &[ExtraEntry]) -> Vec<u8> {
    let mut out = Vec::new();
    let written = write_archive(root, &whole(root), extra, &mut out).unwrap();
    assert_eq!(written, out.len() as u64);
    out
}

#[derive(Debug, PartialEq, Eq)]
struct Received {
    kind: EntryType,
    mode: u32,
    owner: (u64, u64),
    link: Option<Vec<u8>>,
    content: Vec<u8>,
}

fn read_back(bytes: &[u8]) -> BTreeMap<Vec<u8>, Received> {
    let mut archive = tar::Archive::new(bytes);
    let read = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let header = entry.header();
        let read = Received {
            kind: header.entry_type(),
            mode: header.mode().unwrap(),
            owner: (header.uid().unwrap(), header.gid().unwrap()),
            link: entry.link_name_bytes().map(|link| link.to_vec()),
            content,
        };
        (entry.path_bytes().to_vec(), read)
    };
    archive.entries().unwrap().map(read).collect()
}

#[test]
fn files_directories_and_links_arrive_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::create_dir(root.join("d")).unwrap();
    fs::write(root.join("d/run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(root.join("d/run.sh"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::hard_link(root.join("d/run.sh"), root.join("d/same")).unwrap();
    symlink("./../d//run.sh", root.join("l")).unwrap();
    nix::unistd::mkfifo(&root.join("p"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    let read = read_back(&archive(root, &[]));
    let kinds: Vec<_> =
        read.iter().map(|(name, read)| (String::from_utf8_lossy(name).into_owned(), read.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("d/".to_owned(), EntryType::Directory),
            ("d/run.sh".to_owned(), EntryType::Regular),
            ("d/same".to_owned(), EntryType::Link),
            ("l".to_owned(), EntryType::Symlink),
            ("p".to_owned(), EntryType::Fifo),
        ]
    );
    let script = &read[b"d/run.sh".as_slice()];
    assert_eq!(
        (script.mode, script.owner, script.content.as_slice()),
        (0o4755, (0, 0), b"#!/bin/sh\n".as_slice())
    );
    assert_eq!(read[b"d/same".as_slice()].link.as_deref(), Some(b"d/run.sh".as_slice()));
    assert_eq!(
        read[b"l".as_slice()].link.as_deref(),
        Some(b"./../d//run.sh".as_slice()),
        "a link is sent as it is"
    );
}

#[test]
fn long_names_and_long_links_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let long: PathBuf = ["x".repeat(90), "y".repeat(90), "z".repeat(200)].iter().collect();
    fs::create_dir_all(dir.path().join(long.parent().unwrap())).unwrap();
    fs::write(dir.path().join(&long), "found").unwrap();
    symlink(&long, dir.path().join("l".repeat(100))).unwrap();
    symlink("a", dir.path().join("m".repeat(101))).unwrap();
    let read = read_back(&archive(dir.path(), &[]));
    assert_eq!(read[long.as_os_str().as_bytes()].content, b"found");
    assert_eq!(read["l".repeat(100).as_bytes()].link.as_deref(), Some(long.as_os_str().as_bytes()));
    assert_eq!(read["m".repeat(101).as_bytes()].link.as_deref(), Some(b"a".as_slice()));
}

#[test]
fn the_same_files_make_the_same_bytes_in_whole_blocks() {
    let dir = tempfile::tempdir().unwrap();
    for (name, size) in [("a", 0), ("b", 1), ("c", 512), ("d", 513), ("e", 200_000)] {
        fs::write(dir.path().join(name), vec![b'x'; size]).unwrap();
    }
    let first = archive(dir.path(), &[]);
    assert_eq!(first, archive(dir.path(), &[]));
    assert_eq!(first.len() % 512, 0);
    assert!(first.ends_with(&[0; 1024]));
    assert_eq!(read_back(&first)[b"e".as_slice()].content.len(), 200_000);
}

#[test]
fn a_size_over_eight_gigabytes_fits_the_header() {
    let mut out = Archive { out: Vec::new(), written: 0, chunk: Vec::new() };
    let mut header = Header::new_gnu();
    header.set_size(20_000_000_000);
    out.header(header, b"huge", &[]).unwrap();
    assert_eq!(Header::from_byte_slice(&out.out).size().unwrap(), 20_000_000_000);
}

#[test]
fn extra_entries_come_first_with_their_modes() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "user").unwrap();
    let extra = [
        ExtraEntry::directory(".docker-test-1", 0o755),
        ExtraEntry::directory(".docker-test-1/results", 0o1777),
        ExtraEntry::file(".docker-test-1/Dockerfile", 0o644, "FROM scratch\n"),
    ];
    let bytes = archive(dir.path(), &extra);
    let read = read_back(&bytes);
    assert_eq!(read[b".docker-test-1/results/".as_slice()].mode, 0o1777);
    assert_eq!(read[b".docker-test-1/Dockerfile".as_slice()].content, b"FROM scratch\n");
    assert_eq!(read[b"a".as_slice()].content, b"user");
    assert!(bytes.starts_with(b".docker-test-1/\0"));
}

#[test]
fn a_reserved_name_of_the_users_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(".docker-test-1")).unwrap();
    let extra = [ExtraEntry::directory(".docker-test-1/D", 0o755)];
    let mut out = Vec::new();
    let error = write_archive(dir.path(), &whole(dir.path()), &extra, &mut out).unwrap_err();
    assert!(matches!(error, ContextError::Reserved { .. }));
    assert!(out.is_empty());
}

#[test]
fn a_file_that_changes_size_is_an_error_that_leaves_the_rest_readable() {
    for (now, sent) in [("", "\0\0\0\0"), ("12", "12\0\0"), ("123456", "1234")] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "1234").unwrap();
        fs::write(dir.path().join("b"), "after").unwrap();
        let selection = whole(dir.path());
        fs::write(dir.path().join("a"), now).unwrap();
        let mut out = Vec::new();
        let error = write_archive(dir.path(), &selection, &[], &mut out).unwrap_err();
        assert!(matches!(error, ContextError::Changed { path } if path == Path::new("a")), "{now:?}");
        let read = read_back(&out);
        assert_eq!(read[b"a".as_slice()].content, sent.as_bytes());
        assert_eq!(read[b"b".as_slice()].content, b"after");
        assert!(!out.ends_with(&[0; 1024]), "an archive in error has no end mark");
    }
}

#[test]
fn a_file_that_has_become_something_else_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    for name in ["link", "pipe"] {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    let both = whole(dir.path());
    fs::remove_file(dir.path().join("link")).unwrap();
    symlink(outside.path(), dir.path().join("link")).unwrap();
    fs::remove_file(dir.path().join("pipe")).unwrap();
    nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for entry in both.entries {
        let one = Selection { entries: vec![entry.clone()], bytes: 1 };
        let error = write_archive(dir.path(), &one, &[], io::sink()).unwrap_err();
        assert!(matches!(error, ContextError::Unreadable { path, .. } if path == entry.path));
    }
}

#[test]
fn an_output_that_fails_is_reported_as_such() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "1234").unwrap();
    let error = write_archive(dir.path(), &whole(dir.path()), &[], [0_u8; 600].as_mut_slice()).unwrap_err();
    assert!(matches!(error, ContextError::Send(_)));
}
