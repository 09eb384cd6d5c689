//! How a run ends, and the exit code that says so.

use crate::live::{Live, assert_clean, image_with, plain, script};
use crate::support::{Ran, Sandbox, docker};

#[track_caller]
fn ends_with(code: i32, flags: &[&str], shell: &str) -> Ran {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let ran = sandbox.expect(code, &script(flags, &image, shell));
    assert_clean(&ran.stderr);
    ran
}

#[test]
fn a_test_that_ends_with_0_exits_with_0() {
    ends_with(0, &[], "exit 0");
}

#[test]
fn any_other_code_exits_with_1_and_is_named() {
    ends_with(1, &[], "exit 3").assert_stderr("exit code 3");
}

#[test]
fn the_containers_own_code_is_handed_on_when_asked() {
    ends_with(42, &["--propagate-exit-code"], "exit 42");
}

#[test]
fn a_test_over_its_time_exits_with_124_even_when_it_ends_well_on_the_stop_signal() {
    let ran = ends_with(124, &["--timeout", "1s"], "trap 'exit 0' TERM; sleep 60 & wait");
    ran.assert_stderr("ran longer than 1s");
}

#[test]
fn the_containers_own_code_is_not_handed_on_where_the_time_was_over() {
    let flags = ["--timeout", "1s", "--grace-period", "0s", "--propagate-exit-code"];
    ends_with(124, &flags, "sleep 60");
}

#[test]
fn an_unknown_flag_and_a_wrong_value_exit_with_125() {
    let sandbox = Sandbox::new();
    for arguments in
        [["run", "--no-such-flag", "x:1"], ["run", "--timeout=soon", "x:1"], ["run", "-m=lots", "x:1"]]
    {
        sandbox.expect(125, &arguments);
    }
}

#[test]
fn an_image_that_is_nowhere_exits_with_125_and_names_it() {
    let sandbox = Sandbox::new();
    let missing = sandbox.image("missing");
    sandbox.expect(125, &["run", "--pull", "never", &missing]).assert_stderr(&missing);
    assert!(!sandbox.path().join("tests/results").exists());
}

#[test]
fn a_build_that_fails_exits_with_125_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    let image = image_with(&sandbox, "");
    sandbox.write(
        "Dockerfile.test",
        "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nRUN echo made-a-mess && exit 9\nCMD [\"true\"]\n",
    );
    let ran = sandbox.expect(125, &[&image]);
    ran.assert_stderr("Dockerfile.test");
    ran.assert_stderr("made-a-mess");
    assert_clean(&ran.stderr);
    assert_eq!(docker(&["images", "-q", &format!("{image}-test")]), "");
}

#[test]
fn a_build_that_takes_too_long_exits_with_125() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    sandbox.write("Dockerfile.test", "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nRUN sleep 60\nCMD [\"true\"]\n");
    let ran = sandbox.expect(125, &["run", "--build-timeout", "1s", &image]);
    ran.assert_stderr("1s");
    assert_clean(&ran.stderr);
}

#[test]
fn a_command_that_is_not_there_exits_with_127() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    for command in ["/no/such/command", "no-such-command"] {
        let ran = sandbox.expect(127, &[&image, "--", command]);
        ran.assert_stderr("not in the image");
        assert_clean(&ran.stderr);
    }
}

#[test]
fn a_command_that_cannot_be_executed_exits_with_126() {
    let sandbox = Sandbox::new();
    let image =
        image_with(&sandbox, "RUN printf 'no program' > /data && chmod 755 /data && mkdir /directory\n");
    // The kernel refuses the last one only after the engine counts the container as started.
    for command in ["/etc/passwd", "/directory", "/data"] {
        let ran = sandbox.expect(126, &[&image, "--", command]);
        ran.assert_stderr("cannot be executed");
        assert_clean(&ran.stderr);
    }
}

#[test]
fn a_script_whose_interpreter_is_missing_exits_with_127() {
    let sandbox = Sandbox::new();
    let image = image_with(&sandbox, "RUN printf '#!/bin/nonsense' > /test.sh && chmod 755 /test.sh\n");
    let ran = sandbox.expect(127, &[&image, "--", "/test.sh"]);
    ran.assert_stderr("NOT STARTED");
}

#[test]
fn what_the_shell_says_about_its_command_counts_as_well() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    // A program that has no shell under it may have chosen the code.
    for code in ["127", "126"] {
        let ran = sandbox.expect(code.parse().unwrap(), &script(&[], &image, &format!("exit {code}")));
        ran.assert_stderr(&format!("the test ended with exit code {code}, which stands for a command that"));
        assert!(!ran.stderr.contains("the shell"), "{}", ran.stderr);
    }
    sandbox.expect(127, &script(&[], &image, "no-such-command"));
    sandbox.expect(126, &script(&[], &image, "/etc/passwd"));
}

#[test]
fn a_container_that_the_engine_refuses_exits_with_125_and_says_why() {
    let ran = ends_with(125, &["--cpus", "100000"], "true");
    ran.assert_stderr("CPU");
}

#[test]
fn a_container_that_cannot_start_for_another_reason_exits_with_125() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let ran = sandbox.expect(125, &script(&["--sysctl", "net.nonsense=1"], &image, "true"));
    ran.assert_stderr("nonsense");
    assert_clean(&ran.stderr);
}

#[test]
fn a_test_that_eats_all_its_memory_is_out_of_memory_and_its_files_come_out() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let eater = "echo started > /var/tests/results/log; exec tail /dev/zero";
    let ran = sandbox.expect(1, &script(&["--format", "json", "-m", "16m"], &image, eater));
    let finished = ran.events().into_iter().find(|event| event["event"] == "test_finished").unwrap();
    assert_eq!(finished["outcome"], "out_of_memory");
    assert_eq!(finished["cause"]["limit"], 16 << 20);
    ran.assert_stderr("16 MiB");
    assert_eq!(sandbox.result("log"), "started\n");
    assert_clean(&ran.stderr);
}

#[test]
fn a_child_that_ran_out_of_memory_is_a_warning_where_the_test_passed() {
    let ran = ends_with(0, &["-m", "16m"], "tail /dev/zero || true; exit 0");
    ran.assert_stderr("want of memory");
}

#[test]
fn a_test_killed_from_outside_is_killed_by_a_signal_and_not_out_of_memory() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let name = sandbox.name("victim");
    let flags = ["--format", "json", "--name", &name];
    let live = Live::start(sandbox.command(&script(&flags, &image, "echo up; sleep 60")));
    live.prints("up");
    docker(&["kill", &name]);
    let ran = live.finish();
    ran.assert_code(1);
    let finished = ran.events().into_iter().find(|event| event["event"] == "test_finished").unwrap();
    assert_eq!(finished["outcome"], "failed");
    assert_eq!(finished["cause"], serde_json::json!({"kind": "killed_by_signal", "signal": 9}));
    assert_clean(&ran.stderr);
}

#[test]
fn a_container_removed_under_a_run_is_an_error_and_no_pass() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let name = sandbox.name("stolen");
    let live = Live::start(sandbox.command(&script(&["--name", &name], &image, "echo up; sleep 60")));
    live.prints("up");
    docker(&["rm", "-fv", &name]);
    let ran = live.finish();
    // The engine says so first, or the end by SIGKILL.
    let removed = ran.code == 125 && ran.stderr.contains("the container was removed while the test ran");
    let killed = ran.code == 1 && ran.stderr.contains("SIGKILL");
    assert!(removed || killed, "{}: {}", ran.code, ran.stderr);
    assert_clean(&ran.stderr);
}

#[test]
fn a_name_that_is_taken_exits_with_125_and_the_other_container_stays() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let name = sandbox.name("taken");
    docker(&["create", "--name", &name, &image, "true"]);
    let ran = sandbox.expect(125, &script(&["--name", &name], &image, "true"));
    ran.assert_stderr(&name);
    assert_eq!(docker(&["ps", "-aq", "--filter", &format!("name=^{name}$")]).lines().count(), 1);
}
