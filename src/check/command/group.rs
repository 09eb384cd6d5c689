//! A command and all that it has started: its process group.
//!
//! Owns the signals to it, and reaps those of its processes that became ours because their parents are gone, as happens
//! to process 1 of a container. It never waits for a process of anybody else. One that made a group of its own is a stray,
//! and not its business.

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::process::Child;

use super::process::Request;

/// How often it is looked at while it ends.
const LOOK: Duration = Duration::from_millis(10);
/// How long killed processes may take to be reaped.
const REAPING: Duration = Duration::from_secs(1);

/// The process group of a command. Dropped before it was seen to be gone, it is killed.
pub(super) struct Group {
    id: Pid,
    is_gone: bool,
}

impl Group {
    /// The group that a child leads; none once it was waited for.
    pub(super) fn of(child: &Child) -> Option<Self> {
        child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .map(|id| Self { id: Pid::from_raw(id), is_gone: false })
    }

    pub(super) fn ask_to_end(&self, request: Request) {
        let _already_gone = match request {
            Request::ToAll => killpg(self.id, Signal::SIGTERM),
            Request::ToItself => kill(self.id, Signal::SIGINT),
        };
    }

    pub(super) fn end(&self) {
        let _already_gone = killpg(self.id, Signal::SIGKILL);
    }

    /// Waits until nothing of it is left. To be asked once its leader was waited for.
    pub(super) async fn ended(&self) {
        while self.is_alive() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Reaps what was killed. To be asked once its leader was waited for: its end would be missed elsewhere.
    pub(super) async fn reap(mut self) {
        // Its number may be another's from then on.
        self.is_gone = tokio::time::timeout(REAPING, self.ended()).await.is_ok();
    }

    fn is_alive(&self) -> bool {
        let any_of_it = Pid::from_raw(-self.id.as_raw());
        while let Ok(status) = waitpid(any_of_it, Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                break;
            }
        }
        killpg(self.id, None) != Err(Errno::ESRCH)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_gone {
            self.end();
        }
    }
}
