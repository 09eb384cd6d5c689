//! One attempt to bring one stored notice to its sink.
//!
//! Owns what the answers to all of its transmissions come to. Reasons are free of the sink's keys from here on.

use std::time::Duration;

use super::Sink;
use super::pace::{Backoff, within_reason};
use crate::history::outbox::{Outcome, Settled};
use crate::notify::send::{Sender, Sent};
use crate::notify::{Notice, Reception, Transmission};
use crate::redact::Redactor;

/// What an attempt came to.
pub(super) struct Attempted {
    /// The entry, with its outcome.
    pub(super) entry: Settled,
    /// The sink's own wish to be left alone.
    pub(super) asked: Option<Duration>,
}

/// What is left to be transmitted of an entry.
pub(super) fn transmissions(sink: &Sink, entry: &Settled) -> Result<Vec<Transmission>, String> {
    let mut notice: Notice = serde_json::from_str(&entry.notice)
        .map_err(|error| format!("this version of docker-test cannot read the notice: {error}"))?;
    if let Notice::Alert(alert) = &mut notice {
        alert.reminder = entry.reminder;
    }
    let mut transmissions = sink.notifier.render(&notice);
    let sent = usize::try_from(entry.sent).unwrap_or(usize::MAX).min(transmissions.len());
    transmissions.drain(..sent);
    Ok(transmissions)
}

/// Why an attempt ended early.
struct Later {
    asked: Option<Duration>,
    reason: String,
    unseen: bool,
}

/// Sends what is left of an entry, within `limit`. The times in the outcome count from `now`, in Unix milliseconds.
pub(super) async fn send(
    sender: &Sender,
    sink: &Sink,
    redactor: &Redactor,
    mut entry: Settled,
    transmissions: Vec<Transmission>,
    plan: Plan,
) -> Attempted {
    let before = entry.sent;
    let mut sent = before;
    let mut refused = None;
    let sending = async {
        for transmission in &transmissions {
            match reception(sender, sink, redactor, transmission).await {
                Ok(Reception::Accepted) => {}
                // The others are not to blame for it.
                Ok(Reception::Refused { reason }) => refused = refused.take().or(Some(reason)),
                Ok(Reception::Later { after, reason }) => {
                    return Err(Later { asked: after, reason, unseen: false });
                }
                Err(later) => return Err(later),
            }
            // What was refused is told again with what comes after it, or its refusal would be forgotten.
            sent += u32::from(refused.is_none());
        }
        Ok(())
    };
    let done = tokio::time::timeout(plan.limit, sending).await.unwrap_or_else(|_| {
        let reason = format!("it was not sent within {} s", plan.limit.as_secs());
        Err(Later { asked: None, reason, unseen: false })
    });
    let mut asked = None;
    entry.outcome = match (done, refused) {
        (Ok(()), None) => Outcome::Arrived,
        (Ok(()), Some(reason)) => Outcome::Refused { reason: redactor.redact(&reason).into_owned() },
        (Err(later), _) => {
            asked = later.asked;
            let backoff = plan.backoff.after(entry.attempts, plan.chance);
            // A sink may ask for more patience than that, and never for less.
            let wait = later.asked.map_or(backoff, |asked| within_reason(asked).max(backoff));
            let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            Outcome::Later {
                due_at: (plan.clock)().saturating_add(wait),
                reason: redactor.redact(&later.reason).into_owned(),
                sent,
                unseen: later.unseen && sent == 0,
            }
        }
    };
    Attempted { entry, asked }
}

/// What an attempt has to go by.
pub(super) struct Plan {
    pub(super) limit: Duration,
    pub(super) backoff: Backoff,
    pub(super) chance: u64,
    pub(super) clock: super::Clock,
}

async fn reception(
    sender: &Sender,
    sink: &Sink,
    redactor: &Redactor,
    transmission: &Transmission,
) -> Result<Reception, Later> {
    match sender.send(transmission).await {
        Sent::Answered(mut answer) => {
            // Hidden before a sink quotes a part of it.
            answer.body = redactor.redact(&answer.body).into_owned();
            Ok(sink.notifier.receive(&answer))
        }
        Sent::Done => Ok(Reception::Accepted),
        Sent::Failed { reason, unseen } => Err(Later { asked: None, reason, unseen }),
        Sent::Unsendable { reason } => Ok(Reception::Refused { reason }),
    }
}
