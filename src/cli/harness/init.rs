//! The first process of a container: it hands signals on and reaps what others leave to it.
//!
//! Owns that one process does nothing else: the harness itself is started again as its child, so that waiting for any
//! process never takes away the end of one that somebody waits for.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::environment::Environment;
use crate::exit_code::ExitCode;

/// Tells the child what it is.
pub(super) const MARK: &str = "DOCKER_TEST_HARNESS_CHILD";

/// As process 1: starts the harness as a child, and gives its exit code once it has ended. Elsewhere `None`, and where
/// it cannot be started: then this process does the work itself.
pub(super) fn supervise(argv: &[OsString], environment: &Environment) -> Option<ExitCode> {
    let signals = SigSet::all();
    if std::process::id() != 1 {
        if environment.variable(MARK).is_some() {
            // What process 1 holds back, its child has inherited: it would hear no signal, nor would its commands.
            let _unblocked = signals.thread_unblock();
        }
        return None;
    }
    // Before there are threads: they inherit it, and none of them is interrupted.
    signals.thread_block().ok()?;
    let started = start(argv);
    let Some(child) = started else {
        let _unblocked = signals.thread_unblock();
        return None;
    };
    Some(until_ended(child, &signals))
}

fn start(argv: &[OsString]) -> Option<Pid> {
    let (name, arguments) = argv.split_first()?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0(name).args(arguments).env(MARK, "1");
    let child = command.spawn().ok()?;
    i32::try_from(child.id()).ok().map(Pid::from_raw)
}

fn until_ended(child: Pid, signals: &SigSet) -> ExitCode {
    loop {
        let Ok(signal) = signals.wait() else { continue };
        if signal != Signal::SIGCHLD {
            let _gone = kill(child, signal);
            continue;
        }
        loop {
            match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == child => {
                    return ExitCode::Container(u8::try_from(code).unwrap_or(u8::MAX));
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                    return ExitCode::Signal(u8::try_from(signal as i32).unwrap_or_default());
                }
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => break,
                _ => {}
            }
        }
    }
}
