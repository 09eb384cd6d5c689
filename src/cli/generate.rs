//! `docker-test generate`: the Dockerfile.test alone.

use super::application::Running;
use super::inspect::{InspectArgs, plan_of};
use super::terminal;
use crate::error::Failure;
use crate::exit_code::ExitCode;

pub(super) async fn execute(args: InspectArgs, app: Running) -> Result<ExitCode, Failure> {
    let (plan, redactor) = plan_of(args, &app).await?;
    terminal::out(&redactor.redact(&plan.dockerfile))?;
    Ok(ExitCode::Success)
}
