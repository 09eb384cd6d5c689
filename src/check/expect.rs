//! What an answer has to be like: a status, a text, a value in JSON.
//!
//! Owns the comparisons and their wording: each says in one line what was expected and what was there. What is compared is
//! the answer itself. Free text of it is quoted without secrets and control characters, and cut after that.

mod path;
mod statuses;

use std::sync::Arc;

use regex_automata::meta::Regex;
use serde::Deserialize;
use serde_json::Value;

pub(super) use path::JsonPath;
pub(super) use statuses::Statuses;

use super::shape::{self, Shaped};
use crate::metadata::dockerfile::excerpt;
use crate::redact::Redactor;

/// What a regular expression may grow to in memory, in bytes.
const LARGEST_REGEX: usize = 1 << 20;

/// A text that has to be somewhere in an answer.
#[derive(Debug, Clone)]
pub(super) enum Pattern {
    Contains(String),
    Matches { regex: Arc<Regex>, source: String },
}

/// The long form of [`Pattern`].
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LongPattern {
    contains: Option<String>,
    matches: Option<String>,
}

impl Shaped for Pattern {
    const EXPECTED: &'static str = "a text, or a mapping with one of the keys contains and matches";
    type Map = LongPattern;
    type Item = serde::de::IgnoredAny;

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self::Contains(text.to_owned()))
    }

    fn from_map(map: LongPattern) -> Result<Self, String> {
        match (map.contains, map.matches) {
            (Some(text), None) => Ok(Self::Contains(text)),
            (None, Some(source)) => Self::matches(source),
            _ => Err(format!("expected {}", Self::EXPECTED)),
        }
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        shape::required(deserializer)
    }
}

impl Pattern {
    fn matches(source: String) -> Result<Self, String> {
        let config = Regex::config().nfa_size_limit(Some(LARGEST_REGEX));
        let regex = Regex::builder()
            .configure(config)
            .build(&source)
            .map_err(|error| format!("expected a regular expression, got {}: {error}", excerpt(&source)))?;
        Ok(Self::Matches { regex: Arc::new(regex), source })
    }

    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Contains(text) => {
                text.is_empty() || bytes.windows(text.len()).any(|window| window == text.as_bytes())
            }
            Self::Matches { regex, .. } => regex.is_match(bytes),
        }
    }

    /// What is wrong with `bytes`, which are a `what`.
    pub(super) fn fault(&self, what: &str, bytes: &[u8], redactor: &Redactor) -> Option<String> {
        if self.is_in(bytes) {
            return None;
        }
        let (verb, wanted) = match self {
            Self::Contains(text) => ("contains", text),
            Self::Matches { source, .. } => ("matches", source),
        };
        let (wanted, got) = (quoted(wanted, redactor), shown(bytes, redactor));
        Some(format!("expected a {what} that {verb} {wanted}, got {got}"))
    }
}

/// What is wrong with the values of `body`, each of them.
pub(super) fn json_faults(expected: &[(JsonPath, Value)], body: &[u8], redactor: &Redactor) -> Vec<String> {
    if expected.is_empty() {
        return Vec::new();
    }
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        return vec![format!("expected a body of JSON, got {}", shown(body, redactor))];
    };
    let faults = expected.iter().filter_map(|(path, expected)| {
        let got = path.find(&json);
        if got.is_some_and(|got| is_equal(got, expected)) {
            return None;
        }
        let got = got.map_or_else(|| "nothing".to_owned(), |got| quoted(&got.to_string(), redactor));
        let expected = quoted(&expected.to_string(), redactor);
        Some(format!("expected {expected} at {path}, got {got}"))
    });
    faults.collect()
}

/// JSON knows one kind of number: 1 is 1.0.
fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| is_equal(one, other)))
        }
        _ => one == other,
    }
}

fn shown(bytes: &[u8], redactor: &Redactor) -> String {
    if bytes.is_empty() {
        return "nothing".to_owned();
    }
    excerpt(&redactor.beginning(bytes, 400))
}

/// An excerpt of a text, secrets hidden before it is cut.
pub(super) fn quoted(text: &str, redactor: &Redactor) -> String {
    excerpt(&redactor.redact(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn none() -> Redactor {
        Redactor::default()
    }

    fn pattern(value: Value) -> Result<Pattern, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn a_text_is_looked_for_as_it_is_and_an_expression_as_one() {
        let text = pattern(json!("a.c")).unwrap();
        assert!(text.is_in(b"xx a.c") && !text.is_in(b"abc"));
        let expression = pattern(json!({"matches": "^a.c$"})).unwrap();
        assert!(expression.is_in(b"abc") && !expression.is_in(b"xabc"));
        assert!(expression.is_in("a\u{e9}c".as_bytes()) && !expression.is_in(b"a\xffc"));
        assert!(pattern(json!({"contains": ""})).unwrap().is_in(b""));
    }

    #[test]
    fn a_fault_says_in_one_line_what_was_expected_and_what_was_there() {
        let fault = pattern(json!("\"ok\"")).unwrap().fault("body", b"<html>\r\n\x1b[2J", &none()).unwrap();
        assert_eq!(fault, r#"expected a body that contains `"ok"`, got `<html>\r\n\u{1b}[2J`"#);
        let fault = pattern(json!({"matches": "o+k"})).unwrap().fault("banner", b"", &none()).unwrap();
        assert_eq!(fault, "expected a banner that matches `o+k`, got nothing");
        assert!(
            pattern(json!("x")).unwrap().fault("body", &vec![b'y'; 1 << 20], &none()).unwrap().len() < 300
        );
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_forms() {
        for value in [json!({}), json!({"contains": "a", "matches": "b"}), json!(["a"]), json!(true)] {
            let error = pattern(value).unwrap_err().to_string();
            assert!(error.contains("a text, or a mapping"), "{error}");
        }
        assert!(pattern(json!({"matches": "("})).unwrap_err().to_string().contains("a regular expression"));
        assert!(pattern(json!({"match": "x"})).unwrap_err().to_string().contains("unknown field"));
        let huge = pattern(json!({"matches": "(a{1000}){1000}"})).unwrap_err().to_string();
        assert!(huge.contains("a regular expression"), "{huge}");
    }

    #[test]
    fn values_of_json_are_compared_as_json() {
        let body = br#"{"status": "ok", "items": [{"id": 7, "tags": []}], "share": 1.0, "none": null}"#;
        let faults =
            |path: &str, value: Value| json_faults(&[(JsonPath::parse(path).unwrap(), value)], body, &none());
        for (path, value) in [
            ("status", json!("ok")),
            ("items[0].id", json!(7)),
            ("share", json!(1)),
            ("none", Value::Null),
            ("items", json!([{"tags": [], "id": 7.0}])),
        ] {
            assert!(faults(path, value).is_empty(), "{path}");
        }
        assert_eq!(faults("items[0].id", json!("7")), [r#"expected `"7"` at items[0].id, got `7`"#]);
        assert_eq!(faults("items[1]", json!(1)), ["expected `1` at items[1], got nothing"]);
        let path = JsonPath::parse("a").unwrap();
        let html = json_faults(&[(path, json!(1))], b"<html>", &none());
        assert_eq!(html, ["expected a body of JSON, got `<html>`"]);
    }
}
