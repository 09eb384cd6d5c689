mod chronos_vectors;
mod oracle;

use std::time::Duration;

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const NOW: &str = "2026-11-27T12:00:00Z";
const ZONES: [&str; 8] = [
    "",
    "UTC",
    "America/New_York",
    "Europe/Paris",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kolkata",
    "GMT-03:30",
];

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The processor time that this takes, which does not depend on what else the machine does.
pub(in crate::schedule) fn processor_time(work: impl FnOnce()) -> Duration {
    let clock = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let begun = clock();
    work();
    clock().saturating_sub(begun)
}

fn schedule(text: &str, zone: &str) -> Schedule {
    Schedule::parse(text, Some(zone), at(NOW)).unwrap()
}

/// The next slots after a moment, by the wall clock of the zone.
fn slots(text: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = schedule(text, zone);
    let zone = if zone.is_empty() { jiff::tz::TimeZone::UTC } else { zone::named(zone).unwrap() };
    let next = |after: &Timestamp| schedule.next_after(*after);
    let slots = std::iter::successors(next(&at(after)), next).take(count);
    slots.map(|slot| slot.display_with_offset(zone.to_offset(slot)).to_string()).collect()
}

#[test]
fn the_end_of_a_month_is_reckoned_from_the_start_and_does_not_drift() {
    assert_eq!(
        slots("R/2024-01-31T09:00:00Z/P1M", "", "2024-01-01T00:00:00Z", 5),
        [
            "2024-01-31T09:00:00+00:00",
            "2024-02-29T09:00:00+00:00",
            "2024-03-31T09:00:00+00:00",
            "2024-04-30T09:00:00+00:00",
            "2024-05-31T09:00:00+00:00"
        ]
    );
}

#[test]
fn a_leap_day_is_kept_for_leap_years() {
    assert_eq!(
        slots("R/2024-02-29T00:00:00Z/P1Y", "", "2026-12-01T00:00:00Z", 2),
        ["2027-02-28T00:00:00+00:00", "2028-02-29T00:00:00+00:00"]
    );
    assert_eq!(
        slots("0 0 29 2 *", "", "2096-03-01T00:00:00Z", 2),
        ["2104-02-29T00:00:00+00:00", "2108-02-29T00:00:00+00:00"]
    );
}

#[test]
fn a_day_keeps_the_time_of_day_and_twenty_four_hours_do_not() {
    let (start, zone) = ("2026-03-28T09:00:00", "Europe/Paris");
    assert_eq!(
        slots(&format!("R/{start}/P1D"), zone, "2026-03-28T12:00:00Z", 1),
        ["2026-03-29T09:00:00+02:00"]
    );
    assert_eq!(
        slots(&format!("R/{start}/PT24H"), zone, "2026-03-28T12:00:00Z", 1),
        ["2026-03-29T10:00:00+02:00"]
    );
    assert_eq!(
        slots(&format!("R/{start}/P1DT12H"), zone, "2026-03-28T12:00:00Z", 2),
        ["2026-03-29T21:00:00+02:00", "2026-03-31T09:00:00+02:00"]
    );
    assert_eq!(
        slots(&format!("R/{start}+01:00/P1D"), "", "2026-03-28T12:00:00Z", 1),
        ["2026-03-29T08:00:00+00:00"],
        "an offset is a zone that never changes"
    );
}

#[test]
fn a_time_in_a_gap_is_run_later_by_the_gap() {
    let expected = ["2026-03-28T02:30:00+01:00", "2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"];
    let after = "2026-03-28T00:00:00Z";
    assert_eq!(slots("R/2026-01-01T02:30:00/P1D", "Europe/Paris", after, 3), expected);
    assert_eq!(slots("30 2 * * *", "Europe/Paris", after, 3), expected);
    assert_eq!(
        slots("30 2,3 * * *", "Europe/Paris", "2026-03-28T12:00:00Z", 2),
        ["2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"],
        "two times of day at the same instant are one slot"
    );
}

#[test]
fn a_time_that_comes_twice_is_run_once() {
    let expected = ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"];
    let after = "2026-10-24T12:00:00Z";
    assert_eq!(slots("R/2026-01-01T02:30:00/P1D", "Europe/Paris", after, 2), expected);
    assert_eq!(slots("30 2 * * *", "Europe/Paris", after, 2), expected);
}

#[test]
fn every_hour_means_every_real_hour() {
    assert_eq!(
        slots("@hourly", "Europe/Paris", "2026-10-24T23:30:00Z", 4),
        [
            "2026-10-25T02:00:00+02:00",
            "2026-10-25T02:00:00+01:00",
            "2026-10-25T03:00:00+01:00",
            "2026-10-25T04:00:00+01:00"
        ]
    );
    assert_eq!(
        slots("@hourly", "Europe/Paris", "2026-03-28T23:30:00Z", 3),
        ["2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"]
    );
}

#[test]
fn a_day_that_a_zone_leaves_out_does_not_run_twice_the_day_after() {
    assert_eq!(
        slots("R/2011-12-01T08:00:00/P1D", "Pacific/Apia", "2011-12-29T17:00:00Z", 3),
        ["2011-12-29T08:00:00-10:00", "2011-12-31T08:00:00+14:00", "2012-01-01T08:00:00+14:00"]
    );
}

#[test]
fn day_of_month_or_day_of_week_is_enough_where_both_are_restricted() {
    assert_eq!(
        slots("0 12 13 * FRI", "", "2026-11-01T00:00:00Z", 3),
        ["2026-11-06T12:00:00+00:00", "2026-11-13T12:00:00+00:00", "2026-11-20T12:00:00+00:00"]
    );
    assert_eq!(
        slots("0 12 13 * ?", "", "2026-11-01T00:00:00Z", 2),
        ["2026-11-13T12:00:00+00:00", "2026-12-13T12:00:00+00:00"]
    );
    assert_eq!(
        slots("0 12 */13 * FRI", "", "2026-11-01T00:00:00Z", 1),
        ["2026-11-27T12:00:00+00:00"],
        "a star is no restriction: both hold"
    );
}

#[test]
fn the_words_of_cron_are_read() {
    let table = [
        ("@daily", "2026-11-28T00:00:00+00:00"),
        ("@midnight", "2026-11-28T00:00:00+00:00"),
        ("@weekly", "2026-11-29T00:00:00+00:00"),
        ("@Monthly", "2026-12-01T00:00:00+00:00"),
        ("@yearly", "2027-01-01T00:00:00+00:00"),
        ("@annually", "2027-01-01T00:00:00+00:00"),
        ("  5   *\t* * *  ", "2026-11-27T12:05:00+00:00"),
        ("0 0 * feb mon-wed", "2027-02-01T00:00:00+00:00"),
        ("0 0 * * 7", "2026-11-29T00:00:00+00:00"),
        ("0 0 * * sat-sun", "2026-11-28T00:00:00+00:00"),
        ("0 0 * * FRI-SUN/2", "2026-11-29T00:00:00+00:00"),
        ("40/10 12 * * *", "2026-11-27T12:40:00+00:00"),
        ("0 0 L * *", "2026-11-30T00:00:00+00:00"),
        ("0 0 L 2 *", "2027-02-28T00:00:00+00:00"),
        ("0 0 * * 5L", "2027-01-29T00:00:00+00:00"),
        ("0 0 * * TUE#5", "2026-12-29T00:00:00+00:00"),
        ("0 0 1,L * 7#1", "2026-11-30T00:00:00+00:00"),
        ("0 */24 * * *", "2026-11-28T00:00:00+00:00"),
        ("CRON_TZ=Asia/Tokyo 0 9 * * *", "2026-11-28T00:00:00+00:00"),
        ("TZ=GMT+09:00 @daily", "2026-11-27T15:00:00+00:00"),
    ];
    for (text, expected) in table {
        let after = if text.contains("5L") { "2026-12-26T00:00:00Z" } else { NOW };
        assert_eq!(slots(text, "", after, 1), [expected], "{text}");
    }
    assert_eq!(
        slots("CRON_TZ=Asia/Tokyo 0 9 * * *", "Europe/Paris", NOW, 1),
        ["2026-11-28T09:00:00+01:00"],
        "a zone that is set apart overrides"
    );
}

#[test]
fn what_cannot_be_read_names_its_field_and_an_example() {
    let table = [
        ("", "", "cron", "it is empty"),
        ("FOO", "", "cron", "R/2026-01-01T00:00:00Z/PT1H"),
        ("* * * *", "", "cron", "it has 4 fields"),
        ("0 0 * * * *", "", "cron", "seconds are not supported"),
        ("@reboot", "", "cron", "`@reboot` is no name"),
        ("60 * * * *", "", "minute", "`60` is out of range"),
        ("*/0 * * * *", "", "minute", "no step from 1 to 60"),
        ("*/90 * * * *", "", "minute", "no step from 1 to 60"),
        ("5- * * * *", "", "minute", "`5-` is not understood"),
        ("1,,2 * * * *", "", "minute", "`` is not understood"),
        ("* 24 * * *", "", "hour", "`24` is out of range"),
        ("* 17-9 * * *", "", "hour", "`17-9` ends before it begins"),
        ("* * 0 * *", "", "day of month", "`0` is out of range"),
        ("* * 15W * *", "", "day of month", "`15W` is not understood"),
        ("0 0 30 2 *", "", "day of month", "no month of those named"),
        ("0 0 */31 * 5#2", "", "day of month", "no month of those named"),
        ("* * * 13 *", "", "month", "`13` is out of range"),
        ("* * * JANUARY *", "", "month", "JAN to DEC"),
        ("* * * * 8", "", "day of week", "`8` is out of range"),
        ("* * * * L", "", "day of week", "`L` is not understood"),
        ("* * * * MON#6", "", "day of week", "from 1 to 5"),
        ("* * * * *", "Mars/Phobos", "time zone", "`Europe/Paris`"),
        ("CRON_TZ=Mars/Phobos * * * * *", "", "time zone", "`GMT+02:00`"),
        ("R/2026-01-01T00:00:00Z", "", "interval", "R[n]/[start]/period"),
        ("R", "", "interval", "R[n]/[start]/period"),
        ("Rx//P1D", "", "repetition", "`R5`"),
        ("R-1//P1D", "", "repetition", "`R5`"),
        ("R99999999999999999999//P1D", "", "repetition", "`R5`"),
        ("R/yesterday/P1D", "", "start", "`2026-01-01T09:00:00Z`"),
        ("R/2016-12-31T23:59:60Z/P1D", "", "start", "leap second"),
        ("R//P1X", "", "period", "`P1DT12H`"),
        ("R//P", "", "period", "all runs would be at the same moment"),
        ("R2//PT0S", "", "period", "all runs would be at the same moment"),
    ];
    for (text, zone, field, message) in table {
        let error = Schedule::parse(text, Some(zone), at(NOW)).unwrap_err();
        assert_eq!(error.field(), field, "{text}: {error}");
        assert!(error.to_string().contains(message), "{text}: {error}");
        assert!(error.to_string().contains("expected"), "{text}: {error}");
    }
    let error = Schedule::parse("\u{1b}[2J\n* * * *", None, at(NOW)).unwrap_err().to_string();
    assert!(!error.contains(['\u{1b}', '\n']), "{error:?}");
    let error = Schedule::parse(&"9".repeat(100_000), None, at(NOW)).unwrap_err().to_string();
    assert!(error.len() < 600, "{error}");
}

#[test]
fn an_empty_start_is_when_it_was_first_seen_and_stays_so_once_shown() {
    let first = Schedule::parse("R//PT1H", None, at("2026-01-01T00:10:00.5009Z")).unwrap();
    assert_eq!(first.to_string(), "R/2026-01-01T00:10:00.5Z/PT1H");
    let again = Schedule::parse(&first.to_string(), None, at(NOW)).unwrap();
    assert_eq!(again, first);
    assert_eq!(again.next_after(at("2026-01-01T01:00:00Z")), Some(at("2026-01-01T01:10:00.5Z")));
    let in_zone = Schedule::parse("R3//P1D", Some("Europe/Paris"), at("2026-10-25T01:30:00Z")).unwrap();
    assert_eq!(in_zone.to_string(), "R3/2026-10-25T02:30:00+01:00[Europe/Paris]/P1D");
    assert_eq!(Schedule::parse(&in_zone.to_string(), None, at(NOW)).unwrap(), in_zone);
    let dead_clock = Schedule::parse("R//P1D", None, at("1960-01-01T00:00:00Z")).unwrap();
    assert_eq!(Schedule::parse(&dead_clock.to_string(), None, at(NOW)).unwrap(), dead_clock);
}

#[test]
fn there_is_no_slot_before_1970_nor_after_the_year_9999() {
    for text in ["* * * * *", "30 2 * * *", "R/1970-01-01T00:00:00Z/PT1S", "R/1970-01-01T00:00:00Z/P1Y"] {
        let schedule = schedule(text, "");
        assert!(schedule.next_after(Timestamp::MIN).is_some_and(|slot| slot >= Timestamp::UNIX_EPOCH));
        assert_eq!(schedule.next_after(Timestamp::MAX), None, "{text}");
    }
    assert_eq!(schedule("R/2026-01-01/P999999999Y", "").next_after(at(NOW)), None);
}

#[test]
fn ten_thousand_questions_are_answered_within_half_a_second_in_a_debug_build() {
    let texts = [
        ("R/1970-01-01T00:00:01Z/PT1S", ""),
        ("R/1970-01-01T00:00:01Z/PT60S", "America/New_York"),
        ("R/1970-01-31T02:30:00Z/P1M", "America/New_York"),
        ("R/1970-01-31T02:30:00Z/P1D", "Europe/Paris"),
        ("* * * * *", "Europe/Paris"),
        ("* 0-22 * * *", "Australia/Lord_Howe"),
        ("0 9 * * MON-FRI", "America/New_York"),
        ("0 0 29 2 MON", ""),
    ];
    for (text, zone) in texts {
        let schedule = schedule(text, zone);
        let taken = processor_time(|| {
            let mut after = at(NOW);
            for _ in 0..10_000 {
                let next = schedule.next_after(after).unwrap();
                assert!(next > after);
                after = if next.as_second() > 4_000_000_000 { at(NOW) } else { next };
            }
        });
        assert!(taken < Duration::from_millis(500), "{text}: {taken:?}");
    }
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    let period = (0_u32..3, 0_u32..14, 0_u32..3, 0_u32..40, 0_u32..50, 0_u32..90, 0_u32..100).prop_map(
        |(years, months, weeks, days, hours, minutes, seconds)| {
            let seconds =
                if years + months + weeks + days + hours + minutes == 0 { seconds.max(1) } else { seconds };
            format!("P{years}Y{months}M{weeks}W{days}DT{hours}H{minutes}M{seconds}S")
        },
    );
    let one = select(vec!["P1M", "P1Y", "P1W", "P1D", "P1DT12H", "PT1H", "PT1M", "PT1S", "PT1.5S", "PT24H"]);
    let period = prop_oneof![period, one.prop_map(str::to_owned)];
    let start = (0_i64..4_000_000_000_000).prop_map(|it| Timestamp::from_millisecond(it).unwrap());
    let interval = (proptest::option::of(1_u32..100), start, period).prop_map(|(runs, start, period)| {
        let runs = runs.map(|runs| runs.to_string()).unwrap_or_default();
        format!("R{runs}/{start}/{period}")
    });
    let cron = select(vec![
        "* * * * *",
        "*/7 * * * *",
        "30 2 * * *",
        "0,45 0-3 * * SUN",
        "15 */5 L * *",
        "0 0 29 2 *",
        "0 12 13 * FRI",
        "5 4 * * 5L",
        "5 4 ? JAN-MAR 1#1",
        "@yearly",
    ]);
    let text = prop_oneof![2 => interval, 1 => cron.prop_map(str::to_owned)];
    (text, select(ZONES.to_vec())).prop_map(|(text, zone)| schedule(&text, zone))
}

fn any_moment() -> impl Strategy<Value = Timestamp> {
    (0_i64..4_500_000_000_000).prop_map(|it| Timestamp::from_millisecond(it).unwrap())
}

proptest! {
    #[test]
    fn what_is_shown_reads_back_as_the_same(schedule in any_schedule()) {
        let shown = schedule.to_string();
        prop_assert_eq!(&Schedule::parse(&shown, None, at(NOW)).unwrap(), &schedule, "{}", shown);
    }

    #[test]
    fn the_next_slot_is_after_and_the_first_that_is(schedule in any_schedule(), after in any_moment(), part in 0.0_f64..1.0) {
        let Some(next) = schedule.next_after(after) else { return Ok(()) };
        prop_assert!(next > after);
        // From anywhere before the slot it is still the next, and it is not its own next.
        let between = after.checked_add(after.duration_until(next).mul_f64(part)).unwrap();
        if between < next {
            prop_assert_eq!(schedule.next_after(between), Some(next));
        }
        prop_assert!(schedule.next_after(next).is_none_or(|following| following > next));
    }

    #[test]
    fn later_questions_have_later_answers(schedule in any_schedule(), a in any_moment(), b in any_moment()) {
        if let (Some(first), Some(second)) = (schedule.next_after(a.min(b)), schedule.next_after(a.max(b))) {
            prop_assert!(first <= second);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*", zone in "\\PC{0,12}") {
        if let Ok(schedule) = Schedule::parse(&text, Some(&zone), at(NOW)) {
            prop_assert_eq!(&Schedule::parse(&schedule.to_string(), None, at(NOW)).unwrap(), &schedule);
        }
    }

    #[test]
    fn no_text_that_looks_like_a_schedule_makes_the_parser_panic(
        text in "(R[0-9]{0,3}/[0-9TZ:+.W-]{0,24}/P[0-9YMWDTHS.]{0,10})|([0-9*,/?#L-]{1,6} ){4}[0-9A-Z*#-]{1,5}",
        after in any_moment(),
    ) {
        if let Ok(schedule) = Schedule::parse(&text, None, at(NOW)) {
            prop_assert_eq!(&Schedule::parse(&schedule.to_string(), None, at(NOW)).unwrap(), &schedule);
            prop_assert!(schedule.next_after(after).is_none_or(|next| next > after));
        }
    }
}
