//! The fields of a cron line.
//!
//! Owns their syntax and ranges, and which days the two fields for days name together. Knows no time zone.

use jiff::civil::Date;

use crate::schedule::error::{ScheduleError, shown};

/// A field: what it is called, and what it may hold.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    least: u32,
    most: u32,
    /// Names of the values from `least` on.
    names: &'static [&'static str],
    expected: &'static str,
}

pub(super) const MINUTE: Field = Field {
    name: "minute",
    least: 0,
    most: 59,
    names: &[],
    expected: "0 to 59, `*`, ranges, steps and lists, for example `*/5` or `0,30`",
};
pub(super) const HOUR: Field = Field {
    name: "hour",
    least: 0,
    most: 23,
    names: &[],
    expected: "0 to 23, `*`, ranges, steps and lists, for example `9-17` or `*/2`",
};
pub(super) const DAY_OF_MONTH: Field = Field {
    name: "day of month",
    least: 1,
    most: 31,
    names: &[],
    expected: "1 to 31, `*`, `L`, ranges, steps and lists, for example `1,15` or `L`",
};
pub(super) const MONTH: Field = Field {
    name: "month",
    least: 1,
    most: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    expected: "1 to 12 or JAN to DEC, `*`, ranges, steps and lists, for example `JAN-MAR` or `*/3`",
};
/// Sunday is 0, and 7 at the end of a range.
pub(super) const DAY_OF_WEEK: Field = Field {
    name: "day of week",
    least: 0,
    most: 6,
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    expected: "0 to 7 or SUN to SAT, `*`, ranges, steps and lists, for example `MON-FRI`, `5L` or `5#2`",
};

impl Field {
    /// The values that the field names, as bits.
    pub(super) fn read(&self, text: &str) -> Result<u64, ScheduleError> {
        text.split(',').try_fold(0, |bits, item| Ok(bits | self.item(item)?))
    }

    /// `*`, `5`, `1-5`, each also with a step. From a single value steps lead to the end, as in Go's cron.
    fn item(&self, item: &str) -> Result<u64, ScheduleError> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(self.step(item, step)?)),
            None => (item, None),
        };
        let (first, last) = if matches!(range, "*" | "?") {
            (self.least, self.most)
        } else if let Some((first, last)) = range.split_once('-') {
            let (first, last) = (self.value(item, first)?, self.value(item, last)?);
            // Sunday ends a week as well as it begins one.
            let is_sunday_last = self.name == DAY_OF_WEEK.name && last == 0 && first > 0;
            (first, if is_sunday_last { 7 } else { last })
        } else {
            let first = self.value(item, range)?;
            (first, if step.is_some() { self.most.max(first) } else { first })
        };
        if first > last {
            return Err(self.wrong(item, "ends before it begins"));
        }
        let values = (first..=last).step_by(step.unwrap_or(1));
        let bits = values.fold(0_u64, |bits, value| bits | 1 << value);
        // A Sunday at the end of a range is the same as one at its beginning.
        Ok(if self.name == DAY_OF_WEEK.name { (bits | bits >> 7) & 0x7f } else { bits })
    }

    fn value(&self, item: &str, text: &str) -> Result<u32, ScheduleError> {
        if let Some(index) = self.names.iter().position(|name| text.eq_ignore_ascii_case(name)) {
            return u32::try_from(index)
                .map(|index| self.least + index)
                .map_err(|_| self.wrong(item, "is unknown"));
        }
        let Some(value) = digits(text) else {
            return Err(self.wrong(item, "is not understood"));
        };
        let most = if self.name == DAY_OF_WEEK.name { 7 } else { self.most };
        if (self.least..=most).contains(&value) {
            Ok(value)
        } else {
            Err(self.wrong(item, "is out of range"))
        }
    }

    fn step(&self, item: &str, text: &str) -> Result<usize, ScheduleError> {
        let most = self.most - self.least + 1;
        let step =
            digits(text).filter(|step| (1..=most).contains(step)).and_then(|step| usize::try_from(step).ok());
        step.ok_or_else(|| self.wrong(item, &format!("has no step from 1 to {most}")))
    }

    fn wrong(&self, item: &str, problem: &str) -> ScheduleError {
        ScheduleError::new(self.name, format!("`{}` {problem}", shown(item)), self.expected)
    }
}

fn digits(text: &str) -> Option<u32> {
    ((1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// The days that both fields for days name together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Days {
    /// Bits 1 to 31.
    of_month: u64,
    /// `L`
    last_of_month: bool,
    /// Bits 0 to 6.
    of_week: u64,
    /// `5#2` is bit 2 of the eight bits of day 5, `5L` is bit 0.
    nth_of_week: u64,
    /// Both fields are restricted: either is enough.
    either: bool,
}

impl Days {
    pub(super) fn read(
        month_field: &Field,
        of_month: &str,
        week_field: &Field,
        of_week: &str,
    ) -> Result<Self, ScheduleError> {
        let is_restricted = |text: &str| !text.starts_with(['*', '?']);
        let mut days = Self {
            of_month: 0,
            last_of_month: false,
            of_week: 0,
            nth_of_week: 0,
            either: is_restricted(of_month) && is_restricted(of_week),
        };
        for item in of_month.split(',') {
            if item.eq_ignore_ascii_case("L") {
                days.last_of_month = true;
            } else {
                days.of_month |= month_field.item(item)?;
            }
        }
        for item in of_week.split(',') {
            let last = item.strip_suffix(['L', 'l']).filter(|day| !day.is_empty());
            if let Some((day, nth)) = item.split_once('#') {
                let nth = digits(nth).filter(|nth| (1..=5).contains(nth));
                let nth = nth.ok_or_else(|| week_field.wrong(item, "has no number from 1 to 5 after `#`"))?;
                days.nth_of_week |= 1 << (week_field.value(item, day)? % 7 * 8 + nth);
            } else if let Some(day) = last {
                days.nth_of_week |= 1 << (week_field.value(item, day)? % 7 * 8);
            } else {
                days.of_week |= week_field.item(item)?;
            }
        }
        Ok(days)
    }

    pub(super) fn hold(&self, date: Date) -> bool {
        let (day, length) = (date.day(), date.days_in_month());
        let weekday = date.weekday().to_sunday_zero_offset();
        let has = |bits: u64, bit: i8| bits >> bit & 1 == 1;
        let by_month = has(self.of_month, day) || (self.last_of_month && day == length);
        let by_week = has(self.of_week, weekday)
            || has(self.nth_of_week, weekday * 8 + (day - 1) / 7 + 1)
            || (day + 7 > length && has(self.nth_of_week, weekday * 8));
        if self.either { by_month || by_week } else { by_month && by_week }
    }
}
