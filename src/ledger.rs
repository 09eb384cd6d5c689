//! The one way anything comes to be on an engine, and the one way it goes.
//!
//! Owns the journal of every run: a resource is written down before it is created, and normal end, Ctrl-C, sweep
//! and `prune` remove it by the same code. It refuses to touch what a living run owns, here or on another host
//! that shares the engine, and leaves kept and engine-lost containers to `prune`.

mod holdings;
mod journal;
mod lock;
mod notes;
mod owner;
mod prune;
mod removal;
mod sweep;

pub use holdings::LostRun;
pub use journal::{FoundRun, JournalError, RunRecord, find_run, list_runs};
pub use lock::LockState;
pub use owner::Owner;
pub use prune::{PruneError, prune};
pub use removal::Pruned;
pub use sweep::{SweepOptions, sweep};

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use futures_util::stream;

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

impl Leftover {
    /// What was seen, where the engine itself is gone.
    fn lost_engine(&self) -> Option<&str> {
        match &self.error {
            EngineError::Lost { message, .. } => Some(message),
            _ => None,
        }
    }

    /// Something that the engine was not asked for any more.
    fn unasked(kind: ResourceKind, name: &str, seen: &str) -> Self {
        let (subject, message) = (name.to_owned(), seen.to_owned());
        let error = EngineError::Lost { operation: "remove", subject, message };
        Self { kind, name: name.to_owned(), error }
    }
}

/// The journal of one living run.
pub struct RunLedger {
    run_id: String,
    owner: Owner,
    journal: Mutex<Journal>,
    notes: Notes,
    /// Names of targets that were handed out.
    targets: AtomicU32,
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
        let (journal, notes) = (Mutex::new(journal), Notes::about(state, engine));
        Ok(Self { run_id, owner, journal, notes, targets: AtomicU32::new(0) })
    }

    /// Says that something of the run goes on for so long from now: its deadline is put off, and never brought forward,
    /// since others of the run may go on for longer. What was created before keeps the deadline that it bears.
    pub fn ends_within(&self, longest: Duration) -> Result<(), JournalError> {
        let mut journal = self.journal();
        let deadline = deadline(unix_now(), longest);
        if deadline > journal.deadline() { journal.set_deadline(deadline) } else { Ok(()) }
    }

    /// Says that all of the run is over within so long from now, and brings its deadline forward to that. To be called
    /// by whoever knows of everything that goes on in it.
    pub fn all_ends_within(&self, longest: Duration) -> Result<(), JournalError> {
        self.journal().set_deadline(deadline(unix_now(), longest))
    }

    /// The run's id.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The labels of what may be there as long as the run lasts, as far as that is known now.
    #[must_use]
    pub fn labels(&self, role: Role) -> BTreeMap<String, String> {
        self.labels_until(role, self.journal().deadline())
    }

    /// The labels of what is made now and is over within so long, though the run may go on with others. The run's own
    /// deadline is the latest that they give: see [`Self::ends_within`].
    #[must_use]
    pub fn labels_within(&self, role: Role, longest: Duration) -> BTreeMap<String, String> {
        let latest = self.journal().deadline();
        self.labels_until(role, deadline(unix_now(), longest).min(latest))
    }

    fn labels_until(&self, role: Role, deadline: u64) -> BTreeMap<String, String> {
        BTreeMap::from([
            (ours::ROLE.to_owned(), role.as_str().to_owned()),
            (ours::RUN.to_owned(), self.run_id.clone()),
            (ours::OWNER.to_owned(), self.owner.to_string()),
            (ours::DEADLINE.to_owned(), deadline.to_string()),
        ])
    }

    /// A private name for a target, another one each time: builds of one run go on beside one another.
    #[must_use]
    pub fn target_name(&self) -> String {
        let run = &self.run_id;
        match self.targets.fetch_add(1, Ordering::Relaxed) {
            0 => format!("{TARGET_REPOSITORY}:{run}"),
            before => format!("{TARGET_REPOSITORY}:{run}-{}", before.saturating_add(1)),
        }
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
    /// then, and where it cannot be kept, it is like any other.
    pub fn keep(&self, record: &Recorded) -> Result<(), JournalError> {
        let mut journal = self.journal();
        journal.keep()?;
        // Not noted, it is harmless: nothing has the old name any more.
        let _ = journal.removed(record.kind(), record.name());
        Ok(())
    }

    /// Notes that the engine went away with results in a container, so that they can be fetched later.
    pub fn lost(&self, lost: LostRun) -> Result<(), JournalError> {
        self.journal().lose(lost)
    }

    /// Removes everything that is still written down and not left to the user, whatever way the run ended: containers
    /// first, several at a time. What cannot be removed stays in the journal for the next sweep, and is returned with
    /// the reason; a network that a lost container holds stays without one.
    pub async fn close(&self, engine: &Engine) -> Vec<Leftover> {
        let (mut open, held) = {
            let journal = self.journal();
            let holdings = journal.holdings();
            let mut open = holdings.open();
            open.retain(|(kind, name)| !holdings.is_the_users(*kind, name));
            (open, holdings.has_the_users())
        };
        open.sort_by_key(|(kind, _)| removal::stage(*kind));
        let mut leftovers: Vec<Leftover> = Vec::new();
        for stage in open.chunk_by(|(a, _), (b, _)| a == b) {
            // An engine that is gone is not waited for once more with each thing that it has.
            if let Some(lost) = leftovers.iter().find_map(Leftover::lost_engine).map(str::to_owned) {
                leftovers.extend(stage.iter().map(|(kind, name)| Leftover::unasked(*kind, name, &lost)));
                continue;
            }
            let at_a_time = stage.first().map_or(1, |(kind, _)| removal::at_a_time(*kind));
            let mut removals = stream::iter(stage.to_vec())
                .map(|(kind, name)| self.take_away(engine, kind, name, held))
                .buffer_unordered(at_a_time);
            while let Some(leftover) = removals.next().await {
                leftovers
                    .extend(leftover.filter(|left| !held || !removal::is_in_use(left.kind, &left.error)));
            }
        }
        let journal = self.journal();
        if journal.holdings().is_empty() {
            journal.discard();
        }
        leftovers
    }

    async fn take_away(
        &self,
        engine: &Engine,
        kind: ResourceKind,
        name: String,
        held: bool,
    ) -> Option<Leftover> {
        let record = Recorded::new(kind, name.clone()).of_run(&self.run_id);
        let error = removal::until_let_go(kind, held, || self.remove(engine, &record)).await.err()?;
        Some(Leftover { kind, name, error })
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

/// The run that a name of [`RunLedger::target_name`] belongs to.
fn run_of_target(name: &str) -> Option<&str> {
    let (_, tag) = name.rsplit_once(':')?;
    let end = tag.match_indices('-').nth(1).map_or(tag.len(), |(at, _)| at);
    tag.get(..end)
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

    fn begin(state: &Path, longest: Duration) -> RunLedger {
        RunLedger::begin(state, "unix:///e.sock", "shop", None, longest).unwrap()
    }

    fn hours(deadline: &str) -> u64 {
        (deadline.parse::<u64>().unwrap() - unix_now() + 60) / 3600
    }

    #[test]
    fn a_resource_bears_the_deadline_that_was_known_when_it_was_made() {
        let state = tempfile::tempdir().unwrap();
        let ledger = begin(state.path(), Duration::from_hours(2));
        let of_label = || hours(&ledger.labels(Role::TestContainer)[ours::DEADLINE]);
        let of_run = || {
            let found = find_run(state.path(), ledger.run_id()).unwrap();
            hours(&found.record.deadline.to_string())
        };
        assert_eq!(of_label(), 3);
        ledger.ends_within(Duration::from_hours(100)).unwrap();
        assert_eq!((of_label(), of_run()), (101, 101));
        ledger.all_ends_within(Duration::from_hours(50)).unwrap();
        assert_eq!((of_label(), of_run()), (51, 51));
    }

    #[test]
    fn a_test_that_is_over_soon_does_not_end_the_run_that_goes_on_with_others() {
        let state = tempfile::tempdir().unwrap();
        let ledger = begin(state.path(), Duration::from_hours(10));
        ledger.ends_within(Duration::from_hours(2)).unwrap();
        let found = find_run(state.path(), ledger.run_id()).unwrap();
        assert_eq!(hours(&found.record.deadline.to_string()), 11);
        let own = |longest| hours(&ledger.labels_within(Role::TestContainer, longest)[ours::DEADLINE]);
        assert_eq!(own(Duration::from_hours(2)), 3);
        assert_eq!(own(Duration::from_hours(20)), 11, "nothing of a run outlives it");
    }

    #[test]
    fn every_target_of_a_run_has_a_name_of_its_own_that_tells_the_run() {
        let state = tempfile::tempdir().unwrap();
        let ledger = begin(state.path(), Duration::from_hours(1));
        let names = [ledger.target_name(), ledger.target_name(), ledger.target_name()];
        let run = ledger.run_id();
        let expected = ["", "-2", "-3"].map(|end| format!("{TARGET_REPOSITORY}:{run}{end}"));
        assert_eq!(names, expected);
        for name in &names {
            assert_eq!(run_of_target(name), Some(run));
        }
        assert_eq!(run_of_target("localhost/docker-test-target"), None);
        assert_eq!(run_of_target("localhost/docker-test-target:latest"), Some("latest"));
        assert_eq!(run_id_time("latest"), None);
    }

    #[test]
    fn many_at_once_write_one_journal() {
        let state = tempfile::tempdir().unwrap();
        let ledger = begin(state.path(), Duration::from_hours(1));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let ledger = &ledger;
                scope.spawn(move || {
                    for number in 0..500 {
                        let record =
                            ledger.record(ResourceKind::Container, &format!("{thread}-{number}")).unwrap();
                        if number > 0 {
                            ledger.forget(&record);
                        }
                    }
                });
            }
        });
        let found = find_run(state.path(), ledger.run_id()).unwrap();
        let mut open: Vec<String> = found.open().into_iter().map(|(_, name)| name).collect();
        open.sort();
        assert_eq!(open, (0..8).map(|thread| format!("{thread}-0")).collect::<Vec<_>>());
    }

    #[test]
    fn a_run_id_tells_when_the_run_began() {
        let id = new_run_id(1_700_000_000);
        assert_eq!(run_id_time(&id), Some(1_700_000_000));
        assert_eq!(id.len(), 15);
        assert_ne!(id, new_run_id(1_700_000_000), "two runs in one second have two ids");
    }
}
