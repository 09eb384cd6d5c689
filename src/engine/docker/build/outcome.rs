//! What a build comes to: every message of the answer, taken in order, and the image or the failure at the end.
//!
//! Owns which progress dialect is read and where the image id may come from: a field of its own alone, never the
//! text that a container can print into.

use super::answer::Message;
use super::progress::Progress;
use super::trace::Trace;
use super::{BuildError, BuildEvent, BuildFailure, BuilderKind, BuiltImage, step};

/// The answer so far.
#[derive(Debug)]
pub(super) struct Outcome {
    trace: Trace,
    progress: Progress,
    buildkit: bool,
    image: Option<String>,
    failure: Option<(String, Option<i64>)>,
}

impl Outcome {
    pub(super) fn new(builder: BuilderKind) -> Self {
        Self {
            trace: Trace::default(),
            progress: Progress::default(),
            buildkit: builder == BuilderKind::BuildKit,
            image: None,
            failure: None,
        }
    }

    /// Takes the next message.
    pub(super) fn apply(
        &mut self,
        message: Message,
        emit: &mut impl FnMut(BuildEvent),
    ) -> Result<(), BuildError> {
        let Message { stream, status, id, progress, error, detail, aux } = message;
        let detail_code = detail.as_ref().and_then(|detail| detail.code);
        if let Some(text) = detail.and_then(|detail| detail.message).or(error) {
            let text = step::unwrapped(&text).to_owned();
            self.progress.fail(&text, emit);
            let code = detail_code.or_else(|| step::exit_code(&text));
            // The first error is the cause; what follows is its consequence.
            self.failure.get_or_insert((text, code));
            return Ok(());
        }
        if let Some(aux) = aux {
            if id.as_deref() == Some("moby.buildkit.trace") {
                let trace =
                    aux.as_str().ok_or_else(|| BuildError::Malformed("progress: not a text".into()))?;
                return self.trace.apply(trace, emit);
            }
            // The classic builder names the image of every stage; the last one is the target's.
            if let Some(image) = aux.get("ID").and_then(|id| id.as_str()) {
                self.image = Some(image.to_owned());
            }
            return Ok(());
        }
        if let Some(text) = stream {
            self.progress.apply(&text, emit);
        } else if let Some(status) = status {
            let count = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok());
            let (current, total) =
                progress.map_or((None, None), |progress| (count(progress.current), count(progress.total)));
            emit(BuildEvent::Progress { item: id.unwrap_or_default(), status, current, total });
        }
        Ok(())
    }

    /// True once the builder has said why it failed.
    pub(super) const fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// The answer is over.
    pub(super) fn finish(mut self, emit: &mut impl FnMut(BuildEvent)) -> Result<BuiltImage, BuildError> {
        let Some((message, exit_code)) = self.failure else {
            self.progress.finish(emit);
            return Ok(BuiltImage { id: self.image });
        };
        let failed = if self.buildkit { self.trace.failed() } else { self.progress.failed() };
        let line = step::named_line(&message);
        let (step, position, tail) = match failed {
            // A parse error is about the file as a whole: no step ran.
            Some(failed) if line.is_none() => (Some(failed.name), failed.position, failed.tail),
            _ => (None, None, String::new()),
        };
        Err(BuildError::Failed(Box::new(BuildFailure { step, position, line, message, exit_code, tail })))
    }
}

#[cfg(test)]
mod tests;
