//! When nobody is paged about which probes, as a file says it.
//!
//! Owns the reckoning of silences that come again and again. What a silence does is [`crate::notify::policy`]'s. Pure: `now`
//! is an argument.

use std::time::Duration;

use jiff::Timestamp;

use crate::notify::policy::Silence;
use crate::schedule::Schedule;
use crate::suite::pattern::NamePattern;

/// The most beginnings that are looked at in one step.
const MOST_BEGINNINGS: usize = 1_000;

/// When nobody is paged about some probes.
#[derive(Debug, Clone)]
pub struct SilenceRule {
    /// Which ones; all of them where there is none. Any that matches is enough.
    pub probes: Vec<NamePattern>,
    /// When.
    pub when: When,
    /// Why, for people.
    pub reason: String,
}

/// Once, or again and again.
#[derive(Debug, Clone)]
pub enum When {
    /// From one time to another, in Unix seconds.
    Once {
        /// When it begins.
        from: i64,
        /// When it ends.
        until: i64,
    },
    /// From each slot of a schedule on, for a while.
    Recurring {
        /// Its beginnings. The number of runs does not count.
        schedule: Box<Schedule>,
        /// How long each lasts.
        lasts: Duration,
    },
}

impl SilenceRule {
    /// Whether it is about the probe of this name.
    #[must_use]
    pub fn is_about(&self, probe: &str) -> bool {
        self.probes.is_empty() || self.probes.iter().any(|pattern| pattern.matches(probe))
    }

    /// The probes as they were written: a glob, or some of them with commas between.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.probes.as_slice() {
            [] => "*".to_owned(),
            patterns => patterns.iter().map(NamePattern::as_written).collect::<Vec<_>>().join(", "),
        }
    }

    /// Those of its times that are not over at `now` and begin before `until`, both in Unix seconds, in order. Of one that
    /// comes very often there are a thousand at most, that of `now` first.
    #[must_use]
    pub fn between(&self, now: i64, until: i64) -> Vec<Silence> {
        let silence = |from, until| Silence { from, until, reason: self.reason.clone() };
        match &self.when {
            When::Once { from, until: end } => {
                let silence = silence(*from, *end);
                if silence.is_over(now) || *from >= until { Vec::new() } else { vec![silence] }
            }
            When::Recurring { schedule, lasts } => {
                let lasts = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX);
                // One that began so long ago is over just now.
                let floor = now.saturating_sub(lasts);
                let Ok(mut after) = Timestamp::from_second(floor) else { return Vec::new() };
                let mut silences: Vec<Silence> = Vec::new();
                for _ in 0..MOST_BEGINNINGS {
                    let Some(slot) = schedule.next_after(after) else { break };
                    after = slot;
                    let begins = slot.as_second();
                    if begins >= until {
                        break;
                    }
                    let ends = begins.saturating_add(lasts);
                    match silences.last_mut().filter(|last| last.until >= begins) {
                        // They go over into each other.
                        Some(last) => last.until = ends,
                        None => silences.push(silence(begins, ends)),
                    }
                }
                silences
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn recurring(schedule: &str, hours: u64) -> SilenceRule {
        let schedule = Schedule::parse(schedule, None, Timestamp::UNIX_EPOCH).unwrap();
        let when = When::Recurring { schedule: Box::new(schedule), lasts: Duration::from_secs(hours * 3600) };
        SilenceRule { probes: vec![NamePattern::parse("shop.*").unwrap()], when, reason: "backup".to_owned() }
    }

    fn times(rule: &SilenceRule, now: i64, until: i64) -> Vec<(i64, i64)> {
        rule.between(now, until).iter().map(|silence| (silence.from, silence.until)).collect()
    }

    #[test]
    fn one_that_comes_each_day_is_known_while_it_lasts_and_before_it_comes() {
        let (hour, day) = (3600, 86_400);
        let rule = recurring("0 2 * * *", 2);
        assert_eq!(times(&rule, 0, day), [(2 * hour, 4 * hour)]);
        assert_eq!(times(&rule, 4 * hour - 1, 4 * hour), [(2 * hour, 4 * hour)]);
        assert_eq!(times(&rule, 4 * hour, day), []);
        assert_eq!(times(&rule, 4 * hour, 2 * day).len(), 1);
        assert!(rule.is_about("shop.api") && !rule.is_about("db"));
    }

    #[test]
    fn what_goes_over_into_the_next_is_one() {
        let rule = recurring("0 * * * *", 2);
        let hour = 3600;
        assert_eq!(times(&rule, 10 * hour, 12 * hour), [(9 * hour, 13 * hour)]);
    }

    proptest! {
        #[test]
        fn every_time_is_yet_to_end_and_in_order(now in 0_i64..4_000_000_000, length in 1_u64..100, ahead in 0_i64..1_000_000) {
            let silences = times(&recurring("30 1 * * 1,4", length), now, now + ahead);
            for (from, until) in &silences {
                prop_assert!(*until > now && *from < now + ahead && from < until);
            }
            prop_assert!(silences.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
