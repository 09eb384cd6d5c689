//! Turns a [`ContainerSpec`] into the API's words. Pure.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerCreateBody, DeviceMapping, DeviceRequest, EndpointIpamConfig, EndpointSettings, HealthConfig,
    HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig, Mount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountTmpfsOptions, MountType, MountVolumeOptions,
    MountVolumeOptionsDriverConfig, NetworkingConfig, PortBinding, PortMap, ResourcesUlimits,
};

use crate::metadata::labels::ours;
use crate::plan::container::{
    ContainerSpec, GpuSpec, HealthcheckSpec, MountSpec, NetworkSpec, PublishedPort,
};

/// What identifies the run, added to what the plan says.
#[derive(Debug, Clone, Default)]
pub struct Creation {
    /// The test image.
    pub image: String,
    /// Labels that mark the container as ours.
    pub labels: BTreeMap<String, String>,
    /// An anonymous volume for the results, unless the user mounts something there.
    pub results: Option<ResultsVolume>,
    /// `os/arch`
    pub platform: Option<String>,
}

/// The volume that takes the results.
#[derive(Debug, Clone, Default)]
pub struct ResultsVolume {
    /// Where it is mounted.
    pub path: String,
    /// Labels that mark it as ours.
    pub labels: BTreeMap<String, String>,
}

pub(super) fn body(
    name: &str,
    spec: &ContainerSpec,
    creation: &Creation,
    networks_at_creation: bool,
) -> ContainerCreateBody {
    let mut labels: HashMap<String, String> =
        spec.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    labels.extend(creation.labels.iter().map(|(name, value)| (name.clone(), value.clone())));
    labels.insert(ours::CONTAINER.to_owned(), name.to_owned());
    ContainerCreateBody {
        image: Some(creation.image.clone()),
        hostname: spec.hostname.clone(),
        user: spec.user.clone(),
        working_dir: spec.workdir.clone(),
        entrypoint: spec.entrypoint.as_ref().map(|words| {
            // The API reads [] as "not given"; [""] is how the Docker CLI says "none".
            if words.is_empty() { vec![String::new()] } else { words.clone() }
        }),
        cmd: spec.command.clone(),
        env: some(spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(labels),
        volumes: some(spec.anonymous_volumes.clone()),
        attach_stdin: Some(spec.interactive),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        open_stdin: Some(spec.interactive),
        stdin_once: Some(spec.interactive),
        tty: Some(spec.tty),
        stop_signal: spec.stop_signal.clone(),
        domainname: spec.inherited.domainname.clone(),
        healthcheck: spec.healthcheck.as_ref().map(healthcheck),
        exposed_ports: some(spec.published.iter().map(port).collect()),
        networking_config: networking(&spec.networks, networks_at_creation),
        host_config: Some(host_config(spec, creation)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(spec: &ContainerSpec, creation: &Creation) -> HostConfig {
    let mut mounts: Vec<Mount> = spec.mounts.iter().map(mount).collect();
    if let Some(volume) = &creation.results {
        mounts.push(Mount {
            target: Some(volume.path.clone()),
            typ: Some(MountType::VOLUME),
            volume_options: Some(MountVolumeOptions {
                labels: Some(volume.labels.clone().into_iter().collect()),
                ..MountVolumeOptions::default()
            }),
            ..Mount::default()
        });
    }
    let inherited = &spec.inherited;
    HostConfig {
        port_bindings: published(&spec.published),
        dns_search: some(inherited.dns_search.clone()),
        dns_options: some(inherited.dns_options.clone()),
        volumes_from: some(inherited.volumes_from.clone()),
        volume_driver: inherited.volume_driver.clone(),
        uts_mode: inherited.uts_mode.clone(),
        cgroup_parent: inherited.cgroup_parent.clone(),
        device_cgroup_rules: some(inherited.device_cgroup_rules.clone()),
        cpu_period: inherited.cpu_period,
        cpu_quota: inherited.cpu_quota,
        cpuset_mems: inherited.cpuset_mems.clone(),
        memory_reservation: inherited.memory_reservation,
        oom_score_adj: inherited.oom_score_adj,
        oom_kill_disable: inherited.oom_kill_disable.then_some(true),
        storage_opt: map(&inherited.storage_options),
        masked_paths: inherited.system_paths_unconfined.then(Vec::new),
        readonly_paths: inherited.system_paths_unconfined.then(Vec::new),
        binds: some(spec.binds.clone()),
        mounts: some(mounts),
        tmpfs: map(&spec.tmpfs),
        network_mode: spec.networks.first().map(|network| network.name.clone()),
        extra_hosts: some(spec.extra_hosts.clone()),
        dns: some(spec.dns.clone()),
        memory: spec.memory,
        memory_swap: spec.memory_swap,
        nano_cpus: spec.nano_cpus,
        cpu_shares: spec.cpu_shares,
        cpuset_cpus: spec.cpuset_cpus.clone(),
        pids_limit: spec.pids_limit,
        shm_size: spec.shm_size,
        ulimits: some(
            spec.ulimits
                .iter()
                .map(|limit| ResourcesUlimits {
                    name: Some(limit.name.clone()),
                    soft: Some(limit.soft),
                    hard: Some(limit.hard),
                })
                .collect(),
        ),
        cap_add: some(spec.cap_add.clone()),
        cap_drop: some(spec.cap_drop.clone()),
        group_add: some(spec.group_add.clone()),
        devices: some(
            spec.devices
                .iter()
                .map(|device| DeviceMapping {
                    path_on_host: Some(device.host.clone()),
                    path_in_container: Some(device.container.clone()),
                    cgroup_permissions: Some(device.permissions.clone()),
                })
                .collect(),
        ),
        device_requests: spec.gpus.as_ref().map(|gpus| vec![gpu_request(gpus)]),
        security_opt: some(spec.security_opt.clone()),
        sysctls: map(&spec.sysctls),
        privileged: spec.privileged.then_some(true),
        readonly_rootfs: spec.read_only.then_some(true),
        init: spec.init,
        runtime: spec.runtime.clone(),
        pid_mode: spec.pid_mode.clone(),
        ipc_mode: spec.ipc_mode.clone(),
        userns_mode: spec.userns_mode.clone(),
        cgroupns_mode: spec.cgroupns_mode.as_deref().map(|mode| match mode {
            "host" => HostConfigCgroupnsModeEnum::HOST,
            _ => HostConfigCgroupnsModeEnum::PRIVATE,
        }),
        log_config: spec
            .log_driver
            .as_ref()
            .map(|driver| HostConfigLogConfig { typ: Some(driver.clone()), config: map(&spec.log_options) }),
        ..HostConfig::default()
    }
}

fn healthcheck(spec: &HealthcheckSpec) -> HealthConfig {
    HealthConfig {
        test: some(spec.test.clone()),
        interval: spec.interval,
        timeout: spec.timeout,
        retries: spec.retries,
        start_period: spec.start_period,
        start_interval: spec.start_interval,
    }
}

/// The API's name of a port of the container.
fn port(port: &PublishedPort) -> String {
    format!("{}/{}", port.container, port.protocol)
}

fn published(ports: &[PublishedPort]) -> Option<PortMap> {
    let mut bindings = PortMap::new();
    for published in ports {
        let binding = PortBinding {
            host_ip: published.host_ip.clone(),
            // Absent and empty mean the same to Docker: any that is free. Podman wants it empty.
            host_port: Some(published.host_port.map(|port| port.to_string()).unwrap_or_default()),
        };
        bindings.entry(port(published)).or_default().get_or_insert_default().push(binding);
    }
    (!bindings.is_empty()).then_some(bindings)
}

fn mount(spec: &MountSpec) -> Mount {
    let kind = spec.kind.parse().unwrap_or(MountType::VOLUME);
    let bind = (spec.bind_propagation.is_some() || spec.bind_nonrecursive).then(|| MountBindOptions {
        propagation: spec
            .bind_propagation
            .as_deref()
            .and_then(|value| value.parse::<MountBindOptionsPropagationEnum>().ok()),
        non_recursive: spec.bind_nonrecursive.then_some(true),
        ..MountBindOptions::default()
    });
    let volume = (spec.volume_nocopy
        || spec.volume_driver.is_some()
        || !spec.volume_options.is_empty()
        || !spec.volume_labels.is_empty())
    .then(|| MountVolumeOptions {
        no_copy: spec.volume_nocopy.then_some(true),
        labels: map(&spec.volume_labels),
        driver_config: spec.volume_driver.as_ref().map(|driver| MountVolumeOptionsDriverConfig {
            name: Some(driver.clone()),
            options: map(&spec.volume_options),
        }),
        ..MountVolumeOptions::default()
    });
    let tmpfs = (spec.tmpfs_size.is_some() || spec.tmpfs_mode.is_some()).then(|| MountTmpfsOptions {
        size_bytes: spec.tmpfs_size,
        mode: spec.tmpfs_mode,
        ..MountTmpfsOptions::default()
    });
    Mount {
        target: Some(spec.target.clone()),
        source: spec.source.clone(),
        typ: Some(kind),
        read_only: spec.read_only.then_some(true),
        bind_options: bind,
        volume_options: volume,
        tmpfs_options: tmpfs,
        ..Mount::default()
    }
}

fn gpu_request(gpus: &GpuSpec) -> DeviceRequest {
    DeviceRequest {
        driver: gpus.driver.clone(),
        count: gpus.count,
        device_ids: some(gpus.device_ids.clone()),
        capabilities: Some(vec![gpus.capabilities.clone()]),
        options: map(&gpus.options),
    }
}

/// The settings of one network for creation or for a later connect.
pub(super) fn endpoint(network: &NetworkSpec) -> EndpointSettings {
    EndpointSettings {
        aliases: some(network.aliases.clone()),
        driver_opts: map(&network.driver_options),
        ipam_config: (network.ipv4.is_some() || network.ipv6.is_some()).then(|| EndpointIpamConfig {
            ipv4_address: network.ipv4.clone(),
            ipv6_address: network.ipv6.clone(),
            ..EndpointIpamConfig::default()
        }),
        ..EndpointSettings::default()
    }
}

fn networking(networks: &[NetworkSpec], all: bool) -> Option<NetworkingConfig> {
    let first = networks.first()?;
    let plain = EndpointSettings::default();
    let named: HashMap<String, EndpointSettings> = networks
        .iter()
        .take(if all { networks.len() } else { 1 })
        .map(|network| (network.name.clone(), endpoint(network)))
        .collect();
    let needed = networks.len() > 1 || endpoint(first) != plain;
    needed.then_some(NetworkingConfig { endpoints_config: Some(named) })
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn map(map: &BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!map.is_empty()).then(|| map.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emptied_entrypoint_reaches_the_engine_as_one_empty_word() {
        let spec = ContainerSpec { entrypoint: Some(vec![]), ..ContainerSpec::default() };
        assert_eq!(body("c", &spec, &Creation::default(), false).entrypoint, Some(vec![String::new()]));
    }

    #[test]
    fn the_marks_of_the_run_win_over_labels_of_the_user() {
        let spec = ContainerSpec {
            labels: BTreeMap::from([("docker-test.run".into(), "forged".into())]),
            ..ContainerSpec::default()
        };
        let creation = Creation {
            labels: BTreeMap::from([("docker-test.run".into(), "real".into())]),
            ..Creation::default()
        };
        let labels = body("c", &spec, &creation, false).labels.unwrap();
        assert_eq!(labels.get("docker-test.run").unwrap(), "real");
        assert_eq!(labels.get("docker-test.container").unwrap(), "c");
    }

    #[test]
    fn ports_are_published_each_with_all_its_places() {
        let port = |host_ip: Option<&str>, host_port, container, protocol: &str| PublishedPort {
            host_ip: host_ip.map(str::to_owned),
            host_port,
            container,
            protocol: protocol.to_owned(),
        };
        let published = vec![
            port(None, None, 53, "udp"),
            port(Some("127.0.0.1"), Some(8080), 80, "tcp"),
            port(None, Some(8081), 80, "tcp"),
        ];
        let spec = ContainerSpec { published, ..ContainerSpec::default() };
        let body = serde_json::to_value(body("c", &spec, &Creation::default(), true)).unwrap();
        assert_eq!(body["ExposedPorts"], serde_json::json!({"53/udp": {}, "80/tcp": {}}));
        let expected = serde_json::json!({
            "53/udp": [{"HostPort": ""}],
            "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}, {"HostPort": "8081"}],
        });
        assert_eq!(body["HostConfig"]["PortBindings"], expected);
    }

    #[test]
    fn a_health_check_without_a_test_changes_the_times_alone() {
        let healthcheck = HealthcheckSpec { interval: Some(5), ..HealthcheckSpec::default() };
        let spec = ContainerSpec { healthcheck: Some(healthcheck), ..ContainerSpec::default() };
        let body = serde_json::to_value(body("c", &spec, &Creation::default(), true)).unwrap();
        assert_eq!(body["Healthcheck"], serde_json::json!({"Interval": 5}));
    }

    #[test]
    fn only_the_first_network_is_named_at_creation_on_older_engines() {
        let network = |name: &str| NetworkSpec { name: name.into(), ..NetworkSpec::default() };
        let spec = ContainerSpec { networks: vec![network("a"), network("b")], ..ContainerSpec::default() };
        let names = |all| {
            body("c", &spec, &Creation::default(), all)
                .networking_config
                .unwrap()
                .endpoints_config
                .unwrap()
                .len()
        };
        assert_eq!((names(false), names(true)), (1, 2));
    }
}
