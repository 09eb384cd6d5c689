//! Commands in a running container, for the sake of their exit code.

use std::time::Duration;

use bollard::exec::StartExecOptions;
use bollard::models::ExecConfig;

use super::{Engine, refine, refused};
use crate::engine::EngineError;

/// How often a command that has not ended is asked after.
const POLL: Duration = Duration::from_millis(50);

impl Engine {
    /// Runs a command in a running container and waits for its exit code. Its output goes nowhere.
    pub async fn exec(&self, container: &str, command: &[String]) -> Result<i64, EngineError> {
        let config = ExecConfig { cmd: Some(command.to_vec()), ..ExecConfig::default() };
        let exec = self
            .docker
            .create_exec(container, config)
            .await
            .map_err(|error| refused("run a command in", container, error))?;
        let detached = StartExecOptions { detach: true, ..StartExecOptions::default() };
        self.docker
            .start_exec(&exec.id, Some(detached))
            .await
            .map_err(|error| refused("run a command in", container, error))?;
        loop {
            let state = self
                .docker
                .inspect_exec(&exec.id)
                .await
                .map_err(|error| refine("inspect", "command in container", container, error))?;
            match state.exit_code {
                Some(code) if !state.running.unwrap_or_default() => return Ok(code),
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }
}
