//! What bears our labels on an engine: listing and removal, for the ledger alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder, RemoveVolumeOptions,
};

use super::retry::asked_again;
use super::{Engine, Recorded, refine};
use crate::engine::{EngineError, OwnedResource, ResourceKind};
use crate::metadata::labels::ours;

impl Engine {
    /// Every container, volume and network that bears `label` (`name` or `name=value`), less containers that have it
    /// from an image that a user committed of one of ours.
    pub async fn owned(&self, label: &str) -> Result<Vec<OwnedResource>, EngineError> {
        let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
        let containers = asked_again(|| {
            let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
            self.docker.list_containers(Some(options))
        });
        let volumes = asked_again(|| {
            let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
            self.docker.list_volumes(Some(options))
        });
        let networks = asked_again(|| {
            let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
            self.docker.list_networks(Some(options))
        });
        let (containers, volumes, networks) = tokio::join!(containers, volumes, networks);
        let fail = |error| refine("list", "resource", label, error);
        let mut owned = Vec::new();
        for container in containers.map_err(fail)? {
            let labels = container.labels.unwrap_or_default().into_iter().collect();
            let names = container.names.unwrap_or_default();
            let name = names.iter().map(|name| name.trim_start_matches('/'));
            let Some(name) = name.into_iter().find(|name| ours::is_own_container(&labels, name)) else {
                continue;
            };
            owned.push(OwnedResource {
                kind: ResourceKind::Container,
                name: name.to_owned(),
                labels,
                running: container.state.is_some_and(|state| state.to_string() == "running"),
            });
        }
        for volume in volumes.map_err(fail)?.volumes.unwrap_or_default() {
            owned.push(OwnedResource {
                kind: ResourceKind::Volume,
                name: volume.name,
                labels: volume.labels.into_iter().collect(),
                running: false,
            });
        }
        for network in networks.map_err(fail)? {
            owned.push(OwnedResource {
                kind: ResourceKind::Network,
                name: network.name.unwrap_or_default(),
                labels: network.labels.unwrap_or_default().into_iter().collect(),
                running: false,
            });
        }
        Ok(owned)
    }

    /// Ids of the images that containers were made from, running or not.
    pub async fn images_in_use(&self) -> Result<BTreeSet<String>, EngineError> {
        let containers = asked_again(|| {
            let options = ListContainersOptionsBuilder::new().all(true).build();
            self.docker.list_containers(Some(options))
        });
        let containers =
            containers.await.map_err(|error| refine("list", "resource", "the containers", error))?;
        Ok(containers.into_iter().filter_map(|container| container.image_id).collect())
    }

    /// Removes a recorded resource. One that is gone already, or was never ours, is no error: the goal is reached.
    pub async fn remove(&self, record: &Recorded) -> Result<(), EngineError> {
        let name = record.name();
        if record.kind() == ResourceKind::Container
            && let Some(run) = record.run_to_check()
            && !self.is_container_of(name, run).await?
        {
            return Ok(());
        }
        let (kind, outcome) = match record.kind() {
            ResourceKind::ComposeProject => return self.remove_compose_project(record).await,
            ResourceKind::Container => {
                let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
                ("container", self.docker.remove_container(name, Some(options)).await)
            }
            ResourceKind::Volume => {
                ("volume", self.docker.remove_volume(name, None::<RemoveVolumeOptions>).await)
            }
            ResourceKind::Network => ("network", self.docker.remove_network(name).await),
            ResourceKind::Tag | ResourceKind::Image => {
                let options = RemoveImageOptionsBuilder::new().force(false).noprune(false).build();
                ("image", self.docker.remove_image(name, Some(options), None).await.map(|_| ()))
            }
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(error) => {
                let error = refine("remove", kind, name, error);
                let done = error.is_missing() || is_being_removed(&error);
                if done { Ok(()) } else { Err(error) }
            }
        }
    }

    async fn is_container_of(&self, name: &str, run: &str) -> Result<bool, EngineError> {
        match self.inspect(name).await {
            Ok(record) => {
                let labels = record.config.and_then(|config| config.labels).unwrap_or_default();
                let labels: BTreeMap<_, _> = labels.into_iter().collect();
                let bears_run = labels.get(ours::RUN).is_some_and(|label| label == run);
                Ok(bears_run && ours::is_own_container(&labels, name))
            }
            Err(error) if error.is_missing() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Another process (a second sweep, the engine's own clean-up) is at it already.
pub(super) fn is_being_removed(error: &EngineError) -> bool {
    matches!(error, EngineError::Refused { status: 409, message, .. } if message.contains("already in progress"))
}
