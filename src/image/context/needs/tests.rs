use super::*;
use crate::metadata::dockerfile;

fn instructions(text: &str) -> Vec<Instruction> {
    dockerfile::parse(text.as_bytes()).unwrap().instructions
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Needs of a recipe on an image whose environment is known.
fn read(text: &str) -> Needs {
    let (build_args, env) = (map(&[("GIVEN", "cli")]), map(&[("IMAGE", "image-env")]));
    let inputs = RecipeInputs {
        escape: '\\',
        build_args: &build_args,
        target_env: Some(&env),
        target: Some("shop:1.4"),
        target_triggers: &[],
    };
    needs(&instructions(text), &inputs)
}

fn patterns(text: &str) -> Vec<String> {
    match read(text) {
        Needs::Nothing => Vec::new(),
        Needs::Paths(named) => named.into_iter().map(|need| need.pattern).collect(),
        Needs::Whole { reason, .. } => panic!("whole: {reason}"),
    }
}

fn whole_reason(text: &str) -> String {
    match read(text) {
        Needs::Whole { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_recipe_without_sources_needs_nothing() {
    assert_eq!(read("RUN apt-get install curl\nCMD [\"/test.sh\"]\nENV A=1\n"), Needs::Nothing);
}

#[test]
fn sources_are_named_in_both_forms() {
    let cases: [(&str, &[&str]); 14] = [
        ("COPY test.sh /", &["test.sh"]),
        ("COPY ./a //b/../c /d/ /x/", &["a", "c", "d"]),
        ("COPY [\"sp ace\", \"b\", \"/x\"]", &["sp ace", "b"]),
        ("COPY \"q.txt\" 'r.txt' /x", &["q.txt", "r.txt"]),
        ("COPY a\\$b /x", &["a$b"]),
        ("ADD fixtures.tar.gz /x", &["fixtures.tar.gz"]),
        ("ADD https://example.com/f.txt http://example.com/g local /x", &["local"]),
        ("ADD git@github.com:a/b.git git://h/x ssh://h/y /x", &[]),
        ("COPY --from=build /out /x", &[]),
        ("COPY --chown=1:1 --link a /x", &["a"]),
        ("COPY <<EOF real <<-'END' /x\nCOPY body /\nEOF\nEND\n", &["real"]),
        ("COPY t*.sh d?/[ab] /x", &["t*.sh", "d?/[ab]"]),
        ("COPY ../x a/../../y /x", &["x", "y"]),
        ("COPY only-one", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(patterns(text), expected, "{text}");
    }
}

#[test]
fn a_source_knows_its_line_and_flags() {
    let Needs::Paths(named) =
        read("RUN x\n\nCOPY --exclude=*.md --exclude=tmp --parents ./src/./a/**/t.* /x\n")
    else {
        panic!("paths expected");
    };
    let expected = Need {
        pattern: "src/./a/**/t.*".to_owned(),
        exclude: vec!["*.md".to_owned(), "tmp".to_owned()],
        parents: true,
        literal: false,
        line: 3,
    };
    assert_eq!(named, [expected]);
    assert_eq!(patterns("COPY --parents=false ./a/./b /x"), ["a/b"]);
    assert_eq!(patterns("COPY --parents a/./ /x"), ["a"]);
}

#[test]
fn the_root_is_the_whole_context_unless_something_is_excluded() {
    for source in [".", "./", "/", "a/..", "..", "\"./\""] {
        assert_eq!(
            whole_reason(&format!("RUN x\nCOPY {source} /x")),
            "COPY on line 2 reads the whole context"
        );
    }
    assert_eq!(patterns("COPY --exclude=*.md . /x"), ["."]);
    let Needs::Whole { named, .. } = read("COPY . /x\nCOPY test.sh /y") else { panic!("whole expected") };
    assert_eq!(named[0].pattern, "test.sh");
}

#[test]
fn bind_mounts_read_the_context() {
    assert_eq!(patterns("RUN --mount=type=bind,source=src,target=/s make"), ["src"]);
    assert_eq!(patterns("RUN --mount=type=cache,target=/c --mount=target=/s,src=./a* make"), ["a*"]);
    assert_eq!(patterns("RUN --mount=from=build,target=/s make"), Vec::<String>::new());
    assert_eq!(whole_reason("RUN --mount=target=/s make"), "RUN --mount on line 1 reads the whole context");
    let Needs::Paths(named) = read("RUN --mount=source=a*,target=/s make") else { panic!("paths expected") };
    assert!(named[0].literal && !named[0].is_wildcard());
}

#[test]
fn variables_are_replaced_where_the_recipe_decides_them() {
    let cases: [(&str, &[&str]); 8] = [
        ("ENV D=tests\nCOPY $D/a ${D}/b /x", &["tests/a", "tests/b"]),
        ("ARG D=tests\nCOPY $D /x", &["tests"]),
        ("ARG GIVEN=default\nCOPY $GIVEN /x", &["cli"]),
        ("COPY $IMAGE /x", &["image-env"]),
        ("COPY ${NONE:-fallback} a${NONE}b ${IMAGE:+yes} /x", &["fallback", "ab", "yes"]),
        ("ENV P=\"a b\"\nCOPY $P /x", &["a b"]),
        ("ENV S=s\nRUN --mount=source=$S,target=/x make", &["s"]),
        ("COPY [\"$IMAGE\", \"/x\"]", &["image-env"]),
    ];
    for (text, expected) in cases {
        assert_eq!(patterns(text), expected, "{text}");
    }
}

#[test]
fn an_undecidable_variable_asks_for_the_whole_context_and_says_why() {
    assert_eq!(
        whole_reason("RUN x\nARG TARGETARCH\nCOPY bin/$TARGETARCH /x"),
        "COPY on line 3 cannot be decided: $TARGETARCH is set by the builder in \"bin/$TARGETARCH\""
    );
    let build_args = BTreeMap::new();
    let inputs = RecipeInputs {
        escape: '\\',
        build_args: &build_args,
        target_env: None,
        target: None,
        target_triggers: &[],
    };
    for text in [
        "ARG D=tests\nCOPY $D /x",
        "COPY ${D:-tests} /x",
        "RUN --mount=source=$D,target=/x make",
        "COPY 'a /x",
    ] {
        assert!(matches!(needs(&instructions(text), &inputs), Needs::Whole { .. }), "{text}");
    }
    let decided = needs(&instructions("ENV D=tests\nCOPY $D /x"), &inputs);
    assert!(matches!(decided, Needs::Paths(_)));
}

#[test]
fn triggers_count_like_the_instruction_behind_the_word() {
    assert_eq!(
        patterns("ONBUILD COPY a /x\nONTEST ADD b /x\nONTEST RUN --mount=src=c,target=/x t"),
        ["a", "b", "c"]
    );
    let (build_args, env, triggers) = (BTreeMap::new(), BTreeMap::new(), instructions("COPY from-image /x"));
    let inputs = RecipeInputs {
        escape: '\\',
        build_args: &build_args,
        target_env: Some(&env),
        target: Some("shop:1.4"),
        target_triggers: &triggers,
    };
    let pattern = |text: &str| match needs(&instructions(text), &inputs) {
        Needs::Paths(named) => named.into_iter().map(|need| need.pattern).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(pattern("COPY own /x"), ["from-image", "own"]);
    assert_eq!(pattern("FROM shop:1.4\nCOPY own /x"), ["from-image", "own"]);
    assert_eq!(pattern("FROM other\nCOPY own /x"), ["own"]);
}

#[test]
fn in_a_dockerfile_every_stage_has_its_own_variables() {
    let text = "\
ARG TEST_IMAGE=shop:1.4
ARG DIR=tests
FROM golang AS tools
ENV T=tool
COPY $T.go /src/
FROM tools AS more
COPY $T.mod /src/
FROM ${TEST_IMAGE}
ARG DIR
COPY --from=tools /bin/tool /bin/
COPY $DIR $IMAGE x$T /x/
ONTEST COPY not-now /x
ONBUILD COPY not-here /x
";
    assert_eq!(patterns(text), ["tool.go", "tool.mod", "tests", "image-env", "x"]);
    assert!(whole_reason("FROM debian\nARG D=1\nCOPY $D /x").contains("the base image may set $D"));
    assert_eq!(patterns("FROM scratch\nARG D=1\nCOPY $D /x"), ["1"]);
}

#[test]
fn onbuild_counts_in_the_stage_that_goes_on_from_it() {
    let text = "FROM debian AS base\nONBUILD COPY late /x\nCOPY early /x\nFROM base\nCOPY last /x\n";
    assert_eq!(patterns(text), ["early", "late", "last"]);
}

#[test]
fn it_is_known_which_sources_pick_up_an_added_entry() {
    let reach = |text: &str| read(text).reach(".docker-test-1");
    for text in [
        "COPY . /x",
        "COPY --exclude=a . /x",
        "COPY * /x",
        "COPY .d* a /x",
        "COPY */f /x",
        "COPY --parents **/f /x",
        "RUN --mount=target=/x t",
        "COPY $PATH /x",
    ] {
        assert!(reach(text), "{text}");
    }
    for text in ["CMD x", "COPY a /x", "COPY t* t/* /x", "COPY --parents a/**/f /x", "COPY .docker-test /x"] {
        assert!(!reach(text), "{text}");
    }
}
