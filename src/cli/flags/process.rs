//! Flags for the process in the test container: its environment, user, command prefix, terminal and labels.
//!
//! Owns their resolution into a [`ContainerSpec`]. Docker's `-h` for the host name is not taken over: `-h` shows
//! help here, as it does everywhere else in docker-test.

use std::path::PathBuf;

use clap::Args;

use super::error::{FlagError, Invalid};
use super::keyvalue::{self, Assignment};
use crate::environment::Environment;
use crate::plan::container::ContainerSpec;

/// What runs in the test container, and how it is labelled.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Test container")]
pub struct ProcessFlags {
    /// Set an environment variable; NAME alone takes the value from this environment
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<Assignment>,
    /// Read environment variables from a file, one NAME=value a line
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// User the test runs as
    #[arg(short, long, value_name = "NAME|UID[:GROUP|GID]")]
    pub user: Option<String>,
    /// Working directory of the test
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Replace the ENTRYPOINT of the test image; an empty value resets it
    #[arg(long, value_name = "COMMAND")]
    pub entrypoint: Option<String>,
    /// Name of the test container
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Host name inside the container (no short form: -h shows this help)
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Hand standard input to the test
    #[arg(short, long)]
    pub interactive: bool,
    /// Allocate a terminal for the test
    #[arg(short, long)]
    pub tty: bool,
    /// Run an init that forwards signals and reaps processes
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub init: Option<bool>,
    /// Signal that asks the test to stop (default: STOPSIGNAL of the image, else SIGTERM)
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// Label the test container
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    pub label: Vec<String>,
    /// Read labels from a file, one KEY=value a line
    #[arg(long, value_name = "FILE")]
    pub label_file: Vec<PathBuf>,
    /// Logging driver of the container
    #[arg(long, value_name = "DRIVER")]
    pub log_driver: Option<String>,
    /// Option of the logging driver
    #[arg(long, value_name = "KEY=VALUE")]
    pub log_opt: Vec<String>,
}

impl ProcessFlags {
    /// Writes what these flags say into `spec`.
    pub fn resolve(&self, environment: &Environment, spec: &mut ContainerSpec) -> Result<(), FlagError> {
        let (name, workdir, signal) =
            (given(self.name.as_ref()), given(self.workdir.as_ref()), given(self.stop_signal.as_ref()));
        if let Some(name) = &name {
            container_name(name).map_err(|error| error.of("--name", name))?;
        }
        if let Some(dir) = &workdir
            && !dir.starts_with('/')
        {
            return Err(Invalid::new("expected an absolute path in the container").of("--workdir", dir));
        }
        if let Some(signal) = &signal {
            stop_signal(signal).map_err(|error| error.of("--stop-signal", signal))?;
        }
        if self.log_driver.as_deref() == Some("none") && !self.log_opt.is_empty() {
            return Err(Invalid::new("the log driver `none` takes no options").combination("--log-opt"));
        }
        spec.env = keyvalue::variables(&self.env_file, &self.env, environment)?;
        spec.user = given(self.user.as_ref());
        spec.workdir = workdir;
        spec.entrypoint = self
            .entrypoint
            .as_ref()
            .map(|word| if word.is_empty() { Vec::new() } else { vec![word.clone()] });
        spec.name = name;
        spec.hostname = given(self.hostname.as_ref());
        spec.interactive = self.interactive;
        spec.tty = self.tty;
        spec.init = self.init;
        spec.stop_signal = signal;
        spec.labels = keyvalue::labels("--label", &self.label_file, &self.label, environment)?;
        spec.log_driver = given(self.log_driver.as_ref());
        spec.log_options = keyvalue::options(&self.log_opt);
        Ok(())
    }
}

/// A text that is there; an empty one, as from an unset variable of a script, counts as not given.
pub(super) fn given(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

fn container_name(name: &str) -> Result<(), Invalid> {
    let name = name.strip_prefix('/').unwrap_or(name);
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let valid =
        name.len() >= 2 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(allowed);
    if valid {
        return Ok(());
    }
    Err(Invalid::new("expected two or more of [a-zA-Z0-9_.-], the first a letter or a digit"))
}

/// The engine reads `15`, `TERM`, `SIGTERM` and `RTMIN+3`, in any case.
fn stop_signal(text: &str) -> Result<(), Invalid> {
    const NAMES: [&str; 34] = [
        "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
        "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
        "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
    ];
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let realtime = |prefix: &str, sign: &str| {
        let offset = name.strip_prefix(prefix);
        offset.is_some_and(|rest| {
            rest.is_empty()
                || rest.strip_prefix(sign).and_then(|n| n.parse::<u8>().ok()).is_some_and(|n| n <= 15)
        })
    };
    let known = text.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number))
        || NAMES.contains(&name)
        || realtime("RTMIN", "+")
        || realtime("RTMAX", "-");
    if known { Ok(()) } else { Err(Invalid::new("expected a signal such as SIGINT, TERM or 15")) }
}

#[cfg(test)]
mod tests;
