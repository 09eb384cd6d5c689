//! The test container as the plan describes it, in Docker's own words and units.
//!
//! Values are resolved: flags parsed, env files read. Engine code turns this into an API call and adds
//! only what identifies the run.

use std::collections::BTreeMap;

use serde::Serialize;

/// Everything that `docker run` flags can say about the test container, resolved.
#[derive(Clone, Default, PartialEq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of docker run")]
pub struct ContainerSpec {
    /// `--name`; a generated name where absent.
    pub name: Option<String>,
    /// `--entrypoint`: `Some(vec![])` resets it (Docker's `--entrypoint ""`).
    pub entrypoint: Option<Vec<String>>,
    /// Command after `--`, or from `test.cmd`.
    pub command: Option<Vec<String>>,
    /// `-e`, `--env-file`: `NAME=value`. Values are secret material: never serialised.
    #[serde(serialize_with = "names_only")]
    pub env: Vec<(String, String)>,
    /// `-u`
    pub user: Option<String>,
    /// `-w`
    pub workdir: Option<String>,
    /// `-h`, `--hostname`
    pub hostname: Option<String>,
    /// `-l`, `--label`, `--label-file`
    pub labels: BTreeMap<String, String>,
    /// `-v` of the form `SRC:DST[:OPTIONS]`, as the API's Binds takes them, relative sources made absolute.
    pub binds: Vec<String>,
    /// `-v DST`: anonymous volumes.
    pub anonymous_volumes: Vec<String>,
    /// `--mount`
    pub mounts: Vec<MountSpec>,
    /// `--tmpfs`: path to options.
    pub tmpfs: BTreeMap<String, String>,
    /// `--network`: first is the network mode, further ones are connected before start.
    pub networks: Vec<NetworkSpec>,
    /// `--add-host` as `name:ip`
    pub extra_hosts: Vec<String>,
    /// `--dns`
    pub dns: Vec<String>,
    /// `-m`, in bytes
    pub memory: Option<i64>,
    /// `--memory-swap`, in bytes; -1 unlimited
    pub memory_swap: Option<i64>,
    /// `--cpus`, in billionths of a CPU
    pub nano_cpus: Option<i64>,
    /// `--cpu-shares`
    pub cpu_shares: Option<i64>,
    /// `--cpuset-cpus`
    pub cpuset_cpus: Option<String>,
    /// `--pids-limit`
    pub pids_limit: Option<i64>,
    /// `--shm-size`, in bytes
    pub shm_size: Option<i64>,
    /// `--ulimit`
    pub ulimits: Vec<UlimitSpec>,
    /// `--cap-add`
    pub cap_add: Vec<String>,
    /// `--cap-drop`
    pub cap_drop: Vec<String>,
    /// `--group-add`
    pub group_add: Vec<String>,
    /// `--device` as `HOST[:CONTAINER[:PERMISSIONS]]`, resolved
    pub devices: Vec<DeviceSpec>,
    /// `--security-opt`, seccomp profile files read into the value as the Docker CLI does.
    pub security_opt: Vec<String>,
    /// `--sysctl`
    pub sysctls: BTreeMap<String, String>,
    /// `--privileged`
    pub privileged: bool,
    /// `--read-only`
    pub read_only: bool,
    /// `--gpus`
    pub gpus: Option<GpuSpec>,
    /// `--init`
    pub init: Option<bool>,
    /// `--runtime`
    pub runtime: Option<String>,
    /// `--pid`
    pub pid_mode: Option<String>,
    /// `--ipc`
    pub ipc_mode: Option<String>,
    /// `--userns`
    pub userns_mode: Option<String>,
    /// `--cgroupns`
    pub cgroupns_mode: Option<String>,
    /// `-i`: hand stdin to the test.
    pub interactive: bool,
    /// `-t`: allocate a terminal.
    pub tty: bool,
    /// `--stop-signal`
    pub stop_signal: Option<String>,
    /// `--log-driver`
    pub log_driver: Option<String>,
    /// `--log-opt`
    pub log_options: BTreeMap<String, String>,
    /// Replaces the image's health check. Services have one; a test has an end instead.
    pub healthcheck: Option<HealthcheckSpec>,
    /// `-p`: for services alone.
    pub published: Vec<PublishedPort>,
    /// What no flag of ours says, and a container of others may have.
    pub inherited: Box<InheritedSpec>,
}

/// A health check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HealthcheckSpec {
    /// `["CMD", program, …]`, `["CMD-SHELL", line]` or `["NONE"]`; empty leaves the image's.
    pub test: Vec<String>,
    /// Time between two checks, in nanoseconds.
    pub interval: Option<i64>,
    /// Time that a check may take, in nanoseconds.
    pub timeout: Option<i64>,
    /// Failures in a row that make it unhealthy.
    pub retries: Option<i64>,
    /// Time during which failures do not count, in nanoseconds.
    pub start_period: Option<i64>,
    /// Time between two checks during the start period, in nanoseconds.
    pub start_interval: Option<i64>,
}

/// One `-p`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PublishedPort {
    /// Address on the host; all where absent.
    pub host_ip: Option<String>,
    /// Port on the host; one that is free where absent.
    pub host_port: Option<u16>,
    /// Port in the container.
    pub container: u16,
    /// tcp, udp or sctp
    pub protocol: String,
}

/// Settings of a container of others that its like needs, in Docker's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct InheritedSpec {
    /// `--domainname`
    pub domainname: Option<String>,
    /// `--dns-search`
    pub dns_search: Vec<String>,
    /// `--dns-option`
    pub dns_options: Vec<String>,
    /// `--volumes-from`
    pub volumes_from: Vec<String>,
    /// `--volume-driver`
    pub volume_driver: Option<String>,
    /// `--uts`
    pub uts_mode: Option<String>,
    /// `--cgroup-parent`
    pub cgroup_parent: Option<String>,
    /// `--device-cgroup-rule`
    pub device_cgroup_rules: Vec<String>,
    /// `--cpu-period`, in microseconds
    pub cpu_period: Option<i64>,
    /// `--cpu-quota`, in microseconds
    pub cpu_quota: Option<i64>,
    /// `--cpuset-mems`
    pub cpuset_mems: Option<String>,
    /// `--memory-reservation`, in bytes
    pub memory_reservation: Option<i64>,
    /// `--oom-score-adj`
    pub oom_score_adj: Option<i64>,
    /// `--oom-kill-disable`
    pub oom_kill_disable: bool,
    /// `--storage-opt`
    pub storage_options: BTreeMap<String, String>,
    /// `--security-opt systempaths=unconfined`
    pub system_paths_unconfined: bool,
}

/// One `--mount`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MountSpec {
    /// bind, volume, tmpfs, npipe, cluster, image
    pub kind: String,
    /// Host path or volume name.
    pub source: Option<String>,
    /// Path in the container.
    pub target: String,
    /// `readonly`
    pub read_only: bool,
    /// `bind-propagation`
    pub bind_propagation: Option<String>,
    /// `bind-create-src` / non-recursive and its kin are refused by name if unknown.
    pub bind_nonrecursive: bool,
    /// `volume-nocopy`
    pub volume_nocopy: bool,
    /// `volume-driver`
    pub volume_driver: Option<String>,
    /// `volume-opt`
    pub volume_options: BTreeMap<String, String>,
    /// `volume-label`
    pub volume_labels: BTreeMap<String, String>,
    /// `tmpfs-size`, in bytes
    pub tmpfs_size: Option<i64>,
    /// `tmpfs-mode`
    pub tmpfs_mode: Option<i64>,
}

/// One `--network`, long or short form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NetworkSpec {
    /// Network name or id, or a mode: bridge, host, none, container:NAME.
    pub name: String,
    /// `alias=` and `--network-alias`
    pub aliases: Vec<String>,
    /// `ip=` and `--ip`
    pub ipv4: Option<String>,
    /// `ip6=` and `--ip6`
    pub ipv6: Option<String>,
    /// `driver-opt=`
    pub driver_options: BTreeMap<String, String>,
}

/// One `--ulimit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UlimitSpec {
    /// nofile, nproc, …
    pub name: String,
    /// Soft limit; -1 unlimited.
    pub soft: i64,
    /// Hard limit; -1 unlimited.
    pub hard: i64,
}

/// One `--device`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceSpec {
    /// Path on the host.
    pub host: String,
    /// Path in the container.
    pub container: String,
    /// Any of r, w, m.
    pub permissions: String,
}

/// `--gpus`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GpuSpec {
    /// How many; -1 all. Absent where ids are given.
    pub count: Option<i64>,
    /// `device=ID,ID`
    pub device_ids: Vec<String>,
    /// `driver=`
    pub driver: Option<String>,
    /// `capabilities=`; `gpu` is always among them.
    pub capabilities: Vec<String>,
    /// `options=` key to value
    pub options: BTreeMap<String, String>,
}

impl std::fmt::Debug for ContainerSpec {
    /// By way of the serialised form, which has no values of variables.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string(self).unwrap_or_default())
    }
}

fn names_only<S: serde::Serializer>(env: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(env.iter().map(|(name, _)| name))
}
