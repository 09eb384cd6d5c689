//! An archive out of a container that wants to be somewhere else: nothing may land outside the directory.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};

use arbitrary::{Arbitrary, Unstructured};
use docker_test::results::archive::{Limits, extract};
use libfuzzer_sys::fuzz_target;

/// A tar whose checksums are right, so that the fuzzer need not find them.
#[derive(Debug, Arbitrary)]
struct Entry<'a> {
    kind: u8,
    rooted: bool,
    path: &'a [u8],
    link: &'a [u8],
    mode: u16,
    claimed_size: Option<u32>,
    content: &'a [u8],
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    if first % 4 == 0 {
        check(rest);
    } else {
        let mut unstructured = Unstructured::new(rest);
        let Ok(entries) = Vec::<Entry<'_>>::arbitrary(&mut unstructured) else { return };
        check(&pack(&entries));
    }
});

fn pack(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut tar = Vec::new();
    for entry in entries.iter().take(40) {
        let path = if entry.rooted { [b"results/", entry.path].concat() } else { entry.path.to_vec() };
        let kind = b"0123456725xgLKS\0"[usize::from(entry.kind) % 16];
        let mut header = tar::Header::new_gnu();
        let fields = header.as_mut_bytes();
        fill(&mut fields[0..100], &path);
        fill(&mut fields[157..257], entry.link);
        fields[156] = kind;
        header.set_mode(u32::from(entry.mode));
        header.set_size(entry.claimed_size.map_or(entry.content.len() as u64, u64::from));
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(entry.content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn fill(field: &mut [u8], value: &[u8]) {
    let size = value.len().min(field.len());
    field[..size].copy_from_slice(&value[..size]);
}

fn check(tar: &[u8]) {
    let outer = tempfile::tempdir().expect("a temporary directory");
    let (inside, secret) = (outer.path().join("inside"), outer.path().join("secret"));
    fs::create_dir(&inside).expect("a directory");
    fs::write(&secret, "untouched").expect("a file");
    let limits = Limits { max_bytes: 4096, max_entries: 100, max_depth: 8, max_name_bytes: 4096 };
    let extracted = match extract(tar, "results", &inside, &limits) {
        Ok(extracted) => extracted,
        Err(error) => *error.extracted,
    };
    assert_eq!(fs::read_to_string(&secret).expect("the secret"), "untouched");
    assert_eq!(fs::read_dir(outer.path()).expect("a listing").count(), 2);
    assert!(extracted.bytes <= limits.max_bytes);
    let inside = fs::canonicalize(inside).expect("a directory");
    let mut found = 0;
    let mut directories = vec![inside.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory that can be read") {
            let path = entry.expect("an entry").path();
            let kind = path.symlink_metadata().expect("an entry").file_type();
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_symlink() {
                assert!(leads_inside(&path, &inside), "{path:?} leads to {:?}", fs::read_link(&path));
            } else {
                assert!(kind.is_file(), "{path:?} is {kind:?}");
                found += 1;
            }
        }
    }
    assert_eq!(found, extracted.files.len());
    for file in &extracted.files {
        let metadata = fs::symlink_metadata(inside.join(&file.path)).expect("a listed file");
        assert!(metadata.is_file() && metadata.len() == file.size);
    }
}

fn leads_inside(link: &Path, inside: &PathBuf) -> bool {
    match fs::canonicalize(link) {
        Ok(target) => target.starts_with(inside),
        // A link to nothing, or in a circle, leads nowhere; its text must not lead out all the same.
        Err(_) => !fs::read_link(link).is_ok_and(|target| target.is_absolute()),
    }
}
