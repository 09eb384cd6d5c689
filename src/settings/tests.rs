use proptest::prelude::*;

use super::*;

fn keys() -> Vec<String> {
    ["timeout", "env", "memory", "keep", "volume", "retries"].map(str::to_owned).to_vec()
}

fn load(text: &str) -> Result<Settings, SettingsError> {
    Settings::parse(Path::new("docker-test.yaml"), text.as_bytes().to_vec(), &keys())
}

fn values(text: &str, key: &str) -> Option<Vec<String>> {
    load(text).unwrap().values(key).map(<[String]>::to_vec)
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_file() {
    assert_eq!(
        values("\u{feff}version: 1\r\ndefaults: {timeout: 5m}\r\n", "timeout"),
        Some(vec!["5m".into()])
    );
}

#[test]
fn values_are_texts() {
    let text = "version: 1\ndefaults:\n  timeout: 5m\n  memory: 64\n  keep: yes\n  env:\n    A: 1\n    B: true\n    C:\n    \
                D: ''\n  volume:\n  - /a:/b\n  - /c\n  retries: 1.5\n";
    let list = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    assert_eq!(values(text, "timeout"), list(&["5m"]));
    assert_eq!(values(text, "memory"), list(&["64"]));
    assert_eq!(values(text, "keep"), list(&["yes"]));
    assert_eq!(values(text, "env"), list(&["A=1", "B=true", "C", "D="]));
    assert_eq!(values(text, "volume"), list(&["/a:/b", "/c"]));
    assert_eq!(values(text, "retries"), list(&["1.5"]));
    assert_eq!(values(text, "absent"), None);
}

#[test]
fn an_empty_value_or_file_sets_nothing() {
    for text in [
        "",
        "# nothing\n",
        "---\n",
        "version: 1\n",
        "defaults:\n",
        "defaults: {}\n",
        "defaults:\n  timeout:\n",
        "defaults:\n  volume: []\n",
    ] {
        let settings = load(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!((settings.values("timeout"), settings.values("volume")), (None, None), "{text:?}");
    }
}

#[test]
fn keys_of_the_suite_are_left_alone() {
    let text = "version: '1'\nnetwork: x\nservices:\n  db: {image: [deep, {er: 1}]}\ntests: []\nreports: {}\n\
                notify:\nschedule: hourly\ndefaults: {timeout: 1m}\n";
    assert_eq!(values(text, "timeout"), Some(vec!["1m".to_owned()]));
}

#[test]
fn wrong_files_are_said_with_line_column_and_excerpt() {
    let table = [
        (
            "version: 1\ndefaults:\n  timeuot: 5m\n",
            "docker-test.yaml:3:3: unknown key `timeuot` in `defaults`\n  3 |   timeuot: 5m\n    |   ^",
            Some("did you mean `timeout`?"),
        ),
        (
            "defaults: {timeout: 5m, colour: red}\n",
            "docker-test.yaml:1:25: unknown key `colour` in `defaults`\n  \
             1 | defaults: {timeout: 5m, colour: red}\n    |                         ^",
            Some("the keys are the long names of docker-test's flags"),
        ),
        (
            "defaults:\n  timeout: 1m\n  timeout: 2m\n",
            "docker-test.yaml:3:3: `timeout` is there twice in `defaults`\n  3 |   timeout: 2m\n    |   ^",
            None,
        ),
        (
            "defualts:\n  timeout: 1m\n",
            "docker-test.yaml:1:1: unknown key `defualts`\n  1 | defualts:\n    | ^",
            Some("did you mean `defaults`?"),
        ),
        (
            "version: 2\n",
            "docker-test.yaml:1:10: version: this docker-test reads version 1\n  1 | version: 2\n    |          ^",
            None,
        ),
    ];
    for (text, message, hint) in table {
        let error = load(text).unwrap_err();
        assert_eq!(error.to_string(), message, "{text}");
        assert_eq!(error.hint().as_deref(), hint, "{text}");
    }
}

#[test]
fn wrong_shapes_say_what_is_expected() {
    let table = [
        ("[a]", "expected a mapping with `version` and `defaults`"),
        ("defaults: 5m", "expected a mapping of flags to values"),
        ("defaults:\n  volume: [[a]]", "2:12: volume[0]: invalid type: sequence, expected a single value"),
        ("defaults:\n  env: {A: {B: c}}", "expected a single value"),
        ("defaults: {", "docker-test.yaml:2:1: "),
        ("defaults:\n\t- a", "docker-test.yaml:2:1: "),
        ("a: *b", "unknown anchor"),
    ];
    for (text, expected) in table {
        let error = load(text).err().unwrap_or_else(|| panic!("{text} was taken")).to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
        assert!(!error.contains(" at line "), "{error}");
    }
}

#[test]
fn a_key_is_found_again_wherever_it_stands() {
    let text =
        "tests:\n- timeout: 1\ndefaults:\n  # timeout: no\n  keep: \"\n  timeout: 2\n  \"\n  timeout: 3m\n";
    assert_eq!(load(text).unwrap().place("timeout"), "docker-test.yaml:8:3: timeout");
    assert_eq!(load(text).unwrap().place("env"), "docker-test.yaml: env");
}

#[test]
fn values_are_not_in_debug_output() {
    let shown = format!("{:?}", load("defaults:\n  env: {TOKEN: hunter2}\n").unwrap());
    assert!(shown.contains("env") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_line_that_names_a_secret_is_not_shown() {
    for text in
        ["defaults: {env: {API_TOKEN: hunter2}, colour: red}", "defaults:\n  env: [PASSWORD=hunter2, [x]]\n"]
    {
        let error = load(text).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("not shown") && !shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = Settings::load(dir.path(), &keys()).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot read {}", dir.path().display())), "{error}");
    let binary = Settings::parse(Path::new("x.yaml"), vec![0xff], &keys()).unwrap_err();
    assert!(binary.to_string().contains("utf-8"), "{binary}");
}

#[test]
fn only_near_words_are_suggested() {
    let words = ["memory", "memory-swap", "keep", "env"];
    let table = [
        ("memroy", Some("memory")),
        ("keeps", Some("keep")),
        ("colour", None),
        ("e", None),
        ("nv", Some("env")),
    ];
    for (word, near) in table {
        assert_eq!(nearest(word, words), near, "{word}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "([a-z]{1,3}|defaults|timeout|: |\n|  |- |\\{|\\}|\\[|\\]|,|'|\"|#|&|\\*){0,20}") {
        let _ = load(&text);
    }
}
