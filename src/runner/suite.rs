//! A run of many tests: what the dispatcher is handed, and what it gives back.
//!
//! Owns these values, and how the end of one test becomes its result. Who runs what and when is [`super::dispatcher`]'s.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Sink;
use super::builds::Builds;
use super::executor::Executed;
use super::housekeeping::Housekeeping;
use super::secret_files::SecretFiles;
use super::services;
use super::unrun;
use crate::engine::{Engine, Image};
use crate::environment::Environment;
use crate::error::Failure;
use crate::exit_code::ExitCode;
use crate::image::logins::Logins;
use crate::ledger::RunLedger;
use crate::plan::TestPlan;
use crate::redact::Redactor;
use crate::results::verdict::Verdict;
use crate::results::{Attempt, Cause, Outcome, ServiceResult, TestResult};
use crate::signal::Interrupts;
use crate::suite::needs::Need;
use crate::suite::policy::Policy;
use crate::suite::schedule::Limits;

/// Bytes of the output of a test that did not pass, as results keep it; the rest is in its log.
const TAIL_OF_FAILED: usize = 16 * 1024;

/// The same for one that passed: memory has to hold thousands of them.
const TAIL_OF_PASSED: usize = 1024;

/// One test of a run.
#[derive(Debug)]
pub struct Test {
    /// Its name; no other test of the run has it.
    pub name: String,
    /// The image as the user wrote it, or the container.
    pub image: String,
    /// Directory of its files, below that of the run.
    pub directory: String,
    /// What is to be done, or why there is no saying.
    pub planned: Result<Planned, Failure>,
    /// How it runs beside others.
    pub policy: Policy,
    /// What comes first: tests, and services with all that those need.
    pub needs: Vec<Need>,
    /// How long it usually takes, in seconds, where that is recorded.
    pub expected: Option<f64>,
    /// A pass on a retry is a failure.
    pub flaky_fails: bool,
    /// It is not run, and this is why.
    pub skipped: Option<Cause>,
}

/// A test that can be run.
#[derive(Debug)]
pub struct Planned {
    /// The plan.
    pub plan: TestPlan,
    /// The image under test.
    pub target: Arc<Image>,
    /// The image that bears the test image's name now.
    pub existing: Option<Arc<Image>>,
    /// Files under `/run/secrets`.
    pub secret_files: SecretFiles,
}

/// A run of many tests.
pub struct Suite<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The run's ledger.
    pub ledger: &'a RunLedger,
    /// The run's sweeps.
    pub housekeeping: &'a Housekeeping,
    /// Test images that were built for this run.
    pub builds: &'a Builds,
    /// Logins for base images.
    pub logins: &'a Logins,
    /// For build secrets and the ssh agent.
    pub environment: &'a Environment,
    /// Replaces the secrets of all tests and services.
    pub redactor: Arc<Redactor>,
    /// Where events go.
    pub sink: Sink,
    /// Output of tests goes there too, as it comes.
    pub stream: bool,
    /// The tests, in the order in which they start as far as needs and policies allow.
    pub tests: &'a [Test],
    /// The services.
    pub services: &'a [services::Planned],
    /// The services of a compose project.
    pub project: Option<&'a services::Project>,
    /// How many at a time, and when it is enough.
    pub limits: Limits,
    /// How long all of it may take.
    pub time: Option<Duration>,
    /// A test that runs longer is said to be slow.
    pub slow_after: Duration,
    /// The directory that files are put in now.
    pub staging: PathBuf,
    /// Where it will be when the run is over.
    pub target: PathBuf,
}

/// A test that has come to its end.
#[derive(Debug)]
pub struct Finished {
    /// For reports.
    pub result: TestResult,
    /// What the process would exit with if it were the only one.
    pub exit: ExitCode,
    /// Containers that were left for the user.
    pub kept: Vec<String>,
    /// Why there is no verdict, where the program itself failed.
    pub failure: Option<Failure>,
    /// What its test image was made of, where it ran.
    pub recipe_key: Option<String>,
}

/// What became of a run.
#[derive(Debug)]
pub struct Ended {
    /// Every test, in the order in which they were handed in.
    pub tests: Vec<Finished>,
    /// The services that were started.
    pub services: Vec<ServiceResult>,
    /// Services of a compose project that have ended though tests may have needed them.
    pub lost: BTreeMap<String, Cause>,
    /// The time for the whole run was over before all tests were.
    pub out_of_time: bool,
}

impl Test {
    /// Of a test that has not run no more is known than its plan.
    #[must_use]
    pub fn blank(&self) -> TestResult {
        let Ok(Planned { plan, .. }) = &self.planned else {
            return unrun::unplanned(&self.name, &self.image);
        };
        TestResult {
            name: self.name.clone(),
            image: self.image.clone(),
            warnings: plan.warnings.clone(),
            ..unrun::planned(plan)
        }
    }

    /// The test was not run, because another one that it needs did not pass: that one decides the exit code.
    #[must_use]
    pub fn without(&self, needed: &str) -> Finished {
        let message = "it did not pass".to_owned();
        let cause = Cause::DependencyFailed { service: needed.to_owned(), message, log_tail: String::new() };
        Finished { exit: ExitCode::Success, ..self.not_run(Outcome::DependencyFailed, cause) }
    }

    /// The test was not run.
    #[must_use]
    pub fn not_run(&self, outcome: Outcome, cause: Cause) -> Finished {
        let exit = match (outcome, &cause) {
            (Outcome::TimedOut, _) => ExitCode::TimedOut,
            (_, Cause::Interrupted { signal }) => ExitCode::Signal(*signal),
            (Outcome::DependencyFailed | Outcome::Aborted, _) => ExitCode::Error,
            // Whatever stopped the run has an exit code of its own.
            _ => ExitCode::Success,
        };
        let result = TestResult { outcome, cause: Some(cause), ..self.blank() };
        Finished { result, exit, kept: Vec::new(), failure: None, recipe_key: None }
    }

    /// The program itself failed at this test.
    #[must_use]
    pub fn failed(&self, failure: Failure, interrupted: Interrupts) -> Finished {
        if interrupted.count > 0 {
            let cause = Cause::Interrupted { signal: interrupted.signal };
            return Finished { failure: Some(failure), ..self.not_run(Outcome::Aborted, cause) };
        }
        let cause = Cause::NotStarted { message: failure.chain().join(": ") };
        let result = TestResult { cause: Some(cause), ..self.blank() };
        Finished { result, exit: ExitCode::Error, kept: Vec::new(), failure: Some(failure), recipe_key: None }
    }

    /// The test has run. `lost` is the service that it needed and that has ended meanwhile.
    #[must_use]
    pub fn executed(&self, mut executed: Executed, results_dir: String, lost: Option<Cause>) -> Finished {
        let verdict = &mut executed.verdict;
        match lost {
            // The ground was taken from it: that it failed says nothing about its image.
            Some(cause) if is_bad(verdict.outcome) => {
                verdict.outcome = Outcome::DependencyFailed;
                verdict.cause = Some(cause);
            }
            Some(Cause::DependencyFailed { service, message, .. }) => {
                verdict.warnings.push(format!("the service {service} {message} while this ran"));
            }
            _ => {}
        }
        let exit = executed.exit(false, self.flaky_fails);
        let Executed { mut attempts, verdict, kept, results_pending, recipe_key, failure } = executed;
        attempts.iter_mut().for_each(shorten);
        let Verdict { outcome, cause, warnings } = verdict;
        let flaky_fails = self.flaky_fails && outcome == Outcome::Flaky;
        let mut result = TestResult { outcome, cause, flaky_fails, attempts, ..self.blank() };
        result.warnings.extend(warnings);
        result.results_dir = (!results_pending).then_some(results_dir);
        Finished { result, exit, kept, failure, recipe_key }
    }
}

/// Whether an outcome may be the fault of something that the test needed.
const fn is_bad(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Failed | Outcome::TimedOut | Outcome::OutOfMemory | Outcome::NotStarted | Outcome::Aborted
    )
}

fn shorten(attempt: &mut Attempt) {
    let most = if attempt.outcome == Outcome::Passed { TAIL_OF_PASSED } else { TAIL_OF_FAILED };
    let text = &attempt.log_tail;
    if text.len() > most {
        let mut from = text.len() - most;
        while !text.is_char_boundary(from) {
            from += 1;
        }
        let tail = text.get(from..).unwrap_or_default();
        let tail = tail.split_once('\n').map_or(tail, |(_, rest)| rest);
        attempt.log_tail = tail.to_owned();
    }
    attempt.log_tail.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test() -> Test {
        Test {
            name: "t".to_owned(),
            image: "i".to_owned(),
            directory: "t".to_owned(),
            planned: Err(Failure::from(crate::engine::EngineError::Missing {
                operation: "inspect",
                kind: "image",
                subject: "i".to_owned(),
            })),
            policy: Policy::default(),
            needs: Vec::new(),
            expected: None,
            flaky_fails: false,
            skipped: None,
        }
    }

    fn executed(outcome: Outcome) -> Executed {
        let cause = (outcome != Outcome::Passed).then_some(Cause::ExitCode { code: 1 });
        let verdict = Verdict { outcome, cause, warnings: Vec::new() };
        Executed {
            attempts: Vec::new(),
            verdict,
            kept: Vec::new(),
            results_pending: false,
            recipe_key: None,
            failure: None,
        }
    }

    fn lost() -> Cause {
        let (service, message) = ("db".to_owned(), "ended with exit code 1".to_owned());
        Cause::DependencyFailed { service, message, log_tail: String::new() }
    }

    #[test]
    fn a_failure_without_its_service_is_the_services_and_a_pass_stays_one() {
        let failed = test().executed(executed(Outcome::Failed), String::new(), Some(lost()));
        assert_eq!(failed.result.outcome, Outcome::DependencyFailed);
        assert_eq!(failed.exit, ExitCode::Error);
        let passed = test().executed(executed(Outcome::Passed), String::new(), Some(lost()));
        assert_eq!(passed.result.outcome, Outcome::Passed);
        assert!(passed.result.warnings[0].contains("db ended with exit code 1"), "{passed:?}");
    }

    #[test]
    fn flaky_passes_unless_it_is_to_fail() {
        let mut test = test();
        assert_eq!(test.executed(executed(Outcome::Flaky), String::new(), None).exit, ExitCode::Success);
        test.flaky_fails = true;
        assert_eq!(test.executed(executed(Outcome::Flaky), String::new(), None).exit, ExitCode::TestsFailed);
    }

    #[test]
    fn what_was_not_run_decides_the_exit_code_only_where_nothing_else_does() {
        let reason = || Cause::NotRun { reason: "enough".to_owned() };
        assert_eq!(test().not_run(Outcome::Skipped, reason()).exit, ExitCode::Success);
        assert_eq!(test().not_run(Outcome::TimedOut, reason()).exit, ExitCode::TimedOut);
        let interrupted = Cause::Interrupted { signal: 15 };
        assert_eq!(test().not_run(Outcome::Aborted, interrupted).exit, ExitCode::Signal(15));
    }

    #[test]
    fn results_keep_the_last_whole_lines_of_an_output() {
        let lines: Vec<String> = (0..5000).map(|line| format!("line {line} é\n")).collect();
        let lines = lines.concat();
        let mut attempt = Attempt {
            number: 1,
            outcome: Outcome::Failed,
            cause: None,
            exit_code: Some(1),
            started_at: None,
            seconds: 0.0,
            suites: Vec::new(),
            cases: crate::results::CaseCounts::default(),
            files: Vec::new(),
            log_tail: lines,
            container: None,
            slot: None,
            offset_seconds: None,
            log: None,
        };
        shorten(&mut attempt);
        assert!(attempt.log_tail.len() <= TAIL_OF_FAILED && attempt.log_tail.starts_with("line "));
        assert!(attempt.log_tail.ends_with("line 4999 é\n"));
    }
}
