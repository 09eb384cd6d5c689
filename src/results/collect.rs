//! Finds the reports among the files that a test left, and reads them.
//!
//! Owns the choice (JUnit by its root element, TAP by name or version line), the order, and the limits that all reports
//! of one attempt share. A report that is broken is a problem to show, never a reason to stop. What is older than the
//! test cannot speak for it. Follows no symbolic link but those that were taken out with the file they lead to.

mod case_list;
pub(crate) mod text;

#[cfg(test)]
mod tests;

pub use case_list::CaseList;
pub(crate) use case_list::{SuiteSlot, bare_case, count, sum, weight};

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::fcntl::OFlag;
use serde::Serialize;

use crate::error::Failure;
use crate::results::junit::Root;
use crate::results::{CaseCounts, CaseSuite, ResultFile, junit, tap};

/// How much of a file is looked at to tell what it is.
const PREFIX: u64 = 16 * 1024;
/// Problems that are kept; a directory full of broken reports says nothing new after these.
const PROBLEM_LIMIT: usize = 100;

/// How much of the reports is kept. Counts are right whatever the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Cases.
    pub max_cases: usize,
    /// Bytes of one name.
    pub max_name: usize,
    /// Bytes of one message, detail or output.
    pub max_text: usize,
    /// Bytes of all names and texts together; half of it is reserved for bad cases.
    pub max_total_text: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { max_cases: 100_000, max_name: 4 * 1024, max_text: 64 * 1024, max_total_text: 32 * 1024 * 1024 }
    }
}

/// What the reports of one attempt hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Reports {
    /// Suites, by file and then as they stand in it.
    pub suites: Vec<CaseSuite>,
    /// Counts over all cases.
    pub counts: CaseCounts,
    /// Cases that were counted but are not in `suites`, because of the limits.
    pub omitted: u64,
    /// Reports that were read as far as possible, or not at all.
    pub problems: Vec<ReportProblem>,
    /// Reports that were there before the test began, with nothing bad in them: they are not counted.
    pub older: Vec<String>,
}

/// What a test left, as far as reports are looked for in it.
#[derive(Debug, Clone, Copy)]
pub struct Left<'a> {
    /// The files, relative to the results directory.
    pub files: &'a [ResultFile],
    /// Symbolic links among them: path of the link, path of the file.
    pub links: &'a [(String, String)],
    /// When the test was started, where that is known. A file that was last changed before, by whole seconds, came with
    /// the image or a volume: what is good in it is not counted.
    pub since: Option<SystemTime>,
}

/// A report that could not be read whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportProblem {
    /// The file, relative to the results directory.
    pub file: String,
    /// What is wrong with it.
    pub message: String,
}

/// What a file is.
enum Kind {
    Junit,
    Tap,
    Broken(&'static str),
    NoReport,
}

/// Reads the reports among what was left in `directory`, in the order of their paths.
#[must_use]
pub fn read_reports(directory: &Path, left: Left<'_>, limits: &ReadLimits) -> Reports {
    let mut paths: Vec<(&str, &str)> = left.files.iter().map(|file| (&*file.path, &*file.path)).collect();
    // A file that bears the name of a report itself is read under that.
    let only_by_link =
        |(link, file): &&(String, String)| is_named_as_report(link) && !is_named_as_report(file);
    paths.extend(left.links.iter().filter(only_by_link).map(|(link, file)| (&**link, &**file)));
    paths.sort_unstable();
    paths.dedup();
    let mut list = CaseList::new(*limits);
    let mut older = Vec::new();
    let mut problems = Vec::new();
    for (path, file) in paths {
        match read_report(directory, path, file, left.since, &mut list) {
            Ok(Found::Older) => older.push(path.to_owned()),
            Err(message) if problems.len() < PROBLEM_LIMIT => {
                problems.push(ReportProblem { file: path.to_owned(), message });
            }
            Ok(Found::Counted | Found::NoReport) | Err(_) => {}
        }
    }
    Reports { suites: list.suites, counts: list.counts, omitted: list.omitted, problems, older }
}

/// What became of a file.
enum Found {
    Counted,
    Older,
    NoReport,
}

/// `path` is what the file is called, `file` where it is.
fn read_report(
    directory: &Path,
    path: &str,
    file: &str,
    since: Option<SystemTime>,
    list: &mut CaseList,
) -> Result<Found, String> {
    let unreadable = |error: io::Error| format!("cannot read the file: {error}");
    let mut file = match open_inside(directory, file) {
        Ok(file) => file,
        // Only a report that goes unread is worth a word.
        Err(error) => {
            return if is_named_as_report(path) { Err(unreadable(error)) } else { Ok(Found::NoReport) };
        }
    };
    let kind = kind_of(path, &mut file).map_err(unreadable)?;
    let is_older = since.is_some_and(|since| was_changed_before(&file, since));
    let mut read_into = |list: &mut CaseList| {
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let reader = BufReader::with_capacity(64 * 1024, &file);
        match kind {
            Kind::Junit => {
                junit::read_into(reader, path, list).map_err(|error| Failure::from(error).to_string())
            }
            Kind::Tap => tap::read_into(reader, path, list).map_err(|error| Failure::from(error).to_string()),
            Kind::Broken(message) => Err(message.to_owned()),
            Kind::NoReport => Ok(()),
        }
    };
    if matches!(kind, Kind::NoReport) {
        return Ok(Found::NoReport);
    }
    if is_older {
        // A test may give its files times of their own: what is bad counts whatever its time.
        let mut apart = CaseList::new(ReadLimits { max_cases: 0, ..ReadLimits::default() });
        if read_into(&mut apart).is_ok() && apart.counts.bad() == 0 {
            return Ok(Found::Older);
        }
    }
    read_into(list).map(|()| Found::Counted)
}

fn is_named_as_report(path: &str) -> bool {
    has_extension(path, "xml") || has_extension(path, "tap")
}

/// In whole seconds: an archive may hold no more.
fn was_changed_before(file: &File, moment: SystemTime) -> bool {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let changed = file.metadata().and_then(|metadata| metadata.modified());
    changed.is_ok_and(|changed| seconds(changed) < seconds(moment))
}

fn kind_of(path: &str, file: &mut File) -> io::Result<Kind> {
    if has_extension(path, "tap") {
        return Ok(Kind::Tap);
    }
    let is_xml = has_extension(path, "xml");
    let mut prefix = Vec::new();
    file.take(if is_xml { PREFIX } else { 64 }).read_to_end(&mut prefix)?;
    if !is_xml {
        return Ok(if tap::looks_like_tap(&prefix) { Kind::Tap } else { Kind::NoReport });
    }
    Ok(match junit::root_of(&prefix) {
        Root::Junit => Kind::Junit,
        Root::Missing if prefix.is_empty() => Kind::Broken("the file is empty"),
        Root::Missing if (prefix.len() as u64) < PREFIX => {
            Kind::Broken("the file ends before its root element")
        }
        Root::NotXml if prefix.windows(10).any(|window| window == b"<testsuite") => {
            Kind::Broken("the file holds a JUnit report, but other text stands before it")
        }
        Root::Other | Root::Missing | Root::NotXml => Kind::NoReport,
    })
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|own| own.eq_ignore_ascii_case(extension))
}

/// Opens a regular file below `directory` without going through any symbolic link.
fn open_inside(directory: &Path, path: &str) -> io::Result<File> {
    let refused = |reason: &str| io::Error::new(io::ErrorKind::InvalidInput, reason.to_owned());
    let mut components = Path::new(path).components().peekable();
    let mut whole = PathBuf::from(directory);
    while let Some(component) = components.next() {
        let Component::Normal(name) = component else {
            return Err(refused("the path leads out of the results directory"));
        };
        whole.push(name);
        let is_last = components.peek().is_none();
        let kind = whole.symlink_metadata()?.file_type();
        if kind.is_symlink() || (is_last && !kind.is_file()) {
            return Err(refused("it is not a regular file"));
        }
    }
    // Whatever becomes of the last component between check and open: no link is followed and no fifo is waited for.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(whole)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(refused("it is not a regular file")) }
}
