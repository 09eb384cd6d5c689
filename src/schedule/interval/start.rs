//! The start of an interval: `2026-01-01T09:00:00+01:00`.
//!
//! Owns the forms of dates and times that Joda-Time's parser takes, as far as anybody writes them, and what they mean in
//! which zone.

use std::fmt;

use jiff::civil::{Date, DateTime, ISOWeekDate, Time, Weekday};
use jiff::{Timestamp, tz::Offset, tz::TimeZone};

use super::period::thousandths;
use crate::schedule::error::{ScheduleError, shown};
use crate::schedule::zone;

const FIELD: &str = "start";
const EXPECTED: &str = "nothing, or a date and a time of day, for example `2026-01-01T09:00:00Z`";

/// A moment, and the wall clock by which the calendar goes on from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    instant: Timestamp,
    local: DateTime,
    zone: TimeZone,
}

impl Start {
    /// This moment, without what is less than a millisecond, and 1970 where the clock is before that.
    pub(super) fn at(instant: Timestamp, zone: TimeZone) -> Self {
        let whole = Timestamp::from_millisecond(instant.as_millisecond().max(0)).unwrap_or(instant);
        Self { instant: whole, local: zone.to_datetime(whole), zone }
    }

    /// `zone` overrides that of the text, and leaves date and time of day as they stand.
    pub(super) fn parse(text: &str, zone: Option<TimeZone>) -> Result<Self, ScheduleError> {
        let wrong =
            |problem: &str| ScheduleError::new(FIELD, format!("`{}` {problem}", shown(text)), EXPECTED);
        let (moment, annotation) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
            Some((moment, name)) => (moment, Some(zone::named(name)?)),
            None => (text, None),
        };
        let moment = moment.to_ascii_uppercase();
        let (date, time) = moment.split_once('T').unwrap_or((&moment, ""));
        let (clock, offset) = match time.find(['Z', '+', '-']).and_then(|at| time.split_at_checked(at)) {
            Some((clock, "Z")) => (clock, Some(Offset::UTC)),
            Some((clock, offset)) => {
                // An hour of one digit is for names of zones alone.
                let read = zone::offset(offset).filter(|_| offset.len() > 2);
                (clock, Some(read.ok_or_else(|| wrong("has no offset such as `Z` or `+01:00` at its end"))?))
            }
            None => (time, None),
        };
        if clock.split(':').nth(2).is_some_and(|second| second.starts_with("60")) {
            return Err(wrong("is a leap second, which no clock here counts"));
        }
        let date = day(date).ok_or_else(|| wrong("has no date of the calendar"))?;
        let local = date.to_datetime(time_of_day(clock).ok_or_else(|| wrong("has no time of day"))?);
        let (instant, zone) = match (zone, annotation, offset) {
            (Some(zone), _, _) | (None, Some(zone), None) => (zone.to_timestamp(local), zone),
            (None, Some(zone), Some(offset)) => (offset.to_timestamp(local), zone),
            (None, None, offset) => {
                let zone = zone::fixed(offset.unwrap_or(Offset::UTC));
                (zone.to_timestamp(local), zone)
            }
        };
        let instant = instant.map_err(|_| wrong("is out of range"))?;
        if instant < Timestamp::UNIX_EPOCH {
            return Err(wrong("is before 1970"));
        }
        let is_skipped = || zone.to_ambiguous_timestamp(local).compatible().is_ok_and(|it| it == instant);
        if zone.to_datetime(instant) != local && !is_skipped() {
            return Err(wrong("has an offset that its time zone does not have then"));
        }
        Ok(Self { instant, local, zone })
    }

    pub(super) const fn instant(&self) -> Timestamp {
        self.instant
    }

    /// Date and time of day as they are written, also where a gap skips them.
    pub(super) const fn local(&self) -> DateTime {
        self.local
    }

    pub(super) const fn zone(&self) -> &TimeZone {
        &self.zone
    }
}

impl fmt::Display for Start {
    /// The offset stands beside the name of a zone only where the time of day comes twice.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.zone.iana_name(), self.zone.to_fixed_offset()) {
            (_, Ok(offset)) if offset.is_zero() => write!(f, "{}", self.instant),
            (Some(name), _) if self.zone.to_timestamp(self.local).is_ok_and(|it| it == self.instant) => {
                write!(f, "{}[{name}]", self.local)
            }
            (name, _) => {
                write!(f, "{}", self.instant.display_with_offset(self.zone.to_offset(self.instant)))?;
                name.map_or(Ok(()), |name| write!(f, "[{name}]"))
            }
        }
    }
}

/// `2026-01-31`, `2026-01`, `2026`, and by week or day of the year: `2026-W05-6`, `2026-W05`, `2026-031`.
fn day(text: &str) -> Option<Date> {
    let parts: Vec<&str> = text.split('-').collect();
    let (year, rest) = parts.split_first()?;
    let year = number(year, 4)?;
    match *rest {
        [] => Date::new(year, 1, 1).ok(),
        [day] if day.len() == 3 && !day.starts_with('W') => {
            Date::new(year, 1, 1).ok()?.with().day_of_year(number(day, 3)?).build().ok()
        }
        [week] if week.starts_with('W') => week_day(year, week, 1),
        [week, day] if week.starts_with('W') => week_day(year, week, narrow(number(day, 1)?)?),
        [month] => Date::new(year, narrow(number(month, 2)?)?, 1).ok(),
        [month, day] => Date::new(year, narrow(number(month, 2)?)?, narrow(number(day, 2)?)?).ok(),
        _ => None,
    }
}

fn week_day(year: i16, week: &str, day: i8) -> Option<Date> {
    let week = narrow(number(week.strip_prefix('W')?, 2)?)?;
    let day = Weekday::from_monday_one_offset(day).ok()?;
    Some(ISOWeekDate::new(year, week, day).ok()?.date())
}

/// `09`, `09:30`, `09:30:00`, `09:30:00.250`; nothing is midnight.
fn time_of_day(text: &str) -> Option<Time> {
    if text.is_empty() {
        return Some(Time::midnight());
    }
    let mut parts = text.split(':');
    let hour = parts.next()?;
    let minute = parts.next().unwrap_or("00");
    let second = parts.next().unwrap_or("00");
    let (second, fraction) = match second.split_once(['.', ',']) {
        Some((second, fraction)) => (second, thousandths(fraction)?),
        None => (second, 0),
    };
    if parts.next().is_some() {
        return None;
    }
    let two = |text: &str| narrow(number(text, 2)?);
    let nanosecond = i32::try_from(fraction * 1_000_000).ok()?;
    Time::new(two(hour)?, two(minute)?, two(second)?, nanosecond).ok()
}

/// A number of exactly this many digits.
fn number(text: &str, digits: usize) -> Option<i16> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn narrow(number: i16) -> Option<i8> {
    i8::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, zone: Option<&str>) -> String {
        let start = Start::parse(text, zone.map(|zone| zone::named(zone).unwrap())).unwrap();
        assert_eq!(Start::parse(&start.to_string(), None).unwrap(), start, "{text} is shown as {start}");
        start.instant().to_string()
    }

    #[test]
    fn dates_and_times_are_read_in_every_usual_form() {
        let table = [
            ("2008-03-01T13:00:00Z", "2008-03-01T13:00:00Z"),
            ("2008-03-01t13:00:00z", "2008-03-01T13:00:00Z"),
            ("2008-03-01T13:00:00.250Z", "2008-03-01T13:00:00.25Z"),
            ("2008-03-01T13:00:00,2509999Z", "2008-03-01T13:00:00.25Z"),
            ("2008-03-01T13:00:00-04:00", "2008-03-01T17:00:00Z"),
            ("2008-03-01T13:00+0530", "2008-03-01T07:30:00Z"),
            ("2008-03-01T13+01", "2008-03-01T12:00:00Z"),
            ("2008-03-01T13", "2008-03-01T13:00:00Z"),
            ("2008-03-01", "2008-03-01T00:00:00Z"),
            ("2008-03", "2008-03-01T00:00:00Z"),
            ("2008", "2008-01-01T00:00:00Z"),
            ("2008-061", "2008-03-01T00:00:00Z"),
            ("2008-W09-6T13:00Z", "2008-03-01T13:00:00Z"),
            ("2008-W09", "2008-02-25T00:00:00Z"),
            ("2008-03-01T13:00:00[Europe/Paris]", "2008-03-01T12:00:00Z"),
            ("2008-03-01T13:00:00[Etc/UTC]", "2008-03-01T13:00:00Z"),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ];
        for (text, expected) in table {
            assert_eq!(read(text, None), expected, "{text}");
        }
    }

    #[test]
    fn a_zone_that_is_set_apart_overrides_the_one_in_the_text() {
        for text in ["2008-03-01T13:00:00Z", "2008-03-01T13:00:00-04:00", "2008-03-01T13:00:00[Asia/Tokyo]"] {
            assert_eq!(read(text, Some("Europe/Paris")), "2008-03-01T12:00:00Z", "{text}");
        }
    }

    #[test]
    fn a_time_that_comes_twice_is_the_first_unless_its_offset_says_otherwise() {
        assert_eq!(read("2024-11-03T01:30:00[America/New_York]", None), "2024-11-03T05:30:00Z");
        assert_eq!(read("2024-11-03T01:30:00-05:00[America/New_York]", None), "2024-11-03T06:30:00Z");
        assert_eq!(read("2024-11-03T01:30:00", Some("America/New_York")), "2024-11-03T05:30:00Z");
    }

    #[test]
    fn a_time_in_a_gap_is_later_by_the_gap() {
        assert_eq!(read("2024-03-10T02:30:00", Some("America/New_York")), "2024-03-10T07:30:00Z");
    }

    #[test]
    fn an_offset_with_seconds_reads_back() {
        assert_eq!(read("1971-12-31T23:00:00", Some("Africa/Monrovia")), "1971-12-31T23:44:30Z");
    }

    #[test]
    fn what_is_no_start_is_refused_with_an_example() {
        for text in [
            "tomorrow",
            "2008-13-01",
            "2007-02-29",
            "2008-366T00:00Z1",
            "2007-366",
            "2008-W54",
            "2008-3-1",
            "08-03-01",
            "20080301T130000Z",
            "2008-03-01T24:00Z",
            "2008-03-01T13:60Z",
            "2008-03-01T1:00Z",
            "2008-03-01T13:00:00:00Z",
            "2008-03-01T13:00:00+1",
            "2008-03-01T13:00:00+25:00",
            "2008-03-01 13:00:00Z",
            "1969-12-31T23:59:59Z",
            "2008-03-01T13:00:00+05:00[Europe/Paris]",
            "９999-01-01",
        ] {
            let error = Start::parse(text, None).unwrap_err();
            assert_eq!(error.field(), FIELD, "{text}");
            assert!(error.to_string().contains("`2026-01-01T09:00:00Z`"), "{text}: {error}");
        }
        let error = Start::parse("2016-12-31T23:59:60Z", None).unwrap_err().to_string();
        assert!(error.contains("leap second"), "{error}");
        assert_eq!(Start::parse("2008-03-01[Mars/Phobos]", None).unwrap_err().field(), zone::FIELD);
    }
}
