//! What is inside a tag: its name, its attributes, and the values that JUnit writers put there.
//!
//! Owns the resolution of character references, leniently: what is no reference stays as it was written, and a
//! character that XML forbids becomes U+FFFD.

use std::borrow::Cow;

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::BytesStart;
use quick_xml::events::attributes::AttrError;

/// The longest reference that is looked for: `&#x10FFFF;` with leading zeros to spare.
const REFERENCE_LIMIT: usize = 16;

/// The attributes of one tag that a report reader asks for.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    pub(super) name: Option<String>,
    pub(super) class: Option<String>,
    pub(super) seconds: Option<f64>,
    pub(super) message: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) status: Option<String>,
    pub(super) result: Option<String>,
    pub(super) failures: u64,
    pub(super) errors: u64,
}

impl Attributes {
    pub(super) fn parse(tag: &[u8]) -> Result<Self, AttrError> {
        let text = String::from_utf8_lossy(tag);
        let name_length = name_length(text.as_bytes());
        let start = BytesStart::from_content(text, name_length);
        let mut attributes = start.attributes();
        attributes.with_checks(false);
        let mut known = Self::default();
        for attribute in attributes {
            let attribute = attribute?;
            let raw = String::from_utf8_lossy(&attribute.value);
            let value = || Some(unescape(&raw).into_owned());
            match attribute.key.local_name().as_ref() {
                b"name" => known.name = value(),
                b"classname" | b"class" => known.class = value(),
                b"time" => known.seconds = seconds(&raw),
                b"message" => known.message = value(),
                b"type" => known.kind = value(),
                b"file" | b"filepath" => known.file = value(),
                b"line" | b"lineno" => known.line = raw.trim().parse().ok(),
                b"status" => known.status = value(),
                b"result" => known.result = value(),
                b"failures" => known.failures = raw.trim().parse().unwrap_or(0),
                b"errors" => known.errors = raw.trim().parse().unwrap_or(0),
                _ => {}
            }
        }
        Ok(known)
    }
}

fn name_length(tag: &[u8]) -> usize {
    tag.iter().position(u8::is_ascii_whitespace).unwrap_or(tag.len())
}

/// The name in a tag, with its namespace prefix.
pub(super) fn full_name(tag: &[u8]) -> &[u8] {
    &tag[..name_length(tag)]
}

/// The name in a tag, without its namespace prefix.
pub(super) fn local_name(tag: &[u8]) -> &[u8] {
    let name = full_name(tag);
    name.iter().position(|byte| *byte == b':').map_or(name, |colon| &name[colon + 1..])
}

/// `text` with its references resolved.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut resolved = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        resolved.push_str(&rest[..start]);
        rest = &rest[start..];
        let window = &rest.as_bytes()[..rest.len().min(REFERENCE_LIMIT)];
        let end = window.iter().position(|byte| *byte == b';');
        let reference = end.and_then(|end| Some((end, resolve(rest.get(1..end)?)?)));
        if let Some((end, value)) = reference {
            resolved.push_str(&value);
            rest = &rest[end + 1..];
        } else {
            resolved.push('&');
            rest = &rest[1..];
        }
    }
    resolved.push_str(rest);
    Cow::Owned(resolved)
}

fn resolve(reference: &str) -> Option<Cow<'static, str>> {
    let Some(number) = reference.strip_prefix('#') else {
        return resolve_xml_entity(reference).map(Cow::Borrowed);
    };
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(hexadecimal) => (hexadecimal, 16),
        None => (number, 10),
    };
    if !digits.starts_with(|digit: char| digit.is_digit(radix)) {
        return None;
    }
    let code = u32::from_str_radix(digits, radix).ok()?;
    let letter = char::from_u32(code).filter(|letter| *letter != '\0').unwrap_or(char::REPLACEMENT_CHARACTER);
    Some(Cow::Owned(letter.to_string()))
}

/// A duration in seconds: `1.5`, `1,234.5` (surefire groups thousands), `0,5` (a decimal comma), `1.5s`.
pub(super) fn seconds(raw: &str) -> Option<f64> {
    let text = raw.trim();
    let text = text.strip_suffix('s').unwrap_or(text).trim_end();
    let plain = match (text.rfind(','), text.rfind('.')) {
        (Some(comma), Some(point)) if comma > point => text.replace('.', "").replace(',', "."),
        (Some(_), Some(_)) => text.replace(',', ""),
        (Some(comma), None) => {
            let grouped = text.len() - comma == 4 && !text.starts_with('0') || text.matches(',').count() > 1;
            text.replace(',', if grouped { "" } else { "." })
        }
        (None, _) => text.to_owned(),
    };
    plain.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_and_what_is_none_stays() {
        assert_eq!(unescape("&lt;a&gt; &amp;&quot;&apos; &#65;&#x42;&#X43;"), "<a> &\"' ABC");
        assert_eq!(
            unescape("a & b &nbsp; &; &#; &#+65; &lolololololololololol; &"),
            "a & b &nbsp; &; &#; &#+65; &lolololololololololol; &"
        );
        assert_eq!(unescape("&#0;&#xD800;&#x110000;"), "\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(unescape("&äöüäöüäöüäöü;"), "&äöüäöüäöüäöü;");
    }

    #[test]
    fn durations_are_read_in_the_ways_they_are_written() {
        for (raw, expected) in [
            ("0.001", Some(0.001)),
            ("1,234.5", Some(1234.5)),
            ("1,234,567.25", Some(1_234_567.25)),
            ("1.234,5", Some(1234.5)),
            ("0,012", Some(0.012)),
            ("1,234", Some(1234.0)),
            ("2,5", Some(2.5)),
            (" 1.5s ", Some(1.5)),
            ("1e-05", Some(0.00001)),
            ("NaN", None),
            ("-1", None),
            ("inf", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(seconds(raw), expected, "{raw:?}");
        }
    }

    #[test]
    fn attributes_are_read_whatever_their_prefix_and_repetition() {
        let attributes =
            Attributes::parse(b"x:testcase name = 'a&amp;b' name=\"second\" time='1' unknown='&'").unwrap();
        assert_eq!((attributes.name.as_deref(), attributes.seconds), (Some("second"), Some(1.0)));
        assert_eq!(local_name(b"x:testcase name"), b"testcase");
    }

    #[test]
    fn a_tag_that_is_not_well_formed_is_an_error() {
        assert!(Attributes::parse(b"testcase name=a").is_err());
    }
}
