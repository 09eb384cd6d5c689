//! Whom a run is told to: nobody, the terminal of a dry run, or the sinks.
//!
//! Owns the choice between them, and what is said on stderr where a sink or the state directory fails. Neither changes a
//! verdict.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{HarnessArgs, dry_run, say};
use crate::check::Surroundings;
use crate::environment::Environment;
use crate::error::Failure;
use crate::harness::reporting::{self, Reporting};
use crate::notify::Notice;
use crate::notify::outbox::{Event, Flushed, Listener, Sink};
use crate::notify::policy::Policy;
use crate::notify::send::Sender;
use crate::probe::ProbeRun;
use crate::redact::Redactor;

/// Where notices go.
pub(super) enum Told {
    /// Nobody is to be told.
    Nobody,
    /// They are printed.
    Printed { sinks: Vec<Sink>, redactor: Arc<Redactor> },
    /// They are sent.
    Sent { reporting: Box<Reporting> },
}

impl Told {
    pub(super) fn begin(
        args: &HarnessArgs,
        environment: &Environment,
        sinks: Vec<Sink>,
        surroundings: &Surroundings,
        redactor: &Arc<Redactor>,
    ) -> Result<Self, Failure> {
        if args.dry_run {
            return Ok(Self::Printed { sinks, redactor: Arc::clone(redactor) });
        }
        if sinks.is_empty() {
            return Ok(Self::Nobody);
        }
        let opened = reporting::open(args.state_dir.as_deref())?;
        if let Some(problem) = &opened.problem {
            let directory = args.state_dir.as_deref().unwrap_or_else(|| Path::new("")).display();
            say(&format!("the state in {directory} cannot be used, and this run goes on without: {problem}"));
        }
        if let Some(aside) = &opened.set_aside {
            say(&format!("the state was damaged: it is kept as {}, and a new one is begun", aside.display()));
        }
        let sender = Sender::new(environment, surroundings.resolve())?;
        let hidden = Arc::clone(redactor);
        let store_failed = AtomicBool::new(false);
        let listener: Listener = Arc::new(move |event| match event {
            Event::Refused { sink, reason, .. } => {
                say(&hidden.redact(&format!("{sink} refuses what it was sent: {reason}")));
            }
            Event::StoreFailed(error) if !store_failed.swap(true, Ordering::Relaxed) => {
                let why = Failure::from(error).chain().join(": ");
                say(&hidden.redact(&format!("{why}; this run goes on without its state")));
            }
            _ => {}
        });
        let reporting = Box::new(Reporting::begin(opened, sinks, sender, Policy::default(), listener));
        Ok(Self::Sent { reporting })
    }

    pub(super) async fn tell(&mut self, notice: Notice) {
        match self {
            Self::Nobody => {}
            Self::Printed { sinks, redactor } => dry_run::print(sinks, &notice, redactor),
            Self::Sent { reporting } => {
                if let Err(error) = reporting.tell(&notice).await {
                    say(&format!("not told: {}", Failure::from(error).chain().join(": ")));
                }
            }
        }
    }

    pub(super) async fn conclude(&mut self, run: &ProbeRun) {
        match self {
            Self::Nobody => {}
            Self::Printed { sinks, redactor } => dry_run::conclude(sinks, run, &Policy::default(), redactor),
            Self::Sent { reporting } => {
                if let Err(error) = reporting.conclude(run).await {
                    say(&format!("not told: {}", Failure::from(error).chain().join(": ")));
                }
            }
        }
    }

    pub(super) async fn finish(self, limit: Duration) {
        let Self::Sent { reporting } = self else { return };
        let lasts = reporting.lasts();
        for Flushed { sink, waiting, reason, .. } in reporting.finish(limit).await {
            if waiting > 0 {
                let fate = if lasts {
                    "the next run sends it"
                } else {
                    "it is lost, without a state that can be written"
                };
                let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
                say(&format!("{sink} has not taken everything{why}: {fate}"));
            }
        }
    }
}
