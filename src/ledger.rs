//! The one way anything comes to be on an engine, and the one way it goes.
//!
//! Owns the journal of every run: a resource is written down before it is created, and normal end, Ctrl-C, sweep
//! and `prune` remove it by the same code. It refuses to touch what a living run owns, here or on another host
//! that shares the engine, and leaves kept and engine-lost runs to `prune`.

mod journal;
mod lock;
mod notes;
mod owner;
mod prune;
mod removal;
mod sweep;

pub use journal::{FoundRun, JournalError, LostRun, RunRecord, RunState, find_run, list_runs};
pub use lock::LockState;
pub use owner::Owner;
pub use prune::{PruneError, prune};
pub use removal::Pruned;
pub use sweep::{SweepOptions, sweep};

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::engine::docker::Recorded;
use crate::engine::{Engine, EngineError, ResourceKind};
use crate::metadata::labels::ours::{self, Role};
use journal::Journal;
use notes::Notes;

pub use crate::metadata::labels::ours::KEPT_PREFIX;

/// Repository of the private names that a target is pinned under while its test image is built.
pub const TARGET_REPOSITORY: &str = "localhost/docker-test-target";

/// Repository of the names that images without any are given: BuildKit cannot build FROM an id.
pub const LENT_REPOSITORY: &str = "localhost/docker-test-untagged";

/// What a note of the key of a test image begins with.
const KEY_NOTE: &str = "key:";

/// A lost client's call may still take effect for a moment; a deadline leaves room for it and for clock skew
/// between hosts that share an engine.
const DEADLINE_SLACK: Duration = Duration::from_hours(1);

/// What the end of a run could not remove.
#[derive(Debug, thiserror::Error)]
#[error("{kind} {name} is left for the next run or `docker-test prune`: {error}")]
pub struct Leftover {
    kind: ResourceKind,
    name: String,
    error: EngineError,
}

/// The journal of one living run.
pub struct RunLedger {
    run_id: String,
    owner: Owner,
    journal: Mutex<Journal>,
    notes: Notes,
}

impl RunLedger {
    /// Opens the journal of a new run and locks it for the life of this process.
    ///
    /// `test_image` is the name that it may use or build. `longest` is the time after which the run cannot be alive
    /// any more, as far as that is known.
    pub fn begin(
        state: &Path,
        engine: &str,
        image: &str,
        test_image: Option<&str>,
        longest: Duration,
    ) -> Result<Self, JournalError> {
        let now = unix_now();
        let run_id = new_run_id(now);
        let owner = Owner::of_this_process();
        let record = RunRecord {
            run: run_id.clone(),
            owner: owner.to_string(),
            engine: engine.to_owned(),
            image: image.to_owned(),
            test_image: test_image.map(str::to_owned),
            started: now,
            deadline: deadline(now, longest),
            locked: true,
        };
        let journal = Journal::create(state, &record)?;
        Ok(Self { run_id, owner, journal: Mutex::new(journal), notes: Notes::about(state, engine) })
    }

    /// Says how long the run may go on from now. To be called whenever more is known than at its begin; what is
    /// created afterwards bears the new deadline, and what was created before keeps its own.
    pub fn ends_within(&self, longest: Duration) -> Result<(), JournalError> {
        self.journal().set_deadline(deadline(unix_now(), longest))
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
            (ours::DEADLINE.to_owned(), self.journal().deadline().to_string()),
        ])
    }

    /// Writes down where the run's results belong: what a killed run leaves there on this machine is swept with the rest.
    pub fn note_results(&self, directory: &Path) -> Result<(), JournalError> {
        self.journal().set_results(directory)
    }

    /// Writes a resource down. What it returns is the permit to create it.
    pub fn record(&self, kind: ResourceKind, name: &str) -> Result<Recorded, JournalError> {
        self.journal().created(kind, name)?;
        Ok(Recorded::new(kind, name.to_owned()).of_run(&self.run_id))
    }

    /// Gives an image without any name one to build FROM. It is not written down: removing an image's only name
    /// removes the image, and this one is the user's. `prune` takes it back once the image has another. The run's id in
    /// it tells other hosts its age.
    pub async fn lend_name(&self, engine: &Engine, image_id: &str) -> Result<String, EngineError> {
        let short: String = image_id.trim_start_matches("sha256:").chars().take(12).collect();
        let name = format!("{LENT_REPOSITORY}:{short}-{}", self.run_id);
        self.notes.add(&name);
        engine.tag(image_id, &Recorded::new(ResourceKind::Tag, name.clone())).await?;
        Ok(name)
    }

    /// Remembers, for longer than this run, that test images of this key come from here, and that `superseded` is ours
    /// and about to lose its name. What users build upon it bears the same labels.
    pub fn builds(&self, key: &str, superseded: Option<&str>) {
        self.notes.add(&format!("{KEY_NOTE}{key}"));
        if let Some(image_id) = superseded {
            self.notes.add(image_id);
        }
    }

    /// Removes a recorded resource from the engine, then from the journal.
    pub async fn remove(&self, engine: &Engine, record: &Recorded) -> Result<(), EngineError> {
        engine.remove(record).await?;
        if record.kind() == ResourceKind::Image {
            self.notes.forget(record.name());
        }
        // A removal that cannot be noted is harmless: the next sweep finds the resource gone.
        let _ = self.journal().removed(record.kind(), record.name());
        Ok(())
    }

    /// Strikes a resource off: somebody else's, or somebody else's to remove.
    pub fn forget(&self, record: &Recorded) {
        let _ = self.journal().removed(record.kind(), record.name());
    }

    /// Leaves a container to the user. To be called once it has its new name, which is to be recorded before: until
    /// then, and where it cannot be kept, the run is like any other.
    pub fn keep(&self, record: &Recorded) -> Result<(), JournalError> {
        let mut journal = self.journal();
        journal.set_state(&RunState::Kept)?;
        // Not noted, it is harmless: nothing has the old name any more.
        let _ = journal.removed(record.kind(), record.name());
        Ok(())
    }

    /// Notes that the engine went away with results in it, so that they can be fetched later.
    pub fn lost(&self, lost: LostRun) -> Result<(), JournalError> {
        self.journal().set_state(&RunState::Lost(lost))
    }

    /// Removes everything that is still written down, whatever way the run ended. What cannot be removed stays in
    /// the journal for the next sweep, and is returned with the reason.
    pub async fn close(&self, engine: &Engine) -> Vec<Leftover> {
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
                problems.push(Leftover { kind, name, error });
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

fn deadline(now: u64, longest: Duration) -> u64 {
    now.saturating_add(longest.saturating_add(DEADLINE_SLACK).as_secs())
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
    fn a_resource_bears_the_deadline_that_was_known_when_it_was_made() {
        let state = tempfile::tempdir().unwrap();
        let hours = |ledger: &RunLedger| {
            let deadline = ledger.labels(Role::TestContainer)[ours::DEADLINE].parse::<u64>().unwrap();
            (deadline - unix_now() + 60) / 3600
        };
        let ledger =
            RunLedger::begin(state.path(), "unix:///e.sock", "shop", None, Duration::from_hours(2)).unwrap();
        assert_eq!(hours(&ledger), 3);
        ledger.ends_within(Duration::from_hours(100)).unwrap();
        assert_eq!(hours(&ledger), 101);
        let found = find_run(state.path(), ledger.run_id()).unwrap();
        assert_eq!((found.record.deadline - unix_now() + 60) / 3600, 101);
    }

    #[test]
    fn a_run_id_tells_when_the_run_began() {
        let id = new_run_id(1_700_000_000);
        assert_eq!(run_id_time(&id), Some(1_700_000_000));
        assert_eq!(id.len(), 15);
        assert_ne!(id, new_run_id(1_700_000_000), "two runs in one second have two ids");
    }
}
