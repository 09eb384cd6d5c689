//! How often a test that did not pass is run again, and after which waits. Pure arithmetic.

use std::time::Duration;

use serde::Serialize;

/// The wait before the first retry where nobody says otherwise.
pub const DEFAULT_BACKOFF: Duration = Duration::from_secs(1);

/// The longest wait, however often it has doubled.
const LONGEST: Duration = Duration::from_mins(5);

/// How often a test that did not pass is run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Retries {
    /// Further attempts.
    pub count: u32,
    /// The wait before the first of them; it doubles with each further one.
    #[serde(serialize_with = "super::seconds")]
    pub backoff: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { count: 0, backoff: DEFAULT_BACKOFF }
    }
}

impl Retries {
    /// The wait before the attempt that follows `attempt` (counted from 1); none where there is no further one.
    #[must_use]
    pub fn after(&self, attempt: u32) -> Option<Duration> {
        if attempt > self.count {
            return None;
        }
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        Some(self.backoff.saturating_mul(doubled).min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_and_has_an_end() {
        let retries = Retries { count: 40, backoff: Duration::from_secs(2) };
        let waits: Vec<u64> = (1..=3).filter_map(|n| retries.after(n)).map(|wait| wait.as_secs()).collect();
        assert_eq!(waits, [2, 4, 8]);
        assert_eq!(retries.after(40), Some(LONGEST));
        assert_eq!(retries.after(41), None);
        assert_eq!(Retries::default().after(1), None);
    }
}
