//! A container that a deployment created, made again to be run as a test: what of its configuration is taken over.
//!
//! Owns the rule that the new one is like the old one to itself and like nobody to others: it has the old one's
//! networks, variables, mounts and limits, and none of its names, addresses and ports. What is missing is said.

use std::collections::BTreeMap;

use super::ContainerPlanError;
use super::container::{ContainerSpec, NetworkSpec};
use crate::engine::container::is_generated_name;
use crate::engine::{ContainerRecord, Image, ListedContainer, NetworkRecord};

/// What is around a container.
#[derive(Debug, Clone, Copy, Default)]
pub struct Surroundings<'a> {
    /// The engine's records of the networks that it is on.
    pub networks: &'a [NetworkRecord],
    /// Every container of the engine.
    pub containers: &'a [ListedContainer],
}

/// A container made again.
#[derive(Debug, Clone, PartialEq)]
pub struct Recreated {
    /// What is to be created.
    pub container: ContainerSpec,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Labels with these beginnings say whose a container is, and are acted on.
const OWNERS: [&str; 4] = ["com.docker.compose.", "com.docker.swarm.", "com.docker.stack.", "docker-test."];

/// Labels by which orchestrators tell the names that a container is reached by.
const NAMES: [&str; 3] =
    ["com.docker.compose.service", "com.docker.swarm.service.name", "com.docker.swarm.task.name"];

/// Labels of an image that an engine hands on to its containers cannot be left out; emptied, nobody finds them.
const EMPTIED: &str = "";

/// The digits of an id that Docker shows, and calls a container by.
const SHORT_ID: usize = 12;

/// What of `record` makes the like of it. `image` is the one that it was made of.
pub fn recreate(
    record: &ContainerRecord,
    image: &Image,
    surroundings: &Surroundings<'_>,
) -> Result<Recreated, ContainerPlanError> {
    let own = &record.configuration;
    let networks = networks(record, surroundings)?;
    check_peers(record, surroundings)?;
    let mut container = ContainerSpec {
        name: None,
        hostname: own.hostname.clone().filter(|hostname| keeps_hostname(record, hostname)),
        labels: labels(&own.labels, &image.labels),
        networks,
        // Nobody is there to type; a test that reads finds the end of its input.
        interactive: false,
        published: Vec::new(),
        ..own.clone()
    };
    separate_anonymous_volumes(&mut container);
    for mount in &mut container.mounts {
        mount.volume_labels.retain(|name, _| !says_whose(name));
    }
    let mut warnings = Vec::new();
    if !record.links.is_empty() {
        warnings.push(format!(
            "the links of container {} are not taken over ({}): it reaches others by their names on a network of theirs",
            record.name,
            record.links.join(", ")
        ));
    }
    if !record.beyond.is_empty() {
        let beyond = record.beyond.join(", ");
        warnings
            .push(format!("the test is run without what container {} has besides: {beyond}", record.name));
    }
    Ok(Recreated { container, warnings })
}

/// Names of networks, as opposed to modes, that a container is on: their records have to be looked up.
pub fn network_names(record: &ContainerRecord) -> impl Iterator<Item = &str> {
    record.configuration.networks.iter().map(|network| network.name.as_str()).filter(|name| !is_mode(name))
}

fn is_mode(name: &str) -> bool {
    let words = ["", "bridge", "default", "host", "none", "private", "slirp4netns", "pasta"];
    let beginnings = ["container:", "ns:", "slirp4netns:", "pasta:"];
    words.contains(&name) || beginnings.iter().any(|beginning| name.starts_with(beginning))
}

fn networks(
    record: &ContainerRecord,
    surroundings: &Surroundings<'_>,
) -> Result<Vec<NetworkSpec>, ContainerPlanError> {
    let mut joined = Vec::new();
    let mut closed = Vec::new();
    for network in &record.configuration.networks {
        if !is_mode(&network.name) {
            let found =
                surroundings.networks.iter().find(|found| [&found.name, &found.id].contains(&&network.name));
            match found.map(|found| (found.ingress, found.can_be_joined())) {
                // Swarm's way to the ports that it publishes, which are left out.
                Some((true, _)) => continue,
                Some((false, Ok(()))) => {}
                Some((false, Err(reason))) => closed.push((network.name.clone(), reason)),
                None => closed.push((network.name.clone(), "it is not there any more".to_owned())),
            }
        }
        if network.name.is_empty() {
            continue;
        }
        joined.push(NetworkSpec {
            aliases: network.aliases.iter().filter(|alias| !is_own_name(record, alias)).cloned().collect(),
            ipv4: None,
            ipv6: None,
            ..network.clone()
        });
    }
    if closed.is_empty() {
        Ok(joined)
    } else {
        Err(ContainerPlanError::Networks { container: record.name.clone(), networks: closed })
    }
}

/// Whether others mean this very container, or the service that it is one of, by this name: the test would be asked in
/// its place.
fn is_own_name(record: &ContainerRecord, alias: &str) -> bool {
    let labels = &record.configuration.labels;
    let is_id = alias.len() >= SHORT_ID && record.id.starts_with(alias);
    is_id
        || alias == record.name
        || NAMES.iter().any(|name| labels.get(*name).is_some_and(|own| own == alias))
}

/// Whether what it shares with other containers is there.
fn check_peers(record: &ContainerRecord, surroundings: &Surroundings<'_>) -> Result<(), ContainerPlanError> {
    let own = &record.configuration;
    let mode = own.networks.first().map(|network| network.name.as_str());
    let shared = [
        ("network", mode),
        ("processes", own.pid_mode.as_deref()),
        ("shared memory", own.ipc_mode.as_deref()),
    ];
    let shared =
        shared.into_iter().filter_map(|(what, mode)| Some((what, mode?.strip_prefix("container:")?)));
    let volumes = own.inherited.volumes_from.iter();
    // `NAME:ro`
    let volumes = volumes.map(|from| ("volumes", from.split(':').next().unwrap_or(from)));
    for (what, peer) in shared.chain(volumes) {
        let found = surroundings.containers.iter().find(|container| container.is_called(peer));
        if !found.is_some_and(|found| what == "volumes" || found.is_running()) {
            let (container, peer) = (record.name.clone(), peer.to_owned());
            return Err(ContainerPlanError::Peer { container, what, peer });
        }
    }
    Ok(())
}

/// A name that was generated of its id, or is another's, is not its own.
fn keeps_hostname(record: &ContainerRecord, hostname: &str) -> bool {
    let own = &record.configuration;
    let generated = hostname.len() >= SHORT_ID && record.id.starts_with(hostname);
    let shares_network =
        own.networks.iter().any(|network| network.name == "host" || network.name.starts_with("container:"));
    !generated && !shares_network && own.inherited.uts_mode.as_deref() != Some("host")
}

fn says_whose(label: &str) -> bool {
    OWNERS.iter().any(|beginning| label.starts_with(beginning))
}

fn labels(own: &BTreeMap<String, String>, of_image: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let kept = own.iter().filter(|(name, _)| !says_whose(name));
    let kept = kept.map(|(name, value)| (name.clone(), value.clone()));
    let emptied = of_image.keys().filter(|name| says_whose(name) && !name.starts_with("docker-test."));
    kept.chain(emptied.map(|name| (name.clone(), EMPTIED.to_owned()))).collect()
}

/// A volume that nobody has named belongs to the container that it was made for. Compose names them when it makes a
/// container anew.
fn separate_anonymous_volumes(container: &mut ContainerSpec) {
    let ContainerSpec { binds, anonymous_volumes, mounts, .. } = container;
    binds.retain(|bind| {
        let mut parts = bind.split(':');
        let (source, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let is_anonymous = is_generated_name(source);
        if is_anonymous && !anonymous_volumes.iter().any(|at| at == target) {
            anonymous_volumes.push(target.to_owned());
        }
        !is_anonymous
    });
    for mount in mounts {
        if mount.kind == "volume" && mount.source.as_deref().is_some_and(is_generated_name) {
            mount.source = None;
        }
    }
}

#[cfg(test)]
mod tests;
