//! What runs beside what, and who has a network: by type, and as the suite and the command line say.

use crate::suite_system::{System, Told};

/// Whether two tests ran at the same time.
fn overlap(told: &Told, one: &str, other: &str) -> bool {
    let ((from, to), (other_from, other_to)) = (told.time(one), told.time(other));
    from < other_to && other_from < to
}

const LONG: &str = r#"command: [sh, -c, "sleep 3"]"#;

#[test]
fn integration_tests_run_beside_one_another_and_one_at_a_time_where_that_is_wanted() {
    let system = System::of(&format!(
        "tests:\n  a: {{ image: IMAGE, {LONG} }}\n  b: {{ image: IMAGE, {LONG} }}\n  c: {{ image: IMAGE, {LONG} }}\n"
    ));
    let told = system.run(0, &["-j", "3"]);
    assert!(overlap(&told, "a", "b") && overlap(&told, "b", "c"), "{:#}", told.report);
    let slots: std::collections::BTreeSet<u64> =
        ["a", "b", "c"].map(|name| told.test(name)["attempts"][0]["slot"].as_u64().unwrap()).into();
    assert_eq!(slots, [1, 2, 3].into());
    let told = system.run(0, &["-j", "1"]);
    for (one, other) in [("a", "b"), ("b", "c"), ("a", "c")] {
        assert!(!overlap(&told, one, other), "{one} {other}: {:#}", told.report);
    }
    for name in ["a", "b", "c"] {
        assert_eq!(told.test(name)["attempts"][0]["slot"], 1);
    }
}

#[test]
fn performance_is_exclusive_and_chaos_alone() {
    let system = System::of(&format!(
        r"
tests:
  chaos1: {{ image: IMAGE, type: chaos, {LONG} }}
  load1: {{ image: IMAGE, type: performance, {LONG} }}
  a: {{ image: IMAGE, {LONG} }}
  load2: {{ image: IMAGE, type: performance, {LONG} }}
  b: {{ image: IMAGE, type: integration, {LONG} }}
"
    ));
    let told = system.run(0, &["-j", "5"]);
    assert!(overlap(&told, "a", "b"), "{:#}", told.report);
    let all = ["a", "b", "load1", "load2", "chaos1"];
    for exclusive in ["load1", "load2", "chaos1"] {
        for other in all.iter().filter(|name| **name != exclusive) {
            assert!(!overlap(&told, exclusive, other), "{exclusive} {other}: {:#}", told.report);
        }
    }
    assert!(told.time("chaos1").0 >= told.time("load2").0, "chaos comes last");
}

#[test]
fn a_suite_changes_the_policy_of_a_type_and_of_a_test() {
    let system = System::of(&format!(
        r"
policy:
  chaos: {{ alone: false }}
  smoke: {{ exclusive: true }}
tests:
  load: {{ image: IMAGE, type: performance, exclusive: false, {LONG} }}
  monkey: {{ image: IMAGE, type: chaos, {LONG} }}
  a: {{ image: IMAGE, {LONG} }}
  smoke: {{ image: IMAGE, type: smoke, {LONG} }}
"
    ));
    let told = system.run(0, &["-j", "4"]);
    assert!(overlap(&told, "load", "a") && overlap(&told, "a", "monkey"), "{:#}", told.report);
    for other in ["load", "monkey", "a"] {
        assert!(!overlap(&told, "smoke", other), "{other}: {:#}", told.report);
    }
}

#[test]
fn an_image_says_its_type_itself() {
    let system = System::new();
    let build = |name: &str, kind: &str| {
        let base = crate::support::BASE;
        system.sandbox.docker_build(name, &format!("FROM {base}\nLABEL test.type={kind}\n"))
    };
    let (load, scan) = (build("load", "performance"), build("scan", "security"));
    system.suite(&format!(
        r#"
tests:
  load: {{ image: "{load}", {LONG} }}
  a: {{ image: IMAGE, {LONG} }}
  scan: {{ image: "{scan}", command: [ls, /sys/class/net] }}
"#
    ));
    let told = system.run(0, &["-j", "4"]);
    assert!(!overlap(&told, "load", "a"), "{:#}", told.report);
    assert_eq!(told.test("load")["type"], "performance");
    assert_eq!(told.output("scan"), "lo\n");
}

#[test]
fn security_has_no_network_unless_it_is_granted() {
    let system = System::of(
        r"
networks: { back: create }
tests:
  none: { image: IMAGE, type: security, command: [ls, /sys/class/net] }
  named: { image: IMAGE, type: security, network: default, command: [ls, /sys/class/net] }
  other: { image: IMAGE, type: security, network: back, command: [ls, /sys/class/net] }
  both: { image: IMAGE, network: [back, default], command: [ls, /sys/class/net] }
  plain: { image: IMAGE, command: [ls, /sys/class/net] }
  cut: { image: IMAGE, network: none, command: [ls, /sys/class/net] }
",
    );
    let told = system.run(0, &[]);
    let has = |name: &str| told.output(name).split_whitespace().filter(|device| *device != "lo").count();
    let devices = ["none", "named", "other", "both", "plain", "cut"].map(has);
    assert_eq!(devices, [0, 1, 1, 2, 1, 0], "{:#}", told.report);

    system.suite(
        r"
policy: { security: { network: granted } }
tests:
  granted: { image: IMAGE, type: security, command: [ls, /sys/class/net] }
  refused: { image: IMAGE, type: security, network: none, command: [ls, /sys/class/net] }
",
    );
    let told = system.run(0, &[]);
    assert!(told.output("granted").contains("eth0"), "{}", told.output("granted"));
    assert_eq!(told.output("refused"), "lo\n");
    // The command line has the last word.
    let told = system.run(0, &["--network", "none"]);
    assert_eq!(told.output("granted"), "lo\n");
    assert_eq!(system.sandbox.leftovers(), Vec::<String>::new());
}
