//! Networks as the engine records them, and what a run asks for. Plain data.

use std::collections::BTreeMap;

/// A network that a run makes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkCreation {
    /// It has no way out: containers on it reach one another alone.
    pub internal: bool,
    /// Labels that mark it as ours.
    pub labels: BTreeMap<String, String>,
}

/// A network that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the engine's record")]
pub struct NetworkRecord {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// bridge, overlay, host, null, …
    pub driver: String,
    /// local, swarm or global.
    pub scope: String,
    /// It has no way out.
    pub internal: bool,
    /// Containers that Swarm does not run may join it.
    pub attachable: bool,
    /// It leads published ports of Swarm services to their tasks.
    pub ingress: bool,
    /// It holds settings for other networks, and is none itself.
    pub config_only: bool,
}

impl NetworkRecord {
    /// Whether a plain container can join it beside other networks; the reason where it cannot.
    pub fn can_be_joined(&self) -> Result<(), String> {
        let reason = match self.driver.as_str() {
            "host" => "it is the network of the host, which a container shares as a whole or not at all",
            "null" => "it is no network",
            _ if self.config_only => "it only holds settings for other networks",
            _ if self.ingress => "it only leads published ports to Swarm's tasks",
            _ if self.scope == "swarm" && !self.attachable => {
                "it belongs to Swarm and is not attachable (docker network create --attachable, or `attachable: true` \
                 in the stack's file)"
            }
            _ => return Ok(()),
        };
        Err(reason.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(driver: &str, scope: &str) -> NetworkRecord {
        NetworkRecord { driver: driver.into(), scope: scope.into(), ..NetworkRecord::default() }
    }

    #[test]
    fn a_network_of_swarm_can_be_joined_where_it_is_attachable() {
        let closed = network("overlay", "swarm");
        assert!(closed.can_be_joined().unwrap_err().contains("not attachable"));
        assert_eq!(NetworkRecord { attachable: true, ..closed }.can_be_joined(), Ok(()));
        for driver in ["bridge", "macvlan", "overlay"] {
            assert_eq!(network(driver, "local").can_be_joined(), Ok(()));
        }
    }

    #[test]
    fn what_is_no_network_of_its_own_cannot_be_joined() {
        assert!(network("host", "local").can_be_joined().is_err());
        assert!(network("null", "local").can_be_joined().is_err());
        let ingress = NetworkRecord { ingress: true, ..network("overlay", "swarm") };
        assert!(ingress.can_be_joined().unwrap_err().contains("published ports"));
        let settings = NetworkRecord { config_only: true, ..network("bridge", "local") };
        assert!(settings.can_be_joined().is_err());
    }
}
