//! Repeating intervals: `R5/2026-01-01T09:00:00Z/P1D`.
//!
//! Owns the three parts and the arithmetic from the start. Does not count runs.

mod period;
mod start;

use std::fmt;

use jiff::{SignedDuration, Span, Timestamp, tz::TimeZone};

use super::error::{ScheduleError, shown};
use period::Period;
use start::Start;

const EXPECTED: &str = "`R[n]/[start]/period`, for example `R/2026-01-01T00:00:00Z/PT1H`";

/// An interval that repeats, from a start that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interval {
    runs: Option<u64>,
    start: Start,
    period: Period,
}

impl Interval {
    pub(super) fn parse(
        text: &str,
        zone: Option<TimeZone>,
        first_seen: Timestamp,
    ) -> Result<Self, ScheduleError> {
        let incomplete = || ScheduleError::new("interval", "it has not its three parts", EXPECTED);
        // Both cuts are those of Chronos' pattern, `(R[0-9]*)/(.*)/(P.*)`.
        let (repeat, rest) =
            text.strip_prefix('R').and_then(|rest| rest.split_once('/')).ok_or_else(incomplete)?;
        let (start, period) =
            rest.rfind("/P").and_then(|at| rest.split_at_checked(at)).ok_or_else(incomplete)?;
        let runs = if repeat.is_empty() { None } else { Some(runs(repeat)?) };
        let period = Period::parse(period.trim_start_matches('/'))?;
        if period.is_zero() && runs.is_none_or(|runs| runs > 1) {
            return Err(ScheduleError::new(
                "period",
                "all runs would be at the same moment",
                "a length of at least a second, for example `PT1H`, or one run: `R1`",
            ));
        }
        let start = if start.is_empty() {
            Start::at(first_seen, zone.unwrap_or(TimeZone::UTC))
        } else {
            Start::parse(start, zone)?
        };
        Ok(Self { runs, start, period })
    }

    pub(super) const fn start(&self) -> Timestamp {
        self.start.instant()
    }

    pub(super) const fn runs(&self) -> Option<u64> {
        self.runs
    }

    pub(super) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let start = self.start();
        if after < start {
            return Some(start);
        }
        let usual = self.period.usual_milliseconds();
        if usual == 0 {
            return None;
        }
        let elapsed = after.as_millisecond() - start.as_millisecond();
        // The calendar strays from its average by days, and a zone may cross the date line, so the guess is wrong by a
        // few periods at most, whatever the start. Lengths of time are met at once.
        let mut number = (elapsed / usual).max(1);
        while number > 1 && self.slot(number - 1).is_none_or(|slot| slot > after) {
            number -= 1;
        }
        loop {
            let slot = self.slot(number)?;
            if slot > after {
                return Some(slot);
            }
            number += 1;
        }
    }

    /// The slot of this number, counted from 0 at the start; none beyond the year 9999.
    fn slot(&self, number: i64) -> Option<Timestamp> {
        let Period { months, days, milliseconds } = self.period;
        let begun = if months == 0 && days == 0 {
            self.start()
        } else {
            let span = Span::new().try_months(months.checked_mul(number)?).ok()?;
            let span = span.try_days(days.checked_mul(number)?).ok()?;
            let local = self.start.local().checked_add(span).ok()?;
            self.start.zone().to_timestamp(local).ok()?
        };
        begun.checked_add(SignedDuration::from_millis(milliseconds.checked_mul(number)?)).ok()
    }
}

fn runs(digits: &str) -> Result<u64, ScheduleError> {
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
    number.ok_or_else(|| {
        let problem = format!("`{}` is no number of runs", shown(digits));
        ScheduleError::new("repetition", problem, "`R` for ever, or `R` and a whole number, for example `R5`")
    })
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("R")?;
        if let Some(runs) = self.runs {
            write!(f, "{runs}")?;
        }
        write!(f, "/{}/{}", self.start, self.period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_that_goes_back_over_the_date_line_loses_no_slot() {
        // From +13 to -12 in March.
        let zone = TimeZone::posix("AAA-13BBB12,M3.2.0,M11.1.0").unwrap();
        let start = Start::at("2026-01-01T00:00:00Z".parse().unwrap(), zone);
        let interval = Interval { runs: None, start, period: Period::parse("P1D").unwrap() };
        let mut after = interval.start();
        for number in 1..300 {
            let slot = interval.slot(number).unwrap();
            assert_eq!(interval.next_after(after), Some(slot), "{number}");
            let just_before = Timestamp::from_nanosecond(slot.as_nanosecond() - 1).unwrap();
            assert_eq!(interval.next_after(just_before), Some(slot), "{number}");
            after = slot;
        }
    }
}
