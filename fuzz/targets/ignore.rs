//! An ignore file and a path, parted by a NUL byte: the verdict and its reason must agree.
#![no_main]

use docker_test::image::context::Ignore;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (rules, path) = text.split_once('\0').unwrap_or((text, "a/b/c"));
    let Ok(ignore) = Ignore::parse(rules) else { return };
    let excluded = ignore.excluded(path);
    assert_eq!(excluded, ignore.rule_excluding(path).is_some());
    if ignore.is_empty() {
        assert!(!excluded);
    }
    // Whoever walks the tree must not turn back above a path that is wanted.
    let parts: Vec<&str> = path.split('/').collect();
    let is_clean = parts.iter().all(|part| !part.is_empty() && *part != "." && *part != "..");
    if is_clean && !excluded && !path.contains('\\') {
        for depth in 1..parts.len() {
            let above = parts[..depth].join("/");
            assert!(!ignore.excluded(&above) || ignore.may_contain_included(&above), "{above:?}");
        }
    }
});
