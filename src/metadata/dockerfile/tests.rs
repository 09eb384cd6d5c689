mod ontest;
mod properties;

use super::*;

fn read_ok(source: &str) -> Dockerfile {
    parse(source.as_bytes()).unwrap_or_else(|error| panic!("{source:?}: {error}"))
}

fn only(source: &str) -> Instruction {
    let mut instructions = read_ok(source).instructions;
    assert_eq!(instructions.len(), 1, "{source:?}: {instructions:?}");
    instructions.remove(0)
}

fn refused(source: &str) -> (u32, String) {
    let error = parse(source.as_bytes()).expect_err(source);
    (error.line(), error.problem().to_string())
}

fn keywords(source: &str) -> Vec<String> {
    read_ok(source).instructions.into_iter().map(|instruction| instruction.keyword).collect()
}

#[test]
fn directives_are_read_in_any_case_until_the_first_other_line() {
    let file =
        read_ok("# Syntax = docker/dockerfile:1\n#ESCAPE=`\n  # check=skip=all \nFROM x\n# syntax=no\n");
    let found: Vec<_> = file.directives.iter().map(|d| (d.name.as_str(), d.value.as_str(), d.line)).collect();
    assert_eq!(found, [("syntax", "docker/dockerfile:1", 1), ("escape", "`", 2), ("check", "skip=all", 3)]);
    assert_eq!(file.escape, '`');
}

#[test]
fn a_comment_a_blank_line_or_an_unknown_directive_ends_the_directives() {
    for first in ["# note", "", "# platform=linux", "#", "#!shebang", "// syntax=x", "\\"] {
        let file = read_ok(&format!("{first}\n# escape=`\nFROM x\n"));
        assert_eq!((file.escape, file.directives.len()), ('\\', 0), "{first}");
    }
}

#[test]
fn wrong_directives_are_refused_with_their_line() {
    assert_eq!(
        refused("# escape=\\\n# Escape=`\n"),
        (2, "only one escape parser directive can be used".into())
    );
    for value in ["x", "``", " ", "\\ \\"] {
        let (line, problem) = refused(&format!("# syntax=a\n# escape={value}\nFROM x\n"));
        assert_eq!(line, 2);
        assert!(problem.contains("expected \\ or `"), "{problem}");
    }
}

#[test]
fn an_escape_directive_without_any_value_is_a_comment() {
    assert_eq!(read_ok("# escape=\n# escape=`\nFROM x\n").escape, '\\');
}

#[test]
fn the_byte_order_mark_is_skipped_but_counted_in_spans() {
    let source = "\u{feff}# escape=`\nFROM x\n";
    let file = read_ok(source);
    assert_eq!(file.escape, '`');
    assert_eq!(&source[file.instructions[0].span.clone()], "FROM x\n");
    assert_eq!(read_ok("\u{feff}FROM x").instructions[0].span, 3..9);
}

#[test]
fn bytes_that_are_not_text_are_refused_with_their_place() {
    let error = parse(b"FROM x\nRUN a\xff\n").expect_err("not UTF-8");
    assert_eq!(error.to_string(), "line 2: byte 6 is not UTF-8 text");
    assert_eq!(parse(b"\xEF\xBB\xBF\xff").expect_err("not UTF-8").line(), 1);
}

#[test]
fn an_empty_file_has_no_instructions() {
    for source in ["", "\n", "# a\r\n\r\n", "\u{feff}", "   "] {
        assert!(read_ok(source).instructions.is_empty(), "{source:?}");
    }
}

#[test]
fn continuations_are_joined_without_comments_and_blank_lines() {
    let run = only("RUN a \\\n# comment \\\n\n  # another\n \t \n    b\\  \t\nc\n");
    assert_eq!(run.rest, "a     bc");
    assert_eq!((run.line, run.end_line), (1, 7));
    assert!(run.raw.starts_with("RUN a \\\n# comment") && run.raw.ends_with("\nc"));
}

#[test]
fn a_doubled_escape_character_continues_nothing() {
    assert_eq!(keywords("RUN a\\\\\nRUN b\n"), ["RUN", "RUN"]);
    assert_eq!(keywords("RUN a\\\\\\\nRUN b\n"), ["RUN", "RUN"]);
    assert_eq!(only("RUN a \\\n\\\nb").rest, "a b");
}

#[test]
fn the_escape_directive_chooses_the_continuation() {
    let file = read_ok("# escape=`\nFROM x\nRUN dir C:\\\nRUN a `\r\n b\r\n");
    let rests: Vec<_> = file.instructions.iter().map(|i| i.rest.as_str()).collect();
    assert_eq!(rests, ["x", "dir C:\\", "a  b"]);
}

#[test]
fn a_keyword_may_be_parted_by_a_continuation() {
    let run = only("  R\\\nUN  x\n");
    assert_eq!((run.keyword.as_str(), run.rest.as_str(), run.raw.as_str()), ("RUN", "x", "R\\\nUN  x"));
    let after_a_lone_continuation = only("\\\nFROM x");
    assert_eq!((after_a_lone_continuation.line, after_a_lone_continuation.raw.as_str()), (1, "FROM x"));
}

#[test]
fn a_continuation_at_the_end_of_the_file_ends_the_instruction() {
    let run = only("RUN a \\\n# c\n\n");
    assert_eq!((run.rest.as_str(), run.end_line, run.span), ("a", 3, 0..13));
    assert_eq!(only("\\\n").keyword, "");
}

#[test]
fn line_ends_of_windows_are_line_ends() {
    let source = "FROM x\r\nRUN a \\\r\n  b\r\nCOPY <<EOF /a\r\n1\r\nEOF\r\n";
    let file = read_ok(source);
    assert_eq!(file.instructions[1].rest, "a   b");
    assert_eq!(file.instructions[1].raw, "RUN a \\\r\n  b");
    assert_eq!(file.instructions[2].heredocs[0].body, "1\r\n");
    assert_eq!(&source[file.instructions[2].span.clone()], "COPY <<EOF /a\r\n1\r\nEOF\r\n");
}

#[test]
fn keywords_are_raised_and_unknown_ones_kept() {
    assert_eq!(keywords("from x\nrUn a\nFrobnicate --y z\n#no\n&&\n"), ["FROM", "RUN", "FROBNICATE", "&&"]);
    // What looks like a keyword after Unicode's upper case is none to a builder, and the other way round.
    assert_eq!(
        keywords("U\u{17f}ER a\nWOR\u{212a}DIR /a\nONBU\u{130}LD RUN a\n"),
        ["U\u{17f}ER", "WORKDIR", "ONBUILD"]
    );
}

#[test]
fn flags_are_the_leading_words_with_two_dashes() {
    let copy = only(r#"COPY --from=a --link --chmod="7 5"5 --x=a\ b --y=a=b src --dst "#);
    let flags: Vec<_> = copy.flags.iter().map(|f| (f.name.as_str(), f.value.as_deref())).collect();
    assert_eq!(
        flags,
        [
            ("from", Some("a")),
            ("link", None),
            ("chmod", Some("7 55")),
            ("x", Some("a b")),
            ("y", Some("a=b"))
        ]
    );
    assert_eq!(copy.words(), ["src", "--dst"]);
    assert_eq!(copy.flag("from").and_then(|flag| flag.value.as_deref()), Some("a"));
    assert_eq!(copy.flag("none"), None);
}

#[test]
fn two_dashes_alone_end_the_flags() {
    let run = only("RUN --mount=type=ssh -- --not-a-flag\n");
    assert_eq!((run.flags.len(), run.rest.as_str()), (1, "--not-a-flag"));
    assert_eq!(only("RUN --").rest, "");
    assert_eq!(only("RUN -x").rest, "-x");
    assert_eq!(only("RUN --a='b").flags[0].value.as_deref(), Some("b"));
}

#[test]
fn exec_form_is_json_and_anything_else_is_text() {
    for keyword in ["ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME"] {
        let exec = only(&format!("{keyword} [ \"a b\", \"c\\n\" ]"));
        assert_eq!(exec.arguments, Arguments::Json(vec!["a b".into(), "c\n".into()]), "{keyword}");
        let text = only(&format!("{keyword} ['a', 'b']"));
        assert_eq!(text.arguments, Arguments::Text("['a', 'b']".into()), "{keyword}");
        let (line, problem) = refused(&format!("\n{keyword} [1]"));
        assert_eq!((line, problem), (2, format!("a JSON array of {keyword} must hold strings only")));
    }
    assert_eq!(only("USER [\"a\"]").arguments, Arguments::Text("[\"a\"]".into()));
    assert_eq!(only("CMD []").words(), Vec::<&str>::new());
    assert_eq!(refused("HEALTHCHECK CMD [1]").0, 1);
    assert_eq!(only("HEALTHCHECK --interval=5s CMD [\"a\"]").rest, "CMD [\"a\"]");
}

#[test]
fn pairs_without_a_value_are_refused_as_buildkit_refuses_them() {
    assert_eq!(refused("ENV a"), (1, "ENV must have two arguments: a name and a value".into()));
    assert_eq!(refused("LABEL a=b c"), (1, "no = in `c` of LABEL: expected name=value".into()));
    for fine in ["ENV a b c", "ENV a=b c=d", "ENV a='b c' d=\"e f\"", "LABEL a=b\\ c", "ENV", "ARG a b=c"] {
        only(fine);
    }
}

fn heredocs(source: &str) -> Vec<(String, bool, bool, String)> {
    only(source).heredocs.into_iter().map(|h| (h.name, h.expand, h.chomp, h.body)).collect()
}

#[test]
fn a_heredoc_belongs_to_its_instruction() {
    for (line, name, expand, chomp) in [
        ("RUN <<EOF", "EOF", true, false),
        ("RUN 3<<EOF", "EOF", true, false),
        ("run <<-EOF", "EOF", true, true),
        ("RUN <<'EOF'", "EOF", false, false),
        ("ADD <<\"EOF\" /x", "EOF", false, false),
        ("COPY <<E\"O\"F /x", "EOF", false, false),
        ("RUN <<eo\\'f", "eo'f", true, false),
        ("RUN <<'e'o\\'f", "eo'f", false, false),
        ("RUN <<'one two'", "one two", false, false),
        ("RUN <<$EOF", "$EOF", true, false),
        ("RUN <<  EOF  > foo", "EOF", true, false),
        ("RUN << -EOF", "-EOF", true, false),
        ("COPY <<file.txt /dest", "file.txt", true, false),
        ("RUN --mount=type=cache,target=/foo <<EOF sh", "EOF", true, false),
        ("ONBUILD RUN <<EOF", "EOF", true, false),
        ("ONTEST COPY <<EOF /x", "EOF", true, false),
        ("RUN a <<E\\\n# comment\nOF", "EOF", true, false),
    ] {
        let source = format!("{line}\nFROM a\n# no comment\\\n{name}\n");
        let expected = (name.to_owned(), expand, chomp, "FROM a\n# no comment\\\n".to_owned());
        assert_eq!(heredocs(&source), [expected], "{line}");
    }
}

#[test]
fn several_heredocs_follow_one_another() {
    let found = heredocs("COPY <<X <<Y /dest\nY\nX\nX\nY\n");
    assert_eq!(found[0].3, "Y\n");
    assert_eq!(found[1].3, "X\n");
}

#[test]
fn tabs_may_precede_the_end_of_a_chomped_heredoc_only() {
    assert_eq!(heredocs("RUN <<-E\n\ta\n\t\tE\n")[0].3, "\ta\n");
    assert_eq!(refused("FROM x\nRUN \\\n <<E\n\tE\n").0, 2);
    assert_eq!(refused("RUN <<-E\n E").1, "unterminated heredoc: expected a line that holds `E` alone");
}

#[test]
fn what_is_no_heredoc_leaves_the_next_line_alone() {
    for line in [
        "RUN [\"<<EOF\"]",
        "RUN \"<<EOF\"",
        "RUN '<<EOF'",
        "RUN cat <<<EOF",
        "RUN echo it's <<EOF",
        "RUN echo ${x <<EOF",
        "RUN echo $((1<<3))",
        "RUN a<<EOF",
        "RUN <<",
        "RUN <<- EOF",
        "RUN \\<<EOF",
        "USER <<EOF",
        "CMD <<EOF",
        "ONBUILD ONBUILD RUN <<EOF",
        "RUN <<A${X:-B}",
    ] {
        let found = keywords(&format!("{line}\nLABEL a=b\n"));
        assert_eq!(found.len(), 2, "{line}");
    }
}

#[test]
fn a_space_after_the_angle_brackets_is_part_of_the_heredoc_as_in_buildkit() {
    assert_eq!(
        refused("RUN echo $((1 << 3))\n").1,
        "unterminated heredoc: expected a line that holds `3))` alone"
    );
}

#[test]
fn the_instruction_after_onbuild_has_its_own_place() {
    let source = "FROM x\n onbuild \\\n # comment\n  copy --from=a \\\n b c\n";
    let onbuild = read_ok(source).instructions.remove(1);
    assert_eq!((onbuild.line, onbuild.end_line), (2, 5));
    assert_eq!(&source[onbuild.span.clone()], " onbuild \\\n # comment\n  copy --from=a \\\n b c\n");
    let inner = onbuild.trigger.expect("an inner instruction");
    assert_eq!((inner.keyword.as_str(), inner.line, inner.end_line), ("COPY", 4, 5));
    assert_eq!(inner.raw, "copy --from=a \\\n b c");
    assert_eq!(inner.flags[0].name, "from");
    assert_eq!(inner.words(), ["b", "c"]);
    assert_eq!(&source[inner.span.clone()], "copy --from=a \\\n b c\n");
    assert!(only("ONBUILD").trigger.is_none());
    assert_eq!(refused("ONBUILD RUN [1]").0, 1);
}

#[test]
fn bottomless_nesting_is_refused_at_once() {
    let source = format!("{}RUN x", "ONBUILD ".repeat(30_000));
    assert_eq!(refused(&source).1, "ONBUILD is nested too deeply");
    assert_eq!(
        refused(&format!("RUN <<E {}", "${a:-".repeat(50_000))).1,
        "a ${…} variable is nested too deeply"
    );
}

#[test]
fn errors_can_be_given_a_file() {
    let error = parse(b"\nENV a\n").expect_err("no value").in_file("sub/Dockerfile");
    assert_eq!(error.to_string(), "sub/Dockerfile:2: ENV must have two arguments: a name and a value");
    assert!(crate::error::Diagnose::hint(&error).is_some());
}
