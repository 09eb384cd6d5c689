//! A Dockerfile: read, and its ONTEST lines taken out. What is left must be the author's file, line by line, and what
//! was taken out must be single instructions wherever they are rendered.
#![no_main]

use docker_test::metadata::dockerfile::{parse, take_tests};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|source: &[u8]| {
    let Ok(file) = parse(source) else { return };
    let mut end = 0;
    for instruction in &file.instructions {
        assert!(instruction.span.start >= end && instruction.span.end <= source.len());
        end = instruction.span.end;
    }
    let Ok(split) = take_tests(source, &file) else { return };
    let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines(&split.stripped), lines(source));
    let left = parse(&split.stripped).expect("what is left is a Dockerfile");
    assert_eq!(left.directives, file.directives);
    let others = file.instructions.iter().filter(|instruction| instruction.keyword != "ONTEST");
    assert!(others.map(|other| (&other.keyword, &other.raw, other.line)).eq(left
        .instructions
        .iter()
        .map(|kept| (&kept.keyword, &kept.raw, kept.line))));
    for trigger in split.stages.iter().flat_map(|stage| &stage.triggers) {
        let rendered = format!("FROM x\n{}\nUSER nobody\n", trigger.text);
        let rendered = parse(rendered.as_bytes()).expect("a Dockerfile");
        let keywords: Vec<&str> =
            rendered.instructions.iter().map(|instruction| instruction.keyword.as_str()).collect();
        assert_eq!(keywords, ["FROM", trigger.instruction.as_str(), "USER"]);
    }
});
