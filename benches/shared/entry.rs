//! How a bench begins and ends: what it is told by variables, what it prints, how it is interrupted.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

/// Any error, with its story in its text.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Runs a bench to its end, or until Ctrl-C: what the losing branch holds is dropped then, with all that it made.
pub(crate) fn until_interrupted(bench: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            outcome = bench => outcome,
            _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        }
    })
}

/// An exit code other than 0 means that something could not be measured.
pub(crate) fn exit(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("cannot measure: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// A number above 0 from a variable.
pub(crate) fn number(variable: &str, default: usize) -> Result<usize, Failure> {
    match std::env::var(variable) {
        Ok(text) => {
            let number = text.parse().ok().filter(|number| *number > 0);
            number.ok_or_else(|| format!("{variable} is not a number above 0").into())
        }
        Err(_) => Ok(default),
    }
}

/// Tells people. A reader that has gone away is no error.
pub(crate) fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
