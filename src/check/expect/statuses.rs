//! Which status codes of HTTP are expected: `200`, `200-204`, `2xx`, or a list of those.
//!
//! Owns reading and comparing. What a status means is not known here.

use std::fmt;
use std::ops::RangeInclusive;

use serde::Deserialize;

use crate::check::shape::{self, Shaped};
use crate::metadata::dockerfile::excerpt;

/// Which status codes are expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::check) struct Statuses(Vec<RangeInclusive<u16>>);

impl Default for Statuses {
    fn default() -> Self {
        Self(vec![200..=299])
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            if range.start() == range.end() {
                write!(f, "{comma}{}", range.start())?;
            } else {
                write!(f, "{comma}{}-{}", range.start(), range.end())?;
            }
        }
        Ok(())
    }
}

/// One item of a list: a number or a text.
pub(in crate::check) struct Item(RangeInclusive<u16>);

impl Shaped for Item {
    const EXPECTED: &'static str = "a status such as 200, 200-204 or 2xx";
    type Map = serde::de::IgnoredAny;
    type Item = serde::de::IgnoredAny;

    fn from_map(_map: Self::Map) -> Result<Self, String> {
        Err(format!("expected {}", Self::EXPECTED))
    }

    fn from_text(text: &str) -> Result<Self, String> {
        range(text.trim())
            .map(Self)
            .ok_or_else(|| format!("expected {}, got {}", Self::EXPECTED, excerpt(text)))
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        shape::required(deserializer)
    }
}

impl Shaped for Statuses {
    const EXPECTED: &'static str = "a status such as 200, 200-204 or 2xx, or a list of them";
    type Map = serde::de::IgnoredAny;
    type Item = Item;

    fn from_map(_map: Self::Map) -> Result<Self, String> {
        Err(format!("expected {}", Self::EXPECTED))
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let items: Result<_, String> =
            text.split(',').map(|item| Item::from_text(item).map(|item| item.0)).collect();
        items.map(Self)
    }

    fn from_list(list: Vec<Item>) -> Result<Self, String> {
        if list.is_empty() {
            return Err(format!("expected {}, got an empty list", Self::EXPECTED));
        }
        Ok(Self(list.into_iter().map(|item| item.0).collect()))
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        shape::required(deserializer)
    }
}

impl Statuses {
    pub(in crate::check) fn holds(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    if let Some(class @ b'1'..=b'5') = text.strip_suffix("xx").and_then(|class| match class.as_bytes() {
        [class] => Some(*class),
        _ => None,
    }) {
        let first = u16::from(class - b'0') * 100;
        return Some(first..=first + 99);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (status(first)?, status(last)?);
    (first <= last).then_some(first..=last)
}

fn status(text: &str) -> Option<u16> {
    let is_number = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|status| is_number && (100..=599).contains(status))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Result<Statuses, String> {
        serde_json::from_value(value).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn a_status_is_a_number_a_range_a_class_or_a_list_of_them() {
        for (value, shown) in [
            (json!(204), "204"),
            (json!("200-204"), "200-204"),
            (json!("2xx"), "200-299"),
            (json!([200, "300-302", "4xx"]), "200, 300-302, 400-499"),
            (json!("200,301"), "200, 301"),
        ] {
            assert_eq!(read(value).unwrap().to_string(), shown);
        }
        let statuses = read(json!([200, "300-302"])).unwrap();
        let held = [199, 200, 201, 300, 302, 303].map(|status| statuses.holds(status));
        assert_eq!(held, [false, true, false, true, true, false]);
    }

    #[test]
    fn anything_else_is_refused_and_quoted() {
        for value in
            [json!(20), json!("6xx"), json!("204-200"), json!("ok"), json!([]), json!(["2xxx"]), json!(2.5)]
        {
            let error = read(value.clone()).unwrap_err();
            assert!(error.contains("a status such as 200, 200-204 or 2xx"), "{value}: {error}");
        }
    }
}
