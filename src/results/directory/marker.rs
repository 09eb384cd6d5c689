//! The file that says: docker-test made this directory and may replace it.
//!
//! Owns its name, its content and the judgement over a directory. Trusts no link and no marker that it cannot read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use super::MARKER;

/// A marker is one short line; what is longer is none.
const SIZE_LIMIT: u64 = 4096;

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    docker_test: String,
    run: String,
}

/// Whose a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Nothing,
    Ours,
    Foreign,
}

/// Looks whether a directory is empty (names that begin with `prefix` are not counted) or bears a marker.
pub(super) fn judge(directory: &Path, prefix: &str) -> io::Result<Content> {
    let mut is_empty = true;
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        is_empty &= name.to_str().is_some_and(|name| name.starts_with(prefix));
    }
    Ok(match (is_empty, has_marker(directory)) {
        (true, _) => Content::Nothing,
        (false, true) => Content::Ours,
        (false, false) => Content::Foreign,
    })
}

fn has_marker(directory: &Path) -> bool {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(directory.join(MARKER));
    let Ok(file) = opened else { return false };
    let mut text = Vec::new();
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    is_file
        && file.take(SIZE_LIMIT).read_to_end(&mut text).is_ok()
        && serde_json::from_slice::<Marker>(&text).is_ok()
}

/// Marks a directory, whatever was in the marker's place.
pub(super) fn write(directory: &Path, run_id: &str) -> io::Result<()> {
    let path = directory.join(MARKER);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let marker = Marker { docker_test: env!("CARGO_PKG_VERSION").to_owned(), run: run_id.to_owned() };
    let mut line = serde_json::to_vec(&marker)?;
    line.push(b'\n');
    File::create_new(path)?.write_all(&line)
}
