//! Cron lines: `*/5 9-17 * * MON-FRI`.
//!
//! Owns what a line means in its time zone, and the search for the next slot through stretches of constant offset. The
//! fields' syntax is in `cron::field`.

mod field;

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::{Timestamp, tz::Offset, tz::TimeZone};

use super::error::{ScheduleError, shown};
use super::zone;
use field::{DAY_OF_MONTH, DAY_OF_WEEK, Days, HOUR, MINUTE, MONTH};

const EXPECTED: &str = "five fields of cron such as `*/5 * * * *`, a name such as `@hourly`, or a repeating interval such \
                        as `R/2026-01-01T00:00:00Z/PT1H`";
const NAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];
const EVERY_HOUR: u64 = (1 << 24) - 1;
/// After this many years the calendar repeats, days of the week included: what has not come by then never comes.
const CYCLE: i16 = 400;

/// A cron line in its zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    /// The five fields, as they were written.
    text: String,
    zone: TimeZone,
    minutes: u64,
    hours: u64,
    days: Days,
    months: u64,
}

impl Cron {
    /// `zone` overrides that of the text.
    pub(super) fn parse(text: &str, zone: Option<TimeZone>) -> Result<Self, ScheduleError> {
        let (prefix, line) = match text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ=")) {
            Some(rest) => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
            None => ("", text),
        };
        let written = (!prefix.is_empty()).then(|| zone::named(prefix)).transpose()?;
        let zone = zone.or(written).unwrap_or(TimeZone::UTC);
        let line = line.trim();
        let line =
            NAMES.iter().find(|(name, _)| line.eq_ignore_ascii_case(name)).map_or(line, |(_, line)| line);
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [minute, hour, day_of_month, month, day_of_week] = fields.as_slice() else {
            let problem = match fields.as_slice() {
                [] => "it is empty".to_owned(),
                [name] if name.starts_with('@') => format!("`{}` is no name that is known", shown(name)),
                [_] => "it has one field".to_owned(),
                fields if fields.len() == 6 => "it has six fields, and seconds are not supported".to_owned(),
                fields => format!("it has {} fields", fields.len()),
            };
            return Err(ScheduleError::new("cron", problem, EXPECTED));
        };
        let cron = Self {
            text: fields.join(" "),
            zone,
            minutes: MINUTE.read(minute)?,
            hours: HOUR.read(hour)?,
            days: Days::read(&DAY_OF_MONTH, day_of_month, &DAY_OF_WEEK, day_of_week)?,
            months: MONTH.read(month)?,
        };
        if cron.next_local(Date::constant(1970, 1, 1).to_datetime(Time::midnight())).is_none() {
            let expected = "a day that comes, for example `L` for the last day of the month";
            return Err(ScheduleError::new(
                DAY_OF_MONTH.name,
                "no month of those named has such a day",
                expected,
            ));
        }
        Ok(cron)
    }

    pub(super) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        // Slots are whole seconds, so the fraction of `after` decides nothing.
        let mut after = if after < Timestamp::UNIX_EPOCH { -1 } else { after.as_second() };
        loop {
            let stretch = Stretch::holding(&self.zone, after + 1)?;
            if let Some(slot) = self.next_within(&stretch, after) {
                return Timestamp::from_second(slot).ok();
            }
            after = stretch.until? - 1;
        }
    }

    /// The first slot after `after` that this stretch of constant offset brings about.
    fn next_within(&self, stretch: &Stretch, after: i64) -> Option<i64> {
        let Stretch { from, until, offset, before } = *stretch;
        let by_real_hours = self.hours == EVERY_HOUR;
        let mut earliest = after + 1 + offset;
        if !by_real_hours && before > offset {
            // The clock was set back: these times of day have come already.
            earliest = earliest.max(from + before);
        }
        let plain = self.next_second(earliest).map(|local| local - offset);
        let plain = plain.filter(|slot| until.is_none_or(|until| *slot < until));
        if by_real_hours || before >= offset {
            return plain;
        }
        // The clock was set forward: times of day that were skipped are met by the offset from before.
        let skipped =
            self.next_second((after + 1 + before).max(from + before)).filter(|local| *local < from + offset);
        plain.into_iter().chain(skipped.map(|local| local - before)).min()
    }

    /// [`Self::next_local`] in seconds of the local clock.
    fn next_second(&self, earliest: i64) -> Option<i64> {
        let whole_minute = (earliest + 59).div_euclid(60) * 60;
        let from = Offset::UTC.to_datetime(Timestamp::from_second(whole_minute).ok()?);
        Some(Offset::UTC.to_timestamp(self.next_local(from)?).ok()?.as_second())
    }

    /// The first minute from this one on that the fields name, on a clock that is never set.
    fn next_local(&self, from: DateTime) -> Option<DateTime> {
        let horizon = from.year().saturating_add(CYCLE);
        let mut date = from.date();
        let mut earliest = (bit(from.hour()), bit(from.minute()));
        while date.year() <= horizon {
            if self.months >> bit(date.month()) & 1 == 0 {
                date = date.last_of_month();
            } else if self.days.hold(date)
                && let Some(time) = self.time_from(earliest)
            {
                return Some(date.to_datetime(time));
            }
            date = date.tomorrow().ok()?;
            earliest = (0, 0);
        }
        None
    }

    fn time_from(&self, (hour, minute): (u32, u32)) -> Option<Time> {
        let this_hour = (self.hours >> hour & 1 == 1).then(|| next_bit(self.minutes, minute)).flatten();
        let (hour, minute) = match this_hour {
            Some(minute) => (hour, minute),
            None => (next_bit(self.hours, hour + 1)?, next_bit(self.minutes, 0)?),
        };
        Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0).ok()
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.zone != TimeZone::UTC {
            write!(f, "CRON_TZ={} ", zone::name(&self.zone))?;
        }
        f.write_str(&self.text)
    }
}

/// A stretch of time in which a zone's offset does not change. All in seconds.
struct Stretch {
    /// When it began: the Unix time of the transition.
    from: i64,
    /// When it ends.
    until: Option<i64>,
    /// Local time less universal time.
    offset: i64,
    /// The same before it began.
    before: i64,
}

impl Stretch {
    fn holding(zone: &TimeZone, second: i64) -> Option<Self> {
        let at = Timestamp::from_second(second).ok()?;
        let offset = i64::from(zone.to_offset(at).seconds());
        let until = zone.following(at).next().map(|transition| transition.timestamp().as_second());
        let next = Timestamp::from_second(second + 1).ok()?;
        let from = zone.preceding(next).next().map(|transition| transition.timestamp().as_second());
        let Some(from) = from else {
            return Some(Self { from: i64::MIN / 4, until, offset, before: offset });
        };
        let before = zone.to_offset(Timestamp::from_second(from - 1).ok()?);
        Some(Self { from, until, offset, before: i64::from(before.seconds()) })
    }
}

/// The first bit that is set, from this one on.
fn next_bit(bits: u64, from: u32) -> Option<u32> {
    let rest = bits.checked_shr(from)?;
    (rest != 0).then(|| from + rest.trailing_zeros())
}

/// A part of a date or time as the number of its bit.
fn bit(part: i8) -> u32 {
    u32::try_from(part).unwrap_or_default()
}
