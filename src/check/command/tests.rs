use std::path::Path;
use std::time::Instant;

use serde_json::json;

use super::*;
use crate::check::mark::{self, VARIABLE};
use crate::check::tests::{SECRET, assert_hidden, hiding, look, look_hiding, surroundings};
use crate::check::{Check, LONGEST_OUTPUT};

async fn run(check: CommandCheck, timeout: Duration) -> Looked {
    check.run(&surroundings(), timeout, &CancellationToken::new()).await.unwrap()
}

fn plugin(script: &str) -> serde_json::Value {
    json!({"command": {"run": script, "nagios": true}})
}

/// Whether a process is there and no zombie.
fn is_running(id: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

async fn written(path: &Path) -> String {
    for _ in 0..500 {
        if let Ok(text) = std::fs::read_to_string(path)
            && text.ends_with('\n')
        {
            return text.trim().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} was not written", path.display());
}

async fn gone(id: &str) -> bool {
    for _ in 0..300 {
        if !is_running(id) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn exit_code_0_is_ok_and_any_other_is_critical() {
    let seen = look(json!({"command": "echo fine"})).await;
    assert_eq!((seen.state, seen.summary.as_str()), (State::Ok, "exit code 0: fine"));
    for code in [1, 2, 3, 255] {
        let seen =
            look(json!({"command": format!("echo first; echo expected 3 orders, got 2 >&2; exit {code}")}))
                .await;
        assert_eq!(seen.state, State::Critical);
        assert_eq!(seen.summary, format!("expected exit code 0, got {code}: expected 3 orders, got 2"));
        assert!(seen.output.contains("first\n") && seen.output.contains("got 2\n"));
    }
    let seen = look(json!({"command": "kill -KILL $$"})).await;
    assert_eq!((seen.state, seen.summary.as_str()), (State::Critical, "expected exit code 0, got signal 9"));
}

#[tokio::test]
async fn a_plugins_code_message_and_performance_data_are_read() {
    for (code, state) in [(0, State::Ok), (1, State::Warning), (2, State::Critical), (3, State::Unknown)] {
        let seen = look(plugin(&format!("echo 'LOAD - 0.5|load1=0.5;1;2'; exit {code}"))).await;
        assert_eq!((seen.state, seen.summary.as_str()), (state, "LOAD - 0.5"));
        assert_eq!((seen.measurements[0].name.as_str(), seen.measurements.len()), ("load1", 1));
    }
    let seen = look(plugin("echo odd; exit 42")).await;
    assert_eq!(
        (seen.state, seen.summary.as_str()),
        (State::Unknown, "expected an exit code from 0 to 3, got 42: odd")
    );
    assert_eq!(look(plugin("exit 2")).await.summary, "exit code 2, without a message");
    assert_eq!(look(plugin("kill -TERM $$")).await.state, State::Unknown);
}

#[tokio::test]
async fn arguments_are_handed_on_as_they_are_and_variables_are_those_given() {
    let seen =
        look(json!({"command": ["/bin/sh", "-c", "echo \"$#:$1\"; env | sort", "sh", "a b;$(id)"]})).await;
    assert!(seen.output.starts_with("1:a b;$(id)\n"), "{}", seen.output);
    let names: Vec<&str> = seen.output.lines().skip(1).filter_map(|line| line.split('=').next()).collect();
    assert!(
        names.contains(&"PATH")
            && names.iter().all(|name| ["PATH", "PWD", "SHLVL", "_", "OLDPWD", VARIABLE].contains(name)),
        "{names:?}"
    );
    let long = json!({"command": {"run": "echo $A $PWD", "env": {"A": "b"}, "directory": "/tmp"}});
    assert_eq!(look(long).await.summary, "exit code 0: b /tmp");
}

#[tokio::test]
async fn a_command_that_is_not_there_is_the_harnesses_trouble() {
    let check = CommandCheck::arguments(vec!["/nowhere/test.sh".to_owned()]);
    let error =
        check.run(&surroundings(), Duration::from_secs(5), &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, CheckError::NotStarted { .. }));
    assert!(
        error.to_string().starts_with("cannot start the command /nowhere/test.sh: No such file"),
        "{error}"
    );
    let check = CommandCheck::arguments(Vec::new());
    assert!(check.run(&surroundings(), Duration::from_secs(5), &CancellationToken::new()).await.is_err());
}

#[tokio::test]
async fn at_the_timeout_everything_that_it_has_started_is_ended() {
    let directory = tempfile::tempdir().unwrap();
    let sign = directory.path().join("id");
    let script = format!("echo begun; ( sleep 60 & echo $! > {}; wait ) & wait", sign.display());
    let begun = Instant::now();
    let looked = run(CommandCheck::shell(script), Duration::from_secs(1)).await;
    assert!(looked.timed_out && begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(looked.seen.summary, "expected an end within 1s, got none: begun");
    assert_eq!(looked.seen.state, State::Critical);
    assert!(!is_running(&written(&sign).await));
}

#[tokio::test]
async fn what_does_not_heed_the_request_is_killed_after_its_grace() {
    let directory = tempfile::tempdir().unwrap();
    let sign = directory.path().join("id");
    let script = format!(
        "trap 'echo asked' TERM; sh -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 1; done' & \
         while :; do wait; done",
        sign.display()
    );
    let check = CommandCheck { grace: Duration::from_millis(500), ..CommandCheck::shell(script) };
    let begun = Instant::now();
    let looked = run(check, Duration::from_secs(1)).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(1_450) && took < Duration::from_secs(6), "{took:?}");
    assert!(looked.timed_out && looked.seen.output.contains("asked"), "{looked:?}");
    assert!(!is_running(&written(&sign).await));
}

#[tokio::test]
async fn a_command_may_end_well_within_its_grace() {
    let script = "trap 'echo saved; exit 0' TERM; while :; do sleep 0.05; done";
    let begun = Instant::now();
    let looked = run(CommandCheck::shell(script), Duration::from_millis(500)).await;
    assert!(looked.timed_out && looked.seen.output.contains("saved"), "{looked:?}");
    assert!(begun.elapsed() < Duration::from_secs(4), "the grace period is not waited for");
}

#[tokio::test]
async fn asked_to_stop_it_ends_the_group_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let sign = directory.path().join("id");
    let check = CommandCheck::shell(format!("sleep 60 & echo $! > {}; wait", sign.display()));
    let (stop, surroundings) = (CancellationToken::new(), surroundings());
    let running = check.run(&surroundings, Duration::from_mins(1), &stop);
    let (looked, id) = tokio::join!(running, async {
        let id = written(&sign).await;
        stop.cancel();
        id
    });
    assert!(matches!(looked, Err(CheckError::Cancelled)));
    assert!(!is_running(&id));
    assert!(matches!(
        check.run(&surroundings, Duration::from_mins(1), &stop).await,
        Err(CheckError::Cancelled)
    ));
}

#[tokio::test]
async fn dropped_it_kills_the_group() {
    let directory = tempfile::tempdir().unwrap();
    let sign = directory.path().join("id");
    let check = CommandCheck::shell(format!("trap '' TERM; sleep 60 & echo $! > {}; wait", sign.display()));
    let (stop, surroundings) = (CancellationToken::new(), surroundings());
    let id = tokio::select! {
        looked = check.run(&surroundings, Duration::from_mins(1), &stop) => panic!("{looked:?}"),
        id = written(&sign) => id,
    };
    assert!(gone(&id).await);
}

#[tokio::test]
async fn what_it_leaves_running_is_ended_and_does_not_hold_it_up() {
    let directory = tempfile::tempdir().unwrap();
    let sign = directory.path().join("id");
    let begun = Instant::now();
    let looked = run(
        CommandCheck::shell(format!("sleep 60 & echo $! > {}; exit 4", sign.display())),
        Duration::from_secs(30),
    )
    .await;
    assert_eq!(looked.seen.summary, "expected exit code 0, got 4");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(gone(&written(&sign).await).await);
}

#[tokio::test]
async fn a_flood_of_output_leaves_only_its_end() {
    let seen =
        look(json!({"command": "head -c 16000000 /dev/zero | tr '\\0' 'x'; echo; echo é the end; exit 1"}))
            .await;
    assert!(seen.output.len() <= LONGEST_OUTPUT && seen.output.ends_with("x\né the end\n"));
    assert_eq!(seen.summary, "expected exit code 0, got 1: é the end");
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = peak();
    look(json!({"command": "head -c 128000000 /dev/zero"})).await;
    assert!(peak() - before < 64 * 1_024, "KiB more: {}", peak() - before);
}

/// How far a cut is from the end of the secret that it goes through.
const WITHIN: [usize; 5] = [39, 33, 20, 7, 6];

#[tokio::test]
async fn what_is_left_of_a_flood_has_no_part_of_a_secret() {
    for (within, to) in WITHIN.into_iter().zip([1, 2, 1, 2, 1]) {
        let script = format!(
            "exec >&{to}; printf 'before {SECRET}'; head -c {} /dev/zero | tr '\\0' B; exit 1",
            LONGEST_OUTPUT - within
        );
        let seen = look_hiding(json!({"command": script})).await;
        assert_hidden(&seen);
        assert!(seen.output.contains("***B") && seen.output.len() <= LONGEST_OUTPUT, "{within}");
    }
}

#[tokio::test]
async fn a_line_that_is_cut_has_no_part_of_a_secret() {
    for within in WITHIN {
        let before = 200 - SECRET.len() + within;
        let line = format!("{}{SECRET}{}", "A".repeat(before), "B".repeat(100));
        let seen = look_hiding(json!({"command": format!("echo {line}; exit 1")})).await;
        assert_hidden(&seen);
        assert!(seen.summary.contains("A*"), "{}", seen.summary);
        let label = format!("{}{SECRET}", "a".repeat(before));
        let seen = look_hiding(plugin(&format!("echo '{line} |{label}=1 time=2s'; exit 2"))).await;
        assert_hidden(&seen);
        let names: Vec<_> = seen.measurements.iter().map(|it| it.name.as_str()).collect();
        assert!(seen.summary.contains("A*") && names[0].contains("a*") && names[1] == "time", "{seen:?}");
    }
}

#[tokio::test]
async fn a_secret_that_a_process_was_killed_in_the_middle_of_is_hidden() {
    let check = CommandCheck::shell(format!("printf 'key: {}'; sleep 60", &SECRET[..30]));
    let stop = CancellationToken::new();
    let looked = check.run(&hiding(surroundings()), Duration::from_secs(2), &stop).await.unwrap();
    assert_hidden(&looked.seen);
    assert_eq!((looked.seen.output.as_str(), looked.timed_out), ("key: ***", true));
    assert!(looked.seen.summary.ends_with(": key: ***"), "{}", looked.seen.summary);
}

#[tokio::test]
async fn what_begins_like_a_secret_at_the_end_is_told_where_that_is_too_short_to_be_one() {
    let begun = &SECRET[..5];
    let seen = look_hiding(json!({"command": format!("printf '{begun} fine {begun}' >&2")})).await;
    assert_eq!(seen.output, format!("{begun} fine {begun}"));
}

#[tokio::test]
async fn a_cut_goes_through_no_character() {
    let seen = look(json!({"command": "head -c 60000 /dev/zero | tr '\\0' 'x'; for i in 1 2 3 4 5 6 7 8; do printf '€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€'; done"})).await;
    assert!(!seen.output.contains('\u{fffd}') && seen.output.ends_with('€'));
    let seen = look(json!({"command": "i=0; while [ $i -lt 4000 ]; do printf '€€'; i=$((i+1)); done"})).await;
    assert!(!seen.output.contains('\u{fffd}') && seen.output.len() > LONGEST_OUTPUT - 4);
}

#[tokio::test]
async fn what_it_prints_is_handed_on_as_it_comes() {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(8);
    let mut surroundings = surroundings();
    surroundings.output = Some(sender);
    let check: Check =
        serde_json::from_value(json!({"command": "echo one; read -r x < /dev/null; echo two >&2"})).unwrap();
    let stop = CancellationToken::new();
    let looked = check.run(&surroundings, Duration::from_secs(20), &stop).await.unwrap();
    drop(surroundings);
    let mut heard = Vec::new();
    while let Some(bytes) = receiver.recv().await {
        heard.extend_from_slice(&bytes);
    }
    let mut lines: Vec<_> = std::str::from_utf8(&heard).unwrap().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["one", "two"]);
    assert_eq!(looked.seen.state, State::Ok);
}

#[tokio::test]
async fn a_line_of_a_command_cannot_drive_a_terminal() {
    let seen = look(json!({"command": "printf 'a\\033[2Jb\\rc\\n'; exit 1"})).await;
    assert!(!seen.summary.contains(char::is_control), "{:?}", seen.summary);
}

/// In a container the harness is process 1, and processes without parents become its children. A subreaper is in the
/// same place.
#[tokio::test]
async fn no_zombie_of_the_group_is_left_where_orphans_become_ours() {
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let sign = directory.path().join("id");
    // The one in between ends at once: what it started becomes ours.
    let script = format!("sh -c 'sleep 60 & echo $! > {}'; sleep 0.1; exit 3", sign.display());
    let looked = run(CommandCheck::shell(script), Duration::from_secs(20)).await;
    nix::sys::prctl::set_child_subreaper(false).unwrap();
    assert_eq!(looked.seen.summary, "expected exit code 0, got 3");
    let id = written(&sign).await;
    assert!(!Path::new(&format!("/proc/{id}")).exists(), "process {id} is a zombie, or runs");
}

/// Shell that leaves a process behind which no group and no parent leads to, and is heard of in `sign`.
fn stray(sign: &Path, body: &str) -> String {
    format!(
        "( setsid sh -c 'echo $$ > {}; {body}' & ); until test -s {0}; do sleep 0.01; done",
        sign.display()
    )
}

#[tokio::test]
async fn at_the_timeout_a_session_of_its_own_is_asked_to_end_and_then_killed() {
    let directory = tempfile::tempdir().unwrap();
    let [heeds, ignores, heard] = ["heeds", "ignores", "heard"].map(|name| directory.path().join(name));
    let says_so =
        format!("trap \"echo asked > {}; exit\" TERM; while :; do sleep 0.05; done", heard.display());
    let script = format!(
        "{}; {}; exec sleep 60",
        stray(&heeds, &says_so),
        stray(&ignores, "trap \"\" TERM; while :; do sleep 1; done")
    );
    let check = CommandCheck { grace: Duration::from_secs(1), ..CommandCheck::shell(script) };
    let begun = Instant::now();
    let looked = run(check, Duration::from_secs(1)).await;
    let took = begun.elapsed();
    assert!(looked.timed_out && took >= Duration::from_secs(2) && took < Duration::from_secs(6), "{took:?}");
    assert_eq!(written(&heard).await, "asked");
    for sign in [heeds, ignores] {
        assert!(!is_running(&written(&sign).await), "{}", sign.display());
    }
}

#[tokio::test]
async fn strays_that_heed_are_not_waited_for_any_longer() {
    let directory = tempfile::tempdir().unwrap();
    let sign = directory.path().join("id");
    let begun = Instant::now();
    let script = format!("{}; exec sleep 60", stray(&sign, "exec sleep 60"));
    assert!(run(CommandCheck::shell(script), Duration::from_secs(1)).await.timed_out);
    assert!(begun.elapsed() < Duration::from_secs(4), "the grace period is not waited for");
    assert!(!is_running(&written(&sign).await));
}

#[tokio::test]
async fn what_it_leaves_in_a_session_of_its_own_is_ended_and_holds_no_stream_open() {
    let directory = tempfile::tempdir().unwrap();
    // With few processes after it, and with too many to ask for each.
    for more in ["", "i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i+1)); done; "] {
        let sign = directory.path().join("id");
        let script = format!("{}; {more}echo through; exit 4", stray(&sign, "exec sleep 60"));
        let looked = run(CommandCheck::shell(script), Duration::from_secs(30)).await;
        assert_eq!(looked.seen.summary, "expected exit code 0, got 4: through");
        assert!(!is_running(&written(&sign).await), "{more}");
        std::fs::remove_file(sign).unwrap();
    }
}

#[tokio::test]
async fn many_that_end_together_lose_nothing_and_share_the_looks() {
    let directory = tempfile::tempdir().unwrap();
    let surroundings = surroundings();
    let (stop, begun) = (CancellationToken::new(), Instant::now());
    let signs: Vec<_> = (0..20).map(|number| directory.path().join(number.to_string())).collect();
    let checks = signs.iter().map(|sign| {
        let check = CommandCheck::shell(format!("{}; exec sleep 60", stray(sign, "exec sleep 60")));
        let (surroundings, stop) = (&surroundings, &stop);
        async move { check.run(surroundings, Duration::from_secs(4), stop).await.unwrap() }
    });
    let looked = futures_util::future::join_all(checks).await;
    assert!(looked.iter().all(|looked| looked.timed_out));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    for sign in signs {
        assert!(!is_running(&written(&sign).await));
    }
}

#[tokio::test]
async fn asked_to_stop_or_dropped_it_leaves_no_stray() {
    let directory = tempfile::tempdir().unwrap();
    let surroundings = surroundings();
    for is_dropped in [false, true] {
        let sign = directory.path().join(if is_dropped { "dropped" } else { "stopped" });
        let check = CommandCheck::shell(format!("{}; exec sleep 60", stray(&sign, "exec sleep 60")));
        let stop = CancellationToken::new();
        let running = check.run(&surroundings, Duration::from_mins(1), &stop);
        let id = if is_dropped {
            tokio::select! {
                looked = running => panic!("{looked:?}"),
                id = written(&sign) => id,
            }
        } else {
            let (looked, id) = tokio::join!(running, async {
                let id = written(&sign).await;
                stop.cancel();
                id
            });
            assert!(matches!(looked, Err(CheckError::Cancelled)));
            id
        };
        assert!(gone(&id).await, "{is_dropped}");
    }
}

#[tokio::test]
async fn one_without_the_mark_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let sign = directory.path().join("id");
    let script = stray(&sign, "exec sleep 60").replace("setsid", &format!("setsid env -u {VARIABLE}"));
    let looked = run(CommandCheck::shell(script), Duration::from_secs(20)).await;
    assert_eq!(looked.seen.state, State::Ok, "{looked:?}");
    let id = written(&sign).await;
    assert!(is_running(&id));
    let id = nix::unistd::Pid::from_raw(id.parse().unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn marks_of_whoever_started_us_are_handed_on_and_none_is_used_twice() {
    let outer = "7:0:2:3:4";
    let mut surroundings = surroundings();
    surroundings.variables.push((VARIABLE.to_owned(), outer.to_owned()));
    let check = CommandCheck::shell(format!("echo \"{VARIABLE}=${VARIABLE}\""));
    let stop = CancellationToken::new();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let looked = check.run(&surroundings, Duration::from_secs(20), &stop).await.unwrap();
        let marks = mark::borne(looked.seen.output.trim().as_bytes());
        assert_eq!((marks.len(), marks[0].to_string().as_str()), (2, outer));
        seen.push(marks[1]);
    }
    assert_eq!(seen[0].owner, seen[1].owner);
    assert_ne!(seen[0].number, seen[1].number);
}
