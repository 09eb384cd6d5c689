use proptest::prelude::*;

use super::*;

fn ignore(text: &str) -> Ignore {
    Ignore::parse(text).unwrap()
}

fn left_out<'a>(text: &str, paths: &[&'a str]) -> Vec<&'a str> {
    let ignore = ignore(text);
    paths.iter().copied().filter(|path| ignore.excluded(path)).collect()
}

#[test]
fn the_first_example_of_the_manual_holds() {
    let paths = [
        "somedir/temporary.txt",
        "somedir/temp",
        "somedir/subdir/temporary.txt",
        "tempa",
        "tempb",
        "temp",
        "tempab",
    ];
    assert_eq!(
        left_out("# comment\n*/temp*\n*/*/temp*\ntemp?\n", &paths),
        ["somedir/temporary.txt", "somedir/temp", "somedir/subdir/temporary.txt", "tempa", "tempb"]
    );
}

#[test]
fn the_examples_of_the_manual_with_exceptions_hold() {
    assert_eq!(left_out("*.md\n!README.md\n", &["README.md", "a.md", "sub/b.md"]), ["a.md"]);
    let readmes = ["README.md", "README-secret.md", "README-open.md", "other.md"];
    assert_eq!(left_out("*.md\n!README*.md\nREADME-secret.md\n", &readmes), ["README-secret.md", "other.md"]);
    assert_eq!(left_out("*.md\nREADME-secret.md\n!README*.md\n", &readmes), ["other.md"]);
    assert_eq!(left_out("**/*.go\n", &["a.go", "x/y/b.go", "c.rs"]), ["a.go", "x/y/b.go"]);
}

#[test]
fn a_pattern_is_relative_to_the_root_with_or_without_a_leading_slash() {
    for pattern in
        ["/foo/bar", "foo/bar", "./foo/bar/", "foo//bar", "x/../foo/bar", "  foo/bar  ", "foo/bar\r"]
    {
        assert_eq!(
            left_out(pattern, &["foo/bar", "foo/bar/deep", "sub/foo/bar", "foo"]),
            ["foo/bar", "foo/bar/deep"],
            "{pattern:?}"
        );
    }
}

#[test]
fn a_pattern_that_matches_a_directory_covers_what_is_below_until_a_later_exception() {
    assert_eq!(
        left_out("docs\n!docs/README.md\n", &["docs", "docs/x", "docs/README.md"]),
        ["docs", "docs/x"]
    );
    assert_eq!(
        left_out("**\n!util/web\nutil/web/foo\n", &["a", "util/web/bar", "util/web/foo"]),
        ["a", "util/web/foo"]
    );
    assert_eq!(left_out("!docs/README.md\ndocs\n", &["docs/README.md"]), ["docs/README.md"]);
    assert_eq!(left_out("docs\n!docs/keep\ndocs\n", &["docs/keep"]), ["docs/keep"]);
}

#[test]
fn comments_blank_lines_and_the_byte_order_mark_are_skipped() {
    assert_eq!(left_out("\u{feff}#a\n\n   \nb\n", &["#a", "b"]), ["b"]);
    assert_eq!(left_out("\u{feff}a\n", &["a"]), ["a"]);
    assert_eq!(left_out(" #a\n\\#b\n", &["#a", "#b"]), ["#a", "#b"]);
}

#[test]
fn the_root_itself_is_never_left_out() {
    let everything = ignore("**\n.\n*\n");
    assert!(!everything.excluded(".") && !everything.excluded("./"));
    assert!(everything.excluded("a"));
}

#[test]
fn an_invalid_line_is_named() {
    let error = Ignore::parse("ok\n# c\n  a[ \n").unwrap_err();
    assert_eq!((error.line, error.pattern.as_str(), error.source), (3, "a[", PatternError::Class));
    for lone in ["!", "! ", "!/"] {
        assert_eq!(Ignore::parse(lone).unwrap_err().source, PatternError::Empty, "{lone:?}");
    }
}

#[test]
fn the_rule_that_decided_is_named() {
    let ignore = ignore("*.md\n\n!README.md\nsecret/\n");
    assert_eq!(ignore.rule_excluding("a.md"), Some(IgnoreRule { line: 1, pattern: "*.md" }));
    assert_eq!(ignore.rule_excluding("secret/key"), Some(IgnoreRule { line: 4, pattern: "secret/" }));
    assert_eq!(ignore.rule_excluding("README.md"), None);
    assert_eq!(ignore.rule_excluding("other"), None);
}

#[test]
fn a_directory_is_pruned_only_where_no_exception_can_reach_into_it() {
    let ignore = ignore("!early/x\nearly\nnode_modules\ndocs\n!docs/*/keep.md\n!**/LICENSE\nvendor\n");
    assert!(ignore.may_contain_included("docs"));
    assert!(ignore.may_contain_included("node_modules"), "LICENSE may be anywhere");
    assert!(!ignore.may_contain_included("vendor"), "the last line outranks every exception");
    let plain = super::Ignore::parse("!early/x\nearly\na\n!a/b/c\n").unwrap();
    assert!(!plain.may_contain_included("early"));
    assert!(plain.may_contain_included("a") && plain.may_contain_included("a/b"));
    assert!(!plain.may_contain_included("a/x"));
}

/// The rule as the manual states it: the last line that matches the path, or a directory above it, decides.
fn reference(text: &str, path: &str) -> bool {
    let mut excluded = false;
    for line in text.lines() {
        let (negated, pattern) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
        let parts: Vec<&str> = path.split('/').collect();
        if (1..=parts.len()).any(|length| glob(pattern, &parts[..length].join("/"))) {
            excluded = !negated;
        }
    }
    excluded
}

/// Matches patterns made of letters, `/`, `*` and `**/`.
fn glob(pattern: &str, path: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("**/") {
        return glob(rest, path) || path.match_indices('/').any(|(at, _)| glob(rest, &path[at + 1..]));
    }
    if let Some(rest) = pattern.strip_prefix('*') {
        let name = path.find('/').unwrap_or(path.len());
        return (0..=name).any(|taken| glob(rest, &path[taken..]));
    }
    match (pattern.chars().next(), path.chars().next()) {
        (None, None) => true,
        (Some(expected), Some(c)) => expected == c && glob(&pattern[1..], &path[1..]),
        _ => false,
    }
}

const LINES: &str = "(!?(\\*\\*/)?([ab]\\*?|\\*)(/([ab]|\\*b?)){0,2}\n){0,5}";

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(\\PC|\n){0,80}", path in "\\PC{0,20}") {
        if let Ok(ignore) = Ignore::parse(&text) {
            let _ = (ignore.excluded(&path), ignore.may_contain_included(&path));
        }
    }

    #[test]
    fn verdicts_agree_with_the_reference(text in LINES, path in "[ab]{1,2}(/[ab]){0,3}") {
        prop_assert_eq!(ignore(&text).excluded(&path), reference(&text, &path), "{:?} {}", text, path);
    }

    #[test]
    fn pruning_never_loses_an_included_path(text in LINES, dir in "[ab]{1,2}(/[ab])?", below in "[ab]{1,2}(/[ab])?") {
        let ignore = ignore(&text);
        let inner = format!("{dir}/{below}");
        prop_assert!(!ignore.excluded(&dir) || ignore.excluded(&inner) || ignore.may_contain_included(&dir));
    }
}
