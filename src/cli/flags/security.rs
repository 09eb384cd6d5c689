//! Flags for the test container's rights and namespaces.
//!
//! Owns the reading of seccomp profiles, which the engine wants as text. Which capability exists is the engine's to
//! know.

use std::path::Path;

use clap::Args;

use super::absolute;
use super::error::{FlagError, Invalid, Problem};
use super::process::given;
use crate::environment::Environment;
use crate::input;
use crate::plan::container::ContainerSpec;

/// Docker's own profile has 14 KiB.
const LARGEST_PROFILE: u64 = 1 << 20;

/// Rights and namespaces of the test container.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Test container: rights and namespaces")]
pub struct SecurityFlags {
    /// Add a Linux capability
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_add: Vec<String>,
    /// Drop a Linux capability
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_drop: Vec<String>,
    /// Give the test every right on the host
    #[arg(long)]
    pub privileged: bool,
    /// Security option: no-new-privileges, seccomp=FILE, apparmor=PROFILE, label=...
    #[arg(long, value_name = "OPTION")]
    pub security_opt: Vec<String>,
    /// Additional group of the user
    #[arg(long, value_name = "GROUP|GID")]
    pub group_add: Vec<String>,
    /// Kernel parameter of the container's namespaces
    #[arg(long, value_name = "NAME=VALUE")]
    pub sysctl: Vec<String>,
    /// OCI runtime
    #[arg(long, value_name = "NAME")]
    pub runtime: Option<String>,
    /// PID namespace: host or container:NAME
    #[arg(long, value_name = "MODE")]
    pub pid: Option<String>,
    /// IPC namespace: none, private, shareable, host or container:NAME
    #[arg(long, value_name = "MODE")]
    pub ipc: Option<String>,
    /// User namespace: host (Podman's engine also knows keep-id, auto and nomap)
    #[arg(long, value_name = "MODE")]
    pub userns: Option<String>,
    /// Cgroup namespace: host or private
    #[arg(long, value_name = "MODE")]
    pub cgroupns: Option<String>,
}

impl SecurityFlags {
    /// Writes what these flags say into `spec`.
    pub fn resolve(&self, environment: &Environment, spec: &mut ContainerSpec) -> Result<(), FlagError> {
        spec.cap_add = words("--cap-add", &self.cap_add)?;
        spec.cap_drop = words("--cap-drop", &self.cap_drop)?;
        spec.group_add = words("--group-add", &self.group_add)?;
        spec.privileged = self.privileged;
        spec.security_opt = self
            .security_opt
            .iter()
            .map(|option| security_option(option, environment))
            .collect::<Result<_, _>>()?;
        for text in &self.sysctl {
            let (name, value) = sysctl(text).map_err(|error| error.of("--sysctl", text))?;
            spec.sysctls.insert(name.to_owned(), value.to_owned());
        }
        spec.runtime = given(self.runtime.as_ref());
        spec.pid_mode = mode("--pid", self.pid.as_ref(), &["host"], &["container"])?;
        spec.ipc_mode =
            mode("--ipc", self.ipc.as_ref(), &["none", "private", "shareable", "host"], &["container"])?;
        let userns = ["host", "keep-id", "auto", "nomap"];
        spec.userns_mode = mode("--userns", self.userns.as_ref(), &userns, &["keep-id", "auto"])?;
        spec.cgroupns_mode = mode("--cgroupns", self.cgroupns.as_ref(), &["host", "private"], &[])?;
        Ok(())
    }
}

fn words(flag: &str, texts: &[String]) -> Result<Vec<String>, FlagError> {
    match texts.iter().find(|text| text.is_empty() || text.contains(char::is_whitespace)) {
        Some(text) => {
            Err(Invalid::new("expected one name").hint("repeat the flag for several").of(flag, text))
        }
        None => Ok(texts.to_vec()),
    }
}

/// One of `plain`, or one of `with_value` before a colon and something after it. An empty value means not given.
fn mode(
    flag: &str,
    text: Option<&String>,
    plain: &[&str],
    with_value: &[&str],
) -> Result<Option<String>, FlagError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let valued =
        text.split_once(':').is_some_and(|(kind, value)| with_value.contains(&kind) && !value.is_empty());
    if valued || plain.contains(&text.as_str()) {
        return Ok(Some(text.clone()));
    }
    let known: Vec<String> = plain
        .iter()
        .map(|&word| word.to_owned())
        .chain(with_value.iter().map(|word| format!("{word}:…")))
        .collect();
    Err(Invalid::new(format!("expected one of {}", known.join(", "))).of(flag, text))
}

fn sysctl(text: &str) -> Result<(&str, &str), Invalid> {
    const KERNEL: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| Invalid::new("expected NAME=value"))?;
    if KERNEL.contains(&name) || name.starts_with("net.") || name.starts_with("fs.mqueue.") {
        return Ok((name, value));
    }
    Err(Invalid::new(format!("`{name}` is not a parameter of a container's own namespaces"))
        .hint(format!("allowed are net.*, fs.mqueue.* and {}", KERNEL.join(", "))))
}

fn security_option(text: &str, environment: &Environment) -> Result<String, FlagError> {
    const FLAG: &str = "--security-opt";
    let (key, value) = match text.split_once('=') {
        Some(pair) => pair,
        None if text == "no-new-privileges" => return Ok(text.to_owned()),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    if value.is_empty() {
        return Err(Invalid::new("expected no-new-privileges or KEY=VALUE").of(FLAG, text));
    }
    if key == "systempaths" {
        let hint = "--privileged unmasks them, together with every other right";
        return Err(Invalid::new("unmasking system paths is not supported").hint(hint).of(FLAG, text));
    }
    if key != "seccomp" || matches!(value, "unconfined" | "builtin") {
        return Ok(text.to_owned());
    }
    let path = Path::new(value);
    let profile = input::read(&absolute(environment, path), LARGEST_PROFILE)
        .map_err(|source| FlagError::new(FLAG, Problem::Read { path: path.to_owned(), source }))?;
    let json: serde_json::Value = serde_json::from_slice(&profile)
        .map_err(|error| Invalid::new(format!("the seccomp profile is not JSON: {error}")).of(FLAG, text))?;
    Ok(format!("seccomp={json}"))
}

#[cfg(test)]
mod tests;
