//! A TAP report that a test may have written, or may have died over.
#![no_main]

mod cases;

use docker_test::results::tap;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut list = cases::list();
    let _ = tap::read_into(bytes, "report.tap", &mut list);
    cases::check(&list);
    let _ = tap::looks_like_tap(bytes);
});
