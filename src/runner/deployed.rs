//! Finds the tests that a deployment has created as containers, and what is around them. It changes none of them.

use crate::engine::{ContainerRecord, Engine, EngineError, Image, ListedContainer, NetworkRecord};
use crate::metadata::labels;
use crate::plan::of_container::is_test;
use crate::plan::recreate::{Surroundings, network_names};

/// A container that a deployment created, and what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployed {
    /// What it was made of.
    pub record: ContainerRecord,
    /// Its image, where that is still there.
    pub image: Option<Image>,
    networks: Vec<NetworkRecord>,
    containers: Vec<ListedContainer>,
}

impl Deployed {
    /// What is around it.
    #[must_use]
    pub fn surroundings(&self) -> Surroundings<'_> {
        Surroundings { networks: &self.networks, containers: &self.containers }
    }
}

/// Every container of the engine, running or not, that is a test and none of ours. By name.
pub async fn find(engine: &Engine) -> Result<Vec<ListedContainer>, EngineError> {
    // Engines hand an image's labels on to its containers.
    let mut found = engine.containers(&[labels::TYPE]).await?;
    found.retain(|container| is_test(&container.labels));
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Looks at one container.
pub async fn look(engine: &Engine, container: &str) -> Result<Deployed, EngineError> {
    let record = engine.container_record(container).await?;
    let image = engine.image(&record.image_id).await?;
    let mut networks = Vec::new();
    for name in network_names(&record) {
        networks.extend(engine.network(name).await?);
    }
    let containers = engine.containers(&[]).await?;
    Ok(Deployed { record, image, networks, containers })
}
