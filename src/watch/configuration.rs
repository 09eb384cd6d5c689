//! What a docker-test.yaml says of probes: `probes`, `alert` and `notify`.
//!
//! Owns what the three say about each other, and the errors of it, each with its place in the file. What a part looks like is
//! [`crate::suite::document`]'s. Pure: the file has been read, and the environment is handed in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::definition::{Definition, Origin, Times};
use super::silences::{SilenceRule, When};
use crate::environment::Environment;
use crate::error::Diagnose;
use crate::harness::entry::Defaults;
use crate::notify::configured::{Given, OfKind};
use crate::notify::from_environment::unified_tags;
use crate::notify::outbox::Sink;
use crate::notify::policy::Policy;
use crate::schedule::Schedule;
use crate::schedule::timetable::USUAL_GRACE;
use crate::suite::document::{Alert, Probe, SilenceEntry};
use crate::suite::pattern::NamePattern;
use crate::suite::read::Section;
use crate::suite::{Suite, SuiteError};

/// What a file says of probes.
#[derive(Debug)]
pub struct Configured {
    /// Its probes, in the order of the file.
    pub definitions: Vec<Definition>,
    /// Where alerts and metrics go. `None` where the file does not say it, so that variables may.
    pub sinks: Option<Vec<Sink>>,
    /// What is told of all probes that say nothing else, of the engine and of sinks. It has no silences.
    pub policy: Arc<Policy>,
    /// When nobody is paged.
    pub silences: Vec<SilenceRule>,
    /// What works and should not stay so, with its place.
    pub warnings: Vec<String>,
}

/// What the file says of probes. `machine` is the name of this machine, which is tested where neither a probe nor the
/// variable `HOST` names another.
pub fn definitions(
    suite: &Suite,
    environment: &Environment,
    machine: &str,
) -> Result<Configured, SuiteError> {
    let directory = match suite.directory() {
        here if here == Path::new(".") => environment.current_dir().to_owned(),
        directory => environment.current_dir().join(directory),
    };
    let mut warnings = Vec::new();
    let sinks = match suite.section("notify", environment)? {
        Some(section) => Some(sinks(&section, environment, &directory, &mut warnings)?),
        None => None,
    };
    let (policy, silences) = match suite.section("alert", environment)? {
        Some(section) => {
            let alert: Alert = section.read()?;
            if let Some(sinks) = &sinks {
                unreached(&section, &alert, sinks, &mut warnings);
            }
            (alert.over(&Policy::default()), silences(&section, &alert)?)
        }
        None => (Policy::default(), Vec::new()),
    };
    let policy = Arc::new(policy);
    let host = environment.non_empty("HOST").unwrap_or(machine).to_owned();
    let mut reading = Reading {
        defaults: Defaults::usual(host),
        directory,
        path: suite.path().display().to_string(),
        policies: vec![Arc::clone(&policy)],
        policy: Arc::clone(&policy),
    };
    let mut definitions = Vec::new();
    if let Some(section) = suite.section("probes", environment)? {
        for (name, part) in section.parts() {
            definitions.push(reading.definition(name, &part)?);
        }
    }
    Ok(Configured { definitions, sinks, policy, silences, warnings })
}

/// What is the same for all probes of a file.
struct Reading {
    defaults: Defaults,
    directory: PathBuf,
    path: String,
    policy: Arc<Policy>,
    /// Those that there are, to be shared.
    policies: Vec<Arc<Policy>>,
}

impl Reading {
    fn definition(&mut self, name: &str, part: &Section<'_>) -> Result<Definition, SuiteError> {
        let probe: Probe = part.read()?;
        let times = times(part, &probe)?;
        if times.is_none() && probe.triggers.is_empty() {
            let hint = "write `schedule: R//PT1H` for every hour, or `on: deploy`";
            return Err(part.error(&[], "expected `schedule` or `on`, got neither", Some(hint.to_owned())));
        }
        let policy = match &probe.alert {
            Some(alert) if !alert.silences().is_empty() => {
                let problem = "silences stand in the file's own `alert`, with `probes` for which";
                return Err(part.error(&["alert", "silences"], problem, None));
            }
            Some(alert) => self.shared(alert.over(&self.policy)),
            None => Arc::clone(&self.policy),
        };
        let made = probe.entry.probe(name.to_owned(), &self.defaults, Some(&self.directory));
        let made = made.map_err(|error| {
            let path = [error.key];
            let path: &[&str] = if error.key.is_empty() { &[] } else { &path };
            part.error(path, error.problem.clone(), error.hint)
        })?;
        Ok(Definition {
            probe: Arc::new(made),
            origin: Origin::File { path: self.path.clone() },
            times,
            overlap: probe.overlap,
            triggers: probe.triggers,
            policy,
        })
    }

    /// Many probes say the same.
    fn shared(&mut self, policy: Policy) -> Arc<Policy> {
        if let Some(known) = self.policies.iter().find(|known| ***known == policy) {
            return Arc::clone(known);
        }
        let policy = Arc::new(policy);
        self.policies.push(Arc::clone(&policy));
        policy
    }
}

fn times(part: &Section<'_>, probe: &Probe) -> Result<Option<Times>, SuiteError> {
    let Some(schedule) = &probe.schedule else {
        let without = [
            ("time_zone", probe.time_zone.is_some()),
            ("splay", probe.splay.is_some()),
            ("grace", probe.grace.is_some()),
            ("while_failing", probe.while_failing.is_some()),
        ];
        return match without.into_iter().find(|(_, is_there)| *is_there) {
            Some((key, _)) => Err(part.error(&[key], "goes with `schedule`, and there is none", None)),
            None => Ok(None),
        };
    };
    read_schedule(part, &[], schedule, probe.time_zone.as_deref())?;
    Ok(Some(Times {
        schedule: schedule.clone(),
        zone: probe.time_zone.clone(),
        splay: probe.splay,
        missed: probe.missed,
        grace: probe.grace.unwrap_or(USUAL_GRACE),
        while_failing: probe.while_failing,
    }))
}

/// Reads a schedule below `within`. Where it begins when it is first seen, that is in 1970.
fn read_schedule(
    part: &Section<'_>,
    within: &[&str],
    schedule: &str,
    zone: Option<&str>,
) -> Result<Schedule, SuiteError> {
    Schedule::parse(schedule, zone, Timestamp::UNIX_EPOCH).map_err(|error| {
        let is_zone = error.field() == "time zone" && zone.is_some();
        let path = within.iter().copied().chain([if is_zone { "time_zone" } else { "schedule" }]);
        part.error(&path.collect::<Vec<_>>(), error.to_string(), error.hint())
    })
}

fn silences(section: &Section<'_>, alert: &Alert) -> Result<Vec<SilenceRule>, SuiteError> {
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

fn sinks(
    section: &Section<'_>,
    environment: &Environment,
    directory: &Path,
    warnings: &mut Vec<String>,
) -> Result<Vec<Sink>, SuiteError> {
    let tags = unified_tags(&|name| environment.variable(name).map(str::to_owned));
    let given = Given { tags: &tags, directory };
    let mut sinks = Vec::new();
    for (id, part) in section.parts() {
        let (kind, own) = id.split_at(id.find('.').unwrap_or(id.len()));
        let notifiers = part.read_as(OfKind { kind, given })?;
        for (place, text) in part.written() {
            let opens = |secret: &String| secret.len() > 3 && text.contains(secret.as_str());
            if notifiers.iter().flat_map(|notifier| notifier.secrets()).any(|secret| opens(&secret)) {
                let place = section.named(place);
                warnings.push(format!(
                    "{place}: notify.{id} has a key in the file: write `env:NAME` and set the variable NAME"
                ));
            }
        }
        for notifier in notifiers {
            sinks.push(Sink { id: format!("{}{own}", notifier.name()), notifier: Arc::from(notifier) });
        }
    }
    Ok(sinks)
}

/// An escalation to a sink that there is not would be silence.
fn unreached(section: &Section<'_>, alert: &Alert, sinks: &[Sink], warnings: &mut Vec<String>) {
    for kind in alert.sinks() {
        if !sinks.iter().any(|sink| sink.notifier.name() == kind) {
            let place = section.named(section.place(&["escalation"]));
            warnings.push(format!("{place}: alert.escalation names {kind}, and `notify` has no such sink"));
        }
    }
}

#[cfg(test)]
mod tests;
