//! Flags that limit what the test container may use, and the devices it gets.
//!
//! What the host has is the engine's to judge.

use clap::Args;

use super::error::{FlagError, Invalid};
use super::process::given;
use super::{device, units};
use crate::plan::container::{ContainerSpec, UlimitSpec};

/// Resource limits and devices of the test container.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Test container: resources")]
pub struct LimitFlags {
    /// Memory limit
    #[arg(short, long, value_name = "BYTES")]
    pub memory: Option<String>,
    /// Memory and swap together; -1 for unlimited swap
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    pub memory_swap: Option<String>,
    /// Number of CPUs
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub cpus: Option<String>,
    /// Relative weight of the container's CPU time
    #[arg(short = 'c', long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub cpu_shares: Option<String>,
    /// CPUs the test may run on (0-3, 0,1)
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Number of processes; -1 for unlimited
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub pids_limit: Option<String>,
    /// Size of /dev/shm
    #[arg(long, value_name = "BYTES")]
    pub shm_size: Option<String>,
    /// Limit of the test's processes, such as nofile=1024:2048
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub ulimit: Vec<String>,
    /// Device of the host
    #[arg(long, value_name = "HOST[:CONTAINER[:rwm]]")]
    pub device: Vec<String>,
    /// GPUs: all, a number, or device=0,1 in quotes
    #[arg(long, value_name = "REQUEST")]
    pub gpus: Option<String>,
}

impl LimitFlags {
    /// Writes what these flags say into `spec`.
    pub fn resolve(&self, spec: &mut ContainerSpec) -> Result<(), FlagError> {
        spec.memory = limit("--memory", self.memory.as_ref(), units::memory)?;
        spec.memory_swap = self.swap(spec.memory)?;
        spec.nano_cpus = limit("--cpus", self.cpus.as_ref(), units::cpus)?;
        spec.cpu_shares = integer("--cpu-shares", self.cpu_shares.as_ref(), 0)?.filter(|shares| *shares != 0);
        spec.cpuset_cpus = given(self.cpuset_cpus.as_ref());
        if let Some(list) = &spec.cpuset_cpus {
            cpu_list(list).map_err(|error| error.of("--cpuset-cpus", list))?;
        }
        spec.pids_limit =
            integer("--pids-limit", self.pids_limit.as_ref(), i64::MIN)?.map(|limit| limit.max(-1));
        spec.shm_size = bytes("--shm-size", self.shm_size.as_ref())?;
        spec.ulimits = ulimits("--ulimit", &self.ulimit)?;
        spec.devices = device::devices(&self.device)?;
        spec.gpus = match &self.gpus {
            Some(text) => Some(device::gpus(text).map_err(|error| error.of("--gpus", text))?),
            None => None,
        };
        Ok(())
    }

    fn swap(&self, memory: Option<i64>) -> Result<Option<i64>, FlagError> {
        const FLAG: &str = "--memory-swap";
        if self.memory_swap.as_deref() == Some("-1") {
            return Ok(Some(-1));
        }
        let Some(swap) = bytes(FLAG, self.memory_swap.as_ref())? else { return Ok(None) };
        match memory {
            None => Err(Invalid::new("it needs --memory beside it").combination(FLAG)),
            Some(memory) if swap < memory => Err(Invalid::new("it is less than --memory")
                .hint("--memory-swap counts memory and swap together")
                .combination(FLAG)),
            Some(_) => Ok(Some(swap)),
        }
    }
}

/// A limit that a flag gives, read by `read`.
fn limit(
    flag: &str,
    text: Option<&String>,
    read: fn(&str) -> Result<Option<i64>, Invalid>,
) -> Result<Option<i64>, FlagError> {
    let Some(text) = text else { return Ok(None) };
    read(text).map_err(|error| error.of(flag, text))
}

/// Bytes of a flag; `None` for 0, which Docker takes as not given.
pub(super) fn bytes(flag: &str, text: Option<&String>) -> Result<Option<i64>, FlagError> {
    let Some(text) = text else { return Ok(None) };
    let bytes = units::size(text).map_err(|error| error.of(flag, text))?;
    Ok((bytes != 0).then_some(bytes))
}

fn integer(flag: &str, text: Option<&String>, least: i64) -> Result<Option<i64>, FlagError> {
    let Some(text) = text else { return Ok(None) };
    match text.parse::<i64>() {
        Ok(number) if number >= least => Ok(Some(number)),
        Ok(_) => Err(Invalid::new(format!("expected a whole number not below {least}")).of(flag, text)),
        Err(_) => Err(Invalid::new("expected a whole number").of(flag, text)),
    }
}

fn cpu_list(text: &str) -> Result<(), Invalid> {
    let invalid = || Invalid::new("expected CPU numbers and ranges such as 0-3 or 0,2");
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: u32 = first.parse().map_err(|_| invalid())?;
        let last: u32 = last.parse().map_err(|_| invalid())?;
        if last < first {
            return Err(invalid());
        }
    }
    Ok(())
}

/// Reads `NAME=SOFT[:HARD]` values; the last one of a name wins, and names come out in order.
pub(super) fn ulimits(flag: &str, texts: &[String]) -> Result<Vec<UlimitSpec>, FlagError> {
    let mut limits: Vec<UlimitSpec> = Vec::new();
    for text in texts {
        let limit = ulimit(text).map_err(|error| error.of(flag, text))?;
        limits.retain(|known| known.name != limit.name);
        limits.push(limit);
    }
    limits.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(limits)
}

fn ulimit(text: &str) -> Result<UlimitSpec, Invalid> {
    const NAMES: [&str; 15] = [
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
    let (name, value) = text.split_once('=').ok_or_else(|| Invalid::new("expected NAME=SOFT[:HARD]"))?;
    if !NAMES.contains(&name) {
        return Err(Invalid::new(format!("unknown limit `{name}`")).hint(
            match crate::settings::nearest(name, NAMES) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known limits: {}", NAMES.join(", ")),
            },
        ));
    }
    let number = |digits: &str| {
        let limit = digits.parse::<i64>().ok().filter(|limit| *limit >= -1);
        limit.ok_or_else(|| {
            Invalid::new(format!("`{digits}` is not a limit: expected a whole number, or -1 for none"))
        })
    };
    let (soft, hard) = value.split_once(':').unwrap_or((value, value));
    let (soft, hard) = (number(soft)?, number(hard)?);
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(Invalid::new("the soft limit is above the hard limit"));
    }
    Ok(UlimitSpec { name: name.to_owned(), soft, hard })
}

#[cfg(test)]
mod tests;
