//! Containers: create, attach, start, wait, kill, inspect, archive.

use std::net::IpAddr;
use std::pin::Pin;

use bollard::models::NetworkConnectRequest;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, KillContainerOptionsBuilder,
    RenameContainerOptionsBuilder, ResizeContainerTTYOptionsBuilder, StartContainerOptions,
    WaitContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use super::attach::Attached;
use super::creation::{self, Creation};
use super::{Engine, Recorded, refine, refused};
use crate::engine::transport::TransportError;
use crate::engine::{ContainerState, EngineError};
use crate::plan::container::ContainerSpec;

/// A tar stream out of a container.
pub type Archive = Pin<Box<dyn Stream<Item = Result<Bytes, EngineError>> + Send>>;

/// A created container.
#[derive(Debug, Clone)]
pub struct Created {
    /// Its id.
    pub id: String,
    /// What the engine warned of.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Creates the recorded container and connects its further networks.
    pub async fn create_container(
        &self,
        record: &Recorded,
        spec: &ContainerSpec,
        creation: &Creation,
    ) -> Result<Created, EngineError> {
        let mut options = CreateContainerOptionsBuilder::new().name(record.name());
        if let Some(platform) = &creation.platform {
            options = options.platform(platform);
        }
        let at_creation = self.capabilities.networks_at_creation;
        let body = creation::body(record.name(), spec, creation, at_creation);
        let response = self
            .docker
            .create_container(Some(options.build()), body)
            .await
            .map_err(|error| refused("create", record.name(), error))?;
        if !at_creation {
            for network in spec.networks.iter().skip(1) {
                let request = NetworkConnectRequest {
                    container: response.id.clone(),
                    endpoint_config: Some(creation::endpoint(network)),
                };
                self.docker
                    .connect_network(&network.name, request)
                    .await
                    .map_err(|error| refused("connect the container to", &network.name, error))?;
            }
        }
        Ok(Created { id: response.id, warnings: response.warnings })
    }

    /// Attaches to output, and to input where `input` says so. To be called before the start, so that nothing
    /// that the test prints is missed.
    pub async fn attach(&self, container: &str, input: bool, tty: bool) -> Result<Attached, EngineError> {
        let path = self.path(&format!(
            "/containers/{container}/attach?stream=1&stdout=1&stderr=1&stdin={}",
            u8::from(input)
        ));
        let lost = |error: &dyn std::error::Error| EngineError::Lost {
            operation: "attach to",
            subject: container.to_owned(),
            message: super::causes(error),
        };
        let stream =
            self.http.upgrade(http::Method::POST, &path, &[("upgrade", "tcp")]).await.map_err(|error| {
                match error {
                    TransportError::Declined { status, message, .. } => EngineError::Refused {
                        operation: "attach to",
                        subject: container.to_owned(),
                        status,
                        message,
                    },
                    error => lost(&error),
                }
            })?;
        Ok(Attached::new(stream, tty))
    }

    /// Starts a created container. A refusal here is a verdict about the command, not about the engine.
    pub async fn start(&self, container: &str) -> Result<(), EngineError> {
        self.docker
            .start_container(container, None::<StartContainerOptions>)
            .await
            .map_err(|error| refused("start", container, error))
    }

    /// Waits until the container does not run and gives its exit code.
    pub async fn wait(&self, container: &str) -> Result<i64, EngineError> {
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        match Box::pin(self.docker.wait_container(container, Some(options))).next().await {
            Some(Ok(answer)) => Ok(answer.status_code),
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(refine("wait for", "container", container, error)),
            None => Err(EngineError::Lost {
                operation: "wait for",
                subject: container.to_owned(),
                message: "the engine closed the connection".to_owned(),
            }),
        }
    }

    /// Sends a signal by name or number. A container that has ended already is no error.
    pub async fn kill(&self, container: &str, signal: &str) -> Result<(), EngineError> {
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        match self.docker.kill_container(container, Some(options)).await {
            Ok(())
            | Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
            Err(error) => Err(refine("send a signal to", "container", container, error)),
        }
    }

    /// The engine's record of the container's state.
    pub async fn container_state(&self, container: &str) -> Result<ContainerState, EngineError> {
        let record = self.inspect(container).await?;
        let state = record.state.unwrap_or_default();
        Ok(ContainerState {
            status: state.status.map(|status| status.to_string()).unwrap_or_default(),
            running: state.running.unwrap_or_default(),
            exit_code: state.exit_code.unwrap_or_default(),
            oom_killed: state.oom_killed.unwrap_or_default(),
            error: state.error.unwrap_or_default(),
            health: state
                .health
                .and_then(|health| health.status)
                .map(|status| status.to_string())
                .filter(|status| !matches!(status.as_str(), "" | "none")),
            started_at: state.started_at.filter(|at| !at.starts_with("0001-")),
            finished_at: state.finished_at.filter(|at| !at.starts_with("0001-")),
            memory_limit: record
                .host_config
                .and_then(|host| host.memory)
                .and_then(|bytes| u64::try_from(bytes).ok())
                .filter(|bytes| *bytes > 0),
        })
    }

    /// The container's own addresses, one a network, where it runs and has any.
    pub async fn addresses(&self, container: &str) -> Result<Vec<IpAddr>, EngineError> {
        let record = self.inspect(container).await?;
        let networks = record.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let mut addresses: Vec<IpAddr> = networks
            .into_values()
            .flat_map(|endpoint| [endpoint.ip_address, endpoint.global_ipv6_address])
            .flatten()
            .filter_map(|address| address.parse().ok())
            .collect();
        addresses.sort_unstable();
        Ok(addresses)
    }

    /// Streams `path` out of a container, running or not, as a tar archive.
    #[must_use]
    pub fn archive(&self, container: &str, path: &str) -> Archive {
        let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
        let subject = format!("{path} from container {container}");
        let stream = self
            .docker
            .download_from_container(container, Some(options))
            .map(move |chunk| chunk.map_err(|error| refine("copy", "path", &subject, error)));
        Box::pin(stream)
    }

    /// Renames a container: a kept one bears a name that no sweep touches.
    pub async fn rename(&self, container: &str, name: &str) -> Result<(), EngineError> {
        let options = RenameContainerOptionsBuilder::new().name(name).build();
        self.docker
            .rename_container(container, options)
            .await
            .map_err(|error| refine("rename", "container", container, error))
    }

    /// Tells a container's terminal its size.
    pub async fn resize(&self, container: &str, columns: u16, rows: u16) -> Result<(), EngineError> {
        let options =
            ResizeContainerTTYOptionsBuilder::new().w(i32::from(columns)).h(i32::from(rows)).build();
        self.docker
            .resize_container_tty(container, options)
            .await
            .map_err(|error| refine("resize the terminal of", "container", container, error))
    }
}
