//! Tasks in a process of their own, since peak memory is a process's.

use std::fmt::Write;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use docker_test::results::ResultFile;
use docker_test::results::archive::{self, Limits};
use docker_test::results::collect::{Left, ReadLimits, read_reports};
use nix::sys::resource::UsageWho;

use crate::entry::{Failure, say};
use crate::peak::{self, FLAG, PEAK};

const CASES: usize = 10_000;
const FILES: usize = 16;
const MEGABYTE: usize = 1024 * 1024;

/// What a child can do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Task {
    Cases,
    SmallArchive,
    LargeArchive,
}

impl Task {
    const fn name(self) -> &'static str {
        match self {
            Self::Cases => "cases",
            Self::SmallArchive => "small-archive",
            Self::LargeArchive => "large-archive",
        }
    }
}

/// What a task came to.
pub(crate) struct Done {
    pub(crate) milliseconds: f64,
    /// In MB.
    pub(crate) peak: f64,
}

/// Runs a task in a child.
pub(crate) fn run_task(task: Task, directory: &Path) -> Result<Done, Failure> {
    let output = Command::new(std::env::current_exe()?)
        .args([FLAG, task.name()])
        .arg(directory)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match (output.status.success(), numbers.as_slice()) {
        (true, [milliseconds, peak]) => Ok(Done { milliseconds: *milliseconds, peak: *peak }),
        _ => Err(format!("the task {} failed: {text}", task.name()).into()),
    }
}

/// The child's side.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [PEAK, program, rest @ ..] => peak::measure(program, rest),
        ["cases", directory] => report(|| cases(Path::new(directory))),
        ["small-archive", directory] => report(|| take_out(Path::new(directory), 64 * MEGABYTE)),
        ["large-archive", directory] => report(|| take_out(Path::new(directory), 1024 * MEGABYTE)),
        _ => Err(format!("no such task: {words:?}").into()),
    }
}

fn report(task: impl FnOnce() -> Result<f64, Failure>) -> Result<(), Failure> {
    let milliseconds = task()?;
    say(&format!("{milliseconds} {}\n", peak::megabytes(UsageWho::RUSAGE_SELF)?));
    Ok(())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn cases(directory: &Path) -> Result<f64, Failure> {
    let path = directory.join("junit.xml");
    let mut text = String::from("<testsuites><testsuite name=\"bench\">\n");
    for number in 0..CASES {
        writeln!(text, "<testcase classname=\"bench.Suite\" name=\"case {number}\" time=\"0.01\">")?;
        if number % 10 == 0 {
            text.push_str("<failure message=\"expected 1\">at line 7\nat line 8</failure>");
        }
        text.push_str("</testcase>\n");
    }
    text.push_str("</testsuite></testsuites>\n");
    fs::write(&path, &text)?;
    let files = [ResultFile { path: "junit.xml".to_owned(), size: u64::try_from(text.len())? }];
    drop(text);
    let before = Instant::now();
    let left = Left { files: &files, links: &[], since: None };
    let reports = read_reports(directory, left, &ReadLimits::default());
    let taken = milliseconds(before);
    fs::remove_file(path)?;
    let counts = reports.counts;
    if counts.passed + counts.failed != u64::try_from(CASES)? {
        return Err(format!("read {counts:?}, not {CASES} cases").into());
    }
    Ok(taken)
}

fn take_out(directory: &Path, size: usize) -> Result<f64, Failure> {
    let destination = tempfile::tempdir_in(directory)?;
    let limits = Limits { max_bytes: u64::MAX, ..Limits::default() };
    let before = Instant::now();
    let extracted = archive::extract(Archive::new(size), "results", destination.path(), &limits)
        .map_err(|error| error.problem)?;
    let taken = milliseconds(before);
    if extracted.bytes != u64::try_from(size)? || extracted.files.len() != FILES {
        return Err(format!("took out {} bytes in {} files", extracted.bytes, extracted.files.len()).into());
    }
    Ok(taken)
}

/// A tar stream that is made while it is read.
struct Archive {
    size: usize,
    next: usize,
    header: io::Cursor<Vec<u8>>,
    content: io::Take<io::Repeat>,
}

impl Archive {
    fn new(size: usize) -> Self {
        Self { size: size / FILES, next: 0, header: io::Cursor::default(), content: io::repeat(b'x').take(0) }
    }
}

impl Read for Archive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.header.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            // File sizes are whole blocks: no padding is needed.
            let read = self.content.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            if self.next > FILES {
                return Ok(0);
            }
            if self.next == FILES {
                self.header = io::Cursor::new(vec![0; 1024]);
            } else {
                let mut header = tar::Header::new_gnu();
                header.set_path(format!("results/{}.bin", self.next))?;
                header.set_size(self.size as u64);
                header.set_mode(0o644);
                header.set_cksum();
                self.header = io::Cursor::new(header.as_bytes().to_vec());
                self.content = io::repeat(b'x').take(self.size as u64);
            }
            self.next += 1;
        }
    }
}
