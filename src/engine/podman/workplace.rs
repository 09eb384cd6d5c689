//! The private directory of one Podman service: made, read, and swept where a killed run left it.
//!
//! Owns its name, its marker and what may lie in it. A directory in a place that everybody may write to is anybody's
//! until the contrary is proved, so that nothing is removed but by name.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::libc::O_NOFOLLOW;

use crate::input::NEVER_WAIT;

const PREFIX: &str = "docker-test-podman-";
const MODE: u32 = 0o700;
/// Says that the directory is ours; its name alone could be a user's choice.
const MARKER: &str = ".docker-test-podman";
const MARK: &[u8] =
    b"A directory of docker-test's for Podman's service. It may be removed when nobody listens here.\n";
const SOCKET: &str = "podman.sock";
const LOG: &str = "log";
/// What the monitors of containers leave where they were started: that the kernel killed for want of memory.
const MONITORS: [&str; 1] = ["oom"];
/// A directory of another run that is younger than this may not have its socket yet.
const STALE_AFTER: Duration = Duration::from_mins(2);
/// As much of the service's log as a message can use.
const KEPT: u64 = 4 * 1024;

/// A directory, removed on drop.
#[derive(Debug)]
pub(super) struct Workplace {
    directory: tempfile::TempDir,
}

impl Workplace {
    /// Makes one below `runtime_dir`.
    pub(super) fn create(runtime_dir: &Path) -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(fs::Permissions::from_mode(MODE))
            .tempdir_in(runtime_dir)?;
        File::create_new(directory.path().join(MARKER))?.write_all(MARK)?;
        Ok(Self { directory })
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where the service is to listen.
    pub(super) fn socket(&self) -> PathBuf {
        self.path().join(SOCKET)
    }

    /// An empty log.
    pub(super) fn create_log(&self) -> io::Result<File> {
        File::create(self.path().join(LOG))
    }

    /// The end of the log.
    pub(super) fn last_words(&self) -> String {
        let bytes = end_of(&self.path().join(LOG)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() { "it said nothing".to_owned() } else { lines.join("; ") }
    }
}

/// A log grows as long as its service lives: no more of it is read than is kept.
fn end_of(log: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(log)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(KEPT)))?;
    let mut bytes = Vec::new();
    file.take(KEPT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Removes what killed runs of this user left: directories of ours whose socket nobody listens on any more.
pub(super) fn sweep(runtime_dir: &Path) {
    let Ok(entries) = fs::read_dir(runtime_dir) else { return };
    let now = SystemTime::now();
    for entry in entries.flatten() {
        let named = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if named && let Some(names) = abandoned(&entry.path(), now) {
            // By name and not recursively: what came meanwhile keeps the directory.
            let path = entry.path();
            let removed = names.iter().try_for_each(|name| fs::remove_file(path.join(name)));
            let _next_time = removed.and_then(|()| fs::remove_dir(path));
        }
    }
}

/// What lies in a directory that we made and that nobody uses, the marker last; none for every other directory.
fn abandoned(path: &Path, now: SystemTime) -> Option<Vec<&'static str>> {
    // Of the name itself, not of what it links to.
    let metadata = path.symlink_metadata().ok()?;
    let private = metadata.permissions().mode() & 0o7777 == MODE;
    let own = metadata.is_dir() && metadata.uid() == nix::unistd::geteuid().as_raw();
    let old = now.duration_since(metadata.modified().ok()?).is_ok_and(|age| age > STALE_AFTER);
    if !(own && private && old) {
        return None;
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(path).ok()? {
        let entry = entry.ok()?;
        let kind = entry.file_type().ok()?;
        let known = [SOCKET, LOG, MARKER].into_iter().chain(MONITORS);
        let name = known.into_iter().find(|name| entry.file_name() == *name)?;
        if !(if name == SOCKET { kind.is_socket() } else { kind.is_file() }) {
            return None;
        }
        names.push(name);
    }
    // While it stands, a sweep that was cut short can be taken up again.
    names.sort_unstable_by_key(|name| *name == MARKER);
    let unused = || std::os::unix::net::UnixStream::connect(path.join(SOCKET)).is_err();
    (is_marked(path).unwrap_or(false) && unused()).then_some(names)
}

fn is_marked(path: &Path) -> io::Result<bool> {
    let file = File::options().read(true).custom_flags(O_NOFOLLOW | NEVER_WAIT).open(path.join(MARKER))?;
    let mut mark = Vec::new();
    file.take(MARK.len() as u64 + 1).read_to_end(&mut mark)?;
    Ok(mark == MARK)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    /// What a run leaves that is killed, or that lives as long as the listener.
    fn make(runtime: &Path, name: &str) -> (PathBuf, UnixListener) {
        let path = Workplace::create(runtime).unwrap().directory.keep();
        let renamed = runtime.join(name);
        fs::rename(&path, &renamed).unwrap();
        fs::write(renamed.join(LOG), "said\n").unwrap();
        let listener = UnixListener::bind(renamed.join(SOCKET)).unwrap();
        (renamed, listener)
    }

    fn age(path: &Path) {
        File::open(path).unwrap().set_modified(SystemTime::now() - HOUR).unwrap();
    }

    #[test]
    fn only_old_directories_without_a_listener_are_swept() {
        let runtime = tempfile::tempdir().unwrap();
        let (dead, listener) = make(runtime.path(), "docker-test-podman-dead");
        drop(listener);
        let (alive, _listening) = make(runtime.path(), "docker-test-podman-alive");
        let (young, listener) = make(runtime.path(), "docker-test-podman-young");
        drop(listener);
        let (foreign, listener) = make(runtime.path(), "podman-foreign");
        drop(listener);
        for path in [&dead, &alive, &foreign] {
            age(path);
        }
        sweep(runtime.path());
        assert!(!dead.exists());
        assert!(alive.exists() && young.exists() && foreign.exists());
    }

    #[test]
    fn a_directory_that_is_not_provably_ours_is_left_as_it_is() {
        let runtime = tempfile::tempdir().unwrap();
        let dead = |name: &str| {
            let (path, _) = make(runtime.path(), &format!("docker-test-podman-{name}"));
            path
        };
        let checkout = runtime.path().join("docker-test-podman-checkout");
        fs::create_dir(&checkout).unwrap();
        fs::set_permissions(&checkout, fs::Permissions::from_mode(MODE)).unwrap();
        fs::write(checkout.join("main.rs"), "work of a week").unwrap();
        let unmarked = dead("unmarked");
        fs::remove_file(unmarked.join(MARKER)).unwrap();
        let otherwise_marked = dead("otherwise-marked");
        fs::write(otherwise_marked.join(MARKER), "mine").unwrap();
        let open = dead("open");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
        let used = dead("used");
        fs::write(used.join("notes"), "x").unwrap();
        let nested = dead("nested");
        fs::remove_file(nested.join(LOG)).unwrap();
        fs::create_dir(nested.join(LOG)).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let (target, _) = make(elsewhere.path(), "docker-test-podman-target");
        let link = runtime.path().join("docker-test-podman-link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let all = [checkout, unmarked, otherwise_marked, open, used, nested, target, link];
        for path in &all {
            age(path);
        }
        let before: Vec<usize> = all.iter().map(|path| fs::read_dir(path).unwrap().count()).collect();
        sweep(runtime.path());
        let after: Vec<usize> = all.iter().map(|path| fs::read_dir(path).unwrap().count()).collect();
        assert_eq!(after, before);
    }

    #[test]
    fn no_more_of_a_log_is_read_than_its_end() {
        let runtime = tempfile::tempdir().unwrap();
        let place = Workplace::create(runtime.path()).unwrap();
        assert_eq!(place.last_words(), "it said nothing");
        let mut log = place.create_log().unwrap();
        // A hole that nobody could hold in memory.
        log.set_len(1 << 40).unwrap();
        log.seek(SeekFrom::End(0)).unwrap();
        log.write_all(format!("{}\nfirst\n\n last\n", "x".repeat(4096 - 14)).as_bytes()).unwrap();
        let said = place.last_words();
        assert!(said.ends_with("x; first; last"), "{}", said.len());
    }
}
