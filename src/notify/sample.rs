//! Notices for the tests of sinks, and text of the worst kind.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::notify::overall::Standings;
use crate::notify::{Action, Alert, Notice, Severity, Subject};
use crate::probe::{Attempt, Cleanup, Identity, Measurement, Observation, ProbeRun, State, Verdict};

/// 2026-03-01T12:00:00Z
pub(crate) const AT: i64 = 1_772_366_400;
/// Id of every run here.
pub(crate) const RUN: &str = "run-1";

pub(crate) fn identity() -> Identity {
    Identity {
        name: "example.integration".to_owned(),
        kind: "integration".to_owned(),
        host: "staging.example".to_owned(),
        tags: vec!["team:shop".to_owned()],
    }
}

pub(crate) fn attempt(number: u32, state: State) -> Attempt {
    let measurement = Measurement { name: "time".to_owned(), value: 0.25, unit: "s".to_owned() };
    Attempt {
        number,
        started_at: AT,
        seconds: 2.25,
        seen: Observation {
            state,
            summary: format!("expected status 200, got {state:?}"),
            output: "first line\nlast line".to_owned(),
            measurements: vec![measurement],
        },
        timed_out: false,
        cleanup: None,
    }
}

pub(crate) fn run(verdict: Verdict) -> ProbeRun {
    let (attempts, error) = match verdict {
        Verdict::Passed => (vec![attempt(1, State::Ok)], None),
        Verdict::Warning => (vec![attempt(1, State::Warning)], None),
        Verdict::PassedOnRetry => (vec![attempt(1, State::Critical), attempt(2, State::Ok)], None),
        Verdict::CleanupFailed => {
            let mut attempt = attempt(1, State::Ok);
            attempt.cleanup =
                Some(Cleanup { passed: false, summary: "exit code 1".to_owned(), seconds: 0.5 });
            (vec![attempt], None)
        }
        Verdict::Failed => (vec![attempt(1, State::Critical), attempt(2, State::Critical)], None),
        Verdict::Errored => (Vec::new(), Some("there is no such command".to_owned())),
    };
    ProbeRun { id: RUN.to_owned(), probe: identity(), started_at: AT, seconds: 5.5, attempts, error }
}

pub(crate) fn started() -> Notice {
    Notice::Started { run: RUN.to_owned(), probe: identity(), at: AT }
}

pub(crate) fn attempted(state: State) -> Notice {
    Notice::Attempted { run: RUN.to_owned(), probe: identity(), attempt: attempt(1, state) }
}

pub(crate) fn finished(verdict: Verdict, changed_from: Option<Verdict>) -> Notice {
    Notice::Finished { run: run(verdict), changed_from }
}

/// What a job of one probe comes to.
pub(crate) fn overall(verdict: Verdict) -> Notice {
    overall_of(&run(verdict))
}

pub(crate) fn overall_of(run: &ProbeRun) -> Notice {
    Notice::Overall(Standings::of_job(1).take(run, false).unwrap())
}

pub(crate) fn alert() -> Notice {
    Notice::Alert(trigger())
}

pub(crate) fn trigger() -> Alert {
    Alert {
        action: Action::Trigger,
        subject: Subject::Target,
        dedup_key: "docker-test/example.integration/staging.example/target".to_owned(),
        probe: identity(),
        severity: Severity::Critical,
        summary: "example.integration failed: expected status 200, got 503".to_owned(),
        details: BTreeMap::from([("provider".to_owned(), "Google".to_owned())]),
        run: RUN.to_owned(),
        at: AT,
        since: AT - 60,
        reminder: false,
        route: Vec::new(),
    }
}

pub(crate) fn resolve() -> Alert {
    Alert { action: Action::Resolve, ..trigger() }
}

/// An alert for one kind of sink alone.
pub(crate) fn alert_for(sink: &str) -> Notice {
    Notice::Alert(Alert { route: vec![sink.to_owned()], ..trigger() })
}

/// A resolve of which nobody knows whether something was open.
pub(crate) fn resolve_in_case() -> Notice {
    Notice::Alert(Alert { reminder: true, ..resolve() })
}

/// The same text wherever a stranger's text can stand.
pub(crate) fn everywhere(text: &str) -> Vec<Notice> {
    let mut probe = identity();
    probe.name = text.to_owned();
    probe.host = text.to_owned();
    probe.kind = text.to_owned();
    probe.tags = vec![text.to_owned(), format!("key:{text}"), format!("{text}:value")];
    let mut attempt = attempt(1, State::Critical);
    attempt.seen.summary = text.to_owned();
    attempt.seen.output = text.to_owned();
    attempt.seen.measurements =
        vec![Measurement { name: text.to_owned(), value: 1.5, unit: text.to_owned() }];
    let mut run = run(Verdict::Failed);
    run.id = text.to_owned();
    run.probe = probe.clone();
    run.attempts = vec![attempt.clone()];
    let mut alert = trigger();
    alert.probe = probe.clone();
    alert.summary = text.to_owned();
    alert.run = text.to_owned();
    alert.dedup_key = text.to_owned();
    alert.details =
        BTreeMap::from([(text.to_owned(), text.to_owned()), ("output".to_owned(), text.to_owned())]);
    let overall = overall_of(&run);
    vec![
        overall,
        Notice::Started { run: text.to_owned(), probe: probe.clone(), at: AT },
        Notice::Attempted { run: text.to_owned(), probe, attempt },
        Notice::Finished { run, changed_from: Some(Verdict::Passed) },
        Notice::Alert(Alert { action: Action::Resolve, ..alert.clone() }),
        Notice::Alert(alert),
    ]
}

/// Text that tries to get out of whatever it stands in.
pub(crate) fn hostile() -> impl Strategy<Value = String> {
    let fragment = prop::sample::select(vec![
        "\"",
        "\\",
        "|",
        "|#host:forged",
        "|h:forged",
        "m:",
        "\n",
        "\r\n",
        "\0",
        "\u{1b}[31m",
        "🦀",
        "@channel",
        "@here",
        "<!channel>",
        "<https://a|b>",
        "</script>",
        "{{ 1 }}",
        "{% raw %}",
        "%%%",
        "```",
        "&amp;",
        "_e{1,1}:",
        ",",
        ":",
        "{",
        "}",
        "' OR 1",
        "\u{202e}",
        "\u{2028}",
        "\u{f0000}0\u{f0001}",
        "../..",
        "ä",
        " ",
        "x",
        "1",
    ]);
    let fragments = prop::collection::vec(fragment, 0..24).prop_map(|parts| parts.concat());
    let long = (any::<String>(), 1_usize..120).prop_map(|(text, times)| text.repeat(times));
    prop_oneof![4 => fragments, 2 => any::<String>(), 1 => long]
}
