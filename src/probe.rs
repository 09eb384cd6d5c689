//! What a probe came to: its attempts, what each of them saw, and the verdict over all of them.
//!
//! Owns these values, which checks fill in and alerts, metrics and pages are made of. Pure: runs nothing, sends nothing
//! and reads no clock.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one look at a service came to. The numbers are those of Nagios plugins and of DataDog service checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is as it should be.
    Ok = 0,
    /// It works, and somebody should look at it.
    Warning = 1,
    /// It does not work.
    Critical = 2,
    /// The check could not find out.
    Unknown = 3,
}

impl State {
    /// 0 to 3.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether an attempt that came to this counts as a pass.
    #[must_use]
    pub const fn is_pass(self) -> bool {
        matches!(self, Self::Ok | Self::Warning)
    }
}

/// A number that a check measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measurement {
    /// Its name, as the check gives it.
    pub name: String,
    /// The number. Always finite.
    pub value: f64,
    /// Its unit as a Nagios plugin writes it (`s`, `ms`, `B`, `%`, `c`); empty where it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
}

/// What one look at a service saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Observation {
    /// What it came to.
    pub state: State,
    /// One line for people: what was expected, and what was there instead.
    pub summary: String,
    /// The last of what the check printed. Free text of a stranger.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// What was measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurements: Vec<Measurement>,
}

/// What became of the cleanup after an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cleanup {
    /// It did what it was to do.
    pub passed: bool,
    /// One line for people.
    pub summary: String,
    /// How long it took.
    pub seconds: f64,
}

/// One attempt at a probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// When it began, in Unix seconds.
    pub started_at: i64,
    /// How long it took, without its cleanup.
    pub seconds: f64,
    /// What it saw.
    #[serde(flatten)]
    pub seen: Observation,
    /// The time allowed for it was over.
    #[serde(default)]
    pub timed_out: bool,
    /// What became of its cleanup, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleanup: Option<Cleanup>,
}

/// The verdict over all attempts of a run of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The first attempt passed.
    Passed,
    /// The check itself asked for a look: an attempt came to a warning.
    Warning,
    /// An attempt failed, and a later one passed.
    PassedOnRetry,
    /// An attempt passed, and the cleanup after one of them failed.
    CleanupFailed,
    /// All attempts failed.
    Failed,
    /// The harness could not do its job: nothing is known about the service.
    Errored,
}

impl Verdict {
    /// Whether the service did what it should.
    #[must_use]
    pub const fn is_pass(self) -> bool {
        matches!(self, Self::Passed | Self::Warning | Self::PassedOnRetry | Self::CleanupFailed)
    }

    /// The state that monitoring systems are told.
    #[must_use]
    pub const fn state(self) -> State {
        match self {
            Self::Passed => State::Ok,
            Self::Warning | Self::PassedOnRetry | Self::CleanupFailed => State::Warning,
            Self::Failed => State::Critical,
            Self::Errored => State::Unknown,
        }
    }
}

/// What is known of a probe before it runs, and stands in everything that is told about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// Its name: `example.integration`. Metrics are named after it.
    pub name: String,
    /// `test.type`: integration, performance, security, chaos or anything else.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is tested, and the host tag of all metrics.
    pub host: String,
    /// Tags beside the host: `key:value` or a word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl Identity {
    /// The name that its state and its runs are kept under: the same check of another host is another probe.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}@{}", self.name, self.host)
    }
}

/// One run of a probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeRun {
    /// The same on every sink.
    pub id: String,
    /// What was run.
    pub probe: Identity,
    /// When it began, in Unix seconds.
    pub started_at: i64,
    /// How long all of it took: attempts, waits and cleanups.
    pub seconds: f64,
    /// Every attempt, in order.
    pub attempts: Vec<Attempt>,
    /// Why the harness could not do its job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl ProbeRun {
    /// The first attempt that passed, if any did. Others may have been made after it.
    #[must_use]
    pub fn first_pass(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.seen.state.is_pass())
    }

    /// What all of it came to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let passed = self.attempts.iter().position(|attempt| attempt.seen.state.is_pass());
        let Some(passed) = passed else {
            return if self.error.is_some() || self.attempts.is_empty() {
                Verdict::Errored
            } else {
                Verdict::Failed
            };
        };
        let unclean =
            self.attempts.iter().any(|attempt| attempt.cleanup.as_ref().is_some_and(|it| !it.passed));
        match self.attempts.get(passed) {
            _ if unclean => Verdict::CleanupFailed,
            _ if passed > 0 => Verdict::PassedOnRetry,
            Some(attempt) if attempt.seen.state == State::Warning => Verdict::Warning,
            _ => Verdict::Passed,
        }
    }

    /// How many attempts passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.attempts.iter().filter(|attempt| attempt.seen.state.is_pass()).count()
    }

    /// One line for people: the last attempt's, or why there was none.
    #[must_use]
    pub fn summary(&self) -> &str {
        match (&self.error, self.attempts.last()) {
            (Some(error), _) => error,
            (None, Some(last)) => &last.seen.summary,
            (None, None) => "no attempt was made",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(number: u32, state: State, cleanup: Option<bool>) -> Attempt {
        let cleanup = cleanup.map(|passed| Cleanup { passed, summary: String::new(), seconds: 0.0 });
        let seen = Observation {
            state,
            summary: format!("attempt {number}"),
            output: String::new(),
            measurements: Vec::new(),
        };
        Attempt { number, started_at: 0, seconds: 0.1, seen, timed_out: false, cleanup }
    }

    fn run(attempts: Vec<Attempt>, error: Option<&str>) -> ProbeRun {
        let probe = Identity {
            name: "example.integration".to_owned(),
            kind: "integration".to_owned(),
            host: "staging".to_owned(),
            tags: Vec::new(),
        };
        let error = error.map(str::to_owned);
        ProbeRun { id: "r".to_owned(), probe, started_at: 0, seconds: 1.0, attempts, error }
    }

    #[test]
    fn one_attempt_that_passes_is_enough_and_the_rest_is_told_apart() {
        use State::{Critical, Ok, Unknown, Warning};
        let verdict = |attempts| run(attempts, None).verdict();
        assert_eq!(verdict(vec![attempt(1, Ok, None)]), Verdict::Passed);
        assert_eq!(verdict(vec![attempt(1, Ok, Some(true))]), Verdict::Passed);
        assert_eq!(verdict(vec![attempt(1, Warning, None)]), Verdict::Warning);
        assert_eq!(verdict(vec![attempt(1, Critical, None), attempt(2, Ok, None)]), Verdict::PassedOnRetry);
        assert_eq!(verdict(vec![attempt(1, Ok, Some(false))]), Verdict::CleanupFailed);
        assert_eq!(
            verdict(vec![attempt(1, Critical, Some(false)), attempt(2, Critical, Some(false))]),
            Verdict::Failed,
            "the page is about the service"
        );
        assert_eq!(verdict(vec![attempt(1, Unknown, None)]), Verdict::Failed);
        assert_eq!(verdict(Vec::new()), Verdict::Errored);
    }

    #[test]
    fn a_harness_that_fails_says_nothing_about_the_service_unless_an_attempt_passed() {
        assert_eq!(run(Vec::new(), Some("no such file")).verdict(), Verdict::Errored);
        assert_eq!(run(vec![attempt(1, State::Ok, None)], Some("state")).verdict(), Verdict::Passed);
        assert_eq!(run(Vec::new(), Some("no such file")).summary(), "no such file");
        assert_eq!(run(vec![attempt(1, State::Ok, None)], None).summary(), "attempt 1");
    }

    #[test]
    fn a_run_is_read_back_as_it_was_written() {
        let run = run(vec![attempt(1, State::Critical, Some(true))], None);
        let json = serde_json::to_string(&run).unwrap();
        assert_eq!(serde_json::from_str::<ProbeRun>(&json).unwrap(), run);
    }
}
