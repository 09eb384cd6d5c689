//! Services of a compose file: started and joined through the Compose tool, watched, and gone with the run.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use docker_test::compose::{ComposeContext, ComposeError, ComposeTool, DEFAULT_SETUP, Project, Started};
use docker_test::engine::Engine;
use docker_test::engine::docker::BuilderChoice;
use docker_test::engine::endpoint::{self, Choice, Endpoint};
use docker_test::environment::Environment;
use docker_test::error::{Diagnose as _, Failure};
use docker_test::ledger::{self, RunLedger, SweepOptions};
use docker_test::redact::Redactor;
use docker_test::runner::service::ServiceFailure;
use docker_test::signal;

use crate::fixture::docker_at;
use crate::fixture::fixture;
use crate::live::eventually;
use crate::support::{BASE, docker};

/// A database that takes a moment to get healthy, a job that needs it, a server that is built and needs the job, and
/// the test.
const SHOP: &str = r#"
services:
  db:
    image: docker-test-base/busybox:1
    command: [sh, -c, "sleep 1; touch /ok; exec sleep 600"]
    healthcheck: { test: [CMD, test, -e, /ok], interval: 500ms, retries: 60 }
    volumes: [data:/data, /anonymous]
  schema:
    image: docker-test-base/busybox:1
    command: [sh, -c, "sleep 1"]
    depends_on: { db: { condition: service_healthy } }
  api:
    build: .
    command: [sleep, "600"]
    depends_on: { schema: { condition: service_completed_successfully } }
    networks: [default, back]
  unneeded:
    image: docker-test-base/busybox:1
    command: [sleep, "600"]
  sut:
    build: .
    command: [ping, -c1, api]
    depends_on: [api]
networks: { back: {} }
volumes: { data: {} }
"#;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A directory with a compose file, whose name is its project's, an engine and a run.
struct Stage {
    engine: Engine,
    endpoint: Endpoint,
    ledger: RunLedger,
    directory: tempfile::TempDir,
    name: String,
}

impl Stage {
    async fn new(file: &str) -> Self {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        Self::named(&format!("dt-it-compose-{}-{number}x", std::process::id()), file).await
    }

    async fn named(name: &str, file: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (engine, endpoint) = engine(directory.path(), &Environment::capture()).await;
        Self::on(engine, endpoint, directory, name, file)
    }

    fn on(engine: Engine, endpoint: Endpoint, directory: tempfile::TempDir, name: &str, file: &str) -> Self {
        let journals = directory.path().join("state");
        let limit = Duration::from_mins(10);
        let ledger = RunLedger::begin(&journals, engine.address(), "compose", None, limit).unwrap();
        let stage = Self { engine, endpoint, ledger, directory, name: name.to_owned() };
        std::fs::create_dir(stage.path()).unwrap();
        std::fs::write(stage.path().join("compose.yaml"), file).unwrap();
        let dockerfile = format!("FROM {BASE}\nRUN echo {name} > /built\n");
        std::fs::write(stage.path().join("Dockerfile"), dockerfile).unwrap();
        stage
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }

    /// The name of what is started for the run.
    fn project(&self) -> String {
        format!("docker-test-{}", self.ledger.run_id())
    }

    async fn load(&self) -> Result<Project, ComposeError> {
        let redactor = Arc::new(Redactor::new(["hunter2-secret".to_owned()]));
        let tool = ComposeTool::find(&Environment::capture(), &self.endpoint, redactor).await?;
        Project::load(tool, &["compose.yaml".into()], &self.path()).await
    }

    fn context(&self) -> ComposeContext<'_> {
        let ready = Duration::from_secs(30);
        ComposeContext { engine: &self.engine, ledger: &self.ledger, join: true, setup: DEFAULT_SETUP, ready }
    }

    async fn start(&self, needed: &[&str]) -> Result<Result<Started, ServiceFailure>, Failure> {
        self.start_within(needed, self.context()).await
    }

    async fn start_within(
        &self,
        needed: &[&str],
        context: ComposeContext<'_>,
    ) -> Result<Result<Started, ServiceFailure>, Failure> {
        let (_canceller, mut interrupts) = signal::channel();
        self.load().await?.start(&names(needed), &context, &mut interrupts).await
    }

    async fn failure(&self, needed: &[&str]) -> ServiceFailure {
        self.start(needed).await.unwrap().unwrap_err()
    }

    /// Runs the tool as a user does.
    #[track_caller]
    fn compose(&self, arguments: &[&str]) {
        let output =
            Command::new("docker-compose").args(arguments).current_dir(self.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Ends the run, and demands that nothing of it is left.
    async fn end(self) {
        let leftovers: Vec<String> =
            self.ledger.close(&self.engine).await.iter().map(ToString::to_string).collect();
        assert_eq!(leftovers, Vec::<String>::new());
        assert_eq!(inventory(&self.project()), Vec::<String>::new());
    }
}

impl Drop for Stage {
    /// Also where an assertion has failed.
    fn drop(&mut self) {
        wipe(&self.project());
        wipe(&self.name);
    }
}

async fn engine(directory: &Path, environment: &Environment) -> (Engine, Endpoint) {
    let discovery = endpoint::discover(&Choice::default(), environment).unwrap();
    let connected = endpoint::connect(&discovery, environment, directory, None).await.unwrap();
    let address = connected.endpoint.to_string();
    let local = connected.endpoint.is_local();
    let engine =
        Engine::open(connected.http, connected.greeting, &address, local, BuilderChoice::Engine).await;
    (engine.unwrap(), connected.endpoint)
}

fn names(services: &[&str]) -> BTreeSet<String> {
    services.iter().map(|name| (*name).to_owned()).collect()
}

/// Everything of a project that the engine has.
fn inventory(project: &str) -> Vec<String> {
    let label = format!("label=com.docker.compose.project={project}");
    let listings: [&[&str]; 4] = [
        &[
            "ps",
            "-a",
            "--no-trunc",
            "--filter",
            &label,
            "--format",
            "container {{.ID}} {{.Names}} {{.State}}",
        ],
        &["volume", "ls", "--filter", &label, "--format", "volume {{.Name}}"],
        &["network", "ls", "--filter", &label, "--format", "network {{.ID}} {{.Name}}"],
        &["images", "--format", "image {{.Repository}}"],
    ];
    let mut found: Vec<String> = listings
        .iter()
        .flat_map(|listing| docker(listing).lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| !line.starts_with("image ") || line.starts_with(&format!("image {project}")))
        .collect();
    found.sort();
    found
}

fn wipe(project: &str) {
    for line in inventory(project) {
        let words: Vec<&str> = line.split(' ').collect();
        let arguments: &[&str] = match words[..] {
            ["container", id, ..] => &["rm", "-fv", id],
            ["volume", name] => &["volume", "rm", name],
            ["network", id, ..] => &["network", "rm", id],
            ["image", name] => &["rmi", name],
            _ => continue,
        };
        let _ = Command::new("docker").args(arguments).output();
    }
}

/// `SERVICE STATE` of all containers of a project.
fn states(project: &str) -> Vec<String> {
    let label = format!("label=com.docker.compose.project={project}");
    let format = "{{.Label \"com.docker.compose.service\"}} {{.State}}";
    let listed = docker(&["ps", "-a", "--filter", &label, "--format", format]);
    let mut states: Vec<String> = listed.lines().map(str::to_owned).collect();
    states.sort();
    states
}

#[tokio::test]
async fn what_is_needed_is_started_in_order_and_reached_by_name_and_nothing_of_it_is_left() {
    let stage = Stage::new(SHOP).await;
    let project = stage.project();
    let loaded = stage.load().await.unwrap();
    assert!(loaded.has_sut());
    assert_eq!(loaded.needs_of_sut(), names(&["api"]));
    let started = stage.start(&["api"]).await.unwrap().unwrap();
    assert!(!started.joined);
    assert_eq!(started.project, project);
    assert_eq!(states(&project), ["api running", "db running", "schema exited"]);
    let done: Vec<(&str, bool)> =
        started.services.iter().map(|service| (service.name.as_str(), service.is_done)).collect();
    assert_eq!(done, [("api", false), ("db", false), ("schema", true)]);
    let networks = started.networks(&names(&["api"]));
    assert_eq!(networks, [format!("{project}_default"), format!("{project}_back")]);
    assert_eq!(started.networks(&names(&["db"])), [format!("{project}_default")]);
    docker(&["run", "--rm", "--network", &networks[0], BASE, "ping", "-c1", "api"]);
    let anonymous =
        docker(&["inspect", "-f", "{{range .Mounts}}{{.Name}} {{end}}", &started.services[1].containers[0]]);
    stage.end().await;
    let volumes = docker(&["volume", "ls", "-q"]);
    assert_eq!(anonymous.split_whitespace().count(), 2);
    assert!(anonymous.split_whitespace().all(|volume| !volumes.contains(volume)), "{anonymous}");
}

#[tokio::test]
async fn the_container_of_sut_is_created_beside_what_it_needs_and_not_started() {
    let stage = Stage::new(SHOP).await;
    let started = stage.start(&["api"]).await.unwrap().unwrap();
    let loaded = stage.load().await.unwrap();
    let container = loaded.sut_container(&started, &stage.context()).await.unwrap();
    let expected = ["api running", "db running", "schema exited", "sut created"];
    assert_eq!(states(&stage.project()), expected);
    let word = docker(&["inspect", "-f", "{{index .Config.Cmd 2}} {{.State.Status}}", &container]);
    assert_eq!(word.trim(), "api created");
    stage.end().await;
    // A test that needs nothing.
    let alone = format!("services: {{ sut: {{ image: {BASE}, command: [\"true\"] }} }}");
    let stage = Stage::new(&alone).await;
    let started = stage.start(&[]).await.unwrap().unwrap();
    let loaded = stage.load().await.unwrap();
    loaded.sut_container(&started, &stage.context()).await.unwrap();
    assert_eq!(states(&stage.project()), ["sut created"]);
    stage.end().await;
}

#[tokio::test]
async fn a_service_that_fails_is_named_with_its_end_and_last_words_wherever_it_stands() {
    let broken =
        "{ image: docker-test-base/busybox:1, command: [sh, -c, 'echo no room for hunter2-secret; exit 7'] }";
    let waits = "{ image: docker-test-base/busybox:1, command: [sleep, '600'], depends_on: ";
    // The tool waits for the first for as long as its health check has retries.
    let files = [
        format!("services: {{ db: {broken} }}"),
        format!(
            "services: {{ db: {broken}, web: {waits} {{ db: {{ condition: service_completed_successfully }} }} }} }}"
        ),
    ];
    for file in files {
        let stage = Stage::new(&file).await;
        let needed = if file.contains("web") { "web" } else { "db" };
        let outcome = stage.start(&[needed]).await.unwrap();
        let failure = match outcome {
            Err(failure) => failure,
            // It may run for just long enough to be seen so.
            Ok(started) => started.ended(&BTreeSet::new()).await,
        };
        assert_eq!(failure.service, "db");
        assert!(failure.problem.starts_with("ended with exit code 7"), "{failure}");
        assert_eq!(failure.log_tail, "no room for ***\n");
        assert!(!failure.interrupted);
        stage.end().await;
    }
}

#[tokio::test]
async fn a_service_that_never_gets_ready_is_named_while_the_tool_still_waits_for_it() {
    let file = r#"
services:
  db:
    image: docker-test-base/busybox:1
    command: [sh, -c, "echo last words; exec sleep 600"]
    healthcheck: { test: [CMD, "false"], interval: 1s, retries: 600 }
  web:
    image: docker-test-base/busybox:1
    command: [sleep, "600"]
    depends_on: { db: { condition: service_healthy } }
"#;
    let stage = Stage::new(file).await;
    let context = ComposeContext { ready: Duration::from_secs(2), ..stage.context() };
    let failure = stage.start_within(&["web"], context).await.unwrap().unwrap_err();
    assert_eq!(failure.to_string(), "service db was not ready after 2s: its health check says starting");
    assert_eq!(failure.log_tail, "last words\n");
    stage.end().await;
    let stage = Stage::new(&file.replace("retries: 600", "retries: 1")).await;
    let failure = stage.failure(&["web"]).await;
    assert_eq!(failure.to_string(), "service db was not ready: its health check says unhealthy");
    stage.end().await;
}

#[tokio::test]
async fn what_cannot_be_started_or_built_is_told_in_the_words_of_the_engine_or_the_tool() {
    let stage = Stage::new(&format!("services: {{ db: {{ image: {BASE}, command: [/not-there] }} }}")).await;
    let failure = stage.failure(&["db"]).await;
    assert!(failure.problem.starts_with("could not be started: "), "{failure}");
    assert!(failure.problem.contains("/not-there"), "{failure}");
    stage.end().await;
    let stage = Stage::new("services: { db: { build: . } }").await;
    let dockerfile = format!("FROM {BASE}\nRUN echo no room for hunter2-secret && exit 3\n");
    std::fs::write(stage.path().join("Dockerfile"), dockerfile).unwrap();
    let failure = stage.start(&["db"]).await.unwrap_err();
    let text = failure.to_string();
    assert!(text.starts_with("cannot build the images of compose.yaml: docker-compose 1."), "{text}");
    assert!(text.contains("echo no room for ***") && !text.contains("hunter2"), "{text}");
    stage.end().await;
}

#[tokio::test]
async fn an_end_later_on_is_noticed_unless_it_is_a_good_one() {
    let file = format!(
        "services: {{ db: {{ image: {BASE}, command: [sh, -c, 'echo up; sleep 4; exit 5'] }}, job: {{ image: {BASE}, command: [sleep, '1'] }} }}"
    );
    let stage = Stage::new(&file).await;
    let started = stage.start(&["db", "job"]).await.unwrap().unwrap();
    let failure =
        tokio::time::timeout(Duration::from_secs(30), started.ended(&BTreeSet::new())).await.unwrap();
    assert_eq!(failure.to_string(), "service db ended with exit code 5");
    assert_eq!(failure.log_tail, "up\n");
    assert_eq!(started.log_tail("db").await, "up\n");
    stage.end().await;
    let stage = Stage::new(&file).await;
    let started = stage.start(&["job"]).await.unwrap().unwrap();
    let early = tokio::time::timeout(Duration::from_secs(3), started.ended(&BTreeSet::new())).await;
    assert!(early.is_err(), "{early:?}");
    started.remove(&stage.ledger).await.unwrap();
    assert_eq!(inventory(&stage.project()), Vec::<String>::new());
    stage.end().await;
}

#[tokio::test]
async fn a_project_that_runs_is_joined_and_left_as_it_is() {
    let stage = Stage::new(SHOP).await;
    stage.compose(&["up", "-d", "db", "unneeded"]);
    let before = inventory(&stage.name);
    let started = stage.start(&["db", "unneeded"]).await.unwrap().unwrap();
    assert!(started.joined);
    assert_eq!(started.project, stage.name);
    assert_eq!(started.networks(&names(&["db"])), [format!("{}_default", stage.name)]);
    let loaded = stage.load().await.unwrap();
    let absent = loaded.sut_container(&started, &stage.context()).await.unwrap_err();
    assert!(absent.to_string().contains("no container of the service sut"), "{absent}");
    started.remove(&stage.ledger).await.unwrap();
    let lacking = stage.start(&["api", "db"]).await.unwrap_err();
    let expected = format!("the Compose project {} is running, but not its service api", stage.name);
    assert_eq!(lacking.to_string(), expected);
    let hint = lacking.hint().unwrap().to_owned();
    assert!(hint.contains(".yaml up -d api`") || hint.contains(".yml up -d api`"), "{hint}");
    assert!(
        hint.starts_with("start them (`docker-compose -f ")
            || hint.starts_with("start them (`docker compose -f ")
    );
    assert_eq!(inventory(&stage.name), before);
    // Unless it is not wanted.
    let context = ComposeContext { join: false, ..stage.context() };
    let started = stage.start_within(&["unneeded"], context).await.unwrap().unwrap();
    assert_eq!((started.joined, started.project.clone()), (false, stage.project()));
    // Another directory of that name is another project.
    let other = Stage::named(&stage.name, SHOP).await;
    assert!(!other.start(&["unneeded"]).await.unwrap().unwrap().joined);
    assert!(other.ledger.close(&other.engine).await.is_empty());
    assert_eq!(inventory(&other.project()), Vec::<String>::new());
    assert_eq!(inventory(&stage.name), before);
    stage.end().await;
}

#[tokio::test]
async fn a_project_that_does_not_run_is_not_joined_and_not_touched() {
    let stage = Stage::new(SHOP).await;
    stage.compose(&["up", "--no-start", "unneeded"]);
    let before = inventory(&stage.name);
    assert!(!stage.start(&["unneeded"]).await.unwrap().unwrap().joined);
    assert_eq!(inventory(&stage.name), before);
    let project = stage.project();
    assert_eq!(states(&project), ["unneeded running"]);
    stage.ledger.close(&stage.engine).await;
    assert_eq!(inventory(&stage.name), before);
    assert_eq!(inventory(&project), Vec::<String>::new());
}

#[tokio::test]
async fn two_runs_of_one_file_do_not_disturb_each_other() {
    let (one, other) = (Stage::new(SHOP).await, Stage::new(SHOP).await);
    std::fs::write(other.path().join("Dockerfile"), format!("FROM {BASE}\nRUN echo other > /built\n"))
        .unwrap();
    let (first, second) = tokio::join!(one.start(&["api"]), other.start(&["api"]));
    let (first, second) = (first.unwrap().unwrap(), second.unwrap().unwrap());
    assert_ne!(first.project, second.project);
    let before = inventory(&second.project);
    one.end().await;
    assert_eq!(inventory(&second.project), before);
    assert_eq!(states(&second.project), ["api running", "db running", "schema exited"]);
    other.end().await;
}

#[tokio::test]
async fn what_a_file_gives_a_fixed_name_is_not_shared_with_whoever_has_it() {
    let name = format!("dt-it-compose-{}-fixed", std::process::id());
    let file = format!(
        "services: {{ db: {{ image: {BASE}, command: [sleep, '600'], volumes: ['data:/data'] }} }}\nvolumes: {{ data: {{ name: {name} }} }}\n"
    );
    let stage = Stage::new(&file).await;
    docker(&["volume", "create", "--label", &format!("com.docker.compose.project={}", stage.name), &name]);
    let failure = stage.start(&["db"]).await.unwrap_err();
    let expected = format!(
        "the volume {name}, a fixed name in compose.yaml, is there already (of the Compose project {})",
        stage.name
    );
    assert_eq!(failure.to_string(), expected);
    docker(&["volume", "rm", &name]);
    stage.start(&["db"]).await.unwrap().unwrap();
    // What the run itself has made may be asked for again.
    stage.start(&["db"]).await.unwrap().unwrap();
    stage.ledger.close(&stage.engine).await;
    assert!(!docker(&["volume", "ls", "-q"]).contains(&name));
    stage.end().await;
}

#[tokio::test]
async fn a_file_that_is_wrong_or_not_there_is_named_with_the_words_of_the_tool() {
    let stage = Stage::new("services: { db: { imago: x } }").await;
    let error = stage.load().await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("cannot read compose.yaml: docker-compose 1."), "{text}");
    assert!(text.contains("imago"), "{text}");
    assert_eq!(error.category(), docker_test::error::Category::User);
    std::fs::remove_file(stage.path().join("compose.yaml")).unwrap();
    let error = stage.load().await.unwrap_err();
    assert!(matches!(error, ComposeError::Unreadable { .. }), "{error}");
    let stage = Stage::new(SHOP).await;
    let error = stage.start(&["apy"]).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no service apy in compose.yaml");
    assert_eq!(error.hint(), Some("did you mean `api`?"));
}

#[tokio::test]
async fn without_a_tool_the_error_says_which_are_looked_for() {
    let directory = tempfile::tempdir().unwrap();
    let (_engine, endpoint) = engine(directory.path(), &Environment::capture()).await;
    let environment = Environment::from_pairs([("PATH", directory.path().to_str().unwrap())]);
    let error = ComposeTool::find(&environment, &endpoint, Arc::default()).await.unwrap_err();
    assert!(
        error.to_string().contains("neither `docker compose` nor `docker-compose` is installed"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("`docker-compose`"));
}

#[tokio::test]
async fn told_to_end_it_ends_the_tool_at_once_and_leaves_nothing() {
    let stage = Stage::new(SHOP).await;
    let loaded = stage.load().await.unwrap();
    let (canceller, mut interrupts) = signal::channel();
    let (needed, context, project) = (names(&["api"]), stage.context(), stage.project());
    let cancel = async {
        while states(&project).is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        canceller.cancel(15);
    };
    let (outcome, ()) = tokio::join!(loaded.start(&needed, &context, &mut interrupts), cancel);
    let failure = outcome.unwrap().unwrap_err();
    assert!(failure.interrupted);
    assert_eq!(failure.to_string(), "service api was not ready when signal 15 came");
    stage.end().await;
}

#[tokio::test]
async fn the_tool_goes_where_we_are_connected_over_tls_whatever_its_variables_say() {
    let far = fixture("dockerd");
    let directory = tempfile::tempdir().unwrap();
    let environment = Environment::capture()
        .with("DOCKER_HOST", far["DOCKERD_TLS_HOST"].as_str())
        .with("DOCKER_TLS_VERIFY", "1")
        .with("DOCKER_CERT_PATH", far["DOCKERD_CERT_PATH"].as_str());
    let (engine, endpoint) = engine(directory.path(), &environment).await;
    let file = format!("services: {{ db: {{ image: {BASE}, command: [sleep, '600'] }} }}");
    let stage = Stage::on(engine, endpoint, directory, "far", &file);
    let started = stage.start(&["db"]).await.unwrap().unwrap();
    let project = stage.project();
    let label = format!("label=com.docker.compose.project={project}");
    let there = || docker_at(&far["DOCKERD_HOST"], &["ps", "-aq", "--no-trunc", "--filter", &label]);
    assert_eq!(there().trim(), started.services[0].containers[0]);
    assert_eq!(inventory(&project), Vec::<String>::new());
    stage.end().await;
    assert_eq!(there(), "");
}

/// In the process that is to be killed: the directory for its journal.
const VICTIM: &str = "DOCKER_TEST_COMPOSE_VICTIM";

#[tokio::test]
async fn what_a_killed_run_left_is_swept_without_the_tool() {
    if let Some(directory) = std::env::var_os(VICTIM) {
        let directory = PathBuf::from(directory);
        let (engine, endpoint) = engine(&directory, &Environment::capture()).await;
        let limit = Duration::from_mins(10);
        let ledger = RunLedger::begin(&directory, engine.address(), "compose", None, limit).unwrap();
        println!("victim {}", ledger.run_id());
        let tool = ComposeTool::find(&Environment::capture(), &endpoint, Arc::default()).await.unwrap();
        let project = Project::load(tool, &["compose.yaml".into()], &directory).await.unwrap();
        let (engine, ready) = (&engine, Duration::from_mins(1));
        let context = ComposeContext { engine, ledger: &ledger, join: false, setup: DEFAULT_SETUP, ready };
        let (_canceller, mut interrupts) = signal::channel();
        project.start(&names(&["api"]), &context, &mut interrupts).await.unwrap().unwrap();
        println!("victim is up");
        std::future::pending::<()>().await;
    }
    // In the middle of the tool's calls, and when all is up.
    for delay in [Some(1500), Some(3000), Some(4500), None] {
        let stage = Stage::new(SHOP).await;
        let name = "compose::what_a_killed_run_left_is_swept_without_the_tool";
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(VICTIM, stage.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
        let run = lines.find_map(|line| Some(line.split_once("victim ")?.1.to_owned())).unwrap();
        match delay {
            Some(delay) => std::thread::sleep(Duration::from_millis(delay)),
            None => assert!(lines.any(|line| line == "victim is up")),
        }
        victim.kill().unwrap();
        victim.wait().unwrap();
        let project = format!("docker-test-{run}");
        if delay.is_none() {
            assert_eq!(states(&project), ["api running", "db running", "schema exited"]);
        }
        let journal = ledger::find_run(&stage.path(), &run).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let pruned =
            ledger::sweep(&stage.path(), &stage.engine, None, SweepOptions::default(), now).await.unwrap();
        assert!(pruned.iter().all(|entry| entry.error.is_none()), "{pruned:?}");
        assert_eq!(pruned.iter().any(|entry| entry.name == project), !journal.open().is_empty());
        // Nothing of the tool is left that could make more of it.
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(inventory(&project), Vec::<String>::new(), "killed after {delay:?}");
        assert!(ledger::find_run(&stage.path(), &run).is_none());
        eventually("the end of the tool", || (!is_at_work(&project)).then_some(()));
        wipe(&project);
    }
}

/// Whether a process has the project's name in its arguments.
fn is_at_work(project: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let arguments = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    arguments.into_iter().any(|line| String::from_utf8_lossy(&line).contains(project))
}
