use proptest::prelude::*;

use super::*;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read(pairs: &[(&str, &str)]) -> TestLabels {
    TestLabels::read(&labels(pairs)).unwrap_or_else(|error| panic!("{pairs:?}: {error}"))
}

fn refused(name: &str, value: &str) -> String {
    TestLabels::read(&labels(&[(name, value)])).expect_err(value).to_string()
}

fn trigger(text: &str, line: u32) -> Trigger {
    Trigger { instruction: "RUN".into(), text: text.into(), line, end_line: line + 1 }
}

#[test]
fn without_labels_the_defaults_apply() {
    let read = read(&[("other", "x")]);
    assert_eq!((read.test_type.as_str(), read.results.as_str()), ("integration", "/var/tests/results"));
    assert!(!read.is_integration_test_container);
    assert_eq!((read.ontest.as_ref(), read.cmd.as_ref(), read.timeout), (None, None, None));
    assert!(read.other().is_empty() && read.needs.is_empty());
}

#[test]
fn every_label_is_read() {
    let read = read(&[
        (TYPE, "chaos"),
        (RESULTS, "/out//x/"),
        (ONTEST, r#"["RUN a","CMD [\"b\"]"]"#),
        (CMD, r#"["a", "b c"]"#),
        (TIMEOUT, "1m30s"),
        (RETRIES, "2"),
        (SCHEDULE, "0 * * * *"),
        (NETWORK, "back"),
        (NEEDS, "db, cache ,,"),
        ("test.owner", "team"),
        ("testing", "no"),
    ]);
    assert!(read.is_integration_test_container);
    assert_eq!((read.test_type.as_str(), read.results.as_str()), ("chaos", "/out/x"));
    assert_eq!(read.ontest, Some(vec!["RUN a".to_owned(), "CMD [\"b\"]".to_owned()]));
    assert_eq!(read.cmd, Some(TestCommand::Exec(vec!["a".into(), "b c".into()])));
    assert_eq!((read.timeout, read.retries), (Some(Duration::from_secs(90)), Some(2)));
    assert_eq!((read.schedule.as_deref(), read.network.as_deref()), (Some("0 * * * *"), Some("back")));
    assert_eq!(read.needs, ["db", "cache"]);
    assert_eq!(read.other(), &labels(&[("test.owner", "team")]));
}

#[test]
fn an_empty_value_is_as_good_as_none_except_that_the_type_marks_the_image() {
    let all: Vec<(&str, &str)> = TEST_LABELS.iter().map(|doc| (doc.name, " ")).collect();
    let emptied = read(&all);
    assert_eq!(TestLabels { is_integration_test_container: false, ..emptied.clone() }, read(&[]));
    assert!(emptied.is_integration_test_container);
}

#[test]
fn results_paths_that_would_leave_their_place_are_refused() {
    for (path, expected) in [
        ("results", "an absolute path"),
        ("C:/x", "without any of"),
        ("/", "a directory below /"),
        ("///", "a directory below /"),
        ("/a/../b", "without . and .."),
        ("/a/.", "without . and .."),
        ("/proc", "outside /dev, /proc and /sys"),
        ("//proc//x", "outside /dev, /proc and /sys"),
        ("/sys/fs/cgroup", "outside /dev, /proc and /sys"),
        ("/dev/shm/x", "outside /dev, /proc and /sys"),
        ("/etc/", "not one of the system's"),
        ("/usr", "not one of the system's"),
        ("/a\nRUN x", "without control characters"),
        ("/a\0", "without control characters"),
        ("/a:ro", "without any of"),
        ("/$HOME", "without any of"),
    ] {
        let problem = refused(RESULTS, path);
        assert!(problem.contains(expected), "{path:?}: {problem}");
        assert!(problem.starts_with("label test.results: "), "{problem}");
    }
    for (path, clean) in [
        ("/a/", "/a"),
        ("/var/x", "/var/x"),
        ("/...", "/..."),
        ("/procs/x", "/procs/x"),
        ("/é ü", "/é ü"),
        ("/etc/x", "/etc/x"),
    ] {
        assert_eq!(check_results_path(path).as_deref(), Ok(clean));
    }
}

#[test]
fn a_recipe_that_is_no_array_of_strings_is_refused_with_label_and_position() {
    assert_eq!(
        refused(ONTEST, "[\"RUN a\",\n 1]"),
        "label test.ontest is `[\"RUN a\",\\n 1]`: expected a JSON array of strings; line 2, column 2: \
         invalid type: integer `1`, expected a string"
    );
    for value in ["RUN a", "{}", "[\"a\"] x", "[\"a\"", "null"] {
        assert!(refused(ONTEST, value).starts_with("label test.ontest is "), "{value}");
    }
    assert_eq!(read(&[(ONTEST, "[]")]).ontest, Some(vec![]));
}

#[test]
fn a_recipe_over_the_limit_is_refused_when_read_and_when_written() {
    let large = format!("[\"{}\"]", "a".repeat(LARGEST - 4));
    assert_eq!(read(&[(ONTEST, &large)]).ontest.map(|texts| texts.len()), Some(1));
    let larger = format!("{large} ");
    assert_eq!(refused(ONTEST, &larger), "label test.ontest has 262145 bytes: expected at most 262144");
    assert!(encode_ontest(&[trigger(&"a".repeat(LARGEST - 4), 1)]).is_ok());
    assert!(matches!(
        encode_ontest(&[trigger(&"a".repeat(LARGEST - 3), 1)]),
        Err(LabelError::TooLarge { .. })
    ));
}

#[test]
fn an_error_shows_hostile_values_cut_and_escaped() {
    let problem = refused(RETRIES, &format!("\u{1b}[2J{}", "x".repeat(500)));
    assert!(problem.contains("\\u{1b}[2Jx") && problem.contains('…') && problem.len() < 200, "{problem}");
    let problem = refused(ONTEST, "[\"a\", \"\u{1b}[2J\"]");
    assert!(!problem.contains('\u{1b}'), "{problem}");
}

#[test]
fn a_command_is_json_or_a_line_for_the_shell() {
    let cmd = |value| read(&[(CMD, value)]).cmd;
    assert_eq!(cmd("[ -f /x ] && y "), Some(TestCommand::Shell("[ -f /x ] && y".into())));
    assert_eq!(cmd("['a']"), Some(TestCommand::Shell("['a']".into())));
    for value in ["[]", "[\"\"]", "[1]", "a\0b", "[\"a\\u0000\"]"] {
        assert!(refused(CMD, value).starts_with("label test.cmd is "), "{value}");
    }
}

#[test]
fn numbers_durations_and_names_are_checked() {
    for (name, value) in [
        (TIMEOUT, "0"),
        (TIMEOUT, "soon"),
        (TIMEOUT, "1d"),
        (RETRIES, "-1"),
        (RETRIES, "101"),
        (RETRIES, "1.5"),
        (NETWORK, "a b"),
        (NETWORK, "a\nb"),
        (NEEDS, "a,b c"),
        (SCHEDULE, "a\tb"),
        (TYPE, "a\u{1b}b"),
    ] {
        assert!(refused(name, value).starts_with(&format!("label {name}")), "{name}={value}");
    }
}

#[test]
fn origins_tell_own_and_inherited_instructions_apart_over_generations() {
    let make = |texts: &[&str], base: Option<&TestLabels>| {
        let triggers: Vec<Trigger> = texts.iter().map(|text| trigger(text, 3)).collect();
        let ontest = encode_ontest(&triggers).expect("small");
        let mut origin = Origin::new(&ontest, &triggers, base);
        origin.owner = Some("shop:1".into());
        let origin = origin.encode().expect("small");
        read(&[(ONTEST, &ontest), (ORIGIN, &origin)])
    };
    let base = make(&["RUN base"], None);
    let middle = make(&["RUN middle"], Some(&base));
    let image = make(&["RUN a", "RUN b"], Some(&middle));
    assert_eq!(image.triggers(Inherit::Own), Some(vec!["RUN a", "RUN b"]));
    assert_eq!(image.triggers(Inherit::Inherited), Some(vec!["RUN base", "RUN middle"]));
    assert_eq!(image.triggers(Inherit::All), Some(vec!["RUN base", "RUN middle", "RUN a", "RUN b"]));
    let origin = image.origin.expect("an origin");
    assert_eq!((origin.owner.as_deref(), origin.lines.as_slice()), (Some("shop:1"), &[(3, 4), (3, 4)][..]));
    assert_eq!(read(&[]).triggers(Inherit::All), None);
}

#[test]
fn an_origin_that_belongs_to_another_recipe_is_left_out() {
    let triggers = [trigger("RUN a", 1)];
    let ontest = encode_ontest(&triggers).expect("small");
    let origin = Origin::new(&ontest, &triggers, None).encode().expect("small");
    assert!(read(&[(ONTEST, &ontest), (ORIGIN, &origin)]).origin.is_some());
    let rewritten = read(&[(ONTEST, "[\"RUN b\"]"), (ORIGIN, &origin)]);
    assert_eq!(rewritten.origin, None);
    assert_eq!(rewritten.triggers(Inherit::All), Some(vec!["RUN b"]));
    assert_eq!(read(&[(ORIGIN, &origin)]).origin, None);
}

#[test]
fn a_malformed_or_later_origin_is_refused() {
    let origin = |value: &str| {
        TestLabels::read(&labels(&[(ONTEST, "[]"), (ORIGIN, value)])).expect_err(value).to_string()
    };
    assert!(origin("{}").ends_with("missing field `v`"), "{}", origin("{}"));
    assert_eq!(origin("{\"v\":2}"), "label test.ontest.origin has version 2: expected 1");
    assert!(origin("{\"v\":1}").starts_with("label test.ontest.origin is "));
}

#[test]
fn tables_name_every_label_once() {
    let names: Vec<&str> =
        TEST_LABELS.iter().map(|doc| doc.name).chain(ours::OWN_LABELS.iter().map(|l| l.name)).collect();
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), names.len());
    for role in Role::ALL {
        assert!(ours::OWN_LABELS[0].description.contains(role.as_str()), "{role:?}");
    }
}

#[test]
fn what_has_a_role_is_ours() {
    assert!(is_ours(&labels(&[(ours::ROLE, "of a later version")])));
    assert!(!is_ours(&labels(&[(TYPE, "integration"), (ours::RUN, "x")])));
    assert_eq!(Role::of(&labels(&[(ours::ROLE, "volume")])), Some(Role::Volume));
    assert_eq!(Role::of(&labels(&[(ours::ROLE, "x")])), None);
}

proptest! {
    #[test]
    fn recipes_survive_the_label(texts in prop::collection::vec("\\PC{0,20}|[\\x00-\\x7f]{0,20}", 0..6)) {
        let triggers: Vec<Trigger> = texts.iter().map(|text| trigger(text, 1)).collect();
        let value = encode_ontest(&triggers).expect("small");
        prop_assert_eq!(read(&[(ONTEST, &value)]).ontest, Some(texts));
    }

    #[test]
    fn an_accepted_results_path_is_clean(path in "[/a-z.:$\\\\\n ]{0,24}|(/(proc|sys|dev|usr|[.]{1,3}|x)){0,4}/?") {
        if let Ok(clean) = check_results_path(&path) {
            prop_assert!(clean.starts_with('/') && !clean.ends_with('/') && !clean.contains("//"));
            prop_assert!(clean.split('/').all(|component| component != "." && component != ".."));
            let first = clean.split('/').nth(1).unwrap_or_default();
            prop_assert!(!["proc", "sys", "dev"].contains(&first));
            prop_assert_eq!(check_results_path(&clean), Ok(clean.clone()));
        }
    }

    #[test]
    fn any_labels_are_read_or_refused(index in 0..TEST_LABELS.len(), value in "\\PC{0,40}|[\\[\\]\",{}:a0-9 \\\\]{0,40}") {
        let _ = TestLabels::read(&labels(&[(TEST_LABELS[index].name, &value), (ONTEST, "[]")]));
    }
}
