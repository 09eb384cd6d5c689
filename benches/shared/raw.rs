//! One container's life by the engine's API alone: the floor under every run.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder,
    InspectContainerOptions, RemoveContainerOptionsBuilder, StartContainerOptions,
    WaitContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use docker_test::engine::transport::HttpClient;
use futures_util::StreamExt;

use crate::entry::Failure;
use crate::ground::RESULTS;

/// A connected API client.
pub(crate) async fn connect(http: &HttpClient) -> Result<Docker, Failure> {
    let limit = Duration::from_mins(1);
    let docker = docker_test::engine::transport::bollard::docker(http, limit, API_DEFAULT_VERSION);
    Ok(docker.negotiate_version().await?)
}

/// What lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life<'a> {
    pub(crate) image: &'a str,
    /// Instead of the image's own, where it has words.
    pub(crate) command: &'a [&'a str],
    /// Instead of the engine's default one.
    pub(crate) network: Option<&'a str>,
    /// Its record is read once it has ended, as whoever wants to know why it ended has to.
    pub(crate) inspected: bool,
}

/// Create, attach, start, wait, inspect, archive, remove: the calls of a run, with its container and its volume.
pub(crate) async fn lifecycle(docker: &Docker, life: Life<'_>, name: &str) -> Result<Duration, Failure> {
    let before = Instant::now();
    let options = CreateContainerOptionsBuilder::new().name(name).build();
    docker.create_container(Some(options), body(life)).await?;
    let options = AttachContainerOptionsBuilder::new().stream(true).stdout(true).stderr(true).build();
    let mut attached = docker.attach_container(name, Some(options)).await?;
    docker.start_container(name, None::<StartContainerOptions>).await?;
    let output = tokio::spawn(async move { while let Some(Ok(_)) = attached.output.next().await {} });
    let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
    let answer = docker.wait_container(name, Some(options)).next().await.ok_or("the wait has no answer")?;
    if answer?.status_code != 0 {
        return Err("the test failed".into());
    }
    output.await?;
    if life.inspected {
        docker.inspect_container(name, None::<InspectContainerOptions>).await?;
    }
    clear(docker, name).await?;
    Ok(before.elapsed())
}

/// Takes the results of a container that has ended out of it, and removes it.
pub(crate) async fn clear(docker: &Docker, name: &str) -> Result<(), Failure> {
    let options = DownloadFromContainerOptionsBuilder::new().path(RESULTS).build();
    let mut archive = docker.download_from_container(name, Some(options));
    let mut size = 0;
    while let Some(chunk) = archive.next().await {
        size += chunk?.len();
    }
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    docker.remove_container(name, Some(options)).await?;
    if size == 0 { Err("the archive is empty".into()) } else { Ok(()) }
}

/// A container with a results volume.
pub(crate) fn body(life: Life<'_>) -> ContainerCreateBody {
    let labels: HashMap<String, String> =
        (1..=4).map(|number| (format!("bench.{number}"), "x".repeat(40))).collect();
    let volume = Mount {
        target: Some(RESULTS.to_owned()),
        typ: Some(MountType::VOLUME),
        volume_options: Some(MountVolumeOptions {
            labels: Some(labels.clone()),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    };
    ContainerCreateBody {
        image: Some(life.image.to_owned()),
        cmd: (!life.command.is_empty()).then(|| life.command.iter().map(|&word| word.to_owned()).collect()),
        labels: Some(labels),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(HostConfig {
            mounts: Some(vec![volume]),
            network_mode: life.network.map(str::to_owned),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}
