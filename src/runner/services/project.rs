//! What services of a compose project are to a run, and what the failure of any service is to tests.

use crate::compose::Started;
use crate::results::Cause;
use crate::runner::service::ServiceFailure;

/// Lines of a service's output that go into the cause of every test that needed it.
const CAUSE_LINES: usize = 20;

/// Services of a compose project: all started before the first test, and removed with the project.
#[derive(Debug)]
pub struct Project {
    /// Their names, those of services that they depend on among them.
    pub names: Vec<String>,
    /// The services, or which of them is of no use.
    pub started: Result<Started, ServiceFailure>,
}

/// What a failure of a service is to those who need it.
pub(in crate::runner) fn cause_of(failure: &ServiceFailure) -> Cause {
    Cause::DependencyFailed {
        service: failure.service.clone(),
        message: failure.problem.clone(),
        log_tail: last_lines(&failure.log_tail),
    }
}

/// The last of a service's output, for causes.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(CAUSE_LINES)..).unwrap_or_default().join("\n")
}
