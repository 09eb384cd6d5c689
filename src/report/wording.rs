//! The words for outcomes, causes, durations and sizes, the same in every report.
//!
//! Owns sentences and units. Text that an engine or image supplied is made printable here.

use nix::sys::signal::Signal;

use crate::report::text;
use crate::results::verdict::{ENDED_WITH_126, ENDED_WITH_127};
use crate::results::{Attempt, CaseCounts, Cause, Outcome, TestResult};

/// The outcome in words, lower case.
#[must_use]
pub const fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "failed",
        Outcome::Flaky => "flaky",
        Outcome::TimedOut => "timed out",
        Outcome::OutOfMemory => "out of memory",
        Outcome::NotStarted => "not started",
        Outcome::Aborted => "aborted",
        Outcome::Skipped => "skipped",
        Outcome::DependencyFailed => "dependency failed",
    }
}

/// True for outcomes that speak against the image or left it unjudged.
#[must_use]
pub const fn is_bad(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Passed | Outcome::Flaky | Outcome::Skipped)
}

/// The cause as one word for machines: the `kind` of its serialised form.
#[must_use]
pub const fn cause_kind(cause: &Cause) -> &'static str {
    match cause {
        Cause::ExitCode { .. } => "exit_code",
        Cause::KilledBySignal { .. } => "killed_by_signal",
        Cause::FailedCases { .. } => "failed_cases",
        Cause::NoTests => "no_tests",
        Cause::UnreadableReport { .. } => "unreadable_report",
        Cause::OutOfMemory { .. } => "out_of_memory",
        Cause::Timeout { .. } => "timeout",
        Cause::CommandNotFound { .. } => "command_not_found",
        Cause::CommandNotExecutable { .. } => "command_not_executable",
        Cause::NotStarted { .. } => "not_started",
        Cause::EngineLost { .. } => "engine_lost",
        Cause::ContainerRemoved => "container_removed",
        Cause::Interrupted { .. } => "interrupted",
        Cause::ResultsIncomplete { .. } => "results_incomplete",
        Cause::ResultsLimit { .. } => "results_limit",
        Cause::RunTimeout { .. } => "run_timeout",
        Cause::NotRun { .. } => "not_run",
        Cause::Cached { .. } => "cached",
        Cause::DependencyFailed { .. } => "dependency_failed",
    }
}

/// The cause as a clause for people, printable, without a full stop.
#[must_use]
pub fn describe_cause(cause: &Cause) -> String {
    match cause {
        Cause::ExitCode { code } => format!("the test command ended with exit code {code}"),
        Cause::KilledBySignal { signal } => {
            format!("the test was ended by {}, which docker-test did not send", signal_name(*signal))
        }
        Cause::FailedCases { failed } => {
            format!("{} failed in the test's own reports", count(*failed, "case"))
        }
        Cause::NoTests => "the results hold no test case".to_owned(),
        Cause::UnreadableReport { files: 1 } => "a report file is cut short or broken".to_owned(),
        Cause::UnreadableReport { files } => format!("{files} report files are cut short or broken"),
        Cause::OutOfMemory { limit: Some(limit) } => {
            format!("out of memory: the kernel killed the test (limit {})", bytes(*limit))
        }
        Cause::OutOfMemory { limit: None } => {
            "out of memory: the kernel killed the test (no limit was set; the host ran out)".to_owned()
        }
        Cause::Timeout { seconds } => {
            format!("timed out: the test ran longer than {}", duration(*seconds))
        }
        Cause::CommandNotFound { message } if message == ENDED_WITH_127 => {
            format!("the test ended with {message}, which stands for a command that was not found")
        }
        Cause::CommandNotExecutable { message } if message == ENDED_WITH_126 => {
            format!("the test ended with {message}, which stands for a command that cannot be executed")
        }
        Cause::CommandNotFound { message } => with_message("the test command is not in the image", message),
        Cause::CommandNotExecutable { message } => {
            with_message("the test command cannot be executed", message)
        }
        Cause::NotStarted { message } => with_message("the test did not start", message),
        Cause::EngineLost { message } => with_message("the engine was lost while the test ran", message),
        Cause::ContainerRemoved => {
            "the container was removed while the test ran, and not by docker-test".to_owned()
        }
        Cause::Interrupted { signal } => format!("interrupted by {}", signal_name(*signal)),
        Cause::ResultsIncomplete { message } => with_message("the results are incomplete", message),
        Cause::ResultsLimit { limit } => {
            format!("the results are larger than --results-limit ({}) and were cut", bytes(*limit))
        }
        Cause::RunTimeout { seconds } => {
            format!("timed out: the time for the whole run ({}) was over while it ran", duration(*seconds))
        }
        Cause::NotRun { reason } => with_message("not run", reason),
        Cause::Cached { run_id, at } => format!(
            "not run: nothing has changed since it passed at {} (run {})",
            text::printable(at),
            text::printable(run_id)
        ),
        Cause::DependencyFailed { service, message, .. } => {
            with_message(&format!("{}, which it needs, failed", text::name(service)), message)
        }
    }
}

/// The cause of a service's end, as a clause whose subject is `it`.
#[must_use]
pub fn describe_service_cause(cause: &Cause) -> String {
    match cause {
        Cause::ExitCode { code } => format!("it ended with exit code {code}"),
        Cause::KilledBySignal { signal } => format!("it was ended by {}", signal_name(*signal)),
        Cause::OutOfMemory { limit: Some(limit) } => {
            format!("out of memory: the kernel killed it (limit {})", bytes(*limit))
        }
        Cause::OutOfMemory { limit: None } => {
            "out of memory: the kernel killed it (no limit was set; the host ran out)".to_owned()
        }
        Cause::Timeout { seconds } => format!("it was not ready within {}", duration(*seconds)),
        Cause::CommandNotFound { message } if message == ENDED_WITH_127 => format!("it ended with {message}"),
        Cause::CommandNotExecutable { message } if message == ENDED_WITH_126 => {
            format!("it ended with {message}")
        }
        Cause::CommandNotFound { message } => with_message("its command is not in the image", message),
        Cause::CommandNotExecutable { message } => with_message("its command cannot be executed", message),
        Cause::NotStarted { message } => with_message("it did not start", message),
        Cause::EngineLost { message } => with_message("the engine was lost while it ran", message),
        other => describe_cause(other),
    }
}

/// The cause for a place where the outcome is named already: `timed out: …` does not say so twice.
#[must_use]
pub fn reason(outcome: Outcome, cause: &Cause) -> String {
    let sentence = describe_cause(cause);
    let said = sentence.strip_prefix(outcome_word(outcome)).and_then(|rest| rest.strip_prefix(": "));
    said.map_or_else(|| sentence.clone(), str::to_owned)
}

/// What the user can do about a cause, as a sentence, where there is something to do.
#[must_use]
pub fn advise(cause: &Cause, run_id: &str) -> Option<String> {
    match cause {
        Cause::OutOfMemory { limit: Some(_) } => Some("raise the limit with -m, or mend the leak".to_owned()),
        Cause::OutOfMemory { limit: None } => {
            Some("set a limit with -m, or free memory on the host".to_owned())
        }
        Cause::Timeout { .. } => Some("allow more time with --timeout".to_owned()),
        Cause::RunTimeout { .. } => Some("allow more time with --global-timeout".to_owned()),
        Cause::NoTests => {
            Some("write JUnit or TAP files to the results path, or use --no-tests pass".to_owned())
        }
        Cause::UnreadableReport { .. } => {
            Some("let the test finish its reports, or judge it by --trust exit".to_owned())
        }
        Cause::CommandNotFound { .. } | Cause::CommandNotExecutable { .. } => {
            Some("look into the test image with --shell".to_owned())
        }
        Cause::EngineLost { .. } => Some(format!("docker-test results {run_id}")),
        Cause::ResultsLimit { .. } => Some("raise --results-limit, or write fewer files".to_owned()),
        Cause::ExitCode { .. }
        | Cause::KilledBySignal { .. }
        | Cause::FailedCases { .. }
        | Cause::NotStarted { .. }
        | Cause::ContainerRemoved
        | Cause::ResultsIncomplete { .. }
        | Cause::DependencyFailed { .. }
        | Cause::NotRun { .. }
        | Cause::Cached { .. }
        | Cause::Interrupted { .. } => None,
    }
}

/// What is said of a test that passed on a retry.
#[must_use]
pub fn flaky(test: &TestResult) -> String {
    let counted = if test.flaky_fails { ", which counts as failed in this run" } else { "" };
    format!("passed on attempt {} only{counted}", test.attempts.len())
}

/// What is said of tests that were not run because they passed before: never that they passed.
pub const CACHED: &str = "cached (passed before, nothing changed)";

/// Where the whole output of an attempt is; relative to the directory of the run where that cannot be told from the
/// directory of the test's files.
#[must_use]
pub fn log_path(test: &TestResult, attempt: &Attempt) -> Option<String> {
    let log = attempt.log.as_deref()?;
    Some(run_directory(test).map_or_else(|| log.to_owned(), |directory| format!("{directory}{log}")))
}

/// The directory of the files of an attempt, where they are known to be.
#[must_use]
pub fn files_path(test: &TestResult, attempt: &Attempt) -> Option<String> {
    match attempt.log.as_deref() {
        Some(log) => Some(format!("{}{}", run_directory(test)?, log.strip_suffix(".log")?)),
        None => test
            .results_dir
            .clone()
            .filter(|_| test.last_attempt().is_some_and(|last| last.number == attempt.number)),
    }
}

/// The directory of a run of many tests, with the `/` at its end.
fn run_directory(test: &TestResult) -> Option<&str> {
    let own = test.last_attempt()?.log.as_deref()?.strip_suffix(".log")?;
    test.results_dir.as_deref()?.strip_suffix(own).filter(|directory| directory.ends_with('/'))
}

/// The counts that are not zero: `10 passed, 2 failed`.
#[must_use]
pub fn case_counts(counts: CaseCounts) -> String {
    let parts = [
        (counts.passed, "passed"),
        (counts.failed, "failed"),
        (counts.errored, "with an error"),
        (counts.skipped, "skipped"),
    ];
    let shown: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

/// `1 case`, `2 cases`.
#[must_use]
pub fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Seconds as people say them: `0.4s`, `12.3s`, `2m 05s`, `1h 02m`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    // Also turns the sum of no durations, which is -0.0, into 0.
    let seconds = if seconds.is_finite() && seconds > 0.0 { seconds } else { 0.0 };
    if seconds < 59.95 {
        let text = format!("{seconds:.1}");
        return format!("{}s", text.strip_suffix(".0").filter(|whole| *whole != "0").unwrap_or(&text));
    }
    let whole = std::time::Duration::try_from_secs_f64(seconds.round()).map_or(u64::MAX, |d| d.as_secs());
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    match (hours, minutes, rest) {
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, rest) => format!("{minutes}m {rest:02}s"),
        (hours, 0, _) => format!("{hours}h"),
        (hours, minutes, _) => format!("{hours}h {minutes:02}m"),
    }
}

/// A size in binary units: `512 B`, `1.5 KiB`, `64 MiB`.
#[must_use]
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let mut whole = size;
    let mut rest = 0;
    let mut unit = "B";
    for next in UNITS {
        if whole < 1024 {
            break;
        }
        rest = whole % 1024;
        whole /= 1024;
        unit = next;
    }
    let tenths = rest * 10 / 1024;
    if tenths == 0 { format!("{whole} {unit}") } else { format!("{whole}.{tenths} {unit}") }
}

fn signal_name(signal: u8) -> String {
    Signal::try_from(i32::from(signal))
        .map_or_else(|_| format!("signal {signal}"), |known| known.as_str().to_owned())
}

fn with_message(sentence: &str, message: &str) -> String {
    let message = text::message(message.trim());
    if message.is_empty() { sentence.to_owned() } else { format!("{sentence}: {message}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{passing, two_hundred};

    fn every_cause() -> Vec<Cause> {
        let message = || "exec: \"x\": no such file\u{1b}[2J".to_owned();
        vec![
            Cause::ExitCode { code: 3 },
            Cause::KilledBySignal { signal: 11 },
            Cause::FailedCases { failed: 1 },
            Cause::NoTests,
            Cause::UnreadableReport { files: 1 },
            Cause::UnreadableReport { files: 2 },
            Cause::OutOfMemory { limit: Some(64 << 20) },
            Cause::OutOfMemory { limit: None },
            Cause::Timeout { seconds: 90.0 },
            Cause::RunTimeout { seconds: 90.0 },
            Cause::CommandNotFound { message: message() },
            Cause::CommandNotExecutable { message: message() },
            Cause::CommandNotFound { message: ENDED_WITH_127.to_owned() },
            Cause::CommandNotExecutable { message: ENDED_WITH_126.to_owned() },
            Cause::NotStarted { message: message() },
            Cause::EngineLost { message: String::new() },
            Cause::Interrupted { signal: 2 },
            Cause::ResultsLimit { limit: 1 << 30 },
            Cause::NotRun { reason: "the run was stopped".to_owned() },
            Cause::Cached { run_id: "r-41".to_owned(), at: "2026-11-20T06:30:00Z".to_owned() },
            Cause::DependencyFailed {
                service: "d\u{1b}[31mb".to_owned(),
                message: "it ended with exit code 1".to_owned(),
                log_tail: "FATAL".to_owned(),
            },
        ]
    }

    #[test]
    fn every_cause_has_its_sentence() {
        let sentences: Vec<String> = every_cause().iter().map(describe_cause).collect();
        let expected = [
            "the test command ended with exit code 3",
            "the test was ended by SIGSEGV, which docker-test did not send",
            "1 case failed in the test's own reports",
            "the results hold no test case",
            "a report file is cut short or broken",
            "2 report files are cut short or broken",
            "out of memory: the kernel killed the test (limit 64 MiB)",
            "out of memory: the kernel killed the test (no limit was set; the host ran out)",
            "timed out: the test ran longer than 1m 30s",
            "timed out: the time for the whole run (1m 30s) was over while it ran",
            "the test command is not in the image: exec: \"x\": no such file",
            "the test command cannot be executed: exec: \"x\": no such file",
            "the test ended with exit code 127, which stands for a command that was not found",
            "the test ended with exit code 126, which stands for a command that cannot be executed",
            "the test did not start: exec: \"x\": no such file",
            "the engine was lost while the test ran",
            "interrupted by SIGINT",
            "the results are larger than --results-limit (1 GiB) and were cut",
            "not run: the run was stopped",
            "not run: nothing has changed since it passed at 2026-11-20T06:30:00Z (run r-41)",
            "db, which it needs, failed: it ended with exit code 1",
        ];
        assert_eq!(sentences, expected);
    }

    #[test]
    fn a_service_is_no_test_command() {
        for cause in every_cause() {
            let sentence = describe_service_cause(&cause);
            assert!(!sentence.contains("test command") && !sentence.contains("the test "), "{sentence}");
            if let Cause::Interrupted { .. } = cause {
                assert_eq!(sentence, describe_cause(&cause));
            }
        }
    }

    #[test]
    fn a_reason_does_not_repeat_the_outcome() {
        let cause = Cause::Timeout { seconds: 60.0 };
        assert_eq!(reason(Outcome::TimedOut, &cause), "the test ran longer than 1m");
        assert_eq!(reason(Outcome::Failed, &cause), describe_cause(&cause));
    }

    #[test]
    fn the_kind_is_the_one_in_the_json() {
        for cause in every_cause() {
            let json = serde_json::to_value(&cause).unwrap();
            assert_eq!(json["kind"], cause_kind(&cause));
        }
    }

    #[test]
    fn a_lost_engine_is_answered_with_the_command_that_fetches_the_files() {
        let advice = advise(&Cause::EngineLost { message: String::new() }, "r42");
        assert_eq!(advice.as_deref(), Some("docker-test results r42"));
    }

    #[test]
    fn durations_read_like_speech() {
        let cases = [
            (0.0, "0.0s"),
            (0.04, "0.0s"),
            (0.44, "0.4s"),
            (12.0, "12s"),
            (59.96, "1m"),
            (125.4, "2m 05s"),
            (3600.0, "1h"),
            (3725.0, "1h 02m"),
            (f64::NAN, "0.0s"),
            (-1.0, "0.0s"),
            (-0.0, "0.0s"),
        ];
        for (seconds, words) in cases {
            assert_eq!(duration(seconds), words, "{seconds}");
        }
    }

    #[test]
    fn sizes_use_binary_units() {
        let cases =
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (64 << 20, "64 MiB"), (u64::MAX, "15.9 EiB")];
        for (size, words) in cases {
            assert_eq!(bytes(size), words, "{size}");
        }
    }

    #[test]
    fn logs_and_files_of_each_attempt_are_found_below_the_directory_of_the_run() {
        let results = two_hundred();
        let failed = &results.tests[0];
        let paths = |attempt| (log_path(failed, attempt).unwrap(), files_path(failed, attempt).unwrap());
        let of = |number| {
            let files = format!("/work/out/part-000/attempt-{number}");
            (format!("{files}.log"), files)
        };
        assert_eq!(paths(&failed.attempts[0]), of(1));
        assert_eq!(paths(&failed.attempts[1]), of(2));
        let alone = passing().tests.remove(0);
        assert_eq!(log_path(&alone, &alone.attempts[0]), None);
        assert_eq!(files_path(&alone, &alone.attempts[0]).as_deref(), Some("tests/results"));
        let pending = TestResult { results_dir: None, ..failed.clone() };
        assert_eq!(log_path(&pending, &pending.attempts[0]).as_deref(), Some("part-000/attempt-1.log"));
        assert_eq!(files_path(&pending, &pending.attempts[0]), None);
    }

    #[test]
    fn counts_leave_out_what_is_zero() {
        assert_eq!(case_counts(CaseCounts::default()), "none");
        let counts = CaseCounts { passed: 3, failed: 1, errored: 0, skipped: 2 };
        assert_eq!(case_counts(counts), "3 passed, 1 failed, 2 skipped");
    }
}
