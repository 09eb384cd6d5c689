//! All that is silenced: by the rules of a file, and by those who asked for it meanwhile.
//!
//! Owns which silences bear on a probe. All of them have an end. What is measured is never silenced. Pure: stores nothing
//! and reads no clock.

use serde::{Deserialize, Serialize};

use super::board::SilenceView;
use super::silences::SilenceRule;
use crate::notify::policy::Silence;
use crate::plan::syntax::Invalid;
use crate::suite::pattern::NamePattern;

/// The next time of a rule is shown so long before it begins, in seconds.
const AHEAD: i64 = 31 * 24 * 60 * 60;

/// A silence that somebody asked for, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    /// Which probes: a pattern for names.
    pub(super) probes: String,
    /// From when to when, and why.
    #[serde(flatten)]
    pub(super) silence: Silence,
}

/// All that is silenced.
#[derive(Debug, Default)]
pub(super) struct Silences {
    rules: Vec<SilenceRule>,
    asked: Vec<(String, Asked, NamePattern)>,
}

impl Silences {
    /// Puts the rules of a file in the place of those before.
    pub(super) fn set_rules(&mut self, rules: Vec<SilenceRule>) {
        self.rules = rules;
    }

    /// Adds one that somebody asked for.
    pub(super) fn add(&mut self, id: String, asked: Asked) -> Result<(), Invalid> {
        let pattern = NamePattern::parse(&asked.probes)?;
        self.asked.push((id, asked, pattern));
        Ok(())
    }

    /// Ends one that somebody asked for. Says whether there was one.
    pub(super) fn lift(&mut self, id: &str) -> bool {
        let before = self.asked.len();
        self.asked.retain(|(known, ..)| known != id);
        self.asked.len() < before
    }

    /// Takes out those that are over, and gives their ids.
    pub(super) fn take_over(&mut self, now: i64) -> Vec<String> {
        let is_over = |asked: &Asked| asked.silence.is_over(now);
        let over = self.asked.iter().filter(|(_, asked, _)| is_over(asked)).map(|(id, ..)| id.clone());
        let over: Vec<String> = over.collect();
        self.asked.retain(|(_, asked, _)| !is_over(asked));
        over
    }

    /// What bears on a probe at `now`, in Unix seconds; of those who asked, also what is still to begin.
    pub(super) fn of(&self, probe: &str, now: i64) -> Vec<Silence> {
        let rules = self.rules.iter().filter(|rule| rule.is_about(probe));
        let asked = self.asked.iter().filter(|(_, _, pattern)| is_about(pattern, probe));
        rules
            .flat_map(|rule| rule.between(now, now.saturating_add(1)))
            .chain(asked.map(|(_, asked, _)| asked.silence.clone()))
            .collect()
    }

    /// As they are shown, with how many of the probes of these names each is about: of each rule the time that is now or
    /// next.
    pub(super) fn shown<'n>(
        &self,
        names: &(impl Iterator<Item = &'n String> + Clone),
        now: i64,
    ) -> Vec<SilenceView> {
        let matches = |is_about: &dyn Fn(&str) -> bool| names.clone().filter(|name| is_about(name)).count();
        let rules = self.rules.iter().filter_map(|rule| {
            let silence = rule.between(now, now.saturating_add(AHEAD)).into_iter().next()?;
            let matches = matches(&|name| rule.is_about(name));
            Some(SilenceView { id: None, probes: rule.shown(), matches, silence })
        });
        let asked = self.asked.iter().map(|(id, asked, pattern)| SilenceView {
            id: Some(id.clone()),
            probes: asked.probes.clone(),
            matches: matches(&|name| is_about(pattern, name)),
            silence: asked.silence.clone(),
        });
        rules.chain(asked).collect()
    }
}

fn is_about(pattern: &NamePattern, probe: &str) -> bool {
    pattern.matches(probe) != pattern.is_negated()
}

#[cfg(test)]
mod tests {
    use super::super::silences::When;
    use super::*;

    fn silence(from: i64, until: i64) -> Silence {
        Silence { from, until, reason: "move".to_owned() }
    }

    #[test]
    fn silences_bear_on_the_probes_that_they_name_until_they_end_or_are_lifted() {
        let mut silences = Silences::default();
        let probes = vec![NamePattern::parse("shop.*").unwrap()];
        let when = When::Once { from: 10, until: 20 };
        silences.set_rules(vec![SilenceRule { probes, when, reason: "move".to_owned() }]);
        silences.add("a".to_owned(), Asked { probes: "*".to_owned(), silence: silence(5, 30) }).unwrap();
        assert_eq!(silences.of("shop.api", 10), [silence(10, 20), silence(5, 30)]);
        assert_eq!(silences.of("mail", 10), [silence(5, 30)]);
        assert_eq!(silences.of("shop.api", 20), [silence(5, 30)]);
        let names = ["shop.api", "shop.db", "mail"].map(str::to_owned);
        let shown = silences.shown(&names.iter(), 1);
        let shown: Vec<(&str, usize)> =
            shown.iter().map(|view| (view.probes.as_str(), view.matches)).collect();
        assert_eq!(shown, [("shop.*", 2), ("*", 3)]);
        assert!(silences.take_over(29).is_empty());
        assert_eq!(silences.take_over(30), ["a"]);
        assert!(silences.of("mail", 1).is_empty() && !silences.lift("a"));
        assert!(
            silences.add("b".to_owned(), Asked { probes: "{".to_owned(), silence: silence(0, 1) }).is_err()
        );
    }
}
