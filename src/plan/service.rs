//! A service that tests talk to: what will be started, and when it counts as ready.
//!
//! Plain data, resolved. Who starts it is the runner.

use super::container::ContainerSpec;
use crate::suite::document::Ready;

/// A container that runs while tests run.
#[derive(Debug, Clone, PartialEq)]
pub struct ServicePlan {
    /// Its name in the suite.
    pub name: String,
    /// The image as the user wrote it.
    pub image: String,
    /// Its id.
    pub image_id: String,
    /// The container. On a network of the run's it has the service's name as an alias.
    pub container: ContainerSpec,
    /// OS and architecture, where it is to be others than the engine's own.
    pub platform: Option<String>,
    /// When others may begin. Without this: as soon as it is healthy where it has a health check, else as it runs.
    pub ready: Option<Ready>,
}
