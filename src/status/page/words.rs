//! Times and verdicts as people say them.

use jiff::Timestamp;
use serde::Serialize;

use crate::probe::Verdict;
use crate::status::listed::Condition;

/// A time as it is shown: how long ago or ahead, and when exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct When {
    /// `3 min ago`, `in 12 min`.
    pub(super) relative: String,
    /// For programs, and for those who point at it.
    pub(super) exact: String,
}

impl When {
    /// `at` and `now` in Unix seconds.
    pub(super) fn of(at: i64, now: i64) -> Self {
        let exact = Timestamp::from_second(at).map(|at| at.to_string()).unwrap_or_default();
        let distance = now.saturating_sub(at);
        let relative = match distance {
            0 => "now".to_owned(),
            1.. => format!("{} ago", span(distance)),
            _ => format!("in {}", span(distance.saturating_neg())),
        };
        Self { relative, exact }
    }
}

/// The largest unit that fits, rounded down.
fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A state as it is shown: never by its colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Badge {
    pub(super) word: &'static str,
    icon: &'static str,
    pub(super) tone: &'static str,
}

impl Badge {
    pub(super) const fn of(condition: Condition) -> Self {
        let (icon, tone) = match condition {
            Condition::Down => ("✗", "bad"),
            Condition::Unknown => ("?", "other"),
            Condition::Warning => ("!", "careful"),
            Condition::Pending => ("…", "none"),
            Condition::Up => ("✓", "good"),
        };
        Self { word: condition.word(), icon, tone }
    }

    /// That of one run.
    pub(super) const fn of_run(verdict: Verdict) -> Self {
        Self { word: verdict_words(verdict), ..Self::of(Condition::of(verdict)) }
    }
}

const fn verdict_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Warning => "warning",
        Verdict::PassedOnRetry => "passed on retry",
        Verdict::CleanupFailed => "cleanup failed",
        Verdict::Failed => "failed",
        Verdict::Errored => "could not be run",
    }
}

/// A time that a run took.
pub(super) fn took(seconds: f64) -> String {
    let duration = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
    crate::metadata::duration::human(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_the_unit_that_people_would_use() {
        let said = |distance: i64| When::of(1_000_000, 1_000_000 + distance).relative;
        let pairs = [
            (0, "now"),
            (1, "1 s ago"),
            (119, "119 s ago"),
            (120, "2 min ago"),
            (7_199, "119 min ago"),
            (7_200, "2 h ago"),
            (200_000, "2 d ago"),
            (-90, "in 90 s"),
            (-3_600, "in 60 min"),
        ];
        for (distance, expected) in pairs {
            assert_eq!(said(distance), expected);
        }
        assert_eq!(When::of(0, 5).exact, "1970-01-01T00:00:00Z");
        assert_eq!(When::of(i64::MAX, i64::MIN).exact, "");
    }
}
