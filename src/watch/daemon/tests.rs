mod once;

use std::path::Path;
use std::sync::Mutex;

use rustls::RootCertStore;

use super::*;
use crate::check::{Check, CommandCheck, Surroundings};
use crate::environment::Environment;
use crate::harness::Probe;
use crate::harness::reporting::{self, Reporting};
use crate::history::outbox::{Change, Limits, RunRecord, StateChange, Store};
use crate::notify::outbox;
use crate::notify::policy::ProbeState;
use crate::notify::policy::Silence;
use crate::notify::send::Sender;
use crate::notify::send::loopback::{Loopback, Reply};
use crate::notify::{Action, Subject};
use crate::plan::Retries;
use crate::probe::Identity;
use crate::redact::Redactor;
use crate::schedule::timetable::{Missed, USUAL_GRACE};
use crate::watch::board::RequestError;
use crate::watch::board::{self, Board};
use crate::watch::definition::{Definition, Origin, Overlap, Times, Trigger, TriggerRule};
use crate::watch::occurrences::Occurrence;

/// The file that all probes are of.
const PLACE: &str = "docker-test.yaml";
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon at work, and what it said.
struct Stage {
    board: Board,
    inputs: mpsc::Sender<Input>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    said: Arc<Mutex<Vec<String>>>,
    /// How long after their time runs began, in milliseconds.
    late: Arc<Mutex<Vec<i64>>>,
}

fn means(store: Store, directory: &Path) -> Means {
    let variables = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
    let surroundings =
        Surroundings::new(variables, directory.to_owned(), Arc::new(RootCertStore::empty())).unwrap();
    let sender = Sender::new(&Environment::default(), surroundings.resolve()).unwrap();
    let opened = reporting::Opened::of(store, true, None);
    let listener = Arc::new(|_| {});
    Means {
        reporting: Reporting::begin(opened, Vec::new(), sender, Policy::default(), listener),
        surroundings,
        redactor: Arc::new(Redactor::default()),
    }
}

fn store() -> Store {
    outbox::in_memory(Limits::default()).unwrap()
}

impl Stage {
    async fn begin(store: &Store, directory: &Path) -> Self {
        let (board, desk) = board::board(store.clone());
        let said = Arc::new(Mutex::new(Vec::new()));
        let late = Arc::new(Mutex::new(Vec::new()));
        let (hearing, measuring) = (Arc::clone(&said), Arc::clone(&late));
        let observer: Observer = Arc::new(move |happening| {
            if let Happening::Began { due: Some(due), at, .. } = happening {
                measuring.lock().unwrap().push(at.as_millisecond() - due.as_millisecond());
            }
            let line = match happening {
                Happening::Watching(count) => format!("watching {count}"),
                Happening::Began { probe, .. } => format!("began {probe}"),
                Happening::Ended { run, alerts } => {
                    let alerts = alerts.iter().map(|alert| match alert.action {
                        Action::Trigger => " trigger",
                        Action::Resolve => " resolve",
                    });
                    format!("ended {} {:?}{}", run.probe.name, run.verdict(), alerts.collect::<String>())
                }
                Happening::Stopped { probe } => format!("stopped {probe}"),
                Happening::Skipped { probe, runs } => format!("skipped {probe} {runs}"),
                Happening::Asked(what) => format!("asked {what}"),
                Happening::Problem(problem) => format!("problem {problem}"),
            };
            hearing.lock().unwrap().push(line);
        });
        let clock: Clock = Arc::new(Timestamp::now);
        let means = means(store.clone(), directory);
        let mut daemon =
            Daemon::new(means, desk, Arc::default(), "here".to_owned(), clock, observer).await.unwrap();
        let (inputs, mut taken) = mpsc::channel(16);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move { daemon.run(&mut taken, &stopped).await });
        Self { board, inputs, stop, task, said, late }
    }

    async fn watch(&self, definitions: Vec<Definition>) {
        self.inputs
            .send(Input::Probes { source: Source::File, place: PLACE.to_owned(), definitions })
            .await
            .unwrap();
    }

    /// Waits until it was said so often.
    #[track_caller]
    fn heard(&self, line: &str, times: usize) -> impl Future<Output = ()> + use<'_> {
        let line = line.to_owned();
        let place = std::panic::Location::caller();
        async move {
            let begun = Instant::now();
            while self.count(&line) < times {
                assert!(begun.elapsed() < PATIENCE, "{place}: no {line:?}: {:?}", self.said.lock().unwrap());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    fn count(&self, line: &str) -> usize {
        self.said.lock().unwrap().iter().filter(|said| said.starts_with(line)).count()
    }

    async fn end(self) -> Vec<String> {
        self.stop.cancel();
        self.task.await.unwrap();
        self.said.lock().unwrap().clone()
    }
}

fn definition(name: &str, command: &str, schedule: Option<&str>) -> Definition {
    Definition {
        probe: Arc::new(Probe {
            identity: Identity {
                name: name.to_owned(),
                kind: "integration".to_owned(),
                host: "staging".to_owned(),
                tags: Vec::new(),
            },
            check: Check::Command(CommandCheck::shell(command)),
            retries: Retries { count: 0, backoff: Duration::ZERO },
            all_attempts: false,
            timeout: Duration::from_mins(1),
            cleanup: None,
            cleanup_timeout: Duration::from_secs(1),
        }),
        origin: Origin::File { path: "docker-test.yaml".to_owned() },
        times: schedule.map(|schedule| Times {
            schedule: schedule.to_owned(),
            zone: None,
            splay: Some(Duration::ZERO),
            missed: Missed::Once,
            grace: USUAL_GRACE,
            while_failing: None,
        }),
        overlap: Overlap::Skip,
        triggers: Vec::new(),
        policy: Arc::new(Policy::default()),
    }
}

/// Waits until people are told that a probe does not run.
async fn until_no_news(store: &Store, probe: &str, otherwise: &str) {
    let begun = Instant::now();
    loop {
        let stored = store.probe_state(probe.to_owned()).await.unwrap();
        let stored: ProbeState =
            stored.map(|stored| serde_json::from_str(&stored.state).unwrap()).unwrap_or_default();
        if stored.condition(Subject::NoNews).unwrap().is_open() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{otherwise}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_service_that_fails_twice_pages_once_and_resolves_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let stage = Stage::begin(&store(), directory.path()).await;
    stage.watch(vec![definition("shop", "test -e up", Some("R//PT1S"))]).await;
    stage.heard("ended shop Failed", 2).await;
    std::fs::write(directory.path().join("up"), "").unwrap();
    stage.heard("ended shop Passed", 2).await;
    let view = stage.board.probe("shop").unwrap();
    assert!(view.next.is_some() && view.open_since.is_none() && view.recent.len() >= 4, "{view:?}");
    let said = stage.end().await;
    let alerts: Vec<&str> = said
        .iter()
        .filter(|line| line.ends_with("trigger") || line.ends_with("resolve"))
        .map(String::as_str)
        .collect();
    assert_eq!(alerts, ["ended shop Failed trigger", "ended shop Passed resolve"], "{said:?}");
}

#[tokio::test]
async fn what_is_open_and_what_is_silenced_outlives_the_daemon_and_nobody_is_paged_twice() {
    let directory = tempfile::tempdir().unwrap();
    let store = store();
    let stage = Stage::begin(&store, directory.path()).await;
    stage.watch(vec![definition("shop", "false", None)]).await;
    stage.heard("watching", 1).await;
    stage.board.run_now("shop").await.unwrap();
    stage.heard("ended shop Failed trigger", 1).await;
    let now = Timestamp::now().as_second();
    let silence = Silence { from: now, until: now + 600, reason: "move".to_owned() };
    stage.board.silence("mail*", silence.clone()).await.unwrap();
    stage.end().await;

    let stage = Stage::begin(&store, directory.path()).await;
    stage.watch(vec![definition("shop", "false", None), definition("mail", "false", None)]).await;
    stage.heard("watching", 1).await;
    let view = stage.board.probe("shop").unwrap();
    assert!(view.open_since.is_some() && view.last.is_some(), "{view:?}");
    assert_eq!(stage.board.probe("mail").unwrap().silenced_until, Some(now + 600));
    for probe in ["shop", "mail"] {
        stage.board.run_now(probe).await.unwrap();
    }
    stage.heard("ended shop Failed", 1).await;
    stage.heard("ended mail Failed", 1).await;
    let id = stage.board.silences()[0].id.clone().unwrap();
    stage.board.lift(&id).await.unwrap();
    assert!(matches!(stage.board.lift(&id).await, Err(RequestError::Unknown(_))));
    assert_eq!(stage.board.probe("mail").unwrap().silenced_until, None);
    let said = stage.end().await;
    assert!(said.iter().all(|line| !line.ends_with("trigger")), "{said:?}");
}

#[tokio::test]
async fn a_probe_that_hangs_delays_no_other_and_its_own_next_run_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let store = store();
    let stage = Stage::begin(&store, directory.path()).await;
    stage
        .watch(vec![
            definition("hangs", "exec sleep 60", Some("R//PT1S")),
            definition("quick", "true", Some("R//PT1S")),
        ])
        .await;
    stage.heard("ended quick Passed", 3).await;
    stage.heard("skipped hangs", 2).await;
    until_no_news(&store, "hangs@staging", "nobody is told that it has not run").await;
    let said = stage.end().await;
    assert_eq!(said.iter().filter(|line| *line == "began hangs").count(), 1, "{said:?}");
    assert!(said.contains(&"stopped hangs".to_owned()), "{said:?}");
}

#[tokio::test]
async fn a_run_that_meets_another_waits_for_it_or_takes_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let stage = Stage::begin(&store(), directory.path()).await;
    let mut queueing = definition("queues", "until test -e go; do sleep 0.02; done", None);
    queueing.overlap = Overlap::Queue;
    let mut replacing = definition("replaces", "test -e go || exec sleep 60", None);
    replacing.overlap = Overlap::Replace;
    stage.watch(vec![queueing, replacing]).await;
    stage.heard("watching", 1).await;
    for probe in ["queues", "queues", "queues", "replaces"] {
        stage.board.run_now(probe).await.unwrap();
    }
    stage.heard("began replaces", 1).await;
    std::fs::write(directory.path().join("go"), "").unwrap();
    stage.board.run_now("replaces").await.unwrap();
    stage.heard("stopped replaces", 1).await;
    stage.heard("ended replaces Passed", 1).await;
    stage.heard("ended queues Passed", 2).await;
    let said = stage.end().await;
    assert_eq!(said.iter().filter(|line| *line == "began queues").count(), 2, "{said:?}");
}

#[tokio::test]
async fn a_probe_that_is_no_more_is_resolved_also_where_that_happened_while_nobody_watched() {
    let directory = tempfile::tempdir().unwrap();
    let store = store();
    let stage = Stage::begin(&store, directory.path()).await;
    stage.watch(vec![definition("gone", "false", None), definition("later", "false", None)]).await;
    stage.heard("watching", 1).await;
    for probe in ["gone", "later"] {
        stage.board.run_now(probe).await.unwrap();
        stage.heard(&format!("ended {probe} Failed trigger"), 1).await;
    }
    stage.watch(vec![definition("later", "false", None)]).await;
    stage.heard("watching 1", 1).await;
    assert!(stage.board.probe("gone").is_none());
    assert_eq!(store.probe_state("gone@staging".to_owned()).await.unwrap(), None);
    stage.end().await;
    assert!(store.probe_state("later@staging".to_owned()).await.unwrap().is_some());
    let stage = Stage::begin(&store, directory.path()).await;
    stage.watch(Vec::new()).await;
    stage.heard("watching 0", 1).await;
    assert_eq!(store.probe_state("later@staging".to_owned()).await.unwrap(), None);
    stage.end().await;
}

#[tokio::test]
async fn runs_that_a_killed_daemon_had_no_time_to_forget_are_forgotten_by_the_next_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = store();
    let run = |probe: &str| RunRecord { probe: probe.to_owned(), run: "run".to_owned(), keep: 9, bytes: 99 };
    let state = StateChange { probe: "here".to_owned(), seen: None, state: "{}".to_owned() };
    for change in [
        Change { run: Some(run("gone")), ..Change::default() },
        Change { run: Some(run("here")), state: Some(state), ..Change::default() },
    ] {
        store.apply(change, 0).await.unwrap();
    }
    Stage::begin(&store, directory.path()).await.end().await;
    assert!(store.probe_runs("gone".to_owned(), 9).await.unwrap().is_empty());
    assert_eq!(store.probe_runs("here".to_owned(), 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_failing_probe_whose_container_is_gone_is_not_run_and_holds_up_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let stage = Stage::begin(&store(), directory.path()).await;
    let mut labelled = definition("labelled", "false", Some("R//PT1H"));
    labelled.origin = Origin::Container { name: "shop".to_owned(), id: "0123".to_owned() };
    labelled.times.as_mut().unwrap().while_failing = Some(Duration::from_millis(100));
    let found =
        |definitions| Input::Probes { source: Source::Engine, place: "engine".to_owned(), definitions };
    stage.inputs.send(found(vec![labelled.clone()])).await.unwrap();
    stage.heard("ended labelled Failed", 2).await;
    stage.inputs.send(found(Vec::new())).await.unwrap();
    stage.watch(vec![definition("other", "true", Some("R//PT1S"))]).await;
    stage.heard("ended other Passed", 2).await;
    assert_eq!(stage.board.probe("labelled").unwrap().next, None);
    assert!(matches!(stage.board.run_now("labelled").await, Err(RequestError::Unknown(_))));
    // A container that is replaced comes back.
    let before = stage.count("ended labelled Failed");
    stage.inputs.send(found(vec![labelled])).await.unwrap();
    stage.heard("ended labelled Failed", before + 1).await;
    stage.end().await;
}

#[tokio::test]
async fn a_problem_with_a_probe_is_over_when_its_cause_is() {
    let directory = tempfile::tempdir().unwrap();
    let stage = Stage::begin(&store(), directory.path()).await;
    stage.watch(vec![definition("shop", "true", None)]).await;
    let mut labelled = definition("shop", "true", None);
    labelled.origin = Origin::Container { name: "shop".to_owned(), id: "0123".to_owned() };
    let found =
        |definitions| Input::Probes { source: Source::Engine, place: "engine".to_owned(), definitions };
    stage.inputs.send(found(vec![labelled])).await.unwrap();
    stage.heard("problem shop is a probe of the file already", 1).await;
    assert_eq!(stage.board.health().problems.len(), 1);
    stage.inputs.send(found(Vec::new())).await.unwrap();
    stage.heard("watching 1", 3).await;
    assert_eq!(stage.board.health().problems, [""; 0]);
    stage.end().await;
}

#[tokio::test]
async fn an_occurrence_runs_the_probes_that_wait_for_it_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let stage = Stage::begin(&store(), directory.path()).await;
    let waits = |name: &str, on, target: Option<&str>| {
        let target = target.map(|target| crate::suite::pattern::NamePattern::parse(target).unwrap());
        Definition { triggers: vec![TriggerRule { on, target }], ..definition(name, "true", None) }
    };
    stage
        .watch(vec![
            waits("web", Trigger::Deploy, Some("web*")),
            waits("any", Trigger::Deploy, None),
            waits("mail", Trigger::Deploy, Some("mail")),
            waits("image", Trigger::ImageTag, None),
        ])
        .await;
    let names = vec!["web".to_owned(), "shop_web".to_owned()];
    stage.inputs.send(Input::Occurred(Occurrence { trigger: Trigger::Deploy, names })).await.unwrap();
    stage.heard("ended web Passed", 1).await;
    stage.heard("ended any Passed", 1).await;
    let said = stage.end().await;
    assert!(
        !said.contains(&"began mail".to_owned()) && !said.contains(&"began image".to_owned()),
        "{said:?}"
    );
}

#[tokio::test]
async fn once_runs_what_is_due_and_a_second_time_runs_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = store();
    for (expected, schedule) in
        [(Some(Verdict::Failed), "R/2020-01-01T00:00:00Z/PT1H"), (None, "R/2020-01-01T00:00:00Z/PT1H")]
    {
        let (_board, desk) = board::board(store.clone());
        let (clock, observer): (Clock, Observer) = (Arc::new(Timestamp::now), Arc::new(|_| {}));
        let means = means(store.clone(), directory.path());
        let mut daemon =
            Daemon::new(means, desk, Arc::default(), "here".to_owned(), clock, observer).await.unwrap();
        let definitions =
            vec![definition("a", "true", Some(schedule)), definition("b", "false", Some(schedule))];
        daemon.take(Input::Probes { source: Source::File, place: PLACE.to_owned(), definitions }).await;
        assert_eq!(daemon.run_once(&CancellationToken::new()).await, expected);
    }
}

#[tokio::test]
async fn a_probe_that_fails_is_tried_more_often_until_it_passes() {
    let directory = tempfile::tempdir().unwrap();
    let stage = Stage::begin(&store(), directory.path()).await;
    let mut eager = definition("eager", "test -e up", Some("R//PT1H"));
    if let Some(times) = &mut eager.times {
        times.while_failing = Some(Duration::from_secs(1));
    }
    stage.watch(vec![eager]).await;
    stage.heard("ended eager Failed", 3).await;
    std::fs::write(directory.path().join("up"), "").unwrap();
    stage.heard("ended eager Passed", 1).await;
    let next = stage.board.probe("eager").unwrap().next.unwrap();
    assert!(next > Timestamp::now().as_second() + 600, "{next}");
    stage.end().await;
}

#[tokio::test]
async fn an_engine_and_a_sink_in_trouble_are_told_of_once_and_their_end_too() {
    let directory = tempfile::tempdir().unwrap();
    let (store, sinks) = (store(), Arc::new(Mutex::new(Sinks::default())));
    let (board, desk) = board::board(store.clone());
    let mut means = means(store.clone(), directory.path());
    let sink = outbox::Sink {
        id: "slack".to_owned(),
        notifier: Arc::new(crate::notify::slack::Slack::new(
            crate::notify::address::Url::parse("http://127.0.0.1:9/hook").unwrap(),
        )),
    };
    let opened = reporting::Opened::of(store.clone(), true, None);
    let sender = Sender::new(&Environment::default(), means.surroundings.resolve()).unwrap();
    means.reporting = Reporting::begin(opened, vec![sink], sender, Policy::default(), Arc::new(|_| {}));
    let (clock, observer): (Clock, Observer) = (Arc::new(Timestamp::now), Arc::new(|_| {}));
    let mut daemon =
        Daemon::new(means, desk, Arc::clone(&sinks), "here".to_owned(), clock, observer).await.unwrap();
    let trouble = |trouble: Option<&str>| Input::Engine {
        name: "unix:///run/docker.sock".to_owned(),
        trouble: trouble.map(str::to_owned),
    };
    for why in ["connection refused", "connection refused"] {
        daemon.take(trouble(Some(why))).await;
    }
    assert_eq!(store.list(None, false, 10).await.unwrap().len(), 1, "it is told once");
    assert!(board.health().problems[0].contains("connection refused"));
    let event = outbox::Event::Refused {
        sink: "slack".to_owned(),
        key: "k".to_owned(),
        reason: "HTTP status 403".to_owned(),
    };
    sinks.lock().unwrap().take(&event, 0);
    daemon.tick().await;
    daemon.tick().await;
    let told = store.list(None, false, 10).await.unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].notice.contains("slack takes nothing"), "{told:?}");
    daemon.take(trouble(None)).await;
    let told = store.list(None, false, 10).await.unwrap();
    assert!(
        told.iter().all(|entry| !entry.notice.contains("connection refused")) || told.len() == 3,
        "{told:?}"
    );
    assert_eq!(board.health().problems.len(), 1);
}

type Said = Arc<Mutex<Vec<String>>>;

/// A daemon that works when it is told to, under a clock that is set, and the problems that it said.
async fn under_a_clock(
    store: &Store,
    directory: &Path,
    at: Timestamp,
) -> (Daemon, Board, Arc<Mutex<Timestamp>>, Said) {
    let (board, desk) = board::board(store.clone());
    let (set, said) = (Arc::new(Mutex::new(at)), Said::default());
    let (shown, hearing) = (Arc::clone(&set), Arc::clone(&said));
    let clock: Clock = Arc::new(move || *shown.lock().unwrap());
    let observer: Observer = Arc::new(move |happening| {
        if let Happening::Problem(problem) = happening {
            hearing.lock().unwrap().push((*problem).to_owned());
        }
    });
    let means = means(store.clone(), directory);
    let daemon = Daemon::new(means, desk, Arc::default(), "here".to_owned(), clock, observer).await;
    (daemon.unwrap(), board, set, said)
}

/// A probe of every minute whose last run was a year ahead.
async fn a_year_ahead(daemon: &mut Daemon, clock: &Mutex<Timestamp>, now: Timestamp) {
    let ahead = now + jiff::SignedDuration::from_hours(365 * 24);
    *clock.lock().unwrap() = ahead;
    daemon.take(every_minute()).await;
    *clock.lock().unwrap() = ahead + jiff::SignedDuration::from_mins(1);
    daemon.begin_what_is_due();
    let done = daemon.done.1.recv().await.unwrap();
    daemon.over(&done);
    assert_eq!(daemon.runs, 1);
}

fn every_minute() -> Input {
    let definitions = vec![definition("shop", "true", Some("* * * * *"))];
    Input::Probes { source: Source::File, place: PLACE.to_owned(), definitions }
}

#[tokio::test]
async fn a_clock_that_is_set_back_by_a_year_holds_up_no_run_and_that_is_said_once() {
    let directory = tempfile::tempdir().unwrap();
    let now = Timestamp::now();
    let (mut daemon, board, clock, said) = under_a_clock(&store(), directory.path(), now).await;
    a_year_ahead(&mut daemon, &clock, now).await;
    *clock.lock().unwrap() =
        now + jiff::SignedDuration::from_hours(365 * 24 - 1) + jiff::SignedDuration::from_mins(5);
    daemon.tick().await;
    assert!(said.lock().unwrap().is_empty(), "less than an hour is waited for: {said:?}");
    *clock.lock().unwrap() = now;
    for _ in 0..2 {
        daemon.tick().await;
        assert_eq!(said.lock().unwrap().len(), 1, "{said:?}");
    }
    assert!(said.lock().unwrap()[0].contains("the last run of shop was due at"), "{said:?}");
    let next = board.probe("shop").unwrap().next.unwrap();
    assert!(next - now.as_second() <= 60, "{next} after {now}");
    *clock.lock().unwrap() = now + jiff::SignedDuration::from_mins(1);
    daemon.begin_what_is_due();
    assert_eq!(daemon.runs, 2);
    daemon.end().await;
}

#[tokio::test]
async fn a_last_slot_that_is_stored_from_a_clock_that_was_ahead_is_said_once_and_reckoned_from_now() {
    let directory = tempfile::tempdir().unwrap();
    let (store, now) = (store(), Timestamp::now());
    let (mut daemon, _board, clock, _said) = under_a_clock(&store, directory.path(), now).await;
    a_year_ahead(&mut daemon, &clock, now).await;
    daemon.end().await;
    let (mut daemon, board, _clock, said) = under_a_clock(&store, directory.path(), now).await;
    for _ in 0..2 {
        daemon.take(every_minute()).await;
        assert_eq!(said.lock().unwrap().len(), 1, "{said:?}");
    }
    let next = board.probe("shop").unwrap().next.unwrap();
    assert!(next - now.as_second() <= 60, "{next} after {now}");
    // One that is killed now has stored it.
    daemon.beside.close();
    daemon.beside.wait().await;
    let (mut daemon, _board, _clock, said) = under_a_clock(&store, directory.path(), now).await;
    daemon.take(every_minute()).await;
    assert!(said.lock().unwrap().is_empty(), "{said:?}");
}

#[tokio::test]
async fn what_is_open_of_an_engine_ends_when_no_engine_is_followed_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let (store, now) = (store(), Timestamp::now());
    let (mut daemon, _board, _clock, said) = under_a_clock(&store, directory.path(), now).await;
    let trouble = Some("connection refused".to_owned());
    daemon.take(Input::Engine { name: "docker".to_owned(), trouble }).await;
    assert!(daemon.conditions["engine/docker"].is_open(), "{said:?}");
    daemon.end().await;
    let (mut daemon, board, _clock, _said) = under_a_clock(&store, directory.path(), now).await;
    assert!(daemon.conditions["engine/docker"].is_open());
    daemon.take(Input::Unfollowed).await;
    assert!(!daemon.conditions["engine/docker"].is_open());
    assert!(board.health().problems.is_empty());
    let kept = store.memos(ticking::CONDITION).await.unwrap();
    let kept: Condition = serde_json::from_str(&kept[0].text).unwrap();
    assert_eq!(kept, Condition::default());
}

#[tokio::test]
async fn probes_of_an_engine_whose_labels_nobody_looks_at_any_more_are_retired_after_a_while() {
    let directory = tempfile::tempdir().unwrap();
    let (store, now) = (store(), Timestamp::now());
    let (mut daemon, _board, _clock, _said) = under_a_clock(&store, directory.path(), now).await;
    let mut labelled = definition("shop", "false", Some("R//PT1H"));
    labelled.origin = Origin::Container { name: "shop-tests".to_owned(), id: "1".to_owned() };
    let (source, place) = (Source::Engine, "before".to_owned());
    daemon.take(Input::Probes { source, place, definitions: vec![labelled] }).await;
    daemon.begin_what_is_due();
    let done = daemon.done.1.recv().await.unwrap();
    daemon.over(&done);
    daemon.end().await;
    let is_open = async || store.probe_state("shop@staging".to_owned()).await.unwrap().is_some();
    assert!(is_open().await);
    for (labels, is_kept) in [
        // Whoever looks once knows nothing of other engines.
        (None, true),
        // It is the one that is followed, and does not answer.
        (Some(Some("before")), true),
        (Some(Some("after")), false),
    ] {
        let (mut daemon, _board, clock, _said) = under_a_clock(&store, directory.path(), now).await;
        if let Some(engine) = labels {
            daemon.take(Input::Labels { engine: engine.map(str::to_owned) }).await;
        }
        daemon.tick().await;
        assert!(is_open().await, "{labels:?}");
        *clock.lock().unwrap() = now + jiff::SignedDuration::from_mins(11);
        daemon.tick().await;
        assert_eq!(is_open().await, is_kept, "{labels:?}");
    }
}

#[tokio::test]
async fn an_incident_of_an_engine_that_a_sink_refused_is_told_again_while_it_lasts() {
    let server = Loopback::start(|_, before| match before {
        0 => Reply::Answer(403, "", "invalid_token".to_owned()),
        _ => Reply::Answer(200, "", "ok".to_owned()),
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let store = store();
    let (_board, desk) = board::board(store.clone());
    let mut means = means(store.clone(), directory.path());
    let hook = crate::notify::address::Url::parse(&server.url).unwrap();
    let slack = Arc::new(crate::notify::slack::Slack::new(hook));
    let sinks = vec![outbox::Sink { id: "slack".to_owned(), notifier: slack }];
    let opened = reporting::Opened::of(store.clone(), true, None);
    let sender = Sender::new(&Environment::default(), means.surroundings.resolve()).unwrap();
    means.reporting = Reporting::begin(opened, sinks, sender, Policy::default(), Arc::new(|_| {}));
    let (clock, observer): (Clock, Observer) = (Arc::new(Timestamp::now), Arc::new(|_| {}));
    let mut daemon =
        Daemon::new(means, desk, Arc::default(), "here".to_owned(), clock, observer).await.unwrap();
    let trouble =
        || Input::Engine { name: "docker".to_owned(), trouble: Some("connection refused".to_owned()) };
    daemon.take(trouble()).await;
    let settled = async |dead: usize, asked: usize| {
        let is_so = async || {
            let (waiting, refused) = tokio::join!(store.list(None, false, 9), store.list(None, true, 9));
            (waiting.unwrap().len(), refused.unwrap().len(), server.asked().len()) == (0, dead, asked)
        };
        let waiting = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    };
    settled(1, 1).await;
    daemon.take(trouble()).await;
    settled(0, 2).await;
    daemon.take(trouble()).await;
    assert!(store.list(None, false, 9).await.unwrap().is_empty(), "it is told");
    assert!(server.bodies().iter().all(|body| body.contains("connection refused")), "{:?}", server.bodies());
}

#[tokio::test]
async fn daemons_of_two_files_take_nothing_from_each_other_and_a_lost_file_is_tidied_up_after() {
    let directory = tempfile::tempdir().unwrap();
    let store = store();
    let file = |name: &str| directory.path().join(name).display().to_string();
    for name in ["a.yaml", "b.yaml"] {
        std::fs::write(file(name), "").unwrap();
    }
    let watch = async |place: &str, definitions: Vec<Definition>| {
        let stage = Stage::begin(&store, directory.path()).await;
        let (source, place) = (Source::File, place.to_owned());
        let names: Vec<String> = definitions.iter().map(|it| it.name().to_owned()).collect();
        stage.inputs.send(Input::Probes { source, place, definitions }).await.unwrap();
        stage.heard("watching", 1).await;
        for name in names {
            stage.board.run_now(&name).await.unwrap();
            stage.heard(&format!("ended {name} Failed"), 1).await;
        }
        stage.end().await;
    };
    watch(&file("a.yaml"), vec![definition("of_a", "false", None)]).await;
    watch(&file("b.yaml"), Vec::new()).await;
    assert!(store.probe_state("of_a@staging".to_owned()).await.unwrap().is_some(), "it is of another file");
    std::fs::remove_file(file("a.yaml")).unwrap();
    watch(&file("b.yaml"), Vec::new()).await;
    assert_eq!(store.probe_state("of_a@staging".to_owned()).await.unwrap(), None);
}

#[tokio::test]
async fn a_probe_of_another_host_is_another_probe_and_the_incident_of_the_old_one_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let store = store();
    let stage = Stage::begin(&store, directory.path()).await;
    stage.watch(vec![definition("shop", "false", None)]).await;
    stage.heard("watching", 1).await;
    stage.board.run_now("shop").await.unwrap();
    stage.heard("ended shop Failed trigger", 1).await;
    let mut moved = definition("shop", "false", None);
    let mut probe = Probe::clone(&moved.probe);
    probe.identity.host = "production".to_owned();
    moved.probe = Arc::new(probe);
    stage.watch(vec![moved]).await;
    stage.heard("watching", 2).await;
    assert_eq!(store.probe_state("shop@staging".to_owned()).await.unwrap(), None);
    stage.board.run_now("shop").await.unwrap();
    stage.heard("ended shop Failed trigger", 2).await;
    stage.end().await;
}

#[tokio::test]
async fn a_probe_whose_runs_replace_each_other_before_they_end_is_told_of() {
    let directory = tempfile::tempdir().unwrap();
    let store = store();
    let stage = Stage::begin(&store, directory.path()).await;
    let mut hanging = definition("hangs", "exec sleep 60", Some("R//PT1S"));
    hanging.overlap = Overlap::Replace;
    stage.watch(vec![hanging]).await;
    stage.heard("stopped hangs", 1).await;
    until_no_news(&store, "hangs@staging", "nobody is told that no run came to a verdict").await;
    stage.end().await;
}

#[tokio::test]
async fn a_reload_that_retires_a_thousand_probes_makes_no_other_late() {
    let directory = tempfile::tempdir().unwrap();
    let [store, beside] = [0, 1].map(|_| outbox::open(directory.path(), Limits::default()).unwrap());
    let known = (0..1_000).map(|number| {
        let probe = format!("p{number}@staging");
        let state = Some(StateChange { probe, seen: None, state: "{}".to_owned() });
        store.apply(Change { state, ..Change::default() }, 0)
    });
    futures_util::future::join_all(known).await;
    let stage = Stage::begin(&store, directory.path()).await;
    let quick = || definition("quick", "true", Some("R//PT1S"));
    let gone = (0..1_000).map(|number| definition(&format!("p{number}"), "true", None));
    stage.watch(gone.chain([quick()]).collect()).await;
    stage.heard("watching 1001", 1).await;
    stage.heard("ended quick", 2).await;
    stage.late.lock().unwrap().clear();
    let begun = Instant::now();
    stage.watch(vec![quick()]).await;
    // All of them go at once, and whoever looks sees that.
    loop {
        let states = beside.probe_states().await.unwrap();
        let left = states.iter().filter(|state| state.probe.starts_with('p')).count();
        if left == 0 {
            break;
        }
        assert!(left == 1_000 && begun.elapsed() < PATIENCE, "{left} are left");
    }
    stage.heard("watching 1", 2).await;
    let took = begun.elapsed();
    stage.heard("ended quick", 5).await;
    let latest = stage.late.lock().unwrap().iter().copied().max().unwrap();
    stage.end().await;
    assert!(latest < 500, "{latest} ms late, where the reload took {took:?}");
}
