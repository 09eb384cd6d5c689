//! BuildKit's progress: status messages about the vertices of its graph, in protobuf, turned into events.
//!
//! Owns what was already told about each vertex, so that every change is told once. A vertex whose input failed is
//! cancelled and reported as an error as well: only the one that failed on its own account is the failure.

use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bollard_buildkit_proto::moby::buildkit::v1::{
    StatusResponse, Vertex, VertexLog, VertexStatus, VertexWarning,
};
use prost::Message as _;

use super::step::Position;
use super::tail::{Decoder, Tail};
use super::{BuildError, BuildEvent};
use crate::engine::event::StepStatus;

/// What is known of one vertex.
#[derive(Debug, Default)]
struct Known {
    name: String,
    told: Option<StepStatus>,
    tail: Tail,
    decoders: HashMap<i64, Decoder>,
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FailedStep {
    pub name: String,
    pub position: Option<Position>,
    pub tail: String,
}

/// The progress of one build.
#[derive(Debug, Default)]
pub(super) struct Trace {
    vertices: HashMap<String, Known>,
    failed: Option<String>,
}

impl Trace {
    /// Takes one `moby.buildkit.trace` message: a base64 text.
    pub(super) fn apply(&mut self, aux: &str, emit: &mut impl FnMut(BuildEvent)) -> Result<(), BuildError> {
        let malformed = |error: &dyn std::error::Error| BuildError::Malformed(format!("progress: {error}"));
        let bytes = BASE64_STANDARD.decode(aux).map_err(|error| malformed(&error))?;
        let status = StatusResponse::decode(bytes.as_slice()).map_err(|error| malformed(&error))?;
        for vertex in status.vertexes {
            self.vertex(vertex, emit);
        }
        for progress in status.statuses {
            emit(counted(progress));
        }
        for log in status.logs {
            self.log(log, emit);
        }
        for warning in &status.warnings {
            emit(warned(warning));
        }
        Ok(())
    }

    /// The step that made the build fail, with the end of what it printed.
    pub(super) fn failed(&self) -> Option<FailedStep> {
        let known = self.vertices.get(self.failed.as_ref()?)?;
        Some(FailedStep {
            name: known.name.clone(),
            position: Position::of_vertex(&known.name),
            tail: known.tail.text().to_owned(),
        })
    }

    fn vertex(&mut self, vertex: Vertex, emit: &mut impl FnMut(BuildEvent)) {
        let known = self.vertices.entry(vertex.digest.clone()).or_default();
        if !vertex.name.is_empty() {
            known.name = vertex.name;
        }
        let cancelled = vertex.error.ends_with("context canceled");
        let status = if !vertex.error.is_empty() {
            StepStatus::Failed
        } else if vertex.completed.is_some() {
            if vertex.cached { StepStatus::Cached } else { StepStatus::Done }
        } else if vertex.started.is_some() {
            StepStatus::Started
        } else {
            return;
        };
        let news = match known.told {
            None => true,
            Some(StepStatus::Started) => status != StepStatus::Started,
            Some(StepStatus::Cached | StepStatus::Done) => status == StepStatus::Failed,
            Some(StepStatus::Failed) => false,
        };
        if !news || cancelled {
            return;
        }
        known.told = Some(status);
        if status == StepStatus::Failed && self.failed.is_none() {
            self.failed = Some(vertex.digest.clone());
        }
        if matches!(status, StepStatus::Cached | StepStatus::Done) {
            known.tail = Tail::default();
        }
        let error = (!vertex.error.is_empty()).then(|| super::step::unwrapped(&vertex.error).to_owned());
        emit(BuildEvent::Step { id: vertex.digest, name: known.name.clone(), status, error });
    }

    fn log(&mut self, log: VertexLog, emit: &mut impl FnMut(BuildEvent)) {
        let known = self.vertices.entry(log.vertex.clone()).or_default();
        let text = known.decoders.entry(log.stream).or_default().decode(&log.msg);
        if text.is_empty() {
            return;
        }
        known.tail.push(&text);
        emit(BuildEvent::Output { step: Some(log.vertex), text });
    }
}

fn counted(progress: VertexStatus) -> BuildEvent {
    let verb = if progress.completed.is_some() { "done" } else { "running" };
    let unnamed = progress.name.is_empty() || progress.name == progress.id;
    let count = |bytes| u64::try_from(bytes).ok().filter(|bytes| *bytes > 0);
    BuildEvent::Progress {
        item: progress.id,
        status: if unnamed { verb.to_owned() } else { progress.name },
        current: count(progress.current),
        total: count(progress.total),
    }
}

fn warned(warning: &VertexWarning) -> BuildEvent {
    let line =
        warning.ranges.first().and_then(|range| range.start).and_then(|start| u32::try_from(start.line).ok());
    BuildEvent::Warning { message: String::from_utf8_lossy(&warning.short).into_owned(), line }
}

#[cfg(test)]
mod tests;
