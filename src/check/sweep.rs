//! What a killed daemon or harness has left running, ended by the next one that starts.
//!
//! Owns whose it may be: of an owner of this user, in this namespace of processes, that lives no more. What bears no mark
//! is never touched, nor what a living owner has started, nor what has started this process itself.

use std::collections::HashSet;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::bearers::{self, Bearer};
use super::mark::{Mark, Owner};

/// How long they may take to end after they were asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How long killed ones may take to be gone.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(10);

/// Ends what is left of those that were killed, and says how many processes that were.
pub async fn sweep() -> usize {
    let Some(this) = Owner::this() else { return 0 };
    let mut met = HashSet::new();
    let (asked, killed) = (Instant::now() + GRACE, Instant::now() + GRACE + PATIENCE);
    // What is asked to end may start something to that end, which is to be met as well.
    for (signal, until) in [(Signal::SIGTERM, asked), (Signal::SIGKILL, killed)] {
        loop {
            let found = left_by_the_dead(this).await;
            if found.is_empty() {
                return met.len();
            }
            for bearer in &found {
                let is_kill = signal == Signal::SIGKILL;
                // Asked once.
                if is_kill || (!bearer.has_keeper(this) && !met.contains(&bearer.identity())) {
                    bearer.signal(signal);
                    met.insert(bearer.identity());
                }
            }
            if timeout_at(until, gone(&found)).await.is_err() || Instant::now() >= until {
                break;
            }
        }
    }
    met.len()
}

async fn gone(bearers: &[Bearer]) {
    while bearers.iter().any(Bearer::is_there) {
        sleep(LOOK).await;
    }
}

async fn left_by_the_dead(this: Owner) -> Vec<Bearer> {
    let looking = spawn_blocking(move || {
        let own = bearers::own_marks();
        bearers::all(|mark| !own.contains(mark) && is_of_the_dead(mark, this))
    });
    timeout(PATIENCE, looking).await.ok().and_then(Result::ok).unwrap_or_default()
}

fn is_of_the_dead(mark: &Mark, this: Owner) -> bool {
    let Mark { owner, .. } = mark;
    owner.namespace == this.namespace && owner.user == this.user && !owner.lives()
}
