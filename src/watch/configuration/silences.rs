//! Silences of a file: when nobody is paged about which probes.
//!
//! Owns what makes a silence one that is not meant: that it never ends, and that it is about no probe.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::read_schedule;
use crate::error::nearest;
use crate::schedule::Schedule;
use crate::suite::document::{Alert, SilenceEntry};
use crate::suite::pattern::NamePattern;
use crate::suite::read::Section;
use crate::suite::{Suite, SuiteError};
use crate::watch::definition::Definition;
use crate::watch::silences::{SilenceRule, When};

/// Times between two slots that are looked at one by one, to see whether a silence ends: those of a whole day, in which a
/// line of cron may name every minute.
const GAPS: usize = 1_500;
/// Where a silence goes on through a day, it is looked at so often whether there is a day without it, for a year.
const STEP: SignedDuration = SignedDuration::from_hours(12);
const STEPS: i32 = 2 * 366;

/// All of them, in the order of the file.
pub fn read(section: &Section<'_>, alert: &Alert) -> Result<Vec<SilenceRule>, SuiteError> {
    if alert.has_too_many_silences() {
        return Err(section.error(&["silences"], "expected at most 1000 silences", None));
    }
    let entries = alert.silences().iter().enumerate();
    entries.map(|(index, entry)| silence(section, &index.to_string(), entry)).collect()
}

fn silence(section: &Section<'_>, index: &str, entry: &SilenceEntry) -> Result<SilenceRule, SuiteError> {
    let wrong = |key: &str, problem: &str| section.error(&["silences", index, key], problem, None);
    let mut probes = Vec::new();
    for pattern in entry.probes.iter().flat_map(|names| &names.0) {
        let pattern = NamePattern::parse(pattern).map_err(|invalid| {
            let (problem, hint) = invalid.into_parts();
            section.error(&["silences", index, "probes"], problem, hint)
        })?;
        if pattern.is_negated() {
            return Err(wrong("probes", "expected a name without `!` before it"));
        }
        probes.push(pattern);
    }
    let mut reason = entry.reason.clone();
    let when = match (entry.from, entry.until, &entry.recurring) {
        (Some(from), Some(until), None) if from.0 < until.0 => When::Once { from: from.0, until: until.0 },
        (Some(_), Some(_), None) => return Err(wrong("until", "expected a time after that of `from`")),
        (None, None, Some(recurring)) => {
            let within = ["silences", index, "recurring"];
            let zone = recurring.time_zone.as_deref();
            let schedule = read_schedule(section, &within, &recurring.schedule, zone)?;
            let later = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1);
            let seen_later = Schedule::parse(&recurring.schedule, zone, later);
            if seen_later.as_ref() != Ok(&schedule) {
                let hint = "write a beginning, as in R/2026-01-04T02:00:00Z/P7D, or a line of cron";
                let path = ["silences", index, "recurring", "schedule"];
                let problem = "expected an interval that says when it begins";
                return Err(section.error(&path, problem, Some(hint.to_owned())));
            }
            if is_endless(&schedule, recurring.lasts) {
                let problem =
                    "expected a time that is over before the next one begins: this silence never ends";
                let hint = "write a shorter time; what is to be silent for good need not be watched";
                let path = ["silences", index, "recurring", "for"];
                return Err(section.error(&path, problem, Some(hint.to_owned())));
            }
            reason = reason.or_else(|| recurring.reason.clone());
            When::Recurring { schedule: Box::new(schedule), lasts: recurring.lasts }
        }
        (_, _, Some(_)) => {
            return Err(wrong(
                "recurring",
                "`recurring` excludes `from` and `until`: expected one of the two",
            ));
        }
        _ => {
            let problem =
                "expected `from` and `until`, or `recurring`: a silence without an end is forgotten";
            return Err(section.error(&["silences", index], problem, None));
        }
    };
    Ok(SilenceRule { probes, when, reason: reason.unwrap_or_default() })
}

/// Whether each time goes over into the next one. Times that end at some point are no such.
fn is_endless(schedule: &Schedule, lasts: Duration) -> bool {
    let gaps = schedule.gaps(Timestamp::UNIX_EPOCH).take(GAPS);
    if gaps.take_while(|gap| *gap <= lasts).count() < GAPS {
        return false;
    }
    let lasts = SignedDuration::try_from(lasts).unwrap_or(SignedDuration::MAX);
    // A slot that comes within this time before another one.
    let before = lasts.saturating_add(SignedDuration::from_millis(1));
    let goes_over = |step: i32| {
        let first = schedule.next_after(Timestamp::UNIX_EPOCH)?;
        let next = schedule.next_after(first.checked_add(STEP.checked_mul(step)?).ok()?)?;
        let slot = schedule.next_after(next.checked_sub(before).unwrap_or(Timestamp::MIN))?;
        Some(slot < next)
    };
    (0..STEPS).all(|step| goes_over(step) == Some(true))
}

/// A silence that is about nothing is most likely a name that was mistyped.
pub(super) fn unmatched(
    suite: &Suite,
    silences: &[SilenceRule],
    definitions: &[Definition],
    warnings: &mut Vec<String>,
) {
    for (index, rule) in silences.iter().enumerate() {
        if rule.probes.is_empty() || definitions.iter().any(|definition| rule.is_about(definition.name())) {
            continue;
        }
        let near = nearest(&rule.shown(), definitions.iter().map(Definition::name));
        let hint = near.map_or_else(
            || "correct `probes`, unless it is about probes of labels".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        let place = suite.place(&["alert", "silences", &index.to_string(), "probes"]);
        let file = suite.path().display();
        warnings.push(format!(
            "{file}:{}:{}: alert.silences.{index}.probes: expected names of probes, and no probe of the file is {}: {hint}",
            place.line, place.column, rule.shown()
        ));
    }
}
