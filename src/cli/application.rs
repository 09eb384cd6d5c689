//! What every subcommand is given: the environment, the signals, the place where state is kept.

use std::path::PathBuf;
use std::time::Duration;

use super::flags::layers::Origins;
use super::state::{self, StateError};
use super::{plugin, terminal};
use crate::environment::Environment;
use crate::error::{Category, Diagnose, Failure};
use crate::exit_code::ExitCode;
use crate::redact::Redactor;
use crate::signal;

/// The parsed surroundings of one command line.
pub(super) struct Application {
    /// Snapshot of the environment.
    pub(super) environment: Environment,
    /// Where values of flags came from, for errors.
    pub(super) origins: Origins,
}

/// The same, with a runtime under it.
pub(super) struct Running {
    /// Snapshot of the environment.
    pub(super) environment: Environment,
    /// Where values of flags came from, for errors.
    pub(super) origins: Origins,
    /// Requests to stop.
    pub(super) interrupts: signal::Receiver,
}

/// The operating system refuses what every program needs.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation}")]
struct StartError {
    operation: &'static str,
    source: std::io::Error,
}

impl Diagnose for StartError {
    fn category(&self) -> Category {
        Category::Environment
    }
}

/// What a signal means to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnSignal {
    /// It ends: what it does can be done again.
    End,
    /// It winds up what it has begun, and decides about its exit code itself.
    WindUp,
}

/// How long a command that was told twice to stop may take, where the engine does not answer. What it leaves is in the
/// ledger, and goes with the next sweep. A third signal does not wait.
const FORCED: Duration = Duration::from_secs(15);

async fn out_of_patience(mut interrupts: signal::Receiver, on_signal: OnSignal) -> ExitCode {
    let state = match on_signal {
        OnSignal::End => signal::wait_for(&mut interrupts, 1).await,
        OnSignal::WindUp => {
            signal::wait_for(&mut interrupts, 2).await;
            let waited = tokio::time::timeout(FORCED, signal::wait_for(&mut interrupts, 3)).await;
            waited.unwrap_or(*interrupts.borrow())
        }
    };
    ExitCode::Signal(state.signal)
}

impl Application {
    /// Runs a command on a runtime with signal handlers.
    pub(super) fn block_on(
        self,
        on_signal: OnSignal,
        execute: impl AsyncFnOnce(Running) -> Result<ExitCode, Failure>,
    ) -> Result<ExitCode, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|source| StartError { operation: "start the runtime", source })?;
        let result = runtime.block_on(async {
            let (canceller, interrupts) =
                signal::listen().map_err(|source| StartError { operation: "listen for signals", source })?;
            plugin::watch_socket(&self.environment, canceller);
            let Self { environment, origins } = self;
            let requests = interrupts.clone();
            let result = tokio::select! {
                biased;
                result = execute(Running { environment, origins, interrupts }) => result,
                code = out_of_patience(requests.clone(), on_signal) => Ok(code),
            };
            let state = *requests.borrow();
            match result {
                // It failed because it was told to stop.
                Err(failure) if state.count > 0 => {
                    terminal::report_failure(&failure, &Redactor::default());
                    Ok(ExitCode::Signal(state.signal))
                }
                result => result,
            }
        });
        // A blocked read of standard input must not hold up the exit.
        runtime.shutdown_background();
        result
    }
}

impl Running {
    /// Where run journals are kept.
    pub(super) fn state_dir(&self) -> Result<PathBuf, StateError> {
        state::directory(&self.environment, &std::env::temp_dir())
    }
}
