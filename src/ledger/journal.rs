//! The journal file of a run: one JSON object a line, appended before the engine is asked.
//!
//! Survives SIGKILL, since the kernel holds what was written. Owns whether its run lives: by the lock on the file, by
//! its owner, by its deadline. A line cut short by a full disk is ignored, never fatal.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::holdings::{Holdings, LostRun};
use super::lock::{self, LockState};
use super::owner::{Liveness, Owner};
use super::removal;
use crate::engine::docker::Recorded;
use crate::engine::{Engine, EngineError, ResourceKind};
use crate::error::{Category, Diagnose};
use crate::results::directory;

/// A journal without its name is left alone for this long: naming it takes a moment.
const UNBEGUN_AGE: u64 = 60 * 60;

/// Seconds in which an engine has done what it was asked for, however busy it is.
const JUST_NOW: u64 = 60;

/// The head of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Run id.
    pub run: String,
    /// See [`super::Owner`].
    pub owner: String,
    /// Address of the engine.
    pub engine: String,
    /// The image under test.
    pub image: String,
    /// Name of the test image that it uses or makes.
    #[serde(default)]
    pub test_image: Option<String>,
    /// Unix seconds.
    pub started: u64,
    /// Unix seconds after which the run cannot be alive.
    pub deadline: u64,
    /// False where the file system has no locks.
    #[serde(default = "yes")]
    pub locked: bool,
}

/// Journals of versions that did not say so were locked, or not begun.
const fn yes() -> bool {
    true
}

/// A container of the run is not in use any more, and not gone either. The words are those of versions that had one
/// container a run: they spare the whole run for one of these lines.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fate {
    /// None is, whatever was said before.
    Active,
    /// Those with a kept container's name are left to the user.
    Kept,
    /// One more has results that wait.
    Lost(LostRun),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Begin(RunRecord),
    Created { kind: ResourceKind, name: String },
    Removed { kind: ResourceKind, name: String },
    State(Fate),
    Deadline(u64),
    Results(PathBuf),
}

/// The journal cannot be kept; without one nothing may be created.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} the run journal {}", path.display())]
pub struct JournalError {
    operation: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

impl Diagnose for JournalError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        Some("docker-test notes what it creates before it creates it; point DOCKER_TEST_STATE_DIR at a directory that can be written".to_owned())
    }
}

/// An open, locked journal.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    holdings: Holdings,
    deadline: u64,
    /// The last line may have been cut short.
    torn: bool,
}

impl Journal {
    pub(super) fn create(state: &Path, record: &RunRecord) -> Result<Self, JournalError> {
        let directory = state.join("runs");
        let path = directory.join(format!("{}.jsonl", record.run));
        let fail = |operation, source| JournalError { operation, path: path.clone(), source };
        fs::create_dir_all(&directory).map_err(|error| fail("create the directory of", error))?;
        // The lock is taken before the file has its name, so that no sweep sees it unlocked.
        let temporary = directory.join(format!(".{}.tmp", record.run));
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&temporary)
            .map_err(|error| fail("create", error))?;
        let record = RunRecord { locked: lock::take(&file), ..record.clone() };
        let deadline = record.deadline;
        let holdings = Holdings::default();
        let mut journal = Self { path: path.clone(), file, holdings, deadline, torn: false };
        let begun = journal.append(&Line::Begin(record));
        let named = fs::rename(&temporary, &path).map_err(|error| fail("name", error));
        begun.and(named).inspect_err(|_| drop(fs::remove_file(&temporary)))?;
        Ok(journal)
    }

    pub(super) fn created(&mut self, kind: ResourceKind, name: &str) -> Result<(), JournalError> {
        self.append(&Line::Created { kind, name: name.to_owned() })?;
        self.holdings.created(kind, name);
        Ok(())
    }

    pub(super) fn removed(&mut self, kind: ResourceKind, name: &str) -> Result<(), JournalError> {
        self.holdings.removed(kind, name);
        self.append(&Line::Removed { kind, name: name.to_owned() })
    }

    pub(super) fn keep(&mut self) -> Result<(), JournalError> {
        if !self.holdings.keeps() {
            self.append(&Line::State(Fate::Kept))?;
            self.holdings.keep();
        }
        Ok(())
    }

    pub(super) fn lose(&mut self, lost: LostRun) -> Result<(), JournalError> {
        self.append(&Line::State(Fate::Lost(lost.clone())))?;
        self.holdings.lose(lost);
        Ok(())
    }

    pub(super) fn set_deadline(&mut self, deadline: u64) -> Result<(), JournalError> {
        self.append(&Line::Deadline(deadline))?;
        self.deadline = deadline;
        Ok(())
    }

    pub(super) fn set_results(&mut self, directory: &Path) -> Result<(), JournalError> {
        self.append(&Line::Results(directory.to_owned()))
    }

    /// Unix seconds after which the run cannot be alive.
    pub(super) const fn deadline(&self) -> u64 {
        self.deadline
    }

    pub(super) const fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    /// Everything is removed: the journal has nothing more to say.
    pub(super) fn discard(&self) {
        // Left behind, it would only say again that nothing is open.
        let _ = fs::remove_file(&self.path);
    }

    fn append(&mut self, line: &Line) -> Result<(), JournalError> {
        let fail = |source| JournalError { operation: "write", path: self.path.clone(), source };
        // What follows a line that was cut short would be lost with it.
        let mut bytes = if self.torn { vec![b'\n'] } else { Vec::new() };
        serde_json::to_writer(&mut bytes, line).map_err(|error| fail(error.into()))?;
        bytes.push(b'\n');
        // One write call: a reader, or a kill, sees the whole line or none of it.
        let written = (&self.file).write_all(&bytes);
        self.torn = written.is_err();
        written.map_err(fail)
    }
}

/// A journal found on disk.
#[derive(Debug)]
pub struct FoundRun {
    /// Its head.
    pub record: RunRecord,
    /// Whether a living process holds it.
    pub lock: LockState,
    /// What it left.
    pub(super) holdings: Holdings,
    /// The directory that its results belong in.
    results: Option<PathBuf>,
    path: PathBuf,
}

impl FoundRun {
    /// What is written down and not removed, last created first.
    #[must_use]
    pub fn open(&self) -> Vec<(ResourceKind, String)> {
        self.holdings.open()
    }

    /// Every container whose engine went away, in that order, also those whose results were fetched since.
    #[must_use]
    pub fn lost(&self) -> &[LostRun] {
        self.holdings.lost()
    }

    /// Whether the results of this lost container are still to be fetched.
    #[must_use]
    pub fn waits(&self, container: &str) -> bool {
        self.holdings.waits(container)
    }

    /// Whether the run lives, or may, at `now` in Unix seconds.
    #[must_use]
    pub fn is_alive(&self, now: u64) -> bool {
        let owner = self.record.owner.parse::<Owner>();
        let owner = owner.map_or(Liveness::Unknown, |owner| owner.liveness());
        lives(self.lock, owner, now <= self.record.deadline)
    }

    /// Whether the run was at work a moment ago, at `now` in Unix seconds.
    pub(super) fn is_of_just_now(&self, now: u64) -> bool {
        let written = fs::metadata(&self.path).and_then(|metadata| metadata.modified()).ok();
        let written = written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        written.is_some_and(|at| now.saturating_sub(at.as_secs()) < JUST_NOW)
    }

    /// Deletes the journal, and what the run, now dead, has left beside its results directory.
    pub(super) fn discard(&self) {
        if let Some(results) = &self.results {
            directory::tidy(results);
        }
        let _ = fs::remove_file(&self.path);
    }

    /// Strikes off what has gone, and removes what the run, now dead, has left beside its results directory. What is
    /// left to the user stays written down.
    pub(super) fn strike<'a>(&mut self, gone: impl IntoIterator<Item = (ResourceKind, &'a str)>) {
        if let Some(results) = &self.results {
            directory::tidy(results);
        }
        // The run may have been killed in the middle of a line.
        let mut bytes = vec![b'\n'];
        for (kind, name) in gone {
            if self.holdings.holds(kind, name) {
                self.holdings.removed(kind, name);
                let line = serde_json::to_string(&Line::Removed { kind, name: name.to_owned() });
                bytes.extend(line.unwrap_or_default().into_bytes());
                bytes.push(b'\n');
            }
        }
        if bytes.len() > 1 {
            // One that cannot be noted is found gone the next time. A journal that is gone is not made anew.
            let _ = OpenOptions::new()
                .append(true)
                .open(&self.path)
                .and_then(|mut journal| journal.write_all(&bytes));
        }
    }

    /// Ends a lost container whose results were fetched. With the last one that waits or is kept goes everything else
    /// that the run left, and its journal.
    pub async fn end(&mut self, engine: &Engine, container: &str) -> Result<(), EngineError> {
        let record = Recorded::new(ResourceKind::Container, container.to_owned());
        engine.remove(&record.of_run(&self.record.run)).await?;
        self.strike([(ResourceKind::Container, container)]);
        if !self.holdings.has_the_users() {
            removal::remove_rest(engine, self).await;
        }
        Ok(())
    }
}

/// Whoever holds the lock lives. Without a lock to go by the owner decides, and where he cannot be asked, the time.
const fn lives(lock: LockState, owner: Liveness, in_time: bool) -> bool {
    match (lock, owner) {
        (LockState::Held, _) | (_, Liveness::Alive) => true,
        (_, Liveness::Dead) | (LockState::Free, Liveness::Unknown) => false,
        (LockState::Unknown, Liveness::Unknown) => in_time,
    }
}

/// Every readable journal.
#[must_use]
pub fn list_runs(state: &Path) -> Vec<FoundRun> {
    let Ok(entries) = fs::read_dir(state.join("runs")) else {
        return Vec::new();
    };
    let mut runs: Vec<FoundRun> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .filter_map(|path| read(&path))
        .collect();
    runs.sort_by(|a, b| a.record.run.cmp(&b.record.run));
    runs
}

/// Removes the files of runs that were killed before their journal had its name. Whoever finds that of a living run gone
/// ends before anything is made.
pub(super) fn remove_unbegun(state: &Path, now: u64) {
    let entries = fs::read_dir(state.join("runs")).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let Ok(file) = File::open(&path) else { continue };
        let changed = file.metadata().and_then(|about| about.modified()).ok();
        let changed = changed.and_then(|time| Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs()));
        let old = changed.is_some_and(|changed| now.saturating_sub(changed) > UNBEGUN_AGE);
        if name.starts_with('.')
            && path.extension().is_some_and(|extension| extension == "tmp")
            && old
            && lock::look(&file, true) != LockState::Held
        {
            // What cannot be removed now is left to the next sweep.
            let _ = fs::remove_file(&path);
        }
    }
}

/// The journal of one run.
#[must_use]
pub fn find_run(state: &Path, run: &str) -> Option<FoundRun> {
    list_runs(state).into_iter().find(|found| found.record.run == run)
}

fn read(path: &Path) -> Option<FoundRun> {
    let file = File::open(path).ok()?;
    let mut record: Option<RunRecord> = None;
    let mut deadline = None;
    let mut results = None;
    let mut holdings = Holdings::default();
    for line in BufReader::new(&file).lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(Line::Begin(begin)) => record = Some(begin),
            Ok(Line::Created { kind, name }) => holdings.created(kind, &name),
            Ok(Line::Removed { kind, name }) => holdings.removed(kind, &name),
            Ok(Line::State(Fate::Active)) => holdings.reset(),
            Ok(Line::State(Fate::Kept)) => holdings.keep(),
            Ok(Line::State(Fate::Lost(lost))) => holdings.lose(lost),
            Ok(Line::Deadline(later)) => deadline = Some(later),
            Ok(Line::Results(directory)) => results = Some(directory),
            Err(_) => {}
        }
    }
    let mut record = record?;
    record.deadline = deadline.unwrap_or(record.deadline);
    let lock = lock::look(&file, record.locked);
    Some(FoundRun { record, holdings, lock, results, path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(run: &str) -> RunRecord {
        RunRecord {
            run: run.into(),
            owner: "b/n/1/2".into(),
            engine: "unix:///e.sock".into(),
            image: "shop:1.4".into(),
            test_image: Some("shop:1.4-test".into()),
            started: 1,
            deadline: 2,
            locked: true,
        }
    }

    #[test]
    fn a_run_that_lives_holds_its_journal_and_a_dead_one_does_not() {
        let state = tempfile::tempdir().unwrap();
        let journal = Journal::create(state.path(), &record("00000001-aaaaaa")).unwrap();
        let lock = || find_run(state.path(), "00000001-aaaaaa").unwrap().lock;
        assert_eq!(lock(), LockState::Held);
        drop(journal);
        assert_eq!(lock(), LockState::Free);
    }

    #[test]
    fn without_a_lock_the_owner_decides_and_of_a_foreign_owner_only_the_deadline() {
        use Liveness::{Alive, Dead, Unknown};
        for in_time in [true, false] {
            assert!(lives(LockState::Held, Dead, in_time));
            assert!(lives(LockState::Unknown, Alive, in_time));
            assert!(!lives(LockState::Unknown, Dead, in_time));
            assert!(!lives(LockState::Free, Unknown, in_time));
            assert_eq!(lives(LockState::Unknown, Unknown, in_time), in_time);
        }
    }

    #[test]
    fn a_run_of_another_host_that_could_not_lock_its_journal_lives_until_its_deadline() {
        let state = tempfile::tempdir().unwrap();
        let unlocked = serde_json::json!({"begin": {
            "run": "00000001-aaaaaa", "owner": "other-boot/1/2/3", "engine": "unix:///e.sock", "image": "shop:1.4",
            "started": 1, "deadline": 100, "locked": false
        }});
        fs::create_dir(state.path().join("runs")).unwrap();
        fs::write(state.path().join("runs/00000001-aaaaaa.jsonl"), format!("{unlocked}\n")).unwrap();
        let found = find_run(state.path(), "00000001-aaaaaa").unwrap();
        assert_eq!(found.lock, LockState::Unknown);
        assert!(found.is_alive(100));
        assert!(!found.is_alive(101));
    }

    #[test]
    fn the_last_deadline_counts() {
        let state = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(state.path(), &record("00000001-aaaaaa")).unwrap();
        for deadline in [500, 400] {
            journal.set_deadline(deadline).unwrap();
        }
        assert_eq!(find_run(state.path(), "00000001-aaaaaa").unwrap().record.deadline, 400);
    }

    #[test]
    fn what_was_written_down_and_not_removed_is_open_last_first() {
        let state = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(state.path(), &record("00000001-aaaaaa")).unwrap();
        for name in ["a", "b", "c"] {
            journal.created(ResourceKind::Container, name).unwrap();
        }
        journal.removed(ResourceKind::Container, "b").unwrap();
        drop(journal);
        let found = find_run(state.path(), "00000001-aaaaaa").unwrap();
        let names: Vec<String> = found.open().into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["c", "a"]);
    }

    fn lost(container: &str) -> LostRun {
        let (results, directory) = ("/r".to_owned(), PathBuf::from(format!("/results/{container}")));
        LostRun { container: container.to_owned(), results, directory, limit: 1 }
    }

    /// What of this run is left to the user.
    fn users(found: &FoundRun) -> Vec<String> {
        let open = found.open().into_iter();
        open.filter(|(kind, name)| found.holdings.is_the_users(*kind, name)).map(|(_, name)| name).collect()
    }

    #[test]
    fn a_journal_tells_of_kept_and_lost_containers_and_of_others_beside_them() {
        let state = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(state.path(), &record("00000001-aaaaaa")).unwrap();
        let kept = ["docker-test-kept-00000001-aaaaaa", "docker-test-kept-00000001-aaaaaa-2.1"];
        for name in ["a", "b", "c"].into_iter().chain(kept) {
            journal.created(ResourceKind::Container, name).unwrap();
        }
        journal.lose(lost("a")).unwrap();
        journal.keep().unwrap();
        journal.lose(lost("b")).unwrap();
        journal.keep().unwrap();
        let held = journal.holdings().open();
        drop(journal);
        let mut found = find_run(state.path(), "00000001-aaaaaa").unwrap();
        assert_eq!(found.open(), held, "it is read as it was meant");
        assert_eq!(users(&found), [kept[1], kept[0], "b", "a"]);
        assert_eq!(found.lost(), [lost("a"), lost("b")]);
        let struck = [(ResourceKind::Container, "a"), (ResourceKind::Container, "c")];
        found.strike(struck.into_iter().chain([(ResourceKind::Network, "never")]));
        let again = find_run(state.path(), "00000001-aaaaaa").unwrap();
        assert_eq!(again.open(), found.open());
        assert_eq!(users(&again), [kept[1], kept[0], "b"]);
        assert!(again.waits("b") && !again.waits("a"));
        assert_eq!(again.lost().len(), 2);
    }

    #[test]
    fn what_is_struck_off_after_a_line_that_was_cut_short_is_not_lost_with_it() {
        let state = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(state.path(), &record("00000001-aaaaaa")).unwrap();
        journal.created(ResourceKind::Container, "a").unwrap();
        drop(journal);
        let path = state.path().join("runs/00000001-aaaaaa.jsonl");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"created\":{\"kind\":\"cont").unwrap();
        let find = || find_run(state.path(), "00000001-aaaaaa").unwrap();
        find().strike([(ResourceKind::Container, "a")]);
        assert_eq!(find().open(), []);
        let mut found = find();
        fs::remove_file(&path).unwrap();
        found.strike([(ResourceKind::Container, "a")]);
        assert!(!path.exists(), "a journal that is gone is not made anew");
    }

    #[test]
    fn journals_of_versions_that_had_one_container_a_run_are_understood() {
        let state = tempfile::tempdir().unwrap();
        fs::create_dir(state.path().join("runs")).unwrap();
        let begin = serde_json::json!({"begin": {
            "run": "00000001-aaaaaa", "owner": "b/n/1/2", "engine": "e", "image": "shop:1.4",
            "started": 1, "deadline": 2
        }});
        let created = |name: &str| format!(r#"{{"created":{{"kind":"container","name":"{name}"}}}}"#);
        let find = |lines: &[String]| {
            let path = state.path().join("runs/00000001-aaaaaa.jsonl");
            fs::write(path, format!("{begin}\n{}\n", lines.join("\n"))).unwrap();
            find_run(state.path(), "00000001-aaaaaa").unwrap()
        };
        let kept = "docker-test-kept-00000001-aaaaaa";
        let removed = r#"{"removed":{"kind":"container","name":"docker-test-00000001-aaaaaa-1"}}"#;
        let mut lines = vec![created("docker-test-00000001-aaaaaa-1"), created(kept)];
        assert_eq!(users(&find(&lines)), Vec::<String>::new(), "it was killed before it was kept");
        lines.extend([r#"{"state":"kept"}"#.to_owned(), removed.to_owned()]);
        assert_eq!(users(&find(&lines)), [kept]);
        lines.push(r#"{"state":"active"}"#.to_owned());
        assert_eq!(users(&find(&lines)), Vec::<String>::new());
        let of_engine =
            r#"{"state":{"lost":{"container":"web","results":"/r","directory":"/results/web","limit":1}}}"#;
        let found = find(&[created("web"), of_engine.to_owned()]);
        assert_eq!((users(&found), found.lost()), (vec!["web".to_owned()], &[lost("web")][..]));
        assert!(found.waits("web"));
    }

    #[test]
    fn the_journal_of_ten_thousand_tests_is_written_and_read_in_no_time() {
        let state = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(state.path(), &record("00000001-aaaaaa")).unwrap();
        let begun = std::time::Instant::now();
        for number in 0..10_000 {
            journal.created(ResourceKind::Container, &number.to_string()).unwrap();
        }
        // The first one last: whoever looks through a list looks through all of it.
        for number in (1..10_000).rev().chain([0]) {
            journal.removed(ResourceKind::Container, &number.to_string()).unwrap();
        }
        assert!(find_run(state.path(), "00000001-aaaaaa").unwrap().open().is_empty());
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_line_cut_short_loses_itself_alone() {
        let state = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(state.path(), &record("00000001-aaaaaa")).unwrap();
        journal.created(ResourceKind::Tag, "t").unwrap();
        drop(journal);
        let path = state.path().join("runs/00000001-aaaaaa.jsonl");
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"{\"created\":{\"kind\":\"cont").unwrap();
        assert_eq!(find_run(state.path(), "00000001-aaaaaa").unwrap().open().len(), 1);
    }

    #[test]
    fn what_follows_a_line_cut_short_is_not_lost_with_it() {
        let state = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(state.path(), &record("00000001-aaaaaa")).unwrap();
        let path = state.path().join("runs/00000001-aaaaaa.jsonl");
        let writable = std::mem::replace(&mut journal.file, File::open(&path).unwrap());
        assert!(journal.created(ResourceKind::Tag, "t").is_err());
        // As a disk that is full lets it be.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"created\":{\"ki").unwrap();
        journal.file = writable;
        journal.created(ResourceKind::Container, "c").unwrap();
        journal.created(ResourceKind::Container, "d").unwrap();
        assert_eq!(find_run(state.path(), "00000001-aaaaaa").unwrap().open().len(), 2);
        assert!(!fs::read_to_string(&path).unwrap().contains("\n\n"));
    }

    #[test]
    fn what_a_run_killed_in_its_first_moment_left_goes_when_nobody_can_be_at_it() {
        let state = tempfile::tempdir().unwrap();
        let directory = state.path().join("runs");
        fs::create_dir(&directory).unwrap();
        for name in [".00000001-aaaaaa.tmp", ".00000002-bbbbbb.tmp", "users.tmp"] {
            fs::write(directory.join(name), "").unwrap();
        }
        let living = File::open(directory.join(".00000002-bbbbbb.tmp")).unwrap();
        assert!(lock::take(&living));
        let left = || {
            let mut names: Vec<_> =
                fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        remove_unbegun(state.path(), crate::ledger::unix_now());
        assert_eq!(left().len(), 3, "one of them may be about to begin");
        remove_unbegun(state.path(), crate::ledger::unix_now() + UNBEGUN_AGE + 60);
        assert_eq!(left(), [".00000002-bbbbbb.tmp", "users.tmp"]);
    }

    #[test]
    fn a_state_directory_that_cannot_be_written_stops_the_run_before_anything_is_created() {
        let state = tempfile::tempdir().unwrap();
        fs::write(state.path().join("runs"), "a file in the way").unwrap();
        let error = Journal::create(state.path(), &record("00000001-aaaaaa")).err().unwrap();
        assert!(error.to_string().contains("runs"), "{error}");
        assert!(error.hint().unwrap().contains("DOCKER_TEST_STATE_DIR"));
    }
}
