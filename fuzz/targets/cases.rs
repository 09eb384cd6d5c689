//! What must hold of every list of cases, whatever report it was read from.

use docker_test::results::collect::{CaseList, ReadLimits};

/// Small, so that the fuzzer reaches them.
const LIMITS: ReadLimits = ReadLimits { max_cases: 20, max_name: 64, max_text: 128, max_total_text: 1024 };

/// A list to read into.
pub fn list() -> CaseList {
    CaseList::new(LIMITS)
}

/// Panics where the list breaks its limits or holds what a display must not get.
pub fn check(list: &CaseList) {
    let cases: Vec<_> = list.suites.iter().flat_map(|suite| &suite.cases).collect();
    assert!(cases.len() <= LIMITS.max_cases);
    assert_eq!(cases.len() as u64 + list.omitted, list.counts.total());
    for case in cases {
        let texts = [&case.message, &case.kind, &case.detail, &case.stdout, &case.stderr, &case.class];
        for text in texts.into_iter().flatten().chain([&case.name]) {
            assert!(text.len() <= LIMITS.max_text + 16, "{} bytes", text.len());
            assert!(!text.chars().any(|letter| letter.is_control() && !matches!(letter, '\n' | '\t')));
        }
        assert!(case.seconds.is_none_or(|seconds| seconds.is_finite() && seconds >= 0.0));
    }
}
