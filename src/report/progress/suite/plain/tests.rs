use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use snapbox::{assert_data_eq, str};

use super::*;
use crate::report::github::StopCommands;
use crate::report::progress::fixtures::{Both, streams};
use crate::report::progress::suite::fixtures::{ended, failed, feed, preparing, queued, small_run, started};
use crate::results::Outcome;

fn plain() -> (Both, Plain) {
    let (both, streams) = streams(false);
    let seconds = Arc::new(AtomicU32::new(0));
    let clock: Clock = Box::new(move || f64::from(seconds.fetch_add(1, Ordering::SeqCst)));
    (both, Plain::with_clock(streams, Style::default(), clock))
}

#[test]
fn a_run_is_a_column_of_outcomes() {
    let (both, mut display) = plain();
    feed(&mut display, &small_run());
    display.output_of("api", OutputStream::Stdout, b"what a test prints is in its log");
    display.finish();
    assert_eq!(both.stdout.text(), "");
    assert_data_eq!(
        both.stderr.text(),
        str![[r"
       RUN r-42 of docker-test.yaml on Docker Engine 20.10.24
      PULL db: 1 layer in 3s
    QUEUED 6 tests, 2 at a time, about 30s
    CACHED [         ] (1/6) lint: not run: nothing has changed since it passed at 2026-11-20T06:30:00Z (run r-41)
   SERVICE db: starting postgres:16
   WARNING flips: no swap limit here
     BUILD api: shop/api:1.4-test in 4.2s
   SERVICE db: ready after 2.5s
 RETRY 2/3 [   1.500s] flips: failed: the test command ended with exit code 3; again in 1s
      SLOW [> 60.000s] flips: attempt 2
 FLAKY 2/3 [   2.300s] (2/6) flips: passed, but first: the test command ended with exit code 3
      FAIL [   2.300s] (3/6) api: the test command ended with exit code 1 (10 passed, 2 failed)
  | collected 12 items
  | ::error::two failed
  | half a li
  log: tests/results/api/log.txt
      PASS [   2.300s] (4/6) pay
   SERVICE db: failed: it ended with exit code 1
  | FATAL: could not open file
  DEP-FAIL [         ] (5/6) cart: db, which it needs, failed: it ended with exit code 1
   STOPPED 2 tests did not pass: 1 test is not run

"]]
    );
}

#[test]
fn two_hundred_tests_are_two_hundred_lines() {
    let (both, mut display) = plain();
    display.event(&queued(200, 8, None));
    for number in 1..=200 {
        let name = format!("test-{number}");
        display.event_of(&name, &preparing(&name, 1, None));
        display.event_of(&name, &RunEvent::BuildOutput { text: "noise\n".to_owned() });
        display.event_of(&name, &started(&name, 1));
        display.event_of(&name, &ended(&name, Outcome::Passed, None, 1));
    }
    display.finish();
    let text = both.stderr.text();
    assert_eq!(text.lines().count(), 201, "{text}");
    assert!(text.contains("\n      PASS [   2.300s] (  7/200) test-7\n"), "{text}");
    assert!(text.ends_with("\n      PASS [   2.300s] (200/200) test-200\n"), "{text}");
}

#[test]
fn neither_name_nor_output_steers_a_terminal_or_a_ci_log() {
    let (both, mut display) = plain();
    let name = "\u{1b}[2Jx\r::error::y\n##[group]";
    let output = format!("{}\n::add-mask::z\r\n##[error]\u{7}\u{1b}]0;title\u{7}", "long".repeat(1000));
    display.event_of(name, &failed(name, &output));
    display.finish();
    let text = both.stderr.text();
    assert!(!text.contains(['\u{1b}', '\u{7}', '\r']), "{text}");
    assert!(!text.contains("##["), "{text}");
    assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 300), "{text}");
}

#[test]
fn github_does_not_listen_while_tests_are_named() {
    let (both, streams) = streams(false);
    let commands = StopCommands::new();
    let mut display = Plain::new(streams.with_stop_commands(commands.clone()), Style::default());
    display.event_of("a", &failed("a", "::error::x"));
    display.finish();
    let text = both.stderr.text();
    assert!(text.starts_with(&commands.stop()) && text.ends_with(&commands.resume()), "{text}");
}

#[test]
fn only_the_end_of_a_long_output_is_shown() {
    let (both, mut display) = plain();
    let output = (1..=300).map(|number| format!("line {number}")).collect::<Vec<_>>().join("\n");
    display.event_of("a", &failed("a", &output));
    let text = both.stderr.text();
    assert!(text.contains("\n  | … 250 lines before\n  | line 251\n"), "{text}");
    assert!(text.contains("  | line 300\n  log: tests/results/a/log.txt\n"), "{text}");
}
