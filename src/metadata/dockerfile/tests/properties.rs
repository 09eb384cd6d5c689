use proptest::prelude::*;

use super::super::*;
use crate::metadata::recipe::validate_trigger;

/// Text that is often a Dockerfile, or nearly one.
fn dockerfile() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "FROM x\n",
        "FROM x AS y\n",
        "ONTEST ",
        "ontest\t",
        "ONBUILD ",
        "RUN ",
        "COPY ",
        "CMD ",
        "ENV a=b ",
        "ARG A=b",
        "<<EOF",
        "<< EOF",
        "<<-'E F'",
        "<<A${B:-C}",
        "EOF\n",
        "\tEOF\n",
        "E F\n",
        "\n",
        "\r\n",
        "\r",
        "\n\n",
        " ",
        "\t",
        "\\\n",
        "\\ \t\r\n",
        "\\\\\n",
        "`\n",
        "` \n",
        "\\",
        "`",
        "# c\n",
        "# c \\\n",
        "# escape=`\n",
        "#escape=\\\n",
        "# syntax=a\n",
        "\"",
        "'",
        "$",
        "${a",
        ":-",
        "}",
        "[\"a\", \"b\"]",
        "[1]",
        "a",
        "é",
        "\u{a0}",
        "\u{feff}",
        "--x=y ",
        "-- ",
        "\0",
        "\u{1b}",
        "1<<3",
        "#",
        "=",
    ]);
    prop_oneof![
        4 => (any::<bool>(), prop::collection::vec(piece, 0..24)).prop_map(|(escape, pieces)| {
            format!("{}FROM base\nONTEST RUN {}", if escape { "# escape=`\n" } else { "" }, pieces.concat())
        }),
        1 => "\\PC{0,80}",
    ]
}

/// An instruction with what looks like a heredoc, and what may be its body and end.
fn heredoc() -> impl Strategy<Value = String> {
    let opening = prop::sample::select(vec![
        "<<E",
        "<< E",
        "<<-E",
        "<<'E'",
        "<<\"E\" <<F",
        "<<E <<E",
        "'<<E'",
        "a<<E",
        "<<<E",
        "<<\\\n# c\nE",
        "<<E \\\n",
    ]);
    let before = prop::sample::select(vec![
        "", "", "a ", "$a ", "${a} ", "${a:-b} ", "x${a:-b}", "${a#b} ", "'", "-- ", "[",
    ]);
    let line = prop::sample::select(vec![
        "E\n",
        "F\n",
        "\tE\n",
        "USER root\n",
        "a \\\n",
        "# c\n",
        "\n",
        "E\\\n",
        "E ",
    ]);
    (prop::sample::select(vec!["RUN ", "COPY ", "CMD "]), before, opening, prop::collection::vec(line, 0..4))
        .prop_map(|(keyword, before, opening, lines)| {
            format!("{keyword}{before}{opening} /x\n{}E\nF", lines.concat())
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_read_or_refused(source in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(file) = parse(&source) {
            let _ = take_tests(&source, &file);
        }
    }

    #[test]
    fn spans_cover_the_file_in_order(source in dockerfile()) {
        if let Ok(file) = parse(source.as_bytes()) {
            let mut end = 0;
            for instruction in &file.instructions {
                prop_assert!(instruction.span.start >= end);
                prop_assert!(source[instruction.span.clone()].contains(&instruction.raw));
                end = instruction.span.end;
            }
            prop_assert!(end <= source.len());
        }
    }

    #[test]
    fn stripping_keeps_every_line_and_every_other_instruction(source in dockerfile()) {
        let Ok(file) = parse(source.as_bytes()) else { return Ok(()) };
        let Ok(split) = take_tests(source.as_bytes(), &file) else { return Ok(()) };
        let lines = |bytes: &[u8]| bytes.split(|byte| *byte == b'\n').count();
        prop_assert_eq!(lines(&split.stripped), lines(source.as_bytes()));
        let left = parse(&split.stripped).expect("what is left is a Dockerfile");
        let place = |i: &Instruction| (i.keyword.clone(), i.raw.clone(), i.line, i.end_line);
        let expected: Vec<_> = file.instructions.iter().filter(|i| i.keyword != "ONTEST").map(place).collect();
        prop_assert_eq!(left.instructions.iter().map(place).collect::<Vec<_>>(), expected);
        prop_assert_eq!(left.directives, file.directives);
    }

    #[test]
    fn every_recorded_trigger_is_one_instruction_wherever_it_is_rendered(source in dockerfile()) {
        let Ok(file) = parse(source.as_bytes()) else { return Ok(()) };
        let Ok(split) = take_tests(source.as_bytes(), &file) else { return Ok(()) };
        for trigger in split.stages.iter().flat_map(|stage| &stage.triggers) {
            let rendered = format!("FROM x\n{}\nUSER nobody\n", trigger.text);
            let file = parse(rendered.as_bytes()).expect("a Dockerfile");
            let keywords: Vec<_> = file.instructions.iter().map(|i| i.keyword.as_str()).collect();
            prop_assert_eq!(keywords, ["FROM", trigger.instruction.as_str(), "USER"]);
        }
    }

    #[test]
    fn an_accepted_trigger_is_one_instruction_to_every_parser(
        source in prop_oneof![dockerfile(), heredoc(), heredoc().prop_map(|text| text.trim_end_matches("\nF").to_owned())],
        heredocs: bool,
    ) {
        let text = source.split_once("ONTEST ").map_or(source.as_str(), |(_, text)| text);
        let Ok(instruction) = validate_trigger(text, heredocs) else { return Ok(()) };
        let rendered = format!("FROM x\n{}\nUSER nobody\n", instruction.raw);
        for dialect in Dialect::all(!heredocs) {
            let reading = read(&rendered, 0, dialect).expect("a Dockerfile");
            prop_assert_eq!(reading.dockerfile.escape, '\\');
            let keywords: Vec<_> = reading.dockerfile.instructions.iter().map(|i| i.keyword.as_str()).collect();
            prop_assert_eq!(keywords, ["FROM", instruction.keyword.as_str(), "USER"], "{:?}", dialect);
        }
    }

    #[test]
    fn an_ordinary_trigger_is_recorded_as_it_was_written(
        words in prop::collection::vec("[a-z0-9/._-]{1,8}", 1..6),
        continued: bool,
    ) {
        let text = format!("RUN {}", words.join(if continued { " \\\n  " } else { " " }));
        let source = format!("FROM x\nONTEST {text}\nUSER a\n");
        let file = parse(source.as_bytes()).expect("a Dockerfile");
        let split = take_tests(source.as_bytes(), &file).expect("a trigger");
        prop_assert_eq!(&split.stages[0].triggers[0].text, &text);
    }

    #[test]
    fn words_rewritten_for_the_default_escape_character_mean_the_same(text in "[a-z\\\\`$\"'. ]{1,24}") {
        let source = format!("# escape=`\nFROM x\nONTEST WORKDIR {text}\n");
        let Ok(file) = parse(source.as_bytes()) else { return Ok(()) };
        let Ok(split) = take_tests(source.as_bytes(), &file) else { return Ok(()) };
        let lexed = |text: &str, escape| {
            let variables = |name: &str| Some(format!("<{name}>"));
            let lexer = lex::Lexer {
                escape,
                raw_quotes: false,
                raw_escapes: false,
                rules: dialect::HeredocRules::Patterns,
                keep_unset: false,
                variables: &variables,
            };
            lexer.word(text)
        };
        let written = file.instructions[1].trigger.as_ref().expect("an instruction");
        let recorded = validate_trigger(&split.stages[0].triggers[0].text, true).expect("one instruction");
        prop_assert_eq!(lexed(&recorded.rest, '\\').ok(), lexed(&written.rest, '`').ok());
    }
}
