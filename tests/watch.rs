//! The daemon as a process, beside servers on loopback that answer as the vendors do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the place")]

#[path = "fixtures/daemon.rs"]
mod daemon;
#[path = "fixtures/echo.rs"]
mod echo;
#[path = "fixtures/vendor.rs"]
#[expect(dead_code, reason = "other tests take more of it")]
mod vendor;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use daemon::{Daemon, until};
use docker_test::history::outbox::{Limits, Memo};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use vendor::{Request, Vendor};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const API_KEY: &str = "fedcba9876543210fedcba9876543210";

/// A directory with a docker-test.yaml, and the vendors that its daemon tells.
struct Scene {
    directory: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Scene {
    fn new(file: &str) -> Self {
        let scene = Self { directory: tempfile::tempdir().unwrap(), variables: Vec::new() };
        scene.write(file);
        scene
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn write(&self, file: &str) {
        // As an editor does it: another file in its place.
        let new = self.path().join("new");
        std::fs::write(&new, file).unwrap();
        std::fs::rename(new, self.path().join("docker-test.yaml")).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_docker-test"));
        command
            .args(["watch", "--no-labels"])
            .args(words)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path())
            .env("DOCKER_TEST_STATE_DIR", self.path().join("state"))
            .envs(self.variables.iter().map(|(name, value)| (*name, value.as_str())))
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    fn begin(&self, words: &[&str]) -> Daemon {
        let log = self.path().join("log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child = self.command(words).stderr(file).stdout(Stdio::null()).spawn().unwrap();
        Daemon { child, log }
    }
}

impl Daemon {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    #[track_caller]
    fn ends(mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        self.child.wait().unwrap().code()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}\n{}", text(&output.stdout), text(&output.stderr));
}

fn actions(requests: &[Request]) -> Vec<String> {
    let of = |request: &Request| request.json()["event_action"].as_str().unwrap_or_default().to_owned();
    requests.iter().filter(|request| request.line.contains("/v2/enqueue")).map(of).collect()
}

#[test]
fn a_service_that_dies_pages_once_though_the_daemon_is_killed_and_resolves_when_it_is_back() {
    let pagerduty = Vendor::start(202);
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = service.local_addr().unwrap();
    let file = format!(
        "version: 1\nprobes:\n  shop.tcp: {{ tcp: '{address}', schedule: R//PT1S, attempts: 1, host: staging }}\n"
    );
    let mut scene = Scene::new(&file);
    scene.variables = vec![("PAGERDUTY_ROUTING_KEY", KEY.to_owned()), ("PAGERDUTY_URL", pagerduty.url())];
    let daemon = scene.begin(&["--verbose"]);
    daemon.until_it_says("shop.tcp passed", 2);
    drop(service);
    daemon.until_it_says("shop.tcp failed", 2);
    until("page", || actions(&pagerduty.seen()) == ["trigger"], || format!("{:?}", pagerduty.seen()));
    assert_eq!(daemon.ends(Signal::SIGKILL), None);
    let failed =
        std::fs::read_to_string(scene.path().join("log")).unwrap().matches("shop.tcp failed").count();
    let daemon = scene.begin(&["--verbose"]);
    daemon.until_it_says("shop.tcp failed", failed + 2);
    let service = TcpListener::bind(address).unwrap();
    daemon.until_it_says("[resolved]", 1);
    until("resolve", || actions(&pagerduty.seen()).len() == 2, || format!("{:?}", pagerduty.seen()));
    drop(service);
    assert_eq!(actions(&pagerduty.seen()), ["trigger", "resolve"]);
    let keys: Vec<Value> =
        pagerduty.seen().iter().map(|request| request.json()["dedup_key"].clone()).collect();
    assert_eq!(keys[0], keys[1]);
    assert!(!daemon.said().contains(KEY), "{}", daemon.said());
    assert_eq!(daemon.ends(Signal::SIGTERM), Some(0), "it was asked to end");
}

#[test]
fn a_configuration_is_read_again_when_it_changes_and_a_bad_one_leaves_the_old_one_in_place() {
    let probe = |name: &str| format!("  {name}: {{ command: 'true', schedule: R//PT1S }}\n");
    let scene = Scene::new(&format!("version: 1\nprobes:\n{}", probe("one")));
    let daemon = scene.begin(&["--verbose"]);
    daemon.until_it_says("one passed", 1);
    scene.write("version: 1\nprobes:\n  one: { comand: 'true' }\n");
    daemon.until_it_says("the configuration cannot be used, and the one before stays", 1);
    assert!(daemon.said().contains("docker-test.yaml:3:10"), "{}", daemon.said());
    let passed = daemon.said().matches("one passed").count();
    daemon.until_it_says("one passed", passed + 1);
    scene.write(&format!("version: 1\nprobes:\n{}{}", probe("one"), probe("two")));
    daemon.until_it_says("two passed", 1);
    let read = daemon.said().matches("was read again").count();
    daemon.signal(Signal::SIGHUP);
    daemon.until_it_says("was read again", read + 1);
    scene.write(&format!("version: 1\nprobes:\n{}", probe("two")));
    daemon.until_it_says("watching 1 probe", 2);
    // A file that is away for a moment is no reason to forget what is open.
    let (file, away) = (scene.path().join("docker-test.yaml"), scene.path().join("away"));
    std::fs::rename(&file, &away).unwrap();
    daemon.until_it_says("is not there, and the configuration before stays", 1);
    let passed = daemon.said().matches("two passed").count();
    daemon.until_it_says("two passed", passed + 1);
    std::fs::rename(&away, &file).unwrap();
    assert_eq!(daemon.ends(Signal::SIGINT), Some(0));
}

#[test]
fn once_runs_what_is_due_and_passes_the_verdict_on() {
    let datadog = Vendor::start(202);
    let mut scene = Scene::new(
        "version: 1\nprobes:\n  good: { command: 'true', schedule: R//PT1H, host: a }\n  \
         later: { command: 'false', schedule: 'R/2999-01-01T00:00:00Z/P1D', host: a }\n",
    );
    scene.variables = vec![("DD_API_KEY", API_KEY.to_owned()), ("DD_URL", datadog.url())];
    assert_code(&scene.run(&["--once"]), 0);
    let series = datadog.take("/api/v2/series");
    assert!(series.iter().any(|request| request.body.contains("good.success")), "{series:?}");
    let second = scene.run(&["--once", "--verbose"]);
    assert_code(&second, 0);
    assert!(
        !text(&second.stderr).contains("good passed"),
        "it is due once an hour: {}",
        text(&second.stderr)
    );
    scene.write("version: 1\nprobes:\n  bad: { command: 'false', schedule: R//PT1H, attempts: 1 }\n");
    let failed = scene.run(&["--once", "--format", "json"]);
    assert_code(&failed, 1);
    let events: Vec<Value> =
        text(&failed.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        events.iter().any(|event| event["event"] == "ended" && event["verdict"] == "failed"),
        "{events:?}"
    );
    scene.write(
        "version: 1\nprobes:\n  odd: { command: [/no/such/program], schedule: R//PT1H, attempts: 1 }\n",
    );
    assert_code(&scene.run(&["--once"]), 125);
}

#[test]
fn what_is_open_of_an_engine_is_resolved_once_no_probe_waits_for_it_and_under_the_host_of_its_page() {
    let pagerduty = Vendor::start(202);
    let mut scene = Scene::new("version: 1\nprobes:\n  a: { command: 'true', on: deploy }\n");
    scene.variables = vec![
        ("PAGERDUTY_ROUTING_KEY", KEY.to_owned()),
        ("PAGERDUTY_URL", pagerduty.url()),
        ("DOCKER_CONTEXT", "nowhere".to_owned()),
        ("HOST", "after".to_owned()),
    ];
    let state = scene.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let store = docker_test::notify::outbox::open(&state, Limits::default()).unwrap();
    let text = r#"{"failing":1,"is_bad":true,"told":{"all":true},"host":"before"}"#.to_owned();
    let open = Memo { kind: "condition", name: "engine/nowhere".to_owned(), text };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.remember(open)).unwrap();
    drop(store);
    let daemon = scene.begin(&[]);
    daemon.until_it_says("watching 1 probe", 1);
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(pagerduty.seen().is_empty(), "it is followed: {:?}", pagerduty.seen());
    scene.write("version: 1\nprobes:\n  a: { command: 'true', schedule: '0 0 1 1 *' }\n");
    until("resolve", || actions(&pagerduty.seen()) == ["resolve"], || daemon.said());
    let resolve = pagerduty.seen()[0].json();
    assert_eq!(resolve["dedup_key"], "docker-test/nowhere/before/engine");
    assert_eq!(daemon.ends(Signal::SIGTERM), Some(0));
}

#[test]
fn a_job_whose_state_does_not_last_runs_what_cron_names_and_resolves_what_an_earlier_one_has_opened() {
    let pagerduty = Vendor::start(202);
    let mut scene = Scene::new(
        "version: 1\nprobes:\n  yearly: { command: 'test -e up', schedule: '0 0 29 2 *', attempts: 1, host: a }\n",
    );
    scene.variables = vec![("PAGERDUTY_ROUTING_KEY", KEY.to_owned()), ("PAGERDUTY_URL", pagerduty.url())];
    let key = |request: &Request| request.json()["dedup_key"].as_str().unwrap_or_default().to_owned();
    assert_code(&scene.run(&["--once", "--state-dir", "first"]), 1);
    let page = pagerduty.take("/v2/enqueue");
    assert_eq!(actions(&page), ["trigger"]);
    std::fs::write(scene.path().join("up"), "").unwrap();
    // What Kubernetes makes of an emptyDir.
    std::fs::create_dir(scene.path().join("second")).unwrap();
    assert_code(&scene.run(&["--once", "--state-dir", "second"]), 0);
    let resolved = pagerduty.take("/v2/enqueue");
    assert!(actions(&resolved).iter().all(|action| action == "resolve"), "{resolved:?}");
    assert!(resolved.iter().any(|end| key(end) == key(&page[0])), "{resolved:?}");
    assert_code(&scene.run(&["--once", "--state-dir", "second"]), 0);
    assert_eq!(actions(&pagerduty.take("/v2/enqueue")), [] as [&str; 0], "it was run, and nothing is open");
}

#[test]
fn a_daemon_whose_state_is_new_does_not_resolve_what_nobody_has_opened() {
    let pagerduty = Vendor::start(202);
    let mut scene =
        Scene::new("version: 1\nprobes:\n  one: { command: 'true', schedule: R//PT1S, host: a }\n");
    scene.variables = vec![("PAGERDUTY_ROUTING_KEY", KEY.to_owned()), ("PAGERDUTY_URL", pagerduty.url())];
    let daemon = scene.begin(&["--verbose"]);
    daemon.until_it_says("one passed", 2);
    assert_eq!(daemon.ends(Signal::SIGTERM), Some(0));
    assert_eq!(actions(&pagerduty.seen()), [] as [&str; 0]);
}

/// Limited to so many open files.
fn limited(scene: &Scene, limit: &str, words: &[&str]) -> Output {
    let own = scene.command(words);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")]).arg(own.get_program());
    command.args(own.get_args()).env_clear().current_dir(scene.path()).stdin(Stdio::null());
    command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.output().unwrap()
}

#[test]
fn a_want_of_descriptors_is_no_fault_of_the_services_that_cannot_be_looked_at() {
    use std::fmt::Write as _;
    // Connections are made, and nothing is answered.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let mut file = "version: 1\nprobes:\n".to_owned();
    for number in 0..60 {
        let check = match number % 3 {
            0 => format!("http: 'http://{address}/'"),
            1 => format!("tcp: {{ address: '{address}', expect: never }}"),
            _ => format!("dns: {{ name: example.org, server: '{address}' }}"),
        };
        writeln!(file, "  p{number}: {{ {check}, schedule: R//PT1H, attempts: 1, timeout: 2s }}").unwrap();
    }
    let scene = Scene::new(&file);
    let ran = limited(&scene, "-n 32", &["--once", "--format", "json"]);
    let said = text(&ran.stdout);
    let events = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ended: Vec<Value> = events.filter(|event| event["event"] == "ended").collect();
    assert_eq!(ended.len(), 60, "{said}\n{}", text(&ran.stderr));
    let short: Vec<&Value> =
        ended.iter().filter(|event| event.to_string().contains("(os error 24)")).collect();
    assert!(!short.is_empty(), "there were enough descriptors: {said}");
    for event in short {
        assert_eq!(event["verdict"], "errored", "{event}");
        assert!(event.to_string().contains("ulimit -n"), "{event}");
    }
}

#[test]
fn the_limit_of_open_files_is_raised_as_far_as_it_may_be_and_commands_inherit_it() {
    let scene = Scene::new(
        "version: 1\nprobes:\n  one: { command: 'ulimit -n > limit', schedule: R//PT1H, attempts: 1 }\n",
    );
    assert_code(&limited(&scene, "-Sn 128 && ulimit -Hn 512", &["--once"]), 0);
    assert_eq!(std::fs::read_to_string(scene.path().join("limit")).unwrap(), "512\n");
}

#[test]
fn ten_thousand_probes_of_one_file_are_watched() {
    use std::fmt::Write as _;
    let mut file = "version: 1\nprobes:\n".to_owned();
    for number in 0..10_000 {
        writeln!(
            file,
            "  p{number}: {{ http: {{ url: 'http://127.0.0.1:9/health', expect: {{ status: 200 }} }}, \
             schedule: R//PT1M, tags: [team:shop], alert: {{ failures: 2 }} }}"
        )
        .unwrap();
    }
    assert!(file.len() > 1 << 20, "defaults of flags are read from the same file, within the same bounds");
    let shown = Scene::new(&file).run(&["--dry-run"]);
    assert_code(&shown, 0);
    assert!(text(&shown.stdout).contains("p9999"), "{}", text(&shown.stderr));
}

#[test]
fn two_daemons_do_not_share_a_state_directory() {
    let scene = Scene::new("version: 1\nprobes:\n  one: { command: 'true', schedule: R//PT1H }\n");
    let daemon = scene.begin(&[]);
    daemon.until_it_says("watching 1 probe", 1);
    let second = scene.run(&["--once"]);
    assert_code(&second, 125);
    assert!(text(&second.stderr).contains("another docker-test watch works in"), "{}", text(&second.stderr));
    // However it ends, the next one can begin.
    assert_eq!(daemon.ends(Signal::SIGKILL), None);
    assert_code(&scene.run(&["--once"]), 0);
}

/// Whether a process is there and no zombie.
fn is_running(id: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// A probe that sleeps, and so does what it has left to nobody. Both write down who they are. A dollar is written twice.
const SLEEPERS: &str = r#"version: 1
probes:
  slow:
    command: "( setsid sh -c 'echo $$$$ > stray; exec sleep 600' & ); echo $$$$ > command; exec sleep 600"
    schedule: R//PT1S
"#;

impl Scene {
    fn sleepers(&self) -> [String; 2] {
        ["command", "stray"].map(|name| {
            let path = self.path().join(name);
            let read = || std::fs::read_to_string(&path).unwrap_or_default();
            until(name, || read().ends_with('\n'), String::new);
            // A number: anything else would not run either.
            read().trim().parse::<u32>().unwrap().to_string()
        })
    }
}

#[test]
fn what_a_killed_daemon_left_running_is_ended_by_the_next_start_and_nothing_else_is() {
    let living = Scene::new(SLEEPERS);
    let others_daemon = living.begin(&[]);
    let living = living.sleepers();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap().to_string_lossy().replace("pid:[", "");
    let namespace: u64 = namespace.trim_end_matches(']').parse().unwrap();
    let user = nix::unistd::geteuid().as_raw();
    // Their owners are not there: none at all, one of another namespace, one of another user.
    let others =
        ["", "odd", &format!("1:{user}:999999999:1:1"), &format!("{namespace}:{}:999999999:1:1", user + 1)]
            .map(|marks| {
                let mut command = Command::new("sleep");
                command.arg("600").env("DOCKER_TEST_STARTED_BY", marks).spawn().unwrap()
            });
    let scene = Scene::new(SLEEPERS);
    // Daemons of other tests end it as well, and say so: then this one says nothing.
    let is_said = (0..20).any(|_| {
        scene.write(SLEEPERS);
        let daemon = scene.begin(&[]);
        let left = scene.sleepers();
        assert_eq!(daemon.ends(Signal::SIGKILL), None);
        for name in ["command", "stray"] {
            std::fs::remove_file(scene.path().join(name)).unwrap();
        }
        scene.write("version: 1\nprobes:\n  good: { command: 'true', schedule: R//PT1S }\n");
        let next = scene.run(&["--once"]);
        assert_code(&next, 0);
        until("end", || !left.iter().any(|id| is_running(id)), || format!("{left:?}"));
        text(&next.stderr)
            .contains("docker-test watch: ended 2 processes that a killed run had left running\n")
    });
    assert!(is_said);
    for mut other in others {
        assert!(other.try_wait().unwrap().is_none(), "nobody's business");
        other.kill().unwrap();
        other.wait().unwrap();
    }
    for id in living {
        assert!(is_running(&id), "its daemon lives");
    }
    assert_eq!(others_daemon.ends(Signal::SIGTERM), Some(0));
}

#[test]
fn a_daemon_that_is_asked_to_end_leaves_no_session_of_a_command() {
    let scene = Scene::new(SLEEPERS);
    let daemon = scene.begin(&[]);
    let left = scene.sleepers();
    assert_eq!(daemon.ends(Signal::SIGTERM), Some(0));
    assert!(!left.iter().any(|id| is_running(id)), "{left:?}");
}

#[test]
fn what_would_be_watched_is_shown_without_running_anything() {
    let scene = Scene::new(
        "version: 1\nprobes:\n  a: { command: 'touch ran', schedule: R/2020-01-01T00:00:00Z/PT1H }\n  \
         b: { tcp: 'x:1', on: deploy, type: security }\n",
    );
    let shown = scene.run(&["--dry-run"]);
    assert_code(&shown, 0);
    let shown = text(&shown.stdout);
    assert!(shown.contains("R/2020-01-01T00:00:00Z/PT1H") && shown.contains("deploy"), "{shown}");
    let json = scene.run(&["--dry-run", "--format", "json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json[0]["name"], &json[1]["type"]), (&"a".into(), &"security".into()));
    assert!(json[0]["next"].is_i64() && json[1]["next"].is_null(), "{json}");
    assert!(!scene.path().join("ran").exists());
}

#[test]
fn nothing_to_watch_is_refused() {
    let scene = Scene::new("version: 1\n");
    for _ in 0..2 {
        let nothing = scene.run(&["--once"]);
        assert_code(&nothing, 125);
        assert!(text(&nothing.stderr).contains("nothing to watch"), "{}", text(&nothing.stderr));
        let _gone = std::fs::remove_file(scene.path().join("docker-test.yaml"));
    }
}

const TOKEN: &str = "a-token-of-some-length";

/// Where the daemon serves its page.
#[track_caller]
fn page_of(daemon: &Daemon) -> String {
    daemon.until_it_says("the status page is at http://", 1);
    let said = daemon.said();
    said.rsplit("the status page is at http://").next().unwrap().split('/').next().unwrap().to_owned()
}

/// Status and body of what a page answers.
fn asked(address: &str, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{token}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn a_page_that_others_reach_needs_a_token_and_a_weak_one_is_none() {
    let scene = Scene::new("version: 1\nprobes:\n  one: { command: 'true', schedule: R//PT1H }\n");
    let refused = |words: &[&str], expected: &str| {
        let output = scene.run(words);
        assert_code(&output, 125);
        let said = text(&output.stderr);
        assert!(said.contains(expected) && said.contains("hint:"), "{said}");
    };
    refused(
        &["--listen", "0.0.0.0:0"],
        "0.0.0.0:0 can be reached from other machines, and there is no token",
    );
    std::fs::write(scene.path().join("token"), "short\n").unwrap();
    refused(
        &["--listen", "127.0.0.1:0", "--token-file", "token"],
        "token: the token has 5 characters, expected 16",
    );
    let missing = scene.run(&["--listen", "127.0.0.1:0", "--token-file", "nowhere"]);
    assert_code(&missing, 125);
    assert!(text(&missing.stderr).contains("nowhere"), "{}", text(&missing.stderr));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _taken = TcpListener::bind(taken).unwrap();
    refused(&["--listen", &taken.to_string()], &format!("cannot listen on {taken}"));
    let wrong = scene.run(&["--listen", "8099"]);
    assert_code(&wrong, 125);
    assert!(text(&wrong.stderr).contains("such as 127.0.0.1:8099"), "{}", text(&wrong.stderr));
}

#[test]
fn by_token_a_probe_is_run_and_silenced_and_the_token_reaches_nothing_that_runs() {
    let file = "version: 1\nprobes:\n  one: { command: 'env > seen; exit 1', schedule: '0 0 1 1 *', attempts: 1, host: a }\n";
    let pagerduty = Vendor::start(202);
    let mut scene = Scene::new(file);
    scene.variables = vec![
        ("DOCKER_TEST_WATCH_TOKEN", TOKEN.to_owned()),
        ("PAGERDUTY_ROUTING_KEY", KEY.to_owned()),
        ("PAGERDUTY_URL", pagerduty.url()),
    ];
    let daemon = scene.begin(&["--listen", "localhost:0", "--verbose"]);
    let page = page_of(&daemon);
    // The page is there before its probes are.
    daemon.until_it_says("watching 1 probe", 1);
    let (status, body) = asked(&page, "GET", "/api/v1/probes/one", None, "");
    assert_eq!((status, body.contains("\"condition\":\"pending\"")), (200, true), "{body}");
    let run = "/api/v1/probes/one/run";
    assert_eq!(asked(&page, "POST", run, None, "").0, 401);
    assert_eq!(asked(&page, "POST", run, Some("another-token-than-ours"), "").0, 401);
    let silence = r#"{"probes": "o*", "for": "1h", "reason": "moving"}"#;
    let (status, made) = asked(&page, "POST", "/api/v1/silences", Some(TOKEN), silence);
    assert_eq!(status, 201, "{made}");
    assert_eq!(asked(&page, "POST", run, Some(TOKEN), "").0, 202);
    daemon.until_it_says("one failed", 1);
    let (_, runs) = asked(&page, "GET", "/api/v1/probes/one/runs", None, "");
    assert!(runs.contains("\"verdict\":\"failed\""), "{runs}");
    assert!(actions(&pagerduty.seen()).is_empty(), "it is silenced");
    let made: Value = serde_json::from_str(&made).unwrap();
    let lift = format!("/api/v1/silences/{}", made["id"].as_str().unwrap());
    assert_eq!(asked(&page, "DELETE", &lift, Some(TOKEN), "").0, 204);
    assert_eq!(asked(&page, "DELETE", &lift, Some(TOKEN), "").0, 404);
    assert_eq!(asked(&page, "POST", run, Some(TOKEN), "").0, 202);
    until("page", || actions(&pagerduty.seen()) == ["trigger"], || format!("{:?}", pagerduty.seen()));
    let seen = std::fs::read_to_string(scene.path().join("seen")).unwrap();
    assert!(!seen.contains(TOKEN) && seen.contains("PAGERDUTY_URL"), "{seen}");
    let (_, metrics) = asked(&page, "GET", "/metrics", None, "");
    assert!(
        metrics.contains("docker_test_probe_success{probe=\"one\",host=\"a\",type=\"integration\"} 0"),
        "{metrics}"
    );
    for text in [daemon.said(), metrics, runs] {
        assert!(!text.contains(TOKEN) && !text.contains(KEY), "{text}");
    }
    assert_eq!(daemon.ends(Signal::SIGTERM), Some(0));
    assert!(TcpStream::connect(page).is_err(), "nothing listens any more");
}

#[test]
fn a_reader_that_has_stopped_holds_up_no_run() {
    let probe = |number| {
        format!("  p{number}: {{ command: 'echo >> ran; exit 1', schedule: R//PT1S, attempts: 1 }}\n")
    };
    let probes: String = (0..40).map(probe).collect();
    let scene = Scene::new(&format!("version: 1\nprobes:\n{probes}"));
    let mut command = scene.command(&["--format", "json", "--verbose"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let runs = || std::fs::read(scene.path().join("ran")).map_or(0, |ran| ran.len());
    // A pipe holds 64 KiB, and each run is told of in some hundred bytes.
    until("runs", || runs() > 400, || runs().to_string());
    drop(child.stdout.take());
    drop(child.stderr.take());
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn where_no_state_lasts_the_policy_holds_and_passes_do_not_flood_the_sinks() {
    let pagerduty = Vendor::start(202);
    let file = "version: 1\nprobes:\n  shop: { command: 'test ! -e down', schedule: R//PT1S, attempts: 1, host: a }\n\
                alert: { failures: 2 }\n";
    let mut scene = Scene::new(file);
    // Nothing can be kept in it.
    std::fs::write(scene.path().join("state"), "").unwrap();
    scene.variables = vec![("PAGERDUTY_ROUTING_KEY", KEY.to_owned()), ("PAGERDUTY_URL", pagerduty.url())];
    let daemon = scene.begin(&["--listen", "127.0.0.1:0", "--verbose"]);
    let page = page_of(&daemon);
    daemon.until_it_says("shop passed", 4);
    // Whether an incident of an earlier daemon is open is not known: each subject is resolved once.
    until("resolves", || actions(&pagerduty.seen()).len() == 2, || format!("{:?}", pagerduty.seen()));
    let (_, metrics) = asked(&page, "GET", "/metrics", None, "");
    assert!(metrics.contains("docker_test_watch_problems 1\n"), "{metrics}");
    std::fs::write(scene.path().join("down"), "").unwrap();
    daemon.until_it_says("shop failed", 4);
    until("page", || actions(&pagerduty.seen()).len() == 3, || format!("{:?}", pagerduty.seen()));
    let said = daemon.said();
    let failures: Vec<&str> = said.lines().filter(|line| line.contains("shop failed")).collect();
    assert!(!failures[0].contains("[alert]") && failures[1].contains("[alert]"), "{failures:?}");
    std::fs::remove_file(scene.path().join("down")).unwrap();
    daemon.until_it_says("[resolved]", 1);
    until("resolve", || actions(&pagerduty.seen()).len() == 4, || format!("{:?}", pagerduty.seen()));
    assert_eq!(actions(&pagerduty.seen())[2..], ["trigger", "resolve"]);
    assert_eq!(daemon.ends(Signal::SIGTERM), Some(0));
}

#[test]
fn what_is_most_likely_a_mistake_is_said_with_its_place_before_anything_runs() {
    let file = "version: 1\nprobes:\n  one: { command: 'true', schedule: R//PT1H }\n\
                alert:\n  escalation: [{ sinks: slack }]\n  silences:\n    \
                - { from: 2026-12-24T00:00:00Z, until: 2026-12-26T00:00:00Z, probes: 'two*' }\n\
                notify:\n  prometheus: { textfile: metrics }\n";
    let scene = Scene::new(file);
    let shown = scene.run(&["--dry-run"]);
    assert_code(&shown, 0);
    let said = text(&shown.stderr);
    for expected in [
        "docker-test.yaml:5:3: alert.escalation names slack, and there is no such sink",
        "docker-test.yaml:7:66: alert.silences.0.probes: expected names of probes, and no probe of the file is two*",
        "docker-test.yaml:9:17: notify.prometheus.textfile: expected a directory that is there",
        "no sink for alerts is configured (pagerduty, slack, webhook): results are measured, and nobody is paged",
    ] {
        assert_eq!(said.matches(expected).count(), 1, "no {expected}: {said}");
    }
    std::fs::create_dir(scene.path().join("metrics")).unwrap();
    scene.write(
        &file
            .replace("sinks: slack", "after: 1")
            .replace("'two*'", "'o*'")
            .replace("notify:\n", "notify:\n  pagerduty: { routing_key: env:PAGERDUTY_ROUTING_KEY }\n"),
    );
    let mut command = scene.command(&["--dry-run"]);
    let shown = command.env("PAGERDUTY_ROUTING_KEY", KEY).output().unwrap();
    assert_code(&shown, 0);
    assert_eq!(text(&shown.stderr), "");
}

#[test]
fn of_a_key_that_a_reload_brings_no_part_is_left_where_a_line_is_cut() {
    let pagerduty = Vendor::start(202);
    let url = pagerduty.url();
    let file = |key: &str, command: &str| {
        format!(
            "version: 1\nprobes:\n  one: {{ command: \"{command}\", schedule: R//PT1S, attempts: 1 }}\n\
             notify:\n  pagerduty: {{ routing_key: {key}, url: '{url}' }}\n"
        )
    };
    let scene = Scene::new(&file(KEY, "true"));
    let daemon = scene.begin(&["--verbose"]);
    daemon.until_it_says("one passed", 1);
    scene.write(&file(API_KEY, &format!("printf '%0180d%s' 0 {API_KEY}; exit 1")));
    daemon.until_it_says("one failed", 1);
    daemon.until_it_says("000***", 1);
    until("page", || !pagerduty.seen().is_empty(), || daemon.said());
    let told = format!("{} {}", daemon.said(), pagerduty.seen()[0].json()["payload"]);
    assert!(!(0..=API_KEY.len() - 6).any(|at| told.contains(&API_KEY[at..at + 6])), "{told}");
    assert_eq!(daemon.ends(Signal::SIGTERM), Some(0));
}

#[test]
fn a_key_that_a_reload_brings_is_hidden_from_then_on() {
    let file = |key: &str| {
        format!(
            "version: 1\nprobes:\n  one: {{ command: 'true', schedule: '0 0 1 1 *' }}\n\
             notify:\n  pagerduty: {{ routing_key: {key} }}\n"
        )
    };
    let mut scene = Scene::new(&file(KEY));
    scene.variables = vec![("DOCKER_TEST_WATCH_TOKEN", TOKEN.to_owned())];
    let daemon = scene.begin(&["--listen", "127.0.0.1:0"]);
    let page = page_of(&daemon);
    daemon.until_it_says("watching 1 probe", 1);
    scene.write(&file(API_KEY));
    daemon.until_it_says("was read again", 1);
    // People paste what they have at hand. What was a key before the reload still is one.
    for (number, key) in [API_KEY, KEY].into_iter().enumerate() {
        let silence = format!(r#"{{"probes": "two", "for": "1h", "reason": "rotating {key}"}}"#);
        let (status, made) = asked(&page, "POST", "/api/v1/silences", Some(TOKEN), &silence);
        assert_eq!(status, 201, "{made}");
        assert_eq!(serde_json::from_str::<Value>(&made).unwrap()["matches"], 0);
        daemon.until_it_says("asked to silence two", number + 1);
    }
    let said = daemon.said();
    assert!(
        said.matches("rotating ***").count() == 2 && !said.contains(API_KEY) && !said.contains(KEY),
        "{said}"
    );
    assert_eq!(daemon.ends(Signal::SIGTERM), Some(0));
}

#[test]
fn keys_of_probes_are_hidden_in_all_that_is_told_kept_and_shown_also_those_of_before_a_reload() {
    let (echo, pagerduty) = (echo::start(), Vendor::start(202));
    let file = |key: &str, other: &str| {
        format!(
            "version: 1\nprobes:\n  echo:\n    schedule: '0 0 1 1 *'\n    attempts: 1\n    host: env:HOST\n    http:\n      \
             url: 'http://user:passw0rd@{echo}/?page=the-second&sig=${{SIG}}'\n      headers: {{ authorization: env:AUTH, \
             x-api-key: {key}, x-shop: '${{HOST}}', x-caller: 'me ${{CALLER}}' }}\n{other}"
        )
    };
    let mut scene = Scene::new(&file("some-literal", ""));
    scene.variables = [
        ("DOCKER_TEST_WATCH_TOKEN", TOKEN),
        ("PAGERDUTY_ROUTING_KEY", KEY),
        ("HOST", "shop.staging"),
        ("AUTH", "Bearer of-the-bearer"),
        ("CALLER", "of-the-caller"),
        ("SIG", "of-the+query/=="),
        ("NOTED", "of-the-note"),
        ("DOCKER_TEST_REDACT", "NOTED"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec();
    scene.variables.push(("PAGERDUTY_URL", pagerduty.url()));
    let log = scene.path().join("log");
    let [out, err] = ["out", "log"].map(|name| std::fs::File::create(scene.path().join(name)).unwrap());
    let mut command = scene.command(&["--listen", "127.0.0.1:0", "--format", "json", "--verbose"]);
    let daemon = Daemon { child: command.stdout(out).stderr(err).spawn().unwrap(), log };
    let page = page_of(&daemon);
    daemon.until_it_says("watching 1 probe", 1);
    let run = |name: &str| {
        let path = format!("/api/v1/probes/{name}/run");
        assert_eq!(asked(&page, "POST", &path, Some(TOKEN), "").0, 202);
    };
    run("echo");
    daemon.until_it_says("echo failed", 1);
    // Another key, and a service that still repeats the one before.
    let other = "  late: { command: 'echo seen some-literal another-literal $NOTED; exit 1', schedule: '0 0 1 1 *', \
                 attempts: 1 }\n";
    scene.write(&file("another-literal", other));
    daemon.until_it_says("watching 2 probes", 1);
    run("echo");
    daemon.until_it_says("echo failed", 2);
    run("late");
    daemon.until_it_says("late failed", 1);
    until("pages", || actions(&pagerduty.seen()).len() >= 2, || format!("{:?}", pagerduty.seen()));
    let pages: String = pagerduty.seen().into_iter().map(|page| page.body).collect();
    let mut shown = String::new();
    for path in
        ["/api/v1/probes", "/api/v1/probes/echo", "/api/v1/probes/echo/runs", "/api/v1/probes/late/runs"]
    {
        let (status, body) = asked(&page, "GET", path, None, "");
        assert_eq!(status, 200, "{path}: {body}");
        shown.push_str(&body);
    }
    for path in ["/", "/probes/echo", "/metrics"] {
        shown.push_str(&asked(&page, "GET", path, None, "").1);
    }
    let told = std::fs::read_to_string(scene.path().join("out")).unwrap();
    let said = daemon.said();
    assert_eq!(daemon.ends(Signal::SIGTERM), Some(0));
    let keys = [
        "of-the-bearer",
        "some-literal",
        "another-literal",
        "passw0rd",
        "dXNlcjpwYXNzdzByZA",
        "of-the+query",
        "of-the-caller",
        "of-the-note",
    ];
    let kept = echo::kept(&scene.path().join("state"));
    for (place, bytes) in [
        ("stdout", told.as_bytes()),
        ("stderr", said.as_bytes()),
        ("a page", pages.as_bytes()),
        ("the status page", shown.as_bytes()),
        ("the state", &kept),
    ] {
        echo::assert_hidden(&keys, place, bytes);
    }
    for expected in [
        "seen authorization: ***",
        "Basic ***",
        "seen x-api-key: ***",
        "seen x-caller: me ***",
        "seen x-shop: shop.staging",
        "/?page=the-second&sig=*** HTTP",
        "seen *** *** ***",
    ] {
        for text in [&told, &pages, &shown] {
            assert!(text.contains(expected), "no {expected}: {text}");
        }
    }
}
