mod properties;

use std::time::Duration;

use super::*;
use crate::notify::Action;
use crate::probe::{Attempt, Cleanup, Observation, State};

const HOUR: i64 = 3_600;

fn probe() -> Identity {
    Identity {
        name: "example.integration".to_owned(),
        kind: "integration".to_owned(),
        host: "staging".to_owned(),
        tags: Vec::new(),
    }
}

fn attempt(number: u32, state: State, cleaned: bool) -> Attempt {
    let seen = Observation {
        state,
        summary: format!("expected status 200, got 50{number}"),
        output: "line\nlast line\n".to_owned(),
        measurements: Vec::new(),
    };
    let cleanup = Cleanup { passed: cleaned, summary: "exit code 3".to_owned(), seconds: 0.1 };
    Attempt { number, started_at: 0, seconds: 0.1, seen, timed_out: false, cleanup: Some(cleanup) }
}

/// A run with this verdict.
fn run(verdict: Verdict, at: i64) -> ProbeRun {
    use State::{Critical, Ok, Warning};
    let attempts = match verdict {
        Verdict::Passed => vec![attempt(1, Ok, true)],
        Verdict::Warning => vec![attempt(1, Warning, true)],
        Verdict::PassedOnRetry => vec![attempt(1, Critical, true), attempt(2, Ok, true)],
        Verdict::CleanupFailed => vec![attempt(1, Ok, false)],
        Verdict::Failed => vec![attempt(1, Critical, false), attempt(2, Critical, true)],
        Verdict::Errored => Vec::new(),
    };
    let error = (verdict == Verdict::Errored).then(|| "no such file: /test.sh".to_owned());
    let run =
        ProbeRun { id: format!("run-{at}"), probe: probe(), started_at: at, seconds: 1.5, attempts, error };
    assert_eq!(run.verdict(), verdict);
    run
}

/// The state as it is after a restart.
fn restarted(state: &ProbeState) -> ProbeState {
    serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap()
}

/// What one is told in a life: a run an hour with these verdicts, and a restart after each.
fn told(policy: &Policy, verdicts: &[Verdict]) -> Vec<Vec<String>> {
    let mut state = ProbeState::default();
    let mut words = Vec::new();
    for (hour, verdict) in (0..).zip(verdicts) {
        let now = hour * HOUR;
        let alerts = decide(policy, &mut state, &run(*verdict, now), now);
        words.push(alerts.iter().map(shown).collect());
        state = restarted(&state);
    }
    words
}

fn shown(alert: &Alert) -> String {
    let action = match (alert.action, alert.reminder) {
        (Action::Trigger, false) => "trigger",
        (Action::Trigger, true) => "reminder",
        (Action::Resolve, false) => "resolve",
        (Action::Resolve, true) => "perhaps-resolve",
    };
    let route = alert.route.join("+");
    format!("{action} {:?}{}{route}", alert.subject, if route.is_empty() { "" } else { " for " })
}

fn stage(sink: &str, after: u32) -> Stage {
    Stage { sinks: vec![sink.to_owned()], after, ..Stage::default() }
}

const NOTHING: [&str; 0] = [];
use Verdict::{CleanupFailed, Errored, Failed, Passed, PassedOnRetry, Warning};

#[test]
fn with_the_plainest_policy_the_first_failing_run_pages_and_the_next_that_passes_resolves() {
    let words = told(&Policy::default(), &[Passed, Failed, Failed, Passed, Passed, Failed]);
    let expected: [&[&str]; 6] =
        [&[], &["trigger Target"], &[], &["resolve Target"], &[], &["trigger Target"]];
    assert_eq!(words, expected);
}

#[test]
fn an_alert_says_what_was_expected_and_where_and_since_when() {
    let mut state = ProbeState::default();
    let [alert] = &decide(&Policy::default(), &mut state, &run(Failed, 50), 60)[..] else {
        panic!("one alert")
    };
    assert_eq!(
        alert.summary,
        "example.integration failed in all 2 attempts on staging: expected status 200, got 502"
    );
    assert_eq!(alert.dedup_key, "docker-test/example.integration/staging/target");
    assert_eq!((alert.at, alert.since, alert.run.as_str()), (60, 60, "run-50"));
    assert_eq!(alert.severity, Severity::Critical);
    assert_eq!(alert.details.get("output").map(String::as_str), Some("line\nlast line"));
    assert_eq!(alert.details.get("attempts").map(String::as_str), Some("2"));
    let [resolve] = &decide(&Policy::default(), &mut state, &run(Passed, 90), 100)[..] else { panic!("one") };
    assert_eq!(resolve.dedup_key, alert.dedup_key);
    assert_eq!((resolve.at, resolve.since, resolve.run.as_str()), (100, 60, "run-90"));
    assert_eq!(resolve.summary, "example.integration passes on staging");
}

#[test]
fn a_text_of_a_check_becomes_one_line_of_bounded_length() {
    let mut run = run(Failed, 0);
    for attempt in &mut run.attempts {
        attempt.seen.summary = format!("bad\r\nX-Forged: 1\u{1b}[2J {}", "é".repeat(10_000));
        attempt.seen.output = "é".repeat(10_000);
    }
    let mut state = ProbeState::default();
    let [alert] = &decide(&Policy::default(), &mut state, &run, 0)[..] else { panic!("one alert") };
    assert!(!alert.summary.contains(char::is_control) && alert.summary.chars().count() <= 501);
    assert!(alert.summary.contains("bad X-Forged: 1 [2J"), "{}", alert.summary);
    assert!(alert.details.get("output").unwrap().len() <= 2_048);
    assert!(serde_json::to_string(&state).unwrap().len() < 5_000);
}

#[test]
fn thresholds_count_runs_in_a_row_and_the_incident_began_with_the_first() {
    let policy = Policy { failure_threshold: 2, success_threshold: 2, ..Policy::default() };
    let words =
        told(&policy, &[Failed, Passed, Failed, Errored, Failed, Passed, Failed, Passed, Errored, Passed]);
    let said: Vec<&[String]> = words.iter().map(|it| &it[..]).collect();
    assert_eq!(said[..3], [&[] as &[String]; 3]);
    assert_eq!(said[4], ["trigger Target", "resolve Harness"], "a run that errored is none of the row");
    assert_eq!(said[5..8], [&[] as &[String]; 3]);
    assert_eq!(said[9], ["resolve Target", "resolve Harness"]);
    let mut state = ProbeState::default();
    assert!(decide(&policy, &mut state, &run(Failed, 10), 10).is_empty());
    assert_eq!(decide(&policy, &mut state, &run(Failed, 20), 20)[0].since, 10);
}

#[test]
fn what_passed_in_the_end_is_told_only_where_that_is_asked_for() {
    let verdicts = [PassedOnRetry, Warning, Passed, CleanupFailed, Failed, Passed];
    let quiet: Vec<String> = told(&Policy::default(), &verdicts).concat();
    assert_eq!(quiet, ["trigger Target", "resolve Target"]);
    let mut policy = Policy::default();
    policy.told.extend([Subject::Degraded, Subject::Cleanup]);
    let words = told(&policy, &verdicts);
    let expected: [&[&str]; 6] = [
        &["trigger Degraded"],
        &[],
        &["resolve Degraded"],
        &["trigger Cleanup"],
        &["trigger Target"],
        &["resolve Target", "resolve Cleanup"],
    ];
    assert_eq!(words, expected);
}

#[test]
fn a_harness_that_fails_has_its_own_incident_and_leaves_the_targets_alone() {
    let words = told(&Policy::default(), &[Errored, Failed, Errored, Errored, Passed]);
    let expected: [&[&str]; 5] = [
        &["trigger Harness"],
        &["trigger Target", "resolve Harness"],
        &["trigger Harness"],
        &[],
        &["resolve Target", "resolve Harness"],
    ];
    assert_eq!(words, expected);
}

#[test]
fn slack_hears_first_and_the_pager_after_so_many_failing_runs_and_both_hear_the_end() {
    let escalation = vec![stage("slack", 1), stage("pagerduty", 3)];
    let policy = Policy { escalation, ..Policy::default() };
    let words = told(&policy, &[Failed, Failed, Failed, Failed, Passed, Failed, Passed]);
    let expected: [&[&str]; 7] = [
        &["trigger Target for slack"],
        &[],
        &["trigger Target for pagerduty"],
        &[],
        &["resolve Target for pagerduty+slack"],
        &["trigger Target for slack"],
        &["resolve Target for slack"],
    ];
    assert_eq!(words, expected);
}

#[test]
fn a_stage_for_what_is_bad_does_not_hear_of_warnings() {
    let pager = Stage { least: Severity::Error, ..stage("pagerduty", 1) };
    let mut policy = Policy { escalation: vec![stage("slack", 1), pager], ..Policy::default() };
    policy.told.insert(Subject::Degraded);
    let words = told(&policy, &[PassedOnRetry, Failed]);
    assert_eq!(words, [["trigger Degraded for slack"], ["trigger Target for pagerduty+slack"]]);
}

#[test]
fn an_open_incident_is_told_again_by_runs_and_ticks_after_each_interval() {
    let policy = Policy { reminder_interval: Some(Duration::from_hours(2)), ..Policy::default() };
    let words = told(&policy, &[Failed, Failed, Failed, Failed, Failed, Passed, Passed, Passed]);
    let at: Vec<usize> = (0..8).filter(|hour| words[*hour] == ["reminder Target"]).collect();
    assert_eq!(at, [2, 4]);
    let mut state = ProbeState::default();
    decide(&policy, &mut state, &run(Failed, 0), 0);
    assert!(tick(&policy, &mut state, &probe(), 2 * HOUR - 1).is_empty());
    let [reminder] = &tick(&policy, &mut state, &probe(), 2 * HOUR)[..] else { panic!("one") };
    assert!(reminder.reminder && reminder.summary.ends_with("got 502"), "{reminder:?}");
    assert_eq!(reminder.run, "run-0", "it is about the run that failed");
}

#[test]
fn a_clock_that_jumps_back_delays_a_reminder_by_no_more_than_its_interval() {
    let policy = Policy { reminder_interval: Some(Duration::from_hours(1)), ..Policy::default() };
    let mut state = ProbeState::default();
    decide(&policy, &mut state, &run(Failed, 1_000 * HOUR), 1_000 * HOUR);
    assert!(tick(&policy, &mut state, &probe(), 5 * HOUR).is_empty());
    let [reminder] = &tick(&policy, &mut state, &probe(), 6 * HOUR)[..] else { panic!("one") };
    assert!(reminder.since <= reminder.at);
}

fn flapping() -> Policy {
    let flapping = Flapping { changes: 3, window: Duration::from_hours(4), quiet: Duration::from_hours(3) };
    Policy { flapping: Some(flapping), ..Policy::default() }
}

#[test]
fn what_changes_all_the_time_is_told_once_and_ends_after_a_quiet_time() {
    let verdicts = [Failed, Passed, Failed, Passed, Failed, Passed, Passed, Passed, Passed, Failed];
    let words = told(&flapping(), &verdicts);
    let expected: [&[&str]; 10] = [
        &["trigger Target"],
        &["resolve Target"],
        &["trigger Target"],
        &[],
        &[],
        &[],
        &[],
        &[],
        &["resolve Target"],
        &["trigger Target"],
    ];
    assert_eq!(words, expected);
}

#[test]
fn the_alert_on_flapping_says_so() {
    let policy = flapping();
    let mut state = ProbeState::default();
    for (hour, verdict) in (0..).zip([Failed, Passed]) {
        decide(&policy, &mut state, &run(verdict, hour * HOUR), hour * HOUR);
    }
    let [alert] = &decide(&policy, &mut state, &run(Failed, 2 * HOUR), 2 * HOUR)[..] else { panic!("one") };
    assert_eq!(alert.details.get("flapping").map(String::as_str), Some("true"));
    assert!(
        alert
            .summary
            .starts_with("example.integration keeps changing between well and failing on staging; last: "),
        "{}",
        alert.summary
    );
    assert!(state.condition(Subject::Target).unwrap().is_flapping());
}

#[test]
fn flapping_that_begins_while_the_incident_is_open_is_told_into_it() {
    let mut policy = flapping();
    policy.flapping = policy.flapping.map(|flapping| Flapping { changes: 2, ..flapping });
    let words = told(&policy, &[Failed, Passed, Failed, Failed, Failed, Failed, Passed]);
    let expected: [&[&str]; 7] =
        [&["trigger Target"], &["reminder Target"], &[], &[], &[], &[], &["resolve Target"]];
    assert_eq!(words, expected, "after the quiet time it is as bad as it was, and open still");
}

#[test]
fn flapping_ends_by_a_tick_too_and_also_after_the_clock_jumped_back() {
    let policy = flapping();
    let mut state = ProbeState::default();
    for (hour, verdict) in (1_000..).zip([Failed, Passed, Failed, Passed]) {
        decide(&policy, &mut state, &run(verdict, hour * HOUR), hour * HOUR);
    }
    assert!(tick(&policy, &mut state, &probe(), 10 * HOUR).is_empty());
    let alerts = tick(&policy, &mut state, &probe(), 13 * HOUR);
    assert_eq!(alerts.iter().map(shown).collect::<Vec<_>>(), ["resolve Target"]);
}

fn silenced(from: i64, until: i64) -> Policy {
    let silences = vec![Silence { from, until, reason: String::new() }];
    Policy { silences, ..Policy::default() }
}

#[test]
fn what_began_in_a_silence_is_told_when_it_ends_and_is_still_so() {
    let policy = silenced(HOUR, 3 * HOUR);
    let words = told(&policy, &[Passed, Failed, Failed, Failed, Passed]);
    let expected: [&[&str]; 5] = [&[], &[], &[], &["trigger Target"], &["resolve Target"]];
    assert_eq!(words, expected);
    let mut state = ProbeState::default();
    decide(&policy, &mut state, &run(Failed, 2 * HOUR), 2 * HOUR);
    assert!(tick(&policy, &mut state, &probe(), 3 * HOUR - 1).is_empty());
    let [alert] = &tick(&policy, &mut state, &probe(), 3 * HOUR)[..] else { panic!("one") };
    assert_eq!((alert.since, alert.run.as_str()), (2 * HOUR, "run-7200"));
    assert_eq!(told(&policy, &[Passed, Failed, Passed, Passed]).concat(), NOTHING, "over before the end");
}

#[test]
fn an_incident_of_before_a_silence_is_resolved_in_it_and_not_told_again() {
    let policy = Policy { reminder_interval: Some(Duration::from_hours(1)), ..silenced(HOUR, 4 * HOUR) };
    let words = told(&policy, &[Failed, Failed, Passed, Failed, Failed]);
    let expected: [&[&str]; 5] = [&["trigger Target"], &[], &["resolve Target"], &[], &["trigger Target"]];
    assert_eq!(words, expected);
}

#[test]
fn runs_in_a_silence_are_measured_and_count_for_the_next_stage() {
    let escalation = vec![stage("slack", 1), stage("pagerduty", 3)];
    let policy = Policy { escalation, ..silenced(0, 3 * HOUR) };
    let words = told(&policy, &[Failed, Failed, Failed, Failed]);
    assert_eq!(words.concat(), ["trigger Target for pagerduty+slack"]);
}

#[test]
fn a_probe_that_did_not_run_is_told_once_for_each_run_that_was_due() {
    let policy = Policy { escalation: vec![stage("slack", 1), stage("pagerduty", 2)], ..Policy::default() };
    let mut state = ProbeState::default();
    decide(&policy, &mut state, &run(Passed, 0), 0);
    let overdue = |state: &mut ProbeState, expected_at, now| {
        let alerts = overdue(&policy, state, &probe(), expected_at, now);
        *state = restarted(state);
        alerts
    };
    assert!(overdue(&mut state, HOUR, HOUR).is_empty(), "it may still come");
    assert!(overdue(&mut state, 0, 90).is_empty(), "that one came");
    let alerts = overdue(&mut state, HOUR, HOUR + 90);
    assert_eq!(alerts.iter().map(shown).collect::<Vec<_>>(), ["trigger NoNews for slack"]);
    assert_eq!(
        alerts[0].summary,
        "example.integration has not run on staging: it was due at 1970-01-01T01:00:00Z, and no run has begun"
    );
    assert!(overdue(&mut state, HOUR, HOUR + 150).is_empty());
    let alerts = overdue(&mut state, 2 * HOUR, 2 * HOUR + 90);
    assert_eq!(alerts.iter().map(shown).collect::<Vec<_>>(), ["trigger NoNews for pagerduty"]);
    let alerts = decide(&policy, &mut state, &run(Failed, 3 * HOUR), 3 * HOUR);
    let shown: Vec<String> = alerts.iter().map(shown).collect();
    assert_eq!(shown, ["trigger Target for slack", "resolve NoNews for pagerduty+slack"]);
}

#[test]
fn an_engine_and_a_sink_that_are_down_have_incidents_of_their_own() {
    let policy = Policy::default();
    let (mut docker, mut slack) = (Condition::default(), Condition::default());
    assert!(engine(&policy, &mut docker, "docker", "ci-1", None, 0).is_empty());
    let [down] = &engine(&policy, &mut docker, "docker", "ci-1", Some("connection refused"), 10)[..] else {
        panic!("one")
    };
    assert_eq!(down.summary, "engine docker does not answer on ci-1: connection refused");
    assert_eq!((down.subject, down.severity), (Subject::Engine, Severity::Critical));
    assert!(engine(&policy, &mut docker, "docker", "ci-1", Some("connection refused"), 20).is_empty());
    let [up] = &engine(&policy, &mut docker, "docker", "ci-1", None, 30)[..] else { panic!("one") };
    assert_eq!((up.action, up.since, &up.dedup_key), (Action::Resolve, 10, &down.dedup_key));
    let [down] = &sink(&policy, &mut slack, "slack", "ci-1", Some("HTTP status 503"), 40)[..] else {
        panic!("one")
    };
    assert_eq!(down.dedup_key, "docker-test/slack/ci-1/sink");
    assert_eq!(down.summary, "sink slack takes nothing from ci-1: HTTP status 503");
    assert!(slack.is_open() && !docker.is_open());
}

#[test]
fn an_incident_of_an_engine_or_a_sink_ends_under_the_key_that_it_began_under() {
    let policy = Policy::default();
    for tell in [engine, sink] {
        let mut condition = Condition::default();
        let [down] = &tell(&policy, &mut condition, "docker", "before", Some("no route"), 10)[..] else {
            panic!("one")
        };
        let kept = serde_json::to_string(&condition).unwrap();
        let mut condition: Condition = serde_json::from_str(&kept).unwrap();
        assert!(tell(&policy, &mut condition, "docker", "after", Some("no route"), 20).is_empty());
        let [up] = &tell(&policy, &mut condition, "docker", "after", None, 30)[..] else { panic!("one") };
        assert_eq!((up.action, &up.dedup_key), (Action::Resolve, &down.dedup_key));
        assert_eq!(up.probe.host, "before");
        let [down] = &tell(&policy, &mut condition, "docker", "after", Some("no route"), 40)[..] else {
            panic!("one")
        };
        assert_eq!(down.probe.host, "after", "the next one is the new host's");
    }
    // As it was stored before the host was.
    let mut older: Condition = serde_json::from_str(r#"{"is_bad":true,"told":{"all":true}}"#).unwrap();
    let [up] = &engine(&policy, &mut older, "docker", "ci-1", None, 10)[..] else { panic!("one") };
    assert_eq!(up.dedup_key, "docker-test/docker/ci-1/engine");
}

#[test]
fn what_is_open_of_an_engine_that_is_not_followed_any_more_is_closed() {
    let (policy, mut docker) = (Policy::default(), Condition::default());
    assert!(leave_engine(&policy, &mut docker, "docker", "ci-1", 0).is_empty());
    let [down] = &engine(&policy, &mut docker, "docker", "ci-1", Some("no route"), 10)[..] else {
        panic!("one")
    };
    let [left] = &leave_engine(&policy, &mut docker, "docker", "ci-2", 20)[..] else { panic!("one") };
    assert_eq!((left.action, &left.dedup_key), (Action::Resolve, &down.dedup_key));
    assert_eq!(left.summary, "engine docker is not followed any more on ci-1");
    assert_eq!(docker, Condition::default());
}

#[test]
fn without_a_lasting_state_every_run_that_passes_sends_the_resolve_and_every_failing_one_the_page() {
    let policy = Policy {
        has_lasting_state: false,
        failure_threshold: 5,
        escalation: vec![stage("slack", 1), stage("pagerduty", 3)],
        ..Policy::default()
    };
    let said = |verdict| {
        let alerts = decide(&policy, &mut ProbeState::default(), &run(verdict, 0), 0);
        alerts.iter().map(shown).collect::<Vec<_>>()
    };
    let resolved =
        ["perhaps-resolve Target for pagerduty+slack", "perhaps-resolve Harness for pagerduty+slack"];
    for verdict in [Passed, Warning, PassedOnRetry, CleanupFailed] {
        assert_eq!(said(verdict), resolved, "{verdict:?}");
    }
    assert_eq!(said(Failed), ["trigger Target for pagerduty+slack"]);
    assert_eq!(said(Errored), ["trigger Harness for pagerduty+slack"]);
    let policy = Policy { has_lasting_state: false, ..silenced(0, 10) };
    let mut state = ProbeState::default();
    assert!(decide(&policy, &mut state, &run(Failed, 5), 5).is_empty());
    assert_eq!(decide(&policy, &mut state, &run(Passed, 6), 6).len(), 2);
}

#[test]
fn a_probe_that_is_no_more_leaves_nothing_open() {
    let policy = Policy::default();
    let mut state = ProbeState::default();
    decide(&policy, &mut state, &run(Failed, 0), 0);
    let [resolve] = &retire(&policy, &mut state, &probe(), 10)[..] else { panic!("one") };
    assert_eq!(resolve.action, Action::Resolve);
    assert_eq!(resolve.summary, "example.integration is no longer watched for this on staging");
    assert_eq!(state, ProbeState::default());
}

#[test]
fn what_is_told_no_more_is_resolved_and_told_again_when_it_is() {
    let mut state = ProbeState::default();
    decide(&Policy::default(), &mut state, &run(Failed, 0), 0);
    let quiet = Policy { told: BTreeSet::new(), ..Policy::default() };
    let alerts = decide(&quiet, &mut state, &run(Failed, 1), 1);
    assert_eq!(alerts.iter().map(shown).collect::<Vec<_>>(), ["resolve Target"]);
    let alerts = decide(&Policy::default(), &mut state, &run(Failed, 2), 2);
    assert_eq!(alerts.iter().map(shown).collect::<Vec<_>>(), ["trigger Target"]);
}

#[test]
fn a_stage_of_sinks_that_there_are_not_tells_nobody_and_does_not_count_as_told() {
    let only = |kinds: &[&str]| Policy {
        escalation: vec![stage("slack", 1), stage("pagerduty", 1)],
        reached: Some(kinds.iter().map(|kind| (*kind).to_owned()).collect()),
        ..Policy::default()
    };
    let mut state = ProbeState::default();
    let mut said = |policy: &Policy, at| {
        let alerts = decide(policy, &mut state, &run(Failed, at), at);
        alerts.iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(said(&only(&[]), 0), [""; 0]);
    assert_eq!(said(&only(&["slack"]), 1), ["trigger Target for slack"]);
    assert_eq!(said(&only(&["slack", "pagerduty"]), 2), ["trigger Target for pagerduty"]);
    // All sinks are all that there are, and whoever reads what is told.
    let all = Policy { reached: Some(BTreeSet::new()), ..Policy::default() };
    assert_eq!(decide(&all, &mut ProbeState::default(), &run(Failed, 3), 3).len(), 1);
}

#[test]
fn a_state_of_another_version_is_read_as_far_as_it_is_known() {
    assert_eq!(serde_json::from_str::<ProbeState>("{}").unwrap(), ProbeState::default());
    let newer = r#"{"last_verdict": "half_passed", "moods": [1], "target": {"is_bad": true, "failing": 2, "colour": 7,
        "told": {"all": true, "pigeons": 3}}}"#;
    let mut state: ProbeState = serde_json::from_str(newer).unwrap();
    assert_eq!(state.last_verdict, None);
    assert!(state.condition(Subject::Target).unwrap().is_open());
    let alerts = decide(&Policy::default(), &mut state, &run(Passed, 9), 9);
    assert_eq!(alerts.iter().map(shown).collect::<Vec<_>>(), ["resolve Target"]);
}

#[test]
fn a_change_is_known_from_the_run_before() {
    let mut state = ProbeState::default();
    assert_eq!(state.changed_from(Failed), None);
    decide(&Policy::default(), &mut state, &run(Failed, 0), 0);
    assert_eq!((state.changed_from(Failed), state.changed_from(Passed)), (None, Some(Failed)));
}
