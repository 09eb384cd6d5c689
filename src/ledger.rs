//! The one way anything comes to be on an engine, and the one way it goes.
//!
//! Owns the journal of every run: a resource is written down before it is created, and normal end, Ctrl-C, sweep
//! and `prune` remove it by the same code. It refuses to touch what a living run owns, here or on another host
//! that shares the engine, and leaves kept and engine-lost runs to `prune`.

mod journal;
mod owner;
mod sweep;

pub use journal::{FoundRun, JournalError, LostRun, RunRecord, RunState, find_run, list_runs};
pub use owner::Owner;
pub use sweep::{Pruned, SweepOptions, sweep};

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::engine::docker::Recorded;
use crate::engine::{Engine, EngineError, ResourceKind};
use crate::metadata::labels::ours::{self, Role};
use journal::Journal;

/// Containers with this prefix were kept for the user: sweeps pass them by, `prune` removes them.
pub const KEPT_PREFIX: &str = "docker-test-kept-";

/// Repository of the private names that a target is pinned under while its test image is built.
pub const TARGET_REPOSITORY: &str = "localhost/docker-test-target";

/// A lost client's call may still take effect for a moment; a deadline leaves room for it and for clock skew
/// between hosts that share an engine.
const DEADLINE_SLACK: Duration = Duration::from_hours(1);

/// The journal of one living run.
pub struct RunLedger {
    run_id: String,
    owner: Owner,
    deadline: u64,
    journal: Mutex<Journal>,
}

impl RunLedger {
    /// Opens the journal of a new run and locks it for the life of this process.
    ///
    /// `longest` is the time after which the run cannot be alive any more.
    pub fn begin(state: &Path, engine: &str, image: &str, longest: Duration) -> Result<Self, JournalError> {
        let now = unix_now();
        let run_id = new_run_id(now);
        let owner = Owner::of_this_process();
        let deadline = now.saturating_add(longest.saturating_add(DEADLINE_SLACK).as_secs());
        let record = RunRecord {
            run: run_id.clone(),
            owner: owner.to_string(),
            engine: engine.to_owned(),
            image: image.to_owned(),
            started: now,
            deadline,
        };
        let journal = Journal::create(state, &record)?;
        Ok(Self { run_id, owner, deadline, journal: Mutex::new(journal) })
    }

    /// The run's id.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The labels that everything of this run bears.
    #[must_use]
    pub fn labels(&self, role: Role) -> BTreeMap<String, String> {
        BTreeMap::from([
            (ours::ROLE.to_owned(), role.as_str().to_owned()),
            (ours::RUN.to_owned(), self.run_id.clone()),
            (ours::OWNER.to_owned(), self.owner.to_string()),
            (ours::DEADLINE.to_owned(), self.deadline.to_string()),
        ])
    }

    /// Writes a resource down. What it returns is the permit to create it.
    pub fn record(&self, kind: ResourceKind, name: &str) -> Result<Recorded, JournalError> {
        self.journal().created(kind, name)?;
        Ok(Recorded::new(kind, name.to_owned()).of_run(&self.run_id))
    }

    /// Removes a recorded resource from the engine, then from the journal.
    pub async fn remove(&self, engine: &Engine, record: &Recorded) -> Result<(), EngineError> {
        engine.remove(record).await?;
        // A removal that cannot be noted is harmless: the next sweep finds the resource gone.
        let _ = self.journal().removed(record.kind(), record.name());
        Ok(())
    }

    /// Strikes a resource off: somebody else's, or somebody else's to remove.
    pub fn forget(&self, record: &Recorded) {
        let _ = self.journal().removed(record.kind(), record.name());
    }

    /// Leaves a resource to the user: `name` is what it is called from now on.
    pub fn keep(&self, record: &Recorded, name: &str) -> Result<(), JournalError> {
        let mut journal = self.journal();
        journal.created(record.kind(), name)?;
        journal.removed(record.kind(), record.name())?;
        journal.set_state(&RunState::Kept)
    }

    /// Notes that the engine went away with results in it, so that they can be fetched later.
    pub fn lost(&self, lost: LostRun) -> Result<(), JournalError> {
        self.journal().set_state(&RunState::Lost(lost))
    }

    /// Removes everything that is still written down, whatever way the run ended. What cannot be removed stays in
    /// the journal for the next sweep, and is returned with the reason.
    pub async fn close(&self, engine: &Engine) -> Vec<(ResourceKind, String, EngineError)> {
        let (open, state) = {
            let journal = self.journal();
            (journal.open(), journal.state().clone())
        };
        if matches!(state, RunState::Lost(_)) {
            return Vec::new();
        }
        let mut problems = Vec::new();
        for (kind, name) in open {
            if matches!(state, RunState::Kept) && name.starts_with(KEPT_PREFIX) {
                continue;
            }
            let record = Recorded::new(kind, name.clone()).of_run(&self.run_id);
            if let Err(error) = self.remove(engine, &record).await {
                problems.push((kind, name, error));
            }
        }
        if problems.is_empty() && matches!(state, RunState::Active) {
            self.journal().discard();
        }
        problems
    }

    fn journal(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Time first, so that ids sort by age and a name without a journal still tells how old it is.
fn new_run_id(now: u64) -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{now:08x}-{}", random.get(..6).unwrap_or("000000"))
}

/// When a run id was made, in Unix seconds.
fn run_id_time(run_id: &str) -> Option<u64> {
    u64::from_str_radix(run_id.split_once('-')?.0, 16).ok()
}

pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_tells_when_the_run_began() {
        let id = new_run_id(1_700_000_000);
        assert_eq!(run_id_time(&id), Some(1_700_000_000));
        assert_eq!(id.len(), 15);
        assert_ne!(id, new_run_id(1_700_000_000), "two runs in one second have two ids");
    }
}
