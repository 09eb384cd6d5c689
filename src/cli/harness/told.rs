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
use crate::harness::now;
use crate::harness::reporting::{self, Reporting};
use crate::notify::Notice;
use crate::notify::outbox::{Event, Flushed, Listener, Sink};
use crate::notify::overall::Standings;
use crate::notify::policy::Policy;
use crate::notify::send::Sender;
use crate::probe::ProbeRun;
use crate::redact::Redactor;
use crate::report::wording::count;

/// Where notices go.
pub(super) enum Told {
    /// Nobody is to be told.
    Nobody,
    /// They are printed.
    Printed { sinks: Vec<Sink>, standings: Standings, redactor: Arc<Redactor> },
    /// They are sent.
    Sent { reporting: Box<Reporting> },
}

impl Told {
    pub(super) fn begin(
        args: &HarnessArgs,
        environment: &Environment,
        probes: usize,
        sinks: Vec<Sink>,
        surroundings: &Surroundings,
        redactor: &Arc<Redactor>,
    ) -> Result<Self, Failure> {
        if args.dry_run {
            let standings = Standings::of_job(probes);
            return Ok(Self::Printed { sinks, standings, redactor: Arc::clone(redactor) });
        }
        if sinks.is_empty() {
            return Ok(Self::Nobody);
        }
        let mut opened = reporting::open(args.state_dir.as_deref())?;
        if let Some(problem) = opened.problem.take() {
            let directory = args.state_dir.as_deref().unwrap_or_else(|| Path::new("")).display();
            say(&format!(
                "the state in {directory} cannot be used, and this run goes on without: {}",
                Failure::from(problem).chain().join(": ")
            ));
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
            Event::Expired { alerts, .. } if alerts > 0 => {
                say(&format!("{} could not be sent in time", count(alerts, "alert")));
            }
            Event::StoreFailed(error) if !store_failed.swap(true, Ordering::Relaxed) => {
                let why = Failure::from(error).chain().join(": ");
                say(&hidden.redact(&format!("{why}; this run goes on without its state")));
            }
            _ => {}
        });
        let reporting = Reporting::begin(opened, sinks, sender, Policy::default(), listener);
        Ok(Self::Sent { reporting: Box::new(reporting.for_job(probes)) })
    }

    pub(super) async fn tell(&mut self, notice: Notice) {
        match self {
            Self::Nobody => {}
            Self::Printed { sinks, redactor, .. } => dry_run::print(sinks, &notice, redactor),
            Self::Sent { reporting } => {
                if let Err(error) = reporting.tell(&notice).await {
                    say(&format!("not told: {}", Failure::from(error).chain().join(": ")));
                }
            }
        }
    }

    pub(super) async fn conclude(&mut self, run: &ProbeRun, policy: &Policy) {
        match self {
            Self::Nobody => {}
            Self::Printed { sinks, standings, redactor } => {
                let overall = standings.take(run, policy.is_silenced(now()));
                dry_run::conclude(sinks, run, overall, policy, redactor);
            }
            Self::Sent { reporting } => {
                if let Err(error) = reporting.conclude_under(policy, run).await {
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
