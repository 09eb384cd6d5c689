//! What becomes of a run where something that it was handed cannot take or give what it should: a full stdout, a
//! limit that cuts a report, a shell that nobody judges.

use std::fs::OpenOptions;

use crate::live::{plain, run_ids, script};
use crate::support::{Ran, Sandbox, docker};

#[test]
fn a_stdout_that_does_not_take_the_output_is_an_error_and_the_verdict_is_told() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    for format in ["text", "json"] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = sandbox.command(&script(&["--format", format], &image, "echo out"));
        let ran = Ran::from(command.stdout(full).output().unwrap());
        ran.assert_code(125);
        ran.assert_stderr("PASSED");
        ran.assert_stderr("docker-test: cannot write to standard output\n  because: No space left on device");
    }
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    for arguments in [&["--dry-run"][..], &["--report", "json=-"]] {
        let mut command = sandbox.command(&script(arguments, &image, "true"));
        let ran = Ran::from(command.stdout(full()).output().unwrap());
        ran.assert_code(125);
        ran.assert_stderr("No space left on device");
    }
    for arguments in [&["inspect", &image, "--", "true"][..], &["generate", &image, "--", "true"]] {
        Ran::from(sandbox.command(arguments).stdout(full()).output().unwrap()).assert_code(125);
    }
}

#[test]
fn a_report_that_the_limit_cuts_is_an_error_and_no_failed_test() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let shell = "cd /var/tests/results; { echo '<testsuite name=\"s\"><testcase name=\"a\"/><system-out>'; head -c 3000000 /dev/zero | tr '\\0' x; echo '</system-out></testsuite>'; } > junit.xml";
    let ran = sandbox.expect(125, &script(&["--results-limit", "1m"], &image, shell));
    ran.assert_stderr("the results are larger than --results-limit (1 MiB) and were cut");
    sandbox.expect(1, &script(&["--results-limit", "1m"], &image, &format!("{shell}; exit 3")));
}

#[test]
fn a_quiet_run_whose_build_fails_shows_what_the_builder_said() {
    for builder in ["1", "0"] {
        let mut sandbox = Sandbox::new();
        sandbox.set("DOCKER_BUILDKIT", builder);
        let image = plain(&sandbox);
        sandbox.write(
            "Dockerfile.test",
            "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nRUN echo no such package && exit 7\nCMD [\"true\"]\n",
        );
        let ran = sandbox.expect(125, &["-q", &image]);
        ran.assert_stderr("  | no such package\n");
        assert!(!ran.stderr.contains("testing "), "{}", ran.stderr);
    }
}

#[test]
fn a_shell_whose_container_is_kept_says_where_it_is() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let mut command = sandbox.command(&["--shell", "--keep", "always", &image]);
    command.env("DOCKER_TEST_REPORT", "json=run.json");
    let ran = Ran::from(piped(command, b"exit 4\n"));
    for run in run_ids(&ran.stderr) {
        docker(&["rm", "-fv", &format!("docker-test-kept-{run}")]);
    }
    ran.assert_code(4);
    ran.assert_stderr("kept: docker-test-kept-");
    // A shell has no verdict.
    assert!(!ran.stderr.to_lowercase().contains("failed"), "{}", ran.stderr);
    assert!(!sandbox.path().join("run.json").exists());
}

fn piped(mut command: std::process::Command, input: &[u8]) -> std::process::Output {
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn an_entrypoint_that_is_given_runs_as_the_plan_says() {
    let sandbox = Sandbox::new();
    let image = sandbox.build(
        "spoken",
        "FROM docker-test-base/busybox:1\nONTEST CMD [\"/bin/sh\", \"-c\", \"echo from the recipe\"]\n",
    );
    let ran = sandbox.expect(0, &["--entrypoint", "/bin/echo", &image]);
    assert_eq!(ran.stdout, "\n");
    ran.assert_stderr("--entrypoint takes the CMD of the recipe away");
    let ran = sandbox.expect(0, &["inspect", "--entrypoint", "/bin/echo", &image]);
    ran.assert_stdout("runs        /bin/echo\n");
}
