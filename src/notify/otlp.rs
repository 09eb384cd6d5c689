//! OTLP over HTTP in its JSON encoding: metrics for a Collector of OpenTelemetry, and for whatever takes OTLP itself.
//!
//! Owns the body and its limits. Names and tags are those of DataDog. No SDK is behind it, because the outbox stores,
//! orders and sends again already.

mod answer;
pub(super) mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::{HeaderName, Uri};
use serde_json::{Value, json};

use crate::notify::address::{InvalidAddress, Key, Url};
use crate::notify::configured::{self, Given};
use crate::notify::metrics::{self, Kind, Metric, UnifiedTags};
use crate::notify::preflight::{Doubt, Preflight, Standing};
use crate::notify::{Answer, HttpRequest, Notice, Notifier, Reception, Transmission, text};
use crate::probe::Identity;
use schemars::JsonSchema;
use serde::Deserialize;

/// What most receivers still take. The protocol has no limit.
const AGE: Duration = Duration::from_hours(1);
/// Most bytes of a body. The protocol has no limit here either, and receivers have one each.
const MOST_BODY_BYTES: usize = 512_000;
const MOST_RESOURCE_CHARS: usize = 255;
/// Where the protocol is spoken over gRPC, which is another one.
const GRPC_PORT: u16 = 4317;
/// Name of the scope, and of the service where nothing names one.
const SCOPE: &str = "docker-test";
/// Each value tells of the time since the one before.
const DELTA: u8 = 1;
/// These are for the request itself to say.
const OWN_HEADERS: [&str; 6] =
    ["content-type", "content-length", "content-encoding", "transfer-encoding", "connection", "host"];

/// A receiver of OTLP.
#[derive(Debug, Clone)]
pub struct Otlp {
    endpoint: Endpoint,
    headers: Headers,
    tags: UnifiedTags,
}

/// Where metrics are posted to.
#[derive(Debug, Clone)]
pub enum Endpoint {
    /// `/v1/metrics` comes behind it.
    Base(Url),
    /// As it is.
    Whole(Url),
}

impl Endpoint {
    fn url(&self) -> String {
        match self {
            Self::Base(url) => url.join("/v1/metrics"),
            Self::Whole(url) => url.whole(),
        }
    }

    /// Whether its port is that of gRPC.
    fn is_of_grpc(&self) -> bool {
        self.url().parse::<Uri>().is_ok_and(|uri| uri.port_u16() == Some(GRPC_PORT))
    }

    fn secrets(&self) -> impl Iterator<Item = String> {
        let (Self::Base(url) | Self::Whole(url)) = self;
        let query = url.whole().split_once('?').map(|(_, query)| query.to_owned());
        url.password().into_iter().chain(query)
    }
}

/// Headers that open the receiver. All of their values are secrets.
#[derive(Debug, Clone, Default)]
pub struct Headers(BTreeMap<String, Key>);

impl Headers {
    /// Takes names and values in. Of two with the same name the last counts.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, InvalidAddress> {
        let read = |(name, value): (&str, &str)| {
            let invalid = InvalidAddress { expected: "names of headers that are not of the request itself" };
            let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| invalid)?;
            if OWN_HEADERS.contains(&name.as_str()) {
                return Err(invalid);
            }
            Ok((name.as_str().to_owned(), Key::parse_header(value)?))
        };
        pairs.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

impl Otlp {
    /// Posts to `endpoint`, with `headers`.
    #[must_use]
    pub const fn new(endpoint: Endpoint, headers: Headers, tags: UnifiedTags) -> Self {
        Self { endpoint, headers, tags }
    }

    fn post(&self, body: Vec<u8>) -> HttpRequest {
        let own = self.headers.0.iter().map(|(name, value)| (name.clone().into(), value.expose().to_owned()));
        let headers = std::iter::once(("content-type".into(), "application/json".to_owned())).chain(own);
        HttpRequest { method: "POST", url: self.endpoint.url(), headers: headers.collect(), body }
    }

    /// What it is about, in the words of OpenTelemetry.
    fn resource(&self, probe: &Identity) -> Value {
        let mut named: BTreeMap<String, String> = BTreeMap::new();
        for (key, value) in metrics::pairs(&self.tags, probe) {
            let value = text::cut_chars(&text::one_line(&value), MOST_RESOURCE_CHARS).into_owned();
            if !value.is_empty() {
                named.entry(key).or_insert(value);
            }
        }
        named.entry("service".to_owned()).or_insert_with(|| SCOPE.to_owned());
        let known = [
            ("service", "service.name"),
            ("version", "service.version"),
            ("env", "deployment.environment.name"),
            ("host", "host.name"),
        ];
        let told = known.into_iter().filter_map(|(tag, name)| Some(attribute(name, named.get(tag)?)));
        json!({ "attributes": told.collect::<Vec<_>>() })
    }
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// Attributes have each key once: of tags with the same key the first is told.
fn attributes(tags: &[String]) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let pairs = tags.iter().map(|tag| tag.split_once(':').unwrap_or((tag, "")));
    pairs.filter(|(key, _)| seen.insert(*key)).map(|(key, value)| attribute(key, value)).collect()
}

/// 64 bits are text in this encoding.
fn nanoseconds(at: i64) -> String {
    u64::try_from(at).unwrap_or_default().saturating_mul(1_000_000_000).to_string()
}

/// A metric with its one point. `since` is when what is counted began.
fn one_metric(metric: &Metric, attributes: &[Value], since: i64) -> Value {
    let at = nanoseconds(metric.at);
    let unit = unit(&metric.unit);
    match metric.kind {
        Kind::Count => {
            let point = json!({
                "attributes": attributes,
                "startTimeUnixNano": nanoseconds(since),
                "timeUnixNano": at,
                "asInt": format!("{:.0}", metric.value),
            });
            let sum = json!({ "aggregationTemporality": DELTA, "isMonotonic": true, "dataPoints": [point] });
            json!({ "name": metric.name, "unit": unit, "sum": sum })
        }
        Kind::Gauge => {
            let point = json!({ "attributes": attributes, "timeUnixNano": at, "asDouble": metric.value });
            json!({ "name": metric.name, "unit": unit, "gauge": { "dataPoints": [point] } })
        }
    }
}

/// UCUM's word for a unit of a Nagios plugin.
fn unit(unit: &str) -> &'static str {
    match unit {
        "s" => "s",
        "ms" => "ms",
        "us" => "us",
        "ns" => "ns",
        "%" => "%",
        "B" => "By",
        "KB" => "KiBy",
        "MB" => "MiBy",
        "GB" => "GiBy",
        "TB" => "TiBy",
        _ => "",
    }
}

configured::tagged! {
    /// OTLP over HTTP: metrics of attempts and runs for a Collector of OpenTelemetry.
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, expecting = "a mapping with url")]
    #[schemars(rename = "Otlp")]
    pub(super) struct Settings {
        /// Base address of the receiver: <http://collector:4318>. `/v1/metrics` is put behind it.
        #[serde(default)]
        url: Option<Url>,
        /// The whole address, in the place of the base.
        #[serde(default)]
        metrics_url: Option<Url>,
        /// Headers that open it. A value `env:NAME` is that of a variable.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    }
}

impl configured::Settings for Settings {
    fn sinks(mut self, given: Given<'_>) -> Result<Vec<Box<dyn Notifier>>, String> {
        let tags = self.unified_tags(given);
        let endpoint = match (self.url, self.metrics_url) {
            (Some(_), Some(_)) => return Err("`url` and `metrics_url` exclude each other".to_owned()),
            (Some(url), None) => Endpoint::Base(url),
            (None, Some(url)) => Endpoint::Whole(url),
            (None, None) => return Err("expected `url` or `metrics_url`, got neither".to_owned()),
        };
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers = Headers::new(headers).map_err(|error| format!("headers: {error}"))?;
        Ok(vec![Box::new(Otlp::new(endpoint, headers, tags))])
    }
}

impl Notifier for Otlp {
    fn name(&self) -> &'static str {
        "otlp"
    }

    fn lifetime(&self, notice: &Notice) -> Option<Duration> {
        let is_for_it = matches!(notice, Notice::Attempted { .. } | Notice::Finished { .. });
        is_for_it.then(|| metrics::lifetime(notice, AGE))
    }

    fn render(&self, notice: &Notice) -> Vec<Transmission> {
        let attributes = attributes(&metrics::tags_of(&self.tags, notice));
        let metrics = metrics::metrics(notice);
        let metrics = metrics.iter().map(|metric| one_metric(metric, &attributes, notice.at())).collect();
        let resource = self.resource(notice.probe());
        let scope = json!({ "name": SCOPE, "version": env!("CARGO_PKG_VERSION") });
        let whole = |metrics: &[Value]| {
            let of_scope = json!([{ "scope": scope, "metrics": metrics }]);
            json!({ "resourceMetrics": [{ "resource": resource, "scopeMetrics": of_scope }] })
        };
        let bodies = metrics::bodies(metrics, MOST_BODY_BYTES, &whole);
        bodies.into_iter().map(|body| Transmission::Http(self.post(body))).collect()
    }

    fn receive(&self, answer: &Answer) -> Reception {
        answer::receive(answer)
    }

    /// A request without metrics is a valid one, and leaves nothing.
    fn preflight(&self) -> Preflight {
        Preflight::Ask(self.post(br#"{"resourceMetrics":[]}"#.to_vec()))
    }

    fn standing(&self, answer: &Answer) -> Standing {
        answer::standing(answer)
    }

    fn doubt(&self) -> Option<Doubt> {
        self.endpoint.is_of_grpc().then(|| Doubt {
            message: format!("port {GRPC_PORT} is that of OTLP over gRPC, and this is sent over HTTP"),
            hint: "over HTTP it is port 4318 by convention".to_owned(),
        })
    }

    fn secrets(&self) -> Vec<String> {
        let values = self.headers.0.values().flat_map(|value| {
            let value = value.expose();
            [Some(value), value.split_once(' ').map(|(_, token)| token.trim())]
        });
        self.endpoint.secrets().chain(values.flatten().map(str::to_owned)).collect()
    }
}

#[cfg(test)]
mod tests;
