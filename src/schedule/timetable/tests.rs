use jiff::ToSpan;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::schedule::tests::processor_time;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn hourly(missed: &str) -> Timetable {
    let schedule = Schedule::parse("R/2026-01-01T00:00:00Z/PT1H", None, at("2026-01-01T00:00:00Z")).unwrap();
    Timetable { missed: missed.parse().unwrap(), ..Timetable::new(schedule) }
}

fn ran(last_slot: &str) -> Progress {
    let slot = at(last_slot);
    Progress { last_slot: Some(slot), runs: 1, last_started: Some(slot), ..Progress::new(slot) }
}

fn hours(slots: &[Timestamp]) -> Vec<i64> {
    slots.iter().map(|slot| slot.as_second() / 3600 % 24).collect()
}

#[test]
fn a_slot_is_due_from_its_time_on_and_once() {
    let timetable = hourly("once");
    let before = timetable.due(&ran("2026-05-01T10:00:00Z"), at("2026-05-01T10:59:59.999Z"));
    assert_eq!((hours(&before.slots), before.next), (vec![], Some(at("2026-05-01T11:00:00Z"))));
    let on_time = timetable.due(&ran("2026-05-01T10:00:00Z"), at("2026-05-01T11:00:00Z"));
    assert_eq!((hours(&on_time.slots), on_time.next), (vec![11], Some(at("2026-05-01T12:00:00Z"))));
    assert_eq!((on_time.through, on_time.first_passed_over), (Some(at("2026-05-01T11:00:00Z")), None));
    let after = timetable.due(&ran("2026-05-01T11:00:00Z"), at("2026-05-01T11:00:00.020Z"));
    assert_eq!(hours(&after.slots), Vec::<i64>::new());
}

#[test]
fn after_a_gap_the_policy_says_what_is_run() {
    let now = at("2026-05-01T15:30:00Z");
    let table: [(&str, &[i64], Option<i64>); 5] = [
        ("skip", &[], Some(11)),
        ("once", &[15], Some(11)),
        ("all", &[11, 12, 13, 14, 15], None),
        ("all:2", &[14, 15], Some(11)),
        ("all:1", &[15], Some(11)),
    ];
    for (missed, slots, passed_over) in table {
        let due = hourly(missed).due(&ran("2026-05-01T10:00:00Z"), now);
        assert_eq!(hours(&due.slots), slots, "{missed}");
        assert_eq!(due.first_passed_over.map(|slot| hours(&[slot])[0]), passed_over, "{missed}");
        assert_eq!(due.through, Some(at("2026-05-01T15:00:00Z")), "{missed}");
        assert_eq!(due.next, Some(at("2026-05-01T16:00:00Z")), "{missed}");
    }
}

#[test]
fn being_a_little_late_is_not_missing() {
    let due = hourly("skip").due(&ran("2026-05-01T10:00:00Z"), at("2026-05-01T11:00:59Z"));
    assert_eq!(hours(&due.slots), [11]);
    let due = hourly("skip").due(&ran("2026-05-01T09:00:00Z"), at("2026-05-01T11:00:30Z"));
    assert_eq!(hours(&due.slots), [11], "the one before is missed");
    assert_eq!(due.first_passed_over, Some(at("2026-05-01T10:00:00Z")));
}

#[test]
fn a_gap_of_decades_is_dealt_with_at_once() {
    for text in ["R/1970-01-02T00:00:00Z/PT1S", "* * * * *", "30 2 * * *", "R/1970-01-31/P1M"] {
        let schedule = Schedule::parse(text, Some("Europe/Paris"), at("1970-01-01T00:00:00Z")).unwrap();
        let timetable = Timetable { missed: "all:3".parse().unwrap(), ..Timetable::new(schedule.clone()) };
        let now = at("2026-05-01T10:00:00.5Z");
        let mut due = None;
        let taken = processor_time(|| due = Some(timetable.due(&ran("1970-06-01T00:00:00Z"), now)));
        let due = due.unwrap();
        assert!(taken < Duration::from_millis(250), "{text}: {taken:?}");
        assert_eq!(due.slots.len(), 3, "{text}");
        for pair in due.slots.windows(2) {
            assert_eq!(schedule.next_after(pair[0]), Some(pair[1]), "{text}");
        }
        assert!(due.slots[2] <= now && schedule.next_after(due.slots[2]).unwrap() > now, "{text}");
    }
}

#[test]
fn an_interval_that_began_before_it_was_seen_is_due_at_once_and_once() {
    let now = at("2026-05-01T10:20:00Z");
    for missed in ["once", "all"] {
        let due = hourly(missed).due(&Progress::new(now), now);
        assert_eq!((hours(&due.slots), due.next), (vec![10], Some(at("2026-05-01T11:00:00Z"))), "{missed}");
    }
    let due = hourly("skip").due(&Progress::new(now), now);
    assert_eq!((hours(&due.slots), due.next), (vec![], Some(at("2026-05-01T11:00:00Z"))));
    let cron = Timetable::new(Schedule::parse("@hourly", None, now).unwrap());
    let due = cron.due(&Progress::new(now), now);
    assert_eq!(
        (hours(&due.slots), due.next),
        (vec![], Some(at("2026-05-01T11:00:00Z"))),
        "cron has no start"
    );
    let now_once = Timetable::new(Schedule::parse("R1//P", None, now).unwrap());
    let due = now_once.due(&Progress::new(now), now);
    assert_eq!((due.slots, due.next), (vec![now], None));
}

#[test]
fn the_runs_of_rn_are_used_up_by_runs_and_not_by_slots_that_were_missed() {
    let schedule = Schedule::parse("R3/2026-05-01T00:00:00Z/PT1H", None, at("2026-05-01T00:00:00Z")).unwrap();
    let timetable = Timetable { missed: "all".parse().unwrap(), ..Timetable::new(schedule) };
    let mut progress = ran("2026-05-01T00:00:00Z");
    let due = timetable.due(&progress, at("2026-05-01T09:30:00Z"));
    assert_eq!((hours(&due.slots), due.next), (vec![8, 9], None), "two are left, and the last are run");
    progress.runs = 2;
    let due = timetable.due(&progress, at("2026-05-01T00:30:00Z"));
    assert_eq!((hours(&due.slots), due.next), (vec![], Some(at("2026-05-01T01:00:00Z"))));
    progress.runs = 3;
    progress.failing = true;
    let timetable = Timetable { while_failing: Some(Duration::from_mins(1)), ..timetable };
    let due = timetable.due(&progress, at("2026-05-01T09:30:00Z"));
    assert_eq!((due.slots, due.between_slots, due.next, due.through), (vec![], false, None, None));
}

#[test]
fn a_clock_that_is_set_back_repeats_no_slot() {
    let due = hourly("all").due(&ran("2026-05-02T10:00:00Z"), at("2026-05-01T10:30:00Z"));
    assert_eq!((hours(&due.slots), due.next), (vec![], Some(at("2026-05-02T11:00:00Z"))));
}

#[test]
fn a_last_slot_is_out_of_reach_beyond_the_interval_and_an_hour() {
    let now = at("2026-05-01T10:00:00Z");
    let is_reached = |schedule: &str, last_slot: &str| {
        let timetable = Timetable::new(Schedule::parse(schedule, None, now).unwrap());
        let found = timetable.out_of_reach(&ran(last_slot), now);
        assert!(found.is_none_or(|slot| slot == at(last_slot)));
        found.is_none()
    };
    for (schedule, last_slot) in [
        ("* * * * *", "2026-05-01T09:59:00Z"),
        ("* * * * *", "2026-05-01T11:00:00Z"),
        ("0 * * * *", "2026-05-01T11:00:00Z"),
        ("0 0 * * *", "2026-05-02T00:00:00Z"),
        ("R//P1D", "2026-05-02T10:00:00Z"),
        ("R/2027-01-01T00:00:00Z/P1Y", "2027-01-01T00:00:00Z"),
    ] {
        assert!(is_reached(schedule, last_slot), "{schedule} {last_slot}");
    }
    for (schedule, last_slot) in [
        ("* * * * *", "2026-05-01T11:01:00Z"),
        ("* * * * *", "2027-05-01T10:00:00Z"),
        ("0 * * * *", "2026-05-01T12:00:00Z"),
        ("0 0 * * *", "2026-05-03T00:00:00Z"),
        ("R//P1D", "2026-05-03T10:00:00Z"),
        // It began when it was first seen, under the clock that was ahead.
        ("R/2027-05-01T10:00:00Z/PT1H", "2027-05-01T10:00:00Z"),
    ] {
        assert!(!is_reached(schedule, last_slot), "{schedule} {last_slot}");
    }
    let over = Timetable::new(Schedule::parse("R1//PT1H", None, now).unwrap());
    let progress = Progress { runs: 1, ..ran("2027-05-01T10:00:00Z") };
    assert_eq!(over.out_of_reach(&progress, now), None, "nothing is to come");
    let unseen = Progress::new(at("2027-05-01T10:00:00Z"));
    assert_eq!(hourly("once").out_of_reach(&unseen, now), None, "no slot was run");
}

#[test]
fn the_splay_puts_off_every_slot_by_the_same() {
    let timetable = Timetable { splay: Duration::from_secs(42), ..hourly("once") };
    let due = timetable.due(&ran("2026-05-01T10:00:00Z"), at("2026-05-01T11:00:41Z"));
    assert_eq!((hours(&due.slots), due.next), (vec![], Some(at("2026-05-01T11:00:42Z"))));
    let due = timetable.due(&ran("2026-05-01T10:00:00Z"), at("2026-05-01T11:00:42Z"));
    assert_eq!((hours(&due.slots), due.next), (vec![11], Some(at("2026-05-01T12:00:42Z"))));
    let skip = Timetable { missed: Missed::Skip, ..timetable };
    let due = skip.due(&ran("2026-05-01T10:00:00Z"), at("2026-05-01T11:01:41Z"));
    assert_eq!(hours(&due.slots), [11], "the grace begins with the splay's end");
}

#[test]
fn while_failing_runs_come_between_the_slots_and_the_slots_are_kept() {
    let timetable = Timetable { while_failing: Some(Duration::from_mins(25)), ..hourly("once") };
    let mut progress = Progress { failing: true, ..ran("2026-05-01T10:00:00Z") };
    let next = |progress: &Progress, now: &str| {
        let due = timetable.due(progress, at(now));
        (hours(&due.slots), due.between_slots, due.next)
    };
    assert_eq!(next(&progress, "2026-05-01T10:01:00Z"), (vec![], false, Some(at("2026-05-01T10:25:00Z"))));
    let slot = Some(at("2026-05-01T11:00:00Z"));
    assert_eq!(next(&progress, "2026-05-01T10:25:00Z"), (vec![], true, slot));
    progress.last_started = Some(at("2026-05-01T10:50:00Z"));
    assert_eq!(next(&progress, "2026-05-01T10:51:00Z"), (vec![], false, slot), "the slot comes first");
    assert_eq!(next(&progress, "2026-05-01T11:20:00Z").0, [11]);
    progress.failing = false;
    assert_eq!(next(&progress, "2026-05-01T10:51:00Z"), (vec![], false, slot));
}

#[test]
fn while_failing_a_run_in_the_future_keeps_nobody_waiting() {
    let timetable = Timetable { while_failing: Some(Duration::ZERO), ..hourly("once") };
    let progress = Progress { failing: true, ..ran("2027-05-01T10:00:00Z") };
    let due = timetable.due(&progress, at("2026-05-01T10:00:00Z"));
    assert_eq!((due.between_slots, due.next), (false, Some(at("2026-05-01T10:00:01Z"))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_clock_does_slots_are_run_in_order_and_never_twice(
        text in select(vec!["*/5 * * * *", "@hourly", "30 2 * * *", "R/2026-03-01T00:00:00Z/PT7M", "R9/2026-03-28/PT1H"]),
        missed in select(vec!["skip", "once", "all:3"]),
        splay in 0_u64..100_000,
        jumps in proptest::collection::vec(prop_oneof![4 => 0_i64..4_000, 1 => -90_000_i64..90_000], 1..60),
    ) {
        let mut now = at("2026-03-28T12:00:00Z");
        let schedule = Schedule::parse(text, Some("Europe/Paris"), now).unwrap();
        let timetable = Timetable {
            missed: missed.parse().unwrap(),
            splay: Duration::from_millis(splay),
            ..Timetable::new(schedule.clone())
        };
        let mut progress = Progress::new(now);
        let mut run: Vec<Timestamp> = Vec::new();
        for jump in jumps {
            now = now.checked_add(jump.seconds()).unwrap();
            let due = timetable.due(&progress, now);
            for slot in &due.slots {
                prop_assert!(run.last().is_none_or(|last| last < slot), "{} again", slot);
                prop_assert!(slot.checked_add(timetable.splay).unwrap() <= now, "{} is early", slot);
                run.push(*slot);
            }
            // Nothing is left behind: what comes next is still to come.
            prop_assert!(due.next.is_none_or(|next| next > now));
            if let (Some(next), Some(through)) = (due.next, due.through) {
                prop_assert_eq!(schedule.next_after(through).unwrap().checked_add(timetable.splay).unwrap(), next);
            }
            progress.runs += u64::try_from(due.slots.len()).unwrap();
            progress.last_slot = due.through.or(progress.last_slot);
        }
        prop_assert!(schedule.runs().is_none_or(|runs| progress.runs <= runs));
    }

    #[test]
    fn a_caller_who_asks_when_it_is_told_to_misses_nothing(splay in 0_u64..3_000_000, hours in 1_usize..50) {
        let timetable = Timetable { splay: Duration::from_millis(splay), missed: Missed::Skip, ..hourly("skip") };
        let mut progress = ran("2026-05-01T00:00:00Z");
        let mut now = at("2026-05-01T00:00:00.250Z");
        let mut run = Vec::new();
        while run.len() < hours {
            let due = timetable.due(&progress, now);
            run.extend(due.slots.iter().map(|slot| slot.as_second() / 3600));
            progress.last_slot = due.through.or(progress.last_slot);
            now = due.next.unwrap();
        }
        prop_assert!(run.windows(2).all(|pair| pair[1] == pair[0] + 1), "{:?}", run);
    }
}
