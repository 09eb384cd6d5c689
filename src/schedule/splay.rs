//! Splay: probes of the same schedule do not start at the same moment.
//!
//! Owns how long after its slot a probe runs. It follows from the probe's name alone, so that it is the same after a
//! restart and on every machine, and a new probe moves no other.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::Schedule;

/// Slots that are looked at for the shortest time between two of them.
const LOOKED_AT: usize = 64;

/// The longest window in which every run begins before the next slot, as far as the first slots of a schedule show it.
/// There is none where there is but one run.
#[must_use]
pub fn longest_window(schedule: &Schedule) -> Option<Duration> {
    if schedule.runs() == Some(1) {
        return None;
    }
    schedule.gaps(Timestamp::UNIX_EPOCH).take(LOOKED_AT).min()
}

/// How long after each of its slots the probe of this name runs: less than `window`, in whole milliseconds. Names are
/// spread over the window as if at random, so ten thousand probes of one minute are about 167 in each second.
#[must_use]
pub fn offset(name: &str, window: Duration) -> Duration {
    let digest = Sha256::digest(name.as_bytes());
    let hash = digest.iter().take(8).fold(0_u128, |hash, byte| hash << 8 | u128::from(*byte));
    // A fraction of the window, not a remainder: the same name stays at the same part of a window of another length.
    let milliseconds = window.as_millis().saturating_mul(hash) >> 64;
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_splay_of_a_name_never_changes() {
        // A change here moves the probes of users.
        assert_eq!(offset("example.integration", Duration::from_mins(1)), Duration::from_millis(43_459));
    }

    #[test]
    fn a_window_ends_where_the_shortest_time_between_two_slots_does() {
        for (schedule, expected) in [
            ("R/2026-01-01T00:00:00Z/PT1H", Some(Duration::from_hours(1))),
            ("0 9,10 * * *", Some(Duration::from_hours(1))),
            ("0 2 29 2 *", Some(Duration::from_hours(24 * (4 * 365 + 1)))),
            ("R1/2026-01-01T00:00:00Z/PT1H", None),
        ] {
            let schedule = Schedule::parse(schedule, None, Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!(longest_window(&schedule), expected, "{schedule}");
        }
    }

    #[test]
    fn ten_thousand_probes_of_one_minute_are_spread_evenly() {
        let mut seconds = [0_u32; 60];
        let mut tenths = [0_u32; 600];
        for number in 0..10_000 {
            let offset = offset(&format!("probe-{number}"), Duration::from_mins(1));
            seconds[usize::try_from(offset.as_secs()).unwrap()] += 1;
            tenths[usize::try_from(offset.as_millis() / 100).unwrap()] += 1;
        }
        // Four standard deviations of what chance gives.
        assert!(seconds.iter().all(|count| (115..=219).contains(count)), "{seconds:?}");
        assert!(tenths.iter().all(|count| *count <= 40), "{tenths:?}");
    }

    proptest! {
        #[test]
        fn the_splay_is_within_its_window(name in ".*", milliseconds in 0_u64..1_000_000_000) {
            let window = Duration::from_millis(milliseconds);
            let offset = offset(&name, window);
            prop_assert!(offset < window || window.is_zero() && offset.is_zero());
        }

        #[test]
        fn a_longer_window_keeps_the_order(a in "[a-z]{1,8}", b in "[a-z]{1,8}") {
            let (short, long) = (Duration::from_secs(10), Duration::from_hours(1));
            if offset(&a, short) < offset(&b, short) {
                prop_assert!(offset(&a, long) < offset(&b, long));
            }
        }
    }
}
