//! Both syntaxes against brute force: every minute around changes of the clock is looked at, and every run of an interval
//! is added up by the date library.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::schedule::Schedule;

/// Zones with an overlap, gaps by half an hour, at midnight and of a whole day, and none at all; and a moment whose next
/// change of the clock is of interest.
const PLACES: [(&str, &str); 12] = [
    ("America/New_York", "2024-01-01T00:00:00Z"),
    ("America/New_York", "2024-06-01T00:00:00Z"),
    ("Europe/Paris", "2026-01-01T00:00:00Z"),
    ("Europe/Paris", "2026-06-01T00:00:00Z"),
    ("Australia/Lord_Howe", "2024-01-01T00:00:00Z"),
    ("Australia/Lord_Howe", "2024-06-01T00:00:00Z"),
    ("America/Sao_Paulo", "2018-10-01T00:00:00Z"),
    ("America/Sao_Paulo", "2018-12-01T00:00:00Z"),
    ("America/Havana", "2024-06-01T00:00:00Z"),
    ("Pacific/Apia", "2011-10-01T00:00:00Z"),
    ("Asia/Kolkata", "2024-02-28T00:00:00Z"),
    ("UTC", "2023-12-31T12:00:00Z"),
];
const NAMES_OF_DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The text of a field, the values that it names, and whether it begins with a star.
#[derive(Debug, Clone)]
struct Named {
    text: String,
    values: Vec<i8>,
    is_star: bool,
}

fn every(least: i8, most: i8) -> impl Strategy<Value = Named> {
    Just(Named { text: "*".to_owned(), values: (least..=most).collect(), is_star: true })
}

fn field(least: i8, most: i8) -> impl Strategy<Value = Named> {
    let all: Vec<i8> = (least..=most).collect();
    let list = subsequence(all, 1..=4).prop_map(|values| {
        let texts: Vec<String> = values.iter().map(i8::to_string).collect();
        Named { text: texts.join(","), values, is_star: false }
    });
    let range = (least..=most, least..=most, 1_i8..=5).prop_map(|(a, b, step)| {
        let (from, to) = (a.min(b), a.max(b));
        let values = (from..=to).step_by(usize::try_from(step).unwrap()).collect();
        Named { text: format!("{from}-{to}/{step}"), values, is_star: false }
    });
    let steps = (2_i8..=6).prop_map(move |step| {
        let values = (least..=most).step_by(usize::try_from(step).unwrap()).collect();
        Named { text: format!("*/{step}"), values, is_star: true }
    });
    prop_oneof![3 => every(least, most), 2 => list, 2 => range, 1 => steps]
}

#[derive(Debug, Clone)]
struct Line {
    minute: Named,
    hour: Named,
    day: Named,
    month: Named,
    weekday: Named,
}

impl Line {
    fn text(&self) -> String {
        let Self { minute, hour, day, month, weekday } = self;
        format!("{} {} {} {} {}", minute.text, hour.text, day.text, month.text, weekday.text)
    }

    fn names(&self, local: DateTime) -> bool {
        let by_month = self.day.values.contains(&local.day());
        let by_week = self.weekday.values.contains(&local.weekday().to_sunday_zero_offset());
        let is_day = match (self.day.is_star, self.weekday.is_star) {
            (false, false) => by_month || by_week,
            _ => by_month && by_week,
        };
        is_day
            && self.minute.values.contains(&local.minute())
            && self.hour.values.contains(&local.hour())
            && self.month.values.contains(&local.month())
    }
}

fn line() -> impl Strategy<Value = Line> {
    let weekday = prop_oneof![
        3 => field(0, 6),
        1 => select(NAMES_OF_DAYS.to_vec()).prop_map(|name| {
            let day = NAMES_OF_DAYS.iter().position(|day| *day == name).unwrap();
            Named { text: name.to_owned(), values: vec![i8::try_from(day).unwrap()], is_star: false }
        }),
    ];
    // Most clocks are changed at night, and a line that names another month says nothing about that.
    let night = subsequence((0..=4).chain(22..=23).collect::<Vec<i8>>(), 1..=5).prop_map(|values| {
        let texts: Vec<String> = values.iter().map(i8::to_string).collect();
        Named { text: texts.join(","), values, is_star: false }
    });
    let hour = prop_oneof![3 => night, 2 => field(0, 23)];
    let day = prop_oneof![3 => every(1, 31), 2 => field(1, 31)];
    let month = prop_oneof![5 => every(1, 12), 1 => field(1, 12)];
    let weekday = prop_oneof![2 => every(0, 6), 1 => weekday];
    (field(0, 59), hour, day, month, weekday).prop_map(|(minute, hour, day, month, weekday)| Line {
        minute,
        hour,
        day,
        month,
        weekday,
    })
}

/// Every slot of the hours around a moment, each minute tried.
fn by_hand(line: &Line, zone: &TimeZone, from: Timestamp, until: Timestamp) -> BTreeSet<Timestamp> {
    let is_within = |slot: &Timestamp| *slot > from && *slot <= until;
    if line.hour.values.len() == 24 {
        let minutes = from.as_second().div_euclid(60)..=until.as_second().div_euclid(60);
        let instants = minutes.map(|minute| Timestamp::from_second(minute * 60).unwrap());
        return instants.filter(|it| line.names(zone.to_datetime(*it))).filter(is_within).collect();
    }
    // Every minute of a wall clock that is never set, a day longer at both ends than any change of the clock.
    let first = zone.to_datetime(from).checked_sub(50.hours()).unwrap();
    let first = first.with().second(0).subsec_nanosecond(0).build().unwrap();
    let last = zone.to_datetime(until).checked_add(50.hours()).unwrap();
    first
        .series(1.minute())
        .take_while(|local| *local <= last)
        .filter(|local| line.names(*local))
        .map(|local| zone.to_ambiguous_timestamp(local).compatible().unwrap())
        .filter(is_within)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn cron_agrees_with_every_minute_looked_at_around_changes_of_the_clock(
        line in line(),
        place in select(PLACES.to_vec()),
        before in 0_i64..26 * 3600,
    ) {
        let (name, moment) = place;
        let zone = TimeZoneDatabase::bundled().get(name).unwrap();
        let moment: Timestamp = moment.parse().unwrap();
        let change = zone.following(moment).next().map_or(moment, |change| change.timestamp());
        let from = change.checked_sub(before.seconds()).unwrap();
        let until = from.checked_add(52.hours()).unwrap();
        let Ok(schedule) = Schedule::parse(&line.text(), Some(name), from) else {
            // Days such as the 31st of two short months.
            let never = (1..=12).all(|month| !line.month.values.contains(&month)
                || line.day.values.iter().all(|day| *day > if month == 2 { 29 } else { 30 }));
            prop_assert!(never, "{} was refused", line.text());
            return Ok(());
        };
        let mut found = Vec::new();
        let mut after = from;
        while let Some(slot) = schedule.next_after(after).filter(|slot| *slot <= until) {
            prop_assert!(slot > after);
            found.push(slot);
            after = slot;
        }
        let expected: Vec<Timestamp> = by_hand(&line, &zone, from, until).into_iter().collect();
        prop_assert_eq!(found, expected, "{} in {}", line.text(), name);
    }

    #[test]
    fn an_interval_has_exactly_the_slots_that_whole_periods_from_its_start_give(
        place in select(PLACES.to_vec()),
        begun in 0_i64..40 * 3600,
        years_before in 0_i64..40,
        (months, days, minutes) in (0_i64..14, 0_i64..40, 0_i64..3000),
        unit in 0_u8..4,
        skipped in 0_i64..400,
    ) {
        let (months, days, minutes) = match unit {
            0 => (months.max(1), 0, 0),
            1 => (0, days.max(1), 0),
            2 => (0, 0, minutes.max(1)),
            _ => (months, days, minutes.max(1)),
        };
        let zone = TimeZoneDatabase::bundled().get(place.0).unwrap();
        let moment: Timestamp = place.1.parse().unwrap();
        let change = zone.following(moment).next().map_or(moment, |change| change.timestamp());
        let start = change.checked_sub(begun.seconds()).unwrap().to_zoned_datetime(zone);
        let start = start.checked_sub(years_before.years()).unwrap();
        let text = format!("R/{}[{}]/P{months}M{days}DT{minutes}M", start.timestamp().display_with_offset(start.offset()), place.0);
        let schedule = Schedule::parse(&text, None, moment).unwrap();
        let number = |number: i64| {
            let calendar = start.datetime().checked_add((months * number).months().days(days * number)).unwrap();
            let is_length = months == 0 && days == 0 || number == 0;
            let begun = if is_length { start.clone() } else { calendar.to_zoned_datetime(start.time_zone().clone()).unwrap() };
            begun.timestamp().checked_add((minutes * number).minutes()).unwrap()
        };
        let expected: BTreeSet<Timestamp> = (skipped..skipped + 20).map(number).collect();
        let (first, last) = (*expected.first().unwrap(), *expected.last().unwrap());
        let mut after = Timestamp::from_second(first.as_second() - 1).unwrap();
        let mut found = BTreeSet::new();
        while let Some(slot) = schedule.next_after(after).filter(|slot| *slot <= last) {
            prop_assert!(slot > after);
            found.insert(slot);
            after = slot;
        }
        prop_assert_eq!(found, expected, "{}", text);
    }
}
