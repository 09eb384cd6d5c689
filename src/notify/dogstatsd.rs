//! DogStatsD: the same metrics, states and events, as datagrams for an agent nearby.
//!
//! Owns the lines and what keeps free text from being read as a field of them: an agent splits a line at every `|`.
//! Opens no socket. Nobody answers, so nothing is known about what arrived.

use std::fmt::Write as _;
use std::time::Duration;

use crate::notify::address::InvalidAddress;
use crate::notify::change::Change;
use crate::notify::configured::{self, Given};
use crate::notify::metrics::{self, Kind, Metric, UnifiedTags};
use crate::notify::preflight::Preflight;
use crate::notify::{Notice, Notifier, Transmission, text};
use crate::probe::ProbeRun;
use schemars::JsonSchema;
use serde::Deserialize;

const UDP_PORT: u16 = 8125;
/// What fits into one packet of any network.
const MOST_UDP_BYTES: usize = 1432;
const MOST_UNIX_BYTES: usize = 8192;
/// The age up to which DataDog takes a state. There is nothing to be gained from an agent later.
const AGE: Duration = Duration::from_mins(10);
const MOST_HOST_BYTES: usize = 255;
/// Tags give way to this much of the text of a state or an event.
const LEAST_TEXT_BYTES: usize = 256;
const SCHEMES: [&str; 3] = ["unix://", "unixgram://", "unixstream://"];

/// Where an agent listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentAddress {
    text: String,
    most_bytes: usize,
}

impl AgentAddress {
    /// Reads `udp://host:port`, `host:port`, `unix:///path`, `unixgram:///path` or `unixstream:///path`. Without a port
    /// it is 8125.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let expected = "udp://host:port, unix:///path, unixgram:///path or unixstream:///path";
        let invalid = InvalidAddress { expected };
        let text = text.trim();
        if text.chars().any(|character| character.is_control() || character.is_whitespace()) {
            return Err(invalid);
        }
        if let Some(path) = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) {
            let is_path = path.len() > 1 && path.starts_with('/');
            return is_path
                .then(|| Self { text: text.to_owned(), most_bytes: MOST_UNIX_BYTES })
                .ok_or(invalid);
        }
        let place = text.strip_prefix("udp://").unwrap_or(text);
        // A colon within brackets, or one of several, is part of an address of IPv6.
        let has_port =
            place.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if has_port => (host, port.parse().map_err(|_| invalid)?),
            _ => (place, UDP_PORT),
        };
        Self::udp(host, port).filter(|_| port != 0).ok_or(invalid)
    }

    /// An agent on a host, which is a name or an address. `None` where it is neither.
    #[must_use]
    pub fn udp(host: &str, port: u16) -> Option<Self> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let is_v6 = bare.parse::<core::net::Ipv6Addr>().is_ok();
        let is_name =
            |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_');
        if !is_v6 && (host.is_empty() || !host.chars().all(is_name)) {
            return None;
        }
        let text = if is_v6 { format!("[{bare}]:{port}") } else { format!("{host}:{port}") };
        Some(Self { text, most_bytes: MOST_UDP_BYTES })
    }
}

/// An agent of DataDog, or anything else that reads DogStatsD.
#[derive(Debug, Clone)]
pub struct DogStatsD {
    address: AgentAddress,
    tags: UnifiedTags,
}

impl DogStatsD {
    /// Tells the agent at `address`.
    #[must_use]
    pub const fn new(address: AgentAddress, tags: UnifiedTags) -> Self {
        Self { address, tags }
    }

    fn lines(&self, notice: &Notice) -> Vec<String> {
        let most = self.address.most_bytes;
        let tags = metrics::tags_of(&self.tags, notice);
        let metrics = metrics::metrics(notice);
        let mut lines: Vec<String> = metrics.iter().map(|it| metric_line(it, &tags, most)).collect();
        if let Notice::Finished { run, .. } = notice {
            lines.push(check_line(run, &tags, most));
        }
        if let Some(change) = Change::of(notice) {
            lines.push(event_line(&change, &notice.probe().host, &tags, most));
        }
        lines
    }
}

configured::tagged! {
    /// DogStatsD: metrics of attempts and runs, by datagrams to an agent.
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, expecting = "a mapping with url")]
    #[schemars(rename = "DogStatsd")]
    pub(super) struct Settings {
        /// Where the agent listens: udp://host:port, `unix:///path`, `unixgram:///path` or `unixstream:///path`.
        url: AgentAddress,
    }
}

impl configured::Settings for Settings {
    fn sinks(mut self, given: Given<'_>) -> Result<Vec<Box<dyn Notifier>>, String> {
        let tags = self.unified_tags(given);
        Ok(vec![Box::new(DogStatsD::new(self.url, tags))])
    }
}

configured::checked!(
    AgentAddress,
    AgentAddress::parse,
    "AgentAddress",
    "udp://host:port, unix:///path, unixgram:///path or unixstream:///path."
);

impl Notifier for DogStatsD {
    fn name(&self) -> &'static str {
        "dogstatsd"
    }

    fn lifetime(&self, notice: &Notice) -> Option<Duration> {
        let is_for_it = matches!(notice, Notice::Attempted { .. } | Notice::Finished { .. });
        is_for_it.then(|| metrics::lifetime(notice, AGE))
    }

    fn render(&self, notice: &Notice) -> Vec<Transmission> {
        let datagrams = packed(self.lines(notice), self.address.most_bytes);
        if datagrams.is_empty() {
            return Vec::new();
        }
        vec![Transmission::Datagrams { address: self.address.text.clone(), datagrams }]
    }

    /// Nobody answers, and anything that is written would be counted.
    fn preflight(&self) -> Preflight {
        Preflight::Socket { address: self.address.text.clone() }
    }

    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}

/// As few datagrams as the limit allows, in order.
fn packed(lines: Vec<String>, most: usize) -> Vec<Vec<u8>> {
    let mut datagrams: Vec<Vec<u8>> = Vec::new();
    for line in lines {
        match datagrams.last_mut() {
            Some(last) if last.len() + 1 + line.len() <= most => {
                last.push(b'\n');
                last.extend_from_slice(line.as_bytes());
            }
            _ => datagrams.push(line.into_bytes()),
        }
    }
    datagrams
}

/// `name:value|c|#tags|T<unix>`
fn metric_line(metric: &Metric, tags: &[String], most: usize) -> String {
    let kind = match metric.kind {
        Kind::Count => 'c',
        Kind::Gauge => 'g',
    };
    let mut line = format!("{}:{}|{kind}", metric.name, metric.value);
    let end = format!("|T{}", metric.at);
    push_tags(&mut line, tags, most.saturating_sub(end.len()));
    line + &end
}

/// `_sc|name|status|d:<unix>|h:<host>|#tags|m:<message>`
fn check_line(run: &ProbeRun, tags: &[String], most: usize) -> String {
    let message = field(run.summary()).replace("m:", "m\\:");
    let name = metrics::probe_name(&run.probe.name, metrics::MOST_NAME_CHARS);
    let status = run.verdict().state().number();
    let at = metrics::ended_at(run.started_at, run.seconds);
    let mut line = format!("_sc|{name}|{status}|d:{at}");
    push_host(&mut line, &run.probe.host);
    let kept = message.len().min(LEAST_TEXT_BYTES) + "|m:".len();
    push_tags(&mut line, tags, most.saturating_sub(kept));
    let room = most.saturating_sub(line.len() + "|m:".len());
    // Writing to a string cannot fail.
    let _ = write!(line, "|m:{}", text::cut_bytes(&message, room));
    line
}

/// `_e{title,text}:title|text|d:<unix>|h:<host>|k:<key>|p:<priority>|t:<type>|#tags`, with lengths in bytes.
fn event_line(change: &Change, host: &str, tags: &[String], most: usize) -> String {
    let title = field(&change.title);
    let text = change.text.lines().map(field).collect::<Vec<_>>().join("\\n");
    let mut end = format!("|d:{}", change.at);
    push_host(&mut end, host);
    let key = field(&change.aggregation_key);
    // Writing to a string cannot fail.
    let _ = write!(end, "|k:{key}|p:{}|t:{}", change.priority, change.alert_type);
    let head = |text: &str| format!("_e{{{},{}}}:{title}|", title.len(), text.len());
    let fixed = head(&text).len() + end.len();
    let kept = fixed + text.len().min(LEAST_TEXT_BYTES);
    let mut told = String::new();
    push_tags(&mut told, tags, most.saturating_sub(kept));
    let cut = text::cut_bytes(&text, most.saturating_sub(fixed + told.len()));
    format!("{}{cut}{end}{told}", head(&cut))
}

/// As many tags, from the first on, as leave the line within `most` bytes.
fn push_tags(line: &mut String, tags: &[String], most: usize) {
    let mut separator = "|#";
    for tag in tags {
        if line.len() + separator.len() + tag.len() > most {
            return;
        }
        line.push_str(separator);
        line.push_str(tag);
        separator = ",";
    }
}

fn push_host(line: &mut String, host: &str) {
    let host = field(host);
    if !host.is_empty() {
        line.push_str("|h:");
        line.push_str(&text::cut_bytes(&host, MOST_HOST_BYTES));
    }
}

/// Free text as a field: in one line, and without what ends a field.
fn field(text: &str) -> String {
    text::one_line(text).replace('|', "¦")
}

#[cfg(test)]
mod tests;
