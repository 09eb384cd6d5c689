//! Stopping: the image's signal, the time of grace, and the signals that docker-test gets itself.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::live::{Live, assert_clean, eventually, image_with, plain, remains, run_ids, script};
use crate::support::{Sandbox, docker};

/// Says which signal it got, in its results, and ends well.
const TELLS: &str = "for s in TERM INT HUP USR1 QUIT; do trap \"echo $s > /var/tests/results/got; exit 0\" $s; done; echo up; while :; do sleep 0.1; done";

/// Hears nothing.
const DEAF: &str =
    "trap '' TERM INT HUP; echo x > /var/tests/results/file; echo up; while :; do sleep 0.1; done";

#[test]
fn the_images_own_stop_signal_asks_a_test_to_end_when_its_time_is_over() {
    let sandbox = Sandbox::new();
    let image = image_with(&sandbox, "STOPSIGNAL SIGUSR1\n");
    let ran = sandbox.expect(124, &script(&["--timeout", "1s"], &image, TELLS));
    assert_eq!(sandbox.result("got"), "USR1\n");
    ran.assert_stderr("SIGUSR1");
}

#[test]
fn a_stop_signal_given_as_a_number_or_on_the_command_line_is_heeded() {
    let sandbox = Sandbox::new();
    let image = image_with(&sandbox, "STOPSIGNAL 10\n");
    sandbox.expect(124, &script(&["--timeout", "1s"], &image, TELLS));
    assert_eq!(sandbox.result("got"), "USR1\n");
    sandbox.expect(124, &script(&["--timeout", "1s", "--stop-signal", "SIGQUIT"], &image, TELLS));
    assert_eq!(sandbox.result("got"), "QUIT\n");
}

#[test]
fn a_test_that_ignores_the_signal_is_killed_after_the_time_of_grace() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let began = Instant::now();
    let flags = ["--timeout", "500ms", "--grace-period", "500ms"];
    let ran = sandbox.expect(124, &script(&flags, &image, DEAF));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    ran.assert_stderr("SIGTERM");
    ran.assert_stderr("killing the test (grace period over)");
    assert_eq!(sandbox.result("file"), "x\n");
    assert_clean(&ran.stderr);
}

/// Waits until the handlers stand: before, a signal ends any program.
fn hears_signals(live: &Live) {
    eventually("its handlers", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", live.pid())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?.trim().to_owned();
        // Bit 1 is SIGINT.
        (u64::from_str_radix(&caught, 16).unwrap() & 2 != 0).then_some(())
    });
}

/// Starts the script, sends the signal once it is up, and waits for the end.
fn interrupted(signal: Signal, code: i32) {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let live = Live::start(sandbox.command(&script(&["--report", "json=run.json"], &image, TELLS)));
    live.prints("up");
    live.signal(signal);
    let ran = live.finish();
    ran.assert_code(code);
    ran.assert_stderr("ABORTED");
    assert_eq!(sandbox.result("got"), "TERM\n");
    let report = std::fs::read_to_string(sandbox.path().join("run.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["outcome"], "aborted");
    assert_eq!(report["exit_code"], code);
    assert_clean(&ran.stderr);
}

#[test]
fn ctrl_c_stops_the_test_gently_takes_its_results_and_exits_with_130() {
    interrupted(Signal::SIGINT, 130);
}

#[test]
fn sigterm_does_the_same_and_exits_with_143() {
    interrupted(Signal::SIGTERM, 143);
}

#[test]
fn sighup_does_the_same_and_exits_with_129() {
    interrupted(Signal::SIGHUP, 129);
}

#[test]
fn a_second_ctrl_c_kills_the_test_at_once_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let live = Live::start(sandbox.command(&script(&["--grace-period", "1h"], &image, DEAF)));
    live.prints("up");
    live.signal(Signal::SIGINT);
    live.says("interrupt");
    let began = Instant::now();
    live.signal(Signal::SIGINT);
    let ran = live.finish();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    ran.assert_code(130);
    assert_clean(&ran.stderr);
}

#[test]
fn a_deaf_test_is_killed_after_the_time_of_grace_of_one_ctrl_c() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let live = Live::start(sandbox.command(&script(&["--grace-period", "500ms"], &image, DEAF)));
    live.prints("up");
    live.signal(Signal::SIGINT);
    let ran = live.finish();
    ran.assert_code(130);
    assert_eq!(sandbox.result("file"), "x\n");
    assert_clean(&ran.stderr);
}

#[test]
fn an_interrupt_during_the_build_ends_it_at_once() {
    for builder in ["1", "0"] {
        let mut sandbox = Sandbox::new();
        sandbox.set("DOCKER_BUILDKIT", builder);
        let image = plain(&sandbox);
        let name = sandbox.name("step");
        sandbox.write(
            "Dockerfile.test",
            &format!("ARG TEST_IMAGE\nFROM ${{TEST_IMAGE}}\nRUN echo {name} && echo now-sleeping && sleep 300\nCMD [\"true\"]\n"),
        );
        let live = Live::start(sandbox.command(&["run", &image]));
        live.says("| now-sleeping");
        let began = Instant::now();
        live.signal(Signal::SIGINT);
        let ran = live.finish();
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        ran.assert_code(130);
        assert_clean(&ran.stderr);
        assert!(!sandbox.path().join("tests/results").exists());
        assert_eq!(docker(&["images", "-q", &format!("{image}-test")]), "");
        // The classic builder's own container goes too.
        eventually("the end of the build's container", || {
            let all = docker(&["ps", "-a", "--no-trunc", "--format", "{{.Command}}"]);
            (!all.contains(&name)).then_some(())
        });
    }
}

#[test]
fn an_interrupt_at_any_moment_ends_the_run_with_130_or_its_verdict_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    for delay in (0..12).map(|step| Duration::from_millis(step * 120)) {
        let live = Live::start(sandbox.command(&script(&["--no-cache"], &image, "sleep 0.3")));
        // Before its handlers stand, a signal ends any program.
        live.says("testing");
        std::thread::sleep(delay);
        live.signal(Signal::SIGINT);
        let ran = live.finish();
        assert!(matches!(ran.code, 130 | 0), "{delay:?}: {} {}", ran.code, ran.stderr);
        assert_clean(&ran.stderr);
    }
}

#[test]
fn two_interrupts_while_results_are_taken_out_end_the_run() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let shell = "head -c 900000000 /dev/zero > /var/tests/results/big; echo filled";
    let live = Live::start(sandbox.command(&script(&[], &image, shell)));
    live.prints("filled");
    let run = eventually("the run's name", || run_ids(&live.stderr()).pop());
    eventually("the end of the container", || {
        let state = docker(&[
            "ps",
            "-a",
            "--filter",
            &format!("label=docker-test.run={run}"),
            "--format",
            "{{.State}}",
        ]);
        (state.trim() == "exited").then_some(())
    });
    live.signal(Signal::SIGINT);
    live.says("interrupt again");
    live.signal(Signal::SIGINT);
    let began = Instant::now();
    let ran = live.finish();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    ran.assert_code(130);
    assert_eq!(remains(&run), Vec::<String>::new());
}

#[test]
fn an_interrupt_while_the_engine_does_not_answer_still_ends_the_run() {
    let mut sandbox = Sandbox::new();
    // Accepts connections and says nothing, as a stopped daemon does.
    let socket = sandbox.path().join("silent.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    sandbox.set("DOCKER_HOST", &format!("unix://{}", socket.display()));
    sandbox.write("Dockerfile", "FROM scratch\n");
    for command in [&["run", "nothing:1"] as &[&str], &["build", "."], &["prune"], &["inspect", "nothing:1"]]
    {
        let live = Live::start(sandbox.command(command));
        hears_signals(&live);
        live.signal(Signal::SIGINT);
        let began = Instant::now();
        let ran = live.finish();
        assert!(began.elapsed() < Duration::from_secs(5), "{command:?} {:?}", began.elapsed());
        ran.assert_code(130);
    }
}

#[test]
fn ctrl_c_while_a_large_context_is_read_ends_at_once() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    // A hole: it takes minutes to read and no room.
    let large = sandbox.write("large", "");
    std::fs::File::options().write(true).open(large).unwrap().set_len(1 << 40).unwrap();
    sandbox.write("Dockerfile.test", "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCOPY large /\nCMD true\n");
    let live = Live::start(sandbox.command(&[&image]));
    live.says("recipe from");
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    live.signal(Signal::SIGINT);
    let ran = live.finish();
    ran.assert_code(130);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_clean(&ran.stderr);
}

#[test]
fn an_interrupt_ends_the_wait_for_a_file_that_is_typed_or_piped() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    for command in [
        &["build", "-f", "-", "."] as &[&str],
        &["build", "-f", "/dev/stdin", "."],
        &["run", "-f", "/dev/stdin", &image],
        &["run", "--env-file", "/dev/stdin", &image],
        &["inspect", "-f", "/dev/stdin"],
        &["inspect", "--env-file", "/dev/stdin", &image],
    ] {
        for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
            let mut started = sandbox.command(command);
            // Open for as long as this value lives, and nothing comes.
            let (stdin, _nobody_types) = std::io::pipe().unwrap();
            let live = Live::start({
                started.stdin(stdin);
                started
            });
            hears_signals(&live);
            std::thread::sleep(Duration::from_millis(300));
            let began = Instant::now();
            live.signal(signal);
            let ran = live.finish();
            assert!(began.elapsed() < Duration::from_secs(5), "{command:?} {:?}", began.elapsed());
            ran.assert_code(code);
        }
    }
}

#[test]
fn an_interrupt_ends_a_run_whose_report_nobody_reads() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    // More than a pipe holds.
    let shell = "i=0; echo '<testsuite name=\"s\">' > /var/tests/results/r.xml; \
                 while [ $i -lt 3000 ]; do echo \"<testcase name=\\\"case number $i of many\\\"/>\"; i=$((i+1)); done \
                 >> /var/tests/results/r.xml; echo '</testsuite>' >> /var/tests/results/r.xml";
    for report in ["json=-", "json=/dev/fd/1", "json=/dev/stderr"] {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = sandbox.command(&script(&["--report", report], &image, shell));
        if report == "json=/dev/stderr" {
            command.stderr(writer);
        } else {
            command.stdout(writer);
        }
        let live = Live::start(command);
        // The results stand there before anything is reported.
        let results = sandbox.path().join("tests/results/r.xml");
        eventually("the results", || results.exists().then_some(()));
        std::thread::sleep(Duration::from_secs(2));
        let began = Instant::now();
        live.signal(Signal::SIGINT);
        let ran = live.finish();
        ran.assert_code(130);
        assert!(began.elapsed() < Duration::from_secs(6), "{report} {:?}", began.elapsed());
        drop(reader);
        std::fs::remove_dir_all(sandbox.path().join("tests")).unwrap();
    }
}
