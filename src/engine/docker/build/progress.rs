//! The progress of the classic builder and of Podman's: text, in which a step opens with a numbered heading.
//!
//! Owns which step is open. A container's output comes through the same text, so a heading counts only where it
//! bears the number that comes next: a step can confuse the display at most, and never the outcome.

use super::BuildEvent;
use super::step::{self, Position};
use super::tail::Tail;
use super::trace::FailedStep;
use crate::engine::event::StepStatus;

#[derive(Debug)]
struct Open {
    id: String,
    name: String,
    position: Position,
    cached: bool,
    tail: Tail,
}

/// The progress of one build.
#[derive(Debug, Default)]
pub(super) struct Progress {
    open: Option<Open>,
    failed: Option<FailedStep>,
}

impl Progress {
    /// Takes the text of one `stream` message.
    pub(super) fn apply(&mut self, text: &str, emit: &mut impl FnMut(BuildEvent)) {
        if let Some((position, instruction)) = step::heading(text)
            && self.is_next(&position)
        {
            self.begin(position, instruction, emit);
        } else if is_cache_hit(text) {
            self.cached(emit);
        } else if !is_bookkeeping(text) {
            if let Some(open) = &mut self.open {
                open.tail.push(text);
            }
            let step = self.open.as_ref().map(|open| open.id.clone());
            emit(BuildEvent::Output { step, text: text.to_owned() });
        }
    }

    /// The build ended well.
    pub(super) fn finish(&mut self, emit: &mut impl FnMut(BuildEvent)) {
        if let Some(open) = self.open.take()
            && !open.cached
        {
            emit(BuildEvent::Step { id: open.id, name: open.name, status: StepStatus::Done, error: None });
        }
    }

    /// The build failed; the open step is to blame.
    pub(super) fn fail(&mut self, message: &str, emit: &mut impl FnMut(BuildEvent)) {
        if let Some(open) = self.open.take() {
            self.failed = Some(FailedStep {
                name: open.name.clone(),
                position: Some(open.position),
                tail: open.tail.text().to_owned(),
            });
            let error = Some(message.to_owned());
            emit(BuildEvent::Step { id: open.id, name: open.name, status: StepStatus::Failed, error });
        }
    }

    /// The step that made the build fail, with the end of what it printed.
    pub(super) fn failed(&self) -> Option<FailedStep> {
        self.failed.clone()
    }

    /// The first step of the file or of a stage, or the one after the open one.
    fn is_next(&self, position: &Position) -> bool {
        match &self.open {
            None => true,
            Some(open) if open.position.stage == position.stage => {
                position.number == open.position.number + 1 && position.total == open.position.total
            }
            Some(open) => position.number == 1 && open.position.number == open.position.total,
        }
    }

    fn begin(&mut self, position: Position, instruction: &str, emit: &mut impl FnMut(BuildEvent)) {
        self.finish(emit);
        let Position { stage, number, total } = &position;
        let id = match stage {
            Some(stage) => format!("{stage}:{number}/{total}"),
            None => format!("{number}/{total}"),
        };
        let name = instruction.to_owned();
        emit(BuildEvent::Step {
            id: id.clone(),
            name: name.clone(),
            status: StepStatus::Started,
            error: None,
        });
        self.open = Some(Open { id, name, position, cached: false, tail: Tail::default() });
    }

    fn cached(&mut self, emit: &mut impl FnMut(BuildEvent)) {
        if let Some(open) = &mut self.open
            && !open.cached
        {
            open.cached = true;
            let (id, name) = (open.id.clone(), open.name.clone());
            emit(BuildEvent::Step { id, name, status: StepStatus::Cached, error: None });
        }
    }
}

fn is_cache_hit(text: &str) -> bool {
    text.trim_end() == " ---> Using cache" || text.starts_with("--> Using cache ")
}

/// Ids of intermediate containers and images say nothing to anyone.
fn is_bookkeeping(text: &str) -> bool {
    let line = text.trim_end();
    let is_id = |word: &str| word.len() >= 11 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    line.is_empty() && text.len() == 1
        || line.starts_with(" ---> Running in ")
        || line.strip_prefix(" ---> ").is_some_and(is_id)
        || line.strip_prefix("--> ").is_some_and(is_id)
        || line.strip_prefix("Removing intermediate container ").is_some_and(is_id)
        || line.strip_prefix("Successfully built ").is_some_and(is_id)
        || line.starts_with("Successfully tagged ")
        || line == "COMMIT"
        || line.starts_with("COMMIT ")
        || line.len() == 64 && is_id(line)
}

#[cfg(test)]
mod tests;
