//! The forms in which a secret value can appear in output.
//!
//! Owns the encodings: lines, base64, percent, JSON and XML. Searches nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::MIN_SECRET_CHARS;

/// Widths at which `base64` and PEM writers break lines.
const BASE64_LINE_WIDTHS: [usize; 2] = [64, 76];

/// A value with more bytes than this is hidden line by line alone: its encoded forms would fill memory.
const LONGEST_ENCODED: usize = 8 * 1024;

/// Adds every form of `secret` that is long enough to be told from ordinary text.
pub(super) fn collect(secret: &str, patterns: &mut BTreeSet<Vec<u8>>) {
    let mut add = |form: &str| {
        if form.chars().count() >= MIN_SECRET_CHARS {
            patterns.insert(form.as_bytes().to_vec());
        }
    };
    for value in BTreeSet::from([secret, secret.trim()]) {
        if value.chars().count() < MIN_SECRET_CHARS {
            continue;
        }
        for line in value.lines() {
            add(line.trim_end_matches('\r'));
            add(line.trim());
        }
        if value.len() > LONGEST_ENCODED {
            continue;
        }
        add(value);
        let encoded =
            [base64_forms(value.as_bytes()), percent_forms(value), json_forms(value), xml_forms(value)];
        for form in encoded.iter().flatten() {
            add(form);
        }
    }
}

/// Base64 of the value alone, wrapped or not, and the part of it that is the same whatever surrounds the value in
/// a longer encoded text.
fn base64_forms(value: &[u8]) -> Vec<String> {
    let mut forms = vec![STANDARD.encode(value), URL_SAFE.encode(value)];
    for width in BASE64_LINE_WIDTHS {
        for line in STANDARD.encode(value).as_bytes().chunks(width) {
            forms.push(String::from_utf8_lossy(line).into_owned());
        }
    }
    for offset in 0..3_usize {
        let mut shifted = vec![0; offset];
        shifted.extend_from_slice(value);
        // A character carries six bits: those that share bits with a neighbour of the value are left out.
        let first = (offset * 8).div_ceil(6);
        let last = shifted.len() * 8 / 6;
        for encoded in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            forms.extend(encoded.get(first..last).map(str::to_owned));
        }
    }
    forms
}

/// The conventions of RFC 3986, JavaScript, Python's `quote` and HTML forms, in both cases of hexadecimal digits.
fn percent_forms(value: &str) -> Vec<String> {
    const KEPT: [&str; 3] = ["-_.~", "-_.~!'()*", "-_.~/"];
    let mut forms = Vec::new();
    for kept in KEPT {
        for space in ["%20", "+"] {
            forms.push(percent(value, kept, space, true));
            forms.push(percent(value, kept, space, false));
        }
    }
    forms
}

fn percent(value: &str, kept: &str, space: &str, upper: bool) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        let character = char::from(byte);
        if character.is_ascii_alphanumeric() || kept.contains(character) {
            out.push(character);
        } else if character == ' ' {
            out.push_str(space);
        } else {
            // Writing to a String cannot fail.
            let _ = if upper { write!(out, "%{byte:02X}") } else { write!(out, "%{byte:02x}") };
        }
    }
    out
}

/// What JSON writers make of the value: plain, with `/` escaped, with HTML characters escaped (Go), ASCII alone
/// (Python).
fn json_forms(value: &str) -> Vec<String> {
    let plain = serde_json::Value::from(value).to_string();
    let plain = plain.get(1..plain.len().saturating_sub(1)).unwrap_or_default().to_owned();
    let html = plain.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    let mut ascii = String::with_capacity(plain.len());
    for character in plain.chars() {
        if character.is_ascii() {
            ascii.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    vec![plain.replace('/', "\\/"), ascii.replace('/', "\\/"), ascii, html, plain]
}

fn xml_forms(value: &str) -> Vec<String> {
    let text = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let quoted = text.replace('"', "&quot;");
    let forms = ["&apos;", "&#39;", "&#x27;"].map(|apostrophe| quoted.replace('\'', apostrophe));
    [text, quoted].into_iter().chain(forms).collect()
}
