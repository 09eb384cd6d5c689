use super::*;
use crate::report::progress::fixtures::step;
use crate::report::progress::suite::fixtures::{ended, preparing, queued, retry, started};
use crate::runner::event::{RunEvent, StepStatus};

const SIZE: Size = Size { rows: 20, columns: 60 };

fn shown(board: &mut Board, now: f64, size: Size) -> Vec<String> {
    let lines = lines(board, 0.0, now, size, Style { color: false, width: 200 });
    for line in &lines {
        assert!(line.width() <= size.columns, "{} columns: {line}", line.width());
    }
    lines
}

/// Eight tests at work of two hundred, some in each phase.
fn at_work() -> Board {
    let mut board = Board::default();
    board.follow(None, &queued(200, 8, Some(1000.0)), 0.0);
    for slot in 1..=8 {
        let name = format!("test-{slot}");
        board.follow(Some(&name), &preparing(&name, slot, Some(5.0)), 0.0);
    }
    let build = step("2/4", "RUN apt-get install -y a-rather-long-list of-packages", StepStatus::Started);
    board.follow(Some("test-2"), &build, 1.0);
    board.follow(Some("test-3"), &started("test-3", 1), 2.0);
    board.follow(None, &RunEvent::TestSlow { test: "test-3".to_owned(), attempt: 1, seconds: 8.0 }, 8.0);
    board.follow(Some("test-4"), &retry("test-4", 2, 3, 8.0), 9.0);
    board
}

#[test]
fn each_test_at_work_has_a_line_and_the_totals_stand_below() {
    let mut board = at_work();
    let starting = RunEvent::ServiceStarting { service: "db".to_owned(), image: "postgres:16".to_owned() };
    board.follow(None, &starting, 7.0);
    assert_eq!(
        shown(&mut board, 10.0, SIZE),
        [
            "⠋ db            starting postgres:16                      3s",
            "⠋ test-1        preparing                                10s",
            "⠋ test-2        building [2/4] RUN apt-get install …     10s",
            "⠋ test-3        running, slow                             8s",
            "⠋ test-4        attempt 2/3 in 7s                         1s",
            "⠋ test-5        preparing                                10s",
            "⠋ test-6        preparing                                10s",
            "⠋ test-7        preparing                                10s",
            "⠋ test-8        preparing                                10s",
            "0/200 done, 8 running  10s, about 2m left",
        ]
    );
}

#[test]
fn what_does_not_fit_the_height_is_counted_and_the_longest_at_work_are_shown() {
    let mut board = at_work();
    board.follow(Some("test-6"), &started("test-6", 1), 9.5);
    let lines = shown(&mut board, 10.0, Size { rows: 9, columns: 60 });
    assert_eq!(lines.len(), 5);
    let names: Vec<&str> = lines.iter().take(3).filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(names, ["test-1", "test-2", "test-5"]);
    assert_eq!(lines[3], "  + 5 more at work");
    assert_eq!(shown(&mut board, 10.0, Size { rows: 3, columns: 60 }).len(), 1);
}

#[test]
fn totals_leave_out_what_has_no_room_and_never_what_failed() {
    let mut board = at_work();
    let outcomes = [
        (Outcome::Passed, 120),
        (Outcome::Failed, 12),
        (Outcome::TimedOut, 3),
        (Outcome::Flaky, 4),
        (Outcome::Skipped, 6),
    ];
    for (outcome, times) in outcomes {
        for number in 0..times {
            board.follow(None, &ended(&format!("{outcome:?}-{number}"), outcome, None, 1), 60.0);
        }
    }
    let totals = |board: &mut Board, columns| shown(board, 65.0, Size { rows: 30, columns }).pop().unwrap();
    assert_eq!(
        totals(&mut board, 120),
        "145/200 done, 120 passed, 12 failed, 3 timed out, 4 flaky, 6 skipped, 8 running  1m 05s, about 2m left"
    );
    assert_eq!(totals(&mut board, 60), "145/200 done, 12 failed, 3 timed out  1m 05s, about 2m left");
    assert_eq!(totals(&mut board, 30), "145/200 done, 12 failed");
    assert_eq!(totals(&mut board, 40), "145/200 done, 12 failed, 3 timed out");
}

#[test]
fn names_of_any_kind_keep_the_columns() {
    let mut board = Board::default();
    board.follow(None, &queued(4, 4, None), 0.0);
    let names = ["漢字テスト".repeat(10), "\u{1b}[2J\u{1b}]0;t\u{7}steer\r\n".to_owned(), "x".repeat(300)];
    for (slot, name) in names.iter().enumerate() {
        board.follow(Some(name), &preparing(name, slot, None), 0.0);
    }
    let lines = shown(&mut board, 1.0, SIZE);
    assert!(lines.iter().all(|line| !line.contains(['\u{1b}', '\u{7}', '\r'])), "{lines:#?}");
    assert!(lines[1].starts_with("⠋ steer\\r\\n "), "{lines:#?}");
    let times: Vec<usize> = lines.iter().take(3).map(|line| line.width()).collect();
    assert_eq!(times, [60, 60, 60]);
}

#[test]
fn before_the_tests_are_known_something_is_said() {
    let mut board = Board::default();
    assert_eq!(shown(&mut board, 3.4, SIZE), ["preparing  3s"]);
}

#[test]
fn a_slow_test_is_marked_by_a_colour_too() {
    let mut board = at_work();
    let lines = lines(&mut board, 0.0, 10.0, SIZE, Style { color: true, width: 60 });
    assert!(lines[2].contains("\u{1b}[31mrunning, slow\u{1b}[0m"), "{lines:#?}");
    let plain = shown(&mut board, 10.0, SIZE);
    let without: Vec<_> =
        lines.iter().map(|line| crate::report::text::strip_ansi(line).into_owned()).collect();
    assert_eq!(without, plain);
}
