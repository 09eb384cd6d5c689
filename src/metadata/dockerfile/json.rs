//! The exec form: a JSON array of strings.
//!
//! Owns the decision between JSON, not JSON (so: shell form) and a JSON array of something else, as the Go
//! decoder takes it.

use std::borrow::Cow;

use serde_json::Value;

/// What a text is, seen as a JSON array of strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JsonArray {
    /// It is one.
    Strings(Vec<String>),
    /// A JSON array, but not of strings.
    Mixed,
    /// No JSON array.
    Absent,
}

/// Reads the whole of `text`.
pub(crate) fn read(text: &str) -> JsonArray {
    let text = text.trim_start();
    if !text.starts_with('[') {
        return JsonArray::Absent;
    }
    let Ok(items) = serde_json::from_str::<Vec<Value>>(&replace_lone_surrogates(text)) else {
        return JsonArray::Absent;
    };
    let count = items.len();
    let strings: Vec<String> = items
        .into_iter()
        .filter_map(|item| if let Value::String(text) = item { Some(text) } else { None })
        .collect();
    if strings.len() == count { JsonArray::Strings(strings) } else { JsonArray::Mixed }
}

/// Go decodes half of a surrogate pair as U+FFFD, where `serde_json` refuses it.
fn replace_lone_surrogates(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut repaired = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(index) = rest.find('\\') {
        let (before, escape) = rest.split_at(index);
        repaired.push_str(before);
        let length = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                repaired.push_str("\\ufffd");
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            (Some(_), _) => 6,
            (None, _) => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
        };
        let (kept, after) = escape.split_at_checked(length).unwrap_or((escape, ""));
        repaired.push_str(kept);
        rest = after;
    }
    repaired.push_str(rest);
    Cow::Owned(repaired)
}

/// The number in a leading `\uXXXX`.
fn unit(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(text: &str) -> Vec<String> {
        match read(text) {
            JsonArray::Strings(strings) => strings,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn an_array_of_strings_is_decoded() {
        assert_eq!(strings(r#" [ "a\n", "é" ] "#), ["a\n", "é"]);
        assert!(strings("[]").is_empty());
    }

    #[test]
    fn what_is_not_json_is_left_to_the_shell() {
        for text in ["['a']", "[ -f x ] && y", r#"["a"] x"#, r#"["a""#, "a", r#"["a",]"#] {
            assert_eq!(read(text), JsonArray::Absent, "{text}");
        }
    }

    #[test]
    fn an_array_of_something_else_is_told_apart() {
        for text in ["[1]", "[null]", r#"["a", ["b"]]"#] {
            assert_eq!(read(text), JsonArray::Mixed, "{text}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_becomes_the_replacement_character() {
        assert_eq!(strings(r#"["\ud83d\ude00 \ud83d x \\ud83d"]"#), ["😀 \u{fffd} x \\ud83d"]);
    }
}
