//! What stdout and stderr carry, and what becomes of a run whose reader is slow, blocked or gone.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::live::{Live, assert_clean, eventually, plain, remains, run_ids, script};
use crate::support::{Ran, Sandbox, docker};

#[test]
fn stdout_is_exactly_what_the_test_printed_and_binary_is_intact() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let shell = r"i=0; while [ $i -lt 256 ]; do printf \\$(printf %03o $i); i=$((i+1)); done; printf 'err\377\n' >&2; printf end";
    let output = sandbox.command(&script(&[], &image, shell)).output().unwrap();
    let expected: Vec<u8> = (0..=255).chain(*b"end").collect();
    assert_eq!(output.stdout, expected);
    assert!(output.stderr.windows(5).any(|bytes| bytes == b"err\xff\n"));
}

#[test]
fn json_on_stdout_is_one_event_a_line_and_people_are_told_on_stderr() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let shell =
        "printf 'no line end'; echo err >&2; printf '{\"event\":\"forged\"}\\n'; printf '\\377'; exit 3";
    let ran = sandbox.expect(1, &script(&["--format", "json"], &image, shell));
    let events = ran.events();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!((names[0], names[names.len() - 1]), ("run_started", "run_finished"));
    assert!(names.contains(&"test_started") && names.contains(&"test_finished"));
    assert!(!names.contains(&"forged"));
    let said = |stream: &str| {
        let output = events.iter().filter(|event| event["event"] == "output" && event["stream"] == stream);
        output.map(|event| event["text"].as_str().unwrap()).collect::<String>()
    };
    assert_eq!(said("stdout"), "no line end{\"event\":\"forged\"}\n\u{fffd}");
    assert_eq!(said("stderr"), "err\n");
    assert_eq!(events[events.len() - 1]["exit_code"], 1);
    ran.assert_stderr("FAILED");
    assert!(!ran.stderr.contains("no line end"), "{}", ran.stderr);
}

#[test]
fn quiet_says_nothing_but_what_the_test_says_and_speaks_up_when_it_fails() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let ran = sandbox.expect(0, &script(&["-q"], &image, "echo out; echo err >&2"));
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("out\n", "err\n"));
    let ran = sandbox.expect(1, &script(&["--progress", "quiet"], &image, "exit 3"));
    ran.assert_stderr("FAILED");
    assert!(!ran.stderr.contains("running"), "{}", ran.stderr);
}

#[test]
fn nothing_that_is_not_a_terminal_gets_colours() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    for progress in ["auto", "plain", "tty"] {
        let ran = sandbox.expect(1, &script(&["--progress", progress], &image, "exit 3"));
        assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
    }
}

/// Runs docker-test on a terminal of its own and returns what is on the screen.
fn on_a_terminal(sandbox: &Sandbox, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let command = sandbox.command(arguments);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<String> =
        words.map(|word| format!("'{}'", word.to_str().unwrap().replace('\'', r"'\''"))).collect();
    let mut terminal = std::process::Command::new("script");
    terminal.args(["-qefc", &line.join(" "), "/dev/null"]).current_dir(sandbox.path());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => terminal.env(name, value),
            None => terminal.env_remove(name),
        };
    }
    terminal.env("TERM", "xterm").env_remove("NO_COLOR").envs(variables.iter().copied());
    let output = terminal.stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let arguments = script(&["--progress", "plain"], &image, "exit 3");
    let coloured = on_a_terminal(&sandbox, &arguments, &[]);
    assert!(coloured.contains("FAILED") && coloured.contains("\u{1b}["), "{coloured:?}");
    let plain = on_a_terminal(&sandbox, &arguments, &[("NO_COLOR", "1")]);
    assert!(plain.contains("FAILED") && !plain.contains("\u{1b}["), "{plain:?}");
}

#[test]
fn on_a_terminal_the_tests_own_lines_stand_whole_among_the_bars() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let screen =
        on_a_terminal(&sandbox, &script(&[], &image, "echo first line; sleep 1; echo second line"), &[]);
    for line in ["first line\r\n", "second line\r\n", "PASSED"] {
        assert!(screen.contains(line), "no {line:?} in {screen:?}");
    }
}

#[test]
fn a_reader_that_leaves_is_no_crash_and_the_verdict_is_right() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    for (end, code, format) in [("exit 0", 0, "text"), ("exit 3", 1, "text"), ("exit 3", 1, "json")] {
        let shell = format!("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; {end}");
        let mut child = sandbox.command(&script(&["--format", format], &image, &shell)).spawn().unwrap();
        let mut first = [0; 6];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let ran = Ran::from(child.wait_with_output().unwrap());
        ran.assert_code(code);
        assert!(!ran.stderr.contains("panic"), "{}", ran.stderr);
        assert_clean(&ran.stderr);
    }
}

#[test]
fn a_closed_stdout_and_stderr_change_no_verdict() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let mut command = std::process::Command::new("sh");
    let inner = sandbox.command(&script(&[], &image, "echo out; echo err >&2; exit 3"));
    command.args(["-c", "exec \"$@\" >&- 2>&-", "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.current_dir(sandbox.path()).env("DOCKER_TEST_STATE_DIR", sandbox.state());
    assert_eq!(command.status().unwrap().code(), Some(1));
}

#[test]
fn a_reader_that_does_not_read_stops_neither_the_time_limit_nor_the_cleaning_up() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let flags = ["--timeout", "1s", "--grace-period", "0s"];
    let mut child = sandbox
        .command(&script(&flags, &image, "while :; do echo a line that fills the pipe; done"))
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let live = Live::follow(child);
    live.says("running");
    let run = run_ids(&live.stderr()).pop().unwrap();
    // Nobody has read a byte, and all is removed.
    eventually("the cleaning up", || remains(&run).is_empty().then_some(()));
    // One signal more ends the wait for the reader.
    live.signal(Signal::SIGINT);
    let ran = live.finish();
    ran.assert_code(124);
    drop(stdout);
}

#[test]
fn a_slow_reader_gets_all_of_it() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let mut child = sandbox
        .command(&script(&[], &image, "head -c 3000000 /dev/zero; echo; echo the-end"))
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let live = Live::follow(child);
    live.says("running");
    // Longer than anything may be waited for inside.
    std::thread::sleep(Duration::from_secs(12));
    let mut bytes = Vec::new();
    stdout.read_to_end(&mut bytes).unwrap();
    let ran = live.finish();
    ran.assert_code(0);
    assert_eq!(bytes.len(), 3_000_000 + 1 + 8, "{}", ran.stderr);
    assert!(bytes.ends_with(b"the-end\n"));
}

/// What a run prints, and the most memory that it has while it does.
fn printed(sandbox: &Sandbox, image: &str, shell: &str) -> (usize, u64) {
    let mut child = sandbox.command(&script(&[], image, shell)).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let pid = child.id();
    let live = Live::follow(child);
    let mut buffer = vec![0; 1 << 20];
    let (mut total, mut peak) = (0, 0);
    while let Ok(size @ 1..) = stdout.read(&mut buffer) {
        total += size;
        // Gone once the process has ended.
        let record = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let most = record.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        peak = peak.max(most.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0));
    }
    let ran = live.finish();
    ran.assert_code(0);
    (total, peak)
}

#[test]
fn two_hundred_megabytes_pass_in_the_memory_of_a_few_bytes_and_some_buffers() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let shell = "yes 'a line of output that is neither short nor long' | head -c 200000000; echo; echo the-end; sleep 1";
    // How much of the program itself is in memory depends on how it was built.
    let (_, least) = printed(&sandbox, &image, "echo the-end; sleep 1");
    let (total, peak) = printed(&sandbox, &image, shell);
    assert_eq!(total, 200_000_000 + 1 + 8);
    assert!(least > 0 && peak < least + 16 * 1024, "{peak} KiB, and {least} KiB for nothing");
}

#[test]
fn standard_input_reaches_the_test_where_asked_for() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    for (flags, expected) in [(&["-i"] as &[&str], "got hello world\n"), (&[], "got\n")] {
        let mut command = sandbox.command(&script(flags, &image, "read line; echo got $line"));
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        // A test without it may have ended before.
        let _ = child.stdin.take().unwrap().write_all(b"hello world\nsecond\n");
        let ran = Ran::from(child.wait_with_output().unwrap());
        ran.assert_code(0);
        assert_eq!(ran.stdout, expected);
    }
}

#[test]
fn all_of_a_long_standard_input_arrives_and_its_end_too() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let mut child = sandbox.command(&script(&["-i"], &image, "wc -c")).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&vec![b'x'; 5_000_000]).unwrap());
    let ran = Ran::from(child.wait_with_output().unwrap());
    writer.join().unwrap();
    ran.assert_code(0);
    assert_eq!(ran.stdout.trim(), "5000000");
}

#[test]
fn an_open_standard_input_does_not_hold_up_the_end() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let mut command = sandbox.command(&script(&["-i"], &image, "echo done"));
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let _open = child.stdin.take();
    let began = Instant::now();
    Live::follow(child).finish().assert_code(0);
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}

#[test]
fn a_shell_obeys_commands_from_a_pipe() {
    let sandbox = Sandbox::new();
    sandbox.write("tool.sh", "#!/bin/sh\necho tool\n");
    let image = sandbox.build(
        "shelled",
        "FROM docker-test-base/busybox:1\nONTEST COPY tool.sh /tool.sh\nONTEST CMD [\"false\"]\n",
    );
    let mut child = sandbox.command(&["run", "--shell", &image]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"/tool.sh\necho x > /var/tests/results/file\nexit 0\n").unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    ran.assert_code(0);
    assert_eq!(ran.stdout, "tool\n");
    assert_eq!(sandbox.result("file"), "x\n");
    assert_clean(&ran.stderr);
}

#[test]
fn a_secret_appears_nowhere() {
    const SECRET: &str = "supersecretvalue";
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let name = sandbox.name("secret");
    let token = format!("API_TOKEN={SECRET}");
    let flags = [
        "-e",
        &token,
        "-e",
        "PLAIN=visiblevalue",
        "--name",
        &name,
        "--report",
        "junit=r/junit.xml",
        "--report",
        "json=r/run.json",
        "--report",
        "github=r/github.txt",
    ];
    let shell = "echo $API_TOKEN $PLAIN; echo $API_TOKEN | base64; echo err $API_TOKEN >&2; printf %.8s $API_TOKEN; sleep 0.2; echo $API_TOKEN | cut -c9-; sleep 1; exit 3";
    for format in ["text", "json"] {
        let command =
            sandbox.command(&script(&[&flags as &[&str], &["--format", format]].concat(), &image, shell));
        let live = Live::start(command);
        live.prints("visiblevalue");
        // Its children, and nobody but itself: its own arguments are the user's.
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let parent =
                stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)).unwrap_or_default();
            if parent == live.pid().to_string() {
                let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                assert!(!String::from_utf8_lossy(&words).contains(SECRET));
            }
        }
        let journals = std::fs::read_dir(sandbox.state().join("runs")).unwrap().flatten();
        let journal: String = journals.map(|entry| std::fs::read_to_string(entry.path()).unwrap()).collect();
        assert!(journal.contains(&name) && !journal.contains(SECRET), "{journal}");
        let ran = live.finish();
        ran.assert_code(1);
        let mut said = vec![ran.stdout, ran.stderr];
        for report in std::fs::read_dir(sandbox.path().join("r")).unwrap().flatten() {
            said.push(std::fs::read_to_string(report.path()).unwrap());
        }
        assert_eq!(said.len(), 5);
        for text in &said {
            assert!(!text.contains(SECRET) && !text.contains("c3VwZXJzZWNyZXR2YWx1"), "{text}");
        }
        assert!(said[0].contains("*** visiblevalue"), "{}", said[0]);
    }
}

#[test]
fn a_secret_is_hidden_in_the_plan_and_in_the_errors_of_engine_and_builder() {
    const SECRET: &str = "supersecretvalue";
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let token = format!("API_TOKEN={SECRET}");
    let ran = sandbox.expect(0, &script(&["--dry-run", "-e", &token], &image, "true"));
    assert!(!ran.stdout.contains(SECRET), "{}", ran.stdout);
    let ran = sandbox.expect(125, &script(&["-e", &token, "-u", SECRET], &image, "true"));
    ran.assert_stderr("user ***");
    assert!(!ran.stderr.contains(SECRET), "{}", ran.stderr);
    let argument = format!("DB_PASSWORD={SECRET}");
    sandbox.write(
        "Dockerfile.test",
        "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nARG DB_PASSWORD\nRUN echo with $DB_PASSWORD && exit 7\n",
    );
    let ran = sandbox.expect(125, &["run", "--build-arg", &argument, "--report", "json=-", &image]);
    assert!(!ran.stdout.contains(SECRET) && !ran.stderr.contains(SECRET), "{} {}", ran.stdout, ran.stderr);
    assert_eq!(docker(&["ps", "-aq", "--filter", &format!("ancestor={image}-test")]), "");
}
