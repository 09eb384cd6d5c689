//! The journal file of a run: one JSON object a line, appended before the engine is asked.
//!
//! Survives SIGKILL, since the kernel holds what was written; a lock on the file tells a living run from a dead
//! one. A line cut short by a full disk is ignored, never fatal.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::engine::ResourceKind;
use crate::error::{Category, Diagnose};

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
    /// Unix seconds.
    pub started: u64,
    /// Unix seconds after which the run cannot be alive.
    pub deadline: u64,
}

/// What is needed to fetch the results of a run whose engine went away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostRun {
    /// Name of the test container.
    pub container: String,
    /// Path of the results in it.
    pub results: String,
    /// Directory on this machine that they belong in.
    pub directory: PathBuf,
    /// Bytes at most.
    pub limit: u64,
}

/// What is to become of a run's resources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It runs, or was killed: a sweep removes what it left.
    #[default]
    Active,
    /// The user asked to keep the container: `prune` alone removes it.
    Kept,
    /// The engine went away: `docker-test results` fetches, `prune` removes.
    Lost(LostRun),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Begin(RunRecord),
    Created { kind: ResourceKind, name: String },
    Removed { kind: ResourceKind, name: String },
    State(RunState),
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
    open: Vec<(ResourceKind, String)>,
    state: RunState,
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
        file.lock().map_err(|error| fail("lock", error))?;
        let mut journal = Self { path: path.clone(), file, open: Vec::new(), state: RunState::Active };
        let begun = journal.append(&Line::Begin(record.clone()));
        let named = fs::rename(&temporary, &path).map_err(|error| fail("name", error));
        begun.and(named).inspect_err(|_| drop(fs::remove_file(&temporary)))?;
        Ok(journal)
    }

    pub(super) fn created(&mut self, kind: ResourceKind, name: &str) -> Result<(), JournalError> {
        self.append(&Line::Created { kind, name: name.to_owned() })?;
        self.open.push((kind, name.to_owned()));
        Ok(())
    }

    pub(super) fn removed(&mut self, kind: ResourceKind, name: &str) -> Result<(), JournalError> {
        self.open.retain(|(open_kind, open_name)| (*open_kind, open_name.as_str()) != (kind, name));
        self.append(&Line::Removed { kind, name: name.to_owned() })
    }

    pub(super) fn set_state(&mut self, state: &RunState) -> Result<(), JournalError> {
        self.state = state.clone();
        self.append(&Line::State(state.clone()))
    }

    /// What is written down and not removed, last created first.
    pub(super) fn open(&self) -> Vec<(ResourceKind, String)> {
        self.open.iter().rev().cloned().collect()
    }

    pub(super) const fn state(&self) -> &RunState {
        &self.state
    }

    /// Everything is removed: the journal has nothing more to say.
    pub(super) fn discard(&self) {
        // Left behind, it would only say again that nothing is open.
        let _ = fs::remove_file(&self.path);
    }

    fn append(&mut self, line: &Line) -> Result<(), JournalError> {
        let fail = |source| JournalError { operation: "write", path: self.path.clone(), source };
        let mut bytes = serde_json::to_vec(line).map_err(|error| fail(error.into()))?;
        bytes.push(b'\n');
        // One write call: a reader, or a kill, sees the whole line or none of it.
        (&self.file).write_all(&bytes).map_err(fail)
    }
}

/// A journal found on disk.
#[derive(Debug)]
pub struct FoundRun {
    /// Its head.
    pub record: RunRecord,
    /// What is to become of it.
    pub state: RunState,
    /// Written down and not removed, last created first.
    pub open: Vec<(ResourceKind, String)>,
    /// True where a living process holds it.
    pub alive: bool,
    path: PathBuf,
}

impl FoundRun {
    /// Deletes the journal.
    pub(super) fn discard(&self) {
        let _ = fs::remove_file(&self.path);
    }

    /// Deletes the journal of a run whose results were fetched.
    pub fn forget(self) {
        self.discard();
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

/// The journal of one run.
#[must_use]
pub fn find_run(state: &Path, run: &str) -> Option<FoundRun> {
    list_runs(state).into_iter().find(|found| found.record.run == run)
}

fn read(path: &Path) -> Option<FoundRun> {
    let file = File::open(path).ok()?;
    let alive = match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => true,
        // Without locks on this file system the owner decides.
        Ok(()) | Err(TryLockError::Error(_)) => false,
    };
    let mut record = None;
    let mut run_state = RunState::Active;
    let mut open: Vec<(ResourceKind, String)> = Vec::new();
    for line in BufReader::new(&file).lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(Line::Begin(begin)) => record = Some(begin),
            Ok(Line::Created { kind, name }) => open.push((kind, name)),
            Ok(Line::Removed { kind, name }) => open.retain(|entry| *entry != (kind, name.clone())),
            Ok(Line::State(state)) => run_state = state,
            Err(_) => {}
        }
    }
    open.reverse();
    Some(FoundRun { record: record?, state: run_state, open, alive, path: path.to_owned() })
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
            started: 1,
            deadline: 2,
        }
    }

    #[test]
    fn a_run_that_lives_holds_its_journal_and_a_dead_one_does_not() {
        let state = tempfile::tempdir().unwrap();
        let journal = Journal::create(state.path(), &record("00000001-aaaaaa")).unwrap();
        assert!(find_run(state.path(), "00000001-aaaaaa").unwrap().alive);
        drop(journal);
        assert!(!find_run(state.path(), "00000001-aaaaaa").unwrap().alive);
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
        let names: Vec<&str> = found.open.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["c", "a"]);
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
        assert_eq!(find_run(state.path(), "00000001-aaaaaa").unwrap().open.len(), 1);
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
