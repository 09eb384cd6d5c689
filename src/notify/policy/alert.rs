//! A word that is to be told, as an alert.
//!
//! Owns the texts of resolves and of flapping. When there is a word, and to whom, is not decided here.

use super::condition::Word;
use super::evidence::{line, place};
use super::key::dedup_key;
use super::{Alert, Severity, Subject};
use crate::notify::Action;
use crate::probe::Identity;

/// What a word is about.
pub(super) struct Told<'a> {
    pub(super) subject: Subject,
    pub(super) probe: &'a Identity,
    pub(super) severity: Severity,
    /// Id of the last run.
    pub(super) run: &'a str,
    pub(super) now: i64,
}

impl Told<'_> {
    pub(super) fn alert(&self, word: Word) -> Alert {
        let (summary, details, run) = match word.action {
            Action::Resolve => {
                (line(&self.ending(&word)), std::collections::BTreeMap::new(), self.run.to_owned())
            }
            Action::Trigger => {
                let mut seen = word.seen;
                if word.is_flapping {
                    seen.details.insert("flapping".to_owned(), "true".to_owned());
                    let flaps = place(self.probe, "keeps changing between well and failing");
                    seen.summary = line(&format!("{flaps}; last: {}", seen.summary));
                }
                (seen.summary, seen.details, seen.run)
            }
        };
        Alert {
            action: word.action,
            subject: self.subject,
            dedup_key: dedup_key(self.probe, self.subject),
            probe: self.probe.clone(),
            severity: self.severity,
            summary,
            details,
            run,
            at: self.now,
            since: word.since,
            reminder: word.reminder,
            route: word.route,
        }
    }

    fn ending(&self, word: &Word) -> String {
        let Identity { name, host, .. } = self.probe;
        if word.is_bad && self.subject == Subject::Engine {
            return format!("engine {name} is not followed any more on {host}");
        }
        if word.is_bad {
            return place(self.probe, "is no longer watched for this");
        }
        match self.subject {
            Subject::Target => place(self.probe, "passes"),
            Subject::Degraded => place(self.probe, "passes at the first attempt, without a warning"),
            Subject::Cleanup => place(self.probe, "cleans up"),
            Subject::Harness => place(self.probe, "can be run"),
            Subject::NoNews => place(self.probe, "has run"),
            Subject::Engine => format!("engine {name} answers on {host}"),
            Subject::Sink => format!("sink {name} takes what {host} tells it"),
        }
    }
}
