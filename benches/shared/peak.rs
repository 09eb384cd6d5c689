//! Peak memory of docker-test, as the kernel counts it.
//!
//! The bench starts itself again with [`FLAG`]: such a child is small, so that what is counted is the program's.

use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::resource::{UsageWho, getrusage};

use crate::entry::{Failure, say};
use crate::ground::{Ground, PROGRAM};

/// Says that this process is a child.
pub(crate) const FLAG: &str = "--child";

/// The child's task.
pub(crate) const PEAK: &str = "peak";

/// Peak memory of docker-test in MB. What it starts and waits for counts too.
pub(crate) fn peak_of_program(ground: &Ground, arguments: &[&str], directory: &Path) -> Result<f64, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([FLAG, PEAK, PROGRAM]).args(arguments).current_dir(directory).stdin(Stdio::null());
    ground.surround(&mut command);
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let peak = text.lines().last().and_then(|line| line.parse().ok());
    match (output.status.success(), peak) {
        (true, Some(peak)) => Ok(peak),
        _ => Err(format!("cannot measure memory: {text}{}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// The child's side.
pub(crate) fn measure(program: &str, arguments: &[&str]) -> Result<(), Failure> {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).status()?;
    if !status.success() {
        return Err(format!("{program}: {status}").into());
    }
    let peak = megabytes(UsageWho::RUSAGE_CHILDREN)?;
    // A process that was just forked has its parent's size: below that nothing can be seen.
    if peak <= megabytes(UsageWho::RUSAGE_SELF)? {
        return Err("the measuring process is larger than what it measures".into());
    }
    say(&format!("{peak}\n"));
    Ok(())
}

/// The most memory that was held at a time.
pub(crate) fn megabytes(who: UsageWho) -> Result<f64, Failure> {
    let size = u32::try_from(getrusage(who)?.max_rss())?;
    // The kernel counts in units of 1,024 bytes.
    Ok(f64::from(size) * 1.024 / 1000.0)
}
