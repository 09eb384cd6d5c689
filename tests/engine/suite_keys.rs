//! What the keys of a test mean: for its container, its image, its results and its verdict.

use serde_json::json;

use crate::suite_system::System;
use crate::support::{BASE, docker};

#[test]
fn the_container_is_as_the_test_says() {
    let system = System::of(
        r#"
tests:
  words: { image: IMAGE, entrypoint: [echo, entry], command: "one 'two three'" }
  reset: { image: IMAGE, entrypoint: [], command: [echo, plain] }
  user: { image: IMAGE, user: "1234:5678", workdir: /srv/new, command: [sh, -c, 'id -u; id -g; pwd; echo x >/var/tests/results/x'] }
  mounts:
    image: IMAGE
    mounts:
      - ./data:/data:ro
      - { type: tmpfs, dst: /scratch, tmpfs-size: 64k }
      - type=bind,src=./data,dst=/again
    command: [sh, -c, 'cat /data/word /again/word; touch /data/no 2>/dev/null || echo read-only; df -k /scratch | tail -n 1 | awk "{print \$2}"']
  limits: { image: IMAGE, resources: { memory: 64m, cpus: 0.5, pids: 50 }, command: [cat, /proc/self/status] }
  options: { image: IMAGE, options: { hostname: box, read-only: true, cap-drop: [ALL], tmpfs: [/x] }, command: [sh, -c, 'hostname; touch /no 2>&1; grep CapEff /proc/self/status'] }
  platform: { image: IMAGE, platform: linux/amd64, command: [uname, -m] }
"#,
    );
    system.sandbox.write("data/word", "word\n");
    let told = system.run(0, &["--keep", "always", "--select", "!options"]);
    let kept: Vec<&str> = told.ran.stderr.lines().filter_map(|line| line.strip_prefix("kept: ")).collect();
    let limits: Vec<String> = kept
        .iter()
        .map(|name| {
            docker(&[
                "inspect",
                "-f",
                "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}",
                name,
            ])
        })
        .collect();
    assert!(limits.iter().any(|text| text.trim() == "67108864 500000000 50"), "{limits:?}");
    system.sandbox.expect(0, &["prune", told.report["run_id"].as_str().unwrap()]);
    assert_eq!(told.output("words"), "entry one two three\n");
    assert_eq!(told.output("reset"), "plain\n");
    assert_eq!(told.output("user"), "1234\n5678\n/srv/new\n");
    assert_eq!(told.output("mounts"), "word\nword\nread-only\n64\n");
    assert_eq!(told.output("platform"), "x86_64\n");
    let told = system.run(0, &["--select", "options"]);
    let output = told.output("options");
    assert!(output.starts_with("box\n") && output.contains("Read-only"), "{output}");
    assert!(output.contains("CapEff:\t0000000000000000"), "{output}");
    assert_eq!(system.sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn images_are_built_with_their_arguments_and_stage() {
    let system = System::of(
        r"
tests:
  plain: { build: ./plain }
  staged:
    build: { context: ./staged, dockerfile: Other, target: two, args: { WORD: hello, OUTSIDE: } }
  broken: { build: ./broken }
  missing: { build: ./nowhere }
",
    );
    let from = format!("FROM {BASE}\n");
    let sandbox = &system.sandbox;
    sandbox.write(
        "plain/Dockerfile",
        &format!("{from}RUN echo built >/built\nONTEST COPY case /case\nONTEST CMD cat /built /case\n"),
    );
    sandbox.write("plain/case", "case\n");
    sandbox.write(
        "staged/Other",
        &format!("{from}AS one\n{from}AS two\nARG WORD\nARG OUTSIDE\nRUN echo $WORD $OUTSIDE >/word\nLABEL test.cmd=\"cat /word\"\n{from}AS three\n").replace("\nAS", " AS"),
    );
    sandbox.write("broken/Dockerfile", &format!("{from}RUN exit 7\n"));
    let mut system = system;
    system.sandbox.set("OUTSIDE", "there");
    let told = system.run(125, &[]);
    assert_eq!(told.output("plain"), "built\ncase\n");
    assert_eq!(told.output("staged"), "hello there\n");
    assert_eq!((told.outcome("broken"), told.outcome("missing")), ("not_started", "not_started"));
    let cause = told.test("missing")["cause"]["message"].as_str().unwrap();
    assert!(cause.contains("nowhere"), "{cause}");
    // What is built for the run goes with it.
    let images = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    let run = told.report["run_id"].as_str().unwrap();
    assert!(!images.contains(run), "{images}");
    assert_eq!(system.sandbox.leftovers(), Vec::<String>::new());
}

const CASES: &str = r#"echo "<testsuite name='s'><testcase name='a'/><testcase name='b'><failure message='no'/></testcase></testsuite>" >/out/junit.xml"#;

#[test]
fn the_verdict_is_of_what_the_test_trusts() {
    let system = System::of(&format!(
        r#"
tests:
  both: {{ image: IMAGE, results: /out, command: [sh, -c, "{cases}"] }}
  exit: {{ image: IMAGE, results: /out, trust: exit, command: [sh, -c, "{cases}"] }}
  report: {{ image: IMAGE, results: /out, trust: report, command: [sh, -c, "{cases}; sed -i s/failure/skipped/ /out/junit.xml; exit 3"] }}
  silent: {{ image: IMAGE, no-tests: fail, command: ["true"] }}
  content: {{ image: IMAGE, no-tests: pass, command: ["true"] }}
"#,
        cases = CASES.replace('"', "\\\"")
    ));
    let told = system.run(1, &[]);
    told.assert_outcomes(&[
        ("both", "failed"),
        ("exit", "passed"),
        ("report", "passed"),
        ("silent", "failed"),
        ("content", "passed"),
    ]);
    assert_eq!(told.test("both")["cause"], json!({"kind": "failed_cases", "failed": 1}));
    assert_eq!(told.test("silent")["cause"], json!({"kind": "no_tests"}));
    assert_eq!(told.test("content")["warnings"], json!([]));
    assert!(system.sandbox.result("both/attempt-1/junit.xml").contains("testcase"));
    // The command line has the last word.
    let told = system.run(0, &["--trust", "exit", "--no-tests", "pass", "--select", "!report"]);
    assert!(told.names().iter().all(|name| told.outcome(name) == "passed"), "{:#}", told.report);
}

#[test]
fn flags_win_over_variables_these_over_the_test_and_this_over_the_defaults() {
    let mut system = System::of(
        r#"
defaults:
  env: [A=default, B=default, C=default]
  user: "11"
  label: [who=default, only=default]
tests:
  plain: { image: IMAGE, command: [sh, -c, 'echo $A $B $C $D; id -u'] }
  own:
    image: IMAGE
    env: { B: test, C: test, D: }
    user: "22"
    labels: { who: test }
    command: [sh, -c, 'echo $A $B $C $D; id -u']
  options: { image: IMAGE, options: { user: "33", env: [A=options] }, command: [sh, -c, 'echo $A $B $C; id -u'] }
"#,
    );
    system.sandbox.set("D", "outside");
    let told = system.run(0, &[]);
    assert_eq!(told.output("plain"), "default default default\n11\n");
    assert_eq!(told.output("own"), "default test test outside\n22\n");
    assert_eq!(told.output("options"), "options\n33\n", "a list replaces the lower one");
    let told = system.run(0, &["-e", "C=flag", "--user", "44", "--select", "!options"]);
    assert_eq!(told.output("plain"), "flag\n44\n");
    assert_eq!(told.output("own"), "test flag outside\n44\n");
    system.sandbox.set("DOCKER_TEST_USER", "55").set("DOCKER_TEST_ENV", "B=variable");
    let told = system.run(0, &["-e", "C=flag"]);
    assert_eq!(told.output("own"), "test flag outside\n55\n");
    let told = system.run(0, &[]);
    assert_eq!(told.output("own"), "variable test outside\n55\n");
    assert_eq!(told.output("options"), "variable\n55\n");
    let told = system.run(0, &["--user", "66", "--keep", "always", "--select", "own"]);
    assert_eq!(told.output("own"), "variable test outside\n66\n");
    let kept = told.ran.stderr.lines().find_map(|line| line.strip_prefix("kept: ")).unwrap();
    let labels = docker(&[
        "inspect",
        "-f",
        "{{index .Config.Labels \"who\"}} {{index .Config.Labels \"only\"}}",
        kept,
    ]);
    system.sandbox.expect(0, &["prune", told.report["run_id"].as_str().unwrap()]);
    assert_eq!(labels, "test default\n");
}

#[test]
fn a_command_after_two_dashes_is_that_of_every_test() {
    let system = System::of("tests:\n  a: { image: IMAGE, command: [\"false\"] }\n  b: { image: IMAGE }\n");
    let told = system.run(0, &["--", "echo", "instead"]);
    assert_eq!((told.output("a"), told.output("b")), ("instead\n", "instead\n"));
}

#[test]
fn what_is_wrong_with_a_suite_is_said_with_its_place_before_anything_runs() {
    let system = System::new();
    for (suite, place) in [
        ("tests:\n  a: { imge: IMAGE }\n", "docker-test.yaml:3:"),
        ("tests:\n  a: { image: IMAGE, needs: [nobody] }\n", "docker-test.yaml:3:"),
        ("tests:\n  a: { image: IMAGE, secrets: [NOT_SET_ANYWHERE] }\n", "docker-test.yaml:3:"),
        ("tests:\n  a: { image: IMAGE, options: { nonsense: 1 } }\n", "docker-test.yaml:3:"),
        ("tests:\n  a: { image: IMAGE, options: { timeout: soon } }\n", "docker-test.yaml:3:"),
        ("tests:\n  a: { image: IMAGE, env: { X: \"${NOT_SET_ANYWHERE}\" } }\n", "docker-test.yaml:3:"),
        ("tests:\n  a: { image: 'Not/Valid:' }\n", "docker-test.yaml:3:"),
        (
            "tests:\n  a: { image: IMAGE, needs: [b] }\n  b: { image: IMAGE, needs: [a] }\n",
            "docker-test.yaml:",
        ),
    ] {
        system.suite(suite);
        let told = system.run(125, &[]);
        told.ran.assert_stderr(place);
        assert!(!system.sandbox.path().join("tests").exists(), "{suite}");
    }
}
