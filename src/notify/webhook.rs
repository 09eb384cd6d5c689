//! A webhook of the user's own: JSON from a template, or everything that is known.
//!
//! Owns the request. Its body is always JSON: a template that gives something else is refused when it is read, and
//! where a notice makes one fail later, everything that is known is sent instead, because an alert is not to be lost.

mod template;

use std::time::Duration;

use serde_json::{Value, json};

pub use template::{Template, TemplateError};

use crate::notify::address::{Key, Url};
use crate::notify::configured::{self, Given};
use crate::notify::preflight::Preflight;
use crate::notify::{
    Action, Alert, Answer, HttpRequest, Notice, Notifier, Reception, Transmission, metrics, receive, text,
};
use crate::probe::ProbeRun;
use schemars::JsonSchema;
use serde::Deserialize;

const ALERT_LIFETIME: Duration = Duration::from_hours(24);
const RUN_AGE: Duration = Duration::from_hours(1);
const MOST_LINE_CHARS: usize = 1024;
const MOST_OUTPUT_BYTES: usize = 16 * 1024;

/// What a webhook is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Alerts.
    Alerts,
    /// Alerts, and every run that is over.
    AlertsAndRuns,
}

/// A webhook.
#[derive(Debug, Clone)]
pub struct Webhook {
    url: Url,
    authorization: Option<Key>,
    audience: Audience,
    template: Option<Template>,
}

impl Webhook {
    /// Posts to `url`, with the header `authorization` where there is one. Without a template the body is all that is
    /// known.
    #[must_use]
    pub const fn new(
        url: Url,
        authorization: Option<Key>,
        audience: Audience,
        template: Option<Template>,
    ) -> Self {
        Self { url, authorization, audience, template }
    }
}

/// A webhook: a request of JSON for each alert.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with url")]
#[schemars(rename = "Webhook")]
pub(super) struct Settings {
    /// Where it is posted to.
    url: Url,
    /// The header authorization: Bearer ….
    #[serde(default)]
    authorization: Option<Header>,
    /// Every run that is over is posted too.
    #[serde(default)]
    runs: bool,
    /// The body: a template of minijinja that gives JSON. All that is known where absent.
    #[serde(default)]
    template: Option<String>,
}

impl configured::Settings for Settings {
    fn sinks(self, _: Given<'_>) -> Result<Vec<Box<dyn Notifier>>, String> {
        let template = self.template.map(Template::parse).transpose();
        // Its own words may quote the template, which may have a token in it.
        let template = template.map_err(|error| match error {
            TemplateError::Render(error) => {
                format!("template: cannot be rendered, line {}", error.line().unwrap_or(1))
            }
            other => format!("template: {other}"),
        })?;
        let audience = if self.runs { Audience::AlertsAndRuns } else { Audience::Alerts };
        let authorization = self.authorization.map(|header| header.0);
        Ok(vec![Box::new(Webhook::new(self.url, authorization, audience, template))])
    }
}

struct Header(Key);

configured::checked!(
    Header,
    |text| Key::parse_header(text).map(Header),
    "Header",
    "The value of a header; `env:NAME` takes it from a variable."
);

impl Notifier for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    /// A resolve that is told in case something was open would be noise here.
    fn lifetime(&self, notice: &Notice) -> Option<Duration> {
        match notice {
            Notice::Alert(alert) if alert.action == Action::Resolve && alert.reminder => None,
            Notice::Alert(alert) => alert.is_for(self.name()).then_some(ALERT_LIFETIME),
            Notice::Finished { .. } if self.audience == Audience::AlertsAndRuns => {
                Some(metrics::lifetime(notice, RUN_AGE))
            }
            _ => None,
        }
    }

    fn render(&self, notice: &Notice) -> Vec<Transmission> {
        let values = match notice {
            Notice::Alert(alert) => of_alert(alert),
            Notice::Finished { run, .. } if self.audience == Audience::AlertsAndRuns => of_run(run),
            _ => return Vec::new(),
        };
        let from_template = self.template.as_ref().and_then(|template| template.render(&values).ok());
        let mut headers = vec![("content-type".into(), "application/json".to_owned())];
        if let Some(authorization) = &self.authorization {
            headers.push(("authorization".into(), authorization.expose().to_owned()));
        }
        vec![Transmission::Http(HttpRequest {
            method: "POST",
            url: self.url.whole(),
            headers,
            body: from_template.unwrap_or_else(|| values.to_string()).into_bytes(),
        })]
    }

    /// Nobody knows what it says when it has taken something: any success is its own.
    fn receive(&self, answer: &Answer) -> Reception {
        if (200..=299).contains(&answer.status) { Reception::Accepted } else { receive(answer) }
    }

    /// What it makes of a request is its own affair.
    fn preflight(&self) -> Preflight {
        Preflight::Connect { to: self.url.clone(), because: "nobody knows what a request would set off" }
    }

    fn secrets(&self) -> Vec<String> {
        let token = self.authorization.iter().flat_map(|header| {
            let header = header.expose();
            [Some(header.to_owned()), header.split_once(' ').map(|(_, token)| token.trim().to_owned())]
        });
        self.url.secrets().into_iter().chain(token.flatten()).collect()
    }
}

/// What templates see. Every notice has all of these names, with null where there is nothing to say.
fn of_alert(alert: &Alert) -> Value {
    json!({
        "kind": "alert",
        "name": line(&alert.probe.name),
        "type": line(&alert.probe.kind),
        "host": line(&alert.probe.host),
        "tags": alert.probe.tags,
        "run": line(&alert.run),
        "at": text::timestamp(alert.at),
        "summary": line(&alert.summary),
        "action": alert.action,
        "subject": alert.subject,
        "severity": alert.severity,
        "dedup_key": alert.dedup_key,
        "since": text::timestamp(alert.since),
        "reminder": alert.reminder,
        "details": alert.details,
        "verdict": null,
        "state": null,
        "seconds": null,
        "attempts": null,
        "output": null,
    })
}

fn of_run(run: &ProbeRun) -> Value {
    let output = run.attempts.last().map(|attempt| text::tail(&attempt.seen.output, MOST_OUTPUT_BYTES));
    json!({
        "kind": "finished",
        "name": line(&run.probe.name),
        "type": line(&run.probe.kind),
        "host": line(&run.probe.host),
        "tags": run.probe.tags,
        "run": line(&run.id),
        "at": text::timestamp(metrics::ended_at(run.started_at, run.seconds)),
        "summary": line(run.summary()),
        "action": null,
        "subject": null,
        "severity": null,
        "dedup_key": null,
        "since": null,
        "reminder": null,
        "details": {},
        "verdict": run.verdict(),
        "state": run.verdict().state(),
        "seconds": run.seconds,
        "attempts": run.attempts.len(),
        "output": output.unwrap_or_default(),
    })
}

fn line(text: &str) -> String {
    text::cut_chars(&text::one_line(text), MOST_LINE_CHARS).into_owned()
}

#[cfg(test)]
mod tests;
