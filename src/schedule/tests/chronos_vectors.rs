//! The vectors of Chronos' own tests (`Iso8601ExpressionParserSpec`, `JobUtilsSpec`, `JobSchedulerSpec`), restated.

use jiff::{Span, Timestamp, ToSpan};

use crate::schedule::Schedule;
use crate::schedule::timetable::{Due, Progress, Timetable};

/// Where Chronos asks the clock, each of these is tried.
const NOWS: [&str; 6] = [
    "2013-02-27T12:00:00Z",
    "2024-02-29T08:15:00.123Z",
    "2024-03-01T00:00:02Z",
    "2025-10-26T00:30:00Z",
    "2026-11-27T23:59:59Z",
    "2026-12-31T23:59:59.999Z",
];

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn nows() -> impl Iterator<Item = Timestamp> {
    NOWS.into_iter().map(at)
}

fn plus(instant: Timestamp, span: Span) -> Timestamp {
    instant.to_zoned_datetime(jiff::tz::TimeZone::UTC).checked_add(span).unwrap().timestamp()
}

fn date(instant: Timestamp) -> jiff::civil::Date {
    jiff::tz::TimeZone::UTC.to_datetime(instant).date()
}

/// Repetitions, start and period, as `Iso8601Expressions.parse` gives them.
fn parse(text: &str, zone: &str) -> Option<(Option<u64>, Timestamp, String)> {
    let schedule = Schedule::parse(text, Some(zone), at(NOWS[0])).ok()?;
    let shown = schedule.to_string();
    let period = shown.rsplit('/').next().unwrap_or_default().to_owned();
    Some((schedule.runs(), schedule.start()?, period))
}

/// What `JobUtils.skipForward` makes of a job that is launched at `now`: runs that are left, and the next start.
fn skip_forward(text: &str, now: Timestamp) -> (Option<u64>, Timestamp) {
    let schedule = Schedule::parse(text, None, now).unwrap();
    let start = schedule.start().unwrap();
    let next = if start < now { schedule.next_after(now).unwrap_or(start) } else { start };
    (schedule.runs().map(|runs| runs.saturating_sub(1)), next)
}

fn due(text: &str, now: Timestamp) -> Due {
    let schedule = Schedule::parse(text, None, now).unwrap();
    Timetable::new(schedule).due(&Progress::new(now), now)
}

#[test]
fn expressions_mean_what_they_mean_to_chronos() {
    let start = at("2008-03-01T13:00:00Z");
    let day = || "P1D".to_owned();
    assert_eq!(parse("FOO", ""), None);
    assert_eq!(parse("R5/2008-03-01T13:00:00Z/P1D", ""), Some((Some(5), start, day())));
    assert_eq!(parse("R/2008-03-01T13:00:00Z/P1D", ""), Some((None, start, day())));
    assert_eq!(parse("R1//P1D", ""), Some((Some(1), at(NOWS[0]), day())));
    assert_eq!(parse("R1//P", ""), Some((Some(1), at(NOWS[0]), "PT0S".to_owned())));
    assert_eq!(parse("R/2008-03-01T13:00:00Z", "PST"), None);
}

#[test]
fn time_zones_mean_what_they_mean_to_chronos() {
    let table = [
        ("R/2008-03-01T13:00:00Z/P1D", "BST", "2008-03-01T13:00:00+06:00"),
        ("R/2008-03-01T13:00:00Z/P1D", "PST", "2008-03-01T13:00:00-08:00"),
        ("R/2008-03-01T13:00:00Z/P1D", "Europe/Paris", "2008-03-01T13:00:00+01:00"),
        ("R/2008-03-01T13:00:00-04:00/P1D", "PST", "2008-03-01T13:00:00-08:00"),
        ("R/2008-03-01/P1D", "PST", "2008-03-01T00:00:00-08:00"),
    ];
    for (text, zone, start) in table {
        assert_eq!(parse(text, zone), Some((None, at(start), "P1D".to_owned())), "{text} in {zone}");
    }
}

#[test]
fn schedules_of_the_documentation_and_the_integration_tests_are_read() {
    for text in [
        "R/2014-10-10T18:32:00Z/PT60M",
        "R10/2012-10-01T05:52:00Z/PT2S",
        "R/2014-09-25T17:22:00Z/PT2M",
        "R/2014-03-08T20:00:00.000Z/PT2H",
        "R/2016-12-05T22:00:00.000Z/P1D",
        "R/2016-12-05T22:00:00.000Z/PT1H",
        "R/2016-12-05T22:00:00.000Z/P1W",
        "R/2016-11-18T00:53:55.000Z/PT24H",
        "R1/2012-01-01T00:00:01.000Z/PT1M",
    ] {
        assert!(parse(text, "").is_some(), "{text}");
    }
}

#[test]
fn an_old_start_is_skipped_forward_in_whole_periods() {
    for now in nows() {
        // Chronos asks for today, which the last minute of a day does not have.
        let (left, next) = skip_forward("R/2012-01-01T00:00:01.000Z/PT1M", now);
        assert_eq!(left, None);
        assert!(next > now && next <= plus(now, 1.minute()), "{next}");
        assert_eq!(next.as_second() % 60, 1);

        let (_, next) = skip_forward("R/2012-01-01T00:00:01.000Z/P1M", now);
        assert!(next > now && date(next).day() == 1 && next <= plus(now, 31.days()), "{next}");

        let (left, next) = skip_forward(&format!("R/{}/P1D", plus(now, -1.day())), now);
        assert_eq!((left, date(next)), (None, date(plus(now, 1.day()))));

        let (left, next) = skip_forward(&format!("R/{}/P1Y", plus(now, -1.day())), now);
        assert_eq!((left, date(next)), (None, date(plus(now, -1.day())).saturating_add(1.year())));
    }
}

#[test]
fn a_start_in_the_future_and_a_start_now_are_not_skipped() {
    for now in nows() {
        let (_, next) = skip_forward(&format!("R/{}/PT1M", plus(now, 1.day())), now);
        assert_eq!(date(next), date(plus(now, 1.day())));
        for (text, left) in [("R1/NOW/P1D", 0), ("R3/NOW/P1D", 2), ("R1/NOW/PT1S", 0)] {
            let (found, next) = skip_forward(&text.replace("NOW", &now.to_string()), now);
            assert_eq!((found, date(next)), (Some(left), date(now)), "{text}");
        }
    }
}

#[test]
fn a_period_of_nothing_goes_nowhere() {
    for now in nows() {
        let yesterday = plus(now, -1.day());
        assert_eq!(skip_forward(&format!("R1/{yesterday}/PT0S"), now), (Some(0), yesterday));
        // From no runs Chronos counts down to -1, which it reads as for ever. Here none stays none.
        assert_eq!(skip_forward(&format!("R0/{yesterday}/PT0S"), now), (Some(0), yesterday));
        let none = due(&format!("R0/{yesterday}/PT0S"), now);
        assert_eq!((none.slots, none.next), (Vec::new(), None));
    }
}

#[test]
fn one_run_from_yesterday_by_the_second_is_skipped_to_today() {
    for now in nows() {
        let (left, next) = skip_forward(&format!("R1/{}/PT1S", plus(now, -1.day())), now);
        // Chronos asks for today, which the last second of a day does not have.
        assert_eq!((left, next), (Some(0), plus(now, 1.second())));
    }
}

#[test]
fn jobs_whose_start_has_passed_are_to_be_run_and_others_are_not() {
    for now in nows() {
        for start in ["2012-01-01", "2012-02-01", "2012-03-01"] {
            let found = due(&format!("R5/{start}T00:00:00.000Z/P1D"), now);
            assert_eq!(found.slots.len(), 1, "{found:?}");
            assert!(found.next.is_some_and(|next| next > now));
        }
        let next_year = plus(now, 1.year());
        let found = due(&format!("R5/{next_year}/P1D"), now);
        assert_eq!((found.slots, found.next), (Vec::new(), Some(next_year)));
    }
}

#[test]
fn the_time_to_wait_is_that_to_the_next_start() {
    for now in nows() {
        for hours in [1, 2] {
            let start = plus(now, Span::new().hours(hours));
            let found = due(&format!("R5/{start}/P1D"), now);
            assert_eq!((found.slots, found.next), (Vec::new(), Some(start)));
        }
        let none = due(&format!("R0/{now}/P1D"), now);
        assert_eq!((none.slots, none.next), (Vec::new(), None));
    }
}

#[test]
fn a_job_of_one_run_is_run_once() {
    for now in nows() {
        let text = "R1/2012-01-01T00:00:00.000Z/P1D";
        let found = due(text, now);
        assert_eq!((found.slots.len(), found.next), (1, None));
        let timetable = Timetable::new(Schedule::parse(text, None, now).unwrap());
        let progress = Progress { runs: 1, last_slot: found.through, ..Progress::new(now) };
        let later = timetable.due(&progress, plus(now, 7.days()));
        assert_eq!((later.slots, later.next), (Vec::new(), None));
    }
}
