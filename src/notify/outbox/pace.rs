//! When a sink is tried again, and how much it is sent at a time. Pure: time is an argument, in milliseconds of any clock
//! that does not jump, and so is chance.

use std::collections::VecDeque;
use std::time::Duration;

use crate::history::outbox::MAX_DELAY;

/// Failures in a row after which the whole sink rests, and is tried with one entry at a time.
const PATIENCE: u32 = 3;

/// Entries that may be on their way at once to a sink that has not yet shown how many it takes, and to one that takes
/// only so many a minute.
const FIRST: usize = 8;

/// A minute, in milliseconds.
const MINUTE: u64 = 60_000;

/// How long the wait between attempts is: it doubles with each, up to the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Before the second attempt.
    pub first: Duration,
    /// At most. Also how late an alert may be once its sink is there again.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_mins(1) }
    }
}

impl Backoff {
    /// The wait after so many attempts, at least one: between half of the full wait and all of it, as `chance` has it.
    pub(super) fn after(self, attempts: u32, chance: u64) -> Duration {
        let doublings = attempts.saturating_sub(1).min(30);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        let full = u64::try_from(full.as_millis()).unwrap_or(u64::MAX);
        let half = full / 2;
        Duration::from_millis(half + chance % (full - half).saturating_add(1))
    }
}

/// What a sink asked to be left alone for, within reason.
pub(super) fn within_reason(asked: Duration) -> Duration {
    asked.min(Duration::from_millis(MAX_DELAY.unsigned_abs()))
}

/// How fast one sink is sent to.
#[derive(Debug)]
pub(super) struct Pace {
    backoff: Backoff,
    concurrency: usize,
    /// Grows with what arrives.
    window: usize,
    per_minute: Option<usize>,
    /// When each transmission of the last minute was sent.
    recent: VecDeque<u64>,
    failures: u32,
    /// Because it fails.
    rests_until: u64,
    /// Because it asked to be left alone.
    asked_until: u64,
}

impl Pace {
    pub(super) fn new(backoff: Backoff, concurrency: usize, per_minute: Option<u32>) -> Self {
        let per_minute = per_minute.map(|most| usize::try_from(most).unwrap_or(usize::MAX).max(1));
        let concurrency = if per_minute.is_some() { concurrency.min(FIRST) } else { concurrency }.max(1);
        let window = concurrency.min(FIRST);
        let recent = VecDeque::new();
        Self { backoff, concurrency, window, per_minute, recent, failures: 0, rests_until: 0, asked_until: 0 }
    }

    /// How many entries may be on their way at once.
    pub(super) fn most(&self) -> usize {
        if self.failures >= PATIENCE { 1 } else { self.window }
    }

    /// How long nothing may be sent.
    pub(super) fn rest(&mut self, now: u64) -> Option<Duration> {
        let rest = self.rests_until.max(self.asked_until).saturating_sub(now);
        let rest = rest.max(self.until_free(1, now));
        (rest > 0).then(|| Duration::from_millis(rest))
    }

    /// How many transmissions may be sent now.
    pub(super) fn allowance(&mut self, now: u64) -> usize {
        self.forget(now);
        self.per_minute.map_or(usize::MAX, |most| most.saturating_sub(self.recent.len()))
    }

    /// Takes room for so many transmissions, all or none. Where there is none: when to ask again.
    pub(super) fn take(&mut self, transmissions: usize, now: u64) -> Result<(), Duration> {
        let wait = self.until_free(transmissions, now);
        if wait > 0 {
            return Err(Duration::from_millis(wait));
        }
        if self.per_minute.is_some() {
            self.recent.extend(std::iter::repeat_n(now, transmissions));
        }
        Ok(())
    }

    /// Something arrived.
    pub(super) fn arrived(&mut self) {
        self.failures = 0;
        self.window = self.window.saturating_add(1).min(self.concurrency);
    }

    /// There may be no other time: it is tried although it has failed, but not where it asked to be left alone.
    pub(super) const fn try_at_last(&mut self) {
        self.rests_until = 0;
    }

    /// Something is to be tried later; `asked` is the sink's own wish.
    pub(super) fn failed(&mut self, asked: Option<Duration>, now: u64, chance: u64) {
        // What was on its way when the rest began fails with it: that is one failure and not many.
        let rests = now < self.rests_until.max(self.asked_until);
        self.window = self.concurrency.min(FIRST);
        if !rests {
            self.failures = self.failures.saturating_add(1);
        }
        let after = |rest: Duration| now.saturating_add(u64::try_from(rest.as_millis()).unwrap_or(u64::MAX));
        if let Some(asked) = asked {
            self.asked_until = self.asked_until.max(after(within_reason(asked)));
        }
        // Also where it asked: for more patience than this, or for less, which it does not get.
        if !rests && self.failures >= PATIENCE {
            let rest = self.backoff.after(self.failures - PATIENCE + 1, chance);
            self.rests_until = self.rests_until.max(after(rest));
        }
    }

    /// More at once than a minute allows wait until nothing was sent for one.
    fn until_free(&mut self, transmissions: usize, now: u64) -> u64 {
        self.forget(now);
        let Some(most) = self.per_minute else { return 0 };
        let too_many = (self.recent.len() + transmissions).saturating_sub(most).min(self.recent.len());
        let last = too_many.checked_sub(1).and_then(|index| self.recent.get(index));
        last.map_or(0, |sent| (sent + MINUTE).saturating_sub(now))
    }

    fn forget(&mut self, now: u64) {
        while self.recent.front().is_some_and(|sent| sent + MINUTE <= now) {
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_mins(1) };

    #[test]
    fn the_wait_doubles_up_to_the_longest() {
        assert_eq!(BACKOFF.after(1, 0), Duration::from_millis(500));
        assert_eq!(BACKOFF.after(2, 0), Duration::from_secs(1));
        assert_eq!(BACKOFF.after(1, 500), Duration::from_secs(1), "all of it at most");
        assert!(BACKOFF.after(7, 0) == Duration::from_secs(30), "half of the longest");
        assert!(BACKOFF.after(u32::MAX, u64::MAX) <= BACKOFF.longest);
    }

    #[test]
    fn a_sink_that_fails_again_and_again_rests_and_is_tried_with_one() {
        let mut pace = Pace::new(BACKOFF, 8, None);
        pace.failed(None, 0, 0);
        pace.failed(None, 0, 0);
        assert_eq!((pace.most(), pace.rest(0)), (8, None), "one bad entry is not a bad sink");
        pace.failed(None, 0, 0);
        assert_eq!((pace.most(), pace.rest(0)), (1, Some(Duration::from_millis(500))));
        pace.failed(None, 499, 0);
        assert_eq!(pace.rest(499), Some(Duration::from_millis(1)), "it was on its way already");
        assert_eq!(pace.rest(500), None);
        pace.arrived();
        assert_eq!(pace.most(), 8);
    }

    #[test]
    fn a_wish_of_the_sink_counts_at_once_and_within_reason() {
        let mut pace = Pace::new(BACKOFF, 8, None);
        pace.failed(Some(Duration::from_secs(30)), 0, 0);
        pace.failed(None, 0, 0);
        assert_eq!(pace.rest(0), Some(Duration::from_secs(30)));
        pace.failed(Some(Duration::from_hours(1000)), 0, 0);
        assert_eq!(pace.rest(0), Some(Duration::from_hours(1)));
    }

    #[test]
    fn a_sink_that_asks_for_no_patience_rests_as_one_that_asks_for_nothing() {
        for asked in [0, 1] {
            let mut pace = Pace::new(BACKOFF, 8, None);
            let mut now = 0;
            for _ in 0..9 {
                pace.failed(Some(Duration::from_secs(asked)), now, 0);
                now += pace.rest(now).map_or(0, |rest| u64::try_from(rest.as_millis()).unwrap());
            }
            pace.failed(Some(Duration::from_secs(asked)), now, 0);
            assert_eq!((pace.most(), pace.rest(now)), (1, Some(Duration::from_secs(30))), "{asked}");
        }
    }

    #[test]
    fn more_goes_at_once_to_a_sink_that_takes_it_until_it_fails() {
        let mut pace = Pace::new(BACKOFF, 64, None);
        assert_eq!(pace.most(), 8);
        (0..100).for_each(|_| pace.arrived());
        assert_eq!(pace.most(), 64);
        pace.failed(None, 0, 0);
        assert_eq!(pace.most(), 8);
        let mut limited = Pace::new(BACKOFF, 64, Some(120));
        (0..100).for_each(|_| limited.arrived());
        assert_eq!(limited.most(), 8, "it takes no more by being sent more at once");
    }

    #[test]
    fn at_last_a_sink_that_failed_is_tried_and_one_that_asked_for_peace_is_not() {
        let mut pace = Pace::new(BACKOFF, 8, None);
        (0..PATIENCE).for_each(|_| pace.failed(None, 0, 0));
        pace.try_at_last();
        assert_eq!((pace.rest(0), pace.most()), (None, 1));
        pace.failed(Some(Duration::from_secs(30)), 0, 0);
        pace.try_at_last();
        assert_eq!(pace.rest(0), Some(Duration::from_secs(30)));
    }

    #[test]
    fn what_has_more_parts_than_a_minute_allows_goes_when_nothing_else_does() {
        let mut pace = Pace::new(BACKOFF, 8, Some(2));
        assert_eq!(pace.take(1, 0), Ok(()));
        assert_eq!(pace.take(3, 10), Err(Duration::from_millis(59_990)));
        assert_eq!(pace.take(3, 60_000), Ok(()));
        assert_eq!(pace.take(1, 60_000), Err(Duration::from_mins(1)));
    }

    proptest! {
        #[test]
        fn no_minute_has_more_than_it_allows(
            most in 1_u32..20,
            asked in proptest::collection::vec((0_u64..20_000, 1_usize..4), 1..200),
        ) {
            let mut pace = Pace::new(BACKOFF, 8, Some(most));
            let (mut now, mut sent) = (0, Vec::new());
            for (pause, parts) in asked {
                now += pause;
                let parts = parts.min(most as usize);
                match pace.take(parts, now) {
                    Ok(()) => sent.extend(std::iter::repeat_n(now, parts)),
                    Err(wait) => {
                        prop_assert!(wait <= Duration::from_mins(1));
                        now += u64::try_from(wait.as_millis()).unwrap();
                        prop_assert_eq!(pace.take(parts, now), Ok(()), "the time that it names is right");
                        sent.extend(std::iter::repeat_n(now, parts));
                    }
                }
            }
            for begin in &sent {
                let within = sent.iter().filter(|at| (*begin..begin + MINUTE).contains(*at)).count();
                prop_assert!(within <= most as usize);
            }
        }

        #[test]
        fn a_wait_is_between_half_and_all(attempts in 1_u32..100, chance: u64) {
            let full = BACKOFF.first.saturating_mul(1 << (attempts - 1).min(30)).min(BACKOFF.longest);
            let wait = BACKOFF.after(attempts, chance);
            prop_assert!(full / 2 <= wait && wait <= full);
        }
    }
}
