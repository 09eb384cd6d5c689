//! What monitoring systems are told, against what people read and copy: the tables of docs/metrics.md, the monitors and
//! alert rules of examples/monitoring.
//!
//! The names are taken from what the sinks really write, those of measures from the source of the checks.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the place")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use docker_test::notify::address::{Key, Url};
use docker_test::notify::datadog::{Base, DataDog, Feed};
use docker_test::notify::dogstatsd::{AgentAddress, DogStatsD};
use docker_test::notify::metrics::{MOST_MEASUREMENTS, MOST_NAME_CHARS, MOST_TAGS, UnifiedTags, tags};
use docker_test::notify::otlp::{Endpoint, Headers, Otlp};
use docker_test::notify::prometheus::exposition;
use docker_test::notify::{Notice, Notifier, Transmission};
use docker_test::probe::{Attempt, Identity, Measurement, Observation, ProbeRun, State, Verdict};
use serde_json::Value;

/// Name of the probe here. No letter of it is part of another name.
const PROBE: &str = "QQQ";
const MEASURE: &str = "WWW";
const BOTH: &str = "DataDog, DogStatsD";
/// Where metrics arrive under DataDog's names.
const THREE: &str = "DataDog, DogStatsD, OTLP";

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cells of each row of the first table below a heading of docs/metrics.md.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let text = read("docs/metrics.md");
    let (_, part) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let table =
        part.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = table.skip(2).map(cells).collect();
    assert!(rows.len() > 5, "{heading}: {rows:?}");
    rows
}

/// What stands between backticks.
fn code(cell: &str) -> String {
    cell.trim_matches('`').to_owned()
}

fn unified() -> UnifiedTags {
    let of = |text: &str| Some(text.to_owned());
    UnifiedTags { env: of("prod"), service: of("shop"), version: of("1"), tags: vec!["key:a".to_owned()] }
}

fn identity() -> Identity {
    Identity {
        name: PROBE.to_owned(),
        kind: "integration".to_owned(),
        host: "staging.example".to_owned(),
        tags: vec!["key:b".to_owned()],
    }
}

fn attempt(number: u32, state: State) -> Attempt {
    let measurements = vec![Measurement { name: MEASURE.to_owned(), value: 1.5, unit: "x".to_owned() }];
    let seen = Observation { state, summary: "seen".to_owned(), output: String::new(), measurements };
    Attempt { number, started_at: 1_772_366_400, seconds: 1.0, seen, timed_out: false, cleanup: None }
}

fn run() -> ProbeRun {
    ProbeRun {
        id: "run-1".to_owned(),
        probe: identity(),
        started_at: 1_772_366_400,
        seconds: 2.0,
        attempts: vec![attempt(1, State::Critical), attempt(2, State::Ok)],
        error: None,
    }
}

/// Every notice that has metrics, and when it is sent.
fn notices() -> Vec<(&'static str, Notice)> {
    let attempted = |attempt| Notice::Attempted { run: "run-1".to_owned(), probe: identity(), attempt };
    vec![
        ("each attempt", attempted(attempt(1, State::Critical))),
        ("each attempt", attempted(attempt(2, State::Ok))),
        ("each run", Notice::Finished { run: run(), changed_from: Some(Verdict::Failed) }),
    ]
}

fn bodies(sink: &dyn Notifier, notice: &Notice) -> Vec<Value> {
    let bodies = sink.render(notice).into_iter().map(|transmission| {
        let Transmission::Http(request) = transmission else { panic!("a request") };
        serde_json::from_slice(&request.body).unwrap()
    });
    bodies.collect()
}

fn datadog(feed: Feed) -> DataDog {
    let base = Base::at(Url::parse("https://api.datadoghq.example").unwrap());
    DataDog::new(feed, Key::parse("key").unwrap(), base, unified())
}

/// As the documentation writes a name.
fn shown(name: &str) -> String {
    name.replace(PROBE, "<name>").replace(MEASURE, "<measure>")
}

/// Name, type, unit and time of each metric of DataDog, as the table has them.
fn of_datadog() -> BTreeSet<[String; 4]> {
    let mut found = BTreeSet::new();
    for (sent, notice) in notices() {
        for series in bodies(&datadog(Feed::Series), &notice) {
            for one in series["series"].as_array().unwrap() {
                let name = shown(one["metric"].as_str().unwrap());
                let kind = if one["type"] == 1 { "count" } else { "gauge" };
                let unit =
                    if name.contains("<measure>") { "its own" } else { one["unit"].as_str().unwrap_or("") };
                found.insert([name, kind.to_owned(), unit.to_owned(), sent.to_owned()]);
            }
        }
    }
    found
}

/// Name and type of each metric of OTLP, and the keys of its attributes.
fn of_otlp() -> (BTreeSet<(String, String)>, BTreeSet<String>) {
    let endpoint = Endpoint::Base(Url::parse("http://collector.example:4318").unwrap());
    let sink = Otlp::new(endpoint, Headers::default(), unified());
    let (mut metrics, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for (_, notice) in notices() {
        for body in bodies(&sink, &notice) {
            let of_resource = &body["resourceMetrics"][0];
            for metric in of_resource["scopeMetrics"][0]["metrics"].as_array().unwrap() {
                let (kind, field) =
                    if metric["sum"].is_object() { ("count", "sum") } else { ("gauge", "gauge") };
                metrics.insert((shown(metric["name"].as_str().unwrap()), kind.to_owned()));
                let attributes = metric[field]["dataPoints"][0]["attributes"].as_array().unwrap();
                keys.extend(attributes.iter().map(|it| it["key"].as_str().unwrap().to_owned()));
            }
        }
    }
    (metrics, keys)
}

/// Names of metrics of Prometheus, and the labels that each of them has.
fn of_prometheus() -> BTreeMap<String, BTreeSet<String>> {
    let text = exposition([&run()], &unified());
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once('{').unwrap();
        let (labels, _) = rest.split_once('}').unwrap();
        let labels = labels.split(',').map(|label| label.split_once('=').unwrap().0.to_owned());
        found.entry(name.to_owned()).or_default().extend(labels);
        assert!(text.contains(&format!("# TYPE {name} gauge\n")), "{name}");
    }
    found
}

/// What checks measure, by the kind of the check. `src/check` makes measurements by these calls alone.
fn measures() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for kind in ["http", "tcp", "dns", "docker", "image"] {
        let mut sources = vec![read(&format!("src/check/{kind}.rs"))];
        if kind == "image" {
            sources.push(read("src/check/image/report.rs"));
        }
        for source in sources {
            let code = source.split("#[cfg(test)]").next().unwrap();
            for call in
                [" measured(\"", "[measured(\"", "(measured(\"", " number(\"", " cases(\"", "{ name: \""]
            {
                let names = code.split(call).skip(1).map(|rest| rest.split('"').next().unwrap());
                found.extend(names.map(|name| (kind.to_owned(), name.to_owned())));
            }
        }
    }
    found
}

#[test]
fn the_table_of_names_is_what_the_sinks_send() {
    let rows = rows("Names");
    let names: Vec<String> = rows.iter().map(|row| code(&row[0])).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a name stands once: {names:?}");
    let is_metric = |row: &&Vec<String>| row[2] == "count" || row[2] == "gauge";
    let by_sink = |sink: &str| rows.iter().filter(|row| row[1] == sink).collect::<Vec<_>>();

    let metrics = by_sink(THREE);
    assert!(metrics.iter().all(is_metric), "{metrics:?}");
    let tabulated: BTreeSet<[String; 4]> =
        metrics.iter().map(|row| [code(&row[0]), row[2].clone(), row[3].clone(), row[4].clone()]).collect();
    assert_eq!(tabulated, of_datadog());

    let others: Vec<[&str; 3]> =
        by_sink(BOTH).into_iter().map(|row| [row[0].as_str(), row[2].as_str(), row[4].as_str()]).collect();
    let expected =
        [["`<name>`", "service check", "each run"], ["`<name> on <host>: …`", "event", "each change"]];
    assert_eq!(others, expected);

    let tabulated: BTreeSet<String> = by_sink("Prometheus").into_iter().map(|row| code(&row[0])).collect();
    assert_eq!(tabulated, of_prometheus().into_keys().collect());
    assert!(by_sink("Prometheus").iter().all(|row| row[2] == "gauge" && row[4] == "each run"));
    let known: usize = [THREE, BOTH, "Prometheus"].map(|sinks| by_sink(sinks).len()).iter().sum();
    assert_eq!(known, rows.len(), "no other sinks");
}

#[test]
fn a_service_check_and_an_event_bear_the_name_of_the_probe_and_other_sinks_get_the_same_metrics() {
    let (_, finished) = notices().pop().unwrap();
    let check = bodies(&datadog(Feed::Checks), &finished).pop().unwrap();
    assert_eq!(check[0]["check"], PROBE);
    let event = bodies(&datadog(Feed::Events), &finished).pop().unwrap();
    assert!(event["title"].as_str().unwrap().starts_with("QQQ on staging.example: "), "{event}");

    let agent = DogStatsD::new(AgentAddress::parse("unix:///run/agent.socket").unwrap(), unified());
    let mut metrics = BTreeSet::new();
    let mut others = Vec::new();
    for (_, notice) in notices() {
        for transmission in agent.render(&notice) {
            let Transmission::Datagrams { datagrams, .. } = transmission else { panic!("datagrams") };
            for line in datagrams.iter().flat_map(|it| str::from_utf8(it).unwrap().lines()) {
                let fields: Vec<&str> = line.split('|').collect();
                match fields[0].split_once(':') {
                    Some((name, _)) if !name.starts_with('_') => {
                        let kind = if fields[1] == "c" { "count" } else { "gauge" };
                        metrics.insert((shown(name), kind.to_owned()));
                    }
                    _ => others.push(line.to_owned()),
                }
            }
        }
    }
    let expected: BTreeSet<_> = of_datadog().into_iter().map(|[name, kind, ..]| (name, kind)).collect();
    assert_eq!(metrics, expected);
    assert_eq!(of_otlp().0, expected);
    assert_eq!(others.len(), 2, "{others:?}");
    assert!(others[0].starts_with("_sc|QQQ|1|") && others[1].contains(":QQQ on staging.example: "));
}

#[test]
fn the_table_of_measures_is_what_the_checks_measure() {
    let tabulated: BTreeSet<(String, String)> =
        rows("Measures").iter().map(|row| (code(&row[0]), code(&row[1]))).collect();
    assert_eq!(tabulated, measures());
}

#[test]
fn the_table_of_tags_is_what_the_sinks_attach() {
    let mut attached: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for tag in tags(&unified(), &identity(), Some(1)) {
        attached.entry(tag.split_once(':').unwrap().0.to_owned()).or_default().insert(THREE);
    }
    let keys: BTreeSet<String> = attached.keys().cloned().collect();
    assert_eq!(of_otlp().1, keys);
    let prometheus = of_prometheus();
    for label in prometheus.values().flatten() {
        attached.entry(label.clone()).or_default().insert("Prometheus");
    }
    let of_all = |label: &&String| prometheus.values().all(|labels| labels.contains(*label));
    let of_one: BTreeSet<&String> = prometheus.values().flatten().filter(|label| !of_all(label)).collect();
    let text = read("docs/metrics.md");
    let mut tabulated = BTreeMap::new();
    for row in rows("Tags and labels") {
        let name = if row[0] == "`<key>`" { "key".to_owned() } else { code(&row[0]) };
        let sinks = if row[1] == "all" { BTreeSet::from([THREE, "Prometheus"]) } else { BTreeSet::new() };
        let sinks = if row[1] == THREE { BTreeSet::from([THREE]) } else { sinks };
        let sinks = if row[1] == "Prometheus" { BTreeSet::from(["Prometheus"]) } else { sinks };
        let is_said_to_be_of_one = row[2].starts_with("of `docker_test_probe_");
        assert_eq!(is_said_to_be_of_one, of_one.contains(&name), "{name}");
        tabulated.insert(name, sinks);
    }
    assert_eq!(tabulated, attached);
    for most in
        [MOST_NAME_CHARS.to_string(), format!("200; {MOST_TAGS} tags"), format!("200; {MOST_TAGS} labels")]
    {
        assert!(text.contains(&format!("| {most} |")), "{most}");
    }
    assert!(text.contains(&format!("the first {MOST_MEASUREMENTS}\nare told")));
}

/// Words of an expression that may be the name of a metric.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && !matches!(letter, '_' | '.' | ':'))
}

/// The values of a label that an expression selects by.
fn selected<'a>(text: &'a str, label: &str) -> BTreeSet<&'a str> {
    text.split(&format!("{label}=\"")).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn the_alert_rules_of_the_example_ask_for_metrics_and_labels_that_are_sent() {
    let prometheus = of_prometheus();
    let rules = read("examples/monitoring/prometheus-rules.yml");
    let tests = read("examples/monitoring/prometheus-rules.test.yml");
    for text in [&rules, &tests] {
        let named: BTreeSet<&str> =
            words(text).filter(|word| word.starts_with("docker_test_") && !word.contains(':')).collect();
        assert!(named.len() > 4, "{named:?}");
        assert!(named.iter().all(|name| prometheus.contains_key(*name)), "{named:?}");
        let measures = measures();
        for measure in selected(text, "measure") {
            assert!(measures.iter().any(|(_, known)| known == measure), "no check measures {measure}");
        }
        assert!(selected(text, "result").iter().all(|result| ["success", "failure"].contains(result)));
    }
    let labels: BTreeSet<&String> = prometheus.values().flatten().collect();
    for label in rules.split("$labels.").skip(1).map(|rest| words(rest).next().unwrap()) {
        assert!(labels.iter().any(|known| *known == label), "no label is called {label}");
    }
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 5, "{alerts:?}");
    for alert in alerts {
        let (asked, fires) =
            (format!("alertname: {alert}"), format!("alertname: {alert}\n        eval_time: "));
        assert!(tests.contains(&fires), "no test shows that {alert} fires");
        let silent = tests.lines().any(|line| line.contains(&asked) && line.contains("exp_alerts: []"));
        assert!(silent, "no test shows when {alert} does not fire");
    }
}

/// Runs promtool in the directory of the example. `None` where the scripts have said that there is none.
fn promtool(words: &[&str], input: &str) -> Option<(bool, String)> {
    let missing = std::env::var("FIXTURES_MISSING").unwrap_or_default();
    if missing.split(' ').any(|name| name == "promtool") {
        return None;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = Command::new(root.join("scripts/fixture")).args(["promtool", "up"]).output().unwrap();
    let said = String::from_utf8(made.stderr).unwrap();
    assert!(made.status.success(), "FIXTURES_MISSING=promtool does without it: {said}");
    let made = String::from_utf8(made.stdout).unwrap();
    let program = made.lines().find_map(|line| line.strip_prefix("PROMTOOL=")).unwrap();
    let directory = root.join("examples/monitoring");
    let mut command = Command::new(program);
    command
        .args(words)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let ran = child.wait_with_output().unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    Some((ran.status.success(), String::from_utf8(said).unwrap()))
}

#[test]
fn promtool_takes_the_alert_rules_of_the_example_and_they_fire_when_they_should() {
    for words in [["check", "rules", "prometheus-rules.yml"], ["test", "rules", "prometheus-rules.test.yml"]]
    {
        let Some((passed, said)) = promtool(&words, "") else { return };
        assert!(passed && said.contains("SUCCESS"), "{words:?}\n{said}");
    }
}

/// What `/metrics` of a daemon says that has run one probe, whose host and tag try to break out of a label.
fn scraped() -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = r#"version: 1
probes:
  one: { command: 'false', schedule: R//PT1S, attempts: 1, host: 'a\"b,c="d}', tags: ['team:x\'] }
"#;
    std::fs::write(directory.path().join("docker-test.yaml"), file).unwrap();
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_docker-test"))
        .args(["watch", "--no-labels", "--listen", "127.0.0.1:0", "--state-dir", "state"])
        .current_dir(directory.path())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", directory.path())
        .env("PAGERDUTY_ROUTING_KEY", "0123456789abcdef0123456789abcdef")
        .env("PAGERDUTY_URL", "http://127.0.0.1:1")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(daemon.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address =
        lines.find_map(|line| Some(line.split_once("http://")?.1.trim_end_matches('/').to_owned())).unwrap();
    lines.find(|line| line.contains(" failed in ")).unwrap();
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn promtool_takes_what_a_daemon_is_scraped_of() {
    let text = scraped();
    for name in
        ["docker_test_probe_success{", "docker_test_probe_incident{", "docker_test_outbox_waiting{sink="]
    {
        assert!(text.contains(name), "no {name}: {text}");
    }
    let Some((passed, said)) = promtool(&["check", "metrics"], &text) else { return };
    assert!(passed && said.is_empty(), "{said}\n{text}");
    let broken = text.replace("# TYPE docker_test_watch_ready gauge", "# TYPE docker_test_watch_ready gouge");
    assert!(!promtool(&["check", "metrics"], &broken).unwrap().0, "promtool reads it");
}

#[test]
fn the_monitors_of_the_example_ask_for_names_that_are_sent() {
    let probe = "shop.checkout";
    let metrics: BTreeSet<String> =
        of_datadog().into_iter().map(|[name, ..]| name.replace("<name>", probe)).collect();
    let mut kinds = BTreeSet::new();
    for file in ["datadog-monitor.json", "datadog-monitor-no-report.json"] {
        let monitor: Value = serde_json::from_str(&read(&format!("examples/monitoring/{file}"))).unwrap();
        let kind = monitor["type"].as_str().unwrap().to_owned();
        let query = monitor["query"].as_str().unwrap();
        let named: Vec<&str> =
            words(query).flat_map(|word| word.split(':')).filter(|word| word.starts_with(probe)).collect();
        assert!(!named.is_empty(), "{file}: {query}");
        for name in named {
            // A service check is called as its probe is.
            let is_sent = if kind == "service check" { name == probe } else { metrics.contains(name) };
            assert!(is_sent, "{file}: nothing sends {name}");
        }
        let message = monitor["message"].as_str().unwrap();
        for block in ["is_alert", "is_no_data", "is_recovery"] {
            let (open, close) = (format!("{{{{#{block}}}}}"), format!("{{{{/{block}}}}}"));
            assert!(message.contains(&open) && message.contains(&close), "{file}: {block}");
        }
        assert_eq!(monitor["options"]["notify_no_data"], true, "{file}");
        assert!(monitor["priority"].as_u64().is_some_and(|priority| (1..=5).contains(&priority)), "{file}");
        assert!(monitor["tags"].as_array().is_some_and(|tags| !tags.is_empty()), "{file}");
        kinds.insert(kind);
    }
    assert_eq!(kinds.len(), 2, "one for the verdict, one for no report");
}
