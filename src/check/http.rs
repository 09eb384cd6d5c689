//! A request of HTTP, and what its answer has to be like.
//!
//! Owns the request and the judgement of the answer. Certificates are always verified. Where a redirect leads is
//! [`follow`]'s, and what an answer is compared by is [`super::expect`]'s.

mod certificate;
mod follow;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::tls::TlsInfo;
use reqwest::{Method, Response, Url};
use serde::Deserialize;
use serde_json::Value;

use super::expect::{JsonPath, Pattern, Statuses, json_faults};
use super::keys::Keys;
use super::shape::{self, Shaped};
use super::{CheckError, LONGEST_OUTPUT, Surroundings, critical, measured, observation};
use crate::metadata::duration::human;
use crate::probe::{Measurement, Observation, State};
use crate::redact::Redactor;
use follow::{innermost, origin};

/// As much of a body as is read, in bytes.
const LONGEST_BODY: usize = 4 << 20;
const SECONDS_A_DAY: f64 = 86_400.0;
const DEFAULT_REDIRECTS: u32 = 10;
const MOST_REDIRECTS: u32 = 50;

/// A request, and what its answer has to be like.
#[derive(Clone)]
pub struct HttpCheck {
    url: Url,
    method: Method,
    headers: HeaderMap,
    body: Option<String>,
    redirects: u32,
    identity: Option<(PathBuf, PathBuf)>,
    expected: Expected,
}

/// Headers and address may bear a key.
impl fmt::Debug for HttpCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpCheck")
            .field("method", &self.method)
            .field("origin", &origin(&self.url))
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

/// What an answer has to be like.
#[derive(Debug, Clone, Default)]
struct Expected {
    status: Statuses,
    body: Option<Pattern>,
    json: Vec<(JsonPath, Value)>,
    time: Limits<Duration>,
    certificate_days: Limits<f64>,
}

/// From where on it is a warning, and from where on it is critical.
#[derive(Debug, Clone, Copy, Default)]
struct Limits<T> {
    warning: Option<T>,
    critical: Option<T>,
}

/// The mapping of an `http` check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LongHttp {
    url: String,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    redirects: Option<u32>,
    #[serde(default)]
    certificate: Option<PathBuf>,
    #[serde(default)]
    key: Option<PathBuf>,
    #[serde(default)]
    expect: LongExpected,
}

/// The mapping below `expect`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LongExpected {
    status: Statuses,
    #[serde(deserialize_with = "shape::optional")]
    body: Option<Pattern>,
    json: BTreeMap<String, Value>,
    time: LongTimes,
    certificate_days: LongDays,
}

/// The mapping below `time`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LongTimes {
    #[serde(deserialize_with = "shape::limit")]
    warning: Option<Duration>,
    #[serde(deserialize_with = "shape::limit")]
    critical: Option<Duration>,
}

/// The mapping below `certificate_days`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LongDays {
    warning: Option<u32>,
    critical: Option<u32>,
}

impl Shaped for HttpCheck {
    const EXPECTED: &'static str =
        "an address such as https://example.org/health, or a mapping with the key url";
    type Map = LongHttp;
    type Item = serde::de::IgnoredAny;

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self {
            url: address(text)?,
            method: Method::GET,
            headers: HeaderMap::new(),
            body: None,
            redirects: DEFAULT_REDIRECTS,
            identity: None,
            expected: Expected::default(),
        })
    }

    fn from_map(map: LongHttp) -> Result<Self, String> {
        let method = map.method.map_or(Ok(Method::GET), |method| {
            let upper = method.to_ascii_uppercase();
            upper.parse().map_err(|_| "expected a method such as GET or POST, got something else".to_owned())
        })?;
        let mut headers = HeaderMap::new();
        for (name, value) in map.headers {
            let key: HeaderName =
                name.parse().map_err(|_| format!("expected the name of a header, got {name:?}"))?;
            // The value may be a key, and is not quoted.
            let value = HeaderValue::from_str(&value).map_err(|_| {
                format!("expected a value of one line for the header {name}, got something else")
            })?;
            headers.insert(key, value);
        }
        let redirects = map.redirects.unwrap_or(DEFAULT_REDIRECTS);
        if redirects > MOST_REDIRECTS {
            return Err(format!("expected at most {MOST_REDIRECTS} redirects, got {redirects}"));
        }
        let identity = match (map.certificate, map.key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("expected certificate and key together, got only one of them".to_owned()),
        };
        let json: Result<_, String> =
            map.expect.json.into_iter().map(|(path, value)| Ok((JsonPath::parse(&path)?, value))).collect();
        let (time, days) = (map.expect.time, map.expect.certificate_days);
        let expected = Expected {
            status: map.expect.status,
            body: map.expect.body,
            json: json?,
            time: Limits { warning: time.warning, critical: time.critical },
            certificate_days: Limits {
                warning: days.warning.map(f64::from),
                critical: days.critical.map(f64::from),
            },
        };
        Ok(Self { url: address(&map.url)?, method, headers, body: map.body, redirects, identity, expected })
    }
}

/// The address is not quoted: it may bear a password.
fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("expected an address such as https://example.org/health: {error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(format!("expected an address of http or https, got one of {scheme}")),
    }
}

/// What there is of an answer.
struct Answer {
    status: u16,
    body: Vec<u8>,
    is_cut: bool,
    until_header: Duration,
    time: Duration,
    certificate_days: Option<f64>,
}

impl HttpCheck {
    /// The client's own key is not among them: it is read for each look, and never leaves TLS.
    pub(super) fn keys(&self, keys: &mut Keys<'_>) {
        for (name, value) in &self.headers {
            keys.header(name.as_str(), value.to_str().unwrap_or_default());
        }
        keys.address(&self.url);
    }

    pub(super) async fn look(&self, surroundings: &Surroundings) -> Result<Observation, CheckError> {
        let client = match &self.identity {
            Some(identity) => &certificate::client(surroundings, identity)?,
            None => surroundings.client()?,
        };
        let begun = Instant::now();
        let response = match self.follow(surroundings, client, surroundings.client()?).await? {
            Ok(response) => response,
            Err(fault) => return Ok(critical(fault)),
        };
        let until_header = begun.elapsed();
        let (status, certificate_days) = (response.status().as_u16(), certificate_days(&response));
        match read(response).await {
            Ok((body, is_cut)) => {
                let time = begun.elapsed();
                let answer = Answer { status, body, is_cut, until_header, time, certificate_days };
                Ok(self.judge(&answer, &surroundings.redactor))
            }
            Err(reason) => {
                Ok(critical(format!("expected a whole answer of {}, got {reason}", origin(&self.url))))
            }
        }
    }

    fn judge(&self, answer: &Answer, redactor: &Redactor) -> Observation {
        let expected = &self.expected;
        let mut faults = Vec::new();
        if !expected.status.holds(answer.status) {
            faults.push((
                State::Critical,
                format!("expected status {}, got {}", expected.status, answer.status),
            ));
        }
        let body = expected.body.as_ref().and_then(|pattern| pattern.fault("body", &answer.body, redactor));
        let json = json_faults(&expected.json, &answer.body, redactor);
        faults.extend(body.into_iter().chain(json).map(|fault| {
            let cut = if answer.is_cut { "; the body was longer than what is read" } else { "" };
            (State::Critical, format!("{fault}{cut}"))
        }));
        faults.extend(expected.time.exceeded(answer.time));
        faults.extend(expected.certificate_days.missed(answer.certificate_days));
        let state = faults.iter().map(|(state, _)| *state).max().unwrap_or(State::Ok);
        // What is worse stands first.
        faults.sort_by_key(|(state, _)| std::cmp::Reverse(*state));
        let summary = if faults.is_empty() {
            format!("status {} in {}", answer.status, human(answer.time))
        } else {
            faults.into_iter().map(|(_, fault)| fault).collect::<Vec<_>>().join("; ")
        };
        let mut seen = observation(state, summary);
        if !state.is_pass() {
            seen.output = redactor.beginning(&answer.body, LONGEST_OUTPUT);
        }
        seen.measurements = measurements(answer);
        seen
    }
}

impl Limits<Duration> {
    fn exceeded(&self, time: Duration) -> Option<(State, String)> {
        let passed =
            |state, limit: Option<Duration>| limit.filter(|limit| time > *limit).map(|limit| (state, limit));
        let (state, limit) =
            passed(State::Critical, self.critical).or_else(|| passed(State::Warning, self.warning))?;
        Some((state, format!("expected an answer within {}, got it after {}", human(limit), human(time))))
    }
}

impl Limits<f64> {
    fn missed(&self, days: Option<f64>) -> Option<(State, String)> {
        let Some(days) = days else {
            let state = if self.critical.is_some() { State::Critical } else { State::Warning };
            let fault = || (state, "expected a certificate, got an answer without TLS".to_owned());
            return (self.critical.is_some() || self.warning.is_some()).then(fault);
        };
        let passed =
            |state, limit: Option<f64>| limit.filter(|limit| days < *limit).map(|limit| (state, limit));
        let (state, limit) =
            passed(State::Critical, self.critical).or_else(|| passed(State::Warning, self.warning))?;
        Some((state, format!("expected a certificate for {limit:.0} days or more, got one for {days:.1}")))
    }
}

fn measurements(answer: &Answer) -> Vec<Measurement> {
    let number = |name: &str, value: f64, unit: &str| Measurement {
        name: name.to_owned(),
        value,
        unit: unit.to_owned(),
    };
    let size = u32::try_from(answer.body.len()).unwrap_or(u32::MAX);
    let mut measurements = vec![
        measured("time", answer.time),
        measured("time_to_header", answer.until_header),
        number("size", f64::from(size), "B"),
        number("status", f64::from(answer.status), ""),
    ];
    measurements.extend(answer.certificate_days.map(|days| number("certificate_days", days, "")));
    measurements
}

/// The body up to a limit, and whether there is more of it.
async fn read(mut response: Response) -> Result<(Vec<u8>, bool), String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(innermost)? {
        let room = LONGEST_BODY - body.len();
        body.extend_from_slice(chunk.get(..chunk.len().min(room)).unwrap_or_default());
        if chunk.len() > room {
            return Ok((body, true));
        }
    }
    Ok((body, false))
}

fn certificate_days(response: &Response) -> Option<f64> {
    let certificate = response.extensions().get::<TlsInfo>()?.peer_certificate()?;
    let end = certificate::not_after(certificate)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "seconds of a calendar's years are exact in 53 bits")]
    Some((end as f64 - now) / SECONDS_A_DAY)
}

#[cfg(test)]
mod tests;
