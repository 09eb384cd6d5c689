//! Slack, or what speaks its language: a message for each alert, through an incoming webhook.
//!
//! Owns the message and what keeps free text from being markup in it: no link of a stranger, no call to a channel. The
//! address is the key.

use std::time::Duration;

use serde_json::{Value, json};

use crate::notify::address::Url;
use crate::notify::configured::{self, Given};
use crate::notify::preflight::{Preflight, Standing, later, standing};
use crate::notify::{
    Action, Alert, Answer, HttpRequest, Notice, Notifier, Reception, Severity, Subject, Transmission, text,
};
use schemars::JsonSchema;
use serde::Deserialize;

const LIFETIME: Duration = Duration::from_hours(24);
/// One a second, in the long run.
const PER_MINUTE: u32 = 60;
const MOST_HEADER_CHARS: usize = 150;
const MOST_TEXT_CHARS: usize = 3000;
const MOST_FIELD_CHARS: usize = 2000;
const MOST_FIELDS: usize = 10;
/// Of the text that stands in notifications. Escaped it is at most five times as long, and Slack takes 40,000.
const MOST_FALLBACK_CHARS: usize = 3000;

/// What is said to a message without a text by a webhook that is alive: Slack's words, and Mattermost's.
const NO_MESSAGE: [&str; 4] =
    ["no_text", "invalid_payload", "missing_text_or_fallback_or_attachments", "No text specified"];

/// An incoming webhook.
#[derive(Debug, Clone)]
pub struct Slack {
    webhook: Url,
}

impl Slack {
    /// `webhook` is the whole address that Slack gave.
    #[must_use]
    pub const fn new(webhook: Url) -> Self {
        Self { webhook }
    }

    fn post(&self, body: &Value) -> HttpRequest {
        HttpRequest {
            method: "POST",
            url: self.webhook.whole(),
            headers: vec![("content-type".into(), "application/json".to_owned())],
            body: body.to_string().into_bytes(),
        }
    }
}

/// Slack: alerts alone.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with url")]
#[schemars(rename = "Slack")]
pub(super) struct Settings {
    /// Address of the incoming webhook: it is a key itself.
    url: Url,
}

impl configured::Settings for Settings {
    fn sinks(self, _: Given<'_>) -> Result<Vec<Box<dyn Notifier>>, String> {
        Ok(vec![Box::new(Slack::new(self.url))])
    }
}

impl Notifier for Slack {
    fn name(&self) -> &'static str {
        "slack"
    }

    /// A resolve that is told in case something was open would be noise here.
    fn lifetime(&self, notice: &Notice) -> Option<Duration> {
        let Notice::Alert(alert) = notice else { return None };
        let is_in_case = alert.action == Action::Resolve && alert.reminder;
        (!is_in_case && alert.is_for(self.name())).then_some(LIFETIME)
    }

    fn render(&self, notice: &Notice) -> Vec<Transmission> {
        let Notice::Alert(alert) = notice else { return Vec::new() };
        vec![Transmission::Http(self.post(&message(alert)))]
    }

    fn per_minute(&self) -> Option<u32> {
        Some(PER_MINUTE)
    }

    /// A message of nothing, which is refused and appears nowhere. How it is refused tells a webhook from none.
    fn preflight(&self) -> Preflight {
        Preflight::Ask(self.post(&json!({})))
    }

    fn standing(&self, answer: &Answer) -> Standing {
        let alive = "has this webhook";
        let said = answer.body.trim();
        if answer.status == 400 && NO_MESSAGE.iter().any(|known| said.contains(known)) {
            return Standing::Accepted { says: alive };
        }
        match self.receive(answer) {
            // Another service that speaks Slack's language may have words of its own.
            Reception::Refused { reason } if answer.status == 400 && !said.ends_with("_not_found") => {
                later(&reason)
            }
            Reception::Refused { reason } => Standing::Refused {
                says: format!("takes no message for this webhook: {reason}"),
                hint: "it or its channel is gone: make a new one in Slack, under the app's incoming webhooks"
                    .to_owned(),
            },
            reception => standing(reception, alive),
        }
    }

    fn secrets(&self) -> Vec<String> {
        self.webhook.secrets()
    }
}

fn message(alert: &Alert) -> Value {
    let (probe, host) = (text::one_line(&alert.probe.name), text::one_line(&alert.probe.host));
    let header = format!("{}: {probe} on {host}", word(alert));
    let summary = text::one_line(&alert.summary);
    let fallback = text::cut_chars(&format!("{header}: {summary}"), MOST_FALLBACK_CHARS).into_owned();
    let mut blocks = vec![json!({ "type": "header", "text": plain(&header, MOST_HEADER_CHARS) })];
    if !summary.is_empty() {
        blocks.push(json!({ "type": "section", "text": plain(&summary, MOST_TEXT_CHARS) }));
    }
    if alert.action == Action::Trigger && !alert.details.is_empty() {
        blocks.push(json!({ "type": "section", "fields": fields(alert) }));
    }
    let about = format!(
        "{} since {}, run {}",
        subject(alert.subject),
        text::timestamp(alert.since),
        text::one_line(&alert.run)
    );
    // Of fixed words and times, but for the id of the run: shown small, which plain text in a section is not.
    let about = json!({
        "type": "mrkdwn",
        "text": text::cut_chars(&escaped(&about), MOST_FIELD_CHARS),
        "verbatim": true,
    });
    blocks.push(json!({ "type": "context", "elements": [about] }));
    json!({
        "text": escaped(&fallback),
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// Text that Slack looks for no markup in. It must not be empty.
fn plain(text: &str, most: usize) -> Value {
    let text = text::without_mentions(text);
    let text = if text.trim().is_empty() { "-" } else { &text };
    json!({ "type": "plain_text", "text": text::cut_chars(text, most), "emoji": false })
}

fn fields(alert: &Alert) -> Vec<Value> {
    let details = alert.details.iter().take(MOST_FIELDS);
    details
        .map(|(name, value)| {
            plain(&format!("{}:\n{}", text::one_line(name), text::lines(value)), MOST_FIELD_CHARS)
        })
        .collect()
}

/// Text in Slack's markup: what begins a link, a call or an entity is written out.
fn escaped(text: &str) -> String {
    let text = text::without_mentions(text);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const fn word(alert: &Alert) -> &'static str {
    match (alert.action, alert.reminder, alert.severity) {
        (Action::Resolve, ..) => "Resolved",
        (Action::Trigger, true, _) => "Still open",
        (Action::Trigger, false, Severity::Info) => "Info",
        (Action::Trigger, false, Severity::Warning) => "Warning",
        (Action::Trigger, false, Severity::Error) => "Error",
        (Action::Trigger, false, Severity::Critical) => "Critical",
    }
}

const fn subject(subject: Subject) -> &'static str {
    match subject {
        Subject::Target => "Failing",
        Subject::Degraded => "Degraded",
        Subject::Cleanup => "Cleanup failing",
        Subject::Harness => "Cannot be checked",
        Subject::NoNews => "No run",
        Subject::Engine => "Engine does not answer",
        Subject::Sink => "Sink takes nothing",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::notify::sample;
    use crate::probe::Verdict;

    const WEBHOOK: &str = "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX";

    fn sink() -> Slack {
        Slack::new(Url::parse(WEBHOOK).unwrap())
    }

    fn posted(notice: &Notice) -> Value {
        let rendered = sink().render(notice);
        let [Transmission::Http(request)] = rendered.as_slice() else { panic!("one request") };
        assert_eq!((request.method, request.url.as_str()), ("POST", WEBHOOK));
        serde_json::from_slice(&request.body).unwrap()
    }

    #[test]
    fn an_alert_is_text_and_blocks() {
        let expected = json!({
            "text": "Critical: example.integration on staging.example: \
                     example.integration failed: expected status 200, got 503",
            "blocks": [
                {
                    "type": "header",
                    "text": {
                        "type": "plain_text",
                        "text": "Critical: example.integration on staging.example",
                        "emoji": false,
                    },
                },
                {
                    "type": "section",
                    "text": {
                        "type": "plain_text",
                        "text": "example.integration failed: expected status 200, got 503",
                        "emoji": false,
                    },
                },
                {
                    "type": "section",
                    "fields": [{ "type": "plain_text", "text": "provider:\nGoogle", "emoji": false }],
                },
                {
                    "type": "context",
                    "elements": [{
                        "type": "mrkdwn",
                        "text": "Failing since 2026-03-01T11:59:00Z, run run-1",
                        "verbatim": true,
                    }],
                },
            ],
            "unfurl_links": false,
            "unfurl_media": false,
        });
        assert_eq!(posted(&sample::alert()), expected);
    }

    #[test]
    fn a_resolve_and_a_reminder_say_what_they_are() {
        let text = |alert| posted(&Notice::Alert(alert))["text"].as_str().unwrap().to_owned();
        assert!(text(sample::resolve()).starts_with("Resolved: example.integration"));
        assert!(text(Alert { reminder: true, ..sample::trigger() }).starts_with("Still open: "));
    }

    #[test]
    fn markup_of_a_stranger_is_text() {
        let mut alert = sample::trigger();
        alert.summary = "<!channel> & <https://evil.example|docs> @here".to_owned();
        let text = posted(&Notice::Alert(alert))["text"].as_str().unwrap().to_owned();
        let expected = "&lt;!channel&gt; &amp; &lt;https://evil.example|docs&gt; @\u{200b}here";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn only_alerts_are_for_it() {
        assert_eq!(sink().lifetime(&sample::finished(Verdict::Failed, Some(Verdict::Passed))), None);
        assert_eq!(
            sink().lifetime(&sample::resolve_in_case()),
            None,
            "nobody knows whether something was open"
        );
        assert_eq!(sink().lifetime(&sample::alert_for("pagerduty")), None);
        assert!(sink().render(&sample::started()).is_empty());
        assert_eq!(sink().lifetime(&sample::alert()), Some(Duration::from_hours(24)));
        let answer = |status| Answer { status, retry_after: Some(30), body: String::new() };
        assert_eq!(sink().receive(&answer(200)), Reception::Accepted);
        assert!(matches!(sink().receive(&answer(429)), Reception::Later { after: Some(_), .. }));
        assert!(matches!(sink().receive(&answer(410)), Reception::Refused { .. }));
    }

    #[test]
    fn a_message_of_nothing_tells_a_webhook_from_none() {
        let Preflight::Ask(request) = sink().preflight() else { panic!("a request") };
        assert_eq!((request.method, request.url.as_str()), ("POST", WEBHOOK));
        assert_eq!(request.body, b"{}");
        let read = |status, body: &str| {
            sink().standing(&Answer { status, retry_after: None, body: body.to_owned() })
        };
        let alive = Standing::Accepted { says: "has this webhook" };
        for body in NO_MESSAGE {
            assert_eq!(read(400, body), alive, "{body}");
        }
        let dead = [
            (404, "no_service"),
            (404, "no_team"),
            (403, "invalid_token"),
            (403, "action_prohibited"),
            (410, "channel_is_archived"),
            (400, "user_not_found"),
        ];
        for (status, body) in dead {
            let Standing::Refused { says, hint } = read(status, body) else { panic!("{status} {body}") };
            assert!(says.contains(body) && hint.contains("make a new one"), "{says}");
        }
        for (status, body) in [(302, ""), (400, "what?"), (429, ""), (503, "")] {
            assert!(matches!(read(status, body), Standing::Unclear { .. }), "{status} {body}");
        }
    }

    #[test]
    fn the_address_is_not_shown_by_debug_and_is_a_secret() {
        assert!(!format!("{:?}", sink()).contains("XXXX"));
        assert!(sink().secrets().contains(&"XXXXXXXXXXXXXXXXXXXXXXXX".to_owned()));
    }

    /// Every text of an object, with its type.
    fn texts<'a>(value: &'a Value, found: &mut Vec<(&'a str, &'a str)>) {
        match value {
            Value::Object(fields) => {
                if let (Some(Value::String(kind)), Some(Value::String(text))) =
                    (fields.get("type"), fields.get("text"))
                {
                    found.push((kind, text));
                }
                fields.values().for_each(|value| texts(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn any_text_leaves_a_message_without_calls_and_links_of_strangers(text in sample::hostile()) {
            for notice in sample::everywhere(&text).iter().filter(|it| matches!(it, Notice::Alert(_))) {
                let message = posted(notice);
                let keys: Vec<&str> = message.as_object().unwrap().keys().map(String::as_str).collect();
                prop_assert_eq!(keys, ["text", "blocks", "unfurl_links", "unfurl_media"]);
                prop_assert!(message["text"].as_str().unwrap().len() <= 40_000);
                let mut found = Vec::new();
                texts(&message, &mut found);
                found.push(("mrkdwn", message["text"].as_str().unwrap()));
                for (kind, text) in found {
                    let count = text.chars().count();
                    prop_assert!(!text.contains("@channel") && !text.contains("@here"), "{}", text);
                    match kind {
                        "mrkdwn" => prop_assert!(!text.contains(['<', '>']) && count > 0),
                        "plain_text" => prop_assert!((1..=3000).contains(&count)),
                        other => return Err(TestCaseError::fail(format!("a text of type {other}"))),
                    }
                }
                let header = message["blocks"][0]["text"]["text"].as_str().unwrap();
                prop_assert!(header.chars().count() <= 150);
            }
        }
    }
}
