//! Where reports go: `--report FORMAT=PATH`, checked before the run and written after it.
//!
//! The one place of this module tree that writes files. A file is replaced as a whole at the end, so that a run that
//! is killed leaves the previous report as it was. Makes no report text itself.

mod error;
mod parents;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, Write};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tempfile::NamedTempFile;

use crate::input::{self, NEVER_WAIT, is_descriptor, not_a_file};
use crate::report::{ExportError, Exporter, find, markdown};
use crate::results::RunResults;

pub use error::ReportError;

/// Begins the names of what is in the report's directory for a moment.
const PREFIX: &str = ".docker-test-report-";

/// Where one report goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// `-`
    Stdout,
    /// A file, created or replaced.
    File(PathBuf),
}

/// One `--report FORMAT=PATH`, its format known.
#[derive(Clone, Copy)]
struct Format(&'static dyn Exporter);

impl std::fmt::Debug for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

/// One `--report FORMAT=PATH` as the user asked for it.
#[derive(Debug, Clone)]
pub struct ReportRequest {
    format: Format,
    destination: Destination,
}

impl ReportRequest {
    /// What makes the report.
    #[must_use]
    pub fn exporter(&self) -> &'static dyn Exporter {
        self.format.0
    }

    /// Where it goes.
    #[must_use]
    pub const fn destination(&self) -> &Destination {
        &self.destination
    }
}

impl FromStr for ReportRequest {
    type Err = ReportError;

    fn from_str(text: &str) -> Result<Self, ReportError> {
        let malformed = || ReportError::Malformed { text: text.to_owned() };
        let (format, path) = text.split_once('=').ok_or_else(malformed)?;
        if format.trim().is_empty() || path.is_empty() {
            return Err(malformed());
        }
        let format = Format(find(format.trim())?);
        let destination =
            if is_stdout(Path::new(path)) { Destination::Stdout } else { Destination::File(path.into()) };
        Ok(Self { format, destination })
    }
}

/// How the bytes reach the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    Stdout,
    /// A new file beside it takes its name at the end.
    Replace(PathBuf),
    /// What cannot be replaced (a device, a mount point, a file in a directory that is read-only) is written over.
    Overwrite(PathBuf),
    /// What the shell opened for us (`/dev/stderr`, `>(…)`) is written on, and not from its beginning.
    Descriptor(PathBuf),
}

/// A destination that was found writable.
#[derive(Debug)]
pub struct ReportSink {
    format: Format,
    way: Way,
}

impl ReportSink {
    /// Checks that a report of that format can be written to `path` (`-` is stdout). An existing file keeps its content,
    /// and parent directories are not there, until [`ReportSink::write`].
    pub fn open(format: &str, path: &Path) -> Result<Self, ReportError> {
        let format = Format(find(format)?);
        let way = if is_stdout(path) { Way::Stdout } else { prepare(path)? };
        Ok(Self { format, way })
    }

    /// Opens all of them; no two may share a destination.
    pub fn open_all(requests: &[ReportRequest]) -> Result<Vec<Self>, ReportError> {
        let mut sinks: Vec<Self> = Vec::with_capacity(requests.len());
        for request in requests {
            let way = match &request.destination {
                Destination::Stdout => Way::Stdout,
                Destination::File(path) => prepare(path)?,
            };
            if let Some(path) = clash(&sinks, &way) {
                return Err(ReportError::SharedDestination { path });
            }
            sinks.push(Self { format: request.format, way });
        }
        Ok(sinks)
    }

    /// The name of the format.
    #[must_use]
    pub fn format(&self) -> &'static str {
        self.format.0.name()
    }

    /// True where the report goes to stdout, which then carries nothing else.
    #[must_use]
    pub fn uses_stdout(&self) -> bool {
        self.way == Way::Stdout
    }

    /// The file, symbolic links resolved; absent for stdout.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.way {
            Way::Stdout => None,
            Way::Replace(path) | Way::Overwrite(path) | Way::Descriptor(path) => Some(path),
        }
    }

    /// Writes the report. Nothing of it is at the destination before all of it is.
    pub fn write(&self, results: &RunResults, stdout: &mut dyn Write) -> Result<(), ReportError> {
        let exporter = self.format.0;
        let failed = |path: &Path, source| ReportError::Write {
            format: exporter.name(),
            path: path.to_owned(),
            source,
        };
        match &self.way {
            Way::Stdout => {
                exporter.export(results, stdout)?;
                stdout.flush().map_err(|source| ExportError::Write { format: exporter.name(), source }.into())
            }
            Way::Replace(path) => {
                parents::make(path).map_err(|source| failed(path, source))?;
                let mut file = beside(path).map_err(|source| failed(path, source))?;
                export_to(exporter, results, file.as_file_mut(), path)?;
                replace(file, path).map_err(|source| failed(path, source))
            }
            Way::Overwrite(path) => {
                parents::make(path).map_err(|source| failed(path, source))?;
                let mut file = OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .custom_flags(NEVER_WAIT)
                    .open(path)
                    .map_err(|source| failed(path, source))?;
                export_to(exporter, results, &mut file, path)
            }
            Way::Descriptor(path) => {
                let opened = OpenOptions::new().append(true).open(path);
                export_to(exporter, results, &mut opened.map_err(|source| failed(path, source))?, path)
            }
        }
    }
}

/// Appends the Markdown page to the file that GitHub Actions named for the job summary, as far as the limit of the
/// whole file allows.
pub fn append_job_summary(path: &Path, results: &RunResults) -> Result<(), ReportError> {
    let failed = |source| ReportError::Write { format: "markdown", path: path.to_owned(), source };
    let waits = if is_descriptor(path) { 0 } else { NEVER_WAIT };
    let mut file =
        OpenOptions::new().append(true).create(true).custom_flags(waits).open(path).map_err(failed)?;
    let used = file.metadata().map_err(failed)?.len();
    let used = usize::try_from(used).unwrap_or(usize::MAX);
    let page = markdown::render(results, markdown::SUMMARY_LIMIT.saturating_sub(used.saturating_add(1)));
    // A page must begin on a line of its own, or its heading becomes part of what an earlier command wrote.
    let gap = if used > 0 { "\n" } else { "" };
    file.write_all(format!("{gap}{page}").as_bytes()).map_err(failed)
}

fn export_to(
    exporter: &dyn Exporter,
    results: &RunResults,
    file: &mut File,
    path: &Path,
) -> Result<(), ReportError> {
    let at_path = |source| ReportError::Write { format: exporter.name(), path: path.to_owned(), source };
    let mut out = BufWriter::with_capacity(64 * 1024, file);
    exporter.export_at(results, path, &mut out).map_err(|error| match error {
        ExportError::Write { source, .. } => at_path(source),
        other @ ExportError::Encode { .. } => other.into(),
    })?;
    out.flush().map_err(at_path)
}

fn clash(sinks: &[ReportSink], way: &Way) -> Option<PathBuf> {
    match way {
        Way::Stdout => sinks.iter().any(ReportSink::uses_stdout).then(|| PathBuf::from("-")),
        Way::Replace(path) | Way::Overwrite(path) | Way::Descriptor(path) => {
            // Devices such as /dev/null take any number of reports.
            let regular = !fs::metadata(path).is_ok_and(|meta| !meta.is_file());
            sinks
                .iter()
                .filter_map(ReportSink::path)
                .any(|known| known == path && regular)
                .then(|| path.clone())
        }
    }
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-") || input::descriptor(path) == Some(1)
}

fn prepare(path: &Path) -> Result<Way, ReportError> {
    let failed = |source| ReportError::Unwritable { path: path.to_owned(), source };
    if is_descriptor(path) {
        // A socket cannot be opened by its name, and nobody could read what is written to an input.
        return match fs::metadata(path).map_err(failed)?.file_type() {
            kind if kind.is_socket() => Err(failed(not_a_file("a socket"))),
            _ => OpenOptions::new()
                .append(true)
                .open(path)
                .map_err(failed)
                .map(|_| Way::Descriptor(path.into())),
        };
    }
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(ReportError::IsDirectory { path: path.to_owned() });
    }
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Err(ReportError::IsDirectory { path: path.to_owned() }),
        Ok(meta) if meta.file_type().is_char_device() => Ok(Way::Overwrite(path.to_owned())),
        // A pipe would be waited for until somebody reads it, and a disk written over.
        Ok(meta) if !meta.is_file() => {
            Err(failed(not_a_file(input::refused(&meta).unwrap_or("something else"))))
        }
        Ok(_) => {
            OpenOptions::new().write(true).open(path).map_err(failed)?;
            let real = path.canonicalize().map_err(failed)?;
            Ok(if beside(&real).is_ok() { Way::Replace(real) } else { Way::Overwrite(real) })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if path.symlink_metadata().is_ok() {
                // A link whose target does not exist yet: renaming a file over it would cut the link.
                return Ok(Way::Overwrite(path.to_owned()));
            }
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(ReportError::IsDirectory { path: path.to_owned() });
            };
            let parent = parents::locate(parent).map_err(failed)?;
            parents::try_out(&parent, name).map_err(failed)?;
            let real = parent.join(name);
            // `missing/../name` may be there after all.
            if real.exists() { prepare(&real) } else { Ok(Way::Replace(real)) }
        }
        Err(error) => Err(failed(error)),
    }
}

/// An empty file in the same directory, removed on drop, with the mode that the final file is to have.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    let existing = fs::metadata(path).ok().map(|meta| meta.permissions());
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    // The umask applies to this, as it does to any new file.
    builder.permissions(fs::Permissions::from_mode(0o666));
    let file = builder.tempfile_in(directory)?;
    if let Some(existing) = existing {
        file.as_file().set_permissions(existing)?;
    }
    Ok(file)
}

/// Gives the finished file its name. A file that is itself a mount point cannot be replaced: it is written over.
fn replace(file: NamedTempFile, path: &Path) -> io::Result<()> {
    match file.persist(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::ResourceBusy => {
            let mut made = error.file;
            made.as_file_mut().rewind()?;
            let mut target = OpenOptions::new().write(true).truncate(true).open(path)?;
            io::copy(made.as_file_mut(), &mut target).map(drop)
        }
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
mod tests;
