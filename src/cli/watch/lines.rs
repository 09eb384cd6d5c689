//! What people see of the daemon: a line for what they would want to know, and no more.
//!
//! Owns the wording. Runs that pass, and passed before, are worth a line only to those who ask for it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::flags::output::Format;
use super::super::terminal;
use super::configured::Current;
use super::voice::Voice;
use crate::metadata::duration::human;
use crate::notify::{Action, Alert};
use crate::probe::{ProbeRun, Verdict};
use crate::report::text::printable;
use crate::report::wording::count;
use crate::watch::Happening;
use crate::watch::daemon::Observer;

/// A line of the daemon itself.
pub(super) fn say(text: &str) {
    terminal::note(&own(text));
}

/// The same, for a thread that writes it.
pub(super) fn own(text: &str) -> String {
    format!("docker-test watch: {text}\n")
}

/// Writes what happens to stderr, and as JSON to stdout where that is asked for.
pub(super) fn observer(format: Format, verbose: bool, current: Current, voice: Voice) -> Observer {
    let said = Mutex::new(Said::default());
    Arc::new(move |happening| {
        if format == Format::Json {
            let text = format!("{}\n", event(happening));
            voice.out(current.redact(&text));
        }
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = line(happening, verbose, &mut said) {
            let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
            voice.note(current.redact(&format!("{now} {line}\n")));
        }
    })
}

/// What was said before, and is no news.
#[derive(Default)]
struct Said {
    failing: BTreeSet<String>,
    watching: Option<usize>,
}

fn line(happening: &Happening<'_>, verbose: bool, said: &mut Said) -> Option<String> {
    match happening {
        // The engine is looked at every minute.
        Happening::Watching(probes) => (said.watching.replace(*probes) != Some(*probes))
            .then(|| format!("watching {}", count(*probes as u64, "probe"))),
        Happening::Began { probe, .. } => verbose.then(|| format!("{} begins", printable(probe))),
        Happening::Ended { run, alerts } => {
            let (verdict, name) = (run.verdict(), &run.probe.name);
            let failing = &mut said.failing;
            let was_failing = failing.contains(name);
            if verdict.is_pass() {
                failing.remove(name)
            } else {
                failing.insert(name.clone())
            };
            let is_news = verdict != Verdict::Passed || was_failing || !alerts.is_empty();
            (is_news || verbose).then(|| ended(run, alerts))
        }
        Happening::Stopped { probe } => Some(format!("{} was stopped", printable(probe))),
        Happening::Skipped { probe, runs } => {
            Some(format!("{}: {} passed over", printable(probe), count(*runs, "run")))
        }
        Happening::Asked(what) => Some(format!("asked {}", printable(what))),
        Happening::Problem(problem) => Some(format!("problem: {}", printable(problem))),
    }
}

fn ended(run: &ProbeRun, alerts: &[Alert]) -> String {
    let verdict = match run.verdict() {
        Verdict::Passed => "passed",
        Verdict::Warning => "has a warning",
        Verdict::PassedOnRetry => "passed on retry",
        Verdict::CleanupFailed => "passed, and its cleanup failed",
        Verdict::Failed => "failed",
        Verdict::Errored => "could not be run",
    };
    let time = std::time::Duration::try_from_secs_f64(run.seconds).unwrap_or_default();
    let mut line = format!("{} {verdict} in {}", printable(&run.probe.name), human(time));
    if run.verdict() != Verdict::Passed {
        line.push_str(": ");
        line.push_str(&printable(run.summary()));
    }
    for alert in alerts {
        // Which sinks there are is not known here, and may be none.
        let told = match (alert.action, alert.reminder) {
            (Action::Trigger, false) => "alert",
            (Action::Trigger, true) => "reminder",
            (Action::Resolve, _) => "resolved",
        };
        let whom =
            if alert.route.is_empty() { String::new() } else { format!(": {}", alert.route.join(", ")) };
        line.extend([" [", told, &whom, "]"]);
    }
    line
}

fn event(happening: &Happening<'_>) -> Value {
    match happening {
        Happening::Watching(probes) => json!({ "event": "watching", "probes": probes }),
        Happening::Began { probe, due, at } => {
            let due = due.map(|due| due.to_string());
            json!({ "event": "began", "probe": probe, "due": due, "at": at.to_string() })
        }
        Happening::Ended { run, alerts } => {
            json!({ "event": "ended", "verdict": run.verdict(), "run": run, "alerts": alerts })
        }
        Happening::Stopped { probe } => json!({ "event": "stopped", "probe": probe }),
        Happening::Skipped { probe, runs } => json!({ "event": "skipped", "probe": probe, "runs": runs }),
        Happening::Asked(what) => json!({ "event": "asked", "what": what }),
        Happening::Problem(problem) => json!({ "event": "problem", "problem": problem }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::sample;

    fn said(verdict: Verdict, before: &mut Said) -> Option<String> {
        line(&Happening::Ended { run: &sample::run(verdict), alerts: &[] }, false, before)
    }

    #[test]
    fn a_run_that_passes_is_worth_a_line_only_after_one_that_did_not() {
        let mut failing = Said::default();
        assert_eq!(said(Verdict::Passed, &mut failing), None);
        let failed = said(Verdict::Failed, &mut failing).unwrap();
        assert_eq!(failed, "example.integration failed in 5.5s: expected status 200, got Critical");
        assert!(said(Verdict::Passed, &mut failing).unwrap().contains("passed in"));
        assert_eq!(said(Verdict::Passed, &mut failing), None);
    }

    #[test]
    fn what_people_were_told_stands_behind_the_run() {
        let alerts = [sample::trigger(), Alert { route: vec!["slack".to_owned()], ..sample::resolve() }];
        let run = sample::run(Verdict::Failed);
        let line = line(&Happening::Ended { run: &run, alerts: &alerts }, false, &mut Said::default());
        assert!(line.unwrap().ends_with(" [alert] [resolved: slack]"));
    }

    #[test]
    fn how_many_probes_are_watched_is_said_when_it_changes() {
        let mut before = Said::default();
        let lines = [1, 1, 2, 2, 1].map(|probes| line(&Happening::Watching(probes), false, &mut before));
        let said: Vec<String> = lines.into_iter().flatten().collect();
        assert_eq!(said, ["watching 1 probe", "watching 2 probes", "watching 1 probe"]);
    }
}
