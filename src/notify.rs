//! Alerts and metrics: what is told to whom when a probe has run.
//!
//! Owns what a sink is ([`Notifier`]) and the values that it is handed. A sink turns a notice into bytes and says what
//! an answer means; it sends nothing. One file sends, and nothing here changes a verdict.

pub mod address;
mod change;
pub mod configured;
pub mod datadog;
pub mod dogstatsd;
pub mod from_environment;
pub mod kuberhealthy;
pub mod metrics;
pub mod otlp;
pub mod outbox;
pub mod overall;
pub mod pagerduty;
pub mod pagerduty_v1;
pub mod ping;
pub mod policy;
pub mod preflight;
pub mod prometheus;
pub mod pushgateway;
#[cfg(test)]
pub(crate) mod sample;
pub mod send;
pub mod slack;
mod text;
pub mod webhook;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::probe::{Attempt, Identity, ProbeRun, Verdict};
use overall::Overall;
use preflight::{Doubt, Preflight, Standing};

/// How bad it is. PagerDuty's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For the record.
    Info,
    /// Somebody should look, in the hours of work.
    Warning,
    /// It does not work.
    Error,
    /// It does not work, and somebody is to get up.
    Critical,
}

/// What an alert does to the incident of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Opens it, or reminds of it while it is open.
    Trigger,
    /// Closes it.
    Resolve,
}

/// What is wrong. Each has an incident of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The service that is tested: all attempts failed.
    Target,
    /// It passed on a retry, or with a warning.
    Degraded,
    /// The cleanup after an attempt failed.
    Cleanup,
    /// The harness itself could not do its job.
    Harness,
    /// The probe has not run when it should have.
    NoNews,
    /// The engine that probes run on does not answer.
    Engine,
    /// A sink takes nothing any more.
    Sink,
}

/// Something that people are to hear of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Opens or closes the incident.
    pub action: Action,
    /// What is wrong.
    pub subject: Subject,
    /// Names the incident: the same for as long as it is open, and on every sink.
    pub dedup_key: String,
    /// Which probe.
    pub probe: Identity,
    /// How bad it is.
    pub severity: Severity,
    /// One line for people.
    pub summary: String,
    /// More for people: name and value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
    /// The run that it is about.
    pub run: String,
    /// When it was seen, in Unix seconds.
    pub at: i64,
    /// When the incident began, in Unix seconds.
    pub since: i64,
    /// This is told again. A trigger: the incident was open before. A resolve: whether anything was open is not known,
    /// because no state lasts from one run to the next; harmless where a sink drops it, noise where it would not.
    #[serde(default)]
    pub reminder: bool,
    /// Kinds of sinks that it is for ([`Notifier::name`]); all sinks where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub route: Vec<String>,
}

impl Alert {
    /// Whether a sink of this kind is to hear of it.
    #[must_use]
    pub fn is_for(&self, sink: &str) -> bool {
        self.route.is_empty() || self.route.iter().any(|kind| kind == sink)
    }
}

/// What a sink may be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Notice {
    /// A run begins.
    Started {
        /// Its id.
        run: String,
        /// Which probe.
        probe: Identity,
        /// In Unix seconds.
        at: i64,
    },
    /// An attempt is over.
    Attempted {
        /// Id of its run.
        run: String,
        /// Which probe.
        probe: Identity,
        /// What became of it.
        attempt: Attempt,
    },
    /// A run is over.
    Finished {
        /// What became of it.
        run: ProbeRun,
        /// What the run before came to, where that is known and was different.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        changed_from: Option<Verdict>,
    },
    /// What all probes come to, for sinks that are told of them with one word.
    Overall(Overall),
    /// People are to hear of something.
    Alert(Alert),
}

impl Notice {
    /// When it was so, in Unix seconds: an answer to how old it may get.
    #[must_use]
    pub fn at(&self) -> i64 {
        match self {
            Self::Started { at, .. } => *at,
            Self::Attempted { attempt, .. } => attempt.started_at,
            Self::Finished { run, .. } => run.started_at,
            Self::Overall(overall) => overall.at,
            Self::Alert(alert) => alert.at,
        }
    }

    /// Which probe it is about.
    #[must_use]
    pub const fn probe(&self) -> &Identity {
        match self {
            Self::Started { probe, .. } | Self::Attempted { probe, .. } => probe,
            Self::Finished { run, .. } => &run.probe,
            Self::Overall(overall) => &overall.probe,
            Self::Alert(alert) => &alert.probe,
        }
    }
}

/// Bytes on their way to a sink. Not to be logged: it bears the sink's key.
#[derive(Clone, PartialEq, Eq)]
pub enum Transmission {
    /// A request of HTTP.
    Http(HttpRequest),
    /// Datagrams, each of which is sent as it is.
    Datagrams {
        /// `host:port`, `unix:///path`, `unixgram:///path` or `unixstream:///path`.
        address: String,
        /// What each holds.
        datagrams: Vec<Vec<u8>>,
    },
    /// A file that is replaced as a whole.
    File {
        /// Where it is.
        path: std::path::PathBuf,
        /// What it holds.
        bytes: Vec<u8>,
    },
}

/// A request of HTTP.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `POST`, `GET`, `PUT`.
    pub method: &'static str,
    /// The whole address. It may bear a key.
    pub url: String,
    /// Names in lower case, and values. They may bear a key.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body, not compressed.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Transmission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::Http(_) => "Http",
            Self::Datagrams { .. } => "Datagrams",
            Self::File { .. } => "File",
        };
        f.debug_struct(kind).finish_non_exhaustive()
    }
}

/// What a sink answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Status of HTTP.
    pub status: u16,
    /// `Retry-After` or the sink's own header for it, in seconds.
    pub retry_after: Option<u64>,
    /// The first bytes of its text.
    pub body: String,
}

impl Answer {
    /// Whether a proxy, a portal or a filter has answered in the sink's place. Its text tells: sinks answer in JSON or in a
    /// word of plain text, which some of them call HTML in the header. Nothing makes a request smaller, whoever it is too
    /// large for.
    #[must_use]
    pub fn is_from_between(&self) -> bool {
        let is_page = self.body.trim_start_matches('\u{feff}').trim_start().starts_with('<');
        self.status == 407 || (is_page && !matches!(self.status, 413 | 414 | 431))
    }
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reception {
    /// It has arrived.
    Accepted,
    /// It may be taken later.
    Later {
        /// Not before this.
        after: Option<Duration>,
        /// Why.
        reason: String,
    },
    /// It will never be taken as it is.
    Refused {
        /// Why.
        reason: String,
    },
}

/// A place that notices go to. One that exists twice has two values of its type.
pub trait Notifier: Send + Sync {
    /// Its kind, as in `notify:` of docker-test.yaml: `pagerduty`.
    fn name(&self) -> &'static str;

    /// How old a notice may be when it arrives; `None` where this sink is not for it.
    fn lifetime(&self, notice: &Notice) -> Option<Duration>;

    /// The bytes for a notice that it is for.
    fn render(&self, notice: &Notice) -> Vec<Transmission>;

    /// What an answer over HTTP means.
    fn receive(&self, answer: &Answer) -> Reception {
        receive(answer)
    }

    /// Most transmissions in a minute, where the sink says so.
    fn per_minute(&self) -> Option<u32> {
        None
    }

    /// What tells whether it would be heard, changes nothing there and pages nobody.
    fn preflight(&self) -> Preflight {
        Preflight::Nothing
    }

    /// What the answer to its preflight says, where that asks something.
    fn standing(&self, answer: &Answer) -> Standing {
        preflight::standing(self.receive(answer), "answers")
    }

    /// What is likely to be wrong with how it is set up.
    fn doubt(&self) -> Option<Doubt> {
        None
    }

    /// Values that must be shown nowhere.
    fn secrets(&self) -> Vec<String>;
}

/// What an answer means unless a sink says otherwise: success is 2xx; what may pass (408, 425, 429, 5xx, and the word of
/// what stands between) is tried again; everything else is refused for good.
#[must_use]
pub fn receive(answer: &Answer) -> Reception {
    let reason = || {
        let line = answer.body.lines().next().unwrap_or_default().trim();
        let line: String = line.chars().filter(|character| !character.is_control()).take(200).collect();
        if line.is_empty() {
            format!("HTTP status {}", answer.status)
        } else {
            format!("HTTP status {}: {line}", answer.status)
        }
    };
    let later = |reason| Reception::Later { after: answer.retry_after.map(Duration::from_secs), reason };
    match answer.status {
        407 => later(format!("{}: a proxy asks for a name and a password", reason())),
        status if answer.is_from_between() => later(format!(
            "HTTP status {status} with a page of HTML: something in between answered, or the address is wrong"
        )),
        200..=299 => Reception::Accepted,
        // A redirect is not followed. It is a portal, or a page for times of maintenance, more often than a new address.
        300..=399 | 408 | 425 | 429 | 500..=599 => later(reason()),
        _ => Reception::Refused { reason: reason() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again_and_what_is_wrong_is_not() {
        let received = |status, retry_after| receive(&Answer { status, retry_after, body: String::new() });
        assert_eq!(received(202, None), Reception::Accepted);
        let reason = "HTTP status 429".to_owned();
        let after = Some(Duration::from_secs(30));
        assert_eq!(received(429, Some(30)), Reception::Later { after, reason });
        for status in [301, 302, 408, 500, 502, 503, 504] {
            assert!(matches!(received(status, None), Reception::Later { after: None, .. }), "{status}");
        }
        for status in [400, 401, 403, 404, 413] {
            assert!(matches!(received(status, None), Reception::Refused { .. }), "{status}");
        }
    }

    #[test]
    fn what_stands_between_is_tried_again_whatever_its_status() {
        let received =
            |status, body: &str| receive(&Answer { status, retry_after: Some(9), body: body.to_owned() });
        for status in [200, 202, 400, 401, 403, 404, 405, 503] {
            let received = received(status, "\u{feff}\r\n<!DOCTYPE html><title>Blocked</title>");
            let Reception::Later { after: Some(after), reason } = received else { panic!("{status}") };
            assert_eq!(after, Duration::from_secs(9));
            assert!(reason.contains("something in between answered"), "{reason}");
        }
        let Reception::Later { reason, .. } = received(407, "") else { panic!("407 is a proxy's") };
        assert!(reason.contains("a proxy asks"), "{reason}");
        for (status, body) in
            [(403, "invalid_token"), (404, "no_service"), (403, r#"{"errors":[]}"#), (413, "<html>")]
        {
            assert!(matches!(received(status, body), Reception::Refused { .. }), "{status} {body}");
        }
    }

    #[test]
    fn a_reason_is_one_short_line_without_control_characters() {
        let body = format!("no\u{1b}[31m{}\nsecond", "x".repeat(500));
        let Reception::Refused { reason } = receive(&Answer { status: 400, retry_after: None, body }) else {
            panic!("400 is refused");
        };
        assert!(reason.starts_with("HTTP status 400: no[31mxxx") && reason.len() < 250, "{reason}");
    }

    #[test]
    fn bytes_on_their_way_are_not_shown_by_debug() {
        let request = HttpRequest {
            method: "POST",
            url: "https://example.invalid/key-in-path".to_owned(),
            headers: vec![("dd-api-key".into(), "s3cr3t".to_owned())],
            body: b"s3cr3t".to_vec(),
        };
        let shown = format!("{:?}", Transmission::Http(request));
        assert_eq!(shown, "Http { .. }");
    }
}
