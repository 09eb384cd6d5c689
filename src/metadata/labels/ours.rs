//! The labels that mark what docker-test makes on an engine.
//!
//! Owns the namespace `docker-test.`. Test images and containers carry their target's `test.*` labels too, so
//! every selector and watcher asks [`is_ours`] before it takes an image for one to be tested.

use std::collections::BTreeMap;

/// A label of ours, for code and documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnLabel {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub description: &'static str,
}

/// What the resource is for: see [`Role`].
pub const ROLE: &str = "docker-test.role";
/// Id of the run that made it.
pub const RUN: &str = "docker-test.run";
/// Id of the image under test.
pub const TARGET: &str = "docker-test.target";
/// Digest of what the image under test is, whatever its id on another engine.
pub const TARGET_CONTENT: &str = "docker-test.target.content";
/// Name of the image under test, as the user wrote it.
pub const TARGET_NAME: &str = "docker-test.target.name";
/// Name of the test image. An image that somebody builds on top inherits the labels, but not the name.
pub const NAME: &str = "docker-test.name";
/// Where the recipe of a test image came from.
pub const SOURCE: &str = "docker-test.source";
/// Key of everything that went into a test image.
pub const KEY: &str = "docker-test.key";
/// Name of the container as it was made: a container of an image that somebody commits of it inherits the labels, and
/// has another name.
pub const CONTAINER: &str = "docker-test.container";
/// The process that owns the run.
pub const OWNER: &str = "docker-test.owner";
/// When it may be removed though its owner cannot be asked.
pub const DEADLINE: &str = "docker-test.deadline";

/// Every label that docker-test sets on what it makes.
pub const OWN_LABELS: [OwnLabel; 11] = [
    OwnLabel {
        name: ROLE,
        description: "What the resource is for: test-image, test-container, volume, network or helper.",
    },
    OwnLabel { name: RUN, description: "Id of the run that made it." },
    OwnLabel { name: TARGET, description: "Id of the image under test." },
    OwnLabel {
        name: TARGET_CONTENT,
        description: "Digest of what the image under test is, for engines on which it has another id.",
    },
    OwnLabel { name: TARGET_NAME, description: "Name of the image under test, as the user wrote it." },
    OwnLabel { name: NAME, description: "Name of the test image: `prune --images` removes that name alone." },
    OwnLabel {
        name: SOURCE,
        description: "Where the recipe of a test image came from, as `inspect` names it.",
    },
    OwnLabel {
        name: KEY,
        description: "Digest of everything that went into a test image: where it is unchanged, nothing is rebuilt.",
    },
    OwnLabel {
        name: CONTAINER,
        description: "Name of the container as it was made: one of another name is not removed, unless it was kept.",
    },
    OwnLabel {
        name: OWNER,
        description: "The process that owns the run: boot id, PID namespace, PID and start time.",
    },
    OwnLabel {
        name: DEADLINE,
        description: "Unix time in seconds after which it may be removed though its owner cannot be asked.",
    },
];

/// What a resource of ours is for: the value of `docker-test.role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The image that a recipe makes.
    TestImage,
    /// The container that runs a test.
    TestContainer,
    /// A volume that takes the results.
    Volume,
    /// A network of a run.
    Network,
    /// A container that serves a run without being its test.
    Helper,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::TestImage, Self::TestContainer, Self::Volume, Self::Network, Self::Helper];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TestImage => "test-image",
            Self::TestContainer => "test-container",
            Self::Volume => "volume",
            Self::Network => "network",
            Self::Helper => "helper",
        }
    }

    /// The role that these labels give, if it is one that this version knows.
    #[must_use]
    pub fn of(labels: &BTreeMap<String, String>) -> Option<Self> {
        let value = labels.get(ROLE)?;
        Self::ALL.into_iter().find(|role| role.as_str() == value)
    }
}

/// Containers with this prefix, and the run's id after it, were kept for the user: sweeps pass them by, `prune` removes
/// them. Where a run keeps several, a hyphen and what tells them apart follow the id.
pub const KEPT_PREFIX: &str = "docker-test-kept-";

/// Whether the container `name` was made by the run that its labels give. Labels alone do not say so: what an image
/// bears that was committed of such a container, every container of that image bears.
#[must_use]
pub fn is_own_container(labels: &BTreeMap<String, String>, name: &str) -> bool {
    let has_its_name = labels.get(CONTAINER).is_some_and(|own| own == name);
    let was_kept = name
        .strip_prefix(KEPT_PREFIX)
        .zip(labels.get(RUN))
        .and_then(|(kept, run)| kept.strip_prefix(run.as_str()))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    has_its_name || was_kept
}

/// Whether docker-test made what bears these labels, whatever its version: it has a role.
#[must_use]
pub fn is_ours(labels: &BTreeMap<String, String>) -> bool {
    labels.contains_key(ROLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_ours_by_the_name_that_it_was_made_or_kept_under() {
        let labels = |own: Option<&str>| {
            let own = own.map(|name| (CONTAINER.to_owned(), name.to_owned()));
            let run = (RUN.to_owned(), "00000001-abcdef".to_owned());
            own.into_iter().chain([run]).collect::<BTreeMap<_, _>>()
        };
        assert!(is_own_container(&labels(Some("web")), "web"));
        assert!(is_own_container(&labels(Some("web")), "docker-test-kept-00000001-abcdef"));
        assert!(is_own_container(&labels(Some("web")), "docker-test-kept-00000001-abcdef-2.1"));
        assert!(!is_own_container(&labels(Some("web")), "docker-test-kept-00000001-abcdef2"));
        assert!(!is_own_container(&labels(Some("web")), "serene_swan"));
        assert!(!is_own_container(&labels(Some("web")), "docker-test-kept-00000002-abcdef"));
        assert!(!is_own_container(&labels(None), "web"));
    }
}
