use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::report::progress::fixtures::terminal::{Terminal, WIDTH};
use crate::report::progress::suite::fixtures::{
    ended, failed, feed, needs_db, preparing, queued, small_run, started,
};
use crate::results::Outcome;

fn tty(rows: usize) -> (Terminal, Tty, Arc<AtomicU32>) {
    let terminal = Terminal::default();
    let streams = Streams::new(Box::new(terminal.clone()), Box::new(terminal.clone()), true);
    let seconds = Arc::new(AtomicU32::new(0));
    let clock = Arc::clone(&seconds);
    let surroundings = Surroundings {
        clock: Box::new(move || f64::from(clock.load(Ordering::SeqCst))),
        size: Box::new(move || Size { rows, columns: usize::from(WIDTH) }),
        target: ProgressDrawTarget::term_like(Box::new(terminal.clone())),
    };
    let style = Style { color: false, width: usize::from(WIDTH) };
    (terminal, Tty::without_ticker(streams, style, surroundings), seconds)
}

#[test]
fn after_a_small_run_each_test_has_left_its_line() {
    let (terminal, mut display, _) = tty(20);
    feed(&mut display, &small_run());
    display.finish();
    let expected = [
        "       RUN r-42 of docker-test.yaml on Docker Engine",
        "           20.10.24",
        "    QUEUED 6 tests, 2 at a time, about 30s",
        "    CACHED [         ] lint",
        "           not run: nothing has changed since it passed at",
        "           2026-11-20T06:30:00Z (run r-41)",
        "   WARNING flips: no swap limit here",
        " RETRY 2/3 [   1.500s] flips",
        "           failed: the test command ended with exit code 3;",
        "           again in 1s",
        "      SLOW [> 60.000s] flips: attempt 2",
        " FLAKY 2/3 [   2.300s] flips",
        "           passed, but first: the test command ended with",
        "           exit code 3",
        "      FAIL [   2.300s] api",
        "           the test command ended with exit code 1 (10",
        "           passed, 2 failed)",
        "  | collected 12 items",
        "  | ::error::two failed",
        "  | half a li",
        "  log: tests/results/api/log.txt",
        "      PASS [   2.300s] pay",
        "   SERVICE db: failed: it ended with exit code 1",
        "  | FATAL: could not open file",
        "  DEP-FAIL [         ] cart",
        "           db, which it needs, failed: it ended with exit",
        "           code 1",
        "   STOPPED 2 tests did not pass: 1 test is not run",
    ];
    assert_eq!(terminal.shown(), expected.join("\n"));
}

#[test]
fn live_lines_stand_below_what_stays() {
    let (terminal, mut display, seconds) = tty(20);
    display.event(&queued(30, 2, None));
    for (slot, name) in ["api", "pay"].into_iter().enumerate() {
        display.event_of(name, &preparing(name, slot + 1, None));
        display.event_of(name, &started(name, 1));
    }
    seconds.store(12, Ordering::SeqCst);
    display.event_of("api", &failed("api", "no newline at the end"));
    assert_eq!(
        terminal.shown(),
        [
            "    QUEUED 30 tests, 2 at a time",
            "      FAIL [   2.300s] api",
            "           the test command ended with exit code 1 (10",
            "           passed, 2 failed)",
            "  | no newline at the end",
            "  log: tests/results/api/log.txt",
            "⠋ pay           running                                  12s",
            "1/30 done, 1 failed, 1 running  12s",
        ]
        .join("\n")
    );
}

#[test]
fn two_hundred_passes_leave_no_line() {
    let (terminal, mut display, seconds) = tty(20);
    display.event(&queued(200, 30, None));
    for number in 0..200_u32 {
        let name = format!("test-{number}");
        display.event_of(&name, &preparing(&name, 1 + number as usize % 30, None));
        if number >= 30 {
            let name = format!("test-{}", number - 30);
            display.event_of(&name, &ended(&name, Outcome::Passed, None, 1));
        }
        seconds.store(number, Ordering::SeqCst);
        let shown = terminal.shown();
        assert!(shown.lines().count() <= 17, "{shown}");
    }
    let shown = terminal.shown();
    assert!(
        shown.contains("  + 16 more at work\n170/200 done, 170 passed, 30 running  3m 18s, about"),
        "{shown}"
    );
    display.finish();
    assert_eq!(terminal.shown(), "    QUEUED 200 tests, 30 at a time");
}

#[test]
fn tests_without_their_service_do_not_flood_the_terminal() {
    let (terminal, mut display, _) = tty(20);
    display.event(&queued(200, 4, None));
    for number in 0..150 {
        let name = format!("test-{number}");
        display.event_of(&name, &ended(&name, Outcome::DependencyFailed, Some(needs_db()), 0));
    }
    let shown = terminal.shown();
    assert_eq!(shown.matches("DEP-FAIL").count(), MAX_DEPENDENT, "{shown}");
    assert!(shown.ends_with("150/200 done, 150 dependency failed  0s"), "{shown}");
}

#[test]
fn a_display_that_is_dropped_leaves_no_live_line_and_finishes_once() {
    let (terminal, mut display, _) = tty(20);
    display.event(&queued(200, 4, None));
    display.event_of("a", &preparing("a", 1, None));
    assert!(terminal.shown().contains("preparing"));
    display.finish();
    display.event_of("b", &preparing("b", 1, None));
    drop(display);
    Write::write_all(&mut terminal.clone(), b"summary\n").unwrap();
    assert_eq!(terminal.shown(), "    QUEUED 200 tests, 4 at a time\nsummary");
}

#[test]
fn the_thread_that_moves_the_lines_ends_with_the_display() {
    let (both, streams) = crate::report::progress::fixtures::streams(true);
    let mut display = Tty::new(streams, Style::default());
    let screen = Arc::downgrade(&display.screen);
    display.event(&queued(200, 4, None));
    display.output_of("a", OutputStream::Stdout, b"not for people");
    display.finish();
    drop(display);
    assert!(screen.upgrade().is_none());
    assert_eq!(both.stdout.text(), "");
}
