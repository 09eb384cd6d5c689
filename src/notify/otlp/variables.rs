//! The variables that OpenTelemetry gives to its own exporters, as far as they say whether and where metrics are sent.
//!
//! Owns when they mean this sink. They are often inherited and meant for another program, so whatever is wrong with them
//! leaves the sink off and is a warning, and never ends a run. Never shows a value of an address or a header.

use super::{Endpoint, GRPC_PORT, Headers, Otlp};
use crate::notify::address::{InvalidAddress, Url};
use crate::notify::metrics::UnifiedTags;

const WHOLE: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Of two the first goes before the second.
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const REMEDY: &str = "to do without, set OTEL_METRICS_EXPORTER=none";

/// The sink that the variables switch on, or why they name one that is not ours. `get` gives what is set and not empty.
pub(crate) fn read(get: &dyn Fn(&str) -> Option<String>, tags: UnifiedTags) -> Result<Option<Otlp>, String> {
    if is_off(get) {
        return Ok(None);
    }
    let (variable, address) = match (get(WHOLE), get(BASE)) {
        (Some(address), _) => (WHOLE, address),
        (None, Some(address)) => (BASE, address),
        (None, None) => return Ok(None),
    };
    let protocol = PROTOCOLS.into_iter().find_map(|name| Some((name, get(name)?)));
    // Both encodings have one address, and JSON is what it is sent in.
    let is_http = protocol.as_ref().is_some_and(|(_, protocol)| protocol.starts_with("http/"));
    if let Some((name, _)) = protocol.filter(|_| !is_http) {
        return Err(format!(
            "{variable} is not used: {name} names another protocol than OTLP over HTTP, which is all that is sent; for \
             metrics alone set {WHOLE} and {}=http/json; {REMEDY}",
            PROTOCOLS[0]
        ));
    }
    let unusable = |variable: &str, error: InvalidAddress| {
        format!("{variable} is not used: expected {}; {REMEDY}", error.expected)
    };
    let url = Url::parse(&address).map_err(|error| unusable(variable, error))?;
    let endpoint = if variable == WHOLE { Endpoint::Whole(url) } else { Endpoint::Base(url) };
    if !is_http && endpoint.is_of_grpc() {
        return Err(format!(
            "{variable} is not used: port {GRPC_PORT} is that of OTLP over gRPC, and metrics are sent over HTTP, by \
             convention to port 4318; if it is HTTP all the same, set {}=http/json; {REMEDY}",
            PROTOCOLS[0]
        ));
    }
    let given = HEADERS.into_iter().find_map(|name| Some((name, get(name)?)));
    let headers = match given {
        Some((name, text)) => headers(&text).map_err(|error| unusable(name, error))?,
        None => Headers::default(),
    };
    let service = tags.service.clone().or_else(|| get("OTEL_SERVICE_NAME"));
    Ok(Some(Otlp::new(endpoint, headers, UnifiedTags { service, ..tags })))
}

/// Whether they say that no metrics are to be sent over OTLP.
fn is_off(get: &dyn Fn(&str) -> Option<String>) -> bool {
    let is_disabled = get("OTEL_SDK_DISABLED").is_some_and(|said| said.eq_ignore_ascii_case("true"));
    let exporters = get("OTEL_METRICS_EXPORTER");
    let is_other =
        exporters.is_some_and(|names| names.split(',').all(|name| !name.trim().eq_ignore_ascii_case("otlp")));
    is_disabled || is_other
}

/// `name=value,name2=value2`, percent-encoded.
fn headers(text: &str) -> Result<Headers, InvalidAddress> {
    let invalid = InvalidAddress { expected: "headers as name=value,name=value, percent-encoded" };
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').ok_or(invalid)?;
        Ok((decoded(name).ok_or(invalid)?, decoded(value).ok_or(invalid)?))
    });
    let pairs = pairs.collect::<Result<Vec<_>, InvalidAddress>>()?;
    Headers::new(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

/// Without its percent-encoding. A sign that encodes nothing stays as it is.
fn decoded(text: &str) -> Option<String> {
    let digit =
        |byte: Option<&u8>| char::from(*byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (Some(high), Some(low)) if *byte == b'%' => {
                plain.push(high * 16 + low);
                at += 3;
            }
            _ => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).ok()
}
