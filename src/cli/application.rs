//! What every subcommand is given: the environment, the signals, the place where state is kept.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
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
    /// The command line, to be read again with the options of one test above the defaults.
    pub(super) argv: Arc<[OsString]>,
}

/// The same, with a runtime under it.
#[derive(Clone)]
pub(super) struct Running {
    /// Snapshot of the environment.
    pub(super) environment: Environment,
    /// Where values of flags came from, for errors.
    pub(super) origins: Origins,
    /// The command line.
    pub(super) argv: Arc<[OsString]>,
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

/// A signal came while somebody was waited for.
#[derive(Debug, thiserror::Error)]
#[error("interrupted by signal {signal}")]
pub(super) struct Interrupted {
    /// Signal number.
    pub(super) signal: u8,
}

impl Diagnose for Interrupted {
    fn category(&self) -> Category {
        Category::User
    }
}

/// What a signal means to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnSignal {
    /// It ends: what it does can be done again.
    End,
    /// It winds up what it has begun, and decides about its exit code itself.
    WindUp,
    /// The same for a daemon, which reads its configuration again upon SIGHUP.
    Serve,
}

/// How long a command that was told twice to stop may take, where the engine does not answer. What it leaves is in the
/// ledger, and goes with the next sweep. A third signal does not wait.
const FORCED: Duration = Duration::from_secs(15);

/// How long a command that is to end may take to put the terminal back and to close what it holds. One that is stuck in
/// a system call, such as a write that nobody reads, never comes to that.
const STUCK: Duration = Duration::from_secs(1);
/// As large as a main thread's usual one: futures of commands are large in debug builds.
const STACK: usize = 8 << 20;

async fn out_of_patience(mut interrupts: signal::Receiver, on_signal: OnSignal) -> ExitCode {
    let state = match on_signal {
        OnSignal::End => signal::wait_for(&mut interrupts, 1).await,
        OnSignal::WindUp | OnSignal::Serve => {
            signal::wait_for(&mut interrupts, 2).await;
            let waited = tokio::time::timeout(FORCED, signal::wait_for(&mut interrupts, 3)).await;
            waited.unwrap_or(*interrupts.borrow())
        }
    };
    ExitCode::Signal(state.signal)
}

impl Application {
    /// Runs a command on a runtime with signal handlers. The command has a thread of its own, so that signals are heard
    /// whatever it is stuck in.
    pub(super) fn block_on(
        self,
        on_signal: OnSignal,
        execute: impl AsyncFnOnce(Running) -> Result<ExitCode, Failure> + Send + 'static,
    ) -> Result<ExitCode, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|source| StartError { operation: "start the runtime", source })?;
        let result = self.supervise(&runtime, on_signal, execute);
        // A blocked read of standard input must not hold up the exit.
        runtime.shutdown_background();
        result
    }

    fn supervise(
        self,
        runtime: &tokio::runtime::Runtime,
        on_signal: OnSignal,
        execute: impl AsyncFnOnce(Running) -> Result<ExitCode, Failure> + Send + 'static,
    ) -> Result<ExitCode, Failure> {
        let entered = runtime.enter();
        let listening = match on_signal {
            OnSignal::End | OnSignal::WindUp => signal::listen(),
            OnSignal::Serve => signal::listen_as_daemon(),
        };
        let (canceller, interrupts) =
            listening.map_err(|source| StartError { operation: "listen for signals", source })?;
        plugin::watch_socket(&self.environment, canceller);
        drop(entered);
        let Self { environment, origins, argv } = self;
        let running = Running { environment, origins, argv, interrupts: interrupts.clone() };
        let (done, ended) = tokio::sync::oneshot::channel();
        let handle = runtime.handle().clone();
        let thread = std::thread::Builder::new()
            .name("command".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let _abandoned =
                    done.send(handle.block_on(until_out_of_patience(running, on_signal, execute)));
            })
            .map_err(|source| StartError { operation: "start a thread", source })?;
        let stuck = async {
            let code = out_of_patience(interrupts, on_signal).await;
            tokio::time::sleep(STUCK).await;
            code
        };
        let ended = runtime.block_on(async {
            tokio::select! {
                biased;
                result = ended => result,
                code = stuck => Ok(Ok(code)),
            }
        });
        match ended {
            Ok(result) => result,
            // It panicked, and has said so.
            Err(_) => match thread.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => Ok(ExitCode::Error),
            },
        }
    }
}

async fn until_out_of_patience(
    running: Running,
    on_signal: OnSignal,
    execute: impl AsyncFnOnce(Running) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    let requests = running.interrupts.clone();
    let result = tokio::select! {
        biased;
        result = execute(running) => result,
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
}

impl Running {
    /// Where run journals are kept.
    pub(super) fn state_dir(&self) -> Result<PathBuf, StateError> {
        state::directory(&self.environment, &std::env::temp_dir())
    }

    /// Does work that waits for others for as long as they like (a pipe that is read, a report that nobody reads), until
    /// one more request to stop, and `grace` longer. The thread that waits is left behind then, and ends with the process.
    pub(super) async fn unless_interrupted<T: Send + 'static>(
        &self,
        grace: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Interrupted> {
        let mut interrupts = self.interrupts.clone();
        let seen = interrupts.borrow().count;
        let mut working = tokio::task::spawn_blocking(work);
        let done = tokio::select! {
            biased;
            done = &mut working => done,
            state = signal::wait_for(&mut interrupts, seen + 1) => {
                let late = tokio::time::timeout(grace, working).await;
                late.map_err(|_| Interrupted { signal: state.signal })?
            }
        };
        match done.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(done) => Ok(done),
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // It is cancelled with the runtime alone, and this with it.
            Err(Err(_)) => std::future::pending().await,
        }
    }
}
