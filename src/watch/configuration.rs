//! What a docker-test.yaml says of probes: `probes`, `alert` and `notify`.
//!
//! Owns what the three say about each other, and the errors of it, each with its place in the file. What a part looks like is
//! [`crate::suite::document`]'s. Pure: the file has been read, and the environment is handed in.

pub mod escalation;
pub mod silences;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::definition::{Definition, Origin, Times};
use super::silences::SilenceRule;
use crate::environment::Environment;
use crate::error::Diagnose;
use crate::harness::entry::Defaults;
use crate::metadata::duration::human;
use crate::notify::configured::{Given, OfKind};
use crate::notify::from_environment::unified_tags;
use crate::notify::outbox::Sink;
use crate::notify::policy::Policy;
use crate::notify::preflight::Preflight;
use crate::redact::{Secrets, is_secret_name};
use crate::schedule::timetable::USUAL_GRACE;
use crate::schedule::{Schedule, splay};
use crate::suite::document::{Alert, Probe};
use crate::suite::read::Section;
use crate::suite::{Suite, SuiteError};

/// What a file says of probes.
#[derive(Debug, Default)]
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
    /// Directories that sinks write into, each with its place and its sink. Nothing makes them.
    pub directories: Vec<(String, PathBuf)>,
    /// Keys that its checks hold.
    secrets: Secrets,
    /// Kinds of sinks that escalation names, each with its place.
    escalated: Vec<escalation::Named>,
}

impl Configured {
    /// The keys that its checks hold, those in variables of these names included.
    #[must_use]
    pub fn held(&self, named: &[String]) -> Secrets {
        let is_named = |name: &str| named.iter().any(|named| named == name);
        let mut held = self.secrets.clone();
        for definition in self.definitions.iter().filter(|_| !named.is_empty()) {
            held.extend(definition.probe.check.secrets(&is_named, &BTreeSet::new()));
        }
        held
    }

    /// Takes in which kinds of sinks there are. Escalation to others is warned of, and counts as told to nobody.
    pub fn reach(&mut self, kinds: &BTreeSet<String>) {
        for named in &self.escalated {
            let advice = format!("configure {} under `notify`, or escalate to another kind", named.kind);
            self.warnings.extend(named.warning(kinds).map(|warning| format!("{warning}; {advice}")));
        }
        let mut reaching: Vec<(Arc<Policy>, Arc<Policy>)> = Vec::new();
        let mut of = |policy: &Arc<Policy>| {
            let known = reaching.iter().find(|(before, _)| Arc::ptr_eq(before, policy));
            if let Some((_, after)) = known {
                return Arc::clone(after);
            }
            let after = Arc::new(Policy { reached: Some(kinds.clone()), ..Policy::clone(policy) });
            reaching.push((Arc::clone(policy), Arc::clone(&after)));
            after
        };
        self.policy = of(&self.policy);
        for definition in &mut self.definitions {
            definition.policy = of(&definition.policy);
        }
    }
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
    let (mut warnings, mut directories, mut escalated) = (Vec::new(), Vec::new(), Vec::new());
    let sinks = match suite.section("notify", environment)? {
        Some(section) => {
            let sinks = sinks(&section, environment, &directory, &mut warnings)?;
            directories = written_into(&section, &sinks);
            Some(sinks)
        }
        None => None,
    };
    let (policy, silences) = match suite.section("alert", environment)? {
        Some(section) => {
            let alert: Alert = section.read()?;
            escalated.extend(escalation::named_in(&section, &[], &alert));
            (alert.over(&Policy::default()), silences::read(&section, &alert)?)
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
        secrets: Secrets::default(),
        escalated,
    };
    let mut definitions = Vec::new();
    if let Some(section) = suite.section("probes", environment)? {
        for (name, part) in section.parts() {
            definitions.push(reading.definition(name, &part, environment)?);
        }
    }
    silences::unmatched(suite, &silences, &definitions, &mut warnings);
    let Reading { secrets, escalated, .. } = reading;
    Ok(Configured { definitions, sinks, policy, silences, warnings, directories, secrets, escalated })
}

/// What is the same for all probes of a file.
struct Reading {
    defaults: Defaults,
    directory: PathBuf,
    path: String,
    policy: Arc<Policy>,
    /// Those that there are, to be shared.
    policies: Vec<Arc<Policy>>,
    secrets: Secrets,
    escalated: Vec<escalation::Named>,
}

impl Reading {
    fn definition(
        &mut self,
        name: &str,
        part: &Section<'_>,
        environment: &Environment,
    ) -> Result<Definition, SuiteError> {
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
            Some(alert) => {
                self.escalated.extend(escalation::named_in(part, &["alert"], alert));
                self.shared(alert.over(&self.policy))
            }
            None => Arc::clone(&self.policy),
        };
        let made = probe.entry.probe(name.to_owned(), &self.defaults, Some(&self.directory));
        let made = made.map_err(|error| {
            let path = [error.key];
            let path: &[&str] = if error.key.is_empty() { &[] } else { &path };
            part.error(path, error.problem.clone(), error.hint)
        })?;
        let taken = part.variables().into_iter().filter_map(|name| environment.variable(name));
        // The host is told of everywhere, also where a header names it.
        let taken = taken.filter(|value| *value != made.identity.host).map(str::to_owned).collect();
        self.secrets.extend(made.check.secrets(&is_secret_name, &taken));
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
    let read = read_schedule(part, &[], schedule, probe.time_zone.as_deref())?;
    if let Some((problem, hint)) = probe.splay.and_then(|window| too_long(window, &read)) {
        return Err(part.error(&["splay"], problem, Some(hint)));
    }
    Ok(Some(Times {
        schedule: schedule.clone(),
        zone: probe.time_zone.clone(),
        splay: probe.splay,
        missed: probe.missed,
        grace: probe.grace.unwrap_or(USUAL_GRACE),
        while_failing: probe.while_failing,
    }))
}

/// What is wrong with a splay that is longer than the time between two runs, and what to do.
pub(super) fn too_long(window: Duration, schedule: &Schedule) -> Option<(String, String)> {
    let most = splay::longest_window(schedule).filter(|most| window > *most)?;
    let problem =
        format!("expected at most the time between two runs, {}, got {}", human(most), human(window));
    Some((problem, "a run would begin after the next one is due: write a shorter one, or none".to_owned()))
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

/// The directories that sinks of a file write into, with their places.
fn written_into(section: &Section<'_>, sinks: &[Sink]) -> Vec<(String, PathBuf)> {
    let directory = |sink: &Sink| match sink.notifier.preflight() {
        Preflight::Directory { path } => Some(path),
        _ => None,
    };
    let place = |sink: &Sink| {
        let own = sink.id.split_once('.').map(|(_, own)| format!(".{own}")).unwrap_or_default();
        let name = format!("prometheus{own}");
        format!("{}: notify.{name}.textfile", section.named(section.place(&[&name, "textfile"])))
    };
    sinks.iter().filter_map(|sink| Some((place(sink), directory(sink)?))).collect()
}

#[cfg(test)]
mod tests;
