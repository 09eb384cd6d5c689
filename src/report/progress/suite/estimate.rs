//! How long a run will still take.
//!
//! Owns the arithmetic: from recorded durations where there are some, else from those that have ended. What it says
//! moves smoothly, and it rather says nothing than something that nobody can know.

/// Seconds in which the shown end comes most of the way to a newly reckoned one.
const SETTLING: f64 = 5.0;

/// Tests that must have ended before their mean is worth something.
const ENOUGH: usize = 3;

/// How far today's speed may be taken to differ from the recorded one.
const SPEED: std::ops::RangeInclusive<f64> = 0.2..=5.0;

/// What is known about durations so far. All times are in seconds.
#[derive(Debug, Default)]
pub(super) struct Estimate {
    /// Work of all tests that are still to get a slot, by record.
    waiting_work: Option<f64>,
    /// Time that ended tests have had a slot.
    taken: f64,
    ended: usize,
    /// The same of those whose duration was recorded, and what the record said.
    recorded: (f64, f64),
    /// When the run is expected to be over, and when that was reckoned last.
    end: Option<(f64, f64)>,
}

/// A test that has a slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Busy {
    /// How long it took the last times.
    pub(super) expected: Option<f64>,
    /// How long it has had its slot.
    pub(super) elapsed: f64,
}

impl Estimate {
    /// All tests are known; `work` is the sum of their recorded durations, where all have one.
    pub(super) fn queued(&mut self, work: Option<f64>) {
        self.waiting_work = work.filter(|work| work.is_finite());
    }

    /// A test got a slot.
    pub(super) fn started(&mut self, expected: Option<f64>) {
        if let (Some(work), Some(expected)) = (&mut self.waiting_work, expected) {
            *work = (*work - expected).max(0.0);
        }
    }

    /// A test that had a slot for `took` seconds has ended.
    pub(super) fn ended(&mut self, expected: Option<f64>, took: f64) {
        self.taken += took;
        self.ended += 1;
        if let Some(expected) = expected {
            self.recorded.0 += took;
            self.recorded.1 += expected;
        }
    }

    /// The run goes on otherwise than it was going to: the next estimate need not be near the last one.
    pub(super) const fn forget(&mut self) {
        self.end = None;
    }

    /// Seconds that are left at the time `now`, with `waiting` tests that have no slot yet on `lanes` slots.
    pub(super) fn left(&mut self, busy: &[Busy], waiting: usize, lanes: usize, now: f64) -> Option<f64> {
        let Some(reckoned) = self.reckon(busy, waiting, lanes) else {
            self.end = None;
            return None;
        };
        let end = match self.end {
            None => now + reckoned,
            Some((end, at)) => {
                let near = 1.0 - (-(now - at).max(0.0) / SETTLING).exp();
                end + (now + reckoned - end) * near
            }
        };
        self.end = Some((end, now));
        Some((end - now).max(0.0))
    }

    fn reckon(&self, busy: &[Busy], waiting: usize, lanes: usize) -> Option<f64> {
        let speed = match self.recorded {
            (took, expected) if expected > 0.0 => (took / expected).clamp(*SPEED.start(), *SPEED.end()),
            _ => 1.0,
        };
        let mean = (self.ended >= ENOUGH).then(|| self.taken / as_seconds(self.ended));
        let mut longest: f64 = 0.0;
        let mut work = 0.0;
        for test in busy {
            let whole = test.expected.map(|expected| expected * speed).or(mean)?;
            let rest = (whole - test.elapsed).max(0.0);
            longest = longest.max(rest);
            work += rest;
        }
        if waiting > 0 {
            let recorded = self.waiting_work.filter(|work| *work > 0.0).map(|work| work * speed);
            work += recorded.or_else(|| mean.map(|mean| mean * as_seconds(waiting)))?;
        }
        let reckoned = longest.max(work / as_seconds(lanes.max(1)));
        // A test that takes longer than ever may take any time.
        (reckoned > 0.0).then_some(reckoned)
    }
}

fn as_seconds(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

/// `about 2m left`, rounder the longer it is.
pub(super) fn words(left: f64) -> String {
    let step = match left {
        left if left < 10.0 => return "seconds left".to_owned(),
        left if left < 60.0 => 5.0,
        left if left < 600.0 => 10.0,
        left if left < 3600.0 => 60.0,
        _ => 300.0,
    };
    format!("about {} left", crate::report::wording::duration((left / step).round() * step))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(expected: Option<f64>, elapsed: f64) -> Busy {
        Busy { expected, elapsed }
    }

    #[test]
    fn recorded_durations_tell_from_the_first_moment() {
        let mut estimate = Estimate::default();
        estimate.queued(Some(400.0));
        estimate.started(Some(40.0));
        assert_eq!(estimate.left(&[busy(Some(40.0), 0.0)], 9, 4, 0.0), Some(100.0));
    }

    #[test]
    fn without_a_record_the_mean_of_some_that_ended_tells() {
        let mut estimate = Estimate::default();
        estimate.queued(None);
        assert_eq!(estimate.left(&[busy(None, 1.0)], 9, 2, 1.0), None);
        for took in [1.0, 2.0, 3.0] {
            estimate.ended(None, took);
        }
        assert_eq!(estimate.left(&[], 10, 2, 6.0), Some(10.0));
    }

    #[test]
    fn the_last_long_test_decides() {
        let mut estimate = Estimate::default();
        estimate.queued(Some(0.0));
        assert_eq!(estimate.left(&[busy(Some(100.0), 10.0), busy(Some(5.0), 4.0)], 0, 8, 10.0), Some(90.0));
    }

    #[test]
    fn a_slower_machine_shows_before_its_tests_have_ended() {
        let mut estimate = Estimate::default();
        estimate.queued(Some(100.0));
        estimate.started(Some(10.0));
        estimate.ended(Some(10.0), 20.0);
        assert_eq!(estimate.left(&[], 9, 1, 20.0), Some(180.0));
    }

    #[test]
    fn a_test_beyond_its_time_leaves_the_end_open_and_nothing_is_ever_negative() {
        let mut estimate = Estimate::default();
        estimate.queued(Some(10.0));
        estimate.started(Some(10.0));
        assert_eq!(estimate.left(&[busy(Some(10.0), 30.0)], 0, 1, 30.0), None);
        assert_eq!(estimate.left(&[busy(Some(10.0), 9.0)], 0, 1, 31.0), Some(1.0));
    }

    #[test]
    fn a_surprise_moves_the_end_little_by_little() {
        let mut estimate = Estimate::default();
        estimate.queued(Some(100.0));
        assert_eq!(estimate.left(&[], 10, 1, 0.0), Some(100.0));
        // Two tests took ten times as long as recorded.
        estimate.started(Some(10.0));
        estimate.ended(Some(10.0), 50.0);
        let soon = estimate.left(&[], 9, 1, 0.1).unwrap();
        assert!(soon > 100.0 && soon < 110.0, "{soon}");
        let mut now = 0.1;
        let mut last = soon;
        while now < 30.0 {
            now += 0.1;
            last = estimate.left(&[], 9, 1, now).unwrap();
        }
        assert!((440.0..451.0).contains(&last), "{last}");
        estimate.forget();
        assert_eq!(estimate.left(&[], 1, 1, 30.0), Some(450.0));
    }

    #[test]
    fn what_is_far_away_is_said_in_round_numbers() {
        let cases = [
            (3.0, "seconds left"),
            (12.0, "about 10s left"),
            (58.0, "about 1m left"),
            (133.0, "about 2m 10s left"),
            (645.0, "about 11m left"),
            (3700.0, "about 1h left"),
            (9000.0, "about 2h 30m left"),
        ];
        for (left, said) in cases {
            assert_eq!(words(left), said);
        }
    }
}
