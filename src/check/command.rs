//! A command, and what its end says about the service.
//!
//! Owns the process with all that it starts: it ends in time, whatever it does, and nothing of it is left, in no session
//! and no zombie either. Of what it prints the end is kept. What the texts mean is the command's business, but for plugins of Nagios.

mod group;
mod printed;
mod process;
mod strays;

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::keys::Keys;
use super::shape::{self, Shaped};
use super::{CheckError, Looked, Surroundings, critical, nagios, observation};
use crate::metadata::dockerfile::escaped;
use crate::metadata::duration::human;
use crate::probe::{Observation, State};
use crate::redact::Redactor;
pub(super) use printed::{Stdout, Text};
pub(super) use process::{Ending, Process, Request};

pub(super) const SHELL: &str = "/bin/sh";
/// How long a command may take to end after it was asked to.
const DEFAULT_GRACE: Duration = Duration::from_secs(5);
/// As much of a line as a summary quotes, in characters.
const QUOTED: usize = 200;

/// A command, and what its end says about the service.
#[derive(Clone)]
pub struct CommandCheck {
    run: Words,
    /// 0 to 3 and performance data, by the convention of Nagios.
    is_plugin: bool,
    environment: BTreeMap<String, String>,
    directory: Option<PathBuf>,
    grace: Duration,
}

/// Arguments and variables may bear keys.
impl fmt::Debug for CommandCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandCheck")
            .field("program", &self.run.program())
            .field("is_plugin", &self.is_plugin)
            .finish_non_exhaustive()
    }
}

/// One text for the shell, or arguments.
#[derive(Clone)]
enum Words {
    Shell(String),
    Arguments(Vec<String>),
}

/// The mapping of a `command` check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LongCommand {
    #[serde(deserialize_with = "shape::required")]
    run: Words,
    #[serde(default)]
    nagios: bool,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    directory: Option<PathBuf>,
    /// How long it may take to end after SIGTERM, before SIGKILL.
    #[serde(default, deserialize_with = "shape::limit")]
    grace: Option<Duration>,
}

impl Shaped for Words {
    const EXPECTED: &'static str = "a command for the shell, or a list of a program and its arguments";
    type Map = serde::de::IgnoredAny;
    type Item = String;

    fn from_map(_map: Self::Map) -> Result<Self, String> {
        Err(format!("expected {}", Self::EXPECTED))
    }

    fn from_text(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err(format!("expected {}, got nothing", Self::EXPECTED));
        }
        without_nul(text)?;
        Ok(Self::Shell(text.to_owned()))
    }

    fn from_list(list: Vec<String>) -> Result<Self, String> {
        list.iter().try_for_each(|word| without_nul(word))?;
        match list.first() {
            Some(program) if !program.is_empty() => Ok(Self::Arguments(list)),
            _ => Err(format!("expected {}, got no program", Self::EXPECTED)),
        }
    }
}

/// What a process is given ends at its first NUL. The text is not shown: it may bear keys.
pub(crate) fn without_nul(text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err("expected a text without NUL, which no process can be given: leave out \\0".to_owned());
    }
    Ok(())
}

impl Words {
    fn program(&self) -> &str {
        match self {
            Self::Shell(_) => SHELL,
            Self::Arguments(words) => words.first().map(String::as_str).unwrap_or_default(),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program());
        match self {
            Self::Shell(text) => command.args(["-c", text]),
            Self::Arguments(words) => command.args(words.iter().skip(1)),
        };
        command
    }
}

impl Shaped for CommandCheck {
    const EXPECTED: &'static str =
        "a command for the shell, a list of a program and its arguments, or a mapping with the key run";
    type Map = LongCommand;
    type Item = String;

    fn from_text(text: &str) -> Result<Self, String> {
        Words::from_text(text).map(Self::of)
    }

    fn from_list(list: Vec<String>) -> Result<Self, String> {
        Words::from_list(list).map(Self::of)
    }

    fn from_map(map: LongCommand) -> Result<Self, String> {
        let is_name = |name: &str| !name.is_empty() && !name.contains(['=', '\0']);
        if let Some(name) = map.env.keys().find(|name| !is_name(name)) {
            return Err(format!("expected the name of a variable, got {name:?}"));
        }
        map.env.values().try_for_each(|value| without_nul(value))?;
        if let Some(directory) = &map.directory {
            without_nul(&directory.to_string_lossy())?;
        }
        Ok(Self {
            is_plugin: map.nagios,
            environment: map.env,
            directory: map.directory,
            grace: map.grace.unwrap_or(DEFAULT_GRACE),
            ..Self::of(map.run)
        })
    }
}

impl CommandCheck {
    fn of(run: Words) -> Self {
        let environment = BTreeMap::new();
        Self { run, is_plugin: false, environment, directory: None, grace: DEFAULT_GRACE }
    }

    /// A command for the shell.
    #[must_use]
    pub fn shell(text: impl Into<String>) -> Self {
        Self::of(Words::Shell(text.into()))
    }

    /// A program with its arguments. One without a program cannot be started.
    #[must_use]
    pub fn arguments(words: Vec<String>) -> Self {
        Self::of(Words::Arguments(words))
    }

    /// It runs in this directory, or in the one that it names, which is relative to it.
    #[must_use]
    pub fn within(self, directory: &Path) -> Self {
        let own = self.directory.map(|own| directory.join(own));
        Self { directory: Some(own.unwrap_or_else(|| directory.to_owned())), ..self }
    }

    /// Taken for a plugin of Nagios.
    #[must_use]
    pub fn as_plugin(self) -> Self {
        Self { is_plugin: true, ..self }
    }

    pub(super) fn keys(&self, keys: &mut Keys<'_>) {
        self.environment.iter().for_each(|(name, value)| keys.variable(name, value));
    }

    /// Runs it. Dropped before its end, it is killed at once with all that it has started.
    pub async fn run(
        &self,
        surroundings: &Surroundings,
        timeout: Duration,
        stop: &CancellationToken,
    ) -> Result<Looked, CheckError> {
        if stop.is_cancelled() {
            return Err(CheckError::Cancelled);
        }
        let mut command = self.run.command();
        let variables = surroundings.variables.iter().map(|(name, value)| (name, value));
        command.env_clear().envs(variables).envs(&self.environment);
        let process = Process::start(command, surroundings, self.directory.as_deref(), Stdout::Output)?;
        let (ending, printed) = process.ended(timeout, stop, Request::ToAll, self.grace).await?;
        match ending {
            Ending::Cancelled => Err(CheckError::Cancelled),
            Ending::TimedOut => {
                let fault = format!("expected an end within {}, got none", human(timeout));
                let mut seen = critical(with_last_line(fault, &printed.tail));
                seen.output = printed.tail;
                Ok(Looked { seen, timed_out: true })
            }
            Ending::Itself(status) => {
                Ok(Looked { seen: self.judge(status, printed, &surroundings.redactor), timed_out: false })
            }
        }
    }

    fn judge(&self, status: ExitStatus, printed: Text, redactor: &Redactor) -> Observation {
        let mut seen = match (status.code(), self.is_plugin) {
            (Some(code), true) => {
                let output = nagios::read(&printed.head, redactor);
                let state = nagios::state(code);
                let message = one_line(&output.message);
                let summary = match state {
                    _ if message.is_empty() => format!("exit code {code}, without a message"),
                    State::Unknown if code != 3 => {
                        format!("expected an exit code from 0 to 3, got {code}: {message}")
                    }
                    _ => message,
                };
                Observation { measurements: output.measurements, ..observation(state, summary) }
            }
            (Some(0), false) => {
                observation(State::Ok, with_last_line("exit code 0".to_owned(), &printed.tail))
            }
            (Some(code), false) => {
                critical(with_last_line(format!("expected exit code 0, got {code}"), &printed.tail))
            }
            (None, is_plugin) => {
                let signal = status.signal().unwrap_or_default();
                let fault =
                    with_last_line(format!("expected exit code 0, got signal {signal}"), &printed.tail);
                observation(if is_plugin { State::Unknown } else { State::Critical }, fault)
            }
        };
        seen.output = printed.tail;
        seen
    }
}

/// `printed` is free of secrets, as all that is put into one line is: half of one would be found by nobody.
pub(super) fn with_last_line(what: String, printed: &str) -> String {
    match printed.lines().rev().map(one_line).find(|line| !line.is_empty()) {
        Some(line) => format!("{what}: {line}"),
        None => what,
    }
}

pub(super) fn one_line(text: &str) -> String {
    escaped(text.trim(), QUOTED)
}

#[cfg(test)]
mod tests;
