//! Reads files that the user names: never more than a limit, and never waiting for somebody who may not come.
//!
//! Owns what counts as a file here: a regular file, `/dev/null`, and what the shell handed over as a descriptor
//! (`<(…)`, `/dev/stdin`). A named pipe or a device would be waited for, or never end. Knows no format.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Reads all of `path`, which may hold at most `limit` bytes. What is refused is said by the error's text.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_open(open(path)?, limit)
}

/// Reads all that an open file, or a stream such as standard input, still holds.
pub fn read_open(source: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let message = format!("it is larger than the {} that are read", size(limit));
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// Opens `path` for reading without waiting for a writer.
pub fn open(path: &Path) -> io::Result<File> {
    if is_descriptor(path) {
        // A pipe of the shell's has its writer already.
        return File::open(path);
    }
    let file = OpenOptions::new().read(true).custom_flags(NEVER_WAIT).open(path)?;
    match refused(&file.metadata()?) {
        Some(kind) if path != Path::new("/dev/null") => Err(not_a_file(kind)),
        _ => Ok(file),
    }
}

/// Opens what was a regular file when it was listed. It may have been exchanged since: no link is followed in its place,
/// and no pipe waited for.
pub fn open_listed(path: &Path) -> io::Result<File> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no longer a regular file"))
    }
}

/// For `open`: no waiting for the other end of a pipe or for a line, and no terminal that becomes ours.
pub const NEVER_WAIT: i32 = nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;

/// What something is that is not a regular file.
#[must_use]
pub fn refused(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_fifo() {
        Some("a named pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

/// The error for what is no regular file.
#[must_use]
pub fn not_a_file(kind: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("it is {kind}, and no regular file"))
}

/// True for the names of what this process was started with: `/dev/stdin`, `/dev/fd/63`.
#[must_use]
pub fn is_descriptor(path: &Path) -> bool {
    descriptor(path).is_some()
}

/// The number of the descriptor that a path names.
#[must_use]
pub fn descriptor(path: &Path) -> Option<u32> {
    match path.to_str()? {
        "/dev/stdin" => Some(0),
        "/dev/stdout" => Some(1),
        "/dev/stderr" => Some(2),
        text => {
            let number = text.strip_prefix("/dev/fd/").or_else(|| text.strip_prefix("/proc/self/fd/"))?;
            number.parse().ok()
        }
    }
}

fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_named_pipe_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = read(&path, 10).unwrap_err();
        assert_eq!(error.to_string(), "it is a named pipe, and no regular file");
    }

    #[test]
    fn devices_are_refused_but_the_empty_one() {
        for path in ["/dev/zero", "/dev/full", "/dev/tty"] {
            let error = read(Path::new(path), 10).unwrap_err().to_string();
            // A process without a terminal cannot open one.
            assert!(path == "/dev/tty" || error.contains("a device"), "{path}: {error}");
        }
        assert_eq!(read(Path::new("/dev/null"), 10).unwrap(), b"");
    }

    #[test]
    fn a_directory_is_no_file() {
        assert!(read(Path::new("/tmp"), 10).unwrap_err().to_string().contains("a directory"));
    }

    #[test]
    fn a_file_is_read_up_to_the_limit_and_no_further() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![b'x'; 2048]).unwrap();
        assert_eq!(read(file.path(), 2048).unwrap().len(), 2048);
        let error = read(file.path(), 2047).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(error.to_string(), "it is larger than the 1 KiB that are read");
    }

    #[test]
    fn a_pipe_of_the_shell_is_read_to_its_end() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        let writing = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            io::Write::write_all(&mut writer, b"late").unwrap();
        });
        assert_eq!(read(Path::new(&path), 10).unwrap(), b"late");
        writing.join().unwrap();
    }

    #[test]
    fn descriptors_are_known_by_their_names() {
        assert_eq!(descriptor(Path::new("/dev/fd/63")), Some(63));
        assert_eq!(descriptor(Path::new("/proc/self/fd/1")), Some(1));
        assert_eq!(descriptor(Path::new("/dev/stderr")), Some(2));
        assert_eq!(descriptor(Path::new("/dev/fd/x")), None);
        assert_eq!(descriptor(Path::new("fd/1")), None);
    }
}
