//! Networks of a run, and what an engine says of itself and of the containers on it.

use std::collections::BTreeMap;

use docker_test::engine::{EngineError, NetworkCreation, ResourceKind};
use docker_test::metadata::labels::Role;
use docker_test::plan::container::{ContainerSpec, HealthcheckSpec, NetworkSpec, PublishedPort};

use crate::stage::Stage;
use crate::support::{Sandbox, docker, until};

#[tokio::test]
async fn a_network_is_made_once_and_goes_with_its_run() {
    let stage = Stage::new().await;
    let record = stage.record(ResourceKind::Network, "net");
    let creation = NetworkCreation { internal: true, labels: stage.ledger.labels(Role::Network) };
    assert_eq!(stage.engine.network(record.name()).await.unwrap(), None);
    stage.engine.create_network(&record, &creation).await.unwrap();
    let network = stage.engine.network(record.name()).await.unwrap().unwrap();
    assert_eq!((network.name.as_str(), network.driver.as_str()), (record.name(), "bridge"));
    assert!(network.internal && network.scope == "local" && network.can_be_joined().is_ok());
    assert_eq!(stage.engine.network(&network.id).await.unwrap().unwrap().name, record.name());
    assert_eq!(stage.engine.network(&network.id[..5]).await.unwrap(), None);

    let again = stage.engine.create_network(&record, &creation).await.unwrap_err();
    let EngineError::Refused { status: 409, message, .. } = &again else { panic!("{again:?}") };
    assert!(message.contains("already exists"), "{message}");

    assert_eq!(stage.remains(), [format!("network {}", record.name())]);
    let networks = vec![NetworkSpec { name: record.name().to_owned(), ..NetworkSpec::default() }];
    let spec = ContainerSpec { networks, ..ContainerSpec::default() };
    let container = stage.create(spec, &stage.creation().await, "exec sleep 60").await;
    stage.engine.start(&container.id).await.unwrap();
    stage.end().await;
}

#[tokio::test]
async fn what_is_no_network_that_one_can_join_is_known() {
    let stage = Stage::new().await;
    for name in ["host", "none"] {
        let network = stage.engine.network(name).await.unwrap().unwrap();
        assert!(network.can_be_joined().is_err(), "{network:?}");
    }
    for name in ["", "a/b", "no such", "bridge?scope=swarm", &stage.name("nowhere")] {
        assert_eq!(stage.engine.network(name).await.unwrap(), None, "{name}");
    }
    assert!(stage.engine.network("bridge").await.unwrap().unwrap().can_be_joined().is_ok());
}

#[tokio::test]
async fn containers_are_listed_by_all_of_their_labels_running_or_not() {
    let (stage, sandbox) = (Stage::new().await, Sandbox::new());
    let image = sandbox.image("labelled");
    docker(&["tag", crate::support::BASE, &image]);
    let mark = format!("mark={image}");
    let [running, ended, other] = ["running", "ended", "other"].map(|what| stage.name(what));
    let run_label = format!("docker-test.run={}", stage.ledger.run_id());
    let base = ["run", "-d", "--label", &run_label, "--label", &mark, "--name"];
    let start = |name: &str, kind: &str, script: &str| {
        docker(&[&base[..], &[name, "--label", kind, &image, "sh", "-c", script]].concat())
    };
    start(&running, "test.type=integration", "exec sleep 60");
    start(&ended, "test.type=chaos", "exit 3");
    start(&other, "kind=x", "exec sleep 60");
    until("it ends", || {
        docker(&["inspect", "-f", "{{.State.Status}}", &ended]).starts_with("exited").then_some(())
    });
    let mut listed = stage.engine.containers(&[&mark, "test.type"]).await.unwrap();
    listed.sort_by(|a, b| b.name.cmp(&a.name));
    let names: Vec<(&str, &str)> = listed.iter().map(|c| (c.name.as_str(), c.state.as_str())).collect();
    assert_eq!(names, [(running.as_str(), "running"), (ended.as_str(), "exited")]);
    assert!(listed[0].is_running() && !listed[1].is_running());
    assert_eq!(listed[1].labels["test.type"], "chaos");
    assert_eq!((listed[0].image.as_str(), listed[0].image_id.len()), (image.as_str(), 71));
    assert_eq!(stage.engine.containers(&[&mark]).await.unwrap().len(), 3);
    assert!(stage.engine.containers(&[]).await.unwrap().len() >= 3);
}

#[tokio::test]
async fn an_engine_says_how_much_it_bears() {
    let size = Stage::new().await.engine.size().await.unwrap();
    let said = docker(&["info", "-f", "{{.NCPU}} {{.MemTotal}}"]);
    assert_eq!(format!("{} {}", size.cpus, size.memory), said.trim());
}

#[tokio::test]
async fn a_service_gets_its_health_check_and_its_ports() {
    let stage = Stage::new().await;
    let second = 1_000_000_000;
    let published = ["tcp", "udp"].map(|protocol| PublishedPort {
        host_ip: Some("127.0.0.1".to_owned()),
        host_port: None,
        container: 80,
        protocol: protocol.to_owned(),
    });
    let healthcheck = HealthcheckSpec {
        test: ["CMD-SHELL", "test -e /tmp/healthy"].map(str::to_owned).to_vec(),
        interval: Some(second / 5),
        timeout: Some(30 * second),
        ..HealthcheckSpec::default()
    };
    let spec = ContainerSpec {
        published: published.to_vec(),
        healthcheck: Some(healthcheck.clone()),
        ..ContainerSpec::default()
    };
    let container = stage.create(spec, &stage.creation().await, "touch /tmp/healthy; exec sleep 60").await;
    stage.engine.start(&container.id).await.unwrap();
    let ports = docker(&["port", &container.id]);
    assert!(ports.contains("80/tcp -> 127.0.0.1:") && ports.contains("80/udp -> 127.0.0.1:"), "{ports}");
    until("it is healthy", || {
        let health = docker(&["inspect", "-f", "{{.State.Health.Status}}", &container.id]);
        (health.trim() == "healthy").then_some(())
    });
    let record = stage.engine.container_record(&container.id).await.unwrap();
    assert_eq!(record.configuration.healthcheck, Some(healthcheck));
    assert_eq!(record.configuration.published, published);
    stage.end().await;
}

#[tokio::test]
async fn a_container_of_others_is_read_as_it_was_made() {
    let (stage, sandbox) = (Stage::new().await, Sandbox::new());
    let [name, network, volume] = ["c", "n", "v"].map(|what| format!("{}-{what}", stage.name("read")));
    let run_label = format!("docker-test.run={}", stage.ledger.run_id());
    docker(&["network", "create", "--label", &run_label, &network]);
    let image = sandbox.image("made");
    docker(&["tag", crate::support::BASE, &image]);
    docker(&["volume", "create", "--label", &run_label, &volume]);
    let mount = format!("{volume}:/named:ro");
    docker(&[
        "run",
        "-d",
        "--name",
        &name,
        "--label",
        &run_label,
        "--network",
        &network,
        "--network-alias",
        "web",
        "-e",
        "A=b",
        "-u",
        "1234",
        "-w",
        "/tmp",
        "-v",
        &mount,
        "-v",
        "/anonymous",
        "--mount",
        "type=tmpfs,dst=/fs",
        "--tmpfs",
        "/scratch:size=1m",
        "-m",
        "64m",
        "--cap-drop",
        "ALL",
        "--read-only",
        "--restart",
        "no",
        "-p",
        "127.0.0.1::80",
        "--ulimit",
        "nofile=100:200",
        "--entrypoint",
        "sleep",
        &image,
        "60",
    ]);
    let record = stage.engine.container_record(&name).await.unwrap();
    let spec = &record.configuration;
    assert_eq!((record.name.as_str(), record.image.as_str(), record.running), (&*name, &*image, true));
    assert_eq!(Some(record.image_id.clone()), crate::support::image_id(&image));
    assert_eq!(
        (spec.entrypoint.as_deref(), spec.command.as_deref()),
        (Some(&["sleep".to_owned()][..]), Some(&["60".to_owned()][..]))
    );
    assert_eq!((spec.user.as_deref(), spec.workdir.as_deref()), (Some("1234"), Some("/tmp")));
    assert!(spec.env.contains(&("A".to_owned(), "b".to_owned())));
    assert_eq!(spec.binds, [mount]);
    assert_eq!(spec.anonymous_volumes, ["/anonymous"]);
    assert_eq!((spec.mounts[0].kind.as_str(), spec.mounts[0].target.as_str()), ("tmpfs", "/fs"));
    assert_eq!(spec.tmpfs, BTreeMap::from([("/scratch".to_owned(), "size=1m".to_owned())]));
    assert_eq!((spec.memory, spec.read_only, spec.cap_drop.len()), (Some(64 << 20), true, 1));
    assert_eq!((spec.networks.len(), spec.networks[0].name.as_str()), (1, &*network));
    assert!(spec.networks[0].aliases.contains(&"web".to_owned()));
    assert_eq!((spec.ulimits[0].soft, spec.ulimits[0].hard), (100, 200));
    assert!(record.beyond.is_empty(), "{:?}", record.beyond);
    assert_eq!(record.mounts.iter().filter(|mounted| mounted.is_anonymous()).count(), 1);
}
