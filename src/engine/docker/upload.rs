//! Files into containers, running or not.

use bollard::body_full;
use bollard::query_parameters::UploadToContainerOptionsBuilder;
use bytes::Bytes;

use super::{Engine, refused};
use crate::engine::EngineError;

impl Engine {
    /// Unpacks a tar archive at `path`, a directory of the container, into what is mounted there too. A tmpfs is only
    /// there while the container runs, and what is written to its place before is covered by it.
    pub async fn upload(
        &self,
        container: &str,
        path: &str,
        tar: impl Into<Bytes> + Send,
    ) -> Result<(), EngineError> {
        let options = UploadToContainerOptionsBuilder::new().path(path).build();
        self.docker
            .upload_to_container(container, Some(options), body_full(tar.into()))
            .await
            .map_err(|error| refused("copy files into", &format!("{path} of container {container}"), error))
    }
}
