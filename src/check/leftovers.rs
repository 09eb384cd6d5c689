//! What commands have started and left running outside of their process groups.
//!
//! Owns who looks for it, and how often: one look at all processes serves every command that waits for one, and none
//! begins right after another. It is made beside the runs, and a process that hangs in the kernel holds up none of them.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::bearers::{self, Bearer};
use super::mark::{Mark, Owner};

/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(100);
/// A look that takes longer hangs, and finds nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of what commands have left. Clones are cheap and know the same.
#[derive(Clone, Default)]
pub(super) struct Leftovers(Arc<Mutex<Looks>>);

#[derive(Default)]
struct Looks {
    last: Option<Look>,
    hanging: Option<JoinHandle<Vec<Bearer>>>,
}

struct Look {
    began: Instant,
    ended: Instant,
    found: Vec<Bearer>,
}

impl Leftovers {
    /// A mark for a new command; none where nobody could be found by it.
    pub(super) fn mark() -> Option<Mark> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Owner::this().map(|owner| Mark { owner, number: NEXT.fetch_add(1, Ordering::Relaxed) })
    }

    /// All that bear a mark of this process, seen after it was asked for.
    pub(super) async fn of(&self, mark: Mark) -> Vec<Bearer> {
        let asked = Instant::now();
        let mut looks = self.0.lock().await;
        looks.renew(asked, mark.owner).await;
        let found = looks.last.iter().flat_map(|look| &look.found);
        found.filter(|bearer| bearer.marks.contains(&mark)).cloned().collect()
    }
}

/// Those among a few numbers.
pub(super) async fn among(ids: RangeInclusive<i32>, mark: Mark) -> Vec<Bearer> {
    let looking = spawn_blocking(move || bearers::among(ids, |it| *it == mark));
    tokio::time::timeout(PATIENCE, looking).await.ok().and_then(Result::ok).unwrap_or_default()
}

impl Looks {
    async fn renew(&mut self, asked: Instant, owner: Owner) {
        if let Some(last) = &self.last {
            if last.began >= asked {
                return;
            }
            tokio::time::sleep_until(last.ended + PAUSE).await;
        }
        if self.hanging.as_ref().is_some_and(|look| !look.is_finished()) {
            self.last = None;
            return;
        }
        self.hanging = None;
        let began = Instant::now();
        let mut looking = spawn_blocking(move || bearers::all(|mark| mark.owner == owner));
        let found = if let Ok(found) = tokio::time::timeout(PATIENCE, &mut looking).await {
            found.unwrap_or_default()
        } else {
            self.hanging = Some(looking);
            Vec::new()
        };
        self.last = Some(Look { began, ended: Instant::now(), found });
    }
}
