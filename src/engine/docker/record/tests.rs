use bollard::models::{ContainerConfig, ContainerCreateBody, NetworkSettings};

use super::*;
use crate::engine::docker::creation::{self, Creation};

/// The record that an engine would keep of what it was told.
fn recorded(body: ContainerCreateBody) -> ContainerInspectResponse {
    let mut config = serde_json::to_value(&body).unwrap();
    let fields = config.as_object_mut().unwrap();
    fields.remove("HostConfig");
    fields.remove("NetworkingConfig");
    let mut config: ContainerConfig = serde_json::from_value(config).unwrap();
    if config.entrypoint.as_ref().is_some_and(|words| *words == [""]) {
        config.entrypoint = None;
    }
    ContainerInspectResponse {
        config: Some(config),
        host_config: body.host_config,
        network_settings: Some(NetworkSettings {
            networks: body.networking_config.and_then(|networking| networking.endpoints_config),
            ..NetworkSettings::default()
        }),
        ..ContainerInspectResponse::default()
    }
}

fn read(json: &str) -> ContainerRecord {
    from_record(serde_json::from_str(json).unwrap())
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Everything that can be said, said once.
#[expect(clippy::too_many_lines, reason = "one line a field")]
fn everything() -> ContainerSpec {
    let one = |text: &str| Some(text.to_owned());
    ContainerSpec {
        name: None,
        entrypoint: Some(words(["/entry"])),
        command: Some(words(["a", "b c"])),
        env: vec![("A".into(), "b=c".into()), ("EMPTY".into(), String::new())],
        user: one("1000:1000"),
        workdir: one("/work"),
        hostname: one("web"),
        labels: pairs([("a", "b"), ("docker-test.container", "c")]),
        binds: words(["data:/data:ro", "/host:/mounted"]),
        anonymous_volumes: words(["/anonymous"]),
        mounts: vec![
            MountSpec {
                kind: "volume".into(),
                source: one("named"),
                target: "/named".into(),
                read_only: true,
                volume_nocopy: true,
                volume_driver: one("local"),
                volume_options: pairs([("o", "x")]),
                volume_labels: pairs([("l", "m")]),
                ..MountSpec::default()
            },
            MountSpec {
                kind: "bind".into(),
                source: one("/from"),
                target: "/to".into(),
                bind_propagation: one("rslave"),
                bind_nonrecursive: true,
                ..MountSpec::default()
            },
            MountSpec {
                kind: "tmpfs".into(),
                target: "/tmpfs".into(),
                tmpfs_size: Some(4096),
                tmpfs_mode: Some(0o1777),
                ..MountSpec::default()
            },
        ],
        tmpfs: pairs([("/scratch", "size=1m")]),
        networks: vec![
            NetworkSpec {
                name: "back".into(),
                aliases: words(["db", "store"]),
                ipv4: one("10.1.2.3"),
                ipv6: one("fd00::3"),
                driver_options: pairs([("a", "b")]),
            },
            NetworkSpec { name: "a-front".into(), ..NetworkSpec::default() },
        ],
        extra_hosts: words(["host:10.0.0.1"]),
        dns: words(["10.0.0.2"]),
        memory: Some(1 << 20),
        memory_swap: Some(-1),
        nano_cpus: Some(500_000_000),
        cpu_shares: Some(512),
        cpuset_cpus: one("0-1"),
        pids_limit: Some(100),
        shm_size: Some(1 << 16),
        ulimits: vec![UlimitSpec { name: "nofile".into(), soft: 10, hard: 20 }],
        cap_add: words(["NET_RAW"]),
        cap_drop: words(["ALL"]),
        group_add: words(["audio"]),
        devices: vec![DeviceSpec {
            host: "/dev/fuse".into(),
            container: "/dev/fuse".into(),
            permissions: "rw".into(),
        }],
        security_opt: words(["no-new-privileges"]),
        sysctls: pairs([("net.core.somaxconn", "10")]),
        privileged: false,
        read_only: true,
        gpus: Some(GpuSpec {
            count: Some(-1),
            capabilities: words(["gpu"]),
            options: pairs([("a", "b")]),
            ..GpuSpec::default()
        }),
        init: Some(true),
        runtime: one("runc"),
        pid_mode: one("host"),
        ipc_mode: one("shareable"),
        userns_mode: one("host"),
        cgroupns_mode: one("private"),
        interactive: true,
        tty: true,
        stop_signal: one("SIGINT"),
        log_driver: one("json-file"),
        log_options: pairs([("max-size", "1m")]),
        healthcheck: Some(HealthcheckSpec {
            test: words(["CMD", "true"]),
            interval: Some(1),
            timeout: Some(2),
            retries: Some(3),
            start_period: Some(4),
            start_interval: Some(5),
        }),
        published: vec![PublishedPort {
            host_ip: one("127.0.0.1"),
            host_port: Some(8080),
            container: 80,
            protocol: "tcp".into(),
        }],
        inherited: Box::new(InheritedSpec {
            domainname: one("example"),
            dns_search: words(["example"]),
            dns_options: words(["ndots:1"]),
            volumes_from: words(["other:ro"]),
            volume_driver: one("local"),
            uts_mode: one("host"),
            cgroup_parent: one("/parent"),
            device_cgroup_rules: words(["c 1:3 mr"]),
            cpu_period: Some(100_000),
            cpu_quota: Some(50_000),
            cpuset_mems: one("0"),
            memory_reservation: Some(4096),
            oom_score_adj: Some(500),
            oom_kill_disable: true,
            storage_options: pairs([("size", "1G")]),
            system_paths_unconfined: true,
        }),
    }
}

#[test]
fn what_creation_says_is_read_back() {
    let spec = everything();
    let body = creation::body("c", &spec, &Creation::default(), true);
    let read = from_record(recorded(body)).configuration;
    assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::to_value(&spec).unwrap());
    assert_eq!(read, spec);
}

#[test]
fn a_reset_entrypoint_is_reset_again() {
    let spec = ContainerSpec { entrypoint: Some(vec![]), ..ContainerSpec::default() };
    let read = from_record(recorded(creation::body("c", &spec, &Creation::default(), true)));
    assert_eq!(read.configuration.entrypoint, Some(vec![]));
}

#[test]
fn what_the_engine_fills_in_says_nothing() {
    let read = read(
        r#"{"Id":"4bff","Name":"/web","Image":"sha256:1","State":{"Running":true},
            "Config":{"Image":"web:1","Hostname":"","User":"","Env":["A=b","GONE"],"WorkingDir":"","Labels":null},
            "HostConfig":{"NetworkMode":"default","CpuShares":0,"Memory":0,"CgroupParent":"","PidsLimit":null,
              "BlkioDeviceReadBps":[],"MemorySwappiness":-1,"VolumeDriver":"","Links":["/db:/web/store"],
              "MaskedPaths":["/proc/acpi"],"ReadonlyPaths":["/proc/bus"],"Runtime":"oci","BlkioWeight":10,
              "Ulimits":[{"Name":"RLIMIT_NOFILE","Soft":1,"Hard":2}]},
            "NetworkSettings":{"Networks":{"bridge":{"IPAMConfig":null,"Aliases":null,"MacAddress":"02:42"}}},
            "Mounts":[{"Type":"volume","Name":"v","Source":"/var/lib/v","Destination":"/v"}]}"#,
    );
    let expected = ContainerSpec {
        entrypoint: Some(vec![]),
        env: vec![("A".into(), "b".into())],
        networks: vec![NetworkSpec { name: "bridge".into(), ..NetworkSpec::default() }],
        ulimits: vec![UlimitSpec { name: "nofile".into(), soft: 1, hard: 2 }],
        ..ContainerSpec::default()
    };
    assert_eq!(read.configuration, expected);
    assert_eq!(
        (read.name.as_str(), read.image.as_str(), read.image_id.as_str()),
        ("web", "web:1", "sha256:1")
    );
    assert!(read.running);
    assert_eq!(read.links, ["db:store"]);
    assert_eq!(read.beyond, ["BlkioWeight", "the removal of the variable GONE"]);
    assert_eq!((read.mounts[0].name.as_deref(), read.mounts[0].target.as_str()), (Some("v"), "/v"));
}

#[test]
fn the_place_of_a_named_volume_is_no_anonymous_one() {
    let read = read(
        r#"{"Config":{"Volumes":{"/named":{},"/anonymous":{},"/mounted":{}}},
            "HostConfig":{"Binds":["data:/named:rw"],"Mounts":[{"Type":"volume","Source":"x","Target":"/mounted"}]}}"#,
    );
    assert_eq!(read.configuration.anonymous_volumes, ["/anonymous"]);
}

#[test]
fn the_network_that_a_container_was_made_with_comes_first() {
    let names = |mode: &str| -> Vec<String> {
        let record = read(&format!(
            r#"{{"HostConfig":{{"NetworkMode":"{mode}"}},
                "NetworkSettings":{{"Networks":{{"a":{{}},"z":{{"NetworkID":"0123"}},"bridge":{{}}}}}}}}"#
        ));
        record.configuration.networks.into_iter().map(|network| network.name).collect()
    };
    assert_eq!(names("z"), ["z", "a", "bridge"]);
    assert_eq!(names("0123"), ["z", "a", "bridge"]);
    assert_eq!(names("default"), ["bridge", "a", "z"]);
    assert_eq!(names("container:4bff"), ["container:4bff"]);
    assert_eq!(names("host"), ["host"]);
}

#[test]
fn a_record_shows_no_value_of_a_variable() {
    let read = read(r#"{"Config":{"Env":["TOKEN=hunter22-secret"]}}"#);
    let shown = format!("{read:?}");
    assert!(shown.contains("TOKEN") && !shown.contains("hunter22"), "{shown}");
}
