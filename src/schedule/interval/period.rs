//! The period of an interval: `P1M`, `P1DT12H`, `PT90S`.
//!
//! Owns its syntax, which is that of Joda-Time's standard period as far as lengths are positive. Knows no calendar.

use std::fmt;

use crate::schedule::error::{ScheduleError, shown};

const FIELD: &str = "period";
const EXPECTED: &str =
    "years, months, weeks, days, then `T`, hours, minutes, seconds, for example `P1M` or `P1DT12H`";
const DAY: i64 = 86_400_000;
/// A 400-year cycle of the calendar has 146,097 days and 4,800 months.
const USUAL_MONTH: i64 = 146_097 * DAY / 4_800;
/// With this many digits no sum of parts leaves the range of `i64`.
const MOST_DIGITS: usize = 9;

/// A length in units that do not turn into each other: a month has no fixed number of days, nor a day of hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    /// Years count as twelve.
    pub(super) months: i64,
    /// Weeks count as seven.
    pub(super) days: i64,
    /// Hours, minutes and seconds.
    pub(super) milliseconds: i64,
}

impl Period {
    /// `P` alone is a period of nothing, which one run needs no more than.
    pub(super) fn parse(text: &str) -> Result<Self, ScheduleError> {
        let wrong =
            |problem: &str| ScheduleError::new(FIELD, format!("`{}` {problem}", shown(text)), EXPECTED);
        let upper = text.to_ascii_uppercase();
        let body = upper.strip_prefix('P').ok_or_else(|| wrong("does not begin with `P`"))?;
        let (date, time) = body.split_once('T').unwrap_or((body, ""));
        let mut period = Self { months: 0, days: 0, milliseconds: 0 };
        let units = [('Y', 12), ('M', 1), ('W', 7), ('D', 1)];
        for (designator, number, fraction) in parts(date, "YMWD").ok_or_else(|| wrong("is no period"))? {
            if fraction.is_some() {
                return Err(wrong("has a fraction, which only seconds may have"));
            }
            let factor = units.iter().find(|(unit, _)| *unit == designator).map_or(0, |(_, factor)| *factor);
            let sum = if matches!(designator, 'Y' | 'M') { &mut period.months } else { &mut period.days };
            *sum += number * factor;
        }
        for (designator, number, fraction) in parts(time, "HMS").ok_or_else(|| wrong("is no period"))? {
            if fraction.is_some() && designator != 'S' {
                return Err(wrong("has a fraction, which only seconds may have"));
            }
            let factor = match designator {
                'H' => 3_600_000,
                'M' => 60_000,
                _ => 1_000,
            };
            period.milliseconds += number * factor + fraction.unwrap_or_default();
        }
        let is_short = period.months == 0 && period.days == 0 && (1..1_000).contains(&period.milliseconds);
        if is_short { Err(wrong("is less than a second")) } else { Ok(period) }
    }

    pub(super) const fn is_zero(self) -> bool {
        self.months == 0 && self.days == 0 && self.milliseconds == 0
    }

    /// How long it is on the average, in milliseconds.
    pub(super) const fn usual_milliseconds(self) -> i64 {
        self.months
            .saturating_mul(USUAL_MONTH)
            .saturating_add(self.days.saturating_mul(DAY))
            .saturating_add(self.milliseconds)
    }
}

/// Numbers with their designators, and thousandths of those that have a fraction. Designators come in this order, each
/// once at most.
fn parts(text: &str, designators: &str) -> Option<Vec<(char, i64, Option<i64>)>> {
    let mut parts = Vec::new();
    let mut allowed = designators;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, tail) = rest.split_at_checked(end)?;
        let designator = tail.chars().next()?;
        allowed = allowed.split_once(designator)?.1;
        let (whole, fraction) = match number.split_once(['.', ',']) {
            Some((whole, fraction)) => (whole, Some(thousandths(fraction)?)),
            None => (number, None),
        };
        let is_number = whole.len() <= MOST_DIGITS && whole.bytes().all(|b| b.is_ascii_digit());
        parts.push((designator, is_number.then(|| whole.parse().ok())??, fraction));
        rest = tail.get(1..)?;
    }
    Some(parts)
}

/// The thousandths of a decimal fraction, cut off like Joda-Time cuts off.
pub(super) fn thousandths(digits: &str) -> Option<i64> {
    let is_fraction = (1..=MOST_DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    is_fraction.then(|| format!("{digits:0<3}").get(..3)?.parse().ok()).flatten()
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |f: &mut fmt::Formatter<'_>, number: i64, designator: char| {
            if number == 0 { Ok(()) } else { write!(f, "{number}{designator}") }
        };
        if self.is_zero() {
            return f.write_str("PT0S");
        }
        f.write_str("P")?;
        part(f, self.months / 12, 'Y')?;
        part(f, self.months % 12, 'M')?;
        if self.days % 7 == 0 {
            part(f, self.days / 7, 'W')?;
        } else {
            part(f, self.days, 'D')?;
        }
        if self.milliseconds == 0 {
            return Ok(());
        }
        f.write_str("T")?;
        part(f, self.milliseconds / 3_600_000, 'H')?;
        part(f, self.milliseconds / 60_000 % 60, 'M')?;
        let (seconds, thousandths) = (self.milliseconds / 1_000 % 60, self.milliseconds % 1_000);
        if thousandths == 0 { part(f, seconds, 'S') } else { write!(f, "{seconds}.{thousandths:03}S") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (i64, i64, i64) {
        let period = Period::parse(text).unwrap();
        assert_eq!(Period::parse(&period.to_string()).unwrap(), period, "{text} is shown as {period}");
        (period.months, period.days, period.milliseconds)
    }

    #[test]
    fn periods_of_all_units_are_read_and_read_back() {
        assert_eq!(read("P1Y2M3W4DT5H6M7.008S"), (14, 25, 18_367_008));
        assert_eq!(read("P1M"), (1, 0, 0));
        assert_eq!(read("PT1M"), (0, 0, 60_000));
        assert_eq!(read("P1W"), (0, 7, 0));
        assert_eq!(read("PT24H"), (0, 0, DAY), "a length of time, not a day");
        assert_eq!(read("P1DT12H"), (0, 1, DAY / 2));
        assert_eq!(read("p1dt1s"), (0, 1, 1_000));
        assert_eq!(read("PT1,5S"), (0, 0, 1_500));
        assert_eq!(read("PT1.0019S"), (0, 0, 1_001));
        assert_eq!(read("PT60M"), (0, 0, 3_600_000));
        for nothing in ["P", "PT", "PT0S", "P0D"] {
            assert_eq!(read(nothing), (0, 0, 0));
        }
    }

    #[test]
    fn what_is_no_period_is_refused_with_an_example() {
        for text in [
            "P1",
            "PD",
            "P1D1Y",
            "P1D2D",
            "PT1D",
            "P1H",
            "P-1D",
            "P+1D",
            "P1.5D",
            "PT1.5H",
            "PT1.S",
            "PT.5S",
            "P1DT1",
            "P1DTT1H",
            "P 1D",
            "P1é",
            "PT0.5S",
            "PT1234567890S",
            "P1X",
        ] {
            let error = Period::parse(text).unwrap_err();
            assert_eq!(error.field(), FIELD);
            assert!(error.to_string().contains("`P1DT12H`"), "{text}: {error}");
        }
    }
}
