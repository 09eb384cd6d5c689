//! A docker-test run: an image whose tests are to pass.
//!
//! Owns the call of the program and what is made of its exit code and its results. How an image is tested is that
//! program's; asked to stop, it is given the time to remove what it has on the engine.

mod report;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::command::{Ending, Process, Request, Stdout, Text, one_line, with_last_line};
use super::expect::quoted;
use super::keys::Keys;
use super::shape::{self, Shaped};
use super::{CheckError, Looked, Surroundings, critical, observation};
use crate::exit_code::ExitCode;
use crate::metadata::dockerfile::excerpt;
use crate::metadata::duration::human;
use crate::probe::State;
use crate::redact::Redactor;
use report::Report;

/// How long docker-test may take to stop a test and to remove what it has made.
const DEFAULT_GRACE: Duration = Duration::from_mins(1);
/// Where docker-test puts what a test leaves.
const RESULTS: &str = "--results-dir";
/// Flags that would take away what is read here.
const OURS: [&str; 2] = ["--format", "--report"];
/// Says to docker-test that Docker has started it, which it has not.
const OF_PLUGINS: &str = "DOCKER_CLI_PLUGIN_";

/// Which image, and what docker-test is told beside it.
#[derive(Debug, Clone)]
pub struct ImageCheck {
    /// An image, or a container that is run again as a test.
    image: String,
    is_container: bool,
    arguments: Vec<String>,
    grace: Duration,
}

/// The mapping of an `image` check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LongImage {
    image: String,
    /// Flags of `docker-test run`, and the command of the test after `--`.
    #[serde(default)]
    arguments: Vec<String>,
    /// How long it may take to end after it was asked to.
    #[serde(default, deserialize_with = "shape::limit")]
    grace: Option<Duration>,
}

impl Shaped for ImageCheck {
    const EXPECTED: &'static str = "an image such as shop:1.4, or a mapping with the key image";
    type Map = LongImage;
    type Item = serde::de::IgnoredAny;

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.starts_with('-') || text.contains(char::is_whitespace) {
            return Err(format!("expected an image such as shop:1.4, got {}", excerpt(text)));
        }
        Ok(Self { image: text.to_owned(), is_container: false, arguments: Vec::new(), grace: DEFAULT_GRACE })
    }

    fn from_map(map: LongImage) -> Result<Self, String> {
        let check = Self::from_text(&map.image)?;
        let mut flags = map.arguments.iter().take_while(|word| *word != "--");
        let is_ours = |word: &&String| OURS.contains(&word.split('=').next().unwrap_or_default());
        if let Some(flag) = flags.find(is_ours) {
            return Err(format!("arguments: expected no {flag}, which the check sets itself"));
        }
        Ok(Self { arguments: map.arguments, grace: map.grace.unwrap_or(DEFAULT_GRACE), ..check })
    }
}

impl ImageCheck {
    /// The tests of an image that is there, without a further attempt of their own.
    #[must_use]
    pub fn of_image(name: &str) -> Self {
        Self { image: name.to_owned(), is_container: false, arguments: no_retries(), grace: DEFAULT_GRACE }
    }

    /// A labelled container that a deployment has made: it is run again as a test, and left as it is.
    #[must_use]
    pub fn of_container(name: &str) -> Self {
        Self { image: name.to_owned(), is_container: true, arguments: no_retries(), grace: DEFAULT_GRACE }
    }

    pub(super) fn keys(&self, keys: &mut Keys<'_>) {
        keys.flags(&self.arguments);
    }

    /// Has the image tested, for as long as `timeout` and until `stop`.
    pub(super) async fn run(
        &self,
        surroundings: &Surroundings,
        timeout: Duration,
        stop: &CancellationToken,
    ) -> Result<Looked, CheckError> {
        if stop.is_cancelled() {
            return Err(CheckError::Cancelled);
        }
        // Removed when the check is over: checks beside one another would replace each other's results.
        let results = tempfile::Builder::new().prefix("docker-test-check-").tempdir();
        let results = results.map_err(|error| CheckError::Setup {
            what: "a directory for the results of a test",
            reason: error.to_string(),
        })?;
        let mut command = Command::new(&surroundings.tester.program);
        command.args(["run", "--report", "json=-"]);
        if self.is_container {
            command.args(["--containers", "--select"]);
        }
        command.arg(&self.image);
        if !self.arguments.iter().any(|word| word.split('=').next() == Some(RESULTS)) {
            command.arg(RESULTS).arg(results.path());
        }
        command.args(&self.arguments).env_clear().envs(variables(surroundings));
        let process = Process::start(command, surroundings, None, Stdout::Document)?;
        let (ending, printed) = process.ended(timeout, stop, Request::ToItself, self.grace).await?;
        match ending {
            Ending::Cancelled => Err(CheckError::Cancelled),
            Ending::TimedOut => {
                let fault = format!("expected an end of the tests within {}, got none", human(timeout));
                let mut seen = critical(fault);
                seen.output = printed.tail;
                Ok(Looked { seen, timed_out: true })
            }
            Ending::Itself(status) => self.judge(status.code(), printed, &surroundings.redactor),
        }
    }

    fn judge(&self, code: Option<i32>, printed: Text, redactor: &Redactor) -> Result<Looked, CheckError> {
        let image = &self.image;
        let code = code.and_then(|code| u8::try_from(code).ok());
        let report = Report::read(&printed.head, redactor);
        let untested = |why: String| CheckError::Untested { image: quoted(image, redactor), reason: why };
        let meant = match code.map(ExitCode::from_code) {
            None => return Err(untested(with_last_line("docker-test was killed".to_owned(), &printed.tail))),
            Some(ExitCode::Error) => return Err(untested(reason(&printed.tail))),
            Some(ExitCode::NothingToTest) => return Err(untested("it has nothing to test".to_owned())),
            Some(meant) => meant,
        };
        // Without results nobody knows whether there was a test.
        let Some(report) = report else {
            let code = meant.code();
            let what = format!("docker-test ended with {code} and gave no results");
            return Err(untested(with_last_line(what, &printed.tail)));
        };
        if report.is_aborted() {
            return Err(untested(format!("the run was cut short: {}", report.fault())));
        }
        let mut seen = if meant == ExitCode::Success {
            observation(State::Ok, format!("the tests of {image} passed{}", report.counts()))
        } else {
            critical(format!("expected the tests of {image} to pass, got {}", report.fault()))
        };
        seen.summary = one_line(&redactor.redact(&seen.summary));
        if meant == ExitCode::Success && report.is_flaky() {
            seen.state = State::Warning;
            seen.summary = format!("{}, on a later attempt", seen.summary);
        }
        seen.measurements = report.measurements();
        seen.output = printed.tail;
        Ok(Looked { seen, timed_out: false })
    }
}

/// Variables as docker-test is to have them.
fn variables(surroundings: &Surroundings) -> impl Iterator<Item = (&str, &str)> {
    let without: &BTreeSet<String> = &surroundings.tester.without;
    let variables = surroundings.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    variables.filter(|(name, _)| !without.contains(*name) && !name.starts_with(OF_PLUGINS))
}

fn no_retries() -> Vec<String> {
    ["--retries", "0"].map(str::to_owned).to_vec()
}

/// What docker-test says of its own error: the line that names it.
fn reason(printed: &str) -> String {
    const NAMES: &str = "docker-test: ";
    let lines = || printed.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_error = |line: &&str| !line.starts_with("warning");
    let own = lines().filter_map(|line| line.strip_prefix(NAMES)).rfind(is_error);
    let told = own.or_else(|| lines().next_back()).unwrap_or("docker-test ended with 125");
    one_line(told.strip_prefix("error: ").unwrap_or(told))
}

#[cfg(test)]
mod tests;
