//! Tests that a deployment has created as containers: each is made again and run, and the original is left alone.

use std::process::Command;

use docker_test::engine::docker::{Creation, ResultsVolume};
use docker_test::engine::{Engine, EngineError, ListedContainer, NetworkCreation, ResourceKind};
use docker_test::metadata::labels::Role;
use docker_test::plan::container::ContainerSpec;
use docker_test::plan::of_container::is_test;
use docker_test::plan::recreate::{Surroundings, network_names};
use docker_test::plan::{ContainerPlanError, Request, TestPlan, of_container};
use docker_test::runner::writable::make_writable;

use serde_json::Value;

use crate::fixture::{docker_at, fixture};
use crate::stage::Stage;
use crate::support::{BASE, Sandbox, docker, until};

/// The plan of a container, by what the engine says of it and of what is around it.
async fn plan(engine: &Engine, container: &str) -> Result<TestPlan, ContainerPlanError> {
    let record = engine.container_record(container).await.unwrap();
    let image = engine.image(&record.image_id).await.unwrap();
    let mut networks = Vec::new();
    for name in network_names(&record) {
        networks.extend(engine.network(name).await.unwrap());
    }
    let containers = engine.containers(&[]).await.unwrap();
    let around = Surroundings { networks: &networks, containers: &containers };
    of_container(&Request::default(), &record, image.as_ref(), &around)
}

/// Every container that is a test and none of ours.
async fn find(engine: &Engine) -> Vec<ListedContainer> {
    let found = engine.containers(&["test.type"]).await.unwrap();
    found.into_iter().filter(|container| is_test(&container.labels)).collect()
}

/// Runs a plan as an attempt does; its exit code and what it printed.
async fn run(stage: &Stage, plan: &TestPlan) -> (String, i64, String) {
    let record = stage.record(ResourceKind::Container, "again");
    let labels = stage.ledger.labels(Role::Volume);
    let creation = Creation {
        image: plan.image_id.clone(),
        labels: stage.ledger.labels(Role::TestContainer),
        results: plan.results_volume.then(|| ResultsVolume { path: plan.results.clone(), labels }),
        ..Creation::default()
    };
    let id = stage.engine.create_container(&record, &plan.container, &creation).await.unwrap().id;
    if plan.results_volume {
        make_writable(&stage.engine, &stage.ledger, &id, &plan.results).await.unwrap();
    }
    let (code, output) = stage.run(&id).await;
    (id, code, output)
}

/// A compose project, taken down when dropped.
struct Project<'s> {
    sandbox: &'s Sandbox,
    name: String,
}

impl<'s> Project<'s> {
    fn up(sandbox: &'s Sandbox, file: &str) -> Self {
        sandbox.write("docker-compose.yml", file);
        let name = sandbox.image("shop").replace([':', '/'], "-");
        let project = Self { sandbox, name };
        let output = project.compose(&["up", "-d"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        project
    }

    fn compose(&self, arguments: &[&str]) -> std::process::Output {
        Command::new("docker-compose")
            .args(["-p", &self.name])
            .args(arguments)
            .current_dir(self.sandbox.path())
            .output()
            .unwrap()
    }

    fn container(&self, service: &str) -> String {
        format!("{}_{service}_1", self.name)
    }
}

impl Drop for Project<'_> {
    fn drop(&mut self) {
        self.compose(&["down", "-v", "-t", "0"]);
    }
}

/// Everything about a container that somebody might notice.
fn photograph(container: &str) -> Value {
    let mut seen: Value = serde_json::from_str(&docker(&["inspect", container])).unwrap();
    // The engine gives them in any order.
    let mounts = seen[0]["Mounts"].as_array_mut().unwrap();
    mounts.sort_by_key(|mount| mount["Destination"].to_string());
    seen
}

#[tokio::test]
async fn a_container_of_compose_runs_again_and_is_left_as_it_was() {
    let (stage, sandbox) = (Stage::new().await, Sandbox::new());
    let project = Project::up(
        &sandbox,
        &format!(
            r#"
version: "2.4"
volumes: {{ data: }}
services:
  web:
    image: {BASE}
    command: [sh, -c, "mkdir /www; echo hello > /www/index.html; exec httpd -f -p 80 -h /www"]
  checkout:
    image: {BASE}
    labels: {{ test.type: integration, team: payments }}
    depends_on: [web]
    user: "1234"
    working_dir: /tmp
    read_only: true
    restart: "no"
    environment: {{ GREETING: "hello from compose" }}
    ports: ["127.0.0.1::80"]
    volumes: ["data:/data:ro", "/anonymous"]
    tmpfs: [/scratch]
    mem_limit: 64m
    networks: {{ default: {{ aliases: [till] }} }}
    entrypoint: [sh, -c]
    command:
      - |
        echo "$$(id -u) $$(pwd) $$GREETING $$(ls /anonymous | wc -l)"
        wget -qO- http://web/
        wget -qO- http://checkout:1/ 2>&1
        wget -qO- http://till:1/ 2>&1
        touch /scratch/x && echo scratch
        touch /x 2>/dev/null || echo read-only
        (echo result > /var/tests/results/f) 2>/dev/null && cat /var/tests/results/f
        hostname
"#
        ),
    );
    let original = project.container("checkout");
    until("it has run", || {
        docker(&["inspect", "-f", "{{.State.Status}}", &original]).starts_with("exited").then_some(())
    });
    let before = photograph(&original);
    let found = find(&stage.engine).await;
    let found = found.iter().find(|container| container.name == original).unwrap();
    let plan = plan(&stage.engine, &found.id).await.unwrap();
    assert_eq!((plan.name.as_str(), plan.warnings.len()), (original.as_str(), 0), "{:?}", plan.warnings);
    let (id, code, output) = run(&stage, &plan).await;
    let expected = "1234 /tmp hello from compose 0\nhello\nwget: bad address 'checkout:1'\n\
         wget: can't connect to remote host ("
        .to_string();
    assert!(code == 0 && output.starts_with(&expected), "{output}");
    let ending = format!("Connection refused\nscratch\nread-only\nresult\n{}\n", &id[..12]);
    assert!(output.ends_with(&ending), "{output}");
    let labels = docker(&["inspect", "-f", "{{json .Config.Labels}}", &id]);
    assert!(labels.contains("payments") && !labels.contains("com.docker.compose"), "{labels}");
    let format = "{{.HostConfig.PortBindings}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.Memory}}";
    assert_eq!(docker(&["inspect", "-f", format, &id]).trim(), "map[]  67108864");
    assert!(docker(&["inspect", "-f", "{{json .Mounts}}", &id]).contains(&format!("{}_data", project.name)));
    assert_eq!(photograph(&original), before);
    // What was made of it is ours, and no deployment's test.
    assert!(!find(&stage.engine).await.iter().any(|container| container.id == id));
    stage.end().await;
    assert_eq!(photograph(&original), before);
}

#[tokio::test]
async fn a_container_in_the_network_of_another_is_run_there_while_that_one_runs() {
    let stage = Stage::new().await;
    let [server, test] = ["server", "test"].map(|what| stage.name(what));
    let run_label = format!("docker-test.run={}", stage.ledger.run_id());
    let start = |arguments: &[&str]| docker(&[&["run", "-d", "--label", &run_label], arguments].concat());
    start(&["--name", &server, BASE, "sh", "-c", "mkdir /w; echo up > /w/index.html; httpd -f -p 80 -h /w"]);
    let shared = format!("container:{server}");
    let script = "wget -qO- http://127.0.0.1/";
    start(&["--name", &test, "--label", "test.type=x", "--network", &shared, BASE, "sh", "-c", script]);
    let again = plan(&stage.engine, &test).await.unwrap();
    let (_, code, output) = run(&stage, &again).await;
    assert_eq!((code, output.as_str()), (0, "up\n"));
    docker(&["kill", &server]);
    let error = plan(&stage.engine, &test).await.unwrap_err();
    assert!(matches!(error, ContainerPlanError::Peer { what: "network", .. }), "{error}");
}

/// A Swarm of one node with two networks, a secret and a config.
fn swarm() -> String {
    let host = fixture("dockerd@swarm")["DOCKERD_HOST"].clone();
    let docker = |arguments: &[&str]| docker_at(&host, arguments);
    if docker(&["info", "-f", "{{.Swarm.LocalNodeState}}"]).trim() != "active" {
        docker(&["swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:27377"]);
    }
    host
}

#[tokio::test]
async fn a_task_of_swarm_runs_again_where_its_networks_let_it() {
    let host = swarm();
    let stage = Stage::at(Some(&host)).await;
    let name = |what: &str| stage.name(what);
    let [open, closed, secret, config] = ["open", "closed", "secret", "config"].map(name);
    stage.docker(&["network", "create", "-d", "overlay", "--attachable", &open]);
    stage.docker(&["network", "create", "-d", "overlay", &closed]);
    let file = stage.directory().join("value");
    std::fs::write(&file, "value").unwrap();
    let path = file.to_str().unwrap();
    stage.docker(&["secret", "create", &secret, path]);
    stage.docker(&["config", "create", &config, path]);
    let script = "echo ran; ls /run/secrets 2>/dev/null; exec sleep $PAUSE";
    let serve = |service: &str, networks: &[&str]| {
        let source = format!("source={config},target=/etc/c");
        let mut arguments = vec!["service", "create", "-d", "--name", service, "--restart-condition", "none"];
        arguments.extend(["--container-label", "test.type=integration", "--env", "PAUSE=0"]);
        arguments.extend(["--secret", &secret, "--config", &source, "--publish", "80"]);
        arguments.extend(networks.iter().flat_map(|network| ["--network", network]));
        arguments.extend([BASE, "sh", "-c", script]);
        stage.docker(&arguments);
        let filter = format!("label=com.docker.swarm.service.name={service}");
        until("its task runs", || {
            let id = stage.docker(&["ps", "-aq", "--filter", &filter, "--filter", "status=exited"]);
            id.split_whitespace().next().map(str::to_owned)
        })
    };
    let task = serve(&name("open-service"), &[&open]);
    let plan_open = plan(&stage.engine, &task).await;
    let task = serve(&name("closed-service"), &[&open, &closed]);
    let plan_closed = plan(&stage.engine, &task).await;
    let ran = match &plan_open {
        Ok(plan) => Some(run(&stage, plan).await),
        Err(_) => None,
    };
    for service in ["open-service", "closed-service"] {
        stage.docker(&["service", "rm", &name(service)]);
    }
    stage.docker(&["secret", "rm", &secret]);
    stage.docker(&["config", "rm", &config]);
    let plan_open = plan_open.unwrap();
    let aliases = |spec: &ContainerSpec| spec.networks.iter().map(|n| n.aliases.len()).sum::<usize>();
    assert_eq!((plan_open.container.networks.len(), aliases(&plan_open.container)), (1, 0));
    assert_eq!(plan_open.container.networks[0].name, open);
    let warnings = plan_open.warnings.join("\n");
    assert!(warnings.contains(&format!("the Swarm secret {secret} at /run/secrets/{secret}")), "{warnings}");
    assert!(warnings.contains(&format!("the Swarm config {config} at /etc/c")), "{warnings}");
    let (_, code, output) = ran.unwrap();
    assert_eq!((code, output.as_str()), (0, "ran\n"));
    let error = plan_closed.unwrap_err();
    let ContainerPlanError::Networks { networks, .. } = &error else { panic!("{error}") };
    assert_eq!(networks.len(), 1);
    assert!(networks[0].0 == closed && networks[0].1.contains("not attachable"), "{error}");
    let joined = stage.engine.network(&open).await.unwrap().unwrap();
    assert!(joined.attachable && joined.scope == "swarm" && joined.can_be_joined().is_ok());
    assert!(stage.engine.network("ingress").await.unwrap().unwrap().can_be_joined().is_err());
    stage.end().await;
    for network in [&open, &closed] {
        until("its tasks have left it", || {
            Command::new("docker")
                .args(["-H", &host, "network", "rm", network])
                .output()
                .unwrap()
                .status
                .success()
                .then_some(())
        });
    }
}

#[tokio::test]
async fn a_container_of_podman_runs_again_on_its_network() {
    let host = fixture("podman")["PODMAN_HOST"].clone();
    let stage = Stage::at(Some(&host)).await;
    let network = stage.record(ResourceKind::Network, "net");
    let creation = NetworkCreation { internal: false, labels: stage.ledger.labels(Role::Network) };
    stage.engine.create_network(&network, &creation).await.unwrap();
    let again = stage.engine.create_network(&network, &creation).await.unwrap_err();
    assert!(matches!(again, EngineError::Refused { .. }), "{again:?}");
    let record = stage.engine.network(network.name()).await.unwrap().unwrap();
    assert!(record.name == network.name() && record.can_be_joined().is_ok());
    let (name, volume) = (stage.name("original"), stage.name("volume"));
    let run_label = format!("docker-test.run={}", stage.ledger.run_id());
    stage.docker(&["volume", "create", "--label", &run_label, &volume]);
    let script = "echo $(id -u) $A $(pwd) $(ls /data /anonymous); touch /data/x /anonymous/y; \
                  echo r > /var/tests/results/f; touch /x || echo read-only";
    let mount = format!("{volume}:/data");
    let labels = ["--label", &run_label, "--label", "test.type=integration"];
    let shape = ["-e", "A=b", "-w", "/tmp", "-v", &mount, "-v", "/anonymous", "-m", "64m", "--read-only"];
    let place = ["--name", &name, "--network", network.name(), BASE, "sh", "-c", script];
    stage.docker(&[&["run", "-d"], &labels[..], &shape[..], &place[..]].concat());
    until("it has run", || {
        stage.docker(&["inspect", "-f", "{{.State.Status}}", &name]).starts_with("exited").then_some(())
    });
    let plan = plan(&stage.engine, &name).await.unwrap();
    assert_eq!((plan.warnings.len(), plan.results_volume), (0, true), "{:?}", plan.warnings);
    assert_eq!(plan.container.networks[0].name, network.name());
    let (id, code, output) = run(&stage, &plan).await;
    // The named volume is shared, and has what the original left there; the anonymous one is another.
    assert_eq!(code, 0, "{output}");
    assert!(
        output.starts_with("0 b /tmp /anonymous: /data: x\n") && output.ends_with("read-only\n"),
        "{output}"
    );
    stage.docker(&["rm", "-fv", &name, &id]);
    stage.docker(&["volume", "rm", &volume]);
    stage.end().await;
}
