//! Reads a container's record back into what its creation would say: the reverse of [`super::creation`].

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerInspectResponse, DeviceRequest, EndpointSettings, HealthConfig, HostConfig, Mount, MountPoint,
    PortMap,
};

use super::Engine;
use crate::engine::{ContainerRecord, EngineError, Mounted};
use crate::plan::container::{
    ContainerSpec, DeviceSpec, GpuSpec, HealthcheckSpec, InheritedSpec, MountSpec, NetworkSpec,
    PublishedPort, UlimitSpec,
};

impl Engine {
    /// Everything that is needed to make the like of a container.
    pub async fn container_record(&self, container: &str) -> Result<ContainerRecord, EngineError> {
        let record = self.inspect(container).await?;
        let mut record = from_record(record);
        record.beyond.extend(self.swarm_files(&record.configuration.labels).await);
        Ok(record)
    }
}

fn from_record(record: ContainerInspectResponse) -> ContainerRecord {
    let config = record.config.unwrap_or_default();
    let host = record.host_config.unwrap_or_default();
    let endpoints = record.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let (env, removed): (Vec<_>, Vec<_>) =
        config.env.unwrap_or_default().into_iter().partition(|entry| entry.contains('='));
    let mut beyond = beyond(&host);
    beyond.extend(removed.iter().map(|name| format!("the removal of the variable {name}")));
    let links = links(&host, &endpoints);
    let auto_remove = host.auto_remove.unwrap_or_default();
    let mut configuration = ContainerSpec {
        // Where the image has one and the container has not, it was reset.
        entrypoint: Some(config.entrypoint.unwrap_or_default()),
        command: config.cmd.filter(|words| !words.is_empty()),
        env: env
            .iter()
            .filter_map(|entry| entry.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        user: text(config.user),
        workdir: text(config.working_dir),
        hostname: text(config.hostname),
        labels: sorted(config.labels),
        interactive: config.open_stdin.unwrap_or_default(),
        tty: config.tty.unwrap_or_default(),
        stop_signal: text(config.stop_signal),
        healthcheck: config.healthcheck.map(healthcheck),
        networks: networks(host.network_mode.as_deref().unwrap_or_default(), endpoints),
        ..from_host(host)
    };
    configuration.inherited.domainname = text(config.domainname);
    // Compose names the places of named volumes among them.
    let taken = |target: &String| {
        let binds = configuration.binds.iter().filter_map(|bind| bind.split(':').nth(1));
        binds.chain(configuration.mounts.iter().map(|mount| &*mount.target)).any(|at| at == target)
    };
    let mut volumes = config.volumes.unwrap_or_default();
    volumes.retain(|target| !taken(target));
    volumes.sort_unstable();
    configuration.anonymous_volumes = volumes;
    let mut mounts: Vec<Mounted> = record.mounts.unwrap_or_default().into_iter().map(mounted).collect();
    // The engine gives them in any order.
    mounts.sort_by(|a, b| a.target.cmp(&b.target));
    ContainerRecord {
        id: record.id.unwrap_or_default(),
        name: record.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        image: config.image.unwrap_or_default(),
        image_id: record.image.unwrap_or_default(),
        running: record.state.and_then(|state| state.running).unwrap_or_default(),
        configuration,
        mounts,
        links,
        auto_remove,
        beyond,
    }
}

fn from_host(host: HostConfig) -> ContainerSpec {
    let log = host.log_config.unwrap_or_default();
    let unconfined = host.masked_paths.as_ref().is_some_and(Vec::is_empty)
        && host.readonly_paths.as_ref().is_some_and(Vec::is_empty)
        && !host.privileged.unwrap_or_default();
    ContainerSpec {
        binds: host.binds.unwrap_or_default(),
        mounts: host.mounts.unwrap_or_default().into_iter().map(mount).collect(),
        tmpfs: sorted(host.tmpfs),
        extra_hosts: host.extra_hosts.unwrap_or_default(),
        dns: host.dns.unwrap_or_default(),
        memory: number(host.memory),
        memory_swap: number(host.memory_swap),
        nano_cpus: number(host.nano_cpus),
        cpu_shares: number(host.cpu_shares),
        cpuset_cpus: text(host.cpuset_cpus),
        pids_limit: number(host.pids_limit),
        shm_size: number(host.shm_size),
        ulimits: host
            .ulimits
            .unwrap_or_default()
            .into_iter()
            .map(|limit| UlimitSpec {
                name: ulimit(&limit.name.unwrap_or_default()),
                soft: limit.soft.unwrap_or_default(),
                hard: limit.hard.unwrap_or_default(),
            })
            .collect(),
        cap_add: host.cap_add.unwrap_or_default(),
        cap_drop: host.cap_drop.unwrap_or_default(),
        group_add: host.group_add.unwrap_or_default(),
        devices: host
            .devices
            .unwrap_or_default()
            .into_iter()
            .map(|device| DeviceSpec {
                host: device.path_on_host.unwrap_or_default(),
                container: device.path_in_container.unwrap_or_default(),
                permissions: text(device.cgroup_permissions).unwrap_or_else(|| "rwm".to_owned()),
            })
            .collect(),
        security_opt: host.security_opt.unwrap_or_default(),
        sysctls: sorted(host.sysctls),
        privileged: host.privileged.unwrap_or_default(),
        read_only: host.readonly_rootfs.unwrap_or_default(),
        gpus: host.device_requests.and_then(|requests| requests.into_iter().next()).map(gpus),
        init: host.init,
        // Podman's word for the one that it was set up with.
        runtime: text(host.runtime).filter(|runtime| runtime != "oci"),
        pid_mode: text(host.pid_mode),
        ipc_mode: text(host.ipc_mode),
        userns_mode: text(host.userns_mode),
        cgroupns_mode: text(host.cgroupns_mode.map(|mode| mode.to_string())),
        log_driver: text(log.typ),
        log_options: sorted(log.config),
        published: published(host.port_bindings.unwrap_or_default()),
        inherited: Box::new(InheritedSpec {
            domainname: None,
            dns_search: host.dns_search.unwrap_or_default(),
            dns_options: host.dns_options.unwrap_or_default(),
            volumes_from: host.volumes_from.unwrap_or_default(),
            volume_driver: text(host.volume_driver),
            uts_mode: text(host.uts_mode),
            cgroup_parent: text(host.cgroup_parent),
            device_cgroup_rules: host.device_cgroup_rules.unwrap_or_default(),
            cpu_period: number(host.cpu_period),
            cpu_quota: number(host.cpu_quota),
            cpuset_mems: text(host.cpuset_mems),
            memory_reservation: number(host.memory_reservation),
            oom_score_adj: number(host.oom_score_adj),
            oom_kill_disable: host.oom_kill_disable.unwrap_or_default(),
            storage_options: sorted(host.storage_opt),
            system_paths_unconfined: unconfined,
        }),
        ..ContainerSpec::default()
    }
}

/// Podman names it as the kernel does, and takes Docker's name alone.
fn ulimit(name: &str) -> String {
    name.strip_prefix("RLIMIT_").map_or_else(|| name.to_owned(), str::to_lowercase)
}

/// What a creation of ours cannot say, in the API's names.
fn beyond(host: &HostConfig) -> Vec<String> {
    fn any<T>(list: Option<&Vec<T>>) -> bool {
        list.is_some_and(|list| !list.is_empty())
    }
    let requests = host.device_requests.as_deref().unwrap_or_default();
    let mounts = host.mounts.as_deref().unwrap_or_default();
    // Podman notes there what it was told in other words.
    let annotations = host.annotations.iter().flat_map(HashMap::keys);
    let annotated = annotations
        .into_iter()
        .any(|name| !name.starts_with("io.podman.") && !name.starts_with("io.container"));
    let has_subpath = |mount: &Mount| {
        let volume = mount.volume_options.as_ref().and_then(|options| options.subpath.as_ref());
        let image = mount.image_options.as_ref().and_then(|options| options.subpath.as_ref());
        volume.or(image).is_some_and(|path| !path.is_empty())
    };
    [
        ("BlkioWeight", host.blkio_weight.unwrap_or_default() != 0),
        ("BlkioWeightDevice", any(host.blkio_weight_device.as_ref())),
        ("BlkioDeviceReadBps", any(host.blkio_device_read_bps.as_ref())),
        ("BlkioDeviceWriteBps", any(host.blkio_device_write_bps.as_ref())),
        ("BlkioDeviceReadIOps", any(host.blkio_device_read_iops.as_ref())),
        ("BlkioDeviceWriteIOps", any(host.blkio_device_write_iops.as_ref())),
        ("CpuRealtimePeriod", number(host.cpu_realtime_period).is_some()),
        ("CpuRealtimeRuntime", number(host.cpu_realtime_runtime).is_some()),
        ("MemorySwappiness", host.memory_swappiness.is_some_and(|value| value > 0)),
        ("Annotations", annotated),
        (
            "DeviceRequests",
            requests.len() > 1
                || requests.iter().any(|request| request.capabilities.as_ref().is_some_and(|c| c.len() > 1)),
        ),
        ("Mounts.Subpath", mounts.iter().any(has_subpath)),
        (
            "Mounts.TmpfsOptions.Options",
            mounts.iter().any(|mount| any(mount.tmpfs_options.as_ref().and_then(|o| o.options.as_ref()))),
        ),
    ]
    .into_iter()
    .filter(|(_, is_set)| *is_set)
    .map(|(name, _)| name.to_owned())
    .collect()
}

/// A mode that is no network as it is; otherwise the networks that it is on, first the one that it was made with.
fn networks(mode: &str, endpoints: HashMap<String, EndpointSettings>) -> Vec<NetworkSpec> {
    let only_mode = matches!(mode, "host" | "none") || mode.starts_with("container:");
    if only_mode || endpoints.is_empty() {
        return vec![NetworkSpec { name: mode.to_owned(), ..NetworkSpec::default() }];
    }
    let mode = if mode == "default" { "bridge" } else { mode };
    let mut networks: Vec<(bool, NetworkSpec)> = endpoints
        .into_iter()
        .map(|(name, endpoint)| {
            let is_first = name == mode || endpoint.network_id.as_deref() == Some(mode);
            (!is_first, network(name, endpoint))
        })
        .collect();
    networks.sort_by(|(a_later, a), (b_later, b)| (a_later, &a.name).cmp(&(b_later, &b.name)));
    networks.into_iter().map(|(_, network)| network).collect()
}

fn network(name: String, endpoint: EndpointSettings) -> NetworkSpec {
    let ipam = endpoint.ipam_config.unwrap_or_default();
    NetworkSpec {
        name,
        aliases: endpoint.aliases.unwrap_or_default(),
        ipv4: text(ipam.ipv4_address),
        ipv6: text(ipam.ipv6_address),
        driver_options: sorted(endpoint.driver_opts),
    }
}

/// As `--link` takes them. The engine's form is `/db:/web/alias` on the default bridge.
fn links(host: &HostConfig, endpoints: &HashMap<String, EndpointSettings>) -> Vec<String> {
    let mut links: Vec<String> = host
        .links
        .iter()
        .chain(endpoints.values().filter_map(|endpoint| endpoint.links.as_ref()))
        .flatten()
        .map(|link| {
            let (name, alias) = link.split_once(':').unwrap_or((link, link));
            let alias = alias.rsplit('/').next().unwrap_or(alias);
            format!("{}:{alias}", name.trim_start_matches('/'))
        })
        .collect();
    links.sort_unstable();
    links.dedup();
    links
}

fn mount(mount: Mount) -> MountSpec {
    let bind = mount.bind_options.unwrap_or_default();
    let volume = mount.volume_options.unwrap_or_default();
    let driver = volume.driver_config.unwrap_or_default();
    let tmpfs = mount.tmpfs_options.unwrap_or_default();
    MountSpec {
        kind: mount.typ.map(|kind| kind.to_string()).unwrap_or_default(),
        source: text(mount.source),
        target: mount.target.unwrap_or_default(),
        read_only: mount.read_only.unwrap_or_default(),
        bind_propagation: text(bind.propagation.map(|propagation| propagation.to_string())),
        bind_nonrecursive: bind.non_recursive.unwrap_or_default(),
        volume_nocopy: volume.no_copy.unwrap_or_default(),
        volume_driver: text(driver.name),
        volume_options: sorted(driver.options),
        volume_labels: sorted(volume.labels),
        tmpfs_size: number(tmpfs.size_bytes),
        tmpfs_mode: number(tmpfs.mode),
    }
}

fn mounted(point: MountPoint) -> Mounted {
    Mounted {
        kind: point.typ.unwrap_or_default(),
        name: text(point.name),
        source: point.source.unwrap_or_default(),
        target: point.destination.unwrap_or_default(),
    }
}

fn healthcheck(config: HealthConfig) -> HealthcheckSpec {
    HealthcheckSpec {
        test: config.test.unwrap_or_default(),
        interval: number(config.interval),
        timeout: number(config.timeout),
        retries: number(config.retries),
        start_period: number(config.start_period),
        start_interval: number(config.start_interval),
    }
}

fn published(bindings: PortMap) -> Vec<PublishedPort> {
    let mut published: Vec<PublishedPort> = bindings
        .into_iter()
        .flat_map(|(port, bindings)| {
            let (container, protocol) = port.split_once('/').unwrap_or((&port, "tcp"));
            let (container, protocol) = (container.parse().unwrap_or_default(), protocol.to_owned());
            bindings.unwrap_or_default().into_iter().map(move |binding| PublishedPort {
                host_ip: text(binding.host_ip),
                host_port: binding.host_port.and_then(|port| port.parse().ok()),
                container,
                protocol: protocol.clone(),
            })
        })
        .collect();
    published.sort_by(|a, b| (a.container, &a.protocol).cmp(&(b.container, &b.protocol)));
    published
}

fn gpus(request: DeviceRequest) -> GpuSpec {
    GpuSpec {
        count: number(request.count),
        device_ids: request.device_ids.unwrap_or_default(),
        driver: text(request.driver),
        capabilities: request.capabilities.and_then(|sets| sets.into_iter().next()).unwrap_or_default(),
        options: sorted(request.options),
    }
}

/// What the engine shows where nothing was said is nothing.
fn text(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.is_empty())
}

fn number(value: Option<i64>) -> Option<i64> {
    value.filter(|value| *value != 0)
}

fn sorted(map: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    map.unwrap_or_default().into_iter().collect()
}

#[cfg(test)]
mod tests;
