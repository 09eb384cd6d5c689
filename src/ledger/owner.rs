//! Who a run belongs to: boot, pid namespace, process and its start time.
//!
//! A pid alone is reused, and containers share a kernel with other pids; the four together name one process for
//! as long as this machine is up. Whether it lives can only be told from the same namespace: from anywhere else the
//! answer is "unknown", and the deadline decides.

use std::fmt;
use std::fs;
use std::str::FromStr;

/// The process that a run belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    boot: String,
    namespace: String,
    pid: u32,
    start: u64,
}

/// What can be said about an owner from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It runs.
    Alive,
    /// It has ended.
    Dead,
    /// It is on another machine, or in another namespace.
    Unknown,
}

impl Owner {
    /// This process.
    #[must_use]
    pub fn of_this_process() -> Self {
        let pid = std::process::id();
        Self { boot: boot_id(), namespace: pid_namespace(), pid, start: start_time(pid).unwrap_or(0) }
    }

    /// Whether the owner lives, seen from this process.
    #[must_use]
    pub fn liveness(&self) -> Liveness {
        if self.boot != boot_id() || self.namespace != pid_namespace() || self.boot.is_empty() {
            return Liveness::Unknown;
        }
        match start_time(self.pid) {
            Some(start) if start == self.start => Liveness::Alive,
            _ => Liveness::Dead,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.boot, self.namespace, self.pid, self.start)
    }
}

/// The text is not an owner.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an owner of the form BOOT/NAMESPACE/PID/START")]
pub struct InvalidOwner(String);

impl FromStr for Owner {
    type Err = InvalidOwner;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidOwner(text.chars().take(80).collect());
        let parts: Vec<&str> = text.split('/').collect();
        let [boot, namespace, pid, start] = parts.as_slice() else {
            return Err(invalid());
        };
        Ok(Self {
            boot: (*boot).to_owned(),
            namespace: (*namespace).to_owned(),
            pid: pid.parse().map_err(|_| invalid())?,
            start: start.parse().map_err(|_| invalid())?,
        })
    }
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

fn pid_namespace() -> String {
    fs::read_link("/proc/self/ns/pid")
        .ok()
        .and_then(|link| Some(link.to_str()?.trim_start_matches("pid:[").trim_end_matches(']').to_owned()))
        .unwrap_or_default()
}

/// Field 22 of `/proc/PID/stat`, in clock ticks since boot. The command name may hold spaces and parentheses, so
/// fields are counted from the last `)`.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    // A zombie has ended: it can hold no run.
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_its_owner_survives_a_label() {
        let owner = Owner::of_this_process();
        assert_eq!(owner.liveness(), Liveness::Alive);
        assert_eq!(owner.to_string().parse(), Ok(owner));
    }

    #[test]
    fn a_process_that_ended_is_dead() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let owner =
            Owner { pid: child.id(), start: start_time(child.id()).unwrap(), ..Owner::of_this_process() };
        assert_eq!(owner.liveness(), Liveness::Alive);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(owner.liveness(), Liveness::Dead);
    }

    #[test]
    fn a_reused_pid_is_not_the_owner() {
        let this = Owner::of_this_process();
        let earlier = Owner { start: this.start.saturating_sub(1), ..this };
        assert_eq!(earlier.liveness(), Liveness::Dead);
    }

    #[test]
    fn another_machine_or_namespace_is_unknown() {
        let this = Owner::of_this_process();
        assert_eq!(Owner { boot: "other".into(), ..this.clone() }.liveness(), Liveness::Unknown);
        assert_eq!(Owner { namespace: "1".into(), ..this }.liveness(), Liveness::Unknown);
    }

    #[test]
    fn a_forged_owner_label_is_refused() {
        for text in ["", "a/b/c", "a/b/c/d", "a/b/1/2/3", "a/b/-1/2"] {
            assert!(text.parse::<Owner>().is_err(), "{text}");
        }
    }
}
