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

/// Of a value with more bytes than this, lines of wrapped base64 are hidden only where nothing stands before the value:
/// the number of places where a line can end in it is the number of its characters.
const LONGEST_BROKEN: usize = 2 * 1024;

/// Characters of wrapped base64 that are looked for in one piece: 12 bytes of the value, which no other text has.
const PIECE: usize = 16;

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
        let lines = value.lines().flat_map(|line| [line.trim_end_matches('\r'), line.trim()]);
        let lines: BTreeSet<&str> = lines.filter(|line| line.chars().count() >= MIN_SECRET_CHARS).collect();
        for line in &lines {
            add(line);
        }
        if value.len() > LONGEST_ENCODED {
            continue;
        }
        add(value);
        let is_broken = value.len() <= LONGEST_BROKEN;
        for text in lines.into_iter().chain([value]).collect::<BTreeSet<_>>() {
            let encoded =
                [base64_forms(text, is_broken), percent_forms(text), json_forms(text), xml_forms(text)];
            for form in encoded.iter().flatten() {
                add(form);
            }
        }
    }
}

/// Base64 of the value alone, wrapped or not, and the part of it that is the same whatever surrounds the value in
/// a longer encoded text; where `is_broken`, also wherever lines end in that.
fn base64_forms(value: &str, is_broken: bool) -> Vec<String> {
    let value = value.as_bytes();
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
        let whole = if offset == 0 { STANDARD.encode(&shifted) } else { STANDARD_NO_PAD.encode(&shifted) };
        let end = if offset == 0 { whole.len() } else { last };
        if let Some(form) = whole.get(first..end).filter(|_| is_broken) {
            forms.extend(pieces(form));
        }
    }
    forms
}

/// What is to be found of `form`, which is ASCII, wherever lines break in it: every piece of it, and what surrounds
/// every place where a line may end. Matches that overlap are hidden as one.
fn pieces(form: &str) -> Vec<String> {
    let part = |from: usize, to: usize| form.get(from..to).unwrap_or_default();
    let within = (PIECE..=form.len()).map(|end| part(end - PIECE, end).to_owned());
    let across = (1..form.len()).flat_map(|at| {
        let before = part(at.saturating_sub(PIECE), at);
        let after = part(at, form.len().min(at + PIECE));
        ["\n", "\r\n"].map(|end| format!("{before}{end}{after}"))
    });
    within.chain(across).collect()
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
/// (Python), quotes as code points (PHP, .NET), and JSON within a string of JSON.
fn json_forms(value: &str) -> Vec<String> {
    let plain = serde_json::Value::from(value).to_string();
    let plain = plain.get(1..plain.len().saturating_sub(1)).unwrap_or_default().to_owned();
    let html = plain.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    let quotes = html.replace("\\\"", "\\u0022").replace('\'', "\\u0027");
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
    let again = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let twice = [again(&plain), again(&html), again(&ascii)];
    let once = [plain.replace('/', "\\/"), ascii.replace('/', "\\/"), ascii, html, quotes, plain];
    once.into_iter().chain(twice).collect()
}

fn xml_forms(value: &str) -> Vec<String> {
    let open = value.replace('&', "&amp;").replace('<', "&lt;");
    // Most writers escape the end of a tag, though XML asks for it only behind `]]`.
    let texts = BTreeSet::from([open.replace('>', "&gt;"), open]);
    let mut forms = Vec::new();
    for text in texts {
        for quote in ["&quot;", "&#34;", "&#x22;"] {
            let quoted = text.replace('"', quote);
            forms.extend(["&apos;", "&#39;", "&#x27;"].map(|apostrophe| quoted.replace('\'', apostrophe)));
            forms.push(quoted);
        }
        forms.push(text);
    }
    forms
}
