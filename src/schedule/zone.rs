//! Names of time zones.
//!
//! Owns which names there are: those of the IANA database that is built in, Java's three-letter ones that Chronos
//! takes, and `GMT+02:00`. Reads no file and no environment, so that a name means the same in an empty image.

use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

use super::error::{ScheduleError, shown};

pub(super) const FIELD: &str = "time zone";
const EXPECTED: &str =
    "a name of the IANA database such as `Europe/Paris`, `UTC`, or an offset such as `GMT+02:00`";

/// Java's short names that are not in the IANA database, with Java's meaning: `BST` is Dhaka, not London.
const JAVA: [(&str, &str); 25] = [
    ("ACT", "Australia/Darwin"),
    ("AET", "Australia/Sydney"),
    ("AGT", "America/Argentina/Buenos_Aires"),
    ("ART", "Africa/Cairo"),
    ("AST", "America/Anchorage"),
    ("BET", "America/Sao_Paulo"),
    ("BST", "Asia/Dhaka"),
    ("CAT", "Africa/Harare"),
    ("CNT", "America/St_Johns"),
    ("CST", "America/Chicago"),
    ("CTT", "Asia/Shanghai"),
    ("EAT", "Africa/Addis_Ababa"),
    ("ECT", "Europe/Paris"),
    ("IET", "America/Indiana/Indianapolis"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("MIT", "Pacific/Apia"),
    ("NET", "Asia/Yerevan"),
    ("NST", "Pacific/Auckland"),
    ("PLT", "Asia/Karachi"),
    ("PNT", "America/Phoenix"),
    ("PRT", "America/Puerto_Rico"),
    ("PST", "America/Los_Angeles"),
    ("SST", "Pacific/Guadalcanal"),
    ("VST", "Asia/Ho_Chi_Minh"),
];

/// The zone of this name. Where Java takes a name that it does not know for GMT, this is an error.
pub(super) fn named(name: &str) -> Result<TimeZone, ScheduleError> {
    let database = TimeZoneDatabase::bundled();
    let java = || JAVA.iter().find(|(short, _)| *short == name).and_then(|(_, long)| database.get(long).ok());
    let offset = || name.strip_prefix("GMT").and_then(offset).map(fixed);
    let found = database.get(name).ok().filter(|zone| !zone.is_unknown()).or_else(java).or_else(offset);
    found.ok_or_else(|| {
        ScheduleError::new(FIELD, format!("`{}` is no time zone that is known", shown(name)), EXPECTED)
    })
}

/// The zone that is always at this offset.
pub(super) fn fixed(offset: Offset) -> TimeZone {
    if offset.is_zero() { TimeZone::UTC } else { TimeZone::fixed(offset) }
}

/// Reads `+02`, `-02:30` and `+0230`, and `+2` as Java does.
pub(super) fn offset(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) => (hours, minutes),
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "00"),
    };
    let number = |text: &str, most: i32| {
        let value: i32 = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())??;
        (value <= most).then_some(value)
    };
    if hours.len() > 2 || minutes.len() != 2 {
        return None;
    }
    Offset::from_seconds(sign * (number(hours, 23)? * 3600 + number(minutes, 59)? * 60)).ok()
}

/// A name that [`named`] reads as this zone.
pub(super) fn name(zone: &TimeZone) -> String {
    if let Some(name) = zone.iana_name() {
        return name.to_owned();
    }
    let seconds = zone.to_fixed_offset().map_or(0, Offset::seconds);
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    format!("GMT{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_short_name_of_java_is_a_zone_of_its_own() {
        for (short, long) in JAVA {
            assert!(TimeZoneDatabase::bundled().get(short).is_err(), "{short} would never be looked up");
            assert_eq!(name(&named(short).unwrap()), long);
        }
    }

    #[test]
    fn names_and_offsets_read_back() {
        for text in ["Europe/Paris", "UTC", "EST", "Etc/GMT+5", "GMT+05:30", "GMT-08:00"] {
            let zone = named(text).unwrap();
            assert_eq!(name(&zone), text);
            assert_eq!(named(&name(&zone)).unwrap(), zone);
        }
        assert_eq!(named("GMT-8").unwrap(), named("GMT-0800").unwrap());
        assert_eq!(named("GMT+00:00").unwrap(), TimeZone::UTC);
    }

    #[test]
    fn a_name_that_is_not_known_is_an_error_and_not_gmt() {
        for text in
            ["Mars/Phobos", "EDT", "GMT+24", "GMT+1:60", "GMT+", "GMT+002", "GMT++2", "Etc/Unknown", "é"]
        {
            let error = named(text).unwrap_err();
            assert_eq!(error.field(), FIELD);
            assert!(error.to_string().contains("`Europe/Paris`"), "{error}");
        }
    }
}
