//! Which tests of a suite are run: by name, type, label and part, in which order, and how often.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::suite_system::System;

const SIX: &str = r#"
tests:
  cart: { image: IMAGE, command: ["true"], labels: { team: shop } }
  checkout:
    image: IMAGE
    command: [sh, -c, 'echo $DB']
    env: { DB: "${matrix.db}-${matrix.os}" }
    labels: { team: pay }
    matrix: { db: [15, 16], os: [a, b], exclude: [{ db: 15, os: b }], include: [{ db: 17, os: b }] }
  pay: { image: IMAGE, command: ["true"], labels: { team: pay } }
  probe: { image: IMAGE, command: ["true"], type: security }
"#;

#[test]
fn tests_are_selected_by_globs_expressions_types_and_labels() {
    let system = System::of(SIX);
    let names = |arguments: &[&str]| system.run(0, arguments).names();
    let checkouts =
        ["checkout[db=15,os=a]", "checkout[db=16,os=a]", "checkout[db=16,os=b]", "checkout[db=17,os=b]"];
    assert_eq!(names(&["--select", "checkout"]), checkouts);
    assert_eq!(names(&["--select", "c*", "--select", "!checkout*"]), ["cart"]);
    assert_eq!(names(&["--select", "/^p/"]), ["pay", "probe"]);
    assert_eq!(names(&["--select", "!/=b/", "--select", "!{cart,pay,probe}"]), checkouts[..2]);
    assert_eq!(names(&["--select", "checkout[db=17,os=b]"]), checkouts[3..]);
    assert_eq!(names(&["--type", "security"]), ["probe"]);
    assert_eq!(names(&["--filter", "label=team=shop"]), ["cart"]);
    assert_eq!(names(&["--filter", "label=team", "--select", "!checkout"]), ["cart", "pay"]);
    let told = system.run(4, &["--select", "chekout"]);
    told.ran.assert_stderr("nothing to test");
    assert_eq!(told.report["tests"], serde_json::json!([]));
    system.run(4, &["--type", "chaos"]);
}

#[test]
fn a_test_that_is_taken_for_an_image_is_said_to_be_one() {
    let system = System::of(SIX);
    let ran = system.sandbox.expect(125, &["run", "--pull", "never", "cart"]);
    ran.assert_stderr("hint: cart is a test of docker-test.yaml: docker-test run --select cart");
    let ran = system.sandbox.expect(125, &["run", "--pull", "never", "carts"]);
    assert!(!ran.stderr.contains("is a test of"), "{}", ran.stderr);
}

#[test]
fn a_matrix_gives_each_of_its_tests_values_of_its_own() {
    let system = System::of(SIX);
    let told = system.run(0, &["--select", "checkout"]);
    let printed: Vec<&str> = told.names().iter().map(|name| told.output(name).trim()).collect::<Vec<_>>();
    assert_eq!(printed, ["15-a", "16-a", "16-b", "17-b"]);
    assert_eq!(system.sandbox.result("checkout_db=15_os=a/attempt-1.log"), "15-a\n");
}

#[test]
fn the_parts_of_a_suite_add_up_to_the_whole() {
    let mut system = System::of(SIX);
    let whole: BTreeSet<String> = system.run(0, &[]).names().into_iter().collect();
    let recorded = system.sandbox.state();
    for kind in ["slice", "hash", "time"] {
        let mut found = Vec::new();
        for part in 1..=3 {
            // Each part runs on a machine of its own, with what is recorded so far.
            let state = recorded.with_file_name(format!("state-{kind}-{part}"));
            assert!(Command::new("cp").arg("-R").args([&recorded, &state]).status().unwrap().success());
            system.sandbox.set("DOCKER_TEST_STATE_DIR", &state.display().to_string());
            let told = system.try_run(&["--partition", &format!("{kind}:{part}/3")]);
            let names = told.names();
            told.ran.assert_code(if names.is_empty() { 4 } else { 0 });
            found.extend(names);
        }
        assert_eq!(found.len(), whole.len(), "{kind}: {found:?}");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), whole, "{kind}");
    }
    // A part without tests says so, and gives a report that can be merged.
    let told = system.run(4, &["--partition", "slice:9/9", "--report", "junit=junit.xml"]);
    told.ran.assert_stderr("none is in part slice:9/9");
    assert_eq!((&told.report["schema"], &told.report["tests"]), (&1.into(), &serde_json::json!([])));
    assert!(system.sandbox.path().join("junit.xml").exists());
}

#[test]
fn a_shuffle_repeats_itself_and_a_repetition_has_a_name() {
    let system = System::of(SIX);
    let order = |seed: &str| system.run(0, &["--shuffle", seed, "-j", "1"]).names();
    let first = order("7");
    assert_eq!(first, order("7"));
    assert!((8..12).any(|seed| order(&seed.to_string()) != first), "no seed gives another order");
    let told = system.run(0, &["--repeat", "3", "--select", "cart"]);
    assert_eq!(told.names(), ["cart [1]", "cart [2]", "cart [3]"]);
    for number in 1..=3 {
        let directory = told.test(&format!("cart [{number}]"))["results_dir"].as_str().unwrap();
        assert!(directory.ends_with(&format!("tests/results/cart__{number}/attempt-1")), "{directory}");
        assert!(Path::new(directory).is_dir());
    }
    // History knows one test, which ran three times.
    let ran = system.sandbox.expect(0, &["history", "tests", "--format", "json"]);
    ran.assert_stdout("cart");
    assert!(!ran.stdout.contains("cart [1]"), "{}", ran.stdout);
}

#[test]
fn what_a_selected_test_needs_is_run_with_it() {
    let system = System::of(
        r#"
tests:
  first: { image: IMAGE, command: ["true"] }
  broken: { image: IMAGE, command: ["false"] }
  second: { image: IMAGE, needs: [first], command: ["true"] }
  third: { image: IMAGE, needs: [broken, second], command: ["true"] }
  fourth: { image: IMAGE, needs: [third], command: ["true"] }
"#,
    );
    system.run(0, &["--select", "second"]).assert_outcomes(&[("first", "passed"), ("second", "passed")]);
    let told = system.run(1, &[]);
    told.assert_outcomes(&[
        ("first", "passed"),
        ("broken", "failed"),
        ("second", "passed"),
        ("third", "dependency_failed"),
        ("fourth", "dependency_failed"),
    ]);
    assert_eq!(told.test("third")["cause"]["service"], "broken");
    assert_eq!(told.test("fourth")["attempts"], serde_json::json!([]));
    assert!(told.time("second").0 >= told.time("first").1, "it waits for what it needs");
    assert_eq!(told.report["outcome"], "failed", "what only follows does not count");
}
