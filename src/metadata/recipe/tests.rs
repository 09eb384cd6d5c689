use super::*;

fn valid(text: &str) -> Instruction {
    validate_trigger(text, true).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn refused(text: &str) -> TriggerError {
    validate_trigger(text, true).expect_err(text)
}

#[test]
fn one_instruction_is_returned_as_it_is_to_be_rendered() {
    let run = valid("\n run --network=none a \\\n # comment\n b\n\n");
    assert_eq!((run.keyword.as_str(), run.raw.as_str()), ("RUN", "run --network=none a \\\n # comment\n b"));
    assert_eq!(valid("FROBNICATE x").keyword, "FROBNICATE");
    assert_eq!(valid("CMD").rest, "");
}

#[test]
fn a_second_instruction_is_refused_however_it_is_hidden() {
    for text in [
        "RUN a\nUSER root",
        "RUN a\n# comment\nUSER root",
        "RUN a \\\n\n# comment\n b\nUSER root",
        "COPY a b\n\tFROM x",
        "RUN a\\\\\nUSER root",
        "RUN [\"a\", \"<<EOF\"]\nUSER root\nEOF",
        "RUN '<<EOF'\nUSER root\nEOF",
        "RUN <<EOF\na\nEOF\nUSER root",
        "RUN <<-EOF\na\n\tEOF\nUSER root\nEOF",
        "CMD <<EOF\nUSER root\nEOF",
        "RUN a\n# a comment after it",
    ] {
        assert!(matches!(refused(text), TriggerError::Several { .. }), "{text:?}: {:?}", refused(text));
    }
}

#[test]
fn the_message_names_builder_line_and_text() {
    assert_eq!(
        refused("RUN a\n  USER root").to_string(),
        "expected one instruction, but BuildKit reads another one in line 2: `USER root`"
    );
}

#[test]
fn a_heredoc_needs_a_builder_that_has_them() {
    let text = "RUN <<EOF\nFROM evil\nUSER root\nEOF";
    assert_eq!(valid(text).heredocs[0].body, "FROM evil\nUSER root\n");
    let error = validate_trigger(text, false).expect_err("heredoc");
    assert_eq!(
        error.to_string(),
        "expected one instruction, but a builder without heredocs reads another one in line 2: `FROM evil`"
    );
    assert!(validate_trigger("RUN <<EOF\nEOF", false).is_err());
    assert!(validate_trigger("RUN cat <<<word", false).is_ok());
}

#[test]
fn a_heredoc_has_to_be_one_to_builders_of_any_age() {
    for text in [
        "RUN cat << EOF\nUSER root\nEOF",
        "RUN : ${a#x} <<EOF\nUSER root\nEOF",
        "COPY <<A${B:-C} <<D /x\nD\nA${B:-C}\nD",
    ] {
        assert!(validate_trigger(text, true).is_err(), "{text:?}");
    }
    for text in [
        "RUN : ${a:-b} <<EOF\nUSER root\nEOF",
        "RUN : $a ${b} <<EOF\nUSER root\nEOF",
        "RUN <<EOF\nEOF\\\\\nEOF",
    ] {
        valid(text);
    }
}

#[test]
fn an_open_end_is_refused() {
    for text in ["RUN a \\", "RUN a \\\n", "RUN a \\\n# c", "RUN a \\\n\n \\", "RUN a\\ \t"] {
        assert!(matches!(refused(text), TriggerError::Open { .. }), "{text:?}");
    }
    assert_eq!(refused("RUN a\\\\"), TriggerError::Open { builder: "Podman's builder" });
}

#[test]
fn directives_comments_and_the_like_cannot_open_a_trigger() {
    for text in [
        "# escape=`\nRUN a `\nb",
        "#",
        "\\\nRUN a",
        "\u{feff}RUN a",
        "&& a",
        "RUN\u{a0}a",
        "R\\\nUN a",
        "\"RUN\" a",
    ] {
        assert!(matches!(refused(text), TriggerError::NotAnInstruction { .. }), "{text:?}");
    }
    assert_eq!(refused(" \n\t"), TriggerError::Empty);
}

#[test]
fn instructions_that_make_no_sense_in_a_test_image_are_refused() {
    for text in ["FROM x", "from x", "Maintainer a", "ONBUILD RUN a", "ontest RUN a"] {
        assert!(matches!(refused(text), TriggerError::Forbidden { .. }), "{text}");
    }
}

#[test]
fn control_characters_are_refused_with_their_line() {
    for character in ['\0', '\r', '\u{b}', '\u{c}', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}'] {
        let text = format!("RUN a \\\n{character}b");
        assert_eq!(refused(&text), TriggerError::ControlCharacter { line: 2, character });
    }
    assert_eq!(valid("RUN a\tb").rest, "a\tb");
}

#[test]
fn what_the_parser_refuses_is_malformed() {
    let error = refused("RUN [1]");
    assert_eq!(error.to_string(), "line 1: a JSON array of RUN must hold strings only");
    assert!(error.hint().is_some());
    assert!(matches!(refused("RUN <<EOF\na"), TriggerError::Malformed { line: 1, .. }));
}

#[test]
fn features_are_named_by_what_needs_them() {
    for (text, expected) in [
        ("RUN a", &[][..]),
        ("RUN --mount=target=/a b", &["RUN --mount=type=bind"]),
        ("RUN --mount=id=a,Type=SECRET b", &["RUN --mount=type=secret"]),
        (
            "RUN --mount=type=cache,target=/a --mount=type=ssh b",
            &["RUN --mount=type=cache", "RUN --mount=type=ssh"],
        ),
        ("RUN --mount=type=tmpfs,target=/a b", &["RUN --mount=type=tmpfs"]),
        (
            "RUN --network=none --security=insecure --device=x b",
            &["RUN --network", "RUN --security", "RUN --device"],
        ),
        ("RUN <<EOF\nEOF", &["heredoc (<<NAME)"]),
        (
            "COPY --link --chmod=1 --parents --exclude=x a b",
            &["COPY --link", "COPY --chmod", "COPY --parents", "COPY --exclude"],
        ),
        ("COPY --from=x --chown=a a b", &[]),
        ("ADD --checksum=sha256:0 https://x/a /b", &["ADD --checksum"]),
        ("ADD --keep-git-dir=true https://x/a.git#v1 /b", &["ADD of a Git repository", "ADD --keep-git-dir"]),
        ("ADD git@x:a.b /b", &["ADD of a Git repository"]),
        ("ADD [\"ssh://x/a\", \"/b\"]", &["ADD of a Git repository"]),
        ("ADD --unpack=true a.tar /b.git", &["ADD --unpack"]),
        ("ADD a git://x", &[]),
        ("LABEL --link=a a=b", &[]),
    ] {
        let names: Vec<String> = features(&valid(text)).iter().map(ToString::to_string).collect();
        assert_eq!(names, expected, "{text}");
    }
}

#[test]
fn a_mount_of_variable_type_needs_every_mount() {
    assert_eq!(features(&valid("RUN --mount=type=$T,target=/a b")).len(), 5);
}

#[test]
fn features_have_distinct_names_and_order() {
    let names: BTreeSet<String> = Feature::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), Feature::ALL.len());
    assert!(Feature::ALL.is_sorted());
    assert_eq!(serde_json::to_string(&Feature::MountSecret).ok().as_deref(), Some("\"mount_secret\""));
}

#[test]
fn a_recipe_knows_command_entrypoint_and_user() {
    let recipe = Recipe::from_triggers(&["USER a", "RUN x", "user b:c", "CMD [\"t\"]"], true).expect("valid");
    assert!(recipe.sets_cmd() && !recipe.sets_entrypoint());
    assert_eq!(recipe.last_user(), Some("b:c"));
    let recipe = Recipe::from_triggers(&["ENTRYPOINT []", "RUN --mount=type=ssh a"], true).expect("valid");
    assert!(!recipe.sets_cmd() && recipe.sets_entrypoint());
    assert_eq!(recipe.last_user(), None);
    assert_eq!(recipe.features(), BTreeSet::from([Feature::MountSsh]));
}

#[test]
fn a_wrong_trigger_is_named_by_its_number() {
    let error = Recipe::from_triggers(&["RUN a", "FROM b"], true).expect_err("FROM");
    assert_eq!(error.to_string(), "instruction 2 of 2: FROM is not allowed here");
}

#[test]
fn a_command_of_no_words_is_refused_and_a_reset_is_not() {
    for text in ["CMD", "cmd ", "ENTRYPOINT"] {
        assert!(matches!(refuse_empty(&valid(text)), Err(TriggerError::NoArguments { .. })), "{text}");
    }
    for text in ["CMD []", "ENTRYPOINT []", "CMD x", "FROBNICATE"] {
        assert_eq!(refuse_empty(&valid(text)), Ok(()), "{text}");
    }
}
