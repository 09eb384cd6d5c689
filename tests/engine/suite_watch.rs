//! `--watch`: what changes is tested again, whichever test it was before, and Ctrl-C ends it.

use nix::sys::signal::Signal;

use crate::live::{Live, eventually};
use crate::suite_system::System;

/// How often stderr says that this test has passed.
fn passes(live: &Live, test: &str) -> usize {
    live.stderr().lines().filter(|line| line.contains("PASS") && line.ends_with(test)).count()
}

#[test]
fn each_change_of_a_context_runs_its_test_again_and_no_other() {
    let system = System::of(
        "tests:\n  one: { image: IMAGE, context: ./one, file: one/Dockerfile.test }\n  two: { image: IMAGE, context: ./two, file: two/Dockerfile.test }\n",
    );
    for test in ["one", "two"] {
        let recipe = "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCOPY data /data\nCMD [\"cat\", \"/data\"]\n";
        system.sandbox.write(&format!("{test}/Dockerfile.test"), recipe);
        system.sandbox.write(&format!("{test}/data"), "first\n");
    }
    let live = Live::start(system.sandbox.command(&["run", "--watch", "--progress", "plain"]));
    let watches = |times: usize| {
        eventually("watching", || {
            (live.stderr().matches("docker-test: watching 2 tests").count() >= times).then_some(())
        });
    };
    watches(1);
    assert_eq!((passes(&live, "one"), passes(&live, "two")), (1, 1), "{}", live.stderr());
    system.sandbox.write("one/data", "second, and longer\n");
    watches(2);
    assert_eq!((passes(&live, "one"), passes(&live, "two")), (2, 1), "{}", live.stderr());
    // The other one is still watched, though it was not of the last run.
    system.sandbox.write("two/data", "second, and longer\n");
    watches(3);
    assert_eq!((passes(&live, "one"), passes(&live, "two")), (2, 2), "{}", live.stderr());
    live.signal(Signal::SIGINT);
    live.finish().assert_code(130);
}
