//! Random lives of a probe: verdicts, ticks, missed runs, silences, restarts after any step, and a clock that jumps.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SINKS: [&str; 2] = ["slack", "pagerduty"];
/// Later than all that happens and all silences.
const END: i64 = 1_000_000;

#[derive(Debug, Clone)]
enum Event {
    Run(Verdict),
    Tick,
    Overdue,
}

#[derive(Debug, Clone)]
struct Step {
    event: Event,
    now: i64,
    restart: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = prop::sample::select(vec![
        Passed,
        Passed,
        Passed,
        Failed,
        Failed,
        Failed,
        Errored,
        Warning,
        PassedOnRetry,
        CleanupFailed,
    ]);
    let event = prop_oneof![
        6 => verdict.prop_map(Event::Run),
        1 => Just(Event::Tick),
        1 => Just(Event::Overdue),
    ];
    (event, 0..50_000i64, any::<bool>()).prop_map(|(event, now, restart)| Step { event, now, restart })
}

/// Times mostly go forward, by a few minutes; one in five is anywhere at all.
fn life() -> impl Strategy<Value = Vec<Step>> {
    let jumps = prop::collection::vec(prop_oneof![4 => (1..900i64).prop_map(Some), 1 => Just(None)], 60);
    (prop::collection::vec(step(), 0..60), jumps).prop_map(|(mut steps, jumps)| {
        let mut clock = 0;
        for (step, jump) in steps.iter_mut().zip(jumps) {
            if let Some(forward) = jump {
                step.now = clock + forward;
            }
            clock = step.now;
        }
        steps
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let flapping = (0..5u32, 1..5_000u64, 0..3_000u64).prop_map(|(changes, window, quiet)| Flapping {
        changes,
        window: Duration::from_secs(window),
        quiet: Duration::from_secs(quiet),
    });
    let silences = prop::collection::vec((0..40_000i64, 0..9_000i64), 0..3).prop_map(|silences| {
        silences.into_iter().map(|(from, length)| Silence {
            from,
            until: from + length,
            reason: String::new(),
        })
    });
    let escalation = prop_oneof![
        Just(Vec::new()),
        Just(vec![stage("slack", 1)]),
        (0..4u32, prop::sample::select(vec![Severity::Info, Severity::Error]))
            .prop_map(|(after, least)| vec![stage("slack", 1), Stage { least, ..stage("pagerduty", after) }]),
    ];
    let reminder = prop::option::of((1..5_000u64).prop_map(Duration::from_secs));
    let all = [Subject::Target, Subject::Degraded, Subject::Cleanup, Subject::Harness, Subject::NoNews];
    (0..4u32, 0..4u32, prop::option::of(flapping), reminder, silences, escalation, any::<bool>()).prop_map(
        move |(
            failure_threshold,
            success_threshold,
            flapping,
            reminder_interval,
            silences,
            escalation,
            quiet,
        )| {
            let plain = Policy::default();
            Policy {
                failure_threshold,
                success_threshold,
                flapping,
                reminder_interval,
                silences: silences.collect(),
                escalation,
                told: if quiet { plain.told.clone() } else { all.into() },
                ..plain
            }
        },
    )
}

/// Sinks as they are: a trigger opens an incident, a resolve closes it.
#[derive(Default)]
struct Sinks {
    /// Open incidents by sink and key, and when each began.
    open: BTreeMap<(&'static str, String), i64>,
}

impl Sinks {
    fn take(&mut self, alert: &Alert) -> Result<(), TestCaseError> {
        let mut reached = 0;
        for sink in SINKS.into_iter().filter(|sink| alert.is_for(sink)) {
            reached += 1;
            let incident = (sink, alert.dedup_key.clone());
            let is_open = self.open.contains_key(&incident);
            match alert.action {
                Action::Trigger => {
                    prop_assert_eq!(
                        is_open,
                        alert.reminder,
                        "opened twice, or reminded of nothing: {:?}",
                        alert
                    );
                    self.open.insert(incident, alert.since);
                }
                Action::Resolve => {
                    prop_assert!(is_open && !alert.reminder, "nothing was open: {:?}", alert);
                    self.open.remove(&incident);
                }
            }
        }
        prop_assert!(reached > 0, "for nobody: {:?}", alert);
        Ok(())
    }

    fn has(&self, sink: &'static str, subject: Subject) -> bool {
        self.open.contains_key(&(sink, dedup_key(&probe(), subject)))
    }
}

fn happen(policy: &Policy, state: &mut ProbeState, step: &Step) -> Vec<Alert> {
    match step.event {
        Event::Run(verdict) => decide(policy, state, &run(verdict, step.now), step.now),
        Event::Tick => tick(policy, state, &probe(), step.now),
        Event::Overdue => overdue(policy, state, &probe(), step.now - 1, step.now),
    }
}

/// Whether a row of failing runs was long enough, and no row of passing runs after it was. Said of the whole life, and
/// not step by step as the code does it.
fn is_failing(runs: &[Verdict], policy: &Policy) -> bool {
    let row = |length: u32| usize::try_from(length.max(1)).unwrap();
    let runs: Vec<bool> = runs.iter().filter(|it| **it != Errored).map(|it| it.is_pass()).collect();
    let ends_row = |at: usize, length: usize, passes: bool| {
        at + 1 >= length && runs[at + 1 - length..=at].iter().all(|it| *it == passes)
    };
    let failed = (0..runs.len()).rev().find(|at| ends_row(*at, row(policy.failure_threshold), false));
    failed.is_some_and(|failed| {
        !(failed + 1..runs.len()).any(|at| {
            let length = row(policy.success_threshold);
            at - failed >= length && ends_row(at, length, true)
        })
    })
}

fn last_of(runs: &[Verdict], says: impl Fn(Verdict) -> Option<bool>) -> bool {
    runs.iter().rev().find_map(|verdict| says(*verdict)).unwrap_or(false)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn triggers_and_resolves_alternate_and_what_is_open_at_the_end_is_what_the_last_runs_say(
        policy in policy(),
        life in life(),
    ) {
        let mut state = ProbeState::default();
        let mut sinks = Sinks::default();
        for step in &life {
            for alert in happen(&policy, &mut state, step) {
                prop_assert!(alert.action == Action::Resolve || !policy.is_silenced(step.now), "{:?}", alert);
                prop_assert!(alert.at == step.now && alert.since <= alert.at, "{:?}", alert);
                sinks.take(&alert)?;
            }
            if step.restart {
                state = restarted(&state);
            }
        }
        for alert in tick(&policy, &mut state, &probe(), END) {
            sinks.take(&alert)?;
        }
        let runs: Vec<Verdict> = life.iter().filter_map(|step| match step.event {
            Event::Run(verdict) => Some(verdict),
            Event::Tick | Event::Overdue => None,
        }).collect();
        let failing = is_failing(&runs, &policy);
        prop_assert_eq!(sinks.has("slack", Subject::Target), failing);
        prop_assert_eq!(sinks.has("slack", Subject::Harness), runs.last() == Some(&Errored));
        prop_assert!(failing || !sinks.has("pagerduty", Subject::Target));
        let degraded = last_of(&runs, |verdict| match verdict {
            Warning | PassedOnRetry => Some(true),
            Passed | CleanupFailed => Some(false),
            Failed | Errored => None,
        });
        let unclean = last_of(&runs, |verdict| match verdict {
            CleanupFailed => Some(true),
            Passed | Warning | PassedOnRetry => Some(false),
            Failed | Errored => None,
        });
        let told = |subject| policy.told.contains(&subject);
        prop_assert_eq!(sinks.has("slack", Subject::Degraded), degraded && told(Subject::Degraded));
        prop_assert_eq!(sinks.has("slack", Subject::Cleanup), unclean && told(Subject::Cleanup));
        if let Some(Step { event: Event::Run(_), .. }) = life.last() {
            prop_assert!(!sinks.has("slack", Subject::NoNews));
        }
    }

    #[test]
    fn a_restart_changes_no_word(policy in policy(), life in life()) {
        let (mut one, mut other) = (ProbeState::default(), ProbeState::default());
        for step in &life {
            other = restarted(&other);
            prop_assert_eq!(&one, &other);
            prop_assert_eq!(happen(&policy, &mut one, step), happen(&policy, &mut other, step));
        }
    }

    #[test]
    fn a_policy_that_changes_between_runs_opens_nothing_twice_and_closes_nothing_twice(
        policies in prop::collection::vec(policy(), 1..5),
        life in life(),
    ) {
        let mut state = ProbeState::default();
        let mut sinks = Sinks::default();
        let named = |policy: &Policy| {
            let escalation = if policy.escalation.is_empty() { vec![stage("slack", 1)] } else { policy.escalation.clone() };
            Policy { escalation, ..policy.clone() }
        };
        for (count, step) in life.iter().enumerate() {
            let policy = named(&policies[count / 7 % policies.len()]);
            for alert in happen(&policy, &mut state, step) {
                sinks.take(&alert)?;
            }
        }
        for alert in retire(&policies[0], &mut state, &probe(), END) {
            sinks.take(&alert)?;
        }
        prop_assert!(sinks.open.is_empty());
    }

    #[test]
    fn an_escalated_incident_was_bad_so_many_times(life in life(), after in 1..5u32) {
        let policy = Policy { escalation: vec![stage("slack", 1), stage("pagerduty", after)], ..Policy::default() };
        let mut state = ProbeState::default();
        let mut failed = 0;
        for step in &life {
            match step.event {
                Event::Run(Failed) => failed += 1,
                Event::Run(Errored) | Event::Tick | Event::Overdue => {}
                Event::Run(_) => failed = 0,
            }
            for alert in happen(&policy, &mut state, step) {
                if alert.subject == Subject::Target && alert.action == Action::Trigger && alert.is_for("pagerduty") {
                    prop_assert_eq!(failed, after);
                }
            }
        }
    }

    #[test]
    fn a_state_stays_small(policy in policy(), life in life()) {
        let mut state = ProbeState::default();
        for step in &life {
            happen(&policy, &mut state, step);
        }
        prop_assert!(serde_json::to_string(&state).unwrap().len() < 8_192);
    }
}
