//! `docker-test outbox`: what a harness left for sinks that did not take it, shown, sent again and deleted.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the place")]

#[path = "fixtures/vendor.rs"]
#[expect(dead_code, reason = "other tests take more of it")]
mod vendor;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use vendor::{Request, Vendor};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A state directory, and the vendor that is told.
struct Scene {
    directory: tempfile::TempDir,
    pagerduty: Vendor,
}

impl Scene {
    fn new(status: u16) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), pagerduty: Vendor::start(status) }
    }

    fn run(&self, program: &str, words: &[&str]) -> Output {
        Command::new(program)
            .args(words)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("DOCKER_TEST_STATE_DIR", self.directory.path().join("state"))
            .env("PAGERDUTY_ROUTING_KEY", KEY)
            .env("PAGERDUTY_URL", self.pagerduty.url())
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// A run of the harness of which the vendor does not take the page.
    fn failing_run(&self) {
        let words = ["--name", "shop", "--attempts", "1", "--send-timeout", "2s", "--", "false"];
        let ran = self.run(env!("CARGO_BIN_EXE_docker-test-harness"), &words);
        assert_eq!(ran.status.code(), Some(1), "{}", text(&ran.stderr));
        self.pagerduty.take("");
    }

    #[track_caller]
    fn outbox(&self, code: i32, words: &[&str]) -> String {
        let ran = self.run(env!("CARGO_BIN_EXE_docker-test"), &[&["outbox"], words].concat());
        let said = text(&ran.stdout);
        assert_eq!(ran.status.code(), Some(code), "{said}\n{}", text(&ran.stderr));
        assert!(!said.contains(KEY) && !text(&ran.stderr).contains(KEY), "{said}");
        if code == 0 { said } else { text(&ran.stderr) + &said }
    }

    fn listed(&self, words: &[&str]) -> Vec<Value> {
        let words = [&["list", "--format", "json"], words].concat();
        serde_json::from_str(&self.outbox(0, &words)).unwrap()
    }

    fn told(&self) -> Vec<Value> {
        self.pagerduty.take("/v2/enqueue").iter().map(Request::json).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn what_waits_is_shown_and_sent_when_its_sink_is_back() {
    let scene = Scene::new(503);
    scene.failing_run();
    let waiting = scene.listed(&[]);
    assert_eq!((waiting.len(), &waiting[0]["kind"]), (1, &"trigger".into()), "{waiting:?}");
    assert!(waiting[0]["reason"].as_str().unwrap().contains("503"), "{waiting:?}");
    assert_eq!(scene.listed(&["--dead"]).len() + scene.listed(&["--sink", "slack"]).len(), 0);
    let all = scene.outbox(0, &[]);
    assert!(all.contains("pagerduty") && all.contains("WAITING"), "{all}");
    let json: Value = serde_json::from_str(&scene.outbox(0, &["--format", "json"])).unwrap();
    assert_eq!((&json[0]["sink"], &json[0]["waiting"]), (&"pagerduty".into(), &1.into()));
    let number = waiting[0]["number"].to_string();
    let shown = scene.outbox(0, &["show", &number]);
    assert!(shown.contains("waiting") && shown.contains("shop"), "{shown}");
    let refused = scene.outbox(125, &["retry", &number]);
    assert!(refused.contains("was not refused"), "{refused}");
    scene.outbox(125, &["send", "--timeout", "1s"]);
    scene.pagerduty.take("");
    scene.pagerduty.answers(202);
    let sent = scene.outbox(0, &["send", "--timeout", "30s"]);
    assert!(sent.contains("pagerduty: 1 sent"), "{sent}");
    assert_eq!(scene.told()[0]["event_action"], "trigger");
    assert_eq!(scene.listed(&[]).len(), 0);
}

#[test]
fn what_was_refused_is_shown_with_the_reason_sent_again_or_deleted() {
    let scene = Scene::new(400);
    scene.failing_run();
    let dead = scene.listed(&["--dead"]);
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert!(dead[0]["reason"].as_str().unwrap().contains("400"), "{dead:?}");
    let number = dead[0]["number"].to_string();
    assert!(scene.outbox(0, &["show", &number]).contains("refused"));
    assert!(scene.outbox(0, &["list", "--dead"]).contains("HTTP status 400"));
    scene.pagerduty.answers(202);
    assert!(scene.outbox(0, &["retry", &number]).contains("1 notice"));
    scene.outbox(0, &["send", "--timeout", "30s"]);
    assert_eq!(scene.told().len(), 1);
    scene.pagerduty.answers(400);
    let words = ["--name", "mail", "--attempts", "1", "--", "false"];
    scene.run(env!("CARGO_BIN_EXE_docker-test-harness"), &words);
    assert!(scene.outbox(0, &["delete", "--all", "--sink", "pagerduty"]).contains("1 notice deleted"));
    assert_eq!(scene.listed(&["--dead"]).len(), 0);
    assert!(scene.outbox(125, &["show", "99"]).contains("there is no notice 99"));
}

#[test]
fn an_incident_that_has_ended_is_not_opened_by_sending_its_trigger_again() {
    let scene = Scene::new(400);
    scene.failing_run();
    scene.pagerduty.answers(202);
    let words = ["--name", "shop", "--attempts", "1", "--", "true"];
    scene.run(env!("CARGO_BIN_EXE_docker-test-harness"), &words);
    let dead = scene.listed(&["--dead"]);
    assert_eq!((dead.len(), &dead[0]["kind"], &dead[0]["outdated"]), (1, &"trigger".into(), &true.into()));
    let number = dead[0]["number"].to_string();
    let refused = scene.outbox(125, &["retry", &number]);
    assert!(
        refused.contains("its incident has ended since") && refused.contains("outbox delete"),
        "{refused}"
    );
    let all = scene.outbox(0, &["retry", "--all"]);
    assert!(all.contains("0 notices to be sent again") && all.contains("1 notice not sent again"), "{all}");
    assert!(scene.outbox(0, &["list", "--dead"]).contains("its incident has ended since"));
    assert!(
        scene.outbox(0, &["show", &number]).contains("not to be sent again: its incident has ended since")
    );
    scene.pagerduty.take("");
    scene.outbox(0, &["send", "--timeout", "30s"]);
    assert_eq!(scene.told().len(), 0);
}

#[test]
fn an_outbox_that_is_not_there_is_empty_and_none_is_made() {
    let scene = Scene::new(202);
    assert!(scene.outbox(0, &[]).contains("nothing waits"));
    assert_eq!(scene.listed(&[]).len(), 0);
    assert!(scene.outbox(0, &["send"]).contains("nothing waits"));
    assert!(scene.outbox(125, &["delete"]).contains("required"));
    assert!(!Path::new(&scene.directory.path().join("state")).exists());
}

#[test]
fn a_state_directory_is_named_before_and_after_the_subcommand() {
    let scene = Scene::new(500);
    scene.failing_run();
    for words in [["--state-dir", "elsewhere", "list"], ["list", "--state-dir", "elsewhere"]] {
        assert!(!scene.outbox(0, &words).contains("pagerduty"), "{words:?}");
    }
    let listed = scene.outbox(0, &["--state-dir", "state", "list"]);
    assert!(listed.contains("pagerduty"), "{listed}");
}
