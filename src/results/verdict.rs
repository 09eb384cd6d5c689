//! Judges one attempt from the engine's record and the test's own reports. Pure.
//!
//! Owns the failure taxonomy. Does not know how the facts were gathered, nor who reads the verdict.

use super::{CaseCounts, Cause, Outcome};
use crate::exit_code::ExitCode;
use crate::plan::{NoTests, Trust, VerdictPolicy};

/// How the container ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// It ran and ended.
    Exited {
        /// Exit code.
        code: i64,
        /// The engine noted that the kernel killed a process for want of memory.
        oom_killed: bool,
        /// Memory limit in bytes.
        memory_limit: Option<u64>,
    },
    /// Its command never ran.
    NotStarted {
        /// What the engine said.
        message: String,
    },
    /// The engine went away and did not come back.
    EngineLost {
        /// What was seen.
        message: String,
    },
    /// Somebody else removed it.
    Removed,
}

/// Why docker-test stopped the container, where it did.
#[derive(Debug, Clone, PartialEq)]
pub enum Stopped {
    /// `--timeout`
    Timeout {
        /// The limit in seconds.
        seconds: f64,
    },
    /// Ctrl-C, or a signal from CI.
    Interrupt {
        /// Signal number.
        signal: u8,
    },
    /// The run of which it is a part has no more use for it: its time is over, or a service is gone.
    Halted {
        /// What that makes of the test.
        outcome: Outcome,
        /// Why.
        cause: Cause,
    },
}

/// Everything that a verdict is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// How it ended.
    pub ending: Ending,
    /// Why it was stopped, where it was.
    pub stopped: Option<Stopped>,
    /// Cases in the test's own reports.
    pub cases: CaseCounts,
    /// Report files that could not be read: their cases are unknown.
    pub unreadable_reports: u64,
    /// `--results-limit`, where the results went over it.
    pub over_limit: Option<u64>,
    /// Why results are missing, where the engine or the disk failed while they were taken out.
    pub incomplete: Option<String>,
    /// The engine's `OOMKilled` can be believed.
    pub oom_is_recorded: bool,
    /// All that was printed is the runtime's word that the command cannot be executed: see [`exec_failure`].
    pub exec_failure: Option<String>,
}

/// A verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The outcome.
    pub outcome: Outcome,
    /// Why, where it did not simply pass.
    pub cause: Option<Cause>,
    /// Things to know that changed nothing.
    pub warnings: Vec<String>,
}

/// Judges the evidence.
#[must_use]
pub fn judge(evidence: &Evidence, policy: VerdictPolicy) -> Verdict {
    let mut warnings = Vec::new();
    let (mut outcome, mut cause) = from_ending(evidence, policy, &mut warnings);
    if outcome == Outcome::Passed {
        let reports_count = policy.trust != Trust::Exit;
        if reports_count && evidence.cases.bad() > 0 {
            (outcome, cause) = (Outcome::Failed, Some(Cause::FailedCases { failed: evidence.cases.bad() }));
        } else if let Some(message) = &evidence.incomplete {
            // What is missing may have held a failed case.
            let message = message.clone();
            (outcome, cause) = (Outcome::Aborted, Some(Cause::ResultsIncomplete { message }));
        } else if let Some(limit) = evidence.over_limit {
            // A report that was cut cannot be read, and cases that were left out cannot be counted.
            (outcome, cause) = (Outcome::Aborted, Some(Cause::ResultsLimit { limit }));
        } else if reports_count && evidence.unreadable_reports > 0 {
            // A truncated report is what a crashed test leaves: it must not count as a pass.
            (outcome, cause) =
                (Outcome::Failed, Some(Cause::UnreadableReport { files: evidence.unreadable_reports }));
        } else if evidence.cases.total() == 0 {
            match policy.no_tests {
                NoTests::Pass => {}
                NoTests::Warn => {
                    warnings.push("the results hold no test case: only the exit code speaks".to_owned());
                }
                NoTests::Fail => (outcome, cause) = (Outcome::Failed, Some(Cause::NoTests)),
            }
        }
    }
    if outcome != Outcome::Passed
        && !matches!(cause, Some(Cause::ResultsIncomplete { .. }))
        && let Some(message) = &evidence.incomplete
    {
        warnings.push(format!("the results are incomplete: {message}"));
    }
    Verdict { outcome, cause, warnings }
}

/// The message of a cause that an exit code alone speaks for. By convention it is a shell's word about a command; a
/// program may have chosen it as well.
pub const ENDED_WITH_127: &str = "exit code 127";
/// The same for a command that cannot be executed.
pub const ENDED_WITH_126: &str = "exit code 126";

fn from_ending(
    evidence: &Evidence,
    policy: VerdictPolicy,
    warnings: &mut Vec<String>,
) -> (Outcome, Option<Cause>) {
    let (code, oom_killed, memory_limit) = match &evidence.ending {
        Ending::EngineLost { message } => {
            return (Outcome::Aborted, Some(Cause::EngineLost { message: message.clone() }));
        }
        Ending::Removed => {
            let cause = match evidence.stopped {
                Some(Stopped::Interrupt { signal }) => Cause::Interrupted { signal },
                _ => Cause::ContainerRemoved,
            };
            return (Outcome::Aborted, Some(cause));
        }
        Ending::NotStarted { message } => {
            // A test that was interrupted before it started says nothing about the command.
            return match &evidence.stopped {
                Some(Stopped::Interrupt { signal }) => {
                    (Outcome::Aborted, Some(Cause::Interrupted { signal: *signal }))
                }
                _ => (Outcome::NotStarted, Some(start_failure(message))),
            };
        }
        Ending::Exited { code, oom_killed, memory_limit } => (*code, *oom_killed, *memory_limit),
    };
    match &evidence.stopped {
        Some(Stopped::Interrupt { signal }) => {
            return (Outcome::Aborted, Some(Cause::Interrupted { signal: *signal }));
        }
        Some(Stopped::Timeout { seconds }) => {
            return (Outcome::TimedOut, Some(Cause::Timeout { seconds: *seconds }));
        }
        Some(Stopped::Halted { outcome, cause }) => return (*outcome, Some(cause.clone())),
        None => {}
    }
    if code == 0 {
        if oom_killed {
            warnings.push(
                "the kernel killed a child of the test for want of memory, yet the test ended with 0".into(),
            );
        }
        return (Outcome::Passed, None);
    }
    let guessed_oom = !evidence.oom_is_recorded && code == 137 && memory_limit.is_some();
    if oom_killed || guessed_oom {
        return (Outcome::OutOfMemory, Some(Cause::OutOfMemory { limit: memory_limit }));
    }
    if let Some(message) = evidence.exec_failure.as_deref().filter(|_| matches!(code, 1 | 255)) {
        return (Outcome::NotStarted, Some(start_failure(message)));
    }
    let reports_overrule = policy.trust == Trust::Report
        && evidence.cases.total() > 0
        && evidence.cases.bad() == 0
        && evidence.unreadable_reports == 0;
    if reports_overrule {
        warnings.push(format!("the test ended with {code}, but --trust report believes its reports"));
        return (Outcome::Passed, None);
    }
    let cause = match code {
        127 => Cause::CommandNotFound { message: ENDED_WITH_127.to_owned() },
        126 => Cause::CommandNotExecutable { message: ENDED_WITH_126.to_owned() },
        129..=159 => Cause::KilledBySignal { signal: u8::try_from(code - 128).unwrap_or(0) },
        _ => Cause::ExitCode { code },
    };
    (Outcome::Failed, Some(cause))
}

/// How runtimes begin what they say about the command; what stands before it is the way to it.
const ABOUT_THE_COMMAND: [&str; 6] = [
    "exec: \"",
    "exec /",
    "exec user process caused",
    "executable file",
    "oci permission denied",
    "oci runtime attempted to invoke a command that was not found",
];

const NOT_EXECUTABLE: [&str; 3] = ["permission denied", "exec format error", "is a directory"];

const NOT_FOUND: [&str; 3] = ["not found", "no such file or directory", "executable file"];

/// Engines tell apart why a command cannot start in prose only. A missing file or a refusal anywhere else (a mount, a
/// sysctl, the working directory) says nothing about the command.
fn start_failure(message: &str) -> Cause {
    let lower = message.to_lowercase();
    let begin = ABOUT_THE_COMMAND.iter().filter_map(|phrase| lower.find(phrase)).min();
    let about = begin.and_then(|begin| lower.get(begin..)).unwrap_or_default();
    let message = message.to_owned();
    if NOT_EXECUTABLE.iter().any(|phrase| about.contains(phrase)) {
        Cause::CommandNotExecutable { message }
    } else if NOT_FOUND.iter().any(|phrase| about.contains(phrase)) {
        Cause::CommandNotFound { message }
    } else {
        Cause::NotStarted { message }
    }
}

/// Reads the one line that a runtime leaves in the output where the kernel refuses the command only after the engine
/// counts it as started: a program for another architecture, a script whose interpreter is missing.
#[must_use]
pub fn exec_failure(output: &str) -> Option<String> {
    let line = output.trim_end();
    let by_runtime = line.starts_with("exec /")
        || line.starts_with("standard_init_linux.go:") && line.contains("exec user process caused");
    let refused = ["exec format error", "no such file or directory", "permission denied"];
    (by_runtime && line.lines().count() == 1 && refused.iter().any(|phrase| line.ends_with(phrase)))
        .then(|| line.to_owned())
}

/// What a run that ended so exits with.
#[must_use]
pub fn exit_code(verdict: &Verdict, container: Option<i64>, propagate: bool) -> ExitCode {
    let code = match (verdict.outcome, &verdict.cause) {
        (Outcome::Passed | Outcome::Flaky | Outcome::Skipped, _) => ExitCode::Success,
        (_, Some(Cause::Interrupted { signal })) => ExitCode::Signal(*signal),
        (
            _,
            Some(
                Cause::EngineLost { .. }
                | Cause::ContainerRemoved
                | Cause::ResultsLimit { .. }
                | Cause::ResultsIncomplete { .. }
                | Cause::DependencyFailed { .. }
                | Cause::NotStarted { .. },
            ),
        ) => ExitCode::Error,
        (_, Some(Cause::CommandNotFound { .. })) => ExitCode::CommandNotFound,
        (_, Some(Cause::CommandNotExecutable { .. })) => ExitCode::NotExecutable,
        (Outcome::TimedOut, _) => ExitCode::TimedOut,
        (Outcome::Failed | Outcome::OutOfMemory | Outcome::NotStarted, _) => ExitCode::TestsFailed,
        (Outcome::Aborted | Outcome::DependencyFailed, _) => ExitCode::Error,
    };
    // Only a verdict that the container itself reached is its to propagate.
    match (propagate, code, container.and_then(|code| u8::try_from(code).ok())) {
        (true, ExitCode::TestsFailed | ExitCode::CommandNotFound | ExitCode::NotExecutable, Some(own))
            if own != 0 =>
        {
            ExitCode::Container(own)
        }
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exited(code: i64) -> Evidence {
        Evidence {
            ending: Ending::Exited { code, oom_killed: false, memory_limit: None },
            stopped: None,
            cases: CaseCounts { passed: 1, ..CaseCounts::default() },
            unreadable_reports: 0,
            over_limit: None,
            incomplete: None,
            oom_is_recorded: true,
            exec_failure: None,
        }
    }

    fn code(evidence: &Evidence, policy: VerdictPolicy) -> u8 {
        exit_code(&judge(evidence, policy), None, false).code()
    }

    fn trusting(trust: Trust) -> VerdictPolicy {
        VerdictPolicy { trust, ..VerdictPolicy::default() }
    }

    #[test]
    fn exit_code_and_reports_must_both_be_good_unless_told_otherwise() {
        let bad_cases = CaseCounts { passed: 1, failed: 1, ..CaseCounts::default() };
        let zero_with_failures = Evidence { cases: bad_cases, ..exited(0) };
        let table = [
            (Trust::Both, exited(0), 0),
            (Trust::Both, exited(3), 1),
            (Trust::Both, zero_with_failures.clone(), 1),
            (Trust::Exit, zero_with_failures.clone(), 0),
            (Trust::Report, zero_with_failures, 1),
            (Trust::Report, exited(3), 0),
        ];
        for (trust, evidence, expected) in table {
            assert_eq!(code(&evidence, trusting(trust)), expected, "{trust:?} {evidence:?}");
        }
    }

    #[test]
    fn trusting_reports_needs_a_report() {
        let evidence = Evidence { cases: CaseCounts::default(), ..exited(3) };
        assert_eq!(code(&evidence, trusting(Trust::Report)), 1);
    }

    #[test]
    fn a_truncated_report_is_no_pass() {
        let evidence = Evidence { unreadable_reports: 1, ..exited(0) };
        assert_eq!(
            judge(&evidence, VerdictPolicy::default()).cause,
            Some(Cause::UnreadableReport { files: 1 })
        );
        assert_eq!(code(&evidence, trusting(Trust::Exit)), 0);
    }

    #[test]
    fn out_of_memory_is_told_from_a_plain_137() {
        let killed = Evidence {
            ending: Ending::Exited { code: 137, oom_killed: true, memory_limit: Some(1) },
            ..exited(0)
        };
        assert_eq!(judge(&killed, VerdictPolicy::default()).outcome, Outcome::OutOfMemory);
        assert_eq!(
            judge(&exited(137), VerdictPolicy::default()).cause,
            Some(Cause::KilledBySignal { signal: 9 })
        );
    }

    #[test]
    fn where_the_engine_does_not_record_it_137_under_a_limit_is_out_of_memory() {
        let evidence = Evidence {
            ending: Ending::Exited { code: 137, oom_killed: false, memory_limit: Some(1) },
            oom_is_recorded: false,
            ..exited(0)
        };
        assert_eq!(judge(&evidence, VerdictPolicy::default()).outcome, Outcome::OutOfMemory);
    }

    #[test]
    fn a_child_out_of_memory_with_exit_0_is_a_pass_with_a_warning() {
        let evidence = Evidence {
            ending: Ending::Exited { code: 0, oom_killed: true, memory_limit: None },
            ..exited(0)
        };
        let verdict = judge(&evidence, VerdictPolicy::default());
        assert_eq!(verdict.outcome, Outcome::Passed);
        assert_eq!(verdict.warnings.len(), 1);
    }

    #[test]
    fn timeout_and_interrupt_win_over_the_exit_code_that_they_caused() {
        let timeout = Evidence { stopped: Some(Stopped::Timeout { seconds: 1.0 }), ..exited(0) };
        let interrupt = Evidence { stopped: Some(Stopped::Interrupt { signal: 2 }), ..exited(0) };
        let terminated = Evidence { stopped: Some(Stopped::Interrupt { signal: 15 }), ..exited(143) };
        let policy = VerdictPolicy::default();
        assert_eq!(
            [code(&timeout, policy), code(&interrupt, policy), code(&terminated, policy)],
            [124, 130, 143]
        );
    }

    #[test]
    fn a_command_that_cannot_start_is_told_apart_by_the_engines_words() {
        let table = [
            ("exec: \"/x\": executable file not found in $PATH", 127),
            ("exec: \"/x\": stat /x: no such file or directory: unknown", 127),
            ("exec: \"/x\": permission denied", 126),
            ("exec /x: exec format error", 126),
            ("crun: open executable: Permission denied: OCI permission denied", 126),
            ("crun: executable file `x` not found in $PATH: No such file or directory", 127),
            ("cannot set memory limit", 125),
            ("custom device \"/dev/x\": no such file or directory", 125),
            ("error mounting \"/a\" to rootfs at \"/b\": permission denied", 125),
            ("network shop not found", 125),
            ("crun: executable file `/x` not found in $PATH: No such file or directory", 127),
            ("crun: open `/x`: Permission denied: OCI permission denied", 126),
            ("error during container init: open /proc/sys/net/x: no such file or directory: unknown", 125),
            ("chdir to cwd (\"/x\") set in config.json failed: permission denied", 125),
        ];
        for (message, expected) in table {
            let evidence = Evidence { ending: Ending::NotStarted { message: message.into() }, ..exited(0) };
            assert_eq!(code(&evidence, VerdictPolicy::default()), expected, "{message}");
        }
    }

    #[test]
    fn a_command_that_the_kernel_refused_after_the_start_was_not_started() {
        for (output, expected) in [
            ("exec /x: exec format error\n", 126),
            ("exec /x.sh: no such file or directory\r\n", 127),
            ("standard_init_linux.go:228: exec user process caused: exec format error\n", 126),
            ("my test says\nexec /x: exec format error\n", 1),
            ("exec /x: exec format error\nand goes on", 1),
            ("exec /x: assertion failed", 1),
        ] {
            let evidence = Evidence { exec_failure: exec_failure(output), ..exited(1) };
            assert_eq!(code(&evidence, VerdictPolicy::default()), expected, "{output:?}");
        }
        let passed = Evidence { exec_failure: exec_failure("exec /x: exec format error\n"), ..exited(0) };
        assert_eq!(code(&passed, VerdictPolicy::default()), 0);
    }

    #[test]
    fn no_tests_is_a_matter_of_policy() {
        let evidence = Evidence { cases: CaseCounts::default(), ..exited(0) };
        let verdict = |no_tests| judge(&evidence, VerdictPolicy { no_tests, ..VerdictPolicy::default() });
        assert!(verdict(NoTests::Pass).warnings.is_empty());
        assert_eq!(verdict(NoTests::Warn).warnings.len(), 1);
        assert_eq!(verdict(NoTests::Fail).cause, Some(Cause::NoTests));
    }

    #[test]
    fn results_over_their_limit_are_an_error_unless_the_test_failed() {
        let policy = VerdictPolicy::default();
        assert_eq!(code(&Evidence { over_limit: Some(1), ..exited(0) }, policy), 125);
        assert_eq!(code(&Evidence { over_limit: Some(1), ..exited(3) }, policy), 1);
        let failed = CaseCounts { failed: 1, ..CaseCounts::default() };
        assert_eq!(code(&Evidence { over_limit: Some(1), cases: failed, ..exited(0) }, policy), 1);
    }

    #[test]
    fn a_report_that_the_limit_cut_says_nothing_about_the_test() {
        let policy = VerdictPolicy { no_tests: NoTests::Fail, ..VerdictPolicy::default() };
        let cut = Evidence { over_limit: Some(1), unreadable_reports: 1, ..exited(0) };
        let left_out = Evidence { over_limit: Some(1), cases: CaseCounts::default(), ..exited(0) };
        for evidence in [cut, left_out] {
            assert_eq!(judge(&evidence, policy).cause, Some(Cause::ResultsLimit { limit: 1 }));
            assert_eq!(code(&evidence, policy), 125);
        }
    }

    #[test]
    fn results_that_could_not_be_taken_out_are_an_error_unless_the_test_failed() {
        let incomplete = |code| Evidence { incomplete: Some("disk full".into()), ..exited(code) };
        assert_eq!(code(&incomplete(0), VerdictPolicy::default()), 125);
        assert_eq!(code(&incomplete(0), trusting(Trust::Exit)), 125);
        assert_eq!(code(&incomplete(3), VerdictPolicy::default()), 1);
        assert_eq!(judge(&incomplete(3), VerdictPolicy::default()).warnings.len(), 1);
    }

    #[test]
    fn the_containers_own_code_is_handed_on_when_asked() {
        let verdict = judge(&exited(3), VerdictPolicy::default());
        assert_eq!(exit_code(&verdict, Some(3), true).code(), 3);
        assert_eq!(exit_code(&verdict, Some(3), false).code(), 1);
        let timeout = Evidence { stopped: Some(Stopped::Timeout { seconds: 1.0 }), ..exited(143) };
        assert_eq!(exit_code(&judge(&timeout, VerdictPolicy::default()), Some(143), true).code(), 124);
    }
}
