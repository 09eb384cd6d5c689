//! When a probe runs: repeating intervals as Chronos reads them, and cron lines, each in a time zone.
//!
//! Owns both syntaxes, the search for the next slot, splay, and what becomes of slots that were missed. Pure: `now` is
//! an argument, time zones are those built into the program. Starts nothing, waits for nothing and stores nothing.

mod cron;
mod error;
mod interval;
pub mod splay;
pub mod timetable;
mod zone;

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use cron::Cron;
pub use error::ScheduleError;
use interval::Interval;

/// The slots in which a probe is to run. Cheap to clone, and `Display` gives a text that reads back as the same.
///
/// # Syntax
///
/// - `R[n]/[start]/period`, an ISO-8601 repeating interval as Chronos 3 reads it. `R` repeats for ever, `Rn` gives `n`
///   runs, `R0` none. An empty start is the moment at which the schedule was first seen. A start without offset is in
///   the schedule's zone, and in UTC where that has none. Beyond Chronos, a start may name its zone as RFC 9557 does:
///   `R/2026-01-01T09:00:00[Europe/Paris]/P1D`. `R1//P` is one run at once.
/// - A cron line of five fields: minute, hour, day of month, month, day of week. Each takes `*`, `?`, numbers, names
///   (`JAN`, `MON`), ranges, steps and lists; day of month also `L` (the last), day of week also `5L` (the last Friday)
///   and `5#2` (the second Friday). Also `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly`,
///   `@annually`. A zone may stand before it: `CRON_TZ=Europe/Paris 0 9 * * MON-FRI`.
///
/// A zone that is set apart from the text (`scheduleTimeZone` of Chronos) overrides the zone in the text: what the text
/// says stays as it is on the wall clock, and is read in the other zone.
///
/// # Days of month and week
///
/// As in Vixie's cron: where both fields are restricted, a day that either of them names is enough. A field that begins
/// with `*` or `?` is not restricted, and then both have to hold.
///
/// # Calendar and clock
///
/// - Intervals are reckoned from their start, never from the last run: 31 January and `P1M` give the last day of
///   February and then 31 March. 29 February and `P1Y` give 28 February in common years.
/// - Years, months, weeks and days follow the calendar of the schedule's zone, and keep the time of day. Hours, minutes
///   and seconds are lengths of time: `P1D` is always at nine, `PT24H` is at ten after the clock went forward.
/// - A local time that a DST gap skips is taken later by the length of the gap: 02:30 is run at 03:30. A local time that
///   comes twice is run the first time only. Runs that fall on the same instant that way are one.
/// - A cron line that asks for every hour follows the real hours instead: it runs in both of the hours that come twice,
///   and there is nothing to make up for the hour that is skipped.
/// - Leap seconds do not exist here: `23:59:60` is refused, as Chronos refuses it, and Unix time does not count them.
/// - There are no slots before 1970 and none after the year 9999. A cron line that names no day at all
///   (`0 0 30 2 *`) is refused.
///
/// A clock that is set back repeats nothing where the last slot is known: see [`timetable`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Interval(Interval),
    Cron(Cron),
}

impl Schedule {
    /// Reads either syntax. `zone` is a zone that is set apart from the text; empty is the same as none. `first_seen` is
    /// the start of an interval that has none: the caller keeps it, or what `Display` gives, across restarts.
    pub fn parse(text: &str, zone: Option<&str>, first_seen: Timestamp) -> Result<Self, ScheduleError> {
        let text = text.trim();
        let zone = zone.map(str::trim).filter(|zone| !zone.is_empty()).map(zone::named).transpose();
        let read = zone.and_then(|zone| {
            if text.starts_with('R') {
                Interval::parse(text, zone, first_seen).map(Kind::Interval)
            } else {
                Cron::parse(text, zone).map(Kind::Cron)
            }
        });
        read.map(Self).map_err(|error| error.of(text))
    }

    /// The first slot strictly after `after`, as if the number of runs were without limit; none where there is no
    /// further slot. Costs the same whether the interval began yesterday or in 1970.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Kind::Interval(interval) => interval.next_after(after),
            Kind::Cron(cron) => cron.next_after(after),
        }
    }

    /// The times between a slot and the next one, from the first slot after `after` on.
    pub fn gaps(&self, after: Timestamp) -> impl Iterator<Item = Duration> + '_ {
        let mut slot = self.next_after(after);
        std::iter::from_fn(move || {
            let (this, next) = (slot?, self.next_after(slot?));
            slot = next;
            Duration::try_from(this.duration_until(next?)).ok()
        })
    }

    /// The first slot of an interval. A cron line has no first.
    #[must_use]
    pub fn start(&self) -> Option<Timestamp> {
        match &self.0 {
            Kind::Interval(interval) => Some(interval.start()),
            Kind::Cron(_) => None,
        }
    }

    /// How many runs there are to be; none where there is no limit. As in Chronos it is runs that count: slots that
    /// passed without one do not.
    #[must_use]
    pub fn runs(&self) -> Option<u64> {
        match &self.0 {
            Kind::Interval(interval) => interval.runs(),
            Kind::Cron(_) => None,
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Interval(interval) => interval.fmt(f),
            Kind::Cron(cron) => cron.fmt(f),
        }
    }
}
