//! A trigger out of a label or an ONBUILD, which anybody may have written: refused, or one instruction.
#![no_main]

use docker_test::metadata::dockerfile::parse;
use docker_test::metadata::recipe::validate_trigger;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, &str)| {
    let (heredocs, text) = input;
    let Ok(instruction) = validate_trigger(text, heredocs) else { return };
    assert!(!matches!(instruction.keyword.as_str(), "FROM" | "MAINTAINER" | "ONBUILD" | "ONTEST"));
    let rendered = format!("FROM x\n{}\nUSER nobody\n", instruction.raw);
    let rendered = parse(rendered.as_bytes()).expect("a Dockerfile");
    let keywords: Vec<&str> =
        rendered.instructions.iter().map(|instruction| instruction.keyword.as_str()).collect();
    assert_eq!(keywords, ["FROM", instruction.keyword.as_str(), "USER"]);
    assert!(rendered.directives.is_empty());
});
