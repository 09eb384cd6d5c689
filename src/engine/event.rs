//! What an engine's streams are made of: the states of a build step and the two outputs of a container.
//!
//! Part of the machine contract (`--format json`), which hands them on as they are: variants are added, never renamed.

use serde::Serialize;

/// Which of the test's streams a chunk came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputStream {
    /// The container's standard output.
    Stdout,
    /// The container's standard error.
    Stderr,
}

/// Where a build step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// It runs.
    Started,
    /// It was taken from the builder's cache.
    Cached,
    /// It ended well.
    Done,
    /// It failed.
    Failed,
}
