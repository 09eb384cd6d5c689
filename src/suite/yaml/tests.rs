use proptest::prelude::*;
use serde::Deserialize;

use super::*;

fn tree(text: &str) -> Node {
    parse(text).unwrap_or_else(|fault| panic!("{text}: {}", fault.problem)).unwrap()
}

fn value(text: &str) -> serde_json::Value {
    decode(&tree(text)).unwrap_or_else(|fault| panic!("{text}: {}", fault.problem))
}

#[test]
fn scalars_are_what_yaml_says() {
    let text = "a: 1\nb: -2\nc: 1.5\nd: true\ne: '1'\nf: no\ng: ~\nh:\ni: 1.2.3\nj: 0x10\nk: .inf\nl: !!str 5\nm: \"x\\ny\"\nn: |\n  l1\n  l2\n";
    let expected = serde_json::json!({
        "a": 1, "b": -2, "c": 1.5, "d": true, "e": "1", "f": "no", "g": null, "h": null, "i": "1.2.3", "j": "0x10",
        "k": ".inf", "l": "5", "m": "x\ny", "n": "l1\nl2\n",
    });
    assert_eq!(value(text), expected);
}

#[test]
fn aliases_and_merges_are_copied() {
    let text = "base: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\ntwo:\n  <<: [*b, {z: 4}]\n  x: 0\nthree: *b\n";
    let expected = serde_json::json!({
        "base": {"x": 1, "y": 2}, "one": {"y": 3, "x": 1}, "two": {"x": 0, "y": 2, "z": 4}, "three": {"x": 1, "y": 2},
    });
    assert_eq!(value(text), expected);
}

#[test]
fn nothing_in_a_file_is_no_tree() {
    for text in ["", "\n# x\n", "---\n", "---\n...\n", "~", "\u{feff}"] {
        assert!(parse(text).unwrap().is_none(), "{text:?}");
    }
}

#[test]
fn every_key_and_value_knows_its_place() {
    let tree = tree("a:\n  - x\n  - bé: {c: 1}\n");
    let at = |path: &[&str]| {
        let place = tree.locate(path);
        (place.line, place.column)
    };
    assert_eq!(at(&["a"]), (1, 1));
    assert_eq!(at(&["a", "0"]), (2, 5));
    assert_eq!(at(&["a", "1", "bé", "c"]), (3, 10));
    // What is not there is where it would be.
    assert_eq!(at(&["a", "1", "bé", "no"]), (3, 9));
    assert_eq!(at(&["a", "0", "no"]), (2, 5));
}

#[test]
fn malformed_files_have_a_place() {
    let table = [
        ("a: 1\na: 2\n", (2, 1), "`a` is there twice"),
        ("a: {b: 1, b: 2}", (1, 11), "`b` is there twice"),
        ("a: *x\n", (1, 4), "unknown anchor"),
        ("a: &x [*x]\n", (1, 8), "no end"),
        ("a: [1", (1, 7), ""),
        ("{a: 1}\n---\nb: 1\n", (2, 1), "second document"),
        ("? [a]\n: b\n", (1, 3), "expected a key"),
        ("a: !!python/object x\n", (1, 4), ""),
        ("a: !env x\n", (1, 4), "the tag `!env` means nothing here"),
        ("<<: 5\n", (1, 5), "expected a mapping, or a list of mappings, to merge"),
        ("<<: [5]\n", (1, 6), "expected a mapping to merge"),
    ];
    for (text, place, problem) in table {
        let Err(fault) = parse(text) else {
            assert!(problem.is_empty(), "{text:?} was taken");
            continue;
        };
        assert!(fault.problem.contains(problem), "{text:?}: {}", fault.problem);
        if !problem.is_empty() {
            assert_eq!((fault.place.line, fault.place.column), place, "{text:?}: {}", fault.problem);
        }
    }
}

#[test]
fn a_billion_laughs_are_refused_quickly() {
    use std::fmt::Write as _;
    let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..20 {
        let refs = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(text, "a{level}: &a{level} [{refs}]").unwrap();
    }
    let fault = parse(&text).err().unwrap();
    assert!(fault.problem.contains("says too much"), "{}", fault.problem);
    assert!(fault.place.line < 8, "{:?}", fault.place);
}

#[test]
fn depth_size_and_keys_are_bounded() {
    let deep = format!("a: {}{}", "[".repeat(100), "]".repeat(100));
    let large = format!("a: {}", "x".repeat(MAX_BYTES));
    let wide = (0..=MAX_KEYS).map(|number| format!("k{number}: 1")).collect::<Vec<_>>().join("\n");
    let by_alias = format!("{}x: &x [[[[1]]]]\ny: {}*x{}", "", "[".repeat(62), "]".repeat(62));
    for (text, problem) in [
        (deep, "more than 64 levels"),
        (large, "expected at most 16 MiB"),
        (wide, "more than 50000 keys"),
        (by_alias, "more than 64 levels"),
    ] {
        let fault = parse(&text).err().unwrap();
        assert!(fault.problem.contains(problem), "{}", fault.problem);
    }
}

#[test]
fn as_many_keys_as_a_mapping_may_have_are_read_and_merged_without_comparing_each_with_each() {
    let keys = |from: usize| {
        let lines: Vec<String> =
            (from..from + MAX_KEYS).map(|number| format!("  key-of-a-probe-{number}: x\n")).collect();
        lines.concat()
    };
    let text = format!("a: &a\n{}b:\n  <<: *a\n{}", keys(0), keys(100));
    let begun = std::time::Instant::now();
    let tree = tree(&text);
    assert_eq!(tree.get("b").unwrap().entries().len(), MAX_KEYS + 100);
    // A comparison of each with each takes minutes.
    assert!(begun.elapsed() < std::time::Duration::from_mins(1), "{:?}", begun.elapsed());
    let twice = format!("a:\n{}  key-of-a-probe-7: x\n", keys(0).replacen("  key-of-a-probe-9: x\n", "", 1));
    assert!(parse(&twice).err().unwrap().problem.contains("`key-of-a-probe-7` is there twice"));
}

#[test]
fn ten_thousand_levels_do_not_end_the_stack() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")] {
        assert!(parse(&format!("{}{}", open.repeat(10_000), close.repeat(10_000))).is_err(), "{open}");
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "what is read is not looked at")]
struct Sample {
    count: Option<u32>,
    names: Option<Vec<String>>,
    inner: Option<Box<Sample>>,
}

#[test]
fn what_does_not_fit_is_said_with_path_and_place() {
    let table = [
        ("count: x", (1, 8), "count: expected u32, found text", None),
        ("count: -1", (1, 8), "count: expected u32, found a number", None),
        ("count: '5'", (1, 8), "count: expected u32, found text", None),
        ("names: [a, [b]]", (1, 12), "names[1]: expected a string, found a list", None),
        ("names: a", (1, 8), "names: expected a sequence, found text", None),
        ("inner:\n  cuont: 1", (2, 3), "unknown key `cuont` in `inner`", Some("did you mean `count`?")),
        ("colour: 1", (1, 1), "unknown key `colour`", Some("known keys: count, names, inner")),
        ("inner: [1]", (1, 8), "inner: expected struct Sample, found a list", None),
    ];
    for (text, place, problem, hint) in table {
        let fault = decode::<Sample>(&tree(text)).unwrap_err();
        assert_eq!((fault.place.line, fault.place.column), place, "{text}");
        assert_eq!((fault.problem.as_str(), fault.hint.as_deref()), (problem, hint), "{text}");
    }
    let sample: Sample = decode(&tree("count: 5\nnames: [1.10, true]\ninner:\n")).unwrap();
    assert_eq!((sample.count, sample.names.unwrap()), (Some(5), vec!["1.10".to_owned(), "true".to_owned()]));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "([a-z]{1,3}|: |\n|  |- |\\{|\\}|\\[|\\]|,|'|\"|#|&a |\\*a|<<|\\||>|!|é|\t|---|\\?|%){0,30}") {
        if let Ok(Some(node)) = parse(&text) {
            let _ = decode::<serde_json::Value>(&node);
        }
    }

    #[test]
    fn places_are_within_the_file(text in "([a-z]{1,3}|: |\n|  |- |\\{|\\}|\\[|\\]|,|'|\"){0,20}") {
        if let Err(fault) = parse(&text) {
            prop_assert!(fault.place.line >= 1 && fault.place.line <= text.lines().count() + 1);
        }
    }
}
