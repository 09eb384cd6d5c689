//! `--dry-run`: the bytes that would be sent, with secrets masked.
//!
//! Owns how they are written down. Sends and keeps nothing.

use std::fmt::Write as _;

use super::super::terminal;
use crate::notify::outbox::Sink;
use crate::notify::overall::Overall;
use crate::notify::policy::{self, Policy, ProbeState};
use crate::notify::{Notice, Transmission};
use crate::probe::ProbeRun;
use crate::redact::Redactor;

/// Prints what would be sent because of `notice`.
pub(super) fn print(sinks: &[Sink], notice: &Notice, redactor: &Redactor) {
    for sink in sinks {
        let hears = !matches!(notice, Notice::Alert(alert) if !alert.is_for(sink.notifier.name()));
        if !hears || sink.notifier.lifetime(notice).is_none() {
            continue;
        }
        for transmission in sink.notifier.render(notice) {
            let text = written(&sink.id, &transmission);
            // A reader who left has seen enough.
            let _unread = terminal::out(&redactor.redact(&text));
        }
    }
}

/// Prints what would be sent because of the end of a run, without a past.
pub(super) fn conclude(
    sinks: &[Sink],
    run: &ProbeRun,
    overall: Option<Overall>,
    policy: &Policy,
    redactor: &Redactor,
) {
    print(sinks, &Notice::Finished { run: run.clone(), changed_from: None }, redactor);
    if let Some(overall) = overall {
        print(sinks, &Notice::Overall(overall), redactor);
    }
    let policy = Policy { has_lasting_state: false, ..policy.clone() };
    for alert in policy::decide(&policy, &mut ProbeState::default(), run, crate::harness::now()) {
        print(sinks, &Notice::Alert(alert), redactor);
    }
}

fn written(sink: &str, transmission: &Transmission) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = match transmission {
        Transmission::Http(request) => {
            let headers = request.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
            let headers: String = headers.collect();
            let body = String::from_utf8_lossy(&request.body);
            write!(text, "# {sink}\n{} {}\n{headers}\n{body}\n\n", request.method, request.url)
        }
        Transmission::Datagrams { address, datagrams } => {
            let shown: Vec<_> = datagrams.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect();
            write!(text, "# {sink}\nto {address}\n{}\n\n", shown.join("\n"))
        }
        Transmission::File { path, bytes } => {
            write!(text, "# {sink}\nto {}\n{}\n", path.display(), String::from_utf8_lossy(bytes))
        }
    };
    text
}
