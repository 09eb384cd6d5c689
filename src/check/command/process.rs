//! A process that a check has started, until its end.
//!
//! Owns that it ends in time: it is asked to, then killed with all that it has started, and nothing of it is left. What
//! its end means is for the check to say.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::QUOTED;
use super::group::Group;
use super::printed::{Printed, Stdout, Text};
use super::strays::{self, Strays};
use crate::check::{CheckError, Surroundings};
use crate::metadata::dockerfile::escaped;

/// How long a killed process may take to be gone. One that hangs in the kernel is left behind.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// How a process came to its end.
pub(in crate::check) enum Ending {
    Itself(ExitStatus),
    TimedOut,
    Cancelled,
}

/// How a process is asked to end.
#[derive(Clone, Copy)]
pub(in crate::check) enum Request {
    /// SIGTERM to all that it has started, too.
    ToAll,
    /// SIGINT to itself alone: it needs what it has started for putting things in order.
    ToItself,
}

/// A process that runs, in a group of its own. Dropped before its end, it is killed at once with all that it has started.
pub(in crate::check) struct Process {
    program: String,
    child: Child,
    group: Group,
    strays: Option<Strays>,
    printed: Printed,
}

impl Process {
    /// Starts it, marked as ours, in `directory` or that of `surroundings`.
    pub(in crate::check) fn start(
        mut command: Command,
        surroundings: &Surroundings,
        directory: Option<&Path>,
        stdout: Stdout,
    ) -> Result<Self, CheckError> {
        let program = command.as_std().get_program().to_string_lossy();
        let program = escaped(&surroundings.redactor.redact(&program), QUOTED);
        command
            .current_dir(directory.unwrap_or(&surroundings.directory))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mark = strays::mark(&mut command, surroundings);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(source) => return Err(CheckError::NotStarted { program, source }),
        };
        let Some(group) = Group::of(&child) else {
            let source = io::Error::other("it has ended before it could be looked at");
            return Err(CheckError::Lost { program, source });
        };
        let strays = mark.and_then(|mark| Strays::of(&child, mark, surroundings));
        let printed = Printed::of(&mut child, surroundings, stdout);
        Ok(Self { program, child, group, strays, printed })
    }

    /// Waits for its end, for as long as `timeout` and until `stop`; it may take `grace` more once it was asked to end.
    pub(in crate::check) async fn ended(
        mut self,
        timeout: Duration,
        stop: &CancellationToken,
        request: Request,
        grace: Duration,
    ) -> Result<(Ending, Text), CheckError> {
        let ending = tokio::select! {
            biased;
            status = self.child.wait() => Ending::Itself(status.map_err(|source| self.lost(source))?),
            () = stop.cancelled() => Ending::Cancelled,
            () = tokio::time::sleep(timeout) => Ending::TimedOut,
        };
        if !matches!(ending, Ending::Itself(_)) {
            self.end(request, grace).await?;
        }
        // What it has left running belongs to it, and may hold its streams open.
        self.group.end();
        if let Some(strays) = self.strays.take() {
            match ending {
                Ending::Itself(_) => strays.end_if_any().await,
                Ending::TimedOut | Ending::Cancelled => strays.end().await,
            }
        }
        let printed = self.printed.ended().await;
        self.group.reap().await;
        Ok((ending, printed))
    }

    fn lost(&self, source: io::Error) -> CheckError {
        CheckError::Lost { program: self.program.clone(), source }
    }

    /// Asks it to end, and kills what is left of its group after the grace period. Of strays some may be left.
    async fn end(&mut self, request: Request, grace: Duration) -> Result<(), CheckError> {
        let Self { child, group, strays, .. } = self;
        group.ask_to_end(request);
        let ended = async {
            let status = child.wait().await;
            if matches!(request, Request::ToAll) {
                group.ended().await;
                // Not before: whoever has started them may be about to end them in order.
                if let Some(strays) = strays {
                    strays.ask_to_end().await;
                }
            }
            status
        };
        let status = if let Ok(status) = tokio::time::timeout(grace, ended).await {
            status
        } else {
            self.group.end();
            match tokio::time::timeout(LAST_BREATH, self.child.wait()).await {
                Ok(status) => status,
                Err(_) => return Ok(()),
            }
        };
        status.map(|_| ()).map_err(|source| self.lost(source))
    }
}
