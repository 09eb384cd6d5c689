//! What keeps a container that a deployment created from being run as a test.

use super::PlanError;
use crate::error::{Category, Diagnose};
use crate::metadata::labels::{LabelError, TYPE};

/// A container that no plan can be made of.
#[derive(Debug, thiserror::Error)]
pub enum ContainerPlanError {
    /// It was made by docker-test.
    #[error("container {container} was made by docker-test, and is not tested itself")]
    IsOurs {
        /// Its name.
        container: String,
    },
    /// It does not say that it is a test.
    #[error("container {container} is no test: it has no label {TYPE}")]
    NoType {
        /// Its name.
        container: String,
    },
    /// What it was made of is gone.
    #[error("the image of container {container}, {image}, is not on the engine any more")]
    ImageGone {
        /// Its name.
        container: String,
        /// The image as it was asked for.
        image: String,
    },
    /// It is on networks that a container of ours cannot join.
    #[error("container {container} is on a network that a test cannot join: {}", reasons(networks))]
    Networks {
        /// Its name.
        container: String,
        /// Which, and why not.
        networks: Vec<(String, String)>,
    },
    /// It shares something with a container that is not there.
    #[error("container {container} shares the {what} of container {peer}, which {}", missing(what))]
    Peer {
        /// Its name.
        container: String,
        /// What it shares.
        what: &'static str,
        /// The other one.
        peer: String,
    },
    /// A label is malformed.
    #[error("container {container}: {source}")]
    Label {
        /// Its name.
        container: String,
        /// What is wrong.
        source: LabelError,
    },
    /// What keeps an image from being tested as well.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

fn reasons(networks: &[(String, String)]) -> String {
    let reasons: Vec<String> = networks.iter().map(|(name, reason)| format!("{name}: {reason}")).collect();
    reasons.join("; ")
}

fn missing(what: &str) -> &'static str {
    if what == "volumes" { "is not there any more" } else { "does not run" }
}

impl Diagnose for ContainerPlanError {
    fn category(&self) -> Category {
        match self {
            Self::ImageGone { .. } | Self::Peer { .. } => Category::Environment,
            Self::Plan(error) => error.category(),
            _ => Category::User,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::IsOurs { .. } => return None,
            Self::NoType { .. } => format!("deploy it with a label {TYPE}, such as {TYPE}=integration"),
            Self::ImageGone { image, .. } => format!("pull it: docker pull {image}"),
            Self::Networks { .. } => {
                "make the network attachable, or run the test's image with --network and a network that can be joined"
                    .to_owned()
            }
            Self::Peer { peer, .. } => format!("start it: docker start {peer}"),
            Self::Label { .. } => "deploy it again with that label corrected".to_owned(),
            Self::Plan(error) => return error.hint(),
        })
    }
}
