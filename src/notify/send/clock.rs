//! What time it is, as servers write it, and how far this machine's clock is from that. Pure.

use reqwest::header::{AGE, DATE, HeaderMap};
use time::format_description::FormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// A date of HTTP in the one form that servers write.
const HTTP_DATE: &[FormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

pub(super) fn date(text: &str) -> Option<OffsetDateTime> {
    PrimitiveDateTime::parse(text, HTTP_DATE).ok().map(PrimitiveDateTime::assume_utc)
}

/// Seconds that this machine's clock is ahead of the server's; behind it where negative. The server wrote its date at
/// some moment between `begun` and `ended`: only what that cannot explain counts. `None` where there is no date, or it
/// is that of an older answer out of a cache.
pub(super) fn ahead(headers: &HeaderMap, begun: OffsetDateTime, ended: OffsetDateTime) -> Option<i64> {
    let theirs = headers.get(DATE)?.to_str().ok()?;
    let theirs = date(theirs.trim())?.unix_timestamp();
    if headers.contains_key(AGE) {
        return None;
    }
    // Dates have no parts of seconds: the server may have been at the end of this one.
    let latest = theirs.saturating_add(1);
    let (begun, ended) = (begun.unix_timestamp(), ended.unix_timestamp());
    Some(if begun > latest {
        begun.saturating_sub(latest)
    } else if ended < theirs {
        ended.saturating_sub(theirs)
    } else {
        0
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    /// 2015-10-21T07:28:00Z
    const NOW: i64 = 1_445_412_480;

    fn read(headers: &[(&'static str, &str)], begun: i64, ended: i64) -> Option<i64> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        ahead(&headers.collect(), at(begun), at(ended))
    }

    #[test]
    fn only_what_the_round_trip_does_not_explain_counts() {
        let date = [("date", "Wed, 21 Oct 2015 07:28:00 GMT")];
        assert_eq!(read(&date, NOW, NOW), Some(0));
        assert_eq!(read(&date, NOW - 4, NOW + 1), Some(0));
        assert_eq!(read(&date, NOW + 1, NOW + 5), Some(0), "the second was not over");
        assert_eq!(read(&date, NOW + 7201, NOW + 7204), Some(7200));
        assert_eq!(read(&date, NOW - 95, NOW - 90), Some(-90));
    }

    #[test]
    fn an_answer_without_a_date_or_out_of_a_cache_says_nothing() {
        assert_eq!(read(&[], NOW, NOW), None);
        assert_eq!(read(&[("date", "yesterday")], NOW, NOW), None);
        assert_eq!(read(&[("date", "Wed, 21 Oct 2015 07:28:00 GMT"), ("age", "7200")], NOW, NOW), None);
    }

    proptest! {
        #[test]
        fn no_header_breaks_it(value in "[ -~]{0,40}") {
            let _ = read(&[("date", &value)], NOW, NOW);
        }
    }
}
