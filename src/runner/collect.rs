//! Takes the results out of a container: archive stream in, files and cases out.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::SystemTime;

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::attempt::AttemptContext;
use super::event::RunEvent;
use crate::engine::docker::Archive;
use crate::engine::{Engine, EngineError};
use crate::image::template::results_directory_name;
use crate::results::archive::{self, Extracted, Limits as ArchiveLimits};
use crate::results::collect::{Left, ReadLimits, Reports, read_reports};
use crate::results::{CaseCounts, CaseSuite, ResultFile};
use crate::signal;

/// Chunks of the archive that may wait for the extractor.
const WAITING: usize = 8;

/// What came out.
#[derive(Debug, Default)]
pub struct Collected {
    /// Regular files.
    pub files: Vec<ResultFile>,
    /// Suites read from reports among them.
    pub suites: Vec<CaseSuite>,
    /// Counts over those.
    pub counts: CaseCounts,
    /// Report files that could not be read.
    pub unreadable_reports: u64,
    /// Why files are missing, where the engine or this machine's disk failed.
    pub incomplete: Option<String>,
    /// The limit, where it was reached.
    pub over_limit: Option<u64>,
    /// The signal that ended it before its time.
    pub forced: Option<u8>,
    /// Things to know.
    pub warnings: Vec<String>,
}

/// Takes the results of one attempt to their place. A test that was not `started` is expected to
/// have none; `since` is when it was.
pub async fn collect(
    context: &AttemptContext<'_>,
    container: &str,
    started: bool,
    since: Option<SystemTime>,
    interrupts: &mut signal::Receiver,
) -> Collected {
    let (path, limit) = (&context.plan.results, context.plan.limits.results);
    let staging = context.place.staging.clone();
    // One request to stop leaves the results their time, the second one does not.
    let sink = context.sink.clone();
    let already = interrupts.borrow().count > 0;
    let forced = async {
        signal::wait_for(interrupts, 1).await;
        if !already {
            sink.warn("the results are being taken out; interrupt again to leave them");
        }
        signal::wait_for(interrupts, 2).await
    };
    let collected =
        take_out(context.engine, container, path, &staging, Wanted { limit, since }, forced).await;
    if started || !collected.files.is_empty() {
        context.sink.event(RunEvent::Collected {
            directory: context.place.target.display().to_string(),
            files: collected.files.len() as u64,
            bytes: collected.files.iter().map(|file| file.size).sum(),
        });
    }
    collected
}

/// What is taken out, and what of it counts.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The most bytes.
    pub limit: u64,
    /// When the test was started by the engine's clock, where reports are to be told from older ones.
    pub since: Option<SystemTime>,
}

/// Takes `path` out of a container into `destination`, until `forced` resolves.
pub async fn take_out(
    engine: &Engine,
    container: &str,
    path: &str,
    destination: &std::path::Path,
    wanted: Wanted,
    forced: impl Future<Output = signal::Interrupts>,
) -> Collected {
    let root =
        if engine.capabilities().archive_has_root { results_directory_name(path) } else { "" }.to_owned();
    let (reader, feeding) = ArchiveReader::spawn(engine.archive(container, path));
    let destination: PathBuf = destination.to_owned();
    let mut extracting = tokio::task::spawn_blocking(move || {
        let limits = ArchiveLimits { max_bytes: wanted.limit, ..ArchiveLimits::default() };
        let (extracted, problem) = match archive::extract(reader, &root, &destination, &limits) {
            Ok(extracted) => (extracted, None),
            // What came before the fault is good.
            Err(error) => (*error.extracted, Some(causes(&error.problem))),
        };
        let left = Left { files: &extracted.files, links: &extracted.links, since: wanted.since };
        let reports = read_reports(&destination, left, &ReadLimits::default());
        (extracted, problem, reports)
    });
    let mut forced_by = None;
    let extracted = tokio::select! {
        extracted = &mut extracting => extracted,
        state = forced => {
            forced_by = Some(state.signal);
            // The extractor sees the end of the stream, and ends.
            feeding.abort();
            extracting.await
        }
    };
    // The feeder ends with the stream, or because the extractor wants no more.
    let fed = feeding.await.unwrap_or(Ok(()));
    match extracted {
        Ok((extracted, problem, reports)) => {
            Collected { forced: forced_by, ..summarise(extracted, reports, problem, fed, path) }
        }
        Err(panic) => Collected { incomplete: Some(panic.to_string()), ..Collected::default() },
    }
}

fn summarise(
    extracted: Extracted,
    reports: Reports,
    problem: Option<String>,
    fed: Result<(), EngineError>,
    path: &str,
) -> Collected {
    let mut warnings = Vec::new();
    let incomplete = match (fed, problem) {
        (Err(EngineError::Missing { .. }), _) => {
            warnings.push(format!("the container has no {path}: no results were taken"));
            None
        }
        (Err(error), _) if extracted.truncated.is_none() => Some(error.to_string()),
        (_, None) if extracted.too_deep > 0 => {
            Some(format!("{} files and directories lie deeper than are taken out", extracted.too_deep))
        }
        (_, problem) => problem,
    };
    if let Some(limit) = extracted.truncated {
        warnings.push(format!("the results were cut at {limit} bytes (--results-limit)"));
    }
    for skipped in extracted.skipped.iter().take(5) {
        warnings.push(format!("not taken: {}: {}", skipped.path, skipped.reason));
    }
    if extracted.skipped_count > 5 {
        warnings.push(format!("not taken: {} more", extracted.skipped_count - 5));
    }
    if !reports.older.is_empty() {
        let names: Vec<&str> = reports.older.iter().take(3).map(String::as_str).collect();
        let more = reports.older.len().saturating_sub(3);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        warnings.push(format!(
            "not counted: {}{more}: older than the test, from the image or a volume",
            names.join(", ")
        ));
    }
    for problem in &reports.problems {
        warnings.push(format!("{}: {}", problem.file, problem.message));
    }
    Collected {
        files: extracted.files,
        suites: reports.suites,
        counts: reports.counts,
        unreadable_reports: reports.problems.len() as u64,
        incomplete,
        over_limit: extracted.truncated,
        forced: None,
        warnings,
    }
}

/// What the system said stands innermost.
fn causes(problem: &dyn std::error::Error) -> String {
    let mut text = problem.to_string();
    let mut next = problem.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// Reads an asynchronous archive stream from a blocking thread, a few chunks ahead at most.
struct ArchiveReader {
    chunks: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl ArchiveReader {
    fn spawn(mut archive: Archive) -> (Self, tokio::task::JoinHandle<Result<(), EngineError>>) {
        let (sender, chunks) = mpsc::channel(WAITING);
        let feeding = tokio::spawn(async move {
            while let Some(chunk) = archive.next().await {
                if sender.send(chunk?).await.is_err() {
                    break;
                }
            }
            Ok(())
        });
        (Self { chunks, current: Bytes::new() }, feeding)
    }
}

impl Read for ArchiveReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let size = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..size]);
        Ok(size)
    }
}
