//! A JUnit report that a test may have written, or may have died over.
#![no_main]

use docker_test::results::collect::{CaseList, ReadLimits};
use docker_test::results::junit;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = ReadLimits { max_cases: 20, max_name: 64, max_text: 128, max_total_text: 1024 };
    let mut list = CaseList::new(limits);
    let _ = junit::read_into(bytes, "report.xml", &mut list);
    check(&list, limits);
    let _ = junit::looks_like_junit(bytes);
});

fn check(list: &CaseList, limits: ReadLimits) {
    let cases: Vec<_> = list.suites.iter().flat_map(|suite| &suite.cases).collect();
    assert!(cases.len() <= limits.max_cases);
    assert_eq!(cases.len() as u64 + list.omitted, list.counts.total());
    for case in cases {
        let texts = [&case.message, &case.kind, &case.detail, &case.stdout, &case.stderr, &case.class];
        for text in texts.into_iter().flatten().chain([&case.name]) {
            assert!(text.len() <= limits.max_text + 16, "{} bytes", text.len());
            assert!(!text.chars().any(|letter| letter.is_control() && !matches!(letter, '\n' | '\t')));
        }
        assert!(case.seconds.is_none_or(|seconds| seconds.is_finite() && seconds >= 0.0));
    }
}
