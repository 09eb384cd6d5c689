//! Containers of others as the engine records them: what is needed to list them, and to make the like. Plain data.

use std::collections::BTreeMap;

use crate::plan::container::ContainerSpec;

/// A container in a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedContainer {
    /// Its id.
    pub id: String,
    /// Its name, without the slash before it.
    pub name: String,
    /// The image as it was asked for.
    pub image: String,
    /// `sha256:…`
    pub image_id: String,
    /// Its labels, those of its image among them.
    pub labels: BTreeMap<String, String>,
    /// created, running, paused, restarting, exited, dead, …
    pub state: String,
}

impl ListedContainer {
    /// True while its processes are there.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.state.as_str(), "running" | "paused" | "restarting")
    }

    /// Whether `name` means it: its name, its id, or the beginning of its id.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        let beginning = name.len() >= 12 && self.id.starts_with(name);
        self.name == name.trim_start_matches('/') || beginning
    }
}

/// What a container was made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerRecord {
    /// Its id.
    pub id: String,
    /// Its name, without the slash before it.
    pub name: String,
    /// The image as it was asked for.
    pub image: String,
    /// `sha256:…`
    pub image_id: String,
    /// True while its processes are there.
    pub running: bool,
    /// What its creation would have to say to make the like: labels, networks with static addresses, published ports
    /// and all. The values of its variables are in it: they may be secret.
    pub configuration: ContainerSpec,
    /// What is mounted in it, where it came from and whether it was asked for or not.
    pub mounts: Vec<Mounted>,
    /// `--link` as `NAME:ALIAS`.
    pub links: Vec<String>,
    /// It is removed when it ends.
    pub auto_remove: bool,
    /// Names of settings that it has and [`ContainerSpec`] cannot say.
    pub beyond: Vec<String>,
}

/// Something that is mounted in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mounted {
    /// bind, volume, tmpfs, …
    pub kind: String,
    /// Name of the volume, where it is one.
    pub name: Option<String>,
    /// Where it lies on the engine's machine.
    pub source: String,
    /// Path in the container.
    pub target: String,
}

impl Mounted {
    /// Whether it is a volume that nobody has named.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.name.as_deref().is_some_and(is_generated_name)
    }
}

/// Whether this is the name that an engine gives a volume without one: 64 hexadecimal digits.
#[must_use]
pub fn is_generated_name(volume: &str) -> bool {
    volume.len() == 64 && volume.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// How much an engine bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineSize {
    /// CPUs; at least one.
    pub cpus: usize,
    /// Memory in bytes; 0 where it does not say.
    pub memory: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_called_by_name_or_by_the_beginning_of_its_id() {
        let container = ListedContainer {
            id: "4bff2095b5a94bff2095b5a9".into(),
            name: "shop_web_1".into(),
            ..ListedContainer::default()
        };
        for name in ["shop_web_1", "/shop_web_1", "4bff2095b5a9", "4bff2095b5a94bff2095b5a9"] {
            assert!(container.is_called(name), "{name}");
        }
        for name in ["shop_web", "4bff", "4bff2095b5aa"] {
            assert!(!container.is_called(name), "{name}");
        }
    }

    #[test]
    fn a_paused_container_has_its_processes() {
        let of = |state: &str| ListedContainer { state: state.into(), ..ListedContainer::default() };
        assert!(["running", "paused", "restarting"].iter().all(|state| of(state).is_running()));
        assert!(!["created", "exited", "dead", ""].iter().any(|state| of(state).is_running()));
    }
}
