//! Reports in the results directory: two things that the user names, of which one replaces the other's place.
//!
//! A report below the directory is written after the results are in it. One in its place, above it, or under a name that
//! the directory keeps for itself could not be written then, and is refused before the run.

use std::path::Path;

use crate::report::ReportSink;
use crate::report::sink::ReportError;
use crate::results::directory;

/// Refuses reports whose paths the results directory takes.
pub(super) fn refuse(reports: &[ReportSink], results: &Path) -> Result<(), ReportError> {
    for path in reports.iter().filter_map(ReportSink::path) {
        if results.starts_with(path) {
            return Err(ReportError::IsDirectory { path: path.to_owned() });
        }
        let reserved = |below: &Path| below.to_str().is_some_and(directory::is_reserved);
        if path.strip_prefix(results).is_ok_and(reserved) {
            return Err(ReportError::Reserved { path: path.to_owned() });
        }
    }
    Ok(())
}

/// Without results, a report below their directory would make the next run take it for somebody else's.
pub(super) fn claim(reports: &[ReportSink], results: &Path, run_id: &str) {
    if reports.iter().filter_map(ReportSink::path).any(|path| path.starts_with(results)) {
        // What cannot be written is told when the report cannot be.
        let _ = directory::claim(results, run_id);
    }
}
