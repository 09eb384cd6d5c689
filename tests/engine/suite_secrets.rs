//! Secrets of a suite: given to tests and services by name, and seen nowhere else.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::suite_system::System;
use crate::support::docker;

/// Characters that every encoding changes.
const TOKEN: &str = "p@ss/w0rd+x y&z=1!";
const TOKEN_IN_URLS: &str = "p%40ss%2Fw0rd%2Bx%20y%26z%3D1%21";
const KEY: &str = "-----BEGIN KEY-----\nMIIfirstline0123\nMIIsecondline456\n-----END KEY-----\n";

/// Everything that may not hold a secret, and forms of all of them.
fn traces(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let forms = [
        TOKEN,
        TOKEN_IN_URLS,
        "cEBzcy93MHJkK3",
        "BAc3MvdzByZCt4",
        "wQHNzL3cwcmQre",
        "MIIfirstline0123",
        "MIIsecondline456",
        "db-passw0rd-secret",
    ];
    let mut waiting = vec![directory.to_owned()];
    while let Some(path) = waiting.pop() {
        for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
                continue;
            }
            let text = String::from_utf8_lossy(&fs::read(entry.path()).unwrap_or_default()).into_owned();
            let hits = forms.iter().filter(|form| text.contains(**form));
            found.extend(hits.map(|form| format!("{form} in {}", entry.path().display())));
        }
    }
    found
}

const SUITE: &str = r#"
services:
  db:
    image: IMAGE
    secrets: [DB_PASSWORD, { CERT: { file: ./key.pem, as: file } }]
    command: [sh, -c, 'echo service $DB_PASSWORD; cat /run/secrets/CERT; echo up; sleep 600']
    ready: { log: up }
tests:
  leaky:
    image: IMAGE
    needs: [db]
    secrets:
      TOKEN: { env: STAGING }
      KEY: { file: ./key.pem, as: file }
      ENV_FILE: { env: STAGING, as: file }
    env: { URL: "https://x/?t=p%40ss%2Fw0rd%2Bx%20y%26z%3D1%21" }
    command:
      - sh
      - -c
      - |
        echo "plain $TOKEN"; echo "plain $TOKEN" >&2
        printf %s "$TOKEN" | base64
        printf %s "a:$TOKEN" | base64
        printf %s "ab:$TOKEN" | base64
        cat /run/secrets/KEY; base64 /run/secrets/KEY
        echo $URL
        test "$(cat /run/secrets/ENV_FILE)" = "$TOKEN" && echo same
        ls -l /run/secrets | wc -l
        echo "<testsuite name='s'><testcase name='$TOKEN'><failure message='$TOKEN'>$(cat /run/secrets/KEY)</failure></testcase></testsuite>" >/var/tests/results/junit.xml
        exit 1
"#;

#[test]
fn a_secret_reaches_the_test_and_nothing_that_is_written_or_said() {
    let mut system = System::of(SUITE);
    system.sandbox.set("STAGING", TOKEN).set("DB_PASSWORD", "db-passw0rd-secret");
    system.sandbox.write("key.pem", KEY);
    let mut words = vec!["--progress", "plain"];
    let reports = [
        "junit=r/junit.xml",
        "markdown=r/m.md",
        "html=r/r.html",
        "tap=r/t.tap",
        "gitlab=r/g.json",
        "github=r/g.txt",
    ];
    words.extend(reports.iter().flat_map(|report| ["--report", report]));
    let told = system.run(1, &words);
    let output = told.output("leaky");
    assert!(output.contains("plain ***") && output.contains("same\n"), "{output}");
    let log = system.sandbox.result("leaky/attempt-1.log");
    assert!(log.contains("plain ***") && log.contains("same\n"), "{log}");
    let service = system.sandbox.result("services/db.log");
    assert!(service.contains("service ***"), "{service}");
    // Files that a test leaves are its own, as it left them: the rest says nothing.
    let left = system.sandbox.path().join("tests/results/leaky/attempt-1/junit.xml");
    assert!(left.exists());
    fs::remove_file(left).unwrap();
    fs::remove_file(system.sandbox.path().join("key.pem")).unwrap();
    fs::remove_file(system.sandbox.path().join("docker-test.yaml")).unwrap();
    system.sandbox.write("stdout", &told.ran.stdout);
    system.sandbox.write("stderr", &told.ran.stderr);
    assert_eq!(traces(system.sandbox.path().parent().unwrap()), Vec::<String>::new());
    // Nor does the test image.
    let image = told.test("leaky")["test_image"].as_str().unwrap();
    let made = docker(&["history", "--no-trunc", image]) + &docker(&["image", "inspect", image]);
    assert!(!made.contains(TOKEN) && !made.contains("MIIfirst"), "{made}");
    assert_eq!(system.sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn events_hide_what_output_would_show() {
    let mut system = System::of(SUITE);
    system.sandbox.set("STAGING", TOKEN).set("DB_PASSWORD", "db-passw0rd-secret");
    system.sandbox.write("key.pem", KEY);
    let ran = system.sandbox.expect(1, &["run", "--format", "json"]);
    assert!(ran.stdout.contains("plain ***"), "{}", ran.stdout);
    for secret in [TOKEN, "MIIfirstline0123", "db-passw0rd-secret", "cEBzcy93MHJkK3"] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{secret}: {}", ran.stdout);
    }
}

#[test]
fn a_kept_container_has_no_secret_file_and_never_had_it_in_its_configuration() {
    let mut system = System::of(
        r#"
tests:
  kept:
    image: IMAGE
    user: "1234"
    secrets: { KEY: { file: ./key.pem, as: file } }
    command: [sh, -c, 'grep -c MII /run/secrets/KEY; ls -l /run/secrets/KEY | cut -c1-10; ls -ld /run/secrets | cut -c1-10; exit 1']
"#,
    );
    system.sandbox.set("UNUSED", "x");
    system.sandbox.write("key.pem", KEY);
    let told = system.run(1, &["--keep", "failed"]);
    let output = told.output("kept");
    assert!(output.starts_with("2\n"), "{output}");
    let kept = told.ran.stderr.lines().find_map(|line| line.strip_prefix("kept: ")).unwrap().to_owned();
    let inspected = docker(&["inspect", &kept]);
    assert!(!inspected.contains("MIIfirst"), "{inspected}");
    let copied =
        Command::new("docker").args(["cp", &format!("{kept}:/run/secrets/KEY"), "-"]).output().unwrap();
    let copied = String::from_utf8_lossy(&copied.stdout).into_owned();
    // Started again, it may find an empty file, or none.
    let again = Command::new("docker").args(["start", "-a", &kept]).output().unwrap();
    let again = String::from_utf8_lossy(&again.stdout).into_owned();
    system.sandbox.expect(0, &["prune", told.report["run_id"].as_str().unwrap()]);
    assert!(!copied.contains("MII"), "{copied}");
    assert!(!again.starts_with('2'), "{again}");
}

#[test]
fn a_secret_that_is_not_there_is_named_and_a_value_in_the_file_is_refused() {
    let system =
        System::of("tests:\n  a: { image: IMAGE, secrets: { KEY: { file: ./gone.pem, as: file } } }\n");
    let told = system.run(125, &[]);
    told.ran.assert_stderr("gone.pem");
    told.ran.assert_stderr("docker-test.yaml:3:");
    system.suite("tests:\n  a: { image: IMAGE, secrets: { KEY: hunter2hunter2 } }\n");
    let told = system.run(125, &[]);
    assert!(!told.ran.stderr.contains("hunter2"), "{}", told.ran.stderr);
}
