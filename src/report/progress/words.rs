//! The sentences that displays for people share.
//!
//! Owns the wording of events; everything foreign in it is made printable. Numbers of steps and layers are the
//! displays' own.

use crate::report::text::{message as shown_message, name, printable};
use crate::report::wording::{bytes, case_counts, count, duration, outcome_word, reason};
use crate::runner::event::RunEvent;

/// Letters of a container id that tell it apart.
const SHORT_ID: usize = 12;

/// What happened, as one printable line; absent for events that are shown in another way or not at all.
pub(super) fn sentence(event: &RunEvent) -> Option<String> {
    Some(match event {
        RunEvent::RunStarted { run_id, image, engine, .. } => {
            format!("testing {} on {} (run {})", name(image), printable(engine), printable(run_id))
        }
        RunEvent::Planned { source, reason, triggers, files } => {
            let files = files.map(|files| format!(", {}", count(files as u64, "file")));
            format!(
                "recipe from {}: {}; {}{}",
                name(source),
                shown_message(reason),
                count(*triggers as u64, "instruction"),
                files.unwrap_or_default()
            )
        }
        RunEvent::Built { image, reused: true, .. } => format!("reusing {}, unchanged", name(image)),
        RunEvent::Built { image, seconds, .. } => {
            format!("built {} in {}", name(image), duration(*seconds))
        }
        RunEvent::TestStarted { test, attempt, container } => {
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            let id: String = container.chars().take(SHORT_ID).collect();
            format!("running {} in container {}{again}", name(test), printable(&id))
        }
        RunEvent::Stopping { reason, signal, .. } if signal == "SIGKILL" => {
            format!("killing the test ({})", shown_message(reason))
        }
        RunEvent::Stopping { reason, signal, grace_seconds } => format!(
            "stopping the test with {} ({}); SIGKILL follows after {}",
            printable(signal),
            shown_message(reason),
            duration(*grace_seconds)
        ),
        RunEvent::Collected { directory, files, bytes: size } => {
            format!("results in {}: {}, {}", printable(directory), count(*files, "file"), bytes(*size))
        }
        RunEvent::Warning { message } => format!("warning: {}", shown_message(message)),
        RunEvent::TestFinished { test, attempt, outcome, cause, seconds, cases, .. } => {
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            let reason = cause.as_ref().map(|cause| format!(": {}", reason(*outcome, cause)));
            let cases = match cases.total() {
                0 => String::new(),
                _ => format!(" ({})", case_counts(*cases)),
            };
            format!(
                "{} {} after {}{again}{}{cases}",
                name(test),
                outcome_word(*outcome),
                duration(*seconds),
                reason.unwrap_or_default()
            )
        }
        _ => return None,
    })
}

/// The test that an event names itself.
pub(super) fn name_of(event: &RunEvent) -> Option<&str> {
    match event {
        RunEvent::TestPreparing { test, .. }
        | RunEvent::TestStarted { test, .. }
        | RunEvent::TestFinished { test, .. }
        | RunEvent::TestSlow { test, .. }
        | RunEvent::TestRetry { test, .. }
        | RunEvent::TestEnded { test, .. } => Some(test),
        _ => None,
    }
}

/// The name of a build step, with its place in the build where the builder gives it in the id alone.
pub(super) fn step_name(id: &str, step: &str) -> String {
    let is_place = id.split_once('/').is_some_and(|(number, all)| {
        [number, all].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let place = if is_place && !step.starts_with('[') { format!("[{id}] ") } else { String::new() };
    // A heredoc makes a name of many lines; the first one tells the step.
    let first = step.lines().next().unwrap_or_default();
    format!("{place}{}", name(first))
}

/// True for pull states that say nothing to people.
pub(super) fn is_pull_noise(status: &str) -> bool {
    matches!(status, "Pulling fs layer" | "Waiting" | "Verifying Checksum" | "Download complete")
}

/// True for the last state of a layer.
pub(super) fn is_pull_end(status: &str) -> bool {
    matches!(status, "Pull complete" | "Already exists")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::progress::fixtures::a_run;

    #[test]
    fn a_run_reads_as_a_short_story() {
        let (before, after) = a_run();
        let story: Vec<String> = before.iter().chain(&after).filter_map(sentence).collect();
        assert_eq!(
            story,
            [
                "testing shop:1.4 on Docker Engine 20.10.24 (run r-42)",
                "recipe from label: the image has the label test.ontest; 2 instructions, 1 file",
                "built shop:1.4-test in 4.2s",
                "running shop:1.4 in container 0123456789ab",
                "shop:1.4 failed after 2.3s: the test command ended with exit code 1 (10 passed, 2 failed)",
                "results in tests/results: 3 files, 2 KiB",
            ]
        );
    }

    #[test]
    fn what_is_unusual_is_said() {
        let stopping = RunEvent::Stopping {
            reason: "timeout".to_owned(),
            signal: "SIGTERM".to_owned(),
            grace_seconds: 10.0,
        };
        let said = sentence(&stopping).unwrap();
        assert_eq!(said, "stopping the test with SIGTERM (timeout); SIGKILL follows after 10s");
        let killing = RunEvent::Stopping {
            reason: "grace period over".to_owned(),
            signal: "SIGKILL".to_owned(),
            grace_seconds: 0.0,
        };
        assert_eq!(sentence(&killing).unwrap(), "killing the test (grace period over)");
        let again = RunEvent::TestStarted { test: "a".to_owned(), attempt: 2, container: "c".to_owned() };
        assert_eq!(sentence(&again).unwrap(), "running a in container c, attempt 2");
    }

    #[test]
    fn names_of_steps_are_one_safe_line_with_their_place() {
        assert_eq!(step_name("2/4", "RUN \u{1b}[2Jx"), "[2/4] RUN x");
        assert_eq!(step_name("sha256:a", "[2/4] RUN <<EOF\nrm -rf\nEOF"), "[2/4] RUN <<EOF");
        assert_eq!(step_name("a/b", "RUN\u{7}"), "RUN\\u{7}");
    }
}
