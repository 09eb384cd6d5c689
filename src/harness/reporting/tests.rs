use std::sync::Arc;

use super::*;
use crate::notify::Action;
use crate::notify::send::loopback::{Loopback, Reply};
use crate::notify::send::tests::sender;
use crate::notify::{HttpRequest, Notifier, Severity, Subject, Transmission, sample};
use crate::probe::Verdict;

struct Post {
    url: String,
}

impl Notifier for Post {
    fn name(&self) -> &'static str {
        "post"
    }

    fn lifetime(&self, _: &Notice) -> Option<Duration> {
        Some(Duration::from_hours(1))
    }

    fn render(&self, notice: &Notice) -> Vec<Transmission> {
        let Notice::Alert(alert) = notice else { return Vec::new() };
        let body = alert.dedup_key.clone().into_bytes();
        vec![Transmission::Http(HttpRequest {
            method: "POST",
            url: self.url.clone(),
            headers: Vec::new(),
            body,
        })]
    }

    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}

fn alert(key: usize) -> Notice {
    let text = |text: &str| text.to_owned();
    Notice::Alert(Alert {
        action: Action::Trigger,
        subject: Subject::Target,
        dedup_key: format!("key-{key}"),
        probe: Identity { name: text("p"), kind: text("k"), host: text("h"), tags: Vec::new() },
        severity: Severity::Critical,
        summary: text("down"),
        details: std::collections::BTreeMap::new(),
        run: text("run"),
        at: now(),
        since: now(),
        reminder: false,
        route: Vec::new(),
    })
}

/// A server that takes its time for each answer.
async fn slow() -> Loopback {
    Loopback::start(|_, _| Reply::After(Duration::from_millis(300), 202)).await
}

fn begin(opened: Opened, server: &Loopback) -> Reporting {
    begin_with(opened, &[("post", server)])
}

fn begin_with(opened: Opened, servers: &[(&str, &Loopback)]) -> Reporting {
    let sink = |(id, server): &(&str, &Loopback)| Sink {
        id: (*id).to_owned(),
        notifier: Arc::new(Post { url: server.url.clone() }),
    };
    let sinks = servers.iter().map(sink).collect();
    Reporting::begin(opened, sinks, sender(), Policy::default(), Arc::new(|_| {}))
}

async fn until_asked(server: &Loopback, count: usize) {
    while server.asked().len() < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Each was sent once.
fn assert_once(server: &Loopback, count: usize) {
    let mut bodies = server.bodies();
    bodies.sort();
    let mut expected: Vec<String> = (0..count).map(|key| format!("key-{key}")).collect();
    expected.sort();
    assert_eq!(bodies, expected);
}

#[tokio::test]
async fn what_is_under_way_at_the_end_gets_its_answer_and_is_not_sent_again() {
    let server = slow().await;
    let reporting = begin(open(None).unwrap(), &server);
    reporting.tell_all(&[alert(0), alert(1), alert(2)]).await.unwrap();
    until_asked(&server, 3).await;
    assert_eq!(reporting.finish(Duration::from_secs(10)).await[0].waiting, 0);
    assert_once(&server, 3);
}

#[tokio::test]
async fn what_the_limit_leaves_no_time_for_is_not_begun() {
    let state = tempfile::tempdir().unwrap();
    let server = slow().await;
    let reporting = begin(open(Some(state.path())).unwrap(), &server);
    let alerts: Vec<Notice> = (0..200).map(alert).collect();
    reporting.tell_all(&alerts).await.unwrap();
    let begun = std::time::Instant::now();
    assert!(reporting.finish(Duration::from_secs(2)).await[0].waiting > 0);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    drop(reporting);
    let next = begin(open(Some(state.path())).unwrap(), &server);
    assert_eq!(next.finish(Duration::from_mins(1)).await[0].waiting, 0);
    assert_once(&server, 200);
}

#[tokio::test]
async fn what_is_under_way_at_a_reload_gets_its_answer_and_is_not_sent_again() {
    let server = slow().await;
    let opened = open(None).unwrap();
    let store = opened.store.clone();
    let old = begin(opened, &server);
    old.tell_all(&[alert(0), alert(1), alert(2)]).await.unwrap();
    until_asked(&server, 3).await;
    let mut new = begin(Opened::of(store, false, None), &server);
    new.take_over(&old);
    drop(old);
    new.tell_all(&[alert(3)]).await.unwrap();
    assert_eq!(new.finish(Duration::from_secs(10)).await[0].waiting, 0);
    assert_once(&server, 4);
}

/// Runs that failed, of probes that are gone then.
async fn failed(reporting: &Reporting, count: usize) -> Vec<Gone> {
    let mut gone = Vec::new();
    for number in 0..count {
        let mut run = sample::run(Verdict::Failed);
        run.probe.name = format!("p{number}");
        assert_eq!(reporting.conclude(&run).await.unwrap().len(), 1);
        gone.push(Gone { identity: run.probe, policy: Arc::new(Policy::default()) });
    }
    gone
}

/// Each incident was opened and closed.
fn assert_closed(server: &Loopback, count: usize) {
    let mut bodies = server.bodies();
    bodies.sort();
    let key = |number: usize| format!("docker-test/p{number}/staging.example/target");
    let expected: Vec<String> = (0..count).flat_map(|number| [key(number), key(number)]).collect();
    assert_eq!(bodies, expected);
}

#[tokio::test]
async fn what_is_open_of_probes_that_are_no_more_is_resolved_and_they_are_forgotten() {
    let state = tempfile::tempdir().unwrap();
    let server = Loopback::start(|_, _| Reply::After(Duration::ZERO, 202)).await;
    let reporting = begin(open(Some(state.path())).unwrap(), &server);
    let gone = failed(&reporting, 3).await;
    until_asked(&server, 3).await;
    reporting.retire(&gone, "progress").await.unwrap();
    assert!(reporting.store().probe_states().await.unwrap().is_empty());
    assert_eq!(reporting.finish(Duration::from_secs(10)).await[0].waiting, 0);
    assert_closed(&server, 3);
}

#[tokio::test]
async fn where_the_store_fails_probes_that_are_no_more_are_resolved_all_the_same() {
    let state = tempfile::tempdir().unwrap();
    let server = Loopback::start(|_, _| Reply::After(Duration::ZERO, 202)).await;
    let reporting = begin(open(Some(state.path())).unwrap(), &server);
    let gone = failed(&reporting, 3).await;
    until_asked(&server, 3).await;
    let database = rusqlite::Connection::open(state.path().join("history.sqlite")).unwrap();
    database.execute_batch("DROP TABLE memos").unwrap();
    let error = reporting.retire(&gone, "progress").await.unwrap_err().to_string();
    assert!(error.contains("history.sqlite"), "{error}");
    assert!(reporting.trouble().is_some());
    assert_eq!(reporting.store().probe_states().await.unwrap().len(), 3, "all of it or nothing");
    assert_eq!(reporting.finish(Duration::from_secs(10)).await[0].waiting, 0);
    assert_closed(&server, 3);
}

#[tokio::test]
async fn what_waits_in_memory_because_the_store_fails_goes_along_at_a_reload() {
    let state = tempfile::tempdir().unwrap();
    let server = Loopback::start(|_, before| match before {
        0 => Reply::Answer(503, "retry-after: 1\r\n", String::new()),
        _ => Reply::Answer(202, "", String::new()),
    })
    .await;
    let opened = open(Some(state.path())).unwrap();
    let store = opened.store.clone();
    let old = begin(opened, &server);
    store.refuse_writes().await;
    old.tell_all(&[alert(0)]).await.unwrap();
    until_asked(&server, 1).await;
    let mut new = begin(Opened::of(store, true, Some(state.path())), &server);
    new.take_over(&old);
    // By a run that began before the reload and ends after it.
    old.tell_all(&[alert(1)]).await.unwrap();
    drop(old);
    assert!(new.trouble().unwrap().contains("the store fails"));
    new.tell_all(&[alert(2)]).await.unwrap();
    assert_eq!(new.finish(Duration::from_secs(4)).await[0].waiting, 0);
    let mut bodies = server.bodies();
    bodies.sort();
    assert_eq!(bodies, ["key-0", "key-0", "key-1", "key-2"]);
}

#[tokio::test]
async fn a_store_that_fails_first_for_a_run_from_before_a_reload_costs_no_page() {
    let state = tempfile::tempdir().unwrap();
    let server = Loopback::with_status(202).await;
    let opened = open(Some(state.path())).unwrap();
    let store = opened.store.clone();
    let old = begin(opened, &server);
    let mut new = begin(Opened::of(store.clone(), true, Some(state.path())), &server);
    new.take_over(&old);
    store.refuse_writes().await;
    old.tell_all(&[alert(0)]).await.unwrap();
    drop(old);
    assert_eq!(new.finish(Duration::from_secs(4)).await[0].waiting, 0);
    assert_once(&server, 1);
}

/// What is told of the target.
async fn conclude(reporting: &Reporting, verdict: Verdict) -> Vec<Action> {
    let alerts = reporting.conclude(&sample::run(verdict)).await.unwrap();
    alerts.iter().filter(|alert| alert.subject == Subject::Target).map(|alert| alert.action).collect()
}

#[tokio::test]
async fn a_new_incident_is_told_though_the_store_did_not_hear_of_the_end_of_the_last_one() {
    let state = tempfile::tempdir().unwrap();
    let server = Loopback::with_status(202).await;
    let opened = open(Some(state.path())).unwrap();
    let store = opened.store.clone();
    let full = begin(opened, &server);
    assert_eq!(conclude(&full, Verdict::Failed).await, [Action::Trigger]);
    until_asked(&server, 1).await;
    store.refuse_writes().await;
    assert_eq!(conclude(&full, Verdict::Passed).await, [Action::Resolve]);
    drop((full, store));
    let next = begin(open(Some(state.path())).unwrap(), &server);
    assert_eq!(conclude(&next, Verdict::Failed).await, [Action::Trigger]);
    assert_eq!(conclude(&next, Verdict::Failed).await, [], "it is known now");
    assert_eq!(conclude(&next, Verdict::Passed).await, [Action::Resolve]);
}

#[tokio::test]
async fn a_trigger_that_waited_on_a_disk_that_was_full_is_resolved_though_it_comes_after_the_resolve() {
    let state = tempfile::tempdir().unwrap();
    let server = Loopback::start(|_, before| match before {
        0 => Reply::Answer(503, "retry-after: 2\r\n", String::new()),
        _ => Reply::Answer(202, "", String::new()),
    })
    .await;
    let watch = begin(open(Some(state.path())).unwrap(), &server).for_many_runs();
    assert_eq!(conclude(&watch, Verdict::Failed).await, [Action::Trigger]);
    until_asked(&server, 1).await;
    let disk = rusqlite::Connection::open(state.path().join("history.sqlite")).unwrap();
    disk.execute_batch(
        "CREATE TRIGGER full BEFORE INSERT ON probe_states BEGIN SELECT RAISE (FAIL, 'full'); END",
    )
    .unwrap();
    assert_eq!(conclude(&watch, Verdict::Passed).await, [Action::Resolve]);
    until_asked(&server, 2).await;
    disk.execute_batch("DROP TRIGGER full").unwrap();
    until_asked(&server, 3).await;
    assert_eq!(conclude(&watch, Verdict::Passed).await, [Action::Resolve], "the trigger came last");
    assert_eq!(conclude(&watch, Verdict::Passed).await, []);
    assert_eq!(watch.finish(Duration::from_secs(4)).await[0].waiting, 0);
}

#[tokio::test]
async fn an_incident_whose_page_waits_on_a_disk_that_is_full_is_paged_from_memory() {
    let state = tempfile::tempdir().unwrap();
    let server = Loopback::start(|_, before| match before {
        0 => Reply::Answer(503, "retry-after: 60\r\n", String::new()),
        _ => Reply::Answer(202, "", String::new()),
    })
    .await;
    let opened = open(Some(state.path())).unwrap();
    let store = opened.store.clone();
    let watch = begin(opened, &server).for_many_runs();
    assert_eq!(conclude(&watch, Verdict::Failed).await, [Action::Trigger]);
    until_asked(&server, 1).await;
    store.refuse_writes().await;
    assert_eq!(conclude(&watch, Verdict::Failed).await, [Action::Trigger]);
    until_asked(&server, 2).await;
    assert_eq!(conclude(&watch, Verdict::Failed).await, [], "it is paged once more and no further time");
}

const PAGE: &str = "docker-test/example.integration/staging.example/target";

/// A run in a process of its own.
async fn run(state: &std::path::Path, server: &Loopback, verdict: Verdict) -> Vec<Action> {
    let reporting = begin(open(Some(state)).unwrap(), server);
    let told = conclude(&reporting, verdict).await;
    reporting.finish(Duration::from_secs(5)).await;
    told
}

/// The numbers of dead letters.
async fn dead(state: &std::path::Path) -> Vec<i64> {
    let store = open(Some(state)).unwrap().store;
    store.list(None, true, 99).await.unwrap().iter().map(|entry| entry.seq).collect()
}

/// What is not to be told again yet is, as far as time is concerned.
fn let_time_pass(state: &std::path::Path) {
    let disk = rusqlite::Connection::open(state.join("history.sqlite")).unwrap();
    disk.execute("UPDATE untold SET due_at = 0", ()).unwrap();
}

#[tokio::test]
async fn a_page_that_something_in_between_answered_arrives_later_as_it_was() {
    let server = Loopback::start(|_, before| match before {
        0 => Reply::Answer(403, "content-type: text/html\r\n", "<html>Blocked</html>".to_owned()),
        _ => Reply::Answer(202, "", String::new()),
    })
    .await;
    let state = tempfile::tempdir().unwrap();
    assert_eq!(run(state.path(), &server, Verdict::Failed).await, [Action::Trigger]);
    assert_eq!(server.bodies(), [PAGE, PAGE]);
    assert_eq!(run(state.path(), &server, Verdict::Failed).await, []);
    assert_eq!((server.asked().len(), dead(state.path()).await.len()), (2, 0));
}

#[tokio::test]
async fn a_refused_page_is_told_again_by_the_next_run_that_fails_once_its_sink_takes_it() {
    let server = Loopback::start(|_, before| match before {
        0 => Reply::Answer(400, "", r#"{"status":"invalid event"}"#.to_owned()),
        _ => Reply::Answer(202, "", String::new()),
    })
    .await;
    let state = tempfile::tempdir().unwrap();
    assert_eq!(run(state.path(), &server, Verdict::Failed).await, [Action::Trigger]);
    assert_eq!((server.asked().len(), dead(state.path()).await.len()), (1, 1));
    run(state.path(), &server, Verdict::Failed).await;
    assert_eq!(server.bodies(), [PAGE, PAGE], "under the same key");
    assert!(dead(state.path()).await.is_empty(), "there is nothing left to be sent again");
    run(state.path(), &server, Verdict::Failed).await;
    assert_eq!(server.asked().len(), 2, "it is told now");
    assert_eq!(run(state.path(), &server, Verdict::Passed).await, [Action::Resolve]);
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn a_wrong_key_costs_one_dead_letter_and_is_asked_less_and_less_often() {
    let server = Loopback::start(|_, _| Reply::Answer(403, "", "invalid_token".to_owned())).await;
    let state = tempfile::tempdir().unwrap();
    for _ in 0..4 {
        run(state.path(), &server, Verdict::Failed).await;
    }
    assert_eq!(server.asked().len(), 2, "once more at once, and then not for a minute");
    let first = dead(state.path()).await;
    for told in 3..6 {
        let_time_pass(state.path());
        run(state.path(), &server, Verdict::Failed).await;
        run(state.path(), &server, Verdict::Failed).await;
        assert_eq!(server.asked().len(), told);
        assert_eq!(dead(state.path()).await.len(), 1, "the newest takes the place of the one before");
    }
    assert_ne!(dead(state.path()).await, first);
    run(state.path(), &server, Verdict::Passed).await;
    let_time_pass(state.path());
    let asked = server.asked().len();
    run(state.path(), &server, Verdict::Passed).await;
    assert_eq!(server.asked().len(), asked, "it is over");
}

#[tokio::test]
async fn a_page_that_has_expired_is_told_again() {
    let down = Loopback::start(|_, _| Reply::Answer(503, "retry-after: 60\r\n", String::new())).await;
    let state = tempfile::tempdir().unwrap();
    assert_eq!(run(state.path(), &down, Verdict::Failed).await, [Action::Trigger]);
    let disk = rusqlite::Connection::open(state.path().join("history.sqlite")).unwrap();
    disk.execute("UPDATE outbox SET expires_at = 0", ()).unwrap();
    let server = Loopback::with_status(202).await;
    run(state.path(), &server, Verdict::Failed).await;
    run(state.path(), &server, Verdict::Failed).await;
    assert_eq!(server.bodies(), [PAGE]);
}

#[tokio::test]
async fn only_the_sink_that_has_not_taken_a_page_is_told_again_and_time_alone_suffices() {
    let (good, bad) = (
        Loopback::with_status(202).await,
        Loopback::start(|_, before| match before {
            0 => Reply::Answer(403, "", String::new()),
            _ => Reply::Answer(202, "", String::new()),
        })
        .await,
    );
    let watch = begin_with(open(None).unwrap(), &[("good", &good), ("bad", &bad)]).for_many_runs();
    assert_eq!(conclude(&watch, Verdict::Failed).await, [Action::Trigger]);
    while watch.store().list(None, true, 9).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let probe = sample::identity();
    for _ in 0..2 {
        let step = |policy: &Policy, state: &mut ProbeState| policy::tick(policy, state, &probe, now());
        watch.step_without_run(&Policy::default(), &probe, step).await.unwrap();
        until_asked(&bad, 2).await;
    }
    watch.finish(Duration::from_secs(5)).await;
    assert_eq!((good.bodies(), bad.bodies()), (vec![PAGE.to_owned()], vec![PAGE.to_owned(); 2]));
}

#[tokio::test]
async fn nobody_is_told_again_while_a_silence_lasts() {
    let server = Loopback::start(|_, _| Reply::Answer(400, "", String::new())).await;
    let state = tempfile::tempdir().unwrap();
    run(state.path(), &server, Verdict::Failed).await;
    let reporting = begin(open(Some(state.path())).unwrap(), &server);
    let silence = policy::Silence { from: 0, until: i64::MAX, reason: String::new() };
    let silenced = Policy { silences: vec![silence], ..Policy::default() };
    reporting.conclude_under(&silenced, &sample::run(Verdict::Failed)).await.unwrap();
    reporting.finish(Duration::from_secs(5)).await;
    assert_eq!(server.asked().len(), 1);
    run(state.path(), &server, Verdict::Failed).await;
    assert_eq!(server.asked().len(), 2);
}
