//! One line of TAP: what it is, and what it says.
//!
//! Owns the grammar of a line. What a line means where it stands is the document's matter.

use crate::results::CaseStatus;

/// What follows `# ` at the end of a test line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Directive {
    Skip(String),
    Todo(String),
}

/// `ok` or `not ok`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    pub(super) ok: bool,
    pub(super) number: Option<u64>,
    pub(super) description: String,
    pub(super) directive: Option<Directive>,
    /// From `# time=…`.
    pub(super) seconds: Option<f64>,
    /// Ends in `{`: the subtests follow, up to `}`.
    pub(super) opens_block: bool,
}

impl Point {
    /// The status, and the reason that a directive gives for it. What is still to be done may fail.
    pub(super) fn verdict(&self) -> (CaseStatus, String) {
        match (&self.directive, self.ok) {
            (Some(Directive::Skip(reason)), _) => (CaseStatus::Skipped, reason.clone()),
            (Some(Directive::Todo(reason)), false) => (CaseStatus::Skipped, format!("TODO {reason}")),
            (Some(Directive::Todo(reason)), true) => (CaseStatus::Passed, format!("TODO {reason}")),
            (None, true) => (CaseStatus::Passed, String::new()),
            (None, false) => (CaseStatus::Failed, String::new()),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Line<'l> {
    Version,
    /// `1..N`; the reason where it says SKIP.
    Plan {
        count: u64,
        skip: Option<String>,
    },
    Point(Point),
    Bail(&'l str),
    /// `# Subtest: NAME`
    Subtest(&'l str),
    Comment(&'l str),
    /// `---`
    YamlStart,
    /// `}`
    BlockEnd,
    Other,
}

/// The indent of a line and what it is.
pub(super) fn parse(line: &str) -> (usize, Line<'_>) {
    let text = line.trim_start_matches([' ', '\t']);
    let indent = line.len() - text.len();
    (indent, classify(text.trim_end()))
}

fn classify(text: &str) -> Line<'_> {
    if let Some(comment) = text.strip_prefix('#') {
        let name = comment.trim_start().strip_prefix("Subtest:");
        return name.map_or(Line::Comment(comment), |name| Line::Subtest(name.trim()));
    }
    if text == "---" {
        return Line::YamlStart;
    }
    if text == "}" {
        return Line::BlockEnd;
    }
    if let Some(reason) = text.strip_prefix("Bail out!") {
        return Line::Bail(reason.trim());
    }
    if text.strip_prefix("TAP version ").is_some_and(|number| number.trim().parse::<u32>().is_ok()) {
        return Line::Version;
    }
    plan(text).or_else(|| point(text).map(Line::Point)).unwrap_or(Line::Other)
}

fn plan(text: &str) -> Option<Line<'_>> {
    let rest = text.strip_prefix("1..")?;
    let digits = rest.len() - rest.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
    let (count, comment) = rest.split_at(digits);
    let comment = comment.trim_start();
    if !comment.is_empty() && !comment.starts_with('#') {
        return None;
    }
    let skip = match find_directive(comment) {
        Some((_, Directive::Skip(reason))) => Some(reason),
        _ => None,
    };
    Some(Line::Plan { count: count.parse().ok()?, skip })
}

fn point(text: &str) -> Option<Point> {
    let (ok, rest) = match text.strip_prefix("not ok") {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix("ok")?),
    };
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return None;
    }
    let rest = rest.trim_start();
    let (word, after) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let (number, rest) = match word.parse::<u64>() {
        Ok(number) if !word.starts_with('+') => (Some(number), after.trim_start()),
        _ => (None, rest),
    };
    let rest = rest.strip_prefix("- ").or_else(|| (rest == "-").then_some("")).unwrap_or(rest).trim();
    let block = rest.strip_suffix('{').filter(|before| before.is_empty() || before.ends_with(' '));
    let (rest, opens_block) = block.map_or((rest, false), |before| (before.trim_end(), true));
    let (text, directive) = match find_directive(rest) {
        Some((start, directive)) => (&rest[..start], Some(directive)),
        None => (rest, None),
    };
    let (text, seconds) = split_time(text.trim_end());
    Some(Point { ok, number, description: unescape(text.trim()), directive, seconds, opens_block })
}

/// The first `#` that is not escaped and is followed by SKIP or TODO, in any case.
fn find_directive(text: &str) -> Option<(usize, Directive)> {
    for start in hashes(text) {
        let after = text[start + 1..].trim_start();
        let word = after.split([' ', '\t']).next().unwrap_or_default();
        let reason = after[word.len()..].trim();
        let word = word.to_ascii_lowercase();
        // prove takes `SKIPPED:` for SKIP, too.
        if word.starts_with("skip") {
            return Some((start, Directive::Skip(unescape(reason))));
        }
        if word.strip_prefix("todo").is_some_and(|rest| !rest.starts_with(char::is_alphanumeric)) {
            return Some((start, Directive::Todo(unescape(reason))));
        }
    }
    None
}

/// Where the `#` stand that no backslash escapes.
fn hashes(text: &str) -> impl Iterator<Item = usize> {
    let mut escaped = false;
    text.char_indices().filter_map(move |(index, letter)| {
        let is_hash = letter == '#' && !escaped;
        escaped = letter == '\\' && !escaped;
        is_hash.then_some(index)
    })
}

/// Takes ` # time=12.5ms` off, as node-tap and vitest write it.
fn split_time(text: &str) -> (&str, Option<f64>) {
    let Some(start) = hashes(text).last() else { return (text, None) };
    let Some(time) = text[start + 1..].trim().strip_prefix("time=") else { return (text, None) };
    let seconds = match time.strip_suffix("ms") {
        Some(milliseconds) => milliseconds.parse::<f64>().ok().map(|time| time / 1000.0),
        None => time.strip_suffix('s').and_then(|seconds| seconds.parse().ok()),
    };
    let seconds = seconds.filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0);
    (&text[..start], seconds)
}

/// `\#` and `\\` stand for `#` and `\`.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let escaped = if letter == '\\' { letters.next_if(|next| matches!(next, '#' | '\\')) } else { None };
        plain.push(escaped.unwrap_or(letter));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn the_point(line: &str) -> Point {
        match parse(line) {
            (_, Line::Point(point)) => point,
            other => panic!("{line:?} is {other:?}"),
        }
    }

    #[test]
    fn a_point_has_number_description_and_directive() {
        let point = the_point("not ok 4 - rounding # TODO rounding is not done");
        assert_eq!((point.ok, point.number, point.description.as_str()), (false, Some(4), "rounding"));
        assert_eq!(point.directive, Some(Directive::Todo("rounding is not done".into())));
        assert_eq!(the_point("ok 3 # skip no service").directive, Some(Directive::Skip("no service".into())));
        assert_eq!(the_point("ok 3 a #SKIPPED: b").directive, Some(Directive::Skip("b".into())));
    }

    #[test]
    fn all_but_the_verdict_may_be_missing() {
        assert!(the_point("ok").ok);
        assert!(!the_point("not ok").ok);
        assert_eq!(the_point("ok no number").description, "no number");
        assert_eq!(the_point("ok 1 -").description, "");
        assert_eq!(the_point("ok 99999999999999999999").number, None);
    }

    #[test]
    fn a_hash_is_no_directive_unless_it_says_so() {
        assert_eq!(the_point("ok 4 price # not a directive").description, "price # not a directive");
        assert_eq!(the_point("ok 4 a # todolist").directive, None);
        let escaped = the_point(r"ok 7 - price is 5 \# SKIP of \\ them \n");
        assert_eq!(
            (escaped.description.as_str(), escaped.directive),
            (r"price is 5 # SKIP of \ them \n", None)
        );
    }

    #[test]
    fn times_and_blocks_are_taken_off() {
        let point = the_point("ok 1 - a.test.js # time=12.5ms {");
        assert_eq!((point.description.as_str(), point.opens_block), ("a.test.js", true));
        assert_eq!(point.seconds, Some(0.0125));
        assert!(!the_point("ok 1 - brace{").opens_block);
    }

    #[test]
    fn plans_are_told_from_prose() {
        assert_eq!(parse("1..7").1, Line::Plan { count: 7, skip: None });
        assert_eq!(parse("1..0 # SKIP no db").1, Line::Plan { count: 0, skip: Some("no db".into()) });
        assert_eq!(parse("1..0 # Skipped: no db").1, Line::Plan { count: 0, skip: Some("no db".into()) });
        for prose in ["1..", "1..x", "1..7 apples", "2..7", "okay", "not okay", "TAP version x"] {
            assert_eq!(parse(prose).1, Line::Other, "{prose}");
        }
    }

    #[test]
    fn the_rest_of_the_grammar_is_known() {
        assert_eq!(parse("    # Subtest: prices"), (4, Line::Subtest("prices")));
        assert_eq!(parse("Bail out!  gone").1, Line::Bail("gone"));
        assert_eq!(parse("  ---"), (2, Line::YamlStart));
        assert_eq!(parse("TAP version 14").1, Line::Version);
        assert_eq!(parse("}").1, Line::BlockEnd);
        assert_eq!(parse("# hm").1, Line::Comment(" hm"));
    }
}
