//! The harness as a process, beside servers on loopback that answer as the vendors do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the place")]

#[path = "fixtures/echo.rs"]
mod echo;
#[path = "fixtures/vendor.rs"]
mod vendor;

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use vendor::{Request, Vendor};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const API_KEY: &str = "fedcba9876543210fedcba9876543210";

fn harness(directory: &Path, variables: &[(&str, &str)], words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_docker-test-harness"));
    command
        .args(words)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .envs(variables.iter().copied())
        .current_dir(directory)
        .stdin(Stdio::null());
    command
}

fn run(directory: &Path, variables: &[(&str, &str)], words: &[&str]) -> Output {
    harness(directory, variables, words).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}\n{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn what_is_told_of_a_secret_that_is_cut_has_no_part_of_it() {
    const SECRET: &str = "SUPERSECRETVALUE_zyxwvutsrqponmlk_QWERTY";
    let directory = tempfile::tempdir().unwrap();
    let pagerduty = Vendor::start(202);
    let url = pagerduty.url();
    let variables = [
        ("MY_TOKEN", SECRET),
        ("PAGERDUTY_ROUTING_KEY", KEY),
        ("PAGERDUTY_URL", url.as_str()),
        ("DOCKER_TEST_STATE_DIR", "state"),
        ("DOCKER_TEST_ATTEMPTS", "1"),
    ];
    // The first one lies across the cut of the output, the second across that of the summary.
    let script = "printf %s \"$MY_TOKEN\"; head -c 16142 /dev/zero | tr '\\0' B; \
                  printf '\\n%0180d%s\\n' 0 \"$MY_TOKEN\"; exit 1";
    let failed = run(directory.path(), &variables, &["--format", "json", "--", "sh", "-c", script]);
    assert_code(&failed, 1);
    let pages = pagerduty.take("/v2/enqueue");
    assert_eq!(pages.len(), 1);
    let seen = serde_json::from_slice::<Value>(&failed.stdout).unwrap()[0]["attempts"][0].clone();
    assert!(seen["summary"].as_str().unwrap().ends_with("000***"), "{seen}");
    assert!(seen["output"].as_str().unwrap().ends_with("000***\n"), "{seen}");
    let told = [text(&failed.stdout), text(&failed.stderr), pages[0].body.clone()].concat();
    for at in 0..=SECRET.len() - 6 {
        assert!(!told.contains(&SECRET[at..at + 6]), "{}", &SECRET[at..at + 6]);
    }
}

#[test]
fn a_state_directory_is_closed_before_the_end_and_leaves_no_log_for_the_next_run_to_read() {
    let directory = tempfile::tempdir().unwrap();
    let pagerduty = Vendor::start(202);
    let url = pagerduty.url();
    let variables = [
        ("PAGERDUTY_ROUTING_KEY", KEY),
        ("PAGERDUTY_URL", url.as_str()),
        ("DOCKER_TEST_STATE_DIR", "state"),
        ("DOCKER_TEST_ATTEMPTS", "1"),
    ];
    for code in [1, 0, 1] {
        let code_of = code.to_string();
        assert_code(&run(directory.path(), &variables, &["--", "sh", "-c", "exit $0", &code_of]), code);
        let left = std::fs::read_dir(directory.path().join("state")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert!(!left.iter().any(|name| name.ends_with("-wal")), "{left:?}");
    }
}

#[test]
fn the_seeds_probe_pages_once_resolves_and_counts_every_attempt() {
    let directory = tempfile::tempdir().unwrap();
    let (datadog, pagerduty) = (Vendor::start(202), Vendor::start(200));
    let (datadog_url, pagerduty_url) = (datadog.url(), pagerduty.url());
    let variables = [
        ("HOST", "host.to.test"),
        ("DD_API_KEY", API_KEY),
        ("DD_URL", datadog_url.as_str()),
        ("PAGERDUTY_SERVICE_KEY", KEY),
        ("PAGERDUTY_URL", pagerduty_url.as_str()),
        ("DOCKER_TEST_STATE_DIR", "state"),
        ("DOCKER_TEST_BACKOFF", "10ms"),
        ("DOCKER_TEST_CLEANUP", "echo cleaned >> cleaned"),
        ("DOCKER_TEST_NAME", "example.integration"),
    ];
    let words = ["--", "sh", "-c", "echo looking; test -e up"];
    let failed = run(directory.path(), &variables, &words);
    assert_code(&failed, 1);
    assert_eq!(text(&failed.stdout), "looking\nlooking\n", "output passes through");
    assert!(text(&failed.stderr).contains("example.integration: failed: 2 of 2 attempts"));
    assert_eq!(std::fs::read_to_string(directory.path().join("cleaned")).unwrap(), "cleaned\ncleaned\n");
    let series: Vec<Value> = datadog.take("/api/v2/series").iter().map(Request::json).collect();
    let points: Vec<&Value> = series.iter().flat_map(|body| body["series"].as_array().unwrap()).collect();
    let failures: Vec<_> =
        points.iter().filter(|point| point["metric"] == "example.integration.failure").collect();
    assert_eq!(failures.len(), 2, "{points:?}");
    assert!(failures[0]["tags"].as_array().unwrap().contains(&"host:host.to.test".into()), "{failures:?}");
    let pages = pagerduty.take("create_event.json");
    assert_eq!(pages.len(), 1);
    let page = pages[0].json();
    assert_eq!((&page["event_type"], &page["service_key"]), (&"trigger".into(), &KEY.into()));
    let incident = page["incident_key"].as_str().unwrap().to_owned();

    // It is paged once, however long it lasts.
    assert_code(&run(directory.path(), &variables, &words), 1);
    assert!(pagerduty.take("create_event.json").is_empty());

    std::fs::write(directory.path().join("up"), "").unwrap();
    assert_code(&run(directory.path(), &variables, &words), 0);
    let ends = pagerduty.take("create_event.json");
    assert_eq!(ends.len(), 1);
    let end = ends[0].json();
    assert_eq!(end["event_type"], "resolve");
    assert_eq!(end["incident_key"], incident.as_str());
    assert_code(&run(directory.path(), &variables, &words), 0);
    assert!(pagerduty.take("create_event.json").is_empty(), "it is resolved once");
}

#[test]
fn keys_of_checks_are_hidden_in_all_that_is_told_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (echo, pagerduty) = (echo::start(), Vendor::start(202));
    std::fs::write(
        directory.path().join("checks.yaml"),
        format!(
            "checks:\n  echo:\n    host: env:HOST\n    http:\n      \
             url: 'http://user:passw0rd@{echo}/?page=the-second&access_token=of-the-query'\n      headers:\n        \
             authorization: env:AUTH\n        x-api-key: some-literal\n        x-caller: env:CALLER\n        \
             x-shop: env:HOST\n        x-plain: plain-text\n  \
             command: {{ command: {{ run: 'echo seen $WHO $DB_PASSWORD $MODE; exit 1', env: {{ WHO: env:CALLER, \
             DB_PASSWORD: written-here, MODE: carefully }} }} }}\n"
        ),
    )
    .unwrap();
    let url = pagerduty.url();
    let named = [("HOST", "shop.staging"), ("AUTH", "Bearer of-the-bearer"), ("CALLER", "of-the-caller")];
    let variables = [&paging(&url)[..], &named].concat();
    let failed = run(directory.path(), &variables, &["--checks", "checks.yaml", "--format", "json"]);
    assert_code(&failed, 1);
    let keys = [
        "of-the-bearer",
        "some-literal",
        "passw0rd",
        "dXNlcjpwYXNzdzByZA",
        "of-the-query",
        "of-the-caller",
        "written-here",
    ];
    let pages: String = pagerduty.take("/v2/enqueue").into_iter().map(|page| page.body).collect();
    let kept = echo::kept(&directory.path().join("state"));
    for (place, bytes) in [
        ("stdout", &failed.stdout),
        ("stderr", &failed.stderr),
        ("a page", &pages.clone().into_bytes()),
        ("the state", &kept),
    ] {
        echo::assert_hidden(&keys, place, bytes);
    }
    let told = text(&failed.stdout);
    for expected in [
        "seen authorization: ***",
        "Basic ***",
        "seen x-api-key: ***",
        "seen x-caller: ***",
        "seen x-shop: shop.staging",
        "seen x-plain: plain-text",
        "seen *** *** carefully",
        "/?page=the-second&access_token=*** HTTP",
    ] {
        assert!(told.contains(expected) && pages.contains(expected), "no {expected}: {told}\n{pages}");
    }
}

#[test]
fn a_variable_that_is_named_is_hidden_whatever_it_is_called() {
    let directory = tempfile::tempdir().unwrap();
    let noted = [("NOTED", "of-the-note"), ("OTHER", "of-the-other")];
    let words = ["--redact", "NOTED", "--redact", "OTHER", "--", "sh", "-c", "echo $NOTED $OTHER"];
    assert_eq!(text(&run(directory.path(), &noted, &words).stdout), "*** ***\n");
    let variables = [&noted[..], &[("DOCKER_TEST_REDACT", "NOTED\nOTHER")]].concat();
    assert_eq!(text(&run(directory.path(), &variables, &words[4..]).stdout), "*** ***\n");
    assert_eq!(text(&run(directory.path(), &noted, &words[4..]).stdout), "of-the-note of-the-other\n");
    std::fs::write(
        directory.path().join("checks.yaml"),
        "checks:\n  a: { command: { run: 'echo $NOTED; exit 1', env: { NOTED: written-here } }, attempts: 1 }\n",
    )
    .unwrap();
    let words = ["--redact", "NOTED", "--format", "json", "--checks", "checks.yaml"];
    let told = text(&run(directory.path(), &[], &words).stdout);
    assert!(told.contains("got 1: ***") && !told.contains("written-here"), "{told}");
}

#[test]
fn an_error_in_a_file_of_checks_does_not_quote_what_a_variable_holds() {
    let directory = tempfile::tempdir().unwrap();
    let text_of = "checks:\n  a: { http: { url: 'http://h/', headers: env:AUTH } }\n";
    std::fs::write(directory.path().join("checks.yaml"), text_of).unwrap();
    let variables = [("AUTH", "Bearer of-the-bearer")];
    let failed = run(directory.path(), &variables, &["--checks", "checks.yaml"]);
    assert_code(&failed, 125);
    let said = text(&failed.stderr);
    assert!(said.contains("checks.a") && !said.contains("of-the-bearer"), "{said}");
}

#[test]
fn without_a_state_that_lasts_every_pass_resolves() {
    let directory = tempfile::tempdir().unwrap();
    let pagerduty = Vendor::start(202);
    let url = pagerduty.url();
    let variables = [("PAGERDUTY_ROUTING_KEY", KEY), ("PAGERDUTY_URL", url.as_str())];
    for _ in 0..2 {
        assert_code(&run(directory.path(), &variables, &["--name", "a", "--", "true"]), 0);
        let ends = pagerduty.take("/v2/enqueue");
        let actions: Vec<Value> = ends.iter().map(|end| end.json()["event_action"].clone()).collect();
        assert!(!actions.is_empty() && actions.iter().all(|action| action == "resolve"), "{actions:?}");
    }
}

#[test]
fn the_first_pass_with_a_state_that_is_new_resolves_and_the_next_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let pagerduty = Vendor::start(202);
    let url = pagerduty.url();
    let variables =
        [("PAGERDUTY_ROUTING_KEY", KEY), ("PAGERDUTY_URL", url.as_str()), ("DOCKER_TEST_STATE_DIR", "state")];
    let told = |code: i32, command: &str| {
        let words = ["--name", "a", "--attempts", "1", "--command", command];
        assert_code(&run(directory.path(), &variables, &words), code);
        let told = pagerduty.take("/v2/enqueue");
        told.iter().map(|page| page.json()["event_action"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = told(0, "true");
    assert!(!first.is_empty() && first.iter().all(|action| action == "resolve"), "{first:?}");
    assert_eq!(told(0, "true"), [] as [&str; 0]);
    assert_eq!(told(1, "false"), ["trigger"]);
    assert_eq!(told(0, "true"), ["resolve"]);
}

#[test]
fn a_sink_that_is_down_changes_no_verdict_and_gets_its_page_later() {
    let directory = tempfile::tempdir().unwrap();
    let pagerduty = Vendor::start(503);
    let url = pagerduty.url();
    let variables = hasty(&url);
    let failed = run(directory.path(), &variables, &["--name", "a", "--", "false"]);
    assert_code(&failed, 1);
    let said = text(&failed.stderr);
    assert!(
        said.contains("pagerduty has not taken everything") && said.contains("the next run sends it"),
        "{said}"
    );
    assert!(!pagerduty.seen().is_empty());
    pagerduty.take("");
    pagerduty.answers(202);
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut told: Vec<Value> = Vec::new();
    while !told.iter().any(|action| action == "trigger") {
        assert!(Instant::now() < deadline, "{told:?}");
        assert_code(&run(directory.path(), &variables, &["--name", "a", "--", "false"]), 1);
        told.extend(actions(&pagerduty));
    }
    assert_eq!(told.iter().filter(|action| *action == "trigger").count(), 1, "{told:?}");
}

#[test]
fn a_page_that_a_proxy_answered_is_sent_by_a_later_run() {
    let directory = tempfile::tempdir().unwrap();
    let portal = Vendor::replying(403, "", "<!DOCTYPE html><title>Blocked</title>");
    let pagerduty = Vendor::start(202);
    let run = |vendor: &Vendor| {
        let url = vendor.url();
        let output = run(directory.path(), &hasty(&url), &["--name", "a", "--", "false"]);
        assert_code(&output, 1);
        text(&output.stderr)
    };
    let said = run(&portal);
    assert!(
        said.contains("HTTP status 403 with a page of HTML") && said.contains("the next run sends it"),
        "{said}"
    );
    let first = portal.take("/v2/enqueue")[0].json();
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut pages: Vec<Value> = Vec::new();
    while pages.is_empty() {
        assert!(Instant::now() < deadline, "it never comes");
        run(&pagerduty);
        pages.extend(pagerduty.take("/v2/enqueue").iter().map(Request::json));
    }
    assert_eq!(pages, [first], "the same page, once");
}

#[test]
fn a_page_that_was_refused_is_told_again_by_a_later_run_under_the_same_key() {
    let directory = tempfile::tempdir().unwrap();
    let pagerduty = Vendor::start(400);
    let url = pagerduty.url();
    let variables = paging(&url);
    let told = |command: &str, code| {
        let output = run(directory.path(), &variables, &["--name", "a", "--", command]);
        assert_code(&output, code);
        let pages = pagerduty.take("/v2/enqueue").into_iter().map(|page| page.json());
        let pages: Vec<(Value, Value)> =
            pages.map(|page| (page["event_action"].clone(), page["dedup_key"].clone())).collect();
        (pages, text(&output.stderr))
    };
    let (refused, said) = told("false", 1);
    assert!(said.contains("pagerduty refuses what it was sent"), "{said}");
    assert_eq!(refused.len(), 1);
    pagerduty.answers(202);
    assert_eq!(told("false", 1).0, refused, "the same trigger");
    assert_eq!(told("false", 1).0, [], "it is told now");
    assert_eq!(told("true", 0).0, [("resolve".into(), refused[0].1.clone())]);
}

#[test]
fn a_state_directory_that_cannot_be_used_is_said_and_pages_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("state"), "a file").unwrap();
    let pagerduty = Vendor::start(202);
    let url = pagerduty.url();
    let variables = paging(&url);
    let failed = run(directory.path(), &variables, &["--name", "a", "--", "false"]);
    assert_code(&failed, 1);
    assert!(text(&failed.stderr).contains("cannot be used, and this run goes on without"));
    let actions: Vec<Value> =
        pagerduty.seen().iter().map(|page| page.json()["event_action"].clone()).collect();
    assert_eq!(actions, ["trigger"]);
}

/// What is done to incidents, in the order in which it arrived.
fn actions(pagerduty: &Vendor) -> Vec<Value> {
    pagerduty.take("/v2/enqueue").iter().map(|page| page.json()["event_action"].clone()).collect()
}

/// Each subject of the probe is resolved, as nobody knows which was open.
#[track_caller]
fn assert_resolved(pagerduty: &Vendor, why: &str) {
    let told: Vec<Value> = pagerduty.take("/v2/enqueue").iter().map(Request::json).collect();
    assert!(told.iter().all(|told| told["event_action"] == "resolve"), "{told:?}: {why}");
    let is_about_target = |told: &Value| told["dedup_key"].as_str().unwrap().ends_with("/target");
    assert_eq!(told.iter().filter(|told| is_about_target(told)).count(), 1, "{told:?}: {why}");
}

fn paging(url: &str) -> [(&'static str, &str); 4] {
    [
        ("PAGERDUTY_ROUTING_KEY", KEY),
        ("PAGERDUTY_URL", url),
        ("DOCKER_TEST_STATE_DIR", "state"),
        ("DOCKER_TEST_ATTEMPTS", "1"),
    ]
}

/// The same for runs that do not wait for long for a sink that is down.
fn hasty(url: &str) -> Vec<(&'static str, &str)> {
    [&paging(url)[..], &[("DOCKER_TEST_SEND_TIMEOUT", "500ms")]].concat()
}

fn set_aside(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory.join("state")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // A process may end before SQLite has taken its log into the file, which then goes along.
    let is_beside = |name: &String| name.ends_with("-wal") || name.ends_with("-shm");
    names.filter(|name| name.starts_with("history.sqlite.corrupt-") && !is_beside(name)).collect()
}

#[test]
fn a_damaged_store_is_set_aside_and_no_incident_of_its_time_stays_open() {
    for damaged in ["scribble ".repeat(900), String::new()] {
        let directory = tempfile::tempdir().unwrap();
        let pagerduty = Vendor::start(202);
        let url = pagerduty.url();
        let variables = paging(&url);
        let words = ["--name", "a", "--", "test", "-e", "up"];
        assert_code(&run(directory.path(), &variables, &words), 1);
        assert_eq!(actions(&pagerduty), ["trigger"]);
        std::fs::write(directory.path().join("state/history.sqlite"), damaged).unwrap();
        std::fs::write(directory.path().join("up"), "").unwrap();
        let after = run(directory.path(), &variables, &words);
        assert_code(&after, 0);
        let said = text(&after.stderr);
        assert!(said.contains("the state was damaged: it is kept as"), "{said}");
        assert_eq!(set_aside(directory.path()).len(), 1);
        assert_resolved(&pagerduty, "the new store knows of no incident, and one was open");
        let later = run(directory.path(), &variables, &words);
        assert_eq!((text(&later.stderr).as_str(), actions(&pagerduty).len()), ("", 0), "and that was that");
    }
}

#[test]
fn a_store_that_is_damaged_during_the_run_pages_from_memory_and_is_set_aside_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let pagerduty = Vendor::start(202);
    let url = pagerduty.url();
    let variables = paging(&url);
    assert_code(&run(directory.path(), &variables, &["--name", "a", "--", "true"]), 0);
    assert_resolved(&pagerduty, "its state is new");
    let scribble =
        "tr '\\000' Z </dev/zero | dd of=state/history.sqlite bs=4096 seek=1 count=60 conv=notrunc; exit 1";
    let failed = run(directory.path(), &variables, &["--name", "a", "--", "sh", "-c", scribble]);
    assert_code(&failed, 1);
    let said = text(&failed.stderr);
    assert!(said.contains("is damaged") && said.contains("this run goes on without its state"), "{said}");
    assert_eq!(actions(&pagerduty), ["trigger"]);
    let passed = run(directory.path(), &variables, &["--name", "a", "--", "true"]);
    assert_code(&passed, 0);
    assert_resolved(&pagerduty, &text(&passed.stderr));
    assert_eq!(set_aside(directory.path()).len(), 1, "{}", text(&passed.stderr));
}

#[test]
fn a_disk_that_fills_up_during_the_run_costs_no_page_and_leaves_no_incident_open() {
    let directory = tempfile::tempdir().unwrap();
    let pagerduty = Vendor::start(202);
    let url = pagerduty.url();
    let variables = paging(&url);
    assert_code(&run(directory.path(), &variables, &["--name", "a", "--", "true"]), 0);
    assert_resolved(&pagerduty, "its state is new");
    // No file may grow beyond what SQLite shares between processes (32 KiB): its log soon fails to.
    let limited = |words: &str| {
        let program = env!("CARGO_BIN_EXE_docker-test-harness");
        let script = format!("trap '' XFSZ; ulimit -f 64; exec {program} {words}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).env_clear().env("PATH", "/usr/bin:/bin").envs(variables);
        shell.current_dir(directory.path()).output().unwrap()
    };
    let mut said = String::new();
    let mut seen = Vec::new();
    for _ in 0..8 {
        let failed = limited("--name a -- false");
        assert_code(&failed, 1);
        said += &text(&failed.stderr);
        seen.extend(actions(&pagerduty));
        std::fs::write(directory.path().join("state/history.sqlite-wal"), vec![0; 32 << 10]).unwrap();
    }
    assert!(said.contains("this run goes on without"), "{said}");
    assert!(!seen.is_empty() && seen.iter().all(|action| action == "trigger"), "{seen:?}");
    assert_code(&run(directory.path(), &variables, &["--name", "a", "--", "true"]), 0);
    assert_resolved(&pagerduty, "what was told from memory is not in the state");
}

#[test]
fn a_state_directory_that_is_removed_during_the_run_costs_no_page() {
    let directory = tempfile::tempdir().unwrap();
    let pagerduty = Vendor::start(202);
    let url = pagerduty.url();
    let variables = paging(&url);
    let words = ["--name", "a", "--", "sh", "-c", "rm -r state; exit 1"];
    assert_code(&run(directory.path(), &variables, &words), 1);
    assert_eq!(actions(&pagerduty), ["trigger"]);
}

#[test]
fn a_mistake_in_one_sinks_variable_costs_neither_the_check_nor_the_page() {
    let directory = tempfile::tempdir().unwrap();
    let pagerduty = Vendor::start(202);
    let url = pagerduty.url();
    let mistaken = "hooks.slack.com/services/s3cr3t";
    let variables = [paging(&url).as_slice(), &[("SLACK_WEBHOOK_URL", mistaken)]].concat();
    let words = ["--name", "a", "--", "sh", "-c", "echo ran $SLACK_WEBHOOK_URL; test -e up"];
    let failed = run(directory.path(), &variables, &words);
    assert_code(&failed, 125);
    assert_eq!(text(&failed.stdout), "ran ***\n");
    let said = text(&failed.stderr);
    for expected in [
        "docker-test: cannot use SLACK_WEBHOOK_URL: expected a URL that begins with http:// or https://",
        "hint: correct SLACK_WEBHOOK_URL, or unset it to do without this sink",
        "the check runs without this, and the exit code will be 125",
        "a: failed: 1 of 1 attempts",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains("s3cr3t"), "{said}");
    assert_eq!(actions(&pagerduty), ["trigger"]);
    let dry = run(directory.path(), &variables, &[&["--dry-run"], words.as_slice()].concat());
    assert_code(&dry, 125);
    assert!(text(&dry.stderr).contains("cannot use SLACK_WEBHOOK_URL"), "{dry:?}");
    assert!(text(&dry.stdout).contains("# pagerduty\nPOST http://"), "{dry:?}");
    std::fs::write(directory.path().join("up"), "").unwrap();
    let passed = run(directory.path(), &variables, &words);
    assert_code(&passed, 125);
    assert_eq!(actions(&pagerduty), ["resolve"]);
}

/// Path and body of each request, ids of runs left out.
fn pinged(vendor: &Vendor) -> Vec<(String, String)> {
    let short = |request: &Request| {
        let path = request.line.split_whitespace().nth(1).unwrap();
        (path.split('?').next().unwrap().to_owned(), request.body.clone())
    };
    vendor.take("").iter().map(short).collect()
}

#[test]
fn several_checks_are_one_ping_and_one_report_which_are_the_worst_of_all() {
    let directory = tempfile::tempdir().unwrap();
    let checks =
        "checks:\n  bad: { command: [test, -e, up], attempts: 1 }\n  good: { command: [\"true\"] }\n";
    std::fs::write(directory.path().join("checks.yaml"), checks).unwrap();
    let (ping, kuberhealthy) = (Vendor::replying(200, "", "OK"), Vendor::start(200));
    let (check, reports) = (format!("{}/ping/0123", ping.url()), kuberhealthy.url());
    let variables = [
        ("PING_URL", check.as_str()),
        ("KH_REPORTING_URL", reports.as_str()),
        ("DOCKER_TEST_CHECKS", "checks.yaml"),
        ("DOCKER_TEST_STATE_DIR", "state"),
    ];
    let said = |body: &str| body.split_once("exit").map_or(body.to_owned(), |(start, _)| start.to_owned());
    assert_code(&run(directory.path(), &variables, &[]), 1);
    let lines: Vec<String> = ping.seen().iter().map(|request| request.line.clone()).collect();
    let ids: Vec<&str> = lines.iter().filter_map(|line| line.split("rid=").nth(1)).collect();
    assert!(ids.len() == 2 && ids[0] == ids[1], "{lines:?}");
    let told = pinged(&ping);
    assert_eq!(told[0], ("/ping/0123/start".to_owned(), String::new()));
    assert_eq!((told[1].0.as_str(), said(&told[1].1).as_str()), ("/ping/0123/fail", "bad: expected "));
    let report = kuberhealthy.take("");
    assert_eq!(report.len(), 1);
    let report = report[0].json();
    assert_eq!((&report["ok"], report["errors"].as_array().unwrap().len()), (&false.into(), 1));
    assert!(report["errors"][0].as_str().unwrap().starts_with("bad: "), "{report}");

    let dry = run(directory.path(), &variables, &["--dry-run"]);
    assert_code(&dry, 1);
    let shown = text(&dry.stdout);
    assert_eq!((shown.matches("# ping").count(), shown.matches("# kuberhealthy").count()), (2, 1), "{shown}");

    std::fs::write(directory.path().join("up"), "").unwrap();
    assert_code(&run(directory.path(), &variables, &[]), 0);
    let end = ("/ping/0123".to_owned(), "2 of 2 checks passed".to_owned());
    assert_eq!(pinged(&ping), [("/ping/0123/start".to_owned(), String::new()), end]);
    assert_eq!(kuberhealthy.take("")[0].body, r#"{"ok":true,"errors":[]}"#);
}

#[test]
fn a_webhook_a_pushgateway_and_a_textfile_are_switched_on_by_variables() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("metrics")).unwrap();
    let (webhook, pushgateway) = (Vendor::start(200), Vendor::start(200));
    let (hook, gateway) = (format!("{}/hook", webhook.url()), pushgateway.url());
    let variables = [
        ("DOCKER_TEST_WEBHOOK_URL", hook.as_str()),
        ("PUSHGATEWAY_URL", gateway.as_str()),
        ("DOCKER_TEST_PROMETHEUS_TEXTFILE", "metrics"),
        ("HOST", "shop"),
    ];
    let failed = run(directory.path(), &variables, &["--name", "a", "--attempts", "1", "--", "false"]);
    assert_code(&failed, 1);
    let told = webhook.take("/hook");
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0].json()["action"], &told[0].json()["name"]), (&"trigger".into(), &"a".into()));
    let pushed = pushgateway.take("PUT /metrics/job/docker_test/probe/a/host/shop");
    assert!(pushed[0].body.contains("docker_test_probe_success"), "{pushed:?}");
    let files: Vec<_> = std::fs::read_dir(directory.path().join("metrics")).unwrap().collect();
    let file = std::fs::read_to_string(files[0].as_ref().unwrap().path()).unwrap();
    assert!(file.contains("docker_test_probe_success{") && file.contains("host=\"shop\""), "{file}");
}

#[test]
fn people_are_told_after_so_many_runs_and_reminded_of_what_stays_open() {
    let directory = tempfile::tempdir().unwrap();
    let pagerduty = Vendor::start(202);
    let url = pagerduty.url();
    let policy = [("DOCKER_TEST_ALERT_AFTER", "2"), ("DOCKER_TEST_REMIND", "1s")];
    let variables = [paging(&url).as_slice(), &policy].concat();
    let fails = || assert_code(&run(directory.path(), &variables, &["--name", "a", "--", "false"]), 1);
    fails();
    assert_eq!(actions(&pagerduty).len(), 0, "one run is not enough");
    fails();
    assert_eq!(actions(&pagerduty), ["trigger"]);
    std::thread::sleep(Duration::from_millis(2100));
    fails();
    assert_eq!(actions(&pagerduty), ["trigger"], "it is told of again");
    let stateless: Vec<_> =
        variables.iter().copied().filter(|(name, _)| *name != "DOCKER_TEST_STATE_DIR").collect();
    let refused = run(directory.path(), &stateless, &["--", "touch", "began"]);
    assert_code(&refused, 125);
    let said = text(&refused.stderr);
    assert!(said.contains("`failures` (--alert-after)") && said.contains("DOCKER_TEST_STATE_DIR"), "{said}");
    assert!(!directory.path().join("began").exists());
}

#[test]
fn a_file_of_checks_says_when_people_are_told_as_a_watch_does() {
    let directory = tempfile::tempdir().unwrap();
    let pagerduty = Vendor::start(202);
    let url = pagerduty.url();
    let checks = "checks:\n  soon: { command: [\"false\"] }\n  late: { command: [\"false\"], alert: { failures: 2 } }\n  \
                  silent: { command: [\"false\"] }\nalert:\n  severity: warning\n  silences:\n    - { from: \
                  2020-01-01T00:00:00Z, until: 2100-01-01T00:00:00Z, probes: silent }\n";
    std::fs::write(directory.path().join("checks.yaml"), checks).unwrap();
    let variables = [paging(&url).as_slice(), &[("DOCKER_TEST_CHECKS", "checks.yaml")]].concat();
    let told = || {
        assert_code(&run(directory.path(), &variables, &[]), 1);
        let pages: Vec<Value> = pagerduty.take("/v2/enqueue").iter().map(Request::json).collect();
        assert!(pages.iter().all(|page| page["payload"]["severity"] == "warning"), "{pages:?}");
        let key = |page: &Value| page["dedup_key"].as_str().unwrap().to_owned();
        pages.iter().map(key).collect::<Vec<_>>()
    };
    let first = told();
    assert!(first.len() == 1 && first[0].contains("soon"), "{first:?}");
    let second = told();
    assert!(second.len() == 1 && second[0].contains("late"), "{second:?}");
}

#[test]
fn no_key_is_shown_or_kept_anywhere() {
    let directory = tempfile::tempdir().unwrap();
    let vendor = Vendor::start(400);
    let url = vendor.url();
    let variables = [
        ("DD_API_KEY", API_KEY),
        ("DD_URL", url.as_str()),
        ("PAGERDUTY_ROUTING_KEY", KEY),
        ("PAGERDUTY_URL", url.as_str()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20otlp-s3cr3t"),
        ("OAUTH_TOKEN", "oauth-s3cr3t"),
        ("DOCKER_TEST_STATE_DIR", "state"),
        ("DOCKER_TEST_ATTEMPTS", "1"),
    ];
    let words = ["--name", "a", "--", "sh", "-c", "env; echo $DD_API_KEY $OAUTH_TOKEN; exit 1"];
    let sent = run(directory.path(), &variables, &words);
    assert_code(&sent, 1);
    let dry = run(directory.path(), &variables, &[&["--dry-run"], words.as_slice()].concat());
    assert_code(&dry, 1);
    assert!(text(&dry.stdout).contains("POST http://") && text(&dry.stdout).contains("***"), "{dry:?}");
    assert!(text(&dry.stdout).contains("\nauthorization: ***\n"), "{dry:?}");
    let count = vendor.seen().len();
    let mut all = [sent.stdout, sent.stderr, dry.stdout, dry.stderr].concat();
    for entry in std::fs::read_dir(directory.path().join("state")).unwrap() {
        all.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    for secret in [API_KEY, KEY, "oauth-s3cr3t", "otlp-s3cr3t"] {
        let found = all.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} in {}", String::from_utf8_lossy(&all));
        assert!(vendor.seen().iter().all(|request| !request.line.contains(secret)));
    }
    assert!(vendor.seen().iter().any(|request| request.headers.contains(API_KEY)), "but it is sent");
    assert_eq!(vendor.seen().len(), count, "a dry run sends nothing");
}

#[test]
fn what_the_harness_cannot_do_is_125_and_says_nothing_about_the_service() {
    let directory = tempfile::tempdir().unwrap();
    for (words, said) in [
        (&["--", "/no/such/program"][..], "hint: look whether it is in this image"),
        (&[], "there is nothing to try"),
        (&["--attempts", "0", "--", "true"], "--attempts"),
        (&["--checks", "gone.yaml"], "gone.yaml"),
        (&["./test.sh", "--all"], "tip: the command stands after `--`: docker-test-harness -- COMMAND"),
        (&["--", ""], "there is nothing to try"),
        (&["--timeout", "0s", "--", "true"], "--timeout"),
    ] {
        let output = run(directory.path(), &[], words);
        assert_code(&output, 125);
        assert!(text(&output.stderr).contains(said), "{words:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "");
    }
    let output = run(directory.path(), &[("DOCKER_TEST_ATTEMPTS", "many")], &["--", "true"]);
    assert_code(&output, 125);
    assert!(text(&output.stderr).contains("DOCKER_TEST_ATTEMPTS"), "{}", text(&output.stderr));
}

#[test]
fn checks_of_a_file_are_all_made_and_told_as_json() {
    let directory = tempfile::tempdir().unwrap();
    let vendor = Vendor::start(200);
    let checks = format!(
        "checks:\n  page: {{ http: {{ url: '{0}/page' }} }}\n  port: {{ tcp: '{1}' }}\n  \
         missing: {{ http: {{ url: '{0}/gone', expect: {{ status: 404 }} }}, attempts: 1 }}\n",
        vendor.url(),
        vendor.address
    );
    std::fs::write(directory.path().join("checks.yaml"), checks).unwrap();
    let output = run(directory.path(), &[], &["--checks", "checks.yaml", "--format", "json"]);
    assert_code(&output, 1);
    let runs: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&Value> = runs.as_array().unwrap().iter().map(|run| &run["probe"]["name"]).collect();
    assert_eq!(names, ["page", "port", "missing"]);
    assert_eq!(runs[0]["attempts"][0]["state"], "ok");
    let summary = runs[2]["attempts"][0]["summary"].as_str().unwrap();
    assert!(summary.contains("404") && summary.contains("200"), "expected and got: {summary}");
}

fn begun(mut child: Child, sign: &Path) -> Child {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !sign.exists() {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

#[test]
fn a_signal_ends_the_command_and_all_it_started_and_the_cleanup_is_run() {
    let directory = tempfile::tempdir().unwrap();
    let words = ["--cleanup", "touch cleaned", "--", "sh", "-c", "sleep 300 & echo $! > began; wait"];
    let child = harness(directory.path(), &[], &words).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = begun(child.unwrap(), &directory.path().join("began"));
    std::thread::sleep(Duration::from_millis(100));
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{:?}", output.status.signal());
    assert!(directory.path().join("cleaned").exists());
    let grandchild = std::fs::read_to_string(directory.path().join("began")).unwrap();
    assert!(!Path::new("/proc").join(grandchild.trim()).exists(), "{grandchild} lives on");
}

/// Whether a process is there and no zombie.
fn is_running(id: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

fn written(path: &Path) -> String {
    let begun = Instant::now();
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim().parse::<u32>().unwrap().to_string(),
            _ => assert!(begun.elapsed() < Duration::from_secs(20), "{} was not written", path.display()),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[track_caller]
fn assert_gone(ids: &[String]) {
    let begun = Instant::now();
    while let Some(id) = ids.iter().find(|id| is_running(id)) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{id} lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Shell that leaves a process behind which no group and no parent leads to.
const STRAY: &str =
    "( setsid sh -c 'echo $$ > stray; exec sleep 600' & ); until test -s stray; do sleep 0.01; done";

#[test]
fn a_command_that_has_ended_or_was_timed_out_leaves_no_session_of_its_own_nor_does_a_cleanup() {
    for (last, code) in [("exit 0", 0), ("exit 3", 1), ("exec sleep 600", 1)] {
        let directory = tempfile::tempdir().unwrap();
        let script = format!("{STRAY}; {last}");
        let words = ["--attempts", "1", "--timeout", "2s", "--", "sh", "-c", &script];
        assert_code(&run(directory.path(), &[], &words), code);
        assert!(!is_running(&written(&directory.path().join("stray"))), "{last}");
    }
    let directory = tempfile::tempdir().unwrap();
    assert_code(&run(directory.path(), &[], &["--cleanup", STRAY, "--", "true"]), 0);
    assert!(!is_running(&written(&directory.path().join("stray"))));
}

#[test]
fn what_forks_while_it_is_looked_for_is_found_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    // The second one is gone before the third begins, which is in no group of anybody's.
    let script = "setsid sh -c 'sleep 7775 & echo $! >> strays' & sleep 0.002";
    for _ in 0..40 {
        assert_code(&run(directory.path(), &[], &["--attempts", "1", "--", "sh", "-c", script]), 0);
    }
    let strays = std::fs::read_to_string(directory.path().join("strays")).unwrap_or_default();
    let left: Vec<&str> = strays.lines().filter(|stray| is_running(stray)).collect();
    for stray in &left {
        let id = nix::unistd::Pid::from_raw(stray.parse().unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL).unwrap();
    }
    assert!(left.is_empty(), "{left:?} of {}", strays.lines().count());
}

#[test]
fn what_a_harness_in_a_harness_has_left_is_ended_by_the_outer_one() {
    let directory = tempfile::tempdir().unwrap();
    let inner = env!("CARGO_BIN_EXE_docker-test-harness");
    std::fs::write(
        directory.path().join("inner.sh"),
        format!("{STRAY}; echo $$ > command; exec sleep 600\n"),
    )
    .unwrap();
    for last in ["exit 0", "exec sleep 600"] {
        // The inner one is killed: it ends nothing of what it has started.
        let script = format!(
            "{inner} -- sh inner.sh & until test -s command; do sleep 0.01; done; kill -KILL $!; {last}"
        );
        let words = ["--attempts", "1", "--timeout", "4s", "--", "sh", "-c", &script];
        assert_code(&run(directory.path(), &[], &words), i32::from(last != "exit 0"));
        for sign in ["stray", "command"] {
            let sign = directory.path().join(sign);
            assert!(!is_running(&written(&sign)), "{last}: {}", sign.display());
            std::fs::remove_file(sign).unwrap();
        }
    }
}

#[test]
fn what_a_killed_harness_left_running_is_ended_by_the_next_one_with_a_state() {
    let directory = tempfile::tempdir().unwrap();
    let script = format!("{STRAY}; echo $$ > command; exec sleep 600");
    let variables = [("DOCKER_TEST_STATE_DIR", "state")];
    let [stray, command] = ["stray", "command"].map(|name| directory.path().join(name));
    // Programs of other tests end it as well, and say so: then this one says nothing.
    let is_said = (0..20).any(|_| {
        let mut first = harness(directory.path(), &variables, &["--", "sh", "-c", &script]).spawn().unwrap();
        let left = [written(&command), written(&stray)];
        first.kill().unwrap();
        first.wait().unwrap();
        let next = run(directory.path(), &variables, &["--", "true"]);
        assert_code(&next, 0);
        assert_gone(&left);
        std::fs::remove_file(&stray).unwrap();
        std::fs::remove_file(&command).unwrap();
        text(&next.stderr) == "docker-test-harness: ended 2 processes that a killed run had left running\n"
    });
    assert!(is_said);
}

#[test]
fn a_second_signal_ends_everything_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let script = "trap '' TERM; echo $$ > began; while :; do sleep 0.05; done";
    let words = ["--cleanup", "touch cleaned", "--", "sh", "-c", script];
    let child = harness(directory.path(), &[], &words).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = begun(child.unwrap(), &directory.path().join("began"));
    std::thread::sleep(Duration::from_millis(100));
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    let asked = Instant::now();
    for _ in 0..2 {
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{:?}", output.status.signal());
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "it waited for the grace period: {:?}",
        asked.elapsed()
    );
    assert!(!directory.path().join("cleaned").exists());
    let command = std::fs::read_to_string(directory.path().join("began")).unwrap();
    let gone = || !Path::new("/proc").join(command.trim()).exists();
    while !gone() && asked.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(gone(), "{command} lives on");
}

#[test]
fn a_check_with_attempts_of_its_own_is_told_with_these() {
    let directory = tempfile::tempdir().unwrap();
    let checks = "checks: { late: { command: 'test -e there || { touch there; false; }', attempts: 3, backoff: 10ms } }\n";
    std::fs::write(directory.path().join("checks.yaml"), checks).unwrap();
    let output = run(directory.path(), &[], &["--checks", "checks.yaml"]);
    assert_code(&output, 0);
    assert!(text(&output.stderr).contains("late: passed on attempt 2 of 3"), "{}", text(&output.stderr));
    // Also where others are made after it.
    let once = "echo >> made; [ $(wc -l < made) = 2 ]";
    let words =
        ["--name", "late", "--attempts", "3", "--all-attempts", "--backoff", "1ms", "--", "sh", "-c", once];
    let output = run(directory.path(), &[], &words);
    assert!(text(&output.stderr).contains("late: passed on attempt 2 of 3"), "{}", text(&output.stderr));
}

/// The harness as a subcommand of docker-test, beside a settings file that is none of its business.
fn subcommand(directory: &Path, variables: &[(&str, &str)], words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_docker-test"));
    command
        .arg("harness")
        .args(words)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .envs(variables.iter().copied())
        .current_dir(directory)
        .stdin(Stdio::null());
    command
}

/// Words and variables.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);

#[test]
fn the_subcommand_does_what_the_program_does_and_reads_no_settings() {
    let directory = tempfile::tempdir().unwrap();
    let settings = directory.path().join("docker-test.yaml");
    let cases: [Case<'_>; 8] = [
        (&["--", "sh", "-c", "echo out; echo err >&2"], &[]),
        (&["--attempts", "3", "--backoff", "1ms", "--", "sh", "-c", "exit 7"], &[]),
        (&["--name", "probe", "--", "/no/such/program"], &[]),
        (&["--attempts", "0", "--", "true"], &[]),
        (&["--name", "", "--", "true"], &[]),
        (&["--format"], &[]),
        (&[], &[("DOCKER_TEST_COMMAND", "echo by a variable | cat"), ("DOCKER_TEST_ATTEMPTS", "1")]),
        (&["--", "sleep", "1"], &[("DOCKER_TEST_TIMEOUT", "soon")]),
    ];
    for text in ["version: 1\ndefaults:\n  timeout: 1ms\n  format: json\n", "no: settings: at all"] {
        std::fs::write(&settings, text).unwrap();
        for (words, variables) in cases {
            let alone = run(directory.path(), variables, words);
            let within = subcommand(directory.path(), variables, words).output().unwrap();
            assert_eq!(alone.status.code(), within.status.code(), "{words:?}: {within:?}");
            assert_eq!(alone.stdout, within.stdout, "{words:?}");
            let usage = |bytes: &[u8]| {
                text_of(bytes).replace("Usage: docker-test-harness", "Usage: docker-test harness")
            };
            assert_eq!(usage(&alone.stderr), usage(&within.stderr), "{words:?}");
        }
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn as_a_plugin_of_docker_the_host_tag_is_no_engine_and_an_engine_is_no_host_tag() {
    let directory = tempfile::tempdir().unwrap();
    let plugin = |words: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_docker-test"))
            .args(words)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND", "/usr/bin/docker")
            .current_dir(directory.path())
            .output()
            .unwrap()
    };
    let tagged = plugin(&["test", "harness", "--host", "db.staging", "--format", "json", "--", "true"]);
    assert_code(&tagged, 0);
    let runs: Value = serde_json::from_slice(&tagged.stdout).unwrap();
    assert_eq!(runs[0]["probe"]["host"], "db.staging");
    let refused = plugin(&["--host", "tcp://a:1", "test", "harness", "--", "true"]);
    assert_code(&refused, 125);
    assert!(text(&refused.stderr).contains("unexpected argument '-H'"), "{}", text(&refused.stderr));
}

#[test]
fn a_job_that_sets_only_variables_is_a_whole_probe() {
    let directory = tempfile::tempdir().unwrap();
    let (datadog, pagerduty) = (Vendor::start(202), Vendor::start(202));
    let (datadog_url, pagerduty_url) = (datadog.url(), pagerduty.url());
    let variables = [
        ("DOCKER_TEST_COMMAND", "echo \"$DOCKER_TEST_NAME\"; exit 3"),
        ("DOCKER_TEST_NAME", "shop.checkout"),
        ("DOCKER_TEST_TYPE", "security"),
        ("DOCKER_TEST_HOST", "shop.staging"),
        ("HOST", "not.this.one"),
        ("DOCKER_TEST_TAG", "team:shop\ntier:1"),
        ("DOCKER_TEST_ATTEMPTS", "3"),
        ("DOCKER_TEST_BACKOFF", "1ms"),
        ("DOCKER_TEST_TIMEOUT", "30s"),
        ("DOCKER_TEST_CLEANUP", "echo x >> cleaned"),
        ("DOCKER_TEST_CLEANUP_TIMEOUT", "30s"),
        ("DOCKER_TEST_STATE_DIR", "state"),
        ("DOCKER_TEST_SEND_TIMEOUT", "20s"),
        ("DOCKER_TEST_FORMAT", "json"),
        ("DD_API_KEY", API_KEY),
        ("DD_URL", datadog_url.as_str()),
        ("PAGERDUTY_ROUTING_KEY", KEY),
        ("PAGERDUTY_URL", pagerduty_url.as_str()),
    ];
    let output = run(directory.path(), &variables, &[]);
    assert_code(&output, 1);
    let runs: Value = serde_json::from_slice(&output.stdout).unwrap();
    let probe = &runs[0]["probe"];
    assert_eq!((&probe["name"], &probe["type"]), (&"shop.checkout".into(), &"security".into()));
    assert_eq!(probe["tags"], serde_json::json!(["team:shop", "tier:1"]));
    assert_eq!(runs[0]["attempts"].as_array().unwrap().len(), 3);
    assert_eq!(std::fs::read_to_string(directory.path().join("cleaned")).unwrap(), "x\nx\nx\n");
    assert!(directory.path().join("state").is_dir());
    let page = pagerduty.take("/v2/enqueue").remove(0).json();
    assert_eq!(
        (&page["event_action"], &page["payload"]["source"]),
        (&"trigger".into(), &"shop.staging".into())
    );
    let series = datadog.take("/api/v2/series");
    assert!(series.iter().any(|body| body.body.contains("shop.checkout.failure")), "{series:?}");
}

#[test]
fn two_things_to_try_are_one_too_many() {
    let directory = tempfile::tempdir().unwrap();
    for (variables, words) in [
        (&[][..], &["--command", "true", "--", "true"][..]),
        (&[("DOCKER_TEST_COMMAND", "true"), ("DOCKER_TEST_CHECKS", "a.yaml")], &[]),
    ] {
        assert_code(&run(directory.path(), variables, words), 125);
    }
    // What is said higher up goes before what is said lower down.
    let above = run(
        directory.path(),
        &[("DOCKER_TEST_COMMAND", "false"), ("DOCKER_TEST_CHECKS", "gone")],
        &["--", "true"],
    );
    assert_code(&above, 0);
}

#[test]
fn an_engine_that_does_not_answer_is_no_failure_of_a_container() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("checks.yaml"), "checks: { web: { docker: web-1 } }\n").unwrap();
    let vendor = Vendor::start(202);
    let url = vendor.url();
    let variables = [
        ("DOCKER_HOST", "unix:///nowhere/docker.sock"),
        ("PAGERDUTY_ROUTING_KEY", KEY),
        ("PAGERDUTY_URL", url.as_str()),
    ];
    let output = run(directory.path(), &variables, &["--checks", "checks.yaml"]);
    assert_code(&output, 125);
    let said = text(&output.stderr);
    assert!(
        said.contains("web: cannot ask the engine: cannot reach an engine at unix:///nowhere/docker.sock"),
        "{said}"
    );
    assert!(said.contains("hint: is the engine running"), "{said}");
}

#[test]
fn an_image_is_tested_by_the_docker_test_that_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bin");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(directory.path().join("checks.yaml"), "checks: { smoke: { image: 'shop:1' } }\n").unwrap();
    let words = ["--checks", "checks.yaml", "--attempts", "1"];
    let path_only = path.to_str().unwrap();
    let variables = [("PATH", path_only), ("DOCKER_HOST", "unix:///nowhere/docker.sock")];
    let missing = run(directory.path(), &variables, &words);
    assert_code(&missing, 125);
    assert!(
        text(&missing.stderr).contains("cannot start the command docker-test"),
        "{}",
        text(&missing.stderr)
    );
    // The subcommand needs no PATH for it.
    let own = subcommand(directory.path(), &variables, &words).output().unwrap();
    assert_code(&own, 125);
    let said = text(&own.stderr);
    assert!(said.contains("smoke: cannot test the image `shop:1`: cannot reach an engine"), "{said}");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_docker-test"), path.join("docker-test")).unwrap();
    let found = run(directory.path(), &variables, &words);
    assert!(text(&found.stderr).contains("smoke: cannot test the image `shop:1`"), "{}", text(&found.stderr));
}

#[test]
fn output_of_any_kind_and_size_passes_through_whole() {
    let directory = tempfile::tempdir().unwrap();
    let script = "head -c 3000000 /dev/zero | tr '\\0' '\\377'; printf '\\000\\033[31m'; exit 1";
    let output = run(directory.path(), &[("DOCKER_TEST_ATTEMPTS", "1")], &["--", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout.len(), 3_000_006);
    assert!(output.stdout.ends_with(b"\xff\0\x1b[31m"));
    assert!(output.stderr.len() < 8192 && !output.stderr.contains(&0x1b), "{}", text_of(&output.stderr));
}
