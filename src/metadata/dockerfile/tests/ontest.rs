use std::collections::BTreeMap;

use super::super::*;
use super::read_ok;

fn split(source: &str) -> Split {
    try_split(source).unwrap_or_else(|error| panic!("{source:?}: {error}"))
}

fn try_split(source: &str) -> Result<Split, ParseError> {
    take_tests(source.as_bytes(), &read_ok(source))
}

fn texts(source: &str) -> Vec<String> {
    let split = split(source);
    split.for_target(None).expect("the last stage").into_iter().map(|trigger| trigger.text.clone()).collect()
}

fn refused(source: &str) -> String {
    try_split(source).expect_err(source).to_string()
}

#[test]
fn only_the_lines_of_ontest_are_emptied() {
    let source = "# syntax=x\r\nFROM a\r\n# note\r\n  OnTest run a \\\r\n # c\r\n\r\n  b\r\nENV x=y\r\n\
                  ONTEST COPY <<A <<B /x\nFROM z\nA\n\nB\n#\nontest CMD [\"t\"]";
    let split = split(source);
    let expected = "# syntax=x\r\nFROM a\r\n# note\r\n\r\n\r\n\r\n\r\nENV x=y\r\n\n\n\n\n\n#\n";
    assert_eq!(String::from_utf8(split.stripped).as_deref(), Ok(expected));
    let found: Vec<_> = split.stages[0]
        .triggers
        .iter()
        .map(|t| (t.instruction.as_str(), t.text.as_str(), t.line, t.end_line))
        .collect();
    assert_eq!(
        found,
        [
            ("RUN", "run a \\\n # c\n\n  b", 4, 7),
            ("COPY", "COPY <<A <<B /x\nFROM z\nA\n\nB", 9, 13),
            ("CMD", "CMD [\"t\"]", 15, 15),
        ]
    );
}

#[test]
fn a_file_without_ontest_is_left_byte_for_byte() {
    let source = "\u{feff}# escape=`\r\nFROM a\r\nRUN b `\n c\n\n# end";
    assert_eq!(split(source).stripped, source.as_bytes());
}

#[test]
fn a_trigger_on_a_continued_line_begins_with_its_keyword() {
    assert_eq!(texts("FROM a\nONTEST \\\n  # which\n  RUN x \\\n y\n"), ["RUN x \\\n y"]);
}

#[test]
fn an_open_continuation_at_the_end_of_the_file_is_taken_off() {
    for end in ["\\", "\\\n", "\\ \n# comment\n\n", "\\\r\n\\\n   \\\n"] {
        assert_eq!(texts(&format!("FROM a\nONTEST RUN x {end}")), ["RUN x"], "{end:?}");
    }
    assert_eq!(texts("FROM a\nONTEST RUN x \\\n# c\n y \\\n# d\n"), ["RUN x \\\n# c\n y"]);
}

#[test]
fn what_cannot_follow_ontest_is_refused_with_the_line() {
    for keyword in ["FROM b", "from b", "MAINTAINER b", "ONBUILD RUN b", "ONTEST RUN b"] {
        let word = keyword.split(' ').next().unwrap_or_default().to_uppercase();
        let source = format!("FROM a\n\nONTEST {keyword}\n");
        assert_eq!(refused(&source), format!("line 3: ONTEST: {word} is not allowed here"));
    }
    assert_eq!(
        refused("FROM a\nONTEST  \n"),
        "line 2: ONTEST has no instruction: expected one, such as ONTEST RUN …"
    );
    assert!(refused("FROM a\nONTEST --x RUN b").starts_with("line 2: ONTEST takes no flag, found `--x`"));
    assert!(refused("ARG a\nONTEST RUN b\nFROM a\n").starts_with("line 2: ONTEST before the first FROM"));
    assert!(refused("FROM a\nONBUILD ONTEST RUN b\n").starts_with("line 2: ONTEST cannot follow ONBUILD"));
    assert!(
        refused("FROM a\nONTEST # RUN b\n").contains("expected an instruction at the start, found `# RUN b`")
    );
}

#[test]
fn control_characters_are_refused_in_the_line_of_the_file() {
    let problem = refused("FROM a\nONTEST RUN a \\\n b\u{1b}[2J\n");
    assert_eq!(
        problem,
        "line 2: ONTEST: line 3 has the control character \\u{1b}: expected none but tab and newline"
    );
}

#[test]
fn a_trigger_that_other_builders_read_as_several_instructions_is_refused_at_build_time() {
    assert!(refused("FROM a\nONTEST RUN cat << EOF\nUSER root\nEOF\n").contains("an older BuildKit"));
    assert!(refused("FROM a\nONTEST RUN a\\\\\n").contains("Podman's builder continues its last line"));
}

#[test]
fn under_another_escape_character_continuations_are_joined() {
    let source = "# escape=`\nFROM a\nONTEST RUN a `\n # comment\n  C:\\b `\n\n c\n";
    assert_eq!(texts(source), ["RUN a   C:\\b  c"]);
}

#[test]
fn under_another_escape_character_shell_text_keeps_its_backslashes() {
    for text in ["RUN dir C:\\x\\y `t", "CMD [\"C:\\\\x\"]", "ENTRYPOINT C:\\x.exe", "HEALTHCHECK CMD C:\\x"]
    {
        assert_eq!(texts(&format!("# escape=`\nFROM a\nONTEST {text}\n")), [text]);
    }
}

#[test]
fn under_another_escape_character_words_are_escaped_for_the_default_one() {
    for (written, recorded) in [
        ("COPY a.exe C:\\app\\a.exe", r"COPY a.exe C:\\app\\a.exe"),
        ("COPY a C:\\app\\", r#"COPY a C:\\app"\\""#),
        ("COPY [\"a b\", \"C:\\\\app\\\\\"]", r#"COPY ["a b","C:\\\\app\\\\"]"#),
        ("ENV a=b` c", r"ENV a=b\ c"),
        ("ENV a=`$b``c", r"ENV a=\$b`c"),
        ("ENV a=\"`\"`$`n\\\"", r#"ENV a="\"\$`n\\""#),
        ("ENV a='C:\\b`c'", r"ENV a='C:\b`c'"),
        ("WORKDIR \\a", r"WORKDIR \\a"),
        ("COPY --chown=a\\b --from=x` y -- --c d", r"COPY --chown=a\\\\b --from=x\ y -- --c d"),
        ("COPY <<\"E\" <<F C:\\x\n`$a\\\nE\nb\nF", "COPY <<\"E\" <<F C:\\\\x\n`$a\\\nE\nb\nF"),
    ] {
        assert_eq!(texts(&format!("# escape=`\nFROM a\nONTEST {written}\n")), [recorded], "{written}");
    }
}

#[test]
fn what_has_no_form_under_the_default_escape_character_is_refused() {
    let problem = refused("# escape=`\nFROM a\nONTEST RUN dir C:\\\n");
    assert!(problem.starts_with("line 3: ONTEST RUN ends with a backslash"), "{problem}");
}

const STAGES: &str = "ARG BASE=img:1\nARG TAG=\"2 \"\nFROM ${BASE} AS Build\nONTEST RUN build\nFROM build AS plain\n\
                      FROM scratch\nFROM plain AS own\nONTEST RUN own\nFROM plain\nRUN x\n";

#[test]
fn the_target_is_a_name_in_any_case_or_a_number() {
    let split = split(STAGES);
    let text = |target| -> Vec<String> {
        split.for_target(target).expect("a stage").iter().map(|trigger| trigger.text.clone()).collect()
    };
    assert_eq!(text(Some("BUILD")), ["RUN build"]);
    assert_eq!(text(Some("plain")), ["RUN build"]);
    assert_eq!(text(Some("1")), ["RUN build"]);
    assert_eq!(text(Some("own")), ["RUN own"]);
    assert_eq!(text(None), ["RUN build"]);
    assert!(text(Some("2")).is_empty());
}

#[test]
fn an_unknown_target_is_refused_with_the_stages_there_are() {
    let split = split(STAGES);
    for target in ["5", "nope", "-1", ""] {
        let error = split.for_target(Some(target)).expect_err(target);
        assert_eq!(
            error.to_string(),
            format!(
                "no stage `{target}` in the Dockerfile: expected one of `Build`, `plain`, `2`, `own`, `4`"
            )
        );
        assert_eq!(split.base_of(Some(target)), None);
    }
    assert!(try_split("").expect("no stages").for_target(Some("a")).is_err());
    assert_eq!(try_split("").expect("no stages").for_target(None), Ok(vec![]));
}

#[test]
fn the_base_is_found_through_stages_and_arguments() {
    let split = split(STAGES);
    assert_eq!(split.base_of(None), Some("img:1"));
    assert_eq!(split.base_of(Some("2")), Some("scratch"));
    assert_eq!(split.stages[0].base, "${BASE}");
    assert_eq!(split.stages[0].name.as_deref(), Some("Build"));
}

#[test]
fn arguments_before_from_are_substituted_as_far_as_they_are_known() {
    for (from, expected) in [
        ("$A", Some("one")),
        ("${A}:${B}", Some("one:one-two")),
        ("x${A:+y}${U:+z}", Some("xy")),
        ("${U:-d}", Some("d")),
        ("${E:-${A}}", Some("one")),
        ("\"$A\"", Some("one")),
        ("--platform=$P $A", Some("one")),
        ("$U", None),
        ("${U}x", None),
        ("${A%e}", None),
        ("a-${TARGETARCH:-amd64}", None),
        ("${E}", None),
    ] {
        let source = format!("ARG A=one E=\nARG B=${{A}}-two\nARG U\nFROM {from}\nARG A=later\n");
        assert_eq!(split(&source).base_of(None), expected, "{from}");
    }
}

#[test]
fn a_build_argument_overrides_the_default_and_so_the_stage() {
    let source = "ARG FROM_STAGE=a\nFROM x AS a\nONTEST RUN a\nFROM y AS b\nONTEST RUN b\nFROM $FROM_STAGE\n";
    let arguments = BTreeMap::from([("FROM_STAGE".to_owned(), "b".to_owned())]);
    let split = take_tests_with(source.as_bytes(), &read_ok(source), &arguments).expect("well formed");
    assert_eq!(split.for_target(None).expect("a stage")[0].text, "RUN b");
    assert_eq!(split.base_of(None), Some("y"));
    assert_eq!(texts(source), ["RUN a"]);
}

#[test]
fn a_stage_named_like_its_own_base_does_not_go_round_in_circles() {
    let split = split("FROM alpine AS alpine\nFROM alpine AS alpine\nONTEST RUN x\nFROM alpine\n");
    assert_eq!(split.base_of(None), Some("alpine"));
    assert_eq!(split.for_target(Some("0")), Ok(vec![]));
    assert_eq!(split.for_target(None).expect("a stage").len(), 1);
}
