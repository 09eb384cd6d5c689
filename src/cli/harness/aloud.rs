//! What is said of a probe while it runs, and of what it came to.
//!
//! Owns the words on stderr and which exit code a verdict is. What is sent is passed on to [`Told`].

use tokio_util::sync::CancellationToken;

use super::told::Told;
use super::{say, terminal};
use crate::check::Surroundings;
use crate::error::Diagnose as _;
use crate::exit_code::ExitCode;
use crate::harness::{self, Ended, Hearer, Probe};
use crate::notify::Notice;
use crate::probe::{Attempt, Verdict};
use crate::redact::Redactor;

/// Says what people wait for, and passes everything on.
pub(super) struct Aloud<'a> {
    probe: &'a Probe,
    /// The job begins with it.
    is_first: bool,
    of: u32,
    told: &'a mut Told,
}

impl<'a> Aloud<'a> {
    pub(super) fn of(probe: &'a Probe, is_first: bool, told: &'a mut Told) -> Self {
        Self { probe, is_first, of: probe.retries.count.saturating_add(1), told }
    }

    pub(super) async fn run(
        &mut self,
        surroundings: &Surroundings,
        stop: &CancellationToken,
        redactor: &Redactor,
    ) -> Ended {
        let id = uuid::Uuid::new_v4().simple().to_string();
        harness::run(self.probe, &id, surroundings, stop, redactor, self).await
    }
}

impl Hearer for Aloud<'_> {
    async fn hear(&mut self, notice: Notice) {
        if let Notice::Attempted { attempt, .. } = &notice
            && !(attempt.seen.state.is_pass()
                && attempt.cleanup.as_ref().is_none_or(|cleanup| cleanup.passed))
        {
            say(&attempt_line(self.probe, attempt, self.of));
        }
        // Who is told that something begins is told of the whole job, and once.
        if self.is_first || !matches!(notice, Notice::Started { .. }) {
            self.told.tell(notice).await;
        }
    }
}

fn attempt_line(probe: &Probe, attempt: &Attempt, of: u32) -> String {
    let name = &probe.identity.name;
    let mut line = format!("{name}: attempt {} of {of}: {}", attempt.number, attempt.seen.summary);
    if let Some(cleanup) = attempt.cleanup.as_ref().filter(|cleanup| !cleanup.passed) {
        line.push_str("; the cleanup failed: ");
        line.push_str(&cleanup.summary);
    }
    line
}

/// Says what it came to where that is not plain, and gives the exit code.
pub(super) fn verdict(probe: &Probe, ended: &Ended) -> ExitCode {
    let name = &probe.identity.name;
    let made = ended.run.attempts.len();
    match ended.run.verdict() {
        Verdict::Passed | Verdict::Warning | Verdict::CleanupFailed => ExitCode::Success,
        Verdict::PassedOnRetry => {
            let of = probe.retries.count.saturating_add(1);
            let number = ended.run.first_pass().map_or(of, |attempt| attempt.number);
            say(&format!("{name}: passed on attempt {number} of {of}"));
            ExitCode::Success
        }
        Verdict::Failed => {
            say(&format!("{name}: failed: {made} of {made} attempts"));
            ExitCode::TestsFailed
        }
        Verdict::Errored => {
            if let Some(error) = &ended.failure {
                // As the run tells it, secrets hidden.
                say(&format!("{name}: {}", ended.run.error.as_deref().unwrap_or_default()));
                if let Some(hint) = error.hint() {
                    terminal::note(&format!("  hint: {hint}\n"));
                }
            }
            ExitCode::Error
        }
    }
}
