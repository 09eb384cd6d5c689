//! When nobody is paged.
//!
//! Owns what a silence is. It silences words and no measurement, and has an end: one without would be forgotten.
//! Recurring ones are handed in as the intervals that they come to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A time in which nobody is paged: from its beginning to just before its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Silence {
    /// When it begins, in Unix seconds.
    pub from: i64,
    /// When it ends, in Unix seconds.
    pub until: i64,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl Silence {
    /// Whether it covers this time, in Unix seconds.
    #[must_use]
    pub const fn covers(&self, now: i64) -> bool {
        self.from <= now && now < self.until
    }

    /// Whether it is over and may be forgotten.
    #[must_use]
    pub const fn is_over(&self, now: i64) -> bool {
        self.until <= now
    }
}

/// Whether any of them covers this time, in Unix seconds.
#[must_use]
pub fn is_silenced(silences: &[Silence], now: i64) -> bool {
    silences.iter().any(|silence| silence.covers(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_has_its_beginning_and_not_its_end() {
        let silences = [
            Silence { from: 100, until: 200, reason: "move".to_owned() },
            Silence { from: 150, until: 300, reason: String::new() },
            Silence { from: 500, until: 500, reason: String::new() },
        ];
        let is_so = [99, 100, 199, 200, 299, 300, 500].map(|now| is_silenced(&silences, now));
        assert_eq!(is_so, [false, true, true, true, true, false, false]);
        let [first, ..] = &silences;
        assert!(first.is_over(200) && !first.is_over(199));
    }

    #[test]
    fn a_silence_without_an_end_is_not_read() {
        assert!(serde_json::from_str::<Silence>(r#"{"from": 1}"#).is_err());
    }
}
