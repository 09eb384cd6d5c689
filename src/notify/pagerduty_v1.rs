//! PagerDuty, Events API v1: the seed's endpoint, for services that have a service key.
//!
//! Owns the event and what the answers mean, which is not what they mean to v2: success is 200, and 403 is the rate
//! limit. Unlike the seed it always sends an incident key, so that an incident stays one and is closed again.

use std::time::Duration;

use serde_json::{Value, json};

use crate::notify::address::{Key, Url};
use crate::notify::pagerduty::{
    CLIENT, MOST_KEY_BYTES, NAME, NEVER_OPENED, PER_MINUTE, details, lifetime, post, receive_as, standing,
    summary, within_limit,
};
use crate::notify::preflight::{Preflight, Standing};
use crate::notify::{Action, Alert, Answer, Notice, Notifier, Reception, Transmission, receive, text};

const CREATE_EVENT: &str = "/generic/2010-04-15/create_event.json";

/// An integration of the Events API v1.
#[derive(Debug, Clone)]
pub struct PagerDutyV1 {
    key: Key,
    base: Url,
}

impl PagerDutyV1 {
    /// `key` is the service key.
    #[must_use]
    pub const fn new(key: Key, base: Url) -> Self {
        Self { key, base }
    }

    fn resolve(&self, key: &str) -> Value {
        json!({
            "service_key": self.key.expose(),
            "event_type": "resolve",
            "incident_key": key,
        })
    }

    fn event(&self, alert: &Alert, detail_chars: usize) -> Value {
        let key = text::key(&alert.dedup_key, MOST_KEY_BYTES);
        if alert.action == Action::Resolve {
            return self.resolve(&key);
        }
        let mut details = details(alert, detail_chars);
        // v1 has no field for how bad it is.
        details.insert("severity".to_owned(), format!("{:?}", alert.severity).to_lowercase());
        json!({
            "service_key": self.key.expose(),
            "event_type": "trigger",
            "incident_key": key,
            "description": summary(alert),
            "details": details,
            "client": CLIENT,
        })
    }
}

impl Notifier for PagerDutyV1 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn lifetime(&self, notice: &Notice) -> Option<Duration> {
        lifetime(notice)
    }

    fn render(&self, notice: &Notice) -> Vec<Transmission> {
        let Notice::Alert(alert) = notice else { return Vec::new() };
        let body = within_limit(|detail_chars| self.event(alert, detail_chars));
        vec![Transmission::Http(post(self.base.join(CREATE_EVENT), body))]
    }

    fn receive(&self, answer: &Answer) -> Reception {
        match receive(answer) {
            Reception::Refused { reason } if answer.status == 403 => {
                Reception::Later { after: answer.retry_after.map(Duration::from_secs), reason }
            }
            reception => receive_as(answer, 200, reception),
        }
    }

    fn per_minute(&self) -> Option<u32> {
        Some(PER_MINUTE)
    }

    fn preflight(&self) -> Preflight {
        let event = self.resolve(NEVER_OPENED).to_string();
        Preflight::Ask(post(self.base.join(CREATE_EVENT), event.into_bytes()))
    }

    fn standing(&self, answer: &Answer) -> Standing {
        standing(answer, self.receive(answer), "v1")
    }

    fn secrets(&self) -> Vec<String> {
        std::iter::once(self.key.expose().to_owned()).chain(self.base.password()).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::notify::sample;
    use crate::probe::Verdict;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn sink() -> PagerDutyV1 {
        PagerDutyV1::new(Key::parse(KEY).unwrap(), Url::parse("https://events.pagerduty.com").unwrap())
    }

    fn posted(notice: &Notice) -> Value {
        let rendered = sink().render(notice);
        let [Transmission::Http(request)] = rendered.as_slice() else { panic!("one request") };
        assert_eq!(request.method, "POST");
        assert_eq!(request.url, "https://events.pagerduty.com/generic/2010-04-15/create_event.json");
        assert!(request.body.len() <= 512_000);
        serde_json::from_slice(&request.body).unwrap()
    }

    #[test]
    fn a_trigger_is_the_seeds_with_an_incident_key() {
        let expected = json!({
            "service_key": KEY,
            "event_type": "trigger",
            "incident_key": "docker-test/example.integration/staging.example/target",
            "description": "example.integration failed: expected status 200, got 503",
            "details": {
                "failed_host": "staging.example",
                "probe": "example.integration",
                "provider": "Google",
                "run": "run-1",
                "severity": "critical",
                "since": "2026-03-01T11:59:00Z",
            },
            "client": "docker-test",
        });
        assert_eq!(posted(&sample::alert()), expected);
    }

    #[test]
    fn a_resolve_is_its_key_alone() {
        let expected = json!({
            "service_key": KEY,
            "event_type": "resolve",
            "incident_key": "docker-test/example.integration/staging.example/target",
        });
        assert_eq!(posted(&Notice::Alert(sample::resolve())), expected);
    }

    #[test]
    fn success_is_200_and_403_is_the_rate_limit() {
        let received = |status| sink().receive(&Answer { status, retry_after: None, body: String::new() });
        assert_eq!(received(200), Reception::Accepted);
        for status in [202, 302, 403, 429, 500] {
            assert!(matches!(received(status), Reception::Later { .. }), "{status}");
        }
        for status in [400, 401, 404] {
            assert!(matches!(received(status), Reception::Refused { .. }), "{status}");
        }
        assert_eq!(sink().per_minute(), Some(120));
    }

    #[test]
    fn the_preflight_resolves_what_was_never_opened() {
        let Preflight::Ask(request) = sink().preflight() else { panic!("a request") };
        assert!(request.url.ends_with("/generic/2010-04-15/create_event.json"), "{}", request.url);
        let event: Value = serde_json::from_slice(&request.body).unwrap();
        let expected = json!({ "service_key": KEY, "event_type": "resolve", "incident_key": NEVER_OPENED });
        assert_eq!(event, expected);
        let read = |status| sink().standing(&Answer { status, retry_after: None, body: String::new() });
        assert_eq!(read(200), Standing::Accepted { says: "accepts the key" });
        assert!(matches!(read(400), Standing::Refused { .. }));
        for status in [202, 403, 500] {
            assert!(matches!(read(status), Standing::Unclear { .. }), "{status}: 403 is the rate limit here");
        }
    }

    #[test]
    fn only_alerts_are_for_it_and_the_key_is_not_shown() {
        assert_eq!(sink().lifetime(&sample::finished(Verdict::Failed, None)), None);
        assert!(sink().render(&sample::finished(Verdict::Failed, None)).is_empty());
        assert!(sink().lifetime(&sample::alert_for("pagerduty")).is_some());
        assert_eq!(sink().lifetime(&sample::alert_for("slack")), None);
        assert!(!format!("{:?}", sink()).contains(KEY));
        assert_eq!(sink().secrets(), [KEY]);
    }

    proptest! {
        #[test]
        fn any_text_leaves_our_keys_and_is_within_limits(text in sample::hostile()) {
            for notice in sample::everywhere(&text).iter().filter(|it| matches!(it, Notice::Alert(_))) {
                let event = posted(notice);
                prop_assert!(event["incident_key"].as_str().unwrap().len() <= 255);
                let keys: Vec<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
                if event["event_type"] == "resolve" {
                    prop_assert_eq!(keys, ["service_key", "event_type", "incident_key"]);
                } else {
                    let expected =
                        ["service_key", "event_type", "incident_key", "description", "details", "client"];
                    prop_assert_eq!(keys, expected);
                    let count = event["description"].as_str().unwrap().chars().count();
                    prop_assert!((1..=1024).contains(&count));
                }
            }
        }
    }
}
