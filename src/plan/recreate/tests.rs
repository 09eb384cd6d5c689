use super::*;
use crate::error::Diagnose;
use crate::plan::container::{HealthcheckSpec, InheritedSpec, MountSpec, PublishedPort};

const ID: &str = "4bff2095b5a9c0de4bff2095b5a9c0de4bff2095b5a9c0de4bff2095b5a9c0de";

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn network(name: &str, aliases: &[&str]) -> NetworkSpec {
    NetworkSpec {
        name: name.into(),
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        ..NetworkSpec::default()
    }
}

fn open(name: &str) -> NetworkRecord {
    NetworkRecord {
        name: name.into(),
        driver: "bridge".into(),
        scope: "local".into(),
        ..NetworkRecord::default()
    }
}

/// A container as Compose makes it.
fn composed() -> ContainerRecord {
    ContainerRecord {
        id: ID.into(),
        name: "shop_checkout_1".into(),
        image: "shop/checkout:1".into(),
        image_id: "sha256:image".into(),
        running: true,
        configuration: ContainerSpec {
            entrypoint: Some(words(["/entry"])),
            command: Some(words(["--fast"])),
            env: vec![("TOKEN".into(), "hunter22-secret".into())],
            user: Some("1234".into()),
            workdir: Some("/work".into()),
            hostname: Some(ID[..12].into()),
            labels: pairs([
                ("com.docker.compose.project", "shop"),
                ("com.docker.compose.service", "checkout"),
                ("test.type", "integration"),
                ("team", "payments"),
            ]),
            networks: vec![NetworkSpec {
                ipv4: Some("10.0.0.5".into()),
                ..network("shop_default", &["checkout", &ID[..12], "till", "shop_checkout_1"])
            }],
            binds: words(["data:/data:rw", "/srv/x:/x:ro"]),
            memory: Some(1 << 26),
            cap_drop: words(["ALL"]),
            read_only: true,
            interactive: true,
            healthcheck: Some(HealthcheckSpec::default()),
            published: vec![PublishedPort {
                container: 80,
                protocol: "tcp".into(),
                ..PublishedPort::default()
            }],
            inherited: Box::new(InheritedSpec { cpu_quota: Some(50_000), ..InheritedSpec::default() }),
            ..ContainerSpec::default()
        },
        ..ContainerRecord::default()
    }
}

fn made(record: &ContainerRecord) -> Result<Recreated, ContainerPlanError> {
    let networks = [open("shop_default"), open("back")];
    recreate(record, &Image::default(), &Surroundings { networks: &networks, containers: &[] })
}

#[test]
fn a_container_is_made_again_without_its_names_addresses_and_ports() {
    let record = composed();
    let expected = ContainerSpec {
        hostname: None,
        labels: pairs([("test.type", "integration"), ("team", "payments")]),
        networks: vec![network("shop_default", &["till"])],
        interactive: false,
        published: Vec::new(),
        ..record.configuration.clone()
    };
    let made = made(&record).unwrap();
    assert_eq!(made.container, expected);
    assert!(made.container.name.is_none() && made.warnings.is_empty());
}

#[test]
fn a_hostname_of_its_own_is_kept_unless_it_has_another_s_network() {
    let hostname = |change: fn(&mut ContainerSpec)| {
        let mut record = composed();
        record.configuration.hostname = Some("till".into());
        change(&mut record.configuration);
        let containers =
            [ListedContainer { id: "c".repeat(64), state: "running".into(), ..ListedContainer::default() }];
        let networks = [open("shop_default")];
        let around = Surroundings { networks: &networks, containers: &containers };
        recreate(&record, &Image::default(), &around).unwrap().container.hostname
    };
    assert_eq!(hostname(|_| ()).as_deref(), Some("till"));
    assert_eq!(hostname(|own| own.networks = vec![network("host", &[])]), None);
    assert_eq!(
        hostname(|own| own.networks = vec![network(&format!("container:{}", "c".repeat(64)), &[])]),
        None
    );
    assert_eq!(hostname(|own| own.inherited.uts_mode = Some("host".into())), None);
}

#[test]
fn a_task_of_swarm_is_like_nobody_of_its_service() {
    let mut record = composed();
    record.name = "svc.1.y7f8".into();
    record.configuration.labels = pairs([
        ("com.docker.swarm.service.name", "svc"),
        ("com.docker.swarm.task.name", "svc.1.y7f8"),
        ("com.docker.stack.namespace", "stack"),
        ("test.type", "chaos"),
    ]);
    record.configuration.networks =
        vec![network("ingress", &[]), network("back", &["svc", "svc.1.y7f8", "other"])];
    record.beyond = words(["the Swarm secret s1 at /run/secrets/s1"]);
    let overlay = |name: &str, attachable, ingress| NetworkRecord {
        driver: "overlay".into(),
        scope: "swarm".into(),
        attachable,
        ingress,
        ..open(name)
    };
    let on = |networks: &[NetworkRecord]| {
        recreate(&record, &Image::default(), &Surroundings { networks, containers: &[] })
    };
    let made = on(&[overlay("ingress", false, true), overlay("back", true, false)]).unwrap();
    assert_eq!(made.container.networks, [network("back", &["other"])]);
    assert_eq!(made.container.labels, pairs([("test.type", "chaos")]));
    assert_eq!(made.warnings.len(), 1);
    assert!(made.warnings[0].contains("the Swarm secret s1 at /run/secrets/s1"), "{:?}", made.warnings);

    let error = on(&[overlay("ingress", false, true), overlay("back", false, false)]).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("svc.1.y7f8") && text.contains("back: it belongs to Swarm"), "{text}");
    assert!(error.hint().unwrap().contains("attachable"));
}

#[test]
fn every_network_that_cannot_be_joined_is_named() {
    let mut record = composed();
    record.configuration.networks =
        vec![network("gone", &[]), network("shop_default", &[]), network("lost", &[])];
    let ContainerPlanError::Networks { networks, .. } = made(&record).unwrap_err() else { panic!() };
    let names: Vec<&str> = networks.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["gone", "lost"]);
    assert_eq!(network_names(&record).collect::<Vec<_>>(), ["gone", "shop_default", "lost"]);
}

#[test]
fn modes_are_kept_and_need_no_record() {
    for mode in ["host", "none", "bridge", "slirp4netns:port_handler=x"] {
        let mut record = composed();
        record.configuration.networks = vec![network(mode, &[])];
        assert_eq!(made(&record).unwrap().container.networks, [network(mode, &[])]);
        assert_eq!(network_names(&record).count(), 0);
    }
}

#[test]
fn what_is_shared_with_another_container_needs_that_one() {
    let peer = |state: &str| ListedContainer {
        id: "d".repeat(64),
        name: "shop_db_1".into(),
        state: state.into(),
        ..ListedContainer::default()
    };
    let shared = |change: fn(&mut ContainerSpec), containers: &[ListedContainer]| {
        let mut record = composed();
        record.configuration.networks.clear();
        change(&mut record.configuration);
        let around = Surroundings { networks: &[], containers };
        recreate(&record, &Image::default(), &around).map_err(|error| error.to_string())
    };
    let own_network: fn(&mut ContainerSpec) =
        |own| own.networks = vec![network(&format!("container:{}", "d".repeat(64)), &[])];
    let made = shared(own_network, &[peer("running")]).unwrap();
    assert_eq!(made.container.networks[0].name, format!("container:{}", "d".repeat(64)));
    assert!(shared(own_network, &[peer("exited")]).unwrap_err().ends_with("which does not run"));
    assert!(shared(own_network, &[]).is_err());
    assert!(shared(|own| own.pid_mode = Some("container:shop_db_1".into()), &[peer("exited")]).is_err());
    assert!(shared(|own| own.ipc_mode = Some("container:shop_db_1".into()), &[peer("running")]).is_ok());
    let volumes: fn(&mut ContainerSpec) = |own| own.inherited.volumes_from = words(["shop_db_1:ro"]);
    assert!(shared(volumes, &[peer("exited")]).is_ok());
    assert!(shared(volumes, &[]).unwrap_err().ends_with("which is not there any more"));
}

#[test]
fn an_anonymous_volume_is_not_shared() {
    let mut record = composed();
    let anonymous = "0123456789abcdef".repeat(4);
    let mount = |source: Option<&str>| MountSpec {
        kind: "volume".into(),
        source: source.map(str::to_owned),
        target: "/m".into(),
        volume_labels: pairs([("com.docker.compose.project", "shop"), ("own", "x")]),
        ..MountSpec::default()
    };
    record.configuration.binds = vec![format!("{anonymous}:/anonymous:rw"), "data:/data".into()];
    record.configuration.anonymous_volumes = words(["/declared"]);
    record.configuration.mounts = vec![mount(Some(&anonymous)), mount(Some("named")), mount(None)];
    let made = made(&record).unwrap().container;
    assert_eq!(made.binds, ["data:/data"]);
    assert_eq!(made.anonymous_volumes, ["/declared", "/anonymous"]);
    let sources: Vec<Option<&str>> = made.mounts.iter().map(|mount| mount.source.as_deref()).collect();
    assert_eq!(sources, [None, Some("named"), None]);
    assert!(made.mounts.iter().all(|mount| mount.volume_labels == pairs([("own", "x")])));
}

#[test]
fn labels_of_compose_on_the_image_are_emptied() {
    let image = Image {
        labels: pairs([("com.docker.compose.project", "shop"), ("docker-test.key", "k"), ("a", "b")]),
        ..Image::default()
    };
    let networks = [open("shop_default")];
    let around = Surroundings { networks: &networks, containers: &[] };
    let labels = recreate(&composed(), &image, &around).unwrap().container.labels;
    assert_eq!(labels["com.docker.compose.project"], "");
    assert!(!labels.contains_key("com.docker.compose.service") && !labels.contains_key("docker-test.key"));
}

#[test]
fn links_are_warned_about() {
    let record = ContainerRecord { links: words(["shop_db_1:db"]), ..composed() };
    let warnings = made(&record).unwrap().warnings;
    assert!(warnings[0].contains("shop_db_1:db"), "{warnings:?}");
}
