use super::*;
use crate::report::progress::fixtures::{pull, step};
use crate::report::progress::suite::fixtures::{
    ended, failed, finished, needs_db, preparing, queued, retry, small_run, started,
};
use crate::report::style::Style;
use crate::results::Cause;
use crate::runner::event::StepStatus;

fn follow(board: &mut Board, events: &[(Option<&str>, RunEvent)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (test, event) in events {
        for entry in board.follow(*test, event, 0.0) {
            lines.extend(entry.long(Style::default(), 5));
        }
    }
    lines
}

#[test]
fn every_test_is_counted_once_and_nothing_is_kept_of_it() {
    let mut board = Board::default();
    follow(&mut board, &small_run());
    assert_eq!(board.done(), 6);
    let outcomes: Vec<_> = board.outcomes().collect();
    assert_eq!(
        outcomes,
        [
            (Outcome::Skipped, 2),
            (Outcome::Passed, 1),
            (Outcome::Flaky, 1),
            (Outcome::Failed, 1),
            (Outcome::DependencyFailed, 1)
        ]
    );
    assert_eq!((board.work().count(), board.services().count()), (0, 0));
}

#[test]
fn a_thousand_tests_leave_nothing_but_numbers() {
    let mut board = Board::default();
    board.follow(None, &queued(1000, 4, None), 0.0);
    for number in 0..1000 {
        let name = format!("test-{number}");
        let of = Some(name.as_str());
        board.follow(of, &preparing(&name, 1, None), 0.0);
        board.follow(of, &RunEvent::BuildOutput { text: "x".repeat(1000) }, 0.0);
        board.follow(of, &RunEvent::Warning { message: format!("of {number}") }, 0.0);
        board.follow(of, &failed(&name, "output"), 1.0);
    }
    assert_eq!((board.done(), board.work.len()), (1000, 0));
    assert_eq!(board.warned.len(), MAX_WARNINGS);
}

#[test]
fn a_build_that_fails_shows_what_the_builder_said_about_this_test() {
    let mut board = Board::default();
    let output = |text: &str| RunEvent::BuildOutput { text: text.to_owned() };
    let cause = Cause::NotStarted { message: "the build failed".to_owned() };
    let lines = follow(
        &mut board,
        &[
            (None, queued(2, 2, None)),
            (Some("a"), preparing("a", 1, None)),
            (Some("b"), preparing("b", 2, None)),
            (Some("a"), output("E: no such ")),
            (Some("b"), output("all is well\n")),
            (Some("a"), output("package\u{1b}[2J")),
            (Some("a"), step("2/4", "RUN apt-get install", StepStatus::Failed)),
            (Some("a"), ended("a", Outcome::NotStarted, Some(cause), 0)),
        ],
    );
    assert_eq!(
        lines[1..],
        [
            "  NO-START [         ] (1/2) a: the test did not start: the build failed",
            "  failed: [2/4] RUN apt-get install",
            "  | E: no such package",
        ]
    );
}

#[test]
fn a_build_that_fails_before_the_tests_are_known_is_told_when_its_turn_comes() {
    let mut board = Board::default();
    let output = |text: &str| RunEvent::BuildOutput { text: text.to_owned() };
    let fails = || step("2/2", "RUN make", StepStatus::Failed);
    let cause = Cause::NotStarted { message: "the build failed".to_owned() };
    let starts = || step("2/2", "RUN make", StepStatus::Started);
    let lines = follow(
        &mut board,
        &[
            (Some("db"), starts()),
            (Some("api"), starts()),
            (Some("db"), output("of db")),
            (Some("api"), output("of api\n")),
            (Some("db"), fails()),
            (Some("api"), fails()),
            (None, queued(1, 1, None)),
            (Some("api"), ended("api", Outcome::NotStarted, Some(cause), 0)),
            (
                None,
                RunEvent::ServiceFailed {
                    service: "db".to_owned(),
                    message: "cannot be had".to_owned(),
                    log_tail: String::new(),
                },
            ),
        ],
    );
    assert_eq!(
        lines[1..],
        [
            "  NO-START [         ] (1/1) api: the test did not start: the build failed",
            "  failed: [2/2] RUN make",
            "  | of api",
            "   SERVICE db: failed: cannot be had",
            "  failed: [2/2] RUN make",
            "  | of db",
        ]
    );
    assert!(board.work.is_empty() && board.failed_builds.is_empty());
}

#[test]
fn what_is_prepared_before_the_tests_are_known_is_no_running_test() {
    let mut board = Board::default();
    let events = [
        (Some("db"), pull("aaa", "Downloading", Some(1), Some(2))),
        (Some("api"), pull("bbb", "Pull complete", None, None)),
    ];
    assert_eq!(follow(&mut board, &events), Vec::<String>::new());
    assert_eq!(
        board.work().map(|(name, work)| (name, work.slot)).collect::<Vec<_>>(),
        [("api", None), ("db", None)]
    );
    let lines = follow(&mut board, &[(None, queued(1, 4, Some(100.0)))]);
    assert_eq!(lines, ["      PULL api: 1 layer in 0.0s", "    QUEUED 1 test, about 1m 40s"]);
    assert_eq!(board.work().count(), 0);
}

#[test]
fn a_warning_that_every_test_gets_is_said_once() {
    let mut board = Board::default();
    let warning = || RunEvent::Warning { message: "no swap limit".to_owned() };
    let lines = follow(&mut board, &[(Some("a"), warning()), (Some("b"), warning()), (None, warning())]);
    assert_eq!(lines, ["   WARNING a: no swap limit"]);
}

#[test]
fn tests_that_a_stopped_run_does_not_come_to_are_counted_and_not_listed() {
    let mut board = Board::default();
    let not_run = || Some(Cause::NotRun { reason: "stopped".to_owned() });
    let lines = follow(
        &mut board,
        &[
            (None, queued(4, 1, None)),
            (None, RunEvent::Stopped { reason: "interrupted".to_owned(), tests: 2 }),
            (Some("a"), ended("a", Outcome::Aborted, not_run(), 0)),
            (Some("b"), ended("b", Outcome::Aborted, not_run(), 0)),
            (Some("c"), ended("c", Outcome::Aborted, Some(Cause::Interrupted { signal: 2 }), 1)),
            (Some("d"), ended("d", Outcome::DependencyFailed, Some(needs_db()), 0)),
        ],
    );
    assert_eq!(
        lines[1..],
        [
            "   STOPPED interrupted: 2 tests are not run",
            "     ABORT [   2.300s] (3/4) c: interrupted by SIGINT",
            "  DEP-FAIL [         ] (4/4) d: db, which it needs, failed: it ended with exit code 1",
        ]
    );
    assert_eq!(board.done(), 4);
}

#[test]
fn a_test_that_is_cut_short_before_it_starts_is_at_work_no_longer() {
    let mut board = Board::default();
    let not_run = Some(Cause::NotRun { reason: "interrupted".to_owned() });
    let lines = follow(
        &mut board,
        &[
            (None, queued(2, 2, None)),
            (Some("a"), preparing("a", 1, None)),
            (Some("a"), step("1/2", "RUN make", StepStatus::Started)),
            (None, RunEvent::Stopped { reason: "interrupted".to_owned(), tests: 1 }),
            (Some("a"), ended("a", Outcome::Aborted, not_run, 0)),
        ],
    );
    assert_eq!(lines[1..], ["   STOPPED interrupted: 1 test is not run"]);
    assert_eq!((board.done(), board.work().count()), (1, 0));
}

#[test]
fn every_attempt_of_a_test_that_never_passes_is_told() {
    let mut board = Board::default();
    let timeout = || Some(Cause::Timeout { seconds: 5.0 });
    let lines = follow(
        &mut board,
        &[
            (Some("a"), preparing("a", 1, None)),
            (Some("a"), started("a", 1)),
            (Some("a"), finished("a", 1, Outcome::TimedOut, timeout())),
            (Some("a"), retry("a", 2, 2, 0.0)),
            (Some("a"), finished("a", 2, Outcome::TimedOut, timeout())),
            (Some("a"), ended("a", Outcome::TimedOut, timeout(), 2)),
        ],
    );
    assert_eq!(
        lines,
        [
            " RETRY 2/2 [   1.500s] a: timed out: the test ran longer than 5s; again at once",
            "   TIMEOUT [   2.300s] (1/1) a: the test ran longer than 5s, in the last of 2 attempts",
        ]
    );
}
