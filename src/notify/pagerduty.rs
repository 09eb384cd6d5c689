//! PagerDuty, Events API v2: opens and closes incidents.
//!
//! Owns the event and its limits, and what PagerDuty's answers mean. When there is something to tell is the policy's;
//! how often it may be told is said here and kept by whoever sends.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::notify::address::{InvalidAddress, Key, Url};
use crate::notify::configured::{self, Given};
use crate::notify::pagerduty_v1::PagerDutyV1;
use crate::notify::preflight::{Preflight, Standing, later};
use crate::notify::{
    Action, Alert, Answer, HttpRequest, Notice, Notifier, Reception, Severity, Transmission, receive, text,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Where PagerDuty listens, outside of the EU.
pub const DEFAULT_BASE: &str = "https://events.pagerduty.com";
const ENQUEUE: &str = "/v2/enqueue";
/// Of both versions: what is meant for PagerDuty is meant for either.
pub(super) const NAME: &str = "pagerduty";
/// What PagerDuty shows as the sender.
pub(super) const CLIENT: &str = "docker-test";
/// Most events of a key in a minute.
pub(super) const PER_MINUTE: u32 = 120;
pub(super) const MOST_SUMMARY_CHARS: usize = 1024;
pub(super) const MOST_KEY_BYTES: usize = 255;
/// Resolved by the preflight. No alert has this key, and PagerDuty drops a resolve where nothing is open.
pub(super) const NEVER_OPENED: &str = "docker-test doctor: nothing is opened under this key";
const MOST_BODY_BYTES: usize = 512_000;
const MOST_SOURCE_CHARS: usize = 255;
const MOST_DETAIL_NAME_CHARS: usize = 100;
/// How much of each detail is kept: the first of these with which the event is within its limit.
const DETAIL_CHARS: [usize; 5] = [65_536, 8192, 1024, 128, 0];

/// An integration of the Events API v2.
#[derive(Debug, Clone)]
pub struct PagerDuty {
    key: Key,
    base: Url,
}

impl PagerDuty {
    /// `key` is the integration's routing key.
    #[must_use]
    pub const fn new(key: Key, base: Url) -> Self {
        Self { key, base }
    }

    fn resolve(&self, key: &str) -> Value {
        json!({
            "routing_key": self.key.expose(),
            "event_action": "resolve",
            "dedup_key": key,
        })
    }

    fn event(&self, alert: &Alert, detail_chars: usize) -> Value {
        let key = text::key(&alert.dedup_key, MOST_KEY_BYTES);
        if alert.action == Action::Resolve {
            return self.resolve(&key);
        }
        json!({
            "routing_key": self.key.expose(),
            "event_action": "trigger",
            "dedup_key": key,
            "payload": {
                "summary": summary(alert),
                "source": or(&text::cut_chars(&text::one_line(&alert.probe.host), MOST_SOURCE_CHARS), CLIENT),
                "severity": severity(alert.severity),
                "timestamp": text::timestamp(alert.at),
                "component": text::cut_chars(&text::one_line(&alert.probe.name), MOST_SOURCE_CHARS),
                "class": text::cut_chars(&text::one_line(&alert.probe.kind), MOST_SOURCE_CHARS),
                "custom_details": details(alert, detail_chars),
            },
            "client": CLIENT,
        })
    }
}

/// PagerDuty: opens and resolves incidents.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with routing_key")]
#[schemars(rename = "PagerDuty")]
pub(super) struct Settings {
    /// Integration key of Events API v2.
    #[serde(default)]
    routing_key: Option<IntegrationKey>,
    /// Service key of Events API v1, in the place of the other.
    #[serde(default)]
    service_key: Option<IntegrationKey>,
    /// Another base address: `https://events.eu.pagerduty.com`.
    #[serde(default)]
    url: Option<Url>,
}

impl configured::Settings for Settings {
    fn sinks(self, _: Given<'_>) -> Result<Vec<Box<dyn Notifier>>, String> {
        let usual = || Url::parse(DEFAULT_BASE).map_err(|error| error.to_string());
        let base = self.url.map_or_else(usual, Ok)?;
        match (self.routing_key, self.service_key) {
            (Some(key), None) => Ok(vec![Box::new(PagerDuty::new(key.0, base))]),
            (None, Some(key)) => Ok(vec![Box::new(PagerDutyV1::new(key.0, base))]),
            (None, None) => Err("expected routing_key, or service_key for Events API v1".to_owned()),
            (Some(_), Some(_)) => Err("`routing_key` and `service_key` exclude each other".to_owned()),
        }
    }
}

/// Characters of a key.
const KEY_CHARS: usize = 32;

/// Reads an integration key.
pub(super) fn integration_key(text: &str) -> Result<Key, InvalidAddress> {
    let text = text.trim();
    let is_key = text.len() == KEY_CHARS && text.chars().all(|it| it.is_ascii_alphanumeric());
    let invalid = InvalidAddress { expected: "the 32 letters and digits of an integration key" };
    if is_key { Key::parse(text) } else { Err(invalid) }
}

struct IntegrationKey(Key);

configured::checked!(
    IntegrationKey,
    |text| integration_key(text).map(IntegrationKey),
    "IntegrationKey",
    "32 letters and digits; `env:NAME` takes them from a variable."
);

impl Notifier for PagerDuty {
    fn name(&self) -> &'static str {
        NAME
    }

    fn lifetime(&self, notice: &Notice) -> Option<Duration> {
        lifetime(notice)
    }

    fn render(&self, notice: &Notice) -> Vec<Transmission> {
        let Notice::Alert(alert) = notice else { return Vec::new() };
        let body = within_limit(|detail_chars| self.event(alert, detail_chars));
        vec![Transmission::Http(post(self.base.join(ENQUEUE), body))]
    }

    /// Success is 202 alone: any other 2xx came from something in between, and the incident is not open.
    fn receive(&self, answer: &Answer) -> Reception {
        receive_as(answer, 202, receive(answer))
    }

    fn per_minute(&self) -> Option<u32> {
        Some(PER_MINUTE)
    }

    fn preflight(&self) -> Preflight {
        let event = self.resolve(NEVER_OPENED).to_string();
        Preflight::Ask(post(self.base.join(ENQUEUE), event.into_bytes()))
    }

    fn standing(&self, answer: &Answer) -> Standing {
        standing(answer, self.receive(answer), "v2")
    }

    fn secrets(&self) -> Vec<String> {
        std::iter::once(self.key.expose().to_owned()).chain(self.base.password()).collect()
    }
}

/// A page that is a day late wakes people for nothing. A resolve is worth sending for as long as the incident may be
/// open.
pub(super) fn lifetime(notice: &Notice) -> Option<Duration> {
    let Notice::Alert(alert) = notice else { return None };
    let hours = match alert.action {
        Action::Trigger => 24,
        Action::Resolve => 7 * 24,
    };
    alert.is_for(NAME).then(|| Duration::from_hours(hours))
}

pub(super) fn post(url: String, body: Vec<u8>) -> HttpRequest {
    let headers = vec![("content-type".into(), "application/json".to_owned())];
    HttpRequest { method: "POST", url, headers, body }
}

/// What the answer to a resolve of nothing says of the key. A key that PagerDuty does not know is an invalid event to it.
pub(super) fn standing(answer: &Answer, reception: Reception, version: &str) -> Standing {
    match reception {
        Reception::Accepted => Standing::Accepted { says: "accepts the key" },
        Reception::Later { reason, .. } => later(&reason),
        Reception::Refused { reason } if matches!(answer.status, 400 | 401 | 403) => Standing::Refused {
            says: format!("refuses the key: {reason}"),
            hint: format!(
                "take the key of an integration of Events API {version}; accounts of the EU are at \
                 https://events.eu.pagerduty.com (PAGERDUTY_URL, or url in the file)"
            ),
        },
        Reception::Refused { reason } => Standing::Unclear {
            says: format!("does not answer as PagerDuty does: {reason}"),
            hint: "correct the base address (PAGERDUTY_URL, or url in the file)".to_owned(),
        },
    }
}

/// The event with as much of its details as its limit allows.
pub(super) fn within_limit(event: impl Fn(usize) -> Value) -> Vec<u8> {
    let bodies = DETAIL_CHARS.into_iter().map(|detail_chars| event(detail_chars).to_string().into_bytes());
    let mut smallest = Vec::new();
    for body in bodies {
        smallest = body;
        if smallest.len() <= MOST_BODY_BYTES {
            break;
        }
    }
    smallest
}

/// `reception` unless it is a success with another status than `success`.
pub(super) fn receive_as(answer: &Answer, success: u16, reception: Reception) -> Reception {
    if reception != Reception::Accepted || answer.status == success {
        return reception;
    }
    let reason = format!("HTTP status {}, expected {success}: something in between answered", answer.status);
    Reception::Later { after: answer.retry_after.map(Duration::from_secs), reason }
}

/// One line that is never empty: a trigger without one is refused.
pub(super) fn summary(alert: &Alert) -> String {
    let summary = text::one_line(&alert.summary);
    let summary = or(&summary, "a probe failed").to_owned();
    text::cut_chars(&summary, MOST_SUMMARY_CHARS).into_owned()
}

fn or<'a>(text: &'a str, instead: &'a str) -> &'a str {
    if text.is_empty() { instead } else { text }
}

/// What is told beside the summary, each value of at most `most` characters. Names of ours win; with 0 they are alone.
pub(super) fn details(alert: &Alert, most: usize) -> BTreeMap<String, String> {
    let mut details = BTreeMap::new();
    if most > 0 {
        details.extend(alert.details.iter().map(|(name, value)| {
            let name = text::cut_chars(&text::one_line(name), MOST_DETAIL_NAME_CHARS).into_owned();
            // Cut first: cleaning makes nothing longer, and a value may be of any length.
            (name, text::lines(&text::cut_chars(value, most)))
        }));
    }
    let short = |text: &str| text::cut_chars(&text::one_line(text), MOST_SOURCE_CHARS).into_owned();
    // The seed's word for the host.
    details.insert("failed_host".to_owned(), short(&alert.probe.host));
    details.insert("probe".to_owned(), short(&alert.probe.name));
    details.insert("run".to_owned(), short(&alert.run));
    details.insert("since".to_owned(), text::timestamp(alert.since));
    details
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
        Severity::Critical => "critical",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::notify::sample;
    use crate::probe::{State, Verdict};

    const KEY: &str = "R0123456789abcdef0123456789abcde";

    fn sink() -> PagerDuty {
        PagerDuty::new(Key::parse(KEY).unwrap(), Url::parse("https://events.eu.pagerduty.com").unwrap())
    }

    fn posted(notice: &Notice) -> Value {
        let rendered = sink().render(notice);
        let [Transmission::Http(request)] = rendered.as_slice() else { panic!("one request") };
        assert_eq!(request.method, "POST");
        assert_eq!(request.url, "https://events.eu.pagerduty.com/v2/enqueue");
        assert_eq!(request.headers, [("content-type".into(), "application/json".to_owned())]);
        assert!(request.body.len() <= 512_000);
        serde_json::from_slice(&request.body).unwrap()
    }

    #[test]
    fn a_trigger_says_who_what_and_since_when() {
        let expected = json!({
            "routing_key": KEY,
            "event_action": "trigger",
            "dedup_key": "docker-test/example.integration/staging.example/target",
            "payload": {
                "summary": "example.integration failed: expected status 200, got 503",
                "source": "staging.example",
                "severity": "critical",
                "timestamp": "2026-03-01T12:00:00Z",
                "component": "example.integration",
                "class": "integration",
                "custom_details": {
                    "failed_host": "staging.example",
                    "probe": "example.integration",
                    "provider": "Google",
                    "run": "run-1",
                    "since": "2026-03-01T11:59:00Z",
                },
            },
            "client": "docker-test",
        });
        assert_eq!(posted(&sample::alert()), expected);
    }

    #[test]
    fn a_resolve_is_its_key_alone_and_the_same_every_time() {
        let expected = json!({
            "routing_key": KEY,
            "event_action": "resolve",
            "dedup_key": "docker-test/example.integration/staging.example/target",
        });
        let mut later = sample::resolve();
        later.at += 60;
        later.run = "run-2".to_owned();
        assert_eq!(posted(&Notice::Alert(sample::resolve())), expected);
        assert_eq!(posted(&Notice::Alert(later)), expected);
        assert_eq!(posted(&sample::resolve_in_case()), expected);
        assert!(sink().lifetime(&sample::resolve_in_case()).is_some(), "dropped where nothing is open");
    }

    #[test]
    fn a_long_key_is_the_same_on_trigger_and_resolve() {
        let long = "k".repeat(400);
        let mut trigger = sample::trigger();
        trigger.dedup_key.clone_from(&long);
        let resolve = Alert { action: Action::Resolve, ..trigger.clone() };
        let (trigger, resolve) = (posted(&Notice::Alert(trigger)), posted(&Notice::Alert(resolve)));
        assert_eq!(trigger["dedup_key"], resolve["dedup_key"]);
        assert_eq!(trigger["dedup_key"].as_str().unwrap().len(), 255);
    }

    #[test]
    fn only_alerts_are_for_it_and_a_resolve_lives_longer() {
        for notice in [sample::started(), sample::attempted(State::Critical)] {
            assert_eq!(sink().lifetime(&notice), None);
            assert!(sink().render(&notice).is_empty());
        }
        assert_eq!(sink().lifetime(&sample::finished(Verdict::Failed, None)), None);
        assert_eq!(sink().lifetime(&sample::alert_for("slack")), None);
        assert!(sink().lifetime(&sample::alert_for("pagerduty")).is_some());
        assert_eq!(sink().lifetime(&sample::alert()), Some(Duration::from_hours(24)));
        assert_eq!(sink().lifetime(&Notice::Alert(sample::resolve())), Some(Duration::from_hours(168)));
    }

    #[test]
    fn only_202_is_success_and_400_is_final() {
        let received = |status| sink().receive(&Answer { status, retry_after: Some(3), body: String::new() });
        assert_eq!(received(202), Reception::Accepted);
        let after = Some(Duration::from_secs(3));
        assert!(matches!(received(200), Reception::Later { .. }));
        assert!(matches!(received(429), Reception::Later { after: it, .. } if it == after));
        assert!(matches!(received(503), Reception::Later { .. }));
        assert!(matches!(received(400), Reception::Refused { .. }));
        assert!(matches!(received(403), Reception::Refused { .. }));
        assert_eq!(sink().per_minute(), Some(120));
    }

    #[test]
    fn the_preflight_resolves_what_was_never_opened_and_its_answer_is_about_the_key() {
        let Preflight::Ask(request) = sink().preflight() else { panic!("a request") };
        assert_eq!(
            (request.method, request.url.as_str()),
            ("POST", "https://events.eu.pagerduty.com/v2/enqueue")
        );
        let event: Value = serde_json::from_slice(&request.body).unwrap();
        let expected = json!({ "routing_key": KEY, "event_action": "resolve", "dedup_key": NEVER_OPENED });
        assert_eq!(event, expected);
        let read = |status, body: &str| {
            sink().standing(&Answer { status, retry_after: None, body: body.to_owned() })
        };
        assert_eq!(read(202, ""), Standing::Accepted { says: "accepts the key" });
        let invalid = r#"{"status":"invalid event","errors":["Invalid routing key"]}"#;
        let Standing::Refused { says, hint } = read(400, invalid) else { panic!("it is refused") };
        assert!(says.starts_with("refuses the key: ") && says.contains("Invalid routing key"), "{says}");
        assert!(hint.contains("Events API v2"), "{hint}");
        for status in [200, 302, 404, 429, 500] {
            assert!(matches!(read(status, ""), Standing::Unclear { .. }), "{status}");
        }
    }

    #[test]
    fn details_give_way_to_the_limit_and_the_event_is_still_sent() {
        let mut alert = sample::trigger();
        alert.details = (0..500).map(|number| (format!("detail {number}"), "\u{1}ä\n".repeat(500))).collect();
        let event = posted(&Notice::Alert(alert));
        assert_eq!(event["payload"]["custom_details"]["failed_host"], "staging.example");
        assert!(event["payload"]["custom_details"]["detail 7"].as_str().unwrap().chars().count() > 64);
        let mut alert = sample::trigger();
        alert.details = (0..40_000).map(|number| (format!("detail {number}"), "x".to_owned())).collect();
        assert_eq!(posted(&Notice::Alert(alert))["payload"]["custom_details"].as_object().unwrap().len(), 4);
    }

    #[test]
    fn the_key_is_not_shown_by_debug_and_is_named_as_a_secret() {
        assert!(!format!("{:?}", sink()).contains(KEY));
        assert_eq!(sink().secrets(), [KEY]);
    }

    proptest! {
        #[test]
        fn any_text_leaves_an_event_that_is_taken(text in sample::hostile()) {
            for notice in sample::everywhere(&text) {
                let Notice::Alert(alert) = &notice else { continue };
                let event = posted(&notice);
                let keys: Vec<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
                prop_assert!(event["dedup_key"].as_str().unwrap().len() <= 255);
                if alert.action == Action::Resolve {
                    prop_assert_eq!(keys, ["routing_key", "event_action", "dedup_key"]);
                    continue;
                }
                prop_assert_eq!(keys, ["routing_key", "event_action", "dedup_key", "payload", "client"]);
                let payload = event["payload"].as_object().unwrap();
                let keys: Vec<&str> = payload.keys().map(String::as_str).collect();
                let expected =
                    ["summary", "source", "severity", "timestamp", "component", "class", "custom_details"];
                prop_assert_eq!(keys, expected);
                let summary = payload["summary"].as_str().unwrap();
                prop_assert!((1..=1024).contains(&summary.chars().count()));
                prop_assert!(!payload["source"].as_str().unwrap().is_empty());
                prop_assert!(payload["custom_details"].as_object().unwrap().values().all(Value::is_string));
            }
        }
    }
}
