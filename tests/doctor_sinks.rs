//! `docker-test doctor` as a process, and what it finds out about sinks: beside servers on loopback that answer as the
//! vendors do, and without an engine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the place")]

#[path = "fixtures/vendor.rs"]
#[expect(dead_code, reason = "other tests take more of it")]
mod vendor;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;
use vendor::Vendor;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const API_KEY: &str = "fedcba9876543210fedcba9876543210";
const HOOK: &str = "/services/T00000000/B00000000/XXXXsecretXXXXsecretXXXX";
const VALID: &str = "{\"valid\":true}";

/// A directory, and the variables of the program in it.
struct Scene {
    directory: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Scene {
    fn new(variables: &[(&'static str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { directory: tempfile::tempdir().unwrap(), variables }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn run(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_docker-test"))
            .arg("doctor")
            .args(words)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path())
            .env("DOCKER_HOST", "unix:///nonexistent.sock")
            .env("DOCKER_TEST_STATE_DIR", self.path().join("state"))
            .envs(self.variables.iter().map(|(name, value)| (*name, value.as_str())))
            .current_dir(self.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What is found about sinks and the clock. No secret is in it, as text or as JSON.
    fn findings(&self) -> Vec<Finding> {
        for words in [&[][..], &["--format", "json"]] {
            let output = self.run(words);
            // There is no engine.
            assert_eq!(output.status.code(), Some(125));
            let said = text(&output.stdout) + &text(&output.stderr);
            for secret in [KEY, API_KEY, HOOK, "XXXXsecretXXXXsecretXXXX", "hunter2hunter2"] {
                assert!(!said.contains(secret), "{said}");
            }
        }
        let all: Vec<Value> = serde_json::from_slice(&self.run(&["--format", "json"]).stdout).unwrap();
        let is_ours = |finding: &&Value| finding["check"] == "sinks" || finding["check"] == "clock";
        all.iter().filter(is_ours).map(Finding::of).collect()
    }
}

/// Of a finding.
#[derive(Debug, PartialEq)]
struct Finding {
    check: String,
    level: String,
    message: String,
    hint: String,
}

impl Finding {
    fn of(finding: &Value) -> Self {
        let field = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        Self { check: field("check"), level: field("level"), message: field("message"), hint: field("hint") }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The header of a server whose clock is right but for so many seconds.
fn date(seconds: i64) -> String {
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let at = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    format!("date: {}\r\n", at.format(format).unwrap())
}

/// Where nothing listens.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[track_caller]
fn only(findings: &[Finding], level: &str) -> (String, String) {
    let [finding] = findings else { panic!("{findings:?}") };
    assert_eq!((finding.check.as_str(), finding.level.as_str()), ("sinks", level), "{finding:?}");
    (finding.message.clone(), finding.hint.clone())
}

#[test]
fn without_a_sink_nothing_is_wrong() {
    let (message, hint) = only(&Scene::new(&[]).findings(), "ok");
    assert_eq!((message.as_str(), hint.as_str()), ("none configured: nobody is told of probes", ""));
}

#[test]
fn good_keys_are_accepted_by_questions_that_change_nothing() {
    let datadog = Vendor::replying(200, &date(-20), VALID);
    let pagerduty = Vendor::start(202);
    let slack = Vendor::replying(400, "", "no_text");
    let ping = Vendor::start(200);
    let hook = format!("{}{HOOK}", slack.url());
    let check = format!("{}/ping/hunter2hunter2", ping.url());
    let scene = Scene::new(&[
        ("DD_API_KEY", API_KEY),
        ("DD_URL", &datadog.url()),
        ("PAGERDUTY_ROUTING_KEY", KEY),
        ("PAGERDUTY_URL", &pagerduty.url()),
        ("SLACK_WEBHOOK_URL", &hook),
        ("PING_URL", &check),
    ]);
    let findings = scene.findings();
    assert!(findings.iter().all(|finding| finding.level == "ok"), "{findings:?}");
    let messages: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
    let expected = [
        format!("datadog: {} accepts the key", datadog.url()),
        format!("pagerduty: {} accepts the key", pagerduty.url()),
        format!("slack: {} has this webhook", slack.url()),
        format!(
            "ping: {} can be reached; it was not asked, because a request would count as a ping",
            ping.url()
        ),
        "within a minute of that of datadog".to_owned(),
    ];
    assert_eq!(messages, expected);
    let asked = |vendor: &Vendor| {
        let requests = vendor.seen();
        let first = requests.first().map(|request| (request.line.clone(), request.body.clone()));
        first.map(|(line, body)| (line.trim_end_matches(" HTTP/1.1").to_owned(), body))
    };
    assert_eq!(asked(&datadog), Some(("GET /api/v1/validate".to_owned(), String::new())));
    assert_eq!(asked(&slack), Some((format!("POST {HOOK}"), "{}".to_owned())));
    assert_eq!(asked(&ping), None);
    let event = pagerduty.seen()[0].json();
    assert_eq!((&event["event_action"], event.get("payload")), (&"resolve".into(), None));
    assert_eq!(datadog.seen().len(), 3, "once a run, though DataDog is three sinks");
}

#[test]
fn a_refused_key_is_a_problem_with_a_hint() {
    // A vendor that quotes what it was sent must not get it shown.
    let quoted = format!("{{\"errors\":[\"Forbidden: {API_KEY}\"]}}");
    let datadog = Vendor::replying(403, "", &quoted);
    let scene = Scene::new(&[("DD_API_KEY", API_KEY), ("DD_URL", &datadog.url())]);
    let (message, hint) = only(&scene.findings(), "problem");
    assert!(message.contains("refuses the key: HTTP status 403") && message.contains("***"), "{message}");
    assert!(hint.contains("datadoghq.eu") && hint.contains("ap2.datadoghq.com"), "{hint}");
    let pagerduty =
        Vendor::replying(400, "", "{\"status\":\"invalid event\",\"errors\":[\"Invalid routing key\"]}");
    let scene = Scene::new(&[("PAGERDUTY_ROUTING_KEY", KEY), ("PAGERDUTY_URL", &pagerduty.url())]);
    let (message, hint) = only(&scene.findings(), "problem");
    assert!(message.contains("Invalid routing key"), "{message}");
    assert!(hint.contains("integration of Events API v2"), "{hint}");
}

#[test]
fn a_key_of_the_wrong_form_is_a_problem_before_anybody_is_asked() {
    let scene = Scene::new(&[("PAGERDUTY_ROUTING_KEY", "hunter2hunter2")]);
    let (message, hint) = only(&scene.findings(), "problem");
    assert!(message.contains("expected the 32 letters and digits of an integration key"), "{message}");
    assert!(hint.contains("PAGERDUTY_ROUTING_KEY"), "{hint}");
}

#[test]
fn a_dead_webhook_of_slack_is_a_problem() {
    let slack = Vendor::replying(404, "", "no_service");
    let hook = format!("{}{HOOK}", slack.url());
    let (message, hint) = only(&Scene::new(&[("SLACK_WEBHOOK_URL", &hook)]).findings(), "problem");
    assert!(message.contains("no_service"), "{message}");
    assert!(hint.contains("make a new one"), "{hint}");
}

#[test]
fn a_server_that_is_down_is_a_problem_and_one_in_trouble_a_warning() {
    let nowhere = closed();
    let hook = format!("{nowhere}{HOOK}");
    let (message, hint) = only(&Scene::new(&[("SLACK_WEBHOOK_URL", &hook)]).findings(), "problem");
    assert!(message.starts_with(&format!("slack: {nowhere}: ")) && message.contains("refused"), "{message}");
    assert!(hint.contains("HTTPS_PROXY"), "{hint}");
    for status in [429, 503] {
        let pagerduty = Vendor::replying(status, "", "");
        let scene = Scene::new(&[("PAGERDUTY_ROUTING_KEY", KEY), ("PAGERDUTY_URL", &pagerduty.url())]);
        let (message, hint) = only(&scene.findings(), "warning");
        assert!(message.contains(&format!("HTTP status {status}")), "{message}");
        assert!(hint.contains("try again later"), "{hint}");
    }
}

#[test]
fn a_receiver_of_otlp_is_asked_without_metrics_and_grpc_is_said() {
    let receiver = Vendor::replying(200, "", "{\"partialSuccess\":{}}");
    let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url());
    let header = ("OTEL_EXPORTER_OTLP_HEADERS", format!("api-key={API_KEY}"));
    let scene = Scene::new(&[(base.0, &base.1), (header.0, &header.1)]);
    let (message, _) = only(&scene.findings(), "ok");
    assert_eq!(message, format!("otlp: {} takes metrics", receiver.url()));
    let asked = receiver.seen().remove(0);
    assert_eq!(
        (asked.line.as_str(), asked.body.as_str()),
        ("POST /v1/metrics HTTP/1.1", "{\"resourceMetrics\":[]}")
    );
    assert!(asked.headers.contains(&format!("api-key: {API_KEY}")), "{}", asked.headers);

    let closed =
        Vendor::replying(401, "", &format!("{{\"code\":16,\"message\":\"no such key: {API_KEY}\"}}"));
    let scene = Scene::new(&[(base.0, &closed.url()), (header.0, &header.1)]);
    let (message, hint) = only(&scene.findings(), "problem");
    assert!(message.ends_with("refuses the key: HTTP status 401: no such key: ***"), "{message}");
    assert!(hint.contains("OTEL_EXPORTER_OTLP_HEADERS"), "{hint}");

    let scene = Scene::new(&[(base.0, &base.1), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    assert_eq!(only(&scene.findings(), "ok").0, "none configured: nobody is told of probes");
    let said = text(&scene.run(&[]).stderr);
    assert!(said.contains("warning: OTEL_EXPORTER_OTLP_ENDPOINT is not used: "), "{said}");
}

#[test]
fn a_clock_that_is_off_is_found_out_by_the_date_of_an_answer() {
    for (seconds, level, way) in
        [(7200, "problem", "behind"), (-7200, "problem", "ahead of"), (300, "warning", "behind")]
    {
        let datadog = Vendor::replying(200, &date(seconds), VALID);
        let scene = Scene::new(&[("DD_API_KEY", API_KEY), ("DD_URL", &datadog.url())]);
        let findings = scene.findings();
        let clock = findings.iter().find(|finding| finding.check == "clock").unwrap();
        assert_eq!(clock.level, level, "{clock:?}");
        assert!(clock.message.ends_with(&format!("{way} that of datadog")), "{clock:?}");
        assert!(clock.hint.contains("NTP"), "{clock:?}");
    }
}

#[test]
fn a_mistyped_site_is_doubted_and_the_nearest_named() {
    // No name is looked up: the proxy, which is not there, would do that.
    let proxy = closed();
    let scene = Scene::new(&[("DD_API_KEY", API_KEY), ("DD_SITE", "datadoghq.co"), ("HTTPS_PROXY", &proxy)]);
    let findings = scene.findings();
    assert_eq!(
        (findings[0].level.as_str(), findings[1].level.as_str()),
        ("warning", "problem"),
        "{findings:?}"
    );
    assert_eq!(findings[0].message, "datadog: datadoghq.co is no site of DataDog that is known");
    assert!(findings[0].hint.starts_with("did you mean datadoghq.com?"), "{findings:?}");
}

#[test]
fn sinks_of_the_file_are_looked_at_by_their_names_and_those_of_variables_are_not() {
    let slack = Vendor::replying(400, "", "no_text");
    let scene = Scene::new(&[("HOOK", &format!("{}{HOOK}", slack.url())), ("PAGERDUTY_ROUTING_KEY", KEY)]);
    let file = "version: 1\nprobes:\n  shop: { tcp: 'x:1', schedule: R//PT1H }\nnotify:\n  \
                slack.operations: { url: env:HOOK }\n  prometheus: { textfile: metrics }\n";
    std::fs::write(scene.path().join("other.yaml"), file).unwrap();
    let look = || -> Vec<Finding> {
        let output = scene.run(&["--suite", "other.yaml", "--format", "json"]);
        let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        all.iter().filter(|finding| finding["check"] == "sinks").map(Finding::of).collect()
    };
    let findings = look();
    let [first, second] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!(first.message, format!("slack.operations: {} has this webhook", slack.url()));
    assert_eq!(second.level, "problem");
    assert!(second.message.starts_with("prometheus-textfile: cannot write to "), "{second:?}");
    std::fs::create_dir(scene.path().join("metrics")).unwrap();
    assert!(look().iter().all(|finding| finding.level == "ok"), "{:?}", look());
    // A file that cannot be used is a finding, too, and its keys are not quoted.
    std::fs::write(
        scene.path().join("docker-test.yaml"),
        "version: 1\nnotify:\n  slack: { url: hunter2hunter2 }\n",
    )
    .unwrap();
    let (message, _) = only(&scene.findings(), "problem");
    assert!(message.contains("docker-test.yaml:3:"), "{message}");
}
