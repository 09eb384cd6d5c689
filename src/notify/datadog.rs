//! DataDog over HTTP: metrics (v2 series), the state of a probe (v1 service check) and events (v1) when that changes.
//!
//! Owns the three bodies and their limits. They are three sinks, because DataDog takes each up to another age: a metric
//! for an hour, a state for ten minutes, an event for 18 hours. All three need the API key alone.

mod preflight;

use std::time::Duration;

use serde_json::{Value, json};

use crate::notify::address::{InvalidAddress, Key, Url};
use crate::notify::change::Change;
use crate::notify::configured::{self, Given};
use crate::notify::metrics::{self, Kind, Metric, UnifiedTags};
use crate::notify::preflight::{Doubt, Preflight, Standing};
use crate::notify::{Answer, HttpRequest, Notice, Notifier, Transmission, text};
use crate::probe::ProbeRun;
use schemars::JsonSchema;
use serde::Deserialize;

const SERIES_AGE: Duration = Duration::from_hours(1);
const CHECK_AGE: Duration = Duration::from_mins(10);
const EVENT_AGE: Duration = Duration::from_hours(18);
/// Most bytes of a body.
const MOST_BODY_BYTES: usize = 512_000;
const MOST_EVENT_TEXT_CHARS: usize = 4000;
const MOST_MESSAGE_CHARS: usize = 1000;
const MOST_HOST_CHARS: usize = 255;

/// What of a probe is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// Metrics of attempts and runs.
    Series,
    /// The state after each run.
    Checks,
    /// Changes of the verdict.
    Events,
}

/// One way into DataDog.
#[derive(Debug, Clone)]
pub struct DataDog {
    feed: Feed,
    key: Key,
    base: Base,
    tags: UnifiedTags,
}

impl DataDog {
    /// `base` is where the API is.
    #[must_use]
    pub const fn new(feed: Feed, key: Key, base: Base, tags: UnifiedTags) -> Self {
        Self { feed, key, base, tags }
    }

    fn post(&self, path: &str, body: Vec<u8>) -> Transmission {
        Transmission::Http(HttpRequest {
            method: "POST",
            url: self.base.url.join(path),
            headers: vec![
                ("content-type".into(), "application/json".to_owned()),
                ("dd-api-key".into(), self.key.expose().to_owned()),
            ],
            body,
        })
    }

    fn series(&self, notice: &Notice) -> Vec<Transmission> {
        let tags = metrics::tags_of(&self.tags, notice);
        let host = host(&notice.probe().host);
        let series: Vec<Value> =
            metrics::metrics(notice).iter().map(|metric| one_of_series(metric, &host, &tags)).collect();
        let bodies = metrics::bodies(series, MOST_BODY_BYTES, &|series| json!({ "series": series }));
        bodies.into_iter().map(|body| self.post("/api/v2/series", body)).collect()
    }

    fn check(&self, run: &ProbeRun) -> Transmission {
        let body = json!([{
            "check": metrics::probe_name(&run.probe.name, metrics::MOST_NAME_CHARS),
            "host_name": host(&run.probe.host),
            "status": run.verdict().state().number(),
            "tags": metrics::tags(&self.tags, &run.probe, None),
            "message": text::cut_chars(&text::one_line(run.summary()), MOST_MESSAGE_CHARS),
            "timestamp": metrics::ended_at(run.started_at, run.seconds),
        }]);
        self.post("/api/v1/check_run", body.to_string().into_bytes())
    }

    fn event(&self, notice: &Notice, change: &Change) -> Transmission {
        let body = json!({
            "title": change.title,
            "text": text::cut_chars(&change.text, MOST_EVENT_TEXT_CHARS),
            "aggregation_key": change.aggregation_key,
            "alert_type": change.alert_type,
            "priority": change.priority,
            "date_happened": change.at,
            "host": host(&notice.probe().host),
            "tags": metrics::tags(&self.tags, notice.probe(), None),
        });
        self.post("/api/v1/events", body.to_string().into_bytes())
    }
}

configured::tagged! {
    /// DataDog over HTTP: a metric an attempt, a service check a run, an event on change.
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, expecting = "a mapping with api_key and site")]
    #[schemars(rename = "DataDog")]
    pub(super) struct Settings {
        /// Key of the API.
        api_key: Key,
        /// The site; datadoghq.com where absent.
        #[serde(default)]
        site: Option<Base>,
        /// Another base address of the API, in the place of that of the site.
        #[serde(default)]
        url: Option<Url>,
    }
}

impl configured::Settings for Settings {
    fn sinks(mut self, given: Given<'_>) -> Result<Vec<Box<dyn Notifier>>, String> {
        let tags = self.unified_tags(given);
        let base = match (self.url, self.site) {
            (Some(_), Some(_)) => return Err("`site` and `url` exclude each other".to_owned()),
            (Some(url), None) => Base::at(url),
            (None, Some(base)) => base,
            (None, None) => Base::of_site(DEFAULT_SITE).map_err(|error| error.to_string())?,
        };
        let sink = |feed| -> Box<dyn Notifier> {
            Box::new(DataDog::new(feed, self.api_key.clone(), base.clone(), tags.clone()))
        };
        Ok([Feed::Series, Feed::Checks, Feed::Events].into_iter().map(sink).collect())
    }
}

/// Where the API is.
#[derive(Debug, Clone)]
pub struct Base {
    url: Url,
    /// The site that it is of, where one was named.
    site: Option<String>,
}

impl Base {
    /// At an address: `https://api.datadoghq.eu`.
    #[must_use]
    pub const fn at(url: Url) -> Self {
        Self { url, site: None }
    }

    /// That of a site: `datadoghq.eu`. One that is not known is taken, since there are new ones now and then.
    pub fn of_site(site: &str) -> Result<Self, InvalidAddress> {
        let invalid = InvalidAddress { expected: "a site of DataDog, such as datadoghq.com or datadoghq.eu" };
        let is_name = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.');
        if !site.contains('.') || !site.chars().all(is_name) {
            return Err(invalid);
        }
        let url = Url::parse(&format!("https://api.{site}")).map_err(|_| invalid)?;
        Ok(Self { url, site: Some(site.to_owned()) })
    }
}

configured::checked!(
    Base,
    Base::of_site,
    "Site",
    "A site of DataDog: datadoghq.com, datadoghq.eu, us3.datadoghq.com."
);

pub(super) const DEFAULT_SITE: &str = "datadoghq.com";

impl Notifier for DataDog {
    fn name(&self) -> &'static str {
        match self.feed {
            Feed::Series => "datadog",
            Feed::Checks => "datadog-checks",
            Feed::Events => "datadog-events",
        }
    }

    fn lifetime(&self, notice: &Notice) -> Option<Duration> {
        let age = match (self.feed, notice) {
            (Feed::Series, Notice::Attempted { .. } | Notice::Finished { .. }) => SERIES_AGE,
            (Feed::Checks, Notice::Finished { .. }) => CHECK_AGE,
            (Feed::Events, Notice::Finished { .. }) if Change::of(notice).is_some() => EVENT_AGE,
            _ => return None,
        };
        Some(metrics::lifetime(notice, age))
    }

    fn render(&self, notice: &Notice) -> Vec<Transmission> {
        match (self.feed, notice) {
            (Feed::Series, _) => self.series(notice),
            (Feed::Checks, Notice::Finished { run, .. }) => vec![self.check(run)],
            (Feed::Checks, _) => Vec::new(),
            (Feed::Events, _) => Change::of(notice).iter().map(|change| self.event(notice, change)).collect(),
        }
    }

    fn preflight(&self) -> Preflight {
        preflight::ask(&self.key, &self.base.url)
    }

    fn standing(&self, answer: &Answer) -> Standing {
        preflight::read(answer, self.receive(answer))
    }

    fn doubt(&self) -> Option<Doubt> {
        preflight::doubt(self.base.site.as_deref()?)
    }

    fn secrets(&self) -> Vec<String> {
        std::iter::once(self.key.expose().to_owned()).chain(self.base.url.password()).collect()
    }
}

fn host(host: &str) -> String {
    text::cut_chars(&text::one_line(host), MOST_HOST_CHARS).into_owned()
}

fn one_of_series(metric: &Metric, host: &str, tags: &[String]) -> Value {
    let mut series = json!({
        "metric": metric.name,
        "type": match metric.kind {
            Kind::Count => 1,
            Kind::Gauge => 3,
        },
        "points": [{ "timestamp": metric.at, "value": metric.value }],
        "resources": [{ "type": "host", "name": host }],
        "tags": tags,
    });
    if let (Some(unit), Value::Object(fields)) = (unit(&metric.unit), &mut series) {
        fields.insert("unit".to_owned(), unit.into());
    }
    series
}

/// DataDog's word for a unit of a Nagios plugin.
fn unit(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "s" => "second",
        "ms" => "millisecond",
        "us" => "microsecond",
        "ns" => "nanosecond",
        "%" => "percent",
        "B" => "byte",
        "KB" => "kibibyte",
        "MB" => "mebibyte",
        "GB" => "gibibyte",
        "TB" => "tebibyte",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
