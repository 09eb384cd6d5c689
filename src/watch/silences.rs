//! When nobody is paged about which probes.
//!
//! Owns the windows of a file, also those that come again and again, and the silences that somebody asked for meanwhile.
//! All of them have an end. What is measured is never silenced. Pure: stores nothing and reads no clock.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::board::SilenceView;
use crate::notify::policy::Silence;
use crate::plan::syntax::Invalid;
use crate::schedule::Schedule;
use crate::suite::pattern::NamePattern;

/// A window of a file in which nobody is paged.
#[derive(Debug, Clone)]
pub struct Window {
    /// Which probes; all where absent.
    pub probes: Option<NamePattern>,
    /// When.
    pub when: When,
}

/// When a window is.
#[derive(Debug, Clone)]
pub enum When {
    /// Once.
    Once(Silence),
    /// Again and again: from each slot of a schedule on, for a time.
    Recurring {
        /// When it begins.
        schedule: Box<Schedule>,
        /// How long it lasts.
        lasts: Duration,
        /// Why, for people.
        reason: String,
    },
}

impl When {
    /// The silence that covers `now`, in Unix seconds, or the next one.
    fn at(&self, now: i64) -> Option<Silence> {
        match self {
            Self::Once(silence) => (!silence.is_over(now)).then(|| silence.clone()),
            Self::Recurring { schedule, lasts, reason } => {
                let lasts = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX);
                // The first that has not ended yet.
                let after = Timestamp::from_second(now.saturating_sub(lasts)).ok()?;
                let from = schedule.next_after(after)?.as_second();
                Some(Silence { from, until: from.saturating_add(lasts), reason: reason.clone() })
            }
        }
    }
}

/// A silence that somebody asked for, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Which probes: a pattern for names.
    pub probes: String,
    /// From when to when, and why.
    #[serde(flatten)]
    pub silence: Silence,
}

/// All that is silenced.
#[derive(Debug, Default)]
pub struct Silences {
    windows: Vec<Window>,
    asked: Vec<(String, Asked, NamePattern)>,
}

impl Silences {
    /// Puts the windows of a file in the place of those before.
    pub fn set_windows(&mut self, windows: Vec<Window>) {
        self.windows = windows;
    }

    /// Adds one that somebody asked for.
    pub fn add(&mut self, id: String, asked: Asked) -> Result<(), Invalid> {
        let pattern = NamePattern::parse(&asked.probes)?;
        self.asked.push((id, asked, pattern));
        Ok(())
    }

    /// Ends one that somebody asked for. Says whether there was one.
    pub fn lift(&mut self, id: &str) -> bool {
        let before = self.asked.len();
        self.asked.retain(|(known, ..)| known != id);
        self.asked.len() < before
    }

    /// Takes out those that are over, and gives their ids.
    pub fn take_over(&mut self, now: i64) -> Vec<String> {
        let is_over = |asked: &Asked| asked.silence.is_over(now);
        let over = self.asked.iter().filter(|(_, asked, _)| is_over(asked)).map(|(id, ..)| id.clone());
        let over: Vec<String> = over.collect();
        self.asked.retain(|(_, asked, _)| !is_over(asked));
        over
    }

    /// What bears on a probe, now or next.
    #[must_use]
    pub fn of(&self, probe: &str, now: i64) -> Vec<Silence> {
        let is_for = |pattern: &NamePattern| pattern.matches(probe) != pattern.is_negated();
        let windows = self.windows.iter().filter(|window| window.probes.as_ref().is_none_or(is_for));
        let asked = self.asked.iter().filter(|(_, _, pattern)| is_for(pattern));
        windows
            .filter_map(|window| window.when.at(now))
            .chain(asked.map(|(_, asked, _)| asked.silence.clone()))
            .collect()
    }

    /// As they are shown.
    #[must_use]
    pub fn shown(&self, now: i64) -> Vec<SilenceView> {
        let windows = self.windows.iter().filter_map(|window| {
            let probes = window.probes.as_ref().map_or("*", NamePattern::as_written).to_owned();
            Some(SilenceView { id: None, probes, silence: window.when.at(now)? })
        });
        let asked = self.asked.iter().map(|(id, asked, _)| SilenceView {
            id: Some(id.clone()),
            probes: asked.probes.clone(),
            silence: asked.silence.clone(),
        });
        windows.chain(asked).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence(from: i64, until: i64) -> Silence {
        Silence { from, until, reason: "move".to_owned() }
    }

    #[test]
    fn a_window_that_recurs_is_the_one_that_is_now_and_then_the_next() {
        // Sundays at two, for two hours.
        let start = Timestamp::from_second(0).unwrap();
        let schedule = Box::new(Schedule::parse("0 2 * * 0", None, start).unwrap());
        let lasts = Duration::from_hours(2);
        let when = When::Recurring { schedule, lasts, reason: "backup".to_owned() };
        // 2026-03-01 is a Sunday; it begins at two.
        let begins = 1_772_330_400;
        for (now, from) in [
            (begins - 1, begins),
            (begins, begins),
            (begins + 7_199, begins),
            (begins + 7_200, begins + 7 * 86_400),
        ] {
            let silence = when.at(now).unwrap();
            assert_eq!((silence.from, silence.until), (from, from + 7_200), "{now}");
        }
    }

    #[test]
    fn silences_bear_on_the_probes_that_they_name_until_they_end_or_are_lifted() {
        let mut silences = Silences::default();
        let shop = NamePattern::parse("shop.*").unwrap();
        silences.set_windows(vec![Window { probes: Some(shop), when: When::Once(silence(10, 20)) }]);
        silences.add("a".to_owned(), Asked { probes: "*".to_owned(), silence: silence(5, 30) }).unwrap();
        assert_eq!(silences.of("shop.api", 1), [silence(10, 20), silence(5, 30)]);
        assert_eq!(silences.of("mail", 1), [silence(5, 30)]);
        assert_eq!(silences.of("shop.api", 20), [silence(5, 30)]);
        assert!(silences.take_over(29).is_empty());
        assert_eq!(silences.take_over(30), ["a"]);
        assert!(silences.of("mail", 1).is_empty() && !silences.lift("a"));
        assert!(
            silences.add("b".to_owned(), Asked { probes: "{".to_owned(), silence: silence(0, 1) }).is_err()
        );
    }
}
