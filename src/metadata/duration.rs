//! Durations as people write them: `90s`, `5m`, `1h30m`, `500ms`.
//!
//! Owns reading and showing. Refuses what is negative, ambiguous or longer than a century, so that arithmetic
//! with the result cannot overflow.

use std::time::Duration;

use crate::error::{Category, Diagnose};
use crate::metadata::dockerfile::excerpt;

/// The longest duration that is accepted: a hundred years of 365 days.
pub const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

/// Units by name and nanoseconds, longest first.
const UNITS: [(&str, u128); 4] =
    [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000)];

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It does not read as numbers with units.
    #[error(
        "{} is not a duration: expected one like 90s, 5m, 1h30m, 500ms, or a number of seconds",
        excerpt(found)
    )]
    Malformed {
        /// The text.
        found: String,
    },
    /// Nothing at all, where a limit was asked for.
    #[error(
        "{} leaves no time at all: leave it out for the default, or give a long one such as 24h",
        excerpt(found)
    )]
    Zero {
        /// The text.
        found: String,
    },
    /// Longer than [`LONGEST`].
    #[error("{} is too long: expected at most 100 years", excerpt(found))]
    TooLong {
        /// The text.
        found: String,
    },
}

impl Diagnose for DurationError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Zero { .. } => "give a longer one, or none".to_owned(),
            Self::Malformed { .. } | Self::TooLong { .. } => {
                "units are h, m, s and ms, the longer one first: 1h30m".to_owned()
            }
        })
    }
}

/// Reads a duration: numbers with units, the longer unit first, or a bare number of seconds. Numbers may have a
/// decimal fraction. White space around the text is ignored.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let malformed = || DurationError::Malformed { found: text.to_owned() };
    let too_long = || DurationError::TooLong { found: text.to_owned() };
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(malformed());
    }
    let bare = rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let mut units = UNITS.as_slice();
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (number, after) =
            rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len()));
        let (name, after) =
            after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let name = if bare { "s" } else { name };
        let index = units.iter().position(|(unit, _)| *unit == name).ok_or_else(malformed)?;
        let (_, nanoseconds) = units.get(index).ok_or_else(malformed)?;
        // Only shorter units may follow: 30m1h is a slip more often than meant.
        units = units.get(index + 1..).unwrap_or_default();
        let amount = scaled(number, *nanoseconds)
            .ok_or_else(|| if is_number(number) { too_long() } else { malformed() })?;
        total = total.checked_add(amount).ok_or_else(too_long)?;
        rest = after;
    }
    if total > LONGEST.as_nanos() {
        return Err(too_long());
    }
    let seconds = u64::try_from(total / 1_000_000_000).map_err(|_| too_long())?;
    let nanoseconds = u32::try_from(total % 1_000_000_000).map_err(|_| too_long())?;
    Ok(Duration::new(seconds, nanoseconds))
}

/// Reads a duration after which something is ended: a zero, which means no limit elsewhere and would end it at once
/// here, is refused.
pub fn parse_limit(text: &str) -> Result<Duration, DurationError> {
    match parse(text) {
        Ok(Duration::ZERO) => Err(DurationError::Zero { found: text.to_owned() }),
        parsed => parsed,
    }
}

fn is_number(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && digits(fraction)
}

/// `number` units of that many nanoseconds; none on overflow or where it is no number. Digits of the fraction
/// beyond the ninth are dropped.
fn scaled(number: &str, nanoseconds: u128) -> Option<u128> {
    if !is_number(number) {
        return None;
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole.parse::<u128>().ok()?.checked_mul(nanoseconds)?;
    let billionths: u128 = format!("{:0<9}", fraction.get(..fraction.len().min(9))?).parse().ok()?;
    whole.checked_add(billionths * nanoseconds / 1_000_000_000)
}

/// Shows a duration in a form that [`parse`] reads: `350ms`, `12.3s`, `1m30s`, `2h5m`.
///
/// It is rounded: to milliseconds below a second, to tenths below a minute, to seconds above.
#[must_use]
pub fn human(duration: Duration) -> String {
    let milliseconds = (duration.as_nanos() + 500_000) / 1_000_000;
    if milliseconds < 1_000 {
        return format!("{milliseconds}ms");
    }
    let tenths = (milliseconds + 50) / 100;
    if tenths < 600 {
        let (whole, tenth) = (tenths / 10, tenths % 10);
        return if tenth == 0 { format!("{whole}s") } else { format!("{whole}.{tenth}s") };
    }
    let seconds = (milliseconds + 500) / 1_000;
    let parts = [(seconds / 3_600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let shown: Vec<String> = parts
        .iter()
        .filter(|(amount, _)| *amount > 0)
        .map(|(amount, unit)| format!("{amount}{unit}"))
        .collect();
    shown.concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_with_units_add_up() {
        for (text, milliseconds) in [
            ("90s", 90_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("500ms", 500),
            ("2", 2_000),
            ("0", 0),
            ("1.5", 1_500),
            ("1.5h", 5_400_000),
            ("1m0.25s", 60_250),
            (" 1h2m3s4ms ", 3_723_004),
            ("0.0000000001s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_malformed() {
        for text in [
            "", " ", "s", "1d", "-1s", "+1s", "1 h", "1h 30m", "30m1h", "1s1s", "1h30", "1.s", ".5s",
            "1..2s", "1e3", "∞", "1S",
        ] {
            assert!(matches!(parse(text), Err(DurationError::Malformed { .. })), "{text}");
        }
    }

    #[test]
    fn a_limit_is_more_than_nothing() {
        for text in ["0", "0s", "0h0m", "0.0000000001s"] {
            assert!(matches!(parse_limit(text), Err(DurationError::Zero { .. })), "{text}");
        }
        assert_eq!(parse_limit("1ms"), Ok(Duration::from_millis(1)));
        assert!(matches!(parse_limit("soon"), Err(DurationError::Malformed { .. })));
    }

    #[test]
    fn more_than_a_century_is_too_long() {
        for text in [
            "876001h",
            "99999999999999999999999999999999999999999999h",
            "340282366920938463463374607431768211455",
        ] {
            assert!(matches!(parse(text), Err(DurationError::TooLong { .. })), "{text}");
        }
        assert_eq!(parse("876000h"), Ok(LONGEST));
    }

    #[test]
    fn people_see_the_two_or_three_largest_parts() {
        for (milliseconds, shown) in [
            (0, "0ms"),
            (999, "999ms"),
            (1_000, "1s"),
            (12_340, "12.3s"),
            (59_949, "59.9s"),
            (59_950, "1m"),
            (90_000, "1m30s"),
            (5_400_000, "1h30m"),
            (7_205_000, "2h5s"),
        ] {
            assert_eq!(human(Duration::from_millis(milliseconds)), shown);
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_never_exceeds_the_limit(text in "[0-9.hms -]{0,40}|\\PC{0,12}") {
            if let Ok(duration) = parse(&text) {
                prop_assert!(duration <= LONGEST);
            }
        }

        #[test]
        fn whole_seconds_survive_being_shown(seconds in 0..=LONGEST.as_secs()) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(parse(&human(duration)), Ok(duration));
        }
    }
}
