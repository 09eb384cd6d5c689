use std::io::Write;
use std::thread;
use std::time::Duration;

use super::*;
use crate::report::progress::fixtures::terminal::{Terminal, WIDTH};
use crate::report::progress::fixtures::{Shared, a_run, feed, pull, step, test_started};
use crate::runner::event::StepStatus;

fn tty() -> (Terminal, Tty) {
    let terminal = Terminal::default();
    let streams = Streams::new(Box::new(terminal.clone()), Box::new(terminal.clone()), true);
    let target = terminal.clone();
    let target: Target =
        Box::new(move || ProgressDrawTarget::term_like_with_hz(Box::new(target.clone()), 255));
    (terminal, Tty::without_ticker(streams, Style { color: false, width: usize::from(WIDTH) }, target))
}

/// Waits out the rate limit of the drawing, so that the tick shows.
fn tick(display: &Tty) {
    thread::sleep(Duration::from_millis(8));
    lock(&display.screen).tick();
}

#[test]
fn after_the_run_only_lines_that_stay_are_left() {
    let (terminal, mut display) = tty();
    let (before, after) = a_run();
    feed(&mut display, &before);
    display.output(OutputStream::Stdout, b"collected 2 items\n");
    tick(&display);
    feed(&mut display, &after);
    display.finish();
    let shown = terminal.shown();
    let expected = [
        "testing shop:1.4 on Docker Engine 20.10.24 (run r-42)",
        "✓ pulled 2 layers in 0.0s",
        "recipe from label: the image has the label test.ontest; 2 in",
        "structions, 1 file",
        "✓ sent the build context, 2 KiB",
        "✓ [1/2] FROM shop:1.4 cached",
        "✓ [2/2] RUN apt-get install -y curl 0.0s",
        "built shop:1.4-test in 4.2s",
        "collected 2 items",
        "shop:1.4 failed after 2.3s: the test command ended with exit",
        " code 1 (10 passed, 2 failed)",
    ];
    assert_eq!(shown, expected.join("\n"));
}

#[test]
fn bars_stand_below_the_tests_output_while_it_runs() {
    let (terminal, mut display) = tty();
    display.event(&test_started());
    display.output(OutputStream::Stdout, b"one\n");
    display.output(OutputStream::Stderr, b"two\n");
    tick(&display);
    let shown = terminal.shown();
    assert!(shown.starts_with("one\ntwo\n"), "{shown}");
    assert!(shown.lines().nth(2).unwrap().contains("testing shop:1.4"), "{shown}");
    assert_eq!(shown.lines().count(), 3, "{shown}");
}

#[test]
fn a_partial_line_stays_whole_and_no_bar_is_drawn_over_it() {
    let (terminal, mut display) = tty();
    display.event(&test_started());
    for _ in 0..5 {
        display.output(OutputStream::Stdout, b"..");
        tick(&display);
        display.event(&RunEvent::ContextProgress { sent: 1, done: false });
    }
    assert_eq!(terminal.shown(), "..........");
    display.output(OutputStream::Stdout, b"\n");
    tick(&display);
    let shown = terminal.shown();
    assert!(shown.starts_with("..........\n"), "{shown}");
    assert!(shown.contains("testing shop:1.4"), "{shown}");
}

#[test]
fn a_line_of_ours_ends_a_partial_line() {
    let (terminal, mut display) = tty();
    display.event(&test_started());
    display.output(OutputStream::Stdout, b"partial");
    display.event(&RunEvent::Warning { message: "careful".to_owned() });
    display.finish();
    assert_eq!(terminal.shown(), "partial\nwarning: careful");
}

#[test]
fn a_partial_line_at_the_end_is_ended() {
    let (terminal, mut display) = tty();
    display.event(&test_started());
    display.output(OutputStream::Stderr, b"partial");
    display.finish();
    Write::write_all(&mut terminal.clone(), b"summary\n").unwrap();
    assert_eq!(terminal.shown(), "partial\nsummary");
}

#[test]
fn stdout_that_goes_elsewhere_leaves_the_bars_alone() {
    let (out, terminal) = (Shared::default(), Terminal::default());
    let streams = Streams::new(Box::new(out.clone()), Box::new(terminal.clone()), false);
    let target = terminal.clone();
    let target: Target = Box::new(move || ProgressDrawTarget::term_like(Box::new(target.clone())));
    let mut display = Tty::without_ticker(streams, Style::default(), target);
    display.event(&test_started());
    let before = terminal.shown();
    assert!(before.contains("testing shop:1.4"), "{before}");
    display.output(OutputStream::Stdout, b"partial");
    assert_eq!(terminal.shown(), before);
    assert_eq!(out.text(), "partial");
}

#[test]
fn layers_have_bars_until_they_are_there() {
    let (terminal, mut display) = tty();
    display.event(&pull("aaaaaaaaaaaa", "Downloading", Some(512), Some(1024)));
    display.event(&pull("bbbbbbbbbbbb", "Waiting", None, None));
    tick(&display);
    let shown = terminal.shown();
    assert!(shown.contains("aaaaaaaaaaaa [========>       ] Downloading 512 B of 1 KiB"), "{shown}");
    assert!(shown.contains("bbbbbbbbbbbb ["), "{shown}");
    display.event(&pull("aaaaaaaaaaaa", "Pull complete", None, None));
    tick(&display);
    let shown = terminal.shown();
    assert!(!shown.contains("aaaaaaaaaaaa"), "{shown}");
    assert!(shown.contains("pulling, 1 layer done"), "{shown}");
}

#[test]
fn a_step_that_fails_shows_what_the_builder_printed() {
    let (terminal, mut display) = tty();
    display.event(&step("1/1", "RUN make", StepStatus::Started));
    display.event(&RunEvent::BuildOutput { text: "cc a.c\nerror: no\u{1b}[2J such file".to_owned() });
    display.event(&step("1/1", "RUN make", StepStatus::Failed));
    display.finish();
    assert_eq!(terminal.shown(), "✗ [1/1] RUN make 0.0s\n  | cc a.c\n  | error: no such file");
}

#[test]
fn the_thread_that_moves_the_bars_ends_with_the_display() {
    let (streams, both) = {
        let (both, streams) = crate::report::progress::fixtures::streams(true);
        (streams, both)
    };
    let mut display = Tty::new(streams, Style::default());
    let screen = Arc::downgrade(&display.screen);
    display.event(&test_started());
    display.output(OutputStream::Stdout, b"x\n");
    display.finish();
    display.finish();
    drop(display);
    assert!(screen.upgrade().is_none());
    assert_eq!(both.stdout.text(), "x\n");
}
