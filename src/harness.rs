//! One run of a probe: attempts at a check, a cleanup after each of them, and what is told of it.
//!
//! Owns the order of attempts and their waits. What a check looks at is [`crate::check`]'s, and which alerts a verdict
//! comes to is [`crate::notify::policy`]'s; neither can change what an attempt has seen.

pub mod entry;
pub mod reporting;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::check::{Check, CheckError, CommandCheck, Surroundings};
use crate::notify::Notice;
use crate::plan::Retries;
use crate::probe::{Attempt, Cleanup, Identity, ProbeRun};
use crate::redact::Redactor;

/// A check, and how often it is tried.
#[derive(Debug, Clone)]
pub struct Probe {
    /// What is told of it everywhere.
    pub identity: Identity,
    /// What is looked at.
    pub check: Check,
    /// Further attempts, and the waits before them.
    pub retries: Retries,
    /// Attempts are made until there are no more, also after one that passed.
    pub all_attempts: bool,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// What is run after each attempt, whatever became of it.
    pub cleanup: Option<CommandCheck>,
    /// How long that may take.
    pub cleanup_timeout: Duration,
}

/// Hears of a run while it goes on.
pub trait Hearer {
    /// Takes in a notice. The run waits for it.
    fn hear(&mut self, notice: Notice) -> impl Future<Output = ()> + Send;
}

/// A run that has come to its end.
#[derive(Debug)]
pub struct Ended {
    /// What became of it.
    pub run: ProbeRun,
    /// It was asked to stop before it was through: its verdict says nothing.
    pub stopped: bool,
    /// Why the harness could not do its job.
    pub failure: Option<CheckError>,
}

/// The time in Unix seconds, from this machine's clock.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Makes attempts until one passes or there are no more, or until `stop`; the cleanup of one that was stopped is still
/// run. Each notice is given to `hearer` at its time. Secrets of `redactor` are hidden before anything is told or returned.
pub async fn run(
    probe: &Probe,
    id: &str,
    surroundings: &Surroundings,
    stop: &CancellationToken,
    redactor: &Redactor,
    hearer: &mut impl Hearer,
) -> Ended {
    let (began, started_at) = (Instant::now(), now());
    let identity = &probe.identity;
    hearer.hear(Notice::Started { run: id.to_owned(), probe: identity.clone(), at: started_at }).await;
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut failure = None;
    for number in 1..=probe.retries.count.saturating_add(1) {
        match attempt(probe, number, surroundings, stop).await {
            Ok(made) => {
                let made = hidden(made, redactor);
                let is_enough = made.seen.state.is_pass() && !probe.all_attempts;
                attempts.push(made.clone());
                let (run, probe) = (id.to_owned(), identity.clone());
                hearer.hear(Notice::Attempted { run, probe, attempt: made }).await;
                if is_enough {
                    break;
                }
            }
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
        let Some(wait) = probe.retries.after(number) else { break };
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = tokio::time::sleep(wait) => {}
        }
    }
    let stopped = stop.is_cancelled();
    let error = match &failure {
        Some(error) => Some(redactor.redact(&error.to_string()).into_owned()),
        None => stopped.then(|| CheckError::Cancelled.to_string()),
    };
    let seconds = began.elapsed().as_secs_f64();
    let run = ProbeRun { id: id.to_owned(), probe: identity.clone(), started_at, seconds, attempts, error };
    Ended { run, stopped, failure }
}

/// Numbers have names that a check made up, too.
fn hidden(mut attempt: Attempt, redactor: &Redactor) -> Attempt {
    let texts = [&mut attempt.seen.summary, &mut attempt.seen.output];
    let cleanup = attempt.cleanup.iter_mut().map(|cleanup| &mut cleanup.summary);
    let measured = attempt.seen.measurements.iter_mut().flat_map(|it| [&mut it.name, &mut it.unit]);
    for text in texts.into_iter().chain(cleanup).chain(measured) {
        if let std::borrow::Cow::Owned(shown) = redactor.redact(text) {
            *text = shown;
        }
    }
    attempt
}

async fn attempt(
    probe: &Probe,
    number: u32,
    surroundings: &Surroundings,
    stop: &CancellationToken,
) -> Result<Attempt, CheckError> {
    let (began, started_at) = (Instant::now(), now());
    let looked = probe.check.run(surroundings, probe.timeout, stop).await;
    let seconds = began.elapsed().as_secs_f64();
    let never_began = matches!(&looked, Err(CheckError::NotStarted { .. }));
    let cleanup = match &probe.cleanup {
        Some(command) if !never_began => Some(clean_up(probe, command, surroundings).await),
        _ => None,
    };
    let looked = looked?;
    Ok(Attempt { number, started_at, seconds, seen: looked.seen, timed_out: looked.timed_out, cleanup })
}

/// A request to stop does not end it: what the attempt left behind would stay.
async fn clean_up(probe: &Probe, command: &CommandCheck, surroundings: &Surroundings) -> Cleanup {
    let began = Instant::now();
    let outcome = command.run(surroundings, probe.cleanup_timeout, &CancellationToken::new()).await;
    let seconds = began.elapsed().as_secs_f64();
    match outcome {
        Ok(looked) => Cleanup { passed: looked.seen.state.is_pass(), summary: looked.seen.summary, seconds },
        Err(error) => Cleanup { passed: false, summary: error.to_string(), seconds },
    }
}

#[cfg(test)]
mod tests;
