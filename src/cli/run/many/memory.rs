//! What a run of many asks of history before it begins.
//!
//! Owns what is an error and what is a warning: who asks for something of the past (`--rerun`, `--partition time:`) gets
//! an error where it is not to be had; everybody else runs without.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::super::super::suite_file::SuiteFileError;
use super::super::RunArgs;
use super::super::recording::{self, Earlier, Known, Recording, Rerun};
use super::select::Selected;
use crate::error::Failure;
use crate::history::{History, HistoryError, Pass};
use crate::redact::Redactor;
use crate::runner::Sink;
use crate::suite::partition::Partition;

/// The history, or why there is none.
pub(super) struct Memory(Option<Result<History, HistoryError>>);

/// Passes that are known, for the result cache.
pub(super) type Passes = Option<History>;

impl Memory {
    pub(super) async fn open(state: &Path) -> Self {
        let state = state.to_owned();
        Self(tokio::task::spawn_blocking(move || History::open(&state)).await.ok())
    }

    /// The history, for who cannot do without.
    fn needed(&mut self) -> Result<&mut History, Failure> {
        match self.0.take() {
            Some(Ok(history)) => {
                self.0 = Some(Ok(history));
            }
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
        match &mut self.0 {
            Some(Ok(history)) => Ok(history),
            _ => Err(recording::RerunError::NoRun("anything".to_owned()).into()),
        }
    }

    /// Restricts the selection to what an earlier run has left, and gives it the durations that it goes by.
    pub(super) fn choose(
        &mut self,
        mut selected: Selected,
        args: &RunArgs,
    ) -> Result<(Selected, Option<Earlier>), Failure> {
        if let Some(partition) = selected.wanted.partition.filter(Partition::wants_durations) {
            let expected = self.needed()?.expected(&selected.subject)?;
            if expected.is_empty() {
                let subject = selected.shown.clone();
                return Err(SuiteFileError::NoDurations { partition, subject }.into());
            }
            selected.wanted.durations = durations(expected);
        }
        let Some(rerun) = &args.many.rerun else { return Ok((selected, None)) };
        let history = self.needed()?;
        let earlier = recording::earlier(history, &Rerun::parse(rerun), &selected.subject)?;
        selected.wanted.only = Some(earlier.tests.clone());
        Ok((selected, Some(earlier)))
    }

    /// How long the tests usually take, in seconds.
    pub(super) fn expected(&self, subject: &str) -> BTreeMap<String, f64> {
        match &self.0 {
            // Without it there is no estimate, and nothing else is missing.
            Some(Ok(history)) => history.expected(subject).unwrap_or_default(),
            _ => BTreeMap::new(),
        }
    }

    /// This machine's secret for keys of the result cache.
    pub(super) fn cache_secret(&mut self, is_wanted: bool, sink: &Sink) -> Option<[u8; 32]> {
        let Some(Ok(history)) = &mut self.0 else { return None };
        match history.cache_secret() {
            Ok(secret) => Some(secret),
            Err(error) => {
                if is_wanted {
                    sink.warn(format!("nothing is cached: {}", Failure::from(error)));
                }
                None
            }
        }
    }

    /// Another way to the same file, for questions while the run is being recorded.
    pub(super) fn passes_reader(&self) -> Passes {
        let Some(Ok(history)) = &self.0 else { return None };
        History::open_existing(history.path().parent()?).ok().flatten()
    }

    /// Begins to record the run.
    pub(super) async fn record(self, known: Known, redactor: Redactor, sink: &Sink) -> Recording {
        match self.0 {
            Some(Ok(history)) => Recording::begin(history, known, redactor, sink).await,
            Some(Err(error)) => {
                sink.warn(recording::unrecorded(error));
                Recording::none()
            }
            None => Recording::none(),
        }
    }
}

/// Recorded seconds as durations.
pub(in crate::cli) fn durations(expected: BTreeMap<String, f64>) -> BTreeMap<String, Duration> {
    let duration = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    expected.into_iter().map(|(name, seconds)| (name, duration(seconds))).collect()
}

/// The pass with that key.
pub(super) fn pass(passes: &Passes, key: &str) -> Option<Pass> {
    passes.as_ref()?.pass(key).ok().flatten()
}
