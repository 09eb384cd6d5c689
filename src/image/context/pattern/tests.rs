use proptest::prelude::*;

use super::*;

fn path_match(pattern: &str, path: &str) -> bool {
    Pattern::new(pattern, Dialect::Path).unwrap().matches(path)
}

fn name_match(pattern: &str, name: &str) -> bool {
    Pattern::new(pattern, Dialect::Name).unwrap().matches(name)
}

#[test]
fn double_star_crosses_directories_and_single_star_does_not() {
    let cases = [
        ("**", "a", true),
        ("**", "a/b", true),
        ("**/**", "a/b", true),
        ("dir/**", "dir/f", true),
        ("dir/**", "dir/a/f", true),
        ("dir/**", "dir", false),
        ("**/dir", "dir", true),
        ("**/dir", "a/dir", true),
        ("**/dir", "adir", false),
        ("**/dir/*", "a/dir/f", true),
        ("**/dir/**", "a/dir/b/f", true),
        ("**file", "a/b/xfile", true),
        ("**/*.txt", "f.txt", true),
        ("**/**/*.txt", "a/b/f.txt", true),
        ("a**/*.txt", "a/f.txt", true),
        ("a**/*.txt", "a/b/c/f.txt", true),
        ("a/*.txt", "a/b/f.txt", false),
        ("a/*.txt**", "a/f.txt", true),
        ("abc**", "abcd/e", true),
        ("a**b", "a/x/b", true),
        ("a**b", "axb", false),
        ("***", "a/b", true),
    ];
    for (pattern, path, expected) in cases {
        assert_eq!(path_match(pattern, path), expected, "{pattern} {path}");
    }
}

#[test]
fn the_double_star_at_the_start_is_a_suffix_only_without_other_wildcards() {
    assert!(path_match("**file", "xfile"));
    assert!(!path_match("**file*", "xfile"));
    assert!(path_match("**file*", "x/file1"));
}

#[test]
fn names_follow_the_table_of_go() {
    let cases = [
        ("abc", "abc", true),
        ("*c", "abc", true),
        ("a*", "a", true),
        ("a*b*c*d*e*", "axbxcxdxexxx", true),
        ("a*b?c*x", "abxbbxdbxebxczzx", true),
        ("a*b?c*x", "abxbbxdbxebxczzy", false),
        ("ab[c]", "abc", true),
        ("ab[b-d]", "abc", true),
        ("ab[^b-d]", "abc", false),
        ("a\\*b", "a*b", true),
        ("a\\*b", "ab", false),
        ("a?b", "a☺b", true),
        ("a???b", "a☺b", false),
        ("[a-ζ]*", "α", true),
        ("[\\]a]", "]", true),
        ("[\\-x]", "-", true),
        ("[!a]", "b", false),
        ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
        ("a^b*", "a^bc", true),
        ("x]", "x]", true),
    ];
    for (pattern, name, expected) in cases {
        assert_eq!(name_match(pattern, name), expected, "{pattern} {name}");
        assert_eq!(path_match(pattern, name), expected, "{pattern} {name} as a path");
    }
    assert!(!path_match("a?b", "a/b") && !path_match("a*b", "a/b"));
    assert!(!name_match("a**b", "a/x/b"));
}

#[test]
fn what_go_refuses_is_refused() {
    use PatternError::{Class, Escape, Range};
    let cases = [
        ("[]a]", Range),
        ("[-]", Range),
        ("[x-]", Range),
        ("[-x]", Range),
        ("[a-b-c]", Range),
        ("\\", Escape),
        ("[", Class),
        ("[^", Class),
        ("[^bc", Class),
        ("a[", Class),
        ("[a\\", Escape),
    ];
    for (pattern, expected) in cases {
        assert_eq!(Pattern::new(pattern, Dialect::Name), Err(expected), "{pattern}");
        assert_eq!(Pattern::new(pattern, Dialect::Path), Err(expected), "{pattern}");
    }
}

#[test]
fn a_pattern_says_below_which_directories_it_can_match() {
    let reaches = |pattern: &str, dir: &str| Pattern::new(pattern, Dialect::Path).unwrap().reaches_below(dir);
    assert!(reaches("a/b/c", "a"));
    assert!(reaches("a/b/c", "a/b"));
    assert!(!reaches("a/b/c", "a/b/c"));
    assert!(!reaches("a/b/c", "a/x"));
    assert!(!reaches("abc", "a"));
    assert!(reaches("*/x", "any"));
    assert!(!reaches("*/x", "any/dir"));
    assert!(reaches("**/x", "any/dir"));
    assert!(reaches("a/**", "a/b/c"));
    assert!(!reaches("a/**", "b"));
}

#[test]
fn a_hostile_pattern_takes_no_more_than_linear_time() {
    let pattern = "*a".repeat(2_000) + "b";
    let path = "a".repeat(2_000);
    let begin = std::time::Instant::now();
    assert!(!path_match(&pattern, &path));
    assert!(begin.elapsed().as_secs() < 20);
}

/// The rules read off the page, by recursion over the text of the pattern.
fn reference(pattern: &[char], path: &[char]) -> bool {
    match pattern {
        [] => path.is_empty(),
        ['*', '*'] | ['*', '*', '/'] => true,
        ['*', '*', rest @ ..] => {
            let rest = if let ['/', rest @ ..] = rest { rest } else { rest };
            reference(rest, path)
                || path.iter().enumerate().any(|(at, c)| *c == '/' && reference(rest, &path[at + 1..]))
        }
        ['*', rest @ ..] => (0..=path.len())
            .take_while(|taken| !path[..*taken].contains(&'/'))
            .any(|taken| reference(rest, &path[taken..])),
        ['?', rest @ ..] => path.first().is_some_and(|c| *c != '/') && reference(rest, &path[1..]),
        ['\\', c, rest @ ..] | [c, rest @ ..] => path.first() == Some(c) && reference(rest, &path[1..]),
    }
}

proptest! {
    #[test]
    fn no_text_makes_a_pattern_panic(pattern in "\\PC*", path in "\\PC*") {
        for dialect in [Dialect::Path, Dialect::Name] {
            if let Ok(pattern) = Pattern::new(&pattern, dialect) {
                let _ = (pattern.matches(&path), pattern.reaches_below(&path));
            }
        }
    }

    #[test]
    fn matching_agrees_with_the_reference(pattern in "[ab/]([ab/?]|\\*|\\*\\*/|\\\\a){0,6}", path in "[ab/]{0,6}") {
        prop_assume!(!pattern.contains("***"));
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(path_match(&pattern, &path), reference(&chars(&pattern), &chars(&path)));
    }

    #[test]
    fn a_match_below_a_directory_is_always_foreseen(pattern in "[ab*/?]{1,7}", dir in "[ab]{1,2}(/[ab])?", name in "[ab]{1,2}(/[ab])?") {
        let pattern = Pattern::new(&pattern, Dialect::Path).unwrap();
        let inner = dir.clone() + "/" + &name;
        prop_assert!(!pattern.matches(&inner) || pattern.reaches_below(&dir));
    }
}
