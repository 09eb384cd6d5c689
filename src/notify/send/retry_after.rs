//! When a server wants to be asked again, out of its headers. Pure.

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use time::OffsetDateTime;

use super::clock::date;

/// What is no number of seconds for anybody is a Unix time.
const EPOCH_LIKE: u64 = 1_000_000_000;

/// Seconds until the server may be asked again: `Retry-After`, else `X-RateLimit-Reset`. Dates count from the server's
/// own `Date` where it gives one, so that it does not matter what this machine's clock says.
pub(super) fn seconds(headers: &HeaderMap, now: OffsetDateTime) -> Option<u64> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let now = text(DATE.as_str()).and_then(date).unwrap_or(now).unix_timestamp();
    let until = |then: i64| then.saturating_sub(now).max(0).unsigned_abs();
    if let Some(wait) = text(RETRY_AFTER.as_str()) {
        let wait = number(wait).or_else(|| date(wait).map(|then| until(then.unix_timestamp())));
        if wait.is_some() {
            return wait;
        }
    }
    text("x-ratelimit-reset").and_then(number).map(|reset| {
        if reset >= EPOCH_LIKE { until(i64::try_from(reset).unwrap_or(i64::MAX)) } else { reset }
    })
}

/// A number; what is behind its point is rounded up.
fn number(text: &str) -> Option<u64> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(rest) {
        return None;
    }
    let rounded = u64::from(rest.bytes().any(|byte| byte != b'0'));
    // Digits alone that do not fit are a very long time.
    Some(whole.parse().unwrap_or(u64::MAX).saturating_add(rounded))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    const NOW: i64 = 1_445_412_480;

    fn wait(headers: &[(&'static str, &str)]) -> Option<u64> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        seconds(&headers.collect(), OffsetDateTime::from_unix_timestamp(NOW).unwrap())
    }

    #[test]
    fn seconds_and_dates_are_understood() {
        assert_eq!(wait(&[("retry-after", "120")]), Some(120));
        assert_eq!(wait(&[("retry-after", " 1.2 ")]), Some(2));
        assert_eq!(wait(&[("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT")]), Some(30));
        assert_eq!(wait(&[("retry-after", "Wed, 21 Oct 2015 07:00:00 GMT")]), Some(0), "it is over");
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[("retry-after", "-5")]), None);
    }

    #[test]
    fn a_date_counts_from_the_servers_own_clock() {
        let headers =
            [("date", "Wed, 21 Oct 2015 09:00:00 GMT"), ("retry-after", "Wed, 21 Oct 2015 09:00:07 GMT")];
        assert_eq!(wait(&headers), Some(7));
    }

    #[test]
    fn the_limit_of_a_rate_counts_where_nothing_else_is_said() {
        assert_eq!(wait(&[("x-ratelimit-reset", "9")]), Some(9));
        assert_eq!(wait(&[("x-ratelimit-reset", "1445412500")]), Some(20), "a Unix time");
        assert_eq!(wait(&[("x-ratelimit-reset", "9"), ("retry-after", "3")]), Some(3));
    }

    proptest! {
        #[test]
        fn no_header_breaks_it(value in "[ -~]{0,40}") {
            let _ = wait(&[("retry-after", &value), ("x-ratelimit-reset", &value), ("date", &value)]);
        }
    }
}
