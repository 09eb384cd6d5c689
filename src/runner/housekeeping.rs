//! The two sweeps of one run: at its start, and again once its test has ended.
//!
//! Owns when they happen: beside what the engine does for the run anyway, so that they cost the run nothing. The second
//! one is there for calls of clients that died while this run began: they may take effect a moment later.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::engine::Engine;
use crate::ledger::{self, SweepOptions};

/// A sweep never keeps a finished run waiting for long.
const LIMIT: Duration = Duration::from_secs(10);

/// The sweeps of one run.
#[derive(Debug)]
pub struct Housekeeping {
    state: PathBuf,
    engine: Engine,
    run_id: String,
    first: JoinHandle<()>,
    swept_again: AtomicBool,
}

impl Housekeeping {
    /// Begins the first sweep. What belongs to `run_id` is never touched.
    #[must_use]
    pub fn begin(state: PathBuf, engine: &Engine, run_id: &str) -> Self {
        let (engine, run_id) = (engine.clone(), run_id.to_owned());
        let first = {
            let (state, engine, run_id) = (state.clone(), engine.clone(), run_id.clone());
            tokio::spawn(async move { sweep(&state, &engine, &run_id).await })
        };
        Self { state, engine, run_id, first, swept_again: AtomicBool::new(false) }
    }

    /// The second sweep. To be called when the test has ended.
    pub async fn sweep_again(&self) {
        if !self.swept_again.swap(true, Ordering::Relaxed) {
            sweep(&self.state, &self.engine, &self.run_id).await;
        }
    }

    /// Waits for the first sweep, and makes the second one where the run did not get that far.
    pub async fn finish(mut self) {
        let _ = (&mut self.first).await;
        self.sweep_again().await;
    }
}

/// Removes what dead runs left, quietly and within a limit.
pub async fn sweep(state: &Path, engine: &Engine, this_run: &str) {
    let sweeping = ledger::sweep(state, engine, Some(this_run), SweepOptions::default(), ledger::unix_now());
    // What cannot be swept now is swept by a later run.
    let _ = tokio::time::timeout(LIMIT, sweeping).await;
}
