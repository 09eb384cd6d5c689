//! Reads the Test Anything Protocol, versions 12 to 14, as bats, prove, `node --test` and their kin write it.
//!
//! Owns plans, directives, subtests and diagnostics, in constant memory. What contradicts itself (a plan that is not
//! kept, a number that comes twice, no plan at all) becomes an errored case, because the test may have died early.

mod diagnostic;
mod document;
mod level;
mod line;
mod pending;

#[cfg(test)]
mod tests;

use std::io::{self, BufRead};

use crate::error::{Category, Diagnose};
use crate::results::collect::{CaseList, ReadLimits};

/// Bytes of one line that are looked at; the rest is read over.
const LINE_LIMIT: usize = 64 * 1024;

/// Why a TAP file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// The file cannot be read.
    #[error("cannot read the report {file} beyond line {line}")]
    Read {
        /// The file, relative to the results directory.
        file: String,
        /// Last line that was read, counted from 1.
        line: u64,
        /// What the system said.
        source: io::Error,
    },
    /// It holds neither version, nor plan, nor test.
    #[error("{file} is not a TAP report: none of its {lines} lines is a plan or a test")]
    NotTap {
        /// The file, relative to the results directory.
        file: String,
        /// How many lines it has.
        lines: u64,
    },
}

impl Diagnose for TapError {
    fn category(&self) -> Category {
        match self {
            Self::Read { .. } => Category::Environment,
            Self::NotTap { .. } => Category::User,
        }
    }
}

/// Whether a file whose first bytes these are is TAP, judged by its version line.
#[must_use]
pub fn looks_like_tap(first_bytes: &[u8]) -> bool {
    let text = first_bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first_bytes).trim_ascii_start();
    text.strip_prefix(b"TAP version ").and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit)
}

/// Reads one report. `source` is its path relative to the results directory; without its extension it names the suite.
pub fn read(reader: impl BufRead, source: &str, limits: &ReadLimits) -> Result<CaseList, TapError> {
    let mut list = CaseList::new(*limits);
    read_into(reader, source, &mut list)?;
    Ok(list)
}

/// Reads one report into `list`, which keeps what was read also where an error ends it.
pub fn read_into(mut reader: impl BufRead, source: &str, list: &mut CaseList) -> Result<(), TapError> {
    let mut document = document::Document::new(source, list);
    let mut buffer = Vec::new();
    let mut lines = 0_u64;
    loop {
        buffer.clear();
        match read_line(&mut reader, &mut buffer) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => {
                document.finish();
                return Err(TapError::Read { file: source.to_owned(), line: lines, source: error });
            }
        }
        let raw = if lines == 0 { buffer.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&buffer) } else { &buffer };
        lines += 1;
        if document.add_line(&String::from_utf8_lossy(raw)) == document::Flow::Stop {
            break;
        }
    }
    if document.finish() { Ok(()) } else { Err(TapError::NotTap { file: source.to_owned(), lines }) }
}

/// Reads a line without its end, at most [`LINE_LIMIT`] bytes of it. False at the end of the input.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    let mut any = false;
    loop {
        let ready = match reader.fill_buf() {
            Ok(ready) => ready,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if ready.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = ready.iter().position(|byte| *byte == b'\n');
        let part = &ready[..end.unwrap_or(ready.len())];
        line.extend_from_slice(&part[..part.len().min(LINE_LIMIT.saturating_sub(line.len()))]);
        let used = part.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            line.pop_if(|byte| *byte == b'\r');
            return Ok(true);
        }
    }
}
