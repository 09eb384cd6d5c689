//! Where a value is in a JSON document: `a.b[0].c`, `$.a`, `["a key with dots."]`.
//!
//! Owns reading and following of such a path. It names one value: no wildcards, no filters.

use std::fmt;

use serde_json::Value;

use crate::metadata::dockerfile::excerpt;

/// Where a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::check) struct JsonPath {
    source: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl JsonPath {
    pub(in crate::check) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected a path such as a.b[0].c, got {}", excerpt(text));
        let mut steps = Vec::new();
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let mut is_first = rest.len() == text.len();
        if rest.is_empty() && is_first || text.contains(char::is_control) {
            return Err(wrong());
        }
        while !rest.is_empty() {
            if let Some(quoted) = rest.strip_prefix("[\"") {
                let (key, after) = quoted.split_once("\"]").ok_or_else(wrong)?;
                steps.push(Step::Key(key.to_owned()));
                rest = after;
            } else if let Some(index) = rest.strip_prefix('[') {
                let (index, after) = index.split_once(']').ok_or_else(wrong)?;
                let is_number = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
                let index = index.parse().ok().filter(|_| is_number).ok_or_else(wrong)?;
                steps.push(Step::Index(index));
                rest = after;
            } else {
                let key = match rest.strip_prefix('.') {
                    Some(key) if !is_first => key,
                    None if is_first => rest,
                    _ => return Err(wrong()),
                };
                let (key, after) = key.split_at(key.find(['.', '[']).unwrap_or(key.len()));
                if key.is_empty() {
                    return Err(wrong());
                }
                steps.push(Step::Key(key.to_owned()));
                rest = after;
            }
            is_first = false;
        }
        Ok(Self { source: text.to_owned(), steps })
    }

    pub(in crate::check) fn find<'v>(&self, json: &'v Value) -> Option<&'v Value> {
        self.steps.iter().try_fold(json, |value, step| match step {
            Step::Key(key) => value.as_object()?.get(key),
            Step::Index(index) => value.as_array()?.get(*index),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_to_one_value() {
        let json = json!({"a": {"b": [{"c": 1}, [2, 3]]}, "x.y": {"0": 4}, "$": 5});
        for (path, value) in [
            ("a.b[0].c", json!(1)),
            ("$.a.b[1][1]", json!(3)),
            (r#"["x.y"].0"#, json!(4)),
            (r#"$["x.y"]["0"]"#, json!(4)),
            ("$", json.clone()),
        ] {
            assert_eq!(JsonPath::parse(path).unwrap().find(&json), Some(&value), "{path}");
        }
        for path in ["a.c", "a.b[2]", "a[0]", "a.b.c", "a.b[0].c.d", "x.y"] {
            assert_eq!(JsonPath::parse(path).unwrap().find(&json), None, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in
            ["", ".a", "a.", "a..b", "a[", "a[]", "a[-1]", "a[+1]", "a[0]b", "$a", "a[b]", r#"a["b]"#, "a\nb"]
        {
            let error = JsonPath::parse(path).unwrap_err();
            assert!(error.starts_with("expected a path such as a.b[0].c, got `"), "{path}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_keys_without_signs_are_found(text in ".{0,30}", keys in prop::collection::vec("[a-z]{1,4}", 1..5)) {
            let _read_or_refused = JsonPath::parse(&text);
            let json = keys.iter().rev().fold(json!(1), |value, key| json!({key: value}));
            prop_assert_eq!(JsonPath::parse(&keys.join(".")).unwrap().find(&json), Some(&json!(1)));
        }
    }
}
