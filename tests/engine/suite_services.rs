//! Postgres and Redis as services: when they are ready they can be used, and when they die it is told how.

use std::process::{Command, Stdio};

use docker_test::plan::container::{ContainerSpec, NetworkSpec};
use docker_test::runner::service::Service;
use docker_test::suite::document::Condition;
use docker_test::suite::pattern::Text;

use crate::fixture::{Values, fixture};
use crate::live::eventually;
use crate::services::{Stage, read, when};
use crate::support::{Sandbox, docker};

/// Known to the redactor of a [`Stage`].
const PASSWORD: &str = "hunter22-secret";
const READY: &str = "ready to accept connections";

/// The images, where they can be made.
fn images() -> Option<Values> {
    let missing = std::env::var("FIXTURES_MISSING").unwrap_or_default();
    (!missing.split(' ').any(|name| name == "base")).then(|| fixture("base"))
}

fn variables(pairs: &[(&str, &str)]) -> ContainerSpec {
    let env = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ContainerSpec { env, ..ContainerSpec::default() }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn log(text: &str, times: u32) -> Condition {
    Condition::Log { text: Text::parse(text).unwrap(), times }
}

/// The container of a service.
fn container(stage: &Stage, service: &str) -> String {
    format!("docker-test-{}-{service}", stage.ledger.run_id())
}

/// psql by way of the network, as a test would come; the answer, or what psql says.
fn query(container: &str, sql: &str) -> Result<String, String> {
    let password = format!("PGPASSWORD={PASSWORD}");
    let psql = ["psql", "-h", "127.0.0.1", "-U", "keeper", "-d", "shop", "-Atc", sql];
    let output =
        Command::new("docker").args(["exec", "-e", &password, container]).args(psql).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn database() -> ContainerSpec {
    variables(&[("POSTGRES_USER", "keeper"), ("POSTGRES_PASSWORD", PASSWORD), ("POSTGRES_DB", "shop")])
}

async fn start_database(stage: &Stage, images: &Values) -> Service {
    let ready = when(Condition::Exec(words("pg_isready -h 127.0.0.1")));
    stage.start_image("db", &images["BASE_POSTGRES"], Some(ready), database()).await.unwrap()
}

#[tokio::test]
async fn postgres_that_counts_as_ready_answers_queries() {
    let Some(images) = images() else { return };
    let sandbox = Sandbox::new();
    let check = "HEALTHCHECK --interval=1s --retries=30 CMD pg_isready -h 127.0.0.1";
    let watched = sandbox.docker_build("watched", &format!("FROM {}\n{check}\n", images["BASE_POSTGRES"]));
    let plain = images["BASE_POSTGRES"].clone();
    let cases = [
        (&plain, Some(log(READY, 2))),
        (&plain, Some(Condition::Exec(words("pg_isready -h 127.0.0.1")))),
        (&watched, Some(Condition::Healthy)),
        (&watched, None),
    ];
    for (image, condition) in cases {
        let stage = Stage::new().await;
        let named = format!("{condition:?}");
        let service = stage.start_image("db", image, condition.map(when), database()).await;
        let service = service.unwrap_or_else(|failure| panic!("{named}: {failure}\n{}", failure.log_tail));
        assert_eq!(query(&container(&stage, "db"), "SELECT 6 * 7"), Ok("42".to_owned()), "{named}");
        service.remove(&stage.engine, &stage.ledger).await.unwrap();
        stage.end().await;
    }
}

#[tokio::test]
async fn the_first_server_of_postgres_is_not_taken_for_the_one_that_stays() {
    let Some(images) = images() else { return };
    let stage = Stage::new().await;
    let ready = when(Condition::Port(5432));
    stage.start_image("db", &images["BASE_POSTGRES"], Some(ready), database()).await.unwrap();
    let name = container(&stage, "db");
    assert!(docker(&["logs", &name]).contains("server stopped"));
    // The port is open a moment before the database is.
    assert_eq!(eventually("an answer", || query(&name, "SELECT 6 * 7").ok()), "42");
    stage.end().await;
}

#[tokio::test]
async fn redis_that_counts_as_ready_keeps_what_it_is_given() {
    let Some(images) = images() else { return };
    let cases = [
        Condition::Port(6379),
        log("Ready to accept connections", 1),
        Condition::Exec(words("redis-cli ping")),
    ];
    for condition in cases {
        let stage = Stage::new().await;
        let named = format!("{condition:?}");
        stage
            .start_image("cache", &images["BASE_REDIS"], Some(when(condition)), ContainerSpec::default())
            .await
            .unwrap_or_else(|failure| panic!("{named}: {failure}\n{}", failure.log_tail));
        let name = container(&stage, "cache");
        let cli = |words: &[&str]| docker(&[&["exec", &name, "redis-cli"], words].concat());
        assert_eq!(cli(&["set", "basket", "3"]), "OK\n", "{named}");
        assert_eq!(cli(&["get", "basket"]), "3\n", "{named}");
        stage.end().await;
    }
}

#[tokio::test]
async fn a_postgres_that_is_killed_while_in_use_is_named_with_its_end_and_last_lines() {
    let Some(images) = images() else { return };
    let stage = Stage::new().await;
    let service = start_database(&stage, &images).await;
    let name = container(&stage, "db");
    let password = format!("PGPASSWORD={PASSWORD}");
    let sleeping = ["psql", "-h", "127.0.0.1", "-U", "keeper", "-d", "shop", "-c", "SELECT pg_sleep(120)"];
    let mut client = Command::new("docker")
        .args(["exec", "-e", &password, &name])
        .args(sleeping)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(120)'";
    eventually("the client's query", || (query(&name, sql) == Ok("1".to_owned())).then_some(()));
    assert_eq!(service.has_ended(), None);
    docker(&["kill", &name]);
    let ended = tokio::time::timeout(std::time::Duration::from_secs(30), service.end()).await.unwrap();
    assert_eq!(ended.to_string(), "was ended by signal 9 (exit code 137)");
    assert_eq!(service.has_ended(), Some(ended));
    assert!(service.log_tail().contains(READY), "{}", service.log_tail());
    assert!(!client.wait().unwrap().success());
    service.remove(&stage.engine, &stage.ledger).await.unwrap();
    assert!(read(&stage.log()).contains("database system is shut down"), "the first server's end");
    stage.end().await;
}

#[tokio::test]
async fn a_postgres_that_gives_up_says_why_in_its_last_lines() {
    let Some(images) = images() else { return };
    let options = words("postgres -c shared_buffers=plenty");
    let cases = [
        (ContainerSpec::default(), "superuser password is not specified"),
        (ContainerSpec { command: Some(options), ..database() }, "invalid value for parameter"),
    ];
    for (spec, expected) in cases {
        let stage = Stage::new().await;
        let ready = when(Condition::Port(5432));
        let failure = stage.start_image("db", &images["BASE_POSTGRES"], Some(ready), spec).await.unwrap_err();
        assert_eq!(failure.to_string(), "service db ended with exit code 1 before it was ready");
        assert!(failure.log_tail.contains(expected), "{}", failure.log_tail);
        stage.end().await;
    }
}

/// Reads the log while the test asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_postgres_logs_is_not_kept() {
    let Some(images) = images() else { return };
    let stage = Stage::new().await;
    let service = start_database(&stage, &images).await;
    let name = container(&stage, "db");
    let said = query(&name, &format!("CREATE ROLE clerk PASSWORD '{PASSWORD}' AND MORE")).unwrap_err();
    assert!(said.contains("syntax error"), "{said}");
    assert!(docker_logs(&name).contains(PASSWORD), "the server logs what it could not read");
    let tail = eventually("the line in the log", || {
        Some(service.log_tail()).filter(|tail| tail.contains("CREATE ROLE clerk"))
    });
    assert!(tail.contains("PASSWORD '***'"), "{tail}");
    service.remove(&stage.engine, &stage.ledger).await.unwrap();
    assert!(!read(&stage.log()).contains(PASSWORD));
    stage.end().await;
}

/// Both streams of a container.
fn docker_logs(name: &str) -> String {
    let output = Command::new("docker").args(["logs", name]).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn a_job_prepares_a_database_on_a_network_and_its_data_goes_with_it() {
    let Some(images) = images() else { return };
    let sandbox = Sandbox::new();
    let network = sandbox.name("net");
    docker(&["network", "create", &network]);
    let on = |spec: ContainerSpec, alias: &str| {
        let aliases = vec![alias.to_owned()];
        let networks = vec![NetworkSpec { name: network.clone(), aliases, ..NetworkSpec::default() }];
        ContainerSpec { networks, ..spec }
    };
    let stage = Stage::new().await;
    let image = &images["BASE_POSTGRES"];
    let ready = when(log(READY, 2));
    let db = stage.start_image("db", image, Some(ready), on(database(), "db")).await.unwrap();
    let sql = "CREATE TABLE stock (title text, left_over int); INSERT INTO stock VALUES ('Dune', 3)";
    let spec = variables(&[("PGPASSWORD", PASSWORD), ("PGUSER", "keeper"), ("PGDATABASE", "shop")]);
    let command = ["psql", "-h", "db", "-v", "ON_ERROR_STOP=1", "-c", sql].map(str::to_owned).to_vec();
    let spec = on(ContainerSpec { command: Some(command), ..spec }, "schema");
    let schema = stage.start_image("schema", image, Some(when(Condition::Completed)), spec).await;
    let schema = schema.unwrap_or_else(|failure| panic!("{failure}\n{}", failure.log_tail));
    let name = container(&stage, "db");
    assert_eq!(query(&name, "SELECT * FROM stock"), Ok("Dune|3".to_owned()));
    let volumes = docker(&["inspect", "-f", "{{range .Mounts}}{{.Name}}{{end}}", &name]);
    assert_eq!(docker(&["volume", "inspect", "-f", "{{.Name}}", volumes.trim()]), volumes);
    schema.remove(&stage.engine, &stage.ledger).await.unwrap();
    db.remove(&stage.engine, &stage.ledger).await.unwrap();
    let gone = Command::new("docker").args(["volume", "inspect", volumes.trim()]).output().unwrap();
    assert!(!gone.status.success(), "the volume of the data is still there");
    stage.end().await;
}
