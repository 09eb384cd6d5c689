//! A JUnit report that a test may have written, or may have died over.
#![no_main]

mod cases;

use docker_test::results::junit;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut list = cases::list();
    let _ = junit::read_into(bytes, "report.xml", &mut list);
    cases::check(&list);
    let _ = junit::looks_like_junit(bytes);
});
