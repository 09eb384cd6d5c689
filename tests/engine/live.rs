//! A docker-test at work, to be watched and signalled; an engine of one's own; and what a run must not leave.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{BASE, Ran, Sandbox, docker, repository};

/// Nothing here takes longer, even on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Polls until `probe` gives something.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A running docker-test whose streams are read as they come.
pub(crate) struct Live {
    child: Option<Child>,
    stdout: Stream,
    stderr: Stream,
}

struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn follow(source: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let reader = source.map(|mut source| {
            let bytes = Arc::clone(&bytes);
            std::thread::spawn(move || {
                let mut buffer = [0; 8192];
                while let Ok(size @ 1..) = source.read(&mut buffer) {
                    bytes.lock().unwrap().extend_from_slice(&buffer[..size]);
                }
            })
        });
        Self { bytes, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    fn end(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.text()
    }
}

impl Live {
    pub(crate) fn start(mut command: Command) -> Self {
        Self::follow(command.spawn().unwrap())
    }

    /// Watches a process whose other streams the caller has taken.
    pub(crate) fn follow(mut child: Child) -> Self {
        let stdout = Stream::follow(child.stdout.take());
        let stderr = Stream::follow(child.stderr.take());
        Self { child: Some(child), stdout, stderr }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until stderr holds `part`.
    #[track_caller]
    pub(crate) fn says(&self, part: &str) {
        eventually(part, || self.stderr().contains(part).then_some(()));
    }

    /// Waits until stdout holds `part`: what the test printed.
    #[track_caller]
    pub(crate) fn prints(&self, part: &str) {
        eventually(part, || self.stdout.text().contains(part).then_some(()));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.pid()).unwrap()), signal).unwrap();
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Ran {
        let status =
            eventually("the end of docker-test", || self.child.as_mut().unwrap().try_wait().unwrap());
        self.child = None;
        Ran {
            code: status.code().unwrap_or_else(|| -status.signal().unwrap_or(0)),
            stdout: self.stdout.end(),
            stderr: self.stderr.end(),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The run ids that stderr names.
pub(crate) fn run_ids(stderr: &str) -> Vec<String> {
    let ids = stderr.split("(run ").skip(1).filter_map(|rest| rest.split_once(')'));
    ids.map(|(id, _)| id.to_owned()).collect()
}

/// What the main engine still holds of a run: containers, volumes and private tags.
pub(crate) fn remains(run: &str) -> Vec<String> {
    let label = format!("label=docker-test.run={run}");
    let listings: [&[&str]; 3] = [
        &["ps", "-a", "--filter", &label, "--format", "container {{.Names}}"],
        &["volume", "ls", "--filter", &label, "--format", "volume {{.Name}}"],
        &["images", "localhost/docker-test-target", "--format", "tag {{.Tag}}"],
    ];
    let lines =
        listings.iter().flat_map(|listing| docker(listing).lines().map(str::to_owned).collect::<Vec<_>>());
    lines.filter(|line| !line.starts_with("tag ") || line.contains(run)).collect()
}

/// Demands that nothing is left of the runs that `stderr` names, and that there was one.
#[track_caller]
pub(crate) fn assert_clean(stderr: &str) {
    let runs = run_ids(stderr);
    assert!(!runs.is_empty(), "no run was named in: {stderr}");
    for run in runs {
        assert_eq!(remains(&run), Vec::<String>::new(), "{stderr}");
    }
}

/// An image of the sandbox that is the base under another id, so that no other test's image is the same one.
#[track_caller]
pub(crate) fn plain(sandbox: &Sandbox) -> String {
    image_with(sandbox, "")
}

/// The same with more lines in its Dockerfile.
#[track_caller]
pub(crate) fn image_with(sandbox: &Sandbox, lines: &str) -> String {
    let name = sandbox.name("plain");
    sandbox.docker_build("plain", &format!("FROM {BASE}\nLABEL sandbox={name}\n{lines}"))
}

/// Arguments of a run of `script` by `sh` in `image`.
pub(crate) fn script<'a>(flags: &[&'a str], image: &'a str, script: &'a str) -> Vec<&'a str> {
    [flags, &[image, "--", "sh", "-c", script]].concat()
}

/// A fixture of `scripts/fixture`, taken down when dropped.
pub(crate) struct Fixture {
    name: String,
    values: BTreeMap<String, String>,
}

impl Fixture {
    #[track_caller]
    pub(crate) fn up(name: &str, options: &[&str]) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let output = Command::new(repository("scripts/fixture"))
            .args([name.as_str(), "up"])
            .args(options)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let values = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self { name, values }
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        &self.values[name]
    }

    /// Process id of the daemon.
    pub(crate) fn daemon(&self) -> Pid {
        Pid::from_raw(std::fs::read_to_string(self.pid_file()).unwrap().trim().parse().unwrap())
    }

    fn pid_file(&self) -> String {
        self.value("DOCKERD_SOCKET").replace("docker.sock", "dockerd.pid")
    }

    /// Kills the daemon as a crash would, its containers go on. What it returns starts it again.
    pub(crate) fn crash(&self) -> Vec<String> {
        let daemon = self.daemon();
        let words = std::fs::read(format!("/proc/{daemon}/cmdline")).unwrap();
        kill(daemon, Signal::SIGKILL).unwrap();
        let words = words.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        words.map(|word| String::from_utf8(word.to_vec()).unwrap()).collect()
    }

    /// Starts the daemon that has crashed.
    #[track_caller]
    pub(crate) fn revive(&self, words: &[String]) {
        // Nobody may have taken note of the old one's end, and then its number counts as taken.
        std::fs::remove_file(self.pid_file()).unwrap();
        let log = self.pid_file().replace("dockerd.pid", "revived.log");
        let file = std::fs::File::create(&log).unwrap();
        let mut daemon = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .process_group(0)
            .spawn()
            .unwrap();
        eventually("the daemon's return", || {
            let said = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(daemon.try_wait().unwrap().is_none(), "the daemon did not start again: {}", said());
            let answer = Command::new("docker").args(["-H", self.value("DOCKERD_HOST"), "version"]).output();
            answer.unwrap().status.success().then_some(())
        });
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = Command::new(repository("scripts/fixture")).args([self.name.as_str(), "down"]).output();
    }
}
