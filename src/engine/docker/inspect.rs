//! A container's record, also where an engine writes a state into it that Docker's API does not have.
//!
//! Owns which of Docker's states each of Podman's stands for. What a record means is its readers' business.

use bollard::errors::Error as ApiError;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::InspectContainerOptions;
use serde_json::Value;

use super::{Engine, refine};
use crate::engine::EngineError;

/// Bytes of a record.
const LARGEST: usize = 8 << 20;

impl Engine {
    /// The engine's record of a container.
    pub(super) async fn inspect(&self, container: &str) -> Result<ContainerInspectResponse, EngineError> {
        match self.docker.inspect_container(container, None::<InspectContainerOptions>).await {
            Ok(record) => Ok(record),
            // A container that is on its way from one state to the next is worth a second question.
            Err(error @ (ApiError::JsonDataError { .. } | ApiError::JsonSerdeError { .. })) => {
                let error = refine("inspect", "container", container, error);
                self.inspect_leniently(container).await.ok_or(error)
            }
            Err(error) => Err(refine("inspect", "container", container, error)),
        }
    }

    async fn inspect_leniently(&self, container: &str) -> Option<ContainerInspectResponse> {
        let path = self.path(&format!("/containers/{container}/json"));
        let answer = self.http.get(&path, LARGEST).await.ok()?;
        let mut record = serde_json::from_slice(answer.body()).ok()?;
        translate(&mut record);
        serde_json::from_value(record).ok()
    }
}

/// Puts Docker's word for a state in the place of another engine's. Podman shows `stopped` between the end of a
/// container's process and the end of what it tidies up after it.
fn translate(record: &mut Value) {
    if let Some(status @ Value::String(_)) = record.pointer_mut("/State/Status") {
        let word = match status.as_str().unwrap_or_default() {
            "stopped" => "exited",
            "configured" | "initialized" => "created",
            word @ ("created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead"
            | "stopping") => word,
            _ => "",
        };
        *status = Value::from(word);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_state_that_docker_does_not_know_is_read_as_the_one_it_stands_for() {
        for (written, read) in
            [("stopped", "exited"), ("configured", "created"), ("running", "running"), ("of the future", "")]
        {
            let mut record = json!({ "Id": "b5a4", "State": { "Status": written, "ExitCode": 3 } });
            translate(&mut record);
            let record: ContainerInspectResponse = serde_json::from_value(record).unwrap();
            let state = record.state.unwrap();
            assert_eq!((state.status.unwrap().to_string().as_str(), state.exit_code), (read, Some(3)));
        }
    }

    #[test]
    fn a_record_without_a_state_is_left_as_it_is() {
        let mut record = json!({ "Id": "b5a4" });
        translate(&mut record);
        assert_eq!(record, json!({ "Id": "b5a4" }));
    }
}
