//! The build call, as both kinds of image make it: what is sent, with which logins, and what ends it early.
//!
//! Owns the request and the hand-over of the builder's events. What an error means to the author is said by those who
//! know which file he wrote.

use std::path::Path;
use std::time::Duration;

use super::context::Delivery;
use super::logins::Logins;
use crate::engine::Engine;
use crate::engine::docker::build::{BuildError, BuildEvent, BuildRequest, BuiltImage, build};
use crate::environment::Environment;
use crate::error::Failure;
use crate::plan::build::BuildSpec;
use crate::runner::Sink;
use crate::runner::event::{RunEvent, StepStatus};
use crate::signal;

/// One build.
pub(super) struct Call<'a> {
    /// The engine.
    pub(super) engine: &'a Engine,
    /// Logins for base images.
    pub(super) logins: &'a Logins,
    /// For `--secret id=…,env=…` and the ssh agent.
    pub(super) environment: &'a Environment,
    /// Where progress goes.
    pub(super) sink: &'a Sink,
    /// Build flags.
    pub(super) spec: &'a BuildSpec,
    /// Names that the image gets, in full.
    pub(super) tags: &'a [String],
    /// The context.
    pub(super) delivery: &'a Delivery,
    /// What is said of the steps.
    pub(super) steps: Steps,
    /// `--build-timeout`
    pub(super) limit: Option<Duration>,
}

/// What is said of a build's steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Steps {
    /// Everything.
    Told,
    /// That one failed: the same steps were told a moment ago.
    ToldBefore,
}

/// There is no image.
#[derive(Debug)]
pub(super) enum CallError {
    /// The builder was not asked.
    NotMade(Failure),
    /// The builder was asked, and says why.
    Build(BuildError),
    /// It took longer than this.
    TimedOut(Duration),
}

/// How often a build is begun before it counts that somebody takes its cached layers away.
const TIMES: u32 = 3;

impl Call<'_> {
    /// Builds; a request to stop cancels.
    ///
    /// Begun again where a cached layer that a step stands on was removed meanwhile: whoever removed it, another build
    /// or a clean-up, did nothing wrong, and neither did the author.
    pub(super) async fn make(&self, interrupts: &signal::Receiver) -> Result<BuiltImage, CallError> {
        let building = async {
            for _ in 1..TIMES {
                match self.make_once(interrupts).await {
                    Err(CallError::Build(BuildError::Failed(failure))) if failure.has_lost_its_cache() => {
                        let message =
                            format!("{failure}; a cached layer was removed meanwhile: building again");
                        self.sink.event(RunEvent::Warning { message });
                    }
                    answer => return answer,
                }
            }
            self.make_once(interrupts).await
        };
        match self.limit {
            Some(limit) => {
                tokio::time::timeout(limit, building).await.map_err(|_| CallError::TimedOut(limit))?
            }
            None => building.await,
        }
    }

    async fn make_once(&self, interrupts: &signal::Receiver) -> Result<BuiltImage, CallError> {
        let not_made = |error: Failure| CallError::NotMade(error);
        let logins = self.logins.get(self.sink).await.map_err(|error| not_made(error.into()))?;
        let capabilities = self.engine.capabilities();
        let builder = capabilities.builder_kind;
        let (context, dockerfile) = self.delivery.prepare(builder).map_err(|error| not_made(error.into()))?;
        let request = BuildRequest {
            builder,
            api_version: &capabilities.api_version,
            tags: self.tags,
            dockerfile: &dockerfile,
            spec: self.spec,
            logins,
            environment: &|name| self.environment.variable(name).map(Into::into),
            agent_socket: self.environment.non_empty("SSH_AUTH_SOCK").map(Path::new),
        };
        let mut cancelling = interrupts.clone();
        let cancelled = async {
            signal::wait_for(&mut cancelling, 1).await;
        };
        let (sink, steps) = (self.sink.clone(), self.steps);
        let tell = move |event| tell(&sink, steps, event);
        build(self.engine.http(), request, context, cancelled, tell).await.map_err(CallError::Build)
    }
}

fn tell(sink: &Sink, steps: Steps, event: BuildEvent) {
    let event = match event {
        BuildEvent::ContextSent { bytes, done } => RunEvent::ContextProgress { sent: bytes, done },
        BuildEvent::Step { id, name, status, .. } => RunEvent::BuildStep { id, name, status },
        BuildEvent::Output { text, .. } => RunEvent::BuildOutput { text },
        // Without a size it is one of the builder's inner steps, which its step line tells already.
        BuildEvent::Progress { total: None, .. } => return,
        BuildEvent::Progress { item, status, current, total } => {
            RunEvent::PullProgress { layer: item, status, current, total }
        }
        BuildEvent::Warning { message, .. } => RunEvent::Warning { message },
    };
    let failed = matches!(event, RunEvent::BuildStep { status: StepStatus::Failed, .. });
    match event {
        _ if steps == Steps::ToldBefore && !failed => {}
        RunEvent::BuildStep { .. } | RunEvent::Warning { .. } => sink.event(event),
        _ => sink.progress(event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::Message;

    #[test]
    fn steps_that_were_told_before_are_told_again_only_where_one_fails() {
        let step = |status| BuildEvent::Step { id: "1/2".into(), name: "RUN x".into(), status, error: None };
        let told = |steps| {
            let (sink, mut messages) = Sink::channel();
            tell(&sink, steps, step(StepStatus::Started));
            tell(&sink, steps, BuildEvent::Output { step: None, text: "said".into() });
            tell(&sink, steps, step(StepStatus::Failed));
            drop(sink);
            std::iter::from_fn(|| messages.blocking_next()).collect::<Vec<_>>()
        };
        assert_eq!(told(Steps::Told).len(), 3);
        let failed =
            RunEvent::BuildStep { id: "1/2".into(), name: "RUN x".into(), status: StepStatus::Failed };
        assert_eq!(told(Steps::ToldBefore), [Message::Event(failed)]);
    }
}
