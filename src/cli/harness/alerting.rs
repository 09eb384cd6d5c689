//! What people are told of the probes of a run, and when: `alert` of the file of checks, over what the flags say.
//!
//! Owns the order of these (flags, the file's own `alert`, that of a check), and that nothing counts runs where no state
//! lasts from one to the next. What `alert` may say is docker-test.yaml's, and is read by the same code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{HarnessArgs, HarnessError};
use crate::environment::Environment;
use crate::error::Failure;
use crate::harness::now;
use crate::notify::outbox::Sink;
use crate::notify::policy::Policy;
use crate::suite::Suite;
use crate::suite::document::Alert;
use crate::suite::read::Section;
use crate::watch::SilenceRule;
use crate::watch::configuration::{escalation, silences};

/// The key of a file of checks, and of a check in it.
pub(super) const ALERT: &str = "alert";

/// What is told of which probe.
pub(super) struct Alerting {
    usual: Policy,
    /// Of probes that say something else, by their names.
    own: BTreeMap<String, Policy>,
    silences: Vec<SilenceRule>,
    escalated: Vec<escalation::Named>,
}

impl Alerting {
    /// What the flags say.
    pub(super) fn of_flags(args: &HarnessArgs) -> Self {
        let plain = Policy::default();
        let usual = Policy {
            failure_threshold: args.alert_after.unwrap_or(plain.failure_threshold),
            reminder_interval: args.remind,
            ..plain
        };
        Self { usual, own: BTreeMap::new(), silences: Vec::new(), escalated: Vec::new() }
    }

    /// What a file of checks says over the flags. `name` makes the name of a probe of that of its check.
    pub(super) fn of_file(
        args: &HarnessArgs,
        (path, text): (&Path, &str),
        name: impl Fn(&str) -> String,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let mut alerting = Self::of_flags(args);
        let file = Suite::of_parts(path, text)?;
        if let Some(section) = file.section(ALERT, environment)? {
            let alert = alerting.read(&section)?;
            alerting.usual = alert.over(&alerting.usual);
            alerting.silences = silences::read(&section, &alert)?;
        }
        let checks = file.section("checks", environment)?;
        for (check, part) in checks.iter().flat_map(Section::parts) {
            let Some((_, section)) = part.parts().find(|(key, _)| *key == ALERT) else { continue };
            let alert = alerting.read(&section)?;
            if !alert.silences().is_empty() {
                let problem = "silences stand in the file's own `alert`, with `probes` for which";
                return Err(section.error(&["silences"], problem, None).into());
            }
            alerting.own.insert(name(check), alert.over(&alerting.usual));
        }
        Ok(alerting)
    }

    fn read(&mut self, section: &Section<'_>) -> Result<Alert, Failure> {
        let alert: Alert = section.read()?;
        self.escalated.extend(escalation::named_in(section, &[], &alert));
        Ok(alert)
    }

    /// Refuses what counts runs where `lasts` says that nothing of them is kept: people would be told as if it were not
    /// there.
    pub(super) fn checked(self, lasts: bool) -> Result<Self, HarnessError> {
        let counting = std::iter::once(&self.usual).chain(self.own.values()).find_map(counting);
        match counting {
            Some(setting) if !lasts => Err(HarnessError::Stateless { setting }),
            _ => Ok(self),
        }
    }

    /// Takes in which sinks there are, and gives what is to be warned of: an escalation to others tells nobody.
    pub(super) fn reach(&mut self, sinks: &[Sink]) -> Vec<String> {
        let kinds: BTreeSet<String> = sinks.iter().map(|sink| sink.notifier.name().to_owned()).collect();
        for policy in std::iter::once(&mut self.usual).chain(self.own.values_mut()) {
            policy.reached = Some(kinds.clone());
        }
        self.escalated.iter().filter_map(|named| named.warning(&kinds)).collect()
    }

    /// What is told of a probe now.
    pub(super) fn policy(&self, probe: &str) -> Policy {
        let now = now();
        let rules = self.silences.iter().filter(|rule| rule.is_about(probe));
        let silences = rules.flat_map(|rule| rule.between(now, now.saturating_add(1))).collect();
        Policy { silences, ..self.own.get(probe).unwrap_or(&self.usual).clone() }
    }
}

/// What in a policy goes by more runs than one.
fn counting(policy: &Policy) -> Option<&'static str> {
    let settings = [
        (policy.failure_threshold > 1, "`failures` (--alert-after)"),
        (policy.reminder_interval.is_some(), "`reminder` (--remind)"),
        (policy.success_threshold > 1, "`successes`"),
        (policy.flapping.is_some(), "`flapping`"),
        (policy.escalation.iter().any(|stage| stage.after > 1), "`escalation` with `after`"),
    ];
    settings.into_iter().find_map(|(counts, setting)| counts.then_some(setting))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::notify::Severity;

    fn args(words: &[&str]) -> HarnessArgs {
        HarnessArgs::try_parse_from([&["docker-test-harness"], words].concat()).unwrap()
    }

    fn read(text: &str, words: &[&str]) -> Result<Alerting, Failure> {
        let path = Path::new("checks.yaml");
        let name = |check: &str| format!("shop.{check}");
        Alerting::of_file(&args(words), (path, text), name, &Environment::default())
    }

    #[test]
    fn a_check_goes_before_the_file_and_the_file_before_the_flags() {
        let text = "checks:\n  api: { tcp: 'a:1', alert: { failures: 5 } }\n  db: { tcp: 'b:1' }\n\
                    alert: { failures: 3, severity: warning }\n";
        let alerting = read(text, &["--alert-after", "2", "--remind", "4h"]).unwrap();
        let (api, db) = (alerting.policy("shop.api"), alerting.policy("shop.db"));
        assert_eq!((api.failure_threshold, db.failure_threshold), (5, 3));
        let four_hours = Some(std::time::Duration::from_hours(4));
        assert_eq!((api.reminder_interval, db.reminder_interval), (four_hours, four_hours));
        let severity = api.severities.of(crate::notify::Subject::Target, "integration");
        assert_eq!(severity, Severity::Warning);
        assert_eq!(Alerting::of_flags(&args(&[])).policy("a"), Policy::default(), "the plainest without any");
    }

    #[test]
    fn what_counts_runs_is_refused_where_no_state_lasts() {
        for (text, setting) in [
            ("alert: { failures: 2 }", "`failures` (--alert-after)"),
            ("alert: { reminder: 1h }", "`reminder` (--remind)"),
            ("alert: { successes: 2 }", "`successes`"),
            ("checks: { a: { tcp: 'a:1', alert: { flapping: { changes: 4, window: 1h } } } }", "`flapping`"),
            ("alert: { escalation: [{ sinks: slack, after: 3 }] }", "`escalation` with `after`"),
        ] {
            let error = read(text, &[]).unwrap().checked(false).err().unwrap().to_string();
            assert!(error.starts_with(setting) && error.contains("--state-dir"), "{error}");
            assert!(read(text, &[]).unwrap().checked(true).is_ok());
        }
        assert!(
            read("alert: { failures: 1, tell: [cleanup], reminder: never }", &[])
                .unwrap()
                .checked(false)
                .is_ok()
        );
    }

    #[test]
    fn a_silence_is_about_the_probes_that_it_names() {
        let text = "alert:\n  silences:\n    - { from: 2020-01-01T00:00:00Z, until: 2100-01-01T00:00:00Z, probes: 'shop.*' }\n";
        let alerting = read(text, &[]).unwrap();
        assert!(alerting.policy("shop.api").is_silenced(now()) && !alerting.policy("db").is_silenced(now()));
    }

    #[test]
    fn an_escalation_to_a_sink_that_there_is_not_is_warned_of_with_its_place() {
        let mut alerting = read("alert:\n  escalation:\n    - { sinks: slack }\n", &[]).unwrap();
        let warnings = alerting.reach(&[]);
        let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
        assert!(warning.starts_with("checks.yaml:2:3: alert.escalation names slack"), "{warning}");
        assert_eq!(alerting.policy("a").reached, Some(BTreeSet::new()));
    }

    #[test]
    fn what_cannot_be_used_is_said_with_its_place() {
        for (text, expected) in [
            ("alert: { fails: 2 }", "checks.yaml:1:10: unknown key `fails` in `alert`"),
            ("alert: { failures: 0 }", "checks.yaml:1:20: alert.failures: expected a number from 1 to 1000"),
            (
                "checks: { a: { alert: { silences: [{}] } } }",
                "checks.a.alert.silences: silences stand in the file's own",
            ),
        ] {
            let error = read(text, &[]).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
