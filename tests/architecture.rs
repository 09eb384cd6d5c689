//! The seams between modules, as ARCHITECTURE.md states them: what must not be named where.
//!
//! Reads the source as text: comments, strings over several lines aside, and tests are left out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, with the place")]

use std::fs;
use std::path::Path;

/// Path below `src` without its extension, and the lines of code.
struct Source {
    path: String,
    lines: Vec<(usize, String)>,
}

impl Source {
    /// Whether it is the module `name` (`engine/docker`) or lies in it.
    fn is_in(&self, name: &str) -> bool {
        self.path == name || self.path.starts_with(&format!("{name}/"))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut waiting = vec![root.clone()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().with_extension("").to_str().unwrap().to_owned();
            if path.is_dir() {
                waiting.push(path);
            } else if !name.split('/').any(|part| part == "tests") {
                found.push(Source { path: name, lines: code(&fs::read_to_string(path).unwrap()) });
            }
        }
    }
    assert!(found.len() > 100, "only {} files were found", found.len());
    found
}

/// Lines before the tests, comments taken off.
fn code(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut waiting_for_module = false;
    for (index, line) in text.lines().enumerate() {
        if waiting_for_module && line.trim_end().ends_with('{') {
            break;
        }
        waiting_for_module = line.trim() == "#[cfg(test)]";
        let line = line.split("//").next().unwrap_or_default();
        lines.push((index + 1, line.to_owned()));
    }
    lines
}

/// Fails where code outside of `allowed` has one of `words`.
#[track_caller]
fn nowhere_but(allowed: &[&str], words: &[&str]) {
    let mut met = 0;
    for source in sources() {
        for (number, line) in &source.lines {
            let Some(word) = words.iter().find(|word| line.contains(*word)) else { continue };
            let place = format!("src/{}.rs:{number}", source.path);
            let is_allowed = allowed.iter().any(|module| source.is_in(module));
            assert!(is_allowed, "{place} has `{word}`, which belongs to {allowed:?} alone: {}", line.trim());
            met += 1;
        }
    }
    assert!(
        met > 0 || allowed.is_empty(),
        "no code has one of {words:?}: does this test still look for the right words?"
    );
}

/// Fails where code in one of `modules` has one of `words`.
#[track_caller]
fn never_in(modules: &[&str], words: &[&str]) {
    for module in modules {
        assert!(sources().iter().any(|source| source.is_in(module)), "there is no module {module}");
    }
    for source in sources().iter().filter(|source| modules.iter().any(|module| source.is_in(module))) {
        for (number, line) in &source.lines {
            let found = words.iter().find(|word| line.contains(*word));
            assert!(
                found.is_none(),
                "src/{}.rs:{number} has `{}`: {}",
                source.path,
                found.unwrap(),
                line.trim()
            );
        }
    }
}

#[test]
fn bollard_is_named_by_the_engine_alone() {
    nowhere_but(
        &["engine/docker", "engine/transport/bollard"],
        &["use bollard", "::bollard::", "bollard_buildkit_proto"],
    );
}

#[test]
fn the_database_is_named_by_the_history_alone() {
    nowhere_but(&["history"], &["rusqlite"]);
}

#[test]
fn the_web_framework_is_named_by_the_page_alone() {
    nowhere_but(&["status"], &["axum::", "use axum"]);
}

#[test]
fn clap_is_named_by_the_command_line_alone() {
    nowhere_but(&["cli"], &["clap::", "use clap", "clap_complete", "clap_mangen"]);
}

#[test]
fn nothing_below_the_command_line_reads_the_environment_or_arguments() {
    let words = ["env::var", "env::args", "env::current_dir", "env::home_dir", "env::set_var"];
    nowhere_but(&["environment", "main", "bin"], &words);
}

#[test]
fn only_the_ledger_permits_creation_and_removal() {
    nowhere_but(&["ledger"], &["Recorded::"]);
}

#[test]
fn nothing_knows_what_comes_after_it() {
    let below_report =
        ["metadata", "plan", "suite", "image", "engine", "ledger", "compose", "runner", "results", "history"];
    never_in(&below_report, &["crate::report", "crate::cli", "crate::settings"]);
    never_in(&["report"], &["crate::cli"]);
    never_in(
        &["metadata"],
        &["crate::plan", "crate::image", "crate::engine", "crate::runner", "crate::results"],
    );
    never_in(&["suite"], &["crate::image", "crate::runner", "crate::results", "crate::ledger"]);
    never_in(&["engine"], &["crate::runner", "crate::results", "crate::ledger", "crate::compose"]);
    never_in(&["history"], &["crate::image", "crate::engine", "crate::ledger", "crate::runner"]);
    never_in(&["metadata", "plan", "suite", "image", "ledger"], &["crate::compose"]);
    never_in(&["harness", "notify", "probe", "schedule"], &["crate::engine", "crate::runner", "crate::cli"]);
    // A check looks at a container and does no more with an engine: the harness is to stay small.
    never_in(&["check"], &["crate::runner", "crate::cli", "crate::image", "crate::results", "crate::report"]);
    nowhere_but(&["engine", "check", "cli/harness", "cli/watch"], &["engine::glance"]);
    for part in ["docker", "endpoint", "transport", "podman", "registry", "container", "credentials"] {
        never_in(&["check"], &[&format!("crate::engine::{part}")]);
    }
    never_in(&["engine/glance"], &["engine::docker", "super::docker", "bollard"]);
    never_in(&["probe", "check", "schedule"], &["crate::notify", "crate::harness"]);
    // The page sees the daemon's board and nothing else of it.
    never_in(
        &["status"],
        &["crate::engine", "crate::runner", "crate::cli", "crate::harness", "crate::check"],
    );
    never_in(&["watch", "notify", "harness"], &["crate::status"]);
}

#[test]
fn what_is_pure_does_no_io_and_has_no_clock() {
    let effects = [
        "std::fs",
        "std::net",
        "std::process",
        "tokio::",
        "async ",
        ".await",
        "SystemTime",
        "Instant::now",
        "now_utc",
    ];
    let pure =
        ["metadata", "plan", "suite", "image/template", "image/key", "compose/config", "results/verdict"];
    never_in(&pure, &effects);
    let of_probes = [
        "probe",
        "schedule",
        "notify/policy",
        "notify/preflight",
        "notify/metrics",
        "notify/text",
        "notify/from_environment",
    ];
    never_in(&of_probes, &effects);
    let sinks = [
        "datadog",
        "dogstatsd",
        "otlp",
        "pagerduty",
        "pagerduty_v1",
        "slack",
        "webhook",
        "ping",
        "kuberhealthy",
    ];
    never_in(
        &sinks.map(|sink| format!("notify/{sink}")).iter().map(String::as_str).collect::<Vec<_>>(),
        &effects,
    );
}

#[test]
fn nothing_ends_the_process_but_main() {
    nowhere_but(&[], &["process::exit", "process::abort"]);
}

#[test]
fn only_what_prints_names_the_standard_streams() {
    nowhere_but(
        &["cli", "report/progress", "runner/attempt"],
        &["io::stdout()", "io::stderr()", "io::stdin()"],
    );
}
