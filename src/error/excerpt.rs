//! The line of a file that an error is about, with a caret below the place.

use crate::redact::is_secret_name;

/// The line and a caret below `column`. Both are counted from 1; `text` is what [`shown_line`] gave.
#[must_use]
pub fn excerpt(line: usize, column: usize, text: &str) -> String {
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let indent = " ".repeat(column.saturating_sub(1));
    format!("  {number} | {text}\n  {margin} | {indent}^")
}

/// Line `line` of `text`, counted from 1, unless it gives a secret its value: a flow mapping may have that on the same
/// line as the wrong key.
#[must_use]
pub fn shown_line(text: &str, line: usize) -> String {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    if gives_a_secret(line) {
        "(not shown: it names a secret)".to_owned()
    } else {
        line.trim_end().to_owned()
    }
}

/// Keys whose values hold secrets under names that do not say so: addresses of webhooks, headers.
const HOLDERS: [&str; 5] = ["url", "authorization", "headers", "cookie", "webhook"];

/// Whether something is written after `NAME:` or `NAME=` where NAME is one of a secret. A list under `secrets:` has
/// names alone.
fn gives_a_secret(line: &str) -> bool {
    let mut rest = line;
    while let Some(at) = rest.find([':', '=']) {
        let (before, after) = rest.split_at(at);
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '"' | '\'');
        let name = before.rsplit(|c: char| !is_name(c)).find(|word| !word.is_empty()).unwrap_or_default();
        let after = after.get(1..).unwrap_or_default();
        let value = after.trim_start();
        let is_list = name == "secrets" && (value.starts_with('[') || value.starts_with('{'));
        let name = name.trim_matches(['"', '\'']);
        let may_hold_one =
            is_secret_name(name) || HOLDERS.iter().any(|holder| name.eq_ignore_ascii_case(holder));
        if may_hold_one && !value.is_empty() && !is_list {
            return true;
        }
        rest = after;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_hidden_where_a_secret_has_a_value_on_it() {
        let hidden = [
            "  API_TOKEN: hunter2",
            "env: {A: b, DB_PASSWORD: hunter2}",
            "- PASSWORD=hunter2",
            "\"secret\" : x",
            "command: TOKEN = hunter2",
            "secrets: hunter2",
            "  PASSWORD: [hunter2]",
            "secrets: {API_KEY: hunter2}",
            "slack: { url: \"https://hooks.example/T/B/hunter2\" ]",
            "  authorization: @Bearer hunter2",
            "http: {headers: {A: hunter2}, headers: {}}",
        ];
        for line in hidden {
            assert!(shown_line(line, 1).starts_with("(not shown"), "{line}");
        }
        let shown =
            ["secrets: [PAYMENT_TOKEN]", "  timeout: 5x # no token", "API_TOKEN:", "secrets: {A: {file: x}}"];
        for line in shown {
            assert_eq!(shown_line(line, 1), line);
        }
    }

    #[test]
    fn the_caret_stands_below_the_column() {
        assert_eq!(excerpt(12, 3, "a: b"), "  12 | a: b\n     |   ^");
    }
}
