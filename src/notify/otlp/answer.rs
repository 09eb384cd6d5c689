//! What a receiver of OTLP says of what it was sent.
//!
//! Owns which answers may be followed by the same again, which the protocol names, and successes of which something was
//! left out. Other answers mean what they mean everywhere.

use serde::Deserialize;
use serde_json::Value;

use crate::notify::preflight::{Standing, later};
use crate::notify::{self, Answer, Reception, text};

const MOST_REASON_CHARS: usize = 200;

/// The body of an answer: `message` is that of an error.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Body {
    message: Option<String>,
    partial_success: Option<Partial>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Partial {
    /// A number or, as 64 bits are, text.
    rejected_data_points: Value,
    error_message: Option<String>,
}

impl Partial {
    fn rejected(&self) -> u64 {
        let points = &self.rejected_data_points;
        points.as_u64().or_else(|| points.as_str()?.parse().ok()).unwrap_or_default()
    }
}

/// What was left out of a success must not be sent again, nor must most of what failed.
pub(super) fn receive(answer: &Answer) -> Reception {
    if answer.is_from_between() {
        return notify::receive(answer);
    }
    let body: Body = serde_json::from_str(&answer.body).unwrap_or_default();
    if (200..=299).contains(&answer.status) {
        return taken(&body.partial_success.unwrap_or_default());
    }
    let said = body.message.filter(|message| !message.is_empty()).unwrap_or_else(|| answer.body.clone());
    match notify::receive(&Answer { body: said, ..*answer }) {
        Reception::Later { reason, .. } if !is_retryable(answer.status) => Reception::Refused { reason },
        reception => reception,
    }
}

/// A redirect is not the receiver's word.
const fn is_retryable(status: u16) -> bool {
    matches!(status, 300..=399 | 429 | 502 | 503 | 504)
}

fn taken(partial: &Partial) -> Reception {
    let rejected = partial.rejected();
    if rejected == 0 {
        return Reception::Accepted;
    }
    let points = if rejected == 1 { "1 data point".to_owned() } else { format!("{rejected} data points") };
    let why = text::one_line(partial.error_message.as_deref().unwrap_or_default());
    let why = if why.is_empty() { "it does not say why" } else { &why };
    let reason = format!("it left {points} out: {}", text::cut_chars(why, MOST_REASON_CHARS));
    Reception::Refused { reason }
}

/// What it says to a request without metrics.
pub(super) fn standing(answer: &Answer) -> Standing {
    let reason = match receive(answer) {
        Reception::Accepted => return Standing::Accepted { says: "takes metrics" },
        Reception::Later { reason, .. } => return later(&reason),
        Reception::Refused { reason } => reason,
    };
    let refused = |what: &str, hint: &str| Standing::Refused {
        says: format!("{what}: {reason}"),
        hint: hint.to_owned(),
    };
    match answer.status {
        401 | 403 => refused(
            "refuses the key",
            "correct the headers (OTEL_EXPORTER_OTLP_HEADERS, or headers in the file)",
        ),
        404 | 405 => refused(
            "takes no metrics at this address",
            "name the base address of a receiver of OTLP over HTTP, often with port 4318: /v1/metrics is put behind it; \
             OTEL_METRICS_EXPORTER=none does without",
        ),
        415 => refused(
            "takes no JSON",
            "put a Collector of OpenTelemetry before it, which takes both encodings of OTLP over HTTP",
        ),
        _ => Standing::Unclear {
            says: format!("refuses a request without metrics: {reason}"),
            hint: "see whether metrics arrive: it may have refused this one because it was empty".to_owned(),
        },
    }
}
