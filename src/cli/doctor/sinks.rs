//! Whether sinks would take what they are told, and whether this machine's clock is right.
//!
//! Owns how bad each finding is, and that no secret is in one. What a sink is asked, and what its answer means, is the
//! sink's own ([`Notifier::preflight`]): it changes nothing there and pages nobody.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::super::application::Running;
use super::super::secrets;
use super::super::watch::configured;
use super::{Finding, Level};
use crate::metadata::duration::human;
use crate::notify::Notifier;
use crate::notify::outbox::Sink;
use crate::notify::preflight::{Preflight, Standing};
use crate::notify::send::{Sender, Tried};
use crate::plan::build::BuildSpec;
use crate::redact::Redactor;

const CHECK: &str = "sinks";

/// A sink that takes longer is as good as none.
const LIMIT: Duration = Duration::from_secs(5);

/// Seconds. A clock that is further off is not kept right by anybody.
const CARELESS: u64 = 60;

/// Seconds. DataDog refuses what is further ahead.
const REFUSED: u64 = 10 * 60;

/// Looks at the sinks that a daemon in this directory would tell.
pub(super) async fn look(suite: Option<&Path>, app: &Running) -> Vec<Finding> {
    let configured = match configured::read(suite, &[], true, &[], app) {
        Ok(configured) => configured,
        Err(failure) => {
            let redactor = secrets::redactor(&app.environment, &[], &[], &BuildSpec::default());
            return vec![redacted(Finding::problem(CHECK, &failure), &redactor)];
        }
    };
    let redactor = configured.redactor();
    let findings = try_all(&configured.sinks, app).await;
    findings.into_iter().map(|finding| redacted(finding, &redactor)).collect()
}

fn redacted(finding: Finding, redactor: &Redactor) -> Finding {
    let clean = |text: String| redactor.redact(&text).into_owned();
    Finding { message: clean(finding.message), hint: finding.hint.map(clean), ..finding }
}

/// A sink, or several for which one question is enough.
struct Candidate {
    id: String,
    notifier: Arc<dyn Notifier>,
    preflight: Preflight,
}

async fn try_all(sinks: &[Sink], app: &Running) -> Vec<Finding> {
    let candidates = candidates(sinks);
    if candidates.is_empty() {
        return vec![Finding::ok(CHECK, "none configured: nobody is told of probes")];
    }
    let sender = match configured::sender(app) {
        Ok(sender) => sender,
        Err(failure) => return vec![Finding::problem(CHECK, &failure)],
    };
    // Each may take its time, or be out of reach.
    let tried = join_all(candidates.iter().map(|candidate| try_one(candidate, &sender))).await;
    let mut findings: Vec<Finding> = candidates.iter().filter_map(doubt).collect();
    let mut clocks = Vec::new();
    for (candidate, (finding, ahead)) in candidates.iter().zip(tried) {
        findings.push(finding);
        clocks.extend(ahead.map(|ahead| (candidate.id.as_str(), ahead)));
    }
    findings.extend(clock(&clocks));
    findings
}

/// DataDog is three sinks with one key: the same question is asked once.
fn candidates(sinks: &[Sink]) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = Vec::new();
    for sink in sinks {
        let preflight = sink.notifier.preflight();
        if preflight == Preflight::Nothing || candidates.iter().all(|known| known.preflight != preflight) {
            let notifier = Arc::clone(&sink.notifier);
            candidates.push(Candidate { id: sink.id.clone(), notifier, preflight });
        }
    }
    candidates
}

fn doubt(candidate: &Candidate) -> Option<Finding> {
    let doubt = candidate.notifier.doubt()?;
    Some(Finding::warning(CHECK, format!("{}: {}", candidate.id, doubt.message), doubt.hint))
}

/// What became of one, and how many seconds this machine's clock is ahead of its clock.
async fn try_one(candidate: &Candidate, sender: &Sender) -> (Finding, Option<i64>) {
    let id = &candidate.id;
    match sender.try_out(&candidate.preflight, LIMIT).await {
        Tried::Answered { host, answer, ahead } => {
            let finding = match candidate.notifier.standing(&answer) {
                Standing::Accepted { says } => Finding::ok(CHECK, format!("{id}: {host} {says}")),
                Standing::Refused { says, hint } => problem(format!("{id}: {host} {says}"), hint),
                Standing::Unclear { says, hint } => {
                    Finding::warning(CHECK, format!("{id}: {host} {says}"), hint)
                }
            };
            (finding, ahead)
        }
        Tried::Seen { what } => (Finding::ok(CHECK, format!("{id}: {what}")), None),
        Tried::Failed { reason } => {
            (problem(format!("{id}: {reason}"), candidate.preflight.remedy().to_owned()), None)
        }
    }
}

const fn problem(message: String, hint: String) -> Finding {
    Finding { check: CHECK, level: Level::Problem, message, hint: Some(hint) }
}

/// By the clock that this machine's is furthest from: a sink on this very machine agrees with it however wrong it is.
fn clock(clocks: &[(&str, i64)]) -> Option<Finding> {
    let (id, ahead) = clocks.iter().max_by_key(|(_, ahead)| ahead.unsigned_abs())?;
    let off = ahead.unsigned_abs();
    if off <= CARELESS {
        return Some(Finding::ok("clock", format!("within a minute of that of {id}")));
    }
    let way = if *ahead > 0 { "ahead of" } else { "behind" };
    let message = format!("this machine's clock is {} {way} that of {id}", human(Duration::from_secs(off)));
    let level = if off > REFUSED { Level::Problem } else { Level::Warning };
    let hint = "set it, and have it kept (NTP): DataDog takes no metric from more than 10 minutes ahead or an hour ago, \
                and schedules and silences go by it";
    Some(Finding { check: "clock", level, message, hint: Some(hint.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_that_is_furthest_off_decides_and_none_says_nothing() {
        assert!(clock(&[]).is_none());
        let right = clock(&[("datadog", 0), ("slack", -60)]).unwrap();
        assert_eq!((right.level, right.hint), (Level::Ok, None));
        let careless = clock(&[("pushgateway", 0), ("datadog", -61)]).unwrap();
        assert_eq!(careless.level, Level::Warning);
        assert_eq!(careless.message, "this machine's clock is 1m1s behind that of datadog");
        assert_eq!(clock(&[("datadog", 600)]).unwrap().level, Level::Warning);
        let wrong = clock(&[("datadog", 7200), ("slack", 1)]).unwrap();
        assert_eq!(wrong.level, Level::Problem);
        assert_eq!(wrong.message, "this machine's clock is 2h ahead of that of datadog");
    }
}
