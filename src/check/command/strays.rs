//! What a command has started and what is not in its group: whatever made a session of its own, or was left to others.
//!
//! Owns that nothing of it stays once the command is over: it is found by the mark that the command was started with.
//! What was started with an environment of its own is out of reach.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::process::{Child, Command};

use crate::check::Surroundings;
use crate::check::bearers::{self, Bearer};
use crate::check::leftovers::{self, Leftovers};
use crate::check::mark::{Mark, VARIABLE};

/// How often they are looked at while they end.
const LOOK: Duration = Duration::from_millis(10);
/// How long killed ones may take to be gone, with what they have started meanwhile.
const PATIENCE: Duration = Duration::from_secs(3);
/// Until then the numbers of processes have not gone round, on a machine as busy as there are.
const SHORT: Duration = Duration::from_secs(5);

/// What a command may leave outside of its group. Dropped before it was seen to be gone, it is killed.
pub(super) struct Strays {
    mark: Mark,
    group: i32,
    began: Instant,
    leftovers: Leftovers,
    are_gone: bool,
}

/// Marks a command that is to be started.
pub(super) fn mark(command: &mut Command, surroundings: &Surroundings) -> Option<Mark> {
    let mark = Leftovers::mark()?;
    let held = surroundings.variables.iter().find(|(name, _)| name == VARIABLE);
    command.env(VARIABLE, mark.after(held.map(|(_, value)| value.as_str())));
    Some(mark)
}

impl Strays {
    pub(super) fn of(child: &Child, mark: Mark, surroundings: &Surroundings) -> Option<Self> {
        let group = child.id().and_then(|id| i32::try_from(id).ok())?;
        let leftovers = surroundings.leftovers.clone();
        Some(Self { mark, group, began: Instant::now(), leftovers, are_gone: false })
    }

    /// Asks them to end, and waits until those have.
    pub(super) async fn ask_to_end(&self) {
        let found = self.found().await;
        for stray in found.iter().filter(|stray| !stray.has_keeper(self.mark.owner)) {
            stray.signal(Signal::SIGTERM);
        }
        gone(&found).await;
    }

    /// Kills them, and what they start meanwhile.
    pub(super) async fn end(mut self) {
        let ending = async {
            loop {
                let found = self.found().await;
                if found.is_empty() {
                    break;
                }
                for stray in &found {
                    stray.signal(Signal::SIGKILL);
                }
                gone(&found).await;
            }
        };
        let _hangs_in_the_kernel = tokio::time::timeout(PATIENCE, ending).await;
        self.are_gone = true;
    }

    /// The same after an end by itself. As a rule there are none, which a look at the few processes shows that are younger
    /// than the command.
    pub(super) async fn end_if_any(mut self) {
        let younger = bearers::numbers_after(self.group).filter(|_| self.began.elapsed() < SHORT);
        let are_none = match younger {
            Some(ids) => {
                ids.is_empty() || !leftovers::among(ids, self.mark).await.iter().any(|it| self.is_stray(it))
            }
            None => false,
        };
        if are_none {
            self.are_gone = true;
        } else {
            self.end().await;
        }
    }

    async fn found(&self) -> Vec<Bearer> {
        let mut found = self.leftovers.of(self.mark).await;
        found.retain(|bearer| self.is_stray(bearer));
        found
    }

    /// The group has its own signals.
    const fn is_stray(&self, bearer: &Bearer) -> bool {
        bearer.group != self.group
    }
}

async fn gone(strays: &[Bearer]) {
    while strays.iter().any(Bearer::is_there) {
        tokio::time::sleep(LOOK).await;
    }
}

impl Drop for Strays {
    fn drop(&mut self) {
        if self.are_gone {
            return;
        }
        // Nobody waits any more, and the process may end next. A look that hangs in the kernel holds nobody up for long.
        let (mark, group) = (self.mark, self.group);
        let (done, ended) = mpsc::channel();
        let killing = thread::Builder::new().spawn(move || {
            for stray in bearers::all(|it| *it == mark).iter().filter(|stray| stray.group != group) {
                stray.signal(Signal::SIGKILL);
            }
            done.send(())
        });
        if killing.is_ok() {
            let _hangs = ended.recv_timeout(PATIENCE);
        }
    }
}
